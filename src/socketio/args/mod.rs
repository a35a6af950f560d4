//! An event's arguments: from JSON text and attachments to Rust values, and back.
//!
//! Reading: the text between an event's brackets and its attachments enter, a value of any serde
//! type leaves. Writing: a value enters, text and attachments leave.
//!
//! The rule is about the outermost type only. A tuple is as many arguments as it has members, `()`
//! is none. Every other type is one argument: an array, a struct and `Value::Null` too
//! (`shape.rs`). Binary is any value that serde calls bytes. It is an attachment at any depth, and
//! the text holds `{"_placeholder":true,"num":0}` in its place.
//!
//! This module knows no packets, event names or sockets. The limits of a packet (`limits.rs`) come
//! from the caller.

mod any_value;
mod binary;
mod buffered;
mod de;
mod elements;
mod failed;
mod limits;
mod placeholder;
mod raw;
mod ser;
mod shape;
mod whole;

use std::{error::Error, fmt};

use serde::{Serialize, Serializer};

use crate::socketio::Shortened;
pub use crate::socketio::args::any_value::AnyValue;
pub(crate) use crate::socketio::args::limits::PacketLimits;
pub use crate::socketio::args::raw::Args;
#[cfg(feature = "contracts")]
pub(crate) use crate::socketio::args::shape::Shape;
pub(crate) use crate::socketio::args::{
    de::{from_args, from_json},
    failed::{ACK_DROPPED, FailureMark, GONE, failure_of, is_failure},
    ser::push_args,
};

/// Error of reading or writing arguments.
///
/// Arguments are counted from 1, and an event's name is not one of them. The message of serde is
/// part of the text, so [`source`](Error::source) is always `None`.
///
/// # Examples
///
/// ```
/// use actix_socketio::Args;
///
/// let args = Args::from_value("only one")?;
/// let error = args.read::<(String, u32)>().unwrap_err();
///
/// assert_eq!(error.to_string(), "argument 2 is missing");
/// # Ok::<(), actix_socketio::ArgsError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ArgsError {
    /// An argument that the type asks for is missing. The peer caused it.
    #[non_exhaustive]
    Missing {
        /// The first argument that is missing.
        argument: usize,
    },
    /// An argument has the wrong type. The peer caused it.
    #[non_exhaustive]
    Deserialize {
        /// The argument, if it is known.
        argument: Option<usize>,
        /// The error of serde. Its line and column count from the start of the argument.
        cause: serde_json::Error,
    },
    /// A placeholder refers to an attachment that does not exist. The peer caused it.
    #[non_exhaustive]
    NoAttachment {
        /// The argument that holds the placeholder.
        argument: usize,
        /// The attachment's index in the placeholder, counted from 0.
        num: u64,
        /// The number of attachments.
        attachments: usize,
    },
    /// A value has no form in JSON, or its `Serialize` failed. The caller caused it.
    #[non_exhaustive]
    Serialize {
        /// The argument, if it is known.
        argument: Option<usize>,
        /// The error of serde.
        cause: serde_json::Error,
    },
    /// There are more attachments than
    /// [`Builder::max_attachments`](crate::Builder::max_attachments) allows in a packet. Official
    /// clients close the connection if a packet has more than 10.
    #[non_exhaustive]
    TooManyAttachments {
        /// The number of attachments.
        attachments: usize,
        /// The limit.
        limit: usize,
    },
    /// The text and the attachments have more bytes than
    /// [`Builder::packet_limit`](crate::Builder::packet_limit) allows a packet to a client.
    #[non_exhaustive]
    TooLarge {
        /// The number of bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { argument } => write!(f, "argument {argument} is missing"),
            Self::Deserialize {
                argument: Some(argument),
                cause,
            } => {
                let cause = Shortened(cause);
                write!(f, "argument {argument} cannot be read: {cause}")
            }
            Self::Deserialize {
                argument: None,
                cause,
            } => {
                write!(f, "the arguments cannot be read: {}", Shortened(cause))
            }
            Self::NoAttachment {
                argument,
                num,
                attachments,
            } => write!(
                f,
                "argument {argument} refers to attachment {num}, of {attachments} counted from 0"
            ),
            Self::Serialize {
                argument: Some(argument),
                cause,
            } => {
                write!(f, "argument {argument} cannot be written: {cause}")
            }
            Self::Serialize {
                argument: None,
                cause,
            } => {
                write!(f, "the arguments cannot be written: {cause}")
            }
            Self::TooManyAttachments { attachments, limit } => {
                write!(
                    f,
                    "{attachments} attachments, and a packet has at most {limit}"
                )
            }
            Self::TooLarge { bytes, limit } => {
                write!(
                    f,
                    "{bytes} bytes, and a packet to a client has at most {limit}"
                )
            }
        }
    }
}

impl Error for ArgsError {}

