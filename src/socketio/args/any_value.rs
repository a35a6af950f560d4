//! Any value that an event may carry: JSON, with binary anywhere in it.
//!
//! serde reads a value of any shape into it and writes the same value from it. An attachment is
//! `Bytes` in both directions.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};

/// A JSON value that may hold binary at any depth. Its counterpart for events without attachments
/// is `serde_json::Value`.
///
/// [`Data`](crate::Data), `read` of [`Args`](crate::Args) and [`Event`](crate::Event), and calls
/// return it. Binary in it is sent as attachments again. A serializer of another format writes
/// binary in that format's own way; serde_json writes an array of numbers.
///
/// # Examples
///
/// ```
/// use actix_socketio::{AnyValue, Bytes, Data, Namespace};
///
/// // socket.emit("save", { name: "a.png", parts: [new Uint8Array([1, 2])] })
/// async fn save(Data(file): Data<AnyValue>) -> usize {
///     log::info!("{:?}", file["name"].as_str());
///     file["parts"][0].as_bytes().map_or(0, Bytes::len)
/// }
///
/// // The client gets back what it sent.
/// async fn echo(Data(any): Data<AnyValue>) -> AnyValue {
///     any
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on("save", save).on("echo", echo);
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnyValue {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// Binary: an attachment.
    Binary(Bytes),
    /// An array.
    Array(Vec<Self>),
    /// An object with its keys in order.
    Object(BTreeMap<String, Self>),
}

impl AnyValue {
    /// Returns the text, or `None` if the value is not a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the binary, or `None` if the value is not binary.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the number, or `None` if the value is not a number.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the boolean, or `None` if the value is not a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the elements, or `None` if the value is not an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the entries, or `None` if the value is not an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns `true` if the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the value as plain JSON, or `None` if it contains binary.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{AnyValue, Bytes};
    /// use serde_json::json;
    ///
    /// let plain = AnyValue::from(json!({ "a": [1, "b"] }));
    /// assert_eq!(plain.to_json(), Some(json!({ "a": [1, "b"] })));
    /// let binary = AnyValue::Array(vec![AnyValue::Binary(Bytes::from_static(&[1]))]);
    /// assert_eq!(binary.to_json(), None);
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Binary(_) => return None,
            Self::Array(elements) => {
                let elements: Option<_> = elements.iter().map(Self::to_json).collect();
                Value::Array(elements?)
            }
            Self::Object(entries) => {
                let entries = entries.iter();
                let entries: Option<_> = entries
                    .map(|(key, value)| Some((key.clone(), value.to_json()?)))
                    .collect();
                Value::Object(entries?)
            }
        })
    }
}

/// Returns the entry of an object, or `Null`.
impl Index<&str> for AnyValue {
    type Output = Self;

    fn index(&self, key: &str) -> &Self {
        let entry = self.as_object().and_then(|entries| entries.get(key));
        entry.unwrap_or(&NULL)
    }
}

/// Returns the element of an array, or `Null`.
impl Index<usize> for AnyValue {
    type Output = Self;

    fn index(&self, at: usize) -> &Self {
        let element = self.as_array().and_then(|elements| elements.get(at));
        element.unwrap_or(&NULL)
    }
}

impl From<Value> for AnyValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(elements) => elements.into_iter().collect(),
            Value::Object(entries) => entries.into_iter().collect(),
        }
    }
}

macro_rules! from {
    ($($type:ty: $variant:ident;)*) => {$(
        impl From<$type> for AnyValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool: Bool;
    i32: Number;
    i64: Number;
    u32: Number;
    u64: Number;
    &str: Text;
    String: Text;
    Bytes: Binary;
}

impl<T: Into<Self>> FromIterator<T> for AnyValue {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, T: Into<Self>> FromIterator<(K, T)> for AnyValue {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        Self::Object(
            entries
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.serialize_bytes(bytes),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(entries) => serializer.collect_map(entries),
        }
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON or binary")
    }

    fn visit_unit<E: de::Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<AnyValue, D::Error> {
        some.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, within: D) -> Result<AnyValue, D::Error> {
        within.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<AnyValue, E> {
        Ok(AnyValue::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<AnyValue, E> {
        Ok(Number::from_f64(value).map_or(AnyValue::Null, AnyValue::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(value))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<AnyValue, E> {
        Ok(AnyValue::Binary(Bytes::copy_from_slice(value)))
    }

    fn visit_byte_buf<E: de::Error>(self, value: Vec<u8>) -> Result<AnyValue, E> {
        Ok(AnyValue::Binary(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyValue, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(AnyValue::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            entries.insert(key, value);
        }
        Ok(AnyValue::Object(entries))
    }
}

static NULL: AnyValue = AnyValue::Null;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::AnyValue;
    use crate::socketio::args::Args;

    #[test]
    fn binary_at_any_depth_is_read_and_sent_on() {
        let (one, two) = (Bytes::from_static(&[1]), Bytes::from_static(&[0xFF, 0]));
        let tree: AnyValue = [
            ("name", AnyValue::from("a")),
            ("num", AnyValue::from(7_u64)),
            (
                "parts",
                [AnyValue::from(one.clone()), AnyValue::from(false)]
                    .into_iter()
                    .collect(),
            ),
            ("none", AnyValue::Null),
            ("content", AnyValue::from(two.clone())),
        ]
        .into_iter()
        .collect();
        let sent = Args::from_value(&tree).unwrap();
        assert_eq!(sent.attachments().len(), 2);
        let read: AnyValue = sent.read().unwrap();
        assert_eq!(read, tree);
        assert_eq!(read["parts"][0].as_bytes(), Some(&one));
        assert_eq!(read["content"].as_bytes(), Some(&two));
        assert_eq!(read["name"].as_str(), Some("a"));
        assert_eq!(read["nothing"][3], AnyValue::Null);
        assert_eq!(read.to_json(), None);
        let alone = Args::from_value(&AnyValue::from(one.clone())).unwrap();
        assert_eq!(alone.read::<AnyValue>().unwrap(), AnyValue::Binary(one));
    }

    #[test]
    fn plain_json_is_unchanged() {
        for json in [
            json!(null),
            json!([1, -1, 1.5, 1e300, u64::MAX, i64::MIN, "é\n", true, [], {}]),
            json!({ "num": 0, "_placeholder": false, "a": { "b": [null] } }),
        ] {
            let any = AnyValue::from(json.clone());
            assert_eq!(any.to_json(), Some(json.clone()));
            assert_eq!(serde_json::to_value(&any).unwrap(), json);
            let args = Args::from_value(&json).unwrap();
            assert_eq!(args.read::<AnyValue>().unwrap(), any);
            assert_eq!(args.read::<Value>().unwrap(), json);
        }
        let absent = Args::from_value(&()).unwrap();
        assert!(absent.read::<AnyValue>().is_err());
        assert_eq!(absent.read::<Option<AnyValue>>().unwrap(), None);
    }
}
