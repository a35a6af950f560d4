//! Requests to an actix-web service in memory.

use std::net::SocketAddr;
use std::rc::Rc;

use actix_http::{HttpMessage, Request};
use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use futures_core::future::LocalBoxFuture;

use crate::server::InMemory;

/// A service of any type.
pub(crate) type AnyService = Rc<dyn Fn(Request) -> LocalBoxFuture<'static, Response>>;

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Erases the type of a service.
pub(crate) fn erased<S, B>(service: S) -> AnyService
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let service = Rc::new(service);
    Rc::new(move |request| {
        let response = service.call(request);
        Box::pin(async move {
            match response.await {
                Ok(response) => Response {
                    status: response.status().as_u16(),
                    headers: response.headers().clone(),
                    body: text(response.into_body()).await,
                },
                Err(error) => Response {
                    status: error.as_response_error().status_code().as_u16(),
                    headers: error.error_response().headers().clone(),
                    body: error.to_string(),
                },
            }
        })
    })
}

/// The parts that every request of a client has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// Path and query, without the parameters of the protocol.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) peer: Option<SocketAddr>,
}

impl Requests {
    pub(crate) fn get(&self, sid: Option<&str>) -> Request {
        in_memory(self.request(Method::GET, sid))
    }

    pub(crate) fn post(&self, sid: &str, body: Vec<u8>) -> Request {
        in_memory(self.request(Method::POST, Some(sid)).set_payload(body))
    }

    fn request(&self, method: Method, sid: Option<&str>) -> TestRequest {
        let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
        let uri = format!("{}?EIO=4&transport=polling{sid}{}", self.path, self.query);
        let mut request = TestRequest::with_uri(&uri).method(method);
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        for header in headers {
            request = request.append_header(header);
        }
        match self.peer {
            Some(peer) => request.peer_addr(peer),
            None => request,
        }
    }
}

/// Marks a request so that a server without polling accepts it.
fn in_memory(request: TestRequest) -> Request {
    let request = request.to_request();
    request.extensions_mut().insert(InMemory);
    request
}

async fn text(body: impl MessageBody) -> String {
    let bytes = to_bytes(body).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
