//! Words on stderr, made harmless for the terminal: paths, plugins and AWS may have written any part of them.
//!
//! The main functions are [`complain`] and [`note`].

use std::io::{self, Write as _};

use super::exit::Exit;
use crate::diagnostic::visible;
use crate::secrets::redact::sanitise;

/// Say on stderr what the reader should know although nothing went wrong.
pub(super) fn note(message: &str) {
    say(&paragraph("note", message));
}

/// Say on stderr what went wrong and what to do, and answer `exit`.
pub(super) fn complain(message: &str, help: Option<&str>, exit: Exit) -> Exit {
    let help = help.map(|help| format!("  {}", paragraph("help", help))).unwrap_or_default();
    say(&format!("{}{help}", paragraph("error", message)));
    exit
}

/// Write what is harmless already.
pub(super) fn say(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A message under its label.
fn paragraph(label: &str, message: &str) -> String {
    indented(&format!("{label}: {message}"))
}

/// `text`, harmless, of which only the first line begins where lines of kiln begin, whatever breaks of lines are in it.
pub(super) fn indented(text: &str) -> String {
    harmless(text.trim_end()).replace('\n', "\n    ") + "\n"
}

/// `text` with what would do something to a terminal written out, and without what a CI service takes for a command.
pub(super) fn harmless(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(visible).collect();
    sanitise(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_act_on_a_terminal_or_a_ci_service() {
        assert_eq!(paragraph("error", "cannot read a.toml: gone"), "error: cannot read a.toml: gone\n");
        assert_eq!(paragraph("error", "\u{1b}[2J\u{202e}x\u{7}"), "error: \\u{001B}[2J\\u{202E}x\\u{0007}\n");
        assert_eq!(paragraph("note", "a\nerror: b\r\n::error::c"), "note: a\n    error: b\n    : :error::c\n");
        assert_eq!(paragraph("note", "##vso[x]"), "note: # #vso[x]\n");
    }
}
