//! Masks secrets in lines that come one by one, also where a secret is split over several of them.
//!
//! The main type is [`StreamRedactor`]. It holds a line back only while its end could be the beginning of a secret.

use std::collections::VecDeque;

use super::Redactor;

/// How much is held back at most: beyond it a line is let go although its end looks like the beginning of a secret.
const MAX_HELD_BYTES: usize = 256 << 10;
/// As many lines.
const MAX_HELD_LINES: usize = 1024;

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
        let mut starts = Vec::with_capacity(self.held.len());
        for (_, line) in &self.held {
            starts.push(text.len());
            text.push_str(line);
            text.push('\n');
        }
        let matcher = self.redactor.matcher();
        let too_much = self.held.len() > MAX_HELD_LINES || text.len() > MAX_HELD_BYTES;
        let open = if all || too_much { text.len() } else { matcher.open(&text) };
        let found = matcher.find(&text);
        let mut released = Vec::new();
        for start in starts {
            let ends_before = self.held.front().is_some_and(|(_, line)| start + line.len() <= open);
            // A secret that was found may reach into a line that is still held: then both wait.
            let split = self.held.front().is_some_and(|(_, line)| {
                let end = start + line.len();
                open < text.len() && found.iter().any(|one| one.range.start < end && one.range.end > open.max(end))
            });
            if !ends_before || (split && !all && !too_much) {
                break;
            }
            if let Some((tag, line)) = self.held.pop_front() {
                released.push((tag, matcher.mask(&line, start, &found)));
            }
        }
        released
    }
}

impl<T> std::fmt::Debug for StreamRedactor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamRedactor").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
