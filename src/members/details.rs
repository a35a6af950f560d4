//! The description of a socket of this node for other nodes.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::calendar::date_text;
use crate::clock::wall;
use crate::cluster::{CLIENT_ENTRY, Details};
use crate::members::login::to_millis;
use crate::members::socket::SocketState;

/// Describes a socket as the Node.js server does: its own room is the first of its rooms.
pub(crate) fn describe(state: &SocketState) -> Details {
    let id = state.id.as_str().to_owned();
    let rooms = state.rooms.lock();
    let rooms = rooms.iter().map(|room| room.as_ref().to_owned());
    let mut data = state.session().entries();
    if let Some(ids) = state.link.config.sockets.client_ids.get() {
        let transport = state.link.transport();
        let client = json!({
            "clientId": ids.of(state.link.number),
            "transport": transport.as_str(),
        });
        data.insert(CLIENT_ENTRY.to_owned(), client);
    }
    Details {
        rooms: std::iter::once(id.clone()).chain(rooms).collect(),
        id,
        handshake: handshake(state),
        data,
    }
}

/// The beginning of a socket's login, and its age, in milliseconds, for the nodes that compare the
/// logins of a user. It is in the handshake, because every format carries that whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginAge {
    pub(crate) began: u64,
    /// By the clock of the socket's own node.
    pub(crate) age: u64,
}

impl LoginAge {
    /// Returns that of a socket of this node; `None` if its user is not known.
    pub(crate) fn of(state: &SocketState) -> Option<Self> {
        let began = state.login()?.times().began?;
        let age = to_millis(wall()).saturating_sub(began);
        Some(Self { began, age })
    }

    /// Takes that of a described socket. One of another kind of node has the age of its handshake.
    pub(crate) fn take(handshake: &mut Value) -> Option<Self> {
        let members = handshake.as_object_mut()?;
        if let Some(login) = members.remove(LOGIN) {
            return serde_json::from_value(login).ok();
        }
        let began = members.get("issued")?.as_u64()?;
        let age = to_millis(wall()).saturating_sub(began);
        Some(Self { began, age })
    }
}

/// The member of a handshake with the login.
const LOGIN: &str = "login";

fn handshake(state: &SocketState) -> Value {
    let handshake = &state.link.handshake;
    let query = handshake
        .read_query::<Map<String, Value>>()
        .unwrap_or_default();
    let auth = state
        .auth
        .as_deref()
        .and_then(|auth| serde_json::from_str(auth).ok());
    let issued = handshake
        .time()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let issued = i64::try_from(issued.as_millis()).unwrap_or_default();
    let mut handshake = json!({
        "headers": headers(handshake.headers()),
        "time": date_text(issued),
        "address": handshake.address().map(|address| address.to_string()),
        "xdomain": handshake.has_origin(),
        "secure": handshake.is_secure(),
        "issued": issued,
        "url": handshake.url(),
        "query": query,
        "auth": auth.unwrap_or_else(|| Value::Object(Map::new())),
    });
    if let (Some(members), Some(login)) = (handshake.as_object_mut(), LoginAge::of(state)) {
        members.insert(LOGIN.to_owned(), json!(login));
    }
    handshake
}

/// Joins repeated headers, as Node.js does.
fn headers<'h>(lines: impl Iterator<Item = (&'h str, &'h [u8])>) -> Map<String, Value> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in lines {
        let value = String::from_utf8_lossy(value);
        match headers.get_mut(name) {
            None => {
                headers.insert(name, value.into_owned());
            }
            Some(_) if TAKEN_ONCE.contains(&name) => {}
            Some(joined) => {
                joined.push_str(if name == "cookie" { "; " } else { ", " });
                joined.push_str(&value);
            }
        }
    }
    let entry = |(name, value): (&str, String)| (name.to_owned(), value.into());
    headers.into_iter().map(entry).collect()
}

/// Headers of which Node.js uses the first and ignores the others.
const TAKEN_ONCE: [&str; 18] = [
    "age",
    "authorization",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "from",
    "host",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "proxy-authorization",
    "referer",
    "retry-after",
    "server",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_come_again_are_joined_as_by_node() {
        let lines: [(&str, &[u8]); 7] = [
            ("host", b"a"),
            ("x-tag", b"1"),
            ("cookie", b"a=1"),
            ("host", b"b"),
            ("x-tag", b"2"),
            ("cookie", b"b=2"),
            ("x-tag", b"3"),
        ];
        let expected = json!({ "host": "a", "x-tag": "1, 2, 3", "cookie": "a=1; b=2" });
        assert_eq!(Value::Object(headers(lines.into_iter())), expected);
    }
}
