//! Text as somebody would read it who decodes it, with the way back to where each byte came from.
//!
//! The main type is [`View`]. A secret may be written with any of its characters escaped; so the text is decoded, not
//! the secret encoded.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes that a text decodes to. Line breaks are removed, so that a value is found that was broken into lines.
pub(super) struct View {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// For each byte, where what it was decoded from begins and ends in the text.
    spans: Vec<TextSpan>,
    /// Where in the text an escape begins that the text's end cuts off.
    pub(super) cut: Option<usize>,
}

/// Where something begins and ends in a text.
pub(super) type TextSpan = (u32, u32);

/// How a text may be encoded. It is written into journals: none is ever given another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    /// In lines.
    Lines,
    /// In lines with something in front of each.
    Prefixed,
    /// `%41`.
    Percent,
    /// `%41`, and `+` for a space.
    Form,
    /// `\n`, `\u0041`, `\x41`, `\"`: JSON, C, shells.
    Backslash,
    /// `\101`.
    Octal,
    /// `&amp;`, `&#65;`.
    Xml,
    /// Quotes and backslashes, as shells want them, removed.
    Quotes,
    /// Hexadecimal digits in either case, with something between them: `68:75`, `0x68, 0x75`.
    Hex,
    /// Bytes as numbers: `[104, 117]`.
    Decimals,
    /// The same in octal: `150 165`.
    Octals,
}

impl View {
    /// The text itself.
    pub(super) fn of(text: &str) -> Self {
        let mut view = Self::empty(text.len());
        for (at, byte) in text.bytes().enumerate() {
            view.push(byte, (at as u32, at as u32 + 1));
        }
        view
    }

    /// The text without what is in front of its lines; none where nothing is.
    pub(super) fn unprefixed(text: &str, prefix: Prefix) -> Option<Self> {
        let dropped = prefixes(text, prefix);
        if dropped.is_empty() {
            return None;
        }
        let mut view = Self::empty(text.len());
        let mut dropped = dropped.into_iter().peekable();
        for (at, byte) in text.bytes().enumerate() {
            while dropped.next_if(|range| range.end <= at).is_some() {}
            if dropped.peek().is_none_or(|range| !range.contains(&at)) {
                view.push(byte, (at as u32, at as u32 + 1));
            }
        }
        Some(view)
    }

    fn empty(capacity: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(capacity)), spans: Vec::with_capacity(capacity), cut: None }
    }

    fn push(&mut self, byte: u8, span: TextSpan) {
        if !is_break(byte) {
            self.bytes.push(byte);
            self.spans.push(span);
        }
    }

    /// Where in the text the bytes `start..end` of the view came from.
    pub(super) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let first = self.spans.get(start).map_or(0, |span| span.0);
        let last = end.checked_sub(1).and_then(|last| self.spans.get(last)).map_or(first, |span| span.1);
        (first as usize, last as usize)
    }

    /// For each of the bytes `start..end`, where it came from.
    pub(super) fn spans(&self, start: usize, end: usize) -> &[TextSpan] {
        self.spans.get(start..end).unwrap_or_default()
    }

    /// Whether decoding could change anything that matters.
    pub(super) fn may_hold(&self, encoding: Encoding) -> bool {
        let any = |wanted: fn(u8) -> bool| self.bytes.iter().any(|byte| wanted(*byte));
        let many = |wanted: fn(u8) -> bool| self.bytes.iter().filter(|byte| wanted(**byte)).take(16).count() == 16;
        match encoding {
            Encoding::Lines | Encoding::Prefixed => true,
            Encoding::Percent => any(|byte| byte == b'%'),
            Encoding::Form => any(|byte| byte == b'+'),
            Encoding::Backslash | Encoding::Octal => any(|byte| byte == b'\\'),
            Encoding::Xml => any(|byte| byte == b'&'),
            Encoding::Quotes => any(|byte| matches!(byte, b'\'' | b'"' | b'\\')),
            Encoding::Hex => many(|byte| byte.is_ascii_hexdigit()),
            Encoding::Decimals | Encoding::Octals => many(|byte| byte.is_ascii_digit()) && any(is_separator),
        }
    }

    /// This view, decoded once more.
    pub(super) fn decode(&self, encoding: Encoding) -> Self {
        let mut view = Self::empty(self.bytes.len());
        view.cut = self.cut;
        for chunk in chunks(encoding, &self.bytes) {
            let (first, last) = self.origin(chunk.range.start, chunk.range.end);
            if chunk.cut {
                view.cut = Some(view.cut.unwrap_or(usize::MAX).min(first));
            }
            for byte in chunk.decoded() {
                view.push(*byte, (first as u32, last as u32));
            }
        }
        view
    }
}

/// A piece of some bytes, and what it decodes to.
pub(super) struct Chunk {
    pub(super) range: Range<usize>,
    bytes: [u8; 4],
    length: usize,
    /// That the end cuts an escape off.
    cut: bool,
}

