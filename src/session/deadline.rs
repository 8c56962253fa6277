//! When a login must have ended.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::session::error::SessionError;

/// When a login must have ended. `None`: some day.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// This long from now.
    pub fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    /// When that is. Who is to be held to it is woken then by the roster, since a timer for each
    /// part of each login would cost the worker two system calls.
    pub fn time(self) -> Option<Instant> {
        self.0
    }

    /// Does a part of the login, as far as there is time for it. Cancel safe if the part is.
    pub(super) async fn hold<T>(
        self,
        part: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        let mut part = pin!(part);
        poll_fn(|cx| match part.as_mut().poll(cx) {
            Poll::Pending if self.is_over() => Poll::Ready(Err(SessionError::LoginTimeout)),
            polled @ (Poll::Pending | Poll::Ready(_)) => polled,
        })
        .await
    }

    fn is_over(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn what_is_done_in_time_counts_even_if_it_is_late_by_then() {
        let late = Deadline::after(Some(Duration::ZERO));
        assert_eq!(late.hold(async { Ok(1) }).await.unwrap(), 1);
        let ended = late.hold(pending::<Result<(), SessionError>>()).await;
        assert!(matches!(ended, Err(SessionError::LoginTimeout)));
    }
}
