//! All clients on one epoll. In: readiness. Out: the tally. It drives clients through the protocol
//! and hands what ready ones receive to the traffic.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::{Events, Poll};

use crate::Failure;
use crate::args::{Args, Workload};
use crate::client::{Client, Progress, Stage};
use crate::clock::{Clock, nanos};
use crate::frame;
use crate::histogram::Histogram;
use crate::scan::Frame;
use crate::traffic::{Traffic, Turn};

pub(crate) struct Load {
    pub(crate) clock: Clock,
    pub(crate) tally: Tally,
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    traffic: Traffic,
    turn: Turn,
    buffer: Box<[u8]>,
    scratch: Vec<u8>,
    pub(crate) open: usize,
    ready: usize,
    serial: u64,
    /// Whether a client closes as soon as it is ready, and another one takes its place.
    cycling: bool,
    running: bool,
    /// Close frames sent and not answered yet, oldest first.
    closing: VecDeque<Closing>,
}

impl Load {
    pub(crate) fn new(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            clock: Clock::start(),
            tally: Tally {
                latencies: Histogram::new(),
                errors: 0,
                first_error: None,
            },
            addr: args.addr,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            clients: (0..args.connections).map(|_| None).collect(),
            traffic: Traffic::new(args),
            turn: Turn::default(),
            buffer: vec![0; READ_MAX].into_boxed_slice(),
            scratch: Vec::new(),
            open: 0,
            ready: 0,
            serial: 0,
            cycling: args.workload == Workload::Connect,
            running: false,
            closing: VecDeque::new(),
        })
    }

    /// Opens all clients and waits until each is ready.
    ///
    /// # Errors
    ///
    /// One was lost, or they are not all ready in time.
    pub(crate) fn open_all(&mut self) -> Result<(), Failure> {
        let deadline = self.clock.now() + nanos(OPEN_MAX);
        let mut next = 0;
        while self.ready < self.clients.len() {
            // No more at once than any server's backlog takes.
            while next < self.clients.len() && self.open - self.ready < OPENING_MAX {
                self.open(next)?;
                next += 1;
            }
            self.poll_once(deadline)?;
            if let Some(error) = &self.tally.first_error {
                return Err(format!("while opening {next} clients: {error}").into());
            }
            if self.clock.now() >= deadline {
                return Err(format!("{} clients are ready after {OPEN_MAX:?}", self.ready).into());
            }
        }
        Ok(())
    }

    /// Sends the first messages, or opens the clients of a workload that consists of that.
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        self.running = true;
        for index in 0..self.clients.len() {
            if self.cycling {
                self.open(index)?;
                continue;
            }
            self.turn.begin(self.clock.now());
            if let Some(client) = &mut self.clients[index] {
                self.traffic.prime(&mut client.progress, &mut self.turn);
            }
            self.send_next(index);
        }
        Ok(())
    }

    /// Runs until the time is up or `done` holds, and returns whether it did.
    pub(crate) fn drive(
        &mut self,
        span: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = self.clock.now() + nanos(span);
        while !done(self) {
            if self.clock.now() >= deadline {
                return Ok(false);
            }
            self.poll_once(deadline)?;
        }
        Ok(true)
    }

    /// Asks the server to close every client.
    pub(crate) fn close_all(&mut self) {
        self.running = false;
        for index in 0..self.clients.len() {
            self.close(index);
        }
    }

    fn open(&mut self, index: usize) -> Result<(), Failure> {
        self.serial += 1;
        let now = self.clock.now();
        let client = Client::connect(self.addr, self.poll.registry(), index, now, self.serial)?;
        self.clients[index] = Some(client);
        self.open += 1;
        Ok(())
    }

    fn poll_once(&mut self, deadline: u64) -> Result<(), Failure> {
        let now = self.clock.now();
        let until = self
            .closing
            .front()
            .map_or(deadline, |first| deadline.min(first.deadline));
        let timeout = Duration::from_nanos(until.saturating_sub(now));
        let mut events = mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            let index = event.token().0;
            if event.is_writable() {
                self.on_writable(index);
            }
            if event.is_readable() {
                self.on_readable(index, event.is_read_closed());
            }
        }
        self.events = events;
        self.abandon_late();
        Ok(())
    }

    fn on_writable(&mut self, index: usize) {
        if let Some(client) = &mut self.clients[index]
            && let Err(error) = client.on_writable(self.addr)
        {
            self.lose(index, &error.to_string());
        }
    }

    fn on_readable(&mut self, index: usize, end_seen: bool) {
        while let Some(client) = &mut self.clients[index] {
            match client.read(&mut self.buffer) {
                Ok(None) => return,
                Ok(Some(0)) => return self.lose(index, "the server ended the stream"),
                Ok(Some(length)) => {
                    self.on_chunk(index, length);
                    // A short read has emptied the stream, and epoll reports what comes later: the
                    // read that would say so is spared. Only an end reported already is not again.
                    if length < self.buffer.len() && !end_seen {
                        return;
                    }
                }
                Err(error) => return self.lose(index, &error.to_string()),
            }
        }
    }

    fn on_chunk(&mut self, index: usize, length: usize) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        let mut chunk = &self.buffer[..length];
        if client.progress.stage == Stage::Upgrading {
            match client.upgrade(chunk) {
                Ok(Some(response)) => chunk = &chunk[response..],
                Ok(None) => return,
                Err(error) => return self.lose(index, &error),
            }
        }
        self.turn.begin(self.clock.now());
        let mut link = Link {
            index,
            progress: &mut client.progress,
            traffic: &mut self.traffic,
            turn: &mut self.turn,
            tally: &mut self.tally,
        };
        if let Err(error) = client.scanner.scan(chunk, |frame| link.on_frame(&frame)) {
            return self.lose(index, error);
        }
        self.after_chunk(index);
    }

    /// Does what the frames of a chunk have asked for, all in as few writes as possible.
    fn after_chunk(&mut self, index: usize) {
        if !self.turn.replies.is_empty() {
            let replies = mem::take(&mut self.turn.replies);
            self.send(index, &replies);
            self.turn.replies = replies;
        }
        if self.turn.closed {
            // Whoever has asked for it waits for the end of the stream.
            if !self.is_closing(index) {
                self.lose(index, "the server closed the session");
            }
            return;
        }
        if self.turn.ready {
            self.ready += 1;
            if self.cycling
                && let Some(client) = &self.clients[index]
            {
                self.tally
                    .latencies
                    .record(self.turn.now.saturating_sub(client.opened_at));
                self.close(index);
                return;
            }
        }
        if self.running {
            self.send_next(index);
        }
    }

    fn send_next(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        let next = self.traffic.next(
            index,
            &mut client.progress,
            &mut self.turn,
            &mut self.scratch,
        );
        let Some((sender, frames)) = next else {
            return;
        };
        if let Some(client) = &mut self.clients[sender]
            && let Err(error) = client.send(frames)
        {
            self.lose(sender, &error.to_string());
        }
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        if let Some(client) = &mut self.clients[index]
            && let Err(error) = client.send(bytes)
        {
            self.lose(index, &error.to_string());
        }
    }

    fn close(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        client.progress.stage = Stage::Closing;
        let deadline = self.clock.now() + nanos(CLOSE_MAX);
        self.closing.push_back(Closing {
            deadline,
            index,
            serial: client.serial,
        });
        self.send(index, &frame::close());
    }

    fn is_closing(&self, index: usize) -> bool {
        let stage = self.clients[index]
            .as_ref()
            .map(|client| client.progress.stage);
        stage == Some(Stage::Closing)
    }

    /// Takes a client out, in error unless it was closing.
    fn lose(&mut self, index: usize, error: &str) {
        let Some(client) = self.clients[index].take() else {
            return;
        };
        self.open -= 1;
        let stage = client.progress.stage;
        if matches!(stage, Stage::Ready | Stage::Closing) {
            self.ready -= 1;
        }
        if stage != Stage::Closing {
            self.tally.error(error);
        }
        client.abandon(self.poll.registry());
        // One that failed is not replaced: a server that is down would be hammered.
        if self.cycling
            && self.running
            && stage == Stage::Closing
            && let Err(error) = self.open(index)
        {
            self.tally.error(&error.to_string());
        }
    }

    /// Gives up on the clients the server has not closed in time.
    fn abandon_late(&mut self) {
        let now = self.clock.now();
        while let Some(first) = self.closing.front() {
            let serial = self.clients[first.index]
                .as_ref()
                .map(|client| client.serial);
            let late = serial == Some(first.serial);
            if late && now < first.deadline {
                return;
            }
            let index = first.index;
            self.closing.pop_front();
            if late {
                self.tally.error("the server left a closed stream open");
                self.lose(index, "");
            }
        }
    }
}

