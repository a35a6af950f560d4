//! The room actor: an address for a group of sockets.
//!
//! * receives: [`Emit`] and [`ListMembers`] from the program's actors, [`Stop`] from its namespace;
//! * sends: frames, into its members' outboxes;
//! * parent: the namespace, which starts it with the first join and owns the list of its members;
//! * ends: with the last leave.
//!
//! Handlers broadcast to a room without its actor: the members are shared. So a room that crashes is
//! restarted with its members and nobody notices.

use std::fmt;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, Context, Handler, Message, MessageResult, Supervised,
};

use crate::actor::supervision::{self, Fall, Intensity};
use crate::error::EmitError;
use crate::message::{Emit, ListMembers};
use crate::socket::{Audience, Membership, SharedMembers, event};

/// The actor of a room; [`Namespace::room`](crate::Namespace::room) gives its address.
///
/// It understands [`Emit`] and [`ListMembers`], from any actor and any thread.
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
        fallen: impl Fn(Fall) + Send + Unpin + 'static,
    ) -> Addr<Self> {
        supervision::start_on(arbiter, Intensity::LASTING, fallen, move |_| Self {
            name,
            membership,
            members,
        })
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Supervised for Room {}

impl Handler<Emit> for Room {
    type Result = Result<(), EmitError>;

    fn handle(&mut self, emit: Emit, _: &mut Self::Context) -> Self::Result {
        let packet = event(self.membership.name(), None, &emit.event, &emit.data?)?;
        let audience = Audience {
            rooms: Some(vec![self.name.as_ref().to_owned()]),
            except: emit.except,
            sender: None,
        };
        self.membership.broadcast(&audience, &packet);
        Ok(())
    }
}

impl Handler<ListMembers> for Room {
    type Result = MessageResult<ListMembers>;

    fn handle(&mut self, _: ListMembers, _: &mut Self::Context) -> Self::Result {
        let members = self.members.read();
        MessageResult(members.values().map(|socket| socket.id).collect())
    }
}

/// The last member has left.
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
