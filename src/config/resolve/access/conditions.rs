//! `when` and `except` of rules, and windows in which there is only reading.

use super::super::super::forms::{GLOB, List, NETWORK, WINDOW};
use super::super::super::values::Table;
use crate::policy::condition::Condition;
use crate::policy::window::Window;

/// `{ window, from, user, database }`, of which at least one is given.
pub(super) fn condition(rule: &Table<'_>, key: &str) -> Option<Condition> {
    let table = rule.table(key);
    if !rule.has(key) {
        return None;
    }
    let condition = Condition {
        window: window(&table),
        from: table.maybe("from", &List(NETWORK)).unwrap_or_default(),
        user: table.maybe("user", &List(GLOB)).unwrap_or_default(),
        database: table.maybe("database", &List(GLOB)).unwrap_or_default(),
    };
    if table.is_empty() {
        table.complain_of_table("holds always: expected a window, from, user or database in it");
    }
    Some(condition)
}

/// `{ read_only = { window = … } }`.
pub(super) fn maintenance(table: &Table<'_>) -> Vec<Window> {
    let read_only = table.table("read_only");
    let windows = read_only.maybe("window", &List(WINDOW));
    if table.is_table("read_only") && !read_only.has("window") {
        read_only.complain_of_table("expected { window = \"…\" }");
    }
    windows.unwrap_or_default()
}

/// The key `window`: one, or several of which one is enough.
pub(super) fn window(table: &Table<'_>) -> Option<Window> {
    Window::any_of(&table.maybe("window", &List(WINDOW))?)
}
