//! Ctrl-C and SIGTERM: the first ends the run in order, the second at once.
//!
//! The main function is [`watch`].

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use crate::call::Interrupter;

/// Interrupt the run at the first signal, and end the process at the second.
pub(super) fn watch(interrupter: Interrupter) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut told = false;
        loop {
            let (name, exit) = tokio::select! {
                Some(()) = interrupt.recv() => ("SIGINT", 130),
                Some(()) = terminate.recv() => ("SIGTERM", 143),
                else => return,
            };
            if told {
                // The journal is whole at every instant: that is what it is for.
                std::process::exit(exit);
            }
            told = true;
            interrupter.interrupt(name);
        }
    });
    Ok(())
}

/// The exit code of a run that `signal` ended.
pub(super) fn exit_of(signal: &str) -> Exit {
    if signal == "SIGTERM" { Exit::Terminated } else { Exit::Interrupted }
}
