//! The options of a TCP socket, set when it is accepted.

use std::any::Any;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
#[cfg(any(target_os = "android", target_os = "linux"))]
use log::Level;

#[cfg(any(target_os = "android", target_os = "linux"))]
use crate::logging::{LogKind, LogLimits};

/// Lets the kernel drop a connection whose client reads nothing for this long.
///
/// A response's body cannot be cancelled from inside while the TCP socket is blocked. A client that
/// has stopped reading would keep its connection, and its memory, without limit.
pub(crate) fn set_user_timeout(connection: &dyn Any, limit: Duration) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let set = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit));
        if let Err(error) = set {
            let line = format_args!("TCP user timeout of a connection cannot be set: {error}");
            LogLimits::of_process().write(LogKind::Connection, Level::Warn, line);
        }
    }
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let _ = (connection, limit);
}
