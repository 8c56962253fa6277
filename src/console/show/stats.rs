//! SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::View;
use crate::console::NAMES;
use crate::console::table::{Column, Value};
use crate::pool::Pool;
use crate::pool::stats::Totals;

pub(super) const STATS: &[Column] = &[
    Column::text("database"),
    Column::numeric("total_server_assignment_count"),
    Column::numeric("total_xact_count"),
    Column::numeric("total_query_count"),
    Column::numeric("total_received"),
    Column::numeric("total_sent"),
    Column::numeric("total_xact_time"),
    Column::numeric("total_query_time"),
    Column::numeric("total_wait_time"),
    Column::numeric("total_client_parse_count"),
    Column::numeric("total_server_parse_count"),
    Column::numeric("total_bind_count"),
    Column::numeric("total_client_login_count"),
    Column::numeric("avg_server_assignment_count"),
    Column::numeric("avg_xact_count"),
    Column::numeric("avg_query_count"),
    Column::numeric("avg_recv"),
    Column::numeric("avg_sent"),
    Column::numeric("avg_xact_time"),
    Column::numeric("avg_query_time"),
    Column::numeric("avg_wait_time"),
    Column::numeric("avg_client_parse_count"),
    Column::numeric("avg_server_parse_count"),
    Column::numeric("avg_bind_count"),
    Column::numeric("avg_client_login_count"),
];

pub(super) const TOTALS: &[Column] = &[
    Column::text("database"),
    Column::numeric("server_assignment_count"),
    Column::numeric("xact_count"),
    Column::numeric("query_count"),
    Column::numeric("bytes_received"),
    Column::numeric("bytes_sent"),
    Column::numeric("xact_time"),
    Column::numeric("query_time"),
    Column::numeric("wait_time"),
    Column::numeric("client_parse_count"),
    Column::numeric("server_parse_count"),
    Column::numeric("bind_count"),
    Column::numeric("client_login_count"),
];

/// Some with a prefix and some without: so does PgBouncer.
pub(super) const AVERAGES: &[Column] = &[
    Column::text("database"),
    Column::numeric("server_assignment_count"),
    Column::numeric("xact_count"),
    Column::numeric("query_count"),
    Column::numeric("bytes_received"),
    Column::numeric("bytes_sent"),
    Column::numeric("xact_time"),
    Column::numeric("query_time"),
    Column::numeric("wait_time"),
    Column::numeric("avg_client_parse_count"),
    Column::numeric("avg_server_parse_count"),
    Column::numeric("avg_bind_count"),
    Column::numeric("avg_client_login_count"),
];

pub(super) const NAMED: &[Column] = &[Column::text("name"), Column::numeric("value")];

/// The names in SHOW TOTALS, which are others again.
const NAMES_OF_TOTALS: [&str; 12] = [
    "server_assignment_count",
    "xact_count",
    "query_count",
    "client_bytes",
    "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "ps_client_parse_count",
    "ps_server_parse_count",
    "ps_bind_count",
    "client_login_count",
];

/// What the tables show of counters, in their order.
pub(in crate::console) type Figures = [u64; 12];

/// Picks what the tables show.
pub(in crate::console) fn figures(totals: &Totals) -> Figures {
    [
        totals.server_assignments,
        totals.xacts,
        totals.queries,
        totals.bytes_received,
        totals.bytes_sent,
        totals.xact_time,
        totals.query_time,
        totals.wait_time,
        totals.client_parses,
        totals.server_parses,
        totals.binds,
        totals.client_logins,
    ]
}

/// Totals by database: the sums over its pools, and the console's own.
pub(in crate::console) fn totals(pools: &[Arc<Pool>], own: &Totals) -> BTreeMap<String, Totals> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    totals.entry(NAMES[0].to_owned()).or_default().merge(own);
    for pool in pools {
        let database = pool.database_name().as_str().to_owned();
        totals
            .entry(database)
            .or_default()
            .merge(&pool.stats().total());
    }
    totals
}

fn of_view(view: &View<'_>) -> BTreeMap<String, Totals> {
    totals(&view.pools, &view.console.own_totals())
}

pub(super) fn stats(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |(database, totals): (String, Totals)| {
        let averages = view.console.sampler.averages(Some(&database));
        let figures = figures(&totals).into_iter().chain(averages);
        std::iter::once(Value::text(database))
            .chain(figures.map(Value::Numeric))
            .collect()
    };
    of_view(view).into_iter().map(row).collect()
}

pub(super) fn per_database(view: &View<'_>) -> Vec<Vec<Value>> {
    of_view(view)
        .into_iter()
        .map(|(database, totals)| row(database, figures(&totals)))
        .collect()
}

pub(super) fn averages(view: &View<'_>) -> Vec<Vec<Value>> {
    let averages = |database: String| {
        let averages = view.console.sampler.averages(Some(&database));
        row(database, averages)
    };
    of_view(view).into_keys().map(averages).collect()
}

pub(super) fn named(view: &View<'_>) -> Vec<Vec<Value>> {
    let mut sum = Totals::default();
    for totals in of_view(view).values() {
        sum.merge(totals);
    }
    let averages = view.console.sampler.averages(None);
    let rows = |prefix: &'static str, figures: Figures| {
        NAMES_OF_TOTALS
            .iter()
            .zip(figures)
            .map(move |(name, figure)| {
                vec![
                    Value::text(format!("{prefix}{name}")),
                    Value::Numeric(figure),
                ]
            })
    };
    rows("total_", figures(&sum))
        .chain(rows("avg_", averages))
        .collect()
}

fn row(database: String, figures: Figures) -> Vec<Value> {
    std::iter::once(Value::text(database))
        .chain(figures.map(Value::Numeric))
        .collect()
}
