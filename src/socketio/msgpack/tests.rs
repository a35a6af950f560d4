//! MessagePack beside JSON: a value is the same in both.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::socketio::args::{AnyValue, Args, ArgsRef, ArgsText};
use crate::socketio::msgpack::{PackedLimits, decode};
use crate::socketio::packet::{Body, Packet};
use crate::socketio::{DecodeError, MessagePackParser};

const LIMITS: PackedLimits = PackedLimits {
    depth: 128,
    values: 1000,
};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Point {
    x: i32,
    #[serde(default)]
    y: Option<i32>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Pair(u8, String);

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Unit;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Shape {
    Nothing,
    Circle(u8),
    Line(u8, Bytes),
    Square { side: Bytes },
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Either {
    Text(String),
    Data(Bytes),
    Point(Point),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    File { data: Bytes, rest: Value },
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: HashMap<String, AnyValue>,
}

/// Sends a value by both parsers and reads it again: the forms, and what is read, are the same.
#[track_caller]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the calls are easier to read"
)]
fn is_the_same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let (text, packed) = (
        Args::from_value(&value).unwrap(),
        Args::pack(&value).unwrap(),
    );
    assert_eq!(packed.as_json(), text.as_json());
    assert_eq!(packed.attachments(), text.attachments());
    assert_eq!(packed.read::<T>().unwrap(), value);
    assert_eq!(text.read::<T>().unwrap(), value);
    // Sent on by the other parser.
    assert_eq!(Args::pack(&text).unwrap().read::<T>().unwrap(), value);
    assert_eq!(Args::from_value(&packed).unwrap(), text);
    assert_eq!(Args::pack(&packed).unwrap(), text);
    assert_eq!(
        Args::from_value(&(1, &packed)).unwrap(),
        Args::pack(&(1, &text)).unwrap()
    );
}

#[test]
fn values_have_the_same_form_and_are_read_alike() {
    let bytes = Bytes::from_static(&[0, 0xFF]);
    is_the_same(());
    is_the_same((1_u8, "a".to_owned()));
    is_the_same(((1, 2), [3, 4]));
    is_the_same(vec![1, 2, 3]);
    is_the_same([1_u8, 2]);
    is_the_same([0_u8; 0]);
    is_the_same(None::<u8>);
    is_the_same((None::<u8>, Some(1)));
    is_the_same((true, false, 'é'));
    is_the_same((0_u64, u64::MAX, i64::MIN, -1_i8, i128::from(i64::MAX)));
    is_the_same((0.5_f32, -0.25_f64, 1e300));
    is_the_same("\u{0}\u{1F600}\"\\\u{2028}".to_owned());
    is_the_same(Point { x: -7, y: None });
    is_the_same(vec![Point { x: 1, y: Some(2) }]);
    is_the_same(Pair(1, "a".to_owned()));
    is_the_same((Unit, Pair(2, String::new())));
    is_the_same(Shape::Nothing);
    is_the_same((Shape::Circle(3), Shape::Line(4, bytes.clone())));
    is_the_same(Shape::Square {
        side: bytes.clone(),
    });
    is_the_same((bytes.clone(), vec![bytes.clone(), Bytes::new()]));
    is_the_same(BTreeMap::from([(1_u8, bytes.clone()), (2, Bytes::new())]));
    is_the_same(HashMap::from([(true, 1)]));
    is_the_same(BTreeMap::from([('k', -1_i64)]));
    is_the_same((Either::Data(bytes.clone()), Either::Text("a".to_owned())));
    is_the_same(Either::Point(Point { x: 1, y: None }));
    is_the_same(Tagged::File {
        data: bytes.clone(),
        rest: json!([1, { "a": null }]),
    });
    is_the_same(Flat {
        id: 1,
        rest: HashMap::from([("data".to_owned(), AnyValue::from(bytes))]),
    });
    is_the_same(json!({ "b": [1, 2.5, "x", null, true], "a": {} }));
    is_the_same(uuid::Uuid::nil());
    is_the_same(std::net::Ipv4Addr::LOCALHOST);
    is_the_same(vec!["x".to_owned(); 70_000]);
    is_the_same("x".repeat(70_000));
    is_the_same(Bytes::from(vec![1; 70_000]));
    is_the_same(
        (0..20)
            .map(|n| (n.to_string(), n))
            .collect::<BTreeMap<_, _>>(),
    );
    is_the_same((0..70_000).map(|n| (n, n)).collect::<BTreeMap<u32, u32>>());
}

