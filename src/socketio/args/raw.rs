//! Arguments that are kept as received, for a program that only forwards them.
//!
//! Text and attachments enter and leave unchanged. They are read if the program asks for a value.
//! Outside an event's arguments they serialize as an array of values, so any serializer can write
//! them.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::{
    Deserialize, Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error, SerializeMap, SerializeTuple},
};
use serde_json::Value;

use crate::socketio::args::{
    AnyValue, ArgsError, PacketLimits,
    de::from_args,
    elements::{Elements, is_blank, split_first},
    packed::{from_packed, push_packed},
    placeholder::{MARK, NUM},
    ser::push_args,
};
use crate::socketio::msgpack;

/// The arguments of an event as received, to read later or to forward.
///
/// An `Args` that is sent as an event's arguments is written unchanged: text and attachments byte
/// for byte. In any other place it serializes as an array of the arguments, for example inside
/// another value or in another format. Each placeholder is then replaced by its binary, which is
/// copied. White space is lost, and the keys of objects may change their order. A number with more
/// digits than an `f64` or a 64-bit integer loses some. Half of a surrogate pair, which JavaScript
/// may send in a string, is an error, because no Rust string holds it.
///
/// # Examples
///
/// ```
/// use actix_socketio::Args;
///
/// let args = Args::from_value(&("lobby", 7))?;
/// assert_eq!(args.as_json(), r#""lobby",7"#);
///
/// let (room, seats): (String, u32) = args.read()?;
/// assert_eq!((room.as_str(), seats), ("lobby", 7));
///
/// // What is not asked for is ignored.
/// assert_eq!(args.read::<String>()?, "lobby");
/// # Ok::<(), actix_socketio::ArgsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Args {
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Json(Json),
    /// MessagePack, one value after another, and the same as JSON if the program has asked for it.
    Packed(Bytes, OnceLock<Box<Json>>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Json {
    text: String,
    attachments: Vec<Bytes>,
}

/// The arguments of an event or of an acknowledgement in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgsText<'a> {
    /// JSON, with commas between the arguments and no brackets around them: `1,{"b":2}`.
    Json(&'a str),
    /// MessagePack, one value after another. It holds its binary itself.
    Packed(&'a [u8]),
}

/// The arguments of a whole packet, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgsRef<'a> {
    pub(crate) text: ArgsText<'a>,
    pub(crate) attachments: &'a [Bytes],
}

impl ArgsRef<'_> {
    /// Returns the size of the arguments with their attachments, in bytes.
    pub(crate) fn size(&self) -> usize {
        let attachments = self.attachments.iter().map(Bytes::len);
        let text = match self.text {
            ArgsText::Json(text) => text.len(),
            ArgsText::Packed(values) => values.len(),
        };
        text + attachments.sum::<usize>()
    }

    /// Reads the arguments, as [`Args::read`] does.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        match self.text {
            ArgsText::Json(text) => from_args(text, self.attachments),
            ArgsText::Packed(values) => from_packed(values),
        }
    }

    /// Returns the arguments behind the first.
    pub(crate) fn behind_first(self) -> Self {
        let text = match self.text {
            ArgsText::Json(text) => ArgsText::Json(split_first(text).1.unwrap_or_default()),
            ArgsText::Packed(values) => ArgsText::Packed(msgpack::behind_first(values)),
        };
        Self { text, ..self }
    }

    pub(crate) fn to_args(self) -> Args {
        match self.text {
            ArgsText::Json(text) => Args::new(text.to_owned(), self.attachments.to_vec()),
            ArgsText::Packed(values) => Args::packed(Bytes::copy_from_slice(values)),
        }
    }
}

impl Args {
    /// Keeps the text between an event's brackets, after its name, and the attachments.
    pub(crate) fn new(text: String, attachments: Vec<Bytes>) -> Self {
        Self {
            content: Content::Json(Json { text, attachments }),
        }
    }

    /// Keeps values of MessagePack, one after another. Each must be whole.
    pub(crate) fn packed(values: Bytes) -> Self {
        Self {
            content: Content::Packed(values, OnceLock::new()),
        }
    }

    /// Makes the arguments for sending `value`, as [`from_value`](Self::from_value) does, in
    /// MessagePack.
    pub(crate) fn pack<T: Serialize + ?Sized>(value: &T) -> Result<Self, ArgsError> {
        let mut values = Vec::new();
        push_packed(&mut values, value)?;
        Ok(Self::packed(values.into()))
    }

