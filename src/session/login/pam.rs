//! Asks PAM whether a password is right: <https://www.pgbouncer.org/config.html#auth_type>
//!
//! Blocks. What the service `pgbouncer` does is in `/etc/pam.d/pgbouncer`.

use std::ffi::{OsStr, OsString};

use nonstick::constants::ErrorCode;
use nonstick::items::{Items, ItemsMut};
use nonstick::{AuthnFlags, ConversationAdapter, PamShared, Transaction, TransactionBuilder};
use tracing::debug;
use zeroize::Zeroizing;

/// Who wants to come in.
pub(super) struct Question {
    pub(super) user: String,
    /// Where from; `None`: from this machine, over a Unix socket.
    pub(super) host: Option<String>,
    pub(super) password: Zeroizing<String>,
}

/// Why PAM is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum PamError {
    /// A module took the user for another one.
    #[error("PAM has made another user of this one")]
    OtherUser,
    /// A module is not there, or cannot do its work.
    #[error("PAM service \"{SERVICE}\": {0}")]
    Pam(ErrorCode),
}

/// Asks PAM. The user must be who it says, and its account must be open.
///
/// # Errors
/// PAM could not tell.
pub(super) fn verify(question: Question) -> Result<bool, PamError> {
    let user = question.user.clone();
    match authenticate(question) {
        Ok(found) if found.as_deref() == Some(OsStr::new(&user)) => Ok(true),
        Ok(_) => Err(PamError::OtherUser),
        Err(error) if is_verdict(error) => {
            debug!(user, %error, "PAM says no");
            Ok(false)
        }
        Err(error) => Err(PamError::Pam(error)),
    }
}

fn authenticate(question: Question) -> nonstick::Result<Option<OsString>> {
    let Question {
        user,
        host,
        password,
    } = question;
    let answers = Answers {
        user: user.clone(),
        password,
    };
    let mut pam = TransactionBuilder::new_with_service(SERVICE)
        .username(&user)
        .build(answers.into_conversation())?;
    if let Some(host) = &host {
        pam.items_mut().set_remote_host(Some(OsStr::new(host)))?;
    }
    pam.authenticate(AuthnFlags::SILENT | AuthnFlags::DISALLOW_NULL_AUTHTOK)?;
    pam.account_management(AuthnFlags::SILENT)?;
    pam.items().user()
}

/// Answers that are known before the questions.
struct Answers {
    user: String,
    password: Zeroizing<String>,
}

impl ConversationAdapter for Answers {
    fn prompt(&self, _: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        Ok(OsString::from(&self.user))
    }

    fn masked_prompt(&self, _: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        Ok(OsString::from(&*self.password))
    }

    fn error_msg(&self, message: impl AsRef<OsStr>) {
        debug!(message = %message.as_ref().to_string_lossy(), "PAM");
    }

    fn info_msg(&self, message: impl AsRef<OsStr>) {
        debug!(message = %message.as_ref().to_string_lossy(), "PAM");
    }
}

/// Whether it is the client who is refused, and not PAM that is broken.
fn is_verdict(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::AccountExpired
            | ErrorCode::AuthenticationError
            | ErrorCode::AuthTokExpired
            | ErrorCode::CredentialsExpired
            | ErrorCode::CredentialsInsufficient
            | ErrorCode::MaxTries
            | ErrorCode::NewAuthTokRequired
            | ErrorCode::PermissionDenied
            | ErrorCode::UserUnknown
    )
}

/// PgBouncer's name for it, so that its file in `/etc/pam.d` goes on to be used.
const SERVICE: &str = "pgbouncer";