#[test]
fn a_raw_value_is_json_in_both_directions() {
    let raw = RawValue::from_string(r#"{"a":[1,"b"]}"#.to_owned()).unwrap();
    let packed = Args::pack(&(&raw, 1)).unwrap();
    assert_eq!(packed.as_json(), r#"{"a":[1,"b"]},1"#);
    let (read, one): (Box<RawValue>, u8) = packed.read().unwrap();
    assert_eq!((read.get(), one), (raw.get(), 1));
}

/// Reads arguments that are written as bytes.
fn read<T: DeserializeOwned>(values: &'static [u8]) -> Result<T, String> {
    let args = Args::packed(Bytes::from_static(values));
    args.read().map_err(|error| error.to_string())
}

#[test]
fn values_of_javascript_alone_are_read_as_from_json() {
    let date = "2023-11-14T22:13:20.123Z".to_owned();
    assert_eq!(read(b"\xd7\x00\x00\x00\x01\x8b\xcf\xe5\x68\x7b"), Ok(date));
    assert_eq!(read::<Option<u8>>(b"\xd4\0\0"), Ok(None));
    assert_eq!(read::<(Option<u8>, u8)>(b"\xd4\0\0\x07"), Ok((None, 7)));
    assert_eq!(read::<()>(b"\xd4\0\0"), Ok(()));
    assert_eq!(
        read(b"\x82\xa1x\x01\xa1y\xd4\0\0"),
        Ok(Point { x: 1, y: None })
    );
    assert_eq!(read(b"\x82\xa1y\xd4\0\0\xa1x\x01"), Ok(json!({ "x": 1 })));
    let buffer = Bytes::from_static(&[1, 2]);
    assert_eq!(read(b"\xc7\x02\x00\x01\x02"), Ok(buffer.clone()));
    assert_eq!(read(b"\xc4\x02\x01\x02"), Ok(buffer.clone()));
    let extension = AnyValue::Array(vec![AnyValue::from(5_u64), AnyValue::from(buffer)]);
    assert_eq!(read(b"\xd5\x05\x01\x02"), Ok(extension));
    assert_eq!(read::<u8>(b"\xcb\x40\x08\0\0\0\0\0\0"), Ok(3));
    assert_eq!(read::<f64>(b"\x03"), Ok(3.0));
}

#[test]
fn a_wrong_type_is_named_with_its_argument() {
    let error = read::<(u8, u8)>(b"\x01\xa1a").unwrap_err();
    assert!(
        error.starts_with("argument 2 cannot be read: invalid type: string \"a\""),
        "{error}"
    );
    let error = read::<(u8, u8)>(b"\x01").unwrap_err();
    assert_eq!(error, "argument 2 is missing");
    let error = read::<Bytes>(b"\xa1a").unwrap_err();
    assert!(error.contains("expected binary, got a text"), "{error}");
    let error = read::<u8>(b"\xcb\x3f\xf8\0\0\0\0\0\0").unwrap_err();
    assert!(error.contains("floating point `1.5`"), "{error}");
    let error = read::<[u8; 2]>(b"\x93\x01\x02\x03").unwrap_err();
    assert!(error.contains("invalid length 3"), "{error}");
    let error = read::<String>(b"\xa1\xff").unwrap_err();
    assert!(error.contains("not UTF-8"), "{error}");
}

#[test]
fn a_value_without_a_form_is_refused() {
    let error = Args::pack(&(1, HashMap::from([((1, 2), 3)]))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "argument 2 cannot be written: key must be a string"
    );
}

fn packet(message: &[u8]) -> Result<Packet<'_>, DecodeError> {
    decode(message, &LIMITS)
}

/// A packet with these fields: `type`, `nsp` and what is given.
fn fields(kind: u8, more: &[u8], count: u8) -> Vec<u8> {
    let head = [0x82 + count, 0xa4];
    [&head[..], b"type", &[kind], b"\xa3nsp\xa1/", more].concat()
}

#[test]
fn packets_of_the_javascript_client_are_read() {
    let message = b"\x84\xa4type\x02\xa4data\x91\xa2hi\xa7options\x81\xa8compress\xc3\xa3nsp\xa1/";
    let event = |id, args| Packet {
        namespace: "/",
        body: Body::Event {
            id,
            name: "hi".into(),
            args: ArgsText::Packed(args),
            attachments: 0,
        },
    };
    assert_eq!(packet(message), Ok(event(None, b"")));
    let message = fields(2, b"\xa4data\x93\xa2hi\x01\xc0\xa2id\x03", 2);
    assert_eq!(packet(&message), Ok(event(Some(3), b"\x01\xc0")));
    // An id of this size is written as a float by JavaScript.
    let message = fields(2, b"\xa4data\x91\xa2hi\xa2id\xcb\x43\x50\0\0\0\0\0\0", 2);
    assert_eq!(packet(&message), Ok(event(Some(1 << 54), b"")));
    let connect = |auth: Option<&'static str>| Packet {
        namespace: "/",
        body: Body::Connect {
            auth: auth.map(Into::into),
            query: None,
        },
    };
    assert_eq!(
        packet(&fields(0, b"\xa4data\xd4\0\0", 1)),
        Ok(connect(None))
    );
    assert_eq!(packet(&fields(0, b"", 0)), Ok(connect(None)));
    let message = fields(0, b"\xa4data\x81\xa1a\xd7\0\0\0\x01\x8b\xcf\xe5\x68\x7b", 1);
    let auth = r#"{"a":"2023-11-14T22:13:20.123Z"}"#;
    assert_eq!(packet(&message), Ok(connect(Some(auth))));
    let message = b"\x82\xa4type\x00\xa3nsp\xa6/x?a=1";
    let Ok(Packet { namespace, body }) = packet(message) else {
        panic!("a query is allowed")
    };
    assert_eq!(
        (namespace, body),
        (
            "/x",
            Body::Connect {
                auth: None,
                query: Some("a=1")
            }
        )
    );
}

