//! Which directories' certificates are believed: those that the system's authorities have
//! signed, or the ones that OpenLDAP's programs know.
//! <https://www.openldap.org/software/man.cgi?query=ldap.conf>

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// TLS towards a directory. The files are read each time, so that a new authority needs no
/// restart. Blocks.
///
/// # Errors
/// The library refuses what it offers itself.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match authorities_file() {
        Some(path) => match fs::read(&path) {
            Ok(pem) => {
                let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
                roots.add_parsable_certificates(certificates);
            }
            Err(error) => warn!(path = %path.display(), %error, "TLS_CACERT cannot be read"),
        },
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The file that OpenLDAP's settings name.
fn authorities_file() -> Option<PathBuf> {
    if let Some(path) = env::var_os("LDAPTLS_CACERT") {
        return Some(path.into());
    }
    let own = env::var_os("LDAPCONF").map(PathBuf::from);
    let usual = SETTINGS.iter().map(PathBuf::from);
    own.into_iter()
        .chain(usual)
        .find_map(|path| fs::read_to_string(path).ok())
        .and_then(|text| named_in(&text))
}

fn named_in(settings: &str) -> Option<PathBuf> {
    settings.lines().find_map(|line| {
        let (key, path) = line.trim().split_once(char::is_whitespace)?;
        let path = path.trim();
        (key.eq_ignore_ascii_case("TLS_CACERT") && !path.is_empty()).then(|| path.into())
    })
}

const SETTINGS: [&str; 2] = ["/etc/ldap/ldap.conf", "/etc/openldap/ldap.conf"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorities_are_those_of_openldaps_settings() {
        let settings = "# a comment\n#TLS_CACERT /a\nBASE dc=x\n tls_cacert\t /etc/my ca.pem \n";
        assert_eq!(named_in(settings), Some(PathBuf::from("/etc/my ca.pem")));
        assert_eq!(named_in("TLS_CACERT\nTLS_REQCERT never"), None);
    }
}
