//! Request bodies in chunks that were not read to their end.
//!
//! actix-http reads the rest of such a body, without a time limit, after its reader has dropped it.
//! If the response holds the body instead, the connection is closed after the response.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::Payload;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_web::http::header::{HeaderMap, TRANSFER_ENCODING};
use bytes::Bytes;
use futures_core::Stream;

/// A request's body, shared by its reader and the response.
#[derive(Clone)]
pub(crate) struct Held(Rc<Shared>);

struct Shared {
    payload: RefCell<Payload>,
    has_ended: Cell<bool>,
}

impl Held {
    /// Shares a body in chunks; leaves any other unchanged.
    pub(crate) fn share(headers: &HeaderMap, payload: &mut Payload) -> Option<Self> {
        if !headers.contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let held = Self(Rc::new(Shared {
            payload: RefCell::new(std::mem::replace(payload, Payload::None)),
            has_ended: Cell::new(false),
        }));
        *payload = Payload::Stream {
            payload: Box::pin(held.clone()),
        };
        Some(held)
    }

    /// Holds the request's body while its response is being sent, unless it was read to its end.
    pub(crate) fn until_sent(self, body: BoxBody) -> BoxBody {
        if self.0.has_ended.get() {
            return body;
        }
        BoxBody::new(Holding { body, _held: self })
    }
}

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(Pin::new(&mut *self.0.payload.borrow_mut()).poll_next(cx));
        if chunk.is_none() {
            self.0.has_ended.set(true);
        }
        Poll::Ready(chunk)
    }
}

/// A response's body that holds the request's.
struct Holding {
    body: BoxBody,
    _held: Held,
}

impl MessageBody for Holding {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
