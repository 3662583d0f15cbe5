//! What IAM checks an operation against.
//!
//! The main type is [`Target`]. Most are templates of ARNs: everything behind the account, with `{member}` for a member of
//! the input. `{member[]}` stands for each item of a list, `{member=word}` has a value where the member is absent, and
//! `{member:}` takes what stands before the first colon (a build's project). An absent member is `*`, as AWS checks a
//! list of everything. A member that holds an ARN where a name could stand is taken at its word: in the last place it is
//! the resource, elsewhere its last part counts.

use serde_json::Value;

use crate::ctx::Scope;
use crate::world::PlaceKey;

/// What IAM checks an operation against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// No permission is needed.
    Nothing,
    /// The action is tied to no resource.
    Everything,
    /// A template.
    Named(&'static str),
    /// What the service has under the name.
    Found(fn(&mut Scope<'_>, &Value) -> String),
    /// What is in the ARNs of a list in the input: of another type than they are themselves.
    Within(&'static str, fn(&str) -> Option<String>),
}

/// A further permission that an operation needs where its input has a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Further {
    pub(crate) member: &'static str,
    pub(crate) action: &'static str,
    pub(crate) template: &'static str,
    /// Of a role: the service that it is passed to, as `iam:PassedToService` has it.
    pub(crate) passed_to: Option<&'static str>,
}

impl Target {
    /// The resources of a call.
    pub(super) fn resources(self, scope: &mut Scope<'_>, service: &str, input: &Value) -> Vec<String> {
        match self {
            Target::Nothing => Vec::new(),
            Target::Everything => vec!["*".to_owned()],
            Target::Named(template) => named(&scope.at, service, template, input),
            Target::Found(find) => vec![find(scope, input)],
            Target::Within(member, within) => {
                let mut found: Vec<String> = texts(member, input).into_iter().filter_map(within).collect();
                found.sort();
                found.dedup();
                found
            }
        }
    }
}

/// The ARNs that a template makes of an input.
pub(super) fn named(at: &PlaceKey, service: &str, template: &str, input: &Value) -> Vec<String> {
    let mut made = vec![String::new()];
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, tail) = after.split_once('}').unwrap_or((after, ""));
        let values = values(place, input);
        let last = !tail.contains('{');
        let mut longer = Vec::new();
        for head in &made {
            for value in &values {
                let is_arn = value.starts_with("arn:");
                longer.push(match value.rsplit('/').next() {
                    _ if is_arn && last => value.clone(),
                    Some(name) if is_arn => format!("{head}{before}{name}"),
                    Some(_) | None if head.starts_with("arn:") => head.clone(),
                    Some(_) | None => format!("{head}{before}{value}"),
                });
            }
        }
        made = longer;
        rest = tail;
    }
    // What IAM and STS have belongs to no region.
    let region = if matches!(service, "iam" | "sts") { "" } else { &at.region };
    let prefix = format!("arn:{}:{service}:{region}:{}:", at.partition(), at.account);
    let whole =
        |resource: String| if resource.starts_with("arn:") { resource } else { format!("{prefix}{resource}{rest}") };
    made.into_iter().map(whole).collect()
}

/// The values of `member`, `member[]`, `member=word` or `member:`.
fn values(place: &str, input: &Value) -> Vec<String> {
    let (place, default) = place.split_once('=').unwrap_or((place, "*"));
    let (place, head_only) = place.strip_suffix(':').map_or((place, false), |place| (place, true));
    let texts = texts(place, input);
    if texts.is_empty() {
        return vec![default.to_owned()];
    }
    let cut = |text: &str| match text.split_once(':') {
        Some((head, _)) if head_only && !text.starts_with("arn:") => head.to_owned(),
        Some(_) | None => text.to_owned(),
    };
    texts.into_iter().map(cut).collect()
}

/// The texts of `member`, or of each item of `member[]`.
fn texts<'v>(place: &str, input: &'v Value) -> Vec<&'v str> {
    let (member, list) = place.strip_suffix("[]").map_or((place, false), |member| (member, true));
    match input.get(member) {
        Some(Value::Array(items)) if list => items.iter().filter_map(Value::as_str).collect(),
        // A list as Query has it.
        Some(Value::Object(form)) if list => match form.get("member") {
            Some(Value::Object(items)) => items.values().filter_map(Value::as_str).collect(),
            Some(_) | None => Vec::new(),
        },
        Some(Value::String(text)) => vec![text],
        Some(_) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(service: &str, template: &str, input: Value) -> Vec<String> {
        let at = PlaceKey { account: "111111111111".into(), region: "us-west-2".into() };
        named(&at, service, template, &input)
    }

    #[test]
    fn names_lists_and_arns_become_resources() {
        assert_eq!(
            of("ecs", "service/{cluster=default}/{services[]}", json!({ "services": ["a", "b"] })),
            [
                "arn:aws:ecs:us-west-2:111111111111:service/default/a",
                "arn:aws:ecs:us-west-2:111111111111:service/default/b"
            ]
        );
        let cluster = "arn:aws:ecs:us-west-2:111111111111:cluster/web";
        assert_eq!(
            of("ecs", "task/{cluster=default}/{tasks[]}", json!({ "cluster": cluster, "tasks": ["1"] })),
            ["arn:aws:ecs:us-west-2:111111111111:task/web/1"]
        );
        let elsewhere = "arn:aws:ecs:eu-west-1:222222222222:service/web/web";
        assert_eq!(of("ecs", "service/{cluster=default}/{service}", json!({ "service": elsewhere })), [elsewhere]);
        assert_eq!(
            of("codebuild", "project/{ids[]:}", json!({ "ids": ["web:1"] })),
            ["arn:aws:codebuild:us-west-2:111111111111:project/web"]
        );
        assert_eq!(of("ecr", "repository/{names[]}", json!({})), ["arn:aws:ecr:us-west-2:111111111111:repository/*"]);
        assert_eq!(
            of("cloudwatch", "alarm:{AlarmNames[]}", json!({ "AlarmNames": { "member": { "1": "a" } } })),
            ["arn:aws:cloudwatch:us-west-2:111111111111:alarm:a"]
        );
        assert_eq!(of("iam", "role/{role}", json!({ "role": "web" })), ["arn:aws:iam::111111111111:role/web"]);
        assert_eq!(
            of("ecs", "task-definition/{family}:*", json!({ "family": "web" })),
            ["arn:aws:ecs:us-west-2:111111111111:task-definition/web:*"]
        );
    }
}
