//! What a connection is told when it is accepted.

use std::any::Any;
use std::time::Duration;

use actix_web::rt::net::TcpStream;

/// Lets the kernel drop a connection whose client takes nothing for this long.
///
/// A response's body cannot be cancelled from inside while the socket is blocked, so a client that
/// has stopped reading would keep its connection, and its memory, for as long as it likes.
pub(crate) fn set_user_timeout(connection: &dyn Any, limit: Duration) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let set = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit));
        if let Err(error) = set {
            log::warn!("a connection's write deadline cannot be set: {error}");
        }
    }
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let _ = (connection, limit);
}
