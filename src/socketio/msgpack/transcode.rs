//! Conversion between JSON with attachments and MessagePack, which contains binary itself.
//!
//! JSON text with placeholders and their attachments enter, and MessagePack leaves, as
//! `notepack.io` writes it; or the other way. Neither direction builds a tree of values: order and
//! number of keys are kept. A value that JSON does not have becomes the result of `JSON.stringify`.

use std::fmt;

use bytes::Bytes;
use rmp::Marker;
use rmp::encode::{write_array_len, write_f64, write_map_len, write_sint, write_uint};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::calendar::iso_time;
use crate::socketio::msgpack::item::{Flaw, Item, Items, UNLIMITED};

/// Writes JSON as MessagePack, with each attachment in the place of its placeholder.
///
/// # Errors
///
/// If it is not JSON, or has no form in MessagePack (half of a surrogate pair), with the reason.
pub(crate) fn from_json(json: &str, attachments: &[Bytes]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(json.len());
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let writer = Writer {
        out: &mut out,
        attachments,
    };
    let written = writer
        .deserialize(&mut deserializer)
        .and_then(|_| deserializer.end());
    written.map_err(|error| error.to_string())?;
    Ok(out)
}

/// Reads MessagePack as JSON; the binary in it becomes attachments.
///
/// The JSON has at most [`MAX_JSON`] bytes, because another node, or another program on the same
/// broker, chooses these bytes.
///
/// # Errors
///
/// If these bytes are not one whole value of MessagePack, or have no form in JSON: a key that is
/// not a scalar, or a text that is too long. The text has the reason.
pub(crate) fn to_json(packed: &Bytes) -> Result<(String, Vec<Bytes>), &'static str> {
    to_json_within(packed, MAX_JSON)
}

/// Reads values that follow each other as the elements of a JSON array, without its brackets.
///
/// # Errors
///
/// As of [`to_json`], except that no other program chooses these bytes.
pub(crate) fn values_to_json(packed: &Bytes) -> Result<(String, Vec<Bytes>), &'static str> {
    let mut reader = Reader::new(packed, usize::MAX);
    while !reader.items.is_at_end() {
        if !reader.out.is_empty() {
            reader.out.push(b',');
        }
        reader.value(1)?;
    }
    reader.finish()
}

/// Appends the elements of a JSON array, which is given without its brackets, as values that follow
/// each other. Returns their number.
///
/// # Errors
///
/// As of [`from_json`].
pub(crate) fn push_values(
    out: &mut Vec<u8>,
    json: &str,
    attachments: &[Bytes],
) -> Result<usize, String> {
    let array = from_json(&["[", json, "]"].concat(), attachments)?;
    let mut items = Items::new(&array);
    match items.next() {
        Ok(Item::Array(count)) => {
            out.extend_from_slice(items.rest());
            Ok(count)
        }
        _ => Err("no array".to_owned()),
    }
}

fn to_json_within(packed: &Bytes, limit: usize) -> Result<(String, Vec<Bytes>), &'static str> {
    let mut reader = Reader::new(packed, limit);
    reader.value(0)?;
    if !reader.items.is_at_end() {
        return Err(Flaw::Trailing.text());
    }
    reader.finish()
}

/// Appends a text.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    // A text of a packet is far shorter than 4 GiB, and a vector accepts any bytes.
    let _ = rmp::encode::write_str(out, text);
}

/// Returns the number of values that follow each other.
pub(crate) fn count(values: &[u8]) -> Result<usize, &'static str> {
    let (mut items, mut count) = (Items::new(values), 0);
    while !items.is_at_end() {
        items.skip(&mut UNLIMITED.clone()).map_err(Flaw::text)?;
        count += 1;
    }
    Ok(count)
}

/// Splits the last value off from values that follow each other.
pub(crate) fn split_last(values: &[u8]) -> (&[u8], &[u8]) {
    let (mut items, mut last) = (Items::new(values), 0);
    while !items.is_at_end() {
        last = items.at();
        if items.skip(&mut UNLIMITED.clone()).is_err() {
            break;
        }
    }
    values.split_at(last)
}

