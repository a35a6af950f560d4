//! Typed events: the compiler checks handlers, emits and calls against contracts, and clients get
//! the same contracts as TypeScript definitions or as an AsyncAPI document.
//!
//! ```sh
//! cargo run --example typed --features contracts
//! cargo run --example typed --features contracts -- --typescript > events.ts
//! ```
//! ```ts
//! const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://localhost:3000");
//! socket.on("said", (chat, number) => console.log(number, chat.text));
//! socket.emit("say", { text: "hello" }, (receipt) => console.log(receipt.number));
//! ```

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_socketio::{Binary, Contracts, HandlerError, Socket, SocketIo, Typed, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message of a user.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Chat {
    text: String,
    picture: Option<Binary>,
}

/// The number of a sent message.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Receipt {
    number: u32,
}

event! {
    /// Sends a message to all users, if its sender confirms it.
    Say("say", Chat => Receipt);
    /// A message that a user has sent, and its number.
    Said("said", (Chat, u32));
    /// Asks the sender to confirm the text.
    Confirm("confirm", String => bool);
}

/// The number of messages so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

async fn say(socket: Socket, Typed(chat): Typed<Say>) -> Result<Receipt, HandlerError> {
    let limit = Duration::from_secs(10);
    if !socket
        .timeout(limit)
        .call_event(Confirm, chat.text.clone())
        .await?
    {
        return Err(HandlerError::new("not confirmed"));
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    socket.everyone().emit_event(Said, (chat, number)).await?;
    Ok(Receipt { number })
}

fn contracts() -> Contracts {
    Contracts::new("Typed chat", "1.0.0")
        .client_emits(Say)
        .server_emits(Said)
        .server_emits(Confirm)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    match env::args().nth(1).as_deref() {
        Some("--typescript") => println!("{}", contracts().typescript()),
        Some("--asyncapi") => println!("{:#}", contracts().asyncapi()),
        _ => {
            let io = SocketIo::builder().error_details(true).start()?;
            io.of("/").on_event(Say, say);
            let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
            io.run(("127.0.0.1", port.unwrap_or(3000))).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_contracts_as_types() {
        let definitions = contracts().typescript();
        for line in [
            "  say: (data: Chat, callback: (answer: Receipt) => void) => void;",
            "  said: (data1: Chat, data2: number) => void;",
            "  confirm: (data: string, callback: (answer: boolean) => void) => void;",
            "  picture?: ArrayBuffer | Uint8Array | null;",
        ] {
            assert!(definitions.lines().any(|other| other == line), "{line}");
        }
    }

    #[test]
    fn the_document_names_every_operation() {
        let document = contracts().asyncapi();
        let operations = document["operations"].as_object().into_iter().flatten();
        let names: Vec<&str> = operations.map(|(name, _)| name.as_str()).collect();
        let expected = ["receive.root.say", "send.root.confirm", "send.root.said"];
        assert_eq!(names, expected);
    }
}
