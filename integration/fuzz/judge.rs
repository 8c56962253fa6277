//! From a text to a verdict. The parser is not ours, and neither is what it is given.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use pgwarden::policy::classification::Classified;
use pgwarden::policy::condition::Circumstances;
use pgwarden::policy::functions::FunctionPattern;
use pgwarden::policy::judge::Judge;
use pgwarden::policy::kind::{Kind, Kinds};
use pgwarden::policy::pattern::TablePattern;
use pgwarden::policy::role::{ReadOnly, Role, RoleName};
use pgwarden::policy::rule::Rule;
use pgwarden::policy::sql::classify;
use pgwarden::policy::verdict::Verdict;

use crate::Target;

pub(crate) struct Texts;

impl Target for Texts {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let lines = include_str!("../access/corpus.tsv").lines().skip(1);
        let texts = lines.filter_map(|line| line.split('\t').nth(3));
        texts.map(|text| text.as_bytes().to_vec()).collect()
    }

    fn read(&mut self, input: &[u8]) {
        let classified = classify(input).map(Arc::new);
        if let Ok(classification) = &classified {
            let mut before = 0;
            for statement in &classification.statements {
                assert!(!statement.command.is_empty() && !statement.kinds.is_empty());
                assert!(statement.position >= before && statement.position < input.len());
                before = statement.position;
            }
        }
        // Whoever has no rule is refused nothing, whoever has a rule what cannot be judged.
        let mut role = Role::free(RoleName::new("r"));
        assert!(!is_denied(&role, &classified));
        role.read_only = ReadOnly::Always;
        assert!(classified.is_ok() || is_denied(&role, &classified));
        // A further rule, chosen by the input, never permits what was refused.
        for byte in input.iter().take(4) {
            let before = is_denied(&role, &classified);
            role.deny.push(rule(*byte));
            assert!(!before || is_denied(&role, &classified));
        }
    }
}

fn rule(byte: u8) -> Rule {
    let mut rule = Rule::new("x");
    let kind = Kind::ALL[usize::from(byte) % Kind::ALL.len()];
    match byte % 3 {
        0 => rule.statements = Kinds::from(kind),
        1 => rule.tables = TablePattern::parse("public.t*").into_iter().collect(),
        _ => rule.functions = FunctionPattern::parse("@write").into_iter().collect(),
    }
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
