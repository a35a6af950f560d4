//! Actors of the program: one handles an event, sends to a room, and receives panics.
//!
//! ```sh
//! cargo run --example actors
//! ```
//! ```js
//! const socket = io("http://localhost:3000");
//! socket.on("price", console.log);
//! socket.emit("bid", 41, console.log);    // the auctioneer acknowledges, and emits to the room
//! socket.emit("boom", console.log);       // a handler panics: only this call fails
//! ```

use actix::{Actor, Addr, Context, Handler};
use actix_socketio::{Emit, Event, Namespace, Panicked, Server, Socket, SocketIo};

/// An actor of the program with the highest bid.
struct Auctioneer {
    server: Addr<Server>,
    price: u64,
}

impl Actor for Auctioneer {
    type Context = Context<Self>;
}

/// `Namespace::forward` sends it the events, one after the other.
impl Handler<Event> for Auctioneer {
    type Result = ();

    fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
        let answer = match event.read::<u64>() {
            Ok(bid) if bid > self.price => {
                self.price = bid;
                // To a room: its clients receive the prices in the order of the bids.
                self.server.do_send(Emit::event("price", bid).to("auction"));
                Ok(bid)
            }
            Ok(_) => Err(format!("the price is {} already", self.price)),
            Err(error) => Err(error.to_string()),
        };
        if let Some(ack) = event.take_ack() {
            ack.send(answer);
        }
    }
}

/// `SocketIo::supervise` sends it every panic.
impl Handler<Panicked> for Auctioneer {
    type Result = ();

    fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
        println!("the auction goes on: {crashed}");
    }
}

fn open(hall: &Namespace, auctioneer: &Addr<Auctioneer>) {
    hall.on_connect(|socket: Socket| async move {
        if let Err(error) = socket.join("auction").await {
            log::warn!("{error}");
        }
    })
    .forward("bid", auctioneer.clone().recipient())
    .on("boom", boom);
}

async fn boom() {
    panic!("boom");
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let io = SocketIo::builder().error_details(true).start()?;
    let server = io.server();
    let auctioneer = Auctioneer { server, price: 40 }.start();
    open(&io.of("/"), &auctioneer);
    io.supervise(auctioneer.recipient());
    io.run(("127.0.0.1", 3000)).await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use actix_socketio::testing::TestClient;
    use serde_json::{Value, json};

    use super::*;

    #[actix_web::test]
    async fn a_higher_bid_is_told_to_the_room() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().error_details(true).start()?;
        let server = io.server();
        let auctioneer = Auctioneer { server, price: 40 }.start();
        open(&io.of("/"), &auctioneer);
        let (ann, bob) = (
            TestClient::connect(&io).await?,
            TestClient::connect(&io).await?,
        );
        assert_eq!(ann.call::<u64>("bid", 41).await?, 41);
        assert_eq!(
            bob.expect::<u64>("price", Duration::from_secs(1)).await?,
            41
        );
        let low: Value = bob.call("bid", 41).await?;
        assert_eq!(low, json!({ "error": "the price is 41 already" }));
        let panic: Value = bob.call("boom", ()).await?;
        assert_eq!(panic, json!({ "error": "internal server error" }));
        Ok(())
    }
}
