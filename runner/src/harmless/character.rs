//! The characters that are not what they look like. No other file has a list of them.
//!
//! The main function is [`is_hidden`].

/// Whether a character must not reach a terminal as it is: it moves the cursor, changes the order in which text is read, or cannot
/// be seen. The newline and the tab are none: a line never holds the one, and the other is room.
pub fn is_hidden(c: char) -> bool {
    // A schema has tens of thousands of characters, and nearly all of them are these.
    let plain = c == ' ' || c.is_ascii_graphic();
    !plain && (is_control(c) || is_bidi(c) || is_invisible(c))
}

/// Whether a character has no place in a name: it is hidden, or a control character of any kind.
pub fn is_unseen(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// Control characters but newline and tab, and Unicode's own line separators.
pub(crate) fn is_control(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that change the order in which text is shown.
pub(crate) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room, and change at most how others look: two texts that differ by them look the same.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{034F}' | '\u{180E}' | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}')
        || matches!(c, '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// How a hidden character is written.
pub(crate) fn escape(c: char) -> impl Iterator<Item = char> {
    c.escape_unicode()
}

/// What is shown in the place of a hidden character where each must take as much room as it did: Unicode's picture of a
/// control character, or the sign for "something that cannot be shown".
pub(crate) fn symbol(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1F => char::from_u32(0x2400 + code),
        0x7F => Some('\u{2421}'),
        _ => None,
    }
    .unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_not_hidden_and_what_acts_is() {
        for c in (' '..='~').chain(['é', '漢', '\u{0301}', '\u{1F468}']) {
            assert!(!is_hidden(c) && !is_unseen(c), "{c:?}");
        }
        for c in ['\u{1b}', '\u{7f}', '\u{9b}', '\r', '\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\u{e0041}'] {
            assert!(is_hidden(c) && is_unseen(c), "{c:?}");
        }
        assert!(!is_hidden('\n') && !is_hidden('\t') && is_unseen('\n') && is_unseen('\t'));
    }
}
