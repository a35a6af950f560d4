//! Reading: the outermost deserializer, which gives an event's arguments to a type.
//!
//! Argument text and attachments enter, a value leaves. This module decides how many arguments a
//! type takes, and handles missing and additional ones. serde_json reads the inside of an argument:
//! behind [`Binary`] if there are attachments, otherwise without a wrapper. serde_json's recursion
//! limit stays on.

use std::fmt;

use bytes::Bytes;
use serde::{
    de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use crate::socketio::args::{
    ArgsError,
    binary::{Binary, NoAttachments},
    elements::{Elements, split_first},
    placeholder::Attachments,
    shape::Shape,
    whole::{Integers, MAX_SAFE_INTEGER},
};

/// Reads `args`, the text between an event's brackets after its name, and its attachments.
///
/// Without attachments a placeholder is an ordinary object, as in the reference client.
///
/// A whole number is an integer in every notation (`whole.rs`).
pub(crate) fn from_args<T: DeserializeOwned>(
    args: &str,
    attachments: &[Bytes],
) -> Result<T, ArgsError> {
    let refused = match read_once(args, attachments) {
        Err(refused @ ArgsError::Deserialize { .. }) => refused,
        read => return read,
    };
    let integers = Integers::of(args);
    let again = integers.text.as_deref();
    let refused = match again.map(|args| read_once(args, attachments)) {
        None => refused,
        Some(Err(refused @ ArgsError::Deserialize { .. })) => refused,
        Some(read) => return read,
    };
    Err(match refused {
        ArgsError::Deserialize { argument, cause } => ArgsError::Deserialize {
            argument,
            cause: explained(cause, &integers),
        },
        other => other,
    })
}

/// Reads JSON text, in which a whole number is an integer in every notation.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|refused| {
        let integers = Integers::of(text);
        match integers.text.as_deref().map(serde_json::from_str) {
            None => Err(explained(refused, &integers)),
            Some(read) => read.map_err(|refused| explained(refused, &integers)),
        }
    })
}

/// Adds to the error for a number that is too large why it is not read as an integer.
fn explained(refused: serde_json::Error, integers: &Integers) -> serde_json::Error {
    if !integers.has_unsafe || !refused.is_data() {
        return refused;
    }
    de::Error::custom(format_args!(
        "{refused}; a number with a fraction or an exponent is read as an integer up to \
         {MAX_SAFE_INTEGER}"
    ))
}

fn read_once<T: DeserializeOwned>(args: &str, attachments: &[Bytes]) -> Result<T, ArgsError> {
    T::deserialize(Arguments {
        shape: Shape::of::<T>(),
        elements: Elements::new(args),
        attachments,
    })
    .map_err(|Failure(error)| error)
}

/// All the arguments. A tuple takes all of them, another type takes the first.
struct Arguments<'de> {
    shape: Shape,
    elements: Elements<'de>,
    attachments: &'de [Bytes],
}

macro_rules! read_the_first_argument {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        read_the_first_argument!(@ $method: $method($($name: $type),*));
    )*};
    (@ $function:ident: $method:ident($($name:ident: $type:ty),*)) => {
        fn $function<V: Visitor<'de>>(
            mut self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, Failure> {
            let Some(text) = self.elements.take_rest() else {
                return Absent { argument: 1 }.$method($($name,)* visitor);
            };
            let mut json = serde_json::Deserializer::from_str(text);
            if self.attachments.is_empty() {
                let read = Binary::new(&mut json, NoAttachments).$method($($name,)* visitor);
                finish(read, &mut json, text, 1)
            } else {
                let attachments = Attachments::new(self.attachments);
                let read = Binary::new(&mut json, &attachments).$method($($name,)* visitor);
                finish(read, &mut json, text, 1).map_err(|error| error.explained(1, &attachments))
            }
        }
    };
}

impl<'de> Arguments<'de> {
    read_the_first_argument!(@ first_as_unit: deserialize_unit());
    read_the_first_argument!(@ first_as_array: deserialize_tuple(len: usize));
}

