//! Extractors of values that the program attaches to a socket.
//!
//! They read the socket alone, so every handler may use them.

use std::any::type_name;
use std::ops::Deref;
use std::sync::Arc;

use crate::data::Session;
use crate::error::Rejection;
use crate::handler::extract::{CallContext, Extract};

/// The value of type `T` that was attached to the socket by
/// [`Socket::insert_extension`](crate::Socket::insert_extension). If there is none, the handler is
/// not called, and the client receives an error.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Socket, Extension};
///
/// struct Player { name: String }
///
/// async fn enter(socket: Socket) {
///     socket.insert_extension(Player { name: "Ada".to_owned() });
/// }
///
/// async fn whoami(player: Extension<Player>) -> String {
///     player.name.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Extension<T>(Arc<T>);

impl<T> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: CallContext, T: Send + Sync + 'static> Extract<C> for Extension<T> {
    fn extract(context: &C) -> Result<Self, Rejection> {
        let found = context.socket().extension().map(Self);
        found.ok_or(Rejection::Extension(type_name::<T>()))
    }
}

impl<C: CallContext> Extract<C> for Session {
    fn extract(context: &C) -> Result<Self, Rejection> {
        Ok(context.socket().session())
    }
}
