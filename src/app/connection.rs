//! One connection, from accept to close: which of the layers below serves it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tracing::{debug, info, warn};

use crate::app::place::Place;
use crate::app::ticket::Ticket;
use crate::auth::method::Method;
use crate::auth::names::UserName;
use crate::console::{self, Role, Seat, is_console};
use crate::pool::pools::ConsolePlace;
use crate::pool::server::line::CRASHED;
use crate::pool::workshop::next_id;
use crate::session::carried::Arrived;
use crate::session::deadline::Deadline;
use crate::session::error::SessionError;
use crate::session::lines;
use crate::session::login::Proved;
use crate::session::roster::Client;
use crate::session::serve::{Farewell, Session, shutting_down};
use crate::session::startup::{Hello, negotiate};
use crate::session::stats::LoginStats;
use crate::session::usage::UserPlace;
use crate::wire::pooler_error::PoolerError;
use crate::wire::socket::Socket;
use crate::wire::stream::Stream;

/// Serves a connection to its end. With a ticket it may log in, if the process is not about to
/// end.
///
/// What stays of this while a client is idle is to be small: all that is needed once is boxed.
pub(super) async fn serve(mut come: Box<(Socket, Option<Ticket>)>, place: &Place) {
    let Some(client) = introduce(&mut come.0) else {
        return;
    };
    let _entry = place.session.roster.enter(&client);
    if let Some(session) = Box::pin(begin(come, place, &client)).await {
        run(session, place, &client).await;
    }
}

/// What others see of a new connection. `None`: it could not be taken over.
fn introduce(socket: &mut Socket) -> Option<Rc<Client>> {
    if let Err(error) = socket.adopt() {
        warn!(%error, "a connection could not be taken over by its worker");
        return None;
    }
    let client = Client::new(next_id(), (socket.peer_addr(), socket.local_addr()));
    client.fd.set(socket.number());
    client.unix.set(socket.unix_peer());
    Some(client)
}

/// Has a client log in. A session is for the caller to serve; all else is served here.
async fn begin(
    come: Box<(Socket, Option<Ticket>)>,
    place: &Place,
    client: &Rc<Client>,
) -> Option<Box<Session>> {
    let (socket, ticket) = *come;
    let logins = &place.session.logins;
    LoginStats::count(&logins.connections);
    let entered = log_in(socket, ticket.as_ref(), place, client).await;
    // By now it counts among the clients, or is none.
    drop(ticket);
    match entered {
        Ok(Entered::Nothing) => lines::closing(client, "successful cancel request", None),
        Ok(Entered::Session(session)) => {
            LoginStats::count(&logins.succeeded);
            debug!(
                client = client.id, user = %client.user(),
                database = %client.database(), address = %client.peer(),
                "client logged in"
            );
            return Some(session);
        }
        Ok(Entered::Console(proved, role)) => {
            LoginStats::count(&logins.succeeded);
            console(proved, role, place, client).await;
        }
        Err(_) => LoginStats::count(&logins.failed), // the log has it
    }
    None
}

/// What a login led to.
enum Entered {
    /// And what the client may do there.
    Console(Box<Proved>, Option<Role>),
    /// A cancel request, which is done.
    Nothing,
    Session(Box<Session>),
}

async fn log_in(
    socket: Socket,
    ticket: Option<&Ticket>,
    place: &Place,
    client: &Rc<Client>,
) -> Result<Entered, SessionError> {
    let mut refused = None;
    let entered = steps((socket, ticket), place, client, &mut refused).await;
    client.deadline.set(None);
    if let Err(error) = &entered {
        // At all times its end is logged, with what it is told; here is the whole of it.
        debug!(
            client = client.id, user = %client.user(),
            database = %client.database(), address = %client.peer(),
            %error, "login failed"
        );
        close(client, error, place);
        if let Some(stream) = refused {
            tell(stream, error, place).await;
        }
    }
    entered
}

