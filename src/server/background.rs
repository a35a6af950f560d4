//! Tasks of the program that end with the server.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::handler::BackgroundTask;
use crate::message::PanicSource;
use crate::namespace::Registry;

/// Runs `work` beside the server's actors, until it ends or `ended` is cancelled.
pub(crate) fn spawn<F>(
    registry: &Arc<Registry>,
    ended: &CancellationToken,
    work: F,
) -> BackgroundTask<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let reporting = Arc::clone(registry);
    let panicked = move |panic| {
        reporting
            .supervisor
            .report(PanicSource::BackgroundTask, None, panic);
    };
    let (handle, task) = BackgroundTask::of(work, ended.child_token(), panicked);
    registry.supervisor.arbiter().spawn(task);
    handle
}
