use proptest::prelude::*;

use super::*;

#[test]
fn constants_are_replaced() {
    for (text, expected) in [
        ("select 1", "select ?"),
        (
            "select 1.5e-3, .5, 1_000, 0x1F, 1e5, 7.",
            "select ?, ?, ?, ?, ?, ?",
        ),
        ("select 'a''b' from t", "select ? from t"),
        (
            r"select 'a\' from t where b = 'c'",
            "select ? from t where b = ?",
        ),
        (r"select E'a\'b''c' from t", "select ? from t"),
        (r"select e'\\' from t", "select ? from t"),
        ("select U&'d\\0061t' uescape '!'", "select ? uescape ?"),
        ("select B'01', x'1F', N'n'", "select ?, ?, ?"),
        ("select $$a'b$$, $x$ $$ $y$ $x$", "select ?, ?"),
        ("select $1, $2::int", "select $1, $2::int"),
        ("select t1.a2 from t1", "select t1.a2 from t1"),
        ("select -1", "select -?"),
        ("select nameE'x'", "select nameE?"),
        ("select a$1$b$1$", "select a$1$b$1$"),
        ("select 1$$x$$", "select ??"),
        ("select 1E'x'", "select ??"),
    ] {
        assert_eq!(normalize(text), expected, "{text}");
    }
}

#[test]
fn a_string_goes_on_after_the_end_of_a_line() {
    assert_eq!(normalize("select 'a'\n  'b' x"), "select ? x");
    assert_eq!(normalize("select 'a' -- c\n -- d\n 'b' x"), "select ? x");
    // The second part is read as the first.
    assert_eq!(normalize("select E'a'\n'b\\'c' x"), "select ? x");
    assert_eq!(normalize("select E'a' 'b\\' x"), "select ? ? x");
}

#[test]
fn identifiers_in_quotes_stay() {
    assert_eq!(
        normalize(r#"select "a b""c", U&"d\0061" from "1""#),
        r#"select "a b""c", U&"d\0061" from "1""#
    );
}

#[test]
fn comments_and_white_space_go() {
    assert_eq!(
        normalize("/* a /* b */ 'c' */ select--d\n\t 1 /**/ ; -- e"),
        "select ? ;"
    );
    assert_eq!(normalize("select a--'\rfrom t"), "select a from t");
    assert_eq!(normalize("select a+--'\nb"), "select a+ b");
    assert_eq!(normalize("   "), "");
}

#[test]
fn lists_of_constants_are_cut() {
    for (text, expected) in [
        ("x in (1,2,3)", "x in (?, …)"),
        ("x in ( 1 , -2 , 'a' )", "x in ( ?, …)"),
        ("x in (-1, -2)", "x in (-?, …)"),
        ("x in (1)", "x in (?)"),
        ("array[1, 2]", "array[?, …]"),
        ("values (1, 'a'), (2, 'b')", "values (?, …), (?, …)"),
        ("f(1, a, 2, 3)", "f(?, a, ?, ?)"),
        ("f(1, 2 + a)", "f(?, ? + a)"),
        ("f(1, (2, 3), 4)", "f(?, (?, …), ?)"),
        ("select 1, 2, 3", "select ?, ?, ?"),
    ] {
        assert_eq!(normalize(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_terminated_swallows_the_rest() {
    for text in [
        "select a, 'secret, b",
        "select a, E'x\\'secret",
        "select a, $x$ secret $y$",
        "select a, \"secret",
        "select a, /* secret",
        "select a, /* /* secret */",
        "select a, E'\\",
    ] {
        let normal = normalize(text);
        assert!(normal.starts_with("select a,"), "{normal}");
        assert!(!normal.contains("secret"), "{normal}");
    }
}

/// A token and whether it is a constant or a comment; these hold the word that must not leak.
fn hidden() -> impl Strategy<Value = String> {
    let inside = prop::collection::vec(
        prop::sample::select(vec![
            "SECRET", "''", " ", "\n", "--", "/*", "\"", "$$", "é", "(",
        ]),
        1..5,
    )
    .prop_map(|parts| parts.concat() + "SECRET");
    let plain = inside.prop_flat_map(|inside| {
        let escaped = inside.replace('(', r"\'");
        prop::sample::select(vec![
            format!("'{inside}'"),
            format!("'{inside}\\'"),
            format!("E'{escaped}'"),
            format!("e'{escaped}'\n'{escaped}'"),
            format!("U&'{inside}'"),
            format!("x'{inside}'"),
            format!("$t${inside}$t$"),
            format!("$é1${inside}$é1$"),
            format!("-- {}\n", inside.replace('\n', " ")),
            format!("/* {} /* */ */", inside.replace("/*", "")),
        ])
    });
    prop_oneof![
        plain,
        Just("0x5EC2E7".to_owned()),
        Just("5.25e+7".to_owned())
    ]
}

fn shown() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "select", "e", "E", "u", "U", "x", "t1", "$1", "(", ")", ",", "+", "-", "/", "*", "&",
        "\"a'b\"", "U&\"'\"", "::int", ";", "é", "[", "]", ".", "a$b",
    ])
}

proptest! {
    #[test]
    fn no_constant_leaks(parts in prop::collection::vec(
        prop_oneof![hidden(), shown().prop_map(str::to_owned)], 0..20)
    ) {
        let text = parts.join(" ");
        let normal = normalize(&text);
        prop_assert!(!normal.contains("SECRET"), "{text:?} became {normal:?}");
        prop_assert!(!normal.contains("5EC2E7"), "{text:?} became {normal:?}");
        prop_assert!(!normal.contains("25"), "{text:?} became {normal:?}");
    }

    #[test]
    fn any_text_has_a_normal_form(text in "\\PC*") {
        normalize(&text);
    }

    #[test]
    fn hostile_texts_have_a_normal_form_and_no_strings(
        text in "[eEuUxX&'\"$\\\\\\-/*()\\[\\],;.0-9a_é\n\r \t+]{0,60}"
    ) {
        let normal = normalize(&text);
        // Outside quoted identifiers there is no quote left, and it is normal already.
        let outside: String = normal.split('"').step_by(2).collect();
        prop_assert!(!outside.contains('\''), "{text:?} became {normal:?}");
        prop_assert!(!normal.starts_with(' ') && !normal.ends_with(' '));
    }
}
