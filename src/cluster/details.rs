//! The description of a socket that one node sends to another.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A socket in a reply. The field names are those of the Node.js server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) handshake: Value,
    #[serde(default, deserialize_with = "names")]
    pub(crate) rooms: Vec<String>,
    #[serde(default, deserialize_with = "entries")]
    pub(crate) data: BTreeMap<String, Value>,
}

/// A program may have stored a value other than an object. It is then read as empty.
fn entries<'de, D>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(entries) => entries.into_iter().collect(),
        _ => BTreeMap::new(),
    })
}

/// Reads the names of rooms, or one name. In JavaScript the name of a room may also be a number.
pub(crate) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let name = |value| match value {
        Value::String(name) => name,
        other => other.to_string(),
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(names) => Ok(names.into_iter().map(name).collect()),
        one @ (Value::String(_) | Value::Number(_)) => Ok(vec![name(one)]),
        other => Err(D::Error::custom(format!("{other} is no list of rooms"))),
    }
}

/// The entry of `data` with the id and the transport of the client, as the Admin UI of Node.js
/// servers writes it. It belongs to no program.
pub(crate) const CLIENT_ENTRY: &str = "_admin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_that_are_numbers_are_read() {
        let details = r#"{"id":"s","rooms":["s",42,1.5],"data":7}"#;
        let details: Details = serde_json::from_str(details).unwrap();
        assert_eq!(details.rooms, ["s", "42", "1.5"]);
        assert!(details.data.is_empty());
    }
}
