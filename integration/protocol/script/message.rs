//! A message as it is sent, and as it is expected.

use std::fmt;

use pgwarden::wire::error_response::Fields;

/// A message. Errors and keys are recognized by what matters of them; all else to the byte.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    likeness: Likeness,
}

#[derive(Clone, Debug)]
enum Likeness {
    /// An error or a notice with this severity and code, and this in its text.
    Error {
        severity: &'static str,
        code: String,
        text: String,
    },
    Exact,
    /// Any message with this tag.
    Tag,
}

impl Message {
    pub(crate) fn exact(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            likeness: Likeness::Exact,
        }
    }

    /// Any message with the tag of this one.
    pub(crate) fn any_like(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            likeness: Likeness::Tag,
        }
    }

    pub(crate) fn error(bytes: Vec<u8>, severity: &'static str, code: &str, text: &str) -> Self {
        let (code, text) = (code.to_owned(), text.to_owned());
        Self {
            bytes,
            likeness: Likeness::Error {
                severity,
                code,
                text,
            },
        }
    }

    pub(crate) fn tag(&self) -> u8 {
        self.bytes[0]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[5..]
    }

    /// Whether `other`, which arrived, is what this one expects.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match &self.likeness {
            Likeness::Exact => self.bytes == other.bytes,
            Likeness::Tag => self.tag() == other.tag(),
            Likeness::Error {
                severity,
                code,
                text,
            } => {
                let fields = Fields::parse(other.body());
                let message = String::from_utf8_lossy(fields.message.unwrap_or_default());
                self.tag() == other.tag()
                    && fields.severity == Some(severity.as_bytes())
                    && fields.code.is_some_and(|c| c.as_str() == code)
                    && message.contains(text)
            }
        }
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(200)];
        write!(f, "{}", shown.escape_ascii())
    }
}
