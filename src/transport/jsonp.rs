//! JSONP: polling by the script elements and the forms of a page, in both revisions.
//!
//! A payload enters; the script that passes it to the client's callback leaves. The body of a form
//! enters; the payload in it leaves. The text of a client never becomes a part of the script, except
//! inside of a JSON string.

use percent_encoding::percent_decode;
use serde_json::Value;

/// The number of a client's callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonpIndex(u32);

impl JsonpIndex {
    /// Reads the digits of a parameter. Other characters are dropped, as on the Node.js server, so
    /// that the parameter cannot contain a script. `None` if it is no number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().ok().map(Self)
    }

    /// Returns the script that passes a payload to the callback.
    pub(crate) fn script(self, payload: &[u8]) -> Vec<u8> {
        let Self(index) = self;
        let text = Value::from(String::from_utf8_lossy(payload)).to_string();
        // They end a line in JavaScript before ES2019, but not in JSON.
        let text = text
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029");
        format!("___eio[{index}]({text});").into_bytes()
    }
}

/// Returns the payload in the body of a form: the value of `d`, with its line ends. `None` if there
/// is no `d`, or if it is not UTF-8.
pub(crate) fn payload_in(form: &[u8]) -> Option<String> {
    let mut pairs = form.split(|byte| *byte == b'&');
    let value = pairs.find_map(|pair| pair.strip_prefix(b"d="))?;
    // WHATWG URL, 5.1, `application/x-www-form-urlencoded` parsing. `form_urlencoded` would replace
    // bytes that are not UTF-8.
    let spaced = value
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte });
    let spaced: Vec<u8> = spaced.collect();
    let text = percent_decode(&spaced).decode_utf8().ok()?;
    Some(with_line_ends(&text))
}

/// Restores the line ends of a payload. A browser changes those of a form, so the client writes `\n`
/// for one; before `\n` in the text it adds a backslash.
fn with_line_ends(text: &str) -> String {
    let mut restored = String::with_capacity(text.len());
    let mut backslashes = 0;
    for character in text.chars() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        let is_line_end = character == 'n' && backslashes == 1;
        let is_escaped = character == 'n' && backslashes > 1;
        if is_line_end {
            backslashes = 0;
        }
        let kept = backslashes - usize::from(is_escaped);
        restored.extend(std::iter::repeat_n('\\', kept));
        restored.push(if is_line_end { '\n' } else { character });
        backslashes = 0;
    }
    restored.extend(std::iter::repeat_n('\\', backslashes));
    restored
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    /// Escapes a payload as the official client does before it puts it into its form.
    fn escaped(payload: &str) -> String {
        payload.replace("\\n", "\\\n").replace('\n', "\\n")
    }

    #[test]
    fn an_index_has_digits_only() {
        for (text, index) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("007", Some(7)),
            ("1);alert(1", Some(11)),
            ("x5y", Some(5)),
            ("\u{0661}2", Some(2)),
            ("", None),
            ("abc", None),
            ("99999999999", None),
        ] {
            assert_eq!(JsonpIndex::parse(text), index.map(JsonpIndex), "{text}");
        }
    }

    #[test]
    fn a_payload_is_a_string_of_javascript() {
        for (payload, script) in [
            ("4a", r#"___eio[3]("4a");"#),
            ("4\"\\\u{1e}2", r#"___eio[3]("4\"\\\u001e2");"#),
            ("4\u{2028}\u{2029}\n", r#"___eio[3]("4\u2028\u2029\n");"#),
            ("4é😀", r#"___eio[3]("4é😀");"#),
        ] {
            let written = JsonpIndex(3).script(payload.as_bytes());
            assert_eq!(String::from_utf8(written).unwrap(), script);
        }
    }

    #[test]
    fn a_form_has_the_payload_in_d() {
        for (form, payload) in [
            ("d=4a", Some("4a")),
            ("d=", Some("")),
            ("x=1&d=4a&y=2", Some("4a")),
            ("d=4a&d=4b", Some("4a")),
            ("d=2%3A4%2B+%c3%A9", Some("2:4+ é")),
            ("d=4%", Some("4%")),
            ("d=4%4", Some("4%4")),
            ("d=4%zz", Some("4%zz")),
            (r"d=4\n", Some("4\n")),
            (r"d=4\\n", Some(r"4\n")),
            (r"d=4\\\n", Some(r"4\\n")),
            (r"d=4\\\t\", Some(r"4\\\t\")),
            ("d=%ff", None),
            ("d=%ed%a0%80", None),
            ("", None),
            ("4a", None),
            ("e=4a", None),
        ] {
            let payload = payload.map(str::to_owned);
            assert_eq!(payload_in(form.as_bytes()), payload, "{form}");
        }
    }

    proptest! {
        #[test]
        fn a_payload_of_the_client_is_restored(payload in "[\\\\n\\n\u{e9}+&% a]{0,12}") {
            // The client writes a line end behind a backslash as it writes an escaped `\n`.
            prop_assume!(!payload.contains("\\\n"));
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("d", &escaped(&payload));
            prop_assert_eq!(payload_in(form.finish().as_bytes()), Some(payload));
        }

        #[test]
        fn a_script_has_no_text_outside_of_its_string(payload in any::<String>()) {
            let script = String::from_utf8(JsonpIndex(0).script(payload.as_bytes())).unwrap();
            let inner = script.strip_prefix("___eio[0](").unwrap().strip_suffix(");").unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(inner).unwrap(), payload);
            let ends_a_line = inner.contains(['\u{2028}', '\u{2029}', '\n', '\r']);
            prop_assert!(!ends_a_line);
        }

        #[test]
        fn no_form_panics(form in any::<Vec<u8>>()) {
            let _ = payload_in(&form);
            let _ = payload_in(&[b"d=", &form[..]].concat());
        }
    }

    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        replay("jsonp", |input| {
            if let Some(payload) = payload_in(input) {
                assert!(payload.len() <= input.len());
                let script = String::from_utf8(JsonpIndex(1).script(payload.as_bytes())).unwrap();
                let text = script.strip_prefix("___eio[1](").unwrap();
                let text = text.strip_suffix(");").unwrap();
                assert_eq!(serde_json::from_str::<String>(text).unwrap(), payload);
            }
            let _ = JsonpIndex::parse(&String::from_utf8_lossy(input));
        });
    }
}
