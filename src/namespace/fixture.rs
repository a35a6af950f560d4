//! The set-up of the tests of several actors: sockets without a transport, and a message that makes
//! an actor panic.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter, Context, Handler, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::clock::now;
use crate::config::Config;
use crate::handler::ServerContext;
use crate::handshake::Handshake;
use crate::id::Id;
use crate::link::{Link, Outbox};
use crate::members::{Membership, SocketState};
use crate::message::Panicked;
use crate::namespace::registry::Registry;
use crate::namespace::state::NamespaceState;

/// Makes the actor panic with this text.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Boom(pub(crate) &'static str);

macro_rules! explodes {
    ($actor:ty) => {
        impl actix::Handler<$crate::namespace::fixture::Boom> for $actor {
            type Result = ();

            fn handle(&mut self, boom: $crate::namespace::fixture::Boom, _: &mut Self::Context) {
                panic!("{}", boom.0);
            }
        }
    };
}

pub(crate) use explodes;

/// A server without transports, and its reports.
pub(crate) struct Fixture {
    pub(crate) registry: Arc<Registry>,
    pub(crate) crashes: Crashes,
}

impl Fixture {
    /// Starts the registry on this thread's arbiter.
    pub(crate) fn new() -> Self {
        let server_context = ServerContext::default();
        let (reporter, crashes) = unbounded_channel();
        server_context.supervise(Reporter(reporter).start().recipient());
        Self {
            registry: Registry::new(
                server_context.into(),
                Arbiter::current(),
                &Config::new("/"),
                None,
                None,
            ),
            crashes: Crashes(crashes),
        }
    }
}

/// The messages to the program's supervisor.
pub(crate) struct Crashes(UnboundedReceiver<Panicked>);

impl Crashes {
    pub(crate) async fn next(&mut self) -> Panicked {
        within(self.0.recv()).await.unwrap()
    }
}

struct Reporter(UnboundedSender<Panicked>);

impl Actor for Reporter {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Reporter {
    type Result = ();

    fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
        self.0.send(crashed).unwrap();
    }
}

/// A connected socket; its CONNECT packet has been read.
pub(crate) struct Member {
    pub(crate) socket: Arc<SocketState>,
    membership: Arc<Membership>,
}

impl Member {
    pub(crate) async fn enter(namespace: &NamespaceState) -> Self {
        let link = Link::new(
            Id::random(),
            &Arc::new(Config::new("/")),
            Handshake::empty(),
            now(),
        );
        let socket = Arc::new(SocketState::new(
            namespace.membership.shared_name(),
            &link,
            None,
        ));
        socket.accept().unwrap();
        let membership = Arc::clone(&namespace.membership);
        membership.enter(&socket).unwrap();
        let member = Self { socket, membership };
        let sid = member.socket.id.clone();
        let connect = member.read().await;
        assert!(
            connect.ends_with(&format!(r#"{{"sid":"{sid}"}}"#)),
            "{connect}"
        );
        member
    }

    pub(crate) fn join(&self, room: &str) {
        self.membership.join(&self.socket, room).unwrap();
    }

    pub(crate) fn leave(&self, room: &str) {
        self.membership.leave(&self.socket, room);
    }

    /// Takes the content of the outbox, as a poll does.
    pub(crate) async fn read(&self) -> String {
        read(&self.socket.link.outbox).await.unwrap()
    }
}

/// Takes the content of an outbox, or waits for it; `None` if the session has ended.
pub(crate) async fn read(outbox: &Arc<Outbox>) -> Option<String> {
    let mut poll = outbox.begin_poll().unwrap();
    let body = within(poll_fn(|cx| poll.poll_body(cx))).await;
    body.map(|body| String::from_utf8(body).unwrap())
}

/// Waits, with a time limit.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(10), future).await.unwrap()
}
