//! Parameters that follow a client from server to server.

use super::{last_words, pooler};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

const POOL: &str = "mode = \"transaction\"\nsize = 1";

async fn login(port: u16, parameters: &[(&str, &str)]) -> Raw {
    Raw::login(port, "app", "shop", parameters).await.unwrap()
}

#[tokio::test]
async fn the_usual_parameters_and_extra_ones_are_each_clients_own() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", POOL).await;
    let settings = [
        ("DateStyle", "German, DMY", "ISO, MDY"),
        ("TimeZone", "Asia/Tokyo", "UTC"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("standard_conforming_strings", "off", "on"),
        ("application_name", "it's \\ mine", ""),
        ("IntervalStyle", "iso_8601", "postgres"),
    ];
    for (name, own, default) in settings {
        let mut other = login(pooler.port, &[]).await;
        // By the packet in any case of letters, by options, by SET.
        let lower = name.to_ascii_lowercase();
        let mut by_packet = login(pooler.port, &[(&lower, own)]).await;
        let option = format!(
            "-c {name}={}",
            own.replace('\\', "\\\\").replace(' ', "\\ ")
        );
        let mut by_options = login(pooler.port, &[("options", &option)]).await;
        let mut by_set = login(pooler.port, &[]).await;
        let literal = own.replace('\'', "''");
        by_set
            .query(&format!("set {name} = '{literal}'"))
            .await
            .fine();
        assert_eq!(by_set.parameters[name], own);
        for _ in 0..2 {
            for client in [&mut by_packet, &mut by_options, &mut by_set] {
                assert_eq!(client.value(&format!("show {name}")).await, own, "{name}");
            }
            assert_eq!(
                other.value(&format!("show {name}")).await,
                default,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn the_server_writes_a_value_in_its_own_way_and_the_client_is_told_that() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", POOL).await;
    let mut client = login(pooler.port, &[("datestyle", "iso")]).await;
    let mut other = login(pooler.port, &[("DateStyle", "German")]).await;
    for _ in 0..2 {
        assert_eq!(client.value("show datestyle").await, "ISO, MDY");
        assert_eq!(client.parameters["DateStyle"], "ISO, MDY");
        assert_eq!(other.value("show datestyle").await, "German, DMY");
        assert_eq!(other.parameters["DateStyle"], "German, DMY");
    }
}

#[tokio::test]
async fn a_search_path_is_a_list_whatever_is_in_it() {
    let postgres = Postgres::start().await;
    postgres
        .run("create schema \"a b\" authorization app; create schema c authorization app")
        .await;
    let pool = format!("{POOL}\ntrack_parameters = [\"search_path\"]");
    let pooler = pooler(&postgres, "", &pool).await;
    for (path, schemas) in [
        ("\"a b\", c", "{\"a b\",c}"),
        ("c,\"a b\"", "{c,\"a b\"}"),
        ("\"\"", "{}"),
        ("", "{}"),
        ("c", "{c}"),
    ] {
        let mut plain = login(pooler.port, &[]).await;
        let mut client = login(pooler.port, &[("search_path", path)]).await;
        for _ in 0..2 {
            let schemas_now = client.value("select current_schemas(false)").await;
            assert_eq!(schemas_now, schemas, "{path}");
            let plain_now = plain.value("select current_schemas(false)").await;
            assert_eq!(plain_now, "{public}");
        }
    }
}

#[tokio::test]
async fn a_value_that_the_server_refuses_ends_the_client() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", POOL).await;
    let mut client = login(pooler.port, &[("TimeZone", "Nowhere/Land")]).await;
    client.send_query(b"select 1").await;
    assert_eq!(last_words(&mut client).await, "invalid server parameter");
    login(pooler.port, &[]).await.query("select 1").await.fine();
}

#[tokio::test]
async fn a_long_value_is_followed_too() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", POOL).await;
    // PgBouncer skips what does not fit into 128 bytes.
    let zone = format!("<{}>-03", "A".repeat(60));
    let mut client = login(pooler.port, &[("TimeZone", &zone)]).await;
    let mut other = login(pooler.port, &[]).await;
    assert_eq!(other.value("show timezone").await, "UTC");
    assert_eq!(client.value("show timezone").await, zone);
}
