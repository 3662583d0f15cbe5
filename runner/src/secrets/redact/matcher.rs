//! Finds secrets in text, whole ones and beginnings at its end.
//!
//! The main type is [`Matcher`]: immutable, built anew for each secret that is added. Its work grows with the length of the
//! text alone: at each place of a text only the longest form that ends there counts.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::contiguous::NFA;
use zeroize::Zeroizing;

use super::form::{ENCODED_OPEN_FROM, Edge, Form, How};
use super::part::{Part, part_of};
use super::view::{Encoding, Prefix, TextSpan, View};
use crate::types::Digest;

/// Without quotes and backslashes a form may become so short that it would be found everywhere.
const MIN_UNQUOTED: usize = 6;

/// All forms of all secrets together may have so many bytes: what is built of them is several times as large.
const MOST_BYTES: usize = 4 << 20;

/// Of parts beyond so many bytes of forms, the rare ones are not looked for.
const MOST_RARE_BYTES: usize = 1 << 20;

/// A value that must not be written. It is wiped when it is dropped.
pub(super) struct Secret {
    pub(super) id: SecretId,
    pub(super) value: Zeroizing<Vec<u8>>,
    /// What of it is looked for.
    pub(super) parts: Vec<(Part, Zeroizing<Vec<u8>>)>,
}

/// Which secret, in which version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretId {
    /// What it is called in what is shown: the name that the pipeline gives it.
    pub name: String,
    /// Its version in Secrets Manager; or which call was answered with it.
    pub version: Option<String>,
}

impl SecretId {
    /// What a call of AWS was answered, told by the action and by what was asked for.
    pub(crate) fn of_answer(action: &str, request: &Digest) -> Self {
        Self { name: action.to_owned(), version: Some(request.to_string()) }
    }

    /// Whether it is what a call was answered, and not a secret of the pipeline.
    pub(crate) fn is_answer(&self) -> bool {
        self.name.contains(':')
    }
}

impl Secret {
    /// One of its parts.
    pub(super) fn part(&self, part: &Part) -> Option<Zeroizing<Vec<u8>>> {
        match std::str::from_utf8(&self.value) {
            Ok(text) => Some(Zeroizing::new(part_of(text, part)?.as_bytes().to_vec())),
            Err(_) => part.is_empty().then(|| self.value.clone()),
        }
    }
}

/// What is sought: a form of a part of a secret.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    pub(super) secret: usize,
    pub(super) part: Arc<Part>,
    pub(super) how: How,
    /// Without quotes and backslashes.
    pub(super) bare: bool,
    /// How many of the form's first bytes are not sought.
    pub(super) skip: usize,
    pub(super) form: Form,
}

impl Sought {
    fn bytes(&self) -> &[u8] {
        self.form.bytes.get(self.skip..).unwrap_or_default()
    }
}

/// Where in a text a secret is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MaskedSpan {
    pub(super) range: Range<usize>,
    /// Its index.
    secret: usize,
}

/// A piece of a form in a text. None touches another of the same text.
#[derive(Debug)]
pub(super) struct FormPiece<'a> {
    pub(super) sought: &'a Sought,
    /// Which bytes of the form.
    pub(super) slice: Range<usize>,
    /// For each of them, where it stands in the text.
    pub(super) spans: Vec<TextSpan>,
    /// How they are encoded, the outermost first.
    pub(super) path: Vec<Encoding>,
    /// Shared digits at its ends, where they stand as themselves.
    pub(super) before: Option<(usize, Edge)>,
    pub(super) behind: Option<(usize, Edge)>,
    /// That what is before belongs to the same or an overlapping form.
    continues: bool,
}

impl FormPiece<'_> {
    /// Where in the text it is, without digits that it shares.
    pub(super) fn range(&self) -> Range<usize> {
        let start = self.spans.first().map_or(0, |span| span.0);
        let end = self.spans.last().map_or(start, |span| span.1);
        start as usize..end as usize
    }

    fn masked_range(&self) -> Range<usize> {
        let Range { start, end } = self.range();
        self.before.map_or(start, |(at, _)| at)..self.behind.map_or(end, |(at, _)| at + 1)
    }

    /// Let go what is before `end`. Answers whether anything is left.
    fn cut(&mut self, end: usize) -> bool {
        if self.range().start >= end {
            self.before = self.before.filter(|(at, _)| *at >= end);
            return true;
        }
        let gone = self.spans.iter().take_while(|span| (span.0 as usize) < end).count();
        // What one character decodes to goes together.
        let last = gone.checked_sub(1).and_then(|last| self.spans.get(last)).copied();
        let gone = gone + self.spans.iter().skip(gone).take_while(|span| Some(**span) == last).count();
        self.spans.drain(..gone);
        self.slice.start += gone;
        self.before = None;
        self.continues = true;
        !self.spans.is_empty()
    }
}

