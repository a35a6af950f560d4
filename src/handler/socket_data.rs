//! Extractors of what the program keeps for a socket.
//!
//! They look at the socket alone, so they fit every handler.

use std::any::type_name;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Rejection;
use crate::handler::extract::{CallContext, Extract};
use crate::link::Session;

/// The value of type `T` that was attached to the socket by
/// [`Socket::insert_data`](crate::Socket::insert_data). A handler that asks for one that is not there
/// does not run.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Socket, SocketData};
///
/// struct Player { name: String }
///
/// async fn enter(socket: Socket) {
///     socket.insert_data(Player { name: "Ada".to_owned() });
/// }
///
/// async fn whoami(player: SocketData<Player>) -> String {
///     player.name.clone()
/// }
/// ```
#[derive(Debug)]
pub struct SocketData<T>(Arc<T>);

impl<T> Deref for SocketData<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for SocketData<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: CallContext, T: Send + Sync + 'static> Extract<C> for SocketData<T> {
    fn extract(context: &C) -> Result<Self, Rejection> {
        let data = context.socket().data().map(Self);
        data.ok_or(Rejection::SocketData(type_name::<T>()))
    }
}

impl<C: CallContext> Extract<C> for Session {
    fn extract(context: &C) -> Result<Self, Rejection> {
        Ok(context.socket().session())
    }
}
