//! Users: the room of a user's sockets, and the rule for several logins of one user.
//!
//! The room has a reserved name, so nodes of every kind find a user's sockets by it. Nothing here
//! joins a room.

/// The rule for several sockets of one user in a namespace, on all nodes.
///
/// [`Builder::user_policy`](crate::Builder::user_policy) sets it for all namespaces,
/// [`Namespace::user_policy`](crate::Namespace::user_policy) for one, and
/// [`NamespacePattern::user_policy`](crate::NamespacePattern::user_policy) for those of a pattern.
/// [`Socket::identify`](crate::Socket::identify) applies it.
///
/// | policy | effect of one login too many |
/// | --- | --- |
/// | [`Unlimited`](Self::Unlimited) | none |
/// | [`OneSession`](Self::OneSession) | the older socket is disconnected |
/// | [`EndOldest`](Self::EndOldest) | the oldest socket is disconnected |
/// | [`RefuseNewest`](Self::RefuseNewest) | `identify` fails |
///
/// A socket that is disconnected is told `superseded by a newer login`, and its client stays away.
///
/// # Examples
///
/// ```
/// # fn start() -> Result<(), actix_socketio::StartError> {
/// use actix_socketio::{SocketIo, UserPolicy};
///
/// let io = SocketIo::builder().user_policy(UserPolicy::OneSession).start()?;
/// io.of("/phones").user_policy(UserPolicy::EndOldest(3));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserPolicy {
    /// A user may have any number of sockets.
    #[default]
    Unlimited,
    /// A user has one socket: the newest login.
    OneSession,
    /// A user has at most this many sockets, at least one: the newest logins.
    EndOldest(usize),
    /// A user has at most this many sockets: another login is refused.
    RefuseNewest(usize),
}

/// Returns the name of the room of a user's sockets.
pub(crate) fn user_room(user: &str) -> String {
    format!("{USER_ROOM}{user}")
}

/// Returns the user whose room this is; `None` for a room of the program.
pub(crate) fn user_of(room: &str) -> Option<&str> {
    room.strip_prefix(USER_ROOM)
}

/// The beginning of the reserved names.
const USER_ROOM: &str = "@user:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_user_names_the_user() {
        for user in ["", "7", "@user:7", "é"] {
            assert_eq!(user_of(&user_room(user)), Some(user));
        }
        assert_eq!(user_of("user:7"), None);
        assert_eq!(user_of("@users"), None);
    }
}
