//! Foreign text made safe to show: what plugins and AWS say is neither trusted nor of a known width.

use std::borrow::Cow;

use super::style::Style;

/// `text` as one line that moves no cursor, reverses no reading order and gives no command to a CI service.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains("##") && !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            unsafe_one if is_unsafe(unsafe_one) => line.extend(unsafe_one.escape_unicode()),
            ordinary => line.push(ordinary),
        }
    }
    // Some CI services obey these anywhere in a line; the others want `::` at its beginning, and no foreign text of ours
    // stands there.
    for command in ["##[", "##vso[", "##teamcity["] {
        if line.contains(command) {
            line = line.replace(command, &command.replacen("##", "# #", 1));
        }
    }
    Cow::Owned(line)
}

/// The lines of `text`, each as [`clean`] has it.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(clean)
}

/// Control characters, and the marks that change the direction of what follows.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` cut to at most `columns`, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, columns: usize, style: Style) -> Cow<'_, str> {
    console::truncate_str(text, columns, style.ellipsis())
}

/// How many columns of a terminal `text` takes.
pub(crate) fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// `text` and as many spaces behind it as fill `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` and as many spaces before it as fill `columns`.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `1 stage`, `5 stages`.
pub(crate) fn count(number: impl Into<u64>, singular: &str) -> String {
    let number = number.into();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {singular}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_cannot_act() {
        assert_eq!(clean("plain text, naïve 漢字"), "plain text, naïve 漢字");
        assert_eq!(clean("\u{1b}[2Jgone\u{7}"), r"\u{1b}[2Jgone\u{7}");
        assert_eq!(clean("two\r\nlines\tand a tab\n"), "two  lines and a tab");
        assert_eq!(clean("a\u{202e}b"), r"a\u{202e}b");
        assert_eq!(clean("\u{9b}31m"), r"\u{9b}31m");
        assert_eq!(clean("x ##vso[task.setvariable]y"), "x # #vso[task.setvariable]y");
        assert_eq!(clean("## a heading"), "## a heading");
    }

    #[test]
    fn widths_are_columns_not_characters() {
        assert_eq!(pad("漢字", 6), "漢字  ");
        assert_eq!(pad_left("12", 4), "  12");
        assert_eq!(cut("漢字漢字", 5, Style::UNICODE), "漢字…");
        assert_eq!(cut("abcdefgh", 6, Style::ASCII), "abc...");
        assert_eq!(count(1_u32, "call"), "1 call");
        assert_eq!(count(0_u32, "call"), "0 calls");
    }
}