impl Chunk {
    /// What it decodes to, line breaks included.
    pub(super) fn decoded(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The pieces that `bytes` decode by. Their ranges follow each other without a gap.
pub(super) fn chunks(encoding: Encoding, bytes: &[u8]) -> impl Iterator<Item = Chunk> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        let step = match encoding {
            Encoding::Lines | Encoding::Prefixed => literal(rest),
            Encoding::Percent => percent(rest),
            Encoding::Form => form(rest),
            Encoding::Backslash => backslash(rest),
            Encoding::Octal => octal(rest),
            Encoding::Xml => xml(rest),
            Encoding::Quotes => quotes(rest),
            Encoding::Hex => hex(rest),
            Encoding::Decimals => number(before, rest, decimal),
            Encoding::Octals => number(before, rest, octal_number),
        };
        let mut decoded = [0; 4];
        let (taken, length, cut) = match step {
            Decoded::Bytes(taken, byte) => {
                decoded[0] = byte.unwrap_or_default();
                (taken, usize::from(byte.is_some()), false)
            }
            Decoded::Char(taken, c) => (taken, c.encode_utf8(&mut decoded).len(), false),
            Decoded::Cut => {
                decoded[0] = rest.first().copied().unwrap_or_default();
                (1, 1, true)
            }
        };
        let range = at..at + taken;
        at += taken;
        Some(Chunk { range, bytes: decoded, length, cut })
    })
}

/// What a view leaves out of every text.
pub(super) fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What the beginning of some bytes decodes to.
enum Decoded {
    /// So many bytes are one byte, or none.
    Bytes(usize, Option<u8>),
    /// So many bytes are a character.
    Char(usize, char),
    /// The end cuts an escape off.
    Cut,
}

fn literal(rest: &[u8]) -> Decoded {
    Decoded::Bytes(1, rest.first().copied())
}

fn percent(rest: &[u8]) -> Decoded {
    match rest {
        [b'%'] => Decoded::Cut,
        [b'%', one] if hex_digit(*one).is_some() => Decoded::Cut,
        [b'%', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => Decoded::Bytes(3, Some(high << 4 | low)),
            _ => literal(rest),
        },
        _ => literal(rest),
    }
}

fn form(rest: &[u8]) -> Decoded {
    match rest {
        [b'+', ..] => Decoded::Bytes(1, Some(b' ')),
        _ => percent(rest),
    }
}

fn backslash(rest: &[u8]) -> Decoded {
    match rest {
        [b'\\'] => Decoded::Cut,
        [b'\\', b'n' | b'r', ..] => Decoded::Bytes(2, None),
        [b'\\', b't', ..] => Decoded::Bytes(2, Some(b'\t')),
        [b'\\', b'b', ..] => Decoded::Bytes(2, Some(8)),
        [b'\\', b'f', ..] => Decoded::Bytes(2, Some(12)),
        [b'\\', b'x', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => Decoded::Bytes(4, Some(high << 4 | low)),
            _ => Decoded::Bytes(1, None),
        },
        [b'\\', b'x'] => Decoded::Cut,
        [b'\\', b'x', one] if hex_digit(*one).is_some() => Decoded::Cut,
        [b'\\', b'u', digits @ ..] => unicode(digits),
        // Also a backslash itself: taken as a pair, or the second would be read as the beginning of another escape.
        [b'\\', escaped, ..] if escaped.is_ascii() => Decoded::Bytes(2, Some(*escaped)),
        [b'\\', ..] => Decoded::Bytes(1, None),
        _ => literal(rest),
    }
}

/// What follows `\u`.
fn unicode(digits: &[u8]) -> Decoded {
    let unit = |digits: &[u8]| -> Option<u32> {
        digits.get(..4)?.iter().try_fold(0, |value, digit| Some(value << 4 | u32::from(hex_digit(*digit)?)))
    };
    if digits.len() < 4 && digits.iter().all(|digit| hex_digit(*digit).is_some()) {
        return Decoded::Cut;
    }
    match unit(digits) {
        Some(high @ 0xD800..0xDC00) => {
            let low = digits.get(4..).unwrap_or_default();
            if low.len() < 6 && (b"\\u".starts_with(low) || low.starts_with(b"\\u")) {
                return Decoded::Cut;
            }
            match low.strip_prefix(b"\\u").and_then(unit) {
                Some(low @ 0xDC00..0xE000) => {
                    match char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) {
                        Some(c) => Decoded::Char(12, c),
                        None => Decoded::Bytes(1, None),
                    }
                }
                Some(_) | None => Decoded::Bytes(1, None),
            }
        }
        Some(unit) => char::from_u32(unit).map_or(Decoded::Bytes(1, None), |c| Decoded::Char(6, c)),
        None => Decoded::Bytes(1, None),
    }
}

