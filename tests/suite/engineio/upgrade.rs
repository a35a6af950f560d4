//! Engine.IO v4, Upgrade: a WebSocket takes a polling session over, or fails and leaves it alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_socketio::{
    CloseReason, EngineIo, EngineIoBuilder, EngineMessage, EngineSession, Transport,
};

use crate::support::{
    Frame, Open, Polling, Received, Request, Server, WebSocket, echo, opcode, packets, recording,
    within,
};

/// Engine.IO v4, Upgrade: `2probe` is answered with `3probe`, the waiting poll with a noop, and
/// after `5` the session is the WebSocket's, both ways.
#[on_both_servers]
async fn websocket_takes_the_session_over() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let poll = session.waiting_poll().await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(packets(&poll.response().await), ["6"]);
    socket.send_text("5").await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.expect_binary(&[1, 2, 3]).await;
    assert_eq!(server.io.clients_count(), 1);
}

/// Engine.IO v4, Upgrade: nothing but the probe is answered before it.
#[on_both_servers]
async fn websocket_beside_a_session_gets_no_open_packet() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.send_ping("early").await;
    assert_eq!(socket.recv().await, Received::Pong(b"early".to_vec()));
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_ping("late").await;
    assert_eq!(socket.recv().await, Received::Pong(b"late".to_vec()));
}

/// Reference server, upgrade: each poll during the probe is answered with a noop.
#[on_both_servers]
async fn every_poll_is_released_while_the_websocket_probes() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut socket = probing(&server, &session).await;
    for _ in 0..3 {
        session.expect(&["6"]).await;
    }
    socket.send_text("5").await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// Engine.IO v4, Upgrade: until it is complete the session is polling's, both ways.
#[on_both_servers]
async fn polling_goes_on_while_the_websocket_probes() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut socket = probing(&server, &session).await;
    session.post(&["4by polling"]).await;
    session.expect(&["4by polling"]).await;
    socket.send_text("5").await;
    socket.send_text("4by websocket").await;
    socket.expect_text("4by websocket").await;
}

/// Engine.IO v4, Upgrade: what nobody has polled goes to the WebSocket, text and binary.
#[on_both_servers]
async fn packets_that_wait_go_to_the_websocket() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    session.post(&["4one", "bAQID", "4two"]).await;
    let mut socket = probing(&server, &session).await;
    socket.send_text("5").await;
    socket.expect_text("4one").await;
    socket.expect_binary(&[1, 2, 3]).await;
    socket.expect_text("4two").await;
}

/// Engine.IO v4, Upgrade: an upgrade changes the transport that drains the outbox, and loses no
/// message. On one worker.
#[on_both_servers]
async fn messages_arrive_once_and_in_order_through_an_upgrade_on_one_worker() {
    messages_arrive_once_and_in_order(1).await;
}

/// The same on four, where the session moves to another worker most of the time.
#[on_both_servers]
async fn messages_arrive_once_and_in_order_through_an_upgrade_on_four_workers() {
    messages_arrive_once_and_in_order(4).await;
}

/// Engine.IO v4, Upgrade: a POST that was under way when the WebSocket took over is taken.
#[on_both_servers]
async fn post_that_began_before_the_upgrade_is_taken() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let post = session.request("POST").header("content-length", "9");
    let mut post = post.start_heard().await;
    post.write(b"4on").await;
    let mut socket = upgraded(&server, &session).await;
    post.write(b"4its w").await;
    post.response().await.expect(200, "ok");
    socket.expect_text("4on4its w").await;
}

