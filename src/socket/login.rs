//! The login of a socket: its end, and the warning before.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::members::to_millis;
use crate::socket::handle::Socket;

impl Socket {
    /// Sets the end of the client's login, for example that of its token; `None` is no end. Any
    /// handler may call it, and may call it again to renew the login: the socket stays in its
    /// rooms.
    ///
    /// [`Builder::expiry_warning`](crate::Builder::expiry_warning) before the end, 30 seconds by
    /// default, the client receives an event `login_expiring` with `{expiresAt, expiresIn}`, both
    /// in milliseconds, and [`Handlers::on_expiring`](crate::Handlers::on_expiring) is called. At
    /// the end the socket is disconnected with
    /// [`DisconnectReason::LoginExpired`](crate::DisconnectReason), and the client is told
    /// `login expired` as by [`disconnect_with`](Self::disconnect_with). A client that is recovered
    /// keeps the end of its login, and is not recovered after it.
    ///
    /// The end is a time of the wall clock. If that clock jumps, the server notices it within a
    /// minute.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// use actix_socketio::Socket;
    ///
    /// /// `exp` is that of a JSON Web Token, in seconds since 1970.
    /// fn log_in(socket: &Socket, exp: u64) {
    ///     socket.expires_at(UNIX_EPOCH + Duration::from_secs(exp));
    /// }
    /// ```
    pub fn expires_at(&self, end: impl Into<Option<SystemTime>>) {
        let end = end.into();
        let state = self.state();
        if end.is_none() && state.login().is_none() {
            return;
        }
        self.membership().set_expiry(state, end);
        state.link.wake();
    }

    /// Returns the end of the client's login.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_socketio::Socket;
    /// async fn how_long(socket: Socket) -> Option<u64> {
    ///     let left = socket.expiry()?.elapsed().err()?.duration();
    ///     Some(left.as_secs())
    /// }
    /// ```
    #[must_use]
    pub fn expiry(&self) -> Option<SystemTime> {
        self.state().login()?.expiry()
    }

    /// Sends the client the warning that its login ends after this time.
    pub(crate) fn warn_of_expiry(&self, left: Duration) {
        let (state, membership) = (self.state(), self.membership());
        let warning = json!({
            "expiresAt": self.expiry().map(to_millis),
            "expiresIn": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        });
        let event = &*state.link.config.sockets.expiry_event;
        match membership.event(None, event, &warning, Some(state)) {
            // A client that is slow or has left is not warned.
            Ok(packet) => drop(state.deliver(packet)),
            Err(error) => log::debug!("{state} was not warned of the end of its login: {error}"),
        }
    }
}
