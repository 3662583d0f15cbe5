//! Keeps secrets out of what is written: console, events, journal, reports, error texts.
//!
//! The main type is [`Redactor`]. It knows the values that the runner has read. In what is shown it masks each as
//! `[secret NAME]`, in the encodings in which values usually leak; in what must come back as it was it puts a reference in
//! their place ([`Redactor::seal`]). Compressed, reversed or encrypted forms cannot be recognised: the real control is that
//! a stage does not get the bytes in the first place.

mod common;
mod form;
mod matcher;
mod part;
mod seal;
mod spelling;
mod stream;
mod view;

#[cfg(test)]
mod seal_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use zeroize::Zeroizing;

pub use crate::harmless::sanitise;
pub use common::Common;
pub use matcher::SecretId;
pub use seal::{Sealed, Shown};
pub use stream::StreamRedactor;

use common::PlainReason;
use matcher::{Matcher, Secret};
use part::{Part, PartStep};

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

/// Why a value cannot be written down without its secrets, or not be had back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A secret stands in it so that nothing but itself would describe it.
    #[error("a secret stands in it in a spelling that kiln cannot put back, so it is not written down")]
    Spelling,
    /// Too many levels.
    #[error("it is nested too deeply to be written down without the secrets in its keys")]
    TooDeep,
    /// The secret, or this version of it, was not read by this process.
    #[error(
        "it holds the secret {}{}, which this process does not have; without it nothing can be gone on with. See that the \
         runner may read that version of it (secretsmanager:GetSecretValue), and that it still exists",
        _0.name, version_words(_0)
    )]
    Unknown(SecretId),
    /// The secret is not what it was.
    #[error("it holds the secret {}{}, which is not what it was when it was written", _0.name, version_words(_0))]
    Unlike(SecretId),
    /// It was not written by kiln.
    #[error("what was written down in the place of a secret cannot be read")]
    Malformed,
}

fn version_words(id: &SecretId) -> String {
    id.version.as_ref().map(|version| format!(" in version {version}")).unwrap_or_default()
}

/// A value that must not be written from now on.
pub struct NewSecret<'a> {
    /// What it is.
    pub id: SecretId,
    /// The whole of it.
    pub value: Zeroizing<Vec<u8>>,
    /// The key whose value is used, where it is a JSON object and one is named.
    pub key: Option<&'a str>,
}

/// What of a secret is not masked by itself. The value as a whole is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unmasked {
    /// Leaves under [`MIN_LENGTH`] characters: worth a warning, since one of them may be the password.
    pub short: Vec<String>,
    /// Leaves that are no secret: regions, accounts, words of the pipeline.
    pub common: Vec<String>,
}

/// Masks secrets. Clones know the same secrets, also those that are added later.
#[derive(Clone, Default)]
pub struct Redactor {
    matcher: Arc<RwLock<Arc<Matcher>>>,
    common: Arc<Common>,
}

/// A part of a secret that is looked for by itself, and its bytes.
type Chosen = (Part, Zeroizing<Vec<u8>>);

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

    /// A redactor for a run that uses these words in the open.
    pub fn with_common(common: Common) -> Self {
        Self { matcher: Arc::default(), common: Arc::new(common) }
    }

    /// Mask `value` as `[secret NAME]` from now on. Where it is JSON, each of its leaves too.
    pub fn add(&self, name: impl Into<String>, value: impl Into<String>) -> Result<Unmasked, RedactError> {
        let value = Zeroizing::new(value.into().into_bytes());
        self.learn(NewSecret { id: SecretId { name: name.into(), version: None }, value, key: None })
    }

    /// Keep a secret out of all that is written from now on.
    ///
    /// # Errors
    /// It is too short, or there are too many.
    pub fn learn(&self, new: NewSecret<'_>) -> Result<Unmasked, RedactError> {
        let NewSecret { id, value, key } = new;
        let name = id.name.clone();
        let (parts, unmasked) = match std::str::from_utf8(&value) {
            Ok(text) => {
                let length = text.trim().chars().count();
                if length < MIN_LENGTH {
                    return Err(RedactError::TooShort { name, length });
                }
                self.choose(text, key)
            }
            Err(_) if value.len() < MIN_LENGTH => return Err(RedactError::TooShort { name, length: value.len() }),
            Err(_) => (vec![(Part::new(), value.clone())], Unmasked::default()),
        };
        let secret = Secret { id, value, parts };
        let mut slot = self.matcher.write().unwrap_or_else(PoisonError::into_inner);
        if !slot.knows(&secret) {
            let next = slot.with(secret).map_err(|reason| RedactError::TooLarge { name, reason })?;
            *slot = Arc::new(next);
        }
        Ok(unmasked)
    }

    /// Whether `value` holds a secret that is none of the words that everybody knows: a word of the pipeline, a region, a
    /// state may be the value of a secret, too, and says nothing of it.
    pub fn is_betrayed_by(&self, value: &Value) -> bool {
        let betrays = |text: &str| {
            let secret = |range| text.get(range).is_none_or(|found| !self.common.is_known(found));
            self.matcher().find(text).into_iter().any(|found| secret(found.range))
        };
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => betrays(&number.to_string()),
            Value::String(text) => betrays(text),
            Value::Array(items) => items.iter().any(|item| self.is_betrayed_by(item)),
            Value::Object(members) => members.iter().any(|(key, member)| betrays(key) || self.is_betrayed_by(member)),
        }
    }

    /// What of a value is looked for by itself, and what is not.
    fn choose(&self, text: &str, key: Option<&str>) -> (Vec<Chosen>, Unmasked) {
        let used = key.map(|key| PartStep::Leaf(format!("/{}", key.replace('~', "~0").replace('/', "~1"))));
        let mut chosen = Vec::new();
        let mut unmasked = Unmasked::default();
        for found in part::parts(text) {
            let named = part::name(&found.part);
            let is_used = used.is_some() && found.part.first() == used.as_ref();
            let why = match self.common.why_plain(named.as_deref().unwrap_or_default(), &found.text) {
                _ if found.part.is_empty() => None,
                // What the pipeline itself refers to is secret, whatever it looks like.
                Some(PlainReason::Common) if is_used => None,
                why => why,
            };
            match (why, named) {
                (None, _) => chosen.push((found.part, Zeroizing::new(found.text.as_bytes().to_vec()))),
                (Some(PlainReason::Short), Some(named)) => unmasked.short.push(named),
                (Some(PlainReason::Common), Some(named)) => unmasked.common.push(named),
                // A line of a text is not worth a word.
                (Some(_), None) => {}
            }
        }
        (chosen, unmasked)
    }

    /// `text` with every secret masked.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let matcher = self.matcher();
        let found = matcher.find(text);
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(matcher.mask(text, 0, &found)) }
    }

    /// A line of untrusted text, fit for a terminal and a CI log: [sanitised](sanitise()), then masked, since a secret may
    /// have been hidden between what the first removes. What the first makes of a secret is looked for, too.
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
