//! The takeover of a request's connection by a route of the App.
//!
//! The request carries a [`ConnectionTakeover`] if the server can give its connection away. The
//! route registers a callback and answers 101. Whether the callback runs is known only after the
//! response has passed through the program's middleware.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

/// An offer to take over a connection.
#[derive(Clone, Default)]
pub(crate) struct ConnectionTakeover(Rc<RefCell<Option<UpgradeCallback>>>);

/// The use of a connection.
pub(crate) type UpgradeCallback = Box<dyn FnOnce(UpgradedIo)>;

/// A connection that the HTTP server has given away.
pub(crate) struct UpgradedIo {
    pub(crate) io: Box<dyn Io>,
    /// Bytes after the request that were read already.
    pub(crate) read: BytesMut,
    /// Bytes to write first: the response to the request.
    pub(crate) answer: Bytes,
}

/// The byte stream of a connection, with or without TLS below.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl ConnectionTakeover {
    /// Returns the request's offer, if its server makes one.
    pub(crate) fn offered(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Accepts the offer. The callback is dropped unused if the client gets another response.
    pub(crate) fn accept(&self, taker: impl FnOnce(UpgradedIo) + 'static) {
        self.0.replace(Some(Box::new(taker)));
    }

    /// Returns the callback of the route.
    pub(crate) fn accepted(&self) -> Option<UpgradeCallback> {
        self.0.take()
    }
}
