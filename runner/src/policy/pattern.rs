//! Resources that a grant covers: literal text and wildcards, which never mix.
//!
//! The main type is [`ResourcePattern`]. It matches more narrowly than IAM does: a wildcard never leaves its part of the ARN.

use std::fmt;

use serde_json::Value;

/// What a grant covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourcePattern {
    /// `*`: for an action that IAM does not tie to a resource.
    Everything,
    /// The ARNs that fit.
    Arns(ArnPattern),
}

/// The ARNs that fit a text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArnPattern(Vec<PatternPiece>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternPiece {
    /// This very text, whatever characters it holds.
    Text(String),
    /// `*`: any run of characters but `:`. Where it is all the rest of its part (behind `:` or `/`, before `:` or the
    /// end), `/` too: there it stands for a whole name, and names of repositories, roles and log streams hold `/`.
    Run,
    /// `?`: one character but `:` and `/`.
    One,
}

impl PatternPiece {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Run | Self::One => 1,
        }
    }
}

impl ArnPattern {
    /// Pieces of text that follow each other become one, so that equal patterns are equal.
    pub(super) fn new(pieces: impl IntoIterator<Item = PatternPiece>) -> Self {
        let mut joined: Vec<PatternPiece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(PatternPiece::Text(before)), PatternPiece::Text(text)) => before.push_str(&text),
                (Some(PatternPiece::Run), PatternPiece::Run) => {}
                (_, piece) => joined.push(piece),
            }
        }
        Self(joined)
    }

    /// Whether `arn` fits.
    pub fn matches(&self, arn: &str) -> bool {
        let mut tokens = Vec::new();
        for (index, piece) in self.0.iter().enumerate() {
            match piece {
                PatternPiece::Text(text) => tokens.extend(text.chars().map(PatternToken::Char)),
                PatternPiece::One => tokens.push(PatternToken::One),
                PatternPiece::Run => {
                    let before = index.checked_sub(1).and_then(|before| self.0.get(before));
                    let begins = matches!(before, Some(PatternPiece::Text(text)) if text.ends_with([':', '/']));
                    let ends = match self.0.get(index + 1) {
                        None => true,
                        Some(PatternPiece::Text(text)) => text.starts_with(':'),
                        Some(PatternPiece::Run | PatternPiece::One) => false,
                    };
                    tokens.push(PatternToken::Run { slash: begins && ends });
                }
            }
        }
        matches(&tokens, &arn.chars().collect::<Vec<_>>())
    }

    /// The one ARN that fits, where it has no wildcard.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [PatternPiece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// As IAM writes it: what is special to IAM in a literal text is escaped.
    fn iam(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                PatternPiece::Run => text.push('*'),
                PatternPiece::One => text.push('?'),
                PatternPiece::Text(literal) => {
                    for c in literal.chars() {
                        match c {
                            '*' | '?' | '$' => {
                                text.push_str("${");
                                text.push(c);
                                text.push('}');
                            }
                            c => text.push(c),
                        }
                    }
                }
            }
        }
        text
    }
}

#[derive(Clone, Copy)]
enum PatternToken {
    Char(char),
    One,
    Run { slash: bool },
}

/// Walks through the text with the set of all places in the pattern that it may have led to: linear in both lengths,
/// whatever a pattern or an ARN is made of.
fn matches(tokens: &[PatternToken], text: &[char]) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    let close = |at: &mut Vec<bool>| {
        for (index, token) in tokens.iter().enumerate() {
            if matches!(token, PatternToken::Run { .. })
                && at.get(index).copied().unwrap_or_default()
                && let Some(next) = at.get_mut(index + 1)
            {
                *next = true;
            }
        }
    };
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    close(&mut at);
    for &c in text {
        let mut next = vec![false; tokens.len() + 1];
        for (index, token) in tokens.iter().enumerate() {
            if !at.get(index).copied().unwrap_or_default() {
                continue;
            }
            let (stays, goes) = match token {
                PatternToken::Char(expected) => (false, *expected == c),
                PatternToken::One => (false, c != ':' && c != '/'),
                PatternToken::Run { slash } => (c != ':' && (*slash || c != '/'), false),
            };
            if stays && let Some(slot) = next.get_mut(index) {
                *slot = true;
            }
            if goes && let Some(slot) = next.get_mut(index + 1) {
                *slot = true;
            }
        }
        close(&mut next);
        if !next.contains(&true) {
            return false;
        }
        at = next;
    }
    at.last().copied().unwrap_or_default()
}

impl ResourcePattern {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Everything => 1,
            Self::Arns(pattern) => pattern.0.iter().map(PatternPiece::size).sum(),
        }
    }

    /// For an IAM document.
    pub(super) fn iam(&self) -> Value {
        match self {
            Self::Everything => Value::from("*"),
            Self::Arns(pattern) => Value::from(pattern.iam()),
        }
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Arns(pattern) => f.write_str(&pattern.iam()),
        }
    }
}
