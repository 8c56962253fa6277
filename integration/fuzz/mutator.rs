//! From well-formed inputs to others that are nearly so.

use crate::random::Random;

/// An input of the corpus with a few changes.
pub(crate) fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        change(&mut input, corpus, random);
    }
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = at + random.below(input.len() - at + 1);
    match random.below(9) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        3 => input.insert(at, random.pick(&BYTES)),
        4 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        5 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.pick(&BYTES);
            }
        }
        6 => {
            let number = random.pick(&NUMBERS).to_be_bytes();
            for (byte, new) in input.iter_mut().skip(at).zip(number) {
                *byte = new;
            }
        }
        7 => {
            let other = &corpus[random.below(corpus.len())];
            input.splice(at..end, other.iter().copied());
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend(&other[from..]);
        }
    }
    input.truncate(MAX_LEN);
}

/// Bytes that mean something somewhere, or are at an end of a range.
const BYTES: [u8; 20] = [
    0, 1, 0x16, 0x20, 0x7f, 0x80, 0xc3, 0xff, b'"', b'$', b',', b'=', b'-', b'\\', b'E', b'S',
    b'Z', b'd', b'p', b'9',
];
/// Lengths and counts that overflow something.
const NUMBERS: [i32; 12] = [
    i32::MIN,
    -5,
    -1,
    0,
    1,
    3,
    4,
    5,
    8,
    65_536,
    i32::MAX - 4,
    i32::MAX,
];
const MAX_LEN: usize = 1 << 17;
