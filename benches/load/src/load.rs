//! All clients on one epoll, but for those that stay on polling. In: readiness. Out: the tally. It
//! drives clients through the protocol, and sends what the traffic has for them to say.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::Failure;
use crate::args::{Args, Transport, Workload};
use crate::client::{Birth, Client, Stage};
use crate::clients::{Clients, EVENTS_MAX, READ_MAX, wait};
use crate::clock::Clock;
use crate::closing::{Closing, Closings, Late};
use crate::frame;
use crate::link::Link;
use crate::polling_start::{PollingStart, Step};
use crate::rate::{Due, Rate};
use crate::rooms::{Course, Verb};
use crate::tally::Tally;
use crate::traffic::{Traffic, Turn};

pub(crate) struct Load {
    pub(crate) clock: Clock,
    pub(crate) tally: Tally,
    addr: SocketAddr,
    /// The address of every second client.
    second: SocketAddr,
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    /// How those begin whose sessions begin on polling, under the clients' indices.
    starts: Vec<Option<PollingStart>>,
    traffic: Traffic,
    rate: Option<Rate>,
    turn: Turn,
    buffer: Box<[u8]>,
    scratch: Vec<u8>,
    pub(crate) open: usize,
    ready: usize,
    serial: u64,
    /// Whether a client closes as soon as it is ready, and another one takes its place.
    cycling: bool,
    running: bool,
    closings: Closings,
}

