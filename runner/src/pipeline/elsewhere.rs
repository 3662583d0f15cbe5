//! `with.elsewhere`: the other environments that a stage acts in, where its plugin does.
//!
//! The main function is [`named`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::Environment;
use super::suggest::did_you_mean;
use crate::types::EnvironmentName;

/// The list in a config, or the one table.
const LIST: &str = "elsewhere";
/// What names the environment in each of its tables.
const NAME: &str = "environment";

/// One that a config names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named<'a> {
    /// Which of the list, from 0.
    pub(crate) index: usize,
    /// The environment.
    pub(crate) name: &'a EnvironmentName,
    pub(crate) environment: &'a Environment,
    /// The config as it is for there: its list is the one table.
    pub(crate) config: Value,
}

/// What is wrong with one of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Misnamed {
    pub(crate) index: usize,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Where the name of the environment of this index stands in a config.
pub(crate) fn pointer(config: &Value, index: usize) -> String {
    match config.get(LIST) {
        Some(Value::Object(_)) => format!("/{LIST}/{NAME}"),
        _ => format!("/{LIST}/{index}/{NAME}"),
    }
}

/// The other environments that a config names, and what is wrong with the names. `own` is the stage's own. What is not known yet names none.
pub(crate) fn named<'a>(
    config: &Value,
    unknown: &[String],
    own: Option<&EnvironmentName>,
    environments: impl Iterator<Item = (&'a EnvironmentName, &'a Environment)>,
) -> (Vec<Named<'a>>, Vec<Misnamed>) {
    let (mut named, mut misnamed, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let environments: BTreeMap<&str, _> = environments.map(|(name, it)| (name.as_str(), (name, it))).collect();
    let tables = match config.get(LIST) {
        Some(Value::Array(tables)) => tables.as_slice(),
        // One alone may stand there without a list.
        Some(table @ Value::Object(_)) => std::slice::from_ref(table),
        _ => &[],
    };
    for (index, table) in tables.iter().enumerate() {
        let is_unknown = unknown.contains(&pointer(config, index));
        // What else it may be, the plugin's schema refuses.
        let Some(name) = table.get(NAME).and_then(Value::as_str).filter(|_| !is_unknown) else { continue };
        let mut wrong = |message: String, help: Option<String>| misnamed.push(Misnamed { index, message, help });
        match environments.get(name) {
            None => wrong(
                format!("there is no environment `{name}`"),
                did_you_mean(name, environments.keys().copied(), "environments are")
                    .or_else(|| Some(format!("declare it: `[environments.{name}]` with `account = \"…\"`"))),
            ),
            Some((name, _)) if own == Some(name) => wrong(
                format!("`{name}` is the stage's own environment, and not elsewhere"),
                Some("leave it out".to_owned()),
            ),
            Some((name, _)) if !seen.insert(*name) => {
                wrong(
                    format!("the environment `{name}` is named twice"),
                    Some("put it together in one table".to_owned()),
                );
            }
            Some((name, environment)) => {
                let mut config = config.clone();
                if let Some(list) = config.get_mut(LIST) {
                    *list = table.clone();
                }
                named.push(Named { index, name, environment, config });
            }
        }
    }
    (named, misnamed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_looked_up_and_each_has_its_own_config() {
        let environment = |account: &str| Environment {
            account: account.parse().unwrap(),
            role: None,
            region: None,
            external_id: None,
        };
        let names: Vec<EnvironmentName> = ["registry", "europe", "america"].map(|name| name.parse().unwrap()).into();
        let environments: Vec<(EnvironmentName, Environment)> =
            names.iter().cloned().map(|name| (name, environment("111111111111"))).collect();
        let config = json!({ "keep": 1, "elsewhere": [
            { "environment": "europe", "clusters": ["web"] }, { "environment": "urope" }, { "environment": "registry" },
            { "environment": "europe" }, { "environment": "(known after build)" },
        ] });
        let unknown = vec!["/elsewhere/4/environment".to_owned()];
        let all = environments.iter().map(|(name, environment)| (name, environment));
        let (named, wrong) = named(&config, &unknown, names.first(), all);
        assert_eq!(named.len(), 1);
        assert_eq!(
            named[0].config,
            json!({ "keep": 1, "elsewhere": { "environment": "europe", "clusters": ["web"] } })
        );
        let wrong: Vec<(usize, &str)> = wrong.iter().map(|wrong| (wrong.index, wrong.message.as_str())).collect();
        assert_eq!(
            wrong,
            [
                (1, "there is no environment `urope`"),
                (2, "`registry` is the stage's own environment, and not elsewhere"),
                (3, "the environment `europe` is named twice"),
            ]
        );
    }
}
