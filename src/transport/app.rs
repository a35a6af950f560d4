//! The program's App, as the servers of this crate take it.

use actix_service::ServiceFactory;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{App, Error};

/// A function that makes the program's [`App`], once on each worker.
///
/// It is implemented for functions and closures that return an App, with any middleware; no other
/// implementation is needed.
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::{AppFactory, SocketIo};
///
/// /// Serves any App at the program's own address.
/// async fn serve(io: SocketIo, app: impl AppFactory) -> std::io::Result<()> {
///     io.serve(app).bind(("127.0.0.1", 3000))?.run().await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make an App",
    label = "expected a function or a closure that returns an `App`",
    note = "it is called on each worker: it is `Fn`, `Send`, `Clone` and `'static`"
)]
pub trait AppFactory: Send + Clone + 'static {
    /// The services of the App.
    type Entry: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<Self::Body>,
            Error = Error,
            InitError = (),
        > + 'static;
    /// The body of its responses.
    type Body: MessageBody + 'static;

    /// Makes the App.
    fn app(&self) -> App<Self::Entry>;
}

impl<F, T, B> AppFactory for F
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    type Entry = T;
    type Body = B;

    fn app(&self) -> App<T> {
        self()
    }
}
