//! The process itself: SHOW CONFIG, STATE, VERSION and HELP.

use super::View;
use crate::console::command::table::{Entry, Kind};
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

/// Of the process as a whole: a PAUSE of one database does not show here.
pub(super) fn state(view: &View<'_>) -> Vec<Vec<Value>> {
    let suspended = view.control.is_suspended();
    let paused = view.control.pools().is_paused(None);
    [
        ("active", !paused && !suspended),
        ("paused", paused),
        ("suspended", suspended),
    ]
    .into_iter()
    .map(|(key, value)| vec![key.into(), yes_or_no(value)])
    .collect()
}

pub(super) fn version() -> Vec<Vec<Value>> {
    vec![vec![crate::console::VERSION.into()]]
}

/// SHOW HELP: a notice.
pub(in crate::console) fn help() -> ErrorResponse {
    let (shows, others): (Vec<_>, Vec<_>) = Entry::COMMANDS
        .iter()
        .partition(|entry| matches!(entry.kind, Kind::Show(_)));
    let shows: Vec<_> = shows
        .iter()
        .filter_map(|entry| entry.name.strip_prefix("SHOW "))
        .collect();
    let mut usage = String::from("\n");
    for some in shows.chunks(SHOWS_A_LINE) {
        usage.push_str(&format!("\tSHOW {}\n", some.join("|")));
    }
    let others: Vec<_> = others.iter().map(|entry| entry.usage()).collect();
    usage.push_str(&format!("\t{}", others.join("\n\t")));
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

const SHOWS_A_LINE: usize = 7;
