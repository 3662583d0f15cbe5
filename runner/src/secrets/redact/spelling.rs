//! How bytes were spelled in an encoding, so that the same spelling can be made of the bytes again, without the bytes.
//!
//! The main type is [`Spelling`]: a [`Chain`] reads it off a text, [`Spelling::spell`] makes the text again.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::view::{Chunk, Encoding, NAMED, chunks, hex_digit, is_break};

/// How some bytes are spelled in one encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spelling {
    pub(super) encoding: Encoding,
    pub(super) marks: Vec<Mark>,
}

/// How the next bytes are spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mark {
    /// So many stand for themselves.
    Same(usize),
    /// A text that stands for none of them.
    Between(String),
    /// So many characters are each written like this: `%hh`, `\uhhhh`, `&#d;`. An `h` is a digit that is not in upper case.
    Like(String, usize),
}

/// A text and what it decodes to, encoding by encoding. A piece of it is spelled as it is in the whole: what a character
/// means can depend on what is beside it.
pub(super) struct Chain {
    levels: Vec<Level>,
}

struct Level {
    encoding: Encoding,
    bytes: Vec<u8>,
    /// Each with where what it decodes to begins on the next level.
    chunks: Vec<(Chunk, usize)>,
}

impl Chain {
    /// `text` and what it decodes to by each of `path`, the outermost first.
    pub(super) fn of(text: &[u8], path: &[Encoding]) -> Self {
        let mut levels = Vec::with_capacity(path.len());
        let mut bytes = text.to_vec();
        for encoding in path {
            let mut next = Vec::with_capacity(bytes.len());
            let mut parts = Vec::with_capacity(bytes.len());
            for chunk in chunks(*encoding, &bytes) {
                let at = next.len();
                next.extend(chunk.decoded().iter().filter(|byte| !is_break(**byte)));
                parts.push((chunk, at));
            }
            levels.push(Level { encoding: *encoding, bytes, chunks: parts });
            bytes = next;
        }
        Self { levels }
    }

    /// How `range` of the text is spelled, the outermost encoding first, and what it decodes to; none where it does not begin
    /// and end with a character of each, or holds what no mark describes.
    pub(super) fn spellings(&self, range: Range<usize>) -> Option<(Vec<Spelling>, Vec<u8>)> {
        let mut range = range;
        let mut spellings = Vec::new();
        let mut decoded = Vec::new();
        for level in &self.levels {
            let first = level.chunks.partition_point(|(chunk, _)| chunk.range.start < range.start);
            let last = level.chunks.partition_point(|(chunk, _)| chunk.range.end <= range.end);
            let chunks = level.chunks.get(first..last)?;
            let (begins, ends) = (chunks.first()?, chunks.last()?);
            if begins.0.range.start != range.start || ends.0.range.end != range.end {
                return None;
            }
            let (spelling, bytes) = Spelling::take(level, chunks)?;
            range = begins.1..begins.1 + bytes.len();
            spellings.push(spelling);
            decoded = bytes;
        }
        Some((spellings, decoded))
    }
}

impl Spelling {
    /// How some characters spell what they decode to, and that.
    fn take(level: &Level, chunks: &[(Chunk, usize)]) -> Option<(Self, Vec<u8>)> {
        let encoding = level.encoding;
        let mut spelling = Self { encoding, marks: Vec::new() };
        let mut decoded = Vec::with_capacity(chunks.len());
        for (chunk, _) in chunks {
            let written = level.bytes.get(chunk.range.clone())?;
            let bytes = chunk.decoded();
            // A view leaves line breaks out, also those that were escaped.
            if bytes.iter().all(|byte| is_break(*byte)) {
                spelling.add(Mark::Between(String::from_utf8(written.to_vec()).ok()?));
                continue;
            }
            decoded.extend_from_slice(bytes);
            spelling.add(match written == bytes {
                true => Mark::Same(bytes.len()),
                false => Mark::Like(pattern(encoding, written, bytes)?, 1),
            });
        }
        Some((spelling, decoded))
    }

    /// Whether everything stands for itself.
    pub(super) fn is_plain(&self) -> bool {
        self.marks.iter().all(|mark| matches!(mark, Mark::Same(_)))
    }

    /// The text that spells `bytes` like this; none where it is for others.
    pub(super) fn spell(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(bytes.len() * 2);
        let mut rest = bytes;
        for mark in &self.marks {
            match mark {
                Mark::Same(count) => {
                    text.extend_from_slice(rest.get(..*count)?);
                    rest = rest.get(*count..)?;
                }
                Mark::Between(between) => text.extend_from_slice(between.as_bytes()),
                Mark::Like(pattern, count) => {
                    for _ in 0..*count {
                        rest = write(self.encoding, pattern, rest, &mut text)?;
                    }
                }
            }
        }
        rest.is_empty().then_some(text)
    }