impl<'de> Deserializer<'de> for Arguments<'de> {
    type Error = Failure;

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if !self.shape.is_tuple() {
            return self.first_as_array(len, visitor);
        }
        visitor.visit_seq(Members {
            elements: self.elements,
            attachments: self.attachments,
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
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }
}

/// The arguments as a tuple's members.
struct Members<'de> {
    elements: Elements<'de>,
    attachments: &'de [Bytes],
    read: usize,
    len: usize,
}

impl<'de> SeqAccess<'de> for Members<'de> {
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
        let element = if argument == self.len {
            self.elements.take_rest()
        } else {
            self.elements.next()
        };
        let Some(text) = element else {
            return seed.deserialize(Absent { argument }).map(Some);
        };
        let mut json = serde_json::Deserializer::from_str(text);
        if self.attachments.is_empty() {
            let read = seed.deserialize(Binary::new(&mut json, NoAttachments));
            finish(read, &mut json, text, argument).map(Some)
        } else {
            let attachments = Attachments::new(self.attachments);
            let read = seed.deserialize(Binary::new(&mut json, &attachments));
            finish(read, &mut json, text, argument)
                .map(Some)
                .map_err(|error| error.explained(argument, &attachments))
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.read)
    }
}

/// A missing argument. A type that needs no value accepts it; any other type is an error.
pub(super) struct Absent {
    pub(super) argument: usize,
}

impl<'de> Deserializer<'de> for Absent {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(Failure(ArgsError::Missing {
            argument: self.argument,
        }))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq
        tuple tuple_struct map struct enum identifier
    }
}

/// An [`ArgsError`] while it passes through serde. It is a type of its own so that the public type
/// does not implement serde's error trait.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ArgsError);

