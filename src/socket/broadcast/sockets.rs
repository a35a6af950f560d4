//! Operations on sockets: finding them, moving them between rooms, disconnecting them.
//!
//! They are executed for this node's sockets first, and then sent to the other nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{
    Answer, ClusterError, Coverage, EventPayload, Message, Question, Reply, Scope,
};
use crate::id::SocketId;
use crate::members::SocketState;
use crate::message::{RoomNames, room_names};
use crate::notice::{DisconnectNotice, Extent};
use crate::socket::broadcast::operator::Broadcast;
use crate::socket::cluster_result::ClusterResult;
use crate::socket::handle::Socket;
use crate::socket::remote::RemoteSocket;
use crate::socketio::Args;
use crate::user::user_of;

impl Broadcast {
    /// Returns the addressed sockets without duplicates: those of this node, and in a cluster those
    /// of all other nodes at the time of the request. The timeout for other nodes is
    /// [`timeout`](Self::timeout), 5 seconds by default. [`ClusterResult::coverage`] names the
    /// nodes that did not answer, or says why they could not be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// for socket in io.in_room("lobby").fetch_sockets().await {
    ///     println!("{} is in {:?}", socket.id(), socket.rooms());
    /// }
    /// # }
    /// ```
    pub async fn fetch_sockets(self) -> ClusterResult<Vec<RemoteSocket>> {
        let selected = self.membership.select(&self.audience);
        let here = |state| RemoteSocket::here(Socket::new(&self.membership, state));
        let mut sockets: Vec<_> = selected.into_iter().map(here).collect();
        let Some(scope) = self.scope_elsewhere() else {
            return ClusterResult::new(sockets, Coverage::default());
        };
        let limit = self.timeout.unwrap_or(QUESTION_LIMIT);
        let (replies, coverage) = self.ask_nodes(Question::Sockets(scope), limit).await;
        for reply in replies {
            if let Reply::Sockets(found) = reply {
                let there = |details| RemoteSocket::there(&self.membership, details);
                sockets.extend(found.into_iter().filter_map(there));
            }
        }
        ClusterResult::new(sockets, coverage)
    }

    /// Returns the number of addressed sockets in the whole cluster. [`ClusterResult::coverage`]
    /// names the nodes that did not answer.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// println!("{} in the lobby, on all nodes", *io.to("lobby").count_everywhere().await);
    /// # }
    /// ```
    pub async fn count_everywhere(self) -> ClusterResult<usize> {
        let found = self.fetch_sockets().await;
        let coverage = found.coverage().clone();
        ClusterResult::new(found.len(), coverage)
    }