/// Messages that are no packets, and the reasons for their refusal.
fn refused_messages() -> Vec<(Vec<u8>, DecodeError)> {
    vec![
        (
            vec![],
            DecodeError::InvalidMessagePack("the value is truncated"),
        ),
        (vec![0x93], DecodeError::NotAMap),
        (b"\x81\xa4type\x02".to_vec(), DecodeError::Field("nsp")),
        (
            b"\x82\xa4type\x02\xa3nsp\x07".to_vec(),
            DecodeError::Field("nsp"),
        ),
        (b"\x81\xa3nsp\xa1/".to_vec(), DecodeError::Field("type")),
        (fields(5, b"", 0), DecodeError::Field("type")),
        (
            fields(4, b"\xa4data\xa1x", 1),
            DecodeError::ConnectErrorFromClient,
        ),
        (
            fields(0, b"\xa4data\xc0", 1),
            DecodeError::ConnectPayloadNotAnObject,
        ),
        (
            fields(0, b"\xa4data\x81\xa1a\xc4\0", 1),
            DecodeError::ConnectPayloadBinary,
        ),
        (fields(1, b"\xa4data\x90", 1), DecodeError::Field("data")),
        (fields(2, b"", 0), DecodeError::Field("data")),
        (fields(2, b"\xa4data\x90", 1), DecodeError::EventNameMissing),
        (
            fields(2, b"\xa4data\x91\xa1a\xa2id\xc0", 2),
            DecodeError::Field("id"),
        ),
        (
            fields(2, b"\xa4data\x91\xa1a\xa2id\xff", 2),
            DecodeError::Field("id"),
        ),
        (
            fields(2, b"\xa4data\x91\xa1a\0", 1),
            DecodeError::InvalidMessagePack("bytes after the value"),
        ),
        (
            fields(2, b"\xa4data\x92\xa1a\x81\x90\0", 1),
            DecodeError::InvalidMessagePack(
                "a key that is neither a string, a number, a boolean nor nil",
            ),
        ),
    ]
}

#[test]
fn a_message_that_is_no_packet_is_refused_by_its_fault() {
    for (message, expected) in refused_messages() {
        assert_eq!(packet(&message), Err(expected), "{message:?}");
    }
    let reserved = fields(2, b"\xa4data\x91\xaadisconnect", 1);
    assert!(matches!(
        packet(&reserved),
        Err(DecodeError::EventNameReserved(_))
    ));
    let unnamed = fields(2, b"\xa4data\x91\xc0", 1);
    assert!(matches!(
        packet(&unnamed),
        Err(DecodeError::EventNameInvalid(_))
    ));
}

