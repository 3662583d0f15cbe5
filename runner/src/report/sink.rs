//! What consumes the events of a run.
//!
//! The main type is [`Report`]; [`Reports`] hands each event to several.

use crate::event::Event;

/// A consumer of the events of one run, in their order.
///
/// A report cannot fail: one whose reader is gone goes quiet, and the run goes on.
pub trait Report: Send {
    /// An event happened.
    fn event(&mut self, event: &Event);
    /// No event follows. Calling it again does nothing.
    fn finish(&mut self);
}

/// Several reports of one run.
pub struct Reports(Vec<Box<dyn Report>>);

impl Reports {
    /// All of `reports`, in this order.
    pub fn new(reports: Vec<Box<dyn Report>>) -> Self {
        Self(reports)
    }
}

impl Report for Reports {
    fn event(&mut self, event: &Event) {
        for report in &mut self.0 {
            report.event(event);
        }
    }

    fn finish(&mut self) {
        for report in &mut self.0 {
            report.finish();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::screen::Buffer;
    use crate::report::story;
    use crate::report::{Json, Plain, Settings};

    /// A reader that goes away after some writes, as `head` does.
    struct Pipe {
        accepts: usize,
        attempts: Arc<Mutex<usize>>,
    }

    impl io::Write for Pipe {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            *self.attempts.lock().unwrap() += 1;
            self.accepts = self.accepts.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_makes_its_report_quiet_and_no_other() {
        let attempts = Arc::new(Mutex::new(0));
        let copy = Buffer::default();
        let mut reports = Reports::new(vec![
            Box::new(Json::new(Pipe { accepts: 3, attempts: Arc::clone(&attempts) })),
            Box::new(Plain::new(copy.clone(), &Settings::default(), crate::report::Style::ASCII)),
        ]);
        for event in story::done() {
            reports.event(&event);
        }
        reports.finish();
        assert_eq!(*attempts.lock().unwrap(), 4, "three lines were taken, the fourth was refused, no fifth was tried");
        assert!(copy.text().contains("web is done"), "{}", copy.text());
    }
}
