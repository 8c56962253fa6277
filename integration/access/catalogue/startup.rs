//! What a start-up packet may say.

use super::still_reads;
use crate::house::House;
use crate::support::raw::Raw;

/// None of these gets a session that does what they ask for.
async fn turned_away(house: &House, user: &str, parameters: &[&[(&str, &str)]]) {
    for parameters in parameters {
        let login = Raw::login(house.port(), user, "acl", parameters).await;
        let failure = match login {
            Err(failure) => failure,
            Ok(mut raw) => {
                // A server is only asked for with the first query.
                raw.send_query(b"select 1").await;
                let refused = raw.try_reply().await;
                refused.expect_err(&format!("{parameters:?}")).unwrap()
            }
        };
        assert_eq!(failure.severity, "FATAL", "{parameters:?} {failure:?}");
        if user == "reader" {
            still_reads(&mut house.login(user).await).await;
        }
    }
}

#[tokio::test]
async fn row_25_start_up_packets() {
    let mut house = House::start().await;
    let read_only = "default_transaction_read_only";
    turned_away(
        &house,
        "reader",
        &[
            &[(read_only, "off")],
            &[("Default_Transaction_Read_Only", "0")],
            &[(read_only, "on"), (read_only, "off")],
            &[(read_only, "on"), ("DEFAULT_transaction_read_only", "f")],
            &[("transaction_read_only", "off")],
            &[("options", "-c default_transaction_read_only=off")],
            &[("options", "-cdefault_transaction_read_only=off")],
            &[("options", "--default-transaction-read-only=off")],
            &[(
                "options",
                "-c work_mem=1MB --default_transaction_read_only=of",
            )],
            &[("options", "-c transaction_read_only=off")],
            &[("role", "other")],
            &[("session_authorization", "other")],
            &[("options", "-c role=other")],
            &[("options", "-c session_replication_role=replica")],
            &[("options", "-W 1")],
            &[("options", "-f t")],
        ],
    )
    .await;
    house.is_untouched().await;
}

#[tokio::test]
async fn row_25_what_changes_the_reading_of_texts() {
    let mut house = House::start().await;
    for user in ["reader", "noddl"] {
        turned_away(
            &house,
            user,
            &[
                &[("client_encoding", "SJIS")],
                &[("client_encoding", "big-5")],
                &[("CLIENT_encoding", "GB18030")],
                &[("client_encoding", "UTF8"), ("Client_Encoding", "GBK")],
                &[("options", "-c client_encoding=BIG5")],
                &[("standard_conforming_strings", "off")],
                &[("options", "-cstandard_conforming_strings=0")],
                &[("options", "--standard-conforming-strings=off")],
                &[("backslash_quote", "on")],
            ],
        )
        .await;
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_25_what_drivers_say_is_let_in() {
    let house = House::start().await;
    for parameters in [
        &[("application_name", "x"), ("client_encoding", "utf-8")][..],
        &[
            ("DateStyle", "ISO"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "2"),
        ],
        &[("options", "-c statement_timeout=5s --search_path=public")],
        &[("default_transaction_read_only", "on")],
        &[("standard_conforming_strings", "on")],
    ] {
        let mut raw = Raw::login(house.port(), "reader", "acl", parameters)
            .await
            .unwrap();
        still_reads(&mut raw).await;
    }
}
