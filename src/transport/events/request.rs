//! The request for an event stream: the namespace, the rooms, the auth payload and the offset.

use std::borrow::Cow;

use actix_web::HttpRequest;
use serde_json::{Map, Value};

use crate::handshake::{Handshake, InitialRooms};
use crate::panics::catch_panic;
use crate::transport::events::options::ServerSentEvents;
use crate::transport::refusal::Refusal;

/// The namespace, the rooms and the CONNECT of a client.
pub(crate) struct Subscription {
    /// The Engine.IO packet with its CONNECT.
    pub(super) connect: String,
    /// The private id of a client that reconnects.
    pub(super) pid: Option<String>,
    namespace: String,
    rooms: Vec<String>,
}

impl Subscription {
    /// Reads the query, and the header of a client that reconnects.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadRequest`] for a namespace that no packet can name, and for an `auth` that is
    /// no JSON object.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Refusal> {
        let (mut namespace, mut rooms) = (Cow::Borrowed("/"), Vec::new());
        let mut payload = Map::new();
        let mut last = request
            .headers()
            .get("last-event-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            match &*name {
                "namespace" if !value.is_empty() => namespace = value,
                "room" if !value.is_empty() => rooms.push(value.into_owned()),
                "auth" if !value.is_empty() => {
                    payload = serde_json::from_str(&value).map_err(|_| Refusal::BadRequest)?;
                }
                // For clients that cannot set the header of their first request.
                "lastEventId" if last.is_none() => last = Some(value.into_owned()),
                _ => {}
            }
        }
        // Socket.IO v5, Packet encoding: the namespace ends at the comma.
        if namespace.contains(',') || !namespace.starts_with('/') {
            return Err(Refusal::BadRequest);
        }
        let last = last.as_deref().and_then(|last| last.split_once(':'));
        if let Some((pid, offset)) = last {
            payload.insert("pid".to_owned(), Value::from(pid));
            if !offset.is_empty() {
                payload.insert("offset".to_owned(), Value::from(offset));
            }
        }
        let place = if namespace == "/" {
            String::new()
        } else {
            format!("{namespace},")
        };
        let payload = Value::Object(payload);
        Ok(Self {
            connect: format!("40{place}{payload}"),
            pid: last.map(|(pid, _)| pid.to_owned()),
            namespace: namespace.into_owned(),
            rooms,
        })
    }

    /// Returns the rooms that the client joins as it connects, if the program allows all of them;
    /// `None` if it names none.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoomNotAllowed`], and [`Refusal::HookFailed`] if the program's rule panicked.
    pub(crate) fn rooms(
        &self,
        options: &ServerSentEvents,
        handshake: impl FnOnce() -> Handshake,
    ) -> Result<Option<InitialRooms>, Refusal> {
        if self.rooms.is_empty() {
            return Ok(None);
        }
        let handshake = &handshake();
        let mut rooms = self.rooms.iter();
        let is_allowed = |room: &String| options.allows(handshake, &self.namespace, room);
        match catch_panic(|| rooms.all(is_allowed)) {
            Ok(true) => Ok(Some(InitialRooms(self.rooms.clone()))),
            Ok(false) => Err(Refusal::RoomNotAllowed),
            Err(panic) => {
                log::error!("the rule of `ServerSentEvents::rooms` panicked: {panic}");
                Err(Refusal::HookFailed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(query: &str, last: Option<&'static str>) -> Result<Subscription, Refusal> {
        let mut request = TestRequest::with_uri(&format!("/socket.io/events?{query}"));
        if let Some(last) = last {
            request = request.insert_header(("last-event-id", last));
        }
        Subscription::of(&request.to_http_request())
    }

    #[test]
    fn query_becomes_a_connect() {
        for (query, last, connect) in [
            ("", None, "40{}"),
            ("namespace=/", None, "40{}"),
            ("namespace=%2Fnews", None, "40/news,{}"),
            (
                "auth=%7B%22token%22:%22%C3%A4%22%7D",
                None,
                "40{\"token\":\"\u{e4}\"}",
            ),
            (
                "",
                Some("abc:12.f-3"),
                "40{\"offset\":\"12.f-3\",\"pid\":\"abc\"}",
            ),
            ("", Some("abc:"), "40{\"pid\":\"abc\"}"),
            (
                "lastEventId=abc:1",
                None,
                "40{\"offset\":\"1\",\"pid\":\"abc\"}",
            ),
            // The header is the later one.
            (
                "lastEventId=abc:1",
                Some("abc:2"),
                "40{\"offset\":\"2\",\"pid\":\"abc\"}",
            ),
            ("", Some("of another server"), "40{}"),
        ] {
            let subscription = read(query, last).ok().map(|read| read.connect);
            assert_eq!(subscription.as_deref(), Some(connect), "{query} {last:?}");
        }
    }

    #[test]
    fn namespace_and_auth_that_no_packet_can_carry_are_refused() {
        for query in [
            "namespace=news",
            "namespace=/a,b",
            "auth=1",
            "auth=%7B",
            "auth=%5B%5D",
        ] {
            assert_eq!(
                read(query, None).err(),
                Some(Refusal::BadRequest),
                "{query}"
            );
        }
    }
}
