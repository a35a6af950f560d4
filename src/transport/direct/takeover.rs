//! How a route of the App gets the connection that its request came by.
//!
//! The request carries a [`Takeover`] where the server can give its connection away. The route says
//! what to do with it and answers 101; whether it comes to that is known only when the answer has
//! passed through the program's middleware.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

/// An offer to take a connection over.
#[derive(Clone, Default)]
pub(crate) struct Takeover(Rc<RefCell<Option<Taker>>>);

/// What is done with a connection.
pub(crate) type Taker = Box<dyn FnOnce(Wire)>;

/// A connection that the HTTP server has given away.
pub(crate) struct Wire {
    pub(crate) io: Box<dyn Io>,
    /// What has been read already, behind the request.
    pub(crate) read: BytesMut,
    /// What is still to be written: the answer to the request.
    pub(crate) answer: Bytes,
}

/// A connection's bytes, encrypted below or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl Takeover {
    /// Returns the request's offer, if its server makes one.
    pub(crate) fn offered(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Accepts the offer; dropped unused where the client gets another answer than the route's.
    pub(crate) fn accept(&self, taker: impl FnOnce(Wire) + 'static) {
        self.0.replace(Some(Box::new(taker)));
    }

    /// Returns what the route wants to do.
    pub(crate) fn accepted(&self) -> Option<Taker> {
        self.0.take()
    }
}
