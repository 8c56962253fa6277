//! A query of ours with a parameter, for a user's secret.

use zeroize::Zeroizing;

use super::{RunError, Server, Unnamed, note_parameter};
use crate::wire::backend::{Backend, Tag};
use crate::wire::body::{BodyReader, put_cstr};
use crate::wire::error_response::{ErrorResponse, Fields, Severity};
use crate::wire::frontend::{self, Target};
use crate::wire::head::{FramingError, Head};

/// What the server knows of a user: the name as it has it, and the secret.
pub type UserRow = (Option<String>, Option<Zeroizing<String>>);

/// Why a user could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The query has another number of columns than the two there must be.
    #[error("the query returns {0} columns, and not a name and a secret")]
    Columns(i16),
    /// It found several.
    #[error("the query returns more than one row")]
    Rows,
    /// The query failed, or the connection did.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The name or the secret is no text.
    #[error("the query returns what is no UTF-8")]
    Text,
}

impl Server {
    /// Asks for a user by its name, which stands for `$1`. `None`: the server knows of none. The
    /// server must be settled before, and is after everything but a [`LookupError::Run`] that is
    /// not [`RunError::Refused`]. Not cancel safe.
    ///
    /// # Errors
    /// The query failed, or returns what no lookup does.
    pub async fn look_up(&mut self, sql: &str, user: &str) -> Result<Option<UserRow>, LookupError> {
        // "An unnamed prepared statement lasts only until the next Parse."
        self.unnamed = Unnamed::Unknown;
        self.put_question(sql, user);
        let sent = self.outbox.flush(&mut self.stream).await;
        sent.map_err(RunError::Io)?;
        let mut answer = Answer::default();
        loop {
            while let Some(head) = self.whole_message().map_err(RunError::Framing)? {
                let end = head.message_len();
                let body = &self.inbox.unread()[Head::<Backend>::LEN..end];
                let done = head.tag() == Tag::ReadyForQuery;
                if head.tag() == Tag::ParameterStatus {
                    let noted = note_parameter(&self.tracked, &mut self.values, body);
                    noted.map_err(RunError::Framing)?;
                } else if !done {
                    answer.hear(head.tag(), body).map_err(RunError::Framing)?;
                }
                self.inbox.consume(end);
                if done {
                    return answer.verdict();
                }
            }
            self.fill().await.map_err(RunError::Io)?;
        }
    }

    fn put_question(&mut self, sql: &str, user: &str) {
        let out = self.outbox.buffer();
        let mut statement = Vec::with_capacity(sql.len() + 3);
        put_cstr(&mut statement, sql.as_bytes());
        // The server knows best of what type the parameter is.
        statement.extend_from_slice(&0_i16.to_be_bytes());
        frontend::put_parse(out, b"", &statement);
        frontend::put_bind_text(out, user);
        frontend::put_describe(out, Target::Portal, b"");
        frontend::put_execute(out);
        frontend::put_sync(out);
    }
}

/// What has been heard so far.
#[derive(Default)]
struct Answer {
    columns: Option<i16>,
    rows: usize,
    first: Option<Result<UserRow, FramingError>>,
    refused: Option<ErrorResponse>,
}

impl Answer {
    fn hear(&mut self, tag: Tag, body: &[u8]) -> Result<(), FramingError> {
        match tag {
            Tag::RowDescription => self.columns = Some(BodyReader::new(body).int16()?),
            // A statement without any result has no columns.
            Tag::NoData => self.columns = Some(0),
            Tag::DataRow => {
                self.rows += 1;
                if self.columns == Some(COLUMNS) && self.rows == 1 {
                    self.first = Some(row(body));
                }
            }
            Tag::ErrorResponse => {
                let error = Fields::parse(body).to_response(Severity::Error);
                self.refused.get_or_insert(error);
            }
            Tag::BindComplete
            | Tag::CommandComplete
            | Tag::EmptyQueryResponse
            | Tag::NoticeResponse
            | Tag::NotificationResponse
            | Tag::ParseComplete => {}
            Tag::Authentication
            | Tag::BackendKeyData
            | Tag::CloseComplete
            | Tag::CopyBothResponse
            | Tag::CopyData
            | Tag::CopyDone
            | Tag::CopyInResponse
            | Tag::CopyOutResponse
            | Tag::FunctionCallResponse
            | Tag::NegotiateProtocolVersion
            | Tag::ParameterDescription
            | Tag::ParameterStatus
            | Tag::PortalSuspended
            | Tag::ReadyForQuery => return Err(FramingError::Tag(tag as u8)),
        }
        Ok(())
    }

