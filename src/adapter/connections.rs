//! The adapter's actor: it keeps this node connected.
//!
//! * receives: nothing; it polls the connections, which publish queued messages and deliver
//!   received ones;
//! * sends: frames into the outboxes of the recipients; answers into its own queue;
//! * parent: the builder, which starts it with the server;
//! * ends: after the server was closed and queued messages were sent, or with the actix system.
//!
//! The queue, the subscriptions and the pending questions belong to the shared [`Node`], so a
//! restart loses only the connections, which it makes again.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, ArbiterHandle, AsyncContext, Context};

use crate::adapter::node::Node;
use crate::adapter::setup::AdapterSetup;
use crate::config::SocketConfig;
use crate::supervision::{ChildPanic, RestartIntensity, Vitals, start_on};

/// The actor.
#[derive(Debug)]
pub(crate) struct Connections {
    node: Arc<Node>,
}

/// Starts a node, and the actor that runs its connections.
pub(crate) fn start(
    setup: AdapterSetup,
    arbiter: &ArbiterHandle,
    sockets: &SocketConfig,
    fallen: impl Fn(ChildPanic) + Send + Sync + 'static,
) -> Arc<Node> {
    let fallen: Arc<dyn Fn(ChildPanic) + Send + Sync> = Arc::new(fallen);
    let node = Node::new(setup, arbiter, sockets, Arc::clone(&fallen));
    run(&node, arbiter, fallen);
    node
}

/// Starts the actor, and a replacement if it panics too often.
fn run(node: &Arc<Node>, arbiter: &ArbiterHandle, fallen: Arc<dyn Fn(ChildPanic) + Send + Sync>) {
    let (same, again) = (Arc::clone(node), arbiter.clone());
    let told = move |fall: ChildPanic| {
        let given_up = fall.given_up;
        fallen(fall);
        if given_up {
            run(&same, &again, Arc::clone(&fallen));
        }
    };
    let connected = Arc::clone(node);
    let intensity = RestartIntensity::LASTING;
    let started = start_on(arbiter, &Vitals::new(), intensity, told, move |_| {
        Connections {
            node: Arc::clone(&connected),
        }
    });
    node.keep_running(started);
}

impl Connections {
    fn connect(&self, ctx: &mut Context<Self>) {
        for task in self.node.connections() {
            ctx.spawn(wrap_future(task));
        }
        let closed = self.node.closed();
        let closed = wrap_future(async move { closed.cancelled().await });
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
