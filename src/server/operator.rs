//! The recipients of an event: the same methods for a namespace and for the server.

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

        /// Addresses all sockets except those of these rooms, or those with these ids.
        pub fn except(&self, rooms: impl crate::message::RoomNames) -> crate::socket::Broadcast {
            self.everyone().except(rooms)
        }

        /// Addresses all sockets of this process; see
        /// [`Broadcast::local`](crate::Broadcast::local).
        pub fn local(&self) -> crate::socket::Broadcast {
            self.everyone().local()
        }

        /// Addresses all sockets, with events that may be dropped; see
        /// [`Broadcast::volatile`](crate::Broadcast::volatile).
        pub fn volatile(&self) -> crate::socket::Broadcast {
            self.everyone().volatile()
        }

        /// Addresses all sockets, with or without compression; see
        /// [`Broadcast::compress`](crate::Broadcast::compress).
        pub fn compress(&self, compressed: bool) -> crate::socket::Broadcast {
            self.everyone().compress(compressed)
        }

        /// Addresses all sockets, with a timeout of their acknowledgements.
        pub fn timeout(&self, limit: std::time::Duration) -> crate::socket::Broadcast {
            self.everyone().timeout(limit)
        }

        /// Sends an event to all sockets; see [`Broadcast::emit`](crate::Broadcast::emit).
        ///
        /// # Errors
        ///
        /// [`EmitError::ReservedEvent`](crate::EmitError) and
        /// [`EmitError::Encode`](crate::EmitError): the event was sent to no client.
        /// [`EmitError::Cluster`](crate::EmitError): this node's sockets have received it and the
        /// other nodes will not.
        pub async fn emit<T: serde::Serialize>(
            &self,
            event: &str,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().emit(event, data).await
        }

        /// Sends the event `message` to all sockets.
        ///
        /// # Errors
        ///
        /// The same as of [`emit`](Self::emit).
        pub async fn send<T: serde::Serialize>(
            &self,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().send(data).await
        }

        /// The same as [`emit`](Self::emit), for code that is not async; it never waits.
        ///
        /// # Errors
        ///
        /// The same as of [`emit`](Self::emit).
        pub fn emit_sync<T: serde::Serialize>(
            &self,
            event: &str,
            data: T,
        ) -> Result<(), crate::error::EmitError> {
            self.everyone().emit_sync(event, data)
        }

        /// Sends an event to all sockets, and returns their acknowledgements as they arrive; see
        /// [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack).
        ///
        /// # Errors
        ///
        /// [`EmitError::ReservedEvent`](crate::EmitError) and
        /// [`EmitError::Encode`](crate::EmitError): the event was sent to no client. If other nodes
        /// could not be asked, [`AckStream::coverage`](crate::AckStream::coverage) has the reason.
        pub async fn emit_with_ack<R>(
            &self,
            event: &str,
            data: impl serde::Serialize,
        ) -> Result<crate::socket::AckStream<R>, crate::error::EmitError> {
            self.everyone().emit_with_ack(event, data).await
        }

        /// Returns the connected sockets on all nodes; see
        /// [`Broadcast::fetch_sockets`](crate::Broadcast::fetch_sockets).
        pub async fn fetch_sockets(
            &self,
        ) -> crate::socket::ClusterResult<Vec<crate::socket::RemoteSocket>> {
            self.everyone().fetch_sockets().await
        }

        /// Makes all sockets join rooms; see
        /// [`Broadcast::sockets_join`](crate::Broadcast::sockets_join).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), if other nodes will not receive it.
        pub async fn sockets_join(
            &self,
            rooms: impl crate::message::RoomNames,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().sockets_join(rooms).await
        }

        /// Makes all sockets leave rooms; see
        /// [`Broadcast::sockets_leave`](crate::Broadcast::sockets_leave).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), if other nodes will not receive it.
        pub async fn sockets_leave(
            &self,
            rooms: impl crate::message::RoomNames,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().sockets_leave(rooms).await
        }

        /// Disconnects all sockets; see
        /// [`Broadcast::disconnect_sockets`](crate::Broadcast::disconnect_sockets).
        ///
        /// # Errors
        ///
        /// [`ClusterError`](crate::ClusterError), if other nodes will not receive it.
        pub async fn disconnect_sockets(
            &self,
            close: bool,
        ) -> Result<usize, crate::cluster::ClusterError> {
            self.everyone().disconnect_sockets(close).await
        }
    };
}

pub(crate) use operator;
