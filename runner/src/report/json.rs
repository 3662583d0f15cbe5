//! The event stream for machines: each event as one line of JSON.
//!
//! The main type is [`Json`].

use std::io::Write;

use super::line_writer::LineWriter;
use super::sink::Report;
use crate::event::Event;
use crate::harmless;

/// Writes each event as one line of JSON and flushes it.
pub struct Json<W> {
    lines: LineWriter<W>,
}

impl<W: Write + Send> Json<W> {
    /// To `writer`.
    pub fn new(writer: W) -> Self {
        Self { lines: LineWriter::new(writer) }
    }
}

impl<W: Write + Send> Report for Json<W> {
    fn event(&mut self, event: &Event) {
        match harmless::json(event, false) {
            Ok(line) => self.lines.line(&line),
            // INVARIANT: events hold only strings, numbers and JSON values, which always serialise.
            Err(error) => tracing::error!(%error, seq = event.seq, "an event could not be written as JSON"),
        }
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
    use crate::report::screen::Buffer;
    use crate::report::story;

    #[test]
    fn foreign_text_cannot_act_and_is_still_what_it_was() {
        for text in HOSTILE {
            let events: Vec<Event> = story::crashing_tasks().iter().map(|event| poisoned(event, text)).collect();
            let buffer = Buffer::default();
            let mut report = Json::new(buffer.clone());
            events.iter().for_each(|event| report.event(event));
            assert_eq!(acts(&buffer.text()), None);
            let read: Vec<Event> = buffer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(read, events);
        }
    }

    #[test]
    fn each_line_is_one_event_that_reads_back_as_it_was() {
        let buffer = Buffer::default();
        let mut report = Json::new(buffer.clone());
        let events = story::crashing_tasks();
        for event in &events {
            report.event(event);
        }
        report.finish();
        let read: Vec<Event> = buffer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events);
    }

    #[test]
    fn the_form_of_the_stream() {
        let buffer = Buffer::default();
        let mut report = Json::new(buffer.clone());
        for event in story::critical_finding() {
            report.event(&event);
        }
        insta::assert_snapshot!(buffer.text());
    }
}
