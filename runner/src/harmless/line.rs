//! Foreign text for people and machines: what would act in it is written out.
//!
//! The main function is [`line`].

use std::borrow::Cow;

use serde::Serialize;

use super::character::{escape, is_hidden};
use super::command::break_up;

/// `text` as one line that moves no cursor, reverses no reading order, hides nothing and gives no command to a CI service.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| matches!(c, '\n' | '\t') || is_hidden(c)) {
        return break_up(text);
    }
    let mut line = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            hidden if is_hidden(hidden) => line.extend(escape(hidden)),
            ordinary => line.push(ordinary),
        }
    }
    Cow::Owned(break_up(&line).into_owned())
}

/// The lines of `text`, each as [`line()`] has it.
pub fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(line)
}

/// `value` as JSON, over several lines where it is `pretty`: the same value to whoever parses it, and harmless to whoever looks at it.
///
/// # Errors
/// It is none that JSON has.
pub fn json(value: &impl Serialize, pretty: bool) -> serde_json::Result<String> {
    let plain = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }?;
    if !plain.contains("##") && !plain.chars().any(is_hidden) {
        return Ok(plain);
    }
    // Both stand in JSON only within its strings, where an escape is the same character.
    let mut text = String::with_capacity(plain.len() + 64);
    let mut before = ' ';
    for c in plain.chars() {
        if is_hidden(c) || (c == '#' && before == '#') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
        before = c;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_is_written_out() {
        assert_eq!(line("plain text, naïve 漢字"), "plain text, naïve 漢字");
        assert_eq!(line("\u{1b}[2Jgone\u{7}"), r"\u{1b}[2Jgone\u{7}");
        assert_eq!(line("two\r\nlines\tand a tab\n"), "two  lines and a tab");
        assert_eq!(line("a\u{202e}b\u{200b}c"), r"a\u{202e}b\u{200b}c");
        assert_eq!(line("\u{9b}31m"), r"\u{9b}31m");
        assert_eq!(line("x ##vso[task.setvariable]y"), "x # #vso[task.setvariable]y");
        assert_eq!(line("  ::error::x"), "  : :error::x");
        assert_eq!(line("\n::error::x"), " : :error::x");
        assert_eq!(line("## a heading"), "## a heading");
        assert_eq!(lines("a\r\n::b\u{1b}").collect::<Vec<_>>(), ["a", ": :b\\u{1b}"]);
    }

    #[test]
    fn json_stays_the_same_value() {
        let value =
            serde_json::json!({ "a\u{202e}": ["\u{1b}[2J", "##vso[x] ###[y]", "\u{e0041}\u{9b}", "é \"quoted\" ::x"] });
        for pretty in [false, true] {
            let text = json(&value, pretty).unwrap_or_default();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok().as_ref(), Some(&value), "{text}");
            assert!(!text.contains("##") && !text.chars().any(is_hidden), "{text}");
        }
        let plain = serde_json::json!({ "b": "naïve #1" });
        assert_eq!(json(&plain, false).ok(), serde_json::to_string(&plain).ok());
    }
}
