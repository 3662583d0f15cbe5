//! What must come back exactly as it was, written down without the secrets in it.
//!
//! The main type is [`Sealed`]: a JSON value in which a reference stands wherever a secret stood, by which
//! [`Redactor::open`] puts it back. What is shown of one ([`Sealed::shown`]) is another type and never comes back.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::form::How;
use super::matcher::{FormPiece, Matcher, SecretId, masked_as};
use super::part::Part;
use super::spelling::{Chain, Spelling};
use super::view::Encoding;
use super::{Redactor, SecretError};

/// A JSON value without the secrets that stand in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(Value);

/// What people are shown of a [`Sealed`] value: masked, and nothing that a run may go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Shown(Value);

/// The one member of an object that is no object of the value's own. An object of its own with this member is written as a
/// [`SealedValue::Object`], too.
const MARK: &str = "$kiln";

/// How deep a sealed value may be: `serde_json` reads 128 levels, and records are around it.
const DEEPEST: usize = 100;

/// What stands under [`MARK`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SealedValue {
    /// A string.
    Text(Vec<Scrap>),
    /// A number, as it is written.
    Number(Vec<Scrap>),
    /// A list of bytes, as it is written.
    Bytes(Vec<Scrap>),
    /// An object whose keys hold secrets, or could be taken for this.
    Object { keys: Vec<Vec<Scrap>>, values: Vec<Value> },
}

/// A scrap of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scrap {
    Text(String),
    Secret(Box<SecretScrap>),
}

/// Where in which secret a scrap of text comes from, and how it is spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SecretScrap {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Part::is_empty")]
    part: Part,
    #[serde(default, skip_serializing_if = "is_default")]
    how: How,
    #[serde(default, skip_serializing_if = "is_default")]
    bare: bool,
    /// Which bytes of the form, where it is not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slice: Option<(usize, usize)>,
    /// What the neighbours add to digits that they share with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<u8>,
    /// The outermost encoding first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spelled: Vec<Spelling>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Sealed {
    /// What people may be shown of it.
    pub fn shown(&self) -> Shown {
        Shown(show(&self.0))
    }

    /// A value of the host's own: names, instants, versions. What is structure holds no secret.
    pub fn structure(value: Value) -> Self {
        Self(seal(&Matcher::default(), &value).unwrap_or(Value::Null))
    }

    /// The value, where nothing in it was left out.
    pub fn whole(&self) -> Option<&Value> {
        is_whole(&self.0).then_some(&self.0)
    }

    /// As it is written.
    pub(crate) fn written(&self) -> &Value {
        &self.0
    }

    /// The secrets that it refers to.
    pub fn secrets(&self) -> BTreeSet<SecretId> {
        let mut found = BTreeSet::new();
        refer_to(&self.0, &mut found);
        found
    }
}

impl Shown {
    /// It, to be shown.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// It, as text: a string as it is, anything else as JSON.
    pub fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", show(&self.0))
    }
}

impl Redactor {
    /// `value` without the secrets that stand in it.
    ///
    /// # Errors
    /// A secret stands in it so that it could not be put back, or it would be too deep to be read again.
    pub fn seal(&self, value: &Value) -> Result<Sealed, SecretError> {
        let matcher = self.matcher();
        let sealed = Sealed(seal(&matcher, value)?);
        if depth(&sealed.0) > DEEPEST {
            return Err(SecretError::TooDeep);
        }
        // Nothing is written that could not be read: what is put back is compared before it counts.
        if sealed.whole().is_none() && open(&matcher, &sealed.0)? != *value {
            return Err(SecretError::Spelling);
        }
        Ok(sealed)
    }

    /// `text`, as [`seal`](Self::seal).
    pub fn seal_text(&self, text: &str) -> Result<Sealed, SecretError> {
        self.seal(&Value::from(text))
    }

    /// The value that was sealed, exactly as it was.
    ///
    /// # Errors
    /// A secret of it is not known, or not in the version that it was sealed with.
    pub fn open(&self, sealed: &Sealed) -> Result<Value, SecretError> {
        open(&self.matcher(), &sealed.0)
    }

