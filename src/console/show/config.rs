//! The process itself: SHOW CONFIG, STATE, VERSION and HELP.

use super::{Show, View};
use crate::console::table::{Column, Value};
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::sqlstate::SqlState;

pub(super) const SETTINGS: &[Column] = &[
    Column::text("key"),
    Column::text("value"),
    Column::text("default"),
    Column::text("changeable"),
];

pub(super) const STATE: &[Column] = &[Column::text("key"), Column::text("value")];

pub(super) const VERSION: &[Column] = &[Column::text("version")];

pub(super) fn settings(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |setting: crate::console::control::SettingRow| {
        vec![
            Value::text(setting.key),
            Value::text(setting.value),
            Value::text(setting.default),
            yes_or_no(setting.changeable),
        ]
    };
    view.control.settings().into_iter().map(row).collect()
}

pub(super) fn state(view: &View<'_>) -> Vec<Vec<Value>> {
    let paused = view.control.pools().is_paused(None);
    [
        ("active", !paused),
        ("paused", paused),
        ("suspended", false),
    ]
    .into_iter()
    .map(|(key, value)| vec![key.into(), yes_or_no(value)])
    .collect()
}

pub(super) fn version() -> Vec<Vec<Value>> {
    vec![vec![concat!("pgwarden ", env!("CARGO_PKG_VERSION")).into()]]
}

/// SHOW HELP: a notice.
pub(in crate::console) fn help() -> ErrorResponse {
    let shows: Vec<_> = Show::ALL
        .iter()
        .map(|show| show.name().to_ascii_uppercase())
        .collect();
    let usage = format!("\n\tSHOW {}\n{COMMANDS}", shows.join("|"));
    ErrorResponse::new(
        Severity::Notice,
        SqlState::SUCCESSFUL_COMPLETION,
        "Console usage",
    )
    .with_detail(usage)
}

fn yes_or_no(yes: bool) -> Value {
    if yes { "yes".into() } else { "no".into() }
}

const COMMANDS: &str = "\tEXPLAIN ACCESS 'SQL' FOR ROLE <role>
\tRELOAD
\tPAUSE [<db>]
\tRESUME [<db>]
\tRECONNECT [<db>]
\tKILL [<db>]
\tKILL_CLIENT <client_id>
\tSHUTDOWN
\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS";
