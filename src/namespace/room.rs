//! The room actor: an address for a group of sockets.
//!
//! * receives: [`Emit`] and [`ListMembers`] from the program's actors, [`Stop`] from its namespace;
//! * sends: frames, into its members' outboxes;
//! * parent: the namespace, which starts it with the first join and owns the list of its members;
//! * ends: with the last leave;
//! * after a panic: `supervision/` restarts it under its address; after too many panics its
//!   namespace (`actor.rs`) starts a new one.
//!
//! Handlers broadcast to a room without its actor, because the members are shared. So a room that
//! panics is restarted with its members, without an effect on broadcasts.

use std::fmt;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    MessageResult,
};

use crate::error::EmitError;
use crate::members::{Audience, Membership, SharedMembers, give_short_turn};
use crate::message::{Emit, ListMembers};
use crate::socket::Broadcast;
use crate::supervision::{self, ChildPanic, RestartIntensity, Vitals};

/// The actor of a room; [`Namespace::room`](crate::Namespace::room) returns its address.
///
/// It handles [`Emit`] and [`ListMembers`], from any actor and any thread.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Emit, ListMembers, SocketIo};
///
/// # async fn run(io: SocketIo) -> Result<(), Box<dyn std::error::Error>> {
/// let room = io.of("/chat").room("lobby").await?;
/// room.send(Emit::event("news", "hello")).await??;
/// let members = room.send(ListMembers).await?;
/// # Ok(()) }
/// ```
pub struct Room {
    name: Arc<str>,
    membership: Arc<Membership>,
    members: SharedMembers,
}

impl Room {
    pub(crate) fn start(
        arbiter: &ArbiterHandle,
        membership: Arc<Membership>,
        members: SharedMembers,
        name: Arc<str>,
        vitals: &Arc<Vitals>,
        fallen: impl Fn(ChildPanic) + Send + Unpin + 'static,
    ) -> Addr<Self> {
        let intensity = RestartIntensity::LASTING;
        supervision::start_on(arbiter, vitals, intensity, fallen, move |_| Self {
            name: Arc::clone(&name),
            membership: Arc::clone(&membership),
            members: SharedMembers::clone(&members),
        })
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Emit> for Room {
    type Result = Result<(), EmitError>;

    fn handle(&mut self, emit: Emit, ctx: &mut Self::Context) -> Self::Result {
        let audience = Audience {
            rooms: Some(vec![self.name.as_ref().to_owned()]),
            except: emit.address.except,
            ..Audience::default()
        };
        let operator = Broadcast::of(&self.membership, audience);
        let crowd = operator.emit_message(&emit.event, emit.data, emit.volatile)?;
        if !crowd.is_empty() {
            // A burst of messages would fill outboxes before their clients could read.
            ctx.wait(wrap_future(give_short_turn(crowd)));
        }
        Ok(())
    }
}

impl Handler<ListMembers> for Room {
    type Result = MessageResult<ListMembers>;

    fn handle(&mut self, _: ListMembers, _: &mut Self::Context) -> Self::Result {
        let members = self.members.read();
        MessageResult(members.values().map(|socket| socket.id.clone()).collect())
    }
}

/// The last member has left, or the last client.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for Room {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name)
            .field("namespace", &self.membership.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix::MailboxError;

    use super::*;
    use crate::message::PanicSource;
    use crate::namespace::actor::FindRoom;
    use crate::namespace::fixture::{Boom, Crashes, Fixture, Member, explodes};
    use crate::namespace::state::NamespaceState;

    explodes!(Room);

    async fn find(fixture: &Fixture, namespace: &Arc<NamespaceState>, room: &str) -> Addr<Room> {
        let actor = fixture.registry.actor(namespace).unwrap();
        actor.send(FindRoom(room.into())).await.unwrap().unwrap()
    }

    async fn is_told(crashes: &mut Crashes, panic: &str) {
        let crashed = crashes.next().await;
        assert_eq!(crashed.source, PanicSource::Room("hall".into()));
        assert_eq!(crashed.namespace.as_deref(), Some("/chat"));
        assert_eq!(crashed.socket, None);
        assert_eq!(crashed.panic, panic);
    }

    #[actix_rt::test]
    async fn a_room_that_panics_keeps_its_members_and_its_address() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/chat");
        let member = Member::enter(&namespace).await;
        member.join("hall");
        let room = find(&fixture, &namespace, "hall").await;
        assert_eq!(room.send(Boom("fire")).await, Err(MailboxError::Closed));
        is_told(&mut fixture.crashes, "fire").await;
        assert_eq!(
            room.send(ListMembers).await.unwrap(),
            std::slice::from_ref(&member.socket.id)
        );
        room.send(Emit::event("after", 1)).await.unwrap().unwrap();
        assert_eq!(member.read().await, r#"42/chat,["after",1]"#);
    }

    #[actix_rt::test]
    async fn a_room_that_panics_too_often_is_replaced_with_its_members() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/chat");
        let member = Member::enter(&namespace).await;
        member.join("hall");
        let room = find(&fixture, &namespace, "hall").await;
        for _ in 0..=RestartIntensity::LASTING.restarts {
            room.do_send(Boom("again"));
            is_told(&mut fixture.crashes, "again").await;
        }
        assert_eq!(room.send(ListMembers).await, Err(MailboxError::Closed));
        let replacement = find(&fixture, &namespace, "hall").await;
        assert_eq!(
            replacement.send(ListMembers).await.unwrap(),
            std::slice::from_ref(&member.socket.id)
        );
        replacement
            .send(Emit::event("after", 1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(member.read().await, r#"42/chat,["after",1]"#);
    }

    #[actix_rt::test]
    async fn a_room_ends_with_its_last_member_also_after_a_panic() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/chat");
        let (first, last) = (
            Member::enter(&namespace).await,
            Member::enter(&namespace).await,
        );
        first.join("hall");
        last.join("hall");
        let room = find(&fixture, &namespace, "hall").await;
        room.do_send(Boom("fire"));
        is_told(&mut fixture.crashes, "fire").await;
        first.leave("hall");
        assert_eq!(
            room.send(ListMembers).await.unwrap(),
            std::slice::from_ref(&last.socket.id)
        );
        last.leave("hall");
        // Answered after the room's end, of which the namespace is notified.
        let actor = fixture.registry.actor(&namespace).unwrap();
        assert_eq!(actor.send(FindRoom("hall".into())).await, Ok(None));
        assert_eq!(room.send(ListMembers).await, Err(MailboxError::Closed));
    }
}
