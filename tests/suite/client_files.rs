//! The official client's files, served as the reference does (sio/index.ts, 620-727).

use std::fs;
use std::path::PathBuf;

use actix_socketio::SocketIo;

use crate::support::{Connection, Request, Response, Server, TestRun};

const SCRIPT: &str = "/* the client */";

/// A server with two of the files, in a folder beside a secret one; removed at the end.
struct Served {
    server: Server<SocketIo>,
    root: PathBuf,
}

impl Served {
    fn start(name: &str) -> Self {
        let process = std::process::id();
        let run = TestRun::with_path().number;
        let root = std::env::temp_dir().join(format!("actix-socketio-{process}-{run}-{name}"));
        let dist = root.join("dist");
        fs::create_dir_all(&dist).unwrap();
        fs::write(dist.join("socket.io.js"), SCRIPT).unwrap();
        fs::write(dist.join("socket.io.min.js.map"), "{}").unwrap();
        fs::write(dist.join("other.js"), "not the client's").unwrap();
        fs::write(root.join("secret.js"), "secret").unwrap();
        Self {
            server: Server::socketio(|io| io.client_files(dist), |_| ()),
            root,
        }
    }

    fn request(&self, method: &str, name: &str) -> Request {
        let target = format!("/socket.io/{name}");
        Request::new(method, self.server.address, &target)
    }

    async fn get(&self, name: &str) -> Response {
        self.request("GET", name).send().await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The file, its type, and a header that lets caches ask again each time.
#[on_both_servers]
async fn files_are_served_with_their_type_and_to_be_revalidated() {
    let served = Served::start("served");
    let script = served.get("socket.io.js").await;
    script.expect(200, SCRIPT);
    let kind = script.header("content-type");
    assert_eq!(kind, Some("application/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), Some("public, max-age=0"));
    let map = served.get("socket.io.min.js.map").await;
    map.expect(200, "{}");
    let kind = map.header("content-type");
    assert_eq!(kind, Some("application/json; charset=utf-8"));
    // A query changes nothing.
    served.get("socket.io.js?v=4").await.expect(200, SCRIPT);
}

/// RFC 9110, 13.1.2: a client that has the file already gets 304.
#[on_both_servers]
async fn a_file_that_the_client_has_is_not_sent_again() {
    let served = Served::start("etag");
    let first = served.get("socket.io.js").await;
    let etag = first.header("etag").unwrap().to_owned();
    let weak = format!("W/{}", etag.trim_start_matches("W/"));
    for known in [etag.as_str(), &weak, "*", &format!("\"other\", {etag}")] {
        let request = served.request("GET", "socket.io.js");
        let again = request.header("if-none-match", known).send().await;
        assert_eq!(again.status, 304, "{known}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
    }
    let request = served.request("GET", "socket.io.js");
    let other = request.header("if-none-match", "\"other\"").send().await;
    other.expect(200, SCRIPT);
    fs::write(served.root.join("dist/socket.io.js"), "/* another one */").unwrap();
    let request = served.request("GET", "socket.io.js");
    let changed = request.header("if-none-match", &etag).send().await;
    changed.expect(200, "/* another one */");
}

/// HEAD says the same without the file.
#[on_both_servers]
async fn head_has_the_headers_of_get() {
    let served = Served::start("head");
    let get = served.get("socket.io.js").await;
    let mut connection = Connection::open(served.server.address).await;
    let request = served.request("HEAD", "socket.io.js");
    connection.write(&request.bytes()).await;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(connection.take(1).await.unwrap()[0].into());
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for name in ["content-type", "content-length", "etag", "cache-control"] {
        let line = format!("\r\n{name}: {}\r\n", get.header(name).unwrap());
        assert!(head.contains(&line), "{line:?} in {head:?}");
    }
    // No body follows: the next answer on this connection is whole.
    connection
        .write(&served.request("GET", "socket.io.js").bytes())
        .await;
    connection.response().await.expect(200, SCRIPT);
}

/// Names that are not the client's are requests to the engine, which does not know them.
#[on_both_servers]
async fn other_names_are_not_served() {
    let served = Served::start("unknown");
    for name in [
        "other.js",
        "socket.io.js/",
        "socket.io.js.bak",
        "SOCKET.IO.JS",
        "dist/socket.io.js",
        "socket.io.js%00",
        "",
    ] {
        let response = served.get(name).await;
        response.expect_error(0, "Transport unknown");
    }
    // One of the client's names, but the file is not there.
    assert_eq!(served.get("socket.io.esm.min.js").await.status, 404);
    // The path is still the engine's.
    let open = served.get("?EIO=4&transport=polling").await;
    assert_eq!(open.status, 200);
}

/// No path leads out of the folder, however it is written.
#[on_both_servers]
async fn path_traversal_is_refused() {
    let served = Served::start("paths");
    for name in [
        "../secret.js",
        "../dist/socket.io.js",
        "..%2fsecret.js",
        "%2e%2e/secret.js",
        "%2e%2e%2fsecret.js",
        "..%5csecret.js",
        "....//secret.js",
        "./../secret.js",
        "socket.io.js/../../secret.js",
        "/etc/passwd",
        "%2fetc%2fpasswd",
    ] {
        let response = served.get(name).await;
        assert!(matches!(response.status, 400 | 404), "{name}: {response:?}");
        assert!(!response.text().contains("secret"), "{name}");
    }
}

/// Only GET and HEAD get a file.
#[on_both_servers]
async fn other_methods_get_no_file() {
    let served = Served::start("methods");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = served.request(method, "socket.io.js").body("");
        let response = request.send().await;
        assert_eq!(response.status, 400, "{method}");
        assert!(!response.text().contains(SCRIPT), "{method}");
    }
}

/// Without a folder there are no files.
#[on_both_servers]
async fn without_a_folder_nothing_is_served() {
    let server = Server::socketio(|io| io, |_| ());
    let request = Request::get(server.address, "/socket.io/socket.io.js");
    request.send().await.expect_error(0, "Transport unknown");
}
