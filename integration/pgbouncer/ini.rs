//! The file, its conversion, and what SHOW CONFIG says of it.

use std::fs;
use std::process::Command;

use tokio_postgres::SimpleQueryMessage;

use crate::support::connect;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;

/// An INI in front of a server, with more at the end of `[pgbouncer]`.
fn ini(postgres: &Postgres, more: &str) -> String {
    format!(
        "[databases]\nshop = host=127.0.0.1 port={} dbname=shop user=app password=app\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = PORT\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = DIR/userlist.txt\nadmin_users = app\npool_mode = transaction\n{more}",
        postgres.port
    )
}

/// The rows that a console command answers with.
async fn console(port: u16, command: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let client = connect(port, "app", "pgbouncer").await?;
    let messages = client.simple_query(command).await?;
    let rows = messages.into_iter().filter_map(|message| {
        let SimpleQueryMessage::Row(row) = message else {
            return None;
        };
        let cells = (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned());
        Some(cells.collect())
    });
    Ok(rows.collect())
}

async fn setting(port: u16, key: &str) -> String {
    let rows = console(port, "SHOW CONFIG").await.unwrap();
    let row = rows.into_iter().find(|row| row[0] == key).unwrap();
    row[1].clone()
}

/// Whoever came from PgBouncer has servers that ask so.
#[tokio::test]
async fn a_server_that_wants_the_password_as_it_is_gets_it() {
    let hba = "local all all trust\nhost all tester 127.0.0.1/32 trust\n\
               host all all 127.0.0.1/32 password\n";
    let postgres = Postgres::start_with(&[], hba).await;
    let pooler = Pooler::start_file("pgbouncer.ini", &ini(&postgres, "")).await;
    let client = connect(pooler.port, "anybody", "shop").await.unwrap();
    let row = client.query_one("select current_user::text", &[]).await;
    assert_eq!(row.unwrap().get::<_, &str>(0), "app");
}

#[tokio::test]
async fn an_ini_serves_clients_and_is_reloaded_whole_or_not_at_all() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start_file("pgbouncer.ini", &ini(&postgres, "")).await;
    let port = pooler.port;
    let mut clients = Vec::new();
    for number in 0..5_i32 {
        clients.push(tokio::spawn(async move {
            let client = connect(port, "anybody", "shop").await.unwrap();
            for i in 0..40 {
                let row = client
                    .query_one(
                        "select $1::int + $2::int, current_user::text",
                        &[&number, &i],
                    )
                    .await
                    .unwrap();
                assert_eq!(
                    (row.get::<_, i32>(0), row.get::<_, &str>(1)),
                    (number + i, "app")
                );
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }

    let file = pooler.dir().join("pgbouncer.ini");
    let write = |more: &str| {
        let text = ini(&postgres, more).replace("PORT", &port.to_string());
        let text = text.replace("DIR", &pooler.dir().display().to_string());
        fs::write(&file, text).unwrap();
    };
    write("default_pool_size = 7\n");
    console(port, "RELOAD").await.unwrap();
    assert_eq!(setting(port, "default_pool_size").await, "7");
    assert_eq!(setting(port, "conffile").await, file.display().to_string());

    write("default_pool_size = 8\npool_mode = sesion\ncolour = red\n");
    let error = console(port, "RELOAD").await.unwrap_err();
    assert!(error.as_db_error().is_some(), "{error:?}");
    assert_eq!(setting(port, "default_pool_size").await, "7");
    let log = pooler.log();
    for problem in [
        "pgbouncer.ini:12: pool_mode = sesion: expected one of session, transaction, statement",
        "pgbouncer.ini:13: colour: unknown key",
    ] {
        assert!(log.contains(problem), "{log}");
    }
    let client = connect(port, "anybody", "shop").await.unwrap();
    client.query_one("select 1", &[]).await.unwrap();
}

#[tokio::test]
async fn the_converted_file_is_not_told_from_the_ini_by_show_config() {
    let postgres = Postgres::start().await;
    let more = "min_pool_size = 1\nserver_lifetime = 99\nstats_users = x, y\n\
                [users]\napp = max_user_connections=9\n[databases]\n'my db' = host=::1\n";
    let from_ini = Pooler::start_file("pgbouncer.ini", &ini(&postgres, more)).await;
    let output = Command::new(env!("CARGO_BIN_EXE_pgwarden"))
        .arg("convert")
        .arg(from_ini.dir().join("pgbouncer.ini"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let toml = String::from_utf8(output.stdout).unwrap();
    let toml = toml.replace(&format!("port = {}", from_ini.port), "port = PORT");
    let from_toml = Pooler::start_file("pgwarden.toml", &toml).await;
    for command in ["SHOW CONFIG", "SHOW DATABASES", "SHOW USERS"] {
        let answers = [from_ini.port, from_toml.port].map(|port| async move {
            let mut rows = console(port, command).await.unwrap();
            // What the two cannot have in common.
            rows.retain(|row| {
                !["conffile", "listen_port", "pgbouncer", "pgwarden"].contains(&&*row[0])
            });
            rows
        });
        let [ini, toml] = answers;
        assert_eq!(ini.await, toml.await, "{command}");
    }
    let client = connect(from_toml.port, "anybody", "shop").await.unwrap();
    client.query_one("select 1", &[]).await.unwrap();
}
