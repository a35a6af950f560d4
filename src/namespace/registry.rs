//! The state that the actors of one server share: the namespaces by name, and their parts.
//!
//! All parts of the server read it; the server's actor and the builder write it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{Addr, ArbiterHandle};
use log::Level;
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::handler::{Environment, SharedTable, Surroundings, Tasks};
use crate::id::SocketId;
use crate::logging::{LogKind, LogLimits, Quoted, cut};
use crate::message::{CrashPlace, Crashed};
use crate::namespace::actor::Namespace;
use crate::namespace::room::Stop;
use crate::namespace::server::{GivenUp, Server};
use crate::panics::{Caught, catch_panic};
use crate::pattern::{Parameters, Pattern};
use crate::socket::{Adapter, Core, Membership, Recovery, RecoveryOptions};
use crate::socketio::PacketLimits;
use crate::supervision::Fall;

/// The parts of a namespace, without its actor.
#[derive(Debug)]
pub(crate) struct NamespaceCore {
    pub(crate) membership: Arc<Membership>,
    pub(crate) table: Arc<SharedTable>,
    pub(crate) environment: Arc<Environment>,
    /// The actor; a replacement after the first was given up.
    actor: Mutex<Option<Addr<Namespace>>>,
    /// The number of connected and connecting clients, if the namespace is removed with the last
    /// one.
    seats: Option<AtomicUsize>,
}

impl NamespaceCore {
    pub(crate) fn actor(&self) -> Option<Addr<Namespace>> {
        self.actor.lock().clone()
    }
}

/// The namespaces of one pattern: the names that it accepts, and their shared parts.
#[derive(Debug)]
pub(crate) struct PatternCore {
    pub(crate) choice: Choice,
    pub(crate) table: Arc<SharedTable>,
    pub(crate) environment: Arc<Environment>,
    /// Its namespaces are removed with their last client.
    pub(crate) frees: AtomicBool,
}

/// The names that a pattern accepts.
pub(crate) enum Choice {
    Pattern(Pattern),
    Predicate(Box<Predicate>),
}

/// Its arguments are a namespace's name and the client's CONNECT payload.
pub(crate) type Predicate = dyn Fn(&str, &Value) -> bool + Send + Sync;

impl Choice {
    /// Returns the parameters of a name that it accepts.
    fn takes(&self, name: &str, auth: Option<&str>, log: &Arc<LogLimits>) -> Option<Parameters> {
        match self {
            Self::Pattern(pattern) => pattern.fit(name),
            Self::Predicate(predicate) => {
                let auth = auth.and_then(|auth| serde_json::from_str(auth).ok());
                let auth = auth.unwrap_or_else(|| json!({}));
                // Code of the program: if it panics, the name is not accepted.
                let taken = catch_panic(|| predicate(name, &auth)).unwrap_or_else(|panic| {
                    let (name, panic) = (Quoted(name), cut(panic));
                    let line =
                        format_args!("the predicate of a namespace panicked over {name}: {panic}");
                    log.write(LogKind::Panicked, Level::Error, line);
                    false
                });
                taken.then(Vec::new)
            }
        }
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Predicate(_) => f.write_str("Predicate"),
        }
    }
}

/// A client's reservation of a namespace, from its CONNECT to its end.
#[derive(Debug)]
pub(crate) struct Seat {
    namespace: Arc<NamespaceCore>,
    /// The registry that removes the namespace with its last seat.
    freed_by: Option<Arc<Registry>>,
}

impl Deref for Seat {
    type Target = Arc<NamespaceCore>;

    fn deref(&self) -> &Arc<NamespaceCore> {
        &self.namespace
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(registry) = &self.freed_by {
            registry.vacate(&self.namespace);
        }
    }
}

/// The reason why a client gets no seat. The text is for the client, and does not repeat the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// The namespace does not exist, and no pattern accepts the name.
    Unknown,
    /// The name has more than this many bytes.
    NameTooLong(usize),
    /// Patterns have reached their limit of namespaces.
    TooMany,
}

