//! Holds a resumed run back until all of its open stages have come to where the journal ends.
//!
//! The main type is [`Gate`]. A stage that does not do again what it did before must end the run before any other has
//! made a call: so nobody goes on until all have been replayed.

use std::sync::Arc;

use tokio::sync::watch;

use super::stop::{Control, HostStop};
use crate::journal::Script;

/// Before the first thing that a resumed run does anew.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Debug, Clone, Copy)]
struct GateState {
    /// How many attempts are being replayed.
    replaying: usize,
    open: bool,
    /// One was found to differ: nobody passes any more.
    held: bool,
}

/// An attempt that is being replayed. Dropped when it has come to where the journal ends, or to its own end: whoever keeps one
/// while it waits for the gate waits for itself, so only what is replayed is given one, and [`Gate::pass`] takes it.
#[derive(Debug)]
#[must_use = "the gate stays shut for as long as it lives"]
pub(crate) struct Arrival(Arc<watch::Sender<GateState>>);

/// What an attempt that goes on does again.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// What the journal holds of it.
    pub(crate) script: Script,
    /// Where it is on the way to where the journal ends.
    pub(crate) arrival: Option<Arrival>,
}

impl Gate {
    /// A gate that holds nobody back: of a run that begins.
    pub(crate) fn opened() -> Self {
        Self(Arc::new(watch::Sender::new(GateState { replaying: 0, open: true, held: false })))
    }

    /// A gate that is shut until [`open`](Self::open).
    pub(crate) fn shut() -> Self {
        Self(Arc::new(watch::Sender::new(GateState { replaying: 0, open: false, held: false })))
    }

    /// One attempt more is being replayed.
    pub(crate) fn expect(&self) -> Arrival {
        self.0.send_modify(|state| state.replaying += 1);
        Arrival(Arc::clone(&self.0))
    }

    /// Keep everybody back for good: the run ends.
    pub(crate) fn hold(&self) {
        self.0.send_modify(|state| state.held = true);
    }

    /// Wait until no attempt is being replayed any more, and none was found to differ.
    pub(crate) async fn all_arrived(&self) {
        // The sender lives in `self`: there is always something to wait for.
        let _ = self.0.subscribe().wait_for(|state| state.replaying == 0 && !state.held).await;
    }

    /// Let everybody go on.
    pub(crate) fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Whether everybody may go on.
    pub(crate) fn is_open(&self) -> bool {
        self.0.borrow().open
    }

    /// Wait until one may go on. Whoever was replayed has arrived with this.
    pub(crate) async fn pass(&self, arrival: Option<Arrival>, control: &Control) -> Result<(), HostStop> {
        drop(arrival);
        if self.0.borrow().open {
            return Ok(());
        }
        let mut state = self.0.subscribe();
        tokio::select! {
            biased;
            _ = state.wait_for(|state| state.open) => Ok(()),
            () = control.interruption() => Err(HostStop::Interrupted),
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.replaying = state.replaying.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::stop::Interrupter;
    use super::*;

    /// Whether `waiting` is over without anything else happening.
    async fn is_over(waiting: impl Future) -> bool {
        tokio::time::timeout(Duration::from_millis(1), waiting).await.is_ok()
    }

    #[tokio::test]
    async fn whoever_waits_for_the_gate_is_not_waited_for_there() {
        let (_interrupter, control) = Interrupter::new();
        let gate = Gate::shut();
        let (one, other) = (gate.expect(), gate.expect());
        let (passing, opened) = (gate.clone(), control.clone());
        let waiting = tokio::spawn(async move { passing.pass(Some(one), &opened).await.is_ok() });
        assert!(!is_over(gate.all_arrived()).await, "the other is being replayed");
        drop(other);
        assert!(is_over(gate.all_arrived()).await, "the one waits, and the other has come to its end");
        assert!(!is_over(gate.pass(None, &control)).await, "nobody has opened it");
        gate.open();
        assert!(waiting.await.unwrap_or_default() && is_over(gate.pass(None, &control)).await);
    }

    #[tokio::test]
    async fn where_one_differs_nobody_passes_and_whoever_waits_hears_an_interruption() {
        let (interrupter, control) = Interrupter::new();
        let gate = Gate::shut();
        let arrival = gate.expect();
        gate.hold();
        drop(arrival);
        assert!(!is_over(gate.all_arrived()).await, "it did not arrive, it differs");
        interrupter.interrupt("SIGTERM");
        assert!(matches!(gate.pass(None, &control).await, Err(HostStop::Interrupted)));
    }
}
