//! The users of sockets, and the rule for several logins of one user.
//!
//! A socket of a user is in the user's room. After a login the sockets of the room are counted on
//! all nodes, and those that are too many end. Each node decides by itself, and two nodes decide
//! the same: a login joins the room before it counts, and the order of two logins is the same on
//! both sides.

use std::sync::Arc;

use crate::error::UserError;
use crate::members::{Audience, LoginAge};
use crate::notice::DisconnectNotice;
use crate::socket::broadcast::Broadcast;
use crate::socket::handle::Socket;
use crate::socket::remote::RemoteSocket;
use crate::user::{UserPolicy, user_of, user_room};

impl Socket {
    /// Makes this socket one of a user's, so that
    /// [`SocketIo::user`](crate::SocketIo::user) addresses it on all nodes. An earlier user is
    /// replaced. The user ends with the socket; a client that is recovered keeps it.
    ///
    /// The sockets of a user are a room with the reserved name `@user:` and the user's id, by which
    /// Node.js servers of the cluster address them too. The room is not among
    /// [`rooms`](Self::rooms), does not count for
    /// [`rooms_per_socket`](crate::Builder::rooms_per_socket), and cannot be joined by
    /// [`join`](Self::join).
    ///
    /// The [`UserPolicy`] is applied before this returns. It asks all nodes for the user's sockets;
    /// those of a node that does not answer within 5 seconds are not counted. Call it last in a
    /// connect handler, because it may disconnect older sockets.
    ///
    /// # Errors
    ///
    /// Every variant of [`UserError`]. After `TooManyLogins` the socket is not the user's, and
    /// stays connected if it is connected.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Auth, ConnectError, Socket};
    ///
    /// async fn enter(socket: Socket, Auth(auth): Auth<serde_json::Value>) -> Result<(), ConnectError> {
    ///     let user = auth["token"].as_str().and_then(user_of_token);
    ///     let user = user.ok_or("not authorized")?;
    ///     socket.identify(&user).await?;
    ///     Ok(())
    /// }
    /// # fn user_of_token(_: &str) -> Option<String> { None }
    /// ```
    pub async fn identify(&self, user: impl AsRef<str>) -> Result<(), UserError> {
        let user = user.as_ref();
        self.membership().identify(self.state(), user)?;
        match self.rule() {
            None => Ok(()),
            Some(rule) => Box::pin(self.apply(user, rule, Arrival::Login)).await,
        }
    }

    /// Makes this socket no user's.
    pub fn forget_user(&self) {
        if let Some(room) = self.state().user_room() {
            self.membership().leave(self.state(), &room);
        }
    }

    /// Returns the user of [`identify`](Self::identify).
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let room = self.state().user_room()?;
        user_of(&room).map(str::to_owned)
    }

    /// Returns the work that applies the rule to a recovered socket, whose user may have logged in
    /// again meanwhile.
    pub(crate) fn recheck_user(&self) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        if !self.recovered() {
            return None;
        }
        let (user, rule, socket) = (self.user()?, self.rule()?, self.clone());
        Some(async move {
            let applied = socket.apply(&user, rule, Arrival::Recovery).await;
            if let Err(UserError::TooManyLogins(_)) = applied {
                socket.supersede();
            }
        })
    }

    /// Returns the rule, unless the number of logins is unlimited.
    fn rule(&self) -> Option<Rule> {
        let config = &self.state().link.config.sockets;
        let policy = self.membership().user_policy();
        match policy.unwrap_or(config.user_policy) {
            UserPolicy::Unlimited => None,
            UserPolicy::OneSession => Some(Rule::EndOldest(1)),
            UserPolicy::EndOldest(limit) => Some(Rule::EndOldest(limit.max(1))),
            UserPolicy::RefuseNewest(limit) => Some(Rule::RefuseNewest(limit)),
        }
    }

    async fn apply(&self, user: &str, rule: Rule, arrival: Arrival) -> Result<(), UserError> {
        let audience = Audience {
            rooms: Some(vec![user_room(user)]),
            ..Audience::default()
        };
        let found = Broadcast::of(self.membership(), audience);
        let found = found.fetch_sockets().await;
        let logins: Vec<_> = found.iter().filter_map(Ranked::of).collect();
        match rule {
            Rule::RefuseNewest(limit) => {
                let own = logins.iter().find(|login| login.socket.id() == self.id());
                let is_before = |other: &&Ranked<'_>| match arrival {
                    Arrival::Login => own.is_some_and(|own| other.is_older(own)),
                    // It was away while the others were accepted.
                    Arrival::Recovery => other.socket.id() != self.id(),
                };
                if logins.iter().filter(is_before).count() >= limit {
                    self.forget_user();
                    return Err(UserError::TooManyLogins(limit));
                }
            }
            Rule::EndOldest(limit) => {
                for login in &logins {
                    let newer = logins.iter().filter(|other| login.is_older(other));
                    if newer.count() >= limit {
                        self.end_login(login.socket).await;
                    }
                }
            }
        }
        if self.state().has_ended() {
            return Err(UserError::Disconnected);
        }
        Ok(())
    }

    /// Ends an older login, which may be this one.
    async fn end_login(&self, older: &RemoteSocket) {
        if let Some(socket) = older.socket() {
            return socket.supersede();
        }
        if let Err(error) = older.disconnect_with(DisconnectNotice::newer_login()).await {
            log::warn!("socket {} of an older login stays: {error}", older.id());
        }
    }

    fn supersede(&self) {
        let notice = Arc::new(DisconnectNotice::newer_login());
        // If the reason cannot be sent, the client is disconnected without it.
        let _ = self.membership().disconnect_with(self.state(), &notice);
    }
}

/// The rule for a limited number of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    EndOldest(usize),
    RefuseNewest(usize),
}

/// The event that has made a socket one of the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    Login,
    Recovery,
}

/// A socket of a user, and the beginning of its login.
struct Ranked<'s> {
    socket: &'s RemoteSocket,
    login: LoginAge,
}

impl<'s> Ranked<'s> {
    fn of(socket: &'s RemoteSocket) -> Option<Self> {
        let login = socket.login()?;
        Some(Self { socket, login })
    }

    /// Returns `true` if this login is older. The ages are by the clock of each node, so different
    /// clocks do not matter. The ages of logins at about the same time differ by the time of the
    /// question: then the clocks decide, and at last the ids, which all nodes compare equally.
    fn is_older(&self, other: &Self) -> bool {
        let (own, others) = (self.login, other.login);
        if own.age.abs_diff(others.age) >= AT_ONCE {
            return own.age > others.age;
        }
        let own = (own.began, self.socket.id());
        own < (others.began, other.socket.id())
    }
}

/// The difference of two ages in milliseconds below which the clocks decide. It is the timeout of
/// the question about them.
const AT_ONCE: u64 = 5000;
