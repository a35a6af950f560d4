//! The opening of a session: its first packet.
//!
//! An accepted request enters, with the stream of its client. The frames for the client leave, or
//! the reason of a refusal. WebTransport has no status at this point: a refused session is closed.

use serde::Deserialize;

use crate::config::Transport;
use crate::engineio::Packet;
use crate::handshake::Revision;
use crate::id::Id;
use crate::link::BinaryForm;
use crate::session::Stage;
use crate::transport::admission::{admit, handshake_scope};
use crate::transport::connection_error;
use crate::transport::feed::OutboundStream;
use crate::transport::refusal::Refusal;
use crate::transport::upgrade;
use crate::transport::webtransport::inbound::StreamReader;
use crate::transport::webtransport::offer::Accepted;

/// The meaning of a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    NewSession,
    /// The client upgrades its session.
    Upgrade(Id),
}

impl Accepted {
    /// Returns the limit of a message in bytes.
    pub(super) fn max_payload(&self) -> usize {
        self.engine.config.limits.max_payload
    }

    /// Opens the session that the first packet requests, or lets it upgrade. Returns the frames for
    /// the client.
    ///
    /// # Errors
    ///
    /// The refusal, which has been reported.
    pub(super) async fn open(
        self,
        packet: Option<&str>,
        reader: StreamReader,
    ) -> Result<OutboundStream, Refusal> {
        let first = packet.map_or(Err(Refusal::BadRequest), First::read);
        let opened = match first {
            Ok(First::NewSession) => {
                let scope = handshake_scope(&self.engine, Transport::WebTransport, &self.request);
                scope.follow(self.new_session(reader)).await
            }
            Ok(First::Upgrade(sid)) => self.upgrade(sid, reader),
            Err(refusal) => Err(refusal),
        };
        opened.inspect_err(|refusal| {
            // The program's own refusal was reported with its response.
            if *refusal != Refusal::NotAllowed {
                let config = &self.engine.config;
                connection_error::report(config, &self.hooks, &self.request, *refusal);
            }
        })
    }

    async fn new_session(&self, reader: StreamReader) -> Result<OutboundStream, Refusal> {
        let (engine, request) = (&self.engine, &self.request);
        if engine.stage.has_reached(Stage::Refusing) {
            return Err(Refusal::ShuttingDown);
        }
        let admitted = admit(engine, &self.hooks, request, Revision::V4).await?;
        // The response of the program has no way to the client.
        let admitted = admitted.map_err(|_| Refusal::NotAllowed)?;
        let client = admitted.client(engine, request, BinaryForm::V4);
        let link = engine.welcome(client);
        let feed = OutboundStream::of(&link);
        engine.open_stream(link, Transport::WebTransport, Box::new(reader));
        Ok(feed)
    }

    fn upgrade(&self, sid: Id, reader: StreamReader) -> Result<OutboundStream, Refusal> {
        let handle = self.engine.find(sid).ok_or(Refusal::UnknownSession)?;
        let is_allowed = self.engine.config.engine.allow_upgrades;
        if !is_allowed || handle.link.handshake.revision() != Revision::V4 {
            return Err(Refusal::BadRequest);
        }
        let form = BinaryForm::V4;
        let (feed, start) =
            upgrade::candidate(&self.engine, &handle, form, Transport::WebTransport);
        start(Box::new(reader));
        Ok(feed)
    }
}

impl First {
    /// Engine.IO v4, WebTransport: the first packet is an OPEN, with the session's id if it upgrades.
    fn read(packet: &str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Session {
            sid: String,
        }

        match Packet::decode(packet) {
            Ok(Packet::Open("")) => Ok(Self::NewSession),
            Ok(Packet::Open(json)) => {
                let session: Session =
                    serde_json::from_str(json).map_err(|_| Refusal::BadRequest)?;
                let sid = Id::parse(&session.sid).ok_or(Refusal::UnknownSession)?;
                Ok(Self::Upgrade(sid))
            }
            Ok(_) | Err(_) => Err(Refusal::BadRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_packet_opens_or_upgrades() {
        let sid = Id::random();
        let json = |sid: &str| format!("0{{\"sid\":\"{sid}\"}}");
        for (packet, meaning) in [
            ("0", Ok(First::NewSession)),
            (&json(sid.as_str()), Ok(First::Upgrade(sid))),
            (&json("short"), Err(Refusal::UnknownSession)),
            ("0{}", Err(Refusal::BadRequest)),
            ("0{\"sid\":1}", Err(Refusal::BadRequest)),
            ("0x", Err(Refusal::BadRequest)),
            ("2probe", Err(Refusal::BadRequest)),
            ("40", Err(Refusal::BadRequest)),
            ("", Err(Refusal::BadRequest)),
        ] {
            assert_eq!(First::read(packet), meaning, "{packet}");
        }
    }
}
