//! Writing: a serde serializer of MessagePack.
//!
//! A value enters, its bytes are appended to a buffer. It writes what the same value is in JSON:
//! keys are texts, types have their readable forms, an enum is the text of its variant or a map with
//! one key. Bytes are binary at any depth, and a number of 32 bits with a fraction stays one.

use std::fmt::Display;

use rmp::Marker;
use rmp::encode::{
    write_array_len, write_bin_len, write_f32, write_f64, write_map_len, write_sint, write_str,
    write_uint,
};
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Value};

use crate::socketio::msgpack::key::KeyWriter;
use crate::socketio::msgpack::read::RAW_VALUE;
use crate::socketio::msgpack::transcode::from_json;

/// A serializer of one value.
#[derive(Debug)]
pub(in crate::socketio) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The number of arrays and maps around the value.
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(in crate::socketio) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, depth: 0 }
    }

    fn push(self, marker: Marker) -> Result<(), Error> {
        self.out.push(marker.to_u8());
        Ok(())
    }

    /// Begins an array or a map, whose length is written behind its last element.
    fn begin(self, is_map: bool) -> Result<Compound<'a>, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::custom("values nested too deeply"));
        }
        let start = self.out.len();
        self.out.push(0);
        Ok(Compound {
            out: self.out,
            start,
            count: 0,
            depth: self.depth + 1,
            is_map,
        })
    }

    /// Begins the map of a variant with content.
    fn begin_variant(self, variant: &str, is_map: bool) -> Result<Compound<'a>, Error> {
        let Self { out, depth } = self;
        out.push(ONE_ENTRY);
        text(out, variant)?;
        let content = Self {
            out,
            depth: depth + 1,
        };
        content.begin(is_map)
    }
}

/// Writes the head of an array or of a map in the place of the byte at `start`, before all that
/// follows it.
pub(in crate::socketio) fn push_head(
    out: &mut Vec<u8>,
    start: usize,
    count: usize,
    is_map: bool,
) -> Result<(), Error> {
    if count < 16
        && let Some(head) = out.get_mut(start)
    {
        // No sum of bits: the upper four are those of the type.
        *head = (if is_map { 0x80 } else { 0x90 }) | count as u8;
        return Ok(());
    }
    let count = u32::try_from(count).map_err(|_| Error::custom("too many values"))?;
    let mut head = Vec::with_capacity(5);
    let written = if is_map {
        write_map_len(&mut head, count)
    } else {
        write_array_len(&mut head, count)
    };
    written.map_err(|_| Error::custom("too many values"))?;
    out.splice(start..=start, head);
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    write_str(out, text).map_err(|_| Error::custom("a text of more than 4 GiB"))
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Record<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.push(if value { Marker::True } else { Marker::False })
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        write_sint(self.out, value).map(drop).map_err(Error::custom)
    }

    /// An integer of more than 64 bits is rounded, as by JavaScript.
    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => self.serialize_f64(value as f64),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        write_uint(self.out, value).map(drop).map_err(Error::custom)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.serialize_f64(value as f64),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        write_f32(self.out, value).map_err(Error::custom)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        write_f64(self.out, value).map_err(Error::custom)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        text(self.out, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        text(self.out, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(value.len());
        let length = length.map_err(|_| Error::custom("binary of more than 4 GiB"))?;
        write_bin_len(self.out, length).map_err(Error::custom)?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.push(Marker::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.push(Marker::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.push(Marker::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        text(self.out, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Self { out, depth } = self;
        out.push(ONE_ENTRY);
        text(out, variant)?;
        value.serialize(Self {
            out,
            depth: depth + 1,
        })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        self.begin(false)
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Error> {
        self.begin(false)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Error> {
        self.begin(false)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Error> {
        self.begin_variant(variant, false)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        self.begin(true)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Record<'a>, Error> {
        if name == RAW_VALUE {
            return Ok(Record::Raw(self.out));
        }
        self.begin(true).map(Record::Entries)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Error> {
        self.begin_variant(variant, true)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        text(self.out, &value.to_string())
    }
}

/// An array or a map whose elements are being written.
#[derive(Debug)]
pub(in crate::socketio) struct Compound<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: usize,
    depth: usize,
    is_map: bool,
}

impl Compound<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Writer {
            out: self.out,
            depth: self.depth,
        })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count += 1;
        self.value(value)
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.count += 1;
        text(self.out, key)?;
        self.value(value)
    }

    fn finish(self) -> Result<(), Error> {
        push_head(self.out, self.start, self.count, self.is_map)
    }
}

macro_rules! elements {
    ($($compound:ident $method:ident;)*) => {$(
        impl $compound for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.count += 1;
        key.serialize(KeyWriter(self.out))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// The fields of a struct, or the text of serde_json's `RawValue`.
#[derive(Debug)]
pub(in crate::socketio) enum Record<'a> {
    Entries(Compound<'a>),
    Raw(&'a mut Vec<u8>),
}

impl SerializeStruct for Record<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        match self {
            Self::Entries(entries) => entries.entry(key, value),
            Self::Raw(out) => match serde_json::to_value(value)? {
                Value::String(json) => {
                    out.extend(from_json(&json, &[]).map_err(Error::custom)?);
                    Ok(())
                }
                _ => Err(Error::custom("a `RawValue` without text")),
            },
        }
    }

    fn end(self) -> Result<(), Error> {
        match self {
            Self::Entries(entries) => entries.finish(),
            Self::Raw(_) => Ok(()),
        }
    }
}

/// The head of a map of one entry.
const ONE_ENTRY: u8 = 0x81;

/// The number of arrays and maps that may be open: that of JSON, which receivers read.
const MAX_DEPTH: usize = 127;