/// Logs that an error ends a connection.
fn close(client: &Client, error: &SessionError, place: &Place) {
    let style = place.session.settings().errors;
    let told = error.to_client().map(|told| told.in_style(style).message);
    let reason = match (&told, error) {
        (_, SessionError::ServerEnded | SessionError::ServerLost(_)) => CRASHED,
        (Some(told), _) => told,
        (None, _) => VANISHED,
    };
    lines::closing(client, reason, told.as_deref());
}

async fn steps(
    (socket, ticket): (Socket, Option<&Ticket>),
    place: &Place,
    client: &Rc<Client>,
    refused: &mut Option<Stream>,
) -> Result<Entered, SessionError> {
    let cx = &place.session;
    let settings = cx.settings();
    let until = Deadline::after(settings.login_timeout);
    client.deadline.set(until.time());
    poll_fn(|cx| {
        client.listen(cx);
        Poll::Ready(())
    })
    .await;
    let connection = (socket, client.who.borrow().address);
    let greeted = match negotiate(connection, &settings, until, refused).await? {
        Hello::Cancel(key, mut stream) => {
            LoginStats::count(&cx.logins.cancel_requests);
            let patience = settings.cancel_wait_timeout;
            place.process.cancel(key, patience).await;
            // Under TLS libpq takes an end without a goodbye for a failure.
            let _ = stream.shutdown().await;
            return Ok(Entered::Nothing);
        }
        Hello::Startup(greeted) => greeted,
    };
    let for_console = is_console(greeted.database());
    if for_console && greeted.is_operator() {
        let mut proved = greeted.trust(cx, client);
        proved.accept();
        return Ok(Entered::Console(Box::new(proved), Some(Role::Admin)));
    }
    let mut proved = if for_console && settings.method == Method::Any {
        greeted.trust(cx, client)
    } else {
        greeted.authenticate(cx, &settings, client, refused).await?
    };
    if for_console {
        if !proved.identity.is_proved() {
            *refused = proved.into_stream().await;
            return Err(SessionError::Refused(Role::refusal()));
        }
        proved.accept();
        let role = Role::of(
            &place.console_settings.borrow(),
            proved.identity.user().as_str(),
        );
        return Ok(Entered::Console(Box::new(proved), role));
    }
    if place.process.turns_away(ticket) {
        proved.accept();
        *refused = proved.into_stream().await;
        return Err(PoolerError::ShuttingDown.into());
    }
    let session = proved.enter(cx, &settings, client, refused).await?;
    Ok(Entered::Session(Box::new(session)))
}

/// Goes on with a client of another process, whose place this one has taken.
pub(super) async fn go_on(mut arrived: Box<Arrived>, place: &Place) {
    let (client, socket) = match arrived.client() {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, "a client of the process before could not be taken over");
            return;
        }
    };
    client.unix.set(socket.unix_peer());
    let _entry = place.session.roster.enter(&client);
    let mut refused = None;
    match arrived.go_on(&place.session, &client, socket, &mut refused) {
        Ok(session) => {
            debug!(client = client.id, user = %client.user(), "client taken over");
            run(Box::new(session), place, &client).await;
        }
        Err(error) => {
            info!(client = client.id, user = %client.user(), %error, "client not taken over");
            if let Some(stream) = refused {
                Box::pin(tell(stream, &error, place)).await;
            }
        }
    }
}

async fn run(mut session: Box<Session>, place: &Place, client: &Client) {
    let ended = session.serve(&place.session).await;
    Box::pin(part(session, ended, place, client)).await;
}

