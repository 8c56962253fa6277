//! What a text does, as far as the text shows it. Knows nothing of rules.

use crate::policy::kind::{Kind, Kinds};

/// What a whole text does: its statements, in order. Without any: an empty query.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Classification {
    /// One entry a statement.
    pub statements: Box<[Statement]>,
}

impl Classification {
    /// Whether it sets a parameter of which only the server can know the name. It may be one by
    /// which texts are read otherwise, so that nothing that follows can be judged before the
    /// server has said what its parameters are.
    pub fn sets_computed(&self) -> bool {
        let mut settings = self.statements.iter().flat_map(|s| s.settings.iter());
        settings.any(|setting| setting.name.is_none())
    }
}

/// What one statement does, everything nested in it included.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statement {
    /// Its command, such as `DROP TABLE`: what PostgreSQL's command tag begins with.
    pub command: &'static str,
    /// Where it begins in the text, in bytes.
    pub position: usize,
    /// All its effects.
    pub kinds: Kinds,
    /// The tables, views and sequences it names.
    pub relations: Box<[Relation]>,
    /// The functions it calls, each once. None of a statement that is only planned.
    pub functions: Box<[Name]>,
    /// The run-time parameters it changes.
    pub settings: Box<[Setting]>,
    /// Which of update and delete it does to a whole table, for want of a WHERE.
    pub whole_table: Kinds,
    /// The name that it prepares a statement under, by SQL.
    pub prepares: Option<Box<str>>,
    /// The name of a prepared statement that it runs, by SQL.
    pub executes: Option<Box<str>>,
}

/// A name, with its schema where the text gives one. Folded and unescaped as PostgreSQL does.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Name {
    /// The schema.
    pub schema: Option<Box<str>>,
    /// The last part.
    pub name: Box<str>,
}

/// A relation and what is done to it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Relation {
    /// Its name.
    pub name: Name,
    /// The effect that touches it.
    pub kind: Kind,
    /// Whether it changes by that.
    pub writes: bool,
}

/// A run-time parameter and what becomes of it, by SET, RESET or `set_config`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Its name in lower case; `None`: computed, so it may be any.
    pub name: Option<Box<str>>,
    /// What it becomes.
    pub value: Value,
}

/// What a parameter is set to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// Something that only the server can know.
    Computed,
    /// This text; of a list, the elements parted by `, `.
    Constant(Box<str>),
    /// What it was when the session began.
    Default,
}

/// Why a text cannot be judged. Never holds a literal of the text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unclassifiable {
    /// It takes too long to read.
    #[error("a run of operator characters is too long to be read")]
    Costly,
    /// Not UTF-8.
    #[error("the text is not valid UTF-8")]
    Encoding,
    /// PostgreSQL's grammar refuses it, in the parser's words.
    #[error("{0}")]
    Syntax(Box<str>),
    /// More bytes than are judged.
    #[error("the text has {len} bytes, and at most {limit} are judged")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The parser knows it, the judge does not.
    #[error("this kind of statement is unknown: {0}")]
    Unknown(Box<str>),
}

/// A text's classification, or why there is none.
pub type Classified = Result<std::sync::Arc<Classification>, Unclassifiable>;
