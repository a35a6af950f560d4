//! The connects and disconnects of sockets in a namespace with recovery.
//!
//! The log and the list of sockets change together, under the log's lock; only a socket whose client
//! has reconnected is removed from the list later. If the adapter stores records, the records for
//! other nodes are queued under this lock too, so that the last written one is the latest.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::cluster::EntryId;
use crate::error::ConnectError;
use crate::id::SocketId;
use crate::members::adapter::Adapter;
use crate::members::hosting::Departure;
use crate::members::membership::Membership;
use crate::members::recovery::{
    DetachOutcome, LogGuard, Recovery, RecoveryState, Resumed, SocketSnapshot, StartFrom,
    Superseded, persisted,
};
use crate::members::socket::{Phase, SocketState};
use crate::reason::{CloseReason, DisconnectReason};

impl Membership {
    /// Decides how a socket starts whose client sends this payload; `None` if the namespace has no
    /// recovery.
    pub(crate) fn start_from(&self, auth: Option<&str>) -> Option<StartFrom> {
        let recovery = self.recovery.as_ref()?;
        let node = self.recording_adapter().map(|adapter| adapter.uid());
        let found = recovery.find(auth, node);
        if let Some(superseded) = found.superseded {
            self.remove_superseded(superseded);
        }
        found
            .start
            .or_else(|| self.start_new_session().map(StartFrom::Memory))
    }

    /// Takes the state of a socket whose client has reconnected to another node, where it has moved
    /// `moves` times; a later state stays. The socket is ended, if it has not ended yet.
    pub(crate) fn take_moved(&self, id: &SocketId, moves: u64) -> Option<SocketSnapshot> {
        let recovery = self.recovery.as_ref()?;
        let taken = recovery.lock().take_moved(id, moves, recovery.options())?;
        if let Some(superseded) = taken.superseded {
            self.remove_superseded(superseded);
        }
        Some(taken.detached.state)
    }

    /// Removes a socket whose client has reconnected by another connection, and closes its
    /// connection. Called without the log's lock: the close ends the client's other sockets too.
    fn remove_superseded(&self, superseded: Superseded) {
        let socket = superseded.0;
        // Its client is back already, as another socket with its id.
        let reason = DisconnectReason::Session(CloseReason::Superseded);
        self.exit_as(&socket, Departure::Dropped(reason));
        socket.link.close(CloseReason::Superseded);
    }

    /// Refuses a client, unless it has disconnected already.
    pub(crate) fn refuse(&self, socket: &SocketState, error: &ConnectError) {
        if socket.end_reason().is_none() {
            // A client that receives the refusal no longer finds the socket.
            self.exit(socket);
        }
        socket.refuse(error);
    }

    /// Returns the recovery state of a client that starts a new session.
    pub(crate) fn start_new_session(&self) -> Option<Box<RecoveryState>> {
        let mut log = self.recovery.as_ref()?.lock();
        Some(Recovery::fresh(log.latest(self.position())))
    }

    /// Records that a socket is being recovered. If that fails, its client may try once more.
    pub(crate) fn resuming(&self, socket: &Arc<SocketState>) {
        if let (Some(recovery), Some(resume)) = (&self.recovery, &socket.resume)
            && resume.resumed.is_some()
        {
            let mut log = recovery.lock();
            log.resuming(socket, resume);
            self.write_down(Some(log), socket);
        }
    }

    /// Lists a socket whose connect handlers will run now. It is found and counted from now on, and
    /// packets to it are held back until its CONNECT packet.
    pub(crate) fn appear(&self, socket: &Arc<SocketState>) {
        {
            // Its first number is that of the first event that it receives.
            let mut log = self.recovery.as_ref().map(Recovery::lock);
            if socket.is_detached() {
                return;
            }
            if let (Some(log), Some(resume)) = (&mut log, &socket.resume) {
                resume.appears(log.latest(self.position()));
            }
            self.list(socket);
        }
        // Checked after the change: a socket that ends later leaves by itself.
        if matches!(socket.phase(), Phase::Ended | Phase::Abandoned) {
            self.exit(socket);
        }
    }

