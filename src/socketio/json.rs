//! JSON that is checked and split, but not parsed.
//!
//! A packet's text and the position of its JSON enter. Slices of it leave, or the position of an
//! error. The scanner makes one pass from left to right, in a loop, with one bit per open bracket.
//! So nesting costs a client's packet no stack, and no memory below 65 levels.
//!
//! It depends on JSON (RFC 8259), not on packets. `serde_json` can deserialize any JSON that
//! passes, with two exceptions: a number may be too large for its type, and a string with half of a
//! surrogate pair is not a `String`.

use std::ops::Range;

use crate::socketio::error::DecodeError;

/// Receives the tokens that a [`Scanner`] finds, in order.
pub(super) trait Observer<'a> {
    /// A bracket, square or curly, was opened.
    fn open(&mut self);
    /// The key of an object's next member, with its quotes and escapes.
    fn key(&mut self, quoted: &'a str);
    /// A string, number, boolean or null, as written.
    fn scalar(&mut self, text: &'a str);
    /// The innermost bracket was closed.
    fn close(&mut self) -> Result<(), DecodeError>;
}

/// Ignores all tokens.
impl<'a> Observer<'a> for () {
    fn open(&mut self) {}
    fn key(&mut self, _: &'a str) {}
    fn scalar(&mut self, _: &'a str) {}
    fn close(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A position in a text, moving over valid JSON.
///
/// Every position, and so every slice boundary, is at an ASCII character.
#[derive(Debug)]
pub(super) struct Scanner<'a, O> {
    text: &'a str,
    at: usize,
    brackets: Brackets,
    limit: usize,
    observer: O,
}

impl<'a, O: Observer<'a>> Scanner<'a, O> {
    /// Starts at a position of a text; no more than `limit` brackets may be open at once.
    pub(super) fn new(text: &'a str, at: usize, limit: usize, observer: O) -> Self {
        Self {
            text,
            at,
            brackets: Brackets::default(),
            limit,
            observer,
        }
    }

    /// Moves to the next byte that is not whitespace, and returns it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte();
            if !matches!(byte, Some(b' ' | b'\t' | b'\n' | b'\r')) {
                return byte;
            }
            self.at += 1;
        }
    }

    /// Reads one whole value.
    pub(super) fn value(&mut self) -> Result<&'a str, DecodeError> {
        self.peek();
        let start = self.at;
        self.run(Expect::Value)?;
        Ok(self.slice(start..self.at))
    }

    /// Reads a `[`.
    pub(super) fn enter_array(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Some(b'[') => self.open(false),
            _ => Err(self.invalid()),
        }
    }

    /// Reads one string or number, directly after [`enter_array`](Self::enter_array).
    pub(super) fn scalar(&mut self) -> Result<&'a str, DecodeError> {
        let text = match self.peek() {
            Some(b'"') => self.string()?,
            _ => self.number()?,
        };
        self.observer.scalar(text);
        Ok(text)
    }

    /// Moves to the end of the entered array and returns its elements. The first element and its
    /// comma are omitted if they were read already.
    pub(super) fn leave_array(&mut self, first: First) -> Result<&'a str, DecodeError> {
        let comma = self.peek() == Some(b',');
        let (start, expect) = match first {
            First::Ahead => (self.at, Expect::ElementOrEnd),
            First::Behind => (self.at + usize::from(comma), Expect::CommaOrEnd),
        };
        self.run(expect)?;
        let elements = self.slice(start..self.at - 1);
        Ok(elements.trim_matches(WHITESPACE))
    }

    /// Returns an error if text follows.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.invalid()),
        }
    }

    /// Returns the unread text.
    pub(super) fn rest(&self) -> &'a str {
        self.slice(self.at..self.text.len())
    }

    /// Reads until no bracket is open.
    fn run(&mut self, mut expect: Expect) -> Result<(), DecodeError> {
        loop {
            expect = match (expect, self.peek()) {
                (Expect::ElementOrEnd, Some(b']')) | (Expect::KeyOrEnd, Some(b'}')) => {
                    self.close()?
                }
                (Expect::Key | Expect::KeyOrEnd, Some(b'"')) => self.key()?,
                (Expect::Value | Expect::ElementOrEnd, Some(byte)) => self.start_value(byte)?,
                (Expect::CommaOrEnd, Some(b',')) => {
                    self.at += 1;
                    if self.brackets.innermost_is_object() {
                        Expect::Key
                    } else {
                        Expect::Value
                    }
                }
                (Expect::CommaOrEnd, Some(b'}')) if self.brackets.innermost_is_object() => {
                    self.close()?
                }
                (Expect::CommaOrEnd, Some(b']')) if !self.brackets.innermost_is_object() => {
                    self.close()?
                }
                _ => return Err(self.invalid()),
            };
            if self.brackets.depth == 0 {
                return Ok(());
            }
        }
    }

    fn start_value(&mut self, byte: u8) -> Result<Expect, DecodeError> {
        let scalar = match byte {
            b'[' => {
                self.open(false)?;
                return Ok(Expect::ElementOrEnd);
            }
            b'{' => {
                self.open(true)?;
                return Ok(Expect::KeyOrEnd);
            }
            b'"' => self.string()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => self.number()?,
        };
        self.observer.scalar(scalar);
        Ok(Expect::CommaOrEnd)
    }

    fn open(&mut self, is_object: bool) -> Result<(), DecodeError> {
        if self.brackets.depth >= self.limit {
            return Err(DecodeError::TooDeep { limit: self.limit });
        }
        self.at += 1;
        self.brackets.push(is_object);
        self.observer.open();
        Ok(())
    }

    fn close(&mut self) -> Result<Expect, DecodeError> {
        self.at += 1;
        self.brackets.pop();
        self.observer.close()?;
        Ok(Expect::CommaOrEnd)
    }

    fn key(&mut self) -> Result<Expect, DecodeError> {
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.invalid());
        }
        self.at += 1;
        self.observer.key(key);
        Ok(Expect::Value)
    }

    /// Reads a string and returns it with its quotes.
    fn string(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.slice(start..self.at));
                }
                Some(b'\\') => self.escape()?,
                // A raw control character, or the end of the text.
                _ => return Err(self.invalid()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), DecodeError> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            // RFC 8259, 8.2: half of a surrogate pair is grammatical, and browsers send it. A
            // `String` cannot hold it, so an event that is read as one is rejected later.
            Some(b'u') => self.code_unit(),
            _ => {
                self.at += 1;
                Err(self.invalid())
            }
        }
    }

    /// Reads a `\u` and its four digits.
    fn code_unit(&mut self) -> Result<(), DecodeError> {
        self.at += 2;
        for _ in 0..4 {
            let digit = self.byte().filter(u8::is_ascii_hexdigit);
            digit.ok_or_else(|| self.invalid())?;
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<&'a str, DecodeError> {
        let start = self.at;
        for expected in literal.bytes() {
            if self.byte() != Some(expected) {
                return Err(self.invalid());
            }
            self.at += 1;
        }
        Ok(self.slice(start..self.at))
    }

    // RFC 8259, 6: no leading zeros, and a digit on both sides of the point.
    fn number(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.slice(start..self.at))
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.invalid());
        }
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    fn invalid(&self) -> DecodeError {
        DecodeError::InvalidJson { offset: self.at }
    }
}

