//! The events that a client missed between two nodes, read from the stream.
//!
//! The client's offset and this node's read position enter. The client's packets leave, or nothing
//! if some of them no longer exist. Events that this node read later are in its own log.

use std::collections::HashMap;

use crate::adapter::broker::{BrokerError, EventLog, LogEntry};
use crate::adapter::format::{Incoming, Received, from_fields};
use crate::cluster::{ClusterOffset, EmitFlags, EntryId, Message};
use crate::link::Outgoing;
use crate::members::{Membership, PersistedSocket, cluster_offset_of};

/// A replay for one client.
pub(crate) struct Replay<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) persisted: &'a PersistedSocket,
    /// This node's name.
    pub(crate) own: &'a str,
    /// The client's offset, which advances with the replay.
    pub(crate) offset: ClusterOffset,
    /// The point from which the client may receive events.
    pub(crate) entitled_from: &'a ClusterOffset,
    /// This node's position when the client connected.
    pub(crate) now: &'a ClusterOffset,
    /// The number of bytes that may be sent to it.
    pub(crate) limit: usize,
    /// The number of each node's last entry: an entry whose response was lost may exist twice.
    pub(crate) seen: HashMap<String, u64>,
}

impl Replay<'_> {
    /// Reads the missed events; `None` if some no longer exist, or if there are too many.
    pub(crate) async fn read(
        mut self,
        log: &dyn EventLog,
        stream: &str,
    ) -> Result<Option<Vec<Outgoing>>, BrokerError> {
        let start = self.offset.entry.max(self.entitled_from.entry);
        if !reaches_back(log, stream, start).await? {
            return Ok(None);
        }
        // Entries after `end` arrived after the client did; the log delivers them.
        let end = log.last(stream).await?;
        let (mut packets, mut bytes, mut last) = (Vec::new(), 0, start);
        while last < end {
            let entries = log.range(stream, last, end, READ_COUNT).await?;
            let count = entries.len();
            for entry in entries {
                let Ok(id) = entry.id.parse() else { continue };
                last = id;
                let Some(packet) = self.packet(&entry, id) else {
                    continue;
                };
                bytes += packet.len();
                if bytes > self.limit {
                    return Ok(None);
                }
                packets.push(packet);
            }
            if count < READ_COUNT {
                break;
            }
        }
        // It may have been trimmed during the reading.
        let is_whole = reaches_back(log, stream, start).await?;
        Ok(is_whole.then_some(packets))
    }

    fn packet(&mut self, entry: &LogEntry, id: EntryId) -> Option<Outgoing> {
        let node = entry.uid.as_str();
        if self.is_again(entry) || self.is_elsewhere(entry, id) {
            return None;
        }
        // An event that does not match the client's rooms counts as received.
        if id > self.now.entry {
            // This node's own event, after all replayed events of other nodes.
            self.offset = ClusterOffset {
                own: entry.own.unwrap_or(0),
                ..self.now.clone()
            };
        } else {
            self.offset.entry = id;
            if let Some(own) = entry.own.filter(|_| node == self.offset.node) {
                self.offset.own = own;
            }
        }
        let heard = from_fields(node, &entry.namespace, &entry.kind, &entry.data).ok()??;
        let Incoming {
            word:
                Received::Message(Message::Emit {
                    content,
                    scope,
                    flags:
                        EmitFlags {
                            volatile: false, ..
                        },
                }),
            ..
        } = heard
        else {
            return None;
        };
        let is_behind = |place: &str| {
            let place = cluster_offset_of(place).unwrap_or_default();
            !place.covers(node, entry.own, id)
        };
        let is_in = |room: &String| {
            let was_in = |(name, since): &(String, String)| name == room && is_behind(since);
            *room == self.persisted.sid || self.persisted.rooms.iter().any(was_in)
        };
        let meant = if scope.rooms.is_empty() {
            is_behind(&self.persisted.entered)
        } else {
            scope.rooms.iter().any(is_in)
        };
        if !meant || scope.is_for_other_kinds() || scope.except.iter().any(is_in) {
            return None;
        }
        // It was sent to no client of this node.
        if content.0.check(self.membership.packets).is_err() {
            return None;
        }
        let list = content
            .0
            .followed_by(&format!("{REPLAYED}.{}", self.offset));
        Some(self.membership.relayed(None, &list))
    }

    fn is_again(&mut self, entry: &LogEntry) -> bool {
        let Some(number) = entry.sequence else {
            return false;
        };
        let last = self.seen.entry(entry.uid.clone()).or_default();
        let is_again = number <= *last;
        *last = number.max(*last);
        is_again
    }

    /// Returns `true` if an entry is not an event of this namespace, or if the client has received
    /// it, or will receive it otherwise.
    fn is_elsewhere(&self, entry: &LogEntry, id: EntryId) -> bool {
        let node = entry.uid.as_str();
        let is_here = match entry.own {
            Some(own) if node == self.own => own > self.now.own,
            _ => node != self.own && id > self.now.entry,
        };
        let is_other = entry.namespace != self.membership.name() || entry.kind != EVENT;
        let brought = |(name, last): &(String, u64)| {
            name == node && entry.own.is_some_and(|own| own <= *last)
        };
        let has_it = |offset: &ClusterOffset| offset.covers(node, entry.own, id);
        let is_got = has_it(&self.offset)
            || has_it(self.entitled_from)
            || self.persisted.received.iter().any(brought);
        is_here || is_other || is_got
    }
}

/// Returns `true` if all entries after this one still exist.
async fn reaches_back(
    log: &dyn EventLog,
    stream: &str,
    entry: EntryId,
) -> Result<bool, BrokerError> {
    let Some(first) = log.first(stream).await? else {
        // The stream was deleted: it cannot be told whether events were missed.
        return Ok(entry == EntryId::default());
    };
    if entry >= first {
        return Ok(true);
    }
    // Nothing was before the first entry if the client was connected before it, and nothing was
    // ever trimmed.
    Ok(entry == EntryId::default() && log.is_uncut(stream).await?)
}

/// Replaces an event's number, because this node has given it none.
const REPLAYED: &str = "r";

/// The type of replayed events.
const EVENT: &str = "3";

/// The number of entries read at once.
const READ_COUNT: usize = 1000;
