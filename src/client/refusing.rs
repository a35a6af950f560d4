//! Refusals without a call of the program, and the log lines of a client's connect.

use std::sync::Arc;

use crate::client::state::Client;
use crate::handler::{FailureCause, NamespaceContext, failed};
use crate::handshake::Revision;
use crate::limits::{Limit, LimitHit};
use crate::logging::{Quoted, TARGET_SESSION};
use crate::members::{Encoder, Membership, SocketState};
use crate::namespace::LeaseRefused;
use crate::reason::{CloseReason, DisconnectReason};
use crate::socket::Socket;
use crate::socketio::DecodeError;

impl Client {
    /// Logs that the client connects to a namespace for the second time, which closes its session.
    pub(super) fn connected_twice(&self, name: &str) -> CloseReason {
        log::debug!(target: TARGET_SESSION, "{}: second CONNECT for namespace {}", self.link, Quoted(name));
        CloseReason::ForcedClose
    }

    /// Logs the reason for refusing a packet, which closes the session.
    pub(super) fn refused(&self, error: &DecodeError) -> CloseReason {
        log::debug!(target: TARGET_SESSION, "{}: invalid Socket.IO packet: {error}", self.link);
        if let DecodeError::TooManyAttachments { limit, .. } = error {
            self.link.hit(Limit::MaxAttachments, *limit);
        }
        match error {
            DecodeError::AttachmentsTooLarge(_) => CloseReason::MessageTooLarge,
            DecodeError::TooManyAttachments { .. } => CloseReason::TooManyAttachments,
            _ => CloseReason::ForcedClose,
        }
    }

    /// Refuses the client in a namespace of this name because of a limit.
    pub(super) fn limited(
        &self,
        name: &str,
        auth: Option<&str>,
        (limit, value): (Limit, usize),
        message: String,
    ) {
        let hit = LimitHit::new(limit, value).in_namespace(name);
        self.link.report_hit(hit);
        self.turn_away(name, auth, FailureCause::Refused(message));
    }

    /// Refuses the client in a namespace that it gets no lease of.
    pub(super) fn no_lease(&self, name: &str, auth: Option<&str>, cause: LeaseRefused) {
        let limits = &self.link.config.limits;
        match cause {
            LeaseRefused::Unknown => self.turn_away(name, auth, FailureCause::InvalidNamespace),
            LeaseRefused::NameTooLong(limit) => {
                self.limited(
                    name,
                    auth,
                    (Limit::NamespaceNameLimit, limit),
                    cause.to_string(),
                );
            }
            LeaseRefused::TooMany => {
                let limit = limits.kept_namespaces;
                self.limited(
                    name,
                    auth,
                    (Limit::KeptNamespaces, limit),
                    cause.to_string(),
                );
            }
        }
    }

    /// Refuses the client in a namespace of this name, for which no socket was made. The program's
    /// default hook receives a socket without a namespace. If there is no hook, the log has a line.
    pub(super) fn turn_away(&self, name: &str, auth: Option<&str>, cause: FailureCause) {
        let revision = self.link.handshake.revision();
        let (revision, error) = match &cause {
            FailureCause::Refused(message) => (revision, message.clone().into()),
            FailureCause::RateExceeded(_) => (revision, "rate limit exceeded".into()),
            // An object for clients of Socket.IO v4 too, as on the Node.js server.
            _ => (Revision::V4, "Invalid namespace".into()),
        };
        let encoder = Encoder::of(&self.link);
        self.link
            .send_vital(encoder.connect_error(revision, name, &error));
        let alone = Membership::new(name, Vec::new());
        let state = SocketState::new(alone.shared_name(), &self.link, auth);
        state.end(DisconnectReason::ServerNamespaceDisconnect);
        let context = NamespaceContext::within(&self.registry.server_context, NO_NAMESPACE);
        let telemetry = &self.link.config.telemetry;
        telemetry.metrics.connected(&context.label, "refused");
        let socket = Socket::new(&alone, Arc::new(state));
        failed(&context, &socket, "connect", cause);
    }
}

/// The label in metrics of a client's own text, which has no namespace.
const NO_NAMESPACE: &str = "(none)";
