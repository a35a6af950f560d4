//! The namespace actor: it supervises the rooms.
//!
//! * receives: [`RoomChange`] from the membership, [`FindRoom`] from the program, [`RoomGivenUp`]
//!   from its rooms' supervision;
//! * sends: nothing; starts and stops rooms, and removes expired recovery state;
//! * parent: the server, which starts it with the namespace and replaces it if it is given up;
//! * ends: with the server, or with its last client if the pattern that made it says so.
//!
//! The sockets of the namespace, and its rooms, are in its
//! [`Membership`](crate::members::Membership), which outlives it: after a restart it continues with
//! the same rooms, and a socket that connects or joins in the meantime does not wait for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    MessageResult,
};
use parking_lot::Mutex;

use crate::members::{RoomChange, SharedMembers};
use crate::message::{PanicSource, Panicked};
use crate::namespace::room::{Room, Stop};
use crate::namespace::state::NamespaceState;
use crate::supervision::{self, ChildPanic, RestartIntensity, Vitals};

/// The actor.
pub(crate) struct Namespace {
    state: Arc<NamespaceState>,
    arbiter: ArbiterHandle,
    rooms: Arc<RunningRooms>,
}

/// The actors of the rooms of a namespace, by the name of the room. They outlive a panic of the
/// namespace's actor, which alone changes them.
#[derive(Debug, Default)]
pub(crate) struct RunningRooms(Mutex<HashMap<Arc<str>, RunningRoom>>);

/// The actor of a room.
#[derive(Clone, Debug)]
pub(crate) struct RunningRoom {
    address: Addr<Room>,
    pub(crate) vitals: Arc<Vitals>,
}

/// The actor of a namespace, and those of its rooms.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceActor {
    pub(crate) address: Addr<Namespace>,
    pub(crate) rooms: Arc<RunningRooms>,
    pub(crate) vitals: Arc<Vitals>,
}

impl RunningRooms {
    /// Returns the actors by the name of their room.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, RunningRoom)> {
        let rooms = self.0.lock();
        let rooms = rooms.iter();
        rooms
            .map(|(name, room)| (Arc::clone(name), room.clone()))
            .collect()
    }

    fn contains(&self, name: &str) -> bool {
        self.0.lock().contains_key(name)
    }
}

impl Namespace {
    /// Starts the actor. `vitals` are those of the actor whose place it takes, or new.
    pub(crate) fn start(
        arbiter: &ArbiterHandle,
        state: &Arc<NamespaceState>,
        vitals: Arc<Vitals>,
        fallen: impl Fn(ChildPanic) + Send + Unpin + 'static,
    ) -> NamespaceActor {
        let (state, rooms) = (Arc::clone(state), Arc::<RunningRooms>::default());
        let (kept, rooms_arbiter) = (Arc::clone(&rooms), arbiter.clone());
        let intensity = RestartIntensity::LASTING;
        let address = supervision::start_on(arbiter, &vitals, intensity, fallen, move |_| Self {
            state: Arc::clone(&state),
            arbiter: rooms_arbiter.clone(),
            rooms: Arc::clone(&kept),
        });
        NamespaceActor {
            address,
            rooms,
            vitals,
        }
    }

    fn start_room(&self, name: &Arc<str>, members: SharedMembers, ctx: &Context<Self>) {
        let namespace = ctx.address();
        let state = Arc::clone(&self.state);
        let room = Arc::clone(name);
        let fallen = move |fall: ChildPanic| {
            state.handlers.context.report(&Panicked {
                source: PanicSource::Room(room.as_ref().to_owned()),
                namespace: Some(state.membership.name().to_owned()),
                socket: None,
                panic: fall.panic,
            });
            if fall.given_up {
                // A life-cycle message to the parent.
                namespace.do_send(RoomGivenUp(Arc::clone(&room)));
            }
        };
        let membership = Arc::clone(&self.state.membership);
        let mut rooms = self.rooms.0.lock();
        let vitals = match rooms.get(name) {
            Some(given_up) => Arc::clone(&given_up.vitals),
            None => Vitals::new(),
        };
        let (arbiter, shared) = (&self.arbiter, Arc::clone(name));
        let address = Room::start(arbiter, membership, members, shared, &vitals, fallen);
        rooms.insert(Arc::clone(name), RunningRoom { address, vitals });
    }

    fn stop_room(&self, name: &str) {
        let stopped = self.rooms.0.lock().remove(name);
        if let Some(room) = stopped {
            // A life-cycle message: the room ends after the messages sent to it before.
            room.address.do_send(Stop);
        }
    }
}

impl Actor for Namespace {
    type Context = Context<Self>;

    /// Starts the actor of every room: a replacement finds existing rooms.
    fn started(&mut self, ctx: &mut Self::Context) {
        for (name, members) in self.state.membership.rooms() {
            if !self.rooms.contains(&name) {
                self.start_room(&name, members, ctx);
            }
        }
        let membership = Arc::clone(&self.state.membership);
        if membership.recovery.is_some() {
            ctx.spawn(wrap_future(async move {
                if let Some(recovery) = &membership.recovery {
                    recovery.prune().await;
                }
            }));
        }
    }
}

