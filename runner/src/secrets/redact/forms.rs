//! The forms in which a secret's value is looked for.
//!
//! The main function is [`forms`]. Escapes (JSON, XML, percent, shell) are not listed here: the text is decoded instead,
//! see [`view`](super::view), because an encoder is free in what it escapes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::MIN_LENGTH;

/// Bytes to look for, in text from which line breaks were removed.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// How much of the encoding also holds bits of what is around it, and is therefore not part of `bytes`.
    pub(super) fray: Fray,
    /// How many of the first bytes must be seen at the end of a text before more text is waited for.
    pub(super) open_from: usize,
}

/// Hexadecimal and base64 begin like any word. Waiting for more after each letter would hold back most lines; so a
/// beginning of up to this many characters less one is let go, and what follows it is looked for without it.
const ENCODED_OPEN_FROM: usize = 4;

/// Whether the character before and the one behind a form hold bits of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fray {
    pub(super) before: bool,
    pub(super) behind: bool,
}

/// All forms of `value`.
pub(super) fn forms(value: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let value = value.trim();
    encodings(value, &mut forms);
    for leaf in leaves(value) {
        if let Leaf::Long(text) = leaf {
            encodings(text.trim(), &mut forms);
            lines(&text, &mut forms);
        }
    }
    lines(value, &mut forms);
    forms.sort_by(|one, two| one.bytes.cmp(&two.bytes));
    forms.dedup_by(|one, two| one.bytes == two.bytes);
    forms
}

/// JSON pointers of the leaves of `value` that are too short to be masked by themselves.
pub(super) fn short_leaves(value: &str) -> Vec<String> {
    leaves(value)
        .into_iter()
        .filter_map(|leaf| match leaf {
            Leaf::Short(pointer) => Some(pointer),
            Leaf::Long(_) => None,
        })
        .collect()
}

fn encodings(value: &str, forms: &mut Vec<Form>) {
    plain(value.as_bytes(), forms);
    let low = Zeroizing::new(value.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    let high = Zeroizing::new(value.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    for utf16 in [&low, &high] {
        // The zeros at the ends are the first to be lost, and what reads bytes as text replaces what is not UTF-8.
        let inner = trim_zeros(utf16);
        plain(inner, forms);
        plain(String::from_utf8_lossy(inner).as_bytes(), forms);
    }
    for bytes in [value.as_bytes(), &low, &high] {
        hex(bytes, forms);
        base64(bytes, forms);
    }
    shell(value, forms);
}

fn plain(bytes: &[u8], forms: &mut Vec<Form>) {
    push(bytes.to_vec(), Fray::default(), 1, forms);
}

fn hex(bytes: &[u8], forms: &mut Vec<Form>) {
    let digits = |alphabet: &[u8; 16]| {
        let digit = |nibble: u8| alphabet.get(usize::from(nibble)).copied().unwrap_or_default();
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<Vec<u8>>()
    };
    push_encoded(digits(b"0123456789abcdef"), Fray::default(), forms);
    push_encoded(digits(b"0123456789ABCDEF"), Fray::default(), forms);
}

/// Base64 packs three bytes into four characters, so a value looks different at each of three offsets. Characters that
/// hold bits of a neighbour are left out.
fn base64(bytes: &[u8], forms: &mut Vec<Form>) {
    for shift in 0..3 {
        let mut shifted = Zeroizing::new(vec![0; shift]);
        shifted.extend_from_slice(bytes);
        let text = Zeroizing::new(STANDARD_NO_PAD.encode(&*shifted));
        let first = (shift * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        let Some(stable) = text.as_bytes().get(first..last) else {
            continue;
        };
        let fray = Fray { before: shift > 0, behind: shifted.len() * 8 % 6 > 0 };
        push_encoded(stable.to_vec(), fray, forms);
        let url = stable.iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        push_encoded(url.collect(), fray, forms);
    }
}

/// The usual ways to quote for a shell. Others are found where quotes and backslashes are removed from the text.
fn shell(value: &str, forms: &mut Vec<Form>) {
    for quote in [r"'\''", r#"'"'"'"#] {
        plain(Zeroizing::new(value.replace('\'', quote)).as_bytes(), forms);
    }
    let escaped = |special: &dyn Fn(char) -> bool| {
        let mut text = Zeroizing::new(String::with_capacity(value.len() * 2));
        for c in value.chars() {
            if special(c) {
                text.push('\\');
            }
            text.push(c);
        }
        text
    };
    plain(escaped(&|c| matches!(c, '"' | '$' | '`' | '\\')).as_bytes(), forms);
    plain(
        escaped(&|c| c.is_ascii_punctuation() && !matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+'))
            .as_bytes(),
        forms,
    );
}

/// Each line of a value of several lines, such as a private key in PEM.
fn lines(value: &str, forms: &mut Vec<Form>) {
    if value.contains('\n') {
        // The frame of a PEM is the same for all of them and no secret.
        for line in value.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
            if line.chars().count() >= MIN_LENGTH {
                plain(line.as_bytes(), forms);
            }
        }
    }
}

enum Leaf {
    Long(Zeroizing<String>),
    Short(String),
}

/// The leaves of a value that is a JSON object or array.
fn leaves(value: &str) -> Vec<Leaf> {
    fn walk(value: &Value, pointer: String, leaves: &mut Vec<Leaf>) {
        let text = match value {
            Value::Null | Value::Bool(_) => return,
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, format!("{pointer}/{index}"), leaves);
                }
                return;
            }
            Value::Object(members) => {
                for (key, member) in members {
                    walk(member, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), leaves);
                }
                return;
            }
        };
        let text = Zeroizing::new(text);
        if text.trim().chars().count() >= MIN_LENGTH {
            leaves.push(Leaf::Long(text));
        } else if !text.trim().is_empty() {
            leaves.push(Leaf::Short(pointer));
        }
    }
    let mut leaves = Vec::new();
    if value.trim_start().starts_with(['{', '['])
        && let Ok(parsed) = serde_json::from_str::<Value>(value)
    {
        walk(&parsed, String::new(), &mut leaves);
        wipe(parsed);
    }
    leaves
}

fn wipe(value: Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| wipe(member)),
    }
}

fn push_encoded(bytes: Vec<u8>, fray: Fray, forms: &mut Vec<Form>) {
    for dropped in 1..ENCODED_OPEN_FROM {
        let rest = bytes.get(dropped..).unwrap_or_default();
        push(rest.to_vec(), Fray { before: false, ..fray }, ENCODED_OPEN_FROM, forms);
    }
    push(bytes, fray, ENCODED_OPEN_FROM, forms);
}

fn push(bytes: Vec<u8>, fray: Fray, open_from: usize, forms: &mut Vec<Form>) {
    let mut bytes = Zeroizing::new(bytes);
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    if !bytes.is_empty() {
        forms.push(Form { bytes, fray, open_from });
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}
