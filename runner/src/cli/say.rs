//! Words on stderr, made harmless for the terminal: paths, plugins and AWS may have written any part of them.
//!
//! The main functions are [`complain`] and [`note`]. Once a run may be at work, nobody waits for stderr for long: its reader may have
//! stopped reading ([`apart`]).

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::exit::Exit;
use crate::harmless::lines;
use crate::report::Courier;
use crate::words::{count, verb};

/// Who takes words to stderr, where nobody may wait for it.
static APART: OnceLock<Courier<Vec<u8>>> = OnceLock::new();

/// For so long whoever says something waits until it is written.
const PATIENCE: Duration = Duration::from_secs(1);

/// And for so long where nothing was read before.
const HARDLY: Duration = Duration::from_millis(50);

/// Whether what was said last was not read.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// So much of a trace may wait to be written, in bytes.
const ROOM: usize = 1 << 20;

/// From now on whoever says something waits for stderr no longer than a moment.
pub(super) fn apart() {
    let write = |words: Vec<u8>| {
        // Where stderr is closed there is nobody to tell.
        let _ = io::stderr().write_all(&words);
    };
    match Courier::start("stderr", write) {
        // It may be there already.
        Ok(courier) => drop(APART.set(courier)),
        Err(error) => tracing::debug!(%error, "no thread to write to stderr with"),
    }
}

/// Say on stderr what the reader should know although nothing went wrong.
pub(super) fn note(message: &str) {
    say(&paragraph("note", message));
}

/// Say on stderr what went wrong and what to do, and answer `exit`.
pub(super) fn complain(message: &str, help: Option<&str>, exit: Exit) -> Exit {
    let help = help.map(|help| format!("  {}", paragraph("help", help))).unwrap_or_default();
    say(&format!("{}{help}", paragraph("error", message)));
    exit
}

/// Write what is harmless already.
pub(super) fn say(text: &str) {
    match APART.get() {
        Some(courier) => {
            courier.bring(text.as_bytes().to_vec(), 0);
            rest();
        }
        // Where stderr is closed there is nobody to tell.
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Wait until all that was said is written, if somebody reads it.
pub(super) fn rest() {
    if let Some(courier) = APART.get() {
        let patience = if UNREAD.load(Ordering::Relaxed) { HARDLY } else { PATIENCE };
        UNREAD.store(courier.rest(|| patience) > 0, Ordering::Relaxed);
    }
}

/// Writes a trace to stderr: an event with each write. What nobody reads in time is left out, and counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace;

/// How many events of the trace were left out since the last that was written.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

impl Write for Trace {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let words = traced(event);
        let Some(courier) = APART.get() else { return io::stderr().write_all(words.as_bytes()).map(|()| event.len()) };
        if courier.has_room(words.len(), ROOM) {
            match LEFT_OUT.swap(0, Ordering::Relaxed) {
                0 => {}
                more => courier.bring(
                    format!("({} of the trace {} left out here)\n", count(more, "event"), verb(more, "was", "were"))
                        .into_bytes(),
                    0,
                ),
            }
            let room = words.len();
            courier.bring(words.into_bytes(), room);
        } else {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event of the trace, which may hold anything that an error says.
fn traced(event: &[u8]) -> String {
    harmless(&String::from_utf8_lossy(event)) + "\n"
}

/// A message under its label.
fn paragraph(label: &str, message: &str) -> String {
    indented(&format!("{label}: {message}"))
}

/// `text`, harmless, of which only the first line begins where lines of kiln begin, whatever breaks of lines are in it.
pub(super) fn indented(text: &str) -> String {
    harmless(text.trim_end()).replace('\n', "\n    ") + "\n"
}

/// `text` with what would do something to a terminal written out, and without what a CI service takes for a command.
pub(super) fn harmless(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts};

    #[test]
    fn what_is_said_cannot_act_on_a_terminal_or_a_ci_service() {
        assert_eq!(paragraph("error", "cannot read a.toml: gone"), "error: cannot read a.toml: gone\n");
        assert_eq!(paragraph("error", "\u{1b}[2J\u{202e}x\u{7}"), "error: \\u{1b}[2J\\u{202e}x\\u{7}\n");
        assert_eq!(paragraph("note", "a\nerror: b\r\n::error::c"), "note: a\n    error: b\n    : :error::c\n");
        assert_eq!(paragraph("note", "##vso[x]"), "note: # #vso[x]\n");
        for text in HOSTILE {
            assert_eq!(acts(&paragraph("error", text)), None);
            assert_eq!(acts(&indented(text)), None);
            assert_eq!(acts(&traced(text.as_bytes())), None);
        }
    }
}
