//! What lies between two revisions of a task definition, by name: a value may be a secret.
//! The main function is [`differences`].

use serde_json::Value;

/// How many differences are named.
const NAMED: usize = 8;
/// Members that each revision has its own of.
const OWN: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Where two documents differ, as `app.environment.FEATURE`, as far as it can be shown in a line.
pub(crate) fn differences(before: &str, after: &str) -> String {
    let parse = |document: &str| serde_json::from_str::<Value>(document).unwrap_or_default();
    let mut found = Vec::new();
    walk(&parse(before), &parse(after), "", &mut found);
    found.retain(|path| !OWN.contains(&path.as_str()));
    match found.len() {
        0 => "nothing but its number".to_owned(),
        count if count <= NAMED => found.join(", "),
        count => {
            found.truncate(NAMED);
            format!("{} and {} more", found.join(", "), count - NAMED)
        }
    }
}

fn walk(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    if before == after {
        return;
    }
    if let (Some(before), Some(after)) = (members(before), members(after)) {
        let only_after = after.iter().filter(|(name, _)| !before.iter().any(|(other, _)| other == name));
        for (name, value) in &before {
            let other = after.iter().find(|(other, _)| other == name).map_or(&Value::Null, |(_, other)| *other);
            walk(value, other, &under(path, name), found);
        }
        found.extend(only_after.map(|(name, _)| under(path, name)));
        return;
    }
    found.push(path.to_owned());
}

fn under(path: &str, name: &str) -> String {
    match path {
        // The containers are known by their own names.
        "" | "containerDefinitions" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// The members of an object, or of a list whose items have names of their own: containers, variables, volumes, ulimits.
fn members(value: &Value) -> Option<Vec<(&str, &Value)>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| Some((item.get("name")?.as_str()?, item))).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn between(before: Value, after: Value) -> String {
        differences(&before.to_string(), &after.to_string())
    }

    #[test]
    fn what_differs_is_named_and_its_value_is_not() {
        let before = json!({
            "family": "web", "cpu": "256", "revision": 1, "taskDefinitionArn": "web:1",
            "containerDefinitions": [
                { "name": "app", "image": "web:1", "environment": [{ "name": "KEY", "value": "hidden" }] },
            ],
        });
        let after = json!({
            "family": "web", "cpu": "512", "revision": 2, "taskDefinitionArn": "web:2",
            "containerDefinitions": [
                { "name": "app", "image": "web:2", "environment": [{ "name": "KEY", "value": "other" }, { "name": "NEW", "value": "x" }] },
                { "name": "proxy", "image": "nginx" },
            ],
        });
        let said = between(before.clone(), after);
        assert_eq!(said, "app.environment.KEY.value, app.environment.NEW, app.image, proxy, cpu");
        assert_eq!(between(before.clone(), before), "nothing but its number");
    }

    #[test]
    fn many_differences_are_counted() {
        let many: serde_json::Map<String, Value> = (0..20).map(|n| (format!("f{n:02}"), json!(n))).collect();
        assert!(between(json!({}), Value::Object(many)).ends_with("f07 and 12 more"));
    }
}
