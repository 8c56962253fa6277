//! Grants for certificates: a certificate proves what is in it, and nothing else.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, KeyPair, SanType};
use tokio_postgres::{Client, Config, NoTls};

use crate::house::House;
use crate::support::authority::{Authority, Certificate};
use crate::support::in_time;

const ACCESS: &str = r#"
[listen.tls]
mode = "prefer"
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
[auth]
users = "userlist.txt"
[roles.web]
server = { user = "app_rw", password = "x" }
application_name = "{role}"
[roles.job]
server = { user = "app_rw", password = "x" }
application_name = "{role}"
[roles.owner]
server = { user = "app_rw", password = "x" }
application_name = "{role}"
[roles.known]
server = { user = "app_rw", password = "x" }
application_name = "{role}"
[[grant]]
role = "web"
certificate = { san = "spiffe://prod/shop/*" }
[[grant]]
role = "job"
certificate = { cn = "job-*" }
database = "acl"
user = "job"
[[grant]]
role = "owner"
user = "admin"
[[grant]]
role = "known"
user = "known"
"#;

const USERS: &str = "\"admin\" \"admin\"\n\"known\" \"known\"\n\"boss\" \"boss\"\n";

/// What clients know: whom to trust and where to connect.
struct Door {
    house: House,
    authority: Authority,
}

impl Door {
    async fn open() -> Self {
        let authority = Authority::new();
        let [a, b, c] = authority.files();
        let files = [("userlist.txt", USERS.to_owned()), a, b, c];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        let house = House::with_files(ACCESS, &files, command).await;
        Self { house, authority }
    }

    /// A client over TLS; its password is the user's name.
    async fn login(
        &self,
        user: &str,
        database: &str,
        certificate: Option<&Certificate>,
    ) -> Result<Client, String> {
        let stream = self
            .authority
            .connect(self.house.port(), certificate)
            .await?;
        let mut config = Config::new();
        config.user(user).password(user).dbname(database);
        match in_time("a login", config.connect_raw(stream, NoTls)).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                Ok(client)
            }
            Err(error) => Err(match error.code() {
                Some(code) => code.code().to_owned(),
                None => format!("{error:?}"),
            }),
        }
    }

    /// The role that a client gets.
    async fn role(
        &self,
        user: &str,
        database: &str,
        certificate: Option<&Certificate>,
    ) -> Result<String, String> {
        let client = self.login(user, database, certificate).await?;
        let sql = "select current_setting('application_name')";
        let row = client.query_one(sql, &[]).await.unwrap();
        Ok(row.get(0))
    }
}