impl fmt::Display for NoSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Invalid namespace"),
            Self::NameTooLong(limit) => {
                write!(f, "the namespace's name has more than {limit} bytes")
            }
            Self::TooMany => f.write_str("too many namespaces"),
        }
    }
}

/// All namespaces.
pub(crate) struct Registry {
    pub(crate) surroundings: Arc<Surroundings>,
    /// The registrations for all namespaces: their own tables follow it.
    pub(crate) common: SharedTable,
    /// The adapter to the other nodes of a cluster.
    pub(crate) adapter: Option<Arc<dyn Adapter>>,
    /// The options of connection state recovery, if it is on.
    recovery: Option<RecoveryOptions>,
    /// The size limits of a packet to a client.
    pub(crate) packets: PacketLimits,
    /// The length limit of the name of a namespace that is made for a client.
    name_limit: usize,
    /// The limit of namespaces that are made for clients and remain without them.
    kept_limit: usize,
    /// Their number; changed under the lock of the namespaces.
    kept: AtomicUsize,
    /// The arbiter of namespaces and rooms.
    arbiter: ArbiterHandle,
    namespaces: RwLock<HashMap<Arc<str>, Arc<NamespaceCore>>>,
    patterns: RwLock<Vec<Arc<PatternCore>>>,
    watchers: RwLock<Vec<Watcher>>,
    server: Mutex<Option<Addr<Server>>>,
    /// Work of the server's own that runs beside its actors.
    tasks: TaskTracker,
}

/// Called for each new namespace.
pub(crate) type Watcher = Arc<dyn Fn(&Arc<NamespaceCore>) + Send + Sync>;

impl Registry {
    pub(crate) fn new(
        surroundings: Arc<Surroundings>,
        arbiter: ArbiterHandle,
        config: &Config,
        adapter: Option<Arc<dyn Adapter>>,
        recovery: Option<RecoveryOptions>,
    ) -> Arc<Self> {
        Arc::new(Self {
            surroundings,
            common: SharedTable::default(),
            packets: config.packets(),
            name_limit: config.namespace_name_limit,
            kept_limit: config.kept_namespaces,
            kept: AtomicUsize::new(0),
            adapter,
            recovery,
            arbiter,
            namespaces: RwLock::default(),
            patterns: RwLock::default(),
            watchers: RwLock::default(),
            server: Mutex::new(None),
            tasks: TaskTracker::new(),
        })
    }

    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Runs work of the server's own beside its actors. Its panic is reported, and the end of the
    /// server waits for it.
    pub(crate) fn spawn(
        &self,
        place: CrashPlace,
        namespace: &Arc<str>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (surroundings, namespace) = (Arc::clone(&self.surroundings), Arc::clone(namespace));
        self.arbiter.spawn(self.tasks.track_future(async move {
            if let Err(panic) = Caught::new(work).await {
                surroundings.report(&Crashed {
                    place,
                    namespace: Some(namespace.as_ref().to_owned()),
                    socket: None,
                    panic,
                });
            }
        }));
    }

    /// Waits until all of that work has ended.
    pub(crate) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn served_by(&self, server: Addr<Server>) {
        *self.server.lock() = Some(server);
    }

