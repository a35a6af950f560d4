//! The Redis of the example: the server at `REDIS_URL`, or one that the example starts.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::{env, io};

/// A Redis server. If the example has started it, it ends when this value is dropped.
pub(crate) struct Redis {
    pub(crate) url: String,
    server: Option<Child>,
}

impl Redis {
    /// Returns the server at `REDIS_URL`, or starts one on a free port.
    pub(crate) fn find() -> io::Result<Self> {
        if let Ok(url) = env::var("REDIS_URL") {
            return Ok(Self { url, server: None });
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let options = format!("--port {port} --bind 127.0.0.1 --appendonly no --save");
        let mut command = Command::new("redis-server");
        command.args(options.split(' ')).arg("");
        let server = command.stdout(Stdio::null()).spawn().map_err(|error| {
            io::Error::other(format!(
                "no REDIS_URL, and no redis-server to start: {error}"
            ))
        })?;
        let url = format!("redis://127.0.0.1:{port}");
        Ok(Self {
            url,
            server: Some(server),
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // The signal that ends the example may have ended the server already.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
