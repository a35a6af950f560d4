//! Tasks of the program's that end with the server, and what it sees of the events that it sends.

use std::sync::Arc;
use std::time::Duration;

use actix_socketio::{Bytes, Emit, OutgoingEvent, SocketIo};

use crate::support::held::Gate;
use crate::support::socketio::{Client, Peer, Via, start};
use crate::support::{channel, within};

/// `spawn`: the task's value is the handle's; a handle that is dropped lets the task run on.
#[on_both_servers]
async fn a_task_gives_its_value_and_runs_on_without_its_handle() {
    let server = start();
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let io = server.io.clone();
    let task = server.io.spawn(async move {
        io.emit("working", 1).await.unwrap();
        7
    });
    client.expect(r#"42["working",1]"#).await;
    assert_eq!(within("the task", task).await, Some(7));

    let gate = Gate::default();
    let (io, passing) = (server.io.clone(), gate.clone());
    server.io.spawn(async move {
        passing.pass().await;
        io.emit("working", 2).await.unwrap();
    });
    gate.open();
    client.expect(r#"42["working",2]"#).await;
}

/// `spawn`: a task ends when it is stopped, when it panics, and with the server.
#[on_both_servers]
async fn a_task_ends_by_itself_or_with_the_server() {
    let server = start();
    let held = Arc::new(());
    let endless = |held: &Arc<()>| {
        let held = Arc::clone(held);
        server.io.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        })
    };
    let stopped = endless(&held);
    stopped.stop();
    assert_eq!(within("the stop", stopped).await, None);
    let panics = server
        .io
        .spawn(async { assert_eq!(1, 2, "as it was told") });
    assert_eq!(within("the panic", panics).await, None);

    let ends = endless(&held);
    assert!(server.io.close(Duration::from_secs(5)).await);
    assert_eq!(within("the end", ends).await, None);
    assert_eq!(Arc::strong_count(&held), 1);
    let late = server.io.spawn(async { 1 });
    assert_eq!(within("the end", late).await, None);
}

/// `on_any_outgoing`: every emit is shown once, with its arguments and its one recipient, and one that
/// cannot be sent is not.
#[on_both_servers]
async fn outgoing_events_are_shown_once_each() {
    let server = start();
    let (seen, mut sights) = channel();
    let io: SocketIo = server.io.clone();
    io.of("/")
        .on_any_outgoing(move |event: &OutgoingEvent<'_>| {
            let args = event.args();
            let _ = seen.send((
                format!("{} {} {}", event.namespace(), event.name(), args.as_json()),
                args.attachments().len(),
                event.recipient(),
            ));
        });
    io.of("/")
        .on_any_outgoing(|_: &OutgoingEvent<'_>| panic!("as it was told"));
    io.of("/").on("answered", || async { "not shown" });
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    io.to("hall").emit("hall", (1, "x")).await.unwrap();
    ann.socket
        .emit("ann", Bytes::from_static(&[1]))
        .await
        .unwrap();
    io.server()
        .send(Emit::event("actor", ()))
        .await
        .unwrap()
        .unwrap();
    ann.socket
        .timeout(Duration::from_millis(1))
        .call::<()>("call", ())
        .await
        .unwrap_err();
    io.emit("connect", ()).await.unwrap_err();
    io.of("/other").emit("other", ()).await.unwrap();
    bob.client.send(r#"421["answered"]"#).await;
    for packet in [
        r#"42["hall",1,"x"]"#,
        r#"42["actor"]"#,
        r#"431["not shown"]"#,
    ] {
        bob.expect(packet).await;
    }
    ann.expect(r#"42["hall",1,"x"]"#).await;
    let id = Some(ann.socket.id());
    let expected = [
        (r#"/ hall 1,"x""#, 0, None),
        (r#"/ ann {"_placeholder":true,"num":0}"#, 1, id.clone()),
        ("/ actor ", 0, None),
        ("/ call ", 0, id),
    ];
    assert_eq!(
        sights.so_far(),
        expected.map(|(text, n, id)| (text.to_owned(), n, id))
    );
}
