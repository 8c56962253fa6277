//! Whether a server's certificate is in the server's name.

use std::net::IpAddr;

use rustls::CertificateError;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::version1::{Version1, whole};

/// Compares the alternative names, and where there are none, the common name: as libpq does it,
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>.
pub(super) fn check(
    certificate: &CertificateDer<'_>,
    server: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    if is_common_name(certificate, server) {
        return Ok(());
    }
    if Version1::read(certificate).is_some() {
        return Err(CertificateError::NotValidForName.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, server)
}

/// Whether the common name is this server's, and counts.
pub(super) fn is_common_name(certificate: &CertificateDer<'_>, server: &ServerName<'_>) -> bool {
    let name = whole(certificate).and_then(|certificate| common_name(&certificate));
    let Some(name) = name else {
        return false;
    };
    match server {
        ServerName::DnsName(host) => matches(&name, host.as_ref()),
        ServerName::IpAddress(address) => name.parse() == Ok(IpAddr::from(*address)),
        _ => false,
    }
}

/// The common name of a certificate that has no alternative names for hosts. `None` also where
/// it could be read in two ways.
fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let alternatives = certificate.subject_alternative_name().ok()?;
    let mut alternatives = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    if alternatives.any(is_of_host) {
        return None;
    }
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok().map(str::to_owned),
        (None | Some(_), _) => None,
    }
}

fn is_of_host(name: &GeneralName<'_>) -> bool {
    match name {
        // What cannot be read may have been meant for a host.
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::Invalid(..) => true,
        GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::URI(_)
        | GeneralName::X400Address(_) => false,
    }
}

/// RFC 6125 section 6.4: a `*` stands for the whole first label, before two more at least.
fn matches(name: &str, host: &str) -> bool {
    let Some(domain) = name.strip_prefix("*.") else {
        return !name.is_empty() && name.eq_ignore_ascii_case(host);
    };
    let labels = domain.split('.');
    let domain_is_one = domain.contains('.') && labels.clone().all(|label| !label.is_empty());
    let Some((first, rest)) = host.split_once('.') else {
        return false;
    };
    domain_is_one && !first.is_empty() && rest.eq_ignore_ascii_case(domain)
}

#[cfg(test)]
mod tests;
