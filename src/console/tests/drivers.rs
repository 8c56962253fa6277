//! Real drivers read the console: tokio-postgres always, others by hand.

use std::error::Error;

use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client as Driver, NoTls, SimpleQueryMessage};

use super::*;
use crate::wire::backend::{self, authentication};

/// A count in PostgreSQL's binary numeric.
struct Count(u64);

impl<'a> FromSql<'a> for Count {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let words: Vec<_> = raw
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        let digits = (0..=words[1]).map(|at| words.get(4 + usize::from(at)).copied());
        Ok(Self(digits.fold(0, |sum, digit| {
            sum * 10_000 + u64::from(digit.unwrap_or(0))
        })))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }
}

/// Believes whoever connects, and serves the console.
async fn serve_one(mut stream: TcpStream, console: Arc<Console>, control: Arc<FakeControl>) {
    loop {
        let mut len = [0; 4];
        stream.read_exact(&mut len).await.unwrap();
        let mut packet = vec![0; usize::try_from(i32::from_be_bytes(len) - 4).unwrap()];
        stream.read_exact(&mut packet).await.unwrap();
        if packet[..4] == 196_608_i32.to_be_bytes() {
            break;
        }
        stream.write_all(b"N").await.unwrap(); // TLS or GSS
    }
    let client = Client::new(1, Default::default());
    let worker = Context::new(
        0,
        control.pools.clone(),
        control.logins.clone(),
        [0; 32],
        Arc::default(),
        Bench::default(),
    );
    let mut outbox = Outbox::default();
    backend::put_authentication(outbox.buffer(), authentication::OK, &[]);
    let seat = Seat {
        role: Role::Admin,
        client: &client,
        worker: &worker,
    };
    let _ = serve((stream.into(), Inbox::default(), outbox), seat, &console).await;
}

async fn listen(address: &str) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let control = FakeControl::new();
    control
        .pool("shop", "ann")
        .stats()
        .of(0)
        .bytes_sent
        .add(1_2345_0000);
    control.add_client(1, ("shop", "ann"), "idle", 1);
    let console = Arc::new(Console::new(control.clone()));
    let accept = async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(serve_one(stream, console.clone(), control.clone()));
        }
    };
    (port, tokio::task::spawn_local(accept))
}

async fn connect(port: u16) -> Driver {
    let config = format!("host=127.0.0.1 port={port} user=root dbname=pgwarden");
    let (driver, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::task::spawn_local(connection);
    driver
}

#[tokio::test]
async fn tokio_postgres_reads_tables_in_either_protocol() {
    let script = async {
        let (port, _server) = listen("127.0.0.1:0").await;
        let mut driver = connect(port).await;
        let rows = driver.query("SHOW POOLS", &[]).await.unwrap();
        let shop = rows
            .iter()
            .find(|row| row.get::<_, &str>("database") == "shop")
            .unwrap();
        assert_eq!(
            (
                shop.get::<_, i32>("cl_active"),
                shop.get::<_, i32>("maxwait")
            ),
            (1, 0)
        );
        assert_eq!(shop.get::<_, Option<&str>>("load_balance_hosts"), None);
        let rows = driver.query("SHOW STATS", &[]).await.unwrap();
        let shop = rows
            .iter()
            .find(|row| row.get::<_, &str>("database") == "shop")
            .unwrap();
        assert_eq!(shop.get::<_, Count>("total_sent").0, 1_2345_0000);

        let transaction = driver.transaction().await.unwrap();
        let statement = transaction.prepare("SHOW LISTS").await.unwrap();
        let portal = transaction.bind(&statement, &[]).await.unwrap();
        let lens = [
            transaction.query_portal(&portal, 10).await.unwrap().len(),
            transaction.query_portal(&portal, 10).await.unwrap().len(),
        ];
        assert_eq!(lens, [10, 4]);
        transaction.commit().await.unwrap();

        let simple = driver.simple_query("SHOW VERSION").await.unwrap();
        let SimpleQueryMessage::Row(row) = &simple[1] else {
            panic!("{simple:?}")
        };
        assert_eq!(
            row.get(0),
            Some(concat!(
                "PgBouncer 1.25.2 (pgwarden ",
                env!("CARGO_PKG_VERSION"),
                ")"
            ))
        );
        let refused = driver.execute("KILL_CLIENT 99", &[]).await.unwrap_err();
        assert_eq!(refused.as_db_error().unwrap().message(), "client not found");
        assert_eq!(driver.execute("PAUSE", &[]).await.unwrap(), 0);
    };
    LocalSet::new().run_until(script).await;
}
