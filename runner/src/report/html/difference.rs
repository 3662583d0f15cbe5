//! What differs between two states of an account, as a flat list of changes.
//!
//! The main function is [`differences`].

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Deeper than this, values are compared as wholes.
const DEPTH: usize = 24;
/// What identifies a thing in a list, the best first.
const KEYS: [&str; 7] = ["arn", "id", "digest", "imageDigest", "name", "key", "phaseType"];
/// Records under these names are no collections, whatever they hold: they are settings of one thing, or a service of AWS.
const NO_COLLECTIONS: [&str; 11] =
    ["settings", "tags", "actions", "options", "contexts", "ecs", "kms", "logs", "sns", "sqs", "sts"];

/// A step from a state to a value in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum PathStep {
    /// A member of a record.
    Field(String),
    /// A thing of a collection, by its name.
    Thing(String),
}

/// A value that differs, and where it is.
#[derive(Debug, PartialEq)]
pub(super) struct AccountDifference<'a> {
    pub(super) path: Vec<PathStep>,
    pub(super) change: Change<'a>,
}

/// How a value differs.
#[derive(Debug, PartialEq)]
pub(super) enum Change<'a> {
    Added(&'a Value),
    Removed(&'a Value),
    Changed { before: &'a Value, after: &'a Value },
}

/// All that differs, in the order of the later state; what is gone comes last within its collection.
pub(super) fn differences<'a>(before: &'a Value, after: &'a Value) -> Vec<AccountDifference<'a>> {
    let mut walk = DifferenceWalk { path: Vec::new(), found: Vec::new() };
    walk.compare(before, after);
    walk.found
}

struct DifferenceWalk<'a> {
    path: Vec<PathStep>,
    found: Vec<AccountDifference<'a>>,
}

impl<'a> DifferenceWalk<'a> {
    fn compare(&mut self, before: &'a Value, after: &'a Value) {
        if before == after {
            return;
        }
        match (before, after) {
            _ if self.path.len() >= DEPTH => self.found(Change::Changed { before, after }),
            (Value::Object(before), Value::Object(after)) => self.objects(before, after),
            (Value::Array(old), Value::Array(new)) => match (by_key(old), by_key(new)) {
                (Some(old), Some(new)) => self.things(&old, &new),
                _ => self.found(Change::Changed { before, after }),
            },
            _ => self.found(Change::Changed { before, after }),
        }
    }

    fn objects(&mut self, before: &'a Map<String, Value>, after: &'a Map<String, Value>) {
        let collection = self.is_collection(before) && self.is_collection(after);
        let step =
            |name: &String| if collection { PathStep::Thing(name.clone()) } else { PathStep::Field(name.clone()) };
        for (name, value) in after {
            self.within(step(name), |walk| match before.get(name) {
                Some(old) => walk.compare(old, value),
                None => walk.found(Change::Added(value)),
            });
        }
        for (name, value) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            self.within(step(name), |walk| walk.found(Change::Removed(value)));
        }
    }

    fn things(&mut self, before: &[(String, &'a Value)], after: &[(String, &'a Value)]) {
        let old: HashMap<&str, &'a Value> = before.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let kept: HashSet<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        for (name, value) in after {
            self.within(PathStep::Thing(name.clone()), |walk| match old.get(name.as_str()) {
                Some(old) => walk.compare(old, value),
                None => walk.found(Change::Added(value)),
            });
        }
        for (name, value) in before.iter().filter(|(name, _)| !kept.contains(name.as_str())) {
            self.within(PathStep::Thing(name.clone()), |walk| walk.found(Change::Removed(value)));
        }
    }

    /// A record of records under a plural is a collection of things by their names.
    fn is_collection(&self, object: &Map<String, Value>) -> bool {
        match self.path.last() {
            Some(PathStep::Field(name)) if name.ends_with('s') && !NO_COLLECTIONS.contains(&name.as_str()) => {
                object.values().all(Value::is_object)
            }
            _ => false,
        }
    }

    fn within(&mut self, step: PathStep, look: impl FnOnce(&mut Self)) {
        self.path.push(step);
        look(self);
        self.path.pop();
    }

    fn found(&mut self, change: Change<'a>) {
        self.found.push(AccountDifference { path: self.path.clone(), change });
    }
}

