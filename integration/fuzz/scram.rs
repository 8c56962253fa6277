//! Both sides of SCRAM against a peer that says anything.

use std::sync::Arc;

use pgwarden::auth::scram::keys::Keys;
use pgwarden::auth::scram::{Verifier, client, server};

use crate::Target;

pub(crate) fn targets() -> Vec<Box<dyn Target>> {
    let verifier = Arc::new(Verifier::derive("secret", b"salt of 16 bytes", 1));
    vec![
        Box::new(TowardsClient { verifier }),
        Box::new(TowardsServer {
            keys: Keys::derive(b"secret", b"salt of 16 bytes", 1),
        }),
    ]
}

/// We are the server; the input is the client's first message, a zero byte, and its last.
struct TowardsClient {
    verifier: Arc<Verifier>,
}

impl Target for TowardsClient {
    fn name(&self) -> &'static str {
        "scram towards clients"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let proof = "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts0v0X8v3Bz2T0CJGY=";
        [
            format!("n,,n=,r=abc\0c=biws,r=abcNONCE,{proof}"),
            format!("y,,n=user,r=abc\0c=eSws,r=abcNONCE,{proof}"),
            format!("p=tls-server-end-point,,n=,r=abc\0c=cD10bHM=,r=abcNONCE,{proof}"),
            format!("n,a=other,m=ext,n=,r=abc\0c=biws,r=abcNONCE,x=1,{proof}"),
        ]
        .map(String::into_bytes)
        .into()
    }

    fn read(&mut self, input: &[u8]) {
        let mut parts = input.splitn(2, |&b| b == 0);
        let first = parts.next().unwrap_or_default();
        let last = parts.next().unwrap_or_default();
        let plus = server::Binding::Offered(b"digest".to_vec());
        for (mechanism, binding) in [
            ("SCRAM-SHA-256", server::Binding::None),
            ("SCRAM-SHA-256", plus.clone()),
            ("SCRAM-SHA-256-PLUS", plus),
        ] {
            let exchange = server::ExpectClientFirst::new(self.verifier.clone(), binding);
            let Ok((exchange, challenge)) = exchange.client_first(mechanism, first, "NONCE".into())
            else {
                continue;
            };
            assert!(challenge.is_ascii());
            let proven = exchange.client_final(last);
            assert!(proven.is_err(), "nobody has given a proof");
        }
    }
}

/// We are the client; the input is the server's first message, a zero byte, and its last.
struct TowardsServer {
    keys: Keys,
}

impl Target for TowardsServer {
    fn name(&self) -> &'static str {
        "scram towards servers"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        [
            "r=OURSx,s=c2FsdA==,i=4096\0v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            "r=OURSx,s=c2FsdA==,i=1,ext=1\0e=other-error",
            "m=ext,r=OURSx,s=,i=99999999999\0v=",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into()
    }

    fn read(&mut self, input: &[u8]) {
        let started = client::start(&["SCRAM-SHA-256"], client::Binding::NoTls);
        let (_, exchange, ours) = started.expect("the mechanism is known");
        let nonce = ours.rsplit("r=").next().unwrap_or_default();
        let mut parts = input.splitn(2, |&b| b == 0);
        let first = parts.next().unwrap_or_default();
        // The server has to repeat our nonce, which is new each time.
        let first = String::from_utf8_lossy(first).replacen("OURS", nonce, 1);
        let last = parts.next().unwrap_or_default();
        let Ok(challenge) = exchange.server_first(first.as_bytes()) else {
            return;
        };
        assert!(challenge.iterations() <= client::MAX_ITERATIONS);
        assert!(challenge.salt().len() <= client::MAX_SALT_LEN);
        let (exchange, answer) = challenge.answer(&self.keys);
        assert!(answer.is_ascii());
        assert!(
            exchange.server_final(last).is_err(),
            "nobody has given a proof"
        );
    }
}
