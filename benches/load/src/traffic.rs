//! What the clients say once they are ready, and what counts as an answer. In: packets of ready
//! clients. Out: latencies, and what to send next. It touches no stream.

use std::collections::VecDeque;

use crate::args::{Args, Workload};
use crate::client::Progress;
use crate::frame;
use crate::histogram::Histogram;

pub(crate) enum Traffic {
    Echo {
        burst: Burst,
        in_flight: usize,
    },
    Ack {
        frames: Vec<Vec<u8>>,
    },
    Cast {
        event: &'static [u8],
        rooms: bool,
        burst: Burst,
        groups: Vec<Group>,
        in_flight: usize,
    },
    Silent,
}

impl Traffic {
    pub(crate) fn new(args: &Args) -> Self {
        let payload = "x".repeat(args.payload);
        let in_flight = args.in_flight;
        match args.workload {
            Workload::Echo => {
                let burst = Burst::new([format!(r#"42["echo","{payload}"]"#)], in_flight);
                Self::Echo { burst, in_flight }
            }
            Workload::Ack => {
                let packet = |id| frame::text(&format!(r#"42{id}["ack","{payload}"]"#));
                Self::Ack {
                    frames: (0..in_flight).map(packet).collect(),
                }
            }
            Workload::Bcast => {
                let burst = Burst::new([format!(r#"42["bcast","{payload}"]"#)], in_flight);
                let groups = vec![Group::new(0, args.connections)];
                Self::Cast {
                    event: br#"42["bcast""#,
                    rooms: false,
                    burst,
                    groups,
                    in_flight,
                }
            }
            Workload::Rcast => {
                let rooms = args.connections.min(ROOMS_MAX);
                let packet = |room| format!(r#"42["rcast","r{room}","{payload}"]"#);
                let burst = Burst::new((0..rooms).map(packet), in_flight);
                // The first member of each room is the one that sends.
                let groups = (0..rooms)
                    .map(|room| Group::new(room, (args.connections - room).div_ceil(rooms)))
                    .collect();
                Self::Cast {
                    event: br#"42["rcast""#,
                    rooms: true,
                    burst,
                    groups,
                    in_flight,
                }
            }
            Workload::Idle | Workload::Connect => Self::Silent,
        }
    }

    /// Returns what a client sends to enter its room, if it has one.
    pub(crate) fn join(&self, index: usize) -> Option<Vec<u8>> {
        match self {
            Self::Cast {
                rooms: true,
                groups,
                ..
            } => {
                let mut frames = frame::text(&format!(r#"42["join","r{}"]"#, index % groups.len()));
                frames.extend(frame::text(r#"42["echo","joined"]"#));
                Some(frames)
            }
            _ => None,
        }
    }

    /// Takes in one EVENT or ACK of a ready client.
    ///
    /// # Errors
    ///
    /// It is not the answer to anything.
    pub(crate) fn receive(
        &mut self,
        packet: &[u8],
        index: usize,
        progress: &mut Progress,
        turn: &mut Turn,
        latencies: &mut Histogram,
    ) -> Result<(), &'static str> {
        let sent_at = match self {
            Self::Echo { .. } if packet.starts_with(br#"42["echo""#) => {
                turn.answers.push(0);
                progress.sent.pop_front()
            }
            Self::Ack { .. } => {
                let id = ack_id(packet).ok_or("no ack where one was due")?;
                turn.answers.push(id);
                progress
                    .sent
                    .get_mut(id)
                    .and_then(|sent| (*sent != VACANT).then(|| std::mem::replace(sent, VACANT)))
            }
            Self::Cast { event, groups, .. } if packet.starts_with(event) => {
                let group = index % groups.len();
                progress.received += 1;
                groups[group].deliver(progress.received - 1)
            }
            _ => return Err("unknown event"),
        };
        let sent_at = sent_at.ok_or("answer to nothing")?;
        latencies.record(turn.now.saturating_sub(sent_at));
        Ok(())
    }

    /// Returns the frames that start a client, or those that replace what was answered.
    ///
    /// The client they are for comes with them: in a group it is always the group's sender.
    pub(crate) fn next<'a>(
        &'a mut self,
        index: usize,
        progress: &mut Progress,
        turn: &mut Turn,
        scratch: &'a mut Vec<u8>,
    ) -> Option<(usize, &'a [u8])> {
        let frames = match self {
            Self::Echo { burst, .. } => {
                let count = turn.answers.len();
                progress.sent.extend(std::iter::repeat_n(turn.now, count));
                turn.answers.clear();
                burst.frames(0, count)
            }
            Self::Ack { frames } => {
                scratch.clear();
                for id in turn.answers.drain(..) {
                    progress.sent[id] = turn.now;
                    scratch.extend_from_slice(&frames[id]);
                }
                scratch.as_slice()
            }
            Self::Cast {
                burst,
                groups,
                in_flight,
                ..
            } => {
                let number = index % groups.len();
                let group = &mut groups[number];
                let count = group.refill(*in_flight, turn.now);
                return (count > 0).then(|| (group.sender, burst.frames(number, count)));
            }
            Self::Silent => return None,
        };
        (!frames.is_empty()).then_some((index, frames))
    }

    /// Puts a turn into the state in which every message of a client has just been answered.
    pub(crate) fn prime(&self, progress: &mut Progress, turn: &mut Turn) {
        turn.answers.clear();
        match self {
            Self::Echo { in_flight, .. } => turn.answers.resize(*in_flight, 0),
            Self::Ack { frames } => {
                progress.sent.resize(frames.len(), VACANT);
                turn.answers.extend(0..frames.len());
            }
            Self::Cast { .. } | Self::Silent => {}
        }
    }
}

/// What one read of one client has led to. Reused, so that a turn allocates nothing.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) now: u64,
    /// Frames the protocol demands: pongs, CONNECT, JOIN.
    pub(crate) replies: Vec<u8>,
    /// The messages answered, by their place among those in flight.
    pub(crate) answers: Vec<usize>,
    pub(crate) ready: bool,
    pub(crate) closed: bool,
}

impl Turn {
    pub(crate) fn begin(&mut self, now: u64) {
        self.now = now;
        self.replies.clear();
        self.answers.clear();
        self.ready = false;
        self.closed = false;
    }
}

/// The same frame several times over, so that several go out in one write without being copied.
pub(crate) struct Burst {
    bursts: Vec<(Vec<u8>, usize)>,
}

impl Burst {
    fn new(packets: impl IntoIterator<Item = String>, times: usize) -> Self {
        let burst = |packet: String| {
            let frame = frame::text(&packet);
            (frame.repeat(times), frame.len())
        };
        Self {
            bursts: packets.into_iter().map(burst).collect(),
        }
    }

    fn frames(&self, number: usize, count: usize) -> &[u8] {
        let (frames, length) = &self.bursts[number];
        &frames[..length * count]
    }
}

/// Clients that get the same broadcasts, one of whom sends them.
///
/// A server keeps the order of what it sends to a socket, so a client's n-th delivery is the group's
/// n-th broadcast, and no payload has to be read.
pub(crate) struct Group {
    sender: usize,
    members: usize,
    /// The number of the oldest broadcast in flight.
    oldest: u64,
    pending: VecDeque<Pending>,
}

impl Group {
    fn new(sender: usize, members: usize) -> Self {
        Self {
            sender,
            members,
            oldest: 0,
            pending: VecDeque::new(),
        }
    }

    /// Counts one delivery, and returns when its broadcast was sent.
    fn deliver(&mut self, number: u64) -> Option<u64> {
        let place = usize::try_from(number.checked_sub(self.oldest)?).ok()?;
        let pending = self.pending.get_mut(place)?;
        pending.missing = pending.missing.checked_sub(1)?;
        Some(pending.sent_at)
    }

    /// Drops the broadcasts that have reached everybody, and returns how many may be sent now.
    fn refill(&mut self, in_flight: usize, now: u64) -> usize {
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.missing == 0)
        {
            self.pending.pop_front();
            self.oldest += 1;
        }
        let count = in_flight - self.pending.len();
        let fresh = Pending {
            sent_at: now,
            missing: self.members,
        };
        self.pending.extend(std::iter::repeat_n(fresh, count));
        count
    }
}

#[derive(Clone, Copy)]
struct Pending {
    sent_at: u64,
    /// How many members have not got it yet.
    missing: usize,
}

fn ack_id(packet: &[u8]) -> Option<usize> {
    let digits = packet.strip_prefix(b"43")?;
    let end = digits.iter().position(|byte| *byte == b'[')?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

const ROOMS_MAX: usize = 100;
const VACANT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::{Group, ack_id};

    #[test]
    fn a_broadcast_is_over_when_all_have_it() {
        let mut group = Group::new(0, 2);
        assert_eq!(group.refill(2, 10), 2);
        assert_eq!(group.deliver(0), Some(10));
        assert_eq!(group.deliver(1), Some(10));
        assert_eq!(group.refill(2, 20), 0);
        assert_eq!(group.deliver(0), Some(10));
        assert_eq!(group.refill(2, 30), 1);
        assert_eq!(group.deliver(2), Some(30));
    }

    #[test]
    fn deliveries_beyond_those_sent_are_refused() {
        let mut group = Group::new(0, 1);
        assert_eq!(group.deliver(0), None);
        group.refill(1, 0);
        assert_eq!(group.deliver(1), None);
        assert_eq!(group.deliver(0), Some(0));
        assert_eq!(group.deliver(0), None);
    }

    #[test]
    fn only_an_ack_has_an_id() {
        assert_eq!(ack_id(b"4312[\"x\"]"), Some(12));
        assert_eq!(ack_id(b"43[\"x\"]"), None);
        assert_eq!(ack_id(b"42[\"x\"]"), None);
    }
}
