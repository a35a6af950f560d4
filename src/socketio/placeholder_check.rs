//! Checks that each placeholder in a binary packet's JSON has its attachment.
//!
//! The tokens of the scanner enter; an error leaves if a placeholder is wrong. Only binary packets
//! are checked: in others a placeholder is ordinary data. Another module replaces placeholders by
//! attachments.

use crate::socketio::error::{DecodeError, Excerpt};
use crate::socketio::json::{Observer, Scanner};

/// Checks an event's list, without its brackets, that another node sent with `attachments`
/// attachments.
#[allow(dead_code, reason = "adapters take such")]
pub(crate) fn check_placeholders(list: &str, attachments: usize) -> Result<(), DecodeError> {
    let list = format!("[{list}]");
    let check = PlaceholderCheck::new(attachments);
    Scanner::new(&list, 0, usize::MAX, check).value().map(drop)
}

/// Looks for objects with `"_placeholder":true`, in any order of keys and with any other keys. It
/// uses the last of several equal keys, as JavaScript does.
#[derive(Debug)]
pub(super) struct PlaceholderCheck<'a> {
    attachments: usize,
    seen: usize,
    open: Vec<Container<'a>>,
}

impl PlaceholderCheck<'_> {
    /// Makes a check for a packet with `attachments` attachments.
    pub(super) fn new(attachments: usize) -> Self {
        Self {
            attachments,
            seen: 0,
            open: Vec::new(),
        }
    }
}

impl<'a> Observer<'a> for PlaceholderCheck<'a> {
    fn open(&mut self) {
        // A container is the value of one of the two keys.
        self.set(None);
        self.open.push(Container::default());
    }

    fn key(&mut self, quoted: &'a str) {
        if let Some(innermost) = self.open.last_mut() {
            innermost.member = Member::named(quoted);
        }
    }

    fn scalar(&mut self, text: &'a str) {
        self.set(Some(text));
    }

    // Socket.IO v5, Packet encoding: `num` is the attachment's index.
    fn close(&mut self) -> Result<(), DecodeError> {
        let Some(closed) = self.open.pop() else {
            return Ok(());
        };
        if !closed.is_placeholder {
            return Ok(());
        }
        let num = closed.num.ok_or(DecodeError::PlaceholderWithoutNum)?;
        if !num.parse().is_ok_and(|num: usize| num < self.attachments) {
            return Err(DecodeError::PlaceholderOutOfRange {
                num: Excerpt::of(num),
                attachments: self.attachments,
            });
        }
        // The encoders give every placeholder a new number, even for the same data. Otherwise
        // thousands of placeholders for one attachment would make a small packet deserialize into a
        // huge value.
        self.seen += 1;
        if self.seen > self.attachments {
            return Err(DecodeError::TooManyPlaceholders {
                attachments: self.attachments,
            });
        }
        Ok(())
    }
}

impl<'a> PlaceholderCheck<'a> {
    fn set(&mut self, scalar: Option<&'a str>) {
        let Some(innermost) = self.open.last_mut() else {
            return;
        };
        match innermost.member {
            Member::Placeholder => innermost.is_placeholder = scalar == Some("true"),
            Member::Num => innermost.num = scalar,
            Member::Other => {}
        }
    }
}

/// An open bracket. An array has no keys and so is never a placeholder.
#[derive(Debug, Default)]
struct Container<'a> {
    member: Member,
    is_placeholder: bool,
    num: Option<&'a str>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Member {
    Placeholder,
    Num,
    #[default]
    Other,
}

