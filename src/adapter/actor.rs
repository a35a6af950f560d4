//! The adapter's actor: it keeps this node connected.
//!
//! * receives: nothing; it polls the connections, which take what is queued and do what is heard;
//! * sends: frames, into the outboxes of those who are meant; answers, into its own queue;
//! * parent: the builder, which starts it with the server;
//! * ends: when the server is closed and what was queued has been sent, or with the system.
//!
//! What is queued, what is listened to and who waits for answers lies in the shared [`Node`], so
//! that a restart loses nothing but its connections, which it makes anew.

use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{
    Actor, ActorContext, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Supervised,
};

use crate::actor::{Fall, Intensity, start_on};
use crate::adapter::node::Node;
use crate::adapter::{forward, listener, publisher, reader};
use crate::socket::Adapter;

/// The actor.
#[derive(Debug)]
pub(crate) struct Connections {
    node: Arc<Node>,
}

/// Starts the actor, and another in its place where it panics too often.
pub(crate) fn start(
    node: &Arc<Node>,
    arbiter: &ArbiterHandle,
    fallen: Arc<dyn Fn(Fall) + Send + Sync>,
) {
    let actor = Connections {
        node: Arc::clone(node),
    };
    let (same, again) = (Arc::clone(node), arbiter.clone());
    let told = move |fall: Fall| {
        let given_up = fall.given_up;
        fallen(fall);
        if given_up {
            start(&same, &again, Arc::clone(&fallen));
        }
    };
    let started = start_on(arbiter, Intensity::LASTING, told, move |_| actor);
    *node.actor.lock() = Some(started);
}

impl Connections {
    fn connect(&self, ctx: &mut Context<Self>) {
        ctx.spawn(wrap_future(publisher::run(Arc::clone(&self.node))));
        ctx.spawn(wrap_future(listener::run(Arc::clone(&self.node))));
        ctx.spawn(wrap_future(reader::run(Arc::clone(&self.node))));
        ctx.spawn(wrap_future(forward::watch(Arc::clone(&self.node))));
        ctx.spawn(wrap_future(remember(Arc::clone(&self.node))));
        let node = Arc::clone(&self.node);
        let closed = wrap_future(async move { node.closed.cancelled().await });
        ctx.spawn(closed.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
    }
}

impl Actor for Connections {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.connect(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.node.ended();
    }
}

impl Supervised for Connections {}

/// Writes down again and again what sockets have: after a crash another node finds what was
/// written.
async fn remember(node: Arc<Node>) {
    if !node.remembers() {
        return;
    }
    loop {
        tokio::time::sleep(REMEMBER).await;
        for membership in node.memberships() {
            let Some(recovery) = &membership.recovery else {
                continue;
            };
            // No socket is held on to while Redis is away.
            let here: Vec<_> = recovery.lock().here().iter().map(Arc::downgrade).collect();
            for some in here.chunks(REMEMBERED) {
                for socket in some.iter().filter_map(Weak::upgrade) {
                    membership.remember(&socket);
                }
                node.queue.recorded().await;
            }
        }
    }
}

/// How often what sockets have is written down again.
const REMEMBER: Duration = Duration::from_secs(10);

/// Sockets whose state is written down at once.
const REMEMBERED: usize = 256;
