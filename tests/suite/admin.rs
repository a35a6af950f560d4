//! The Admin UI: the protocol of `@socket.io/admin-ui`, its logins, statistics, events and commands.

use std::time::Duration;

#[cfg(feature = "redis")]
use actix_socketio::SocketIo;
use actix_socketio::{
    AdminError, AdminMode, AdminOptions, Builder, Data, EmitError, Limit, LimitHit, Socket,
};
use serde_json::{Value, json};

use crate::support::log::Lines;
#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis, cluster};
#[cfg(feature = "redis")]
use crate::support::socketio::Came;
use crate::support::socketio::{BOTH, Client, Peer, Via, leavers, start, until};
#[cfg(feature = "redis")]
use crate::support::within;
use crate::support::{Server, Site, WebSocket, channel};

/// The hash of `PASSWORD`, at the lowest cost.
const HASH: &str = "$2a$04$byVetd2.NcDBWYQnxTQA1.ZIF7WXDxtrJ7HTSccEUQwL9KkrYq2uW";
const PASSWORD: &str = "correct horse";
const LOGIN: &str = r#"{"username":"admin","password":"correct horse"}"#;
const COMMANDS: &str = r#""EMIT","JOIN","LEAVE","DISCONNECT","MJOIN","MLEAVE","MDISCONNECT","#;

fn basic() -> AdminOptions {
    AdminOptions::basic_auth("admin", HASH)
}

pub(crate) fn development() -> AdminOptions {
    AdminOptions::without_auth().mode(AdminMode::Development)
}

/// A page in the namespace `/admin`.
pub(crate) struct Page {
    client: Client,
    id: String,
}

impl Page {
    async fn open(site: &Site) -> Self {
        let mut client = Client::open(site, Via::WebSocket).await;
        let id = client.connect("/admin").await;
        Self { client, id }
    }

    /// Opens a page in development mode, and takes its sockets, of which it is one.
    pub(crate) async fn settled(site: &Site) -> Self {
        let mut page = Self::open(site).await;
        let mut awaited = vec!["socket_connected", "all_sockets"];
        while !awaited.is_empty() {
            let (name, _) = page.event().await;
            awaited.retain(|awaited| *awaited != name);
        }
        page
    }

    /// Returns the arguments of the next event of this name.
    pub(crate) async fn next(&mut self, name: &str) -> Vec<Value> {
        loop {
            let (event, args) = self.event().await;
            if event == name {
                return args;
            }
        }
    }

    /// Returns the next event, except statistics.
    async fn change(&mut self) -> (String, Vec<Value>) {
        loop {
            let (event, args) = self.event().await;
            if event != "server_stats" {
                return (event, args);
            }
        }
    }

    async fn event(&mut self) -> (String, Vec<Value>) {
        let text = self.client.text().await;
        let list = text.strip_prefix("42/admin,");
        let list = list.unwrap_or_else(|| panic!("no event: {text}"));
        let mut list: Vec<Value> = serde_json::from_str(list).unwrap();
        let name = list.remove(0).as_str().unwrap().to_owned();
        (name, list)
    }

    async fn send(&mut self, command: &Value) {
        self.client.send(&format!("42/admin,{command}")).await;
    }
}

