//! Keeps secrets out of what is written: console, events, journal, reports, error texts.
//!
//! The main type is [`Redactor`]. It knows the values that the runner has read and masks each as `[secret NAME]`, in the
//! encodings in which values usually leak. Compressed, reversed or encrypted forms cannot be recognised: the real control
//! is that a stage does not get the bytes in the first place.

mod forms;
mod masked;
mod matcher;
mod sanitise;
mod stream;
mod view;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use zeroize::Zeroizing;

pub use sanitise::sanitise;
pub use stream::StreamRedactor;

use matcher::{Matcher, Secret};

/// The shortest value that is masked: a shorter one would be found in ordinary text.
pub const MIN_LENGTH: usize = 8;

/// Why a value cannot be masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// It is too short.
    #[error(
        "the secret {name} has only {length} characters; values under {MIN_LENGTH} would be found in ordinary text and \
         are not masked. Use a longer value"
    )]
    TooShort {
        /// The secret's name.
        name: String,
        /// How many characters its value has.
        length: usize,
    },
    /// There are more values than can be looked for.
    #[error("the secret {name} cannot be masked, because there are too many or too large ones: {reason}")]
    TooLarge {
        /// The secret's name.
        name: String,
        /// What the matcher says.
        reason: String,
    },
}

/// What of a secret that is JSON is not masked by itself. The value as a whole is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masked {
    /// JSON pointers of leaves under [`MIN_LENGTH`] characters: worth a warning, since one of them may be the password.
    pub short_leaves: Vec<String>,
}

/// Masks secrets. Clones know the same secrets, also those that are added later.
#[derive(Clone, Default)]
pub struct Redactor {
    matcher: Arc<RwLock<Arc<Matcher>>>,
}

impl Redactor {
    /// A redactor of (name, value) pairs.
    pub fn new<N: Into<String>, V: Into<String>>(
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, RedactError> {
        let redactor = Self::default();
        for (name, value) in secrets {
            redactor.add(name, value)?;
        }
        Ok(redactor)
    }

    /// Mask `value` as `[secret NAME]` from now on. Where it is JSON, each of its leaves too.
    pub fn add(&self, name: impl Into<String>, value: impl Into<String>) -> Result<Masked, RedactError> {
        let secret = Secret { name: name.into(), value: Zeroizing::new(value.into()) };
        let length = secret.value.trim().chars().count();
        if length < MIN_LENGTH {
            return Err(RedactError::TooShort { name: secret.name.clone(), length });
        }
        let masked = Masked { short_leaves: forms::short_leaves(&secret.value) };
        let mut slot = self.matcher.write().unwrap_or_else(PoisonError::into_inner);
        if !slot.knows(&secret) {
            let name = secret.name.clone();
            let next = slot.with(secret).map_err(|reason| RedactError::TooLarge { name, reason })?;
            *slot = Arc::new(next);
        }
        Ok(masked)
    }

    /// `text` with every secret masked.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let matcher = self.matcher();
        let found = matcher.find(text);
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(matcher.mask(text, 0, &found)) }
    }

    /// A line of untrusted text, fit for a terminal and a CI log: [sanitised](sanitise()), then masked, since a secret may
    /// have been hidden between what the first removes.
    pub fn untrusted(&self, text: &str) -> String {
        let clean = sanitise(text);
        match self.text(&clean) {
            Cow::Borrowed(_) => clean,
            Cow::Owned(masked) => masked,
        }
    }

    /// Mask in every string of a JSON value, keys included, and in numbers.
    pub fn json(&self, value: &mut Value) {
        let matcher = self.matcher();
        if !matcher.is_empty() {
            mask_json(&matcher, value);
        }
    }

    /// For text that comes in pieces.
    pub fn stream<T>(&self) -> StreamRedactor<T> {
        StreamRedactor::new(self.clone())
    }

    fn matcher(&self) -> Arc<Matcher> {
        Arc::clone(&self.matcher.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.matcher().names().collect::<Vec<_>>()).finish()
    }
}

// JSON that was parsed is at most 128 deep, which bounds the recursion.
fn mask_json(matcher: &Matcher, value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            let text = number.to_string();
            let found = matcher.find(&text);
            if !found.is_empty() {
                *value = Value::String(matcher.mask(&text, 0, &found));
            }
        }
        Value::String(text) => {
            let found = matcher.find(text);
            if !found.is_empty() {
                *text = matcher.mask(text, 0, &found);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask_json(matcher, item)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| mask_json(matcher, member));
            if members.keys().any(|key| !matcher.find(key).is_empty()) {
                let mut masked = serde_json::Map::with_capacity(members.len());
                for (key, member) in std::mem::take(members) {
                    let found = matcher.find(&key);
                    let key = if found.is_empty() { key } else { matcher.mask(&key, 0, &found) };
                    // Two keys may become one; neither member may be lost.
                    let mut unique = key.clone();
                    let mut count = 2;
                    while masked.contains_key(&unique) {
                        unique = format!("{key} ({count})");
                        count += 1;
                    }
                    masked.insert(unique, member);
                }
                *members = masked;
            }
        }
    }
}
