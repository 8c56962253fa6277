//! SHOW FDS: every open connection, for a process that is to take them over.

use super::connections::host_and_port;
use crate::console::control::Descriptor;
use crate::console::table::{Column, Value};

pub(super) const COLUMNS: &[Column] = &[
    Column::int4("fd"),
    Column::text("task"),
    Column::text("user"),
    Column::text("database"),
    Column::text("addr"),
    Column::int4("port"),
    Column::int8("cancel"),
    Column::int4("link"),
    Column::text("client_encoding"),
    Column::text("std_strings"),
    Column::text("datestyle"),
    Column::text("timezone"),
    Column::text("password"),
    Column::bytea("scram_client_key"),
    Column::bytea("scram_server_key"),
];

pub(super) fn rows(descriptors: Vec<Descriptor>) -> Vec<Vec<Value>> {
    descriptors.into_iter().map(row).collect()
}

fn row(of: Descriptor) -> Vec<Value> {
    let (address, port) = host_and_port(&of.address);
    let (client_key, server_key) = of.scram_keys.unzip();
    vec![
        Value::Int4(of.fd),
        of.task.into(),
        some(of.user),
        some(of.database),
        address,
        port,
        Value::Int8(of.cancel.cast_signed()),
        Value::Int4(of.link),
        some(of.client_encoding),
        some(of.std_strings),
        some(of.datestyle),
        some(of.timezone),
        of.password.map_or(Value::Null, Value::text),
        client_key.map_or(Value::Null, Value::Bytea),
        server_key.map_or(Value::Null, Value::Bytea),
    ]
}

/// What is empty is not known: NULL.
fn some(text: String) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::text(text)
    }
}
