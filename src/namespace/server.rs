//! The server actor: it starts first and stops last.
//!
//! * receives: [`Emit`], [`Call`], [`CallMany`], [`FetchSockets`], [`JoinRooms`], [`LeaveRooms`],
//!   [`CloseRoom`], [`Disconnect`] and [`DisconnectSockets`] from the program's actors, [`GivenUp`]
//!   from the supervision of namespaces;
//! * sends: frames into the outboxes of the recipients; restarts namespaces;
//! * parent: none; the program has its address;
//! * ends: with its actix system.
//!
//! Namespaces and sockets are found in the shared [`Registry`], so that a restart loses nothing.

use std::fmt;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, Addr, AsyncContext, Context, Handler, ResponseFuture};
use parking_lot::Mutex;

use crate::cluster::ClusterError;
use crate::error::{CallError, EmitError};
use crate::id::SocketId;
use crate::members::{Membership, give_short_turn};
use crate::message::{
    AckResults, Address, Call, CallMany, CloseRoom, Disconnect, DisconnectSockets, Emit,
    FetchSockets, JoinRooms, LeaveRooms, PanicSource,
};
use crate::namespace::registry::Registry;
use crate::namespace::supervisor::GivenUp;
use crate::socket::{Broadcast, RemoteSocket, call};
use crate::socketio::Args;
use crate::supervision::{self, RestartIntensity, Vitals};

/// The actor that routes messages to clients; [`SocketIo::server`](crate::SocketIo::server) returns
/// its address.
///
/// It handles [`Emit`], [`Call`], [`CallMany`], [`FetchSockets`], [`JoinRooms`], [`LeaveRooms`],
/// [`CloseRoom`], [`Disconnect`] and [`DisconnectSockets`], from any actor and any thread.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Call, Emit, SocketId, SocketIo};
///
/// # async fn run(io: SocketIo, id: SocketId) -> Result<(), Box<dyn std::error::Error>> {
/// let server = io.server();
/// server.do_send(Emit::event("news", "hello").of("/chat").to("lobby"));
/// let age: u32 = server.send(Call::to(id).event("ask", "age")).await??.read()?;
/// # Ok(()) }
/// ```
pub struct Server {
    registry: Arc<Registry>,
}

/// The address of the server's actor, also after another actor took its place.
#[derive(Clone, Debug)]
pub(crate) struct ServerAddress {
    first: Addr<Server>,
    /// The one that took its place when it was given up.
    latest: Arc<Mutex<Option<Addr<Server>>>>,
    pub(crate) vitals: Arc<Vitals>,
}

impl ServerAddress {
    pub(crate) fn get(&self) -> Addr<Server> {
        let latest = self.latest.lock().clone();
        latest.unwrap_or_else(|| self.first.clone())
    }
}

impl Server {
    pub(crate) fn start(registry: &Arc<Registry>) -> ServerAddress {
        let (latest, vitals) = (Arc::new(Mutex::new(None)), Vitals::new());
        let first = Self::start_in(registry, &latest, &vitals);
        ServerAddress {
            first,
            latest,
            vitals,
        }
    }

    fn start_in(
        registry: &Arc<Registry>,
        latest: &Arc<Mutex<Option<Addr<Self>>>>,
        vitals: &Arc<Vitals>,
    ) -> Addr<Self> {
        let (watching, slot) = (Arc::clone(registry), Arc::clone(latest));
        let kept = Arc::clone(vitals);
        let fallen = move |fall: supervision::ChildPanic| {
            let supervisor = &watching.supervisor;
            supervisor.report(PanicSource::Server, None, fall.panic);
            if fall.given_up {
                // It has no parent except the program. All its state is shared, so a new one is
                // equivalent.
                let next = Self::start_in(&watching, &slot, &kept);
                *slot.lock() = Some(next);
            }
        };
        let served = Arc::clone(registry);
        let supervisor = &registry.supervisor;
        let (arbiter, intensity) = (supervisor.arbiter(), RestartIntensity::LASTING);
        let server = supervision::start_on(arbiter, vitals, intensity, fallen, move |_| Self {
            registry: Arc::clone(&served),
        });
        supervisor.replaced_by(server.clone().recipient());
        server
    }
}

impl Server {
    /// Addresses the recipients of a message; none if the namespace does not exist.
    fn operator(&self, address: Address) -> Broadcast {
        let namespace = self.registry.namespace(&address.namespace);
        let membership = match namespace {
            Some(namespace) => Arc::clone(&namespace.membership),
            // It has no sockets here; on other nodes it may have some.
            None => {
                let adapter = self.registry.adapter();
                let Registry {
                    packets, parsers, ..
                } = &*self.registry;
                let hooks = &self.registry.server_context.limit_hooks;
                let name = &address.namespace;
                Membership::with(name, Vec::new(), *packets, parsers, hooks, adapter, None)
            }
        };
        Broadcast::of(&membership, address.into())
    }
}

impl Actor for Server {
    type Context = Context<Self>;
}

impl Handler<Emit> for Server {
    type Result = Result<(), EmitError>;

    fn handle(&mut self, emit: Emit, ctx: &mut Self::Context) -> Self::Result {
        let operator = self.operator(emit.address);
        let crowd = operator.emit_message(&emit.event, emit.data, emit.volatile)?;
        if !crowd.is_empty() {
            // A burst of messages would fill outboxes before their clients could read.
            ctx.wait(wrap_future(give_short_turn(crowd)));
        }
        Ok(())
    }
}

