//! Requests whose bodies never end, and clients that leave before their answer: no connection stays.

use std::future::pending;

use actix_socketio::SocketIo;
use actix_web::App;

use crate::support::socketio::until;
use crate::support::{
    Connection, Frame, Polling, Request, Server, WebSocket, channel, echo, opcode, serve, within,
};

/// A body in chunks that never comes holds no connection: it is closed behind the answer.
#[on_both_servers]
async fn chunked_body_that_never_comes_closes_the_connection() {
    let server = Server::engineio(|builder| builder);
    for (method, target) in [
        ("POST", server.path.to_owned()),
        ("GET", server.path.to_owned()),
        ("PUT", server.target("EIO=4&transport=polling")),
        ("GET", server.target("EIO=4&transport=polling")),
        (
            "POST",
            server.target("EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA"),
        ),
        ("POST", format!("{}below", server.path)),
    ] {
        for begun in ["", "5\r\nhel", "5\r\nhello\r\n"] {
            closes(server.address, method, &target, begun).await;
        }
    }
}

/// The same for every path of a server of `serve`, also one that the App does not know.
#[tokio::test]
async fn chunked_body_for_another_path_closes_the_connection() {
    let server = serve(|io| io.serve(App::new));
    for method in ["POST", "GET"] {
        closes(server.address, method, "/nowhere", "").await;
        closes(server.address, method, "/nowhere", "5\r\nhel").await;
    }
}

/// A body in chunks that does come leaves the connection open.
#[on_both_servers]
async fn chunked_body_that_is_read_keeps_the_connection() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let target = server.target(&format!("EIO=4&transport=polling&sid={}", session.sid()));
    let mut connection = Connection::open(server.address).await;
    for _ in 0..3 {
        let request = Request::new("POST", server.address, &target)
            .header("transfer-encoding", "chunked")
            .body("6\r\n4hello\r\n0\r\n\r\n");
        connection.write(&request.bytes()).await;
        connection.response().await.expect(200, "ok");
        session.expect(&["4hello"]).await;
    }
}

/// actix-http does not end the body of a request that asks for an upgrade; its length does.
#[on_both_servers]
async fn post_that_asks_for_an_upgrade_is_taken() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for connection in ["keep-alive", "upgrade"] {
        let post = session.request("POST").header("upgrade", "websocket");
        let post = post.header("connection", connection).body("4hello");
        post.send().await.expect(200, "ok");
        session.expect(&["4hello"]).await;
    }
}

/// A client that goes while `allow_request` waits takes its request with it.
#[tokio::test]
async fn request_of_a_client_that_disconnects_early_is_dropped() {
    struct Told(tokio::sync::mpsc::UnboundedSender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send("given up");
        }
    }
    let (told, mut heard) = channel();
    let server = Server::serving("/socket.io/", move || {
        let io = SocketIo::builder().allow_request(move |_| {
            let given_up = Told(told.clone());
            async move {
                let _ = given_up.0.send("asked");
                pending::<()>().await;
                Ok::<(), actix_web::Error>(())
            }
        });
        let io = io.start()?;
        let served = io.serve(App::new);
        Ok((io, served))
    });
    let request = WebSocket::request(&server, "EIO=4&transport=websocket", &[]);
    for behind in [&b""[..], b"early frames"] {
        let mut connection = Connection::open(server.address).await;
        connection.write(&[&request.bytes(), behind].concat()).await;
        assert_eq!(heard.next().await, "asked");
        drop(connection);
        assert_eq!(heard.next().await, "given up");
    }
}

/// A WebSocket that breaks while its session moves to it takes the session with it.
#[on_both_servers]
async fn websocket_that_breaks_during_its_upgrade_ends_the_session() {
    let server = Server::socketio(|io| io, |_| ());
    for _ in 0..50 {
        let open = Polling::open(&server).await;
        let mut socket = WebSocket::beside(&server, open.sid()).await;
        let frames = ["2probe", "5", "47"].map(|text| Frame::new(opcode::TEXT, text).bytes());
        socket.send_bytes(&frames.concat()).await;
        drop(socket);
    }
    until("the sessions' end", || server.io.clients_count() == 0).await;
}

async fn closes(address: std::net::SocketAddr, method: &str, target: &str, begun: &str) {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut connection = Connection::open(address).await;
    connection.write(format!("{head}{begun}").as_bytes()).await;
    connection.response().await;
    let end = within("the connection's end", connection.take(1)).await;
    assert_eq!(end, None, "{head}");
}