    /// The text that was sealed.
    pub fn open_text(&self, sealed: &Sealed) -> Result<String, SecretError> {
        match self.open(sealed)? {
            Value::String(text) => Ok(text),
            _ => Err(SecretError::Malformed),
        }
    }
}

// JSON that was parsed is at most 128 deep, which bounds the recursion of all these.
fn seal(matcher: &Matcher, value: &Value) -> Result<Value, SecretError> {
    Ok(match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => match scraps(matcher, &number.to_string())? {
            Some(scraps) => node(SealedValue::Number(scraps))?,
            None => value.clone(),
        },
        Value::String(text) => match scraps(matcher, text)? {
            Some(scraps) => node(SealedValue::Text(scraps))?,
            None => value.clone(),
        },
        Value::Array(items) => {
            if are_bytes(items)
                && let Some(scraps) = scraps(matcher, &value.to_string())?
            {
                return node(SealedValue::Bytes(scraps));
            }
            Value::Array(items.iter().map(|item| seal(matcher, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => seal_object(matcher, members)?,
    })
}

fn seal_object(matcher: &Matcher, members: &Map<String, Value>) -> Result<Value, SecretError> {
    let mut keys = Vec::with_capacity(members.len());
    let mut values = Vec::with_capacity(members.len());
    let mut own = !members.contains_key(MARK);
    for (key, member) in members {
        let scraps = scraps(matcher, key)?;
        own &= scraps.is_none();
        keys.push(scraps.unwrap_or_else(|| vec![Scrap::Text(key.clone())]));
        values.push(seal(matcher, member)?);
    }
    if own {
        return Ok(Value::Object(members.keys().cloned().zip(values).collect()));
    }
    node(SealedValue::Object { keys, values })
}

fn node(node: SealedValue) -> Result<Value, SecretError> {
    let inner = serde_json::to_value(node).map_err(|_| SecretError::Malformed)?;
    Ok(Value::Object(Map::from_iter([(MARK.to_owned(), inner)])))
}

/// Whether a list could be bytes that stand for text.
fn are_bytes(items: &[Value]) -> bool {
    items.len() >= super::MIN_LENGTH && items.iter().all(|item| item.as_u64().is_some_and(|byte| byte < 256))
}

/// The scraps that `text` consists of; none where no secret is in it.
fn scraps(matcher: &Matcher, text: &str) -> Result<Option<Vec<Scrap>>, SecretError> {
    let pieces = matcher.pieces(text);
    if pieces.is_empty() {
        return Ok(None);
    }
    let mut scraps = Vec::new();
    let mut done = 0;
    let mut chains: Vec<(Vec<Encoding>, Chain)> = Vec::new();
    let begins: Vec<usize> = pieces.iter().skip(1).map(|piece| piece.range().start).chain([text.len()]).collect();
    for (piece, next) in pieces.into_iter().zip(begins) {
        if !chains.iter().any(|(path, _)| *path == piece.path) {
            chains.push((piece.path.clone(), Chain::of(text.as_bytes(), &piece.path)));
        }
        let chain = chains.iter().find(|(path, _)| *path == piece.path).map(|(_, chain)| chain);
        let chain = chain.ok_or(SecretError::Spelling)?;
        let Some((start, end, reference)) = refer(matcher, text, done..next, piece, chain)? else { continue };
        let before = text.get(done..start).ok_or(SecretError::Spelling)?;
        if !before.is_empty() {
            scraps.push(Scrap::Text(before.to_owned()));
        }
        scraps.push(Scrap::Secret(Box::new(reference)));
        done = end;
    }
    let rest = text.get(done..).ok_or(SecretError::Spelling)?;
    if !rest.is_empty() {
        scraps.push(Scrap::Text(rest.to_owned()));
    }
    Ok(scraps.iter().any(|scrap| matches!(scrap, Scrap::Secret(_))).then_some(scraps))
}

/// A reference to a piece, and where that begins and ends; none where it is less than a character. Digits that it shares are its own
/// within `free`, between the pieces beside it.
fn refer(
    matcher: &Matcher,
    text: &str,
    free: Range<usize>,
    mut piece: FormPiece<'_>,
    chain: &Chain,
) -> Result<Option<(usize, usize, SecretScrap)>, SecretError> {
    while piece.spans.first().is_some_and(|span| !text.is_char_boundary(span.0 as usize)) {
        piece.spans.remove(0);
        piece.slice.start += 1;
        piece.before = None;
    }
    while piece.spans.last().is_some_and(|span| !text.is_char_boundary(span.1 as usize)) {
        piece.spans.pop();
        piece.slice.end -= 1;
        piece.behind = None;
    }
    if piece.spans.is_empty() {
        return Ok(None);
    }
    let mut range = piece.range();
    let (mut spelled, bytes) = chain.spellings(range.clone()).ok_or(SecretError::Spelling)?;
    spelled.retain(|spelling| !spelling.is_plain());
    if piece.sought.form.bytes.get(piece.slice.clone()) != Some(bytes.as_slice()) {
        return Err(SecretError::Spelling);
    }
    let digit_at = |at: usize| text.as_bytes().get(at).copied();
    let before = piece.before.filter(|(at, _)| *at + 1 == range.start && *at >= free.start);
    let before = before.and_then(|(at, edge)| edge.neighbour(digit_at(at)?));
    let behind = piece.behind.filter(|(at, _)| *at == range.end && *at < free.end);
    let behind = behind.and_then(|(at, edge)| edge.neighbour(digit_at(at)?));
    range.start -= usize::from(before.is_some());
    range.end += usize::from(behind.is_some());
    let id = matcher.id(piece.sought.secret).ok_or(SecretError::Malformed)?;
    let whole = piece.slice == (0..piece.sought.form.bytes.len());
    let reference = SecretScrap {
        name: id.name.clone(),
        version: id.version.clone(),
        part: piece.sought.part.as_ref().clone(),
        how: piece.sought.how,
        bare: piece.sought.bare,
        slice: (!whole).then_some((piece.slice.start, piece.slice.end)),
        before,
        behind,
        spelled,
    };
    Ok(Some((range.start, range.end, reference)))
}

fn open(matcher: &Matcher, sealed: &Value) -> Result<Value, SecretError> {
    Ok(match sealed {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => sealed.clone(),
        Value::Array(items) => Value::Array(items.iter().map(|item| open(matcher, item)).collect::<Result<_, _>>()?),
        Value::Object(members) => match marked(members)? {
            None => {
                let opened = members.iter().map(|(key, member)| Ok((key.clone(), open(matcher, member)?)));
                Value::Object(opened.collect::<Result<_, SecretError>>()?)
            }
            Some(SealedValue::Text(scraps)) => Value::from(restored(matcher, &scraps)?.as_str()),
            Some(SealedValue::Number(scraps) | SealedValue::Bytes(scraps)) => {
                serde_json::from_str(&restored(matcher, &scraps)?).map_err(|_| SecretError::Malformed)?
            }
            Some(SealedValue::Object { keys, values }) => {
                let mut opened = Map::with_capacity(keys.len());
                for (key, member) in keys.iter().zip(&values) {
                    opened.insert(restored(matcher, key)?.to_string(), open(matcher, member)?);
                }
                Value::Object(opened)
            }
        },
    })
}

/// What stands under the mark of an object that is none.
fn marked(members: &Map<String, Value>) -> Result<Option<SealedValue>, SecretError> {
    match members.get(MARK) {
        Some(inner) if members.len() == 1 => {
            serde_json::from_value(inner.clone()).map(Some).map_err(|_| SecretError::Malformed)
        }
        // Such an object is only ever written as a node.
        Some(_) => Err(SecretError::Malformed),
        None => Ok(None),
    }
}

fn restored(matcher: &Matcher, scraps: &[Scrap]) -> Result<Zeroizing<String>, SecretError> {
    let mut text = Zeroizing::new(String::new());
    for scrap in scraps {
        match scrap {
            Scrap::Text(literal) => text.push_str(literal),
            Scrap::Secret(reference) => text.push_str(&reference.text(matcher)?),
        }
    }
    Ok(text)
}

impl SecretScrap {
    /// The text that it stands for.
    fn text(&self, matcher: &Matcher) -> Result<Zeroizing<String>, SecretError> {
        let id = SecretId { name: self.name.clone(), version: self.version.clone() };
        let Some(secret) = matcher.secret(&id) else { return Err(SecretError::Unknown(id)) };
        self.spelled_from(secret.part(&self.part)).ok_or(SecretError::Unlike(id))
    }

    fn spelled_from(&self, part: Option<Zeroizing<Vec<u8>>>) -> Option<Zeroizing<String>> {
        let form = self.how.form(&part?)?;
        let form = if self.bare { form.bare() } else { form };
        let (from, to) = self.slice.unwrap_or((0, form.bytes.len()));
        let mut bytes = Zeroizing::new(form.bytes.get(from..to)?.to_vec());
        for spelling in self.spelled.iter().rev() {
            bytes = Zeroizing::new(spelling.spell(&bytes)?);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() + 2));
        if let Some(added) = self.before {
            text.push(form.fray.before?.digit(added)?);
        }
        text.extend_from_slice(&bytes);
        if let Some(added) = self.behind {
            text.push(form.fray.behind?.digit(added)?);
        }
        Some(Zeroizing::new(std::str::from_utf8(&text).ok()?.to_owned()))
    }
}

fn show(sealed: &Value) -> Value {
    match sealed {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => sealed.clone(),
        Value::Array(items) => Value::Array(items.iter().map(show).collect()),
        Value::Object(members) => match marked(members) {
            Ok(None) => Value::Object(members.iter().map(|(key, member)| (key.clone(), show(member))).collect()),
            Ok(Some(SealedValue::Text(scraps) | SealedValue::Number(scraps) | SealedValue::Bytes(scraps))) => {
                masked(&scraps).into()
            }
            Ok(Some(SealedValue::Object { keys, values })) => {
                let mut shown = Map::with_capacity(keys.len());
                for (key, member) in keys.iter().zip(&values) {
                    // Two keys may become one; neither member may be lost.
                    let key = masked(key);
                    let further = (2..).map(|count| format!("{key} ({count})"));
                    let mut free = std::iter::once(key.clone()).chain(further).filter(|name| !shown.contains_key(name));
                    let name = free.next().unwrap_or_default();
                    drop(free);
                    shown.insert(name, show(member));
                }
                Value::Object(shown)
            }
            Err(_) => Value::from("[cannot be read]"),
        },
    }
}

fn masked(scraps: &[Scrap]) -> String {
    let mut text = String::new();
    let mut last: Option<&str> = None;
    for scrap in scraps {
        match scrap {
            Scrap::Text(literal) => {
                text.push_str(literal);
                last = None;
            }
            // One secret in several pieces is shown as one.
            Scrap::Secret(reference) if last == Some(&reference.name) && reference.slice.is_some() => {}
            Scrap::Secret(reference) => {
                text.push_str(&masked_as(&reference.name));
                last = Some(&reference.name);
            }
        }
    }
    text
}

fn is_whole(sealed: &Value) -> bool {
    match sealed {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => items.iter().all(is_whole),
        Value::Object(members) => !members.contains_key(MARK) && members.values().all(is_whole),
    }
}

fn refer_to(sealed: &Value, found: &mut BTreeSet<SecretId>) {
    let mut scraps_of = |scraps: &[Scrap]| {
        for scrap in scraps {
            if let Scrap::Secret(reference) = scrap {
                found.insert(SecretId { name: reference.name.clone(), version: reference.version.clone() });
            }
        }
    };
    match sealed {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(|item| refer_to(item, found)),
        Value::Object(members) => match marked(members) {
            Ok(Some(SealedValue::Text(scraps) | SealedValue::Number(scraps) | SealedValue::Bytes(scraps))) => {
                scraps_of(&scraps)
            }
            Ok(Some(SealedValue::Object { keys, values })) => {
                keys.iter().for_each(|key| scraps_of(key));
                values.iter().for_each(|value| refer_to(value, found));
            }
            Ok(None) | Err(_) => members.values().for_each(|member| refer_to(member, found)),
        },
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
    }
}
