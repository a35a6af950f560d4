//! The namespaces of a server by name, each with the address of its actor.
//!
//! If a name has no namespace yet, the first pattern that matches it makes one. Any thread reads and
//! makes namespaces; each client holds a lease of its own. The values of a namespace are in
//! `state.rs`; `supervisor.rs` starts and replaces its actor.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{Addr, ArbiterHandle};
use log::Level;
use parking_lot::RwLock;

use crate::config::{Config, Parsers};
use crate::handler::{Handlers, ServerContext, Tasks};
use crate::id::SocketId;
use crate::logging::{LogKind, Quoted, cut};
use crate::members::{Adapter, Membership, Recovery, RecoveryOptions};
use crate::namespace::actor::{Namespace, NamespaceActor};
use crate::namespace::cluster::Cluster;
use crate::namespace::room::Stop;
use crate::namespace::state::{NamespaceMatcher, NamespaceState, PatternState};
use crate::namespace::supervisor::Supervisor;
use crate::panics::catch_panic;
use crate::pattern::Parameters;
use crate::socket::Socket;
use crate::socketio::PacketLimits;
use crate::supervision::Vitals;

/// A client's reservation of a namespace, from its CONNECT to its end.
#[derive(Debug)]
pub(crate) struct NamespaceLease {
    namespace: Arc<NamespaceState>,
    /// The registry that removes the namespace with its last lease.
    freed_by: Option<Arc<Registry>>,
}

impl Deref for NamespaceLease {
    type Target = Arc<NamespaceState>;

    fn deref(&self) -> &Arc<NamespaceState> {
        &self.namespace
    }
}

impl Drop for NamespaceLease {
    fn drop(&mut self) {
        if let Some(registry) = &self.freed_by {
            registry.release(&self.namespace);
        }
    }
}

/// Why a client gets no lease; the text is for the client, and does not repeat the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseRefused {
    /// The namespace does not exist, and no pattern accepts the name.
    Unknown,
    /// The name has more than this many bytes.
    NameTooLong(usize),
    /// Patterns have reached their limit of namespaces.
    TooMany,
}

impl fmt::Display for LeaseRefused {
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
    pub(crate) server_context: Arc<ServerContext>,
    pub(crate) supervisor: Arc<Supervisor>,
    /// The handlers for all namespaces: their own tables follow it.
    pub(crate) common: Handlers,
    /// This node of a cluster; a server without one is alone.
    pub(crate) cluster: Option<Arc<dyn Cluster>>,
    /// The options of connection state recovery, if it is on.
    recovery: Option<RecoveryOptions>,
    /// The size limits of a packet to a client.
    pub(crate) packets: PacketLimits,
    pub(crate) parsers: Arc<Parsers>,
    /// The size from which the WebSockets of clients compress a packet, if they do.
    compressed_from: Option<usize>,
    /// The length limit of the name of a namespace that is made for a client.
    name_limit: usize,
    /// The limit of namespaces that are made for clients and remain without them.
    kept_limit: usize,
    /// Their number; changed under the lock of the namespaces.
    kept: AtomicUsize,
    namespaces: RwLock<Namespaces>,
    patterns: RwLock<Vec<Arc<PatternState>>>,
    watchers: RwLock<Vec<Watcher>>,
}

/// The namespaces by name.
type Namespaces = HashMap<Arc<str>, Entry>;

struct Entry {
    state: Arc<NamespaceState>,
    /// Another one after the first was given up.
    actor: NamespaceActor,
}

/// Called for each new namespace.
pub(crate) type Watcher = Arc<dyn Fn(&Arc<NamespaceState>) + Send + Sync>;