/// The state of the first element of an entered array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Not read yet, if there is one.
    Ahead,
    /// Read.
    Behind,
}

/// Returns the position of the first quote, backslash or control character from `at` on, or the
/// end.
fn plain_end(text: &[u8], mut at: usize) -> usize {
    at = skip_plain::<64>(text, at);
    at = skip_plain::<16>(text, at);
    // Eight bytes at a time: in `word ^ 0x22…` a zero byte is a quote. Subtracting one from each
    // byte borrows from the high bit of a zero byte. A borrow changes only bits above the first
    // hit, so counting zeros from below finds the right one.
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH_BITS;

    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH_BITS;
        let quote = zeros(word ^ (ONES * u64::from(b'"')));
        let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = control | quote | backslash;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(&byte) = text.get(at)
        && byte >= 0x20
        && byte != b'"'
        && byte != b'\\'
    {
        at += 1;
    }
    at
}

/// Skips whole blocks of plain bytes.
#[inline(always)]
fn skip_plain<const BLOCK: usize>(text: &[u8], mut at: usize) -> usize {
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        // The loop over one block has no early exit, so the compiler uses a few vector
        // instructions.
        let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        if block
            .iter()
            .fold(false, |found, byte| found | is_special(byte))
        {
            break;
        }
        at += BLOCK;
    }
    at
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
}

/// The open brackets: one bit each, the innermost is the lowest.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    inner: u64,
    outer: Vec<u64>,
}