impl Failure {
    /// Replaces serde's message if a placeholder has no attachment, and adds how binary is read if
    /// an object has the wrong type.
    fn explained(self, argument: usize, attachments: &Attachments<'_>) -> Self {
        if let Some(num) = attachments.absent() {
            return Self(ArgsError::NoAttachment {
                argument,
                num,
                attachments: attachments.len(),
            });
        }
        match self.0 {
            ArgsError::Deserialize { argument, cause } if is_about_an_object(&cause) => {
                let cause =
                    de::Error::custom(format_args!("{cause}; if it is binary, read it as `Bytes`"));
                Self(ArgsError::Deserialize { argument, cause })
            }
            other => Self(other),
        }
    }
}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(ArgsError::Deserialize {
            argument: None,
            cause: de::Error::custom(message),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// Returns `true` if a type has refused an object, the form of an attachment.
fn is_about_an_object(refused: &serde_json::Error) -> bool {
    refused.is_data() && refused.to_string().contains("invalid type: map")
}

/// Names the argument in an error, and checks that only another argument follows the value.
fn finish<T>(
    read: Result<T, serde_json::Error>,
    json: &mut serde_json::Deserializer<serde_json::de::StrRead<'_>>,
    text: &str,
    argument: usize,
) -> Result<T, Failure> {
    let ended = read.and_then(|value| match json.end() {
        Ok(()) => Ok(value),
        // As in JavaScript, additional arguments are ignored.
        Err(_) if is_followed_by_an_argument(text) => Ok(value),
        Err(error) => Err(error),
    });
    ended.map_err(|cause| {
        Failure(ArgsError::Deserialize {
            argument: Some(argument),
            cause,
        })
    })
}

/// Returns `true` if `text` is one whole argument and a comma. The parser does not report its end.
fn is_followed_by_an_argument(text: &str) -> bool {
    match split_first(text) {
        (first, Some(_)) => serde_json::from_str::<IgnoredAny>(first).is_ok(),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::{Deserialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    use super::{Bytes, from_args};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: i32,
        y: Option<i32>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Pair(u8, u8);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Unit;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Maybe(Option<u8>);

    #[derive(Debug, Deserialize, PartialEq)]
    enum Shape {
        Nothing,
        Circle(u8),
        Line(u8, u8),
        Square { side: u8 },
    }

    /// Reads without attachments and with one that nothing refers to: both must be the same.
    #[track_caller]
    fn reads<T: DeserializeOwned + PartialEq + Debug>(args: &str, value: &T) {
        let spare = [Bytes::from_static(b"spare")];
        assert_eq!(&from_args::<T>(args, &[]).unwrap(), value, "{args}");
        assert_eq!(
            &from_args::<T>(args, &spare).unwrap(),
            value,
            "{args} beside an attachment"
        );
    }

    #[track_caller]
    fn fails<T: DeserializeOwned + Debug>(args: &str, message: &str) {
        let error = from_args::<T>(args, &[]).unwrap_err().to_string();
        assert!(error.starts_with(message), "{args}: {error}");
        let spare = [Bytes::from_static(b"spare")];
        let error = from_args::<T>(args, &spare).unwrap_err().to_string();
        assert!(
            error.starts_with(message),
            "{args} beside an attachment: {error}"
        );
    }

    #[test]
    fn tuple_takes_as_many_arguments_as_it_has_members() {
        reads("1,\"a\"", &(1_u8, "a".to_owned()));
        reads(" 1 , \"a,b\" ", &(1_u8, "a,b".to_owned()));
        reads("[1,2],{\"x\":3}", &(vec![1, 2], Point { x: 3, y: None }));
        reads("[1,2],[3,4]", &((1, 2), Pair(3, 4)));
        reads("1,2,3,4,5", &(1, 2, 3, 4, 5));
    }

    #[test]
    fn array_is_one_argument() {
        reads("[1,2,3]", &[1, 2, 3]);
        reads("[1,2],3", &[1, 2]);
        reads("[]", &[0_u8; 0]);
        reads("[[1,2],[3,4]]", &[[1, 2], [3, 4]]);
        fails::<[u8; 2]>("1,2", "argument 1 cannot be read");
        fails::<[u8; 2]>("", "argument 1 is missing");
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        reads("3.0", &3_u8);
        reads("1e3", &1000_i16);
        reads("-0.0", &0_u32);
        reads("-2.0", &-2_i128);
        reads("5.0", &5_u128);
        reads("1.0,[2e0]", &(1_u64, vec![2_i8]));
        reads("{\"x\":3.0,\"y\":4.0}", &Point { x: 3, y: Some(4) });
        reads("{\"Square\":{\"side\":1e1}}", &Shape::Square { side: 10 });
        reads("[1.0,2.0]", &[1_u8, 2]);
        reads("1.0,\"1.0\",2.0", &(1_u8, "1.0".to_owned(), 2.0_f64));
        // A value that is read in its own notation is unchanged.
        reads("3.0", &json!(3.0));
        fails::<u8>(
            "3.5",
            "argument 1 cannot be read: invalid type: floating point `3.5`",
        );
        fails::<u32>(
            "-1.0",
            "argument 1 cannot be read: invalid value: integer `-1`",
        );
        fails::<u8>(
            "256.0",
            "argument 1 cannot be read: invalid value: integer `256`",
        );
        fails::<(u8, u8)>(
            "1,2.5",
            "argument 2 cannot be read: invalid type: floating point",
        );
        let error = from_args::<i64>("9007199254740993.0", &[]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("is read as an integer up to 9007199254740991"),
            "{error}"
        );
    }

    #[test]
    fn one_tuple_is_one_argument() {
        reads("1", &(1,));
        reads("[1,2]", &(vec![1, 2],));
    }

    #[test]
    fn unit_accepts_anything() {
        for args in ["", "null", "1,2", "{\"a\":[", "\"", ",,"] {
            reads(args, &());
        }
    }

    #[test]
    fn any_other_type_takes_the_first_argument() {
        reads("true", &true);
        reads("-7", &-7_i64);
        reads("340282366920938463463374607431768211455", &u128::MAX);
        reads("1.5", &1.5_f32);
        reads("\"é\"", &'é');
        reads("\"a\\u00e9\\n\"", &"aé\n".to_owned());
        reads("[1,2]", &vec![1, 2]);
        reads("[1,2]", &Pair(1, 2));
        reads("[1,2]", &Some((1, 2)));
        reads("null", &Unit);
        reads("7", &Maybe(Some(7)));
        reads("{\"x\":1,\"y\":2,\"z\":3}", &Point { x: 1, y: Some(2) });
        reads("\"Nothing\"", &Shape::Nothing);
        reads("{\"Circle\":1}", &Shape::Circle(1));
        reads("{\"Line\":[1,2]}", &Shape::Line(1, 2));
        reads("{\"Square\":{\"side\":1}}", &Shape::Square { side: 1 });
        reads(
            "{\"num\":1,\"a\":[null,\"b\"]}",
            &json!({"num": 1, "a": [null, "b"]}),
        );
    }

    #[test]
    fn extra_arguments_are_ignored() {
        reads("1,2,3", &1);
        reads("\"a\" , {\"b\":[1]}", &"a".to_owned());
        reads("1,2,3", &(1, 2));
        reads("null,2", &None::<u8>);
        reads("{\"x\":1},2", &Point { x: 1, y: None });
    }

    #[test]
    fn missing_arguments_are_none() {
        reads("", &None::<u8>);
        reads(" ", &None::<u8>);
        reads("", &Maybe(None));
        reads("1", &(1, None::<u8>));
        reads("", &(None::<u8>, Maybe(None), ()));
        reads("1,null", &(1, None::<u8>));
        reads("", &Unit);
    }

    #[test]
    fn missing_argument_is_named() {
        fails::<u8>("", "argument 1 is missing");
        fails::<Value>("", "argument 1 is missing");
        fails::<Point>("", "argument 1 is missing");
        fails::<(u8, String)>("1", "argument 2 is missing");
        fails::<(u8, Option<u8>, Vec<u8>)>("1,2", "argument 3 is missing");
        fails::<(u8, u8, u8)>("1,2", "argument 3 is missing");
    }

    #[test]
    fn wrong_argument_is_named() {
        fails::<u8>(
            "\"a\"",
            "argument 1 cannot be read: invalid type: string \"a\", expected u8",
        );
        fails::<(u8, u8)>(
            "1,256",
            "argument 2 cannot be read: invalid value: integer `256`",
        );
        fails::<(u8, Point)>(
            "1,{\"y\":1}",
            "argument 2 cannot be read: missing field `x`",
        );
        fails::<Shape>(
            "{\"Circle\":-1}",
            "argument 1 cannot be read: invalid value",
        );
    }

    #[test]
    fn malformed_text_is_an_error() {
        for args in ["1 2", "1x", "1]", ",", "1x,2", "1 2,3"] {
            fails::<u8>(args, "argument 1 cannot be read");
        }
        for args in ["1,", "1,2 3", "1,}", "1,,2"] {
            fails::<(u8, u8)>(args, "argument 2 cannot be read");
        }
        for args in ["{\"a\":1", "\"a", "{\"a\":1},", "nul", "\"\\"] {
            fails::<(Value, u8)>(args, "argument ");
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        // serde_json opens 127 levels and refuses the 128th.
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let spare = [Bytes::from_static(b"spare")];
        for attachments in [&[], &spare[..]] {
            assert!(from_args::<Value>(&nested(127), attachments).is_ok());
            for levels in [128, 100_000] {
                let error = from_args::<Value>(&nested(levels), attachments).unwrap_err();
                assert!(error.to_string().contains("recursion limit"), "{error}");
            }
            assert!(from_args::<(Value, Value)>(&nested(100_000), attachments).is_err());
            // An ignored argument is skipped without recursion.
            let extra = format!("1,{}", nested(100_000));
            assert_eq!(from_args::<u8>(&extra, attachments).unwrap(), 1);
        }
        let numbers = format!("{}1{}", "{\"num\":".repeat(100_000), "}".repeat(100_000));
        let error = from_args::<Value>(&numbers, &spare).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }
}