/// The page gets its session id behind CONNECT, and connects with it the next time.
#[on_both_servers]
async fn a_login_gets_a_session_with_which_the_page_connects_again() {
    let server = start();
    server.io.instrument(basic()).unwrap();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect_with("/admin", LOGIN).await.unwrap();
        let session = client.text().await;
        let session = session.strip_prefix(r#"42/admin,["session",""#).unwrap();
        let session = session.strip_suffix(r#""]"#).unwrap();
        let config =
            format!(r#"["config",{{"supportedFeatures":[{COMMANDS}"AGGREGATED_EVENTS"]}}]"#);
        client.expect(&format!("42/admin,{config}")).await;

        let mut again = Client::open(&server, via).await;
        let auth = json!({ "sessionId": session });
        again
            .connect_with("/admin", &auth.to_string())
            .await
            .unwrap();
    }
}

/// The same hash has another prefix if `htpasswd` has made it.
#[on_both_servers]
async fn a_hash_of_htpasswd_is_accepted() {
    let server = start();
    let hash = HASH.replacen("$2a$", "$2y$", 1);
    server
        .io
        .instrument(AdminOptions::basic_auth("admin", hash))
        .unwrap();
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect_with("/admin", LOGIN).await.unwrap();
}

/// Every other login is refused in the same way, and logged with the address and no password.
#[on_both_servers]
async fn wrong_logins_are_refused_and_logged_without_the_password() {
    let server = start();
    server
        .io
        .instrument(basic().namespace("/wrong-logins"))
        .unwrap();
    let mut lines = Lines::with("/wrong-logins");
    let mut client = Client::open(&server, Via::WebSocket).await;
    for auth in [
        r#"{"username":"admin","password":"wrong staple"}"#,
        r#"{"username":"root","password":"correct horse"}"#,
        r#"{"username":"admin"}"#,
        r#"{"username":1,"password":["x"]}"#,
        r#"{"sessionId":"00000000000000000000000000000000"}"#,
        r#"{"sessionId":"../*"}"#,
        "",
    ] {
        let refused = client.connect_with("/wrong-logins", auth).await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"invalid credentials"}"#);
    }
    let refused = " of 127.0.0.1 refused: invalid credentials";
    let line = loop {
        let line = lines.next().await;
        assert!(
            !line.contains("staple") && !line.contains("horse"),
            "{line}"
        );
        if line.contains("Admin UI") {
            break line;
        }
    };
    assert!(line.ends_with(refused), "{line}");
}

/// Ten logins may fail; then also the right one is refused for a while, and the limit is reported.
#[on_both_servers]
async fn guesses_from_one_address_are_limited() {
    for (options, limit) in [(basic(), 10), (basic().login_attempts(2), 2)] {
        let (told, mut hits) = channel();
        let server = Server::socketio(
            move |io| {
                io.on_limit(move |hit: &LimitHit<'_>| {
                    assert!(hit.address().is_some() && hit.socket_id().is_some());
                    let namespace = hit.namespace().unwrap().to_owned();
                    told.send((hit.limit(), hit.value(), namespace)).unwrap();
                })
            },
            |_| (),
        );
        server.io.instrument(options).unwrap();
        let mut client = Client::open(&server, Via::WebSocket).await;
        for _ in 0..limit {
            let wrong = r#"{"username":"admin","password":"wrong"}"#;
            let refused = client.connect_with("/admin", wrong).await.unwrap_err();
            assert_eq!(refused, r#"{"message":"invalid credentials"}"#);
        }
        assert_eq!(hits.so_far(), []);
        let refused = client.connect_with("/admin", LOGIN).await.unwrap_err();
        let expected = r#"{"message":"too many login attempts, try again later"}"#;
        assert_eq!(refused, expected);
        let namespace = "/admin".to_owned();
        assert_eq!(hits.next().await, (Limit::LoginAttempts, limit, namespace));
    }
}

/// Invalid options are errors of the program, and a server has one Admin UI.
#[on_both_servers]
async fn invalid_options_are_errors() {
    let server = start();
    let hashless = AdminOptions::basic_auth("admin", PASSWORD);
    assert_eq!(server.io.instrument(hashless), Err(AdminError::InvalidHash));
    #[cfg(feature = "redis")]
    assert!(matches!(
        server
            .io
            .instrument(basic().redis_store("http://127.0.0.1")),
        Err(AdminError::InvalidStore(_))
    ));
    server.io.instrument(basic()).unwrap();
    assert_eq!(server.io.instrument(basic()), Err(AdminError::Instrumented));
}

/// Statistics name the server, its clients by transport, and the sockets of all namespaces.
#[on_both_servers]
async fn statistics_have_the_shape_of_the_reference() {
    let server = start();
    server.io.of_pattern("/shop-{id}").unwrap();
    let options = AdminOptions::without_auth().server_id("one");
    server.io.instrument(options).unwrap();
    let mut page = Page::open(&server).await;
    let mut polling = Client::open(&server, Via::Polling).await;
    polling.connect("/shop-7").await;
    let stats = loop {
        let stats = page.next("server_stats").await.remove(0);
        let is_connected = stats["namespaces"][2]["socketsCount"] == 1;
        if is_connected && stats["aggregatedEvents"] != json!([]) {
            break stats;
        }
    };
    assert_eq!(stats["clientsCount"], 2);
    assert_eq!(stats["serverId"], "one");
    assert!(!stats["hostname"].as_str().unwrap().is_empty());
    assert_eq!(stats["pid"], std::process::id());
    assert!(stats["uptime"].as_f64().unwrap() > 0.0);
    assert_eq!(stats["pollingClientsCount"], 1);
    let namespaces = json!([
        { "name": "/", "socketsCount": 0 },
        { "name": "/admin", "socketsCount": 1 },
        { "name": "/shop-7", "socketsCount": 1 },
    ]);
    assert_eq!(stats["namespaces"], namespaces);

    let traffic = ["packetsIn", "packetsOut", "bytesIn", "bytesOut"];
    let mut missing = traffic.to_vec();
    while !missing.is_empty() {
        polling.send(r#"42/shop-7,["hello"]"#).await;
        let stats = page.next("server_stats").await.remove(0);
        for event in stats["aggregatedEvents"].as_array().unwrap() {
            assert!(event["count"].as_u64().unwrap() > 0);
            missing.retain(|name| event["type"] != *name);
        }
    }

    polling.close().await;
    let closed = loop {
        let stats = page.next("server_stats").await.remove(0);
        let events = stats["aggregatedEvents"].as_array().unwrap().clone();
        let closed = events
            .into_iter()
            .find(|event| event["type"] == "rawDisconnection");
        if let Some(closed) = closed {
            break closed;
        }
    };
    assert_eq!(closed["timestamp"].as_u64().unwrap() % 1000, 0);
    assert_eq!(closed["count"], 1);
    assert_eq!(closed["subType"], "transport close");
}

/// A command is for one socket, a room, or all, as its filter says.
#[on_both_servers]
async fn commands_act_on_a_socket_a_room_or_all() {
    let server = start();
    let root = server.io.of("/");
    server.io.instrument(AdminOptions::without_auth()).unwrap();
    let mut page = Page::open(&server).await;
    let mut ann = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &[]).await;
    let id = bob.socket.id();

    page.send(&json!(["emit", "/", null, "all", 1, { "two": [] }]))
        .await;
    page.send(&json!(["emit", "/", "", "all"])).await;
    page.send(&json!(["emit", "/", "a", "room", "x"])).await;
    page.send(&json!(["emit", "/", id, "one"])).await;
    ann.expect(r#"42["all",1,{"two":[]}]"#).await;
    ann.expect(r#"42["all"]"#).await;
    ann.expect(r#"42["room","x"]"#).await;
    bob.expect(r#"42["all",1,{"two":[]}]"#).await;
    bob.expect(r#"42["all"]"#).await;
    bob.expect(r#"42["one"]"#).await;

    page.send(&json!(["join", "/", "every"])).await;
    page.send(&json!(["join", "/", "b", id])).await;
    until("the joins", || {
        root.room_count("every") == 2 && root.room_count("b") == 1
    })
    .await;
    page.send(&json!(["leave", "/", "every", "b"])).await;
    until("the leave", || root.room_count("every") == 1).await;
    assert!(ann.socket.rooms().contains(&"every".to_owned()));
    page.send(&json!(["leave", "/", "every", null])).await;
    until("the other leave", || root.room_count("every") == 0).await;

    page.send(&json!(["_disconnect", "/", false, id])).await;
    bob.expect("41").await;
    page.send(&json!(["_disconnect", "/", true])).await;
    ann.expect("41").await;
    ann.client.expect_close().await;
}

/// A command that makes no sense is an error of its event, and changes nothing.
#[on_both_servers]
async fn an_invalid_command_is_answered_with_an_error() {
    let server = start();
    server.io.instrument(AdminOptions::without_auth()).unwrap();
    let mut page = Page::open(&server).await;
    page.next("config").await;
    for command in [
        r#"["emit"]"#,
        r#"["emit","/nowhere",null,"x"]"#,
        r#"["emit","/",null,"connect"]"#,
        r#"["join","/",7]"#,
        r#"["_disconnect",true]"#,
    ] {
        page.client.send(&format!("42/admin,1{command}")).await;
        let answer = loop {
            let text = page.client.text().await;
            if !text.contains("server_stats") {
                break text;
            }
        };
        assert!(
            answer.starts_with(r#"43/admin,1[{"error":"#),
            "{command}: {answer}"
        );
    }
    assert!(server.io.namespace("/nowhere").is_none());
}

/// A read-only server offers no command, and accepts none.
#[on_both_servers]
async fn a_read_only_server_accepts_no_command() {
    let server = start();
    let options = AdminOptions::without_auth().read_only(true);
    server.io.instrument(options).unwrap();
    let mut page = Page::open(&server).await;
    let config = page.next("config").await;
    assert_eq!(
        config,
        [json!({ "supportedFeatures": ["AGGREGATED_EVENTS"] })]
    );
    let mut ann = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    page.send(&json!(["emit", "/", null, "x"])).await;
    page.send(&json!(["join", "/", "b"])).await;
    page.send(&json!(["leave", "/", "a"])).await;
    page.send(&json!(["_disconnect", "/", true])).await;
    page.client.rest("/admin").await;
    ann.expect_nothing_more().await;
    assert_eq!(ann.socket.rooms(), ["a"]);
}

/// In development mode a page gets all sockets, and is one of them.
#[on_both_servers]
async fn development_mode_lists_all_sockets() {
    let server = start();
    server.io.instrument(development()).unwrap();
    let mut page = Page::open(&server).await;
    let (name, args) = page.change().await;
    assert_eq!(name, "config");
    assert_eq!(args[0]["supportedFeatures"][8], "ALL_EVENTS");
    let (mut own, mut all) = (None, None);
    while own.is_none() || all.is_none() {
        match page.change().await {
            (name, args) if name == "socket_connected" => own = Some(args),
            (name, args) if name == "all_sockets" => all = Some(args),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(own.unwrap()[0]["id"], page.id.as_str());
    assert_eq!(all.unwrap()[0][0]["nsp"], "/admin");
}

/// A socket is shown with its rooms and its first request, and without secrets.
#[on_both_servers]
async fn a_socket_is_shown_without_its_secrets() {
    let server = start();
    server.io.instrument(development()).unwrap();
    let chat = server.io.of("/chat");
    chat.on_connect(|socket: Socket| async move { socket.join("lobby").await });
    let mut page = Page::settled(&server).await;
    let headers = [
        ("Cookie", "c=secret"),
        ("Authorization", "secret"),
        ("X-Tag", "shown"),
    ];
    let mut client = Client::open_with(&server, Via::WebSocket, &headers).await;
    let auth = r#"{"token":"secret"}"#;
    let ann = client.connect_with("/chat", auth).await.unwrap();
    let (name, mut joined) = page.change().await;
    let time = joined.pop().unwrap();
    assert_eq!(name, "room_joined");
    assert_eq!(joined, [json!("/chat"), json!("lobby"), json!(ann)]);
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");

    let (name, connected) = page.change().await;
    assert_eq!(name, "socket_connected");
    let socket = &connected[0];
    assert_eq!(socket["id"], ann.as_str());
    assert_eq!(socket["transport"], "websocket");
    assert_eq!(socket["rooms"], json!([ann, "lobby"]));
    assert_eq!(socket["handshake"]["headers"]["x-tag"], "shown");
    assert_eq!(socket["handshake"]["address"], "127.0.0.1");
    let client_id = socket["clientId"].as_str().unwrap();
    assert_eq!(client_id.len(), 12);
    assert!(!client.session_id().contains(client_id));
    let text = socket.to_string();
    assert!(!text.contains("secret"), "{text}");
    assert!(!text.contains(client.session_id()), "{text}");
}

/// Each event of a client and each one to it is a message, and so is its end, in order.
#[on_both_servers]
async fn development_mode_reports_events_and_the_end_of_a_socket() {
    let server = start();
    server.io.instrument(development()).unwrap();
    let chat = server.io.of("/chat");
    chat.on_connect(|socket: Socket| async move { socket.join("lobby").await });
    let say = |socket: Socket, Data(text): Data<String>| async move {
        socket.emit("told", &text).await?;
        Ok::<(), EmitError>(())
    };
    chat.on("say", say);
    let mut page = Page::settled(&server).await;
    let mut client = Client::open(&server, Via::WebSocket).await;
    let ann = client.connect("/chat").await;
    page.next("socket_connected").await;

    client.send(r#"42/chat,["say","hello"]"#).await;
    for expected in [
        json!(["event_received", "/chat", ann, ["say", "hello"]]),
        json!(["event_sent", "/chat", ann, ["told", "hello"]]),
    ] {
        assert_eq!(untimed(page.change().await), expected);
    }
    chat.emit("said", ("x", 1)).await.unwrap();
    let sent = json!(["event_sent", "/chat", ann, ["said", "x", 1]]);
    assert_eq!(untimed(page.change().await), sent);
    client.send("41/chat,").await;
    let reason = "client namespace disconnect";
    for expected in [
        json!(["room_left", "/chat", "lobby", ann]),
        json!(["socket_disconnected", "/chat", ann, reason]),
        json!(["room_left", "/chat", ann, ann]),
    ] {
        assert_eq!(untimed(page.change().await), expected);
    }
}

/// Namespaces that a pattern makes later are reported too, also with recovery of clients.
#[on_both_servers]
async fn development_mode_reports_namespaces_of_patterns() {
    let window = Duration::from_secs(60);
    let build = move |io: Builder| io.connection_state_recovery(window);
    let server = Server::socketio(build, |_| ());
    server.io.instrument(development()).unwrap();
    let shops = server.io.of_pattern("/shop-{id}").unwrap();
    shops.remove_when_empty();
    shops.on_connect(|socket: Socket| async move { socket.join("till").await });
    let mut page = Page::settled(&server).await;
    for _ in 0..2 {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.send("40/shop-7,").await;
        let connected = page.next("socket_connected").await;
        let (nsp, id) = (&connected[0]["nsp"], connected[0]["id"].clone());
        assert_eq!(nsp, "/shop-7");
        let shop = server.io.namespace("/shop-7").unwrap();
        shop.to("till").emit("sale", 1).await.unwrap();
        // Behind the time is the offset, for a page that recovers.
        let (name, args) = page.change().await;
        assert_eq!(name, "event_sent");
        assert_eq!(
            args[..3],
            [json!("/shop-7"), id.clone(), json!(["sale", 1])]
        );
        client.send("41/shop-7,").await;
        let left = page.next("socket_disconnected").await;
        assert_eq!((&left[0], &left[1]), (&json!("/shop-7"), &id));
        page.next("room_left").await;
        drop(shop);
        until("the end of the namespace", || {
            server.io.namespace("/shop-7").is_none()
        })
        .await;
    }
}

/// A client that is back before its previous connection has ended stays on the page.
#[on_both_servers]
async fn a_recovered_socket_stays_when_its_predecessor_ends() {
    let window = Duration::from_secs(60);
    let build = move |io: Builder| io.connection_state_recovery(window);
    let server = Server::socketio(build, |_| ());
    server.io.instrument(development()).unwrap();
    let mut ends = leavers(&server.io.of("/"));
    let mut page = Page::settled(&server).await;
    let mut before = Client::open(&server, Via::WebSocket).await;
    before.send("40").await;
    let connect = before.text().await;
    let connect: Value = serde_json::from_str(connect.strip_prefix("40").unwrap()).unwrap();
    let id = page.next("socket_connected").await[0]["id"].clone();
    assert_eq!(connect["sid"], id);
    let mut client = Client::open(&server, Via::WebSocket).await;
    let auth = json!({ "pid": connect["pid"] });
    client.send(&format!("40{auth}")).await;
    assert_eq!(ends.next().await, "superseded");
    client.text().await;

    let mut other = Client::open(&server, Via::WebSocket).await;
    other.send("40").await;
    let mut connected = Vec::new();
    while connected.len() < 2 {
        let (name, args) = page.change().await;
        // The end of its predecessor may come first, but not behind its own connect.
        assert!(name != "socket_disconnected" || connected.is_empty());
        if name == "socket_connected" {
            connected.push(args[0]["id"].clone());
        }
    }
    assert_eq!(connected[0], id);
    client.close().await;
    assert_eq!(page.next("socket_disconnected").await[1], id);
}

/// An upgrade changes the transport of each socket of the session.
#[on_both_servers]
async fn an_upgrade_is_an_update_of_the_transport() {
    let server = start();
    server.io.instrument(development()).unwrap();
    let mut page = Page::settled(&server).await;
    let client = Client::connected(&server, Via::Polling).await;
    let connected = page.next("socket_connected").await;
    assert_eq!(connected[0]["transport"], "polling");
    let mut socket = WebSocket::beside(&server, client.session_id()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_text("5").await;
    let updated = page.next("socket_updated").await;
    let id = &connected[0]["id"];
    assert_eq!(
        updated,
        [json!({ "id": id, "nsp": "/", "transport": "websocket" })]
    );
}

/// Hooks of the Admin UI change neither answers nor refusals of the program.
#[on_both_servers]
async fn instrumented_servers_answer_as_others_do() {
    let server = start();
    server.io.instrument(development()).unwrap();
    server
        .io
        .of("/")
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    server
        .io
        .of("/closed")
        .on_connect(|| async { Err::<(), _>("closed today") });
    let mut page = Page::settled(&server).await;
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["add",2,3]"#).await;
    client.expect("431[5]").await;
    client.send(r#"422["none"]"#).await;
    client
        .expect(r#"432[{"error":"no handler for event \"none\""}]"#)
        .await;
    let refused = client.connect_with("/closed", "").await.unwrap_err();
    assert_eq!(refused, r#"{"message":"closed today"}"#);
    client.close().await;
    // A refused socket has never connected.
    loop {
        let (name, args) = page.change().await;
        assert_ne!(args[0]["nsp"], "/closed");
        if name == "socket_disconnected" {
            break;
        }
    }
}

/// A page sees the sockets of every node with their clients, and changes them.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_page_sees_and_changes_the_sockets_of_other_nodes() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        for (server, id) in [(&here, "here"), (&there, "there")] {
            server.io.instrument(development().server_id(id)).unwrap();
        }
        let mut bob = Peer::enter(&there, Via::WebSocket, &["b"]).await;
        let id = bob.socket.id();
        let mut page = Page::open(&here).await;
        let all = page.next("all_sockets").await;
        let found = all[0]
            .as_array()
            .unwrap()
            .iter()
            .find(|socket| socket["id"] == id.as_str());
        let found = found.unwrap();
        assert_eq!(found["transport"], "websocket");
        assert_eq!(found["clientId"].as_str().unwrap().len(), 12);
        assert_eq!(found["rooms"], json!([id, "b"]));
        let mut servers = Vec::new();
        while !["here", "there"]
            .iter()
            .all(|id| servers.contains(&json!(id)))
        {
            servers.push(page.next("server_stats").await[0]["serverId"].clone());
        }

        page.send(&json!(["emit", "/", id, "one", 1])).await;
        bob.expect(r#"42["one",1]"#).await;
        page.send(&json!(["join", "/", "c", "b"])).await;
        assert_eq!(page.next("room_joined").await[1], "c");
        assert_eq!(bob.socket.rooms(), ["b", "c"]);
        here.io.to("c").emit("many", ()).await.unwrap();
        bob.expect(r#"42["many"]"#).await;
        loop {
            let sent = page.next("event_sent").await;
            if sent[2] == json!(["many"]) {
                assert_eq!(sent[1], id.as_str());
                break;
            }
        }
        page.send(&json!(["_disconnect", "/", false, id])).await;
        bob.expect("41").await;
        assert_eq!(page.next("socket_disconnected").await[1], id.as_str());
        // The mark is no part of the program's data.
        let ann = Peer::enter(&there, Via::WebSocket, &[]).await;
        let sockets = here.io.fetch_sockets().await;
        let remote = sockets
            .iter()
            .find(|socket| socket.id() == ann.socket.id())
            .unwrap();
        assert!(remote.all_data().is_empty());
        assert_eq!(remote.data::<Value>("_admin"), None);
    }
}

/// A namespace that a pattern has made on another node only takes commands too.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn commands_reach_namespaces_that_only_another_node_has() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        here.io.instrument(AdminOptions::without_auth()).unwrap();
        there.io.of_pattern("/shop-{id}").unwrap();
        let mut client = Client::open(&there, Via::WebSocket).await;
        client.connect("/shop-7").await;
        let mut page = Page::open(&here).await;
        // Its node follows the new namespace a moment after the client has connected.
        let reaching = async {
            let sale = Came::Text(r#"42/shop-7,["sale",1]"#.to_owned());
            while !client.rest("/shop-7").await.contains(&sale) {
                page.send(&json!(["emit", "/shop-7", null, "sale", 1]))
                    .await;
            }
        };
        within("the event", reaching).await;
        page.send(&json!(["_disconnect", "/shop-7", false])).await;
        while client.text().await != "41/shop-7," {}
        assert!(here.io.namespace("/shop-7").is_none());
    }
}

/// The first list of a page has the sockets of a namespace that its server does not have.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn the_list_has_namespaces_that_only_another_node_has() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        for server in [&here, &there] {
            server.io.instrument(development()).unwrap();
        }
        there.io.of_pattern("/shop-{id}").unwrap();
        let mut shopper = Client::open(&there, Via::WebSocket).await;
        let mut client = Client::open(&there, Via::WebSocket).await;
        let expected = [
            ("/shop-7", shopper.connect("/shop-7").await),
            ("/", client.connect("/").await),
        ];
        // The other node follows the new namespace of the pages a moment later.
        let lists_both = async {
            loop {
                let mut page = Page::open(&here).await;
                let listed = page.next("all_sockets").await.remove(0);
                if listed.as_array().unwrap().len() == 3 {
                    break listed;
                }
                page.client.close().await;
                until("the page to go", || here.io.clients_count() == 0).await;
            }
        };
        let listed = within("the list of both nodes", lists_both).await;
        let listed = listed.as_array().unwrap();
        for (namespace, id) in expected {
            let is_it = |socket: &&Value| socket["id"] == id.as_str();
            let found: Vec<_> = listed.iter().filter(is_it).collect();
            assert_eq!(found.len(), 1, "{namespace}: {listed:?}");
            assert_eq!(found[0]["nsp"], namespace);
            assert_eq!(found[0]["transport"], "websocket");
            assert!(found[0]["handshake"]["headers"].is_object());
            assert_eq!(found[0]["handshake"].get("auth"), None);
        }
        assert!(here.io.namespace("/shop-7").is_none());
    }
}

/// Session ids in Redis are known to every server, for a day.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn sessions_in_redis_are_known_to_every_server() {
    let mut redis = Redis::start();
    let (one, two) = (start(), start());
    for server in [&one, &two] {
        server
            .io
            .instrument(basic().redis_store(redis.url()))
            .unwrap();
    }
    let mut client = Client::open(&one, Via::WebSocket).await;
    client.connect_with("/admin", LOGIN).await.unwrap();
    let session: (String, String) = {
        let text = client.text().await;
        serde_json::from_str(text.strip_prefix("42/admin,").unwrap()).unwrap()
    };
    let key = format!("socket.io-admin#{}", session.1);
    assert!(redis.command(&format!("GET {key}")).contains("\r\n1\r\n"));
    let ttl = redis.command(&format!("TTL {key}"));
    let seconds: u32 = ttl.lines().next().unwrap()[1..].parse().unwrap();
    assert!((86_000..=86_400).contains(&seconds), "{ttl}");

    let auth = json!({ "sessionId": session.1 }).to_string();
    enters(&two, &auth).await.unwrap();
    redis.kill();
    // Without its store the server asks for the password.
    assert_eq!(
        enters(&two, &auth).await.unwrap_err(),
        r#"{"message":"invalid credentials"}"#
    );
    let mut client = Client::open(&two, Via::WebSocket).await;
    client.connect_with("/admin", LOGIN).await.unwrap();
}

async fn enters(server: &Server<SocketIo>, auth: &str) -> Result<String, String> {
    let mut client = Client::open(server, Via::WebSocket).await;
    client.connect_with("/admin", auth).await
}

/// Returns an event without the time at its end.
fn untimed((name, mut args): (String, Vec<Value>)) -> Value {
    args.pop();
    args.insert(0, json!(name));
    json!(args)
}
