//! WebSocket on actix-web-actors and no more: what a server on actix's actors starts from.
//!
//! `PORT` and `WORKERS` (1 by default) come from the environment. It says just enough of Engine.IO and
//! Socket.IO for a client to get through the handshake, sends `echo` back as it came, and answers
//! `ack`; it compares how packets begin instead of parsing them. It has no broadcasts.

use std::env;
use std::error::Error;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::web::{self, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext, WsResponseBuilder};
use mimalloc::MiMalloc;

/// The allocator of the servers that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    HttpServer::new(|| App::new().route("/socket.io/", web::get().to(open)))
        // Small frames that each wait for an answer are what Nagle's algorithm holds back.
        .tcp_nodelay(true)
        .workers(number("WORKERS", 1)?)
        .bind((Ipv4Addr::LOCALHOST, number("PORT", 3000)?))?
        .run()
        .await?;
    Ok(())
}

async fn open(request: HttpRequest, payload: Payload) -> Result<HttpResponse, actix_web::Error> {
    WsResponseBuilder::new(Session, &request, payload)
        .frame_size(PAYLOAD_MAX)
        .start()
}

struct Session;

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.text(OPEN);
        context.run_interval(PING_INTERVAL, |_, context| context.text("2"));
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(Message::Text(text)) if text == "40" => context.text(r#"40{"sid":"namespace"}"#),
            Ok(Message::Text(text)) if is_echo(&text) => context.text(text),
            Ok(Message::Text(text)) => {
                if let Some(answer) = acknowledge(&text) {
                    context.text(answer);
                }
            }
            // The attachment of an event that has come back already.
            Ok(Message::Binary(bytes)) => context.binary(bytes),
            Ok(Message::Ping(bytes)) => context.pong(&bytes),
            Ok(Message::Close(reason)) => {
                context.close(reason);
                context.stop();
            }
            Ok(_) => {}
            Err(_) => context.stop(),
        }
    }
}

fn is_echo(text: &str) -> bool {
    text.starts_with(r#"42["echo""#) || text.starts_with(r#"451-["echo""#)
}

/// Returns `43<id>[args]` for `42<id>["ack",args]`.
fn acknowledge(text: &str) -> Option<String> {
    let (id, args) = text.strip_prefix("42")?.split_once(r#"["ack""#)?;
    let args = args.strip_prefix(',').unwrap_or(args);
    Some(["43", id, "[", args].concat())
}

fn number<T: FromStr<Err: Display>>(name: &str, default: T) -> Result<T, String> {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("{name}={text}: {error}")),
        Err(_) => Ok(default),
    }
}

const OPEN: &str = r#"0{"sid":"session","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const PAYLOAD_MAX: usize = 1_000_000;
const PING_INTERVAL: Duration = Duration::from_secs(25);

#[cfg(test)]
mod tests {
    use super::acknowledge;

    #[test]
    fn acks_have_the_args_and_the_id() {
        for (text, answer) in [
            (r#"4217["ack","x",1]"#, Some(r#"4317["x",1]"#)),
            (r#"420["ack"]"#, Some("430[]")),
            (r#"42["other"]"#, None),
            ("3", None),
        ] {
            assert_eq!(acknowledge(text).as_deref(), answer);
        }
    }
}
