//! The last connections of a socket that is to be closed: none is lost that another process behind
//! the same port would have served.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use super::{accept_tcp, admit};
use crate::app::process::Process;

/// Accepts whoever has connected, before the socket is closed: the kernel resets what it has not
/// given out by then.
pub(super) async fn accept(listener: &TcpListener, process: &Arc<Process>) {
    let is_shared = SockRef::from(listener).reuse_port().unwrap_or(false);
    if is_shared {
        match drop_new(listener) {
            Ok(()) => {
                let _ = tokio::time::timeout(HANDSHAKE, accept_tcp(listener, process)).await;
            }
            Err(error) => debug!(%error, "new connections cannot be kept out of a socket"),
        }
    }
    while let Ok((socket, _)) = SockRef::from(listener).accept() {
        let registered = socket
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(socket.into()));
        if let Ok(socket) = registered {
            admit(socket, process);
        }
    }
}

/// Has the kernel drop requests for new connections, as if the network had lost them. The client
/// repeats its request after a second, and by then the kernel gives it to another process. All
/// else passes: who has got an answer before is connected.
/// <https://www.kernel.org/doc/html/latest/networking/filter.html>
fn drop_new(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, TCP_FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// How long the rest of a handshake may take. Less than a second: what is repeated after a second
/// should find the socket closed.
const HANDSHAKE: Duration = Duration::from_millis(500);

const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where they are in a TCP header: RFC 9293, 3.1.
const TCP_FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;