/// The things of a list by their names, where all have a name and no two the same.
fn by_key(list: &[Value]) -> Option<Vec<(String, &Value)>> {
    if list.is_empty() {
        return Some(Vec::new());
    }
    KEYS.iter().find_map(|key| {
        let named: Option<Vec<(String, &Value)>> =
            list.iter().map(|item| Some((item.get(key)?.as_str()?.to_owned(), item))).collect();
        let named = named?;
        let distinct: HashSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        (distinct.len() == named.len()).then_some(named)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(before: &Value, after: &Value) -> Vec<String> {
        let step = |step: &PathStep| match step {
            PathStep::Field(name) => format!(".{name}"),
            PathStep::Thing(name) => format!("[{name}]"),
        };
        let word = |difference: &AccountDifference<'_>| {
            let path: String = difference.path.iter().map(step).collect();
            match difference.change {
                Change::Added(value) => format!("+ {path} {value}"),
                Change::Removed(value) => format!("- {path} {value}"),
                Change::Changed { before, after } => format!("~ {path} {before} → {after}"),
            }
        };
        differences(before, after).iter().map(word).collect()
    }

    #[test]
    fn equal_states_do_not_differ() {
        let state = json!({ "a": [1, { "b": null }] });
        assert!(differences(&state, &state).is_empty());
    }

    #[test]
    fn things_are_told_from_settings_and_lists_are_compared_by_identity() {
        let before = json!({
            "services": { "web": { "desired": 2, "settings": { "network": {} },
                "deployments": [{ "id": "1", "failed": 0 }, { "id": "2", "failed": 0 }] } },
            "tags": ["a"], "repositories": { "web": { "images": { "sha256:1": {} } } },
        });
        let after = json!({
            "services": { "web": { "desired": 4, "settings": { "network": { "x": {} } },
                "deployments": [{ "id": "3", "failed": 0 }, { "id": "2", "failed": 1 }] } },
            "tags": ["a", "b"], "repositories": { "web": { "images": { "sha256:2": {} } } },
        });
        assert_eq!(
            words(&before, &after),
            [
                "~ .services[web].desired 2 → 4",
                "+ .services[web].settings.network.x {}",
                r#"+ .services[web].deployments[3] {"id":"3","failed":0}"#,
                "~ .services[web].deployments[2].failed 0 → 1",
                r#"- .services[web].deployments[1] {"id":"1","failed":0}"#,
                r#"~ .tags ["a"] → ["a","b"]"#,
                "+ .repositories[web].images[sha256:2] {}",
                "- .repositories[web].images[sha256:1] {}",
            ]
        );
    }

    #[test]
    fn a_list_without_names_or_with_the_same_name_twice_is_one_value() {
        assert_eq!(
            words(&json!([{ "id": "1" }]), &json!([{ "id": "1" }, { "id": "1" }])),
            [r#"~  [{"id":"1"}] → [{"id":"1"},{"id":"1"}]"#]
        );
        assert_eq!(words(&json!([]), &json!([{ "id": "1" }])), [r#"+ [1] {"id":"1"}"#]);
        assert_eq!(words(&json!(1), &json!("1")), [r#"~  1 → "1""#]);
    }

    #[test]
    fn nesting_without_end_ends() {
        let deep = |leaf: u64| (0..100).fold(json!(leaf), |value, _| json!({ "a": value }));
        assert_eq!(differences(&deep(1), &deep(2)).iter().map(|found| found.path.len()).collect::<Vec<_>>(), [DEPTH]);
    }
}
