//! What is wrong with a template, and where.
//!
//! The main type is [`Finding`].

use std::fmt;

/// A place in a template's text. Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where in the text.
    pub at: Position,
    /// Where in the template, such as `Resources.Web.Properties.Size`; empty where that cannot be told.
    pub path: String,
    /// What is wrong, in a sentence without an end.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    /// Something wrong at this place.
    pub fn new(at: Position, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at, path: path.into(), message: message.into(), help: None }
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the name that was perhaps meant.
    #[must_use]
    pub(crate) fn meant<'n>(self, given: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match closest(given, known) {
            Some(name) => self.help(format!("did you mean {name:?}?")),
            None => self,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// The known name that is most like the given one, if any is.
fn closest<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let given = given.to_lowercase();
    let far = |name: &str| strsim::damerau_levenshtein(&given, &name.to_lowercase());
    let (distance, name) = known.into_iter().map(|name| (far(name), name)).min()?;
    (distance <= (given.chars().count() / 3).clamp(1, 4)).then_some(name)
}