/// Engine.IO v4, Upgrade: a probe that is none costs its WebSocket, and nothing else.
#[on_both_servers]
async fn wrong_first_packet_closes_the_websocket_alone() {
    for frame in [
        Frame::new(opcode::TEXT, "2"),
        Frame::new(opcode::TEXT, "2probe "),
        Frame::new(opcode::TEXT, "3probe"),
        Frame::new(opcode::TEXT, "4hello"),
        Frame::new(opcode::TEXT, ""),
        Frame::new(opcode::BINARY, "2probe"),
        Frame::new(opcode::CLOSE, ""),
        Frame::new(opcode::TEXT, "2probe").unmasked(),
    ] {
        let (server, mut closed) = recording(|builder| builder);
        let session = Polling::open(&server).await;
        let mut socket = WebSocket::beside(&server, session.sid()).await;
        socket.send(frame).await;
        socket.expect_closed(None).await;
        assert_eq!(closed.so_far(), []);
        goes_on(&server, &session).await;
    }
}

/// Engine.IO v4, Upgrade: so does anything but `5` or another probe after the probe.
#[on_both_servers]
async fn wrong_packet_after_the_probe_closes_the_websocket_alone() {
    for frame in [
        Frame::new(opcode::TEXT, "3"),
        Frame::new(opcode::TEXT, "4hello"),
        Frame::new(opcode::TEXT, "5x"),
        Frame::new(opcode::BINARY, "5"),
        Frame::new(opcode::CLOSE, 1000_u16.to_be_bytes()),
    ] {
        let (server, mut closed) = recording(|builder| builder);
        let session = Polling::open(&server).await;
        let mut socket = probing(&server, &session).await;
        socket.send(frame).await;
        socket.expect_closed(None).await;
        assert_eq!(closed.so_far(), []);
        goes_on(&server, &session).await;
    }
}

/// The Node.js server takes `5` without a probe before it, and what follows by the same write; the
/// poll that waits is answered.
#[on_both_servers]
async fn websocket_may_take_the_session_over_without_a_probe() {
    let (server, mut closed) = recording(echo);
    let session = Polling::open(&server).await;
    let poll = session.waiting_poll().await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    let frames = ["5", "4hello"].map(|text| Frame::new(opcode::TEXT, text).bytes());
    let mut socket = WebSocket::connect(&server, &query, &[]).await.unwrap();
    socket.send_bytes(&frames.concat()).await;
    socket.expect_text("4hello").await;
    assert_eq!(packets(&poll.response().await), ["6"]);
    assert_eq!(server.io.clients_count(), 1);
    assert_eq!(closed.so_far(), []);
}

/// The same behind the request itself, in one write.
#[on_both_servers]
async fn session_may_be_taken_over_by_the_write_that_opens_the_websocket() {
    let server = Server::engineio(echo);
    for packets in [&["5", "4hello"][..], &["2probe", "5", "4hello"]] {
        let session = Polling::open(&server).await;
        let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
        let frames = packets.iter().map(|text| Frame::new(opcode::TEXT, text));
        let frames: Vec<_> = frames.flat_map(|frame| frame.bytes()).collect();
        let mut socket = WebSocket::hurried(&server, &query, &frames).await.unwrap();
        if packets.len() == 3 {
            socket.expect_text("3probe").await;
        }
        socket.expect_text("4hello").await;
    }
}

/// The Node.js server answers each probe.
#[on_both_servers]
async fn every_probe_is_answered() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    let probe = Frame::new(opcode::TEXT, "2probe").bytes();
    socket.send_bytes(&probe.repeat(100)).await;
    for _ in 0..100 {
        socket.expect_text("3probe").await;
    }
    socket.send_text("5").await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// One WebSocket at a time, also where the second does not probe.
#[on_both_servers]
async fn second_websocket_without_a_probe_is_closed_while_the_first_probes() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut first = probing(&server, &session).await;
    let mut second = WebSocket::beside(&server, session.sid()).await;
    second.send_text("5").await;
    second.expect_closed(None).await;
    first.send_text("5").await;
    first.send_text("4hello").await;
    first.expect_text("4hello").await;
}

