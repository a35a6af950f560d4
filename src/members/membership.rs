//! One namespace: its name and limits, its sockets, its observers, its adapter and its recovery.
//!
//! It outlives the namespace's actor, which continues with it after a restart. The joins and leaves
//! are in `rooms.rs`, the broadcasts in `relay.rs`, and the connects and ends of sockets in
//! `returning.rs`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{ArbiterHandle, Recipient};
use log::Level;
use parking_lot::RwLock;
use serde::Serialize;

use crate::config::{ParserId, Parsers};
use crate::error::EmitError;
use crate::id::SocketId;
use crate::limits::{Limit, LimitHit, LimitHooks};
use crate::link::{EmittedEvent, Outgoing};
use crate::logging::{TARGET_EVENT, plain};
use crate::members::adapter::Adapter;
use crate::members::audience::Audience;
use crate::members::encode::Encoder;
use crate::members::hosting::Hosts;
use crate::members::lists::{Lists, RoomChange, SharedMembers};
use crate::members::log_lines::log_emit;
use crate::members::outgoing::Observers;
use crate::members::recovery::{Recovery, RecoveryOptions};
use crate::members::server_side::ServerSide;
use crate::members::socket::SocketState;
use crate::pattern::Parameters;
use crate::socketio::{Args, ArgsError, Encoding, PacketLimits};
use crate::user::{UserPolicy, user_of};

/// A namespace's sockets and rooms.
#[derive(Debug)]
pub(crate) struct Membership {
    name: Arc<str>,
    /// The parameters of its name, if it was made by a pattern.
    parameters: Parameters,
    /// The size limits of a packet to its clients.
    pub(crate) packets: PacketLimits,
    parsers: Arc<Parsers>,
    limit_hooks: LimitHooks,
    pub(super) lists: RwLock<Lists>,
    next_ack: AtomicU64,
    pub(crate) observers: Observers,
    pub(crate) server_side: ServerSide,
    /// The adapter to the other nodes; a server without one is alone.
    pub(crate) adapter: Option<Arc<dyn Adapter>>,
    /// The recovery state of its clients; if it is `None` they always start new sessions.
    pub(crate) recovery: Option<Recovery>,
    /// The actor that supervises the rooms.
    pub(super) supervisor: RwLock<Option<Recipient<RoomChange>>>,
    /// The rule for several sockets of one user, if the program has set one here.
    user_policy: RwLock<Option<UserPolicy>>,
    /// The actors of the program for the namespace or its rooms.
    pub(super) hosts: Hosts,
    /// Set once, by the maker of the namespace.
    pub(crate) task_keeper: OnceLock<Box<dyn TaskKeeper>>,
    /// The size from which the WebSockets of clients compress a packet, if any does. Set once too.
    compressed_from: OnceLock<usize>,
}

impl Membership {
    /// Makes a namespace of a server without an adapter.
    #[allow(dead_code, reason = "tests and the feature `testing` make such")]
    pub(crate) fn new(name: &str, parameters: Parameters) -> Arc<Self> {
        let (hooks, parsers) = (LimitHooks::default(), Arc::default());
        let packets = PacketLimits::NONE;
        Self::with(name, parameters, packets, &parsers, &hooks, None, None)
    }

