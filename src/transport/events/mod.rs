//! Server-sent events: a transport in one direction, for `EventSource` and curl.
//!
//! A GET enters; the events of one namespace leave as a `text/event-stream`. Its session is that of
//! any other client, with the same outbox: `client.rs` sends the packets that a client of Socket.IO
//! would send, `body.rs` takes the frames, and `text.rs` writes them as events. `request.rs` reads
//! the query and the offset of a client that reconnects, `options.rs` has the rule of the program.

mod body;
mod client;
mod options;
mod request;
mod text;

use std::sync::Arc;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::config::Transport;
use crate::session::{Engine, NewClient};
use crate::transport::events::body::{EventBody, Outcome};
use crate::transport::events::client::EventClient;
pub use crate::transport::events::options::ServerSentEvents;
pub(crate) use crate::transport::events::request::Subscription;

/// Returns `true` if the request is for the server's event stream.
pub(crate) fn is_path(request: &HttpRequest) -> bool {
    request.match_info().get("file") == Some(PATH)
}

/// Opens a session, and answers after the program has accepted or refused the client.
pub(crate) async fn open(
    engine: &Arc<Engine>,
    client: NewClient,
    subscription: Subscription,
) -> HttpResponse {
    let link = engine.welcome(client);
    let (sender, inbound) = EventClient::new(subscription.connect);
    let mut body = EventBody::new(&link, sender, subscription.pid);
    engine.open_stream(link, Transport::ServerSentEvents, Box::new(inbound));
    match body.outcome().await {
        Outcome::Connected => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/event-stream"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            // nginx would collect the events in a buffer.
            .insert_header((NO_BUFFER, HeaderValue::from_static("no")))
            .body(body),
        // EventSource does not reconnect after such a status.
        Outcome::Refused(error) => HttpResponse::Forbidden()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type("application/json")
            .body(error),
        Outcome::Ended => HttpResponse::ServiceUnavailable()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish(),
    }
}

/// The path of the stream, below that of the server.
const PATH: &str = "events";

const NO_BUFFER: HeaderName = HeaderName::from_static("x-accel-buffering");
