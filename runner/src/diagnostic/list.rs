//! The problems of one input: the first of them, however many there are.
//!
//! The main type is [`Diagnostics`].

use super::problem::Diagnostic;
use crate::words::{count, verb};

/// So many are kept. Whoever has corrected these will see the rest.
const KEPT: usize = 1_000;

/// Says that there are problems that were not kept.
pub(super) const MORE: &str = "more-problems";

/// The problems of one input. A file of a mebibyte has room for a quarter of a million.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diagnostics {
    kept: Vec<Diagnostic>,
    more: usize,
}

impl Diagnostics {
    /// There is none yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One problem more.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.kept.len() < KEPT {
            self.kept.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.more
    }

    /// Leave out what is not to be told.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.kept.retain(keep);
    }

    /// Those that were kept.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.kept.iter()
    }

    /// These behind those.
    pub(crate) fn append(&mut self, other: Self) {
        self.extend(other.kept);
        self.more += other.more;
    }

    /// Those that were kept, in the order of `key`, and how many there are besides.
    pub(crate) fn sorted<K: Ord>(self, key: impl FnMut(&Diagnostic) -> K) -> Vec<Diagnostic> {
        let Self { mut kept, more } = self;
        kept.sort_by_key(key);
        kept.dedup();
        if more > 0 {
            kept.push(Diagnostic::error(
                MORE,
                format!(
                    "there {} {}, which {} not listed",
                    verb(more, "is", "are"),
                    count(more, "more problem"),
                    verb(more, "is", "are")
                ),
            ));
        }
        kept
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(diagnostics: T) -> Self {
        let mut all = Self::new();
        all.extend(diagnostics);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_the_rest_is_counted() {
        let mut all = Diagnostics::new();
        all.extend((0..2_500).map(|number| Diagnostic::error("one", number.to_string()).at(number..number, "")));
        assert_eq!(all.len(), 2_500);
        let told = all.sorted(|diagnostic| diagnostic.span().map(|span| std::cmp::Reverse(span.start)));
        assert_eq!(told.len(), 1_001);
        assert_eq!(told.first().map(|first| first.message.as_str()), Some("999"));
        assert_eq!(
            told.last().map(|last| last.message.as_str()),
            Some("there are 1500 more problems, which are not listed")
        );
    }
}
