//! Texts that are none, too deep or too long.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::policy::classification::Unclassifiable;
use crate::policy::sql::classify;

#[test]
fn what_is_no_text_is_refused() {
    for text in [
        &b"select 'a\xff'"[..],
        b"select '\xc0\xa7'",
        b"select 1\0; drop table u",
    ] {
        assert_eq!(classify(text), Err(Unclassifiable::Encoding));
    }
    for text in [
        "selec 1",
        "select 'secret",
        "select 'it's secret'",
        "\u{feff}select 1",
    ] {
        let Err(Unclassifiable::Syntax(words)) = classify(text.as_bytes()) else {
            panic!("{text} passes");
        };
        assert!(
            !words.contains("secret") && !words.contains("Invalid"),
            "{words}"
        );
    }
}

#[test]
fn a_million_levels_end_in_an_error_and_not_in_a_crash() {
    let shapes: [(&str, &str, &str); 6] = [
        ("select ", "(", ""),
        ("select ", "(select ", ""),
        ("select ", "not ", "true"),
        ("select ", "f(", ""),
        ("", "with a as (", ""),
        ("select ", "- ", "1"),
    ];
    let small = thread::Builder::new().stack_size(2 << 20);
    let run = small.spawn(move || {
        for (head, level, tail) in shapes {
            let text = format!("{head}{}{tail}", level.repeat(1_000_000));
            // Refused or not, it comes back.
            let _: Result<_, _> = classify(text.as_bytes());
        }
        let closed = format!("select {}1{}", "(".repeat(1_000_000), ")".repeat(1_000_000));
        assert!(matches!(
            classify(closed.as_bytes()),
            Err(Unclassifiable::Syntax(_))
        ));
    });
    run.unwrap().join().unwrap();
}

#[test]
fn a_long_text_takes_a_while_and_passes() {
    let run = thread::Builder::new().stack_size(64 << 20).spawn(|| {
        let started = Instant::now();
        let operands = "||'a'".repeat(1_000_000 / 5);
        let text = format!("select 'a'{operands}");
        assert!(classify(text.as_bytes()).is_ok());
        // Every query of many has a name, and each of them is looked up.
        let mut many = String::from("with a0 as (select 1)");
        for number in 1..20_000 {
            write!(many, ", a{number} as (table a{})", number - 1).unwrap();
        }
        many.push_str(" select f1(), f2() from a9");
        let classification = classify(many.as_bytes()).unwrap();
        assert!(classification.statements[0].relations.is_empty());
        let calls: String = (0..50_000).map(|n| format!("f{n}(),")).collect();
        let classification = classify(format!("select {calls} 1").as_bytes()).unwrap();
        assert_eq!(classification.statements[0].functions.len(), 50_000);
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
    });
    run.unwrap().join().unwrap();
}
