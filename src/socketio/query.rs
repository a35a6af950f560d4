//! The query behind a namespace, by which older clients pass what later ones pass as `auth`.

use std::borrow::Cow;

use indexmap::IndexMap;

/// Returns the JSON text of a query: an object of strings, and an array of strings for a name that
/// is repeated.
// Socket.IO v4, Connection to a namespace: the Node.js server reads it as `querystring.parse` does.
pub(crate) fn query_to_json(query: &str) -> String {
    let mut values = IndexMap::<Cow<'_, str>, Vec<Cow<'_, str>>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PAIRS) {
        values.entry(name).or_default().push(value);
    }
    let mut json = String::from("{");
    for (name, values) in &values {
        if json.len() > 1 {
            json.push(',');
        }
        push_string(&mut json, name);
        json.push(':');
        match values.as_slice() {
            [value] => push_string(&mut json, value),
            values => {
                for (at, value) in values.iter().enumerate() {
                    json.push(if at == 0 { '[' } else { ',' });
                    push_string(&mut json, value);
                }
                json.push(']');
            }
        }
    }
    json.push('}');
    json
}

fn push_string(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

/// The number of pairs that are read, as on Node.js.
const MAX_PAIRS: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    #[test]
    fn a_query_is_an_object_of_strings() {
        for (query, json) in [
            ("", "{}"),
            ("&&", "{}"),
            ("token=abc", r#"{"token":"abc"}"#),
            ("a=1&b=%20x", r#"{"a":"1","b":" x"}"#),
            ("b=2&a=1", r#"{"b":"2","a":"1"}"#),
            ("a=1&b=2&a=3", r#"{"a":["1","3"],"b":"2"}"#),
            ("a&b=", r#"{"a":"","b":""}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            ("a=x+y%2B", r#"{"a":"x y+"}"#),
            ("a=%22%5C%0A", r#"{"a":"\"\\\n"}"#),
            ("%F0%9F%98%80=%C3%A9", r#"{"😀":"é"}"#),
            ("a=%ff", "{\"a\":\"\u{fffd}\"}"),
        ] {
            assert_eq!(query_to_json(query), json, "{query}");
        }
    }

    #[test]
    fn pairs_beyond_the_limit_are_not_read() {
        let query: Vec<_> = (0..=MAX_PAIRS).map(|n| format!("{n}=")).collect();
        let json = query_to_json(&query.join("&"));
        assert!(json.contains(r#""999":"""#) && !json.contains(r#""1000":"""#));
    }

    proptest! {
        #[test]
        fn every_query_is_valid_json(query in any::<String>()) {
            let json: serde_json::Value = serde_json::from_str(&query_to_json(&query)).unwrap();
            prop_assert!(json.is_object());
        }
    }

    /// Node.js reads the pairs in their order; a repeated name has all of its values.
    #[test]
    fn seeds_and_their_mutations_have_their_pairs() {
        replay("query", |input| {
            let query = String::from_utf8_lossy(input);
            let json: serde_json::Value = serde_json::from_str(&query_to_json(&query)).unwrap();
            for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PAIRS) {
                match &json[&*name] {
                    serde_json::Value::Array(values) => assert!(values.contains(&value.into())),
                    found => assert_eq!(*found, *value),
                }
            }
        });
    }
}