    fn add(&mut self, mark: Mark) {
        match (self.marks.last_mut(), mark) {
            (_, Mark::Same(0)) => {}
            (Some(Mark::Same(count)), Mark::Same(more)) => *count += more,
            (Some(Mark::Between(text)), Mark::Between(more)) => text.push_str(&more),
            (Some(Mark::Like(pattern, count)), Mark::Like(same, more)) if *pattern == same => *count += more,
            (_, mark) => self.marks.push(mark),
        }
    }
}

/// How `written` spells `bytes`.
fn pattern(encoding: Encoding, written: &[u8], bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(written).ok()?;
    match encoding {
        Encoding::Lines | Encoding::Prefixed | Encoding::Quotes => None,
        Encoding::Percent | Encoding::Form => match text.strip_prefix('%') {
            Some(digits) => Some(format!("%{}", cases(digits))),
            None => (text == "+").then(|| "+".to_owned()),
        },
        Encoding::Backslash | Encoding::Octal => {
            let escape = text.strip_prefix('\\')?;
            if let Some(digits) = escape.strip_prefix('x').filter(|digits| digits.len() == 2) {
                return Some(format!("\\x{}", cases(digits)));
            }
            if let Some(digits) = escape.strip_prefix('u').filter(|digits| digits.len() >= 4) {
                let units: Vec<String> = digits.split("\\u").map(cases).collect();
                return Some(format!("\\u{}", units.join("\\u")));
            }
            let value = u8::from_str_radix(escape, 8).ok().map(|byte| [byte]);
            let octal = encoding == Encoding::Octal && value.is_some_and(|value| value == bytes);
            Some(if octal { format!("\\o{}", escape.len()) } else { "\\".to_owned() })
        }
        Encoding::Xml => {
            if NAMED.iter().any(|(name, byte)| *name == written && [*byte] == bytes) {
                return Some("&n;".to_owned());
            }
            let number = text.strip_prefix("&#")?.strip_suffix(';')?;
            let (mark, digits) = match number.strip_prefix(['x', 'X']) {
                Some(digits) => (number.get(..1)?, digits),
                None => ("", number),
            };
            let significant = digits.trim_start_matches('0');
            let zeros = "0".repeat(digits.len() - significant.len());
            let digits = if mark.is_empty() { "d".to_owned() } else { cases(significant) };
            Some(format!("&#{mark}{zeros}{digits};"))
        }
        Encoding::Hex => Some("H".to_owned()),
        Encoding::Decimals => {
            let significant = text.trim_start_matches('0');
            Some(format!("{}d", "0".repeat(text.len() - significant.len())))
        }
        Encoding::Octals => Some("o".to_owned()),
    }
}

/// The case of each digit.
fn cases(digits: &str) -> String {
    digits.chars().map(|digit| if digit.is_ascii_uppercase() { 'H' } else { 'h' }).collect()
}