/// RFC 6455, 5.5.2: pings before a wrong packet or a close have their pongs.
#[on_both_servers]
async fn pongs_that_are_owed_come_before_the_close_of_a_probing_websocket() {
    for last in [
        Frame::new(opcode::CLOSE, ""),
        Frame::new(opcode::TEXT, "4wrong"),
        Frame::new(0x3, "broken"),
    ] {
        let server = Server::engineio(echo);
        let session = Polling::open(&server).await;
        let mut socket = WebSocket::beside(&server, session.sid()).await;
        let ping = Frame::new(opcode::PING, "p".repeat(125)).bytes();
        socket
            .send_bytes(&[ping.repeat(50), last.bytes()].concat())
            .await;
        for _ in 0..50 {
            assert_eq!(socket.recv().await, Received::Pong(vec![b'p'; 125]));
        }
        socket.expect_closed(None).await;
        goes_on(&server, &session).await;
    }
}

/// The same where the WebSocket is lost without a word.
#[on_both_servers]
async fn websocket_lost_while_probing_leaves_polling_alone() {
    let (server, mut closed) = recording(|builder| builder);
    let session = Polling::open(&server).await;
    drop(WebSocket::beside(&server, session.sid()).await);
    drop(probing_in_time(&server, &session).await);
    session.post(&["4still polling"]).await;
    session.expect(&["4still polling"]).await;
    assert_eq!(closed.so_far(), []);
}

/// Reference server, option `upgradeTimeout`: a WebSocket that never probes is closed.
#[on_both_servers]
async fn websocket_that_never_probes_is_closed() {
    let server = Server::engineio(|builder| echo(builder).upgrade_timeout(UPGRADE));
    let session = Polling::open(&server).await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.expect_closed(None).await;
    goes_on(&server, &session).await;
}

/// Reference server, option `upgradeTimeout`: a WebSocket that probes and never upgrades is closed.
#[on_both_servers]
async fn websocket_that_never_upgrades_is_closed() {
    let server = Server::engineio(|builder| echo(builder).upgrade_timeout(UPGRADE));
    let session = Polling::open(&server).await;
    let mut socket = probing(&server, &session).await;
    socket.expect_closed(None).await;
    goes_on(&server, &session).await;
}

/// Reference server, upgrade: one WebSocket at a time. The second is closed, the first continues.
#[on_both_servers]
async fn second_websocket_while_the_first_probes_is_closed() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut first = probing(&server, &session).await;
    let mut second = WebSocket::beside(&server, session.sid()).await;
    second.send_text("2probe").await;
    second.expect_closed(None).await;
    first.send_text("5").await;
    first.send_text("4hello").await;
    first.expect_text("4hello").await;
}

/// Reference server, `upgrading`: the first WebSocket counts from its opening, also before its probe.
#[on_both_servers]
async fn second_websocket_beside_a_silent_one_is_closed_at_once() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut first = WebSocket::beside(&server, session.sid()).await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    for packets in [&[][..], &["2probe"], &["2probe", "5"], &["5"]] {
        let frames = packets
            .iter()
            .map(|packet| Frame::new(opcode::TEXT, packet).bytes());
        let frames: Vec<_> = frames.flatten().collect();
        let second = WebSocket::hurried(&server, &query, &frames).await;
        second.unwrap().expect_closed(None).await;
    }
    first.send_text("2probe").await;
    first.expect_text("3probe").await;
    first.send_text("5").await;
    first.send_text("4hello").await;
    first.expect_text("4hello").await;
}

/// The next WebSocket is welcome after the first has failed.
#[on_both_servers]
async fn websocket_after_one_that_was_closed_upgrades() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for wrong in ["4early", "3probe", "2other"] {
        let mut first = WebSocket::beside(&server, session.sid()).await;
        first.send_text(wrong).await;
        first.expect_closed(None).await;
    }
    drop(WebSocket::beside(&server, session.sid()).await);
    let mut socket = probing_in_time(&server, &session).await;
    socket.send_text("5").await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// Reference server, upgrade: a WebSocket that has not probed closes with its session, whoever ends
