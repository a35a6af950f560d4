//! The options of disconnects with a reason, of logins that end, and of users.

use std::borrow::Cow;
use std::time::Duration;

use crate::server::{Builder, SocketIo};
use crate::user::UserPolicy;

/// The options of logins.
impl Builder<SocketIo> {
    /// Sets the name of the event that gives a client the reason for its disconnect;
    /// `disconnect_reason` by default. See [`DisconnectNotice`](crate::DisconnectNotice).
    pub fn disconnect_event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.config.sockets.disconnect_event = name.into();
        self
    }

    /// Sets the name of the event that warns a client of the end of its login; `login_expiring` by
    /// default. See [`Socket::expires_at`](crate::Socket::expires_at).
    pub fn expiry_event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.config.sockets.expiry_event = name.into();
        self
    }

    /// Sets the time before the end of a login at which its client is warned; 30 seconds by
    /// default. With zero there is no warning.
    pub fn expiry_warning(mut self, lead: Duration) -> Self {
        self.config.sockets.expiry_warning = lead;
        self
    }

    /// Sets the rule for several sockets of one user in a namespace; [`UserPolicy::Unlimited`] by
    /// default. [`Namespace::user_policy`](crate::Namespace::user_policy) sets it for one
    /// namespace.
    pub fn user_policy(mut self, policy: UserPolicy) -> Self {
        self.config.sockets.user_policy = policy;
        self
    }
}
