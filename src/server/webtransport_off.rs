//! The twin of `webtransport.rs` without the feature: there are no listeners.

use std::io;
use std::marker::PhantomData;

pub(crate) struct WebTransports<F>(PhantomData<fn() -> F>);

pub(crate) struct Beside<F>(PhantomData<fn() -> F>);

#[derive(Clone, Default)]
pub(crate) struct WebTransportStops;

impl<F> WebTransports<F> {
    #[allow(clippy::unused_self, reason = "the twin needs it")]
    pub(super) fn beside(&self, _is_first: bool) -> Beside<F> {
        Beside(PhantomData)
    }

    #[allow(clippy::unused_self, reason = "the twin needs it")]
    pub(super) fn start(&self) -> io::Result<()> {
        Ok(())
    }

    #[allow(clippy::unused_self, reason = "the twin needs it")]
    pub(super) fn stops(&self) -> WebTransportStops {
        WebTransportStops
    }
}

impl<F> Default for WebTransports<F> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<F> Beside<F> {
    #[allow(clippy::unused_self, reason = "the twin needs it")]
    pub(super) fn start_here(&self) {}
}

impl<F> Clone for Beside<F> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl WebTransportStops {
    #[allow(clippy::unused_self, reason = "the twin needs it")]
    pub(super) async fn stop(&self) {}
}
