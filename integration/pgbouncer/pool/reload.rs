//! What a reload and RECONNECT do to servers.

use super::{console, pid, shop};
use crate::life::count;
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

#[tokio::test]
async fn servers_survive_a_reload_that_only_changes_limits() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&shop(&postgres, "size = 3")).await;
    let (mut idle, mut busy) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
    busy.query("begin").await.fine();
    let of_busy = pid(&mut busy).await;
    let of_idle = pid(&mut idle).await;
    assert_ne!(of_busy, of_idle);
    pooler
        .reload(&shop(&postgres, "size = 2\nserver_idle_timeout = \"5m\""))
        .await;
    assert_eq!(pid(&mut idle).await, of_idle);
    assert_eq!(pid(&mut busy).await, of_busy);
    busy.query("commit").await.fine();
    idle.query("begin").await.fine();
    busy.query("begin").await.fine();
    let mut now = [pid(&mut idle).await, pid(&mut busy).await];
    let mut before = [of_idle, of_busy];
    now.sort();
    before.sort();
    assert_eq!(now, before);
}

#[tokio::test]
async fn servers_are_replaced_after_a_reload_that_concerns_them() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&shop(&postgres, "")).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    let before = pid(&mut client).await;
    let settings = shop(&postgres, "").replace(
        "[databases.shop.pool]",
        "connect_query = \"set work_mem to '3MB'\"\n[databases.shop.pool]",
    );
    pooler.reload(&settings).await;
    assert_eq!(pid(&mut client).await, before, "a transaction goes on");
    client.query("commit").await.fine();
    assert_ne!(pid(&mut client).await, before);
    assert_eq!(client.query("show work_mem").await.fine().value(), "3MB");
}

#[tokio::test]
async fn a_fast_close_takes_the_server_from_a_session_between_transactions() {
    let postgres = Postgres::start().await;
    for (written, set) in [(true, false), (false, false), (false, true)] {
        let fast = written || set;
        // What is written for the database would stand over what is SET for all.
        let of_all = if written {
            "server_fast_close = true"
        } else {
            ""
        };
        let pool = format!("mode = \"session\"\n{of_all}");
        let log = "[log]\nformat = \"pgbouncer\"\n";
        let pooler = Pooler::start(&format!("{log}{}", shop(&postgres, &pool))).await;
        let (mut idle, mut busy) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
        idle.query("select 1").await.fine();
        busy.query("begin").await.fine();
        if set {
            // Sessions that are open learn of it, too.
            let command = "SET server_fast_close = 1";
            console(pooler.port, command).await.fine();
        }
        console(pooler.port, "RECONNECT").await.fine();
        if fast {
            let told = idle.try_reply().await.unwrap_err().unwrap();
            assert_eq!(told.message, "database configuration changed");
            busy.query("select 1").await.fine();
            assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
            let told = busy.try_reply().await.unwrap_err().unwrap();
            assert_eq!(told.message, "database configuration changed");
            for whose in ["C", "S"] {
                let line = format!(
                    "{{t}} [{{n}}] LOG {whose}-0x{{x}}: shop/app@127.0.0.1:{{n}} \
                     closing because: database configuration changed (age={{n}}s)"
                );
                let both = async || count(&pooler.log(), &line) == 2;
                eventually(&line, both).await;
            }
        } else {
            idle.query("select 1").await.fine();
            busy.query("commit").await.fine();
            busy.query("select 1").await.fine();
        }
    }
}
