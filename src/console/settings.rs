//! Who may use the console. Filled by `config`.

use std::collections::BTreeSet;

/// The users of the console; everybody else is refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConsoleSettings {
    /// May do everything.
    pub admins: BTreeSet<String>,
    /// May use SHOW.
    pub viewers: BTreeSet<String>,
}
