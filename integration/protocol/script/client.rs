//! A scripted client.

use std::ops::{Deref, DerefMut};

use pgwarden::wire::cancel_key::CancelKey;

use super::{Message, Peer, backend};

/// A scripted client.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    key: Option<CancelKey>,
    parameters: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            key: None,
            parameters: Vec::new(),
        }
    }

    /// Receives AuthenticationOk and what follows it, up to ReadyForQuery.
    pub(crate) fn is_welcomed(&mut self) {
        self.receives(backend::authenticated());
        self.hears_the_welcome();
    }

    /// What follows AuthenticationOk.
    pub(crate) fn hears_the_welcome(&mut self) {
        loop {
            let message = self.next("the welcome");
            match message.tag() {
                b'S' => {
                    let mut parts = message.body().split(|&b| b == 0);
                    let mut part =
                        || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                    self.parameters.push((part(), part()));
                }
                b'K' => {
                    self.key = Some(CancelKey::parse(message.body()).expect("a key is a key"));
                }
                _ => {
                    let ready = backend::ready(backend::Idle);
                    assert!(ready.is_like(&message), "in the welcome: {message:?}");
                    return;
                }
            }
        }
    }

    pub(crate) fn key(&self) -> &CancelKey {
        self.key.as_ref().expect("it was welcomed")
    }

    /// What the welcome said of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sends this and receives that.
    pub(crate) fn asks(
        &mut self,
        messages: impl Into<super::peer::Script>,
        replies: impl Into<super::peer::Script>,
    ) {
        self.sends(messages);
        self.receives(replies);
    }

    /// Disappears with a TCP reset.
    pub(crate) fn resets(self) {
        self.peer.resets();
    }

    /// The next error's fields as text.
    pub(crate) fn next_error(&mut self) -> Message {
        let message = self.next("an error");
        assert_eq!(message.tag(), b'E', "{message:?}");
        message
    }
}

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}
