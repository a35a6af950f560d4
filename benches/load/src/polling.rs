//! All clients that stay on polling, on one epoll. In: readiness. Out: the tally. Each has two streams,
//! with two tokens.

use std::io::ErrorKind;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::Failure;
use crate::args::Args;
use crate::clients::{Clients, OPEN_MAX, OPENING_MAX};
use crate::clock::{Clock, nanos};
use crate::poller::{Poller, Scratch, Side, Stage};
use crate::rate::{Rate, SENT_AT_ONCE_MAX};
use crate::tally::Tally;

pub(crate) struct Polling {
    clock: Clock,
    tally: Tally,
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    pollers: Vec<Option<Poller>>,
    /// The packet that everybody sends.
    message: Vec<u8>,
    in_flight: usize,
    rate: Option<Rate>,
    buffer: Box<[u8]>,
    scratch: Scratch,
    ready: usize,
    /// Whether an answer makes room for the next message.
    running: bool,
}

impl Polling {
    pub(crate) fn new(args: &Args) -> Result<Self, Failure> {
        let payload = "x".repeat(args.payload);
        Ok(Self {
            clock: Clock::start(),
            tally: Tally::new(),
            addr: args.addr,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            pollers: (0..args.connections).map(|_| None).collect(),
            message: format!(r#"42["echo","{payload}"]"#).into_bytes(),
            in_flight: args.in_flight,
            rate: args.rate.map(Rate::new),
            buffer: vec![0; READ_MAX].into_boxed_slice(),
            scratch: Scratch::default(),
            ready: 0,
            running: false,
        })
    }

    fn open(&mut self, index: usize) -> Result<(), Failure> {
        let tokens = [Token(2 * index), Token(2 * index + 1)];
        let poller = Poller::open(self.addr, self.poll.registry(), tokens)?;
        self.pollers[index] = Some(poller);
        Ok(())
    }

    fn drive(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let deadline = self.clock.now() + nanos(span);
        while !done(self) && self.clock.now() < deadline {
            self.step(deadline)?;
        }
        Ok(())
    }

    /// Does what there is to do, and waits for it unless a message will soon be due.
    fn step(&mut self, deadline: u64) -> Result<(), Failure> {
        if !self.rate.as_ref().is_some_and(Rate::is_running) {
            self.poll_once(deadline)?;
            return Ok(());
        }
        self.send_due();
        let events = self.poll_once(0)?;
        if events == 0
            && let Some(rate) = &self.rate
        {
            rate.spin(self.clock);
        }
        Ok(())
    }

    fn send_due(&mut self) {
        for _ in 0..SENT_AT_ONCE_MAX {
            let now = self.clock.now();
            let Some(due) = self.rate.as_mut().and_then(|rate| rate.take(now)) else {
                return;
            };
            let index = due.index(self.pollers.len());
            if let Some(poller) = &mut self.pollers[index] {
                poller.add(due.at);
                self.flush(index);
            }
        }
    }

    /// Serves the streams that are ready, and returns how many there were.
    fn poll_once(&mut self, deadline: u64) -> Result<usize, Failure> {
        let timeout = Duration::from_nanos(deadline.saturating_sub(self.clock.now()));
        let mut events = mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut count = 0;
        for event in &events {
            count += 1;
            let Token(token) = event.token();
            let side = if token % 2 == 0 {
                Side::Polls
            } else {
                Side::Posts
            };
            if let Err(error) = self.on_event(token / 2, side, event) {
                self.lose(token / 2, &error);
            }
        }
        self.events = events;
        Ok(count)
    }

    fn on_event(&mut self, index: usize, side: Side, event: &Event) -> Result<(), String> {
        let Some(poller) = &mut self.pollers[index] else {
            return Ok(());
        };
        let exchange = poller.exchange(side);
        if event.is_writable() {
            exchange.on_writable().map_err(|error| error.to_string())?;
        }
        if !event.is_readable() {
            return Ok(());
        }
        let registry = self.poll.registry();
        if !exchange.on_readable(registry, &mut self.buffer, event.is_read_closed())? {
            return Ok(());
        }
        let now = self.clock.now();
        let was_ready = poller.stage == Stage::Ready;
        let answered = poller.on_answer(side, now, &mut self.tally.latencies)?;
        if !was_ready && poller.stage == Stage::Ready {
            self.ready += 1;
        }
        if self.running {
            for _ in 0..answered {
                poller.add(now);
            }
        }
        self.flush(index);
        Ok(())
    }

    fn flush(&mut self, index: usize) {
        if let Some(poller) = &mut self.pollers[index]
            && let Err(error) = poller.flush(self.poll.registry(), &self.message, &mut self.scratch)
        {
            self.lose(index, &error.to_string());
        }
    }

    fn lose(&mut self, index: usize, error: &str) {
        let Some(mut poller) = self.pollers[index].take() else {
            return;
        };
        for side in [Side::Polls, Side::Posts] {
            poller.exchange(side).hang_up(self.poll.registry());
        }
        self.tally.error(error);
    }

    fn pending(&self) -> usize {
        self.pollers.iter().flatten().map(Poller::pending).sum()
    }
}

impl Clients for Polling {
    fn open_all(&mut self) -> Result<(), Failure> {
        let deadline = self.clock.now() + nanos(OPEN_MAX);
        let mut next = 0;
        while self.ready < self.pollers.len() {
            while next < self.pollers.len() && next - self.ready < OPENING_MAX {
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

    fn start(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        if let Some(rate) = &mut self.rate {
            rate.start(now);
            return Ok(());
        }
        self.running = true;
        for index in 0..self.pollers.len() {
            if let Some(poller) = &mut self.pollers[index] {
                for _ in 0..self.in_flight {
                    poller.add(now);
                }
            }
            self.flush(index);
        }
        Ok(())
    }

    fn run_for(&mut self, span: Duration) -> Result<(), Failure> {
        self.drive(span, |_| false)
    }

    fn settle(&mut self, span: Duration) -> Result<usize, Failure> {
        self.drive(span, |polling| polling.pending() == 0)?;
        Ok(self.pending())
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

const EVENTS_MAX: usize = 1024;
const READ_MAX: usize = 256 * 1024;
