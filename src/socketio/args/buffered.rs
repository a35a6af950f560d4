//! A value that had to be read before its type was known.
//!
//! A JSON tree and the attachments enter. The tree is read as if it still were text, and
//! placeholders in it are visited as bytes. Each object is checked as a whole. Checking its first
//! entries one by one, as the parser does, would copy the tree once per level, and a peer chooses
//! the number of levels.

use std::marker::PhantomData;

use serde::{
    de::{
        self, Deserializer, IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

use crate::socketio::args::placeholder::{Attachments, MARK, NUM};

/// A tree in which objects may be placeholders.
pub(super) struct Buffered<'a, 'de, E> {
    value: Value,
    attachments: &'a Attachments<'de>,
    error: PhantomData<E>,
}

impl<'a, 'de, E: de::Error> Buffered<'a, 'de, E> {
    pub(super) fn new(value: Value, attachments: &'a Attachments<'de>) -> Self {
        Self {
            value,
            attachments,
            error: PhantomData,
        }
    }
}

impl<'de, E: de::Error> Deserializer<'de> for Buffered<'_, 'de, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        let attachments = self.attachments;
        match self.value {
            Value::Object(entries) if entries.get(MARK) == Some(&Value::Bool(true)) => {
                let num = entries.get(NUM).and_then(Value::as_u64);
                visitor.visit_borrowed_bytes(attachments.attachment(num)?)
            }
            Value::Object(entries) => {
                let mut map = map_access(entries, attachments);
                let read = visitor.visit_map(&mut map)?;
                map.end().map(|()| read)
            }
            Value::Array(elements) => {
                let elements = elements
                    .into_iter()
                    .map(|value| Self::new(value, attachments));
                let mut seq = SeqDeserializer::new(elements);
                let read = visitor.visit_seq(&mut seq)?;
                seq.end().map(|()| read)
            }
            scalar => scalar.deserialize_any(visitor).map_err(E::custom),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        match self.value {
            Value::String(variant) => variant
                .into_deserializer()
                .deserialize_enum(name, variants, visitor),
            Value::Object(entries) => {
                MapAccessDeserializer::new(map_access(entries, self.attachments))
                    .deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, E: de::Error> IntoDeserializer<'de, E> for Buffered<'_, 'de, E> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn map_access<'a, 'de, E: de::Error>(
    entries: Map<String, Value>,
    attachments: &'a Attachments<'de>,
) -> MapDeserializer<'de, impl Iterator<Item = (String, Buffered<'a, 'de, E>)>, E> {
    let entries = entries.into_iter();
    MapDeserializer::new(entries.map(|(key, value)| (key, Buffered::new(value, attachments))))
}
