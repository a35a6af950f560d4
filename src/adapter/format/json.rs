//! The JSON that the formats of the Node.js adapters share: events, audiences, answers.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::format::DEFAULT_LIMIT;
use crate::cluster::{Details, EmitFlags, EventPayload, Scope, names};
use crate::id::SocketId;
use crate::socketio::{Args, check_placeholders, is_reserved};

/// The recipients of an event, and its flags.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Options {
    #[serde(default, deserialize_with = "names")]
    rooms: Vec<String>,
    #[serde(default, deserialize_with = "names")]
    except: Vec<String>,
    #[serde(default)]
    flags: Flags,
}

impl Options {
    pub(crate) fn into_scope(self) -> Scope {
        Scope {
            rooms: self.rooms,
            except: self.except,
        }
    }

    pub(crate) fn flags(&self) -> EmitFlags {
        self.flags.emit
    }

    pub(crate) fn limit(&self) -> Duration {
        self.flags.timeout.unwrap_or(DEFAULT_LIMIT)
    }
}

#[derive(Debug, Default)]
struct Flags {
    emit: EmitFlags,
    timeout: Option<Duration>,
}

impl<'de> Deserialize<'de> for Flags {
    /// Reads flags as JavaScript does. An unknown value does not make the event unreadable.
    /// Emitters in PHP write the absence of flags as an empty list.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flags = Value::deserialize(deserializer)?;
        let timeout = flags.get("timeout").and_then(Value::as_f64);
        let timeout = timeout.filter(|milliseconds| *milliseconds >= 0.0);
        Ok(Self {
            emit: EmitFlags {
                volatile: flags.get("volatile").is_some_and(is_truthy),
                uncompressed: flags.get("compress") == Some(&Value::Bool(false)),
            },
            timeout: timeout.map(|limit| Duration::from_millis(limit as u64).min(LONGEST_LIMIT)),
        })
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// An event's packet.
#[derive(Debug, Deserialize)]
pub(crate) struct EventPacket<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    nsp: Option<String>,
}

impl EventPacket<'_> {
    pub(crate) fn content(&self, attachments: Vec<Bytes>) -> Result<EventPayload, String> {
        let content = named(self.data, attachments)?;
        let is_binary = !content.0.attachments().is_empty();
        for_clients(content, is_binary)
    }

    /// Returns the namespace in the packet itself.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.nsp.as_deref()
    }
}

/// Reads the list of an event's name and its arguments.
pub(crate) fn named(list: &RawValue, attachments: Vec<Bytes>) -> Result<EventPayload, String> {
    let inner = inner(list.get());
    let begins = |inner: &&str| inner.starts_with(|c: char| c == '"' || c.is_ascii_digit());
    match inner.filter(begins) {
        Some(inner) => Ok(EventPayload(Args::new(inner.to_owned(), attachments))),
        None => Err("an event that is not a list with a name first".to_owned()),
    }
}

/// Refuses an event that would make clients close their session: one with a reserved name, or with
/// a placeholder without an attachment.
pub(crate) fn for_clients(content: EventPayload, is_binary: bool) -> Result<EventPayload, String> {
    let list = &content.0;
    let name = serde_json::from_str::<String>(list.split_text().0);
    if let Ok(name) = name
        && is_reserved(&name)
    {
        return Err(format!("event name {name:?} is reserved"));
    }
    if is_binary {
        let checked = check_placeholders(list.as_json(), list.attachments().len());
        checked.map_err(|error| error.to_string())?;
    }
    Ok(content)
}

/// Reads one value as the only argument; no value means no argument.
pub(crate) fn argument(value: Option<&RawValue>, attachments: Vec<Bytes>) -> Args {
    with_more(value, None, attachments)
}

/// Puts the first argument of an acknowledgement before those that only nodes of this crate send.
pub(crate) fn with_more(
    first: Option<&RawValue>,
    more: Option<&RawValue>,
    attachments: Vec<Bytes>,
) -> Args {
    let first = first.map(RawValue::get);
    let more = more.and_then(|more| inner(more.get()));
    let more = more.filter(|more| !more.is_empty());
    let parts: Vec<_> = first.into_iter().chain(more).collect();
    Args::new(parts.join(","), attachments)
}