    /// Borrows the arguments in the form in which they are kept.
    pub(crate) fn as_args_ref(&self) -> ArgsRef<'_> {
        match &self.content {
            Content::Json(Json { text, attachments }) => ArgsRef {
                text: ArgsText::Json(text),
                attachments,
            },
            Content::Packed(values, _) => ArgsRef {
                text: ArgsText::Packed(values),
                attachments: &[],
            },
        }
    }

    /// Returns the arguments in JSON.
    fn json(&self) -> &Json {
        match &self.content {
            Content::Json(json) => json,
            Content::Packed(values, json) => json.get_or_init(|| {
                // The values were checked when they arrived, or were written by this server.
                let (text, attachments) = msgpack::values_to_json(values).unwrap_or_default();
                Box::new(Json { text, attachments })
            }),
        }
    }

    /// Returns the text of the first argument, and the text of the others if there are any.
    #[cfg(any(feature = "cluster", feature = "testing"))]
    pub(crate) fn split_text(&self) -> (&str, Option<&str>) {
        split_first(self.as_json())
    }

    /// Returns a copy with one more argument: a string that needs no escapes.
    pub(crate) fn followed_by(&self, plain: &str) -> Self {
        match &self.content {
            Content::Json(Json { text, attachments }) => {
                let comma = if self.is_empty() { "" } else { "," };
                let text = [text, comma, "\"", plain, "\""].concat();
                Self::new(text, attachments.clone())
            }
            Content::Packed(values, _) => {
                let mut all = values.to_vec();
                msgpack::push_text(&mut all, plain);
                Self::packed(all.into())
            }
        }
    }

    /// Returns a copy with one more argument before the others: a string.
    pub(crate) fn preceded_by(&self, first: &str) -> Self {
        match &self.content {
            Content::Json(Json { text, attachments }) => {
                let first = serde_json::Value::from(first).to_string();
                let comma = if self.is_empty() { "" } else { "," };
                let text = [&first, comma, text].concat();
                Self::new(text, attachments.clone())
            }
            Content::Packed(values, _) => {
                let mut all = Vec::with_capacity(first.len() + values.len() + 5);
                msgpack::push_text(&mut all, first);
                all.extend_from_slice(values);
                Self::packed(all.into())
            }
        }
    }

    /// Returns the arguments as JSON, with commas between them and no brackets around them.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Args;
    ///
    /// let args = Args::from_value(&(1, [true, false].as_slice()))?;
    /// assert_eq!(args.as_json(), "1,[true,false]");
    /// # Ok::<(), actix_socketio::ArgsError>(())
    /// ```
    pub fn as_json(&self) -> &str {
        &self.json().text
    }

    /// Returns the attachments in the order of their indexes in placeholders.
    pub fn attachments(&self) -> &[Bytes] {
        &self.json().attachments
    }

    /// Returns `true` if there are no arguments.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Args;
    ///
    /// assert!(Args::from_value(&())?.is_empty());
    /// assert!(!Args::from_value(&None::<u32>)?.is_empty());
    /// # Ok::<(), actix_socketio::ArgsError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Json(json) => is_blank(&json.text),
            Content::Packed(values, _) => values.is_empty(),
        }
    }

    /// Reads the arguments as a value of type `T`.
    ///
    /// A tuple reads as many arguments as it has members, `()` reads none, and any other type reads
    /// the first: an array `[U; N]` reads a client's array. Additional arguments are ignored. A
    /// missing argument is `None` for an [`Option`]. Types that ask serde for bytes, such as
    /// [`bytes::Bytes`], read binary at any depth.
    ///
    /// # Errors
    ///
    /// Returns an [`ArgsError`] if an argument is missing or has the wrong type, or if it refers to
    /// an attachment that does not exist.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.as_args_ref().read()
    }

    /// Reads the first argument, and keeps the others as received.
    ///
    /// # Errors
    ///
    /// Returns an [`ArgsError`] if there is no argument, or if it has the wrong type.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Args;
    ///
    /// let args = Args::from_value(&("lobby", 7, true))?;
    /// let (room, rest) = args.split_first::<String>()?;
    /// assert_eq!((room.as_str(), rest.as_json()), ("lobby", "7,true"));
    /// # Ok::<(), actix_socketio::ArgsError>(())
    /// ```
    pub fn split_first<T: DeserializeOwned>(&self) -> Result<(T, Self), ArgsError> {
        let first = self.read()?;
        let rest = match &self.content {
            Content::Json(json) => {
                let (_, rest) = split_first(&json.text);
                let rest = rest.unwrap_or_default().to_owned();
                Self::new(rest, json.attachments.clone())
            }
            Content::Packed(values, _) => {
                Self::packed(values.slice_ref(msgpack::behind_first(values)))
            }
        };
        Ok((first, rest))
    }

    /// Returns an error if a packet with these arguments exceeds a limit.
    pub(crate) fn check(&self, limits: PacketLimits) -> Result<(), ArgsError> {
        match &self.content {
            Content::Json(json) => limits.check(json.text.len(), &json.attachments),
            Content::Packed(values, _) => limits.check(values.len(), &[]),
        }
    }

    /// Makes one argument of each value, whatever its type. Use it if the number of arguments is
    /// known only at run time.
    ///
    /// # Errors
    ///
    /// The same as of [`from_value`](Self::from_value).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Args;
    ///
    /// let args = Args::from_values(vec![vec![1, 2], vec![3]])?;
    /// assert_eq!(args.as_json(), "[1,2],[3]");
    /// # Ok::<(), actix_socketio::ArgsError>(())
    /// ```
    pub fn from_values<T: Serialize>(
        values: impl IntoIterator<Item = T>,
    ) -> Result<Self, ArgsError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        for value in values {
            let is_behind = !json.is_empty();
            push_args(&mut json, is_behind, &(value,), &mut attachments)?;
        }
        Self::from_text(json, attachments)
    }

    /// Makes the arguments for sending `value`.
    ///
    /// A tuple is as many arguments as it has members, and `()` is none. Any other value is one
    /// argument: an array, a slice, a vector, a map, a struct (also a newtype around a tuple), an
    /// [`Option`], and `Value::Null`, which is `null`. References, `Box`, `Rc`, `Arc` and `Cow`
    /// count as the type that they point to, and a [`Result`] as the type in it. Bytes become
    /// attachments.
    ///
    /// # Errors
    ///
    /// Returns [`ArgsError::Serialize`] if the value has no form in JSON, such as a map whose keys
    /// are not strings, or if its [`Serialize`] fails.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, ArgsError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        push_args(&mut json, false, value, &mut attachments)?;
        Self::from_text(json, attachments)
    }

    fn from_text(json: Vec<u8>, attachments: Vec<Bytes>) -> Result<Self, ArgsError> {
        match String::from_utf8(json) {
            Ok(text) => Ok(Self::new(text, attachments)),
            Err(error) => Err(ArgsError::Serialize {
                argument: None,
                cause: Error::custom(error),
            }),
        }
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::new(String::new(), Vec::new())
    }
}