/// it.
#[on_both_servers]
async fn silent_websocket_closes_with_its_session() {
    let (server, mut closed) = recording(|builder| {
        builder.on_message(|session: EngineSession, _| async move { session.close() })
    });
    for (packet, reason) in [
        ("1", CloseReason::TransportClose),
        ("4close", CloseReason::ForcedServerClose),
    ] {
        let session = Polling::open(&server).await;
        let mut socket = WebSocket::beside(&server, session.sid()).await;
        session.post(&[packet]).await;
        assert_eq!(closed.next().await, reason);
        socket.expect_closed(None).await;
    }
}

/// The same after the upgrade, and for a session that was a WebSocket's from the start.
#[on_both_servers]
async fn second_websocket_of_a_session_is_closed() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut first = upgraded(&server, &session).await;
    let mut second = WebSocket::beside(&server, session.sid()).await;
    second.expect_closed(None).await;
    first.send_text("4hello").await;
    first.expect_text("4hello").await;

    let query = "EIO=4&transport=websocket";
    let mut first = WebSocket::connect(&server, query, &[]).await.unwrap();
    let open = Open::read(&first.recv_text().await);
    let mut second = WebSocket::beside(&server, &open.sid).await;
    second.expect_closed(None).await;
    first.send_text("4hello").await;
    first.expect_text("4hello").await;
}

/// Engine.IO v4, Upgrade: after it, requests with the session's id are bad ones, and cost it
/// nothing.
#[on_both_servers]
async fn polling_after_the_upgrade_is_code_3() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let mut socket = upgraded(&server, &session).await;
    let poll = session.start_poll().await.response().await;
    poll.expect_error(3, "Bad request");
    session.post_body("4a").await.expect_error(3, "Bad request");
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// The same for a poll that overtakes the `5` on its way to the session, because each has a connection
/// and a worker of its own.
#[on_both_servers]
async fn poll_that_overtakes_the_upgrade_is_code_3() {
    let server = Server::engineio(echo);
    for _ in 0..ATTEMPTS {
        let session = Polling::open(&server).await;
        let mut socket = WebSocket::beside(&server, session.sid()).await;
        let poll = session.waiting_poll().await;
        socket.send_text("5").await;
        let response = poll.response().await;
        socket.send_text("4hello").await;
        socket.expect_text("4hello").await;
        if response.status == 400 {
            return response.expect_error(3, "Bad request");
        }
        // The upgrade took so long that the poll had its noop.
        assert_eq!(packets(&response), ["6"]);
    }
    panic!("{ATTEMPTS} polls were answered as if they had come before");
}