impl Handler<RoomChange> for Namespace {
    type Result = ();

    fn handle(&mut self, change: RoomChange, ctx: &mut Self::Context) {
        match change {
            // An actor that has just replaced another has found it already.
            RoomChange::Began(name, _) if self.rooms.contains(&name) => {}
            RoomChange::Began(name, members) => self.start_room(&name, members, ctx),
            RoomChange::Ended(name) => self.stop_room(&name),
        }
    }
}

/// Asks for a room's actor, which exists while the room has members.
#[derive(Debug, Message)]
#[rtype(result = "Option<Addr<Room>>")]
pub(crate) struct FindRoom(pub(crate) String);

impl Handler<FindRoom> for Namespace {
    type Result = MessageResult<FindRoom>;

    fn handle(&mut self, FindRoom(name): FindRoom, _: &mut Self::Context) -> Self::Result {
        let rooms = self.rooms.0.lock();
        MessageResult(rooms.get(name.as_str()).map(|room| room.address.clone()))
    }
}

/// The last client has left a namespace that is removed with it.
impl Handler<Stop> for Namespace {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// A room has panicked too often, and has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct RoomGivenUp(Arc<str>);

impl Handler<RoomGivenUp> for Namespace {
    type Result = ();

    fn handle(&mut self, RoomGivenUp(name): RoomGivenUp, ctx: &mut Self::Context) {
        match self.state.membership.room(&name) {
            Some(members) => self.start_room(&name, members, ctx),
            None => self.stop_room(&name),
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.state.membership.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Audience;
    use crate::message::{Emit, ListMembers};
    use crate::namespace::fixture::{Boom, Crashes, Fixture, Member, explodes};

    explodes!(Namespace);

    async fn is_told(crashes: &mut Crashes, panic: &str) {
        let crashed = crashes.next().await;
        assert_eq!(crashed.source, PanicSource::Namespace);
        assert_eq!(crashed.namespace.as_deref(), Some("/chat"));
        assert_eq!(crashed.panic, panic);
    }

    async fn hears_a_broadcast(namespace: &NamespaceState, member: &Member) {
        let packet = namespace.membership.event(None, "after", &1, None).unwrap();
        let rooms = Some(vec!["hall".to_owned()]);
        let audience = Audience {
            rooms,
            ..Audience::default()
        };
        namespace.membership.broadcast(&audience, &packet, false);
        assert_eq!(member.read().await, r#"42/chat,["after",1]"#);
    }

    #[actix_rt::test]
    async fn a_namespace_that_panics_keeps_its_members_and_its_rooms() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/chat");
        let member = Member::enter(&namespace).await;
        member.join("hall");
        let actor = fixture.registry.actor(&namespace).unwrap();
        let room = actor.send(FindRoom("hall".into())).await.unwrap().unwrap();
        actor.do_send(Boom("fire"));
        is_told(&mut fixture.crashes, "fire").await;
        assert_eq!(namespace.membership.count(), 1);
        hears_a_broadcast(&namespace, &member).await;
        let same = actor.send(FindRoom("hall".into())).await.unwrap().unwrap();
        assert!(same == room, "the room's actor is still the same");
        let late = Member::enter(&namespace).await;
        late.join("hall");
        let both = room.send(ListMembers).await.unwrap();
        assert_eq!(both, [member.socket.id.clone(), late.socket.id.clone()]);
    }

    #[actix_rt::test]
    async fn messages_sent_during_a_panic_are_served_after_the_restart() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/chat");
        let member = Member::enter(&namespace).await;
        fixture
            .registry
            .actor(&namespace)
            .unwrap()
            .do_send(Boom("fire"));
        member.join("hall");
        is_told(&mut fixture.crashes, "fire").await;
        hears_a_broadcast(&namespace, &member).await;
    }

    #[actix_rt::test]
    async fn a_namespace_that_panics_too_often_is_replaced_with_members_and_rooms() {
        let mut fixture = Fixture::new();
        let server = crate::namespace::Server::start(&fixture.registry).get();
        let namespace = fixture.registry.open("/chat");
        let member = Member::enter(&namespace).await;
        member.join("hall");
        let first = fixture.registry.actor(&namespace).unwrap();
        for _ in 0..=RestartIntensity::LASTING.restarts {
            first.do_send(Boom("again"));
            is_told(&mut fixture.crashes, "again").await;
        }
        // After the message that makes the server replace it.
        server
            .send(Emit::event("unheard", ()).of("/nobody"))
            .await
            .unwrap()
            .unwrap();
        let second = fixture.registry.actor(&namespace).unwrap();
        assert!(!first.connected() && second.connected());
        let room = second.send(FindRoom("hall".into())).await.unwrap().unwrap();
        assert_eq!(
            room.send(ListMembers).await.unwrap(),
            std::slice::from_ref(&member.socket.id)
        );
        hears_a_broadcast(&namespace, &member).await;
        member.leave("hall");
        Member::enter(&namespace).await;
    }
}
