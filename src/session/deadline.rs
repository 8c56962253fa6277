//! When a login must have ended.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::session::error::SessionError;

/// When a login must have ended. `None`: some day.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// This long from now.
    pub fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    /// Does a part of the login, as far as there is time for it. Cancel safe if the part is.
    pub(super) async fn hold<T>(
        self,
        part: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        match self.0 {
            None => part.await,
            Some(deadline) => timeout_at(deadline, part)
                .await
                .unwrap_or(Err(SessionError::LoginTimeout)),
        }
    }
}
