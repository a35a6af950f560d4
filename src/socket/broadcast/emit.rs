//! Sending an event to everyone who is addressed.
//!
//! The event is encoded once, lies in the outboxes of this node's sockets and is queued for the
//! other nodes. An event to one socket waits for room in its outbox; an event to many waits, when
//! it lies there, for the clients that read (`waiting.rs`).

use std::sync::Arc;

use bytes::Bytes;
use log::Level;
use serde::Serialize;

use crate::cluster::{EmitFlags, EventPayload, Message, Scope};
use crate::error::EmitError;
use crate::link::Frame;
use crate::logging::TARGET_EVENT;
use crate::socket::broadcast::{Broadcast, MESSAGE};
use crate::socket::core::Core;
use crate::socket::membership::Relayed;
use crate::socket::recovery::Origin;
use crate::socket::shown::{Many, log_emit};
use crate::socket::waiting::{self, Crowd};
use crate::socketio::{Args, ArgsError, is_reserved};

impl Broadcast {
    /// Sends an event. A tuple is sent as that many arguments, `()` as none, anything else as one.
    ///
    /// It is encoded once and lies in the outbox of everyone of this node when this returns; in a
    /// cluster it is queued for the other nodes then. A receiver that has gone or reads too slowly
    /// is no error of the sender's.
    ///
    /// It never waits before it sends. If the event puts clients that read above their
    /// [`outbox_limit`](crate::Builder::outbox_limit), it returns when they are below it, after two
    /// seconds at the latest, so that a burst of events reaches all who read. An event to one
    /// socket alone, as by [`Socket::compress`](crate::Socket::compress), waits for room as
    /// [`Socket::emit`](crate::Socket::emit) does.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]; nothing was sent to anybody then.
    /// [`EmitError::Cluster`] if this node's sockets have it and the other nodes will not get it.
    /// [`EmitError::OutboxFull`] and [`EmitError::Disconnected`] of one socket alone.
    pub async fn emit<T>(self, event: &str, data: T) -> Result<(), EmitError>
    where
        T: Serialize,
    {
        let crowd = match self.receiver() {
            None => self.emit_now(event, &data)?,
            Some(socket) if self.membership.recovery.is_none() => {
                let packet = self.packet(None, event, &data)?;
                return socket.deliver_in_turn(packet).await;
            }
            Some(socket) => {
                let args = self.checked(event, &data)?;
                // Before the event has its number: what has one lies in the outbox in that order.
                let turn = socket.turn(cost(&args)).await?;
                let crowd = self.emit_kept(event, &args)?;
                drop(turn);
                crowd
            }
        };
        if !crowd.is_empty() {
            // Boxed, so that the future of an emit that need not wait stays small.
            Box::pin(waiting::give_turn(crowd)).await;
        }
        Ok(())
    }

    /// Does what [`emit`](Self::emit) does, for code that is not async. It never waits, so it may
    /// be called anywhere. A burst of such events reaches a client that reads as long as no more
    /// than [`outbox_limit`](crate::Builder::outbox_limit) and
    /// [`packet_limit`](crate::Builder::packet_limit) together wait for it.
    ///
    /// # Errors
    ///
    /// As of [`emit`](Self::emit). For one socket alone, [`EmitError::OutboxFull`] leaves the
    /// client connected.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// std::thread::spawn(move || io.to("lobby").emit_sync("progress", 100));
    /// # }
    /// ```
    pub fn emit_sync<T>(&self, event: &str, data: T) -> Result<(), EmitError>
    where
        T: Serialize,
    {
        let Some(socket) = self.receiver() else {
            // Nobody waits for the crowd.
            return self.emit_now(event, &data).map(drop);
        };
        if self.membership.recovery.is_none() {
            return socket.try_deliver(self.packet(None, event, &data)?);
        }
        let args = self.checked(event, &data)?;
        if !socket.has_room(cost(&args)) {
            return Err(EmitError::OutboxFull);
        }
        self.emit_kept(event, &args).map(drop)
    }

