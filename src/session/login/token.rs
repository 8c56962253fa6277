//! Logins with a token of an identity provider: by OAUTHBEARER, or in a password's place.

use std::time::SystemTime;

use tracing::info;

use super::*;
use crate::auth::jwt::TokenError;
use crate::auth::oauthbearer::{self, BearerError, Discovery, ExpectInitial, Offer};
use crate::session::settings::OAuthSettings;

impl Conversation<'_> {
    /// The login of a user of whom only the provider knows.
    pub(super) async fn oauth(&mut self, oauth: &OAuthSettings) -> Result<Identity> {
        if !oauth.is_password_of(self.user.as_str()) {
            return self.oauthbearer(oauth).await;
        }
        let sent = self.cleartext().await?;
        let accepted = self.judge(oauth, &sent).await;
        accepted.ok_or_else(|| self.token_refused())
    }

    /// RFC 7628. Who fails has heard where to get a token before.
    async fn oauthbearer(&mut self, oauth: &OAuthSettings) -> Result<Identity> {
        self.refuse_eavesdroppers("a bearer token")?;
        let mut offered = Vec::new();
        put_cstr(&mut offered, oauthbearer::MECHANISM.as_bytes());
        offered.push(0);
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::SASL, &offered);

        let message = zeroize::Zeroizing::new(self.password_message().await?);
        let (mechanism, response) = sasl_initial(&message).map_err(SessionError::ClientFraming)?;
        let discovery = Discovery {
            issuer: oauth.verifier.issuer.clone(),
            scope: oauth.scope.clone(),
        };
        let offer = ExpectInitial::new(discovery).initial(mechanism, response);
        let refusal = match offer.map_err(bearer_failed)? {
            Offer::Bearer(token, refusal) => {
                if let Some(identity) = self.judge(oauth, token.as_bytes()).await {
                    return Ok(identity);
                }
                refusal
            }
            Offer::Nothing(reason, refusal) => {
                info!(user = %self.user, reason, "no token");
                refusal
            }
        };
        let (state, document) = refusal.refuse();
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::SASL_CONTINUE, document.as_bytes());
        let message = self.password_message().await?;
        state.dummy(&message).map_err(bearer_failed)?;
        Err(self.token_refused())
    }

    /// Whether a token holds and is this user's. Why not is for the log alone.
    pub(super) async fn judge(&self, oauth: &OAuthSettings, token: &[u8]) -> Option<Identity> {
        let Ok(token) = std::str::from_utf8(token) else {
            info!(user = %self.user, reason = "it is not text", "token refused");
            return None;
        };
        let verify = |keys: &_| oauth.verifier.verify(token, keys, SystemTime::now());
        let mut verified = verify(&oauth.keys.keys());
        if let Err(TokenError::UnknownKey(_)) = verified {
            verified = verify(&*oauth.keys.refreshed().await);
        }
        match verified {
            Ok(verified) if verified.user == *self.user => {
                Some(Identity::by_token(self.user.clone(), verified.token.into()))
            }
            Ok(verified) => {
                info!(user = %self.user, of = %verified.user, reason = "it is another user's", "token refused");
                None
            }
            Err(reason) => {
                info!(user = %self.user, %reason, "token refused");
                None
            }
        }
    }

    fn token_refused(&self) -> SessionError {
        self.failed("OAuth bearer authentication failed")
    }
}

fn bearer_failed(error: BearerError) -> SessionError {
    let code = SqlState::parse(error.sqlstate().as_bytes());
    SessionError::Refused(ErrorResponse::fatal(
        code.unwrap_or(SqlState::PROTOCOL_VIOLATION),
        error.to_string(),
    ))
}
