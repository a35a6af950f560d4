//! Events of one server's program to the other servers' programs, which clients do not receive.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;

use crate::socketio::{Args, ArgsError, EventView, is_failure};

/// An event of another server's program, the argument of the listener of
/// [`Namespace::on_server_side`](crate::Namespace::on_server_side).
///
/// # Examples
///
/// ```
/// use actix_socketio::{Namespace, ServerSideEvent};
///
/// fn listen(namespace: &Namespace) {
///     namespace.on_server_side("load", |event: ServerSideEvent| async move {
///         let scale = event.read::<f64>().unwrap_or(1.0);
///         scale * 0.5
///     });
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ServerSideEvent {
    view: EventView,
}

impl ServerSideEvent {
    /// Reads the list of a name and arguments; `None` if it does not begin with a name.
    pub(crate) fn of(content: &Args) -> Option<Self> {
        let (name, args): (String, _) = content.split_first().ok()?;
        Some(Self {
            view: EventView::new(name, args),
        })
    }
}

impl Deref for ServerSideEvent {
    type Target = EventView;

    fn deref(&self) -> &EventView {
        &self.view
    }
}

/// The listeners by event.
#[derive(Default)]
pub(crate) struct ServerSide {
    listeners: RwLock<HashMap<String, Listener>>,
}

/// The listener of one event.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) hear: Arc<dyn Fn(ServerSideEvent) -> Answering + Send + Sync>,
    /// Called for its panics.
    pub(crate) panicked: Arc<dyn Fn(String) + Send + Sync>,
}

/// The return value of a listener, as the arguments of an acknowledgement.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answered, ArgsError>> + Send>>;

/// The arguments, and whether they are an `Err`.
pub(crate) struct Answered {
    pub(crate) args: Args,
    pub(crate) has_failed: bool,
}

impl ServerSide {
    pub(crate) fn add<F, O>(
        &self,
        name: &str,
        listener: F,
        panicked: impl Fn(String) + Send + Sync + 'static,
    ) where
        F: Fn(ServerSideEvent) -> O + Send + Sync + 'static,
        O: Future<Output: Serialize> + Send + 'static,
    {
        let hear = move |event| -> Answering {
            let answer = listener(event);
            Box::pin(async move {
                let value = answer.await;
                Ok(Answered {
                    has_failed: is_failure(&value),
                    args: Args::from_value(&value)?,
                })
            })
        };
        let listener = Listener {
            hear: Arc::new(hear),
            panicked: Arc::new(panicked),
        };
        self.listeners.write().insert(name.to_owned(), listener);
    }

    /// Returns the listener of an event.
    pub(crate) fn listener(&self, name: &str) -> Option<Listener> {
        self.listeners.read().get(name).cloned()
    }
}

impl fmt::Debug for ServerSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSide")
            .field("listeners", &self.listeners.read().len())
            .finish()
    }
}
