//! Host names with several addresses, which change.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{CONSOLE, pid};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

const HBA: &str = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";

/// The type of the record that has a zone's serial number.
const SOA: u8 = 6;

/// A name server that knows one zone: the last bytes of its host's addresses in 127.0.0.0/8, and
/// its serial number.
struct NameServer {
    port: u16,
    zone: Arc<Mutex<(Vec<u8>, u8)>>,
    /// How often it was asked for the serial number.
    looks: Arc<AtomicUsize>,
}

impl NameServer {
    fn start(hosts: &[u8]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let zone = Arc::new(Mutex::new((hosts.to_vec(), 1)));
        let known = zone.clone();
        let looks = Arc::new(AtomicUsize::new(0));
        let seen = looks.clone();
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let (hosts, serial) = known.lock().unwrap().clone();
                let answer = answer(&packet[..len], &hosts, serial);
                socket.send_to(&answer, from).unwrap();
                if packet[len - 3] == SOA {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { port, zone, looks }
    }

    fn set(&self, hosts: &[u8], serial: u8) {
        *self.zone.lock().unwrap() = (hosts.to_vec(), serial);
    }
}

fn answer(question: &[u8], hosts: &[u8], serial: u8) -> Vec<u8> {
    let kind = question[question.len() - 3];
    let records: Vec<Vec<u8>> = match kind {
        1 => hosts.iter().map(|&host| vec![127, 0, 0, host]).collect(),
        SOA => {
            let mut start = vec![0, 0, 0, 0, 0, serial];
            start.extend([0; 16]);
            vec![start]
        }
        _ => Vec::new(),
    };
    let mut answer = question.to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[7] = u8::try_from(records.len()).unwrap();
    for data in records {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0]);
        answer.push(u8::try_from(data.len()).unwrap());
        answer.extend(data);
    }
    answer
}

async fn start(dns: &str, names: &NameServer) -> (Postgres, Pooler) {
    let listen = "listen_addresses=127.0.0.1,127.0.0.2";
    let postgres = Postgres::start_with(&[listen], HBA).await;
    let settings = format!(
        "{CONSOLE}[dns]\nresolv_conf = \"resolv.conf\"\n{dns}\n[databases.shop]\n\
         host = \"db.shop.test\"\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    );
    let resolv_conf = format!("nameserver 127.0.0.1:{}\noptions timeout:1\n", names.port);
    let files = [("resolv.conf", resolv_conf.as_str())];
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let pooler = Pooler::start_with(&settings, &files, command).await;
    (postgres, pooler)
}

async fn address(client: &mut Raw) -> String {
    let reply = client.query("select host(inet_server_addr())").await;
    reply.fine().value().to_owned()
}

#[tokio::test]
async fn the_addresses_of_a_name_are_used_in_turn_and_servers_at_others_are_closed() {
    let names = NameServer::start(&[1, 2]);
    let (_postgres, pooler) = start("max_ttl = \"0s\"", &names).await;
    let (mut one, mut other) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
    for client in [&mut one, &mut other] {
        client.query("begin").await.fine();
    }
    let mut both = [address(&mut one).await, address(&mut other).await];
    both.sort();
    assert_eq!(both, ["127.0.0.1", "127.0.0.2"]);
    names.set(&[2], 1);
    tokio::time::sleep(Duration::from_millis(150)).await; // the least that an answer is kept
    let mut third = Raw::app(pooler.port).await;
    third.query("begin").await.fine();
    assert_eq!(address(&mut third).await, "127.0.0.2");
    // Transactions go on where they are, and nothing is begun there.
    let mut still = [address(&mut one).await, address(&mut other).await];
    still.sort();
    assert_eq!(still, both);
    for client in [&mut one, &mut other] {
        client.query("commit").await.fine();
    }
    for client in [&mut one, &mut other] {
        client.query("begin").await.fine();
        assert_eq!(address(client).await, "127.0.0.2");
    }
}

#[tokio::test]
async fn a_change_of_the_zone_is_noticed_without_any_new_server() {
    let names = NameServer::start(&[1]);
    let dns = "max_ttl = \"1h\"\nzone_check_period = \"1s\"";
    let (_postgres, pooler) = start(dns, &names).await;
    let mut client = Raw::app(pooler.port).await;
    let before = pid(&mut client).await;
    eventually("the serial number is known", async || {
        names.looks.load(Ordering::SeqCst) >= 2
    })
    .await;
    assert_eq!(pid(&mut client).await, before);
    names.set(&[2], 2);
    eventually("the server is replaced", async || {
        address(&mut client).await == "127.0.0.2"
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_not_found_is_not_asked_for_again_at_once_and_waited_for() {
    let names = NameServer::start(&[]);
    let dns = "nxdomain_ttl = \"0s\"";
    let (_postgres, pooler) = start(
        &format!("{dns}\n[pool]\nserver_login_retry = \"0s\""),
        &names,
    )
    .await;
    let login = tokio::spawn(Raw::login(pooler.port, "app", "shop", &[]));
    eventually("the look-up has failed", async || {
        pooler.log().contains("cannot look up")
    })
    .await;
    names.set(&[2], 1);
    let mut client = login.await.unwrap().unwrap();
    assert_eq!(address(&mut client).await, "127.0.0.2");
}
