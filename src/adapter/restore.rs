//! Clients that come back to this node and were on another: what it kept, and what they missed.
//!
//! Another node has written down what its sockets have, and the stream has what was sent. What lies
//! in the stream up to where this node has read, or has written itself, is replayed from there;
//! what comes after it this node has in its own memory by the time the client enters.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep, timeout};

use crate::adapter::format::from_text;
use crate::adapter::node::Node;
use crate::adapter::replay::{Replay, Stream};
use crate::cluster::{EntryId, Mark, Message, Scope};
use crate::id::{Id, SocketId};
use crate::link::{Outgoing, Session};
use crate::logging::LogKind;
use crate::socket::{
    Adapter, Back, Claim, Kept, Locals, Membership, Point, Recovery, State, mark_of,
};

/// Finds what a client comes back with; `None` where it begins anew.
pub(crate) async fn run(
    node: Arc<Node>,
    membership: Arc<Membership>,
    claim: Claim,
) -> Option<Back> {
    let Ok(arrived) = timeout(ARRIVAL_LIMIT, arrive(&node, &membership, &claim)).await else {
        begins_anew(&node, &"Redis is away, or what it sends comes late");
        return None;
    };
    let mut connection = arrived?;
    // Each reads a part of the stream: where many come at once they wait for one another.
    let _turn = node.replays.acquire().await.ok()?;
    match restore(&node, &membership, &claim, &mut connection).await {
        Ok(back) => back,
        Err(error) => {
            begins_anew(&node, &error);
            None
        }
    }
}

/// Every client that comes back may cause this line.
fn begins_anew(node: &Node, cause: &dyn fmt::Display) {
    let line = format_args!("client that comes back begins anew: {cause}");
    node.line_limits.write(LogKind::Anew, Level::Warn, line);
}

/// Waits until Redis is there and this node has read as far as the client, which would get again
/// what it has got elsewhere; `None` where nothing is kept for it here. Where Redis was away,
/// clients look for other nodes just then.
async fn arrive(
    node: &Node,
    membership: &Membership,
    claim: &Claim,
) -> Option<MultiplexedConnection> {
    let is_held = |recovery: &Recovery| recovery.lock().holds(&claim.pid);
    if membership.recovery.as_ref().is_some_and(is_held) {
        // It was here last, and what this node has kept of it may be on its way to Redis.
        node.queue.written(&key(&claim.pid)).await;
    }
    let late = Instant::now() + RECORD_LIMIT;
    loop {
        let connection = node.commands.read().clone();
        if let Some(mut connection) = connection {
            match look(&mut connection, membership.name(), &claim.pid).await {
                // A client that moves on at once is faster than what its last node says of it.
                Ok(None) if Instant::now() < late => {}
                Ok(kept) => {
                    let begins = Begins::of(claim, &kept?)?;
                    let position = membership.place().map(|(_, entry)| entry);
                    if position >= Some(begins.entry()) {
                        return Some(connection);
                    }
                }
                Err(error) => {
                    log::debug!("what a client comes back with is not there yet: {error}");
                }
            }
        }
        sleep(LOOK).await;
    }
}

/// From where on a client gets what it has missed.
struct Begins {
    /// How far it has got, as it says; from where on it has a right to events, where it does not.
    mark: Mark,
    begun: Mark,
}

impl Begins {
    /// `None` where neither says so.
    fn of(claim: &Claim, kept: &Kept) -> Option<Self> {
        let begun = mark_of(&kept.begun);
        let mark = match &claim.offset {
            Some(offset) => mark_of(offset)?,
            None => begun.clone()?,
        };
        Some(Self {
            mark,
            begun: begun.unwrap_or_default(),
        })
    }

    /// Returns the entry up to which it misses nothing.
    fn entry(&self) -> EntryId {
        self.mark.entry.max(self.begun.entry)
    }

    /// Returns what the client has got of other nodes' own events, wherever it was.
    fn got(&self, node: &Node, kept: &Kept) -> Vec<(String, u64)> {
        let mut got = kept.late.clone();
        for mark in [&self.begun, &self.mark] {
            match got.iter_mut().find(|(name, _)| *name == mark.node) {
                Some((_, own)) => *own = mark.own.max(*own),
                None => got.push((mark.node.clone(), mark.own)),
            }
        }
        got.retain(|(name, own)| *own > 0 && !name.is_empty() && name != node.format.uid());
        // A client comes from few nodes; one that invents some costs no more than that.
        got.drain(..got.len().saturating_sub(MAX_NODES));
        got
    }
}

