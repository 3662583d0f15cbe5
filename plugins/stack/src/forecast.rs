//! What a run would probably do, without asking CloudFormation for a change set: a plan writes nothing.
//! The main function is [`changes`]: two templates over their parameters, compared by the rules of the resources' types.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::cloudformation::{ChangeDetail, ResourceChange};
use kiln_template::{Evaluation, Resource, Target, references, rules};
use serde_json::Value;

use crate::side::Side;

/// The resources that a side makes, each with its properties.
fn made<'t>(side: &'t Side<'t>) -> BTreeMap<&'t str, (&'t Resource, Value)> {
    let evaluation = Evaluation::new(side.template, side);
    let mut all = BTreeMap::new();
    for (name, resource) in &side.template.resources {
        let condition = resource.condition.as_ref().map(|(condition, _)| condition.as_str());
        // What cannot be told is taken to be made.
        if !evaluation.is_made(condition).unwrap_or(true) {
            continue;
        }
        let properties = evaluation.value(&resource.properties).ok().flatten().unwrap_or_default();
        all.insert(name.as_str(), (resource, properties));
    }
    all
}

/// What would change from one side to the other, in the order of names.
pub fn changes(before: Option<&Side<'_>>, after: &Side<'_>) -> Vec<ResourceChange> {
    let old = before.map(made).unwrap_or_default();
    let new = made(after);
    let mut found: BTreeMap<&str, ResourceChange> = BTreeMap::new();
    for (name, (resource, properties)) in &new {
        let change = match old.get(name) {
            None => Some(change("Add", name, &resource.kind)),
            Some((was, _)) if was.kind != resource.kind => {
                let replaced = change("Modify", name, &resource.kind);
                let detail = detail(
                    "Type",
                    "Always",
                    Some(&Value::from(was.kind.as_str())),
                    Some(&Value::from(resource.kind.as_str())),
                );
                Some(ResourceChange { replacement: Some("True".to_owned()), details: vec![detail], ..replaced })
            }
            Some((_, were)) => compared(name, &resource.kind, were, properties),
        };
        if let Some(change) = change {
            found.insert(name, change);
        }
    }
    for (name, (resource, _)) in old.iter().filter(|(name, _)| !new.contains_key(**name)) {
        let policy = resource.deletion_policy.as_ref().and_then(|policy| policy.as_text()).map(str::to_owned);
        found.insert(name, ResourceChange { policy_action: policy, ..change("Remove", name, &resource.kind) });
    }
    followers(&mut found, &new, &old);
    found.into_values().collect()
}

/// Whoever refers to what is replaced gets another value, and perhaps is replaced, too.
fn followers<'t>(
    found: &mut BTreeMap<&'t str, ResourceChange>,
    new: &BTreeMap<&'t str, (&'t Resource, Value)>,
    old: &BTreeMap<&'t str, (&'t Resource, Value)>,
) {
    let is_replaced = |change: &ResourceChange| matches!(change.replacement.as_deref(), Some("True" | "Conditional"));
    let mut open: BTreeSet<String> =
        found.iter().filter(|(_, change)| is_replaced(change)).map(|(name, _)| (*name).to_owned()).collect();
    let mut done = BTreeSet::new();
    while let Some(cause) = open.pop_first() {
        if !done.insert(cause.clone()) {
            continue;
        }
        for (name, (resource, _)) in new.iter().filter(|(name, _)| old.contains_key(*name) && **name != cause) {
            for entry in resource.properties.entries().unwrap_or_default() {
                let refers = references(&entry.value).into_iter().any(|reference| match reference.target {
                    Target::Named(named) | Target::Attribute(named, _) => named == cause,
                    Target::Condition(_) | Target::Mapping(..) => false,
                });
                if !refers {
                    continue;
                }
                let recreation = recreation(&resource.kind, &entry.key, "");
                let known = found.entry(*name).or_insert_with(|| ResourceChange {
                    replacement: Some("False".to_owned()),
                    ..change("Modify", name, &resource.kind)
                });
                if known.action != "Modify"
                    || known.details.iter().any(|known| known.name.as_deref() == Some(&entry.key))
                {
                    continue;
                }
                let by = ChangeDetail {
                    source: "ResourceReference".to_owned(),
                    cause: Some(cause.clone()),
                    evaluation: "Dynamic".to_owned(),
                    ..detail(&entry.key, recreation, None, None)
                };
                known.details.push(by);
                // What follows is never certain: the cause may be replaced only perhaps.
                if recreation != "Never" && known.replacement.as_deref() == Some("False") {
                    known.replacement = Some("Conditional".to_owned());
                    open.insert((*name).to_owned());
                }
            }
        }
    }
}

fn change(action: &str, name: &str, kind: &str) -> ResourceChange {
    ResourceChange {
        action: action.to_owned(),
        logical: name.to_owned(),
        physical: None,
        type_: kind.to_owned(),
        replacement: None,
        scope: Vec::new(),
        policy_action: None,
        drift: None,
        details: Vec::new(),
        change_set: None,
        before: None,
        after: None,
    }
}

/// How two values of a resource's properties differ.
fn compared(name: &str, kind: &str, before: &Value, after: &Value) -> Option<ResourceChange> {
    let nothing = serde_json::Map::new();
    let (old, new) = (before.as_object().unwrap_or(&nothing), after.as_object().unwrap_or(&nothing));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut details = Vec::new();
    for property in names {
        let (was, is) = (old.get(property), new.get(property));
        if same(was, is) {
            continue;
        }
        let within = differing(was, is, "");
        details.push(detail(property, recreation(kind, property, &within), was, is));
    }
    let worst = |wanted: &str| details.iter().any(|detail| detail.recreation == wanted);
    let replacement = match () {
        () if details.is_empty() => return None,
        () if worst("Always") => "True",
        () if worst("Conditionally") => "Conditional",
        () => "False",
    };
    Some(ResourceChange { replacement: Some(replacement.to_owned()), details, ..change("Modify", name, kind) })
}

