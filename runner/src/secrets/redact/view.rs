//! Text as somebody would read it who decodes it, with the way back to where each byte came from.
//!
//! The main type is [`View`]. A secret may be written with any of its characters escaped; so the text is decoded, not
//! the secret encoded.

use zeroize::Zeroizing;

/// Bytes that a text decodes to. Line breaks are removed, so that a value is found that was broken into lines.
pub(super) struct View {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// For each byte, where what it was decoded from begins and ends in the text.
    spans: Vec<(u32, u32)>,
    /// Where in the text an escape begins that the text's end cuts off.
    pub(super) cut: Option<usize>,
}

/// How a text may be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `%41`.
    Percent,
    /// `%41`, and `+` for a space.
    Form,
    /// `\n`, `\u0041`, `\x41`, `\"`: JSON, C, shells.
    Backslash,
    /// `&amp;`, `&#65;`.
    Xml,
    /// Quotes and backslashes, as shells want them, removed.
    Quotes,
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

    fn empty(capacity: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(capacity)), spans: Vec::with_capacity(capacity), cut: None }
    }

    fn push(&mut self, byte: u8, span: (u32, u32)) {
        if !matches!(byte, b'\r' | b'\n') {
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

    /// Whether decoding could change anything.
    pub(super) fn may_hold(&self, encoding: Encoding) -> bool {
        self.bytes.iter().any(|byte| match encoding {
            Encoding::Percent => *byte == b'%',
            Encoding::Form => *byte == b'+',
            Encoding::Backslash => *byte == b'\\',
            Encoding::Xml => *byte == b'&',
            Encoding::Quotes => matches!(byte, b'\'' | b'"' | b'\\'),
        })
    }

    /// This view, decoded once more.
    pub(super) fn decode(&self, encoding: Encoding) -> Self {
        let mut view = Self::empty(self.bytes.len());
        view.cut = self.cut;
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match encoding {
                Encoding::Percent => percent(rest),
                Encoding::Form => form(rest),
                Encoding::Backslash => backslash(rest),
                Encoding::Xml => xml(rest),
                Encoding::Quotes => quotes(rest),
            };
            let (length, decoded) = match step {
                Step::Bytes(length, bytes) => (length, bytes),
                Step::Char(length, c) => {
                    let (first, last) = self.origin(at, at + length);
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        view.push(byte, (first as u32, last as u32));
                    }
                    at += length;
                    continue;
                }
                Step::Cut => {
                    view.cut = Some(view.cut.unwrap_or(usize::MAX).min(self.origin(at, at + 1).0));
                    (1, rest.first().copied())
                }
            };
            if let Some(byte) = decoded {
                let (first, last) = self.origin(at, at + length);
                view.push(byte, (first as u32, last as u32));
            }
            at += length;
        }
        view
    }
}

/// What the beginning of some bytes decodes to.
enum Step {
    /// So many bytes are one byte, or none.
    Bytes(usize, Option<u8>),
    /// So many bytes are a character.
    Char(usize, char),
    /// The end cuts an escape off.
    Cut,
}

fn literal(rest: &[u8]) -> Step {
    Step::Bytes(1, rest.first().copied())
}

fn percent(rest: &[u8]) -> Step {
    match rest {
        [b'%'] => Step::Cut,
        [b'%', one] if hex_digit(*one).is_some() => Step::Cut,
        [b'%', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => Step::Bytes(3, Some(high << 4 | low)),
            _ => literal(rest),
        },
        _ => literal(rest),
    }
}

fn form(rest: &[u8]) -> Step {
    match rest {
        [b'+', ..] => Step::Bytes(1, Some(b' ')),
        _ => percent(rest),
    }
}

fn backslash(rest: &[u8]) -> Step {
    match rest {
        [b'\\'] => Step::Cut,
        [b'\\', b'n' | b'r', ..] => Step::Bytes(2, None),
        [b'\\', b't', ..] => Step::Bytes(2, Some(b'\t')),
        [b'\\', b'b', ..] => Step::Bytes(2, Some(8)),
        [b'\\', b'f', ..] => Step::Bytes(2, Some(12)),
        [b'\\', b'x', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => Step::Bytes(4, Some(high << 4 | low)),
            _ => Step::Bytes(1, None),
        },
        [b'\\', b'x'] => Step::Cut,
        [b'\\', b'x', one] if hex_digit(*one).is_some() => Step::Cut,
        [b'\\', b'u', digits @ ..] => unicode(digits),
        // Also a backslash itself: taken as a pair, or the second would be read as the beginning of another escape.
        [b'\\', escaped, ..] if escaped.is_ascii() => Step::Bytes(2, Some(*escaped)),
        [b'\\', ..] => Step::Bytes(1, None),
        _ => literal(rest),
    }
}

/// What follows `\u`.
fn unicode(digits: &[u8]) -> Step {
    let unit = |digits: &[u8]| -> Option<u32> {
        digits.get(..4)?.iter().try_fold(0, |value, digit| Some(value << 4 | u32::from(hex_digit(*digit)?)))
    };
    if digits.len() < 4 && digits.iter().all(|digit| hex_digit(*digit).is_some()) {
        return Step::Cut;
    }
    match unit(digits) {
        Some(high @ 0xD800..0xDC00) => {
            let low = digits.get(4..).unwrap_or_default();
            if low.len() < 6 && (b"\\u".starts_with(low) || low.starts_with(b"\\u")) {
                return Step::Cut;
            }
            match low.strip_prefix(b"\\u").and_then(unit) {
                Some(low @ 0xDC00..0xE000) => {
                    match char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) {
                        Some(c) => Step::Char(12, c),
                        None => Step::Bytes(1, None),
                    }
                }
                Some(_) | None => Step::Bytes(1, None),
            }
        }
        Some(unit) => char::from_u32(unit).map_or(Step::Bytes(1, None), |c| Step::Char(6, c)),
        None => Step::Bytes(1, None),
    }
}

fn xml(rest: &[u8]) -> Step {
    const NAMED: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    /// `&#x10FFFF;`, and a few zeros more.
    const LONGEST: usize = 14;
    if rest.first() != Some(&b'&') {
        return literal(rest);
    }
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
        return Step::Bytes(name.len(), Some(*byte));
    }
    let window = rest.get(..LONGEST).unwrap_or(rest);
    let Some(end) = window.iter().position(|byte| *byte == b';') else {
        let open =
            rest.len() < LONGEST && rest.iter().skip(1).all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return if open { Step::Cut } else { literal(rest) };
    };
    let number = window.get(1..end).and_then(|name| std::str::from_utf8(name).ok()).and_then(|name| {
        let digits = name.strip_prefix('#')?;
        match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        }
    });
    match number.and_then(char::from_u32) {
        Some(c) => Step::Char(end + 1, c),
        None => literal(rest),
    }
}

fn quotes(rest: &[u8]) -> Step {
    match rest {
        [b'\'' | b'"' | b'\\', ..] => Step::Bytes(1, None),
        _ => literal(rest),
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
