//! `kiln:stage/progress`: how far a stage is.

use super::state::StageHost;
use crate::call::shown;
use crate::contract::bindings::kiln::stage::progress::{Host, Status};
use crate::event::EventKind;

/// A longer status is cut.
const STATUS_BYTES: usize = 500;

impl Host for StageHost {
    async fn report(&mut self, status: Status) -> wasmtime::Result<()> {
        let most = self.bounds.statuses;
        let work = self.enter("progress.report").await?;
        if work.status.as_ref() == Some(&status) {
            return Ok(());
        }
        if work.statuses >= most {
            work.statuses_dropped = work.statuses_dropped.saturating_add(1);
            return Ok(());
        }
        work.statuses += 1;
        // A status is a line, and a short one.
        let message = shown(&work.run.redactor, &status.message, STATUS_BYTES);
        let message = message.lines().next().unwrap_or_default().to_owned();
        let kind = EventKind::StageProgress { message, done: status.done, total: status.total };
        work.caller.emit(kind);
        work.status = Some(status);
        Ok(())
    }
}
