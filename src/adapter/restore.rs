//! Clients that come back to this node and were on another: what it kept, and what they missed.
//!
//! Another node has written down what its sockets have, and the stream has what was sent. What lies in
//! the stream up to where this node has read, or has written itself, is replayed from there; what comes
//! after it this node has in its own memory by the time the client enters.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::adapter::format::{Heard, Word, from_fields, from_text};
use crate::adapter::node::Node;
use crate::adapter::reader::{Entry, entries_of};
use crate::cluster::{EntryId, Manner, Mark, Message, Scope};
use crate::id::{Id, SocketId};
use crate::link::{Outgoing, Session};
use crate::socket::{Adapter, Back, Claim, Kept, Membership, Point, Recovery, State, mark_of};

/// Finds what a client comes back with; `None` where it begins anew.
pub(crate) async fn run(
    node: Arc<Node>,
    membership: Arc<Membership>,
    claim: Claim,
) -> Option<Back> {
    let taking = timeout(REDIS_LIMIT, patiently_take(&node, &membership, &claim.pid)).await;
    let Ok((kept, mut connection)) = taking else {
        log::warn!("a client that comes back begins anew: Redis is away");
        return None;
    };
    let kept = kept?;
    match restore(&node, &membership, &claim, &kept, &mut connection).await {
        Ok(back) => back,
        Err(error) => {
            log::warn!("a client that comes back begins anew: {error}");
            None
        }
    }
}

/// Takes what was kept, when Redis is there: where it was away, clients look for other nodes just then.
async fn patiently_take(
    node: &Node,
    membership: &Membership,
    pid: &str,
) -> (Option<Kept>, MultiplexedConnection) {
    loop {
        let connection = node.commands.read().clone();
        if let Some(mut connection) = connection {
            match take(&mut connection, membership.name(), pid).await {
                Ok(kept) => return (kept, connection),
                Err(error) => {
                    log::debug!("what a client comes back with is not there yet: {error}");
                }
            }
        }
        sleep(REDIS_LOOK).await;
    }
}

/// Takes what was kept of a client in this namespace, so that nobody else gets it. What it has in
/// another one stays: it opens no door here, which may have other middleware.
async fn take(
    connection: &mut MultiplexedConnection,
    namespace: &str,
    pid: &str,
) -> RedisResult<Option<Kept>> {
    let key = key(pid);
    let is_here = |kept: &Kept| kept.namespace.is_empty() || kept.namespace == namespace;
    let text: Option<String> = redis::cmd("GET").arg(&key).query_async(connection).await?;
    if !text
        .and_then(|text| from_text(&text))
        .is_some_and(|kept| is_here(&kept))
    {
        return Ok(None);
    }
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("GET").arg(&key).cmd("DEL").arg(&key).ignore();
    let (text,): (Option<String>,) = pipeline.query_async(connection).await?;
    Ok(text.and_then(|text| from_text(&text)))
}

