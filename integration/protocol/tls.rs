//! TLS towards clients: asked for and direct, channel binding, client certificates.

use std::fs;
use std::sync::Arc;

use pgwarden::auth::certificate::end_point_binding;
use pgwarden::auth::scram::client::Binding;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::auth::says_cleartext;
use crate::script::backend::fatal;
use crate::script::frontend::{ssl_request, startup};
use crate::script::{Client, Host, Peer, Pooler, Setup, Stage, Wire};

const USERS: &str = "\"alice\" \"secret\"\n";

#[test]
fn a_client_that_asks_for_tls_gets_it() {
    let (stage, authority) = stage("prefer", "trust");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn where_tls_is_required_a_client_without_it_is_refused() {
    let (stage, _) = stage("require", "trust");
    let mut client = stage.enters("alice");
    client.receives(fatal("28000", "SSL required"));
    client.is_closed();
}

#[test]
fn direct_tls_is_accepted_with_alpn_and_refused_without() {
    let (stage, authority) = stage("prefer", "trust");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Direct);
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
    let mut client = authority.connects(&stage, &authority.nobody(), Way::DirectWithoutAlpn);
    client.ends();
}

#[test]
fn scram_binds_to_the_certificate_over_tls() {
    let (stage, authority) = stage("prefer", "scram-sha-256");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    let mechanisms = client.is_offered_scram();
    assert_eq!(mechanisms, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    let data = client.server_certificate();
    let binding = Binding::Tls(end_point_binding(&data));
    let _server = client.proves(&stage, "secret", &mechanisms, binding);
}

#[test]
fn a_proof_bound_to_another_certificate_is_refused() {
    let (stage, authority) = stage("prefer", "scram-sha-256");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    let mechanisms = client.is_offered_scram();
    let other = end_point_binding(&Authority::new().server.0);
    let refused = client.is_refused("secret", &mechanisms, Binding::Tls(other));
    assert_eq!(refused.tag(), b'E');
}

#[test]
fn a_client_that_was_told_of_no_channel_binding_is_refused_as_downgraded() {
    let (stage, authority) = stage("prefer", "scram-sha-256");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    client.is_offered_scram();
    // Somebody in the middle has taken the better mechanism out of the offer.
    let offered = ["SCRAM-SHA-256".to_owned()];
    let data = end_point_binding(&client.server_certificate());
    let refused = client.is_refused("secret", &offered, Binding::Tls(data));
    assert_eq!(refused.tag(), b'E');
}

#[test]
fn a_cleartext_password_is_asked_for_over_tls() {
    let (stage, authority) = stage("prefer", "password");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    says_cleartext(&mut client, "secret");
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_client_certificate_proves_the_user_it_names_and_nobody_else() {
    let (stage, authority) = stage("verify-ca", "cert");
    let alice = authority.signs("alice");
    let mut client = authority.connects(&stage, &alice, Way::Asked);
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
    let mut client = authority.connects(&stage, &alice, Way::Asked);
    client.sends(startup("bob", "shop"));
    client.receives(fatal(
        "28000",
        "certificate authentication failed for user \"bob\"",
    ));
}

#[test]
fn a_client_without_a_certificate_is_not_let_in_where_one_is_demanded() {
    let (stage, authority) = stage("verify-ca", "cert");
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.tries_to_send(&startup("alice", "shop").bytes);
    client.ends();
    let stranger = Authority::new().signs("alice");
    let mut client = authority.connects(&stage, &stranger, Way::Asked);
    client.tries_to_send(&startup("alice", "shop").bytes);
    client.ends();
}

#[test]
fn a_plain_byte_stream_instead_of_a_handshake_harms_nobody() {
    let (stage, authority) = stage("prefer", "trust");
    let mut client = stage.pooler.connects();
    client.sends(ssl_request());
    assert_eq!(client.next_bytes(1, "the answer"), b"S");
    client.sends(startup("alice", "shop"));
    client.ends();
    let mut client = authority.connects(&stage, &authority.nobody(), Way::Asked);
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
}

/// How a client comes to TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Asked,
    Direct,
    DirectWithoutAlpn,
}

/// A certificate and its key.
type Certificate = (Vec<u8>, Vec<u8>);

/// Signs certificates, and has signed pgwarden's.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server: Certificate,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it can sign itself");
        let server = signed(&issuer, "localhost");
        Self { issuer, server }
    }

    fn signs(&self, user: &str) -> Option<Certificate> {
        Some(signed(&self.issuer, user))
    }

    fn nobody(&self) -> Option<Certificate> {
        None
    }

    /// A client over TLS, with a certificate or without.
    fn connects(&self, stage: &Stage, client: &Option<Certificate>, way: Way) -> Client {
        let mut socket = stage.pooler.socket();
        if way == Way::Asked {
            let mut peer = Peer::new("client", Wire::Tcp(socket));
            peer.sends(ssl_request());
            assert_eq!(peer.next_bytes(1, "the answer to SSLRequest"), b"S");
            socket = peer.into_tcp();
        }
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from(self.issuer.der().to_vec());
        roots.add(authority).expect("an authority's certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone().into()], private(key))
                .expect("a certificate and its key"),
        };
        if way != Way::DirectWithoutAlpn {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let stream = StreamOwned::new(connection, socket);
        Client::new(Peer::new("TLS client", Wire::Tls(Box::new(stream))))
    }
}

impl Client {
    fn server_certificate(&mut self) -> Vec<u8> {
        let Wire::Tls(stream) = self.wire() else {
            panic!("no TLS");
        };
        let chain = stream.conn.peer_certificates().expect("it has shown one");
        chain[0].to_vec()
    }
}

fn signed(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> Certificate {
    let names = vec![name.to_owned()];
    let mut params = CertificateParams::new(names).expect("a legal name");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.signed_by(&key, issuer).expect("it can sign");
    (certificate.der().to_vec(), key.serialize_der())
}

fn private(key: &[u8]) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.to_vec()).into()
}

fn stage(mode: &str, method: &str) -> (Stage, Authority) {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, kind: &str, der: &[u8]| {
        fs::write(folder.path().join(name), pem(kind, der)).expect("the folder takes a file");
    };
    write("server.crt", "CERTIFICATE", &authority.server.0);
    write("server.key", "PRIVATE KEY", &authority.server.1);
    write("ca.crt", "CERTIFICATE", authority.issuer.der());
    let tls = format!(
        "[listen.tls]\nmode = \"{mode}\"\ncertificate = \"server.crt\"\nkey = \"server.key\"\n\
         client_ca = \"ca.crt\"\n"
    );
    let mut setup = Setup::default()
        .auth(&format!("method = \"{method}\""))
        .rest(&tls);
    if method != "trust" && method != "cert" {
        setup = setup.users(USERS);
    }
    let host = Host::new();
    let pooler = Pooler::start_in(folder, &setup, host.port());
    (Stage { pooler, host }, authority)
}

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}
