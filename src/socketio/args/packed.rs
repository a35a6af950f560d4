//! The arguments in MessagePack: the outermost deserializer and the outermost serializer.
//!
//! Values that follow each other enter or leave. The rule about the number of arguments of a type is
//! that of `de.rs` and `ser.rs`; `../msgpack` reads and writes the inside of an argument.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeTuple, Serializer};
use serde_json::Error;

use crate::socketio::args::de::{Absent, Failure};
use crate::socketio::args::{ArgsError, Outcome, raw, shape::Shape};
use crate::socketio::msgpack::{self, Compound, Reader, Record, Writer, push_values};

/// Reads values that follow each other, as [`from_args`](super::from_args) reads JSON.
pub(super) fn from_packed<T: DeserializeOwned>(values: &[u8]) -> Result<T, ArgsError> {
    let read = T::deserialize(Packed {
        shape: Shape::of::<T>(),
        reader: Reader::new(values),
    });
    read.map_err(|Failure(error)| error)
}

/// All the arguments. A tuple takes all of them, another type takes the first.
struct Packed<'de> {
    shape: Shape,
    reader: Reader<'de>,
}

macro_rules! read_the_first_argument {
    ($($function:ident $method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $function<V: Visitor<'de>>(
            mut self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, Failure> {
            if self.reader.is_at_end() {
                return Absent { argument: 1 }.$method($($name,)* visitor);
            }
            let read = self.reader.$method($($name,)* visitor);
            read.map_err(|cause| failure(1, cause))
        }
    )*};
}

impl<'de> Packed<'de> {
    read_the_first_argument! {
        first_as_unit deserialize_unit();
        first_as_array deserialize_tuple(len: usize);
    }
}

impl<'de> Deserializer<'de> for Packed<'de> {
    type Error = Failure;

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if !self.shape.is_tuple() {
            return self.first_as_array(len, visitor);
        }
        visitor.visit_seq(PackedMembers {
            reader: self.reader,
            read: 0,
            len,
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if !self.shape.is_unit() {
            return self.first_as_unit(visitor);
        }
        visitor.visit_unit()
    }

    read_the_first_argument! {
        deserialize_any deserialize_any();
        deserialize_bool deserialize_bool();
        deserialize_i8 deserialize_i8();
        deserialize_i16 deserialize_i16();
        deserialize_i32 deserialize_i32();
        deserialize_i64 deserialize_i64();
        deserialize_i128 deserialize_i128();
        deserialize_u8 deserialize_u8();
        deserialize_u16 deserialize_u16();
        deserialize_u32 deserialize_u32();
        deserialize_u64 deserialize_u64();
        deserialize_u128 deserialize_u128();
        deserialize_f32 deserialize_f32();
        deserialize_f64 deserialize_f64();
        deserialize_char deserialize_char();
        deserialize_str deserialize_str();
        deserialize_string deserialize_string();
        deserialize_bytes deserialize_bytes();
        deserialize_byte_buf deserialize_byte_buf();
        deserialize_option deserialize_option();
        deserialize_unit_struct deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct deserialize_newtype_struct(name: &'static str);
        deserialize_seq deserialize_seq();
        deserialize_tuple_struct deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map deserialize_map();
        deserialize_struct deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier deserialize_identifier();
        deserialize_ignored_any deserialize_ignored_any();
    }
}

/// The arguments as a tuple's members.
struct PackedMembers<'de> {
    reader: Reader<'de>,
    read: usize,
    len: usize,
}

impl<'de> SeqAccess<'de> for PackedMembers<'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if self.read == self.len {
            return Ok(None);
        }
        self.read += 1;
        let argument = self.read;
        if self.reader.is_at_end() {
            return seed.deserialize(Absent { argument }).map(Some);
        }
        let read = seed.deserialize(&mut self.reader);
        read.map(Some).map_err(|cause| failure(argument, cause))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.read)
    }
}

fn failure(argument: usize, cause: Error) -> Failure {
    Failure(ArgsError::Deserialize {
        argument: Some(argument),
        cause,
    })
}

/// Appends the arguments of `value` as values that follow each other, as
/// [`push_args`](super::push_args) appends JSON. Returns their number. After an error the buffer is
/// unchanged.
pub(crate) fn push_packed<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(usize, Outcome), ArgsError> {
    let before = out.len();
    let progress = PackedProgress::default();
    let outermost = PackedArguments {
        out,
        progress: &progress,
        position: Position::Outermost,
        shape: Shape::of::<T>(),
    };
    let written = value.serialize(outermost);
    let count = progress.count.get();
    if let Err(cause) = written {
        out.truncate(before);
        return Err(ArgsError::Serialize {
            argument: (count > 0).then_some(count),
            cause,
        });
    }
    Ok(if progress.failed.get() {
        (count, Outcome::Failed)
    } else {
        (count, Outcome::Sent)
    })
}