/// Two values are equal if their JSON and their attachments are.
impl PartialEq for Args {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Args {}

impl Serialize for Args {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let readable = serializer.is_human_readable();
        serializer.serialize_newtype_struct(
            NAME,
            &Body {
                args: self,
                readable,
            },
        )
    }
}

/// The content of an [`Args`], in one of two forms.
///
/// The outermost serializers of this module know [`NAME`] and ask for the content as it is kept: a
/// tuple of text and attachments, or the variant [`PACKED`] with bytes. They signal this by a change
/// of `is_human_readable` between the newtype struct and its content. No other serializer does that.
struct Body<'a> {
    args: &'a Args,
    readable: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_asked = serializer.is_human_readable() != self.readable;
        if is_asked && let Content::Packed(values, _) = &self.args.content {
            return serializer.serialize_newtype_variant(NAME, 0, PACKED, values);
        }
        if let Content::Packed(values, _) = &self.args.content {
            return serialize_values(values, serializer);
        }
        let Json { text, attachments } = self.args.json();
        if is_asked {
            let mut tuple = serializer.serialize_tuple(1 + attachments.len())?;
            tuple.serialize_element(text)?;
            for attachment in attachments {
                tuple.serialize_element(attachment)?;
            }
            return tuple.end();
        }
        let elements = Elements::new(text);
        let mut tuple = serializer.serialize_tuple(elements.clone().count())?;
        for element in elements {
            let value = &serde_json::from_str(element).map_err(Error::custom)?;
            tuple.serialize_element(&Resolved { value, attachments })?;
        }
        tuple.end()
    }
}

fn serialize_values<S: Serializer>(values: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let count = msgpack::count(values).map_err(Error::custom)?;
    let mut reader = msgpack::Reader::new(values);
    let mut tuple = serializer.serialize_tuple(count)?;
    for _ in 0..count {
        let value = AnyValue::deserialize(&mut reader).map_err(Error::custom)?;
        tuple.serialize_element(&value)?;
    }
    tuple.end()
}

/// A value whose placeholders are replaced by their bytes.
struct Resolved<'a> {
    value: &'a Value,
    attachments: &'a [Bytes],
}

