//! What is offered of TLS, seen from a client.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, NamedGroup, ProtocolVersion, SignatureScheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{login, whoami};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::{eventually, in_time};

/// What a client and the pooler agree on.
#[derive(Debug, PartialEq)]
struct Agreed(ProtocolVersion, CipherSuite, NamedGroup);

async fn pooler(options: &str) -> Pooler {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let files = [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(name, pem)| (*name, pem.as_str()))
        .collect();
    let settings = format!(
        "[listen.tls]\nmode = \"require\"\ncertificate = \"server.crt\"\nkey = \"server.key\"\n\
         {options}\n[databases.shop]\nport = 1\n"
    );
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    Pooler::start_with(&settings, &files, command).await
}

async fn handshake(
    pooler: &Pooler,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Option<Agreed> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let mut socket = TcpStream::connect(("127.0.0.1", pooler.port))
        .await
        .unwrap();
    socket
        .write_all(&[0, 0, 0, 8, 4, 210, 22, 47])
        .await
        .unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'S');
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = in_time("a handshake", connector.connect(name, socket)).await;
    let stream = stream.ok()?;
    let (_, tls) = stream.get_ref();
    Some(Agreed(
        tls.protocol_version().unwrap(),
        tls.negotiated_cipher_suite().unwrap().suite(),
        tls.negotiated_key_exchange_group().unwrap().name(),
    ))
}

#[tokio::test]
async fn clients_are_offered_what_the_settings_say() {
    let (old, new) = (&[&rustls::version::TLS12], &[&rustls::version::TLS13]);
    let modern = pooler(
        "protocols = \"tlsv1.3\"\ntls13_ciphers = \"TLS_AES_128_GCM_SHA256\"\n\
                         curve = \"secp384r1\"",
    )
    .await;
    assert_eq!(
        handshake(&modern, new).await,
        Some(Agreed(
            ProtocolVersion::TLSv1_3,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            NamedGroup::secp384r1
        ))
    );
    assert_eq!(handshake(&modern, old).await, None);
    let classic = pooler(
        "protocols = \"tlsv1.2\"\nciphers = \"HIGH:!AES256:!CHACHA20\"\n\
                          curve = \"prime256v1\"",
    )
    .await;
    assert_eq!(
        handshake(&classic, old).await,
        Some(Agreed(
            ProtocolVersion::TLSv1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            NamedGroup::secp256r1
        ))
    );
    assert_eq!(handshake(&classic, new).await, None);
}

/// A server whose certificate is for `localhost`, and the authority behind it.
async fn server_with_tls() -> (Postgres, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let mut postgres = Postgres::start().await;
    postgres.put_file("server.crt", &certificate.pem());
    postgres.put_file("server.key", &key.serialize_pem());
    postgres.set("ssl=on");
    postgres.stop(Signal::INT).await;
    postgres.start_again().await;
    (postgres, ca.pem())
}

#[tokio::test]
async fn each_host_of_a_list_must_have_a_certificate_in_its_own_name() {
    let (postgres, ca) = server_with_tls().await;
    let start = async |mode: &str, hosts: &str| {
        let settings = format!(
            "[server_tls]\nmode = \"{mode}\"\nca = \"ca.crt\"\n\
             [pool]\nserver_login_retry = \"100ms\"\nquery_wait_timeout = \"2s\"\n\
             [databases.shop]\nhost = {hosts}\nport = {}\n\
             server = {{ user = \"app\", password = \"app\" }}\n",
            postgres.port
        );
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        Pooler::start_with(&settings, &[("ca.crt", ca.as_str())], command).await
    };
    let stranger = start("verify-full", "\"127.0.0.1\"").await;
    login(&stranger, "app", "app").await.unwrap_err();
    let log = stranger.log();
    assert!(log.contains("certificate verify failed"), "{log}");
    for (mode, hosts) in [
        ("verify-full", "\"localhost\""),
        ("verify-full", "[\"127.0.0.1\", \"localhost\"]"),
        ("verify-ca", "\"127.0.0.1\""),
    ] {
        let pooler = start(mode, hosts).await;
        let mut client = login(&pooler, "app", "app").await;
        // The first try may have been for the host that is refused.
        eventually("the right host is found", async || {
            if client.is_err() {
                client = login(&pooler, "app", "app").await;
            }
            client.is_ok()
        })
        .await;
        assert_eq!(whoami(&client.unwrap()).await, "app", "{mode} {hosts}");
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
