//! The parts of a secret that are looked for by themselves: leaves of JSON, entries of a dotenv file, the password in a
//! URL, lines.
//!
//! The main type is [`Part`], the way from a secret's value to one of its parts. It is written into journals: a step is
//! never given another meaning.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::sanitise;

/// The way to a part: none for the value itself.
pub(super) type Part = Vec<PartStep>;

/// A step from a text to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PartStep {
    /// The leaf of a JSON document that a JSON pointer names.
    Leaf(String),
    /// The value of a name in lines of `NAME=value`.
    Entry(String),
    /// The password in a URL or in a connection string.
    Password,
    /// With percent escapes decoded.
    Unescaped,
    /// A line, counted from 0.
    Line(usize),
    /// The lines of a PEM without its frame, joined.
    Body,
    /// The last two lines of a PEM's body, joined: the last alone is often too short.
    Tail,
    /// As it is shown: without what [`sanitise`](super::sanitise()) removes.
    Shown,
}

/// How deep parts lie within parts.
const DEPTH: usize = 6;

/// So many parts are looked for; a value with more has its first ones.
const PARTS: usize = 4_096;

/// A part and its text.
pub(super) struct FoundPart {
    pub(super) part: Part,
    pub(super) text: Zeroizing<String>,
}

/// All parts of `value`, itself the first. What is known not to be secret is left to the caller.
pub(super) fn parts(value: &str) -> Vec<FoundPart> {
    let mut found = Vec::new();
    gather(value, &Part::new(), &mut found);
    found
}

/// The part of `value` that `part` leads to.
pub(super) fn part_of(value: &str, part: &[PartStep]) -> Option<Zeroizing<String>> {
    let mut text = trimmed(value);
    for step in part {
        text = step.apply(&text)?;
    }
    Some(text)
}

/// What a part is called: the pointer to a leaf, the name of an entry. A line has no name.
pub(super) fn name(part: &[PartStep]) -> Option<String> {
    let mut named = String::new();
    for step in part {
        match step {
            PartStep::Leaf(pointer) => named.push_str(pointer),
            PartStep::Entry(name) => {
                named.push('/');
                named.push_str(name);
            }
            PartStep::Password => named.push_str("/password"),
            PartStep::Line(_) | PartStep::Body | PartStep::Tail => return None,
            PartStep::Unescaped | PartStep::Shown => {}
        }
    }
    (!named.is_empty()).then_some(named)
}

fn gather(text: &str, way: &Part, found: &mut Vec<FoundPart>) {
    let text = trimmed(text);
    if found.len() >= PARTS || text.is_empty() {
        return;
    }
    let parts = if way.len() < DEPTH { parts_within(&text) } else { Vec::new() };
    for (step, part) in parts.into_iter().filter(|(_, part)| *part != text) {
        let further = [way.as_slice(), &[step]].concat();
        gather(&part, &further, found);
    }
    // Behind its parts would be as good; in front of them the whole is the one that a report names.
    found.push(FoundPart { part: way.clone(), text });
}

/// The parts of a text that are one step away.
fn parts_within(text: &str) -> Vec<(PartStep, Zeroizing<String>)> {
    if text.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str::<Value>(text)
    {
        let mut parts = Vec::new();
        leaves(&document, String::new(), &mut parts);
        wipe(document);
        return parts;
    }
    steps(text).into_iter().filter_map(|step| step.apply(text).map(|part| (step, part))).collect()
}

/// The steps from a text that is no JSON.
fn steps(text: &str) -> Vec<PartStep> {
    let mut steps = Vec::new();
    let names: Vec<String> = entries(text).map(|(name, _)| name.to_owned()).collect();
    if !names.is_empty() {
        steps.extend(names.into_iter().map(PartStep::Entry));
        return steps;
    }
    if password(text).is_some() {
        steps.push(PartStep::Password);
    }
    if text.contains('%') {
        steps.push(PartStep::Unescaped);
    }
    let lines = text.lines().count();
    if lines > 1 {
        steps.extend((0..lines).filter(|at| line(text, *at).is_some()).map(PartStep::Line));
        if text.contains("-----BEGIN ") {
            steps.extend([PartStep::Body, PartStep::Tail]);
        }
    }
    if sanitise(text) != text {
        steps.push(PartStep::Shown);
    }
    steps
}

impl PartStep {
    /// The part that the step leads to, without white space around it.
    fn apply(&self, text: &str) -> Option<Zeroizing<String>> {
        let part = match self {
            Self::Leaf(pointer) => {
                let document: Value = serde_json::from_str(text).ok()?;
                let leaf = document.pointer(pointer).and_then(scalar);
                wipe(document);
                leaf?
            }
            Self::Entry(name) => {
                let (_, value) = entries(text).find(|(known, _)| known == name)?;
                Zeroizing::new(value.to_owned())
            }
            Self::Password => Zeroizing::new(password(text)?.to_owned()),
            Self::Unescaped => Zeroizing::new(percent_decode_str(text).decode_utf8().ok()?.into_owned()),
            Self::Line(at) => Zeroizing::new(line(text, *at)?.to_owned()),
            Self::Body => Zeroizing::new(body(text).concat()),
            Self::Tail => {
                let lines = body(text);
                Zeroizing::new(lines.get(lines.len().checked_sub(2)?..)?.concat())
            }
            Self::Shown => Zeroizing::new(sanitise(text)),
        };
        Some(trimmed(&part))
    }
}