    /// Sends the event `message`.
    ///
    /// # Errors
    ///
    /// As of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(self, data: T) -> Result<(), EmitError> {
        self.emit(MESSAGE, data).await
    }

    /// Does what an actor's message says; returns whom it has put above their limit.
    pub(crate) fn emit_message(
        self,
        event: &str,
        data: Result<Args, ArgsError>,
        volatile: bool,
    ) -> Result<Crowd, EmitError> {
        let operator = if volatile { self.volatile() } else { self };
        operator.emit_now(event, &data?)
    }

    /// Returns the one socket that is addressed, if the event may wait for it.
    pub(super) fn receiver(&self) -> Option<Arc<Core>> {
        let socket = self.audience.alone.as_ref().filter(|_| !self.volatile)?;
        // Its client may have come back since.
        let successor = self.membership.successor(socket.id);
        Some(successor.unwrap_or_else(|| Arc::clone(socket)))
    }

    /// Sends without waiting; returns whom it has put above their limit.
    fn emit_now<T: Serialize>(&self, event: &str, data: &T) -> Result<Crowd, EmitError> {
        if self.membership.recovery.is_some() {
            return self.emit_kept(event, &self.checked(event, data)?);
        }
        let deliver = |packet| (self.membership).broadcast(&self.audience, &packet, self.volatile);
        let Some((adapter, message)) = self.elsewhere() else {
            return Ok(deliver(self.packet(None, event, data)?));
        };
        let args = Args::from_value(data)?;
        let crowd = deliver(self.packet(None, event, &args)?);
        adapter.tell(
            self.membership.shared_name(),
            &message(EventPayload::new(event, &args)),
        )?;
        Ok(crowd)
    }

    /// Returns the arguments of an event that can be sent.
    fn checked<T: Serialize>(&self, event: &str, data: &T) -> Result<Args, EmitError> {
        if is_reserved(event) {
            return Err(EmitError::ReservedEvent(event.to_owned()));
        }
        let args = Args::from_value(data)?;
        args.check(self.membership.packets)?;
        Ok(args)
    }

    /// Sends an event in a namespace that keeps what clients may have missed.
    fn emit_kept(&self, event: &str, args: &Args) -> Result<Crowd, EmitError> {
        let recipient = self.audience.alone.as_ref().map(|socket| socket.id);
        self.membership.shown(event, args, recipient);
        if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            let attached = args.attachments().iter().map(Bytes::len);
            let size = args.as_json().len() + attached.sum::<usize>();
            log_emit(event, size, &Many(&self.membership, &self.audience));
        }
        let content = EventPayload::new(event, args);
        let (list, flags) = (content.0.clone(), self.flags());
        let membership = &self.membership;
        let Relayed { crowd, told } = match (membership.remembering(), self.kept_elsewhere()) {
            (Some(adapter), Some(scope)) if !flags.volatile => {
                let message = Message::Emit {
                    content,
                    scope,
                    flags,
                };
                membership.relay(&self.audience, flags, &list, Origin::Own, |number| {
                    adapter.tell_as(number, membership.shared_name(), &message)
                })
            }
            _ => membership.relay(&self.audience, flags, &list, Origin::Alone, |_| {
                let Some((adapter, message)) = self.elsewhere() else {
                    return Ok(());
                };
                adapter.tell(membership.shared_name(), &message(content))
            }),
        };
        told?;
        Ok(crowd)
    }

    /// Returns whom an event is for that a client may come back for to another node: one socket
    /// too.
    fn kept_elsewhere(&self) -> Option<Scope> {
        if self.local {
            return None;
        }
        match &self.audience.alone {
            Some(socket) => Some(Scope {
                rooms: vec![socket.id.as_str().to_owned()],
                except: Vec::new(),
            }),
            None => self.audience.elsewhere(),
        }
    }

    pub(super) fn flags(&self) -> EmitFlags {
        EmitFlags {
            volatile: self.volatile,
            uncompressed: !self.compressed,
        }
    }
}

/// Returns about what an event with these arguments counts for in an outbox.
fn cost(args: &Args) -> usize {
    let attached = args.attachments().iter();
    let attached: usize = attached.map(|data| data.len() + Frame::OVERHEAD).sum();
    args.as_json().len() + Frame::OVERHEAD + HEAD + attached
}

/// Bytes of a packet beside its arguments: type, namespace, event and the mark of its place, about.
const HEAD: usize = 128;
