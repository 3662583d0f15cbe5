//! What a change set would do, in words.
//! The main function is [`line`].

use kiln_plugin::ChangeAction;
use kiln_plugin::aws::cloudformation::{ChangeDetail, ResourceChange};

use crate::guard::Harm;

/// How many causes of one change are named.
const CAUSES: usize = 4;
/// What a forecast gives as the source of a change of a property that cannot be computed: it may be none.
pub const UNKNOWN: &str = "Unknown";

/// The longest value that is shown.
const LONGEST: usize = 80;

/// What would happen to a resource, for a plan.
pub fn action(change: &ResourceChange) -> ChangeAction {
    match (change.action.as_str(), Harm::of(change)) {
        ("Add" | "Import", _) => ChangeAction::Create,
        ("Remove", Harm::None) => ChangeAction::Keep,
        ("Remove", _) => ChangeAction::Delete,
        (_, Harm::Replace | Harm::MayReplace) => ChangeAction::Replace,
        _ => ChangeAction::Update,
    }
}

/// What would happen to a resource, and why, in a line.
pub fn line(change: &ResourceChange) -> String {
    let what = match (change.action.as_str(), Harm::of(change)) {
        ("Add", _) => "is added",
        ("Import", _) => "is taken into the stack",
        ("Remove", Harm::None) => "leaves the stack and stays in the account",
        ("Remove", _) => "is DELETED",
        (_, Harm::Replace) => "is REPLACED",
        (_, Harm::MayReplace) => "may be REPLACED",
        _ if !change.details.is_empty() && change.details.iter().all(|detail| detail.source == UNKNOWN) => {
            "may be changed in place"
        }
        ("SyncWithActual", _) => "is brought back to what the template says",
        _ => "is changed in place",
    };
    let why = why(change);
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{} ({}) {what}{why}", change.logical, change.type_)
}

/// Why a resource changes: each property with its value before and after, what replaces first.
pub fn why(change: &ResourceChange) -> String {
    let mut details: Vec<&ChangeDetail> = change.details.iter().collect();
    details.sort_by_key(|detail| match detail.recreation.as_str() {
        "Always" => 0,
        "Conditionally" => 1,
        _ => 2,
    });
    let mut told: Vec<String> = Vec::new();
    for detail in details {
        let line = cause(detail);
        if !told.contains(&line) && !told.iter().any(|other| other.starts_with(&format!("{line} "))) {
            told.push(line);
        }
    }
    if told.is_empty() {
        return change.scope.join(", ");
    }
    let more = told.len().saturating_sub(CAUSES);
    told.truncate(CAUSES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", told.join(", "))
}

fn cause(detail: &ChangeDetail) -> String {
    let what = match (&detail.path, &detail.name) {
        (Some(path), _) => path.trim_start_matches("/Properties/").trim_start_matches('/').replace('/', "."),
        (None, Some(name)) => name.clone(),
        (None, None) => detail.attribute.clone(),
    };
    let values = match (&detail.before, &detail.after) {
        (Some(before), Some(after)) => format!(" from {} to {}", shown(before), shown(after)),
        (None, Some(after)) => format!(" to {}", shown(after)),
        (Some(before), None) => format!(" from {} to nothing", shown(before)),
        (None, None) => String::new(),
    };
    let actual = detail.actual.as_ref().map(|actual| format!(", which is {} now", shown(actual))).unwrap_or_default();
    let of = match (detail.source.as_str(), &detail.cause) {
        ("ParameterReference", Some(parameter)) => format!(" (the parameter {parameter})"),
        ("ResourceReference" | "ResourceAttribute", Some(resource)) => format!(" (by {resource})"),
        (UNKNOWN, None) => " (may change)".to_owned(),
        _ => String::new(),
    };
    format!("{what}{values}{actual}{of}")
}

/// A value in a line. A dynamic reference stays as it is: it names a secret, and is none.
pub fn shown(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None if line.is_empty() => "nothing".to_owned(),
        None => line,
    }
}

/// All changes in a sentence: `1 added, 2 changed in place, 1 replaced`.
pub fn counts(changes: &[ResourceChange]) -> String {
    let count = |wanted: &[ChangeAction]| changes.iter().filter(|change| wanted.contains(&action(change))).count();
    let kinds = [
        (count(&[ChangeAction::Create]), "added"),
        (count(&[ChangeAction::Update]), "changed in place"),
        (count(&[ChangeAction::Replace]), "replaced"),
        (count(&[ChangeAction::Delete]), "deleted"),
        (count(&[ChangeAction::Keep]), "let go"),
    ];
    let told: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    if told.is_empty() { "nothing changes".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::change;

    fn detail(name: &str, recreation: &str, values: Option<(&str, &str)>) -> ChangeDetail {
        ChangeDetail {
            attribute: "Properties".to_owned(),
            name: Some(name.to_owned()),
            path: None,
            recreation: recreation.to_owned(),
            evaluation: "Static".to_owned(),
            source: "DirectModification".to_owned(),
            cause: None,
            before: values.map(|(before, _)| before.to_owned()),
            after: values.map(|(_, after)| after.to_owned()),
            change: None,
            actual: None,
        }
    }

    #[test]
    fn a_change_says_what_replaces_first_and_its_values() {
        let mut replaced = change("Modify", "Service", "AWS::ECS::Service", Some("True"));
        let by = ChangeDetail {
            source: "ParameterReference".to_owned(),
            cause: Some("ClusterName".to_owned()),
            ..detail("Cluster", "Always", Some(("a", "b")))
        };
        replaced.details = vec![detail("DesiredCount", "Never", Some(("1", "2"))), by];
        assert_eq!(
            line(&replaced),
            "Service (AWS::ECS::Service) is REPLACED: Cluster from a to b (the parameter ClusterName), DesiredCount from 1 to 2"
        );
        assert_eq!(line(&change("Add", "Topic", "AWS::SNS::Topic", None)), "Topic (AWS::SNS::Topic) is added");
        assert_eq!(line(&change("Dynamic", "T", "X::Y::Z", None)), "T (X::Y::Z) may be REPLACED");
    }

    #[test]
    fn many_causes_are_counted_and_long_values_cut() {
        let mut changed = change("Modify", "A", "X::Y::Z", Some("False"));
        changed.details = (0..6).map(|n| detail(&format!("P{n}"), "Never", None)).collect();
        assert_eq!(why(&changed), "P0, P1, P2, P3 and 2 more");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), LONGEST + 1);
        assert_eq!(shown("a\n  b"), "a b");
        let secret = "{{resolve:secretsmanager:db:SecretString:password}}";
        assert_eq!(shown(secret), secret);
    }

    #[test]
    fn changes_are_counted_by_what_they_do() {
        let all = [
            change("Add", "A", "X::Y::Z", None),
            change("Modify", "B", "X::Y::Z", Some("False")),
            change("Modify", "C", "X::Y::Z", Some("True")),
            change("Remove", "D", "X::Y::Z", None),
        ];
        assert_eq!(counts(&all), "1 added, 1 changed in place, 1 replaced, 1 deleted");
        assert_eq!(counts(&[]), "nothing changes");
    }
}
