//! ErrorResponse and NoticeResponse: what they say, and how to say it.
//! <https://www.postgresql.org/docs/current/protocol-error-fields.html>

use std::borrow::Cow;
use std::fmt;

use crate::wire::backend;
use crate::wire::body::{BodyReader, put_cstr, put_message};
use crate::wire::sqlstate::SqlState;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The command failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// Worth knowing.
    Notice,
    /// Worth a second look.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
        }
    }
}

/// An error or a notice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorResponse {
    /// How bad it is.
    pub severity: Severity,
    /// What programs know it by.
    pub code: SqlState,
    /// The primary message.
    pub message: String,
    /// More about the circumstances.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the query's text it is about, in characters, from 1.
    pub position: Option<usize>,
    /// The function of PostgreSQL's source that would raise it: some drivers go by that.
    pub routine: Option<&'static str>,
    /// What PgBouncer says in its place; `None`: this, in every style. See
    /// [`crate::wire::pooler_error`].
    pub as_pgbouncer: Option<Box<Cow<'static, str>>>,
    /// Without the field V, which PgBouncer does not send.
    pub bare: bool,
}

impl ErrorResponse {
    /// An error that leaves the session alive.
    pub fn error(code: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// An error that ends the session.
    pub fn fatal(code: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, code, message)
    }

    /// An error or notice without detail and hint.
    pub fn new(severity: Severity, code: SqlState, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            routine: None,
            as_pgbouncer: None,
            bare: false,
        }
    }

    /// The same, with what PgBouncer says in its place.
    #[must_use]
    pub fn or_as_pgbouncer(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.as_pgbouncer = Some(Box::new(message.into()));
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same about this place of the query's text, in characters, from 1.
    #[must_use]
    pub fn with_position(mut self, position: Option<usize>) -> Self {
        self.position = position;
        self
    }

    /// The same in the name of a function of PostgreSQL's source.
    #[must_use]
    pub fn with_routine(mut self, routine: &'static str) -> Self {
        self.routine = Some(routine);
        self
    }

    /// Appends it: a NoticeResponse for notices and warnings, else an ErrorResponse.
    pub fn put(&self, out: &mut Vec<u8>) {
        let tag = match self.severity {
            Severity::Error | Severity::Fatal => backend::Tag::ErrorResponse,
            Severity::Notice | Severity::Warning => backend::Tag::NoticeResponse,
        };
        put_message(out, tag as u8, |body| {
            let mut field = |code: u8, text: &str| {
                body.push(code);
                // A NUL would end the field early and shift the rest.
                let text = text.split('\0').next().unwrap_or_default();
                put_cstr(body, text.as_bytes());
            };
            field(b'S', self.severity.as_str());
            if !self.bare {
                field(b'V', self.severity.as_str());
            }
            field(b'C', self.code.as_str());
            field(b'M', &self.message);
            if let Some(detail) = &self.detail {
                field(b'D', detail);
            }
            if let Some(hint) = &self.hint {
                field(b'H', hint);
            }
            if let Some(position) = self.position {
                field(b'P', &position.to_string());
            }
            if let Some(routine) = self.routine {
                field(b'R', routine);
            }
            body.push(0);
        });
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.severity.as_str(),
            self.code,
            self.message
        )
    }
}

/// The fields of an error a server sent; any of them may be missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields<'a> {
    /// `C`
    pub code: Option<SqlState>,
    /// `M`
    pub message: Option<&'a [u8]>,
    /// `R`: the source function that raised it, the same in every language.
    pub routine: Option<&'a [u8]>,
    /// `V`, or `S` where there is no `V`.
    pub severity: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads a body as far as it makes sense.
    pub fn parse(body: &'a [u8]) -> Self {
        let mut fields = Self::default();
        let mut body = BodyReader::new(body);
        while let Ok(field) = body.byte() {
            if field == 0 {
                break;
            }
            let Ok(value) = body.cstr() else { break };
            match field {
                b'C' => fields.code = SqlState::parse(value),
                b'M' => fields.message = Some(value),
                b'R' => fields.routine = Some(value),
                b'S' if fields.severity.is_none() => fields.severity = Some(value),
                b'V' => fields.severity = Some(value),
                _ => {}
            }
        }
        fields
    }

    /// Whether the server ends the session with this.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, Some(b"FATAL" | b"PANIC"))
    }

    /// The same as an error of our own.
    pub fn to_response(&self, severity: Severity) -> ErrorResponse {
        let message = self.message.unwrap_or(b"(no message)");
        ErrorResponse::new(
            severity,
            self.code.unwrap_or(SqlState::INTERNAL_ERROR),
            String::from_utf8_lossy(message),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_back_as_written() {
        let error = ErrorResponse::fatal(SqlState::INVALID_PASSWORD, "no").with_hint("try again");
        let mut bytes = Vec::new();
        error.put(&mut bytes);
        assert_eq!(bytes[0], b'E');
        let fields = Fields::parse(&bytes[5..]);
        assert!(fields.is_fatal());
        assert_eq!(fields.code, Some(SqlState::INVALID_PASSWORD));
        assert_eq!(fields.message, Some(&b"no"[..]));
    }

    #[test]
    fn an_error_without_a_code_or_an_end_is_no_panic() {
        assert_eq!(Fields::parse(b"Mhello\0").code, None);
        assert_eq!(Fields::parse(b"C28P").code, None);
        assert_eq!(Fields::parse(b"").message, None);
    }
}
