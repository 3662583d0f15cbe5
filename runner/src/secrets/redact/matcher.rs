//! Finds secrets in text, whole ones and beginnings at its end.
//!
//! The main type is [`Matcher`]: immutable, built anew for each secret that is added.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use zeroize::Zeroizing;

use super::forms::{Fray, forms};
use super::view::{Encoding, View};

/// Without quotes and backslashes a form may become so short that it would be found everywhere.
const MIN_UNQUOTED: usize = 6;

/// A value that must not be written. It is wiped when it is dropped.
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
}

/// Where in a text a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    /// Its index.
    secret: usize,
}

/// Looks for all secrets at once.
#[derive(Default)]
pub(super) struct Matcher {
    secrets: Vec<std::sync::Arc<Secret>>,
    /// For text as it is and as it decodes.
    plain: Option<Automaton>,
    /// For text whose quotes and backslashes were removed, with forms treated the same way.
    unquoted: Option<Automaton>,
}

struct Automaton {
    /// Holds copies of the forms that cannot be wiped; it lives as long as the run may still write.
    search: AhoCorasick,
    /// The same forms in the same order, sorted, for beginnings.
    forms: Vec<Sought>,
    longest: usize,
}

struct Sought {
    bytes: Zeroizing<Vec<u8>>,
    secret: usize,
    fray: Fray,
    open_from: usize,
}

impl Matcher {
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|secret| secret.name.as_str())
    }

    pub(super) fn knows(&self, secret: &Secret) -> bool {
        self.secrets.iter().any(|known| known.name == secret.name && *known.value == *secret.value)
    }

    /// This matcher and one secret more.
    pub(super) fn with(&self, secret: Secret) -> Result<Self, String> {
        let mut secrets = self.secrets.clone();
        secrets.push(std::sync::Arc::new(secret));
        let mut plain = Vec::new();
        let mut unquoted = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            for form in forms(&secret.value) {
                let mut stripped = form.bytes.clone();
                stripped.retain(|byte| !matches!(byte, b'\'' | b'"' | b'\\'));
                if stripped.len() >= MIN_UNQUOTED {
                    unquoted.push(Sought {
                        bytes: stripped,
                        secret: index,
                        fray: form.fray,
                        open_from: form.open_from,
                    });
                }
                plain.push(Sought { bytes: form.bytes, secret: index, fray: form.fray, open_from: form.open_from });
            }
        }
        Ok(Self { secrets, plain: Some(Automaton::new(plain)?), unquoted: Some(Automaton::new(unquoted)?) })
    }

    /// Where the secrets in `text` are: in order, none touching another.
    pub(super) fn find(&self, text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        self.each_view(text, |view, automaton| automaton.find(view, &mut found));
        merge(text, found)
    }

    /// Where in `text` something begins that could be the beginning of a secret when more text follows; its length where
    /// nothing does.
    pub(super) fn open(&self, text: &str) -> usize {
        let mut open = text.len();
        self.each_view(text, |view, automaton| {
            if let Some(cut) = view.cut {
                open = open.min(cut);
            }
            if let Some(start) = automaton.open(view) {
                open = open.min(start);
            }
        });
        open
    }

    fn each_view(&self, text: &str, mut visit: impl FnMut(&View, &Automaton)) {
        const ENCODINGS: [Encoding; 4] = [Encoding::Percent, Encoding::Form, Encoding::Backslash, Encoding::Xml];
        let (Some(plain), Some(unquoted)) = (&self.plain, &self.unquoted) else {
            return;
        };
        let view = View::of(text);
        visit(&view, plain);
        if view.may_hold(Encoding::Quotes) {
            visit(&view.decode(Encoding::Quotes), unquoted);
        }
        for outer in ENCODINGS {
            if view.may_hold(outer) {
                let once = view.decode(outer);
                visit(&once, plain);
                // Twice, because JSON is logged within JSON and a URL within a URL.
                for inner in ENCODINGS {
                    if once.may_hold(inner) {
                        visit(&once.decode(inner), plain);
                    }
                }
            }
        }
    }

    /// `text`, which begins at `offset` of the text that was searched, with what was found in it masked.
    pub(super) fn mask(&self, text: &str, offset: usize, found: &[Found]) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for Found { range, secret } in found {
            let start = range.start.saturating_sub(offset).min(text.len());
            let end = range.end.saturating_sub(offset).min(text.len());
            if end <= start {
                continue;
            }
            masked.push_str(text.get(done..start).unwrap_or_default());
            masked.push_str("[secret ");
            masked.push_str(self.secrets.get(*secret).map_or("", |secret| &secret.name));
            masked.push(']');
            done = end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked
    }
}

impl Automaton {
    fn new(mut forms: Vec<Sought>) -> Result<Self, String> {
        forms.sort_by(|one, two| one.bytes.cmp(&two.bytes));
        forms.dedup_by(|one, two| one.bytes == two.bytes);
        let longest = forms.iter().map(|form| form.bytes.len()).max().unwrap_or_default();
        // Of the kinds there are, the one that is quick to build and small: one is built for each secret of a run.
        let search = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(|form| form.bytes.as_slice()))
            .map_err(|error| error.to_string())?;
        Ok(Self { search, forms, longest })
    }

    fn find(&self, view: &View, found: &mut Vec<Found>) {
        for hit in self.search.find_overlapping_iter(view.bytes.as_slice()) {
            let Some(form) = self.forms.get(hit.pattern().as_usize()) else {
                continue;
            };
            let (mut start, mut end) = (hit.start(), hit.end());
            let is_base64 =
                |at: usize| view.bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b));
            if form.fray.before && start.checked_sub(1).is_some_and(is_base64) {
                start -= 1;
            }
            if form.fray.behind && is_base64(end) {
                end += 1;
            }
            let (start, end) = view.origin(start, end);
            found.push(Found { range: start..end, secret: form.secret });
        }
    }

    /// Where in the text the longest end of the view begins that is the beginning of a form.
    fn open(&self, view: &View) -> Option<usize> {
        let bytes = view.bytes.as_slice();
        let first = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (first..bytes.len()).find_map(|start| {
            let end = bytes.get(start..)?;
            let at = self.forms.partition_point(|form| form.bytes.as_slice() < end);
            // A whole form is found, not open; one that is longer is.
            let mut longer = self.forms.get(at..)?.iter().take_while(|form| form.bytes.starts_with(end));
            let begins = longer.any(|form| form.bytes.len() > end.len() && end.len() >= form.open_from);
            begins.then(|| view.origin(start, bytes.len()).0)
        })
    }
}

/// Ranges in order; those that overlap become one. They begin and end between characters.
fn merge(text: &str, mut found: Vec<Found>) -> Vec<Found> {
    for one in &mut found {
        one.range = text.floor_char_boundary(one.range.start)..text.ceil_char_boundary(one.range.end);
    }
    found.sort_by_key(|one| (one.range.start, std::cmp::Reverse(one.range.end)));
    let mut merged: Vec<Found> = Vec::new();
    for one in found {
        match merged.last_mut() {
            Some(last) if one.range.start < last.range.end => last.range.end = last.range.end.max(one.range.end),
            Some(_) | None => merged.push(one),
        }
    }
    merged
}
