//! All sessions on one epoll. In: readiness. Out: frames. It drives sessions through the protocol
//! and knows who is in which room.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::frame::{self, BINARY, CLOSE, Frame, PING, PONG, Scan, TEXT};
use crate::handshake::{Handshake, handshake};
use crate::packet::{self, Packet};
use crate::session::Session;

pub(crate) struct Server {
    poll: Poll,
    listener: TcpListener,
    sessions: Vec<Option<Session>>,
    vacant: Vec<usize>,
    /// The index of a room's members; a name keeps its index.
    rooms: HashMap<Vec<u8>, usize>,
    members: Vec<Vec<usize>>,
    /// Sessions to be closed once nothing goes through the list any more.
    doomed: Vec<usize>,
    /// The buffer of every read, and of most answers.
    buffer: Vec<u8>,
    sessions_opened: u64,
}

impl Server {
    pub(crate) fn bind(port: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            sessions: Vec::new(),
            vacant: Vec::new(),
            rooms: HashMap::new(),
            members: Vec::new(),
            doomed: Vec::new(),
            buffer: vec![0; READ_MAX],
            sessions_opened: 0,
        })
    }

    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut ping_at = Instant::now() + PING_INTERVAL;
        loop {
            let timeout = ping_at.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                    continue;
                }
                let index = event.token().0;
                if event.is_writable() {
                    self.on_writable(index);
                }
                if event.is_readable() {
                    self.on_readable(index, event.is_read_closed());
                }
                self.close_doomed();
            }
            if Instant::now() >= ping_at {
                ping_at += PING_INTERVAL;
                self.send_to_all(&frame::text("2"));
                self.close_doomed();
            }
        }
    }

    fn accept(&mut self) {
        // Any error but `WouldBlock` is that client's, or the lack of descriptors: the next one
        // that comes wakes the listener again.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let index = self.vacant.pop().unwrap_or_else(|| {
                self.sessions.push(None);
                self.sessions.len() - 1
            });
            // Both at once and for good, so that no message costs a change of interest.
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self
                .poll
                .registry()
                .register(&mut stream, Token(index), interest);
            if registered.and_then(|()| stream.set_nodelay(true)).is_ok() {
                self.sessions[index] = Some(Session::new(stream));
            } else {
                self.vacant.push(index);
            }
        }
    }

    fn on_writable(&mut self, index: usize) {
        if let Some(session) = &mut self.sessions[index]
            && session.flush().is_err()
        {
            self.doomed.push(index);
        }
    }

    fn on_readable(&mut self, index: usize, end_seen: bool) {
        let mut buffer = mem::take(&mut self.buffer);
        while let Some(session) = &mut self.sessions[index] {
            let length = match session.read(&mut buffer) {
                Ok(None) => break,
                Ok(Some(length @ 1..)) => length,
                Ok(Some(0)) | Err(_) => {
                    self.doomed.push(index);
                    break;
                }
            };
            if !self.on_chunk(index, &mut buffer[..length]) {
                self.doomed.push(index);
                break;
            }
            // A short read has emptied the stream, and epoll reports what comes later: the read
            // that would say so is spared. Only an end reported already is not again.
            if length < buffer.len() && !end_seen {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Takes in what a read brought, and returns whether the session goes on.
    fn on_chunk(&mut self, index: usize, chunk: &mut [u8]) -> bool {
        let Some(session) = &mut self.sessions[index] else {
            return false;
        };
        if session.partial.is_empty() && session.upgraded {
            let Some(used) = self.on_frames(index, chunk, 0) else {
                return false;
            };
            if let Some(session) = &mut self.sessions[index] {
                session.partial.extend_from_slice(&chunk[used..]);
            }
            return true;
        }
        let mut bytes = mem::take(&mut session.partial);
        bytes.extend_from_slice(chunk);
        let start = match session.upgraded {
            true => 0,
            false => match self.upgrade(index, &bytes) {
                Some(start) => start,
                None => return false,
            },
        };
        let upgraded = self.sessions[index]
            .as_ref()
            .is_some_and(|session| session.upgraded);
        let used = match upgraded {
            true => self.on_frames(index, &mut bytes, start),
            false => Some(start),
        };
        let Some(used) = used else {
            return false;
        };
        bytes.drain(..used);
        if let Some(session) = &mut self.sessions[index] {
            session.partial = bytes;
        }
        true
    }

    /// Answers the request once it is complete, and returns how long it was; 0 until then.
    fn upgrade(&mut self, index: usize, request: &[u8]) -> Option<usize> {
        let session = self.sessions[index].as_mut()?;
        match handshake(request) {
            Handshake::Partial => Some(0),
            Handshake::Refused => {
                let _ = session.send(REFUSAL);
                None
            }
            Handshake::Upgrade(response, length) => {
                session.upgraded = true;
                self.sessions_opened += 1;
                let open = format!(
                    r#"0{{"sid":"{:020}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#,
                    self.sessions_opened
                );
                session.send(&response).ok()?;
                session.send(&frame::text(&open)).ok()?;
                Some(length)
            }
        }
    }

    /// Answers all whole frames, and returns where the first partial one starts.
    fn on_frames(&mut self, index: usize, bytes: &mut [u8], mut start: usize) -> Option<usize> {
        loop {
            match frame::scan(bytes, start) {
                Scan::Whole(frame) => {
                    start = frame.payload.end;
                    self.on_frame(index, bytes, frame)?;
                }
                Scan::Partial => return Some(start),
                Scan::Unsound => return None,
            }
        }
    }

    /// Answers a frame; `None` if the session ends.
    fn on_frame(&mut self, index: usize, bytes: &mut [u8], frame: Frame) -> Option<()> {
        let session = self.sessions[index].as_mut()?;
        match frame.opcode {
            TEXT => self.on_packet(index, bytes, frame),
            // The attachment of an event that has come back already.
            BINARY => session.send(frame::seal(bytes, BINARY, frame.payload)).ok(),
            PING => session.send(frame::seal(bytes, PONG, frame.payload)).ok(),
            PONG => Some(()),
            _ => {
                // RFC 6455, 5.5.1: a close is answered by one with the same code.
                let _ = session.send(frame::seal(bytes, CLOSE, frame.payload));
                None
            }
        }
    }

    fn on_packet(&mut self, index: usize, bytes: &mut [u8], frame: Frame) -> Option<()> {
        let session = self.sessions[index].as_mut()?;
        let mut payload = frame.payload;
        let text = &mut bytes[payload.clone()];
        let packet = packet::classify(text);
        match packet {
            Packet::Echo => session.send(frame::seal(bytes, TEXT, payload)).ok(),
            Packet::Ack { digits } => {
                payload.start += packet::acknowledge(text, digits);
                session.send(frame::seal(bytes, TEXT, payload)).ok()
            }
            Packet::Bcast => {
                self.send_to_all(frame::seal(bytes, TEXT, payload));
                Some(())
            }
            Packet::Rcast { room } => {
                let start = packet::room_at(&packet);
                let number = self.rooms.get(&text[start..start + room]).copied();
                payload.start += packet::drop_room(text, room);
                if let Some(number) = number {
                    self.send_to_room(number, frame::seal(bytes, TEXT, payload));
                }
                Some(())
            }
            Packet::Join { digits, room } | Packet::Leave { digits, room } => {
                let start = packet::room_at(&packet);
                let name = &text[start..start + room];
                match packet {
                    Packet::Join { .. } => self.enter(index, name),
                    _ => self.leave(index, name),
                }
                if digits > 0 {
                    payload.end = payload.start + packet::acknowledge_empty(text, digits);
                    self.send(index, frame::seal(bytes, TEXT, payload));
                }
                Some(())
            }
            Packet::Connect => {
                session.connected = true;
                let reply = format!(r#"40{{"sid":"s{index:019}"}}"#);
                session.send(&frame::text(&reply)).ok()
            }
            Packet::Other => Some(()),
        }
    }

    fn enter(&mut self, index: usize, name: &[u8]) {
        let number = match self.rooms.get(name) {
            Some(number) => *number,
            None => {
                self.rooms.insert(name.to_vec(), self.members.len());
                self.members.push(Vec::new());
                self.members.len() - 1
            }
        };
        let members = &mut self.members[number];
        if !members.contains(&index) {
            members.push(index);
        }
    }

    fn leave(&mut self, index: usize, name: &[u8]) {
        if let Some(number) = self.rooms.get(name) {
            self.members[*number].retain(|member| *member != index);
        }
    }

    fn send(&mut self, index: usize, frame: &[u8]) {
        if let Some(session) = &mut self.sessions[index]
            && session.send(frame).is_err()
        {
            self.doomed.push(index);
        }
    }

    fn send_to_room(&mut self, number: usize, frame: &[u8]) {
        for index in &self.members[number] {
            if let Some(session) = &mut self.sessions[*index]
                && session.send(frame).is_err()
            {
                self.doomed.push(*index);
            }
        }
    }

    fn send_to_all(&mut self, frame: &[u8]) {
        for (index, session) in self.sessions.iter_mut().enumerate() {
            if let Some(session) = session
                && session.connected
                && session.send(frame).is_err()
            {
                self.doomed.push(index);
            }
        }
    }

    fn close_doomed(&mut self) {
        while let Some(index) = self.doomed.pop() {
            if self.sessions[index].take().is_some() {
                for members in &mut self.members {
                    members.retain(|member| *member != index);
                }
                self.vacant.push(index);
            }
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;
const READ_MAX: usize = 256 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(25);
const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
