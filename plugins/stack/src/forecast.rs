//! What a run would probably do, without asking CloudFormation for a change set: a plan writes nothing.
//! The main function is [`changes`]: two templates over their parameters, compared by the rules of the resources' types.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::cloudformation::{ChangeDetail, ResourceChange};
use kiln_template::{
    Evaluation, Known, Node, Resource, Target, Template, expand, moves, parse, read, references, rules,
};
use serde_json::Value;

use crate::show::UNKNOWN;
use crate::side::Side;

/// A template whose loops run over these values. Where that cannot be told yet there is none.
pub fn unrolled(text: &str, values: &BTreeMap<String, Value>) -> Option<Template> {
    let root = read(text).ok()?;
    parse(&expand(&root, values).ok()?, values).ok()
}

/// A resource that a side makes: what each property would be, nothing for one that cannot be computed.
struct MadeResource<'t> {
    resource: &'t Resource,
    properties: BTreeMap<&'t str, Option<Value>>,
}

/// The resources that a side makes.
fn made<'t>(side: &'t Side<'t>) -> BTreeMap<&'t str, MadeResource<'t>> {
    let evaluation = Evaluation::new(side.template, side);
    let mut all = BTreeMap::new();
    for (name, resource) in &side.template.resources {
        let condition = resource.condition.as_ref().map(|(condition, _)| condition.as_str());
        // What cannot be told is taken to be made.
        if !evaluation.is_made(condition).unwrap_or(true) {
            continue;
        }
        let mut properties = BTreeMap::new();
        for entry in resource.properties.entries().unwrap_or_default() {
            match evaluation.value(&entry.value) {
                Ok(None) => {}
                Ok(Some(value)) => drop(properties.insert(entry.key.as_str(), Some(value))),
                Err(_) => drop(properties.insert(entry.key.as_str(), None)),
            }
        }
        all.insert(name.as_str(), MadeResource { resource, properties });
    }
    all
}

/// What would change from one side to the other, in the order of names.
pub fn changes(before: Option<&Side<'_>>, after: &Side<'_>) -> Vec<ResourceChange> {
    let old = before.map(made).unwrap_or_default();
    let new = made(after);
    let mut found: BTreeMap<&str, ResourceChange> = BTreeMap::new();
    for (name, is) in &new {
        let kind = &is.resource.kind;
        let change = match (old.get(name), before) {
            (None, _) | (_, None) => Some(change("Add", name, kind)),
            (Some(was), Some(_)) if was.resource.kind != *kind => {
                let (was, is) = (Value::from(was.resource.kind.as_str()), Value::from(kind.as_str()));
                let detail = detail("Type", "Always", Some(&was), Some(&is));
                let replacement = Some("True".to_owned());
                Some(ResourceChange { replacement, details: vec![detail], ..change("Modify", name, kind) })
            }
            (Some(was), Some(before)) => compared(name, (before, was), (after, is)),
        };
        if let Some(change) = change {
            found.insert(name, change);
        }
    }
    for (name, MadeResource { resource, .. }) in old.iter().filter(|(name, _)| !new.contains_key(**name)) {
        let policy = resource.deletion_policy.as_ref().and_then(|policy| policy.as_text()).map(str::to_owned);
        found.insert(name, ResourceChange { policy_action: policy, ..change("Remove", name, &resource.kind) });
    }
    followers(&mut found, &new, &old);
    found.into_values().collect()
}

/// Whoever refers to what is replaced gets another value, and perhaps is replaced, too; so does whoever asks for an attribute that a change
/// in place makes another one.
fn followers<'t>(
    found: &mut BTreeMap<&'t str, ResourceChange>,
    new: &BTreeMap<&'t str, MadeResource<'t>>,
    old: &BTreeMap<&'t str, MadeResource<'t>>,
) {
    let is_replaced = |change: &ResourceChange| matches!(change.replacement.as_deref(), Some("True" | "Conditional"));
    let mut open: BTreeSet<String> =
        found.iter().filter(|(_, change)| change.action == "Modify").map(|(name, _)| (*name).to_owned()).collect();
    while let Some(cause) = open.pop_first() {
        let Some(by) = found.get(cause.as_str()).cloned() else { continue };
        let another = |attribute: &str| {
            let named = |detail: &ChangeDetail| detail.name.as_deref() == Some(attribute);
            is_replaced(&by) || moves(&by.type_, attribute) || by.details.iter().any(named)
        };
        for (name, is) in new.iter().filter(|(name, _)| old.contains_key(*name) && **name != cause) {
            for entry in is.resource.properties.entries().unwrap_or_default() {
                let mut follows = None;
                for reference in references(&entry.value) {
                    match reference.target {
                        Target::Named(named) if named == cause && is_replaced(&by) => {
                            follows = Some(("ResourceReference", cause.clone()));
                        }
                        Target::Attribute(named, attribute) if named == cause && another(&attribute) => {
                            let what = if is_replaced(&by) { cause.clone() } else { format!("{cause}.{attribute}") };
                            follows = Some(("ResourceAttribute", what));
                        }
                        _ => {}
                    }
                }
                let Some((source, what)) = follows else { continue };
                if follow(found, (name, is.resource), &entry.key, (source, what)) {
                    open.insert((*name).to_owned());
                }
            }
        }
    }
}

