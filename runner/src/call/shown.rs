//! What a guest says, made fit to be shown: masked, harmless for terminals, and cut.
//!
//! The main function is [`shown`].

use crate::secrets::redact::Redactor;

/// The longest form of a secret that may lie across the place of a cut.
const LONGEST_SECRET: usize = 128 << 10;

/// `text` of at most `limit` bytes. It is masked before it is cut: half a secret would not be recognised any more.
pub(crate) fn shown(redactor: &Redactor, text: &str, limit: usize) -> String {
    let within = text.floor_char_boundary(limit.saturating_add(LONGEST_SECRET));
    let mut shown = redactor.untrusted(text.get(..within).unwrap_or_default());
    shown.truncate(shown.floor_char_boundary(limit));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_across_the_cut_is_masked_first() {
        let redactor = Redactor::new([("token", "correct horse battery")]).unwrap_or_default();
        assert_eq!(shown(&redactor, "use correct horse battery", 10), "use [secre");
        assert_eq!(shown(&redactor, "möglich", 2), "m");
        assert_eq!(shown(&redactor, "\u{1b}[2Jplain", 100), "plain");
    }
}
