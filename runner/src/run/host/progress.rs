//! `kiln:stage/progress`: how far a stage is.

use super::state::StageHost;
use crate::event::EventKind;
use crate::plugin::bindings::kiln::stage::progress::{Host, Status};

impl Host for StageHost {
    async fn report(&mut self, status: Status) -> wasmtime::Result<()> {
        let work = self.work("progress.report")?;
        if work.status.as_ref() == Some(&status) {
            return Ok(());
        }
        work.run.events.emit(
            Some(work.caller.stage()),
            EventKind::StageProgress { message: one_line(&status.message), done: status.done, total: status.total },
        );
        work.status = Some(status);
        Ok(())
    }
}

/// A status is a line, and a short one.
fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(500).collect()
}
