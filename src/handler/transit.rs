//! A received event before its handlers, which the program may check, change or refuse.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::received::Received;
use crate::socket::Socket;
use crate::socketio::{Args, ArgsError, ArgsRef, ArgsText};

/// A received event before its handlers, the argument of
/// [`Handlers::event_middleware`](crate::Handlers::event_middleware).
///
/// # Examples
///
/// ```
/// use actix_socketio::{IncomingEvent, Namespace, Rejection};
///
/// fn polite(event: &mut IncomingEvent<'_>) -> Result<(), Rejection> {
///     if event.name() == "shout" {
///         let text: String = event.read().map_err(Rejection::Data)?;
///         event.rename("message");
///         event.set_data(text.to_lowercase()).map_err(Rejection::Data)?;
///     }
///     match event.name() {
///         "admin" => Err(Rejection::Other("not for you".into())),
///         _ => Ok(()),
///     }
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.event_middleware(polite);
/// }
/// ```
#[derive(Debug)]
pub struct IncomingEvent<'a> {
    socket: &'a Socket,
    name: Cow<'a, str>,
    args: ArgsRef<'a>,
    /// The arguments that the program has put in their place.
    replaced: Option<Args>,
    wants_ack: bool,
}

impl<'a> IncomingEvent<'a> {
    pub(crate) fn new(received: &Received<'a>) -> Self {
        Self {
            socket: received.socket,
            name: Cow::Borrowed(received.name),
            args: received.args,
            replaced: None,
            wants_ack: received.id.is_some(),
        }
    }

    /// Returns the socket that sent the event.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Returns the event's present name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if the client expects an acknowledgement.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.wants_ack
    }

    /// Reads the present arguments, as [`Data`](crate::Data) does.
    ///
    /// # Errors
    ///
    /// Returns the argument that has the wrong type, and the cause.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.args().read()
    }

    /// Renames the event: the handlers of the new name are called.
    pub fn rename(&mut self, name: impl Into<String>) {
        self.name = Cow::Owned(name.into());
    }

    /// Replaces the arguments: a tuple becomes that many, `()` none, any other type one.
    ///
    /// # Errors
    ///
    /// If the data cannot be written; the arguments are then unchanged.
    pub fn set_data(&mut self, data: impl Serialize) -> Result<(), ArgsError> {
        self.replaced = Some(match self.args.text {
            ArgsText::Json(_) => Args::from_value(&data)?,
            ArgsText::Packed(_) => Args::pack(&data)?,
        });
        Ok(())
    }

    /// Returns the event for the handlers.
    pub(crate) fn outcome<'b>(&'b self, received: &Received<'b>) -> Received<'b> {
        Received {
            name: &self.name,
            args: self.args(),
            ..*received
        }
    }

    fn args(&self) -> ArgsRef<'_> {
        match &self.replaced {
            Some(args) => args.as_args_ref(),
            None => self.args,
        }
    }
}