/// A property becomes another one because of something else. Tells whether that is new, or makes a replacement possible.
fn follow<'t>(
    found: &mut BTreeMap<&'t str, ResourceChange>,
    (name, resource): (&'t str, &Resource),
    property: &str,
    (source, cause): (&str, String),
) -> bool {
    let (kind, recreation) = (&resource.kind, recreation_of(resource, property, ""));
    let is_known = found.contains_key(name);
    let known = found
        .entry(name)
        .or_insert_with(|| ResourceChange { replacement: Some("False".to_owned()), ..change("Modify", name, kind) });
    let told = known.details.iter().any(|known| known.name.as_deref() == Some(property));
    if known.action != "Modify" || told {
        return false;
    }
    known.details.push(ChangeDetail {
        source: source.to_owned(),
        cause: Some(cause),
        evaluation: "Dynamic".to_owned(),
        ..detail(property, recreation, None, None)
    });
    // What follows is never certain: the cause may be replaced only perhaps.
    let may_replace = recreation != "Never" && known.replacement.as_deref() == Some("False");
    if may_replace {
        known.replacement = Some("Conditional".to_owned());
    }
    may_replace || !is_known
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

/// How a resource's properties differ.
fn compared(
    name: &str,
    before: (&Side<'_>, &MadeResource<'_>),
    after: (&Side<'_>, &MadeResource<'_>),
) -> Option<ResourceChange> {
    let (old, new) = (&before.1.properties, &after.1.properties);
    let kind = &after.1.resource.kind;
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let mut details = Vec::new();
    for property in names {
        let (was, is) = (old.get(property), new.get(property));
        if matches!(was, Some(None)) || matches!(is, Some(None)) {
            if !is_steady(property, before, after) {
                let recreation = recreation_of(after.1.resource, property, "");
                let recreation = if recreation == "Never" { "Never" } else { "Conditionally" };
                let (source, evaluation) = (UNKNOWN.to_owned(), "Dynamic".to_owned());
                details.push(ChangeDetail { source, evaluation, ..detail(property, recreation, None, None) });
            }
            continue;
        }
        let (was, is) = (was.and_then(Option::as_ref), is.and_then(Option::as_ref));
        if same(was, is) {
            continue;
        }
        let within = differing(was, is, "");
        details.push(detail(property, recreation_of(after.1.resource, property, &within), was, is));
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

/// Whether a property that cannot be computed is what it was all the same: it is written as it was, and so is all that it refers to.
fn is_steady(property: &str, before: (&Side<'_>, &MadeResource<'_>), after: (&Side<'_>, &MadeResource<'_>)) -> bool {
    let (Some(was), Some(is)) = (before.1.resource.properties.get(property), after.1.resource.properties.get(property))
    else {
        return false;
    };
    let holds = |side: &Side<'_>, name: &str| Evaluation::new(side.template, side).holds(name).ok();
    let mapping = |side: &Side<'_>, name: &str| side.template.mappings.get(name).map(Node::json);
    was.json() == is.json()
        && references(is).into_iter().all(|reference| match reference.target {
            Target::Named(name) => before.0.reference(&name) == after.0.reference(&name),
            // Whatever becomes of the resource is told by what follows it.
            Target::Attribute(..) => true,
            Target::Condition(name) => {
                let holds = (holds(before.0, &name), holds(after.0, &name));
                holds.0.is_some() && holds.0 == holds.1
            }
            Target::Mapping(name, ..) => mapping(before.0, &name) == mapping(after.0, &name),
        })
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

/// Whether a change of a property replaces this resource. Of a group, the schema says that what it launches may: its own policy says whether.
fn recreation_of(resource: &Resource, property: &str, within: &str) -> &'static str {
    let replacing = resource.update_policy.as_ref().and_then(|policy| policy.get("AutoScalingReplacingUpdate"));
    let will = replacing.and_then(|replacing| replacing.get("WillReplace"));
    match recreation(&resource.kind, property, within) {
        "Conditionally" if resource.kind == "AWS::AutoScaling::AutoScalingGroup" && will.is_none() => "Never",
        other => other,
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

    #[test]
    fn a_group_follows_the_version_of_a_launch_template_that_is_changed_in_place() {
        let template = template(
            "Parameters:\n  Image: { Type: String }\nResources:\n  Launch:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      \
             LaunchTemplateData: { ImageId: !Ref Image }\n  Group:\n    Type: AWS::AutoScaling::AutoScalingGroup\n    Properties:\n      \
             MinSize: '1'\n      MaxSize: '2'\n      LaunchTemplate: { LaunchTemplateId: !Ref Launch, Version: !GetAtt \
             Launch.LatestVersionNumber }\n  Policy:\n    Type: AWS::AutoScaling::ScalingPolicy\n    Properties: { AutoScalingGroupName: \
             !Ref Group, PolicyType: TargetTrackingScaling }\n",
        );
        let (one, other) = (side(&template, &[("Image", "ami-1")]), side(&template, &[("Image", "ami-2")]));
        let found = lines(Some(&one), &other);
        assert_eq!(found.len(), 2, "whoever refers to the group alone stays: {found:?}");
        assert_eq!(
            found[0],
            "Group (AWS::AutoScaling::AutoScalingGroup) is changed in place: LaunchTemplate (by Launch.LatestVersionNumber)"
        );
        assert!(found[1].starts_with("Launch (AWS::EC2::LaunchTemplate) is changed in place: "), "{found:?}");
    }

    #[test]
    fn what_a_loop_over_a_parameter_adds_is_added() {
        let text = "Transform: AWS::LanguageExtensions\nParameters:\n  Teams: { Type: CommaDelimitedList, Default: Orders }\nResources:\n  \
                    Fn::ForEach::Topics:\n    - Team\n    - !Ref Teams\n    - '${Team}Topic': { Type: AWS::SNS::Topic }\n";
        let values = |teams: &[&str]| BTreeMap::from([("Teams".to_owned(), Value::from(teams.to_vec()))]);
        let of = |teams: &[&str]| match unrolled(text, &values(teams)) {
            Some(template) => template,
            None => unreachable!("{teams:?}"),
        };
        let (one, other) = (of(&["Orders", "Billing"]), of(&["Billing", "Shipping"]));
        let (one, other) = (
            Side { template: &one, values: values(&["Orders", "Billing"]) },
            Side { template: &other, values: values(&["Billing", "Shipping"]) },
        );
        assert_eq!(
            lines(Some(&one), &other),
            ["OrdersTopic (AWS::SNS::Topic) is DELETED", "ShippingTopic (AWS::SNS::Topic) is added"]
        );
        assert!(unrolled(text, &BTreeMap::from([("Teams".to_owned(), Value::from("(known after build)"))])).is_none());
    }

    #[test]
    fn what_cannot_be_computed_may_change_where_what_it_is_made_of_does() {
        let template = template(
            "Parameters:\n  Bits: { Type: String }\n  Dns: { Type: String }\nResources:\n  Vpc:\n    Type: AWS::EC2::VPC\n    Properties: { \
             CidrBlock: 10.0.0.0/16, EnableDnsSupport: !Ref Dns }\n  Subnet:\n    Type: AWS::EC2::Subnet\n    Properties:\n      VpcId: !Ref \
             Vpc\n      CidrBlock: !Select [0, !Cidr [!GetAtt Vpc.CidrBlock, 4, !Ref Bits]]\n      MapPublicIpOnLaunch: false\n",
        );
        let of = |bits: &str, dns: &str| {
            let side = side(&template, &[("Bits", bits), ("Dns", dns)]);
            (made(&side).get("Subnet").map(|made| made.properties.get("CidrBlock").cloned()), side.values)
        };
        assert_eq!(of("8", "true").0, Some(Some(None)), "it cannot be computed");
        let at = |bits: &str, dns: &str| side(&template, &[("Bits", bits), ("Dns", dns)]);
        assert_eq!(
            lines(Some(&at("8", "true")), &at("8", "false")),
            ["Vpc (AWS::EC2::VPC) is changed in place: EnableDnsSupport from true to false"],
            "what it is made of is the same"
        );
        assert_eq!(
            lines(Some(&at("8", "true")), &at("6", "true")),
            ["Subnet (AWS::EC2::Subnet) may be REPLACED: CidrBlock (may change)"]
        );
    }
}