async fn restore(
    node: &Arc<Node>,
    membership: &Arc<Membership>,
    claim: &Claim,
    kept: &Kept,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<Back>> {
    let mark = claim.offset.as_deref().unwrap_or(&kept.begun);
    let parsed = (
        mark_of(mark),
        kept.sid.parse::<SocketId>(),
        Id::parse(&kept.pid),
    );
    let (Some(mark), Ok(id), Some(pid)) = parsed else {
        return Ok(None);
    };
    let Some(recovery) = &membership.recovery else {
        return Ok(None);
    };
    say_moved(node, membership, kept);
    let before = recovery.lock().moved_away(id, kept.moves + 1, recovery.options());
    // What the program has attached to it goes outside of the lock.
    drop(before);
    // From here on this node's own memory has everything, but for what the client has got elsewhere.
    let here = {
        let mut log = recovery.lock();
        log.expect(id, got(node, kept, &mark));
        log.point(membership.place()).clone()
    };
    let back = missed(node, membership, kept, mark, &here, connection).await;
    if !matches!(back, Ok(Some(_))) {
        recovery.lock().expect_no_more(id);
    }
    let earlier = back?;
    Ok(earlier.map(|earlier| back_with(recovery, kept, id, pid, earlier, &here)))
}

/// Returns what the client has got of other nodes' own events, wherever it was.
fn got(node: &Node, kept: &Kept, mark: &Mark) -> Vec<(String, u64)> {
    let mut got = kept.late.clone();
    if mark.own > 0 && !mark.node.is_empty() {
        got.retain(|(name, _)| *name != mark.node);
        got.push((mark.node.clone(), mark.own));
    }
    got.retain(|(name, _)| name != node.format.uid());
    got
}

/// Returns what the client missed on other nodes; `None` where it is not all there, or too much.
async fn missed(
    node: &Node,
    membership: &Membership,
    kept: &Kept,
    mark: Mark,
    here: &Point,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<Vec<Outgoing>>> {
    let (Some(recovery), Some(stream), Some(now)) = (
        &membership.recovery,
        node.format.stream(membership.name()),
        here.mark(),
    ) else {
        return Ok(None);
    };
    // What this node has sent itself up to now lies in the stream when its queue was empty once.
    let _ = timeout(FLUSH_LIMIT, node.queue.drained()).await;
    if !reaches_back(connection, &stream, mark.entry).await? {
        return Ok(None);
    }
    let replay = Replay {
        membership,
        kept,
        own: node.format.uid(),
        mark,
        now: &now,
    };
    let earlier = replay.read(connection, &stream).await?;
    let bytes: usize = earlier.iter().map(Outgoing::len).sum();
    Ok((bytes <= recovery.options().burst).then_some(earlier))
}

fn back_with(
    recovery: &Recovery,
    kept: &Kept,
    id: SocketId,
    pid: Id,
    earlier: Vec<Outgoing>,
    here: &Point,
) -> Back {
    let point = |text: &str| Point {
        number: here.number,
        text: text.into(),
    };
    let rooms = kept.rooms.iter();
    Back {
        offset: here.number,
        until: Instant::now() + recovery.options().window,
        earlier,
        state: State {
            id,
            pid,
            rooms: rooms
                .map(|(room, since)| (room.as_str().into(), point(since)))
                .collect(),
            locals: Default::default(),
            session: Session::of(kept.data.clone()),
            begun: point(&kept.begun),
            entered: point(&kept.entered),
            moves: kept.moves + 1,
        },
        // Other kinds of servers do not say which namespace's middleware it has passed.
        skips_middleware: recovery.options().skips_middleware && !kept.namespace.is_empty(),
    }
}

/// Tells the node that had the client, which may not know that it has gone.
fn say_moved(node: &Node, membership: &Membership, kept: &Kept) {
    let message = Message::Disconnect {
        scope: Scope {
            rooms: vec![kept.sid.clone()],
            except: vec![MOVED.to_owned(), (kept.moves + 1).to_string()],
        },
        close: true,
    };
    if let Err(error) = node.tell(membership.shared_name(), &message) {
        log::warn!("a client has come back, and its old node is not told: {error}");
    }
}

/// Tells whether everything is in the stream that came after an entry.
async fn reaches_back(
    connection: &mut MultiplexedConnection,
    stream: &str,
    entry: EntryId,
) -> RedisResult<bool> {
    let mut command = redis::cmd("XRANGE");
    command.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
    let first = entries_of(command.query_async(connection).await?);
    let Some(first) = first.first() else {
        return Ok(true);
    };
    if first
        .id
        .parse::<EntryId>()
        .is_ok_and(|first| first <= entry)
    {
        return Ok(true);
    }
    // Nothing before it where nothing was ever cut off.
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(stream);
    let info: Value = command.query_async(connection).await?;
    let field = |name: &str| match &info {
        Value::Map(fields) => fields.iter().find_map(|(key, value)| match (key, value) {
            (Value::BulkString(key), Value::Int(value)) if key == name.as_bytes() => Some(*value),
            (Value::SimpleString(key), Value::Int(value)) if key == name => Some(*value),
            _ => None,
        }),
        _ => None,
    };
    Ok(field("length").is_some() && field("length") == field("entries-added"))
}

/// What is replayed, and for whom.
struct Replay<'a> {
    membership: &'a Membership,
    kept: &'a Kept,
    /// This node's name.
    own: &'a str,
    /// How far the client has got, with what is replayed; and how far this node was when it came.
    mark: Mark,
    now: &'a Mark,
}

impl Replay<'_> {
    async fn read(
        mut self,
        connection: &mut MultiplexedConnection,
        stream: &str,
    ) -> RedisResult<Vec<Outgoing>> {
        let (mut packets, mut last) = (Vec::new(), self.mark.entry);
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(stream).arg(format!("({last}")).arg("+");
            command.arg("COUNT").arg(READ_COUNT);
            let entries = entries_of(command.query_async(connection).await?);
            let count = entries.len();
            for entry in entries {
                if let Ok(id) = entry.id.parse() {
                    last = id;
                    packets.extend(self.packet(&entry, id));
                }
            }
            if count < READ_COUNT {
                return Ok(packets);
            }
        }
    }

    fn packet(&mut self, entry: &Entry, id: EntryId) -> Option<Outgoing> {
        let node = entry.uid.as_str();
        // What this node had not done when the client came, it has in its memory.
        let is_here = match entry.own {
            Some(own) if node == self.own => own > self.now.own,
            _ => node != self.own && id > self.now.entry,
        };
        let is_other = entry.namespace != self.membership.name() || entry.kind != EVENT;
        let has_it = |(name, last): &(String, u64)| {
            name == node && entry.own.is_some_and(|own| own <= *last)
        };
        let is_got = self.mark.covers(node, entry.own, id) || self.kept.late.iter().any(has_it);
        if is_here || is_other || is_got {
            return None;
        }
        // What is not for the client it has as well, in a way.
        if id > self.now.entry {
            // This node's own, behind everything of others that is replayed.
            self.mark = Mark {
                own: entry.own.unwrap_or(0),
                ..self.now.clone()
            };
        } else {
            self.mark.entry = id;
            if let Some(own) = entry.own.filter(|_| node == self.mark.node) {
                self.mark.own = own;
            }
        }
        let heard = from_fields(node, &entry.namespace, &entry.kind, &entry.data).ok()??;
        let Heard {
            word:
                Word::Told(Message::Emit {
                    content,
                    scope,
                    manner:
                        Manner {
                            volatile: false, ..
                        },
                }),
            ..
        } = heard
        else {
            return None;
        };
        let is_in = |room: &String| {
            let was_in = |(name, since): &(String, String)| {
                let since = mark_of(since).unwrap_or_default();
                name == room && !since.covers(node, entry.own, id)
            };
            *room == self.kept.sid || self.kept.rooms.iter().any(was_in)
        };
        let meant = scope.rooms.is_empty() || scope.rooms.iter().any(is_in);
        if !meant || scope.except.iter().any(is_in) {
            return None;
        }
        let list = content.0.followed_by(&format!("{REPLAYED}.{}", self.mark));
        Some(self.membership.relayed(None, &list))
    }
}

/// Returns where it is kept what a client needs, as the reference has it.
pub(crate) fn key(pid: &str) -> String {
    format!("sio:session:{pid}")
}

/// Stands among those left out where sockets are disconnected because their clients are elsewhere.
pub(crate) const MOVED: &str = "actix-socketio:moved";

/// Stands where an event's number would be, which this node has not given it.
const REPLAYED: &str = "r";

/// The type of events that are replayed.
const EVENT: &str = "3";

/// Entries that are read at once.
const READ_COUNT: usize = 1000;

/// How long a client that comes back waits for Redis, and how often is looked for it.
const REDIS_LIMIT: Duration = Duration::from_secs(3);
const REDIS_LOOK: Duration = Duration::from_millis(20);

/// How long what this node has queued may take to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
