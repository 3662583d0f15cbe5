//! `kiln:stage/log`: a stage's lines, masked and bounded.

use super::state::{StageHost, Work};
use crate::call::shown;
use crate::contract::bindings::kiln::stage::log::{Host, Level};
use crate::event::{EventKind, LogLevel};
use crate::secrets::redact::sanitise;
use crate::words::verb;

/// A longer line is cut.
const LINE_BYTES: usize = 64 << 10;

impl Host for StageHost {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let (lines, bytes) = (self.bounds.log_lines, self.bounds.log_bytes);
        let work = self.enter("log.write").await?;
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        if work.log_lines >= lines || work.log_bytes >= bytes {
            // Its lines are not counted: that would cost as much as showing them.
            work.log_dropped = work.log_dropped.saturating_add(1);
            return Ok(());
        }
        let message =
            if message.len() > LINE_BYTES { shown(&work.run.redactor, &message, LINE_BYTES) } else { message };
        for line in message.split('\n') {
            if work.log_lines >= lines || work.log_bytes + line.len() > bytes {
                work.log_dropped = work.log_dropped.saturating_add(1);
                continue;
            }
            work.log_lines += 1;
            work.log_bytes += line.len();
            // A secret may be split over two lines: the stream holds back what could be the beginning of one.
            for (level, line) in work.log.line(level, &sanitise(line)) {
                work.emit_line(level, line);
            }
        }
        Ok(())
    }
}

fn dropped(number: u64, [of_one, of_several]: [&str; 2], did: &str) -> String {
    format!("{number} more {} dropped: the stage {did} too much", verb(number, of_one, of_several))
}

impl Work {
    fn emit_line(&self, level: LogLevel, message: String) {
        self.caller.emit(EventKind::StageLog { level, message });
    }

    /// Write out what was held back, and say how much was dropped.
    pub(super) fn flush_log(&mut self) {
        for (level, line) in self.log.finish() {
            self.emit_line(level, line);
        }
        if self.log_dropped > 0 {
            let message = dropped(self.log_dropped, ["line was", "lines were"], "wrote");
            self.log_dropped = 0;
            self.emit_line(LogLevel::Warn, message);
        }
        if self.statuses_dropped > 0 {
            let message = dropped(self.statuses_dropped, ["status was", "statuses were"], "reported");
            self.statuses_dropped = 0;
            self.emit_line(LogLevel::Warn, message);
        }
    }
}
