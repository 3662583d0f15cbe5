//! The text that problems are found in, and how it is shown without doing harm.
//!
//! The main type is [`SourceFile`].

use std::ops::Range;

use super::problem::Diagnostic;

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path, as the user wrote it. Paths inside a pipeline are relative to its directory.
    pub name: String,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// A file's name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A file's name and its bytes, which must be UTF-8.
    ///
    /// # Errors
    /// What is wrong, and the source as far as it is text, to show it with. Boxed: it is large, and rare.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Box<(Diagnostic, Self)>> {
        let name = name.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let end = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes().get(..end).unwrap_or_default()).into_owned();
                let diagnostic = Diagnostic::error("not-utf8", format!("byte {end} of the file is not UTF-8"))
                    .at(end..end, "the text ends here")
                    .help("save the file as UTF-8");
                Err(Box::new((diagnostic, Self { name, text })))
            }
        }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let start = self.line_start(offset);
        let before = self.text.get(..start).unwrap_or_default();
        let in_line = self.text.get(start..self.floor(offset)).unwrap_or_default();
        (before.matches('\n').count() + 1, in_line.chars().count() + 1)
    }

    /// `span`, made to lie inside the text and on borders of characters.
    pub(crate) fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.floor(span.start);
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }

    /// Where the line of `offset` begins.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.text.get(..self.floor(offset)).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// Where the line of `offset` ends, without its newline.
    pub(crate) fn line_end(&self, offset: usize) -> usize {
        let offset = self.floor(offset);
        let rest = self.text.get(offset..).unwrap_or_default();
        offset + rest.find('\n').unwrap_or(rest.len())
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let source = SourceFile::new("p.toml", "a = 1\nñb = 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position(8), (2, 2));
        assert_eq!(source.position(7), (2, 1), "inside of a character means its beginning");
        assert_eq!(source.position(999), (3, 1));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let refused = SourceFile::from_bytes("p.toml", b"a = 1\nb = \"\xff\"".to_vec());
        let place = refused.map_err(|refused| refused.1.position(refused.0.span().map_or(0, |span| span.start)));
        assert_eq!(place, Err((2, 6)));
        assert_eq!(SourceFile::from_bytes("p.toml", b"a".to_vec()), Ok(SourceFile::new("p.toml", "a")));
    }
}
