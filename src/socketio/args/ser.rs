//! Writing: the outermost serializer, which writes a value as an event's arguments.
//!
//! A value enters; JSON text is appended to a buffer and attachments to a list. This module decides
//! how many arguments a value is and whether it is a failure. serde_json writes the inside of an
//! argument, with a [`Formatter`] that turns bytes into placeholders and omits the brackets of the
//! outermost tuple.

use std::{
    cell::{Cell, RefCell},
    io,
};

use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{self, SerializeTuple},
};
use serde_json::ser::Formatter;

use crate::socketio::args::{
    ArgsError, Outcome,
    elements::is_blank,
    placeholder::{MARK, NUM},
    raw,
    shape::Shape,
};
use crate::socketio::msgpack::values_to_json;

/// Appends the arguments of `value`, separated by commas, to `out`.
///
/// If `prefix` is set a comma precedes the first of them, because an event's name stands before it.
/// Attachments are appended to `attachments`, and a placeholder's number is the index in all of it.
/// After an error both are unchanged. The bytes are copied, because serde only lends them.
pub(crate) fn push_args<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    prefix: bool,
    value: &T,
    attachments: &mut Vec<Bytes>,
) -> Result<Outcome, ArgsError> {
    let before = out.len();
    if prefix {
        out.push(b',');
    }
    let text = out.len();
    let progress = Progress {
        attached_before: attachments.len(),
        ..Progress::default()
    };
    let format = ArgumentFormatter {
        progress: &progress,
        depth: 0,
    };
    let mut json = serde_json::Serializer::with_formatter(&mut *out, format);
    let outermost = Arguments {
        json: &mut json,
        progress: &progress,
        position: Position::Outermost,
        shape: Shape::of::<T>(),
    };
    if let Err(cause) = value.serialize(outermost) {
        out.truncate(before);
        let argument = progress.argument.get();
        return Err(ArgsError::Serialize {
            argument: (argument > 0).then_some(argument),
            cause,
        });
    }
    if let Some(args) = progress.verbatim.into_inner()
        && !is_blank(&args)
    {
        out.extend_from_slice(args.as_bytes());
    }
    if out.len() == text {
        out.truncate(before);
    }
    attachments.extend(progress.attached.into_inner());
    Ok(if progress.failed.get() {
        Outcome::Failed
    } else {
        Outcome::Sent
    })
}

/// The state that the serializer and its formatter share while serde_json is between them.
#[derive(Default)]
struct Progress {
    /// The number of attachments before those of this value.
    attached_before: usize,
    attached: RefCell<Vec<Bytes>>,
    /// `true` if the outermost array is the list of arguments.
    spread: Cell<bool>,
    /// The argument that is written now, counted from 1.
    argument: Cell<usize>,
    failed: Cell<bool>,
    /// The text of an [`Args`](raw::Args) that is all of the arguments.
    verbatim: RefCell<Option<String>>,
}

impl Progress {
    /// Adds an attachment and returns its number.
    fn attach(&self, bytes: &[u8]) -> usize {
        let mut attached = self.attached.borrow_mut();
        attached.push(Bytes::copy_from_slice(bytes));
        self.attached_before + attached.len() - 1
    }

    /// Takes values of MessagePack as the arguments.
    fn convert(&self, values: &[u8]) -> Result<(), serde_json::Error> {
        let values = Bytes::copy_from_slice(values);
        let (text, attachments) = values_to_json(&values).map_err(ser::Error::custom)?;
        self.attached.replace(attachments);
        self.verbatim.replace(Some(text));
        Ok(())
    }

    /// Returns `true` if the next attachment is the first.
    fn is_first(&self) -> bool {
        self.attached_before == 0 && self.attached.borrow().is_empty()
    }
}

type Json<'a> = serde_json::Serializer<&'a mut Vec<u8>, ArgumentFormatter<'a>>;

/// The position of the value that is given to [`Arguments`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The sent value: the rule holds, and a `Result` decides the outcome.
    Outermost,
    /// The value in a `Result`: the rule holds.
    InResult,
    /// An [`Args`](raw::Args), or a part of one, that is asked for its text and attachments.
    Verbatim,
    /// The values of an [`Args`](raw::Args) that is kept in MessagePack.
    Values,
}

/// All the arguments. A tuple is all of them, another value is one.
struct Arguments<'s, 'a> {
    json: &'s mut Json<'a>,
    progress: &'a Progress,
    position: Position,
    shape: Shape,
}

impl<'s, 'a> Arguments<'s, 'a> {
    /// serde_json's serializer, for a value that is one argument.
    fn one(self) -> &'s mut Json<'a> {
        self.progress.argument.set(1);
        self.json
    }
}

macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*) $(-> $compound:ident)?;)*) => {$(
        one_argument!(@ $method($($name: $type),*) $($compound)?);
    )*};
    (@ $method:ident($($name:ident: $type:ty),*)) => {
        fn $method(self, $($name: $type),*) -> Result<(), serde_json::Error> {
            self.one().$method($($name),*)
        }
    };
    (@ $method:ident($($name:ident: $type:ty),*) $compound:ident) => {
        fn $method(self, $($name: $type),*) -> Result<Self::$compound, serde_json::Error> {
            self.one().$method($($name),*)
        }
    };
}

impl<'s, 'a> Serializer for Arguments<'s, 'a> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = Compound<'s, 'a>;
    type SerializeTuple = Tuple<'s, 'a>;
    type SerializeTupleStruct = Compound<'s, 'a>;
    type SerializeTupleVariant = Compound<'s, 'a>;
    type SerializeMap = Compound<'s, 'a>;
    type SerializeStruct = Compound<'s, 'a>;
    type SerializeStructVariant = Compound<'s, 'a>;

    fn serialize_unit(self) -> Result<(), serde_json::Error> {
        if self.shape.is_unit() {
            return Ok(());
        }
        // `null`, the value of `Value::Null`.
        self.one().serialize_unit()
    }

    fn serialize_tuple(self, len: usize) -> Result<Tuple<'s, 'a>, serde_json::Error> {
        if self.position == Position::Verbatim {
            return Ok(Tuple::Verbatim(self));
        }
        if !self.shape.is_tuple() {
            return self.one().serialize_tuple(len).map(Tuple::Members);
        }
        self.progress.spread.set(true);
        self.json.serialize_tuple(len).map(Tuple::Members)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), serde_json::Error> {
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
            _ => self
                .one()
                .serialize_newtype_variant(name, index, variant, value),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        if name != raw::NAME {
            return self.one().serialize_newtype_struct(name, value);
        }
        // The numbers in the text are right only if no attachment precedes its own.
        let position = if self.progress.is_first() {
            Position::Verbatim
        } else {
            self.position
        };
        value.serialize(Self {
            position,
            shape: Shape::TUPLE,
            ..self
        })
    }

    fn serialize_str(self, value: &str) -> Result<(), serde_json::Error> {
        if self.position == Position::Verbatim {
            self.progress.verbatim.replace(Some(value.to_owned()));
            return Ok(());
        }
        self.one().serialize_str(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), serde_json::Error> {
        match self.position {
            Position::Verbatim => {
                self.progress.attach(value);
                Ok(())
            }
            Position::Values => self.progress.convert(value),
            Position::Outermost | Position::InResult => self.one().serialize_bytes(value),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), serde_json::Error> {
        self.one().serialize_some(value)
    }

    fn is_human_readable(&self) -> bool {
        // An `Args` recognizes by the change that its text is requested.
        self.position != Position::Verbatim
    }

    one_argument! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_none();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeStructVariant;
    }
}

type Compound<'s, 'a> = serde_json::ser::Compound<'s, &'a mut Vec<u8>, ArgumentFormatter<'a>>;

/// The types that serde calls a tuple, at the outermost position.
enum Tuple<'s, 'a> {
    /// A tuple, whose members are the arguments; or an array, which is one argument.
    Members(Compound<'s, 'a>),
    /// An [`Args`](raw::Args): its text, then its attachments.
    Verbatim(Arguments<'s, 'a>),
}

impl SerializeTuple for Tuple<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        match self {
            Self::Members(members) => members.serialize_element(value),
            Self::Verbatim(arguments) => value.serialize(Arguments {
                json: &mut *arguments.json,
                progress: arguments.progress,
                position: Position::Verbatim,
                shape: arguments.shape,
            }),
        }
    }

    fn end(self) -> Result<(), serde_json::Error> {
        match self {
            Self::Members(members) => members.end(),
            Self::Verbatim(_) => Ok(()),
        }
    }
}

/// Writes compact JSON. Bytes are placeholders, and the outermost tuple has no brackets.
struct ArgumentFormatter<'a> {
    progress: &'a Progress,
    /// The number of open arrays, if the outermost one is the list of arguments.
    depth: usize,
}

