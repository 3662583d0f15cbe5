//! Says where things stand, for the messages of the checks.
//!
//! The main type is [`Places`].

use std::ops::Range;

use crate::diagnostic::{Diagnostic, SourceFile};
use crate::pipeline::document::Document;
use crate::pipeline::expression::Problem;
use crate::steps::Steps;

/// How many steps the checks of one file may take, all together.
const FILE: u64 = 30_000_000;

/// A document beside its text.
pub(crate) struct Places<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) document: &'a Document,
    /// What the checks of the file may still do.
    pub(crate) steps: Steps,
}

impl<'a> Places<'a> {
    /// Nothing is checked yet.
    pub(crate) fn new(source: &'a SourceFile, document: &'a Document) -> Self {
        Self { source, document, steps: Steps::of(FILE) }
    }

    /// Where a value stands.
    pub(crate) fn value(&self, path: &[&str]) -> Range<usize> {
        self.document.span(path)
    }

    /// Where a key stands.
    pub(crate) fn key(&self, path: &[&str]) -> Range<usize> {
        self.document.key_span(path)
    }

    /// Where a part of a text stands: exactly, where the text is written as it is read, else the whole text.
    pub(super) fn inside(&self, path: &[&str], decoded: &str, inner: &Range<usize>) -> Range<usize> {
        let span = self.document.span(path);
        let raw = self.source.text.get(span.clone()).unwrap_or_default();
        let quotes = match raw.as_bytes() {
            [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => 3,
            _ => 1,
        };
        let Some(written) = raw.get(quotes..raw.len().saturating_sub(quotes)) else { return span };
        // A newline right behind long quotes is not part of the text.
        let skipped = match quotes {
            3 if written.starts_with("\r\n") => 2,
            3 if written.starts_with('\n') => 1,
            _ => 0,
        };
        if written.get(skipped..) != Some(decoded) {
            return span;
        }
        let base = span.start + quotes + skipped;
        base + inner.start..base + inner.end
    }

    /// A problem of an expression, in a text at a path. `offset` is where the text that was read begins in the text.
    pub(super) fn problem(&self, path: &[&str], decoded: &str, offset: usize, problem: Problem) -> Diagnostic {
        let span = self.inside(path, decoded, &(problem.span.start + offset..problem.span.end + offset));
        Diagnostic::error(problem.code, problem.message).at(span, "").maybe_help(problem.help)
    }
}

/// A table's name as it stands in its header.
pub(crate) fn table_name(path: &[&str]) -> String {
    match path.split_last() {
        None => "the file".to_owned(),
        // An item of a list has a place, and no name.
        Some((last, list)) if !list.is_empty() && last.parse::<usize>().is_ok() => {
            format!("item {} of `{}`", last.parse::<usize>().map_or(0, |index| index + 1), list.join("."))
        }
        Some(_) => format!("`[{}]`", path.join(".")),
    }
}
