//! Ctrl-C and SIGTERM: the first ends the run in order, the second at once.
//!
//! The main function is [`watch`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::say;
use crate::call::Interrupter;

/// Signals that are watched for a run.
pub(super) struct SignalWatch {
    over: Arc<AtomicBool>,
}

impl SignalWatch {
    /// There is no run any more that could be ended in order: the next signal ends the process.
    pub(super) fn over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Interrupt the run at the first signal, and end the process at the second. From here on nobody may wait for a reader: who does hears
/// no signal.
pub(super) fn watch(interrupter: Interrupter) -> std::io::Result<SignalWatch> {
    say::apart();
    let over = Arc::new(AtomicBool::new(false));
    let watch = SignalWatch { over: Arc::clone(&over) };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut signalled = false;
        loop {
            let (name, exit) = tokio::select! {
                Some(()) = interrupt.recv() => ("SIGINT", 130),
                Some(()) = terminate.recv() => ("SIGTERM", 143),
                else => return,
            };
            if signalled || over.load(Ordering::Relaxed) {
                // The journal is whole at every instant: that is what it is for.
                std::process::exit(exit);
            }
            signalled = true;
            interrupter.interrupt(name);
        }
    });
    Ok(watch)
}

/// The exit code of a run that `signal` ended.
pub(super) fn exit_of(signal: &str) -> Exit {
    if signal == "SIGTERM" { Exit::Terminated } else { Exit::Interrupted }
}
