//! Any text, and any rules.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;

use crate::policy::classification::Classified;
use crate::policy::condition::Circumstances;
use crate::policy::judge::Judge;
use crate::policy::kind::Kind;
use crate::policy::role::{Role, RoleName};
use crate::policy::rule::Rule;
use crate::policy::sql::classify;
use crate::policy::verdict::Verdict;

proptest! {
    #[test]
    fn a_further_rule_never_permits(
        text in texts(),
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        further in any::<prop::sample::Index>(),
        default_deny in any::<bool>(),
    ) {
        let classified = classify(text.as_bytes()).map(Arc::new);
        let mut role = Role::free(RoleName::new("r"));
        role.default_deny = default_deny;
        for index in first {
            role.deny.push(rule_about(*index.get(Kind::ALL)));
        }
        let before = is_denied(&role, &classified);
        role.deny.push(rule_about(*further.get(Kind::ALL)));
        prop_assert!(!before || is_denied(&role, &classified), "{text}");
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}", mixed in texts()) {
        let _: Result<_, _> = classify(text.as_bytes());
        let _: Result<_, _> = classify(mixed.as_bytes());
    }
}

/// Words of the corpus in a new order, and its lines.
fn texts() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = include_str!("../../../../integration/access/corpus.tsv")
        .lines()
        .filter_map(|line| line.split('\t').nth(3))
        .filter(|text| text.len() < 200)
        .collect();
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
    prop_oneof![
        prop::sample::select(lines).prop_map(str::to_owned),
        prop::collection::vec(prop::sample::select(words), 1..12).prop_map(|words| words.join(" ")),
    ]
}

fn rule_about(kind: Kind) -> Rule {
    let mut rule = Rule::new("x");
    rule.statements = kind.into();
    rule
}

fn is_denied(role: &Role, classified: &Classified) -> bool {
    let judge = Judge {
        role,
        maintenance: &[],
        observe: false,
        at: Circumstances {
            now: SystemTime::UNIX_EPOCH,
            user: "u",
            address: Some(IpAddr::from([127, 0, 0, 1])),
            database: "d",
        },
    };
    matches!(judge.verdict(classified), Verdict::Deny(_))
}