/// Engine.IO v4, Upgrade: a poll that waits before the WebSocket opens ends with a noop, even if its
/// client does not wait for that.
#[on_both_servers]
async fn poll_that_waits_before_the_websocket_opens_ends_with_a_noop() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let poll = session.waiting_poll().await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.send_text("5").await;
    assert_eq!(packets(&poll.response().await), ["6"]);
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// The same for a session that was a WebSocket's from the start.
#[on_both_servers]
async fn polling_for_a_websockets_session_is_code_3() {
    let server = Server::engineio(echo);
    let query = "EIO=4&transport=websocket";
    let mut socket = WebSocket::connect(&server, query, &[]).await.unwrap();
    let open = Open::read(&socket.recv_text().await);
    let target = server.target(&format!("EIO=4&transport=polling&sid={}", open.sid));
    let poll = Request::get(server.address, &target).send().await;
    poll.expect_error(3, "Bad request");
    let post = Request::post(server.address, &target, "4a").send().await;
    post.expect_error(3, "Bad request");
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// Reference server, option `allowUpgrades`: if it is off, a WebSocket with a sid is refused.
#[on_both_servers]
async fn upgrade_that_is_not_allowed_is_code_3() {
    let server = Server::engineio(|builder| echo(builder).allow_upgrades(false));
    let session = Polling::open(&server).await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    let refused = WebSocket::connect(&server, &query, &[]).await;
    refused.unwrap_err().expect_error(3, "Bad request");
    WebSocket::open(&server).await;
    session.post(&["4still polling"]).await;
    session.expect(&["4still polling"]).await;
}

/// Reference server, option `transports`: without WebSocket, the upgrade is refused as an unknown
/// transport.
#[on_both_servers]
async fn upgrade_to_a_transport_that_is_off_is_code_0() {
    let server = Server::engineio(|builder| builder.transports([Transport::Polling]));
    let session = Polling::open(&server).await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    let refused = WebSocket::connect(&server, &query, &[]).await;
    refused.unwrap_err().expect_error(0, "Transport unknown");
}

/// Engine.IO v4, Heartbeat: a ping that was asked by polling may be answered by WebSocket, and the
/// heartbeat goes on there.
#[on_both_servers]
async fn ping_by_polling_is_answered_by_websocket() {
    let (server, mut closed) = recording(|builder| builder.ping_interval(SHORT));
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    let mut socket = upgraded(&server, &session).await;
    for _ in 0..3 {
        socket.send_text("3").await;
        socket.expect_text("2").await;
    }
    assert_eq!(closed.so_far(), []);
}

/// Reference server, heartbeat: a ping that waits for its pong keeps its deadline through the
/// upgrade, so that a client that never answers is disconnected.
#[on_both_servers]
async fn ping_by_polling_that_is_never_answered_closes_the_websocket() {
    let (server, mut closed) = recording(|builder| {
        // Long enough for the upgrade, which has to be over before.
        let timeout = Duration::from_millis(1500);
        builder.ping_interval(SHORT).ping_timeout(timeout)
    });
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    let mut socket = upgraded(&server, &session).await;
    socket.expect_closed(None).await;
    assert_eq!(closed.next().await, CloseReason::PingTimeout);
}

/// Engine.IO v4, Heartbeat: a ping that nobody has polled goes to the WebSocket.
#[on_both_servers]
async fn unpolled_ping_is_sent_by_websocket() {
    let (server, mut closed) = recording(|builder| builder.ping_interval(SHORT));
    let session = Polling::open(&server).await;
    let mut socket = probing(&server, &session).await;
    socket.send_text("5").await;
    for _ in 0..3 {
        socket.expect_text("2").await;
        socket.send_text("3").await;
    }
    assert_eq!(closed.so_far(), []);
}

/// The session that has moved ends with its WebSocket, once.
#[on_both_servers]
async fn upgraded_session_ends_with_its_websocket() {
    let (server, mut closed) = recording(|builder| builder);
    let session = Polling::open(&server).await;
    let mut socket = upgraded(&server, &session).await;
    socket.send_close(Some(1000)).await;
    socket.expect_closed(Some(1000)).await;
    assert_eq!(closed.next().await, CloseReason::TransportClose);
    assert_eq!(closed.so_far(), []);
    session.expect_gone().await;
}

/// A program closes a session that has moved as any other.
#[on_both_servers]
async fn upgraded_session_is_closed_by_the_program() {
    let (server, mut closed) = recording(|builder| {
        builder.on_message(|session: EngineSession, _| async move { session.close() })
    });
    let session = Polling::open(&server).await;
    let mut socket = upgraded(&server, &session).await;
    socket.send_text("4close").await;
    socket.expect_closed(None).await;
    assert_eq!(closed.next().await, CloseReason::ForcedServerClose);
}

/// A session that ends while a WebSocket probes takes the WebSocket with it.
#[on_both_servers]
async fn session_that_ends_while_probing_cannot_be_upgraded() {
    let (server, mut closed) = recording(|builder| builder);
    let session = Polling::open(&server).await;
    let mut socket = probing(&server, &session).await;
    session.post(&["1"]).await;
    assert_eq!(closed.next().await, CloseReason::TransportClose);
    socket.send_text("5").await;
    socket.expect_closed(None).await;
    session.expect_gone().await;
}

/// Opens a WebSocket that has probed.
async fn probing(server: &Server<EngineIo>, session: &Polling) -> WebSocket {
    let mut socket = WebSocket::beside(server, session.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket
}

/// The same after the server has noticed that the last one is lost.
async fn probing_in_time(server: &Server<EngineIo>, session: &Polling) -> WebSocket {
    let probing = async {
        loop {
            let mut socket = WebSocket::beside(server, session.sid()).await;
            socket.send_text("2probe").await;
            match socket.recv().await {
                Received::Text(answer) => break (answer, socket),
                refused => assert_eq!(refused, Received::Close(None)),
            }
        }
    };
    let (answer, socket) = within("the end of the last WebSocket", probing).await;
    assert_eq!(answer, "3probe");
    socket
}

/// Opens a WebSocket that has the session, and knows it.
async fn upgraded(server: &Server<EngineIo>, session: &Polling) -> WebSocket {
    let mut socket = probing(server, session).await;
    socket.send_text("5").await;
    // A pong says that the session reads this WebSocket: the ping comes behind the `5`.
    socket.send_ping("upgraded").await;
    assert_eq!(socket.recv().await, Received::Pong(b"upgraded".to_vec()));
    socket
}

/// Expects polling to go on after an upgrade that has failed, and the next upgrade to succeed.
async fn goes_on(server: &Server<EngineIo>, session: &Polling) {
    session.post(&["4still polling"]).await;
    session.expect(&["4still polling"]).await;
    let mut socket = probing(server, session).await;
    socket.send_text("5").await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
}

/// Upgrades sessions to which the server sends numbers all the time, as the official client does
/// it: polls until the probe has succeeded, lets the last poll end, then asks for the session.
async fn messages_arrive_once_and_in_order(workers: usize) {
    let server = Server::engineio_on(workers, count_until_told);
    for _ in 0..workers {
        let session = Polling::open(&server).await;
        session.post(&["4start"]).await;
        let mut socket = WebSocket::beside(&server, session.sid()).await;
        socket.send_text("2probe").await;
        let probed = AtomicBool::new(false);
        let polls = async {
            let mut received = session.poll().await;
            while !probed.load(Ordering::Relaxed) {
                received.extend(session.poll().await);
            }
            received
        };
        let probe = async {
            socket.expect_text("3probe").await;
            probed.store(true, Ordering::Relaxed);
        };
        let (mut received, ()) = tokio::join!(polls, probe);
        socket.send_text("5").await;
        for _ in 0..MESSAGES {
            received.push(socket.recv_text().await);
        }
        socket.send_text("4stop").await;
        while received.last().is_none_or(|last| last != "4end") {
            received.push(socket.recv_text().await);
        }
        received.pop();
        received.retain(|packet| packet != "6");
        let expected: Vec<_> = (0..received.len()).map(|n| format!("4{n}")).collect();
        assert_eq!(received, expected);
    }
}

/// Sends numbers from `start` on, and `end` after `stop`.
fn count_until_told(builder: EngineIoBuilder) -> EngineIoBuilder {
    let stopped = Arc::new(AtomicBool::new(false));
    builder.on_message(move |session: EngineSession, message: EngineMessage| {
        let stopped = Arc::clone(&stopped);
        async move {
            let send = |text: String| session.send(&EngineMessage::Text(text)).unwrap();
            let is_start = message == EngineMessage::Text("start".to_owned());
            stopped.store(!is_start, Ordering::Relaxed);
            if !is_start {
                return;
            }
            // The traffic's pace: nobody waits for it.
            let mut pace = tokio::time::interval(Duration::from_micros(200));
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return send("end".to_owned());
                }
                send(number.to_string());
                pace.tick().await;
            }
        }
    })
}

/// Long enough for an upgrade that goes on, on a busy machine.
const UPGRADE: Duration = Duration::from_millis(600);
const SHORT: Duration = Duration::from_millis(100);

const ATTEMPTS: usize = 20;

/// Messages that come by WebSocket before the traffic is told to stop.
const MESSAGES: usize = 100;