/// Writes the acknowledgement of a client, as fields after others: the first argument, and those
/// that only nodes of this crate read.
pub(crate) fn acknowledged(socket: Option<&SocketId>, args: &Args) -> String {
    let mut fields = first("packet", args);
    if let (_, Some(more)) = args.split_text() {
        fields.push_str(&format!(r#","more":[{more}]"#));
    }
    if let Some(socket) = socket {
        fields.push_str(&format!(r#","sid":"{socket}""#));
    }
    fields
}

/// Writes the first argument as a field after others; writes nothing if there is none.
pub(crate) fn first(name: &str, args: &Args) -> String {
    match args.split_text().0 {
        "" => String::new(),
        first => format!(r#","{name}":{first}"#),
    }
}

/// Returns the text between a list's brackets.
pub(crate) fn inner(list: &str) -> Option<&str> {
    let list = list.trim().strip_prefix('[')?.strip_suffix(']')?;
    Some(list.trim())
}

/// Reads a value that may be `null`: a plain `Option` would read that as none.
pub(crate) fn value<'de, D>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: Deserializer<'de>,
{
    Deserialize::deserialize(deserializer).map(Some)
}

/// Writes a list of names.
pub(crate) fn list(names: &[String]) -> String {
    Value::from(names).to_string()
}

/// Writes a name.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Writes the recipients of an event, and its flags.
pub(crate) fn options(scope: &Scope, emit: EmitFlags, limit: Option<Duration>) -> String {
    let mut flags = Vec::new();
    if emit.volatile {
        flags.push(r#""volatile":true"#.to_owned());
    }
    if emit.uncompressed {
        flags.push(r#""compress":false"#.to_owned());
    }
    if let Some(limit) = limit {
        let limit = limit.min(LONGEST_LIMIT).as_millis();
        flags.push(format!(r#""timeout":{limit}"#));
    }
    format!(
        r#"{{"rooms":{},"except":{},"flags":{{{}}}}}"#,
        list(&scope.rooms),
        list(&scope.except),
        flags.join(",")
    )
}

/// Writes the descriptions of sockets.
pub(crate) fn details_json(sockets: &[Details]) -> String {
    // JSON values and names, which can always be written.
    serde_json::to_string(sockets).unwrap_or_else(|_| "[]".to_owned())
}

/// The longest time of a timer in JavaScript, which treats a longer one as zero.
const LONGEST_LIMIT: Duration = Duration::from_millis(i32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn options_of(flags: &str) -> Options {
        serde_json::from_str(&format!(r#"{{"rooms":null,"flags":{flags}}}"#)).unwrap()
    }

    #[test]
    fn flags_have_javascript_truthiness_and_invalid_ones_are_ignored() {
        for (flags, volatile, uncompressed) in [
            (r#"{"volatile":true,"compress":false}"#, true, true),
            (r#"{"volatile":1,"compress":0}"#, true, false),
            (r#"{"volatile":"","compress":1}"#, false, false),
            (r#"{"volatile":0,"compress":null}"#, false, false),
            (r#"{"volatile":{}}"#, true, false),
            ("[]", false, false),
            ("null", false, false),
            ("7", false, false),
        ] {
            let emit = options_of(flags).flags();
            assert_eq!(
                (emit.volatile, emit.uncompressed),
                (volatile, uncompressed),
                "{flags}"
            );
        }
    }

    #[test]
    fn a_limit_is_a_number_of_milliseconds_that_a_timer_takes() {
        for (timeout, limit) in [
            ("50", Duration::from_millis(50)),
            ("0", Duration::ZERO),
            ("1.5", Duration::from_millis(1)),
            ("2147483647", LONGEST_LIMIT),
            ("2147483648", LONGEST_LIMIT),
            ("1e300", LONGEST_LIMIT),
            ("-1", DEFAULT_LIMIT),
            (r#""5000""#, DEFAULT_LIMIT),
            ("null", DEFAULT_LIMIT),
        ] {
            let options = options_of(&format!(r#"{{"timeout":{timeout}}}"#));
            assert_eq!(options.limit(), limit, "{timeout}");
        }
        let longest = options(&Scope::default(), EmitFlags::default(), Some(Duration::MAX));
        let json = r#"{"rooms":[],"except":[],"flags":{"timeout":2147483647}}"#;
        assert_eq!(longest, json);
    }
}
