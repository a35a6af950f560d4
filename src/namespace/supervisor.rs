//! Starts the actors of namespaces and the server's own work, and reports their panics. Rooms are
//! started by their namespace (`actor.rs`).
//!
//! A panic is reported to the program. If an actor is given up, the recipient that was named for it
//! gets a message and replaces the actor. The recipient's actor is not known here.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::{Addr, ArbiterHandle, Message, Recipient};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::handler::ServerContext;
use crate::message::{PanicSource, Panicked};
use crate::namespace::actor::Namespace;
use crate::namespace::core::NamespaceState;
use crate::panics::Caught;
use crate::supervision::ChildPanic;

/// Starts the work of a server that runs beside its clients.
pub(crate) struct Supervisor {
    server_context: Arc<ServerContext>,
    /// The arbiter of namespaces and rooms.
    arbiter: ArbiterHandle,
    /// Work of the server's own that runs beside its actors.
    tasks: TaskTracker,
    /// The recipient that replaces a namespace's actor.
    replaces: Mutex<Option<Recipient<GivenUp>>>,
}

/// A namespace has panicked too often, and its actor has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct GivenUp {
    pub(crate) namespace: String,
}

impl Supervisor {
    pub(super) fn new(server_context: Arc<ServerContext>, arbiter: ArbiterHandle) -> Arc<Self> {
        Arc::new(Self {
            server_context,
            arbiter,
            tasks: TaskTracker::new(),
            replaces: Mutex::new(None),
        })
    }

    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Sets the recipient of notices about namespaces that are given up.
    pub(super) fn replaced_by(&self, recipient: Recipient<GivenUp>) {
        *self.replaces.lock() = Some(recipient);
    }

    /// Starts a namespace's actor, also as the replacement of one that was given up.
    pub(super) fn start(self: &Arc<Self>, state: &Arc<NamespaceState>) -> Addr<Namespace> {
        let supervisor = Arc::downgrade(self);
        let name = state.membership.name().to_owned();
        let fallen = move |fall: ChildPanic| {
            let Some(supervisor) = supervisor.upgrade() else {
                return;
            };
            supervisor.report(PanicSource::Namespace, Some(&name), fall.panic);
            let replaces = supervisor.replaces.lock().clone();
            if fall.given_up
                && let Some(replaces) = replaces
            {
                // A life-cycle message to the parent.
                replaces.do_send(GivenUp {
                    namespace: name.clone(),
                });
            }
        };
        let actor = Namespace::start(&self.arbiter, state, fallen);
        state.membership.supervised_by(actor.clone().recipient());
        actor
    }

    /// Runs work of the server's own beside its actors. Its panic is reported, and the end of the
    /// server waits for it.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        source: PanicSource,
        namespace: &Arc<str>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (supervisor, namespace) = (Arc::clone(self), Arc::clone(namespace));
        self.arbiter.spawn(self.tasks.track_future(async move {
            if let Err(panic) = Caught::new(work).await {
                supervisor.report(source, Some(&namespace), panic);
            }
        }));
    }

    /// Waits until all of that work has ended.
    pub(crate) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Sends a panic to the program's supervisors.
    pub(crate) fn report(&self, source: PanicSource, namespace: Option<&str>, panic: String) {
        self.server_context.report(&Panicked {
            source,
            namespace: namespace.map(str::to_owned),
            socket: None,
            panic,
        });
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}
