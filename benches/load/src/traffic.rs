//! The packets that ready clients send, and those that count as an answer. In: packets of ready
//! clients. Out: latencies, and what to send next. It touches no stream.

use crate::args::{Args, Workload};
use crate::broadcast::Group;
use crate::client::Progress;
use crate::frame;
use crate::histogram::Histogram;
use crate::rate::Due;
use crate::rooms::{Rooms, ack};

pub(crate) enum Traffic {
    Echo {
        burst: Burst,
        in_flight: usize,
    },
    /// The same with an attachment, of which `start` must come back.
    BinaryEcho {
        burst: Burst,
        in_flight: usize,
        start: Vec<u8>,
    },
    Ack {
        frames: Vec<Vec<u8>>,
    },
    /// Messages whose number in flight has no limit, so that each needs an id of its own.
    AckAtRate {
        tail: String,
    },
    Broadcast {
        event: &'static [u8],
        rooms: bool,
        burst: Burst,
        groups: Vec<Group>,
        in_flight: usize,
    },
    Rooms(Rooms),
    Silent,
}

impl Traffic {
    pub(crate) fn new(args: &Args) -> Self {
        let payload = "x".repeat(args.payload);
        let in_flight = args.in_flight;
        match args.workload {
            Workload::Echo if args.binary => Self::binary_echo(args),
            Workload::Echo => {
                let burst = Burst::new([format!(r#"42["echo","{payload}"]"#)], in_flight);
                Self::Echo { burst, in_flight }
            }
            Workload::Ack if args.rate.is_some() => Self::AckAtRate {
                tail: format!(r#"["ack","{payload}"]"#),
            },
            Workload::Ack => {
                let packet = |id| frame::text(&format!(r#"42{id}["ack","{payload}"]"#));
                Self::Ack {
                    frames: (0..in_flight).map(packet).collect(),
                }
            }
            Workload::Bcast => {
                let burst = Burst::new([format!(r#"42["bcast","{payload}"]"#)], in_flight);
                let groups = vec![Group::new(0, args.connections)];
                Self::Broadcast {
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
                Self::Broadcast {
                    event: br#"42["rcast""#,
                    rooms: true,
                    burst,
                    groups,
                    in_flight,
                }
            }
            Workload::Rooms => Self::Rooms(Rooms::new(
                args.rooms,
                args.shared,
                args.connections,
                in_flight,
            )),
            Workload::Idle | Workload::Connect => Self::Silent,
        }
    }

    fn binary_echo(args: &Args) -> Self {
        let attachment = noise(args.payload);
        let mut frames = frame::text(r#"451-["echo",{"_placeholder":true,"num":0}]"#);
        frames.extend(frame::binary(&attachment));
        Self::BinaryEcho {
            burst: Burst::of([frames], args.in_flight),
            in_flight: args.in_flight,
            start: attachment[..args.payload.min(COMPARED_MAX)].to_vec(),
        }
    }

    /// Returns what a client sends to enter its room, if it has one.
    pub(crate) fn join(&self, index: usize) -> Option<Vec<u8>> {
        match self {
            Self::Broadcast {
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
                let (id, _) = ack(packet).ok_or("no ack where one was due")?;
                let id = usize::try_from(id).map_err(|_| "answer to nothing")?;
                turn.answers.push(id);
                progress
                    .sent
                    .get_mut(id)
                    .and_then(|sent| (*sent != VACANT).then(|| std::mem::replace(sent, VACANT)))
            }
            Self::AckAtRate { .. } => {
                let (id, _) = ack(packet).ok_or("no ack where one was due")?;
                progress.acks.settle(id)
            }
            Self::Rooms(rooms) => {
                turn.answers.push(0);
                rooms.receive(packet, progress, turn.now)?
            }
            Self::Broadcast { event, groups, .. } if packet.starts_with(event) => {
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

    /// Takes in the packet of a BINARY_EVENT, whose attachment is the next binary frame.
    ///
    /// # Errors
    ///
    /// It is not the answer to anything.
    pub(crate) fn receive_binary(
        &self,
        packet: &[u8],
        progress: &mut Progress,
    ) -> Result<(), &'static str> {
        match self {
            Self::BinaryEcho { .. } if packet.starts_with(br#"451-["echo""#) => {
                progress.attachment_due = true;
                Ok(())
            }
            _ => Err("unknown event"),
        }
    }

    /// Takes in an attachment, which makes an answer whole.
    ///
    /// # Errors
    ///
    /// None was due, or it is not the one that was sent.
    pub(crate) fn receive_attachment(
        &self,
        attachment: &[u8],
        progress: &mut Progress,
        turn: &mut Turn,
        latencies: &mut Histogram,
    ) -> Result<(), &'static str> {
        let due = std::mem::take(&mut progress.attachment_due);
        match self {
            Self::BinaryEcho { start, .. } if due && attachment.starts_with(start) => {
                turn.answers.push(0);
                let sent_at = progress.sent.pop_front().ok_or("answer to nothing")?;
                latencies.record(turn.now.saturating_sub(sent_at));
                Ok(())
            }
            _ => Err("unknown attachment"),
        }
    }

    /// Returns the frames of a message that is due, which need not be the only one in flight.
    pub(crate) fn due<'a>(
        &'a self,
        due: Due,
        progress: &mut Progress,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        match self {
            Self::Echo { burst, .. } | Self::BinaryEcho { burst, .. } => {
                progress.sent.push_back(due.at);
                burst.frames(0, 1)
            }
            Self::AckAtRate { tail } => {
                let id = progress.acks.issue(due.at);
                scratch.clear();
                frame::append(scratch, frame::TEXT, format!("42{id}{tail}").as_bytes());
                scratch
            }
            _ => &[],
        }
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
            Self::Echo { burst, .. } | Self::BinaryEcho { burst, .. } => {
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
            Self::Broadcast {
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
            Self::Rooms(rooms) => {
                scratch.clear();
                rooms.next(index, progress, turn.answers.len(), turn.now, scratch);
                turn.answers.clear();
                scratch.as_slice()
            }
            Self::AckAtRate { .. } | Self::Silent => return None,
        };
        (!frames.is_empty()).then_some((index, frames))
    }

    /// Puts a turn into the state in which every message of a client has just been answered.
    pub(crate) fn prime(&self, progress: &mut Progress, turn: &mut Turn) {
        turn.answers.clear();
        match self {
            Self::Echo { in_flight, .. } | Self::BinaryEcho { in_flight, .. } => {
                turn.answers.resize(*in_flight, 0);
            }
            Self::Ack { frames } => {
                progress.sent.resize(frames.len(), VACANT);
                turn.answers.extend(0..frames.len());
            }
            Self::Rooms(rooms) => turn.answers.resize(rooms.in_flight(), 0),
            Self::Broadcast { .. } | Self::AckAtRate { .. } | Self::Silent => {}
        }
    }
}

/// The results of one read of one client. Reused, so that a turn allocates nothing.
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
        Self::of(
            packets.into_iter().map(|packet| frame::text(&packet)),
            times,
        )
    }

    fn of(messages: impl IntoIterator<Item = Vec<u8>>, times: usize) -> Self {
        let burst = |frames: Vec<u8>| (frames.repeat(times), frames.len());
        Self {
            bursts: messages.into_iter().map(burst).collect(),
        }
    }

    fn frames(&self, number: usize, count: usize) -> &[u8] {
        let (frames, length) = &self.bursts[number];
        &frames[..length * count]
    }
}

/// Returns bytes that do not compress and are no text, the same in every run (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

const ROOMS_MAX: usize = 100;
/// Well below what the scanner keeps of a frame.
const COMPARED_MAX: usize = 16;
const VACANT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::{Traffic, Turn, noise};
    use crate::args::Args;
    use crate::client::Progress;
    use crate::histogram::Histogram;

    #[test]
    fn noise_is_no_text() {
        assert!(noise(0).is_empty());
        assert!(std::str::from_utf8(&noise(32)).is_err());
    }

    #[test]
    fn a_binary_echo_counts_with_its_attachment() {
        let args = Args::example("--workload echo --binary yes --payload 40");
        let traffic = Traffic::new(&args);
        let (mut progress, mut turn) = (Progress::new(), Turn::default());
        let mut latencies = Histogram::new();
        progress.sent.extend([5, 6]);
        let packet = br#"451-["echo", {"_placeholder": true, "num": 0}]"#;
        let attachment = noise(40);
        for (announced, bytes, sound) in [
            (false, &attachment[..], false),
            (true, &attachment[..], true),
            (true, b"something else", false),
            (false, &attachment[..], false),
        ] {
            if announced {
                assert!(traffic.receive_binary(packet, &mut progress).is_ok());
            }
            let answer =
                traffic.receive_attachment(bytes, &mut progress, &mut turn, &mut latencies);
            assert_eq!(answer.is_ok(), sound);
        }
        assert_eq!((latencies.total(), progress.sent.len()), (1, 1));
        assert!(
            traffic
                .receive_binary(b"451-[\"other\"]", &mut progress)
                .is_err()
        );
    }
}
