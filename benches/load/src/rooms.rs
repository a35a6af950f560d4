//! Joining and leaving many rooms. In: ACKs. Out: the next joins or leaves, and how fast they went at
//! the beginning and at the end, which differ if a server's cost grows with the rooms there are.

use std::io::Write;

use crate::client::Progress;
use crate::frame;

/// All clients entering or leaving all their rooms.
pub(crate) struct Rooms {
    /// How many each client has.
    rooms: u64,
    /// Whether all clients enter the same ones.
    shared: bool,
    clients: usize,
    in_flight: usize,
    verb: Verb,
    pub(crate) course: Course,
    packet: Vec<u8>,
}

impl Rooms {
    pub(crate) fn new(rooms: u64, shared: bool, clients: usize, in_flight: usize) -> Self {
        Self {
            rooms,
            shared,
            clients,
            in_flight,
            verb: Verb::Join,
            course: Course::new(rooms * clients as u64, 0),
            packet: Vec::new(),
        }
    }

    /// Turns to the next verb. All operations of the one before it must be done.
    pub(crate) fn begin(&mut self, verb: Verb, now: u64) {
        self.verb = verb;
        self.course = Course::new(self.rooms * self.clients as u64, now);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes in one ACK, and returns when its operation was sent.
    ///
    /// # Errors
    ///
    /// It is none, or the server has refused.
    pub(crate) fn receive(
        &mut self,
        packet: &[u8],
        progress: &mut Progress,
        now: u64,
    ) -> Result<Option<u64>, &'static str> {
        let (id, args) = ack(packet).ok_or("no ack where one was due")?;
        let sent_at = progress.acks.settle(id);
        if sent_at.is_some() {
            self.course.advance(now);
        }
        if is_error(args) {
            return Err("the server refused");
        }
        Ok(sent_at)
    }

    /// Writes up to `count` operations of one client into `frames`.
    pub(crate) fn next(
        &mut self,
        index: usize,
        progress: &mut Progress,
        count: usize,
        now: u64,
        frames: &mut Vec<u8>,
    ) {
        // The leaves' ids go on where the joins' have ended.
        let first = match self.verb {
            Verb::Join => 0,
            Verb::Leave => self.rooms,
        };
        for _ in 0..count {
            let room = progress.acks.issued() - first;
            if room >= self.rooms {
                return;
            }
            let id = progress.acks.issue(now);
            let verb = self.verb.name();
            self.packet.clear();
            // Writing to a Vec cannot fail.
            let _ = if self.shared {
                write!(self.packet, r#"42{id}["{verb}","r{room}"]"#)
            } else {
                write!(self.packet, r#"42{id}["{verb}","c{index}r{room}"]"#)
            };
            frame::append(frames, frame::TEXT, &self.packet);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Join,
    Leave,
}

impl Verb {
    /// Returns the event's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Join => "joins",
            Self::Leave => "leaves",
        }
    }
}

/// How many of the operations are done, and when the first and the last tenth of them began and ended.
pub(crate) struct Course {
    total: u64,
    done: u64,
    started_at: u64,
    first_tenth_at: u64,
    last_tenth_from: u64,
    ended_at: u64,
}

impl Course {
    fn new(total: u64, now: u64) -> Self {
        Self {
            total,
            done: 0,
            started_at: now,
            first_tenth_at: now,
            last_tenth_from: now,
            ended_at: now,
        }
    }

    fn advance(&mut self, now: u64) {
        self.done += 1;
        if self.done == self.tenth() {
            self.first_tenth_at = now;
        }
        if self.done == self.total - self.tenth() {
            self.last_tenth_from = now;
        }
        self.ended_at = now;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.done >= self.total
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Returns the operations per second: of all, of the first tenth, and of the last.
    pub(crate) fn rates(&self) -> [Option<f64>; 3] {
        let rate = |count: u64, from: u64, to: u64| {
            let span = to.saturating_sub(from);
            (span > 0).then(|| count as f64 * 1e9 / span as f64)
        };
        [
            rate(self.done, self.started_at, self.ended_at),
            rate(self.tenth(), self.started_at, self.first_tenth_at),
            rate(self.tenth(), self.last_tenth_from, self.ended_at),
        ]
    }

    fn tenth(&self) -> u64 {
        self.total.div_ceil(10)
    }
}

/// Takes an ACK apart into its id and its args.
pub(crate) fn ack(packet: &[u8]) -> Option<(u64, &[u8])> {
    let digits = packet.strip_prefix(b"43")?;
    let end = digits.iter().position(|byte| *byte == b'[')?;
    let id = std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?;
    Some((id, &digits[end..]))
}

/// Returns whether an ACK's first argument is an object that names an error.
fn is_error(args: &[u8]) -> bool {
    let args = String::from_utf8_lossy(args);
    let Some(object) = args
        .strip_prefix('[')
        .and_then(|args| args.trim_start().strip_prefix('{'))
    else {
        return false;
    };
    object
        .split_once("\"error\"")
        .is_some_and(|(_, rest)| rest.trim_start().starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::{Course, ack, is_error};

    #[test]
    fn only_an_ack_has_an_id() {
        assert_eq!(ack(b"4312[\"x\"]"), Some((12, &b"[\"x\"]"[..])));
        assert_eq!(ack(b"43[\"x\"]"), None);
        assert_eq!(ack(b"42[\"x\"]"), None);
    }

    #[test]
    fn only_an_object_with_that_key_is_an_error() {
        for args in [r#"[{"error":"no"}]"#, r#"[ {"a":1, "error" : null}]"#] {
            assert!(is_error(args.as_bytes()), "{args}");
        }
        for args in [
            "[]",
            "[null]",
            r#"["error"]"#,
            r#"[{"ok":"error"}]"#,
            "[[]]",
        ] {
            assert!(!is_error(args.as_bytes()), "{args}");
        }
    }

    #[test]
    fn the_tenths_have_rates_of_their_own() {
        let mut course = Course::new(20, 1_000_000_000);
        for done in 1..=20_u64 {
            assert!(!course.is_over());
            // The first eighteen take 0.1 s each, the last two 1 s each.
            let late = done.saturating_sub(18) * 900_000_000;
            course.advance(1_000_000_000 + done * 100_000_000 + late);
        }
        assert!(course.is_over());
        let [all, first, last] = course.rates().map(Option::unwrap);
        assert!((all - 20.0 / 3.8).abs() < 1e-9);
        assert!((first - 10.0).abs() < 1e-9);
        assert!((last - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_single_operation_is_all_its_tenths() {
        let mut course = Course::new(1, 0);
        assert_eq!(course.rates(), [None; 3]);
        course.advance(500_000_000);
        assert_eq!(course.rates(), [Some(2.0); 3]);
    }
}