/// What is counted.
pub(crate) struct Tally {
    pub(crate) latencies: Histogram,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    fn error(&mut self, error: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_owned());
    }
}

/// One client's frames on their way to whom they concern.
struct Link<'a> {
    index: usize,
    progress: &'a mut Progress,
    traffic: &'a mut Traffic,
    turn: &'a mut Turn,
    tally: &'a mut Tally,
}

impl Link<'_> {
    fn on_frame(&mut self, frame: &Frame<'_>) {
        match frame.opcode {
            frame::TEXT => {
                if let Err(error) = self.on_packet(frame.start) {
                    let packet = String::from_utf8_lossy(frame.start);
                    self.tally.error(&format!("{error}: {packet}"));
                }
            }
            // A message counts when its first frame is complete.
            frame::CONTINUATION | frame::PONG => {}
            frame::PING => self.turn.replies.extend(frame::pong(frame.start)),
            frame::CLOSE => self.turn.closed = true,
            opcode => self.tally.error(&format!("unexpected opcode {opcode}")),
        }
    }

    fn on_packet(&mut self, packet: &[u8]) -> Result<(), &'static str> {
        match (self.progress.stage, packet) {
            (Stage::Ready, [b'4', b'2' | b'3', ..]) => {
                let Self {
                    index,
                    progress,
                    traffic,
                    turn,
                    tally,
                } = self;
                return traffic.receive(packet, *index, progress, turn, &mut tally.latencies);
            }
            // Engine.IO v4, Heartbeat: the server pings, the client answers.
            (_, b"2") => self.turn.replies.extend(frame::text("3")),
            (Stage::Opening, [b'0', ..]) => self.turn.replies.extend(frame::text("40")),
            (Stage::Opening, [b'4', b'0', ..]) => match self.traffic.join(self.index) {
                Some(frames) => {
                    self.turn.replies.extend(frames);
                    self.progress.stage = Stage::Joining;
                }
                None => self.become_ready(),
            },
            (Stage::Joining, [b'4', b'2', ..]) => self.become_ready(),
            (_, b"6") | (Stage::Closing, _) => {}
            _ => return Err("unexpected packet"),
        }
        Ok(())
    }

    fn become_ready(&mut self) {
        self.progress.stage = Stage::Ready;
        self.turn.ready = true;
    }
}

struct Closing {
    deadline: u64,
    index: usize,
    serial: u64,
}

/// Raises the limit of open files as far as the clients need it.
///
/// # Errors
///
/// The hard limit is lower.
pub(crate) fn raise_open_files(clients: usize) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = clients as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(())
}

const EVENTS_MAX: usize = 1024;
const READ_MAX: usize = 256 * 1024;
const OPENING_MAX: usize = 64;
const SPARE_FILES: u64 = 64;
const OPEN_MAX: Duration = Duration::from_secs(60);
const CLOSE_MAX: Duration = Duration::from_secs(2);
