//! A private slapd, gone when the test ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::{eventually, free_port};

/// A running directory.
pub(crate) struct Directory {
    dir: TempDir,
    child: Child,
    /// LDAP, and StartTLS on it.
    pub(crate) port: u16,
    /// LDAP over TLS.
    pub(crate) tls_port: u16,
}

/// Users have their name for a password; that of `carol` is not her name, and the server knows
/// of no `dave`.
const ENTRIES: &str = "\
dn: dc=example,dc=net
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: alice@example.net
userPassword: alice

dn: uid=bob,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
mail: bob@example.net
userPassword: bob

dn: uid=o(d*d\\, b,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: o(d*d, b
cn: Odd
sn: O
userPassword: odd

dn: cn=twin 1,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: twin 1
sn: T
userPassword: twin

dn: cn=twin 2,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: twin 2
sn: T
userPassword: twin

dn: cn=reader,dc=example,dc=net
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: read er
";

impl Directory {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-slapd-")
            .tempdir()
            .unwrap();
        let path = |name: &str| dir.path().join(name);
        make_certificates(&dir);
        fs::create_dir(path("data")).unwrap();
        fs::write(path("slapd.conf"), settings(&dir)).unwrap();
        fs::write(path("seed.ldif"), ENTRIES).unwrap();
        let seeded = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(path("slapd.conf"))
            .arg("-l")
            .arg(path("seed.ldif"))
            .output()
            .expect("slapd is installed (integration/lib/install.sh extauth)");
        let said = String::from_utf8_lossy(&seeded.stderr);
        assert!(seeded.status.success(), "{said}");
        let (port, tls_port) = (free_port(), free_port());
        let log = File::create(path("log")).unwrap();
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "/usr/sbin/slapd",
                "-d",
                "stats",
                "-f",
            ])
            .arg(path("slapd.conf"))
            .arg("-h")
            .arg(format!(
                "ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"
            ))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut this = Self {
            dir,
            child,
            port,
            tls_port,
        };
        eventually("slapd is up", async || {
            assert_eq!(this.child.try_wait().unwrap(), None, "{}", this.log());
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
                && TcpStream::connect(("127.0.0.1", tls_port)).await.is_ok()
        })
        .await;
        this
    }

    /// What it has been asked.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The authority that has signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nobody but `reader` may search, and nobody at all sees passwords.
fn settings(dir: &TempDir) -> String {
    let dir = dir.path().display();
    format!(
        "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
TLSCACertificateFile {dir}/ca.crt
TLSCertificateFile {dir}/slapd.crt
TLSCertificateKeyFile {dir}/slapd.key
database mdb
suffix \"dc=example,dc=net\"
directory {dir}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"cn=reader,dc=example,dc=net\" read by * auth
"
    )
}

fn make_certificates(dir: &TempDir) {
    let write = |name: &str, pem: &str| fs::write(dir.path().join(name), pem).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    write("ca.crt", &ca.pem());
    write("slapd.crt", &certificate.pem());
    write("slapd.key", &key.serialize_pem());
}
