//! Says where things stand, for the messages of the checks.
//!
//! The main type is [`Places`].

use std::cell::OnceCell;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, SourceFile};
use crate::pipeline::document::Document;
use crate::pipeline::expression::ExpressionProblem;
use crate::steps::Steps;

/// How many steps the checks of one file may take, all together.
const FILE: u64 = 30_000_000;

/// How many steps it may take to find out what was meant by names that do not exist, in all of a file.
const SUGGESTIONS: u64 = 1_000_000;

/// A document beside its text.
pub(crate) struct Places<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) document: &'a Document,
    /// What the checks of the file may still do.
    pub(crate) steps: Steps,
    /// How many names may still be compared with those that were probably meant.
    pub(crate) suggestions: Steps,
    /// Where the lines of the source end.
    line_ends: OnceCell<Vec<usize>>,
}

impl<'a> Places<'a> {
    /// Nothing is checked yet.
    pub(crate) fn new(source: &'a SourceFile, document: &'a Document) -> Self {
        let (steps, suggestions) = (Steps::of(FILE), Steps::of(SUGGESTIONS));
        Self { source, document, steps, suggestions, line_ends: OnceCell::new() }
    }

    /// Nothing more is looked at.
    pub(super) fn is_too_much(&self) -> bool {
        self.steps.are_spent()
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        let ends = self.line_ends.get_or_init(|| self.source.text.match_indices('\n').map(|(end, _)| end).collect());
        ends.partition_point(|end| *end < offset) + 1
    }

    /// Where a value stands.
    pub(crate) fn value(&self, path: &[&str]) -> Range<usize> {
        self.document.span(path)
    }

    /// Where a key stands.
    pub(crate) fn key(&self, path: &[&str]) -> Range<usize> {
        self.document.key_span(path)
    }

    /// The text at a path, which was read as `decoded`.
    pub(super) fn passage(&self, path: &[&str], decoded: &str) -> Passage {
        let span = self.document.span(path);
        let raw = self.source.text.get(span.clone()).unwrap_or_default();
        let quotes = match raw.as_bytes() {
            [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => 3,
            _ => 1,
        };
        let written = raw.get(quotes..raw.len().saturating_sub(quotes)).unwrap_or_default();
        // A newline right behind long quotes is not part of the text.
        let skipped = match quotes {
            3 if written.starts_with("\r\n") => 2,
            3 if written.starts_with('\n') => 1,
            _ => 0,
        };
        let as_it_is_read = written.get(skipped..) == Some(decoded);
        let begin = as_it_is_read.then_some(span.start + quotes + skipped);
        Passage { span, begin }
    }
}

/// A text of the file. A thousand things may have to be said of one, so it is looked up once.
pub(super) struct Passage {
    span: Range<usize>,
    /// Where the text itself begins, if it is written as it is read.
    begin: Option<usize>,
}

impl Passage {
    /// Where a part of the text stands: the whole text, where that cannot be told.
    pub(super) fn place(&self, inner: &Range<usize>) -> Range<usize> {
        match self.begin {
            Some(begin) => begin + inner.start..begin + inner.end,
            None => self.span.clone(),
        }
    }

    /// A problem of an expression in the text. `offset` is where what was read begins in the text.
    pub(super) fn problem(&self, offset: usize, problem: ExpressionProblem) -> Diagnostic {
        let span = self.place(&(problem.span.start + offset..problem.span.end + offset));
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
