//! An event as programs read it: its name and its arguments.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::socketio::args::{Args, ArgsError};

/// The name and the arguments of an event. [`Event`](crate::Event),
/// [`ServerSideEvent`](crate::ServerSideEvent), [`OutgoingEvent`](crate::OutgoingEvent) and the
/// events of a test client deref to it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ArgsError, Event, EventView};
///
/// fn total(event: &EventView) -> Result<f64, ArgsError> {
///     let (price, count): (f64, f64) = event.read()?;
///     Ok(price * count)
/// }
///
/// async fn order(event: Event) -> Result<f64, ArgsError> {
///     total(&event)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct EventView {
    name: Arc<str>,
    args: Args,
}

impl EventView {
    pub(crate) fn new(name: impl Into<Arc<str>>, args: Args) -> Self {
        Self {
            name: name.into(),
            args,
        }
    }

    pub(crate) fn into_args(self) -> Args {
        self.args
    }

    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the arguments as received or as sent, for example to forward them unchanged.
    #[must_use]
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// Reads the arguments, as [`Data`](crate::Data) does.
    ///
    /// # Errors
    ///
    /// Returns the argument that has the wrong type, and the cause.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.args.read()
    }
}