impl Handler<CallMany> for Server {
    type Result = ResponseFuture<Result<AckResults<Args>, EmitError>>;

    fn handle(&mut self, call: CallMany, _: &mut Self::Context) -> Self::Result {
        let operator = self.operator(call.address);
        Box::pin(async move {
            let data = call.data?;
            let operator = match call.timeout {
                Some(limit) => operator.timeout(limit),
                None => operator,
            };
            operator.gather(&call.event, &data).await
        })
    }
}

impl Handler<FetchSockets> for Server {
    type Result = ResponseFuture<Vec<SocketId>>;

    fn handle(&mut self, fetch: FetchSockets, _: &mut Self::Context) -> Self::Result {
        let operator = self.operator(fetch.address);
        Box::pin(async move {
            let sockets = operator.fetch_sockets().await;
            sockets.iter().map(RemoteSocket::id).collect()
        })
    }
}

impl Handler<JoinRooms> for Server {
    type Result = ResponseFuture<Result<usize, ClusterError>>;

    fn handle(&mut self, join: JoinRooms, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.operator(join.address).sockets_join(join.rooms))
    }
}

impl Handler<LeaveRooms> for Server {
    type Result = ResponseFuture<Result<usize, ClusterError>>;

    fn handle(&mut self, leave: LeaveRooms, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.operator(leave.address).sockets_leave(leave.rooms))
    }
}

impl Handler<DisconnectSockets> for Server {
    type Result = ResponseFuture<Result<usize, ClusterError>>;

    fn handle(&mut self, message: DisconnectSockets, _: &mut Self::Context) -> Self::Result {
        let operator = self.operator(message.address);
        let DisconnectSockets { close, notice, .. } = message;
        match notice {
            None => Box::pin(operator.disconnect_sockets(close)),
            Some(notice) if close => Box::pin(operator.disconnect_sockets_with(notice.close())),
            Some(notice) => Box::pin(operator.disconnect_sockets_with(notice)),
        }
    }
}

impl Handler<CloseRoom> for Server {
    type Result = Result<usize, ClusterError>;

    fn handle(&mut self, close: CloseRoom, _: &mut Self::Context) -> Self::Result {
        let address = Address {
            namespace: close.namespace,
            ..Address::default()
        };
        self.operator(address).close_room(&close.room)
    }
}

impl Handler<Call> for Server {
    type Result = ResponseFuture<Result<Args, CallError>>;

    fn handle(&mut self, message: Call, _: &mut Self::Context) -> Self::Result {
        let socket = self.registry.socket(&message.socket);
        Box::pin(async move {
            let socket = socket.ok_or(CallError::Disconnected)?;
            let data = message.data.map_err(EmitError::Encode)?;
            let limit = message
                .timeout
                .unwrap_or(socket.state().link.config.sockets.ack_timeout);
            call(
                socket.membership(),
                socket.state(),
                &message.event,
                &data,
                limit,
            )
            .await
        })
    }
}

impl Handler<Disconnect> for Server {
    type Result = bool;

    fn handle(&mut self, Disconnect(id): Disconnect, _: &mut Self::Context) -> bool {
        let socket = self.registry.socket(&id);
        if let Some(socket) = &socket {
            socket.disconnect(false);
        }
        socket.is_some()
    }
}

impl Handler<GivenUp> for Server {
    type Result = ();

    fn handle(&mut self, given_up: GivenUp, _: &mut Self::Context) {
        self.registry.replace(&given_up.namespace);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix::MailboxError;

    use super::*;
    use crate::namespace::fixture::{Boom, Crashes, Fixture, Member, explodes};

    explodes!(Server);

    async fn is_told(crashes: &mut Crashes, panic: &str) {
        let crashed = crashes.next().await;
        assert_eq!(crashed.source, PanicSource::Server);
        assert_eq!((crashed.namespace, crashed.socket), (None, None));
        assert_eq!(crashed.panic, panic);
    }

    #[actix_rt::test]
    async fn a_restarted_server_keeps_its_address() {
        let mut fixture = Fixture::new();
        let server = Server::start(&fixture.registry).get();
        let member = Member::enter(&fixture.registry.open("/chat")).await;
        assert_eq!(server.send(Boom("fire")).await, Err(MailboxError::Closed));
        is_told(&mut fixture.crashes, "fire").await;
        let emit = Emit::event("after", 1).of("/chat");
        server.send(emit).await.unwrap().unwrap();
        assert_eq!(member.read().await, r#"42/chat,["after",1]"#);
        assert!(
            server
                .send(Disconnect(member.socket.id.clone()))
                .await
                .unwrap()
        );
    }

    #[actix_rt::test]
    async fn a_server_that_panics_too_often_is_replaced() {
        let mut fixture = Fixture::new();
        let address = Server::start(&fixture.registry);
        let server = address.get();
        let member = Member::enter(&fixture.registry.open("/chat")).await;
        for _ in 0..=RestartIntensity::LASTING.restarts {
            server.do_send(Boom("again"));
            is_told(&mut fixture.crashes, "again").await;
        }
        let replacement = address.get();
        assert!(!server.connected() && replacement.connected());
        let emit = Emit::event("after", 1).of("/chat");
        replacement.send(emit).await.unwrap().unwrap();
        assert_eq!(member.read().await, r#"42/chat,["after",1]"#);
    }
}
