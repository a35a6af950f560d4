//! The names of all limits.

use std::fmt;

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// A limit of the server. Its name is that of the option that sets it.
        ///
        /// # Examples
        ///
        /// ```
        /// use actix_socketio::Limit;
        ///
        /// assert_eq!(Limit::MaxPayload.as_str(), "max_payload");
        /// assert!(Limit::all().any(|limit| limit == Limit::RoomsPerSocket));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Limit {
            $($(#[$doc])* $variant,)*
        }

        impl Limit {
            /// Returns the name of the limit: the method of the builder that sets it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns all limits.
            pub fn all() -> impl Iterator<Item = Self> {
                ALL.iter().copied()
            }

            /// The number of limits.
            pub(crate) const COUNT: usize = ALL.len();
        }

        const ALL: &[Limit] = &[$(Limit::$variant),*];
    };
}

limits! {
    /// [`Builder::max_sessions`](crate::Builder::max_sessions): the client is refused.
    MaxSessions "max_sessions"
    /// [`Builder::sessions_per_address`](crate::Builder::sessions_per_address): the client is
    /// refused.
    SessionsPerAddress "sessions_per_address"
    /// [`Builder::handshakes_per_second`](crate::Builder::handshakes_per_second): the client is
    /// refused.
    HandshakesPerSecond "handshakes_per_second"
    /// [`Builder::handshakes_per_second_per_address`](crate::Builder::handshakes_per_second_per_address):
    /// the client is refused.
    HandshakesPerSecondPerAddress "handshakes_per_second_per_address"
    /// [`Builder::memory_limit`](crate::Builder::memory_limit): the client is refused.
    MemoryLimit "memory_limit"
    /// [`Builder::handshake_limit`](crate::Builder::handshake_limit): the client is refused.
    HandshakeLimit "handshake_limit"
    /// [`Builder::first_poll_timeout`](crate::Builder::first_poll_timeout): the session is closed.
    FirstPollTimeout "first_poll_timeout"
    /// [`Builder::connect_timeout`](crate::Builder::connect_timeout): the session is closed.
    ConnectTimeout "connect_timeout"
    /// [`Builder::upgrade_timeout`](crate::Builder::upgrade_timeout): the new transport is closed,
    /// polling continues.
    UpgradeTimeout "upgrade_timeout"
    /// [`Builder::max_payload`](crate::Builder::max_payload): the body is refused, or the session
    /// is closed.
    MaxPayload "max_payload"
    /// [`Builder::max_attachments`](crate::Builder::max_attachments), in a packet of a client: the
    /// session is closed.
    MaxAttachments "max_attachments"
    /// [`Builder::attachments_timeout`](crate::Builder::attachments_timeout): the session is
    /// closed.
    AttachmentsTimeout "attachments_timeout"
    /// [`Builder::auth_limit`](crate::Builder::auth_limit): the connect is refused.
    AuthLimit "auth_limit"
    /// [`Builder::namespaces_per_session`](crate::Builder::namespaces_per_session): the connect is
    /// refused.
    NamespacesPerSession "namespaces_per_session"
    /// [`Builder::namespace_name_limit`](crate::Builder::namespace_name_limit): the connect is
    /// refused.
    NamespaceNameLimit "namespace_name_limit"
    /// [`Builder::kept_namespaces`](crate::Builder::kept_namespaces): the connect is refused.
    KeptNamespaces "kept_namespaces"
    /// [`Builder::rooms_per_socket`](crate::Builder::rooms_per_socket): the join fails.
    RoomsPerSocket "rooms_per_socket"
    /// [`Builder::room_name_limit`](crate::Builder::room_name_limit): the join fails.
    RoomNameLimit "room_name_limit"
    /// [`Builder::events_per_second`](crate::Builder::events_per_second): the policy decides.
    EventsPerSecond "events_per_second"
    /// [`Builder::bytes_per_second`](crate::Builder::bytes_per_second): the policy decides.
    BytesPerSecond "bytes_per_second"
    /// [`Handlers::event_rate`](crate::Handlers::event_rate): the policy decides.
    EventRate "event_rate"
    /// [`Builder::outbox_limit`](crate::Builder::outbox_limit): the policy of slow clients decides.
    OutboxLimit "outbox_limit"
    /// [`Builder::packet_limit`](crate::Builder::packet_limit): the emit or the broadcast fails, or
    /// the client's call is answered with an error.
    PacketLimit "packet_limit"
    /// [`Builder::pending_calls`](crate::Builder::pending_calls): the call fails.
    PendingCalls "pending_calls"
    /// `AppServer::webtransport_unopened` (feature `webtransport`): the connection is refused.
    WebTransportUnopened "webtransport_unopened"
    /// `AdminOptions::login_attempts` (feature `admin`): the login at the Admin UI is refused.
    LoginAttempts "login_attempts"
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_limit_has_a_name_of_its_own() {
        let names: HashSet<_> = Limit::all().map(Limit::as_str).collect();
        assert_eq!(names.len(), Limit::COUNT);
        for (at, limit) in Limit::all().enumerate() {
            assert_eq!(limit as usize, at, "{limit}");
        }
    }
}
