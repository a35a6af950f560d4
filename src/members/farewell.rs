//! Disconnects with a reason: the client is given it by an event before its socket ends.
//!
//! A notice enters. The event and the DISCONNECT leave together, so that nothing is sent between
//! them; for a client that is not accepted yet, the CONNECT_ERROR has the reason instead.

use std::sync::Arc;

use crate::error::{ConnectError, EmitError};
use crate::link::Link;
use crate::members::encode::Encoder;
use crate::members::membership::Membership;
use crate::members::socket::{Phase, SocketState};
use crate::notice::{DisconnectNotice, Extent};
use crate::reason::CloseReason;

impl Membership {
    /// Disconnects a socket, and gives its client the reason.
    ///
    /// # Errors
    ///
    /// If the socket has ended, or if the event cannot be encoded. The socket is disconnected in
    /// any case.
    pub(crate) fn disconnect_with(
        &self,
        socket: &SocketState,
        notice: &Arc<DisconnectNotice>,
    ) -> Result<(), EmitError> {
        let mut outcome = Err(EmitError::Disconnected);
        match notice.extent() {
            // The sockets end with their session, so a namespace with recovery keeps their state.
            Extent::Transport => {
                socket.note(notice, |link, phase| {
                    outcome = self.say_reason(socket, link, phase, notice);
                });
                socket.link.close(CloseReason::ReconnectRequested);
            }
            extent => {
                let goodbye = |link: &Link, phase| {
                    outcome = self.say_reason(socket, link, phase, notice);
                    link.send_vital(if phase == Phase::Connected {
                        Encoder::of(link).disconnect(self.name())
                    } else {
                        let revision = link.handshake.revision();
                        Encoder::of(link).connect_error(revision, self.name(), &refusal(notice))
                    });
                };
                if socket.end_saying(notice.disconnect_reason(), Some(notice), goodbye) {
                    socket.link.wake();
                }
                if extent == Extent::Session {
                    socket.link.close(CloseReason::ForcedServerClose);
                }
            }
        }
        if outcome.is_ok() {
            let event = &*socket.link.config.sockets.disconnect_event;
            self.observers
                .show(self.name(), event, &notice.told(), Some(&socket.id));
        }
        outcome
    }

    /// Sends the event with the reason, if the client can receive it. Called under the lock of the
    /// phase, so no code of the program runs here.
    fn say_reason(
        &self,
        socket: &SocketState,
        link: &Link,
        phase: Phase,
        notice: &DisconnectNotice,
    ) -> Result<(), EmitError> {
        if phase == Phase::Connected {
            let event = &*socket.link.config.sockets.disconnect_event;
            let (encoder, told) = (Encoder::of(link), notice.told());
            link.send_vital(encoder.event(self.name(), None, event, &told, self.packets)?);
        }
        Ok(())
    }
}

fn refusal(notice: &DisconnectNotice) -> ConnectError {
    let error = ConnectError::new(notice.reason().to_owned());
    match notice.data() {
        Some(data) => error.with_data(data.clone()),
        None => error,
    }
}