impl Load {
    pub(crate) fn new(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            clock: Clock::start(),
            tally: Tally::new(),
            addr: args.addr,
            second: args.second.unwrap_or(args.addr),
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            clients: (0..args.connections).map(|_| None).collect(),
            starts: match args.transport {
                Transport::Upgrade => (0..args.connections).map(|_| None).collect(),
                Transport::WebSocket | Transport::Polling => Vec::new(),
            },
            traffic: Traffic::new(args),
            rate: args.rate.map(Rate::new),
            turn: Turn::default(),
            buffer: vec![0; READ_MAX].into_boxed_slice(),
            scratch: Vec::new(),
            open: 0,
            ready: 0,
            serial: 0,
            cycling: args.workload == Workload::Connect,
            running: false,
            closings: Closings::default(),
        })
    }

    /// Turns the clients to joining or leaving, for [`Clients::start`].
    pub(crate) fn begin_rooms(&mut self, verb: Verb) {
        if let Traffic::Rooms(rooms) = &mut self.traffic {
            rooms.begin(verb, self.clock.now());
        }
    }

    /// Returns how far joining or leaving has come, if that is the workload.
    pub(crate) fn course(&self) -> Option<&Course> {
        match &self.traffic {
            Traffic::Rooms(rooms) => Some(&rooms.course),
            _ => None,
        }
    }

    /// Asks the server to close every client.
    pub(crate) fn close_all(&mut self) {
        self.running = false;
        for index in 0..self.clients.len() {
            self.close(index);
        }
    }

    fn addr_of(&self, index: usize) -> SocketAddr {
        if index.is_multiple_of(2) {
            self.addr
        } else {
            self.second
        }
    }

    fn on_start_event(&mut self, index: usize, event: &Event) {
        let addr = self.addr_of(index);
        let Some(start) = &mut self.starts[index] else {
            return;
        };
        let client = self.clients[index].as_ref();
        let probed = client.is_some_and(|client| client.progress.stage == Stage::Probed);
        let registry = self.poll.registry();
        match start.on_event(event, registry, &mut self.buffer, probed) {
            Ok(Step::Wait) => {}
            Ok(Step::OpenWebSocket) => {
                let sid = Some(start.sid());
                match Client::connect(addr, registry, index, sid, start.birth) {
                    Ok(client) => self.clients[index] = Some(client),
                    Err(error) => self.lose(index, &error.to_string()),
                }
            }
            Ok(Step::TakeOver) => self.take_over(index),
            Err(error) => self.lose(index, &error),
        }
    }

    /// Ends polling, and goes on as a client does that has been on WebSocket from the start.
    fn take_over(&mut self, index: usize) {
        let (Some(mut start), Some(client)) = (self.starts[index].take(), &mut self.clients[index])
        else {
            return;
        };
        start.hang_up(self.poll.registry());
        self.turn.begin(self.clock.now());
        self.turn.replies.extend(frame::text("5"));
        if start.pong_due {
            self.turn.replies.extend(frame::text("3"));
        }
        let mut link = Link {
            index,
            progress: &mut client.progress,
            traffic: &mut self.traffic,
            turn: &mut self.turn,
            tally: &mut self.tally,
        };
        link.on_connected();
        self.after_chunk(index);
    }

    fn on_writable(&mut self, index: usize) {
        if let Some(client) = &mut self.clients[index]
            && let Err(error) = client.wire.on_writable()
        {
            self.lose(index, &error.to_string());
        }
    }

    fn on_readable(&mut self, index: usize, end_seen: bool) {
        while let Some(client) = &mut self.clients[index] {
            match client.wire.read(&mut self.buffer) {
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
        let upgrading = client.progress.stage == Stage::Upgrading;
        if upgrading {
            match client.upgrade(chunk) {
                Ok(Some(response)) => chunk = &chunk[response..],
                Ok(None) => return,
                Err(error) => return self.lose(index, &error),
            }
        }
        self.turn.begin(self.clock.now());
        if upgrading && !self.starts.is_empty() {
            client.progress.stage = Stage::Probing;
            self.turn.replies.extend(frame::text("2probe"));
        }
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
            self.write(index, &replies);
            self.turn.replies = replies;
        }
        if self.turn.closed {
            return self.on_close_frame(index);
        }
        if self.turn.ready {
            self.ready += 1;
            if self.cycling
                && let Some(client) = &self.clients[index]
            {
                self.tally
                    .latencies
                    .record(self.turn.now.saturating_sub(client.birth.opened_at));
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
            && let Err(error) = client.wire.send(frames)
        {
            self.lose(sender, &error.to_string());
        }
    }

    fn write(&mut self, index: usize, bytes: &[u8]) {
        if let Some(client) = &mut self.clients[index]
            && let Err(error) = client.wire.send(bytes)
        {
            self.lose(index, &error.to_string());
        }
    }

    fn close(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        client.progress.stage = Stage::Closing;
        let serial = client.birth.serial;
        self.closings.add(self.clock.now(), index, serial);
        self.write(index, &frame::close());
    }

    fn on_close_frame(&mut self, index: usize) {
        match &self.clients[index] {
            // The server has asked for it and waits for the end of the stream.
            Some(client) if client.progress.stage == Stage::Closing => {
                let serial = client.birth.serial;
                self.closings.answer(self.clock.now(), index, serial);
            }
            _ => self.lose(index, "the server closed the session"),
        }
    }

    /// Takes a client out, in error unless it was closing.
    fn lose(&mut self, index: usize, error: &str) {
        let start = self.starts.get_mut(index).and_then(Option::take);
        let client = self.clients[index].take();
        if start.is_none() && client.is_none() {
            return;
        }
        self.open -= 1;
        let stage = client.as_ref().map(|client| client.progress.stage);
        if matches!(stage, Some(Stage::Ready | Stage::Closing)) {
            self.ready -= 1;
        }
        if stage != Some(Stage::Closing) {
            self.tally.error(error);
        }
        if let Some(mut start) = start {
            start.hang_up(self.poll.registry());
        }
        if let Some(client) = client {
            client.wire.abandon(self.poll.registry());
        }
        // One that failed is not replaced: a server that is down would be hammered.
        if self.cycling
            && self.running
            && stage == Some(Stage::Closing)
            && let Err(error) = self.open(index)
        {
            self.tally.error(&error.to_string());
        }
    }

    /// Gives up on the clients the server has not closed in time.
    fn abandon_late(&mut self) {
        let now = self.clock.now();
        let is_open = |clients: &[Option<Client>], closing: Closing| {
            let client = clients[closing.index].as_ref();
            client.is_some_and(|client| client.birth.serial == closing.serial)
        };
        while let Some(late) = self
            .closings
            .late(now, |closing| is_open(&self.clients, closing))
        {
            let (Late::Unanswered(index) | Late::Lingering(index)) = late;
            if late == Late::Unanswered(index) {
                self.tally.error("the server left a close frame unanswered");
            }
            self.lose(index, "");
        }
    }
}

impl Clients for Load {
    fn start(&mut self) -> Result<(), Failure> {
        if let Some(rate) = &mut self.rate {
            rate.start(self.clock.now());
            return Ok(());
        }
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

    fn open(&mut self, index: usize) -> Result<(), Failure> {
        self.serial += 1;
        let birth = Birth {
            opened_at: self.clock.now(),
            serial: self.serial,
        };
        let addr = self.addr_of(index);
        let registry = self.poll.registry();
        if let Some(start) = self.starts.get_mut(index) {
            // Behind the clients' own tokens.
            let token = Token(self.clients.len() + index);
            *start = Some(PollingStart::open(addr, registry, token, birth)?);
        } else {
            let client = Client::connect(addr, registry, index, None, birth)?;
            self.clients[index] = Some(client);
        }
        self.open += 1;
        Ok(())
    }

    fn send(&mut self, due: Due) {
        let index = due.index(self.clients.len());
        // The error that has lost a client is counted already.
        if let Some(client) = &mut self.clients[index] {
            let frames = self
                .traffic
                .due(due, &mut client.progress, &mut self.scratch);
            if let Err(error) = client.wire.send(frames) {
                self.lose(index, &error.to_string());
            }
        }
    }

    fn poll_once(&mut self, deadline: u64) -> Result<usize, Failure> {
        let now = self.clock.now();
        let until = self
            .closings
            .deadline()
            .map_or(deadline, |late| late.min(deadline));
        let timeout = Duration::from_nanos(until.saturating_sub(now));
        let events = wait(&mut self.poll, &mut self.events, timeout)?;
        let mut count = 0;
        for event in &events {
            count += 1;
            let index = event.token().0;
            if let Some(index) = index.checked_sub(self.clients.len()) {
                self.on_start_event(index, event);
                continue;
            }
            if event.is_writable() {
                self.on_writable(index);
            }
            if event.is_readable() {
                self.on_readable(index, event.is_read_closed());
            }
        }
        self.events = events;
        self.abandon_late();
        Ok(count)
    }

    fn len(&self) -> usize {
        self.clients.len()
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn pending(&self) -> usize {
        let clients = self.clients.iter().flatten();
        clients.map(|client| client.progress.pending()).sum()
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn rate(&mut self) -> Option<&mut Rate> {
        self.rate.as_mut()
    }
}
