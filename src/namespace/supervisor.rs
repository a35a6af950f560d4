//! Starts the actors of namespaces and the server's own work, and reports their panics. Rooms are
//! started by their namespace (`actor.rs`).
//!
//! A panic is reported to the program. If an actor is given up, the recipient that was named for it
//! gets a message and replaces the actor. The recipient's actor is not known here.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::{ArbiterHandle, Message, Recipient};
use log::Level;
use parking_lot::Mutex;

use crate::handler::ServerContext;
use crate::logging::{LogKind, Quoted, cut};
use crate::message::{PanicSource, Panicked};
use crate::namespace::actor::{Namespace, NamespaceActor};
use crate::namespace::state::NamespaceState;
use crate::supervision::{ChildPanic, DeadLetter, SupervisionReports, SupervisionRoot, Vitals};
use crate::tasks::TaskGroup;

/// Starts the work of a server that runs beside its clients.
pub(crate) struct Supervisor {
    server_context: Arc<ServerContext>,
    /// The arbiter of namespaces and rooms.
    arbiter: ArbiterHandle,
    /// Work of the server's own that runs beside its actors.
    tasks: TaskGroup<(PanicSource, Arc<str>)>,
    /// The recipient that replaces a namespace's actor.
    replaces: Mutex<Option<Recipient<GivenUp>>>,
    /// The supervisors of the program.
    pub(crate) programs: Arc<SupervisionRoot>,
}

/// A namespace has panicked too often, and its actor has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct GivenUp {
    pub(crate) namespace: String,
}

impl Supervisor {
    pub(super) fn new(server_context: Arc<ServerContext>, arbiter: ArbiterHandle) -> Arc<Self> {
        let told = Arc::clone(&server_context);
        let panicked = move |(source, namespace): (_, Arc<str>), panic| {
            report(&told, source, Some(&namespace), panic);
        };
        let reported = Arc::clone(&server_context);
        Arc::new(Self {
            server_context,
            tasks: TaskGroup::new(arbiter.clone(), panicked),
            programs: SupervisionRoot::new(arbiter.clone(), ProgramReports(reported)),
            arbiter,
            replaces: Mutex::new(None),
        })
    }

    /// Returns the tasks beside the actors, which the end of the server awaits.
    pub(crate) fn tasks(&self) -> &TaskGroup<(PanicSource, Arc<str>)> {
        &self.tasks
    }

    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Sets the recipient of notices about namespaces that are given up.
    pub(super) fn replaced_by(&self, recipient: Recipient<GivenUp>) {
        *self.replaces.lock() = Some(recipient);
    }

    /// Starts a namespace's actor, also as the replacement of one that was given up, whose `vitals`
    /// it continues.
    pub(super) fn start(
        self: &Arc<Self>,
        state: &Arc<NamespaceState>,
        vitals: Arc<Vitals>,
    ) -> NamespaceActor {
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
        let actor = Namespace::start(&self.arbiter, state, vitals, fallen);
        state
            .membership
            .supervised_by(actor.address.clone().recipient());
        actor
    }

    /// Runs work of the server's own beside its actors. Its panic is reported, and the end of the
    /// server waits for it.
    pub(crate) fn spawn(
        &self,
        source: PanicSource,
        namespace: &Arc<str>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn((source, Arc::clone(namespace)), work);
    }

    /// Waits until all of that work has ended.
    pub(crate) async fn settled(&self) {
        self.tasks.ended().await;
    }

    /// Sends a panic to the program's supervisors.
    pub(crate) fn report(&self, source: PanicSource, namespace: Option<&str>, panic: String) {
        report(&self.server_context, source, namespace, panic);
    }
}

fn report(context: &ServerContext, source: PanicSource, namespace: Option<&str>, panic: String) {
    context.report(&Panicked {
        source,
        namespace: namespace.map(str::to_owned),
        socket: None,
        panic,
    });
}

/// The reports of the program's supervisors.
struct ProgramReports(Arc<ServerContext>);

impl SupervisionReports for ProgramReports {
    fn panicked(&self, child: &str, panic: String) {
        report(&self.0, PanicSource::Child(child.to_owned()), None, panic);
    }

    fn failed(&self, child: &str, error: &str) {
        let line = format_args!("child {} has failed: {}", Quoted(child), cut(error));
        self.0.line_limits.write(LogKind::Failed, Level::Warn, line);
    }

    fn escalated(&self, supervisor: &str, text: String) {
        let source = PanicSource::Supervisor(supervisor.to_owned());
        report(&self.0, source, None, text);
    }

    fn restarted(&self, supervisor: &str) {
        self.0.telemetry.metrics.child_restarted(supervisor);
    }

    fn undelivered(&self, supervisor: &str, letter: &DeadLetter, is_taken: bool) {
        self.0.telemetry.metrics.undelivered(supervisor);
        if !is_taken {
            let line = format_args!("{letter}");
            self.0.line_limits.write(LogKind::Failed, Level::Warn, line);
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}
