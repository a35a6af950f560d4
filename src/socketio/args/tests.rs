//! Values and texts of all shapes: written, read and sent on.

use std::{collections::BTreeMap, fmt::Debug};

use bytes::Bytes;
use proptest::{collection, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::socketio::args::{Args, ArgsError, de::from_args, push_args};

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
