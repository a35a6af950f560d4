//! The events that a client missed between two nodes, read from the stream.
//!
//! The client's offset and this node's read position enter. The client's packets leave, or nothing
//! if some of them no longer exist. The last events that this node has read are still in its
//! memory; older ones, and this node's own latest ones, are read from the broker. Events that this
//! node read later are in its own log.

use std::collections::HashMap;

use crate::adapter::broker::{BrokerError, EventLog};
use crate::adapter::log_entry::{LogEntry, LoggedEvent};
use crate::adapter::positions::Positions;
use crate::cluster::{ClusterOffset, EntryId};
use crate::link::Outgoing;
use crate::members::{Membership, PersistedSocket, cluster_offset_of};

/// The sources of the events of one stream.
pub(crate) struct ReplaySource<'a> {
    pub(crate) stream: &'a str,
    pub(crate) log: &'a dyn EventLog,
    pub(crate) positions: &'a Positions,
}

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
    /// The packets so far, and their bytes.
    pub(crate) packets: Vec<Outgoing>,
    pub(crate) bytes: usize,
}

impl Replay<'_> {
    /// Reads the missed events; `None` if some no longer exist, or if there are too many.
    pub(crate) async fn read(
        mut self,
        source: ReplaySource<'_>,
    ) -> Result<Option<Vec<Outgoing>>, BrokerError> {
        let start = self.offset.entry.max(self.entitled_from.entry);
        // Also for events in memory: a reader does not notice that entries were trimmed, or a
        // stream deleted, before it read them.
        if !reaches_back(source.log, source.stream, start).await? {
            return Ok(None);
        }
        // Before the end of the stream is read: the reader may pass that meanwhile.
        let read = source.positions.events_after(source.stream, start);
        // Entries after `end` arrived after the client did; the log delivers them.
        let end = source.log.last(source.stream).await?;
        let upto = read.as_ref().map_or(start, |read| read.upto.max(start));
        if end < upto {
            // The broker has lost the end of the stream.
            return Ok(None);
        }
        for (id, entry) in read.into_iter().flat_map(|read| read.events) {
            if !self.add(&entry, id) {
                return Ok(None);
            }
        }
        // The reader is behind by a few entries, or has no longer all events.
        self.read_log(&source, upto, end).await
    }

    /// Reads the entries after `start` up to `end` from the broker.
    async fn read_log(
        mut self,
        source: &ReplaySource<'_>,
        start: EntryId,
        end: EntryId,
    ) -> Result<Option<Vec<Outgoing>>, BrokerError> {
        if start >= end {
            return Ok(Some(self.packets));
        }
        let (log, stream) = (source.log, source.stream);
        let mut last = start;
        while last < end {
            let entries = log.range(stream, last, end, READ_COUNT).await?;
            let count = entries.len();
            for entry in entries {
                let Ok(id) = entry.id.parse() else { continue };
                last = id;
                if !self.add(&entry, id) {
                    return Ok(None);
                }
            }
            if count < READ_COUNT {
                break;
            }
        }
        // It may have been trimmed during the reading.
        let is_whole = reaches_back(log, stream, start).await?;
        Ok(is_whole.then_some(self.packets))
    }

    /// Adds the packet of an entry, if the client gets one. Returns `false` if there are too many.
    fn add(&mut self, entry: &LogEntry, id: EntryId) -> bool {
        let Some(packet) = self.packet(entry, id) else {
            return true;
        };
        self.bytes += packet.len();
        self.packets.push(packet);
        self.bytes <= self.limit
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
        let LoggedEvent { content, scope } = entry.event()?;
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
        let Some(last) = self.seen.get_mut(&entry.uid) else {
            self.seen.insert(entry.uid.clone(), number);
            return false;
        };
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
        let is_other = entry.namespace != self.membership.name() || !entry.is_event();
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

/// The number of entries read at once.
const READ_COUNT: usize = 1000;