    /// Connects a socket that the program has accepted, and sends its CONNECT packet. Returns the
    /// number of events that the client had missed and that were sent to it.
    pub(crate) fn enter(&self, socket: &Arc<SocketState>) -> Result<usize, SocketEnded> {
        // Events that are sent from now on are delivered directly, and earlier ones are among the
        // missed events.
        let mut log = self.recovery.as_ref().map(Recovery::lock);
        if socket.is_detached() {
            return Err(SocketEnded);
        }
        let missed = match (&self.recovery, &log, &socket.resume) {
            (Some(recovery), Some(log), Some(resume)) => match &resume.resumed {
                Some(resumed) => recovery.missed(log, resumed, &resume.joined.lock()),
                None => Some(Vec::new()),
            },
            _ => Some(Vec::new()),
        };
        let Some(missed) = missed else {
            // A part of the missed events was dropped while the connect handler ran, because the
            // client counted as one that misses nothing. It reconnects, and finds the rest
            // elsewhere or starts a new session.
            drop(log);
            socket.link.close(CloseReason::RecoveryLimit);
            return Err(SocketEnded);
        };
        let is_new = self.list(socket);
        // Before its CONNECT packet, and so before its first event.
        self.tell_namespace_entered(socket);
        let missed_events = missed.len();
        // In the membership first: a client that has received the CONNECT packet receives the next
        // broadcast.
        if !socket.open(missed) {
            drop(log);
            self.exit(socket);
            return Err(SocketEnded);
        }
        if let (Some(log), Some(resume)) = (&mut log, &socket.resume) {
            let latest = log.latest(self.position());
            if missed_events == 0 && resume.resumed.is_some() {
                // Its offset may be old, but later events are not kept forever for it.
                resume.has_all(latest);
            }
            if is_new {
                resume.appears(log.latest(self.position()));
            }
            log.entered(socket, resume);
        }
        // Its previous rooms that it has not left since.
        let rooms = socket.resumed().map(|_| socket.rooms.lock().clone());
        for room in rooms.unwrap_or_default() {
            // They were within the limit of the node on which it joined them.
            self.join_since(socket, &room, None, usize::MAX);
        }
        self.write_down(log, socket);
        Ok(missed_events)
    }

    /// Lists a socket in the namespace. Returns whether it was new.
    fn list(&self, socket: &Arc<SocketState>) -> bool {
        let mut lists = self.lists.write();
        lists.keys.insert(socket.id.clone(), socket.key);
        let before = lists.sockets.insert(socket.key, Arc::clone(socket));
        before.is_none()
    }

    /// Removes a socket that has ended for this reason. It may be recovered if it was not
    /// disconnected on purpose.
    pub(crate) fn detach(&self, socket: &SocketState, reason: DisconnectReason) {
        let (Some(recovery), Some(resume)) = (&self.recovery, &socket.resume) else {
            return self.exit(socket);
        };
        let mut log = recovery.lock();
        let may = matches!(reason, DisconnectReason::Session(_));
        let outcome = recovery.detach(&mut log, socket, resume, may);
        self.exit_as(
            socket,
            match outcome {
                Some(DetachOutcome::Kept) => Departure::Dropped(reason),
                _ => Departure::Disconnected(reason),
            },
        );
        match (outcome, self.recording_adapter()) {
            (Some(DetachOutcome::Kept), Some(adapter)) => {
                adapter.store_record(
                    persisted(socket, resume, log.received(&socket.id)),
                    recovery.options().window,
                );
            }
            (Some(DetachOutcome::Forgotten), Some(adapter)) => {
                adapter.delete_record(resume.pid.as_str(), resume.moves);
            }
            _ => {}
        }
    }

    /// Sets the end of a socket's login. It is a part of the state that other nodes restore.
    pub(crate) fn set_expiry(&self, socket: &SocketState, end: Option<SystemTime>) {
        let log = self.recovery.as_ref().map(Recovery::lock);
        socket.login_or_new().expires_at(end);
        self.write_down(log, socket);
    }

    /// Stores the state of a connected socket for other nodes.
    pub(crate) fn remember(&self, socket: &SocketState) {
        self.write_down(self.recovery.as_ref().map(Recovery::lock), socket);
    }

    /// The same, if the log is locked for a change already.
    pub(super) fn write_down(&self, log: Option<LogGuard<'_>>, socket: &SocketState) {
        let (Some(adapter), Some(recovery)) = (self.recording_adapter(), &self.recovery) else {
            return;
        };
        let (Some(mut log), Some(resume)) = (log, &socket.resume) else {
            return;
        };
        if resume.is_detached() {
            return;
        }
        let options = recovery.options();
        match socket.phase() {
            Phase::Connected => {
                resume.is_here(Instant::now(), options.silence, log.latest(self.position()));
            }
            Phase::Connecting | Phase::Accepted if resume.resumed.is_some() => {}
            _ => return,
        }
        // Stored again before that time.
        adapter.store_record(
            persisted(socket, resume, log.received(&socket.id)),
            options.window + REWRITE_INTERVAL,
        );
    }