#[tokio::test]
async fn a_granted_uri_needs_no_password_and_any_other_does() {
    let door = Door::open().await;
    let web = door.authority.signs("x", "spiffe://prod/shop/web");
    // Whatever they call themselves.
    for user in ["web", "anna", "nobody"] {
        assert_eq!(door.role(user, "acl", Some(&web)).await, Ok("web".into()));
    }
    for uri in [
        "spiffe://prod/shops/web",
        "spiffe://test/shop/web",
        "x-spiffe://prod/shop/web",
        "spiffe://prod/shop",
        "SPIFFE://PROD/SHOP/web",
        "",
    ] {
        let other = door.authority.signs("spiffe://prod/shop/web", uri);
        let role = door.role("web", "acl", Some(&other)).await;
        assert_eq!(role, Err("28P01".into()), "{uri}");
    }
    assert_eq!(door.role("web", "acl", None).await, Err("28P01".into()));
    // Who has a password may have any certificate, or none.
    let other = door.authority.signs("x", "spiffe://other");
    for certificate in [None, Some(&other)] {
        assert_eq!(
            door.role("known", "acl", certificate).await,
            Ok("known".into())
        );
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_elses_is_no_certificate() {
    let door = Door::open().await;
    let stranger = Authority::new();
    let web = stranger.signs("x", "spiffe://prod/shop/web");
    let refused = door.role("web", "acl", Some(&web)).await.unwrap_err();
    assert!(!refused.starts_with("28"), "refused by TLS: {refused}");
    // Nor is one that it has signed itself.
    let mut params = CertificateParams::default();
    let uri = Ia5String::try_from("spiffe://prod/shop/web").unwrap();
    params.subject_alt_names.push(SanType::URI(uri));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let own = (certificate.der().to_vec(), key.serialize_der());
    assert!(door.role("web", "acl", Some(&own)).await.is_err());
}

#[tokio::test]
async fn a_common_name_goes_with_the_rest_of_its_grant() {
    let door = Door::open().await;
    let job = door.authority.signs("job-7", "");
    assert_eq!(door.role("job", "acl", Some(&job)).await, Ok("job".into()));
    assert_eq!(
        door.role("jobs", "acl", Some(&job)).await,
        Err("28P01".into())
    );
    assert_eq!(
        door.role("job", "other", Some(&job)).await,
        Err("28P01".into())
    );
    for cn in ["job", "a-job-7", "JOB-7"] {
        let other = door.authority.signs(cn, "");
        assert_eq!(
            door.role("job", "acl", Some(&other)).await,
            Err("28P01".into()),
            "{cn}"
        );
    }
    // A name among the alternative ones is not the common name.
    let other = door.authority.signs("x", "job-7");
    assert_eq!(
        door.role("job", "acl", Some(&other)).await,
        Err("28P01".into())
    );
}

#[tokio::test]
async fn a_user_name_beside_a_certificate_is_only_a_claim() {
    let door = Door::open().await;
    let web = door.authority.signs("x", "spiffe://prod/shop/web");
    // It gets what the certificate is granted, not what the user is.
    assert_eq!(
        door.role("admin", "acl", Some(&web)).await,
        Ok("web".into())
    );
    assert_eq!(door.role("admin", "acl", None).await, Ok("owner".into()));
    // Where the certificate is granted nothing, the name has to be proved.
    let job = door.authority.signs("job-7", "");
    let client = door.login("admin", "acl", Some(&job)).await.unwrap();
    drop(client);
    // Without the grant before it, the same.
    let at = ACCESS.find("[[grant]]\nrole = \"owner\"").unwrap();
    let (front, back) = ACCESS.split_at(at);
    let (owner, back) = back.split_at(back[1..].find("[[grant]]").unwrap() + 1);
    let at = front.find("[[grant]]").unwrap();
    let access = [&front[..at], owner, &front[at..], back].concat();
    let text = crate::house::before(door.house.fixture.postgres.port, &access);
    door.house.pooler.write(&text);
    door.house.pooler.signal(rustix::process::Signal::HUP);
    crate::support::eventually("the grants have changed places", async || {
        door.house.pooler.log().contains("configuration reloaded")
    })
    .await;
    assert_eq!(
        door.role("admin", "acl", Some(&web)).await,
        Ok("web".into())
    );
}

#[tokio::test]
async fn on_the_console_a_claimed_name_is_nobody() {
    let door = Door::open().await;
    let web = door.authority.signs("x", "spiffe://prod/shop/web");
    for console in ["pgwarden", "pgbouncer"] {
        let refused = door.login("boss", console, Some(&web)).await;
        assert!(refused.is_err(), "{console}");
    }
    let boss = door.login("boss", "pgwarden", None).await.unwrap();
    assert!(boss.simple_query("show identities").await.is_ok());
    // A certificate in the name of the user proves it.
    let client = door.login("anna", "acl", Some(&web)).await.unwrap();
    let rows = door.house.console("show identities").await.fine().rows;
    let anna = rows
        .iter()
        .find(|row| row[1].as_deref() == Some("anna"))
        .unwrap();
    let column = |at: usize| anna[at].as_deref().unwrap_or_default();
    assert_eq!((column(2), column(8)), ("cert", "web"), "{anna:?}");
    assert!(column(3).contains("spiffe://prod/shop/web"), "{anna:?}");
    drop(client);
}
