//! Messages to children that have ended for good.

use std::any::Any;
use std::fmt;

use actix::Message;

use crate::supervision::ChildEnd;

/// A message that no child takes: it was sent by a [`ChildRef`](crate::ChildRef) to a child that has
/// ended for good, or the child ended before it took the message.
///
/// It is sent to the recipient of
/// [`SupervisorBuilder::dead_letters`](crate::SupervisorBuilder::dead_letters). The message in whose
/// handler a child has panicked is none, because it was taken.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context, Handler, Message};
/// use actix_socketio::DeadLetter;
///
/// #[derive(Message)]
/// #[rtype(result = "()")]
/// struct Order(u64);
///
/// struct Undelivered;
///
/// impl Actor for Undelivered {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<DeadLetter> for Undelivered {
///     type Result = ();
///
///     fn handle(&mut self, letter: DeadLetter, _: &mut Self::Context) {
///         println!("{letter}");
///         match letter.downcast::<Order>() {
///             Ok(Order(id)) => println!("order {id} is stored for later"),
///             Err(other) => println!("lost: {}", other.message_type),
///         }
///     }
/// }
/// ```
#[derive(Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub struct DeadLetter {
    /// The path of the child, such as `orders/store`.
    pub child: String,
    /// Why the child has ended.
    pub end: ChildEnd,
    /// The name of the message's type, as [`std::any::type_name`] returns it.
    pub message_type: &'static str,
    /// The message; [`downcast`](Self::downcast) returns it with its type.
    pub message: Box<dyn Any + Send>,
}

impl DeadLetter {
    /// Returns the message.
    ///
    /// # Errors
    ///
    /// Returns the dead letter, if its message has another type.
    pub fn downcast<M: 'static>(self) -> Result<M, Self> {
        let Self {
            child,
            end,
            message_type,
            message,
        } = self;
        message
            .downcast()
            .map(|message| *message)
            .map_err(|message| Self {
                child,
                end,
                message_type,
                message,
            })
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            child,
            end,
            message_type,
            ..
        } = self;
        write!(
            f,
            "child {child} has ended ({end}) and takes no {message_type}"
        )
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("child", &self.child)
            .field("end", &self.end)
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}
