//! The deserializer around serde_json's that replaces placeholders with attachments.
//!
//! It wraps any deserializer of JSON. It differs from it only if a type asks for bytes or for any
//! value. Then an object that is a placeholder is visited as the attachment's bytes. The bytes are
//! borrowed, so serde's own buffers (untagged and internally tagged enums, flattened structs) do
//! not copy them. Bytes are read from attachments alone: a text or an array of numbers is an error,
//! because a client that sends one has not sent binary.
//!
//! An event without attachments is read with [`NoAttachments`]. It occupies no memory and looks for
//! no placeholder, so plain events pay nothing.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use crate::socketio::args::placeholder::{Attachments, Found, find, read};

/// A deserializer, visitor, seed or access that knows the attachments.
pub(super) struct Binary<S, D> {
    inner: D,
    source: S,
}

/// The source of the attachments.
pub(super) trait Source<'de>: Copy {
    /// Returns the attachments, if the packet has any.
    fn attachments(&self) -> Option<&Attachments<'de>>;
}

impl<'de> Source<'de> for &Attachments<'de> {
    fn attachments(&self) -> Option<&Attachments<'de>> {
        Some(self)
    }
}

/// The packet has no attachments.
#[derive(Clone, Copy)]
pub(super) struct NoAttachments;

impl<'de> Source<'de> for NoAttachments {
    fn attachments(&self) -> Option<&Attachments<'de>> {
        None
    }
}

impl<S: Copy, D> Binary<S, D> {
    pub(super) fn new(inner: D, source: S) -> Self {
        Self { inner, source }
    }

    fn visitor<V>(&self, inner: V, asked: Asked) -> BinaryVisitor<S, V> {
        BinaryVisitor {
            inner,
            source: self.source,
            asked,
        }
    }
}

/// Types that are never binary and contain no binary.
macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

/// Types that may contain binary.
macro_rules! forward_and_follow {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let visitor = self.visitor(visitor, Asked::Holder);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

impl<'de, S: Source<'de>, D: Deserializer<'de>> Deserializer<'de> for Binary<S, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Asked::Any);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Asked::Bytes);
        // serde_json refuses an object for a request of bytes, so any value is requested.
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_bytes(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    forward! {
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
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    forward_and_follow! {
        deserialize_option();
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }
}

/// The request of the type to the deserializer.
#[derive(Clone, Copy)]
enum Asked {
    /// Any value: an object that begins like a placeholder is one.
    Any,
    /// Bytes: an object must be a placeholder.
    Bytes,
    /// A value of a known shape: an object is an object.
    Holder,
}

struct BinaryVisitor<S, V> {
    inner: V,
    source: S,
    asked: Asked,
}

impl<S: Copy, V> BinaryVisitor<S, V> {
    fn wrap<D>(&self, inner: D) -> Binary<S, D> {
        Binary::new(inner, self.source)
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

/// A text is not bytes, although serde_json reads it as bytes.
macro_rules! visit_text {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            match self.asked {
                Asked::Bytes => Err(no_binary("a text")),
                Asked::Any | Asked::Holder => self.inner.$method(value),
            }
        }
    )*};
}