    fn verdict(self) -> Result<Option<UserRow>, LookupError> {
        if let Some(error) = self.refused {
            return Err(RunError::Refused(error).into());
        }
        let columns = self.columns.unwrap_or(0);
        if columns != COLUMNS {
            return Err(LookupError::Columns(columns));
        }
        if self.rows > 1 {
            return Err(LookupError::Rows);
        }
        self.first.transpose().map_err(|_| LookupError::Text)
    }
}

fn row(body: &[u8]) -> Result<UserRow, FramingError> {
    let mut body = BodyReader::new(body);
    if body.int16()? != COLUMNS {
        return Err(FramingError::Body);
    }
    let name = text(&mut body)?.map(|name| name.to_string());
    Ok((name, text(&mut body)?))
}

fn text(body: &mut BodyReader<'_>) -> Result<Option<Zeroizing<String>>, FramingError> {
    match usize::try_from(body.int32()?) {
        Ok(len) => {
            let text = std::str::from_utf8(body.bytes(len)?).map_err(|_| FramingError::Body)?;
            Ok(Some(Zeroizing::new(text.to_owned())))
        }
        Err(_) => Ok(None), // -1: NULL
    }
}

/// A name and a secret.
const COLUMNS: i16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn data_row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = i16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(value.unwrap_or_default().as_bytes());
        }
        body
    }

    fn answer(columns: i16, rows: &[&[Option<&str>]]) -> Result<Option<UserRow>, LookupError> {
        let mut answer = Answer::default();
        answer.hear(Tag::ParseComplete, b"").unwrap();
        answer.hear(Tag::BindComplete, b"").unwrap();
        answer
            .hear(Tag::RowDescription, &columns.to_be_bytes())
            .unwrap();
        for row in rows {
            answer.hear(Tag::DataRow, &data_row(row)).unwrap();
        }
        answer.hear(Tag::CommandComplete, b"SELECT 1\0").unwrap();
        answer.verdict()
    }

    #[test]
    fn a_row_is_a_name_and_a_secret() {
        let (name, secret) = answer(2, &[&[Some("bob"), Some("x")]]).unwrap().unwrap();
        assert_eq!(name.as_deref(), Some("bob"));
        assert_eq!(secret.unwrap().as_str(), "x");
        let (_, secret) = answer(2, &[&[Some("bob"), None]]).unwrap().unwrap();
        assert!(secret.is_none());
        assert!(answer(2, &[]).unwrap().is_none());
    }

    #[test]
    fn other_numbers_of_columns_and_rows_are_refused() {
        for columns in [0, 1, 3] {
            let refused = answer(columns, &[]).unwrap_err();
            assert!(matches!(refused, LookupError::Columns(n) if n == columns));
        }
        let bob: &[Option<&str>] = &[Some("bob"), Some("x")];
        assert!(matches!(answer(2, &[bob, bob]), Err(LookupError::Rows)));
        let odd: &[Option<&str>] = &[Some("bob")];
        assert!(matches!(answer(2, &[odd]), Err(LookupError::Text)));
    }

    #[test]
    fn an_error_comes_before_everything_else() {
        let mut answer = Answer::default();
        let body = b"SERROR\0C42P01\0Mno such table\0\0";
        answer.hear(Tag::ErrorResponse, body).unwrap();
        assert!(matches!(
            answer.verdict(),
            Err(LookupError::Run(RunError::Refused(_)))
        ));
        assert!(Answer::default().hear(Tag::CopyInResponse, b"").is_err());
    }
}
