//! Texts of plugins in messages about them: short, and harmless for terminals.
//!
//! The main function is [`quoted`].

use crate::secrets::redact::sanitise;

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

/// Whether a character shows nothing, but does something to a terminal or to how other characters are shown.
pub(super) fn is_odd(c: char) -> bool {
    // A schema has tens of thousands of characters, and nearly all of them are these.
    let plain = c == ' ' || c.is_ascii_graphic();
    !plain && (c.is_control() || sanitise(c.encode_utf8(&mut [0; 4])).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_nothing_that_is_made_harmless() {
        for c in (' '..='~').chain(['é', '漢']) {
            assert!(!is_odd(c) && sanitise(&c.to_string()) == c.to_string(), "{c:?}");
        }
        for c in ['\u{1b}', '\u{7f}', '\u{202e}', '\u{200b}'] {
            assert!(is_odd(c), "{c:?}");
        }
    }
}
