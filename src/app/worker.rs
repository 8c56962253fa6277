//! The threads that serve clients. Each has a runtime of its own; a client stays on its thread.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use tokio::runtime::{self, Handle, LocalOptions};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::app::connection;
use crate::app::handover;
use crate::app::place::Place;
use crate::app::process::Process;
use crate::app::workers::Order;
use crate::console::control::{ClientRow, forced_disconnect};
use crate::console::is_console;
use crate::policy::admission::Admission;
use crate::session::roster::{Client, ClientState};
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// Starts a worker's thread; its runtime can be given tasks.
pub(super) fn start(
    place: impl FnOnce() -> Place + Send + 'static,
    number: usize,
    orders: UnboundedReceiver<Order>,
) -> io::Result<Handle> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .stack_size(STACK)
        .spawn(move || {
            // It stays on the thread that has built it.
            let built = runtime::Builder::new_current_thread()
                .enable_all()
                // For hashing passwords, beside the clients.
                .max_blocking_threads(HASHING_THREADS)
                .build_local(LocalOptions::default());
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            drop(tell.send(Ok(runtime.handle().clone())));
            let place = Rc::new(place());
            // A task of its own: what is run until it ends is polled whenever any task is.
            runtime.block_on(async move {
                let _ = tokio::task::spawn_local(obey(place, number, orders)).await;
            });
        })?;
    // A thread that died before it could tell has told by its panic.
    told.recv()
        .unwrap_or_else(|died| Err(io::Error::other(died)))
}

async fn obey(place: Rc<Place>, number: usize, mut orders: UnboundedReceiver<Order>) {
    let watched = place.clone();
    tokio::task::spawn_local(async move {
        loop {
            watched.process.workers.beat(number).await;
            watched.session.tick(Instant::now());
        }
    });
    while let Some(order) = orders.recv().await {
        match order {
            Order::Arrive(arrived) => {
                let place = place.clone();
                tokio::task::spawn_local(async move {
                    let _leave = Leave(place.process.clone(), number);
                    connection::go_on(arrived, &place).await;
                });
            }
            Order::Carry(answer) => {
                let place = place.clone();
                tokio::task::spawn_local(async move {
                    place.session.roster.ask_carried();
                    // Behind the clients' tasks, which have been woken.
                    for _ in 0..ROUNDS {
                        tokio::task::yield_now().await;
                    }
                    let _ = answer.send(place.session.roster.carried());
                });
            }
            Order::EndTheRest(answer) => {
                let rest = place.session.roster.end_the_rest(&restarted());
                let _ = answer.send(rest);
            }
            Order::Cancel(key, mut done) => {
                let place = place.clone();
                if let Some(cancel) = place.session.roster.cancel(&key) {
                    tokio::task::spawn_local(async move {
                        cancel.deliver(&place.session.roster, done.closed()).await;
                        let _ = done.send(());
                    });
                }
            }
            Order::Clients(answer) => {
                let rows = place
                    .session
                    .roster
                    .all()
                    .iter()
                    .map(|client| row(client))
                    .collect();
                let _ = answer.send(rows);
            }
            Order::Descriptors(answer) => {
                let all = place.session.roster.all();
                let plain = all.iter().filter(|client| client.tls.borrow().is_empty());
                let _ = answer.send(plain.map(|client| handover::row_of(client)).collect());
            }
            Order::Connection(socket, ticket) => {
                let place = place.clone();
                // Boxed, as it goes on before the client has logged in, and that may be long.
                let come = Box::new((socket, ticket));
                tokio::task::spawn_local(async move {
                    let _leave = Leave(place.process.clone(), number);
                    connection::serve(come, &place).await;
                });
            }
            Order::Drain => place.session.drain(),
            Order::Kill(id, answer) => {
                let client = place.session.roster.client(id);
                if let Some(client) = &client {
                    client.end(forced_disconnect());
                }
                let _ = answer.send(client.is_some());
            }
            Order::KillAll(database, error) => {
                for client in place.session.roster.all() {
                    let its = client.database();
                    let concerned = database.as_ref().is_none_or(|d| **d == *its);
                    if concerned && !is_console(&its) {
                        client.end(error.clone());
                    }
                }
            }
            Order::EndMoving(answer) => {
                let moving = place.session.roster.moving();
                for client in &moving {
                    client.end(not_flushed());
                }
                let _ = answer.send(moving.len());
            }
            Order::Moving(answer) => drop(answer.send(place.session.roster.moving().len())),
            Order::Peer(number) => place.session.naming.peer.set(number),
            Order::StandStill(wanted) => place.session.roster.stand_still(wanted),
            Order::Reload(session, console, done) => {
                place.session.reload(session);
                *place.console_settings.borrow_mut() = console;
                let _ = done.send(());
            }
        }
    }
}

/// What a client is told that cannot be handed over.
fn restarted() -> ErrorResponse {
    let text = "terminating connection because the pooler is being restarted";
    ErrorResponse::fatal(SqlState::ADMIN_SHUTDOWN, text)
}

/// What a client is told that did not take in time what was sent to it.
fn not_flushed() -> ErrorResponse {
    ErrorResponse::fatal(SqlState::ADMIN_SHUTDOWN, "suspend_timeout")
}

fn row(client: &Client) -> ClientRow {
    let server = client.server.borrow();
    let admission = client.admission.borrow();
    let who = client.who.borrow();
    let state = match client.state.get() {
        ClientState::Active => "active",
        ClientState::Idle => "idle",
        ClientState::Login => "login",
        ClientState::Waiting => "waiting",
    };
    ClientRow {
        id: client.id,
        user: who.user.to_string(),
        database: who.database.to_string(),
        replication: client.replication.get(),
        state,
        address: who.address_text(),
        local_address: client.local.map(|a| a.to_string()).unwrap_or_default(),
        connected: client.connected,
        in_state: client.since.get().elapsed(),
        server: server.as_ref().map_or(0, |server| server.id),
        server_pid: server.as_ref().map_or(0, |server| server.pid),
        tls: client.tls.borrow().to_string(),
        application_name: who.application_name.to_string(),
        prepared: client.prepared.get(),
        role: who.role.to_string(),
        pool_user: who.server_user.to_string(),
        grant: admission.as_ref().and_then(Admission::grant),
        until: admission.as_ref().and_then(Admission::until),
        who: (**who).clone(),
    }
}

/// How often a task gives way to make sure that all others have run.
const ROUNDS: usize = 3;
/// Enough that one slow derivation does not hold up the next login; more would take the
/// worker's core.
const HASHING_THREADS: usize = 2;
/// Reserved, not used: a parser of deeply nested statements will need it.
const STACK: usize = 64 * 1024 * 1024;

/// Tells when a connection has ended, however it did.
struct Leave(Arc<Process>, usize);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.workers.left(self.1);
    }
}