/// Returns the values behind the first one.
pub(crate) fn behind_first(values: &[u8]) -> &[u8] {
    let mut items = Items::new(values);
    match items.skip(&mut UNLIMITED.clone()) {
        Ok(_) => items.rest(),
        Err(_) => &[],
    }
}

/// Writes the values that a deserializer passes to it.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    attachments: &'a [Bytes],
}

/// The meaning of a value in a placeholder.
enum Seen {
    Mark,
    Number(u64),
    Other,
}

impl Writer<'_> {
    fn again(&mut self) -> Writer<'_> {
        Writer {
            out: self.out,
            attachments: self.attachments,
        }
    }

    /// Replaces the output from `start` on by an attachment.
    fn attachment(&mut self, start: usize, data: &Bytes) {
        self.out.truncate(start);
        // A vector accepts any bytes.
        let _ = rmp::encode::write_bin_len(self.out, data.len() as u32);
        self.out.extend_from_slice(data);
    }

    /// Inserts the length, which is only known now, before the output from `start` on.
    fn head(&mut self, start: usize, count: usize, map: bool) {
        let mut head = Vec::with_capacity(5);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let _ = if map {
            write_map_len(&mut head, count)
        } else {
            write_array_len(&mut head, count)
        };
        self.out.splice(start..=start, head);
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        self.out.push(Marker::Null.to_u8());
        Ok(Seen::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        let marker = if value { Marker::True } else { Marker::False };
        self.out.push(marker.to_u8());
        Ok(if value { Seen::Mark } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        let _ = write_uint(self.out, value);
        Ok(Seen::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Seen, E> {
        let _ = write_sint(self.out, value);
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Seen, E> {
        let _ = write_f64(self.out, value);
        Ok(Seen::Other)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Seen, E> {
        rmp::encode::write_str(self.out, value).map_err(|_| E::custom("a string is too long"))?;
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Seen, A::Error> {
        let start = self.out.len();
        self.out.push(0);
        let mut count = 0;
        while seq.next_element_seed(self.again())?.is_some() {
            count += 1;
        }
        self.head(start, count, false);
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Seen, A::Error> {
        let start = self.out.len();
        self.out.push(0);
        let (mut count, mut marked, mut number) = (0, false, None);
        loop {
            let at = self.out.len();
            if map.next_key_seed(self.again())?.is_none() {
                break;
            }
            let is = |out: &Vec<u8>, name: &str| {
                out.get(at + 1..)
                    .is_some_and(|key| key == name.as_bytes() && out[at] & 0xe0 == 0xa0)
            };
            let (marks, numbers) = (is(self.out, "_placeholder"), is(self.out, "num"));
            match map.next_value_seed(self.again())? {
                Seen::Mark if marks => marked = true,
                Seen::Number(value) if numbers => number = Some(value),
                _ => {}
            }
            count += 1;
        }
        let number = number.and_then(|number| usize::try_from(number).ok());
        if marked
            && count == 2
            && let Some(data) = number.and_then(|number| self.attachments.get(number))
        {
            if u32::try_from(data.len()).is_err() {
                return Err(A::Error::custom("an attachment is too long"));
            }
            let data = data.clone();
            self.attachment(start, &data);
        } else {
            self.head(start, count, true);
        }
        Ok(Seen::Other)
    }
}

/// Reads MessagePack and writes JSON.
struct Reader<'a> {
    packed: &'a Bytes,
    items: Items<'a>,
    out: Vec<u8>,
    /// The maximal size of `out`, in bytes.
    limit: usize,
    attachments: Vec<Bytes>,
}

type Read<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    fn new(packed: &'a Bytes, limit: usize) -> Self {
        Self {
            packed,
            items: Items::new(packed),
            out: Vec::with_capacity(packed.len().saturating_mul(2).min(limit)),
            limit,
            attachments: Vec::new(),
        }
    }

    fn finish(self) -> Read<(String, Vec<Bytes>)> {
        let json = String::from_utf8(self.out).map_err(|_| "a string that is not UTF-8")?;
        Ok((json, self.attachments))
    }

    fn next(&mut self) -> Read<Item<'a>> {
        self.items.next().map_err(Flaw::text)
    }

    fn value(&mut self, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err(Flaw::TooDeep.text());
        }
        match self.next()? {
            Item::Array(count) => self.array(count, depth)?,
            Item::Map(count) => self.map(count, depth)?,
            scalar => self.scalar(scalar)?,
        }
        // A value writes at most six bytes for each of its own, and forty more.
        if self.out.len() > self.limit {
            return Err("its JSON would be too long");
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: Item<'_>) -> Read<()> {
        match scalar {
            Item::Nil | Item::Undefined | Item::Array(_) | Item::Map(_) => self.text("null"),
            Item::Bool(true) => self.text("true"),
            Item::Bool(false) => self.text("false"),
            Item::Unsigned(number) => self.text(&number.to_string()),
            Item::Signed(number) => self.text(&number.to_string()),
            Item::Float(number) => return self.float(number),
            Item::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                return serde_json::to_writer(&mut self.out, &text).map_err(|_| "a string");
            }
            Item::Binary(data) => self.binary(data),
            Item::Time(time) => match time.and_then(iso_time) {
                Some(text) => self.text(&format!("\"{text}\"")),
                None => self.text("null"),
            },
            Item::Unknown(kind, data) => {
                self.text(&format!("[{kind},"));
                self.binary(data);
                self.text("]");
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// JSON has no NaN or infinity, and JavaScript writes a whole number without a fraction. The
    /// negative zero has a sign that no integer has.
    fn float(&mut self, number: f64) -> Read<()> {
        let is_negative_zero = number == 0.0 && number.is_sign_negative();
        if !number.is_finite() {
            self.text("null");
        } else if number.fract() == 0.0 && number.abs() < WHOLE && !is_negative_zero {
            self.text(&(number as i64).to_string());
        } else {
            let text = serde_json::to_string(&number).map_err(|_| "a number")?;
            self.text(&text);
        }
        Ok(())
    }

    fn binary(&mut self, data: &[u8]) {
        let number = self.attachments.len();
        self.attachments.push(self.packed.slice_ref(data));
        self.text(&format!(r#"{{"_placeholder":true,"num":{number}}}"#));
    }

    fn array(&mut self, count: usize, depth: usize) -> Read<()> {
        self.out.push(b'[');
        for index in 0..count {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Writes the entries without those that are `undefined`, as `JSON.stringify` does.
    fn map(&mut self, count: usize, depth: usize) -> Read<()> {
        self.out.push(b'{');
        let mut is_first = true;
        for _ in 0..count {
            let start = self.out.len();
            if !is_first {
                self.out.push(b',');
            }
            self.key()?;
            if self.items.peek() == Ok(Item::Undefined) {
                self.next()?;
                self.out.truncate(start);
                continue;
            }
            self.out.push(b':');
            self.value(depth + 1)?;
            is_first = false;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A key of JSON is a string; another scalar is written as one. Other keys are refused: their
    /// text would be escaped again at each level, and grow exponentially.
    fn key(&mut self) -> Read<()> {
        let key = self.next()?;
        if !key.is_key() {
            return Err(Flaw::Key.text());
        }
        if matches!(key, Item::Text(_)) {
            return self.scalar(key);
        }
        // The text of such a scalar needs no escapes.
        self.out.push(b'"');
        self.scalar(key)?;
        self.out.push(b'"');
        Ok(())
    }
}

/// The maximal depth of values: that of JSON.
const MAX_DEPTH: usize = 127;

/// The maximal size of the JSON of one message: a byte of MessagePack becomes up to twenty.
const MAX_JSON: usize = 64 << 20;

/// Up to this value every whole `f64` is an `i64` too.
const WHOLE: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn there_and_back(json: &str, attachments: &[Bytes]) -> (String, Vec<Bytes>) {
        to_json(&from_json(json, attachments).unwrap().into()).unwrap()
    }

    #[test]
    fn values_are_written_as_notepack_writes_them() {
        for (json, packed) in [
            (r#"["hello",1,{"a":"é"}]"#, "93a568656c6c6f0181a161a2c3a9"),
            ("[null,true,false]", "93c0c3c2"),
            (
                "[127,128,256,65536,4294967296]",
                "957fcc80cd0100ce00010000cf0000000100000000",
            ),
            ("[-1,-32,-33,-129,-32769]", "95ffe0d0dfd1ff7fd2ffff7fff"),
            ("[1.5]", "91cb3ff8000000000000"),
        ] {
            let out = from_json(json, &[]).unwrap();
            let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, packed, "{json}");
            assert_eq!(to_json(&out.into()).unwrap().0, json);
        }
    }

    #[test]
    fn binary_stands_where_its_placeholder_stood() {
        let json = r#"["r",{"b":{"_placeholder":true,"num":1}},{"num":0,"_placeholder":true}]"#;
        let attachments = [Bytes::from_static(&[1, 2]), Bytes::from_static(&[3])];
        let packed = from_json(json, &attachments).unwrap();
        assert_eq!(packed, b"\x93\xa1r\x81\xa1b\xc4\x01\x03\xc4\x02\x01\x02");
        let (json, found) = to_json(&packed.into()).unwrap();
        let expected = r#"["r",{"b":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]"#;
        assert_eq!(json, expected);
        assert_eq!(found, [attachments[1].clone(), attachments[0].clone()]);
    }

    #[test]
    fn objects_similar_to_placeholders_are_unchanged() {
        for json in [
            r#"{"_placeholder":true,"num":7}"#,
            r#"{"_placeholder":true,"num":0,"more":1}"#,
            r#"{"_placeholder":false,"num":0}"#,
        ] {
            let attachment = [Bytes::from_static(b"x")];
            assert_eq!(there_and_back(json, &attachment).0, json);
        }
    }

    #[test]
    fn long_lists_texts_and_binaries_have_long_heads() {
        for count in [15, 16, 65_535, 65_536] {
            let json = format!("[{}]", vec!["1"; count].join(","));
            assert_eq!(there_and_back(&json, &[]).0, json);
            let json = serde_json::to_string(&"x".repeat(count)).unwrap();
            assert_eq!(there_and_back(&json, &[]).0, json);
            let data = Bytes::from(vec![7; count]);
            let json = r#"[{"_placeholder":true,"num":0}]"#;
            assert_eq!(there_and_back(json, std::slice::from_ref(&data)).1, [data]);
        }
    }

    #[test]
    fn values_without_a_json_form_are_converted_as_by_stringify() {
        for (packed, json) in [
            (&b"\xd4\x00\x00"[..], "null"),
            (
                b"\xd7\x00\x00\x00\x01\x8c\xc2\x51\xf4\x00",
                r#""2024-01-01T00:00:00.000Z""#,
            ),
            (b"\xd6\xff\x65\x92\x00\x80", r#""2024-01-01T00:00:00.000Z""#),
            (
                b"\xc7\x0c\xff\x00\x0f\x42\x40\0\0\0\0\x65\x92\x00\x80",
                r#""2024-01-01T00:00:00.001Z""#,
            ),
            (
                b"\xc7\x0c\xff\xff\xff\xff\xff\x00\x20\xc4\x9b\xa5\xe3\x53\xf7",
                "null",
            ),
            (b"\xcb\x7f\xf8\0\0\0\0\0\0", "null"),
            (b"\xcb\x3f\xf0\0\0\0\0\0\0", "1"),
            (b"\x81\x01\xa1x", r#"{"1":"x"}"#),
            (b"\xa1\xff", "\"\u{fffd}\""),
        ] {
            let packed = Bytes::copy_from_slice(packed);
            assert_eq!(to_json(&packed).unwrap().0, json);
        }
    }

    #[test]
    fn an_array_buffer_of_an_older_writer_is_binary() {
        for head in [&b"\xc7\x08\0"[..], b"\xc8\0\x08\0", b"\xc9\0\0\0\x08\0"] {
            let data = Bytes::from_static(&[0, 0, 1, 0x8c, 0xc2, 0x51, 0xf4, 0]);
            let packed = [head, &data[..]].concat();
            let (json, attachments) = to_json(&packed.into()).unwrap();
            assert_eq!(json, r#"{"_placeholder":true,"num":0}"#);
            assert_eq!(attachments, [data]);
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_refused() {
        assert!(from_json(r#"["\ud800"]"#, &[]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(packed in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((json, _)) = to_json(&packed.into()) {
                let read: Result<Value, _> = serde_json::from_str(&json);
                prop_assert!(read.is_ok(), "{}", json);
            }
        }
    }

    fn read(packed: &[u8]) -> Result<String, &'static str> {
        to_json(&Bytes::copy_from_slice(packed)).map(|(json, _)| json)
    }

    #[test]
    fn only_scalars_are_keys() {
        for (key, json) in [
            (&b"\xa1k"[..], r#"{"k":null}"#),
            (b"\xc0", r#"{"null":null}"#),
            (b"\xc3", r#"{"true":null}"#),
            (b"\xff", r#"{"-1":null}"#),
            (b"\xcc\xff", r#"{"255":null}"#),
            (b"\xca\x3f\xc0\0\0", r#"{"1.5":null}"#),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", r#"{"1.5":null}"#),
        ] {
            assert_eq!(read(&[b"\x81", key, b"\xc0"].concat()).unwrap(), json);
        }
        for key in [
            &b"\x80"[..],
            b"\x81\xa1k\xc0",
            b"\xde\0\0",
            b"\xdf\0\0\0\0",
            b"\x90",
            b"\xdc\0\0",
            b"\xdd\0\0\0\0",
            b"\xc4\0",
            b"\xc5\0\0",
            b"\xc6\0\0\0\0",
            b"\xd4\0\0",
            b"\xd6\xff\0\0\0\0",
            b"\xc7\0\0",
        ] {
            let refused = read(&[b"\x81", key, b"\xc0"].concat());
            assert!(refused.unwrap_err().contains("a key that is"), "{key:?}");
        }
        let nested = [&b"\x93\xa5other"[..], &[0x81; 60], &[0xc0; 62]].concat();
        assert!(read(&nested).unwrap_err().contains("a key that is"));
    }

    #[test]
    fn the_json_is_bounded() {
        // Values whose JSON is much longer, and the length of their JSON.
        for (value, length) in [
            (&b"\xc4\0"[..], 29),
            (b"\xa1\x01", 8),
            (b"\xc2", 5),
            (b"\xd6\xff\0\0\0\0", 26),
        ] {
            let packed = Bytes::from([b"\x9a", &value.repeat(10)[..]].concat());
            // Ten of them in brackets, with commas.
            let whole = 10 * length + 11;
            let json = to_json_within(&packed, whole).unwrap().0;
            assert_eq!(json.len(), whole);
            let refused = to_json_within(&packed, whole - 1);
            assert_eq!(refused, Err("its JSON would be too long"));
        }
    }

    #[test]
    fn a_single_precision_number_is_exact() {
        for number in [
            0.1_f32,
            -0.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            16_777_217.0,
        ] {
            let json = read(&[&b"\xca"[..], &number.to_be_bytes()].concat()).unwrap();
            let read: f64 = serde_json::from_str(&json).unwrap();
            assert_eq!(read.to_bits(), f64::from(number).to_bits(), "{json}");
        }
    }

    #[test]
    fn whole_numbers_are_exact() {
        for json in [
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "-9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "-9223372036854775808",
        ] {
            assert_eq!(there_and_back(json, &[]).0, json);
        }
    }

    proptest! {
        #[test]
        fn a_number_is_the_same_there_and_back(number in proptest::num::f64::ANY) {
            prop_assume!(number.is_finite());
            let json = serde_json::to_string(&number).unwrap();
            let (back, _) = there_and_back(&json, &[]);
            let read: f64 = serde_json::from_str(&back).unwrap();
            prop_assert_eq!(read.to_bits(), number.to_bits(), "{} {}", json, back);
            let packed: Bytes = [&b"\xcb"[..], &number.to_be_bytes()].concat().into();
            let read: f64 = serde_json::from_str(&to_json(&packed).unwrap().0).unwrap();
            prop_assert_eq!(read.to_bits(), number.to_bits());
        }

        #[test]
        fn json_grows_by_a_factor_only(packed in proptest::collection::vec(any::<u8>(), 0..300)) {
            let length = packed.len();
            if let Ok((json, _)) = to_json(&packed.into()) {
                prop_assert!(json.len() <= 20 * length + 40);
            }
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let packed = Bytes::from(vec![0x91; 100_000]);
        assert_eq!(to_json(&packed), Err("values nested too deeply"));
    }
}
