//! The forms in which a secret's parts are looked for.
//!
//! The main types are [`Form`], bytes to look for, and [`How`], how they are made of a part: it is written into journals, so
//! none is ever given another meaning. Escapes (JSON, XML, percent, shell) are not listed here: the text is decoded instead,
//! see [`view`](super::view), because an encoder is free in what it escapes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How a form is made of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum How {
    /// As it is.
    #[default]
    Plain,
    /// In UTF-16, its outer zeros removed.
    Utf16(Order),
    /// The same read as UTF-8, with what is none replaced.
    Utf16Read(Order),
    /// Hexadecimal, in lower case.
    Hex(Bytes),
    /// Base64.
    Base64(Bytes, Base64),
    /// Base64 of base64.
    Base64Twice(Base64, Base64),
    /// With a `'` as `'\''`.
    ShellSingle,
    /// With a `'` as `'"'"'`.
    ShellDouble,
    /// With what double quotes leave special behind backslashes.
    ShellEscaped,
    /// With all punctuation behind backslashes.
    ShellPunctuation,
}

/// Which byte of a UTF-16 unit comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    Low,
    High,
}

/// Which bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bytes {
    Utf8,
    Utf16(Order),
}

/// How base64 lies: behind how many bytes modulo three, and in which alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base64 {
    pub(super) shift: u8,
    pub(super) url: bool,
}

/// Bytes to look for, in text from which line breaks were removed.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The characters of an encoding at its ends that hold bits of the value and bits of what is around it, as they are
    /// where those are zero.
    pub(super) fray: Fray,
    /// How many of the first bytes must be seen at the end of a text before more text is waited for.
    pub(super) open_from: usize,
}

/// See [`Form::fray`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fray {
    pub(super) before: Option<Edge>,
    pub(super) behind: Option<Edge>,
}

/// A base64 digit that a value shares with its neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// What the value adds to it.
    own: u8,
    /// The bits that are the neighbour's.
    others: u8,
    url: bool,
}

impl Edge {
    /// What the neighbour adds to `digit`; none where the digit cannot be shared with the value.
    pub(super) fn neighbour(self, digit: u8) -> Option<u8> {
        let added = base64_value(digit)? ^ self.own;
        (added & !self.others == 0 && self.digit(added) == Some(digit)).then_some(added)
    }

    /// The digit to which the neighbour adds `added`.
    pub(super) fn digit(self, added: u8) -> Option<u8> {
        base64_digit(self.own | (added & self.others), self.url)
    }
}

/// Hexadecimal and base64 begin like any word. Waiting for more after each letter would hold back most lines; so a
/// beginning of up to this many characters less one is let go, and what follows it is looked for without it.
pub(super) const ENCODED_OPEN_FROM: usize = 4;

const ORDERS: [Order; 2] = [Order::Low, Order::High];

impl How {
    /// The forms in which every part is looked for.
    pub(super) fn usual() -> Vec<Self> {
        let mut usual =
            vec![Self::Plain, Self::ShellSingle, Self::ShellDouble, Self::ShellEscaped, Self::ShellPunctuation];
        usual.push(Self::Hex(Bytes::Utf8));
        usual.extend(bases().map(|base| Self::Base64(Bytes::Utf8, base)));
        usual
    }

    /// The forms in which a part is looked for as well, while all of them together are not too much.
    pub(super) fn rare() -> Vec<Self> {
        let mut rare: Vec<Self> = Vec::new();
        for order in ORDERS {
            let bytes = Bytes::Utf16(order);
            rare.extend([Self::Utf16(order), Self::Utf16Read(order), Self::Hex(bytes)]);
            rare.extend(bases().map(|base| Self::Base64(bytes, base)));
        }
        let inner = || bases().filter(|base| !base.url);
        rare.extend(bases().flat_map(|outer| inner().map(move |inner| Self::Base64Twice(inner, outer))));
        rare
    }

