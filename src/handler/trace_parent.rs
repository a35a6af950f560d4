//! The parent span of an event, which its client may send as the last argument.
//!
//! Arguments enter; they leave without the `traceparent`, and it beside them.

use serde::Deserialize;

use crate::socketio::{ArgsRef, ArgsText, msgpack};

/// Splits the last argument off if it is an object with a `traceparent` and nothing else, except a
/// `tracestate`.
pub(super) fn split_parent<'a>(args: ArgsRef<'a>) -> (ArgsRef<'a>, Option<String>) {
    let (text, parent) = match args.text {
        ArgsText::Json(text) => {
            let (text, parent) = split_text(text);
            (ArgsText::Json(text), parent)
        }
        ArgsText::Packed(values) => {
            let (before, last) = msgpack::split_last(values);
            let last = ArgsRef {
                text: ArgsText::Packed(last),
                ..args
            };
            match last.read::<(Carrier,)>() {
                Ok((carrier,)) => (ArgsText::Packed(before), Some(carrier.traceparent)),
                Err(_) => (args.text, None),
            }
        }
    };
    (ArgsRef { text, ..args }, parent)
}

fn split_text(args: &str) -> (&str, Option<String>) {
    let whole = (args, None);
    // A quotation mark in a string is escaped, so this is the start of an object.
    let Some(at) = args.rfind(PARENT_OBJECT) else {
        return whole;
    };
    let Ok(carrier) = serde_json::from_str::<Carrier>(&args[at..]) else {
        return whole;
    };
    match args[..at].trim_end() {
        "" => ("", Some(carrier.traceparent)),
        before => match before.strip_suffix(',') {
            Some(before) => (before, Some(carrier.traceparent)),
            None => whole,
        },
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Carrier {
    traceparent: String,
    #[serde(default, rename = "tracestate")]
    _tracestate: String,
}

/// The start of the object, as JavaScript and Python write it.
const PARENT_OBJECT: &str = "{\"traceparent\":";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketio::Args;

    #[test]
    fn only_a_last_argument_with_a_traceparent_alone_is_split_off() {
        let table = [
            (r#""a",{"traceparent":"00"}"#, r#""a""#, Some("00")),
            (r#"{"traceparent":"00","tracestate":"x=y"}"#, "", Some("00")),
            (r#"1, {"traceparent": "00"}"#, "1", Some("00")),
            (
                r#"{"traceparent":"00"},1"#,
                r#"{"traceparent":"00"},1"#,
                None,
            ),
            (
                r#"[{"traceparent":"00"}]"#,
                r#"[{"traceparent":"00"}]"#,
                None,
            ),
            (
                r#"{"a":{"traceparent":"00"}}"#,
                r#"{"a":{"traceparent":"00"}}"#,
                None,
            ),
            (
                r#"{"traceparent":"00","b":1}"#,
                r#"{"traceparent":"00","b":1}"#,
                None,
            ),
            (r#"{"traceparent":7}"#, r#"{"traceparent":7}"#, None),
            (
                r#""{\"traceparent\":\"00\"}""#,
                r#""{\"traceparent\":\"00\"}""#,
                None,
            ),
            ("", "", None),
        ];
        for (args, rest, parent) in table {
            let (split, found) = split_text(args);
            assert_eq!((split, found.as_deref()), (rest, parent), "{args}");
        }
    }

    #[test]
    fn the_same_holds_in_messagepack() {
        let carrier = serde_json::json!({ "traceparent": "00" });
        let table = [
            (Args::pack(&("a", &carrier)), Args::pack("a"), Some("00")),
            (Args::pack(&carrier), Args::pack(&()), Some("00")),
            (Args::pack(&(&carrier, 1)), Args::pack(&(&carrier, 1)), None),
            (
                Args::pack(&(1, [&carrier])),
                Args::pack(&(1, [&carrier])),
                None,
            ),
            (Args::pack(&()), Args::pack(&()), None),
        ];
        for (args, rest, parent) in table {
            let (args, rest) = (args.unwrap(), rest.unwrap());
            let (split, found) = split_parent(args.as_args_ref());
            assert_eq!((split.to_args(), found.as_deref()), (rest, parent));
        }
    }
}