/// Says of a session why it has ended, and hangs up.
async fn part(
    mut session: Box<Session>,
    ended: Result<Farewell, SessionError>,
    place: &Place,
    client: &Client,
) {
    let last = match &ended {
        Ok(Farewell::ClientLeft | Farewell::ClientVanished) => None,
        Ok(Farewell::Drained) => Some(shutting_down()),
        Err(error) => error.to_client(),
    };
    let style = place.session.settings().errors;
    let last = last.map(|error| error.in_style(style));
    match &ended {
        Ok(Farewell::ClientLeft) => lines::closing(client, "client close request", None),
        Ok(Farewell::ClientVanished) => lines::closing(client, VANISHED, None),
        Ok(Farewell::Drained) => {
            let told = last.as_ref().map(|told| told.message.as_str());
            lines::closing(client, told.unwrap_or_default(), told);
        }
        Err(error) => {
            if error.is_alarming() {
                warn!(
                    client = client.id, user = %client.user(),
                    database = %client.database(), address = %client.peer(),
                    %error, "session ended"
                );
            }
            close(client, error, place);
        }
    }
    if let Some(error) = &last {
        place.session.logins.error(error.code);
    }
    let reason = match &ended {
        Ok(Farewell::ClientLeft | Farewell::ClientVanished) => "the client left".to_owned(),
        Ok(Farewell::Drained) => "the pooler is shutting down".to_owned(),
        Err(error) => error.to_string(),
    };
    place.session.note_end(client, &reason, last.as_ref());
    let has_left = matches!(ended, Ok(Farewell::ClientLeft | Farewell::ClientVanished));
    if has_left && !session.owes_words() {
        return; // it waits for nothing but the end of the connection
    }
    // The client may not read any more; it has had its chance then.
    let _ = tokio::time::timeout(LAST_WORDS, session.finish(last.as_ref())).await;
}

/// Tells a client why it is not let in, as far as it listens.
async fn tell(mut stream: Stream, error: &SessionError, place: &Place) {
    let Some(response) = error.to_client() else {
        return;
    };
    let response = response.in_style(place.session.settings().errors);
    place.session.logins.error(response.code);
    let mut bytes = Vec::new();
    response.put(&mut bytes);
    let last = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORDS, last).await;
}

/// What a user of the console may do, and its places among the clients there and those of its
/// name: there are always places for administrators.
fn seat_for(
    role: Option<Role>,
    user: &str,
    place: &Place,
) -> Result<(Role, (ConsolePlace, UserPlace)), SessionError> {
    let role = role.ok_or_else(|| SessionError::Refused(Role::refusal()))?;
    let (cx, user) = (&place.session, UserName::new(user));
    let own = cx.pools.max_clients_of(&user);
    let limit = own.or(cx.settings().max_clients_per_user);
    let unless_admin = |limit: Option<usize>| limit.filter(|_| role != Role::Admin);
    let on_console = unless_admin(cx.settings().max_console_clients);
    let on_console = cx.pools.console_place(on_console);
    let on_console = on_console.ok_or(PoolerError::MaxDatabaseClients)?;
    let of_user = cx.bench.usages.user_place(&user, unless_admin(limit));
    let of_user = of_user.ok_or(PoolerError::MaxUserClients)?;
    Ok((role, (on_console, of_user)))
}

/// Serves an administrator, or turns away who is none.
async fn console(proved: Box<Proved>, role: Option<Role>, place: &Place, client: &Rc<Client>) {
    let user = client.user();
    let (role, _places) = match seat_for(role, &user, place) {
        Ok(seat) => seat,
        Err(error) => {
            info!(
                client = client.id, %user, database = %client.database(),
                address = %client.peer(), %error, "not allowed on the console"
            );
            close(client, &error, place);
            if let Ok(Some(stream)) = tokio::time::timeout(LAST_WORDS, proved.into_stream()).await {
                tell(stream, &error, place).await;
            }
            return;
        }
    };
    info!(
        client = client.id, %user, database = %client.database(),
        address = %client.peer(), "console opened"
    );
    let seat = Seat {
        role,
        client,
        worker: &place.session,
    };
    let reason = match console::serve(proved.into_parts(), seat, &place.console).await {
        Ok(()) => "client close request",
        Err(error) => {
            debug!(
                client = client.id, %user, database = %client.database(),
                address = %client.peer(), %error, "console client lost"
            );
            VANISHED
        }
    };
    lines::closing(client, reason, None);
}

/// What PgBouncer says of a client that hung up without a word.
const VANISHED: &str = "client unexpected eof";
/// How long a client has to read why it must go.
const LAST_WORDS: Duration = Duration::from_secs(5);
