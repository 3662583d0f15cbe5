//! A report that is written on a thread of its own: whoever reads it may stop reading, and the run goes on.
//!
//! The main type is [`Apart`]. For a reader that keeps up nothing is left out. For one that does not, statuses, lines of logs and single
//! calls are, and an event in their place says how many; what decides a run (starts, ends, failures, warnings) never is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::courier::Courier;
use super::sink::Report;
use crate::event::{Event, EventKind, LogLevel};

/// So much of what passes may wait to be written, in bytes.
const ROOM: usize = 1 << 20;
/// Of what the reader should rather know, so much.
const MORE_ROOM: usize = 4 * ROOM;
/// What an event takes besides its texts.
const WEIGHT: usize = 256;

/// Hands events to another report, on a thread of its own.
pub struct Apart {
    courier: Arc<Courier<Task>>,
    left_out: Option<LeftOut>,
}

/// What of a report is still to be written.
pub struct Backlog(Arc<Courier<Task>>);

enum Task {
    Event(Box<Event>),
    Finish,
}

/// What is missing since the last event that was handed over.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    events: u64,
    /// Number and instant of the last of them.
    seq: u64,
    at: u64,
}

impl Apart {
    /// Let `report` be written apart.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn new(mut report: Box<dyn Report>) -> io::Result<(Self, Backlog)> {
        let courier = Courier::start("report", move |task| match task {
            Task::Event(event) => report.event(&event),
            Task::Finish => report.finish(),
        })?;
        let courier = Arc::new(courier);
        Ok((Self { courier: Arc::clone(&courier), left_out: None }, Backlog(courier)))
    }

    fn bring(&mut self, event: Event, weight: usize) {
        if let Some(LeftOut { events, seq, at }) = self.left_out.take() {
            let instead = Event { seq, at, stage: None, kind: EventKind::LeftOut { events } };
            self.courier.bring(Task::Event(Box::new(instead)), WEIGHT);
        }
        self.courier.bring(Task::Event(Box::new(event)), weight);
    }
}

impl Report for Apart {
    fn event(&mut self, event: &Event) {
        let droppable = droppable(&event.kind);
        let weight = WEIGHT + droppable.as_ref().map_or(0, |event| event.text);
        match droppable {
            Some(Droppable { room, .. }) if !self.courier.has_room(weight, room) => {
                let events = self.left_out.map_or(0, |before| before.events) + 1;
                self.left_out = Some(LeftOut { events, seq: event.seq, at: event.at });
            }
            Some(_) | None => self.bring(event.clone(), weight),
        }
    }

    /// What is missing is told; whether all of it is written says the [`Backlog`].
    fn finish(&mut self) {
        if let Some(LeftOut { events, seq, at }) = self.left_out.take() {
            let last = Event { seq, at, stage: None, kind: EventKind::LeftOut { events } };
            self.courier.bring(Task::Event(Box::new(last)), WEIGHT);
        }
        self.courier.bring(Task::Finish, 0);
    }
}

impl Backlog {
    /// Wait until all is written, unless the reader has stood still for as long as `patience` says. Answers how many events are not.
    pub fn rest(&self, patience: impl Fn() -> Duration) -> usize {
        self.0.rest(patience)
    }
}

/// An event that may be left out.
struct Droppable {
    /// How much may be waiting for it to wait, too.
    room: usize,
    /// How long its texts are.
    text: usize,
}

