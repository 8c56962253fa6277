//! Options of TCP connections, for clients and servers alike.

use std::time::Duration;

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
