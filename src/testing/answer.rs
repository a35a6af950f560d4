//! The acknowledgement of a call in a test: a value, or the failure of the call.

use std::cell::Cell;
use std::iter::once;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::socketio::{AnyValue, Args};
use crate::testing::error::TestError;

/// Reads the acknowledgement of a call.
///
/// A server acknowledges a failed call with `{"error": …}`. That is an error of the test's step,
/// unless `R` reads the entry `error`.
pub(super) fn read<R: DeserializeOwned>(args: &Args) -> Result<R, TestError> {
    match failure(args) {
        Some(answer) if !has_place_for_error::<R>() => Err(TestError::Failed(answer)),
        _ => Ok(args.read()?),
    }
}

/// Returns the failure if the acknowledgement is one: an object with `error`, and with no other key
/// than `data`.
fn failure(args: &Args) -> Option<Map<String, Value>> {
    if args.split_text().1.is_some() {
        return None;
    }
    let answer = args.read::<AnyValue>().ok()?.to_json()?;
    let Value::Object(answer) = answer else {
        return None;
    };
    let is_failure =
        answer.contains_key("error") && answer.keys().all(|key| key == "error" || key == "data");
    is_failure.then_some(answer)
}

/// Returns `true` if a type reads the entry `error` of an object.
fn has_place_for_error<R: DeserializeOwned>() -> bool {
    let is_read = Cell::new(false);
    // The result does not matter.
    let _ = R::deserialize(Failed(&is_read));
    is_read.get()
}

/// An acknowledgement of a failed call.
struct Failed<'a>(&'a Cell<bool>);

impl<'de> Deserializer<'de> for Failed<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(once(("error", Entry(self.0)))))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Its error, which records that it is read.
struct Entry<'a>(&'a Cell<bool>);

impl<'de> Deserializer<'de> for Entry<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.set(true);
        visitor.visit_str("")
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de> IntoDeserializer<'de, Error> for Entry<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde::de::IgnoredAny;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Lenient {
        #[allow(dead_code, reason = "only the reading of it matters")]
        name: Option<String>,
    }

    #[derive(Deserialize)]
    struct Told {
        #[allow(dead_code, reason = "only the reading of it matters")]
        error: String,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        #[allow(dead_code, reason = "only the reading of it matters")]
        Told(Told),
        #[allow(dead_code, reason = "only the reading of it matters")]
        Number(u8),
    }

    #[test]
    fn a_failed_call_is_a_value_only_for_types_with_a_place_for_it() {
        assert!(has_place_for_error::<Value>());
        assert!(has_place_for_error::<Option<Value>>());
        assert!(has_place_for_error::<AnyValue>());
        assert!(has_place_for_error::<HashMap<String, Value>>());
        assert!(has_place_for_error::<Told>());
        assert!(has_place_for_error::<Either>());
        assert!(!has_place_for_error::<()>());
        assert!(!has_place_for_error::<(u8, String)>());
        assert!(!has_place_for_error::<String>());
        assert!(!has_place_for_error::<Option<u8>>());
        assert!(!has_place_for_error::<Vec<Value>>());
        assert!(!has_place_for_error::<Lenient>());
        assert!(!has_place_for_error::<IgnoredAny>());
    }

    #[test]
    fn only_the_form_of_a_failed_call_is_one() {
        let is_failure = |value: Value| failure(&Args::from_value(&value).unwrap()).is_some();
        assert!(is_failure(json!({ "error": "no" })));
        assert!(is_failure(json!({ "error": { "code": 7 }, "data": 1 })));
        assert!(!is_failure(json!({ "error": "no", "ok": false })));
        assert!(!is_failure(json!({ "data": 1 })));
        assert!(!is_failure(json!("error")));
        assert!(failure(&Args::from_value(&(json!({ "error": 1 }), 2)).unwrap()).is_none());
        assert!(failure(&Args::from_value(&()).unwrap()).is_none());
    }
}
