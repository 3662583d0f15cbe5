//! Makes untrusted text harmless for terminals and CI logs.
//!
//! The main function is [`sanitise`].

use std::iter::Peekable;
use std::str::Chars;

/// `text` without terminal escapes, control characters but tab and line feed, and characters that reorder or hide text;
/// and with what CI systems take for commands broken up by a space: `::error::` becomes `: :error::`, `##[` `# #[`.
pub fn sanitise(text: &str) -> String {
    let plain = strip(text);
    let mut safe = String::with_capacity(plain.len());
    for (index, line) in plain.split('\n').enumerate() {
        if index > 0 {
            safe.push('\n');
        }
        neutralise(line, &mut safe);
    }
    safe
}

fn strip(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\t' | '\n' => plain.push(c),
            // Other breaks of a line that some terminals and CI systems honour.
            '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => plain.push('\n'),
            '\u{1b}' => escape(&mut rest),
            '\u{9b}' => control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => control_string(&mut rest),
            c if c.is_control() || is_invisible(c) => {}
            c => plain.push(c),
        }
    }
    plain
}

/// What follows an escape character.
fn escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            control_string(rest);
        }
        // Intermediate characters, then one final.
        Some('\u{20}'..='\u{2f}') => control_sequence(rest),
        Some('\u{30}'..='\u{7e}') => {
            rest.next();
        }
        Some(_) | None => {}
    }
}

/// Parameters and intermediates, then one final character. What else comes ends the sequence and is kept.
fn control_sequence(rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.peek() {
        match c {
            '\u{20}'..='\u{3f}' => {
                rest.next();
            }
            '\u{40}'..='\u{7e}' => {
                rest.next();
                return;
            }
            _ => return,
        }
    }
}

/// Up to its terminator (BEL or ST), but never beyond the line: an unterminated one must not swallow the rest.
fn control_string(rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.peek().copied() {
        if c == '\n' {
            return;
        }
        rest.next();
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                if rest.peek() == Some(&'\\') {
                    rest.next();
                }
                return;
            }
            _ => {}
        }
    }
}

/// Characters that show nothing but change how others are shown or compared.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn neutralise(line: &str, safe: &mut String) {
    // GitHub takes `::name` at the beginning of a line, behind any white space.
    let body = line.trim_start();
    let indent = line.len() - body.len();
    safe.push_str(line.get(..indent).unwrap_or_default());
    let mut rest = match body.strip_prefix("::") {
        Some(command) => {
            safe.push_str(": :");
            command
        }
        None => body,
    };
    // GitHub and Azure take `##[name]` and `##vso[`, TeamCity `##teamcity[`, anywhere in a line.
    while let Some(at) = rest.find("##") {
        let (before, marked) = rest.split_at(at);
        safe.push_str(before);
        let behind = marked.trim_start_matches('#');
        let hashes = marked.len() - behind.len();
        let word = behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if word.starts_with('[') {
            safe.extend(std::iter::repeat_n("# ", hashes - 1));
            safe.push('#');
        } else {
            safe.push_str(marked.get(..hashes).unwrap_or_default());
        }
        rest = behind;
    }
    safe.push_str(rest);
}
