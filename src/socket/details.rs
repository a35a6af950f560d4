//! What is told of a socket of this node to others.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use crate::cluster::Details;
use crate::socket::core::Core;

/// Describes a socket as the Node.js server does: its own room comes first of its rooms.
pub(crate) fn describe(core: &Core) -> Details {
    let id = core.id.as_str().to_owned();
    let rooms = core.rooms.lock();
    let rooms = rooms.iter().map(|room| room.as_ref().to_owned());
    Details {
        rooms: std::iter::once(id.clone()).chain(rooms).collect(),
        id,
        handshake: handshake(core),
        data: core.session().entries(),
    }
}

fn handshake(core: &Core) -> Value {
    let handshake = &core.link.handshake;
    let mut headers = Map::new();
    for (name, value) in handshake.headers() {
        let value = String::from_utf8_lossy(value).into_owned();
        headers.insert(name.to_owned(), value.into());
    }
    let query = handshake
        .read_query::<Map<String, Value>>()
        .unwrap_or_default();
    let auth = core
        .auth
        .as_deref()
        .and_then(|auth| serde_json::from_str(auth).ok());
    let issued = handshake
        .time()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    json!({
        "headers": headers,
        "address": handshake.address().map(|address| address.to_string()),
        "xdomain": handshake.is_cross_origin(),
        "secure": handshake.is_secure(),
        "issued": u64::try_from(issued.as_millis()).unwrap_or_default(),
        "url": handshake.url(),
        "query": query,
        "auth": auth.unwrap_or_else(|| Value::Object(Map::new())),
    })
}
