//! All clients that stay on polling, on one epoll. In: readiness. Out: the tally. Each has two streams,
//! with two tokens.

use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::Failure;
use crate::args::Args;
use crate::clients::{Clients, EVENTS_MAX, READ_MAX, wait};
use crate::clock::Clock;
use crate::poller::{Poller, Scratch, Side, Stage};
use crate::rate::{Due, Rate};
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
}

impl Clients for Polling {
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

    fn open(&mut self, index: usize) -> Result<(), Failure> {
        let tokens = [Token(2 * index), Token(2 * index + 1)];
        let poller = Poller::open(self.addr, self.poll.registry(), tokens)?;
        self.pollers[index] = Some(poller);
        Ok(())
    }

    fn send(&mut self, due: Due) {
        let index = due.index(self.pollers.len());
        if let Some(poller) = &mut self.pollers[index] {
            poller.add(due.at);
            self.flush(index);
        }
    }

    fn poll_once(&mut self, deadline: u64) -> Result<usize, Failure> {
        let timeout = Duration::from_nanos(deadline.saturating_sub(self.clock.now()));
        let events = wait(&mut self.poll, &mut self.events, timeout)?;
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

    fn len(&self) -> usize {
        self.pollers.len()
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn pending(&self) -> usize {
        self.pollers.iter().flatten().map(Poller::pending).sum()
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
