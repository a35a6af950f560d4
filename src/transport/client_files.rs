//! The official client's files, served from a folder as the Node.js server does.

use std::future::Future;
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use log::Level;

use crate::config::Config;
use crate::logging::LogKind;

/// Returns the response to a request for one of the client's files; `None` if the request is for
/// another path, or the server has no folder.
pub(crate) fn find(
    config: &Config,
    request: &HttpRequest,
) -> Option<impl Future<Output = HttpResponse> + use<>> {
    let folder = config.http.client_files.as_ref()?;
    let name = request.match_info().get("file")?;
    // Only these names, so that no path leads out of the folder.
    let name = FILES.iter().find(|file| **file == name)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = folder.join(name);
    let request = request.clone();
    let log = Arc::clone(&config.line_limits);
    Some(async move {
        match NamedFile::open(&path) {
            Ok(file) => {
                let mut response = file.into_response(&request);
                let succeeded = response.status().is_success();
                let headers = response.headers_mut();
                let fresh = HeaderValue::from_static("public, max-age=0");
                headers.insert(header::CACHE_CONTROL, fresh);
                if succeeded {
                    // With its charset: a page with another charset would read the script as its
                    // own.
                    let kind = if name.ends_with(".map") { MAP } else { SCRIPT };
                    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                }
                response
            }
            Err(error) => {
                let line = format_args!("client file {} cannot be read: {error}", path.display());
                log.write(LogKind::Refused, Level::Warn, line);
                HttpResponse::NotFound().finish()
            }
        }
    })
}

const SCRIPT: &str = "application/javascript; charset=utf-8";
const MAP: &str = "application/json; charset=utf-8";

const FILES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];
