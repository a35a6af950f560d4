//! What is done to sockets from outside: finding them, moving them between rooms, disconnecting
//! them.
//!
//! It is done to those of this node first, and then said to the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Answer, ClusterError, Coverage, Message, Question, Reply, Scope};
use crate::id::SocketId;
use crate::message::RoomNames;
use crate::socket::Broadcast;
use crate::socket::broadcast::names;
use crate::socket::cluster_result::{ClusterResult, RemoteSocket};
use crate::socket::core::Core;

impl Broadcast {
    /// Returns the sockets addressed, each once: those of this node, and in a cluster those of all
    /// others, as they were when they were asked. It waits for the other nodes for up to
    /// [`timeout`](Self::timeout), 5 seconds without it. Which of them did not answer, and why they
    /// could not be asked, says [`ClusterResult::coverage`].
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
        let mut sockets: Vec<_> = selected.into_iter().map(RemoteSocket::here).collect();
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

    /// Returns how many sockets are addressed in the whole cluster, as far as
    /// [`ClusterResult::coverage`] says.
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

    /// Returns how many sockets of this node are addressed: at once for everybody and for one room,
    /// by counting for anything else.
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

    /// Makes the sockets addressed join rooms, those of other nodes too. Returns how many of this
    /// node did; one that was just leaving does not, nor one whose server's
    /// [`rooms_per_socket`](crate::Builder::rooms_per_socket) or
    /// [`room_name_limit`](crate::Builder::room_name_limit) is reached.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], where the sockets of this node did and other nodes will not hear of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let moved = io.to("lobby").sockets_join(["hall", "attic"]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn sockets_join(self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        let rooms = names(rooms);
        let selected = self.membership.select(&self.audience);
        let joins = |socket: &&Arc<Core>| {
            let mut joined = rooms.iter().map(|room| self.membership.join(socket, room));
            joined.all(|joined| joined.is_ok())
        };
        let joined = selected.iter().filter(joins).count();
        self.tell(|scope| Message::Join { scope, rooms })?;
        Ok(joined)
    }

    /// Makes the sockets addressed leave rooms, those of other nodes too. Returns how many of this
    /// node were addressed.
    ///
    /// # Errors
    ///
    /// As of [`sockets_join`](Self::sockets_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let moved = io.to("hall").sockets_leave("lobby").await?;
    /// # Ok(()) }
    /// ```
    pub async fn sockets_leave(self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        let rooms = names(rooms);
        // Chosen before they leave: the rooms left may be those that are addressed.
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            for room in &rooms {
                self.membership.leave(socket, room);
            }
        }
        self.tell(|scope| Message::Leave { scope, rooms })?;
        Ok(selected.len())
    }

    /// Disconnects the sockets addressed, as [`Socket::disconnect`](crate::Socket::disconnect)
    /// does, those of other nodes too. Returns how many of this node there were.
    ///
    /// # Errors
    ///
    /// As of [`sockets_join`](Self::sockets_join).
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

    /// Returns the rooms of the namespace, on all nodes, each once and without those of single
    /// sockets.
    pub(crate) async fn all_rooms(self) -> (Vec<String>, Coverage) {
        let own = self.membership.rooms();
        let mut rooms: BTreeSet<_> = own
            .iter()
            .map(|(name, _)| name.as_ref().to_owned())
            .collect();
        let Some(scope) = self.scope_elsewhere() else {
            return (rooms.into_iter().collect(), Coverage::default());
        };
        // Where the format has no such question the sockets are asked for, which know their rooms.
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
        let is_room = |room: &String| room.parse::<SocketId>().is_err();
        (rooms.into_iter().filter(is_room).collect(), coverage)
    }

    /// Asks the other nodes and waits for all they say.
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

    /// Makes everyone leave a room, on every node. Returns how many of this node were in it.
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

/// How long other nodes may take to answer a question that is not one for their clients.
pub(crate) const QUESTION_LIMIT: Duration = Duration::from_secs(5);
