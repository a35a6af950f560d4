//! A parser of one's own: packets in CBOR (RFC 8949).
//!
//! Each packet is one binary message: a map with `type`, `nsp`, `data` and `id`, and with binary in
//! the data. The client is the official one, with a parser of its own:
//! `tests/clients/parsers.test.mjs` has it in JavaScript.
//!
//! Run it with `cargo run --example cbor`; PORT is 3000 unless it is set.

use actix_socketio::{
    AnyValue, Args, Data, EmitError, EngineMessage, IncomingPacket, OutgoingPacket, PacketDecoder,
    Parser, ParserError, SocketIo, StartError,
};
use ciborium::Value;
use serde::{Deserialize, Serialize};

#[derive(Debug)]
struct Cbor;

/// A packet to a client.
#[derive(Serialize)]
struct Sent<'a, D> {
    r#type: u8,
    nsp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

impl Parser for Cbor {
    fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError> {
        let sent = Sent {
            r#type: packet.kind().number(),
            nsp: packet.namespace(),
            data: packet.data(),
            id: packet.id(),
        };
        let mut message = Vec::new();
        ciborium::into_writer(&sent, &mut message).map_err(ParserError::new)?;
        Ok(vec![EngineMessage::Binary(message.into())])
    }

    fn decoder(&self) -> Box<dyn PacketDecoder> {
        // Each message is a whole packet, so a decoder keeps nothing.
        Box::new(Self)
    }
}

/// A packet of a client.
#[derive(Deserialize)]
struct Received {
    r#type: u8,
    nsp: String,
    data: Option<Value>,
    id: Option<u64>,
}

impl PacketDecoder for Cbor {
    fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError> {
        let EngineMessage::Binary(message) = message else {
            return Err(ParserError::new("a text message"));
        };
        let limit = DEPTH;
        let received = ciborium::de::from_reader_with_recursion_limit(&message[..], limit);
        let Received {
            r#type,
            nsp,
            data,
            id,
        } = received.map_err(ParserError::new)?;
        match r#type {
            0 => {
                let auth = data.map(|data| data.deserialized()).transpose();
                Ok(Some(IncomingPacket::connect(
                    nsp,
                    auth.map_err(ParserError::new)?,
                )))
            }
            1 => Ok(Some(IncomingPacket::disconnect(nsp))),
            2 => {
                let mut list = elements(data)?;
                let name = list.next().and_then(|name| name.into_text().ok());
                let name = name.ok_or_else(|| ParserError::new("an event without a name"))?;
                let args = Args::from_values(list).map_err(ParserError::new)?;
                Ok(Some(IncomingPacket::event(nsp, id, name, args)))
            }
            3 => {
                let args = Args::from_values(elements(data)?).map_err(ParserError::new)?;
                let id = id.ok_or_else(|| ParserError::new("an acknowledgement without an id"))?;
                Ok(Some(IncomingPacket::ack(nsp, id, args)))
            }
            other => Err(ParserError::new(format!("packet type {other}"))),
        }
    }
}

fn elements(data: Option<Value>) -> Result<impl Iterator<Item = Value>, ParserError> {
    let array = data.and_then(|data| data.into_array().ok());
    let array = array.ok_or_else(|| ParserError::new("data that is not an array"))?;
    Ok(array.into_iter())
}

/// The number of values that may be nested.
const DEPTH: usize = 128;

async fn echo(Data(any): Data<AnyValue>) -> AnyValue {
    any
}

/// Sends a value to all clients, whatever their parser is.
async fn share(io: SocketIo, Data(any): Data<AnyValue>) -> Result<(), EmitError> {
    io.emit("shared", (any,)).await
}

fn start() -> Result<SocketIo, StartError> {
    // io(url, { parser: cbor, query: { parser: "cbor" } }); other clients have JSON.
    let builder = SocketIo::builder().parser_when(Cbor, |client| {
        client.query_value("parser").as_deref() == Some("cbor")
    });
    let io = builder.start()?;
    io.of("/").on("echo", echo).on("share", share);
    Ok(io)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000_u16));
    let io = start().map_err(std::io::Error::other)?;
    io.run(address).await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use actix_socketio::Bytes;
    use actix_socketio::testing::TestClient;

    use super::*;

    #[actix_web::test]
    async fn clients_of_both_parsers_get_what_one_shares() -> Result<(), Box<dyn Error>> {
        let io = start()?;
        let cbor = TestClient::builder(&io).query("parser", "cbor");
        let (cbor, json) = (cbor.connect().await?, TestClient::connect(&io).await?);
        let value = ("é", Bytes::from_static(&[0xFF]), None::<u8>, -1);
        let echoed: AnyValue = cbor.call("echo", (value.clone(),)).await?;
        assert_eq!(echoed, Args::from_value(&(&value,))?.read()?);
        cbor.emit("share", (&value,)).await?;
        for client in [cbor, json] {
            let shared: AnyValue = client.expect("shared", Duration::from_secs(1)).await?;
            assert_eq!(shared, echoed);
        }
        Ok(())
    }
}