/// Looks for all secrets at once.
#[derive(Default)]
pub(super) struct Matcher {
    secrets: Vec<Arc<Secret>>,
    /// For text as it is and as it decodes.
    plain: Option<Automaton>,
    /// For text whose quotes and backslashes were removed, with forms treated the same way.
    unquoted: Option<Automaton>,
}

struct Automaton {
    /// Holds copies of the forms that cannot be wiped; it lives as long as the run may still write.
    search: NFA,
    /// The same forms in the same order, sorted, for beginnings.
    sought: Vec<Sought>,
    longest: usize,
}

impl Matcher {
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|secret| secret.id.name.as_str())
    }

    pub(super) fn knows(&self, secret: &Secret) -> bool {
        self.secrets
            .iter()
            .any(|known| known.id == secret.id && *known.value == *secret.value && known.parts == secret.parts)
    }

    /// The secret of this id.
    pub(super) fn secret(&self, id: &SecretId) -> Option<&Secret> {
        self.secrets.iter().map(Arc::as_ref).find(|secret| secret.id == *id)
    }

    /// The secret of an index.
    pub(super) fn id(&self, secret: usize) -> Option<&SecretId> {
        self.secrets.get(secret).map(|secret| &secret.id)
    }

    /// This matcher and one secret more.
    pub(super) fn with(&self, secret: Secret) -> Result<Self, String> {
        let mut secrets = self.secrets.clone();
        secrets.push(Arc::new(secret));
        let mut plain = Vec::new();
        let mut unquoted = Vec::new();
        let mut bytes = 0;
        for (hows, most) in [(How::usual(), MOST_BYTES), (How::rare(), MOST_RARE_BYTES)] {
            for (index, secret) in secrets.iter().enumerate() {
                for (part, text) in &secret.parts {
                    let part = Arc::new(part.clone());
                    for how in hows.iter().copied() {
                        let Some(form) = how.form(text).filter(|form| !form.bytes.is_empty()) else { continue };
                        let size = form.bytes.len();
                        if bytes + size > most {
                            match most {
                                MOST_BYTES => return Err(format!("they have more than {} MiB", most >> 20)),
                                _ => continue,
                            }
                        }
                        bytes += size;
                        let of =
                            |form, bare| Sought { secret: index, part: Arc::clone(&part), how, bare, skip: 0, form };
                        let bare = form.bare();
                        // An encoding has neither quotes nor backslashes.
                        if how == How::Plain && bare.bytes.len() >= MIN_UNQUOTED {
                            unquoted.extend(beginnings(of(bare, true)));
                        }
                        plain.extend(beginnings(of(form, false)));
                    }
                }
            }
        }
        Ok(Self { secrets, plain: Some(Automaton::new(plain)?), unquoted: Some(Automaton::new(unquoted)?) })
    }

    /// Where the secrets in `text` are: in order, none overlapping another.
    pub(super) fn find(&self, text: &str) -> Vec<MaskedSpan> {
        let mut found: Vec<MaskedSpan> = Vec::new();
        for piece in self.pieces(text) {
            let Range { start, end } = piece.masked_range();
            let range = text.floor_char_boundary(start)..text.ceil_char_boundary(end);
            match found.last_mut() {
                Some(last) if range.start < last.range.end || (piece.continues && range.start == last.range.end) => {
                    last.range.end = last.range.end.max(range.end);
                }
                Some(_) | None => found.push(MaskedSpan { range, secret: piece.sought.secret }),
            }
        }
        found
    }

    /// What of which forms stands in `text`: in order, none overlapping another.
    pub(super) fn pieces(&self, text: &str) -> Vec<FormPiece<'_>> {
        let mut found = Vec::new();
        self.each_view(text, |view, path, automaton| automaton.find(text, view, path, &mut found));
        found.sort_by_key(|piece: &FormPiece<'_>| {
            let range = piece.range();
            (range.start, std::cmp::Reverse(range.end))
        });
        let mut apart: Vec<FormPiece<'_>> = Vec::with_capacity(found.len());
        for mut piece in found {
            let done = apart.last().map_or(0, |last| last.range().end);
            if piece.range().end > done && piece.cut(done) {
                apart.push(piece);
            }
        }
        apart
    }

    /// Where in `text` something begins that could be the beginning of a secret when more text follows; its length where
    /// nothing does.
    pub(super) fn open(&self, text: &str) -> usize {
        let mut open = text.len();
        self.each_view(text, |view, _, automaton| {
            if let Some(cut) = view.cut {
                open = open.min(cut);
            }
            if let Some(start) = automaton.open(view) {
                open = open.min(start);
            }
        });
        open
    }

    fn each_view<'a>(&'a self, text: &str, mut visit: impl FnMut(&View, &[Encoding], &'a Automaton)) {
        const ENCODINGS: [Encoding; 4] = [Encoding::Percent, Encoding::Form, Encoding::Backslash, Encoding::Xml];
        const NUMBERS: [Encoding; 4] = [Encoding::Octal, Encoding::Hex, Encoding::Decimals, Encoding::Octals];
        let (Some(plain), Some(unquoted)) = (&self.plain, &self.unquoted) else {
            return;
        };
        let view = View::of(text);
        visit(&view, &[Encoding::Lines], plain);
        for view in [Prefix::Marks, Prefix::Shared].into_iter().filter_map(|prefix| View::unprefixed(text, prefix)) {
            visit(&view, &[Encoding::Prefixed], plain);
        }
        if view.may_hold(Encoding::Quotes) {
            visit(&view.decode(Encoding::Quotes), &[Encoding::Lines, Encoding::Quotes], unquoted);
        }
        for numbers in NUMBERS {
            if view.may_hold(numbers) {
                visit(&view.decode(numbers), &[Encoding::Lines, numbers], plain);
            }
        }
        for outer in ENCODINGS {
            if view.may_hold(outer) {
                let once = view.decode(outer);
                visit(&once, &[Encoding::Lines, outer], plain);
                // Twice, because JSON is logged within JSON and a URL within a URL.
                for inner in ENCODINGS {
                    if once.may_hold(inner) {
                        visit(&once.decode(inner), &[Encoding::Lines, outer, inner], plain);
                    }
                }
            }
        }
    }

    /// `text`, which begins at `offset` of the text that was searched, with what was found in it masked.
    pub(super) fn mask(&self, text: &str, offset: usize, found: &[MaskedSpan]) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for MaskedSpan { range, secret } in found {
            let start = range.start.saturating_sub(offset).min(text.len());
            let end = range.end.saturating_sub(offset).min(text.len());
            if end <= start {
                continue;
            }
            masked.push_str(text.get(done..start).unwrap_or_default());
            masked.push_str(&masked_as(self.id(*secret).map_or("", |id| &id.name)));
            done = end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked
    }
}