fn trimmed(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.trim().to_owned())
}

fn leaves(value: &Value, pointer: String, parts: &mut Vec<(PartStep, Zeroizing<String>)>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) | Value::String(_) => {
            parts.extend(scalar(value).map(|leaf| (PartStep::Leaf(pointer), trimmed(&leaf))));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, format!("{pointer}/{index}"), parts);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                leaves(member, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), parts);
            }
        }
    }
}

fn scalar(value: &Value) -> Option<Zeroizing<String>> {
    match value {
        Value::Number(number) => Some(Zeroizing::new(number.to_string())),
        Value::String(text) => Some(Zeroizing::new(text.clone())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn wipe(value: Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| wipe(member)),
    }
}

/// The names and values of a text that is nothing but `NAME=value` lines, comments and empty lines.
fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let entry = |line| -> Option<(&str, &str)> {
        let (name, value) = str::split_once(line, '=')?;
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let first = name.chars().next()?;
        let is_name = (first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        is_name.then_some((name, unquoted.unwrap_or(value)))
    };
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let all = lines().count() > 0 && lines().all(|line| entry(line).is_some());
    lines().filter_map(entry).filter(move |_| all)
}

/// The password of `scheme://user:password@host`, or of `…;Password=…;…`.
fn password(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        // A password may hold what ends an authority, unescaped; the last `@` in front of a host is the one that counts.
        let user = authority.rsplit_once('@').or_else(|| rest.rsplit_once('@'))?.0;
        return user.split_once(':').map(|(_, password)| password);
    }
    for pair in text.split([';', ' ', '\t', '\n', '&']) {
        if let Some((name, value)) = pair.split_once('=')
            && matches!(name.trim().to_ascii_lowercase().as_str(), "password" | "pwd" | "passwd")
        {
            return Some(value.trim().trim_matches(['"', '\'']));
        }
    }
    None
}

/// A line that may be looked for by itself. The frame of a PEM is the same for all of them and no secret.
fn line(text: &str, at: usize) -> Option<&str> {
    text.lines().nth(at).map(str::trim).filter(|line| !line.starts_with("-----"))
}

fn body(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

    use super::*;

    fn texts(value: &str) -> Vec<String> {
        let found = parts(value);
        for one in &found {
            assert_eq!(part_of(value, &one.part).unwrap(), one.text, "{:?}", one.part);
        }
        found.iter().map(|found| found.text.to_string()).collect()
    }

    #[test]
    fn a_document_has_its_leaves_however_deep() {
        let value = r#"{"a":"one","b":[2.5,{"c":"{\"d\":\"inner\"}"}],"n":null}"#;
        let inner = "{\"d\":\"inner\"}";
        assert_eq!(texts(value), ["one", "2.5", "inner", inner, value]);
    }

    #[test]
    fn a_dotenv_file_has_its_values() {
        let value = "# of production\nexport TOKEN='hunter2 hunter2'\nDSN=postgres://web:p%40ss@db/web\n";
        assert_eq!(
            texts(value),
            [
                "hunter2 hunter2",
                "p@ss",
                "p%40ss",
                "p@ss",
                "postgres://web:p@ss@db/web",
                "postgres://web:p%40ss@db/web",
                value.trim()
            ]
        );
    }

    #[test]
    fn a_connection_string_has_its_password() {
        assert!(texts("Server=db;User Id=web;Password=hunter2!;").contains(&"hunter2!".to_owned()));
        assert!(texts("redis://:hunter2/x@cache:6379/0").contains(&"hunter2/x".to_owned()));
    }

    #[test]
    fn a_pem_has_lines_and_a_body() {
        let value = "-----BEGIN X-----\nAAAABBBB\nCCCCDDDD\nEE==\n-----END X-----";
        let found = texts(value);
        for part in ["AAAABBBB", "CCCCDDDD", "AAAABBBBCCCCDDDDEE==", "CCCCDDDDEE=="] {
            assert!(found.contains(&part.to_owned()), "{part}: {found:?}");
        }
        assert!(!found.iter().any(|part| part.starts_with("-----") && !part.contains('\n')), "{found:?}");
    }

    #[test]
    fn what_is_not_shown_is_no_part_of_what_is_sought_in_shown_text() {
        assert_eq!(texts("hun\u{200b}ter2\u{0}hunter2"), ["hunter2hunter2", "hun\u{200b}ter2\u{0}hunter2"]);
        assert_eq!(texts("::secret::1234"), [": :secret::1234", "::secret::1234"]);
    }
}