impl Brackets {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.inner >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    fn innermost_is_object(&self) -> bool {
        self.inner & 1 == 1
    }
}

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn validate(text: &str, limit: usize) -> Result<(), DecodeError> {
        let mut scanner = Scanner::new(text, 0, limit, ());
        scanner.value()?;
        scanner.end()
    }

    /// Returns whether serde_json accepts the text; `None` if its error is not about
    /// well-formedness: a number beyond f64, or its own recursion limit.
    fn accepted_by_serde_json(text: &str) -> Option<bool> {
        match serde_json::from_str::<Value>(text) {
            Ok(_) => Some(true),
            Err(error) => {
                let error = error.to_string();
                let beside_the_point = [
                    "out of range",
                    "recursion limit",
                    "surrogate",
                    "end of hex escape",
                ]
                .iter()
                .any(|cause| error.contains(cause));
                (!beside_the_point).then_some(false)
            }
        }
    }

    #[test]
    fn well_formed_json_is_accepted() {
        for text in [
            "0",
            "-0",
            "12",
            "-1.5e+10",
            "1E5",
            "0.0",
            "0e-1",
            "1e999",
            "true",
            "false",
            "null",
            "\"\"",
            "\"é😀\"",
            r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ufFfF""#,
            "\"\u{7f}\u{2028}\"",
            "[]",
            "{}",
            " [ ] ",
            "\t{\r}\n",
            "[[],{}]",
            "[1 , 2]",
            r#"{"a":1,"a":[{}]}"#,
            r#"{ "a" : 1 , "b" : null }"#,
        ] {
            assert_eq!(validate(text, 128), Ok(()), "{text:?}");
            assert_ne!(accepted_by_serde_json(text), Some(false), "{text:?}");
        }
    }

    fn assert_refused(table: &[(&str, usize)]) {
        for &(text, offset) in table {
            let refused = Err(DecodeError::InvalidJson { offset });
            assert_eq!(validate(text, 128), refused, "{text:?}");
            assert_eq!(accepted_by_serde_json(text), Some(false), "{text:?}");
        }
    }

    #[test]
    fn malformed_scalars_are_refused_where_they_go_wrong() {
        assert_refused(&[
            ("", 0),
            (" ", 1),
            ("nul", 3),
            ("nulL", 3),
            ("True", 0),
            ("NaN", 0),
            ("undefined", 0),
            ("+1", 0),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("1e+", 3),
            ("-a", 1),
            ("0x1", 1),
            ("1 2", 2),
            ("\"", 1),
            ("\"a", 2),
            ("\"\n\"", 1),
            ("\"abcdefgh\0\"", 9),
            ("\"\u{1f}\"", 1),
            (r#""\x""#, 2),
            (r#""\"#, 2),
            (r#""\u12g4""#, 5),
            (r#""\u123"#, 6),
            ("'a'", 0),
            ("//", 0),
            ("\u{feff}1", 0),
            (r#""\ud800\u12""#, 11),
        ]);
    }

    #[test]
    fn malformed_containers_are_refused_where_they_go_wrong() {
        assert_refused(&[
            ("[", 1),
            ("[1", 2),
            ("[1,", 3),
            ("[1,]", 3),
            ("[,1]", 1),
            ("[1 2]", 3),
            ("[}", 1),
            ("[1}", 2),
            ("]", 0),
            ("}", 0),
            ("{", 1),
            ("{]", 1),
            ("{1:2}", 1),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{\"a\":1,}", 7),
            ("{\"a\":1]", 6),
            ("{,}", 1),
            ("{\"a\" 1}", 5),
            ("[]]", 2),
            ("{}x", 2),
            ("[1]é", 3),
            ("[\u{a0}]", 1),
            ("[\u{b}]", 1),
            ("{\"a\":[1,{\"b\":2}}]", 15),
            ("[1,2,,3]", 5),
        ]);
    }

    #[test]
    fn halves_of_surrogate_pairs_pass() {
        for text in [
            r#""\ud800""#,
            r#""ab\udc00""#,
            r#""\ud800\ud800""#,
            r#""\ud800x""#,
            r#""\udc00\ud800""#,
            r#"{"\ud800":1}"#,
            r#""\ud7ff""#,
            r#""\ud800\udc00""#,
        ] {
            assert_eq!(validate(text, 128), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_depth_limit_is_the_last_depth_that_passes() {
        for limit in [1, 2, 63, 64, 65, 127, 128, 129, 200] {
            let nested = |depth: usize| {
                let open = "[{\"a\":".repeat(depth / 2);
                let close = "}]".repeat(depth / 2);
                if depth.is_multiple_of(2) {
                    format!("{open}1{close}")
                } else {
                    format!("{open}[]{close}")
                }
            };
            assert_eq!(validate(&nested(limit), limit), Ok(()), "{limit}");
            assert_eq!(
                validate(&nested(limit + 1), limit),
                Err(DecodeError::TooDeep { limit }),
                "{limit}"
            );
        }
    }

    #[test]
    fn brackets_must_match_beyond_the_first_word_of_them() {
        let open = "[{\"a\":".repeat(70);
        let close = "}]".repeat(70);
        assert_eq!(validate(&format!("{open}1{close}"), 200), Ok(()));
        for wrong in 0..140 {
            let mut close = close.clone().into_bytes();
            close[wrong] ^= b']' ^ b'}';
            let text = format!("{open}1{}", String::from_utf8(close).unwrap());
            assert!(validate(&text, 200).is_err(), "{wrong}");
        }
    }

    #[test]
    fn forty_thousand_brackets_are_refused_at_the_limit() {
        let text = "[".repeat(40_000);
        let mut scanner = Scanner::new(&text, 0, 128, ());
        assert_eq!(scanner.value(), Err(DecodeError::TooDeep { limit: 128 }));
        assert_eq!(scanner.at, 128);
    }

    #[test]
    fn every_position_in_a_word_is_looked_at() {
        for length in 0..40 {
            for special in ["\"", "\\", "\0", "\u{1f}"] {
                let text = format!("{}{special}\"\"\0\u{80}é", "é ~\u{7f}#!]["[..].repeat(5));
                let plain = text.find(special).unwrap();
                assert_eq!(plain_end(text.as_bytes(), length.min(plain)), plain);
            }
            let text = format!("{}\"{}", "x".repeat(length), "\u{1}".repeat(9));
            assert_eq!(plain_end(text.as_bytes(), 0), length);
        }
    }

    fn jsonish() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"a\"", "\"", "\\", "\\u", "d800", "\\udc00", "\\n",
            "0", "1", "-", ".", "e", "E", "+", "true", "false", "null", " ", "\n", "é", "\u{1}",
            "x", "[]", "{}", "{\"a\":", "],", "},", "\"b\":1", "1,", "1e999",
        ]);
        prop_oneof![
            prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat()),
            "[\\[\\]{}:,\"\\\\/ue0-9a-f.+\\- tn]{0,20}",
        ]
    }

    /// Valid JSON with one character changed, doubled or left out.
    fn nearly_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "\"([ a-zé😀]|\\\\[nrt\"\\\\/]|\\\\u[0-9a-f]{4}){0,12}\"",
        ];
        let value = leaf.prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|elements| format!("[{}]", elements.join(","))),
                prop::collection::vec(inner, 0..4).prop_map(|values| {
                    let members: Vec<_> = values
                        .iter()
                        .map(|value| format!("\"k\" : {value}"))
                        .collect();
                    format!("{{{}}}", members.join(" , "))
                }),
            ]
        });
        (
            value,
            any::<prop::sample::Index>(),
            0..4,
            "[\\[\\]{}:,\"\\\\0-9e.\\- \n\u{1}]",
        )
            .prop_map(|(text, index, change, other)| {
                let mut characters: Vec<_> = text.chars().map(String::from).collect();
                let index = index.index(characters.len());
                match change {
                    0 => {}
                    1 => characters[index] = other,
                    2 => characters.insert(index, other),
                    _ => drop(characters.remove(index)),
                }
                characters.concat()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_scanner_agrees_with_serde_json(text in prop_oneof![jsonish(), nearly_json()]) {
            // serde_json differs in three things that are not about well-formedness: it accepts
            // numbers beyond f64 and halves of surrogate pairs, and its depth limit is set by its
            // caller.
            if let Some(accepted) = accepted_by_serde_json(&text) {
                prop_assert_eq!(validate(&text, 128).is_ok(), accepted, "{}", text);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), at in 0..20usize) {
            let mut scanner = Scanner::new(&text, at, 3, ());
            let _ = scanner.value();
            let _ = scanner.leave_array(First::Behind);
        }
    }
}
