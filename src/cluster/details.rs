//! What one node tells another of a socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A socket as it stands in an answer: the field names are those of the Node.js server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) handshake: Value,
    #[serde(default)]
    pub(crate) rooms: Vec<String>,
    #[serde(default, deserialize_with = "entries")]
    pub(crate) data: BTreeMap<String, Value>,
}

/// A program may have put something else than an object there: then nothing is said of it.
fn entries<'de, D>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(entries) => entries.into_iter().collect(),
        _ => BTreeMap::new(),
    })
}
