//! Options of TCP connections, for clients and servers alike.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// What the kernel is told about a connection; `None` is its own default.
/// <https://man7.org/linux/man-pages/man7/tcp.7.html>
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpSettings {
    /// Whether it looks for dead peers.
    pub keepalive: bool,
    /// After how long a silence.
    pub keepidle: Option<Duration>,
    /// How long between two tries.
    pub keepintvl: Option<Duration>,
    /// How many tries.
    pub keepcnt: Option<u32>,
    /// Bytes of its buffers.
    pub socket_buffer: Option<usize>,
    /// How long what was sent may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl TcpSettings {
    /// Tells the kernel, and to send small packets at once: requests and answers wait for each
    /// other, so a delay would only add up.
    ///
    /// # Errors
    /// The kernel refuses a value, or the connection has ended already.
    pub fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(true)?;
        if self.keepalive {
            let mut questions = TcpKeepalive::new();
            if let Some(count) = self.keepcnt {
                questions = questions.with_retries(count);
            }
            if let Some(silence) = self.keepidle {
                questions = questions.with_time(silence);
            }
            if let Some(interval) = self.keepintvl {
                questions = questions.with_interval(interval);
            }
            socket.set_tcp_keepalive(&questions)?; // switches it on as well
        } else {
            socket.set_keepalive(false)?;
        }
        if let Some(bytes) = self.socket_buffer {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }
}

impl Default for TcpSettings {
    /// Firewalls that forget idle connections after minutes are usual: the kernel's two hours are
    /// too long.
    fn default() -> Self {
        Self {
            keepalive: true,
            keepidle: Some(Duration::from_secs(60)),
            keepintvl: None,
            keepcnt: None,
            socket_buffer: None,
            user_timeout: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn socket() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    #[test]
    fn the_kernel_is_told_what_is_set() {
        let socket = socket();
        let settings = TcpSettings {
            keepalive: true,
            keepcnt: Some(4),
            keepidle: Some(Duration::from_secs(33)),
            keepintvl: Some(Duration::from_secs(7)),
            socket_buffer: Some(65_536),
            user_timeout: Some(Duration::from_millis(12_500)),
        };
        settings.apply(&socket).unwrap();
        let seen = SockRef::from(&socket);
        assert!(seen.keepalive().unwrap() && seen.tcp_nodelay().unwrap());
        assert_eq!(seen.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(seen.tcp_keepalive_time().unwrap(), Duration::from_secs(33));
        assert_eq!(
            seen.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(7)
        );
        // Linux doubles what it is told.
        assert_eq!(seen.send_buffer_size().unwrap(), 131_072);
        assert_eq!(seen.recv_buffer_size().unwrap(), 131_072);
        assert_eq!(
            seen.tcp_user_timeout().unwrap(),
            Some(Duration::from_millis(12_500))
        );
    }

    #[test]
    fn what_is_not_set_stays_the_kernels_choice() {
        let (socket, untouched) = (socket(), socket());
        let unset = TcpSettings {
            keepidle: None,
            ..TcpSettings::default()
        };
        unset.apply(&socket).unwrap();
        let (seen, own) = (SockRef::from(&socket), SockRef::from(&untouched));
        assert!(seen.keepalive().unwrap());
        assert_eq!(
            seen.tcp_keepalive_time().unwrap(),
            own.tcp_keepalive_time().unwrap()
        );
        assert_eq!(
            seen.tcp_user_timeout().unwrap(),
            own.tcp_user_timeout().unwrap()
        );
    }

    #[test]
    fn keepalive_can_be_switched_off() {
        let socket = socket();
        let off = TcpSettings {
            keepalive: false,
            keepidle: Some(Duration::from_secs(33)),
            ..TcpSettings::default()
        };
        off.apply(&socket).unwrap();
        assert!(!SockRef::from(&socket).keepalive().unwrap());
    }
}
