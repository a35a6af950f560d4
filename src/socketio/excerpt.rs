//! Excerpts of a client's text, so that a response is not much longer than the text it is about.
//!
//! A text from a client, or a message that repeats it, enters; a text of bounded length leaves.

use std::collections::VecDeque;
use std::fmt::{self, Write};

/// The beginning of a client's text. If the text is longer, an ellipsis follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<'a>(pub(crate) &'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(WORD) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
        }
    }
}

/// A message that may repeat a client's whole text, as serde's messages do. The middle of a long
/// one is removed: its beginning says what is wrong, and its end what was expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortened<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shortened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ends = Ends::default();
        write!(ends, "{}", self.0)?;
        f.write_str(&ends.head)?;
        if ends.is_cut {
            f.write_char('…')?;
        }
        ends.tail.iter().try_for_each(|last| f.write_char(*last))
    }
}

/// The two ends of a text.
#[derive(Default)]
struct Ends {
    head: String,
    taken: usize,
    tail: VecDeque<char>,
    is_cut: bool,
}

impl Write for Ends {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.taken < HEAD {
                self.head.push(character);
                self.taken += 1;
                continue;
            }
            self.tail.push_back(character);
            if self.tail.len() > TAIL {
                self.tail.pop_front();
                self.is_cut = true;
            }
        }
        Ok(())
    }
}

/// The number of characters of a client's text.
const WORD: usize = 64;

/// The number of characters at a message's beginning and at its end.
const HEAD: usize = 160;
const TAIL: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_cut_behind_its_last_character() {
        for character in ["x", "ö", "\u{7f}", "\u{1f600}"] {
            let fits = character.repeat(64);
            assert_eq!(Cut(&fits).to_string(), fits);
            let longer = character.repeat(65);
            assert_eq!(Cut(&longer).to_string(), format!("{fits}…"));
        }
        assert_eq!(Cut("").to_string(), "");
    }

    #[test]
    fn a_message_loses_its_middle() {
        for character in ["x", "ö", "\u{1f600}"] {
            let fits = character.repeat(HEAD + TAIL);
            assert_eq!(Shortened(&fits).to_string(), fits);
            let text = format!("begin {} end", character.repeat(900_000));
            let short = Shortened(&text).to_string();
            assert!(
                short.starts_with("begin ") && short.ends_with(" end"),
                "{short}"
            );
            assert_eq!(short.chars().count(), HEAD + 1 + TAIL);
        }
    }
}
