//! AWS's limits of inputs: how long a text may be, how many items a list may have, which words there are.
//!
//! The main function is [`check`]. The table beside this file has a line for each member that the simulator reads and whose model says
//! something of it; the tests hold it against botocore's models, and write it anew.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::http::Body;
use super::query::Form;

/// The table: `[service:Operation]`, and then lines of `PATH WHAT`.
const TABLE: &str = include_str!("constraints.txt");

static CONSTRAINTS: LazyLock<BTreeMap<&'static str, Vec<Constraint>>> = LazyLock::new(|| read(TABLE));

/// What a member must be.
#[derive(Debug, Clone, PartialEq)]
struct Constraint {
    path: &'static str,
    rule: Bound,
}

#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Range(f64, f64),
    Length(usize, usize),
    Items(usize, usize),
    Words(Vec<&'static str>),
    Required,
}

fn read(table: &'static str) -> BTreeMap<&'static str, Vec<Constraint>> {
    let mut read: BTreeMap<&'static str, Vec<Constraint>> = BTreeMap::new();
    let mut operation = "";
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            operation = name;
        } else if let Some(constraint) = constraint(line) {
            read.entry(operation).or_default().push(constraint);
        }
    }
    read
}

/// `maxResults range 1..1000`, `names items ..100`, `name length 1..`, `kind words A|B`, `name required`.
fn constraint(line: &'static str) -> Option<Constraint> {
    let (path, what) = line.split_once(' ')?;
    let (kind, bounds) = what.split_once(' ').unwrap_or((what, ""));
    let ends = || bounds.split_once("..").unwrap_or((bounds, bounds));
    let size = || (ends().0.parse().unwrap_or(0), ends().1.parse().unwrap_or(usize::MAX));
    let rule = match kind {
        "range" => {
            Bound::Range(ends().0.parse().unwrap_or(f64::NEG_INFINITY), ends().1.parse().unwrap_or(f64::INFINITY))
        }
        "length" => Bound::Length(size().0, size().1),
        "items" => Bound::Items(size().0, size().1),
        "words" => Bound::Words(bounds.split('|').collect()),
        "required" => Bound::Required,
        _ => return None,
    };
    Some(Constraint { path, rule })
}

/// What an input breaks of the model's constraints, in AWS's words: nothing, where it keeps them all.
pub(crate) fn check(action: &str, body: &Body) -> Option<String> {
    let constraints = CONSTRAINTS.get(action)?;
    let formed;
    let input = match body {
        Body::Document(value) => value,
        Body::Form(form) => {
            formed = value_of(form);
            &formed
        }
    };
    let mut broken = Vec::new();
    for constraint in constraints {
        constraint.visit(input, &constraint.path.replace("[]", ".[]").replace("{}", ".{}"), &mut broken);
    }
    let errors = if broken.len() == 1 { "error" } else { "errors" };
    (!broken.is_empty()).then(|| format!("{} validation {errors} detected: {}", broken.len(), broken.join("; ")))
}

impl Constraint {
    fn visit(&self, value: &Value, way: &str, broken: &mut Vec<String>) {
        let (step, rest) = way.split_once('.').unwrap_or((way, ""));
        match (step, value) {
            ("", value) => broken.extend(self.broken_by(value)),
            ("[]", Value::Array(items)) => items.iter().for_each(|item| self.visit(item, rest, broken)),
            ("{}", Value::Object(entries)) => entries.values().for_each(|item| self.visit(item, rest, broken)),
            (name, Value::Object(members)) => match members.get(name) {
                Some(member) => self.visit(member, rest, broken),
                None if rest.is_empty() && self.rule == Bound::Required => {
                    broken.push(format!(
                        "Value null at '{}' failed to satisfy constraint: Member must not be null",
                        self.path
                    ));
                }
                None => {}
            },
            _ => {}
        }
    }

    /// What a value breaks. One that is of another type is none of this.
    fn broken_by(&self, value: &Value) -> Option<String> {
        let number = || value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let must = match (&self.rule, value) {
            (Bound::Range(least, most), _) => match number()? {
                number if number < *least => format!("have value greater than or equal to {least}"),
                number if number > *most => format!("have value less than or equal to {most}"),
                _ => return None,
            },
            (Bound::Length(least, most), Value::String(text)) => size(text.chars().count(), *least, *most)?,
            (Bound::Items(least, most), Value::Array(items)) => size(items.len(), *least, *most)?,
            (Bound::Items(least, most), Value::Object(entries)) => size(entries.len(), *least, *most)?,
            (Bound::Words(words), Value::String(text)) if !words.contains(&text.as_str()) => {
                format!("satisfy enum value set: [{}]", words.join(", "))
            }
            _ => return None,
        };
        let told = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let told: String = told.chars().take(200).collect();
        Some(format!("Value '{told}' at '{}' failed to satisfy constraint: Member must {must}", self.path))
    }
}

fn size(size: usize, least: usize, most: usize) -> Option<String> {
    if size < least {
        return Some(format!("have length greater than or equal to {least}"));
    }
    (size > most).then(|| format!("have length less than or equal to {most}"))
}

/// A form as a document: what has members that are numbered is a list.
fn value_of(form: &Form) -> Value {
    let Form::Node(children) = form else { return form.to_value() };
    let numbered = match (children.len(), children.get("member").or_else(|| children.get("entry"))) {
        (1, Some(Form::Node(items))) => items.keys().all(|key| key.parse::<u32>().is_ok()).then_some(items),
        _ => None,
    };
    match numbered {
        Some(items) => Value::Array(items.values().map(value_of).collect()),
        None => {
            let members: Map<String, Value> =
                children.iter().map(|(name, child)| (name.clone(), value_of(child))).collect();
            Value::Object(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SMALL: &str = "# A table.\n[a:Do]\nlimit range 1..100\nname length 2..4\nnames items ..2\nnames[].kind words A|B\nname required\n";

    fn broken(input: Value) -> Vec<String> {
        let constraints = read(SMALL).remove("a:Do").unwrap_or_default();
        let mut broken = Vec::new();
        for constraint in &constraints {
            constraint.visit(&input, &constraint.path.replace("[]", ".[]"), &mut broken);
        }
        broken
    }

    #[test]
    fn each_limit_is_told_in_aws_s_words() {
        assert!(broken(json!({ "limit": 100, "name": "ab", "names": [{ "kind": "A" }, {}] })).is_empty());
        let all = broken(json!({ "limit": 101, "name": "a", "names": [{ "kind": "C" }, {}, {}] }));
        assert_eq!(
            all.iter().take(2).collect::<Vec<_>>(),
            [
                "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
                "Value 'a' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 2",
            ]
        );
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(broken(json!({})).iter().any(|broken| broken.starts_with("Value null at 'name'")));
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
        assert_eq!(read(TABLE).values().map(Vec::len).sum::<usize>(), lines.count());
    }

    #[test]
    fn a_form_is_held_against_the_same_limits() {
        let form = Form::parse(b"Action=DescribeAlarms&MaxRecords=101&AlarmTypes.member.1=Nothing");
        let told = form.ok().and_then(|(_, form)| check("cloudwatch:DescribeAlarms", &Body::Form(form)));
        assert!(told.as_ref().is_some_and(|told| told.starts_with("2 validation errors")), "{told:?}");
    }
}
