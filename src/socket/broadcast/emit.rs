//! Sending an event to all addressed sockets.
//!
//! The event is encoded once, is pushed to the outboxes of this node's sockets and is queued for
//! the other nodes. An event to one socket waits for room in its outbox. An event to many is pushed
//! first and then waits for the clients that read (`members/crowd.rs`).

use std::sync::Arc;

use log::Level;
use serde::Serialize;

use crate::cluster::{EmitFlags, EventPayload, Message, Scope};
use crate::error::EmitError;
use crate::link::Frame;
use crate::logging::TARGET_EVENT;
use crate::members::{Crowd, EventSource, Recipients, Relayed, SocketState, give_turn, log_emit};
use crate::socket::broadcast::operator::{Broadcast, MESSAGE};
use crate::socketio::{Args, ArgsError, is_reserved};
use crate::telemetry::SpanScope;

impl Broadcast {
    /// Sends an event. A tuple is sent as that many arguments, `()` as none, any other type as one.
    ///
    /// The event is encoded once. When this returns it is in the outbox of every recipient of this
    /// node, and in a cluster it is queued for the other nodes. A recipient that is disconnected or
    /// slow is not an error.
    ///
    /// It never waits before it sends. If the event puts clients that read above their
    /// [`outbox_limit`](crate::Builder::outbox_limit), it returns when they are below it, after two
    /// seconds at the latest. So a burst of events reaches all clients that read. An event to one
    /// socket alone, for example by [`Socket::compress`](crate::Socket::compress), waits for room
    /// like [`Socket::emit`](crate::Socket::emit).
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client.
    /// [`EmitError::Cluster`]: this node's sockets have received it and the other nodes will not.
    /// [`EmitError::OutboxFull`] and [`EmitError::Disconnected`], if it is for one socket alone.
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
                // Before the event gets its number, because numbered events enter the outbox in
                // order.
                let turn = socket.turn(cost(&args)).await?;
                let crowd = self.emit_kept(event, &args)?;
                drop(turn);
                crowd
            }
        };
        if !crowd.is_empty() {
            // Boxed, so that the future of an emit without a wait stays small.
            Box::pin(give_turn(crowd)).await;
        }
        Ok(())
    }

    /// The same as [`emit`](Self::emit), for code that is not async. It never waits, so it may be
    /// called anywhere. A burst of such events reaches a client that reads while no more than
    /// [`outbox_limit`](crate::Builder::outbox_limit) and
    /// [`packet_limit`](crate::Builder::packet_limit) together are queued for it.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit). For one socket alone, [`EmitError::OutboxFull`] leaves
    /// the client connected.
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
            // No task waits for the crowd.
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
    /// The same as of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(self, data: T) -> Result<(), EmitError> {
        self.emit(MESSAGE, data).await
    }

    /// Executes an actor's message. Returns the sockets that it has put above their limit.
    pub(crate) fn emit_message(
        self,
        event: &str,
        data: Result<Args, ArgsError>,
        volatile: bool,
    ) -> Result<Crowd, EmitError> {
        let operator = if volatile { self.volatile() } else { self };
        operator.emit_now(event, &data?)
    }

    /// Returns the only addressed socket, if the event may wait for it.
    pub(super) fn receiver(&self) -> Option<Arc<SocketState>> {
        let socket = self.audience.alone.as_ref().filter(|_| !self.volatile)?;
        // Its client may have reconnected since.
        let successor = self.membership.successor(&socket.id);
        Some(successor.unwrap_or_else(|| Arc::clone(socket)))
    }

    /// Sends without waiting. Returns the sockets that it has put above their limit.
    fn emit_now<T: Serialize>(&self, event: &str, data: &T) -> Result<Crowd, EmitError> {
        let scope = SpanScope::broadcast(self.membership.name(), event);
        scope.within(|| self.emit_to_all(event, data))
    }

    fn emit_to_all<T: Serialize>(&self, event: &str, data: &T) -> Result<Crowd, EmitError> {
        if self.membership.recovery.is_some() {
            return self.emit_kept(event, &self.checked(event, data)?);
        }
        let deliver = |packet| (self.membership).broadcast(&self.audience, &packet, self.volatile);
        let Some((adapter, message)) = self.elsewhere() else {
            return Ok(deliver(self.packet(None, event, data)?));
        };
        let args = self.membership.args_of(data)?;
        let crowd = deliver(self.packet(None, event, &args)?);
        adapter.tell(
            self.membership.shared_name(),
            &message(EventPayload::new(event, &args)),
        )?;
        Ok(crowd)
    }

    /// Returns the arguments of an event, if it can be sent.
    fn checked<T: Serialize>(&self, event: &str, data: &T) -> Result<Args, EmitError> {
        if is_reserved(event) {
            return Err(EmitError::ReservedEvent(event.to_owned()));
        }
        let args = self.membership.args_of(data)?;
        let recipient = self.audience.alone.as_ref().map(|socket| &socket.id);
        self.membership.check_size(event, &args, recipient)?;
        Ok(args)
    }

    /// Sends an event in a namespace that keeps missed events.
    fn emit_kept(&self, event: &str, args: &Args) -> Result<Crowd, EmitError> {
        let recipient = self.audience.alone.as_ref().map(|socket| &socket.id);
        self.membership.shown(event, args, recipient);
        self.membership.delivered_to(event, args, &self.audience);
        if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            log_emit(
                event,
                args.as_args_ref().size(),
                &Recipients(self.membership.name(), &self.audience),
            );
        }
        let content = EventPayload::new(event, args);
        let (list, flags) = (content.0.clone(), self.flags());
        let membership = &self.membership;
        let Relayed { crowd, sent } = match (membership.recording_adapter(), self.kept_elsewhere())
        {
            (Some(adapter), Some(scope)) if !flags.volatile => {
                let message = Message::Emit {
                    content,
                    scope,
                    flags,
                };
                membership.relay(
                    &self.audience,
                    flags,
                    &list,
                    EventSource::ThisNode,
                    |number| adapter.tell_as(number, membership.shared_name(), &message),
                )
            }
            _ => membership.relay(
                &self.audience,
                flags,
                &list,
                EventSource::SingleNode,
                |_| {
                    let Some((adapter, message)) = self.elsewhere() else {
                        return Ok(());
                    };
                    adapter.tell(membership.shared_name(), &message(content))
                },
            ),
        };
        sent?;
        Ok(crowd)
    }

    /// Returns the recipients of an event for the records of other nodes, also if it is for one
    /// socket.
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

/// Returns the approximate cost of an event with these arguments in an outbox.
fn cost(args: &Args) -> usize {
    let args = args.as_args_ref();
    args.size() + (1 + args.attachments.len()) * Frame::OVERHEAD + HEAD
}

/// The approximate number of bytes of a packet beside its arguments: type, namespace, event and
/// offset.
const HEAD: usize = 128;
