//! Packets to clients, encoded once for all recipients that use the same parser.
//!
//! Names and Rust values enter, [`Outgoing`] packets leave. It depends on no socket and no room. Each
//! parser has a file: `json.rs`, `packed.rs` for MessagePack, `own.rs` for those of the program.

mod json;
mod own;
mod packed;

use serde::Serialize;
use serde_json::Value;

use crate::config::{ParserId, Parsers};
use crate::error::{ConnectError, EmitError};
use crate::handshake::Revision;
use crate::link::{EmittedEvent, Link, Outgoing};
use crate::socketio::{self, Args, ArgsError, Encoding, PacketLimits};

/// The encoder of one parser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder<'a> {
    parser: ParserId,
    encoding: &'a Encoding,
}

/// The return value of a handler, encoded.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The acknowledgement with the value.
    Value(Outgoing),
    /// It was an `Err`: the JSON text of the error.
    Error(String),
}

impl<'a> Encoder<'a> {
    /// Returns the encoder of a parser of this table.
    pub(crate) fn new(parsers: &'a Parsers, parser: ParserId) -> Self {
        Self {
            parser,
            encoding: parsers.get(parser),
        }
    }

    /// Returns the encoder of a parser that has this number in another table.
    #[cfg(feature = "testing")]
    pub(crate) fn by(encoding: &'a Encoding, parser: ParserId) -> Self {
        Self { parser, encoding }
    }

    /// Encodes the CONNECT of a client.
    #[cfg(feature = "testing")]
    pub(crate) fn client_connect(self, namespace: &str, auth: Option<&Value>) -> Outgoing {
        match self.encoding {
            Encoding::Json => json::client_connect(namespace, auth),
            Encoding::MessagePack(_) => packed::client_connect(self.parser, namespace, auth),
            Encoding::Own(own) => own::connect_with(self.parser, own, namespace, auth),
        }
    }

    /// Returns the encoder of a client's parser.
    pub(crate) fn of(link: &'a Link) -> Self {
        Self::new(&link.config.parsers, link.parser())
    }

    /// Encodes EVENT, within these limits.
    pub(crate) fn event<T>(
        self,
        namespace: &str,
        id: Option<u64>,
        name: &str,
        data: &T,
        limits: PacketLimits,
    ) -> Result<Outgoing, EmitError>
    where
        T: Serialize + ?Sized,
    {
        if socketio::is_reserved(name) {
            return Err(EmitError::ReservedEvent(name.to_owned()));
        }
        Ok(match self.encoding {
            Encoding::Json => json::event(namespace, id, name, data, limits)?,
            Encoding::MessagePack(_) => {
                packed::event(self.parser, namespace, id, name, data, limits)?
            }
            Encoding::Own(own) => {
                let list = Args::pack(data)?.preceded_by(name);
                own::event(self.parser, own, namespace, id, &list, limits)?
            }
        })
    }

    /// Encodes an event whose list of name and arguments is given.
    ///
    /// # Errors
    ///
    /// If the list has no form in the parser. In JSON it always has one.
    pub(crate) fn relayed(
        self,
        namespace: &str,
        id: Option<u64>,
        list: &Args,
    ) -> Result<Outgoing, ArgsError> {
        match self.encoding {
            Encoding::Json => Ok(json::relayed(namespace, id, list)),
            Encoding::MessagePack(_) => packed::relayed(self.parser, namespace, id, list),
            Encoding::Own(own) => {
                own::event(self.parser, own, namespace, id, list, PacketLimits::NONE)
            }
        }
    }

    /// Encodes ACK, within these limits.
    pub(crate) fn ack<T>(
        self,
        namespace: &str,
        id: u64,
        data: &T,
        limits: PacketLimits,
    ) -> Result<Answer, ArgsError>
    where
        T: Serialize + ?Sized,
    {
        match self.encoding {
            Encoding::Json => json::ack(namespace, id, data, limits),
            Encoding::MessagePack(_) => packed::ack(self.parser, namespace, id, data, limits),
            Encoding::Own(own) => own::ack(self.parser, own, namespace, id, data, limits),
        }
    }

    /// Encodes the ACK of a failed call: `{"error": …}`, with the JSON text of the error, and of its
    /// data if there are any.
    pub(crate) fn ack_error(
        self,
        namespace: &str,
        id: u64,
        json: &str,
        data: Option<&str>,
    ) -> Outgoing {
        let error = match data {
            Some(data) => format!(r#"{{"error":{json},"data":{data}}}"#),
            None => format!(r#"{{"error":{json}}}"#),
        };
        match self.encoding {
            Encoding::Json => json::ack_of_json(namespace, id, &error),
            Encoding::MessagePack(_) => packed::ack_of_json(self.parser, namespace, id, &error),
            Encoding::Own(own) => own::ack_of_json(self.parser, own, namespace, id, error),
        }
    }

    /// Encodes CONNECT, with the socket's id if its client does not know that.
    pub(crate) fn connect(
        self,
        revision: Revision,
        namespace: &str,
        sid: &str,
        pid: Option<&str>,
    ) -> Outgoing {
        match self.encoding {
            Encoding::Json => json::connect(revision, namespace, sid, pid),
            Encoding::MessagePack(_) => packed::connect(self.parser, revision, namespace, sid, pid),
            Encoding::Own(own) => own::connect(self.parser, own, revision, namespace, sid, pid),
        }
    }

    /// Encodes CONNECT_ERROR, in Socket.IO v4 the ERROR packet.
    pub(crate) fn connect_error(
        self,
        revision: Revision,
        namespace: &str,
        error: &ConnectError,
    ) -> Outgoing {
        match self.encoding {
            Encoding::Json => json::connect_error(revision, namespace, error),
            Encoding::MessagePack(_) => {
                packed::connect_error(self.parser, revision, namespace, error)
            }
            Encoding::Own(own) => own::connect_error(self.parser, own, revision, namespace, error),
        }
    }

    /// Encodes DISCONNECT.
    pub(crate) fn disconnect(self, namespace: &str) -> Outgoing {
        match self.encoding {
            Encoding::Json => json::disconnect(namespace),
            Encoding::MessagePack(_) => packed::disconnect(self.parser, namespace),
            Encoding::Own(own) => own::disconnect(self.parser, own, namespace),
        }
    }

    /// Returns the content of an event that this encoder has made; `None` for a parser of the
    /// program.
    pub(crate) fn decoded(self, packet: &Outgoing) -> Option<EmittedEvent> {
        match self.encoding {
            Encoding::Json => json::decoded(packet),
            Encoding::MessagePack(_) => packed::decoded(packet),
            Encoding::Own(_) => None,
        }
    }
}

/// Returns the content of a CONNECT_ERROR.
fn error_data(revision: Revision, error: &ConnectError) -> Value {
    match (revision, error.data()) {
        (Revision::V4, None) => serde_json::json!({ "message": error.message() }),
        (Revision::V4, Some(data)) => {
            serde_json::json!({ "message": error.message(), "data": data })
        }
        (Revision::V3, Some(data)) => data.clone(),
        (Revision::V3, None) => error.message().into(),
    }
}

/// Returns the content of a CONNECT; older clients get none.
fn connect_data(revision: Revision, sid: &str, pid: Option<&str>) -> Option<Value> {
    match (revision, pid) {
        (Revision::V3, _) => None,
        (Revision::V4, None) => Some(serde_json::json!({ "sid": sid })),
        (Revision::V4, Some(pid)) => Some(serde_json::json!({ "sid": sid, "pid": pid })),
    }
}

#[cfg(test)]
mod tests;
