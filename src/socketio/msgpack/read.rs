//! Reading: a serde deserializer of MessagePack.
//!
//! Items enter, a value of any serde type leaves. It reads what the same type reads from JSON: a
//! time is a text, `undefined` is `null` or a missing entry, a number in a key is a key's text, a
//! whole number is an integer however it is written, and types have their readable forms. Binary is
//! borrowed from the message.
//!
//! The nesting of values is not checked here: `Items::skip` has checked the message.

use std::borrow::Cow;

use serde::de::value::{
    BorrowedBytesDeserializer, BorrowedStrDeserializer, CowStrDeserializer, MapDeserializer,
    SeqDeserializer,
};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use crate::calendar::iso_time;
use crate::socketio::args::{MAX_SAFE_INTEGER, no_binary};
use crate::socketio::msgpack::item::{Flaw, Item, Items, UNLIMITED};
use crate::socketio::msgpack::transcode::to_json;

/// A deserializer of the next value.
#[derive(Debug)]
pub(in crate::socketio) struct Reader<'de> {
    items: Items<'de>,
}

impl<'de> Reader<'de> {
    pub(in crate::socketio) fn new(bytes: &'de [u8]) -> Self {
        Self {
            items: Items::new(bytes),
        }
    }

    /// Returns `true` if no value is left.
    pub(in crate::socketio) fn is_at_end(&self) -> bool {
        self.items.is_at_end()
    }

