//! Whole lines to a stream, for as long as somebody reads them.
//!
//! The main type is [`LineWriter`].

use std::io::{self, Write};

/// Writes whole lines; after the first error it stays quiet.
///
/// A report must not end the run that it tells of: a deployment does not stop because `head` had read enough.
pub(crate) struct LineWriter<W> {
    writer: W,
    open: bool,
}

impl<W: Write> LineWriter<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, open: true }
    }

    /// Write `text` and a newline, and flush, so that a reader sees each line when it is written.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.open {
            return;
        }
        let mut line = String::with_capacity(text.len() + 1);
        line.push_str(text);
        line.push('\n');
        if let Err(error) = self.writer.write_all(line.as_bytes()).and_then(|()| self.writer.flush()) {
            self.open = false;
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "the report of the run cannot be written and stops here; the run goes on");
            }
        }
    }
}
