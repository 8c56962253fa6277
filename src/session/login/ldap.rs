//! Asks a directory whether a password is right, RFC 4511. Blocks.

mod trust;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchEntry, SearchOptions};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::timeout;
use tracing::warn;

use crate::auth::ldap::{LdapOptions, LdapServer, Search, SearchScope, Transport, UserLookup};

/// Why a directory is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LdapError {
    /// The thread has no means to wait for an answer.
    #[error("cannot wait for an LDAP server: {0}")]
    Runtime(#[source] io::Error),
    /// It cannot be connected to.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// There are no certificate authorities, or they are unusable.
    #[error("cannot check certificates: {0}")]
    Trust(#[source] rustls::Error),
    /// The connection broke, or what came is no LDAP.
    #[error("{0}")]
    Protocol(#[from] ldap3::LdapError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It has no time for us.
    #[error("it is busy or out of service (result {0})")]
    Unavailable(u32),
    /// The name to search with is refused.
    #[error("ldapbinddn is refused (result {0})")]
    SearchBind(u32),
    /// The search failed.
    #[error("the search for the user failed (result {0}): {1}")]
    Search(u32, String),
    /// The search found several.
    #[error("the search finds more than one entry for the user")]
    Ambiguous,
    /// None of the servers is of use; the log says why.
    #[error("none of the LDAP servers can be asked")]
    NoServer,
}

/// Asks one server after the other until one answers.
///
/// # Errors
/// None could tell.
pub(super) fn verify(options: &LdapOptions, user: &str, password: &str) -> Result<bool, LdapError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LdapError::Runtime)?;
    let verdict = runtime.block_on(ask(options, user, password));
    // A name server that does not answer is not waited for.
    runtime.shutdown_background();
    verdict
}

async fn ask(options: &LdapOptions, user: &str, password: &str) -> Result<bool, LdapError> {
    let tls = match options.transport {
        Transport::Plain => None,
        Transport::StartTls | Transport::Tls => {
            Some(trust::client_config().map_err(LdapError::Trust)?)
        }
    };
    for server in &options.servers {
        let answer = async {
            let mut ldap = connect(server, options.transport, tls.as_ref()).await?;
            judge(&mut ldap, &options.lookup, user, password).await
        };
        let answer = timeout(SERVER_LIMIT, answer).await;
        match answer.unwrap_or(Err(LdapError::Timeout(SERVER_LIMIT))) {
            Ok(verdict) => return Ok(verdict),
            // Another server would say the same.
            Err(error @ (LdapError::Ambiguous | LdapError::SearchBind(_))) => return Err(error),
            Err(error) => warn!(%server, %error, "LDAP server not usable"),
        }
    }
    Err(LdapError::NoServer)
}

async fn connect(
    server: &LdapServer,
    transport: Transport,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Ldap, LdapError> {
    let address = (server.host.as_str(), server.port);
    let socket = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
    let socket = socket
        .map_err(|_| LdapError::Timeout(CONNECT_LIMIT))?
        .and_then(TcpStream::into_std)
        .map_err(LdapError::Connect)?;
    let mut settings = LdapConnSettings::new()
        .set_std_stream(ldap3::StdStream::Tcp(socket))
        .set_starttls(transport == Transport::StartTls);
    if let Some(config) = tls {
        settings = settings.set_config(config.clone());
    }
    let scheme = match transport {
        Transport::Plain | Transport::StartTls => "ldap",
        Transport::Tls => "ldaps",
    };
    let url = format!("{scheme}://{server}");
    let (connection, ldap) = LdapConnAsync::with_settings(settings, &url).await?;
    // Ends with the runtime.
    tokio::spawn(connection.drive());
    Ok(ldap)
}

async fn judge(
    ldap: &mut Ldap,
    lookup: &UserLookup,
    user: &str,
    password: &str,
) -> Result<bool, LdapError> {
    let name = match lookup {
        UserLookup::Simple { .. } => lookup.name_of(user),
        UserLookup::Search(search) => find(ldap, search, user).await?,
    };
    // Without a name a directory lets in whom it does not know: RFC 4513 section 5.1.
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(false);
    };
    let answer = ldap.simple_bind(&name, password).await?;
    refuse_if_unavailable(&answer)?;
    Ok(answer.rc == SUCCESS)
}

/// The user's name in the directory; `None`: it has none.
async fn find(ldap: &mut Ldap, search: &Search, user: &str) -> Result<Option<String>, LdapError> {
    if let Some((name, password)) = &search.bind {
        let answer = ldap.simple_bind(name, password.expose()).await?;
        refuse_if_unavailable(&answer)?;
        if answer.rc != SUCCESS {
            return Err(LdapError::SearchBind(answer.rc));
        }
    }
    let scope = match search.scope {
        SearchScope::Base => Scope::Base,
        SearchScope::One => Scope::OneLevel,
        SearchScope::Sub => Scope::Subtree,
    };
    // One more than there may be, so that it is seen when there are several.
    ldap.with_search_options(SearchOptions::new().sizelimit(2));
    let filter = search.filter_for(user);
    let mut stream = ldap
        .streaming_search(&search.base, scope, &filter, vec![NO_ATTRIBUTES])
        .await?;
    let mut found = None;
    while let Some(entry) = stream.next().await? {
        if entry.is_ref() || entry.is_intermediate() {
            continue;
        }
        if found.replace(SearchEntry::construct(entry).dn).is_some() {
            return Err(LdapError::Ambiguous);
        }
    }
    let end = stream.finish().await;
    refuse_if_unavailable(&end)?;
    match end.rc {
        SUCCESS => Ok(found),
        SIZE_LIMIT_EXCEEDED => Err(LdapError::Ambiguous),
        code => Err(LdapError::Search(code, end.text)),
    }
}

fn refuse_if_unavailable(answer: &LdapResult) -> Result<(), LdapError> {
    match answer.rc {
        BUSY | UNAVAILABLE => Err(LdapError::Unavailable(answer.rc)),
        _ => Ok(()),
    }
}

// RFC 4511 section 4.1.9.
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;
/// RFC 4511 section 4.5.1.8: only the name is wanted.
const NO_ATTRIBUTES: &str = "1.1";
/// For a server that is there.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// For all that one server is asked. Three of them fit into the time there is.
const SERVER_LIMIT: Duration = Duration::from_secs(8);
