//! Tells the shared store, again and again, that the holder of leases lives.
//!
//! The main type is [`Heartbeat`], which stops when it is dropped. It goes by the world's time, whatever the run's clock does.

use std::sync::{Arc, Weak};

use tokio::task::JoinHandle;

use super::lease::Terms;
use super::leases::RunLeases;

/// A task that renews leases.
#[derive(Debug)]
pub(super) struct Heartbeat(JoinHandle<()>);

/// Begin to renew what `leases` holds.
pub(super) fn start(leases: &Arc<RunLeases>, terms: Terms) -> Heartbeat {
    Heartbeat(tokio::spawn(beat(Arc::downgrade(leases), terms)))
}

async fn beat(leases: Weak<RunLeases>, terms: Terms) {
    let mut pause = terms.renewal();
    loop {
        tokio::time::sleep(pause).await;
        let Some(leases) = leases.upgrade() else { return };
        // What failed is tried again soon: there is time for some attempts before the lease becomes uncertain.
        pause = if leases.renew().await { terms.renewal() } else { terms.renewal() / 8 };
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
