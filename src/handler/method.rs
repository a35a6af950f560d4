//! Methods of an object as handlers: the object is their first argument, extractors follow.

use std::future::Future;
use std::sync::Arc;

use crate::handler::Handler;
use crate::handler::tuples::for_each_tuple;

/// An async method whose arguments, after the object itself, are extractors, up to eight of them.
///
/// It is implemented for functions that take an `Arc<Object>` first, as methods with
/// `self: Arc<Self>` do; no other implementation is needed. See
/// [`NamespaceHandlers`](crate::NamespaceHandlers).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use actix_socketio::{Data, Registrar, NamespaceHandlers};
///
/// struct Scale(f64);
///
/// impl Scale {
///     async fn scale(self: Arc<Self>, Data(n): Data<f64>) -> f64 {
///         n * self.0
///     }
/// }
///
/// impl NamespaceHandlers for Scale {
///     fn register(methods: &Registrar<'_, Self>) {
///         methods.on("scale", Self::scale);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method of `{Object}` that handles an event",
    label = "expected `async fn(self: Arc<Self>, ..)` with at most eight extractors after `self`",
    note = "if it takes `&self`: take `self: Arc<Self>`, because the call may outlast the borrow",
    note = "if it is not async: write `async fn`",
    note = "if it has more than eight arguments: combine several in one, as `Data<(A, B)>` or a struct"
)]
pub trait Method<Object, Args>: Send + Sync + 'static {
    /// The method's return value.
    type Output: 'static;
    /// Its future.
    type Future: Future<Output = Self::Output> + 'static;

    /// Calls the method.
    fn call(&self, object: Arc<Object>, args: Args) -> Self::Future;
}

macro_rules! method {
    ($($arg:ident)*) => {
        impl<Function, Object, Returned, $($arg),*> Method<Object, ($($arg,)*)> for Function
        where
            Function: Fn(Arc<Object>, $($arg),*) -> Returned + Send + Sync + 'static,
            Returned: Future + 'static,
            Returned::Output: 'static,
        {
            type Output = Returned::Output;
            type Future = Returned;

            #[allow(non_snake_case, reason = "the type parameters name the arguments too")]
            fn call(&self, object: Arc<Object>, ($($arg,)*): ($($arg,)*)) -> Returned {
                self(object, $($arg),*)
            }
        }
    };
}

for_each_tuple!(method);

/// A method together with its object.
#[derive(Debug)]
pub(crate) struct Bound<Object, M> {
    pub(crate) object: Arc<Object>,
    pub(crate) method: M,
}

impl<Object, M, Args> Handler<Args> for Bound<Object, M>
where
    Object: Send + Sync + 'static,
    M: Method<Object, Args>,
{
    type Output = M::Output;
    type Future = M::Future;

    fn call(&self, args: Args) -> M::Future {
        self.method.call(Arc::clone(&self.object), args)
    }
}