    /// Stores the state of a client for other nodes again.
    pub(crate) fn persist_again(&self, resumed: Resumed) {
        if let (Some(adapter), Some(recovery)) = (self.recording_adapter(), &self.recovery) {
            let id = &resumed.state.id;
            let received = {
                let mut log = recovery.lock();
                let received = log.received(id);
                log.forget_received(id);
                received
            };
            let kept = resumed.state.into_persisted(self.name(), received);
            adapter.store_record(kept, recovery.options().window);
        }
    }

    /// Returns the adapter, if it stores the state of clients that may reconnect to another node.
    pub(crate) fn recording_adapter(&self) -> Option<&Arc<dyn Adapter>> {
        let adapter = self.adapter.as_ref()?;
        adapter.stores_records().then_some(adapter)
    }

    /// Returns this node's name, and its read position.
    pub(crate) fn position(&self) -> Option<(&str, EntryId)> {
        let adapter = self.recording_adapter()?;
        Some((adapter.uid(), adapter.read_position(self.name())?))
    }
}

/// The socket had ended already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketEnded;

/// The interval in which the state of a socket is stored again.
const REWRITE_INTERVAL: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;
    use crate::cluster::EmitFlags;
    use crate::config::Config;
    use crate::error::RoomError;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::limits::LimitHooks;
    use crate::link::Link;
    use crate::members::audience::Audience;
    use crate::members::recovery::{EventSource, RecoveryOptions};
    use crate::socketio::Args;
    use crate::socketio::PacketLimits;

    const OPTIONS: RecoveryOptions = RecoveryOptions {
        window: Duration::from_secs(60),
        silence: Duration::from_secs(45),
        limit: 100_000,
        burst: 1000,
        skips_middleware: true,
    };

    fn namespace(options: RecoveryOptions) -> Arc<Membership> {
        let hooks = LimitHooks::default();
        let limits = PacketLimits::NONE;
        Membership::with(
            "/chat",
            Vec::new(),
            limits,
            &Arc::default(),
            &hooks,
            None,
            Some(options),
        )
    }

    /// Makes a socket whose client sends this payload; it is not accepted yet.
    fn come(namespace: &Arc<Membership>, auth: Option<&str>) -> Arc<SocketState> {
        let Some(StartFrom::Memory(resume)) = namespace.start_from(auth) else {
            panic!("{auth:?} is for another node");
        };
        let config = Arc::new(Config::new("/"));
        let link = Link::new(
            Id::random(),
            &config,
            Handshake::empty(),
            Instant::now().into_std(),
        );
        let state = SocketState::beginning(namespace.shared_name(), &link, auth, Some(resume));
        let state = Arc::new(state);
        namespace.resuming(&state);
        state
    }

    fn enter(namespace: &Arc<Membership>, auth: Option<&str>) -> Arc<SocketState> {
        let state = come(namespace, auth);
        state.accept().unwrap();
        namespace.enter(&state).unwrap();
        state
    }

    fn lose(namespace: &Membership, state: &SocketState) {
        let reason = DisconnectReason::Session(CloseReason::PingTimeout);
        state.end(reason);
        namespace.detach(state, reason);
    }

    fn auth(state: &SocketState, offset: Option<&str>) -> String {
        let pid = state.resume.as_ref().unwrap().pid.as_str().to_owned();
        json!({ "pid": pid, "offset": offset }).to_string()
    }

    /// Sends an event to all sockets, and returns its length.
    fn emit(namespace: &Membership) -> usize {
        emit_to(namespace, &Audience::default())
    }

    fn emit_to(namespace: &Membership, audience: &Audience) -> usize {
        let list = Args::new(r#""event""#.to_owned(), Vec::new());
        let flags = EmitFlags::default();
        let _ = namespace.relay(audience, flags, &list, EventSource::SingleNode, |_| ());
        let log = namespace.recovery.as_ref().unwrap().lock();
        log.latest_length()
    }

    #[actix_rt::test]
    async fn a_client_is_recovered_within_the_window_only() {
        tokio::time::pause();
        for (away, comes_back) in [(59_999, true), (60_000, false)] {
            let namespace = namespace(OPTIONS);
            let ann = enter(&namespace, None);
            lose(&namespace, &ann);
            tokio::time::advance(Duration::from_millis(away)).await;
            let again = enter(&namespace, Some(&auth(&ann, None)));
            assert_eq!(again.id == ann.id, comes_back, "{away}");
        }
    }

    /// Events that were dropped while it was connected are not missed ones.
    #[actix_rt::test]
    async fn client_connected_for_longer_than_the_window_is_recovered() {
        tokio::time::pause();
        let namespace = namespace(OPTIONS);
        let ann = enter(&namespace, None);
        for _ in 0..10 {
            emit(&namespace);
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        emit(&namespace);
        lose(&namespace, &ann);
        let again = enter(&namespace, Some(&auth(&ann, Some("10"))));
        assert_eq!(again.id, ann.id);
    }

    /// A client that disconnects during its recovery keeps its deadline.
    #[actix_rt::test]
    async fn failed_recovery_keeps_state_and_deadline() {
        tokio::time::pause();
        for (wait, comes_back) in [(29_999, true), (30_000, false)] {
            let namespace = namespace(OPTIONS);
            let ann = enter(&namespace, None);
            namespace.join(&ann, "a").unwrap();
            lose(&namespace, &ann);
            tokio::time::advance(Duration::from_secs(30)).await;
            let attempt = come(&namespace, Some(&auth(&ann, None)));
            lose(&namespace, &attempt);
            // The later calls of its handler have no effect.
            attempt.accept().unwrap_err();
            namespace.detach(&attempt, DisconnectReason::ServerNamespaceDisconnect);
            tokio::time::advance(Duration::from_millis(wait)).await;
            let again = enter(&namespace, Some(&auth(&ann, None)));
            assert_eq!(again.id == ann.id, comes_back, "{wait}");
            assert_eq!(again.rooms.lock().len(), usize::from(comes_back));
        }
    }

    #[actix_rt::test]
    async fn newer_recovery_supersedes_a_running_one() {
        let namespace = namespace(OPTIONS);
        let ann = enter(&namespace, None);
        lose(&namespace, &ann);
        let attempt = come(&namespace, Some(&auth(&ann, None)));
        let again = enter(&namespace, Some(&auth(&ann, None)));
        assert_eq!(again.id, ann.id);
        assert!(attempt.accept().is_err());
        let refused = DisconnectReason::ServerNamespaceDisconnect;
        namespace.detach(&attempt, refused);
        assert!(namespace.socket(&ann.id).is_some());
        lose(&namespace, &again);
        assert_eq!(enter(&namespace, Some(&auth(&ann, None))).id, ann.id);
    }

    /// A socket whose state was taken is removed after the log's lock is released. In between it
    /// changes nothing that the next socket of its client has already.
    #[actix_rt::test]
    async fn a_superseded_socket_changes_nothing_until_it_is_removed() {
        let namespace = namespace(OPTIONS);
        let recovery = namespace.recovery.as_ref().unwrap();
        let connected = enter(&namespace, None);
        let connecting = come(&namespace, None);
        let accepted = come(&namespace, None);
        accepted.accept().unwrap();
        // The client of a new socket does not know the private session id yet; that of a socket
        // that was recovered does.
        for socket in [connected, connecting, accepted] {
            let found = recovery.find(Some(&auth(&socket, None)), None);
            let Some(superseded) = found.superseded else {
                assert!(found.start.is_none());
                continue;
            };
            let superseded_by = DisconnectReason::Session(CloseReason::Superseded);
            assert_eq!(socket.end_reason(), Some(superseded_by));
            assert_eq!(namespace.join(&socket, "a"), Err(RoomError::Disconnected));
            let listed = namespace.count();
            assert_eq!(namespace.enter(&socket), Err(SocketEnded));
            namespace.appear(&socket);
            assert_eq!(namespace.count(), listed);
            namespace.remove_superseded(superseded);
            assert!(namespace.socket(&socket.id).is_none());
        }
        assert_eq!(namespace.count(), 0);
    }

    #[actix_rt::test]
    async fn client_refused_during_recovery_is_not_recovered() {
        let namespace = namespace(OPTIONS);
        let ann = enter(&namespace, None);
        lose(&namespace, &ann);
        let attempt = come(&namespace, Some(&auth(&ann, None)));
        namespace.refuse(&attempt, &"no".into());
        namespace.detach(&attempt, DisconnectReason::ServerNamespaceDisconnect);
        assert_ne!(enter(&namespace, Some(&auth(&ann, None))).id, ann.id);
    }

    /// Also if its end is known to no other code yet.
    #[actix_rt::test]
    async fn disconnected_client_is_not_recovered() {
        let namespace = namespace(OPTIONS);
        let ann = enter(&namespace, None);
        ann.disconnect(false);
        let auth = auth(&ann, None);
        assert_ne!(enter(&namespace, Some(&auth)).id, ann.id);
        namespace.detach(&ann, DisconnectReason::ServerNamespaceDisconnect);
        assert_ne!(enter(&namespace, Some(&auth)).id, ann.id);
    }

    /// A client may name any offset, and receives no event from before its start.
    #[actix_rt::test]
    async fn no_event_from_before_the_first_connect_is_replayed() {
        let namespace = namespace(OPTIONS);
        emit(&namespace);
        let ann = come(&namespace, None);
        // While its connect handler is running.
        emit(&namespace);
        ann.accept().unwrap();
        namespace.enter(&ann).unwrap();
        let length = emit(&namespace);
        lose(&namespace, &ann);
        for offset in [None, Some("0"), Some("1"), Some("2")] {
            let again = come(&namespace, Some(&auth(&ann, offset)));
            let recovery = namespace.recovery.as_ref().unwrap();
            let resumed = again.resumed().unwrap();
            let missed = recovery.missed(&recovery.lock(), resumed, &Default::default());
            let lengths: Vec<_> = missed.unwrap().iter().map(|it| it.len()).collect();
            assert_eq!(lengths, [length], "{offset:?}");
            lose(&namespace, &again);
        }
    }

    /// Sends an event to an audience, and returns its counted memory in bytes.
    fn size_of(namespace: &Membership, audience: &Audience) -> usize {
        emit_to(namespace, audience);
        namespace.recovery.as_ref().unwrap().lock().sizes().0
    }

    /// Returns the counted memory of disconnected sockets in bytes.
    fn size_of_gone(namespace: &Membership) -> usize {
        namespace.recovery.as_ref().unwrap().lock().sizes().1
    }

    fn is_back(namespace: &Arc<Membership>, who: &SocketState) -> bool {
        enter(namespace, Some(&auth(who, None))).id == who.id
    }

    /// Returns `true` if a client that has missed three events to an audience is recovered.
    fn comes_back_to_three(options: RecoveryOptions, audience: &Audience) -> bool {
        let namespace = namespace(options);
        let ann = enter(&namespace, None);
        lose(&namespace, &ann);
        for _ in 0..3 {
            emit_to(&namespace, audience);
        }
        is_back(&namespace, &ann)
    }

    #[actix_rt::test]
    async fn replayed_bytes_are_bounded_by_the_burst() {
        for (fewer, comes_back) in [(0, true), (1, false)] {
            let burst = 3 * emit(&namespace(OPTIONS)) - fewer;
            let options = RecoveryOptions { burst, ..OPTIONS };
            let is_back = comes_back_to_three(options, &Audience::default());
            assert_eq!(is_back, comes_back, "{fewer}");
        }
    }

    /// The names of rooms and exceptions are kept too, and each event occupies more than its
    /// packet.
    #[actix_rt::test]
    async fn kept_events_are_bounded_by_recovery_limit() {
        let long = || vec!["x".repeat(5000), "y".repeat(5000)];
        let to = |rooms, except| Audience {
            rooms,
            except,
            ..Audience::default()
        };
        for (audience, least) in [
            (to(None, Vec::new()), 200),
            (to(Some(long()), Vec::new()), 10_200),
            (to(None, long()), 10_200),
            (to(Some(long()), long()), 20_200),
        ] {
            let size = size_of(&namespace(OPTIONS), &audience);
            assert!((least..least + 1000).contains(&size), "{size}");
            for (limit, comes_back) in [(3 * size, true), (3 * size - 1, false)] {
                let options = RecoveryOptions { limit, ..OPTIONS };
                assert_eq!(comes_back_to_three(options, &audience), comes_back);
            }
        }
    }

    /// Disconnected sockets count with their rooms and with the program's values for their clients;
    /// above the limit the client that disconnected first starts a new session.
    #[actix_rt::test]
    async fn detached_sockets_are_bounded_by_recovery_limit() {
        let leave = |namespace: &Arc<Membership>, rooms: &[&str], data: &str| {
            let state = enter(namespace, None);
            for room in rooms {
                namespace.join(&state, room).unwrap();
            }
            if !data.is_empty() {
                state.session().insert("data", data).unwrap();
            }
            lose(namespace, &state);
            state
        };
        let long = "x".repeat(1000);
        for (rooms, data, least) in [
            (&[][..], "", 300),
            (&[long.as_str(), "short"][..], "", 1300),
            (&[][..], long.as_str(), 1300),
        ] {
            let namespace = namespace(OPTIONS);
            leave(&namespace, rooms, data);
            let size = size_of_gone(&namespace);
            assert!((least..least + 1000).contains(&size), "{size}");
            for (limit, comes_back) in [(2 * size, true), (2 * size - 1, false)] {
                let namespace = self::namespace(RecoveryOptions { limit, ..OPTIONS });
                let first = leave(&namespace, rooms, data);
                let second = leave(&namespace, rooms, data);
                assert_eq!(is_back(&namespace, &first), comes_back);
                assert!(is_back(&namespace, &second));
                assert_eq!(size_of_gone(&namespace), 0);
            }
        }
    }

    /// Events for other clients make an offset old, but the client can still be recovered.
    #[actix_rt::test]
    async fn recovery_without_missed_events_advances_the_offset() {
        let others = Audience {
            rooms: Some(vec!["others".to_owned()]),
            ..Audience::default()
        };
        let size = size_of(&namespace(OPTIONS), &others);
        let namespace = namespace(RecoveryOptions {
            limit: 3 * size,
            ..OPTIONS
        });
        let mut ann = enter(&namespace, None);
        let id = ann.id.clone();
        for _ in 0..3 {
            for _ in 0..3 {
                emit_to(&namespace, &others);
            }
            lose(&namespace, &ann);
            ann = enter(&namespace, Some(&auth(&ann, Some("0"))));
            assert_eq!(ann.id, id);
        }
    }

    /// An answered ping has the same effect for the stored record as for the memory.
    #[actix_rt::test]
    async fn answered_ping_advances_the_offset() {
        tokio::time::pause();
        let namespace = namespace(OPTIONS);
        let ann = enter(&namespace, None);
        let resume = ann.resume.as_ref().unwrap();
        let is_here = || {
            let mut log = namespace.recovery.as_ref().unwrap().lock();
            resume.is_here(Instant::now(), OPTIONS.silence, log.latest(None));
            persisted(&ann, resume, Vec::new()).entitled_from
        };
        emit(&namespace);
        assert_eq!(is_here(), "0");
        emit(&namespace);
        tokio::time::advance(Duration::from_millis(44_999)).await;
        assert_eq!(is_here(), "0");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(is_here(), "1");
        tokio::time::advance(OPTIONS.silence).await;
        assert_eq!(is_here(), "2");
    }

    /// A value that a program attaches to a socket may use the namespace in its `Drop`.
    struct Last(Arc<Membership>, Arc<AtomicUsize>);

    impl Drop for Last {
        fn drop(&mut self) {
            emit(&self.0);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[actix_rt::test]
    async fn expired_state_is_dropped_outside_the_lock() {
        tokio::time::pause();
        let namespace = namespace(OPTIONS);
        let gone = Arc::new(AtomicUsize::new(0));
        let ann = enter(&namespace, None);
        ann.extensions
            .insert(Last(Arc::clone(&namespace), Arc::clone(&gone)));
        lose(&namespace, &ann);
        drop(ann);
        let recovery = namespace.recovery.as_ref().unwrap();
        let pruned = timeout(OPTIONS.window + Duration::from_millis(1), recovery.prune());
        assert!(pruned.await.is_err());
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    }

    /// A value that a program attaches to a socket may panic in its `Drop`.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any("in the destructor");
        }
    }

    /// A panicking destructor of an expired socket's value costs no other client its recovery.
    #[actix_rt::test]
    async fn values_that_panic_in_their_drop_change_no_recovery() {
        tokio::time::pause();
        let namespace = namespace(OPTIONS);
        for _ in 0..2 {
            let bob = enter(&namespace, None);
            bob.extensions.insert(Bomb);
            lose(&namespace, &bob);
        }
        let ann = enter(&namespace, None);
        tokio::time::advance(OPTIONS.window).await;
        // The state of the others expires when hers is taken.
        let again = enter(&namespace, Some(&auth(&ann, None)));
        assert_eq!(again.id, ann.id);
        assert_eq!(namespace.count(), 1);
        assert_eq!(size_of_gone(&namespace), 0);
    }
}