#[derive(Default)]
struct PackedProgress {
    /// The number of arguments, with the one that is written now.
    count: Cell<usize>,
    failed: Cell<bool>,
    /// The text and the attachments of an [`Args`](raw::Args) that is all of the arguments.
    verbatim: RefCell<(String, Vec<Bytes>)>,
}

/// The position of the value that is given to [`PackedArguments`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The sent value: the rule holds, and a `Result` decides the outcome.
    Outermost,
    /// The value in a `Result`: the rule holds.
    InResult,
    /// An [`Args`](raw::Args), or a part of one, that is asked for its content.
    Verbatim,
    /// The values of an [`Args`](raw::Args) that is kept in MessagePack.
    Values,
}

/// All the arguments. A tuple is all of them, another value is one.
struct PackedArguments<'a> {
    out: &'a mut Vec<u8>,
    progress: &'a PackedProgress,
    position: Position,
    shape: Shape,
}

impl<'a> PackedArguments<'a> {
    /// The serializer of a value that is one argument.
    fn one(self) -> Writer<'a> {
        self.progress.count.set(1);
        Writer::new(self.out)
    }
}

macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<$ok, Error> {
            self.one().$method($($name),*)
        }
    )*};
}

impl<'a> Serializer for PackedArguments<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = PackedTuple<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Record<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_unit(self) -> Result<(), Error> {
        if self.shape.is_unit() {
            return Ok(());
        }
        // `null`, the value of `Value::Null`.
        self.one().serialize_unit()
    }

    fn serialize_tuple(self, len: usize) -> Result<PackedTuple<'a>, Error> {
        if self.position == Position::Verbatim {
            return Ok(PackedTuple::Verbatim(self));
        }
        if !self.shape.is_tuple() {
            return self.one().serialize_tuple(len).map(PackedTuple::One);
        }
        Ok(PackedTuple::Members(self))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        match (self.position, name, variant) {
            (Position::Verbatim, raw::NAME, raw::PACKED) => value.serialize(Self {
                position: Position::Values,
                ..self
            }),
            // This is how serde serializes `core::result::Result`.
            (Position::Outermost, "Result", "Ok" | "Err") => {
                self.progress.failed.set(variant == "Err");
                let shape = self.shape.in_result(variant);
                value.serialize(Self {
                    position: Position::InResult,
                    shape,
                    ..self
                })
            }
            _ => {
                let one = self.one();
                one.serialize_newtype_variant(name, index, variant, value)
            }
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name != raw::NAME {
            return self.one().serialize_newtype_struct(name, value);
        }
        value.serialize(Self {
            position: Position::Verbatim,
            ..self
        })
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if self.position == Position::Verbatim {
            self.progress.verbatim.borrow_mut().0 = value.to_owned();
            return Ok(());
        }
        self.one().serialize_str(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        match self.position {
            Position::Verbatim => {
                let mut verbatim = self.progress.verbatim.borrow_mut();
                verbatim.1.push(Bytes::copy_from_slice(value));
                Ok(())
            }
            Position::Values => {
                let count = msgpack::count(value).map_err(Error::custom)?;
                self.progress.count.set(count);
                self.out.extend_from_slice(value);
                Ok(())
            }
            Position::Outermost | Position::InResult => self.one().serialize_bytes(value),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.one().serialize_some(value)
    }

    fn is_human_readable(&self) -> bool {
        // An `Args` recognizes by the change that its content is requested.
        self.position != Position::Verbatim
    }

    one_argument! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Compound<'a>;
        serialize_tuple_struct(name: &'static str, len: usize) -> Compound<'a>;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Compound<'a>;
        serialize_map(len: Option<usize>) -> Compound<'a>;
        serialize_struct(name: &'static str, len: usize) -> Record<'a>;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Compound<'a>;
    }
}

/// The types that serde calls a tuple, at the outermost position.
enum PackedTuple<'a> {
    /// An array, which is one argument.
    One(Compound<'a>),
    /// A tuple, whose members are the arguments.
    Members(PackedArguments<'a>),
    /// An [`Args`](raw::Args): its text, then its attachments.
    Verbatim(PackedArguments<'a>),
}

impl SerializeTuple for PackedTuple<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self {
            Self::One(array) => array.serialize_element(value),
            Self::Members(arguments) => {
                let count = &arguments.progress.count;
                count.set(count.get() + 1);
                value.serialize(Writer::new(arguments.out))
            }
            Self::Verbatim(arguments) => value.serialize(PackedArguments {
                out: arguments.out,
                progress: arguments.progress,
                position: Position::Verbatim,
                shape: arguments.shape,
            }),
        }
    }

    fn end(self) -> Result<(), Error> {
        match self {
            Self::One(array) => SerializeTuple::end(array),
            Self::Members(_) => Ok(()),
            Self::Verbatim(arguments) => {
                let (text, attachments) = arguments.progress.verbatim.take();
                let count = push_values(arguments.out, &text, &attachments);
                arguments.progress.count.set(count.map_err(Error::custom)?);
                Ok(())
            }
        }
    }
}
