//! The description of a socket for the page.
//!
//! A socket of any node enters. The `auth` payload and the headers with credentials are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::socket::RemoteSocket;

/// A socket, as the page shows it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketDetails {
    id: String,
    client_id: Value,
    transport: Value,
    nsp: String,
    data: BTreeMap<String, Value>,
    handshake: Value,
    /// Begins with the room of the socket's own id, as on Node.js.
    rooms: Vec<String>,
}

impl SocketDetails {
    pub(super) fn of(namespace: &str, socket: &RemoteSocket) -> Self {
        let id = socket.id().as_str().to_owned();
        let mut client = socket.client().unwrap_or_default();
        // A server without the Admin UI does not say which client it is.
        let client_id = match client["clientId"].take() {
            Value::Null => Value::from(id.as_str()),
            client_id => client_id,
        };
        let rooms = std::iter::once(id.clone()).chain(socket.rooms());
        Self {
            client_id,
            transport: client["transport"].take(),
            nsp: namespace.to_owned(),
            data: socket.all_data(),
            handshake: without_secrets(socket.handshake()),
            rooms: rooms.collect(),
            id,
        }
    }
}

/// Removes the `auth` payload and the headers with credentials.
fn without_secrets(mut handshake: Value) -> Value {
    if let Some(fields) = handshake.as_object_mut() {
        fields.remove("auth");
        if let Some(Value::Object(headers)) = fields.get_mut("headers") {
            headers.retain(|name, _| !SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        }
    }
    handshake
}

/// The headers that are not shown.
const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    // Clients that cannot set headers put tokens into it.
    "sec-websocket-protocol",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_payload_and_no_header_with_credentials_is_shown() {
        let handshake = json!({
            "address": "192.0.2.1",
            "auth": { "token": "secret" },
            "headers": { "host": "a", "cookie": "s=1", "Authorization": "Bearer x" },
        });
        let expected = json!({ "address": "192.0.2.1", "headers": { "host": "a" } });
        assert_eq!(without_secrets(handshake), expected);
        assert_eq!(without_secrets(Value::Null), Value::Null);
    }
}
