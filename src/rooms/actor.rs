//! The trait of the program's actors of rooms.

use actix::{Actor, Context};

use crate::rooms::decision::Decision;
use crate::rooms::messages::{Dropped, Enter, Joined, Left, Returned};

/// An actor that is a room: [`Namespace::room_actor`](crate::Namespace::room_actor) starts one for
/// each room, [`NamespacePattern::actor`](crate::NamespacePattern::actor) one for each namespace.
///
/// The first client that wants in starts the actor, and it ends with the last one, after
/// [`RoomActors::grace`](crate::RoomActors::grace). It handles one message at a time: those of this
/// trait and the events of its members in the order in which they happened, and beside them the
/// messages of the program to its address, its timers and its futures. While it waits
/// ([`ctx.wait`](actix::AsyncContext::wait)) it handles none of them.
///
/// Each message is an actix message, so an actor may pass it on to another one.
///
/// | message | when |
/// | --- | --- |
/// | [`Enter`] | a client wants in; the decision lets it in or refuses it |
/// | [`Joined`] | it is in |
/// | [`Dropped`] | its connection broke, and it may return; only with [`connection_state_recovery`](crate::Builder::connection_state_recovery) |
/// | [`Returned`] | it has returned, as another socket with the same id; `enter` is not called for it |
/// | [`Left`] | it has left, or did not return in time |
///
/// If the actor panics, the event that it handled is acknowledged with an error, and the factory
/// makes another actor in its place, under the same address. The members stay, and so do the
/// messages that wait. After more than 5 panics within 10 s the room is closed: its members leave
/// it, and the next client starts another actor.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context};
/// use actix_socketio::{Data, Decision, Enter, Joined, RoomActor, RoomContext, SocketIo};
///
/// struct Game { room: RoomContext, moves: Vec<String> }
///
/// impl Game {
///     fn play(&mut self, Data(step): Data<String>, _: &mut Context<Self>) -> usize {
///         let _ = self.room.broadcast("played", &step);
///         self.moves.push(step);
///         self.moves.len()
///     }
/// }
///
/// impl Actor for Game {
///     type Context = Context<Self>;
/// }
///
/// impl RoomActor for Game {
///     fn enter(&mut self, _: Enter, _: &mut Context<Self>) -> Decision<Self> {
///         match self.room.members().len() {
///             0 | 1 => Decision::accept(),
///             _ => Decision::refuse("the game is full"),
///         }
///     }
///
///     fn joined(&mut self, client: Joined, _: &mut Context<Self>) {
///         let _ = self.room.to(&client.socket).emit_sync("moves", &self.moves);
///     }
/// }
///
/// fn register(io: &SocketIo) -> Result<(), actix_socketio::PatternError> {
///     io.of_pattern("/game-{id}")?
///         .actor(|room| Game { room, moves: Vec::new() })
///         .on("play", Game::play);
///     Ok(())
/// }
/// ```
pub trait RoomActor: Actor<Context = Context<Self>> {
    /// Decides about a client that wants in. A client that is accepted and disconnects before it is
    /// in gets no [`Joined`]. The default accepts.
    fn enter(&mut self, client: Enter, ctx: &mut Self::Context) -> Decision<Self> {
        let _ = (client, ctx);
        Decision::accept()
    }

    /// A client is in the room. In a namespace, packets to it follow its CONNECT packet.
    fn joined(&mut self, client: Joined, ctx: &mut Self::Context) {
        let _ = (client, ctx);
    }

    /// The connection of a client broke, and the client may return.
    fn dropped(&mut self, client: Dropped, ctx: &mut Self::Context) {
        let _ = (client, ctx);
    }

    /// A client that was dropped has returned.
    fn returned(&mut self, client: Returned, ctx: &mut Self::Context) {
        let _ = (client, ctx);
    }

    /// A client has left.
    fn left(&mut self, client: Left, ctx: &mut Self::Context) {
        let _ = (client, ctx);
    }
}
