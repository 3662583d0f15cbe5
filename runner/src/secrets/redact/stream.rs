//! Masks secrets in lines that come one by one, also where a secret is split over several of them.
//!
//! The main type is [`StreamRedactor`]. It holds a line back only while its end could be the beginning of a secret. Give it
//! [sanitised](super::sanitise()) lines: what is removed later could have stood in the middle of one.

use std::collections::VecDeque;

use super::Redactor;

/// How much is held back at most: beyond it a line is let go although its end looks like the beginning of a secret.
const MAX_HELD_BYTES: usize = 256 << 10;
/// As many lines.
const MAX_HELD_LINES: usize = 128;

/// Masks secrets in lines, each with something that belongs to it (a level, an instant).
pub struct StreamRedactor<T> {
    redactor: Redactor,
    /// Lines that were not let go yet.
    held: VecDeque<(T, String)>,
}

impl<T> StreamRedactor<T> {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, held: VecDeque::new() }
    }

    /// Take a line (or a piece of one), without its line break. Answers the lines that can be shown now, masked, in their
    /// order: often this one, none while it could be the first part of a secret.
    pub fn line(&mut self, tag: T, line: &str) -> Vec<(T, String)> {
        self.held.push_back((tag, line.to_owned()));
        self.release(false)
    }

    /// Answers all lines that were held back, masked: there will be no more.
    pub fn finish(&mut self) -> Vec<(T, String)> {
        self.release(true)
    }

    fn release(&mut self, all: bool) -> Vec<(T, String)> {
        let mut text = String::new();
        let mut lines = Vec::with_capacity(self.held.len());
        for (_, line) in &self.held {
            let start = text.len();
            text.push_str(line);
            lines.push(start..text.len());
            text.push('\n');
        }
        let matcher = self.redactor.matcher();
        let found = matcher.find(&text);
        let too_much = lines.len() > MAX_HELD_LINES || text.len() > MAX_HELD_BYTES;
        let mut count = lines.len();
        if !all && !too_much {
            let open = matcher.open(&text);
            count = lines.iter().take_while(|line| line.end <= open).count();
            // The lines of one secret go together: by itself, the rest of it would not be known again.
            while let (Some(last), Some(next)) = (count.checked_sub(1).and_then(|at| lines.get(at)), lines.get(count))
                && found.iter().any(|one| one.range.start < last.end && one.range.end > next.start)
            {
                count -= 1;
            }
        }
        self.held
            .drain(..count)
            .zip(lines)
            .map(|((tag, line), range)| (tag, matcher.mask(&line, range.start, &found)))
            .collect()
    }
}

impl<T> std::fmt::Debug for StreamRedactor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamRedactor").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