/// Returns what is kept of a client in this namespace. What it has in another one opens no door
/// here, which may have other middleware.
async fn look(
    connection: &mut MultiplexedConnection,
    namespace: &str,
    pid: &str,
) -> RedisResult<Option<Kept>> {
    let text: Option<String> = redis::cmd("GET")
        .arg(key(pid))
        .query_async(connection)
        .await?;
    let kept = text.and_then(|text| from_text(&text));
    Ok(kept.filter(|kept| kept.namespace.is_empty() || kept.namespace == namespace))
}

/// Takes what was kept, so that nobody else gets it.
async fn take(connection: &mut MultiplexedConnection, pid: &str) -> RedisResult<Option<Kept>> {
    let key = key(pid);
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
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<Back>> {
    let Some(kept) = take(connection, &claim.pid).await? else {
        return Ok(None);
    };
    let parsed = (kept.sid.parse::<SocketId>(), Id::parse(&kept.pid));
    let (Some(begins), (Ok(id), Some(pid))) = (Begins::of(claim, &kept), parsed) else {
        return Ok(None);
    };
    let Some(recovery) = &membership.recovery else {
        return Ok(None);
    };
    say_moved(node, membership, &kept);
    let before = recovery
        .lock()
        .moved_away(id, kept.moves + 1, recovery.options());
    // From here on this node's own memory has everything, but for what the client has got
    // elsewhere.
    let here = {
        let mut log = recovery.lock();
        log.expect(id, begins.got(node, &kept));
        log.point(membership.place()).clone()
    };
    let missed = missed(node, membership, &kept, begins, &here, connection).await;
    if !matches!(missed, Ok(Some(_))) {
        recovery.lock().expect_no_more(id);
    }
    let earlier = missed?;
    let locals = before.map(|state| state.locals).unwrap_or_default();
    Ok(earlier.map(|earlier| Back {
        earlier,
        ..back_with(recovery, &kept, id, pid, locals, &here)
    }))
}

/// Returns what the client missed on other nodes; `None` where it is not all there, or too much.
async fn missed(
    node: &Node,
    membership: &Membership,
    kept: &Kept,
    begins: Begins,
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
    // What this node has sent itself up to now lies in the stream then.
    if timeout(FLUSH_LIMIT, node.queue.flushed()).await.is_err() {
        begins_anew(node, &"this node's own events are not written");
        return Ok(None);
    }
    let replay = Replay {
        membership,
        kept,
        own: node.format.uid(),
        mark: begins.mark,
        begun: &begins.begun,
        now: &now,
        limit: recovery.options().burst,
        seen: HashMap::new(),
    };
    let stream = Stream {
        name: &stream,
        max_length: node.config.max_length,
    };
    replay.read(connection, stream).await
}

fn back_with(
    recovery: &Recovery,
    kept: &Kept,
    id: SocketId,
    pid: Id,
    locals: Locals,
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
        earlier: Vec::new(),
        state: State {
            id,
            pid,
            rooms: rooms
                .map(|(room, since)| (room.as_str().into(), point(since)))
                .collect(),
            locals,
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
        let line = format_args!("client has come back, and its old node is not told: {error}");
        node.line_limits.write(LogKind::Anew, Level::Warn, line);
    }
}

/// Returns where it is kept what a client needs, as the reference has it.
pub(crate) fn key(pid: &str) -> String {
    format!("sio:session:{pid}")
}

/// Stands among those left out where sockets are disconnected because their clients are elsewhere.
pub(crate) const MOVED: &str = "actix-socketio:moved";

/// How long a client that comes back waits for Redis and for what it sends, and how often is
/// looked.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

/// How long it may take until what another node has kept is there.
const RECORD_LIMIT: Duration = Duration::from_millis(200);

/// How long what this node has queued may take to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Nodes of which is kept how far a client has got in their own events.
const MAX_NODES: usize = 16;