    /// The form of a part.
    pub(super) fn form(self, part: &[u8]) -> Option<Form> {
        let plain = |bytes: Vec<u8>| Some(Form { fray: Fray::default(), open_from: 1, ..Form::of(bytes) });
        let text = || std::str::from_utf8(part).ok();
        match self {
            Self::Plain => plain(part.to_vec()),
            Self::Utf16(order) => plain(trim_zeros(&encoded(part, Bytes::Utf16(order))?).to_vec()),
            Self::Utf16Read(order) => {
                let bytes = encoded(part, Bytes::Utf16(order))?;
                plain(String::from_utf8_lossy(trim_zeros(&bytes)).into_owned().into_bytes())
            }
            Self::Hex(bytes) => {
                let digit = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or_default();
                let bytes = encoded(part, bytes)?;
                let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
                Some(Form { open_from: ENCODED_OPEN_FROM, ..Form::of(digits) })
            }
            Self::Base64(bytes, base) => base.form(&encoded(part, bytes)?),
            Self::Base64Twice(inner, outer) => outer.form(&inner.form(part)?.bytes),
            Self::ShellSingle => plain(text()?.replace('\'', r"'\''").into_bytes()),
            Self::ShellDouble => plain(text()?.replace('\'', r#"'"'"'"#).into_bytes()),
            Self::ShellEscaped => plain(escaped(text()?, |c| matches!(c, '"' | '$' | '`' | '\\'))),
            Self::ShellPunctuation => plain(escaped(text()?, |c| {
                c.is_ascii_punctuation() && !matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+')
            })),
        }
    }
}

impl Form {
    fn of(bytes: Vec<u8>) -> Self {
        let mut bytes = Zeroizing::new(bytes);
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        Self { bytes, fray: Fray::default(), open_from: 1 }
    }

    /// It, without the quotes and backslashes that were removed from the text as well.
    pub(super) fn bare(&self) -> Self {
        let mut bare = self.clone();
        bare.bytes.retain(|byte| !matches!(byte, b'\'' | b'"' | b'\\'));
        bare
    }
}

fn bases() -> impl Iterator<Item = Base64> {
    (0..3).flat_map(|shift| [false, true].map(|url| Base64 { shift, url }))
}

fn encoded(part: &[u8], bytes: Bytes) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(match bytes {
        Bytes::Utf8 => part.to_vec(),
        Bytes::Utf16(Order::Low) => std::str::from_utf8(part).ok()?.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Bytes::Utf16(Order::High) => {
            std::str::from_utf8(part).ok()?.encode_utf16().flat_map(u16::to_be_bytes).collect()
        }
    }))
}

/// The zeros at the ends are the first to be lost, and what reads bytes as text replaces what is not UTF-8.
fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

impl Base64 {
    /// Base64 packs three bytes into four characters, so a value looks different at each of three offsets. Characters that
    /// hold bits of a neighbour are kept apart.
    fn form(self, bytes: &[u8]) -> Option<Form> {
        let shift = usize::from(self.shift);
        let mut shifted = Zeroizing::new(vec![0; shift]);
        shifted.extend_from_slice(bytes);
        let mut text = Zeroizing::new(STANDARD_NO_PAD.encode(&*shifted).into_bytes());
        if self.url {
            text.iter_mut().for_each(|byte| *byte = url_digit(*byte));
        }
        let first = (shift * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        let stable = text.get(first..last)?.to_vec();
        let edge = |at: usize, others: u8| {
            let own = base64_value(*text.get(at)?)?;
            Some(Edge { own: own & !others, others, url: self.url })
        };
        let before = match shift {
            1 => edge(1, 0b11_0000),
            2 => edge(2, 0b11_1100),
            _ => None,
        };
        let behind = match shifted.len() * 8 % 6 {
            2 => edge(last, 0b00_1111),
            4 => edge(last, 0b00_0011),
            _ => None,
        };
        Some(Form { fray: Fray { before, behind }, open_from: ENCODED_OPEN_FROM, ..Form::of(stable) })
    }
}

fn url_digit(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

/// What a base64 digit of either alphabet stands for.
fn base64_value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The base64 digit of a value.
fn base64_digit(value: u8, url: bool) -> Option<u8> {
    let digit = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".get(usize::from(value))?;
    Some(if url { url_digit(digit) } else { digit })
}

fn escaped(value: &str, special: impl Fn(char) -> bool) -> Vec<u8> {
    let mut text = String::with_capacity(value.len() * 2);
    for c in value.chars() {
        if special(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text.into_bytes()
}
