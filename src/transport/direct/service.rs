//! One worker's HTTP service: the program's App, for requests that ask for an upgrade too.
//!
//! actix-http passes such a request on together with its connection. It goes through the App like
//! any other, with an offer to take over the connection; the App's response decides.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody};
use actix_http::h1::{Codec, Message};
use actix_http::{HttpMessage, Payload, Request, Response, StatusCode};
use actix_service::boxed::{self, BoxService, BoxServiceFactory};
use actix_service::{Service, ServiceFactory, always_ready, apply_fn};
use bytes::BytesMut;
use futures_core::future::LocalBoxFuture;
use tokio::sync::OnceCell;
use tokio_util::codec::Encoder;

use crate::transport::direct::relay::{SharedIo, relay};
use crate::transport::direct::takeover::{ConnectionTakeover, Io, UpgradedIo};
use crate::transport::held::Held;

/// The program's App: any request, its response, and errors that are responses too.
pub(crate) type AppService = BoxServiceFactory<(), Request, Answer, Answer, ()>;

type Answer = Response<BoxBody>;
type Made = BoxService<Request, Answer, Answer>;

/// Makes the App's service once, for plain requests and upgrades.
#[derive(Clone)]
pub(crate) struct SharedApp {
    factory: Rc<AppService>,
    made: Rc<OnceCell<Rc<Made>>>,
}

impl SharedApp {
    pub(crate) fn new(factory: AppService) -> Self {
        Self {
            factory: Rc::new(factory),
            made: Rc::default(),
        }
    }

    fn make(&self) -> LocalBoxFuture<'static, Result<Rc<Made>, ()>> {
        let Self { factory, made } = self.clone();
        Box::pin(async move {
            let make = || async {
                let app = factory.new_service(()).await?;
                Ok(Rc::new(boxed::service(apply_fn(app, answer))))
            };
            made.get_or_try_init(make).await.cloned()
        })
    }
}

/// Calls the App, and closes the connection after a body that the App has not read.
fn answer(
    mut request: Request,
    app: &Made,
) -> impl Future<Output = Result<Answer, Answer>> + use<> {
    let mut payload = request.take_payload();
    let held = Held::share(request.headers(), &mut payload);
    *request.payload() = payload;
    let answering = app.call(request);
    async move {
        let answer = answering.await;
        let Some(held) = held else { return answer };
        let keep = |answer: Answer| answer.map_body(|_, body| held.until_sent(body));
        match answer {
            Ok(answer) => Ok(keep(answer)),
            Err(answer) => Err(keep(answer)),
        }
    }
}

impl ServiceFactory<Request> for SharedApp {
    type Response = Answer;
    type Error = Answer;
    type Config = ();
    type Service = Rc<Made>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        self.make()
    }
}

/// Makes the service of upgrades.
pub(crate) struct Upgrades(pub(crate) SharedApp);

impl<T: Io + 'static> ServiceFactory<(Request, Framed<T, Codec>)> for Upgrades {
    type Response = ();
    type Error = Infallible;
    type Config = ();
    type Service = Upgrade;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let app = self.0.make();
        Box::pin(async move { app.await.map(Upgrade) })
    }
}

/// Answers upgrade requests.
pub(crate) struct Upgrade(Rc<Made>);

impl<T: Io + 'static> Service<(Request, Framed<T, Codec>)> for Upgrade {
    type Response = ();
    type Error = Infallible;
    type Future = LocalBoxFuture<'static, Result<(), Infallible>>;

    // The dispatcher of plain requests has polled the App's readiness already.
    always_ready!();

    fn call(&self, (mut request, framed): (Request, Framed<T, Codec>)) -> Self::Future {
        let parts = framed.into_parts();
        let io = SharedIo::new(parts.io, parts.read_buf);
        let offer = ConnectionTakeover::default();
        request.extensions_mut().insert(offer.clone());
        *request.payload() = Payload::Stream {
            payload: Box::pin(io.clone()),
        };
        let answering = self.0.call(request);
        let (mut codec, mut unsent) = (parts.codec, parts.write_buf);
        Box::pin(async move {
            let mut answering = pin!(answering);
            // An App may take any time: it is dropped if its client disconnects.
            let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => io.poll_gone(cx).map(|()| None),
            });
            let Some(Ok(response) | Err(response)) = answered.await else {
                log::debug!("client disconnected before the response to its upgrade request");
                return Ok(());
            };
            let agreed = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            match offer.accepted() {
                Some(taker) if agreed => {
                    if let Some((io, read)) = io.take()
                        && encode(&mut codec, response, &mut unsent).is_ok()
                    {
                        let (io, answer) = (Box::new(io), unsent.freeze());
                        taker(UpgradedIo { io, read, answer });
                    }
                }
                _ => {
                    if let Err(error) = relay(io, codec, unsent, response).await {
                        log::debug!("response to an upgrade request not sent completely: {error}");
                    }
                }
            }
            Ok(())
        })
    }
}

/// Writes the head of a response; the bytes after it are not HTTP.
fn encode(codec: &mut Codec, response: Answer, out: &mut BytesMut) -> io::Result<()> {
    let head = (response.drop_body(), BodySize::None);
    codec.encode(Message::Item(head), out)
}