#[test]
fn a_packet_has_limits() {
    // The packet's map and the list are two.
    let nested = |depth: usize| {
        let list = [b"\xa4data\x92\xa1a".to_vec(), vec![0x91; depth], vec![0xc0]].concat();
        fields(2, &list, 1)
    };
    assert!(packet(&nested(126)).is_ok());
    assert_eq!(
        packet(&nested(127)),
        Err(DecodeError::TooDeep { limit: 128 })
    );
    let many = |count: usize| {
        let head = [
            b"\xa4data\xdc".to_vec(),
            (count as u16 + 1).to_be_bytes().to_vec(),
        ];
        fields(
            2,
            &[head.concat(), b"\xa1a".to_vec(), vec![0xc0; count]].concat(),
            1,
        )
    };
    // Beside them: the two other fields, the list and the name.
    assert!(packet(&many(996)).is_ok());
    assert_eq!(
        packet(&many(997)),
        Err(DecodeError::TooManyValues { limit: 1000 })
    );
    let depth = MessagePackParser::new().max_depth(1000).limits.depth;
    assert_eq!(depth, 128);
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Null),
        any::<bool>().prop_map(AnyValue::from),
        any::<i64>().prop_map(AnyValue::from),
        any::<u64>().prop_map(AnyValue::from),
        // A whole number is an integer in JavaScript, and so in JSON that is made of MessagePack.
        (-1e9..1e9)
            .prop_filter("whole", |n: &f64| n.fract() != 0.0)
            .prop_map(|n| AnyValue::Number(serde_json::Number::from_f64(n).unwrap())),
        ".*".prop_map(AnyValue::from),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|data| AnyValue::from(Bytes::from(data))),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(AnyValue::Array),
            proptest::collection::btree_map("[a-z]{0,40}", inner, 0..20).prop_map(AnyValue::Object),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_the_same_by_both_parsers(value in any_value()) {
        let (text, packed) = (Args::from_value(&value).unwrap(), Args::pack(&value).unwrap());
        prop_assert_eq!(packed.as_json(), text.as_json());
        prop_assert_eq!(packed.attachments(), text.attachments());
        prop_assert_eq!(&packed.read::<AnyValue>().unwrap(), &value);
        prop_assert_eq!(Args::pack(&text).unwrap().read::<AnyValue>().unwrap(), value);
    }

    /// A packet that is cut anywhere is refused, and none of its prefixes is another packet.
    #[test]
    fn a_cut_packet_is_refused(value in any_value(), at in any::<prop::sample::Index>()) {
        let args = Args::pack(&(value,)).unwrap();
        let ArgsRef { text: ArgsText::Packed(values), .. } = args.as_args_ref() else {
            panic!("packed")
        };
        let message = fields(2, &[b"\xa4data\x92\xa1a", values].concat(), 1);
        let limits = PackedLimits { depth: 128, values: 100_000 };
        prop_assert!(decode(&message, &limits).is_ok());
        prop_assert!(decode(&message[..at.index(message.len())], &limits).is_err());
    }

    #[test]
    fn no_bytes_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = packet(&message);
        for values in [&message[..], &[b"\x82\xa4type\x02\xa3nsp\xa1/", &message[..]].concat()] {
            let args = Args::packed(Bytes::copy_from_slice(values));
            let _ = args.read::<AnyValue>();
            let _ = args.read::<(Value, Bytes, Shape)>();
            let _ = args.as_json();
            let _ = args.split_first::<AnyValue>();
        }
    }

    /// The arguments of each accepted packet can be read.
    #[test]
    fn an_accepted_packet_is_read(values in proptest::collection::vec(any::<u8>(), 0..60)) {
        let message = fields(2, &[b"\xa4data\x92\xa1a", &values[..]].concat(), 1);
        if let Ok(Packet { body: Body::Event { args, .. }, .. }) = packet(&message) {
            let args = ArgsRef { text: args, attachments: &[] };
            let read = args.read::<serde::de::IgnoredAny>();
            prop_assert!(read.is_ok());
            let json = args.to_args();
            let array: Result<Vec<Value>, _> = serde_json::from_str(&format!("[{}]", json.as_json()));
            prop_assert_eq!(array.unwrap().len(), 1);
        }
    }
}
