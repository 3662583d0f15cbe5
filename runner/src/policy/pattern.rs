//! Resources that a grant covers: literal text and wildcards, which never mix.
//!
//! The main type is [`Pattern`]. It matches more narrowly than IAM does: a wildcard never leaves its part of the ARN.

use std::fmt;

use serde_json::Value;

/// What a grant covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// `*`: for an action that IAM does not tie to a resource.
    Everything,
    /// The ARNs that fit.
    Arns(ArnPattern),
}

/// The ARNs that fit a text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArnPattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// This very text, whatever characters it holds.
    Text(String),
    /// `*`: any run of characters but `:`. Where it is all the rest of its part (behind `:` or `/`, before `:` or the
    /// end), `/` too: there it stands for a whole name, and names of repositories, roles and log streams hold `/`.
    Run,
    /// `?`: one character but `:` and `/`.
    One,
}

impl Piece {
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
    pub(super) fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (Some(Piece::Run), Piece::Run) => {}
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
                Piece::Text(text) => tokens.extend(text.chars().map(Token::Char)),
                Piece::One => tokens.push(Token::One),
                Piece::Run => {
                    let before = index.checked_sub(1).and_then(|before| self.0.get(before));
                    let begins = matches!(before, Some(Piece::Text(text)) if text.ends_with([':', '/']));
                    let ends = match self.0.get(index + 1) {
                        None => true,
                        Some(Piece::Text(text)) => text.starts_with(':'),
                        Some(Piece::Run | Piece::One) => false,
                    };
                    tokens.push(Token::Run { slash: begins && ends });
                }
            }
        }
        matches(&tokens, &arn.chars().collect::<Vec<_>>())
    }

    /// As IAM writes it: what is special to IAM in a literal text is escaped.
    fn iam(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Run => text.push('*'),
                Piece::One => text.push('?'),
                Piece::Text(literal) => {
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
enum Token {
    Char(char),
    One,
    Run { slash: bool },
}

/// Walks through the text with the set of all places in the pattern that it may have led to: linear in both lengths,
/// whatever a pattern or an ARN is made of.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    let close = |at: &mut Vec<bool>| {
        for (index, token) in tokens.iter().enumerate() {
            if matches!(token, Token::Run { .. })
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
                Token::Char(expected) => (false, *expected == c),
                Token::One => (false, c != ':' && c != '/'),
                Token::Run { slash } => (c != ':' && (*slash || c != '/'), false),
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

impl Pattern {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Everything => 1,
            Self::Arns(pattern) => pattern.0.iter().map(Piece::size).sum(),
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

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Arns(pattern) => f.write_str(&pattern.iam()),
        }
    }
}
