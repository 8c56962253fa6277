//! The five characters by which programs know an error.

use std::fmt;

/// An error code of PostgreSQL's.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `08006`
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// `08P01`
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// `0A000`
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// `25001`
    pub const ACTIVE_SQL_TRANSACTION: Self = Self(*b"25001");
    /// `25006`
    pub const READ_ONLY_SQL_TRANSACTION: Self = Self(*b"25006");
    /// `25P03`
    pub const IDLE_IN_TRANSACTION_TIMEOUT: Self = Self(*b"25P03");
    /// `25P04`
    pub const TRANSACTION_TIMEOUT: Self = Self(*b"25P04");
    /// `25P02`
    pub const IN_FAILED_TRANSACTION: Self = Self(*b"25P02");
    /// `26000`
    pub const INVALID_SQL_STATEMENT_NAME: Self = Self(*b"26000");
    /// `28000`
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// `28P01`
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `34000`
    pub const INVALID_CURSOR_NAME: Self = Self(*b"34000");
    /// `3D000`
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// `42501`
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    /// `42601`
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// `42704`
    pub const UNDEFINED_OBJECT: Self = Self(*b"42704");
    /// `42P03`
    pub const DUPLICATE_CURSOR: Self = Self(*b"42P03");
    /// `42P05`
    pub const DUPLICATE_PREPARED_STATEMENT: Self = Self(*b"42P05");
    /// `53300`
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `53400`
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self(*b"53400");
    /// `54000`
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    /// `55000`
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: Self = Self(*b"55000");
    /// `57014`
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `57P01`
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `57P03`
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `58030`
    pub const IO_ERROR: Self = Self(*b"58030");
    /// `F0000`
    pub const CONFIG_FILE_ERROR: Self = Self(*b"F0000");
    /// `00000`
    pub const SUCCESSFUL_COMPLETION: Self = Self(*b"00000");
    /// `XX000`
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// The code written as `text`; `None` unless it is five upper-case letters or digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let code: [u8; 5] = text.try_into().ok()?;
        let legal = code
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        legal.then_some(Self(code))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