    /// Returns the bytes of the values that are left.
    pub(in crate::socketio) fn rest(&self) -> &'de [u8] {
        self.items.rest()
    }

    fn next(&mut self) -> Result<Item<'de>, Error> {
        self.items.next().map_err(refused)
    }

    fn peek(&self) -> Result<Item<'de>, Error> {
        self.items.peek().map_err(refused)
    }

    /// Passes over the next value.
    fn ignore(&mut self) -> Result<(), Error> {
        self.bytes_of_next().map(drop)
    }

    fn bytes_of_next(&mut self) -> Result<&'de [u8], Error> {
        self.items.skip(&mut UNLIMITED.clone()).map_err(refused)
    }

    fn visit<V: Visitor<'de>>(&mut self, item: Item<'de>, visitor: V) -> Result<V::Value, Error> {
        match item {
            Item::Nil | Item::Undefined => visitor.visit_unit(),
            Item::Bool(value) => visitor.visit_bool(value),
            Item::Unsigned(value) => visitor.visit_u64(value),
            Item::Signed(value) => visitor.visit_i64(value),
            Item::Float(value) => visitor.visit_f64(value),
            Item::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => Err(Error::custom("a text that is not UTF-8")),
            },
            Item::Binary(data) => visitor.visit_borrowed_bytes(data),
            Item::Array(count) => self.visit_array(count, visitor),
            Item::Map(count) => self.visit_map(count, visitor),
            Item::Time(time) => match time.and_then(iso_time) {
                Some(text) => visitor.visit_string(text),
                None => visitor.visit_unit(),
            },
            Item::Unknown(kind, data) => visitor.visit_seq(SeqDeserializer::new(
                [Part::Kind(kind), Part::Data(data)].into_iter(),
            )),
        }
    }

    fn visit_array<V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut elements = Elements {
            reader: self,
            left: count,
        };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.left {
            0 => Ok(value),
            left => Err(Error::invalid_length(count, &Fewer(count - left))),
        }
    }

    fn visit_map<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Error> {
        let mut entries = Entries {
            reader: self,
            left: count,
        };
        let value = visitor.visit_map(&mut entries)?;
        // A visitor may stop early; what it has not read is ignored.
        let mut rest = &mut entries;
        while rest.next_key::<IgnoredAny>()?.is_some() {
            rest.reader.ignore()?;
        }
        Ok(value)
    }

    /// Reads an integer that may be written as a number with a fraction of zero.
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.next()? {
            Item::Float(value) if value.fract() == 0.0 && value.abs() <= MAX_SAFE => {
                match value as i64 {
                    value @ 0.. => visitor.visit_u64(value.unsigned_abs()),
                    value => visitor.visit_i64(value),
                }
            }
            item => self.visit(item, visitor),
        }
    }

    /// Reads binary alone, because a client that sends a text or an array has not sent binary.
    fn binary<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let found = match self.next()? {
            Item::Binary(data) => return visitor.visit_borrowed_bytes(data),
            Item::Text(_) | Item::Time(_) => "a text",
            Item::Array(_) | Item::Unknown(..) => "an array",
            Item::Map(_) => return Err(Error::invalid_type(Unexpected::Map, &visitor)),
            item => return self.visit(item, visitor),
        };
        Err(no_binary(found))
    }

    fn is_null(&self) -> Result<bool, Error> {
        Ok(match self.peek()? {
            Item::Nil | Item::Undefined => true,
            Item::Time(time) => time.and_then(iso_time).is_none(),
            _ => false,
        })
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.integer(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let item = self.next()?;
        self.visit(item, visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.binary(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.binary(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null()? {
            self.ignore()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == RAW_VALUE {
            let value = self.bytes_of_next()?.to_vec();
            let (json, _) = to_json(&value.into()).map_err(Error::custom)?;
            let entry = std::iter::once((RAW_VALUE, json));
            return visitor.visit_map(MapDeserializer::new(entry));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.next()? {
            Item::Map(1) => visitor.visit_enum(Variant(self)),
            Item::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
                Err(_) => Err(Error::custom("a text that is not UTF-8")),
            },
            Item::Map(_) => Err(Error::invalid_value(Unexpected::Map, &"a map with one key")),
            item => self.visit(item, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.ignore()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The elements of an array.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        match self.left.checked_sub(1) {
            None => Ok(None),
            Some(left) => {
                self.left = left;
                seed.deserialize(&mut *self.reader).map(Some)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        // A value has at least one byte.
        Some(self.left.min(self.reader.rest().len()))
    }
}

/// The entries of a map, without those that are `undefined`.
struct Entries<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        while let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let key = key(self.reader.next()?)?;
            if self.reader.peek()? == Item::Undefined {
                self.reader.ignore()?;
                continue;
            }
            return seed.deserialize(Key(key)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}

/// Returns the text of a key.
fn key(item: Item<'_>) -> Result<Cow<'_, str>, Error> {
    Ok(match item {
        Item::Text(bytes) => String::from_utf8_lossy(bytes),
        Item::Nil => "null".into(),
        Item::Bool(true) => "true".into(),
        Item::Bool(false) => "false".into(),
        Item::Unsigned(number) => number.to_string().into(),
        Item::Signed(number) => number.to_string().into(),
        Item::Float(number) => number.to_string().into(),
        _ => return Err(refused(Flaw::Key)),
    })
}

/// The text of a key, for a type that may read a number or a boolean from it, as from a key of
/// JSON.
struct Key<'de>(Cow<'de, str>);

macro_rules! parsed {
    ($($method:ident: $type:ty, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        CowStrDeserializer::<Error>::new(self.0).deserialize_any(visitor)
    }

    parsed! {
        deserialize_bool: bool, visit_bool;
        deserialize_i8: i8, visit_i8;
        deserialize_i16: i16, visit_i16;
        deserialize_i32: i32, visit_i32;
        deserialize_i64: i64, visit_i64;
        deserialize_i128: i128, visit_i128;
        deserialize_u8: u8, visit_u8;
        deserialize_u16: u16, visit_u16;
        deserialize_u32: u32, visit_u32;
        deserialize_u64: u64, visit_u64;
        deserialize_u128: u128, visit_u128;
        deserialize_f32: f32, visit_f32;
        deserialize_f64: f64, visit_f64;
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

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        CowStrDeserializer::<Error>::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// A variant with content: a map of one key.
struct Variant<'a, 'de>(&'a mut Reader<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name = key(self.0.next()?)?;
        Ok((seed.deserialize(Key(name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_map(visitor)
    }
}

/// A part of an extension that no type knows.
enum Part<'de> {
    Kind(i8),
    Data(&'de [u8]),
}

impl<'de> IntoDeserializer<'de, Error> for Part<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Kind(kind) => visitor.visit_i8(kind),
            Self::Data(data) => BorrowedBytesDeserializer::new(data).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// The number of elements that a type has asked for.
struct Fewer(usize);

impl de::Expected for Fewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an array of {}", self.0)
    }
}

fn refused(flaw: Flaw) -> Error {
    Error::custom(flaw.text())
}

/// The name by which serde_json's `RawValue` asks for text.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Up to this value each whole `f64` is one integer only.
const MAX_SAFE: f64 = MAX_SAFE_INTEGER as f64;