impl Serialize for Resolved<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attachments = self.attachments;
        if attachments.is_empty() {
            return self.value.serialize(serializer);
        }
        match self.value {
            Value::Array(elements) => {
                serializer.collect_seq(elements.iter().map(|value| Self { value, attachments }))
            }
            Value::Object(entries) if entries.get(MARK) == Some(&Value::Bool(true)) => {
                let num = entries.get(NUM).and_then(Value::as_u64);
                let index = num.and_then(|num| usize::try_from(num).ok());
                match index.and_then(|index| attachments.get(index)) {
                    Some(attachment) => attachment.serialize(serializer),
                    None => Err(Error::custom("a placeholder has no attachment")),
                }
            }
            Value::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Self { value, attachments })?;
                }
                map.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

/// The name by which the outermost serializer knows an [`Args`].
pub(super) const NAME: &str = "$actix_socketio::Args";

/// The variant of its content that is MessagePack.
pub(super) const PACKED: &str = "packed";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Args, Bytes, push_args};

    const ZERO: Bytes = Bytes::from_static(b"zero");
    const ONE: Bytes = Bytes::from_static(b"\xff1");

    fn pushed(args: &Args, before: &[Bytes]) -> (String, Vec<Bytes>) {
        let (mut out, mut attachments) = (b"[\"ev\"".to_vec(), before.to_vec());
        push_args(&mut out, true, args, &mut attachments).unwrap();
        (String::from_utf8(out).unwrap(), attachments)
    }

    #[test]
    fn arguments_are_sent_on_byte_for_byte() {
        let table = [
            "1 , 1.0,123456789012345678901234567890,\"\\u0061\"",
            "{\"b\":1,\"a\":2,\"a\":3}",
            "{\"num\": 1, \"_placeholder\": true},[{\"_placeholder\":true,\"num\":0}]",
        ];
        for json in table {
            let args = Args::new(json.to_owned(), vec![ZERO, ONE]);
            assert_eq!(
                pushed(&args, &[]),
                (format!("[\"ev\",{json}"), vec![ZERO, ONE])
            );
            assert_eq!(Args::from_value(&args).unwrap(), args);
        }
    }

    #[test]
    fn no_arguments_are_sent_on_as_none() {
        for json in ["", " \n"] {
            let args = Args::new(json.to_owned(), Vec::new());
            assert!(args.is_empty());
            assert_eq!(pushed(&args, &[]), ("[\"ev\"".to_owned(), Vec::new()));
            assert_eq!(pushed(&args, &[ONE]), ("[\"ev\"".to_owned(), vec![ONE]));
        }
    }

    #[test]
    fn placeholders_are_renumbered_behind_other_attachments() {
        let json = r#"{"num":1,"_placeholder":true},[1.0,{"a":{"_placeholder":true,"num":0}}]"#;
        let args = Args::new(json.to_owned(), vec![ZERO, ONE]);
        let (text, attachments) = pushed(&args, &[Bytes::new()]);
        assert_eq!(
            text,
            r#"["ev",{"_placeholder":true,"num":1},[1.0,{"a":{"_placeholder":true,"num":2}}]"#
        );
        assert_eq!(attachments, [Bytes::new(), ONE, ZERO]);
    }

    #[test]
    fn inside_another_value_arguments_are_an_array() {
        let binary = Args::from_value(&("a", ZERO)).unwrap();
        let args = Args::from_value(&(ONE, binary.clone(), vec![binary])).unwrap();
        let (one, first, second): (Bytes, (String, Bytes), ((String, Bytes),)) =
            args.read().unwrap();
        assert_eq!(one, ONE);
        assert_eq!(first, ("a".to_owned(), ZERO));
        assert_eq!(second, (first,));
        assert_eq!(args.attachments(), [ONE, ZERO, ZERO]);
        assert_eq!(
            Args::from_value(&(Args::default(),)).unwrap().as_json(),
            "[]"
        );
    }

    #[test]
    fn other_serializers_see_an_array() {
        let args = Args::from_value(&("a", Some(1), Bytes::from_static(&[1, 2]))).unwrap();
        assert_eq!(
            serde_json::to_value(&args).unwrap(),
            json!(["a", 1, [1, 2]])
        );
    }

    #[test]
    fn without_attachments_a_placeholder_is_an_object() {
        let json = r#"{"_placeholder":true,"num":0}"#;
        let args = Args::new(json.to_owned(), Vec::new());
        assert_eq!(serde_json::to_string(&args).unwrap(), format!("[{json}]"));
    }

    #[test]
    fn unresolvable_placeholder_is_an_error() {
        for json in [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"_placeholder":true}"#,
            "{",
            "1,",
        ] {
            let args = Args::new(json.to_owned(), vec![ZERO]);
            assert!(Args::from_value(&(1, args)).is_err(), "{json}");
        }
    }
}