/// Serialized as its text, so that a handler may return it.
impl Serialize for ArgsError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The kind of value that [`push_args`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A plain value, or the value of a `Result::Ok`.
    Sent,
    /// The error of a `Result::Err`. It then is the arguments.
    Failed,
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Debug};

    use bytes::Bytes;
    use proptest::{collection, prelude::*};
    use serde::{Deserialize, Serialize, de::DeserializeOwned};
    use serde_json::Value;

    use super::{Args, ArgsError, from_args, push_args};

    /// A value of every shape in serde.
    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    enum Tree {
        Empty,
        Number(i64),
        Wide(u64),
        Text(String),
        Binary(Bytes),
        Maybe(Option<Box<Self>>),
        List(Vec<Self>),
        Pair(Box<Self>, Bytes),
        Named {
            num: Box<Self>,
            _placeholder: Option<Bytes>,
        },
        Map(BTreeMap<String, Self>),
        Tagged(Tagged),
        Loose(Loose),
    }

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    #[serde(tag = "num")]
    enum Tagged {
        Node { tree: Box<Tree>, binary: Bytes },
        Flat(Flat),
    }

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, Loose>,
    }

    // Bytes come last: they read text and numbers as well.
    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    #[serde(untagged)]
    enum Loose {
        Number(i64),
        List(Vec<Self>),
        Map(BTreeMap<String, Self>),
        Binary(Bytes),
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
    }

    /// Keys that are similar to those of a placeholder.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("num".to_owned()),
            Just("_placeholder".to_owned()),
            "[a-z\"\\\\é]{0,3}"
        ]
    }

    fn loose() -> impl Strategy<Value = Loose> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Loose::Number),
            bytes().prop_map(Loose::Binary)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                collection::vec(inner.clone(), 0..3).prop_map(Loose::List),
                collection::btree_map(key(), inner, 0..3).prop_map(Loose::Map),
            ]
        })
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Empty),
            any::<i64>().prop_map(Tree::Number),
            any::<u64>().prop_map(Tree::Wide),
            any::<String>().prop_map(Tree::Text),
            bytes().prop_map(Tree::Binary),
            loose().prop_map(Tree::Loose),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let boxed = || inner.clone().prop_map(Box::new);
            // An internally tagged enum's own tag is not a key of its content.
            let flat = collection::btree_map("[a-m]{1,2}", loose(), 0..3);
            prop_oneof![
                proptest::option::of(boxed()).prop_map(Tree::Maybe),
                collection::vec(inner.clone(), 0..3).prop_map(Tree::List),
                (boxed(), bytes()).prop_map(|(tree, bytes)| Tree::Pair(tree, bytes)),
                (boxed(), proptest::option::of(bytes()))
                    .prop_map(|(num, _placeholder)| Tree::Named { num, _placeholder }),
                collection::btree_map(key(), inner.clone(), 0..3).prop_map(Tree::Map),
                (boxed(), bytes())
                    .prop_map(|(tree, binary)| Tree::Tagged(Tagged::Node { tree, binary })),
                flat.prop_map(|rest| Tree::Tagged(Tagged::Flat(Flat { rest }))),
            ]
        })
    }

    /// Text that is JSON more often than not.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(r#"{"_placeholder":true,"num":0}"#.to_owned()),
            Just(r#"{"num":3,"_placeholder":true}"#.to_owned()),
            Just(r#""num":"#.to_owned()),
            Just(r#""_placeholder":"#.to_owned()),
            Just("true".to_owned()),
            "[\\[\\]{},:\"\\\\ 0-9a-zé.-]{0,3}",
        ];
        collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn reread<T>(value: &T) -> T
    where
        T: Serialize + DeserializeOwned,
    {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        push_args(&mut out, false, value, &mut attachments).unwrap();
        from_args(std::str::from_utf8(&out).unwrap(), &attachments).unwrap()
    }

    fn read_as<T: DeserializeOwned + Debug>(args: &str, attachments: &[Bytes]) {
        let read: Result<T, ArgsError> = from_args(args, attachments);
        if let Err(error) = read {
            assert!(!error.to_string().is_empty());
        }
    }

    proptest! {
        #[test]
        fn values_are_read_as_they_were_sent(
            tree in tree(), more in (tree(), bytes(), proptest::option::of(any::<u64>()))
        ) {
            prop_assert_eq!(&reread(&tree), &tree);
            prop_assert_eq!(&reread(&more), &more);
        }

        #[test]
        fn arguments_sent_on_are_the_same_values(
            value in (tree(), bytes(), tree()), before in collection::vec(bytes(), 0..2)
        ) {
            let args = Args::from_value(&value).unwrap();
            let (mut out, mut attachments) = (Vec::new(), before);
            push_args(&mut out, false, &args, &mut attachments).unwrap();
            let json = String::from_utf8(out).unwrap();
            let read: (Tree, Bytes, Tree) = from_args(&json, &attachments).unwrap();
            prop_assert_eq!(&read, &value);

            let nested = Args::from_value(&(args,)).unwrap();
            let (read,): ((Tree, Bytes, Tree),) = nested.read().unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn no_text_panics(
            args in prop_oneof![text(), any::<String>()],
            attachments in collection::vec(bytes(), 0..3)
        ) {
            read_as::<Tree>(&args, &attachments);
            read_as::<Value>(&args, &attachments);
            read_as::<Loose>(&args, &attachments);
            read_as::<Bytes>(&args, &attachments);
            read_as::<(Value, Loose, Option<Bytes>)>(&args, &attachments);
            read_as::<BTreeMap<String, Loose>>(&args, &attachments);
            let _ = Args::from_value(&(Args::new(args, attachments),));
        }

        #[test]
        fn valid_text_is_read_as_by_serde_json(
            args in text(), spare in proptest::bool::ANY
        ) {
            // No text here refers to so many attachments, so no object in it is a placeholder.
            let args = args.replace("true", "false");
            let attachments = if spare { vec![Bytes::new(); 4] } else { Vec::new() };
            if let Ok(values) = serde_json::from_str::<Vec<Value>>(&format!("[{args}]"))
                && let Some(first) = values.first()
            {
                prop_assert_eq!(&from_args::<Value>(&args, &attachments).unwrap(), first);
            }
        }
    }
}