impl<'de, S: Source<'de>, V: Visitor<'de>> Visitor<'de> for BinaryVisitor<S, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool: bool;
        visit_i8: i8;
        visit_i16: i16;
        visit_i32: i32;
        visit_i64: i64;
        visit_i128: i128;
        visit_u8: u8;
        visit_u16: u16;
        visit_u32: u32;
        visit_u64: u64;
        visit_u128: u128;
        visit_f32: f32;
        visit_f64: f64;
        visit_char: char;
        visit_bytes: &[u8];
        visit_borrowed_bytes: &'de [u8];
        visit_byte_buf: Vec<u8>;
    }

    visit_text! {
        visit_str: &str;
        visit_borrowed_str: &'de str;
        visit_string: String;
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        let some = self.wrap(some);
        self.inner.visit_some(some)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, within: D) -> Result<V::Value, D::Error> {
        let within = self.wrap(within);
        self.inner.visit_newtype_struct(within)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        if matches!(self.asked, Asked::Bytes) {
            return Err(no_binary("an array"));
        }
        let seq = self.wrap(seq);
        self.inner.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let source = self.source;
        match (self.asked, source.attachments()) {
            (Asked::Bytes, None) => Err(de::Error::invalid_type(Unexpected::Map, &self.inner)),
            (Asked::Bytes, Some(attachments)) => match read(&mut map, attachments)? {
                Some(attachment) => self.inner.visit_borrowed_bytes(attachment),
                None => Err(de::Error::invalid_type(Unexpected::Map, &self.inner)),
            },
            (Asked::Holder, _) | (Asked::Any, None) => {
                let map = self.wrap(map);
                self.inner.visit_map(map)
            }
            (Asked::Any, Some(attachments)) => match find(map, attachments)? {
                Found::Map(map) => self.inner.visit_map(map),
                // serde's buffers take any bytes. A type that refuses them here, like
                // `serde_json::Value`, cannot hold an attachment. Giving it the placeholder instead
                // would lose the attachment silently.
                Found::Attachment(attachment) => self
                    .inner
                    .visit_borrowed_bytes(attachment)
                    .map_err(|error: A::Error| {
                        de::Error::custom(format_args!(
                            "the value holds binary: {error}; read it as `AnyValue`"
                        ))
                    }),
            },
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.wrap(access);
        self.inner.visit_enum(access)
    }
}

impl<'de, S: Source<'de>, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Binary<S, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.inner
            .deserialize(Binary::new(deserializer, self.source))
    }
}

impl<'de, S: Source<'de>, A: SeqAccess<'de>> SeqAccess<'de> for Binary<S, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Binary::new(seed, self.source))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: Source<'de>, A: MapAccess<'de>> MapAccess<'de> for Binary<S, A> {
    type Error = A::Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        // A key is a string in JSON, never binary.
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Binary::new(seed, self.source))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: Source<'de>, A: EnumAccess<'de>> EnumAccess<'de> for Binary<S, A> {
    type Error = A::Error;
    type Variant = Binary<S, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let (name, variant) = self.inner.variant_seed(seed)?;
        Ok((name, Binary::new(variant, self.source)))
    }
}

impl<'de, S: Source<'de>, A: VariantAccess<'de>> VariantAccess<'de> for Binary<S, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner
            .newtype_variant_seed(Binary::new(seed, self.source))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Asked::Holder);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Asked::Holder);
        self.inner.struct_variant(fields, visitor)
    }
}

