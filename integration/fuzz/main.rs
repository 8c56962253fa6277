//! Throws broken bytes at everything that reads a peer's bytes, and looks for panics.
//!
//! Each target runs for `FUZZ_SECONDS` (2). `FUZZ_TARGET` names one of them; `FUZZ_SEED` and
//! `FUZZ_ITERATION` repeat a finding.

mod judge;
mod live;
mod mutator;
mod parsers;
#[path = "../protocol/model/random.rs"]
#[expect(dead_code, reason = "the model test uses the rest of it")]
mod random;
mod scram;
#[path = "../protocol/script/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the protocol tests use the rest of it"
)]
mod script;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use mutator::mutate;
use random::Random;

/// Something that reads bytes.
pub(crate) trait Target {
    fn name(&self) -> &'static str;

    /// Well-formed inputs.
    fn corpus(&self) -> Vec<Vec<u8>>;

    /// Reads one input; a panic is a finding.
    fn read(&mut self, input: &[u8]);
}

fn main() -> ExitCode {
    let seed = number("FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| now.as_secs())
    });
    let only = env::var("FUZZ_TARGET").ok();
    let mut targets: Vec<Box<dyn Target>> = parsers::targets();
    targets.extend(scram::targets());
    targets.push(Box::new(judge::Texts));
    targets.push(Box::new(live::Live::default()));
    let mut clean = true;
    for target in &mut targets {
        if only.as_deref().is_none_or(|only| only == target.name()) {
            clean &= fuzz(&mut **target, seed);
        }
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether there was no finding.
fn fuzz(target: &mut dyn Target, seed: u64) -> bool {
    let corpus = target.corpus();
    for input in &corpus {
        target.read(input);
    }
    let limit = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(2));
    let one = number("FUZZ_ITERATION");
    let began = Instant::now();
    let mut iteration = one.unwrap_or(0);
    while began.elapsed() < limit {
        let mut random = Random::new(seed.wrapping_add(iteration << 20));
        let input = mutate(&corpus, &mut random);
        if catch_unwind(AssertUnwindSafe(|| target.read(&input))).is_err() {
            println!(
                "{}: FINDING with FUZZ_SEED={seed} FUZZ_ITERATION={iteration}: b\"{}\"",
                target.name(),
                input.escape_ascii()
            );
            return false;
        }
        if one.is_some() {
            break;
        }
        iteration += 1;
    }
    println!(
        "{}: {iteration} inputs, seed {seed}, no finding",
        target.name()
    );
    true
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().expect("the variable is a number"))
}