    /// Returns the number of addressed sockets of this node. It takes constant time for the whole
    /// namespace and for one room, otherwise the sockets are counted.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// println!("{} in the lobby", io.to("lobby").count());
    /// # }
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.membership.size(&self.audience)
    }

    /// Makes the addressed sockets join rooms, including those of other nodes. Returns the number
    /// of sockets of this node that joined. A socket that is disconnecting does not join, nor does
    /// one that has reached the limit of [`rooms_per_socket`](crate::Builder::rooms_per_socket) or
    /// [`room_name_limit`](crate::Builder::room_name_limit) of its server, or that the actor of a room
    /// refuses.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if the sockets of this node joined and other nodes will not receive it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let moved = io.to("lobby").sockets_join(["hall", "attic"]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn sockets_join(self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        let rooms = room_names(rooms);
        let selected = self.membership.select(&self.audience);
        let mut joined = 0;
        for socket in &selected {
            joined += usize::from(self.joins(socket, &rooms).await);
        }
        self.tell(|scope| Message::Join { scope, rooms })?;
        Ok(joined)
    }

    /// Returns `true` if the socket joined the rooms, up to the first that refuses it.
    async fn joins(&self, socket: &Arc<SocketState>, rooms: &[String]) -> bool {
        for room in rooms {
            if self.membership.join_admitted(socket, room).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Makes the addressed sockets leave rooms, including those of other nodes. Returns the number
    /// of addressed sockets of this node.
    ///
    /// # Errors
    ///
    /// The same as of [`sockets_join`](Self::sockets_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let moved = io.to("hall").sockets_leave("lobby").await?;
    /// # Ok(()) }
    /// ```
    pub async fn sockets_leave(self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        let rooms = room_names(rooms);
        // Selected before they leave, because the left rooms may be the addressed ones.
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            for room in &rooms {
                self.membership.leave(socket, room);
            }
        }
        self.tell(|scope| Message::Leave { scope, rooms })?;
        Ok(selected.len())
    }

    /// Disconnects the addressed sockets like [`Socket::disconnect`](crate::Socket::disconnect),
    /// including those of other nodes. Returns the number of sockets of this node.
    ///
    /// # Errors
    ///
    /// The same as of [`sockets_join`](Self::sockets_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let gone = io.to("banned").disconnect_sockets(true).await?;
    /// # Ok(()) }
    /// ```
    pub async fn disconnect_sockets(self, close: bool) -> Result<usize, ClusterError> {
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            socket.disconnect(close);
        }
        self.tell(|scope| Message::Disconnect { scope, close })?;
        Ok(selected.len())
    }

    /// Disconnects the addressed sockets like
    /// [`Socket::disconnect_with`](crate::Socket::disconnect_with), including those of other nodes.
    /// Returns the number of sockets of this node.
    ///
    /// Node.js nodes send the same event and disconnect their sockets. They cannot make clients
    /// reconnect: with [`DisconnectNotice::reconnect`] their clients stay connected.
    ///
    /// # Errors
    ///
    /// The same as of [`sockets_join`](Self::sockets_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let gone = io.to("banned").disconnect_sockets_with("banned").await?;
    /// # Ok(()) }
    /// ```
    pub async fn disconnect_sockets_with(
        self,
        notice: impl Into<DisconnectNotice>,
    ) -> Result<usize, ClusterError> {
        let notice = Arc::new(notice.into());
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            // A socket that has ended meanwhile is no error.
            let _ = self.membership.disconnect_with(socket, &notice);
        }
        self.tell_notice(&notice)?;
        Ok(selected.len())
    }

    /// Sends a disconnect with a notice to the other nodes: for other kinds of nodes it is an event
    /// and a plain disconnect.
    fn tell_notice(&self, notice: &DisconnectNotice) -> Result<(), ClusterError> {
        let Some(adapter) = &self.membership.adapter else {
            return Ok(());
        };
        let close = notice.extent() == Extent::Session;
        if !notice.reconnects() {
            let event = adapter.disconnect_event();
            let args = Args::from_value(&notice.told())
                .map_err(|error| ClusterError::Encode(error.to_string()))?;
            let content = EventPayload::new(event, &args);
            let emit = |scope| Message::Emit {
                content: content.clone(),
                scope,
                flags: self.flags(),
            };
            match self.tell(|scope| emit(scope.for_other_kinds())) {
                // The format has no place for marks: nodes of this crate do the same as others.
                Err(ClusterError::Unsupported(_)) => {
                    self.tell(emit)?;
                    return self.tell(|scope| Message::Disconnect { scope, close });
                }
                told => told?,
            }
        }
        self.tell(|scope| Message::Disconnect {
            scope: scope.with_notice(notice),
            close,
        })
    }

    /// Returns the rooms of the namespace on all nodes, without duplicates and without those of
    /// single sockets.
    pub(crate) async fn all_rooms(self) -> (Vec<String>, Coverage) {
        let own = self.membership.rooms();
        let mut rooms: BTreeSet<_> = own
            .iter()
            .map(|(name, _)| name.as_ref().to_owned())
            .collect();
        let Some(scope) = self.scope_elsewhere() else {
            return (rooms.into_iter().collect(), Coverage::default());
        };
        // If the format does not support the question, the sockets are fetched, which contain their
        // rooms.
        let asks = self
            .membership
            .adapter
            .as_ref()
            .is_some_and(|it| it.asks_for_rooms());
        let question = if asks {
            Question::Rooms
        } else {
            Question::Sockets(scope)
        };
        let (replies, coverage) = self.ask_nodes(question, QUESTION_LIMIT).await;
        for reply in replies {
            match reply {
                Reply::Rooms(found) => rooms.extend(found),
                Reply::Sockets(sockets) => {
                    rooms.extend(sockets.into_iter().flat_map(|socket| socket.rooms));
                }
                _ => {}
            }
        }
        // Other kinds of nodes have a room for each socket.
        let is_room = |room: &String| room.parse::<SocketId>().is_err() && user_of(room).is_none();
        (rooms.into_iter().filter(is_room).collect(), coverage)
    }

    /// Asks the other nodes and waits for all answers.
    pub(crate) async fn ask_nodes(
        &self,
        question: Question,
        limit: Duration,
    ) -> (Vec<Reply>, Coverage) {
        let mut answers = self.question(|_| question, limit);
        let (mut replies, mut coverage) = (Vec::new(), Coverage::default());
        while let Some(answer) = answers.recv().await {
            match answer {
                Answer::Reply(reply) => replies.push(reply),
                Answer::Coverage(how_far) => coverage = how_far,
            }
        }
        (replies, coverage)
    }

    /// Removes all members from a room, on every node. Returns the number of members on this node.
    pub(crate) fn close_room(&self, room: &str) -> Result<usize, ClusterError> {
        let left = self.membership.close_room(room);
        self.tell(|_| Message::CloseRoom {
            room: room.to_owned(),
        })?;
        Ok(left)
    }

    fn tell(&self, message: impl FnOnce(Scope) -> Message) -> Result<(), ClusterError> {
        match (&self.membership.adapter, self.scope_elsewhere()) {
            (Some(adapter), Some(scope)) => {
                adapter.tell(self.membership.shared_name(), &message(scope))
            }
            _ => Ok(()),
        }
    }
}

/// The timeout for other nodes to answer a question that does not involve clients.
pub(crate) const QUESTION_LIMIT: Duration = Duration::from_secs(5);