/// `\101`: up to three octal digits.
fn octal(rest: &[u8]) -> Decoded {
    let Some(digits) = rest.strip_prefix(b"\\") else { return literal(rest) };
    let length = digits.iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
    let value = digits.iter().take(length).fold(0_u32, |value, digit| value << 3 | u32::from(digit - b'0'));
    match u8::try_from(value) {
        Ok(byte) if length > 0 => Decoded::Bytes(1 + length, Some(byte)),
        _ => backslash(rest),
    }
}

/// The escapes of XML that have names.
pub(super) const NAMED: [(&[u8], u8); 5] =
    [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];

fn xml(rest: &[u8]) -> Decoded {
    /// `&#x10FFFF;`, and a few zeros more.
    const LONGEST: usize = 14;
    if rest.first() != Some(&b'&') {
        return literal(rest);
    }
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
        return Decoded::Bytes(name.len(), Some(*byte));
    }
    let window = rest.get(..LONGEST).unwrap_or(rest);
    let Some(end) = window.iter().position(|byte| *byte == b';') else {
        let open =
            rest.len() < LONGEST && rest.iter().skip(1).all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return if open { Decoded::Cut } else { literal(rest) };
    };
    let number = window.get(1..end).and_then(|name| std::str::from_utf8(name).ok()).and_then(|name| {
        let digits = name.strip_prefix('#')?;
        let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None => (digits, 10),
        };
        // A sign is no digit.
        let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, radix).ok().filter(|_| all)
    });
    match number.and_then(char::from_u32) {
        Some(c) => Decoded::Char(end + 1, c),
        None => literal(rest),
    }
}

fn quotes(rest: &[u8]) -> Decoded {
    match rest {
        [b'\'' | b'"' | b'\\', ..] => Decoded::Bytes(1, None),
        _ => literal(rest),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',' | b';' | b':' | b'-' | b'_' | b'|')
}

/// How many bytes of separators `rest` begins with: a few, as somebody would write them.
fn separators(rest: &[u8]) -> usize {
    rest.iter().take(8).take_while(|byte| is_separator(**byte)).count()
}

fn hex(rest: &[u8]) -> Decoded {
    let is_pair = |rest: &[u8]| matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let mut behind = separators(rest);
    let marked = rest.get(behind..).unwrap_or_default();
    if marked.starts_with(b"0x") || marked.starts_with(b"0X") || marked.starts_with(b"\\x") {
        behind += 2;
    }
    if behind > 0 && rest.get(behind..).is_some_and(is_pair) {
        return Decoded::Bytes(behind, None);
    }
    Decoded::Bytes(1, rest.first().map(u8::to_ascii_lowercase))
}

/// A byte as a number by itself, or what is between two of them.
fn number(before: Option<u8>, rest: &[u8], read: fn(&[u8]) -> Option<u8>) -> Decoded {
    let inside = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let ends = rest.get(digits).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
    if digits > 0 && !inside && ends {
        return match rest.get(..digits).and_then(read) {
            Some(byte) => Decoded::Bytes(digits, Some(byte)),
            None => literal(rest),
        };
    }
    let between = separators(rest);
    let follows = rest.get(between).is_some_and(u8::is_ascii_digit);
    if between > 0 && follows && before.is_some_and(|byte| byte.is_ascii_digit()) {
        return Decoded::Bytes(between, None);
    }
    literal(rest)
}

fn decimal(digits: &[u8]) -> Option<u8> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn octal_number(digits: &[u8]) -> Option<u8> {
    if digits.len() != 3 {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// What may stand in front of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// What indents and marks a line.
    Marks,
    /// What a line shares with the one before or behind it.
    Shared,
}

/// What stands in front of the lines of `text`.
fn prefixes(text: &str, kind: Prefix) -> Vec<Range<usize>> {
    let lines: Vec<&str> = text.split('\n').collect();
    // One line alone has nothing to be told from.
    if lines.len() < 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = 0;
    for (index, line) in lines.iter().enumerate() {
        let beside = [index.checked_sub(1), index.checked_add(1)].map(|other| lines.get(other?).copied());
        let prefix = match kind {
            Prefix::Marks => {
                line.len() - line.trim_start_matches(|c: char| c.is_whitespace() || MARKS.contains(&c)).len()
            }
            Prefix::Shared => beside.into_iter().flatten().map(|other| shared(line, other)).max().unwrap_or_default(),
        };
        if prefix > 0 {
            found.push(at..at + prefix);
        }
        at += line.len() + 1;
    }
    found
}

/// How much of its beginning a line shares with another, up to the last character of that which is no letter and no digit.
fn shared(line: &str, other: &str) -> usize {
    let same = line.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let same = line.get(..line.floor_char_boundary(same)).unwrap_or_default();
    same.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |last| same.ceil_char_boundary(last + 1))
}

/// What marks lines: quotations, comments, lists, differences, boxes.
const MARKS: [char; 10] = ['>', '|', '#', '*', ';', '!', '│', '┃', '»', '•'];