/// Returns the error that a value other than bytes was found.
pub(in crate::socketio) fn no_binary<E: de::Error>(found: &str) -> E {
    E::custom(format_args!(
        "expected binary, got {found}: a client sends binary as an ArrayBuffer, a Uint8Array or a \
         Buffer, or as bytes in Python"
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, HashMap},
        fmt::{self, Debug},
    };

    use bytes::Bytes;
    use serde::{
        Deserialize, Deserializer,
        de::{self, DeserializeOwned, IgnoredAny, Visitor},
    };
    use serde_json::{Value, json};

    use crate::socketio::args::{ArgsError, de::from_args};

    const FIRST: &str = r#"{"_placeholder":true,"num":0}"#;
    const SECOND: &str = r#"{"num":1,"_placeholder":true}"#;

    /// Bytes that are not read from text or from numbers.
    #[derive(Debug, PartialEq)]
    struct Blob(Vec<u8>);

    impl<'de> Deserialize<'de> for Blob {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct BlobVisitor;
            impl Visitor<'_> for BlobVisitor {
                type Value = Blob;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a blob")
                }
                fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                    Ok(Blob(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(BlobVisitor)
        }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct File {
        name: String,
        content: Bytes,
        preview: Option<Bytes>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Wrapper(Bytes);

    #[derive(Debug, Deserialize, PartialEq)]
    enum Part {
        Empty,
        One(Bytes),
        Two(Bytes, u8),
        Named { bytes: Bytes },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Untagged {
        Blob(Blob),
        Number(i64),
        Text(String),
        Many(Vec<Self>),
        Numbered { num: Box<Self> },
        Marked { _placeholder: Box<Self> },
        Map(BTreeMap<String, Self>),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Tagged {
        File { num: Option<u8>, content: Bytes },
        Wrapped(Content),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        Bytes(Bytes),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Content {
        content: Blob,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        content: Content,
        #[serde(flatten)]
        rest: HashMap<String, Untagged>,
    }

    fn attachments() -> [Bytes; 2] {
        [Bytes::from_static(b"\xff0"), Bytes::from_static(b"one")]
    }

    #[track_caller]
    fn reads<T: DeserializeOwned + PartialEq + Debug>(args: &str, value: &T) {
        let args = args.replace("#0", FIRST).replace("#1", SECOND);
        assert_eq!(
            &from_args::<T>(&args, &attachments()).unwrap(),
            value,
            "{args}"
        );
    }

    #[track_caller]
    fn fails<T: DeserializeOwned + Debug>(args: &str) -> ArgsError {
        let args = args.replace("#0", FIRST).replace("#1", SECOND);
        from_args::<T>(&args, &attachments()).unwrap_err()
    }

    fn zero() -> Bytes {
        attachments()[0].clone()
    }

    fn one() -> Bytes {
        attachments()[1].clone()
    }

    fn blob(bytes: &Bytes) -> Blob {
        Blob(bytes.to_vec())
    }

    #[test]
    fn placeholder_is_read_wherever_a_typed_value_has_it() {
        reads("#0", &zero());
        reads(" #0 , 2", &zero());
        reads("#1,#0,#1", &(one(), zero(), blob(&one())));
        reads("#0", &Some(zero()));
        reads("null", &None::<Bytes>);
        reads("#0", &Wrapper(zero()));
        reads("[#0,#1]", &vec![zero(), one()]);
        reads("1,[2,[#0]]", &(1, (2, (zero(),))));
        reads("{\"a\":#0}", &BTreeMap::from([("a".to_owned(), zero())]));
        reads(
            "{\"name\":\"a\",\"content\":#1,\"preview\":#0}",
            &File {
                name: "a".to_owned(),
                content: one(),
                preview: Some(zero()),
            },
        );
        reads("\"Empty\"", &Part::Empty);
        reads("{\"One\":#0}", &Part::One(zero()));
        reads("{\"Two\":[#0,2]}", &Part::Two(zero(), 2));
        reads("{\"Named\":{\"bytes\":#0}}", &Part::Named { bytes: zero() });
        reads("{\"t\":\"Bytes\",\"c\":#0}", &Adjacent::Bytes(zero()));
        reads("{\"c\":#0,\"t\":\"Bytes\"}", &Adjacent::Bytes(zero()));
    }

    #[test]
    fn placeholder_is_read_through_untagged_enums() {
        reads("#0", &Untagged::Blob(blob(&zero())));
        reads(
            "[1,\"a\",#1,{\"b\":#0}]",
            &Untagged::Many(vec![
                Untagged::Number(1),
                Untagged::Text("a".to_owned()),
                Untagged::Blob(blob(&one())),
                Untagged::Map(BTreeMap::from([(
                    "b".to_owned(),
                    Untagged::Blob(blob(&zero())),
                )])),
            ]),
        );
        reads("{}", &Untagged::Map(BTreeMap::new()));
    }

    #[test]
    fn placeholder_is_read_through_internally_tagged_enums() {
        reads(
            "{\"type\":\"file\",\"content\":#0}",
            &Tagged::File {
                num: None,
                content: zero(),
            },
        );
        reads(
            "{\"num\":3,\"type\":\"file\",\"content\":#0}",
            &Tagged::File {
                num: Some(3),
                content: zero(),
            },
        );
        reads(
            "{\"content\":#1,\"type\":\"wrapped\"}",
            &Tagged::Wrapped(Content {
                content: blob(&one()),
            }),
        );
    }

    #[test]
    fn placeholder_is_read_through_flattened_structs() {
        reads(
            "{\"content\":#1,\"id\":1,\"more\":#0,\"num\":2}",
            &Flat {
                id: 1,
                content: Content {
                    content: blob(&one()),
                },
                rest: HashMap::from([
                    ("more".to_owned(), Untagged::Blob(blob(&zero()))),
                    ("num".to_owned(), Untagged::Number(2)),
                ]),
            },
        );
    }

    #[test]
    fn object_that_only_begins_like_a_placeholder_is_an_object() {
        let numbered = |value| Untagged::Numbered {
            num: Box::new(value),
        };
        reads("{\"num\":0}", &numbered(Untagged::Number(0)));
        reads("{\"num\":#0}", &numbered(Untagged::Blob(blob(&zero()))));
        reads(
            "{\"num\":{\"num\":[#0]}}",
            &numbered(numbered(Untagged::Many(vec![Untagged::Blob(
                blob(&zero()),
            )]))),
        );
        reads(
            "{\"num\":0,\"_placeholder\":false}",
            &json!({"num": 0, "_placeholder": false}),
        );
        reads(
            "{\"_placeholder\":{\"num\":#1}}",
            &Untagged::Marked {
                _placeholder: Box::new(numbered(Untagged::Blob(blob(&one())))),
            },
        );
        for object in [
            r#"{"_placeholder":1,"num":0}"#,
            r#"{"_placeholder":false}"#,
            r#"{"num":[1,{"a":null}],"_placeholder":"true","b":1.5}"#,
            r#"{"num":1,"nam":{"b":{}}}"#,
            r#"{"\u006eum":"\n"}"#,
        ] {
            reads::<Value>(object, &serde_json::from_str(object).unwrap());
        }
    }

    #[test]
    fn buffered_values_are_read_as_any_shape() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct All {
            option: Option<Option<u8>>,
            newtype: Wrapper,
            parts: Vec<Part>,
            float: f32,
            unit: (),
        }
        struct Num(All);
        impl<'de> Deserialize<'de> for Num {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NumVisitor;
                impl<'de> Visitor<'de> for NumVisitor {
                    type Value = Num;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Num, A::Error> {
                        let entry = map.next_entry::<String, All>()?;
                        assert!(map.next_key::<String>()?.is_none());
                        entry
                            .map(|(_, all)| Num(all))
                            .ok_or_else(|| de::Error::custom("empty"))
                    }
                }
                deserializer.deserialize_any(NumVisitor)
            }
        }
        let args = r##"{"num":{"option":null,"newtype":#0,"float":1,"unit":null,
            "parts":["Empty",{"One":#1},{"Two":[#0,2]},{"Named":{"bytes":#1}}]}}"##
            .replace("#0", FIRST)
            .replace("#1", SECOND);
        let Num(all) = from_args(&args, &attachments()).unwrap();
        assert_eq!(
            all,
            All {
                option: None,
                newtype: Wrapper(zero()),
                parts: vec![
                    Part::Empty,
                    Part::One(one()),
                    Part::Two(zero(), 2),
                    Part::Named { bytes: one() },
                ],
                float: 1.0,
                unit: (),
            }
        );
        for parts in ["1", "[]", "{}", "{\"One\":1,\"Two\":2}", "\"Three\"", FIRST] {
            let args = format!("{{\"num\":{{\"parts\":[{parts}]}}}}");
            assert!(from_args::<Num>(&args, &attachments()).is_err(), "{parts}");
        }
    }

    #[test]
    fn text_and_numbers_are_no_bytes() {
        type Read = fn(&str, &[Bytes]) -> Option<ArgsError>;
        fn error<T: DeserializeOwned>(args: &str, attachments: &[Bytes]) -> Option<ArgsError> {
            from_args::<T>(args, attachments).err()
        }
        let table: [(&str, &str, Read); 9] = [
            ("a text", "\"aé\"", error::<Bytes>),
            ("a text", "\"a\\n\"", error::<Bytes>),
            ("a text", "\"ab\"", error::<Blob>),
            ("an array", "[1,2]", error::<Bytes>),
            ("an array", "[]", error::<Option<Bytes>>),
            ("a text", "1,\"ab\"", error::<(u8, Option<Bytes>)>),
            ("a text", "[\"ab\"]", error::<Vec<Wrapper>>),
            ("a text", "{\"One\":\"ab\"}", error::<Part>),
            (
                "an array",
                "{\"name\":\"a\",\"content\":[1]}",
                error::<File>,
            ),
        ];
        for (found, args, read) in table {
            for attachments in [&attachments()[..], &[]] {
                let error = read(args, attachments).unwrap().to_string();
                let expected = format!("expected binary, got {found}: a client sends binary as");
                assert!(error.contains(&expected), "{args}: {error}");
            }
        }
        for args in [
            "1",
            "null",
            "true",
            "{\"a\":1}",
            "{}",
            "[256]",
            "{\"_placeholder\":1}",
        ] {
            assert!(from_args::<Bytes>(args, &attachments()).is_err(), "{args}");
            assert!(from_args::<Bytes>(args, &[]).is_err(), "{args}");
        }
    }

    #[test]
    fn binary_for_another_type_says_to_use_bytes() {
        type Read = fn(&str, &[Bytes]) -> Option<ArgsError>;
        fn error<T: DeserializeOwned>(args: &str, attachments: &[Bytes]) -> Option<ArgsError> {
            from_args::<T>(args, attachments).err()
        }
        #[derive(Deserialize)]
        struct Upload {
            #[allow(dead_code, reason = "only the reading of it matters")]
            data: Vec<u8>,
        }
        let table: [(&str, Read); 6] = [
            (FIRST, error::<Vec<u8>>),
            (SECOND, error::<[u8; 3]>),
            (FIRST, error::<String>),
            (FIRST, error::<u8>),
            ("1,#0", error::<(u8, Vec<u8>)>),
            ("{\"data\":#0}", error::<Upload>),
        ];
        for (args, read) in table {
            let args = args.replace("#0", FIRST);
            let error = read(&args, &attachments()).unwrap().to_string();
            assert!(
                error.ends_with("if it is binary, read it as `Bytes`"),
                "{error}"
            );
        }
        // Without attachments there is no binary.
        let error = error::<Vec<u8>>(FIRST, &[]).unwrap().to_string();
        assert!(!error.contains("Bytes"), "{error}");
    }

    #[test]
    fn placeholder_without_attachment_is_a_named_error() {
        let table = [
            r#"{"_placeholder":true,"num":2}"#,
            r#"{"num":2,"_placeholder":true}"#,
            r#"{"num":2,"a":1,"_placeholder":true}"#,
        ];
        for placeholder in table {
            let error = fails::<(u8, Bytes)>(&format!("1,{placeholder}"));
            assert!(
                matches!(
                    error,
                    ArgsError::NoAttachment {
                        argument: 2,
                        num: 2,
                        attachments: 2
                    }
                ),
                "{error:?}"
            );
        }
        for nested in ["[?]", "{\"num\":?}", "{\"num\":1,\"a\":?}"] {
            for placeholder in &table[..2] {
                let error = fails::<Untagged>(&nested.replace('?', placeholder));
                assert!(matches!(error, ArgsError::NoAttachment { .. }), "{error:?}");
            }
        }
        let error = fails::<Bytes>(r#"{"_placeholder":true,"num":18446744073709551615}"#);
        assert_eq!(
            error.to_string(),
            "argument 1 refers to attachment 18446744073709551615, but the packet has 2"
        );
    }

    #[test]
    fn placeholder_with_a_bad_num_is_an_error() {
        for num in [
            "",
            ",\"num\":-1",
            ",\"num\":\"0\"",
            ",\"num\":0.5",
            ",\"num\":null",
        ] {
            let args = format!("{{\"_placeholder\":true{num}}}");
            for error in [fails::<Bytes>(&args), fails::<Untagged>(&args)] {
                assert!(
                    error.to_string().contains("is missing or not an index"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn value_without_room_for_binary_says_so() {
        let error = fails::<Value>("{\"a\":#0}").to_string();
        assert!(
            error.starts_with("argument 1 cannot be read: the value holds binary: invalid type"),
            "{error}"
        );
    }

    #[test]
    fn ignored_arguments_may_hold_binary() {
        reads("1,#0", &1);
        assert!(from_args::<(IgnoredAny, u8)>(&format!("{FIRST},1"), &attachments()).is_ok());
    }

    #[test]
    fn without_attachments_a_placeholder_is_an_object() {
        let value = from_args::<Value>(FIRST, &[]).unwrap();
        assert_eq!(value, json!({"_placeholder": true, "num": 0}));
        assert!(from_args::<Bytes>(FIRST, &[]).is_err());
    }
}
