//! The record of a socket for other nodes, as `@socket.io/redis-streams-adapter` writes it.
//!
//! It is the base64 of MessagePack: `sid`, `pid`, `rooms` with the socket's own among them, and
//! `data`. `nsp`, `since`, `entitled_from`, `entered`, `received`, `moves`, `expires` and `logged_in`
//! are between nodes of this crate, and skipped by other readers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::names;
use crate::members::{LoginTimes, PersistedSocket};
use crate::socketio::msgpack;

#[derive(Serialize, Deserialize)]
struct Session {
    sid: String,
    pid: String,
    #[serde(default)]
    nsp: String,
    #[serde(deserialize_with = "names")]
    rooms: Vec<String>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    since: BTreeMap<String, String>,
    #[serde(default)]
    entitled_from: String,
    #[serde(default)]
    entered: String,
    #[serde(default)]
    received: BTreeMap<String, u64>,
    #[serde(default)]
    moves: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logged_in: Option<u64>,
}

/// Writes a record; `None` if its data cannot be written.
pub(crate) fn to_text(persisted: &PersistedSocket) -> Option<String> {
    let rooms = persisted.rooms.iter().map(|(room, _)| room.clone());
    let session = Session {
        sid: persisted.sid.clone(),
        pid: persisted.pid.clone(),
        nsp: persisted.namespace.clone(),
        rooms: std::iter::once(persisted.sid.clone())
            .chain(rooms)
            .collect(),
        data: Value::Object(persisted.data.clone().into_iter().collect()),
        since: persisted.rooms.iter().cloned().collect(),
        entitled_from: persisted.entitled_from.clone(),
        entered: persisted.entered.clone(),
        received: persisted.received.iter().cloned().collect(),
        moves: persisted.moves,
        expires: persisted.login.expires,
        logged_in: persisted.login.began,
    };
    let json = serde_json::to_string(&session).ok()?;
    let packed = msgpack::from_json(&json, &[]).ok()?;
    Some(STANDARD.encode(packed))
}

/// Reads a record; `None` if the text is not a record.
pub(crate) fn from_text(text: &str) -> Option<PersistedSocket> {
    let packed = STANDARD.decode(text).ok()?;
    let (json, _) = msgpack::to_json(&packed.into()).ok()?;
    let session: Session = serde_json::from_str(&json).ok()?;
    let data = match session.data {
        Value::Object(data) => data.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let since = |room: String| {
        let since = session.since.get(&room).cloned().unwrap_or_default();
        (room, since)
    };
    let rooms = session.rooms.iter().filter(|room| **room != session.sid);
    Some(PersistedSocket {
        rooms: rooms.cloned().map(since).collect(),
        sid: session.sid.clone(),
        pid: session.pid,
        namespace: session.nsp,
        data,
        entitled_from: session.entitled_from,
        entered: session.entered,
        received: session.received.into_iter().collect(),
        moves: session.moves,
        login: LoginTimes {
            began: session.logged_in,
            expires: session.expires,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_of_the_reference_is_read() {
        let persisted = from_text("hKNzaWShc6NwaWShcKVyb29tc5Khc6FypGRhdGGBoXgB").unwrap();
        assert_eq!((persisted.sid.as_str(), persisted.pid.as_str()), ("s", "p"));
        assert_eq!(persisted.rooms, [("r".to_owned(), String::new())]);
        assert_eq!(persisted.data["x"], 1);
    }

    #[test]
    fn record_decodes_to_itself() {
        let persisted = PersistedSocket {
            sid: "s".to_owned(),
            pid: "p".to_owned(),
            namespace: "/chat".to_owned(),
            rooms: vec![("r".to_owned(), "1.a.2.3-4".to_owned())],
            data: BTreeMap::from([("x".to_owned(), Value::from([1]))]),
            entitled_from: "0.a.0.3-4".to_owned(),
            entered: "1.a.1.3-4".to_owned(),
            received: vec![("a".to_owned(), 7)],
            moves: 2,
            login: LoginTimes {
                began: Some(1_795_000_000_000),
                expires: Some(1_796_000_000_000),
            },
        };
        assert_eq!(from_text(&to_text(&persisted).unwrap()), Some(persisted));
    }
}
