//! Namespaces: one for each shop whose name matches a pattern, created for its first client and
//! removed after its last one; and a namespace whose handlers are the methods of an object.
//!
//! ```sh
//! cargo run --example namespaces
//! ```
//! ```js
//! const shop = io("http://localhost:3000/shop-7");
//! shop.emit("price", "apple", console.log);       // "apple in shop 7"
//! const counter = io("http://localhost:3000/counter");
//! counter.on("total", console.log);
//! counter.emit("add", 3, console.log);
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_socketio::{
    ConnectError, Data, EmitError, NamespaceHandlers, Params, PatternError, Registrar, Socket,
    SocketIo,
};
use serde::Deserialize;

/// The parameters in the name of a shop's namespace.
#[derive(Deserialize)]
struct Shop {
    id: u32,
}

async fn enter(Params(shop): Params<Shop>) -> Result<(), ConnectError> {
    match shop.id {
        1..1000 => Ok(()),
        id => Err(ConnectError::new(format!("there is no shop {id}"))),
    }
}

async fn price(Params(shop): Params<Shop>, Data(item): Data<String>) -> String {
    format!("{item} in shop {}", shop.id)
}

/// The handlers of `/counter`, and the total that its clients share.
#[derive(Default)]
struct Counter {
    total: AtomicU64,
}

impl Counter {
    async fn add(self: Arc<Self>, socket: Socket, Data(n): Data<u64>) -> Result<u64, EmitError> {
        let total = self.total.fetch_add(n, Ordering::Relaxed) + n;
        socket.broadcast().emit("total", total).await?;
        Ok(total)
    }
}

impl NamespaceHandlers for Counter {
    fn register(methods: &Registrar<'_, Self>) {
        methods.on("add", Self::add);
    }
}

fn register(io: &SocketIo) -> Result<(), PatternError> {
    let shops = io.of_pattern("/shop-{id}")?;
    shops
        .remove_when_empty()
        .on_connect(enter)
        .on("price", price);
    io.of("/counter").register(Counter::default());
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let io = SocketIo::builder().start()?;
    register(&io)?;
    Ok(io.run(("127.0.0.1", 3000)).await?)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use actix_socketio::testing::TestClient;

    use super::*;

    #[actix_web::test]
    async fn a_shop_knows_its_number_and_others_do_not_exist() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().start()?;
        register(&io)?;
        let shop = TestClient::builder(&io)
            .namespace("/shop-7")
            .connect()
            .await?;
        let price: String = shop.call("price", "apple").await?;
        assert_eq!(price, "apple in shop 7");
        let none = shop
            .join("/shop-1000")
            .await
            .err()
            .map(|error| error.to_string());
        assert_eq!(none.as_deref(), Some("refused: there is no shop 1000"));
        Ok(())
    }

    #[actix_web::test]
    async fn everyone_sees_the_total() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().start()?;
        register(&io)?;
        let ann = TestClient::builder(&io)
            .namespace("/counter")
            .connect()
            .await?;
        let bob = TestClient::builder(&io)
            .namespace("/counter")
            .connect()
            .await?;
        assert_eq!(ann.call::<u64>("add", 3).await?, 3);
        assert_eq!(bob.expect::<u64>("total", Duration::from_secs(1)).await?, 3);
        assert_eq!(bob.call::<u64>("add", 4).await?, 7);
        Ok(())
    }
}
