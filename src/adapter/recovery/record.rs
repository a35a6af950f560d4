//! The record of a socket for other nodes, as `@socket.io/redis-streams-adapter` writes it.
//!
//! It is the base64 of MessagePack: `sid`, `pid`, `rooms` with the socket's own among them, and
//! `data`. `nsp`, `since`, `begun`, `entered`, `late` and `moves` are between nodes of this crate,
//! and skipped by other readers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::adapter::format::msgpack;
use crate::cluster::names;
use crate::socket::Kept;

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
    begun: String,
    #[serde(default)]
    entered: String,
    #[serde(default)]
    late: BTreeMap<String, u64>,
    #[serde(default)]
    moves: u64,
}

/// Writes a record; `None` if its data cannot be written.
pub(crate) fn to_text(kept: &Kept) -> Option<String> {
    let rooms = kept.rooms.iter().map(|(room, _)| room.clone());
    let session = Session {
        sid: kept.sid.clone(),
        pid: kept.pid.clone(),
        nsp: kept.namespace.clone(),
        rooms: std::iter::once(kept.sid.clone()).chain(rooms).collect(),
        data: Value::Object(kept.data.clone().into_iter().collect()),
        since: kept.rooms.iter().cloned().collect(),
        begun: kept.begun.clone(),
        entered: kept.entered.clone(),
        late: kept.late.iter().cloned().collect(),
        moves: kept.moves,
    };
    let json = serde_json::to_string(&session).ok()?;
    let packed = msgpack::from_json(&json, &[]).ok()?;
    Some(STANDARD.encode(packed))
}

/// Reads a record; `None` if the text is not a record.
pub(crate) fn from_text(text: &str) -> Option<Kept> {
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
    Some(Kept {
        rooms: rooms.cloned().map(since).collect(),
        sid: session.sid.clone(),
        pid: session.pid,
        namespace: session.nsp,
        data,
        begun: session.begun,
        entered: session.entered,
        late: session.late.into_iter().collect(),
        moves: session.moves,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reference_keeps_is_read() {
        let kept = from_text("hKNzaWShc6NwaWShcKVyb29tc5Khc6FypGRhdGGBoXgB").unwrap();
        assert_eq!((kept.sid.as_str(), kept.pid.as_str()), ("s", "p"));
        assert_eq!(kept.rooms, [("r".to_owned(), String::new())]);
        assert_eq!(kept.data["x"], 1);
    }

    #[test]
    fn what_is_written_is_read() {
        let kept = Kept {
            sid: "s".to_owned(),
            pid: "p".to_owned(),
            namespace: "/chat".to_owned(),
            rooms: vec![("r".to_owned(), "1.a.2.3-4".to_owned())],
            data: BTreeMap::from([("x".to_owned(), Value::from([1]))]),
            begun: "0.a.0.3-4".to_owned(),
            entered: "1.a.1.3-4".to_owned(),
            late: vec![("a".to_owned(), 7)],
            moves: 2,
        };
        assert_eq!(from_text(&to_text(&kept).unwrap()), Some(kept));
    }
}