impl Formatter for ArgumentFormatter<'_> {
    fn write_byte_array<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        let num = self.progress.attach(value);
        write!(writer, r#"{{"{MARK}":true,"{NUM}":{num}}}"#)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.progress.spread.get() {
            self.depth += 1;
            if self.depth == 1 {
                return Ok(());
            }
        }
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.progress.spread.get() {
            self.depth -= 1;
            if self.depth == 0 {
                return Ok(());
            }
        }
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.depth == 1 {
            self.progress.argument.set(self.progress.argument.get() + 1);
        }
        if first {
            Ok(())
        } else {
            writer.write_all(b",")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde_json::Value;

    use super::{ArgsError, Bytes, Outcome, Serialize, Serializer, push_args, ser};
    use crate::socketio::args::Args;

    #[derive(Serialize)]
    struct Point {
        x: i32,
        y: Option<i32>,
    }

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Newtype<T>(T);

    #[derive(Serialize)]
    struct Pair(u8, Bytes);

    #[derive(Serialize)]
    #[serde(transparent)]
    struct Transparent<T>(T);

    #[derive(Serialize)]
    enum Shape {
        Nothing,
        Circle(u8),
        Line(u8, Bytes),
        Square { side: Bytes },
    }

    struct Failing;

    impl Serialize for Failing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("no"))
        }
    }

    const ZERO: Bytes = Bytes::from_static(b"zero");
    const ONE: Bytes = Bytes::from_static(b"\xff1");

    #[track_caller]
    fn writes<T: Serialize + ?Sized>(value: &T, args: &str, attached: &[Bytes]) {
        let (mut out, mut attachments) = (b"[\"ev\"".to_vec(), Vec::new());
        assert_eq!(
            push_args(&mut out, true, value, &mut attachments).unwrap(),
            Outcome::Sent
        );
        let comma = if args.is_empty() { "" } else { "," };
        let args = args
            .replace("#0", &placeholder(0))
            .replace("#1", &placeholder(1));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("[\"ev\"{comma}{args}")
        );
        assert_eq!(attachments, attached);

        let (mut out, mut attachments) = (b"[".to_vec(), Vec::new());
        push_args(&mut out, false, value, &mut attachments).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("[{args}"));
        assert_eq!(attachments, attached);
    }

    fn placeholder(num: usize) -> String {
        format!("{{\"_placeholder\":true,\"num\":{num}}}")
    }

    #[test]
    fn tuple_is_as_many_arguments_as_it_has_members() {
        writes(&(1, "a"), "1,\"a\"", &[]);
        writes(&(1, (2, [3, 4]), None::<u8>), "1,[2,[3,4]],null", &[]);
        writes(
            &(vec![1], Point { x: 1, y: None }),
            "[1],{\"x\":1,\"y\":null}",
            &[],
        );
        writes(&((), Unit, vec![0_u8; 0]), "null,null,[]", &[]);
        writes(&Transparent((1, 2)), "[1,2]", &[]);
        writes(&Box::new((1, 2)), "1,2", &[]);
    }

    #[test]
    fn array_is_one_argument() {
        writes(&[1, 2, 3], "[1,2,3]", &[]);
        writes([1, 2, 3].as_slice(), "[1,2,3]", &[]);
        writes(&[[1, 2], [3, 4]], "[[1,2],[3,4]]", &[]);
        writes(&[0_u8; 0], "[]", &[]);
        writes(&b"ab", "[97,98]", &[]);
        writes(&Ok::<_, ()>([1, 2]), "[1,2]", &[]);
        writes(&([1, 2], 3), "[1,2],3", &[]);
    }

    #[test]
    fn null_is_one_argument_and_unit_is_none() {
        writes(&Value::Null, "null", &[]);
        writes(&&Value::Null, "null", &[]);
        writes(&Ok::<_, ()>(Value::Null), "null", &[]);
        writes(&None::<u8>, "null", &[]);
        writes(&None::<()>, "null", &[]);
        writes(&Some(()), "null", &[]);
        writes(&Unit, "null", &[]);
        writes(&(), "", &[]);
        writes(&&(), "", &[]);
        writes(&Ok::<_, ()>(()), "", &[]);
        writes(&((),), "null", &[]);
    }

    #[test]
    fn one_tuple_is_one_argument() {
        writes(&(1,), "1", &[]);
        writes(&((1, 2),), "[1,2]", &[]);
    }

    #[test]
    fn unit_is_no_argument() {
        writes(&(), "", &[]);
    }

    #[test]
    fn any_other_type_is_one_argument() {
        writes(&true, "true", &[]);
        writes(&i128::MIN, "-170141183460469231731687303715884105728", &[]);
        writes(&1.5_f32, "1.5", &[]);
        writes(&f64::NAN, "null", &[]);
        writes(&'é', "\"é\"", &[]);
        writes("a\"\n", "\"a\\\"\\n\"", &[]);
        writes(&None::<u8>, "null", &[]);
        writes(&Some((1, 2)), "[1,2]", &[]);
        writes(&Some(()), "null", &[]);
        writes(&Unit, "null", &[]);
        writes(&Newtype((1, 2)), "[1,2]", &[]);
        writes(&Newtype(()), "null", &[]);
        writes([1, 2].as_slice(), "[1,2]", &[]);
        writes(&vec![(1, 2)], "[[1,2]]", &[]);
        writes(&BTreeMap::from([(1, 'a')]), "{\"1\":\"a\"}", &[]);
        writes(&Point { x: 1, y: Some(2) }, "{\"x\":1,\"y\":2}", &[]);
        writes(&Shape::Nothing, "\"Nothing\"", &[]);
        writes(&Shape::Circle(1), "{\"Circle\":1}", &[]);
        writes(&format_args!("{}", 1), "\"1\"", &[]);
        writes(&serde_json::json!([1, {"a": 2}]), "[1,{\"a\":2}]", &[]);
    }

    #[test]
    fn bytes_are_attachments_at_any_depth() {
        writes(&ZERO, "#0", &[ZERO]);
        writes(&(ZERO, 1, ONE), "#0,1,#1", &[ZERO, ONE]);
        writes(&[ZERO, ONE], "[#0,#1]", &[ZERO, ONE]);
        writes(&Some(vec![ZERO, ONE]), "[#0,#1]", &[ZERO, ONE]);
        writes(&Newtype(ZERO), "#0", &[ZERO]);
        writes(
            &(Pair(1, ZERO), Shape::Line(2, ONE)),
            "[1,#0],{\"Line\":[2,#1]}",
            &[ZERO, ONE],
        );
        writes(
            &Shape::Square { side: ONE },
            "{\"Square\":{\"side\":#0}}",
            &[ONE],
        );
        writes(&BTreeMap::from([("a", ZERO)]), "{\"a\":#0}", &[ZERO]);
        writes(&Bytes::new(), "#0", &[Bytes::new()]);
    }

    #[test]
    fn placeholders_count_the_attachments_before() {
        let (mut out, mut attachments) = (Vec::new(), vec![Bytes::new(); 9]);
        push_args(&mut out, false, &(ZERO, ONE), &mut attachments).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{},{}", placeholder(9), placeholder(10))
        );
        assert_eq!(attachments[9..], [ZERO, ONE]);
    }

    #[test]
    fn result_tells_the_outcome() {
        fn pushed<T: Serialize>(value: &T) -> (String, Outcome) {
            let mut out = Vec::new();
            let outcome = push_args(&mut out, true, value, &mut Vec::new()).unwrap();
            (String::from_utf8(out).unwrap(), outcome)
        }
        type Answer<T> = Result<T, &'static str>;
        let sent = |args: &str| (args.to_owned(), Outcome::Sent);
        let failed = |args: &str| (args.to_owned(), Outcome::Failed);

        assert_eq!(pushed(&Answer::Ok((1, 2))), sent(",1,2"));
        assert_eq!(pushed(&Answer::Ok(())), sent(""));
        assert_eq!(pushed(&Answer::Ok(None::<u8>)), sent(",null"));
        assert_eq!(pushed(&Answer::<()>::Err("no")), failed(",\"no\""));
        assert_eq!(
            pushed(&Result::<(), _>::Err(("no", 1))),
            failed(",\"no\",1")
        );
        assert_eq!(pushed(&Result::<(), _>::Err(())), failed(""));
        // Below the outermost position a result is an enum.
        assert_eq!(
            pushed(&Answer::Ok(Answer::<()>::Err("no"))),
            sent(",{\"Err\":\"no\"}")
        );
        assert_eq!(
            pushed(&(1, Answer::<u8>::Err("no"))),
            sent(",1,{\"Err\":\"no\"}")
        );
        assert_eq!(pushed(&Some(Answer::Ok(1))), sent(",{\"Ok\":1}"));
        assert_eq!(
            pushed(&Answer::Ok(Args::from_value(&(1, 2)).unwrap())),
            sent(",1,2")
        );
    }

    #[test]
    fn failure_leaves_the_buffers_as_they_were() {
        #[track_caller]
        fn fails<T: Serialize>(value: &T, argument: usize, message: &str) {
            let (mut out, mut attachments) = (b"[\"ev\"".to_vec(), vec![ONE]);
            let error = push_args(&mut out, true, value, &mut attachments).unwrap_err();
            let named = matches!(
                error,
                ArgsError::Serialize { argument: Some(named), .. } if named == argument
            );
            assert!(named, "{error:?}");
            let expected = format!("argument {argument} cannot be written: {message}");
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert_eq!((&*out, &*attachments), (&b"[\"ev\""[..], &[ONE][..]));
        }
        let map = || HashMap::from([(vec![1], 1)]);
        fails(&map(), 1, "key must be a string");
        fails(&(1, ZERO, map()), 3, "key must be a string");
        fails(&(ZERO, Newtype((1, Failing))), 2, "no");
        fails(&Ok::<_, ()>((1, Failing)), 2, "no");
        fails(&Err::<(), _>(vec![Failing]), 1, "no");
        fails(&BTreeMap::from([(ZERO, 1)]), 1, "key must be a string");
    }

    #[test]
    fn failure_before_any_argument_names_none() {
        let error = push_args(&mut Vec::new(), true, &Failing, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the arguments cannot be written: no");
    }
}
