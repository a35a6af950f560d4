//! The tests of the tutorial: clients in memory call the program's own handlers.

use std::error::Error;
use std::time::Duration;

use actix_socketio::testing::{ConnectFailed, TestClient, advance, pause_time};
use serde_json::json;

use super::*;

const SOON: Duration = Duration::from_secs(1);

async fn tab(io: &SocketIo, token: Token) -> Result<TestClient, ConnectFailed> {
    let client = TestClient::builder(io).auth(json!({ "token": token }));
    client.connect().await
}

#[actix_web::test]
async fn who_has_not_logged_in_is_refused() -> Result<(), Box<dyn Error>> {
    let io = start(&Logins::default())?;
    let nobody = TestClient::connect(&io).await;
    assert!(matches!(nobody, Err(ConnectFailed::Refused { .. })));
    Ok(())
}

#[actix_web::test]
async fn a_user_is_online_from_the_first_tab_to_the_last() -> Result<(), Box<dyn Error>> {
    let logins = Logins::default();
    let io = start(&logins)?;
    let ann = tab(&io, logins.open("ann", SOON)).await?;
    let token = logins.open("bob", SOON);
    let first = tab(&io, token).await?;
    assert_eq!(ann.expect::<String>("online", SOON).await?, "bob");
    let second = tab(&io, token).await?;
    first.close().await;
    ann.settle().await;
    assert!(
        ann.received()
            .await
            .iter()
            .all(|event| event.name() == "present")
    );
    second.close().await;
    assert_eq!(ann.expect::<String>("offline", SOON).await?, "bob");
    Ok(())
}

#[actix_web::test]
async fn what_is_said_in_a_room_stays_in_it() -> Result<(), Box<dyn Error>> {
    let logins = Logins::default();
    let io = start(&logins)?;
    let ann = tab(&io, logins.open("ann", SOON)).await?;
    let bob = tab(&io, logins.open("bob", SOON)).await?;
    let message = json!({ "room": "garden", "text": "hello" });
    assert!(ann.call::<()>("say", &message).await.is_err());
    ann.call::<()>("join", "garden").await?;
    ann.call::<()>("say", &message).await?;
    let said: (String, String, String) = ann.expect("said", SOON).await?;
    assert_eq!(said, ("garden".into(), "ann".into(), "hello".into()));
    assert!(
        bob.received()
            .await
            .iter()
            .all(|event| event.name() != "said")
    );
    Ok(())
}

#[actix_web::test]
async fn the_twenty_first_event_is_refused() -> Result<(), Box<dyn Error>> {
    let logins = Logins::default();
    let io = start(&logins)?;
    let ann = tab(&io, logins.open("ann", SOON)).await?;
    for _ in 0..20 {
        ann.call::<()>("join", "garden").await?;
    }
    let refused = ann.call::<()>("join", "garden").await.unwrap_err();
    assert!(refused.to_string().contains("too many events"), "{refused}");
    Ok(())
}

#[actix_web::test]
async fn a_login_expires() -> Result<(), Box<dyn Error>> {
    pause_time();
    let logins = Logins::default();
    let io = start(&logins)?;
    let token = logins.open("ann", Duration::from_secs(3600));
    let ann = tab(&io, token).await?;
    advance(Duration::from_secs(3601)).await;
    ann.expect::<()>("expired", SOON).await?;
    ann.disconnected(SOON).await?;
    Ok(())
}
