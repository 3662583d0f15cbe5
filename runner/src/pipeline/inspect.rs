//! What is refused in a pipeline file before it is parsed: sheer size, deep nesting, hidden characters, secrets.
//!
//! The main function is [`inspect`].

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, literal_secrets};
use crate::harmless::{escape, is_bidi, is_control, is_unseen};
use crate::words::count;

/// The largest pipeline file.
const LARGEST: usize = 1 << 20;

/// How deep arrays and inline tables may stand in one another.
const DEEPEST: usize = 32;

/// Of problems that one slip can cause by the thousand, so many are told one by one.
const TOLD: usize = 10;

/// What was found.
pub(crate) struct Inspection {
    /// The problems.
    pub(crate) diagnostics: Diagnostics,
    /// Whether the text may be given to the parser.
    pub(crate) parseable: bool,
}

/// Look through a text before it is parsed.
pub(crate) fn inspect(source: &SourceFile) -> Inspection {
    let text = source.text.as_str();
    if text.len() > LARGEST {
        let message = format!("the file is too large: {} bytes, where {LARGEST} (1 MiB) are allowed", text.len());
        let help = "a pipeline describes stages; keep data and scripts in files of their own";
        let diagnostic = Diagnostic::error("file-too-large", message).help(help);
        return Inspection { diagnostics: Diagnostics::from_iter([diagnostic]), parseable: false };
    }
    let mut diagnostics = Diagnostics::new();
    hidden_characters(text, &mut diagnostics);
    for secret in literal_secrets(text) {
        diagnostics.push(
            Diagnostic::error("literal-secret", format!("the file holds what looks like {}", secret.looks_like))
                .at(secret.span, "it is not shown here, but everybody who reads the file has it")
                .help(
                    "replace it where it is valid: it is no secret any more. Then put the new one into AWS Secrets Manager, \
                     declare it under `[secrets.NAME]` and refer to it by `${secrets.NAME}`",
                ),
        );
    }
    let mut parseable = true;
    if let Some(at) = too_deep(text) {
        parseable = false;
        diagnostics.push(
            Diagnostic::error("nested-too-deep", format!("arrays and tables are nested more than {DEEPEST} deep"))
                .at(at..at + 1, "this one is too deep")
                .help("write the inner tables under headers of their own, `[stages.NAME.with]`"),
        );
    }
    Inspection { diagnostics, parseable }
}

fn hidden_characters(text: &str, diagnostics: &mut Diagnostics) {
    let mut found: Vec<(Range<usize>, char)> = Vec::new();
    for (offset, c) in text.char_indices() {
        let windows_newline = c == '\r' && text.as_bytes().get(offset + 1) == Some(&b'\n');
        if c == '\u{FEFF}' || is_bidi(c) || (is_control(c) && !windows_newline) {
            found.push((offset..offset + c.len_utf8(), c));
        }
    }
    let more = found.len().saturating_sub(TOLD);
    for (span, c) in found.into_iter().take(TOLD) {
        diagnostics.push(match c {
            '\u{FEFF}' => Diagnostic::error("byte-order-mark", "the file holds a byte order mark (U+FEFF)")
                .at(span, "here")
                .help("save the file as UTF-8 without a byte order mark"),
            c if is_bidi(c) => Diagnostic::error(
                "bidi-character",
                format!("the file holds U+{:04X}, which changes the order in which text is shown", c as u32),
            )
            .at(span, "what stands here is not what it looks like")
            .help("delete the character: a reader must see what kiln reads"),
            c => Diagnostic::error(
                "control-character",
                format!("the file holds the control character U+{:04X}", c as u32),
            )
            .at(span, "here")
            .help("delete it: text in a pipeline must be readable"),
        });
    }
    if more > 0 {
        diagnostics.push(Diagnostic::error(
            "control-character",
            format!("the file holds {}", count(more, "more hidden character")),
        ));
    }
}

/// Where the nesting of brackets first goes beyond what is allowed. Strings and comments are passed over as TOML does;
/// text that is not TOML is judged leniently here and refused by the parser.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at = line_end(bytes, at),
            b'"' | b'\'' => {
                at = string_end(bytes, at);
                continue;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(at);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

/// The offset behind the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied().unwrap_or_default();
    let triple = [quote; 3];
    let long = bytes.get(start..start + 3) == Some(&triple);
    let mut at = start + if long { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !long => return at,
            byte if *byte == quote && !long => return at + 1,
            byte if *byte == quote && bytes.get(at..at + 3) == Some(&triple) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Hidden characters that came in through an escape such as `\u202E`: what they are, where there are any.
pub(crate) fn hidden_in(decoded: &str) -> Option<String> {
    decoded.chars().find(|c| (is_control(*c) && *c != '\r') || is_bidi(*c)).map(spelled)
}

/// Hidden characters of a key: two keys that look the same must be the same.
pub(crate) fn hidden_in_key(decoded: &str) -> Option<String> {
    decoded.chars().find(|c| is_unseen(*c)).map(spelled)
}

fn spelled(c: char) -> String {
    escape(c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_measured_outside_of_strings_and_comments() {
        assert_eq!(too_deep(&format!("a = {}", "[".repeat(DEEPEST))), None);
        assert_eq!(too_deep(&format!("a = {}", "[".repeat(DEEPEST + 1))), Some(4 + DEEPEST));
        let brackets = "[".repeat(100);
        for text in [
            format!("# {brackets}\n"),
            format!("a = \"{brackets}\""),
            format!("a = \"\\\"{brackets}\""),
            format!("a = '{brackets}\\'"),
            format!("a = \"\"\"\n{brackets}\"\"\""),
            format!("a = '''{brackets}\n'''"),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
        assert!(too_deep(&format!("a = \"x\nb = {brackets}")).is_some(), "an unclosed string ends with its line");
    }
}
