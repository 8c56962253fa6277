//! The first packet: what may be in it, and what a client is told with its welcome.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::witness::Witness;
use super::{client, start};
use crate::support::in_time;
use crate::support::postgres::Postgres;
use crate::support::raw::{Failure, Raw};

const AUTH: &str = "[auth]\nmethod = \"trust\"\nusers = \"users.txt\"\n";
const USERS: &[(&str, &str)] = &[("users.txt", "\"app\" \"app\"\n")];

async fn login(port: u16, parameters: &[(&str, &str)]) -> Result<Raw, Failure> {
    Raw::login(port, "app", "shop", parameters).await
}

#[tokio::test]
async fn parameters_that_nobody_tracks_are_refused_unless_they_are_ignored() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "{AUTH}[pool]\ntrack_parameters = [\"IntervalStyle\"]\n\
         [clients]\nignore_startup_parameters = [\"extra_float_digits\"]\n"
    );
    let pooler = start(&postgres, &settings, USERS).await;
    let auth = "auth_type = trust\nignore_startup_parameters = extra_float_digits\n";
    let witness = Witness::start(&postgres, auth, USERS).await;
    for port in [Some(pooler.port), witness.as_ref().map(|w| w.port)] {
        let Some(port) = port else { continue };
        for (parameter, expected) in [
            (("DateStyle", "German"), None),
            (("timezone", "UTC"), None),
            (("extra_float_digits", "3"), None),
            (("application_name", "x"), None),
            (("geqo", "off"), Some("unsupported startup parameter: geqo")),
            (
                ("search_path", "x"),
                Some("unsupported startup parameter: search_path"),
            ),
            (
                ("options", "-c timezone=UTC -cdatestyle=ISO\\,\\ DMY"),
                None,
            ),
            (("options", "-c extra_float_digits=3"), None),
            (
                ("options", "-c geqo=off"),
                Some("unsupported startup parameter in options: geqo"),
            ),
        ] {
            // 1.18 looks into options no further than to see whether they are ignored.
            if port != pooler.port && parameter.0 == "options" {
                continue;
            }
            let entered = login(port, &[parameter]).await;
            match (entered, expected) {
                (Ok(_), None) => {}
                (Err(failure), Some(text)) => {
                    assert_eq!(
                        (failure.code.as_str(), failure.message.as_str()),
                        ("08P01", text)
                    );
                    assert_eq!(
                        (failure.detail, failure.hint),
                        (String::new(), String::new())
                    );
                }
                (entered, _) => panic!("{parameter:?}: {:?}", entered.map(|_| ())),
            }
        }
    }
    let mut raw = login(
        pooler.port,
        &[("options", "--datestyle=German -c timezone=Asia/Tokyo")],
    )
    .await
    .unwrap();
    assert_eq!(raw.query("show datestyle").await.value(), "German, DMY");
    assert_eq!(raw.query("show timezone").await.value(), "Asia/Tokyo");
    let failure = login(pooler.port, &[("options", "-d 5")])
        .await
        .unwrap_err();
    assert_eq!(
        failure.message,
        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"
    );
}

#[tokio::test]
async fn what_is_unknown_in_options_is_ignored_if_options_are() {
    let postgres = Postgres::start().await;
    let settings = format!("{AUTH}[clients]\nignore_startup_parameters = [\"options\"]\n");
    let pooler = start(&postgres, &settings, USERS).await;
    let mut raw = login(
        pooler.port,
        &[("options", "-c geqo=off -c datestyle=German")],
    )
    .await
    .unwrap();
    assert_eq!(raw.query("show geqo").await.value(), "on");
    assert_eq!(raw.query("show datestyle").await.value(), "German, DMY");
    let failure = login(pooler.port, &[("geqo", "off")]).await.unwrap_err();
    assert_eq!(failure.message, "unsupported startup parameter: geqo");
}

#[tokio::test]
async fn the_old_protocol_and_a_packet_without_a_user_are_refused() {
    let postgres = Postgres::start().await;
    let pooler = start(&postgres, AUTH, USERS).await;
    let mut nobody = BytesMut::new();
    frontend::startup_message([("database", "shop")], &mut nobody).unwrap();
    for (packet, text) in [
        (
            &[0, 0, 0, 8, 0, 2, 0, 0][..],
            "old V2 protocol not supported",
        ),
        (&nobody[..], "no username supplied"),
    ] {
        let mut raw = Raw::connect(pooler.port).await;
        raw.send(packet).await;
        let (tag, body) = raw.expect_message().await;
        assert_eq!(tag, b'E');
        let expected = format!("SFATAL\0C08P01\0M{text}\0\0");
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
}

#[tokio::test]
async fn a_client_is_welcomed_with_a_notice_and_named_with_its_address() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "{AUTH}[clients]\nlogin_notify_message = \"Be nice.\"\napplication_name_add_host = true\n"
    );
    let pooler = start(&postgres, &settings, USERS).await;
    for (given, begins) in [
        (None, "app - 127.0.0.1:"),
        (Some("tool"), "tool - 127.0.0.1:"),
    ] {
        let mut config = client(pooler.port, "app", "shop", None);
        if let Some(name) = given {
            config.application_name(name);
        }
        let (client, mut connection) = in_time("a login", config.connect(tokio_postgres::NoTls))
            .await
            .unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            use tokio_postgres::AsyncMessage::Notice;
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                if let Notice(notice) = message {
                    tell.send((notice.code().code().to_owned(), notice.message().to_owned()))
                        .unwrap();
                }
            }
        });
        let notice = in_time("the notice", told.recv()).await.unwrap();
        assert_eq!(notice, ("00000".into(), "Be nice.".into()));
        let row = client
            .query_one("show application_name", &[])
            .await
            .unwrap();
        let name: String = row.get(0);
        assert!(name.starts_with(begins), "{name}");
        // What the client sets later is its own business.
        client
            .batch_execute("set application_name = 'y'")
            .await
            .unwrap();
        let row = client
            .query_one("show application_name", &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "y");
    }
}
