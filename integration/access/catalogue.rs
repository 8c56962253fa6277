//! The catalogue of threats: each is carried out, and fails, and nothing has changed.

mod channels;
mod effects;
mod lexing;
mod load;
mod modes;
mod startup;

use crate::house::House;
use crate::play::{q, say};
use crate::row::Step;
use crate::support::raw::Raw;

/// What a reader's session is, whatever it was asked to be.
const READING: &str = "select current_setting('default_transaction_read_only')
    || current_setting('transaction_read_only') || current_user || session_user
    || current_setting('standard_conforming_strings') || current_setting('client_encoding')";

/// Each of these is refused by us, and changes nothing.
async fn refused(house: &mut House, user: &str, texts: &[&str]) {
    for text in texts {
        refused_steps(house, user, &[q(text)]).await;
    }
    house.is_untouched().await;
}

/// One of these messages is refused by us.
async fn refused_steps(house: &House, user: &str, steps: &[Step]) {
    let mut raw = house.login(user).await;
    let answers = say(&mut raw, steps).await;
    let ours = |hint: &str| hint.contains("Reference ");
    let refused = answers.failures().iter().any(|f| ours(&f.hint));
    assert!(refused, "{steps:?}: {}", answers.shape());
    assert!(!answers.closed && !answers.stuck, "{steps:?}");
    raw.query("rollback").await.fine();
    if user == "reader" {
        still_reads(&mut raw).await;
        still_reads(&mut house.login(user).await).await;
    }
}

/// Each of these passes.
async fn passes(house: &House, user: &str, texts: &[&str]) {
    let mut raw = house.login(user).await;
    for text in texts {
        let answers = say(&mut raw, &[q(text)]).await;
        assert_eq!(answers.failures(), [], "{text}");
    }
}

async fn still_reads(raw: &mut Raw) {
    assert_eq!(raw.value(READING).await, "ononapp_rwapp_rwonUTF8");
}