    pub(crate) fn with(
        name: &str,
        parameters: Parameters,
        packets: PacketLimits,
        parsers: &Arc<Parsers>,
        limit_hooks: &LimitHooks,
        adapter: Option<Arc<dyn Adapter>>,
        recovery: Option<RecoveryOptions>,
    ) -> Arc<Self> {
        let own = match &adapter {
            Some(adapter) if recovery.is_some() && adapter.stores_records() => adapter.reserve(),
            _ => 0,
        };
        Arc::new(Self {
            name: name.into(),
            parameters,
            packets,
            parsers: Arc::clone(parsers),
            limit_hooks: limit_hooks.clone(),
            lists: RwLock::default(),
            next_ack: AtomicU64::new(0),
            observers: Observers::default(),
            server_side: ServerSide::default(),
            adapter,
            recovery: recovery.map(|options| Recovery::new(options, own)),
            supervisor: RwLock::new(None),
            user_policy: RwLock::new(None),
            hosts: Hosts::default(),
            task_keeper: OnceLock::new(),
            compressed_from: OnceLock::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns an acknowledgement id. Ids are unique in the namespace, so that a call to many
    /// sockets can share one.
    pub(crate) fn next_ack(&self) -> u64 {
        self.next_ack.fetch_add(1, Ordering::Relaxed)
    }

    /// Encodes an event for one socket or for many, and passes it to the observers.
    pub(crate) fn event<T>(
        &self,
        id: Option<u64>,
        name: &str,
        data: &T,
        recipient: Option<&SocketState>,
    ) -> Result<Outgoing, EmitError>
    where
        T: Serialize + ?Sized,
    {
        let encoded = match recipient {
            Some(socket) => {
                Encoder::of(&socket.link).event(&self.name, id, name, data, self.packets)
            }
            None => self.for_all(|encoder| encoder.event(&self.name, id, name, data, self.packets)),
        };
        let recipient = recipient.map(|socket| &socket.id);
        let packet = encoded.map_err(|error| self.not_encoded(error, name, recipient))?;
        self.observers.show(&self.name, name, data, recipient);
        if let Some(id) = recipient {
            self.delivered(name, data, || vec![id.clone()]);
        }
        if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            self.log_emit_to(name, packet.len(), recipient);
        }
        Ok(match recipient {
            None => self.shared(packet),
            Some(_) => packet,
        })
    }

    /// Returns an error if an event with these arguments exceeds the size limits of a packet.
    pub(crate) fn check_size(
        &self,
        event: &str,
        args: &Args,
        recipient: Option<&SocketId>,
    ) -> Result<(), EmitError> {
        let checked = args.check(self.packets).map_err(EmitError::Encode);
        checked.map_err(|error| self.not_encoded(error, event, recipient))
    }

    /// Reports an event that exceeds `packet_limit`, and returns the error.
    #[cold]
    fn not_encoded(
        &self,
        error: EmitError,
        event: &str,
        recipient: Option<&SocketId>,
    ) -> EmitError {
        if let EmitError::Encode(ArgsError::TooLarge { limit, .. }) = error {
            let hit = LimitHit::new(Limit::PacketLimit, limit);
            let hit = hit.in_namespace(&self.name).of_event(event);
            match recipient.map(|id| (id, self.socket(id))) {
                Some((id, Some(socket))) => socket.link.report_hit(hit.of_socket(id)),
                Some((id, None)) => self.limit_hooks.hit(&hit.of_socket(id)),
                None => self.limit_hooks.hit(&hit),
            }
        }
        error
    }

    /// Logs an event to one socket; broadcasts log their audience.
    #[cold]
    fn log_emit_to(&self, event: &str, size: usize, recipient: Option<&SocketId>) {
        match recipient.map(|id| (id, self.socket(id))) {
            Some((_, Some(socket))) => log_emit(event, size, &socket),
            Some((id, None)) => log_emit(event, size, &format_args!("socket {id}")),
            None => {}
        }
    }

    /// Passes an event and its recipients on this node to the observers of deliveries.
    pub(crate) fn delivered<T>(
        &self,
        name: &str,
        data: &T,
        recipients: impl FnOnce() -> Vec<SocketId>,
    ) where
        T: Serialize + ?Sized,
    {
        if self.observers.has_of_deliveries()
            && let Ok(args) = Args::from_value(data)
        {
            self.observers.show_delivery(name, &args, &recipients());
        }
    }

    /// The same for the sockets of an audience.
    pub(crate) fn delivered_to<T>(&self, name: &str, data: &T, audience: &Audience)
    where
        T: Serialize + ?Sized,
    {
        self.delivered(name, data, || {
            let sockets = self.select(audience);
            sockets.iter().map(|socket| socket.id.clone()).collect()
        });
    }

    /// The same for an event of another node, whose list begins with its name.
    #[cfg(feature = "cluster")]
    pub(crate) fn relayed_to(&self, list: &Args, audience: &Audience) {
        if self.observers.has_of_deliveries()
            && let Ok((name, args)) = list.split_first::<String>()
        {
            self.delivered_to(&name, &args, audience);
        }
    }

    /// Passes an event to the observers.
    pub(crate) fn shown(&self, name: &str, args: &Args, recipient: Option<&SocketId>) {
        self.observers.show(&self.name, name, args, recipient);
    }

    /// Encodes an event whose list of name and arguments is given, and whose observers have received
    /// it.
    pub(crate) fn relayed(&self, id: Option<u64>, list: &Args) -> Outgoing {
        let parsers = &*self.parsers;
        if parsers.are_json() {
            let encoder = Encoder::new(parsers, ParserId::JSON);
            // In JSON each list has a form.
            let packet = encoder.relayed(&self.name, id, list);
            return self.shared(packet.unwrap_or_else(|_| Outgoing::nothing(ParserId::JSON)));
        }
        // A parser in which the list has no form takes nothing from the clients of the others.
        let mut made = parsers.in_use().filter_map(|parser| {
            let encoded = Encoder::new(parsers, parser).relayed(&self.name, id, list);
            let report = |error: &ArgsError| {
                let namespace = plain(&self.name);
                log::error!("an event in namespace {namespace} has no form in a parser: {error}");
            };
            encoded.inspect_err(report).ok()
        });
        let first = made.next();
        let first = first.unwrap_or_else(|| Outgoing::nothing(parsers.default_parser()));
        let packet = first.with_others(made.collect());
        let list = list.clone();
        self.shared(packet.with_source(EmittedEvent { id, list }))
    }

    /// Returns the arguments of an event in the form that most likely is encoded.
    pub(crate) fn args_of<T>(&self, data: &T) -> Result<Args, ArgsError>
    where
        T: Serialize + ?Sized,
    {
        let mut in_use = self.parsers.in_use();
        match in_use.next().map(|parser| self.parsers.get(parser)) {
            Some(Encoding::MessagePack(_)) => Args::pack(data),
            Some(Encoding::Json | Encoding::Own(_)) | None => Args::from_value(data),
        }
    }

    /// Encodes a packet once for each parser that clients use.
    #[inline]
    fn for_all<E>(
        &self,
        encode: impl Fn(Encoder<'_>) -> Result<Outgoing, E>,
    ) -> Result<Outgoing, E> {
        if self.parsers.are_json() {
            return encode(Encoder::new(&self.parsers, ParserId::JSON));
        }
        let encoders = self.parsers.in_use();
        let mut encoders = encoders.map(|parser| Encoder::new(&self.parsers, parser));
        let first = encoders.next();
        let first = encode(first.unwrap_or(Encoder::new(&self.parsers, ParserId::JSON)))?;
        let others: Vec<_> = encoders.map(encode).collect::<Result<_, _>>()?;
        Ok(first.with_others(others))
    }

    /// Sets the actor that supervises the rooms.
    pub(crate) fn supervised_by(&self, namespace: Recipient<RoomChange>) {
        *self.supervisor.write() = Some(namespace);
    }

    pub(crate) fn socket(&self, id: &SocketId) -> Option<Arc<SocketState>> {
        let lists = self.lists.read();
        let key = lists.keys.get(id)?;
        lists.sockets.get(key).cloned()
    }

    /// Returns the number of sockets.
    pub(crate) fn count(&self) -> usize {
        self.lists.read().sockets.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<SocketState>> {
        self.lists.read().sockets.values().cloned().collect()
    }

    pub(crate) fn room(&self, name: &str) -> Option<SharedMembers> {
        self.lists.read().rooms.get(name).cloned()
    }

    /// Returns the rooms with members, without those of users.
    pub(crate) fn rooms(&self) -> Vec<(Arc<str>, SharedMembers)> {
        let rooms = &self.lists.read().rooms;
        let rooms = rooms.iter().filter(|(name, _)| user_of(name).is_none());
        let shared =
            |(name, members): (&Arc<str>, &SharedMembers)| (Arc::clone(name), Arc::clone(members));
        rooms.map(shared).collect()
    }

    pub(crate) fn set_user_policy(&self, policy: UserPolicy) {
        *self.user_policy.write() = Some(policy);
    }

    /// Returns the rule for several sockets of one user, if the program has set one here.
    pub(crate) fn user_policy(&self) -> Option<UserPolicy> {
        *self.user_policy.read()
    }

    /// Sets the keeper of the tasks of the namespace's sockets; the first one is used.
    pub(crate) fn keep_tasks(&self, keeper: Box<dyn TaskKeeper>) {
        let _ = self.task_keeper.set(keeper);
    }

    /// Lets the recipients of a packet of at least `threshold` bytes share its compressed form; the
    /// first call counts.
    pub(crate) fn compress_from(&self, threshold: usize) {
        let _ = self.compressed_from.set(threshold);
    }

    /// Returns a packet for several recipients, which share its compressed form.
    pub(super) fn shared(&self, packet: Outgoing) -> Outgoing {
        match self.compressed_from.get() {
            Some(threshold) => packet.shared(*threshold),
            None => packet,
        }
    }

    pub(crate) fn task_keeper(&self) -> Option<&dyn TaskKeeper> {
        self.task_keeper.get().map(AsRef::as_ref)
    }
}

/// The services of a namespace for the tasks of its sockets.
pub(crate) trait TaskKeeper: fmt::Debug + Send + Sync {
    /// Returns the arbiter of a task that is not spawned on a worker.
    fn arbiter(&self) -> &ArbiterHandle;

    /// A task of this socket has panicked.
    fn panicked(&self, namespace: &Arc<Membership>, socket: &Arc<SocketState>, panic: String);
}
