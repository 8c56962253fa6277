//! SHOW DENIALS: what was refused lately.

use super::View;
use super::connections::timestamp;
use crate::console::table::{Column, Value};
use crate::session::denials::DenialRow;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("time"),
    Column::text("reference"),
    Column::text("user"),
    Column::text("role"),
    Column::text("database"),
    Column::text("addr"),
    Column::text("rule"),
    Column::text("sqlstate"),
    Column::text("command"),
    Column::text("subject"),
    Column::text("verdict"),
];

/// The newest first.
pub(super) fn rows(view: &View<'_>) -> Vec<Vec<Value>> {
    let latest = view.control.denials().latest();
    latest.into_iter().map(row).collect()
}

fn row(denial: DenialRow) -> Vec<Value> {
    vec![
        Value::text(timestamp(denial.time)),
        Value::text(format!("{:016x}", denial.reference)),
        Value::text(denial.user),
        Value::text(denial.role),
        Value::text(denial.database),
        Value::text(denial.address),
        Value::text(denial.rule),
        Value::text(denial.code),
        Value::text(denial.command),
        Value::text(denial.subject),
        // The words of the audit log.
        Value::text(if denial.observed {
            "would_deny"
        } else {
            "deny"
        }),
    ]
}
