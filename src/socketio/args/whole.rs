//! Whole numbers that are written with a fraction or an exponent, as `3.0` and `1e3`.
//!
//! JSON has one kind of number, and some languages write every number as a float: Lua, Swift, C#
//! and Java clients send `3.0` for 3. The text that a type has refused enters, and leaves with such
//! numbers written as integers. Text that is accepted as received is not changed, and strings are
//! not changed.

/// The text of arguments, with its whole numbers written as integers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Integers {
    /// The text; `None` if it is unchanged.
    pub(super) text: Option<String>,
    /// `true` if a whole number is above [`MAX_SAFE_INTEGER`] and is left unchanged.
    pub(super) has_unsafe: bool,
}

impl Integers {
    pub(super) fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut copied = 0;
        let mut at = 0;
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(at) {
            let end = match byte {
                b'"' => end_of_string(bytes, at),
                b'-' | b'0'..=b'9' => end_of_number(bytes, at),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let token = text.get(at..end).unwrap_or_default();
            match Number::parse(token) {
                Number::Whole(digits) => {
                    let rewritten = found.text.get_or_insert_default();
                    rewritten.push_str(text.get(copied..at).unwrap_or_default());
                    rewritten.push_str(&digits);
                    copied = end;
                }
                Number::Unsafe => found.has_unsafe = true,
                Number::Other => {}
            }
            at = end;
        }
        if let Some(rewritten) = &mut found.text {
            rewritten.push_str(text.get(copied..).unwrap_or_default());
        }
        found
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    length.map_or(bytes.len(), |length| start + length)
}

/// The meaning of a token of JSON.
enum Number {
    /// A whole number with a fraction or an exponent: its digits as an integer.
    Whole(String),
    /// The same, but above [`MAX_SAFE_INTEGER`].
    Unsafe,
    /// An integer, a number that is not whole, a string.
    Other,
}

impl Number {
    fn parse(token: &str) -> Self {
        let (mantissa, exponent) = match token.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (token, None),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) => (integer, Some(fraction)),
            None => (mantissa, None),
        };
        if exponent.is_none() && fraction.is_none() && token != "-0" {
            return Self::Other;
        }
        let (sign, integer) = match integer.strip_prefix('-') {
            Some(integer) => ("-", integer),
            None => ("", integer),
        };
        let fraction = fraction.unwrap_or_default();
        let digits = [integer, fraction].concat();
        let significant = digits.trim_end_matches('0');
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty() {
            return Self::Other;
        }
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            // Without the sign, because `-0` is a float.
            return Self::Whole("0".to_owned());
        }
        let exponent: i64 = match exponent.map_or(Ok(0), str::parse) {
            Ok(exponent) => exponent,
            // Too long for any real number.
            Err(_) => return Self::Other,
        };
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        // The number of zeros after the significant digits; below 0 they have a fraction.
        let follow = exponent
            .saturating_sub(signed(fraction.len()))
            .saturating_add(signed(zeros));
        let Ok(follow) = usize::try_from(follow) else {
            return Self::Other;
        };
        if significant.len().saturating_add(follow) > SAFE_DIGITS {
            return Self::Unsafe;
        }
        let whole = [significant, &"0".repeat(follow)].concat();
        match whole.parse::<u64>() {
            Ok(number) if number <= MAX_SAFE_INTEGER => Self::Whole([sign, &whole].concat()),
            _ => Self::Unsafe,
        }
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The largest integer whose neighbours are different floats: JavaScript's
/// `Number.MAX_SAFE_INTEGER`. A larger one that is written as a float may have been rounded.
pub(in crate::socketio) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The digits of [`MAX_SAFE_INTEGER`].
const SAFE_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Integers, MAX_SAFE_INTEGER};

    #[test]
    fn whole_numbers_become_integers() {
        let table = [
            ("3.0", "3"),
            ("-3.00", "-3"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("-0", "0"),
            ("0e5", "0"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("1.5e1", "15"),
            ("100e-2", "1"),
            ("12300.0e-2", "123"),
            ("9007199254740991.0", "9007199254740991"),
            (r#"[1.0,{"a":2.0,"b":"3.0"}]"#, r#"[1,{"a":2,"b":"3.0"}]"#),
            (r#""\"1.0",2.0"#, r#""\"1.0",2"#),
            ("1,2.5,3.0,true", "1,2.5,3,true"),
        ];
        for (text, expected) in table {
            let found = Integers::of(text);
            assert_eq!(found.text.as_deref(), Some(expected), "{text}");
            assert!(!found.has_unsafe, "{text}");
        }
    }

    #[test]
    fn other_texts_are_unchanged() {
        for text in [
            "",
            "3",
            "-1",
            "3.5",
            "1e-1",
            "0.1e0",
            "12345e-2",
            r#""3.0""#,
            r#""3.0"#,
            r#""\"#,
            "true",
            "-",
            "1.e",
            ".",
            "1e99999999999999999999",
            "1e-99999999999999999999",
        ] {
            assert_eq!(Integers::of(text), Integers::default(), "{text}");
        }
    }

    #[test]
    fn numbers_that_a_float_does_not_hold_apart_are_named() {
        for text in ["9007199254740992.0", "9007199254740993.0", "1e16", "1e300"] {
            let found = Integers::of(text);
            assert_eq!(found.text, None, "{text}");
            assert!(found.has_unsafe, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9.eE\"\\\\,é]{0,24}") {
            Integers::of(&text);
        }

        #[test]
        fn floats_become_the_integers_that_they_are(
            number in -(MAX_SAFE_INTEGER as i64)..=MAX_SAFE_INTEGER as i64
        ) {
            for text in [format!("{number}.0"), format!("{:e}", number as f64)] {
                let found = Integers::of(&text);
                let read = found.text.as_deref().unwrap_or(&text);
                prop_assert_eq!(read, number.to_string());
            }
        }
    }
}
