//! Texts of plugins in messages about them: short, and harmless for terminals.
//!
//! The main function is [`quoted`].

use crate::harmless::sanitise;

/// The longest text of a plugin that a message shows.
const MAXIMUM_CHARACTERS: usize = 600;

/// `text` as a message may hold it.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAXIMUM_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    sanitise(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts};

    #[test]
    fn what_is_quoted_is_short_and_harmless() {
        assert_eq!(quoted("\u{1b}[2Jx\n::error::y"), "x\n: :error::y");
        for text in HOSTILE {
            assert_eq!(acts(&quoted(text)), None);
        }
        assert_eq!(quoted(&"é".repeat(601)), format!("{}…", "é".repeat(600)));
    }
}
