//! The options of a test client before it connects.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::cookie::Cookie;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{App, test};
use serde::Serialize;
use serde_json::Value;

use crate::server::SocketIo;
use crate::testing::client::TestClient;
use crate::testing::error::ConnectFailed;
use crate::testing::service::{AnyService, Requests, erased};
use crate::testing::session::{Session, session_id};

/// Sets up a [`TestClient`].
///
/// # Examples
///
/// ```
/// use actix_socketio::testing::TestClient;
/// use actix_socketio::SocketIo;
/// use serde_json::json;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().start()?;
/// io.of("/chat");
/// let client = TestClient::builder(&io)
///     .namespace("/chat")
///     .auth(json!({ "token": "secret" }))
///     .header("Accept-Language", "en")
///     .query("room", "lobby")
///     .connect()
///     .await?;
/// assert!(client.is_connected());
/// # Ok(()) }
/// ```
#[must_use = "nothing happens before `connect`"]
pub struct TestClientBuilder {
    io: SocketIo,
    service: Option<AnyService>,
    namespace: String,
    auth: Result<Option<Value>, serde_json::Error>,
    requests: Requests,
    answers_pings: bool,
}

impl TestClientBuilder {
    pub(crate) fn new(io: &SocketIo) -> Self {
        Self {
            io: io.clone(),
            service: None,
            namespace: "/".to_owned(),
            auth: Ok(None),
            requests: Requests {
                path: io.engine().config.http.path.clone(),
                ..Requests::default()
            },
            answers_pings: true,
        }
    }

    /// Names the namespace to connect to; `/` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the payload of the CONNECT packet, the `auth` option of a client: an object.
    pub fn auth(mut self, auth: impl Serialize) -> Self {
        self.auth = serde_json::to_value(auth).map(Some);
        self
    }

    /// Adds a header to every request. An invalid header, for example with a line break, is
    /// omitted.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            self.requests.headers.push((name, value));
        }
        self
    }

    /// Adds a cookie to every request, for example one that a login page has set.
    pub fn cookie(self, cookie: &Cookie<'_>) -> Self {
        let pair = format!("{}={}", cookie.name(), cookie.value());
        self.header(header::COOKIE.as_str(), &pair)
    }

    /// Adds a value to the query of every request.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        if let Ok(pair) = serde_urlencoded::to_string([(name, value)]) {
            self.requests.query.push('&');
            self.requests.query.push_str(&pair);
        }
        self
    }

    /// Sets the client's address; by default it has none.
    pub fn peer(mut self, address: SocketAddr) -> Self {
        self.requests.peer = Some(address);
        self
    }

    /// Sends requests to the program's own service, in which the server's routes are mounted, so
    /// that its middleware and its login are tested. By default the App has no other services. An
    /// `Rc` of a service is a service too, and can be kept for the test's own requests.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// use actix_socketio::testing::TestClient;
    /// use actix_socketio::SocketIo;
    /// use actix_web::{App, test, web};
    ///
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let io = SocketIo::builder().start()?;
    /// let app = App::new()
    ///     .configure(io.routes())
    ///     .route("/", web::get().to(|| async { "the program's own page" }));
    /// let app = Rc::new(test::init_service(app).await);
    /// let client = TestClient::builder(&io).service(Rc::clone(&app)).connect().await?;
    /// let page = test::call_and_read_body(&*app, test::TestRequest::default().to_request()).await;
    /// assert_eq!(page, "the program's own page");
    /// # Ok(()) }
    /// ```
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
        S::Future: 'static,
        B: MessageBody + 'static,
    {
        self.service = Some(erased(service));
        self
    }

    /// Sets whether the client answers the server's pings; true by default.
    pub fn answers_pings(mut self, answers: bool) -> Self {
        self.answers_pings = answers;
        self
    }

    /// Sends only the request of the handshake, and returns its response, also if it is a refusal.
    /// If a session opens it is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_socketio::testing::TestClient;
    /// use actix_web::HttpResponse;
    /// use actix_web::error::InternalError;
    ///
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let io = SocketIo::builder()
    ///     .allow_request(|_| async {
    ///         let later = HttpResponse::TooManyRequests().insert_header(("retry-after", "5")).finish();
    ///         Err(InternalError::from_response("later", later).into())
    ///     })
    ///     .start()?;
    /// let answer = TestClient::builder(&io).handshake().await;
    /// assert_eq!(answer.status, 429);
    /// assert_eq!(answer.headers.get("retry-after").unwrap(), "5");
    /// # Ok(()) }
    /// ```
    pub async fn handshake(self) -> HandshakeAnswer {
        let service = self.any_service().await;
        let response = service(self.requests.get(None)).await;
        if let Some(sid) = session_id(&response.body) {
            service(self.requests.post(&sid, b"1".to_vec())).await;
        }
        HandshakeAnswer {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
    }

    /// Connects: performs the handshake, and connects to the namespace. A test client uses polling
    /// even if the server does not allow it.
    ///
    /// # Errors
    ///
    /// Every variant of [`ConnectFailed`].
    pub async fn connect(mut self) -> Result<TestClient, ConnectFailed> {
        if let Some(fault) = self.io.fault() {
            return Err(ConnectFailed::Program(fault));
        }
        let service = self.any_service().await;
        let auth = std::mem::replace(&mut self.auth, Ok(None)).map_err(|cause| {
            ConnectFailed::Encode(crate::socketio::ArgsError::Serialize {
                argument: None,
                cause,
            })
        })?;
        let engine = Arc::clone(self.io.engine());
        let session = Session::open(&engine, service, self.requests, self.answers_pings).await?;
        TestClient::enter(session, &self.namespace, auth.as_ref()).await
    }

    async fn any_service(&self) -> AnyService {
        match &self.service {
            Some(service) => service.clone(),
            None => {
                let app = App::new().configure(self.io.routes());
                erased(test::init_service(app).await)
            }
        }
    }
}

/// The response to the request of a handshake: [`TestClientBuilder::handshake`] returns it.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandshakeAnswer {
    /// The status, for example 200.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: an OPEN packet, or the text of the refusal.
    pub body: String,
}

impl std::fmt::Debug for TestClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestClientBuilder")
            .field("namespace", &self.namespace)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}
