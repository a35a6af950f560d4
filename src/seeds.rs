//! Inputs for the tests of the decoders: the seeds of `tests/seeds`, and mutations of them.
//!
//! The name of a codec enters, which is that of its folder, and a function that reads one input.
//! The function is called with each seed, and with inputs that differ from a seed in a few places.
//! It panics if an input is misread; the input is then written to the output, and may become a
//! seed.
//!
//! `FUZZ_ROUNDS` is the number of mutations of each seed, `FUZZ_SEED` the beginning of the random
//! numbers. The right output of a decoder is not known here.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Calls `read` with each seed of a codec, and with mutations of each.
///
/// # Panics
///
/// If `read` panics, or if the codec has no seeds.
pub(crate) fn replay(codec: &str, read: impl FnMut(&[u8])) {
    replay_all(codec, &seeds(codec), read);
}

/// The same for seeds that a test has elsewhere.
///
/// # Panics
///
/// The same as of [`replay`].
pub(crate) fn replay_all(codec: &str, seeds: &[Vec<u8>], mut read: impl FnMut(&[u8])) {
    assert!(!seeds.is_empty(), "no seeds of {codec}");
    let mut check = |input: &[u8]| {
        let is_read = catch_unwind(AssertUnwindSafe(|| read(input))).is_ok();
        assert!(is_read, "input of {codec}: {}", input.escape_ascii());
    };
    for seed in seeds {
        check(seed);
    }
    let mut random = Random(number("FUZZ_SEED", 0x2545_F491_4F6C_DD1D).max(1));
    for seed in seeds {
        for _ in 0..number("FUZZ_ROUNDS", 100) {
            let mut input = seed.clone();
            for _ in 0..=random.below(3) {
                mutate(&mut input, seeds, &mut random);
            }
            check(&input);
        }
    }
}

fn seeds(codec: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    let files = fs::read_dir(folder.join(codec)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// Changes one place of an input.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(LONGEST) + 1);
    match random.below(6) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = BYTES[random.below(BYTES.len())];
            }
        }
        2 => drop(input.drain(at..end)),
        3 => {
            let copied = input[at..end].to_vec();
            drop(input.splice(at..at, copied));
        }
        4 => {
            let inserted = TEXTS[random.below(TEXTS.len())].bytes();
            drop(input.splice(at..at, inserted));
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

/// A generator of numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The longest part that is removed or repeated at once.
const LONGEST: usize = 40;

/// Bytes that begin, end or separate something in one of the codecs.
const BYTES: &[u8] = b"\x00\x01\x1e\x7f\x80\xbf\xc0\xed\xf4\xff0149:,;=-\"\\[]{}%&+/\r\n b";

/// Texts that are a number beyond a limit, a character of several bytes, or a part of a packet.
const TEXTS: &[&str] = &[
    "99999999999999999999",
    "4294967296",
    "-1",
    "1e9",
    "\u{2028}",
    "\u{1F600}",
    "\u{FFFF}",
    "\\ud83d",
    "[[[[[[[[",
    "{\"_placeholder\":true,\"num\":0}",
    "%ff",
    "b4AQID",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_and_are_the_same_in_each_run() {
        let run = || {
            let mut inputs = Vec::new();
            replay("query", |input| inputs.push(input.to_vec()));
            inputs
        };
        let inputs = run();
        assert_eq!(inputs, run());
        let seeds = seeds("query");
        let changed = inputs.iter().filter(|input| !seeds.contains(input));
        assert!(changed.count() > inputs.len() / 2);
    }

    #[test]
    #[should_panic(expected = "input of query: ")]
    fn a_misread_input_fails_the_test() {
        replay("query", |input| assert!(input.is_empty()));
    }
}