/// Whether two values are the same to CloudFormation: it takes `"80"` and `80` for one, and `true` and `"true"`.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            one.len() == other.len() && one.iter().all(|(name, value)| same(Some(value), other.get(name)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(Some(one), Some(other)))
        }
        (Some(one), Some(other)) => one == other || plain(one).is_some_and(|one| plain(other) == Some(one)),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The path within a property to the only part that differs, as far as there is one: `/A/B`.
fn differing(before: Option<&Value>, after: Option<&Value>, path: &str) -> String {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else { return path.to_owned() };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut other = names.into_iter().filter(|name| !same(before.get(*name), after.get(*name)));
    match (other.next(), other.next()) {
        (Some(name), None) => differing(before.get(name), after.get(name), &format!("{path}/{name}")),
        _ => path.to_owned(),
    }
}

/// Whether a change of a property replaces the resource, by the rules of its type.
fn recreation(kind: &str, property: &str, within: &str) -> &'static str {
    let Some(rules) = rules(kind) else { return "Conditionally" };
    let changed = format!("{property}{within}");
    // A rule about a part of what changed may be met; one about the whole of it is.
    let covers = |rule: &&String| changed == **rule || changed.starts_with(&format!("{rule}/"));
    let touches = |rule: &&String| rule.starts_with(&format!("{changed}/"));
    match () {
        () if rules.create_only.iter().any(|rule| covers(&rule)) => "Always",
        () if rules.create_only.iter().any(|rule| touches(&rule)) => "Conditionally",
        () if rules.conditional_create_only.iter().any(|rule| covers(&rule) || touches(&rule)) => "Conditionally",
        () => "Never",
    }
}

fn detail(property: &str, recreation: &str, before: Option<&Value>, after: Option<&Value>) -> ChangeDetail {
    let text = |value: &Value| plain(value).unwrap_or_else(|| value.to_string());
    ChangeDetail {
        attribute: "Properties".to_owned(),
        name: Some(property.to_owned()),
        path: None,
        recreation: recreation.to_owned(),
        evaluation: "Static".to_owned(),
        source: "DirectModification".to_owned(),
        cause: None,
        before: before.map(text),
        after: after.map(text),
        change: None,
        actual: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::line;
    use kiln_template::Template;

    fn template(text: &str) -> Template {
        match kiln_template::check(text) {
            Ok(template) => template,
            Err(findings) => unreachable!("{findings:?}"),
        }
    }

    fn side<'t>(template: &'t Template, values: &[(&str, &str)]) -> Side<'t> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        Side { template, values }
    }

    fn lines(before: Option<&Side<'_>>, after: &Side<'_>) -> Vec<String> {
        changes(before, after).iter().map(line).collect()
    }

    const BEFORE: &str = "Parameters:\n  Name: { Type: String }\n  Port: { Type: Number }\nConditions:\n  Big: !Equals [!Ref Port, 443]\n\
        Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: { QueueName: !Ref Name, DelaySeconds: 1 }\n\
        \x20 Topic:\n    Type: AWS::SNS::Topic\n    Properties: { DisplayName: !Sub 'queue ${Queue.QueueName}' }\n\
        \x20 Extra:\n    Type: AWS::SNS::Topic\n    Condition: Big\n";

    #[test]
    fn what_is_the_same_does_not_change() {
        let template = template(BEFORE);
        let one = side(&template, &[("Name", "a"), ("Port", "80")]);
        assert_eq!(lines(Some(&one), &one), Vec::<String>::new());
        let new = lines(None, &one);
        assert_eq!(new, ["Queue (AWS::SQS::Queue) is added", "Topic (AWS::SNS::Topic) is added"], "without Extra");
    }

    #[test]
    fn a_property_that_replaces_replaces_and_whoever_refers_to_it_changes() {
        let template = template(BEFORE);
        let (one, other) =
            (side(&template, &[("Name", "a"), ("Port", "80")]), side(&template, &[("Name", "b"), ("Port", "443")]));
        assert_eq!(
            lines(Some(&one), &other),
            [
                "Extra (AWS::SNS::Topic) is added",
                "Queue (AWS::SQS::Queue) is REPLACED: QueueName from a to b",
                "Topic (AWS::SNS::Topic) is changed in place: DisplayName (by Queue)",
            ]
        );
    }

    #[test]
    fn what_leaves_the_template_is_deleted_and_numbers_are_what_they_say() {
        let before = template(BEFORE);
        let after = template(
            "Parameters:\n  Name: { Type: String }\n  Port: { Type: Number }\nResources:\n  Queue:\n    Type: AWS::SQS::Queue\n    \
             Properties: { QueueName: !Ref Name, DelaySeconds: '1' }\n",
        );
        let values = [("Name", "a"), ("Port", "80")];
        assert_eq!(
            lines(Some(&side(&before, &values)), &side(&after, &values)),
            ["Topic (AWS::SNS::Topic) is DELETED"]
        );
    }

    #[test]
    fn a_type_without_rules_may_be_replaced() {
        assert_eq!(recreation("X::Y::Z", "A", ""), "Conditionally");
        assert_eq!(recreation("AWS::SQS::Queue", "QueueName", ""), "Always");
        assert_eq!(recreation("AWS::SQS::Queue", "DelaySeconds", ""), "Never");
    }
}
