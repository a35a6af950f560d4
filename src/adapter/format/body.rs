//! What the formats of the Node.js adapters have in common: events and whom they are for.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::format::DEFAULT_LIMIT;
use crate::cluster::{Content, Details, Manner, Scope};
use crate::socketio::{Args, is_reserved};

/// Whom something is for, and how it is to be sent.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Options {
    #[serde(default, deserialize_with = "names")]
    rooms: Vec<String>,
    #[serde(default, deserialize_with = "names")]
    except: Vec<String>,
    #[serde(default)]
    flags: Option<Flags>,
}

#[derive(Debug, Default, Deserialize)]
struct Flags {
    volatile: Option<bool>,
    compress: Option<bool>,
    timeout: Option<u64>,
}

impl Options {
    pub(crate) fn into_scope(self) -> Scope {
        Scope {
            rooms: self.rooms,
            except: self.except,
        }
    }

    pub(crate) fn manner(&self) -> Manner {
        let flags = self.flags.as_ref();
        Manner {
            volatile: flags.and_then(|flags| flags.volatile).unwrap_or(false),
            uncompressed: flags.and_then(|flags| flags.compress) == Some(false),
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        let timeout = self.flags.as_ref().and_then(|flags| flags.timeout);
        timeout.map_or(DEFAULT_LIMIT, Duration::from_millis)
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
    pub(crate) fn content(&self, attachments: Vec<Bytes>) -> Result<Content, String> {
        content(self.data, attachments)
    }

    /// Returns the namespace that the packet names itself.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.nsp.as_deref()
    }
}

/// Reads the list of an event's name and its arguments.
pub(crate) fn content(list: &RawValue, attachments: Vec<Bytes>) -> Result<Content, String> {
    let inner = list
        .get()
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .map(str::trim);
    match inner {
        Some(inner)
            if inner.starts_with('"') || inner.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            let list = Args::new(inner.to_owned(), attachments);
            let name = list.split_text().0.trim().trim_matches('"');
            if is_reserved(name) {
                return Err(format!("event name {name:?} is reserved"));
            }
            Ok(Content(list))
        }
        _ => Err("an event is a list that begins with its name".to_owned()),
    }
}

/// Reads one value as the only argument; nothing where there is none.
pub(crate) fn argument(value: Option<&RawValue>, attachments: Vec<Bytes>) -> Args {
    let json = value.map(|value| value.get().to_owned());
    Args::new(json.unwrap_or_default(), attachments)
}

/// Writes a list of names.
pub(crate) fn list(names: &[String]) -> String {
    Value::from(names).to_string()
}

/// Writes a name.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Writes whom an event is for, and how it is to be sent.
pub(crate) fn options(scope: &Scope, manner: Manner, limit: Option<Duration>) -> String {
    let mut flags = Vec::new();
    if manner.volatile {
        flags.push(r#""volatile":true"#.to_owned());
    }
    if manner.uncompressed {
        flags.push(r#""compress":false"#.to_owned());
    }
    if let Some(limit) = limit {
        flags.push(format!(r#""timeout":{}"#, limit.as_millis()));
    }
    format!(
        r#"{{"rooms":{},"except":{},"flags":{{{}}}}}"#,
        list(&scope.rooms),
        list(&scope.except),
        flags.join(",")
    )
}

/// Writes what is said of sockets.
pub(crate) fn details_json(sockets: &[Details]) -> String {
    // Values of JSON, and names: nothing that could not be written.
    serde_json::to_string(sockets).unwrap_or_else(|_| "[]".to_owned())
}

/// Reads names; JavaScript has rooms that are numbers too.
pub(crate) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names: Option<Vec<Value>> = Option::deserialize(deserializer)?;
    let names = names.unwrap_or_default().into_iter();
    Ok(names
        .map(|name| match name {
            Value::String(name) => name,
            other => other.to_string(),
        })
        .collect())
}
