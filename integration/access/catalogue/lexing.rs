//! Texts that the server reads otherwise than they look.

use super::{passes, refused, refused_steps, still_reads};
use crate::house::House;
use crate::play::{e, p, q, run, say};
use crate::row::Step::{self, Query, Sync};

#[tokio::test]
async fn row_26_backslashes_in_strings() {
    let mut house = House::start().await;
    let texts = [
        "set standard_conforming_strings = off",
        "set Standard_Conforming_Strings to 'no'",
        "set local standard_conforming_strings = 0",
        "select set_config('standard_conforming_strings', 'off', false)",
        "set backslash_quote = on",
    ];
    for user in ["reader", "noddl"] {
        refused(&mut house, user, &texts).await;
        // The second text is read with the new setting before anybody hears of it.
        let mut steps = run("set standard_conforming_strings = off").to_vec();
        steps.extend(run("select '\\'; drop table u; --'"));
        steps.push(Sync);
        refused_steps(&house, user, &steps).await;
        let steps = [
            q("begin; set local standard_conforming_strings = off"),
            q("select '\\'; drop table u; --'"),
        ];
        refused_steps(&house, user, &steps).await;
        passes(&house, user, &["set standard_conforming_strings = on"]).await;
    }
    house.is_untouched().await;
}

/// A name that is computed may be that of any parameter. The server must not read the next text
/// otherwise than we have read it.
#[tokio::test]
async fn row_26_a_parameter_whose_name_is_computed() {
    let mut house = House::start().await;
    let set = "select set_config(lower('STANDARD_conforming_strings'), 'off', false)";
    // To us two strings; to a server that has heeded the first text a string and a DROP.
    let live = "select '\\' || '; drop table u; --'";
    for user in ["reader", "noddl"] {
        for texts in [
            &[set, live][..],
            &["begin", set, live, "commit"],
            &["begin; savepoint a", set, live, "commit"],
        ] {
            // One after the other, and all at once.
            let mut raw = house.login(user).await;
            say(
                &mut raw,
                &texts.iter().map(|sql| q(sql)).collect::<Vec<_>>(),
            )
            .await;
            house.is_untouched().await;
            let mut out = Vec::new();
            for text in texts {
                q(text).encode(&mut out);
            }
            let mut raw = house.login(user).await;
            raw.send(&out).await;
            while raw
                .try_reply()
                .await
                .is_ok_and(|reply| reply.failure.is_none() && reply.tags != ["COMMIT"])
            {
            }
            drop(raw);
            house.login(user).await.query("select 1").await.fine();
            house.is_untouched().await;
        }
        let mut raw = house.login(user).await;
        let mut steps = run(set).to_vec();
        steps.extend(run("select '\\' || current_user || '"));
        steps.push(Sync);
        say(&mut raw, &steps).await;
        house.is_untouched().await;
    }
}

/// The name may come later than the text that sets it.
#[tokio::test]
async fn row_26_a_parameter_whose_name_comes_with_execute() {
    let mut house = House::start().await;
    let live = "select '\\' || '; drop table u; --'";
    let text = "prepare x(text) as select set_config($1, 'off', false)";
    let by_protocol = p("s", "select set_config($1, 'off', false)");
    for (prepare, set) in [
        (
            vec![q("begin"), q(text)],
            vec![q("execute x('standard_conforming_strings')")],
        ),
        (
            vec![q("begin"), q(text)],
            run("execute x('standard_conforming_strings')")
                .into_iter()
                .chain([Sync])
                .collect(),
        ),
        (
            vec![q("begin"), by_protocol, Sync],
            vec![
                Step::BindText {
                    statement: b"s".to_vec(),
                    value: b"standard_conforming_strings".to_vec(),
                },
                e(),
                Sync,
            ],
        ),
    ] {
        let mut raw = house.login("noddl").await;
        say(&mut raw, &prepare).await;
        let mut out = Vec::new();
        for step in set.iter().chain(&[q(live), q("commit")]) {
            step.encode(&mut out);
        }
        raw.send(&out).await;
        while raw
            .try_reply()
            .await
            .is_ok_and(|reply| reply.tags != ["COMMIT"] && reply.tags != ["ROLLBACK"])
        {}
        drop(raw);
        house.login("noddl").await.query("select 1").await.fine();
        house.is_untouched().await;
    }
}

#[tokio::test]
async fn row_27_encodings_with_backslashes_in_characters() {
    let mut house = House::start().await;
    for user in ["reader", "noddl"] {
        for (encoding, character) in [
            ("SJIS", "Á"),
            ("SHIFT_JIS_2004", "Á"),
            ("GB18030", "あ"),
            ("GBK", "あ"),
            ("BIG5", "あ"),
            ("UHC", "あ"),
            ("JOHAB", "あ"),
        ] {
            let drop = format!("select E'{character}\\'; drop table u; --'");
            for set in [
                format!("set client_encoding = '{encoding}'"),
                format!("set names '{encoding}'"),
                format!("set client_encoding to {}", encoding.to_lowercase()),
                format!("select set_config('client_encoding', '{encoding}', false)"),
            ] {
                refused_steps(&house, user, &[q(&set), q(&drop)]).await;
                let mut steps = run(&set).to_vec();
                steps.extend(run(&drop));
                steps.push(Sync);
                refused_steps(&house, user, &steps).await;
            }
        }
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_28_texts_that_are_no_text() {
    let mut house = House::start().await;
    for user in ["reader", "noddl"] {
        for text in [
            &b"select 'a\xff'"[..],
            b"select '\xc0\xa7'; drop table u; --'",
            b"select '\xed\xa0\x80'; drop table u",
            b"select 'a\xc3'; drop table u; --'",
            b"/* open",
            b"select $a$ open",
            b"\xff\xfed\0r\0o\0p\0",
        ] {
            let mut raw = house.login(user).await;
            let answers = say(&mut raw, &[Query(text.to_vec())]).await;
            assert_eq!(answers.failures().len(), 1, "{text:?}");
            raw.query("select 1").await.fine();
        }
        let mut raw = house.login(user).await;
        let zero = Query(b"select 1\0; drop table u".to_vec());
        assert_eq!(say(&mut raw, &[zero]).await.failures().len(), 1);
    }
    still_reads(&mut house.login("reader").await).await;
    house.is_untouched().await;
}

#[tokio::test]
async fn row_29_hidden_in_plain_sight() {
    let mut house = House::start().await;
    let texts = [
        "select 1 --\r; drop table u",
        "/* /* */ ' */ drop table u -- '",
        "select $a$ $b$ $a$; drop table u --$b$ $a$",
        "select E'\\''; drop table u; --'",
        "select '\\'; drop table u; --'",
        "drop table U&\"\\0075\"",
        "drop table u&\"!0075\" uescape '!'",
        "drop\u{b}table u",
        "\u{feff}drop table u",
        "drop\u{a0}table u",
        "select 'a'\n'b'; drop table u",
        "select $$a$$; drop table u; select $$b$$",
    ];
    for user in ["reader", "noddl"] {
        refused(&mut house, user, &texts).await;
        let harmless = [
            "select 'drop table u; --'",
            "select $x$; drop table u; $x$",
            "select 1 as \"; drop table u; --\"",
            "/* drop table u; */ select 1 -- drop table u",
            "select 'it''s; drop table u', E'\\'; drop table u; --'",
        ];
        passes(&house, user, &harmless).await;
    }
    let steps = [p("", "select 1 --\r; drop table u"), Sync];
    refused_steps(&house, "noddl", &steps).await;
    house.is_untouched().await;
}
