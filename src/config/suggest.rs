//! What a mistyped word was meant to be.

/// The candidate closest to `word`, if one is close enough to be worth naming.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| {
            distance <= 1 + word.len().min(candidate.len()) / 4 || is_longer_name(word, candidate)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `pool_size` for `size`: PgBouncer's names often have ours at their end.
fn is_longer_name(word: &str, candidate: &str) -> bool {
    word.strip_suffix(candidate)
        .is_some_and(|rest| rest.ends_with('_'))
}

/// Insertions, deletions, replacements and swaps of neighbours from one to the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognized() {
        let known = ["size", "min_size", "mode", "server_lifetime"];
        for (word, meant) in [
            ("sizee", Some("size")),
            ("szie", Some("size")),
            ("min-size", Some("min_size")),
            ("server_life_time", Some("server_lifetime")),
            ("pool_size", Some("size")),
            ("colour", None),
        ] {
            assert_eq!(closest(word, known.into_iter()), meant, "{word}");
        }
    }
}