impl Registry {
    pub(crate) fn new(
        server_context: Arc<ServerContext>,
        arbiter: ArbiterHandle,
        config: &Config,
        cluster: Option<Arc<dyn Cluster>>,
        recovery: Option<RecoveryOptions>,
    ) -> Arc<Self> {
        let limits = &config.limits;
        let deflate = config.engine.per_message_deflate.as_ref();
        Arc::new(Self {
            supervisor: Supervisor::new(Arc::clone(&server_context), arbiter),
            common: Handlers::common(&server_context),
            server_context,
            packets: limits.packets(),
            parsers: Arc::clone(&config.parsers),
            compressed_from: deflate.map(|options| options.threshold),
            name_limit: limits.namespace_name_limit,
            kept_limit: limits.kept_namespaces,
            kept: AtomicUsize::new(0),
            cluster,
            recovery,
            namespaces: RwLock::default(),
            patterns: RwLock::default(),
            watchers: RwLock::default(),
        })
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<NamespaceState>> {
        let namespaces = self.namespaces.read();
        let found = namespaces.get(name);
        found.map(|entry| Arc::clone(&entry.state))
    }

    /// Returns the address of a namespace's actor, as long as the namespace is here.
    pub(crate) fn actor(&self, state: &Arc<NamespaceState>) -> Option<Addr<Namespace>> {
        let namespaces = self.namespaces.read();
        let found = namespaces.get(state.membership.name());
        let found = found.filter(|entry| Arc::ptr_eq(&entry.state, state));
        found.map(|entry| entry.actor.address.clone())
    }

    /// Gives a namespace another actor, whose first was given up.
    pub(super) fn replace(&self, name: &str) {
        if let Some(entry) = self.namespaces.write().get_mut(name) {
            let vitals = Arc::clone(&entry.actor.vitals);
            entry.actor = self.supervisor.start(&entry.state, vitals);
        }
    }

    /// Returns all existing namespaces.
    pub(crate) fn all(&self) -> Vec<Arc<NamespaceState>> {
        let namespaces = self.namespaces.read();
        let states = namespaces.values().map(|entry| &entry.state);
        states.cloned().collect()
    }

    /// Returns all existing namespaces with their actors.
    pub(crate) fn actors(&self) -> Vec<(Arc<NamespaceState>, NamespaceActor)> {
        let namespaces = self.namespaces.read();
        let entries = namespaces.values();
        entries
            .map(|entry| (Arc::clone(&entry.state), entry.actor.clone()))
            .collect()
    }

    /// Returns the namespaces that this pattern has made.
    pub(crate) fn made_by(&self, pattern: &PatternState) -> Vec<Arc<NamespaceState>> {
        let namespaces = self.namespaces.read();
        let made = namespaces.values().map(|entry| &entry.state);
        let handlers = &pattern.handlers;
        let made = made.filter(|state| Arc::ptr_eq(&state.handlers.table, &handlers.table));
        made.cloned().collect()
    }

    /// Adds a pattern after the existing ones.
    pub(crate) fn add_pattern(&self, matcher: NamespaceMatcher) -> Arc<PatternState> {
        let pattern = Arc::new(PatternState {
            handlers: Handlers::following(&self.common, &matcher.to_string()),
            matcher,
            frees: AtomicBool::new(false),
            user_policy: RwLock::new(None),
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
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Arc<NamespaceState> {
        if let Some(state) = self.namespace(name) {
            return state;
        }
        let found = self.pattern_of(name, None);
        let (state, is_new) = {
            let mut namespaces = self.namespaces.write();
            self.found(&mut namespaces, name, found.as_ref(), false)
        };
        self.tell_watchers(&state, is_new);
        state
    }

    /// Returns a CONNECT payload for the program: with recovery, without the fields that the client
    /// library adds for it.
    pub(crate) fn shown<'a>(&self, auth: Option<&'a str>) -> Option<Cow<'a, str>> {
        match self.recovery {
            Some(_) => auth.map(Recovery::without_request),
            None => auth.map(Cow::Borrowed),
        }
    }

    /// Gives a client a lease of the namespace of this name, which a pattern may make for it.
    pub(crate) fn lease(
        self: &Arc<Self>,
        name: &str,
        auth: Option<&str>,
    ) -> Result<NamespaceLease, LeaseRefused> {
        {
            let namespaces = self.namespaces.read();
            if let Some(entry) = namespaces.get(name) {
                return Ok(self.lease_of(&entry.state));
            }
        }
        if name.len() > self.name_limit {
            return Err(LeaseRefused::NameTooLong(self.name_limit));
        }
        // Outside the lock, because a predicate is code of the program.
        let found = self.pattern_of(name, auth).ok_or(LeaseRefused::Unknown)?;
        let frees = found.0.frees.load(Ordering::Relaxed);
        let (lease, is_new) = {
            let mut namespaces = self.namespaces.write();
            let is_there = frees || namespaces.contains_key(name);
            if !is_there && self.kept.load(Ordering::Relaxed) >= self.kept_limit {
                return Err(LeaseRefused::TooMany);
            }
            let (state, is_new) = self.found(&mut namespaces, name, Some(&found), frees);
            if is_new && !frees {
                self.kept.fetch_add(1, Ordering::Relaxed);
            }
            (self.lease_of(&state), is_new)
        };
        self.tell_watchers(&lease, is_new);
        Ok(lease)
    }

    /// Called under the lock of the namespaces, at least for reading, so that this one is not
    /// removed.
    fn lease_of(self: &Arc<Self>, state: &Arc<NamespaceState>) -> NamespaceLease {
        let freed_by = state.leases.as_ref().map(|leases| {
            leases.fetch_add(1, Ordering::Relaxed);
            Arc::clone(self)
        });
        NamespaceLease {
            namespace: Arc::clone(state),
            freed_by,
        }
    }

    /// Ends a lease, and frees the namespace with the last.
    fn release(&self, state: &Arc<NamespaceState>) {
        let mut namespaces = self.namespaces.write();
        let Some(leases) = &state.leases else { return };
        if leases.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let name = state.membership.name();
        // A removed namespace may have a successor of the same name.
        let is_it = |found: &Entry| Arc::ptr_eq(&found.state, state);
        if !namespaces.get(name).is_some_and(is_it) {
            return;
        }
        let freed = namespaces.remove(name);
        if let Some(cluster) = &self.cluster {
            cluster.leave(state.membership.shared_name());
        }
        drop(namespaces);
        if let Some(Entry { actor, .. }) = freed {
            // A life-cycle message, the actor's last.
            actor.address.do_send(Stop);
        }
    }

    fn pattern_of(
        &self,
        name: &str,
        auth: Option<&str>,
    ) -> Option<(Arc<PatternState>, Parameters)> {
        let patterns = self.patterns.read().clone();
        patterns.into_iter().find_map(|pattern| {
            let parameters = pattern
                .matcher
                .takes(name, auth, &self.server_context.line_limits)?;
            Some((pattern, parameters))
        })
    }

    /// Finds the namespace, or makes it. Returns whether it is new.
    fn found(
        self: &Arc<Self>,
        namespaces: &mut Namespaces,
        name: &str,
        pattern: Option<&(Arc<PatternState>, Parameters)>,
        frees: bool,
    ) -> (Arc<NamespaceState>, bool) {
        if let Some(entry) = namespaces.get(name) {
            return (Arc::clone(&entry.state), false);
        }
        let (handlers, parameters) = match pattern {
            Some((pattern, parameters)) => (pattern.handlers.clone(), parameters.clone()),
            None => (Handlers::following(&self.common, name), Parameters::new()),
        };
        let state = Arc::new(NamespaceState {
            membership: Membership::with(
                name,
                parameters,
                self.packets,
                &self.parsers,
                &self.server_context.limit_hooks,
                self.adapter(),
                self.recovery,
            ),
            handlers,
            tasks: self.supervisor.tasks().clone(),
            leases: frees.then(AtomicUsize::default),
        });
        let tasks = Tasks::of(&state.handlers.context, self.supervisor.arbiter());
        state.membership.keep_tasks(tasks);
        if let Some(threshold) = self.compressed_from {
            state.membership.compress_from(threshold);
        }
        let policy = pattern.and_then(|(pattern, _)| *pattern.user_policy.read());
        if let Some(policy) = policy {
            state.membership.set_user_policy(policy);
        }
        state.membership.host_rooms(&state.handlers.rooms);
        let actor = self.supervisor.start(&state, Vitals::new());
        if let Some(cluster) = &self.cluster {
            cluster.enter(&state.membership);
        }
        let name = Arc::clone(state.membership.shared_name());
        let entry = Entry {
            state: Arc::clone(&state),
            actor,
        };
        namespaces.insert(name, entry);
        (state, true)
    }

    fn tell_watchers(&self, state: &Arc<NamespaceState>, is_new: bool) {
        if !is_new {
            return;
        }
        let watchers = self.watchers.read().clone();
        for watcher in watchers {
            if let Err(panic) = catch_panic(|| watcher(state)) {
                let (name, panic) = (Quoted(state.membership.name()), cut(panic));
                let line =
                    format_args!("`on_new_namespace` panicked for namespace {name}: {panic}");
                self.server_context
                    .line_limits
                    .write(LogKind::Panicked, Level::Error, line);
            }
        }
    }

    /// Makes a namespace without sockets for messages to the other nodes, which the registry does not
    /// keep. Returns `None` for a server without an adapter.
    #[cfg(feature = "admin")]
    pub(crate) fn elsewhere(&self, name: &str) -> Option<Arc<Membership>> {
        let adapter = Some(self.adapter()?);
        Some(Membership::with(
            name,
            Parameters::new(),
            self.packets,
            &self.parsers,
            &self.server_context.limit_hooks,
            adapter,
            None,
        ))
    }

    /// Returns the adapter of the namespaces.
    pub(super) fn adapter(&self) -> Option<Arc<dyn Adapter>> {
        Some(Arc::clone(self.cluster.as_ref()?) as _)
    }

    /// Finds a socket in any namespace.
    pub(crate) fn socket(&self, id: &SocketId) -> Option<Socket> {
        let namespaces = self.namespaces.read();
        namespaces
            .values()
            .find_map(|entry| Socket::find(&entry.state.membership, id))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("namespaces", &self.namespaces.read().len())
            .finish_non_exhaustive()
    }
}
