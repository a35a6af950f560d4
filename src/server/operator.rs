//! Who gets an event, said of a namespace and of the server alike.

/// Adds the first steps of an operator, to a type with a method `everyone`.
macro_rules! operator {
    () => {
        /// Addresses rooms, or sockets by their ids; see [`Broadcast`](crate::Broadcast).
        #[doc(alias = "in")]
        pub fn to(&self, rooms: impl crate::message::RoomNames) -> crate::socket::Broadcast {
            self.everyone().to(rooms)
        }

        /// The same as [`to`](Self::to).
        pub fn in_room(&self, rooms: impl crate::message::RoomNames) -> crate::socket::Broadcast {
            self.to(rooms)
        }

        /// Addresses everyone but the sockets of these rooms, or those with these ids.
        pub fn except(&self, rooms: impl crate::message::RoomNames) -> crate::socket::Broadcast {
            self.everyone().except(rooms)
        }

        /// Addresses everyone of this process; see [`Broadcast::local`](crate::Broadcast::local).
        pub fn local(&self) -> crate::socket::Broadcast {
            self.everyone().local()
        }

        /// Addresses everyone, by events that may be dropped; see
        /// [`Broadcast::volatile`](crate::Broadcast::volatile).
        pub fn volatile(&self) -> crate::socket::Broadcast {
            self.everyone().volatile()
        }

        /// Addresses everyone, by events that are compressed or not; see
        /// [`Broadcast::compress`](crate::Broadcast::compress).
        pub fn compress(&self, compressed: bool) -> crate::socket::Broadcast {
            self.everyone().compress(compressed)
        }

        /// Addresses everyone, with a limit for their acknowledgements.
        pub fn timeout(&self, limit: std::time::Duration) -> crate::socket::Broadcast {
            self.everyone().timeout(limit)
        }

        /// Sends an event to everyone; see [`Broadcast::emit`](crate::Broadcast::emit).
        ///
        /// # Errors
        ///
        /// [`EmitError::ReservedEvent`](crate::EmitError) and
        /// [`EmitError::Encode`](crate::EmitError); nothing was sent to anybody then.
        /// [`EmitError::Cluster`](crate::EmitError) where this node's sockets have it and the other
        /// nodes will not get it.
        pub async fn emit<T: serde::Serialize>(
            &self,
            event: &str,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().emit(event, data).await
        }

        /// Sends the event `message` to everyone.
        ///
        /// # Errors
        ///
        /// As of [`emit`](Self::emit).
        pub async fn send<T: serde::Serialize>(
            &self,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().send(data).await
        }

        /// Does what [`emit`](Self::emit) does, for code that is not async; it never waits.
        ///
        /// # Errors
        ///
        /// As of [`emit`](Self::emit).
        pub fn emit_sync<T: serde::Serialize>(
            &self,
            event: &str,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().emit_sync(event, data)
        }

        /// Sends an event to everyone, and returns their acknowledgements as they come; see
        /// [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack).
        ///
        /// # Errors
        ///
        /// [`EmitError::ReservedEvent`](crate::EmitError) and
        /// [`EmitError::Encode`](crate::EmitError); nothing was sent to anybody then. Where other
        /// nodes could not be asked, [`Answers::reach`](crate::Answers::reach) says why.
        pub async fn emit_with_ack<R>(
            &self,
            event: &str,
            data: impl serde::Serialize,
        ) -> Result<crate::socket::Answers<R>, crate::error::EmitError> {
            self.everyone().emit_with_ack(event, data).await
        }

        /// Returns the sockets that are connected, on all nodes; see
        /// [`Broadcast::fetch_sockets`](crate::Broadcast::fetch_sockets).
        pub async fn fetch_sockets(
            &self,
        ) -> crate::socket::Everywhere<Vec<crate::socket::RemoteSocket>> {
            self.everyone().fetch_sockets().await
        }

        /// Makes everyone join rooms; see
        /// [`Broadcast::sockets_join`](crate::Broadcast::sockets_join).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), where other nodes will not hear of it.
        pub async fn sockets_join(
            &self,
            rooms: impl crate::message::RoomNames,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().sockets_join(rooms).await
        }

        /// Makes everyone leave rooms; see
        /// [`Broadcast::sockets_leave`](crate::Broadcast::sockets_leave).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), where other nodes will not hear of it.
        pub async fn sockets_leave(
            &self,
            rooms: impl crate::message::RoomNames,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().sockets_leave(rooms).await
        }

        /// Disconnects everyone; see
        /// [`Broadcast::disconnect_sockets`](crate::Broadcast::disconnect_sockets).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), where other nodes will not hear of it.
        pub async fn disconnect_sockets(
            &self,
            close: bool,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().disconnect_sockets(close).await
        }
    };
}

pub(crate) use operator;
