//! What systemd gives to the process and is told by it. Without systemd all of it does nothing.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use sd_notify::NotifyState;

/// The sockets that systemd listens on for us, in the order of its unit.
///
/// # Errors
/// What it says of them makes no sense, or the kernel does not hand them over.
pub(super) fn sockets() -> io::Result<Vec<OwnedFd>> {
    let numbers = sd_notify::listen_fds()?;
    if numbers.len() == 0 {
        return Ok(Vec::new());
    }
    // To take the number of a file on trust is not safe Rust: the kernel is asked for another
    // one of the same file.
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    numbers
        .map(|number| Ok(pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?))
        .collect()
}

/// Whether systemd listens for us.
pub(super) fn has_sockets() -> bool {
    sd_notify::listen_fds().is_ok_and(|numbers| numbers.len() > 0)
}

/// Clients are served, or served again after a reload.
pub(super) fn ready() {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status("accepting connections"),
    ]);
}

/// A reload has begun; [`ready`] ends it.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The process is on its way out.
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody there, or nobody who listens: neither is worth a line.
    let _ = sd_notify::notify(state);
}
