//! Gets a document from an identity provider: one GET, bounded in size, no redirects. Knows
//! nothing of what is in it.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a document is: `https`, or `http` on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderUrl(Uri);

/// A text that is no [`ProviderUrl`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an https URL, or an http URL with a loopback host")]
pub struct UrlError;

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The provider cannot be reached.
    #[error("cannot connect to {0}: {1}")]
    Connect(ProviderUrl, #[source] io::Error),
    /// The provider does not speak HTTP as it should, or sends too much.
    #[error("cannot read {0}: {1}")]
    Read(ProviderUrl, #[source] Box<dyn Error + Send + Sync>),
    /// The answer was another than 200.
    #[error("{0} answers {1}")]
    Status(ProviderUrl, StatusCode),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// There are no certificate authorities, or they are unusable.
    #[error("cannot check certificates: {0}")]
    Tls(#[source] rustls::Error),
    /// The document was had, but is of no use.
    #[error("cannot use {0}: {1}")]
    Unusable(ProviderUrl, String),
}

impl ProviderUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError`]: it has no host, names a user, or would send us over the network in the
    /// clear, where anybody could put keys of their own.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError)?;
        let authority = uri.authority().ok_or(UrlError)?;
        let url = Self(uri.clone());
        let is_private = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => url.is_loopback(),
            Some(_) | None => false,
        };
        let is_plain = !authority.as_str().contains('@') && !url.host().is_empty();
        (is_private && is_plain).then_some(url).ok_or(UrlError)
    }

    /// The host, an IPv6 address without brackets.
    fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inner.unwrap_or(host)
    }

    fn is_loopback(&self) -> bool {
        let address = self.host().parse::<IpAddr>();
        self.host() == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn port(&self) -> u16 {
        self.0
            .port_u16()
            .unwrap_or(if self.is_tls() { 443 } else { 80 })
    }
}

impl fmt::Display for ProviderUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Gets a document of at most [`MAX_BODY`] bytes. Cancel safe: the connection is then closed.
pub(super) async fn get(url: &ProviderUrl, tls: &Arc<ClientConfig>) -> Result<Vec<u8>, FetchError> {
    let lost = |error| FetchError::Connect(url.clone(), error);
    let socket = TcpStream::connect((url.host(), url.port()))
        .await
        .map_err(lost)?;
    if !url.is_tls() {
        return exchange(url, socket).await;
    }
    let name =
        ServerName::try_from(url.host().to_owned()).map_err(|e| lost(io::Error::other(e)))?;
    let connector = TlsConnector::from(tls.clone());
    let stream = connector.connect(name, socket).await.map_err(lost)?;
    exchange(url, stream).await
}

async fn exchange<S>(url: &ProviderUrl, stream: S) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let unreadable = |error| FetchError::Read(url.clone(), error);
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreadable(error.into()))?;
    // Ends with `sender`. What it could say of an error, the response says as well.
    tokio::spawn(connection);
    let path = url.0.path_and_query().map_or("/", |path| path.as_str());
    let host = url.0.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "pgwarden")
        .body(Empty::<Bytes>::new())
        .map_err(|error| unreadable(error.into()))?;
    let answer = sender.send_request(request).await;
    let response = answer.map_err(|error| unreadable(error.into()))?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(url.clone(), response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    Ok(body.map_err(unreadable)?.to_bytes().to_vec())
}

/// Real ones have a few KiB.
const MAX_BODY: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://id.example.com",
            "https://id.example.com:8443/realms/shop?x=y",
            "http://localhost:8080/keys",
            "http://127.0.0.2/keys",
            "http://[::1]:8080/keys",
        ] {
            assert!(ProviderUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "keys.json",
            "/keys",
            "id.example.com",
            "http://id.example.com/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example.com/keys",
            "http://127.0.0.1@id.example.com/keys",
            "https://user:secret@id.example.com/keys",
            "ftp://localhost/keys",
            "https:///keys",
        ] {
            assert_eq!(ProviderUrl::parse(bad), Err(UrlError), "{bad}");
        }
    }

    /// Serves one request with these bytes and fetches them.
    async fn fetched(response: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await.unwrap();
            // A client that has had enough may hang up.
            let _ = socket.write_all(&response).await;
        });
        let roots = rustls::RootCertStore::empty();
        let tls = Arc::new(crate::session::jwks::client_config(roots).unwrap());
        let got = get(&ProviderUrl::parse(&url).unwrap(), &tls).await;
        served.await.unwrap();
        got
    }

    #[tokio::test]
    async fn a_document_is_fetched() {
        let body = fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()).await;
        assert_eq!(body.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn an_endless_document_is_not_read_to_its_end() {
        let mut response = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        response.resize(response.len() + MAX_BODY + 1, b' ');
        assert!(matches!(fetched(response).await, Err(FetchError::Read(..))));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let response = b"HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\n\r\n".to_vec();
        assert!(matches!(
            fetched(response).await,
            Err(FetchError::Status(_, StatusCode::FOUND))
        ));
    }
}
