//! The reason that the server gives a client for its disconnect, as plain data.
//!
//! The program makes one, or the server for a login that ends. A socket keeps the one that it was
//! disconnected with; nodes send it to each other as JSON. Nothing here sends.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reason::DisconnectReason;

/// The reason that a client is given for its disconnect, by
/// [`Socket::disconnect_with`](crate::Socket::disconnect_with).
///
/// The client receives an event `disconnect_reason` with `{reason, data}` before it is
/// disconnected; [`Builder::disconnect_event`](crate::Builder::disconnect_event) renames it.
///
/// | made by | the client is disconnected | official clients | recovery |
/// | --- | --- | --- | --- |
/// | [`new`](Self::new) | from this namespace | stay away (`io server disconnect`) | no |
/// | [`close`](Self::close) | from all its namespaces, and its session is closed | stay away | no |
/// | [`reconnect`](Self::reconnect) | by the close of its transport | reconnect (`transport close`) | yes |
///
/// # Examples
///
/// ```
/// use actix_socketio::{DisconnectNotice, Socket};
/// use serde_json::json;
///
/// fn kick(socket: &Socket) {
///     let notice = DisconnectNotice::new("kicked").with_data(json!({ "by": "Ada" }));
///     let _ = socket.disconnect_with(notice);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisconnectNotice {
    reason: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default)]
    extent: Extent,
    #[serde(default)]
    cause: Cause,
}

/// The part of a client's session that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Extent {
    /// The socket.
    #[default]
    Socket,
    /// The session, with a DISCONNECT to each socket.
    Session,
    /// The session, without: the client reconnects.
    Transport,
}

/// The party that has disconnected the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    #[default]
    Program,
    LoginExpired,
    NewerLogin,
}

impl DisconnectNotice {
    /// Gives the client this reason. It is disconnected from its namespace, and does not reconnect
    /// by itself.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            data: None,
            extent: Extent::Socket,
            cause: Cause::Program,
        }
    }

    /// The login of the client has expired.
    pub(crate) fn login_expired() -> Self {
        Self {
            cause: Cause::LoginExpired,
            ..Self::new(DisconnectReason::LoginExpired.as_str())
        }
    }

    /// A newer login of the same user has taken the client's place.
    pub(crate) fn newer_login() -> Self {
        Self {
            cause: Cause::NewerLogin,
            ..Self::new(DisconnectReason::NewerLogin.as_str())
        }
    }

    /// Adds data for the client, which the event has beside the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::DisconnectNotice;
    /// use serde_json::json;
    ///
    /// let notice = DisconnectNotice::new("maintenance").with_data(json!({ "minutes": 10 }));
    /// assert_eq!(notice.data(), Some(&json!({ "minutes": 10 })));
    /// ```
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Closes the client's whole session too, including its sockets in other namespaces.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.extent = Extent::Session;
        self
    }

    /// Closes the client's session without a DISCONNECT packet, so that official clients reconnect
    /// by themselves. With
    /// [`connection_state_recovery`](crate::Builder::connection_state_recovery) the client is
    /// recovered.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_socketio::{DisconnectNotice, SocketIo};
    /// # async fn run(io: SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let notice = DisconnectNotice::new("new version").reconnect();
    /// io.disconnect_sockets_with(notice).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn reconnect(mut self) -> Self {
        self.extent = Extent::Transport;
        self
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the data for the client.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// Returns `true` if the client reconnects by itself.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        self.extent == Extent::Transport
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Returns the reason for the program's handlers, if the session does not end.
    pub(crate) fn disconnect_reason(&self) -> DisconnectReason {
        match self.cause {
            Cause::Program => DisconnectReason::ServerNamespaceDisconnect,
            Cause::LoginExpired => DisconnectReason::LoginExpired,
            Cause::NewerLogin => DisconnectReason::NewerLogin,
        }
    }

    /// Returns the argument of the client's event.
    pub(crate) fn told(&self) -> Told<'_> {
        Told {
            reason: &self.reason,
            data: self.data.as_ref(),
        }
    }
}

impl From<&'static str> for DisconnectNotice {
    fn from(reason: &'static str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for DisconnectNotice {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

/// The argument of a client's event.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'n> {
    reason: &'n str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'n Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_notice_decodes_to_itself() {
        let plain = DisconnectNotice::from("kicked");
        for notice in [
            plain.clone(),
            plain.clone().with_data(json!([1, null])).close(),
            plain.reconnect(),
            DisconnectNotice::login_expired(),
            DisconnectNotice::newer_login(),
        ] {
            let text = serde_json::to_string(&notice).unwrap();
            assert_eq!(
                serde_json::from_str::<DisconnectNotice>(&text).unwrap(),
                notice
            );
        }
    }

    #[test]
    fn the_clients_event_has_the_reason_and_the_data_only() {
        let notice = DisconnectNotice::new("kicked").close();
        let told = |notice: &DisconnectNotice| serde_json::to_value(notice.told()).unwrap();
        assert_eq!(told(&notice), json!({ "reason": "kicked" }));
        let notice = notice.with_data(7);
        assert_eq!(told(&notice), json!({ "reason": "kicked", "data": 7 }));
    }
}
