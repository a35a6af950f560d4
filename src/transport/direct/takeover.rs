//! How a route of the App gets the connection that its request came by.
//!
//! The request carries a [`ConnectionTakeover`] where the server can give its connection away. The route says
//! what to do with it and answers 101; whether it comes to that is known only when the answer has
//! passed through the program's middleware.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

/// An offer to take a connection over.
#[derive(Clone, Default)]
pub(crate) struct ConnectionTakeover(Rc<RefCell<Option<UpgradeCallback>>>);

/// What is done with a connection.
pub(crate) type UpgradeCallback = Box<dyn FnOnce(UpgradedIo)>;

/// A connection that the HTTP server has given away.
pub(crate) struct UpgradedIo {
    pub(crate) io: Box<dyn Io>,
    /// What has been read already, behind the request.
    pub(crate) read: BytesMut,
    /// What is still to be written: the answer to the request.
    pub(crate) answer: Bytes,
}

/// A connection's bytes, encrypted below or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl ConnectionTakeover {
    /// Returns the request's offer, if its server makes one.
    pub(crate) fn offered(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Accepts the offer; dropped unused where the client gets another answer than the route's.
    pub(crate) fn accept(&self, taker: impl FnOnce(UpgradedIo) + 'static) {
        self.0.replace(Some(Box::new(taker)));
    }

    /// Returns what the route wants to do.
    pub(crate) fn accepted(&self) -> Option<UpgradeCallback> {
        self.0.take()
    }
}
