//! Colours and symbols: the one place that knows what the reader's terminal can show.
//!
//! The main type is [`Style`].

use std::io::{self, IsTerminal};

/// What the reader's side can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
    unicode: bool,
}

/// What a piece of text means to the reader; the colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Caution,
    Accent,
    Strong,
    Faint,
}

/// A sign before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symbol {
    Done,
    Failed,
    Again,
    Idle,
    Warning,
    Interrupted,
    Running,
    Undone,
}

impl Symbol {
    fn tone(self) -> Tone {
        match self {
            Symbol::Done => Tone::Good,
            Symbol::Failed => Tone::Bad,
            Symbol::Again | Symbol::Warning | Symbol::Interrupted | Symbol::Undone => Tone::Caution,
            Symbol::Idle => Tone::Faint,
            Symbol::Running => Tone::Accent,
        }
    }
}

impl Style {
    /// No colours, no character beyond ASCII.
    pub const ASCII: Style = Style { colour: false, unicode: false };
    /// No colours, all characters.
    pub const UNICODE: Style = Style { colour: false, unicode: true };

    /// The style for a stream, by the environment variables that `variable` looks up. `NO_COLOR` wins over
    /// `CLICOLOR_FORCE`, that over `CLICOLOR`, and otherwise a terminal that is not dumb gets colours. Symbols beyond ASCII
    /// need a UTF-8 locale.
    pub fn detect(variable: impl Fn(&str) -> Option<String>, terminal: bool) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let colour = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            terminal
                && set("CLICOLOR").is_none_or(|value| value != "0")
                && set("TERM").is_none_or(|value| value != "dumb")
        };
        // As POSIX has it: the first that is set and not empty decides.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        Self { colour, unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }

    /// The style for stdout.
    pub fn of_stdout() -> Self {
        Self::detect(environment, io::stdout().is_terminal())
    }

    /// The style for stderr.
    pub fn of_stderr() -> Self {
        Self::detect(environment, io::stderr().is_terminal())
    }

    /// The same without colours.
    pub fn colourless(self) -> Self {
        Self { colour: false, ..self }
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let colour = console::Style::new().force_styling(true);
        let colour = match tone {
            Tone::Good => colour.green(),
            Tone::Bad => colour.red().bold(),
            Tone::Caution => colour.yellow(),
            Tone::Accent => colour.cyan(),
            Tone::Strong => colour.bold(),
            Tone::Faint => colour.dim(),
        };
        colour.apply_to(text).to_string()
    }

    /// The sign itself, one column wide.
    pub(crate) fn sign(self, symbol: Symbol) -> &'static str {
        let (unicode, ascii) = match symbol {
            Symbol::Done => ("✔", "+"),
            Symbol::Failed => ("✖", "x"),
            Symbol::Again => ("↻", "~"),
            Symbol::Idle => ("–", "-"),
            Symbol::Warning => ("!", "!"),
            Symbol::Interrupted => ("■", "#"),
            Symbol::Running => ("●", "*"),
            Symbol::Undone => ("↶", "<"),
        };
        if self.unicode { unicode } else { ascii }
    }

    /// The sign in its colour.
    pub(crate) fn symbol(self, symbol: Symbol) -> String {
        self.paint(symbol.tone(), self.sign(symbol))
    }

    /// What stands for text that was cut.
    pub(crate) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What stands before each line of foreign text, so that it is never mistaken for kiln's own, and no line of it begins
    /// with what a CI service takes for a command.
    pub(crate) fn margin(self) -> &'static str {
        if self.unicode { "│" } else { "|" }
    }

    /// What turns before the name of a stage at work.
    pub(crate) fn spinner(self) -> &'static [&'static str] {
        if self.unicode {
            &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
        } else {
            &["-", "\\", "|", "/"]
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)], terminal: bool) -> Style {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Style::detect(lookup, terminal)
    }

    #[test]
    fn colours_follow_the_conventions() {
        assert!(detect(&[], true).colour);
        assert!(!detect(&[], false).colour);
        assert!(!detect(&[("TERM", "dumb")], true).colour);
        assert!(!detect(&[("NO_COLOR", "1")], true).colour);
        assert!(detect(&[("NO_COLOR", "")], true).colour, "an empty NO_COLOR says nothing");
        assert!(!detect(&[("CLICOLOR", "0")], true).colour);
        assert!(detect(&[("CLICOLOR_FORCE", "1")], false).colour);
        assert!(!detect(&[("CLICOLOR_FORCE", "0")], false).colour);
        assert!(!detect(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true).colour);
    }

    #[test]
    fn symbols_beyond_ascii_need_a_utf_8_locale() {
        assert_eq!(detect(&[], false), Style::ASCII);
        assert_eq!(detect(&[("LANG", "C.UTF-8")], false), Style::UNICODE);
        assert_eq!(detect(&[("LANG", "en_GB.utf8"), ("LC_ALL", "C")], false), Style::ASCII);
        assert_eq!(detect(&[("LANG", "C"), ("LC_CTYPE", "en_GB.UTF-8"), ("LC_ALL", "")], false), Style::UNICODE);
    }

    #[test]
    fn signs_are_one_column_wide() {
        let all = [
            Symbol::Done,
            Symbol::Failed,
            Symbol::Again,
            Symbol::Idle,
            Symbol::Warning,
            Symbol::Interrupted,
            Symbol::Running,
            Symbol::Undone,
        ];
        for style in [Style::ASCII, Style::UNICODE] {
            assert!(all.iter().all(|symbol| console::measure_text_width(style.sign(*symbol)) == 1));
            assert!(style.spinner().iter().all(|frame| console::measure_text_width(frame) == 1));
        }
    }
}