/// Write the first of `bytes` like `pattern`; what is left of them.
fn write<'a>(encoding: Encoding, pattern: &str, bytes: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (byte, rest) = bytes.split_first()?;
    let written = match encoding {
        Encoding::Lines | Encoding::Prefixed | Encoding::Quotes => return None,
        Encoding::Percent | Encoding::Form => match pattern.strip_prefix('%') {
            Some(cases) => format!("%{}", digits(u32::from(*byte), cases)),
            None => "+".to_owned(),
        },
        Encoding::Backslash | Encoding::Octal => {
            if let Some(cases) = pattern.strip_prefix("\\x") {
                format!("\\x{}", digits(u32::from(*byte), cases))
            } else if let Some(cases) = pattern.strip_prefix("\\u") {
                let (c, rest) = first_char(bytes)?;
                let mut units = [0; 2];
                let units = c.encode_utf16(&mut units);
                for (unit, cases) in units.iter().zip(cases.split("\\u")) {
                    text.extend_from_slice(format!("\\u{}", digits(u32::from(*unit), cases)).as_bytes());
                }
                return Some(rest);
            } else if let Some(width) = pattern.strip_prefix("\\o") {
                let width = width.parse().ok()?;
                format!("\\{byte:0width$o}")
            } else {
                let letter = match byte {
                    b'\t' => b't',
                    8 => b'b',
                    12 => b'f',
                    other => *other,
                };
                text.extend_from_slice(&[b'\\', letter]);
                return Some(rest);
            }
        }
        Encoding::Xml => {
            if pattern == "&n;" {
                let (name, _) = NAMED.iter().find(|(_, named)| named == byte)?;
                text.extend_from_slice(name);
                return Some(rest);
            }
            let (c, rest) = first_char(bytes)?;
            let inner = pattern.strip_prefix("&#")?.strip_suffix(';')?;
            let number = match inner.strip_suffix('d') {
                Some(zeros) => format!("{zeros}{}", u32::from(c)),
                None => {
                    let (mark, cases) = inner.split_at_checked(1)?;
                    let significant = cases.trim_start_matches('0');
                    let zeros = cases.len() - significant.len();
                    format!("{mark}{}{}", "0".repeat(zeros), digits(u32::from(c), significant))
                }
            };
            text.extend_from_slice(format!("&#{number};").as_bytes());
            return Some(rest);
        }
        Encoding::Hex => {
            hex_digit(*byte)?;
            char::from(*byte).to_ascii_uppercase().to_string()
        }
        Encoding::Decimals if *byte == 0 => "0".repeat(pattern.len() - 1),
        Encoding::Decimals => format!("{}{byte}", "0".repeat(pattern.len() - 1)),
        Encoding::Octals => format!("{byte:03o}"),
    };
    text.extend_from_slice(written.as_bytes());
    Some(rest)
}

/// `value` in hexadecimal, a digit for each of `cases`.
fn digits(value: u32, cases: &str) -> String {
    let digits = format!("{value:0width$x}", width = cases.len());
    digits
        .chars()
        .zip(cases.chars())
        .map(|(digit, case)| if case == 'H' { digit.to_ascii_uppercase() } else { digit })
        .collect()
}

fn first_char(bytes: &[u8]) -> Option<(char, &[u8])> {
    let length = (1..=bytes.len().min(4))
        .find(|length| bytes.get(..*length).is_some_and(|one| std::str::from_utf8(one).is_ok()))?;
    let (c, rest) = bytes.split_at_checked(length)?;
    Some((std::str::from_utf8(c).ok()?.chars().next()?, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

    use super::*;

    fn of(encoding: Encoding, text: &str) -> (Spelling, Vec<u8>) {
        let (spellings, decoded) = Chain::of(text.as_bytes(), &[encoding]).spellings(0..text.len()).unwrap();
        (spellings.into_iter().next().unwrap(), decoded)
    }

    fn taken(encoding: Encoding, text: &str) -> Vec<u8> {
        let (spelling, decoded) = of(encoding, text);
        let json = serde_json::to_string(&spelling).unwrap();
        let read: Spelling = serde_json::from_str(&json).unwrap();
        let again = read.spell(&decoded).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), text, "{json}");
        decoded
    }

    #[test]
    fn every_spelling_is_made_again() {
        for (encoding, text, decoded) in [
            (Encoding::Lines, "ab\r\ncd", "abcd"),
            (Encoding::Percent, "a%2f%2F%e9b", "a//\u{e9}b"),
            (Encoding::Form, "a+b%20c", "a b c"),
            (Encoding::Backslash, r#"\"a\\\u00e9\u00E9\ud83d\uDD25\t\x41\/\n"#, "\"a\\éé🔥\tA/"),
            (Encoding::Octal, r"\150\165\0n\\\616\8", "hu\0n\\6168"),
            (Encoding::Xml, "&amp;&#65;&#x41;&#X00e9;&#0233;&quot;&bogus;", "&AAéé\"&bogus;"),
            (Encoding::Quotes, r#"'a'\''b"c""#, "abc"),
            (Encoding::Hex, "68:75:6E, 0x6E", "68756e6e"),
            (Encoding::Decimals, "[104, 117, 007, 0, 000]", "[hu\u{7}\0\0]"),
            (Encoding::Octals, "150 165 156", "hun"),
        ] {
            let found = taken(encoding, text);
            let expected = if text.contains("%e9") { b"a//\xe9b".to_vec() } else { decoded.as_bytes().to_vec() };
            assert_eq!(found, expected, "{encoding:?} {text}");
        }
    }

    #[test]
    fn a_spelling_says_nothing_of_what_it_spells_but_which_case_and_which_escape() {
        let (spelling, _) = of(Encoding::Percent, "%41%4b%2B");
        assert_eq!(spelling.marks, [Mark::Like("%hh".to_owned(), 2), Mark::Like("%hH".to_owned(), 1)]);
    }
}
