//! Foreign text without what would act in it.
//!
//! The main function is [`sanitise`].

use std::iter::Peekable;
use std::str::Chars;

use super::character::is_hidden;
use super::command::break_up;

/// `text` without terminal escapes, control characters but tab and line feed, and characters that reorder or hide text;
/// and with what CI systems take for commands broken up by a space: `::error::` becomes `: :error::`, `##[` `# #[`.
pub fn sanitise(text: &str) -> String {
    let plain = strip(text);
    let mut safe = String::with_capacity(plain.len());
    for (index, line) in plain.split('\n').enumerate() {
        if index > 0 {
            safe.push('\n');
        }
        safe.push_str(&break_up(line));
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
            c if is_hidden(c) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_lines_are_made_harmless() {
        for (text, expected) in [
            ("plain \tüñí 🔥", "plain \tüñí 🔥"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text\u{1b}]8;;http://x\u{1b}\\link", "textlink"),
            ("\u{1b}P1$r\u{1b}\\a\u{1b}(Bb\u{1b}c", "ab"),
            ("\u{9b}31mred\u{9d}0;t\u{9c}x", "redx"),
            ("\u{1b}]never ended\nnext", "\nnext"),
            ("\u{1b}[12\u{e9}x", "éx"),
            ("\u{1b}\u{1b}[31mx\u{1b}", "x"),
            ("progress 1\rprogress 2\r\n", "progress 1progress 2\n"),
            ("a\u{0}b\u{8}c\u{7f}d\u{85}e\u{2028}f", "abcd\ne\nf"),
            ("user\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}", "usergpj.exe"),
            ("::set-output name=x::y", ": :set-output name=x::y"),
            ("  ::add-mask::x", "  : :add-mask::x"),
            ("\u{1b}[0m:\u{200b}:error::x", ": :error::x"),
            ("std::vec and a::b", "std::vec and a::b"),
            ("ok\n::error::x", "ok\n: :error::x"),
            ("ok\u{b}::error::x", "ok\n: :error::x"),
            ("##[error]x", "# #[error]x"),
            ("x ##vso[task.setvariable variable=a]b", "x # #vso[task.setvariable variable=a]b"),
            ("##teamcity[buildStop]", "# #teamcity[buildStop]"),
            ("#\u{1b}[0m##[x]", "# # #[x]"),
            ("## heading ###", "## heading ###"),
        ] {
            assert_eq!(sanitise(text), expected, "{text:?}");
            assert_eq!(sanitise(&sanitise(text)), expected, "{text:?}: twice is as once");
        }
    }
}
