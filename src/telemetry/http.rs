//! `/metrics` and `/healthz` over HTTP.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::debug;

use crate::console::control::Control;
use crate::telemetry::metrics::Metrics;

/// Answers until it is dropped, and with it all its connections.
///
/// # Errors
/// The listener's, if it cannot be used any more.
pub async fn serve(
    listener: TcpListener,
    control: Arc<dyn Control>,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return Ok(());
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Of one connection, or for want of file descriptors: others may fare better.
                debug!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (control, metrics) = (control.clone(), metrics.clone());
        connections.spawn(async move {
            let _place = place;
            let served = connection(stream, control, metrics);
            match tokio::time::timeout(CONNECTION_LIMIT, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "HTTP connection broke"),
                Err(_) => debug!("HTTP connection closed: it took too long"),
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    control: Arc<dyn Control>,
    metrics: Arc<Metrics>,
) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let (control, metrics) = (control.clone(), metrics.clone());
        async move { Ok::<_, Infallible>(answer(&request, &*control, &metrics).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(
    request: &Request<Incoming>,
    control: &dyn Control,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/healthz") {
        return plain(StatusCode::NOT_FOUND, "not found\n".into());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "method not allowed\n".into(),
        );
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if path == "/healthz" {
        return if control.is_shutting_down() {
            plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into())
        } else {
            plain(StatusCode::OK, "ok\n".into())
        };
    }
    let mut found = plain(StatusCode::OK, metrics.render(control).await);
    found
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION));
    found
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A scraper needs one.
const MAX_CONNECTIONS: usize = 32;
/// From one request to the end of the next one's header.
const HEADER_LIMIT: Duration = Duration::from_secs(30);
/// A connection that lasts longer is made anew; who reads nothing does not keep it.
const CONNECTION_LIMIT: Duration = Duration::from_secs(600);
const MAX_HEADER: usize = 16 * 1024;
const RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::console::control::fake::FakeControl;

    async fn ask(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = FakeControl::new();
        let metrics = Arc::new(Metrics::new().1);
        let server = tokio::spawn(serve(listener, control, metrics));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    fn request(method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn metrics_are_text_that_prometheus_reads() {
        let answer = ask(&request("GET", "/metrics")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn health_is_ok() {
        let answer = ask(&request("GET", "/healthz")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let answer = ask(&request("GET", "/")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let answer = ask(&request("POST", "/metrics")).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        let answer = ask("\u{16}\u{3}\u{1}\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_no_request_is_dropped() {
        assert_eq!(ask("GET /metrics HTTP/1.1\r\n").await, "");
    }
}
