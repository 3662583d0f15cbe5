//! Text that is fitted into columns of a terminal: cut, padded, measured. Foreign text is made [harmless](crate::harmless) before.

use std::borrow::Cow;

use super::style::Style;
pub(crate) use crate::words::{count, grouped};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_columns_not_characters() {
        assert_eq!(pad("漢字", 6), "漢字  ");
        assert_eq!(pad_left("12", 4), "  12");
        assert_eq!(cut("漢字漢字", 5, Style::UNICODE), "漢字…");
        assert_eq!(cut("abcdefgh", 6, Style::ASCII), "abc...");
    }
}