impl Member {
    fn named(quoted: &str) -> Self {
        match quoted {
            "\"_placeholder\"" => Self::Placeholder,
            "\"num\"" => Self::Num,
            // An escape in a key must not hide the key from the check alone.
            _ if quoted.contains('\\') => match serde_json::from_str::<String>(quoted).as_deref() {
                Ok("_placeholder") => Self::Placeholder,
                Ok("num") => Self::Num,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, attachments: usize) -> Result<(), DecodeError> {
        let mut scanner = Scanner::new(text, 0, 128, PlaceholderCheck::new(attachments));
        scanner.value().map(drop)
    }

    #[test]
    fn the_last_num_passes_and_the_first_beyond_is_refused() {
        for attachments in [1, 2, 10] {
            let text = |num: usize| format!(r#"[{{"_placeholder":true,"num":{num}}}]"#);
            assert_eq!(check(&text(attachments - 1), attachments), Ok(()));
            assert_eq!(
                check(&text(attachments), attachments),
                Err(DecodeError::PlaceholderOutOfRange {
                    num: Excerpt::of(&attachments.to_string()),
                    attachments,
                })
            );
        }
    }

    #[test]
    fn a_num_that_is_no_index_is_refused() {
        for num in [
            "-1",
            "-0",
            "0.5",
            "0.0",
            "1e0",
            "\"0\"",
            "null",
            "true",
            "99999999999999999999",
        ] {
            let text = format!(r#"[{{"_placeholder":true,"num":{num}}}]"#);
            assert_eq!(
                check(&text, 10),
                Err(DecodeError::PlaceholderOutOfRange {
                    num: Excerpt::of(num),
                    attachments: 10
                })
            );
        }
    }

    #[test]
    fn a_placeholder_without_a_num_is_refused() {
        for text in [
            r#"{"_placeholder":true}"#,
            r#"{"_placeholder":true,"num":[0]}"#,
            r#"{"_placeholder":true,"num":{"num":0}}"#,
            r#"{"_placeholder":true,"num":0,"num":[]}"#,
        ] {
            assert_eq!(
                check(text, 1),
                Err(DecodeError::PlaceholderWithoutNum),
                "{text}"
            );
        }
    }

    #[test]
    fn placeholders_are_found_wherever_and_however_they_are_written() {
        for text in [
            r#"["a",{"num":9,"_placeholder":true}]"#,
            r#"{"a":[[{"b":{"_placeholder":true,"num":9}}]]}"#,
            r#"{ "_placeholder" : true , "num" : 9 }"#,
            r#"{"_placeholder":true,"x":{"y":[1]},"num":9,"z":0}"#,
            r#"{"_pl\u0061ceholder":true,"n\u0075m":9}"#,
            r#"{"_placeholder":false,"_placeholder":true,"num":0,"num":9}"#,
            r#"{"x":{"_placeholder":true,"num":9},"_placeholder":true,"num":0}"#,
        ] {
            let refused = check(text, 1);
            assert!(
                matches!(refused, Err(DecodeError::PlaceholderOutOfRange { .. })),
                "{text}: {refused:?}"
            );
            assert_eq!(check(&text.replace('9', "0"), 2), Ok(()), "{text}");
        }
    }

    #[test]
    fn objects_similar_to_placeholders_are_data() {
        for text in [
            r#"{"_placeholder":false,"num":9}"#,
            r#"{"_placeholder":"true","num":9}"#,
            r#"{"_placeholder":1,"num":9}"#,
            r#"{"_placeholder":[true],"num":9}"#,
            r#"{"_placeholder":true,"_placeholder":null,"num":9}"#,
            r#"{"num":9}"#,
            r#"["_placeholder",true,"num",9]"#,
            r#"{"placeholder":true,"num":9}"#,
            r#"{"_placeholder":{"a":true},"num":9}"#,
        ] {
            assert_eq!(check(text, 1), Ok(()), "{text}");
        }
    }

    #[test]
    fn as_many_placeholders_as_attachments_pass_and_one_more_does_not() {
        let text = |count: usize| {
            let placeholders = vec![r#"{"_placeholder":true,"num":0}"#; count];
            format!("[{}]", placeholders.join(","))
        };
        assert_eq!(check(&text(0), 3), Ok(()));
        assert_eq!(check(&text(3), 3), Ok(()));
        assert_eq!(
            check(&text(4), 3),
            Err(DecodeError::TooManyPlaceholders { attachments: 3 })
        );
    }
}