/// What stands where the secret `name` stood.
pub(super) fn masked_as(name: &str) -> String {
    format!("[secret {name}]")
}

/// A form, and where it is an encoding its ends without its first characters: they may have been let go already.
fn beginnings(whole: Sought) -> impl Iterator<Item = Sought> {
    let most = if whole.form.open_from == ENCODED_OPEN_FROM { ENCODED_OPEN_FROM } else { 1 };
    (0..most).map(move |skip| Sought { skip, ..whole.clone() }).filter(|sought| !sought.bytes().is_empty())
}

impl Automaton {
    fn new(mut sought: Vec<Sought>) -> Result<Self, String> {
        sought.sort_by(|one, two| (one.bytes(), one.skip).cmp(&(two.bytes(), two.skip)));
        sought.dedup_by(|one, two| one.bytes() == two.bytes());
        let longest = sought.iter().map(|form| form.bytes().len()).max().unwrap_or_default();
        // Of the kinds there are, the one that is quick to build and small: one is built for each secret of a run.
        let search = NFA::builder().build(sought.iter().map(Sought::bytes)).map_err(|error| error.to_string())?;
        Ok(Self { search, sought, longest })
    }

    fn find<'a>(&'a self, text: &str, view: &View, path: &[Encoding], found: &mut Vec<FormPiece<'a>>) {
        for (bytes, from, sought) in self.covered(&view.bytes) {
            let is_part = |at: usize, beside: usize| view.spans(at, at + 1) == view.spans(beside, beside + 1);
            let mut bytes = bytes;
            let mut slice = sought.skip + from..sought.skip + from + bytes.len();
            // What one character decodes to goes together.
            while bytes.start > 0 && !bytes.is_empty() && is_part(bytes.start - 1, bytes.start) {
                bytes.start += 1;
                slice.start += 1;
            }
            while !bytes.is_empty() && is_part(bytes.end, bytes.end - 1) {
                bytes.end -= 1;
                slice.end -= 1;
            }
            if bytes.is_empty() {
                continue;
            }
            let shared = |at: Option<usize>, edge: Option<Edge>| {
                let (first, last) = view.spans(at?, at? + 1).first().copied()?;
                let stands = text.as_bytes().get(first as usize) == view.bytes.get(at?) && last == first + 1;
                let beside = view.bytes.get(at?).is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b));
                Some((first as usize, edge.filter(|_| stands && beside)?))
            };
            let starts = slice.start == 0;
            let ends = slice.end == sought.form.bytes.len();
            let before = shared(bytes.start.checked_sub(1), sought.form.fray.before.filter(|_| starts));
            let behind = shared(Some(bytes.end), sought.form.fray.behind.filter(|_| ends));
            let spans = view.spans(bytes.start, bytes.end).to_vec();
            let piece = FormPiece { sought, slice, spans, path: path.to_vec(), before, behind, continues: from > 0 };
            match path {
                [Encoding::Prefixed] => found.extend(apart(piece)),
                _ => found.push(piece),
            }
        }
    }

    /// What of `bytes` is covered by what is sought, in order and without overlaps: where, from which byte of which form on.
    fn covered(&self, bytes: &[u8]) -> Vec<(Range<usize>, usize, &Sought)> {
        let mut covered: Vec<(Range<usize>, usize, &Sought)> = Vec::new();
        let Ok(mut state) = self.search.start_state(Anchored::No) else { return covered };
        for (at, byte) in bytes.iter().enumerate() {
            state = self.search.next_state(Anchored::No, state, *byte);
            if !self.search.is_match(state) {
                continue;
            }
            // The longest of those that end here is the first.
            let Some(sought) = self.sought.get(self.search.match_pattern(state, 0).as_usize()) else { continue };
            let end = at + 1;
            let start = end - sought.bytes().len();
            while covered.pop_if(|(last, ..)| last.start >= start).is_some() {}
            let from = covered.last().map_or(start, |(last, ..)| start.max(last.end));
            covered.push((from..end, from - start, sought));
        }
        covered
    }

    /// Where in the text the longest end of the view begins that is the beginning of a form.
    fn open(&self, view: &View) -> Option<usize> {
        let bytes = view.bytes.as_slice();
        let first = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (first..bytes.len()).find_map(|start| {
            let end = bytes.get(start..)?;
            let at = self.sought.partition_point(|form| form.bytes() < end);
            // A whole form is found, not open; one that is longer is.
            let mut longer = self.sought.get(at..)?.iter().take_while(|form| form.bytes().starts_with(end));
            let begins = longer.any(|form| form.bytes().len() > end.len() && end.len() >= form.form.open_from);
            begins.then(|| view.origin(start, bytes.len()).0)
        })
    }
}

/// What of a piece stands without a gap, each by itself.
fn apart(piece: FormPiece<'_>) -> Vec<FormPiece<'_>> {
    let mut pieces: Vec<FormPiece<'_>> = Vec::new();
    let last = piece.spans.len();
    for (index, span) in piece.spans.iter().enumerate() {
        let slice = piece.slice.start + index..piece.slice.start + index + 1;
        match pieces.last_mut() {
            Some(one) if one.range().end == span.0 as usize => {
                one.spans.push(*span);
                one.slice.end = slice.end;
            }
            Some(_) | None => pieces.push(FormPiece {
                sought: piece.sought,
                slice,
                spans: vec![*span],
                path: vec![Encoding::Lines],
                before: piece.before.filter(|_| index == 0),
                behind: None,
                continues: index == 0 && piece.continues,
            }),
        }
        if index + 1 == last
            && let Some(one) = pieces.last_mut()
        {
            one.behind = piece.behind;
        }
    }
    pieces
}