/// Whether an event may be left out where nobody reads.
fn droppable(kind: &EventKind) -> Option<Droppable> {
    let (room, text) = match kind {
        EventKind::StageProgress { message, .. }
        | EventKind::StageLog { level: LogLevel::Debug | LogLevel::Info, message } => (ROOM, message.len()),
        EventKind::StageLog { level: LogLevel::Warn | LogLevel::Error, message } => (MORE_ROOM, message.len()),
        EventKind::Call { error: None, .. } => (ROOM, 0),
        EventKind::Call { error: Some(error), .. } => (MORE_ROOM, error.len()),
        EventKind::CallRetrying { error, .. } => (ROOM, error.len()),
        EventKind::RunStarted { .. }
        | EventKind::StageResumed { .. }
        | EventKind::CallReconciled { .. }
        | EventKind::StageStarted { .. }
        | EventKind::StageRetrying { .. }
        | EventKind::StageFinished { .. }
        | EventKind::UndoStarted
        | EventKind::UndoFinished { .. }
        | EventKind::Warning { .. }
        | EventKind::LeftOut { .. }
        | EventKind::Interrupted { .. }
        | EventKind::RunFinished { .. } => return None,
    };
    Some(Droppable { room, text })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use super::*;
    use crate::report::screen::Buffer;
    use crate::report::{Json, Plain, Settings, Style, story};

    /// A stream that stands still until it is told to go on.
    struct Stalled {
        stop: Receiver<()>,
        buffer: Buffer,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.stop.recv();
            self.buffer.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (Stalled, Sender<()>, Buffer) {
        let (go_on, stop) = mpsc::channel();
        let buffer = Buffer::default();
        (Stalled { stop, buffer: buffer.clone() }, go_on, buffer)
    }

    /// A run that writes a lot, and says something that matters in between.
    fn chatty(lines: u64) -> Vec<Event> {
        let mut events = story::done();
        let last = events.split_off(events.len() - 2);
        let name = events.iter().find_map(|event| event.stage.clone());
        for number in 0..lines {
            let message = format!("line {number} of many");
            let kind = match number % 10_000 {
                5_000 => EventKind::Warning { message, help: None },
                number if number % 2 == 0 => EventKind::StageLog { level: LogLevel::Info, message },
                _ => EventKind::StageProgress { message, done: None, total: None },
            };
            events.push(Event { seq: 0, at: story::START, stage: name.clone(), kind });
        }
        events.extend(last);
        for (seq, event) in events.iter_mut().enumerate() {
            event.seq = seq as u64;
        }
        events
    }

    #[test]
    fn a_reader_that_keeps_up_reads_what_it_would_have_read_byte_for_byte() {
        let events = chatty(50_000);
        let (direct, apart) = (Buffer::default(), Buffer::default());
        let mut report = Json::new(direct.clone());
        events.iter().for_each(|event| report.event(event));
        let (mut report, backlog) = Apart::new(Box::new(Json::new(apart.clone()))).unwrap();
        events.iter().for_each(|event| report.event(event));
        report.finish();
        assert_eq!(backlog.rest(|| Duration::from_secs(20)), 0);
        assert!(direct.text() == apart.text());
    }

    #[test]
    fn a_reader_that_stalls_holds_nothing_up_and_is_told_exactly_what_is_missing() {
        let events = chatty(100_000);
        let (stream, go_on, buffer) = stalled();
        let (mut report, backlog) = Apart::new(Box::new(Json::new(stream))).unwrap();
        let begun = Instant::now();
        events.iter().for_each(|event| report.event(event));
        report.finish();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(backlog.rest(|| Duration::from_millis(100)) > 0);
        assert_eq!(buffer.text(), "");

        drop(go_on);
        assert_eq!(backlog.rest(|| Duration::from_secs(20)), 0);
        let read: Vec<Event> = buffer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (mut next, mut missing) = (0, 0);
        for event in &read {
            let before = match event.kind {
                EventKind::LeftOut { events } => events - 1,
                _ => 0,
            };
            missing += if matches!(event.kind, EventKind::LeftOut { .. }) { before + 1 } else { 0 };
            assert_eq!(event.seq, next + before, "each gap has its event");
            next = event.seq + 1;
        }
        assert_eq!(next, events.len() as u64);
        assert!(missing > 50_000, "{missing}");
        let matter = |events: &[Event]| -> Vec<Event> {
            let matters =
                |event: &&Event| droppable(&event.kind).is_none() && !matches!(event.kind, EventKind::LeftOut { .. });
            events.iter().filter(matters).cloned().collect()
        };
        assert_eq!(matter(&read), matter(&events), "what matters is there, in its order");
        let kept: usize = read.iter().filter_map(|event| droppable(&event.kind)).map(|event| event.text).sum();
        assert!(kept <= ROOM, "{kept} bytes were kept");
    }

    #[test]
    fn people_are_told_how_much_is_missing_too() {
        let (stream, go_on, buffer) = stalled();
        let plain = Plain::new(stream, &Settings::default(), Style::ASCII);
        let (mut report, backlog) = Apart::new(Box::new(plain)).unwrap();
        chatty(20_000).iter().for_each(|event| report.event(event));
        report.finish();
        drop(go_on);
        assert_eq!(backlog.rest(|| Duration::from_secs(20)), 0);
        let text = buffer.text();
        assert!(text.contains(" statuses, log lines and calls were left out here: nobody read them in time"), "{text}");
        assert!(text.contains("web is done"), "{text}");
    }
}