    pub(crate) fn server(&self) -> Option<Addr<Server>> {
        self.server.lock().clone()
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<NamespaceCore>> {
        self.namespaces.read().get(name).cloned()
    }

    /// Returns all existing namespaces.
    pub(crate) fn all(&self) -> Vec<Arc<NamespaceCore>> {
        self.namespaces.read().values().cloned().collect()
    }

    /// Returns the namespaces that this pattern has made.
    pub(crate) fn made_by(&self, pattern: &PatternCore) -> Vec<Arc<NamespaceCore>> {
        let namespaces = self.namespaces.read();
        let made = namespaces.values();
        let made = made.filter(|core| Arc::ptr_eq(&core.table, &pattern.table));
        made.cloned().collect()
    }

    /// Adds a pattern after the existing ones.
    pub(crate) fn add_pattern(&self, choice: Choice) -> Arc<PatternCore> {
        let pattern = Arc::new(PatternCore {
            choice,
            table: SharedTable::following(&self.common),
            environment: Environment::within(&self.surroundings),
            frees: AtomicBool::new(false),
        });
        self.patterns.write().push(Arc::clone(&pattern));
        pattern
    }

    /// Calls `watcher` for each namespace that is made from now on.
    pub(crate) fn watch(&self, watcher: Watcher) {
        self.watchers.write().push(watcher);
    }

    /// Returns the namespace of this name, which the program names. If it does not exist it is
    /// started, with the handlers of the first pattern that accepts it. It is never removed.
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Arc<NamespaceCore> {
        if let Some(core) = self.namespace(name) {
            return core;
        }
        let found = self.pattern_of(name, None);
        let (core, is_new) = {
            let mut namespaces = self.namespaces.write();
            self.found(&mut namespaces, name, found.as_ref(), false)
        };
        self.tell_watchers(&core, is_new);
        core
    }

    /// Returns a CONNECT payload for the program: with recovery, without the fields that the client
    /// library adds for it.
    pub(crate) fn shown<'a>(&self, auth: Option<&'a str>) -> Option<Cow<'a, str>> {
        match self.recovery {
            Some(_) => auth.map(Recovery::without_claim),
            None => auth.map(Cow::Borrowed),
        }
    }

    /// Reserves a seat for a client in the namespace of this name, which a pattern may make for it.
    pub(crate) fn seat(self: &Arc<Self>, name: &str, auth: Option<&str>) -> Result<Seat, NoSeat> {
        {
            let namespaces = self.namespaces.read();
            if let Some(core) = namespaces.get(name) {
                return Ok(self.seat_in(core));
            }
        }
        if name.len() > self.name_limit {
            return Err(NoSeat::NameTooLong(self.name_limit));
        }
        // Outside the lock, because a predicate is code of the program.
        let found = self.pattern_of(name, auth).ok_or(NoSeat::Unknown)?;
        let frees = found.0.frees.load(Ordering::Relaxed);
        let (seat, is_new) = {
            let mut namespaces = self.namespaces.write();
            let is_there = frees || namespaces.contains_key(name);
            if !is_there && self.kept.load(Ordering::Relaxed) >= self.kept_limit {
                return Err(NoSeat::TooMany);
            }
            let (core, is_new) = self.found(&mut namespaces, name, Some(&found), frees);
            if is_new && !frees {
                self.kept.fetch_add(1, Ordering::Relaxed);
            }
            (self.seat_in(&core), is_new)
        };
        self.tell_watchers(&seat, is_new);
        Ok(seat)
    }

    /// Called under the lock of the namespaces, at least for reading, so that this one is not
    /// removed.
    fn seat_in(self: &Arc<Self>, core: &Arc<NamespaceCore>) -> Seat {
        let freed_by = core.seats.as_ref().map(|seats| {
            seats.fetch_add(1, Ordering::Relaxed);
            Arc::clone(self)
        });
        Seat {
            namespace: Arc::clone(core),
            freed_by,
        }
    }

    /// Releases a seat, and removes the namespace with the last one.
    fn vacate(&self, core: &Arc<NamespaceCore>) {
        let mut namespaces = self.namespaces.write();
        let Some(seats) = &core.seats else { return };
        if seats.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let name = core.membership.name();
        if namespaces
            .get(name)
            .is_some_and(|found| Arc::ptr_eq(found, core))
        {
            namespaces.remove(name);
            if let Some(adapter) = &self.adapter {
                adapter.leave(core.membership.shared_name());
            }
        }
        drop(namespaces);
        if let Some(actor) = core.actor.lock().take() {
            // A life-cycle message, the actor's last.
            actor.do_send(Stop);
        }
    }

    fn pattern_of(&self, name: &str, auth: Option<&str>) -> Option<(Arc<PatternCore>, Parameters)> {
        let patterns = self.patterns.read().clone();
        patterns.into_iter().find_map(|pattern| {
            let parameters = pattern
                .choice
                .takes(name, auth, &self.surroundings.line_limits)?;
            Some((pattern, parameters))
        })
    }

    /// Finds the namespace, or makes it. Returns whether it is new.
    fn found(
        self: &Arc<Self>,
        namespaces: &mut HashMap<Arc<str>, Arc<NamespaceCore>>,
        name: &str,
        pattern: Option<&(Arc<PatternCore>, Parameters)>,
        frees: bool,
    ) -> (Arc<NamespaceCore>, bool) {
        if let Some(core) = namespaces.get(name) {
            return (Arc::clone(core), false);
        }
        let (table, environment, parameters) = match pattern {
            Some((pattern, parameters)) => (
                Arc::clone(&pattern.table),
                Arc::clone(&pattern.environment),
                parameters.clone(),
            ),
            None => (
                SharedTable::following(&self.common),
                Environment::within(&self.surroundings),
                Parameters::new(),
            ),
        };
        let core = Arc::new(NamespaceCore {
            membership: Membership::with(
                name,
                parameters,
                self.packets,
                self.adapter.clone(),
                self.recovery,
            ),
            table,
            environment,
            actor: Mutex::new(None),
            seats: frees.then(AtomicUsize::default),
        });
        let tasks = Tasks::of(&core.environment, &self.arbiter);
        core.membership.keep_tasks(tasks);
        self.start(&core);
        if let Some(adapter) = &self.adapter {
            adapter.enter(&core.membership);
        }
        let name = Arc::clone(core.membership.shared_name());
        namespaces.insert(name, Arc::clone(&core));
        (core, true)
    }

    fn tell_watchers(&self, core: &Arc<NamespaceCore>, is_new: bool) {
        if !is_new {
            return;
        }
        let watchers = self.watchers.read().clone();
        for watcher in watchers {
            if let Err(panic) = catch_panic(|| watcher(core)) {
                let (name, panic) = (Quoted(core.membership.name()), cut(panic));
                let line = format_args!("who was told of namespace {name} panicked: {panic}");
                self.surroundings
                    .line_limits
                    .write(LogKind::Panicked, Level::Error, line);
            }
        }
    }

    /// Starts the namespace's actor, also as the replacement of one that was given up.
    pub(crate) fn start(self: &Arc<Self>, core: &Arc<NamespaceCore>) {
        let registry = Arc::downgrade(self);
        let fallen = {
            let name = core.membership.name().to_owned();
            move |fall: Fall| {
                let Some(registry) = registry.upgrade() else {
                    return;
                };
                registry.report(CrashPlace::Namespace, Some(&name), fall.panic);
                if fall.given_up
                    && let Some(server) = registry.server()
                {
                    // A life-cycle message to the parent.
                    server.do_send(GivenUp {
                        namespace: name.clone(),
                    });
                }
            }
        };
        let actor = Namespace::start(&self.arbiter, core, fallen);
        core.membership.supervised_by(actor.clone().recipient());
        *core.actor.lock() = Some(actor);
    }

    /// Finds a socket in any namespace.
    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<Core>> {
        let namespaces = self.namespaces.read();
        namespaces
            .values()
            .find_map(|namespace| namespace.membership.socket(id))
    }

    pub(crate) fn report(&self, place: CrashPlace, namespace: Option<&str>, panic: String) {
        self.surroundings.report(&Crashed {
            place,
            namespace: namespace.map(str::to_owned),
            socket: None,
            panic,
        });
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("namespaces", &self.namespaces.read().len())
            .finish_non_exhaustive()
    }
}
