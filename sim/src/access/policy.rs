//! IAM policies: what a document allows and denies.
//!
//! The main type is [`Policy`]. Actions match without regard to case; a wildcard in an ARN does not reach beyond its
//! segment. What the simulator cannot evaluate (conditions but for `iam:PassedToService`, principals, policy variables) is refused
//! when the policy is read, so that no statement is ever passed over.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy(Vec<Statement>);

/// What is wrong with a policy's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is no JSON.
    Json,
    /// It is no policy.
    Syntax(String),
}

/// What a policy says about an action on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A statement denies it.
    Denied,
    /// A statement allows it, and none denies it.
    Allowed,
    /// No statement is about it.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allow: bool,
    actions: Set,
    resources: Set,
    /// The services that a role may be passed to, where the statement has a condition on it.
    passed_to: Option<Vec<String>>,
}

/// The matching ones, or all but those.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    patterns: Vec<Pattern>,
    inverted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    whole: bool,
    segments: Vec<Vec<Glyph>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Glyph {
    Star,
    Any,
    Char(char),
}

impl Policy {
    /// Read a document.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let document: Map<String, Value> = serde_json::from_str(text).map_err(|_| Malformed::Json)?;
        let syntax = |reason: &str| Malformed::Syntax(reason.to_owned());
        if let Some(unknown) = document.keys().find(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement")) {
            return Err(Malformed::Syntax(format!("unknown element {unknown}")));
        }
        if document.get("Version").is_some_and(|version| version != "2012-10-17" && version != "2008-10-17") {
            return Err(syntax("the version is neither 2012-10-17 nor 2008-10-17"));
        }
        let statements = document.get("Statement").ok_or_else(|| syntax("there is no Statement"))?;
        let statements = one_or_many(statements).into_iter().map(Statement::read).collect::<Result<Vec<_>, _>>()?;
        if statements.is_empty() { Err(syntax("there is no Statement")) } else { Ok(Self(statements)) }
    }

    /// What it says about `action` on `resource`; where a role is passed, to the service `passed_to`.
    pub(crate) fn verdict(&self, action: &str, resource: &str, passed_to: Option<&str>) -> Verdict {
        let action = action.to_ascii_lowercase();
        let mut verdict = Verdict::Silent;
        for statement in &self.0 {
            if statement.actions.holds(&action) && statement.resources.holds(resource) && statement.applies(passed_to) {
                if !statement.allow {
                    return Verdict::Denied;
                }
                verdict = Verdict::Allowed;
            }
        }
        verdict
    }

    /// Whether a statement about `action` on `resource` has a condition on the service that a role is passed to.
    pub(crate) fn asks_whom(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let about = |one: &Statement| one.actions.holds(&action) && one.resources.holds(resource);
        self.0.iter().any(|statement| statement.passed_to.is_some() && about(statement))
    }
}

impl JsonSchema for Policy {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Policy::parse(&text).map_err(|malformed| match malformed {
            Malformed::Json => de::Error::custom("the policy is no JSON"),
            Malformed::Syntax(reason) => de::Error::custom(format!("the policy: {reason}")),
        })
    }
}

impl Statement {
    fn read(value: &Value) -> Result<Self, Malformed> {
        let syntax = |reason: String| Malformed::Syntax(reason);
        let Value::Object(members) = value else { return Err(syntax("a statement is an object".to_owned())) };
        for key in members.keys() {
            match key.as_str() {
                "Sid" | "Effect" | "Action" | "NotAction" | "Resource" | "NotResource" | "Condition" => {}
                "Principal" | "NotPrincipal" => {
                    return Err(syntax(format!("the simulator does not evaluate {key}")));
                }
                unknown => return Err(syntax(format!("unknown element {unknown}"))),
            }
        }
        let allow = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(_) | None => return Err(syntax("Effect is Allow or Deny".to_owned())),
        };
        let actions = Set::read(members, "Action", "NotAction", |text| Pattern::whole(&text.to_ascii_lowercase()))?;
        let resources = Set::read(members, "Resource", "NotResource", Pattern::arn)?;
        let passed_to = members.get("Condition").map(passed_to).transpose()?;
        Ok(Self { allow, actions, resources, passed_to })
    }

    /// Whether its condition holds. A key that the call does not have equals nothing.
    fn applies(&self, service: Option<&str>) -> bool {
        self.passed_to.as_ref().is_none_or(|services| services.iter().any(|one| Some(one.as_str()) == service))
    }
}

/// The one condition that is evaluated: `{"StringEquals": {"iam:PassedToService": …}}`.
fn passed_to(condition: &Value) -> Result<Vec<String>, Malformed> {
    let only = |value: &Value, name: &str| match value.as_object() {
        Some(members) if members.len() == 1 => members.get(name).cloned(),
        Some(_) | None => None,
    };
    let services = only(condition, "StringEquals").and_then(|keys| only(&keys, "iam:PassedToService"));
    let unknown =
        || Malformed::Syntax("the simulator evaluates no Condition but StringEquals of iam:PassedToService".to_owned());
    let services = services.ok_or_else(unknown)?;
    one_or_many(&services).into_iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(unknown)).collect()
}

impl Set {
    fn read(
        members: &Map<String, Value>,
        these: &str,
        all_but: &str,
        pattern: impl Fn(&str) -> Result<Pattern, Malformed>,
    ) -> Result<Self, Malformed> {
        let (value, inverted) = match (members.get(these), members.get(all_but)) {
            (Some(value), None) => (value, false),
            (None, Some(value)) => (value, true),
            (Some(_), Some(_)) | (None, None) => {
                return Err(Malformed::Syntax(format!("a statement has either {these} or {all_but}")));
            }
        };
        let texts = one_or_many(value).into_iter().map(|value| {
            value.as_str().ok_or_else(|| Malformed::Syntax(format!("{these} is a text or a list of texts")))
        });
        let patterns = texts.map(|text| pattern(text?)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { patterns, inverted })
    }

    fn holds(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(text)) != self.inverted
    }
}

impl Pattern {
    fn whole(text: &str) -> Result<Self, Malformed> {
        Ok(Self { whole: true, segments: vec![parts(text)?] })
    }

    fn arn(text: &str) -> Result<Self, Malformed> {
        if text == "*" {
            return Self::whole(text);
        }
        if !text.starts_with("arn:") {
            return Err(Malformed::Syntax(format!("Resource {text} must be in ARN format or \"*\".")));
        }
        let segments = text.splitn(6, ':').map(parts).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { whole: false, segments })
    }

    fn matches(&self, text: &str) -> bool {
        let texts: Vec<&str> = if self.whole { vec![text] } else { text.splitn(6, ':').collect() };
        let fits = |(parts, text): (&Vec<Glyph>, &&str)| covers(parts, &text.chars().collect::<Vec<_>>());
        texts.len() == self.segments.len() && self.segments.iter().zip(&texts).all(fits)
    }
}

/// `${*}`, `${?}` and `${$}` stand for the character itself.
fn parts(text: &str) -> Result<Vec<Glyph>, Malformed> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(variable) = rest.strip_prefix("${") {
            let (name, tail) = variable.split_once('}').unwrap_or((variable, ""));
            match name {
                "*" | "?" | "$" => parts.extend(name.chars().map(Glyph::Char)),
                _ => return Err(Malformed::Syntax(format!("the simulator does not know the variable ${{{name}}}"))),
            }
            rest = tail;
            continue;
        }
        parts.push(match c {
            '*' => Glyph::Star,
            '?' => Glyph::Any,
            c => Glyph::Char(c),
        });
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Ok(parts)
}

/// Whether the parts match all of the text: the usual walk that goes back to the last star, linear in practice.
fn covers(parts: &[Glyph], text: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(read) {
        match parts.get(at) {
            Some(Glyph::Star) => {
                star = Some((at, read));
                at += 1;
            }
            Some(Glyph::Any) => (at, read) = (at + 1, read + 1),
            Some(Glyph::Char(wanted)) if *wanted == c => (at, read) = (at + 1, read + 1),
            Some(Glyph::Char(_)) | None => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (at, read) = (*behind + 1, *taken);
                }
                None => return false,
            },
        }
    }
    parts.iter().skip(at).all(|part| *part == Glyph::Star)
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        single => vec![single],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "arn:aws:ecr:us-west-2:111111111111:repository/web";

    fn verdict(statements: &str, action: &str, resource: &str) -> Result<Verdict, Malformed> {
        let policy = Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#))?;
        Ok(policy.verdict(action, resource, None))
    }

    #[test]
    fn a_statement_allows_what_it_names_and_a_denial_wins() {
        let allow =
            format!(r#"{{"Effect":"Allow","Action":["ecr:Describe*","ECR:batchgetimage"],"Resource":"{WEB}"}}"#);
        assert_eq!(verdict(&allow, "ecr:DescribeImages", WEB), Ok(Verdict::Allowed));
        assert_eq!(verdict(&allow, "ecr:BatchGetImage", WEB), Ok(Verdict::Allowed));
        assert_eq!(verdict(&allow, "ecr:PutImage", WEB), Ok(Verdict::Silent));
        assert_eq!(verdict(&allow, "ecr:DescribeImages", &format!("{WEB}2")), Ok(Verdict::Silent));
        let both = format!(
            r#"[{allow},{{"Effect":"Deny","Action":"*","NotResource":"*"}},{{"Effect":"Deny","NotAction":"ecr:DescribeImages","Resource":"*"}}]"#
        );
        assert_eq!(verdict(&both, "ecr:DescribeImages", WEB), Ok(Verdict::Allowed));
        assert_eq!(verdict(&both, "ecr:BatchGetImage", WEB), Ok(Verdict::Denied));
    }

    #[test]
    fn a_wildcard_of_an_arn_stays_in_its_segment() {
        let on = |resource: &str, asked: &str| {
            verdict(&format!(r#"{{"Effect":"Allow","Action":"*","Resource":"{resource}"}}"#), "ecr:PutImage", asked)
        };
        assert_eq!(on("arn:aws:ecr:*:111111111111:repository/w?b", WEB), Ok(Verdict::Allowed));
        assert_eq!(on("arn:aws:ecr:*:repository/web", WEB), Ok(Verdict::Silent));
        assert_eq!(on("arn:aws:ecr:us-west-2:111111111111:*b*", WEB), Ok(Verdict::Allowed));
        assert_eq!(on("arn:aws:ecr:us-west-2:111111111111:repository/w${*}b", WEB), Ok(Verdict::Silent));
        assert_eq!(on("arn:aws:ecr:us-west-2:111111111111:repository/web*e", WEB), Ok(Verdict::Silent));
    }

    #[test]
    fn a_role_is_passed_to_the_services_of_the_condition_alone() {
        let on = |services: &str, passed_to: Option<&str>| {
            let condition = format!(r#"{{"StringEquals":{{"iam:PassedToService":{services}}}}}"#);
            let statement =
                format!(r#"{{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{condition}}}"#);
            let policy = Policy::parse(&format!(r#"{{"Statement":{statement}}}"#));
            policy.map(|policy| policy.verdict("iam:PassRole", "arn:aws:iam::111111111111:role/web", passed_to))
        };
        assert_eq!(on(r#""ecs-tasks.amazonaws.com""#, Some("ecs-tasks.amazonaws.com")), Ok(Verdict::Allowed));
        assert_eq!(on(r#"["a.amazonaws.com","b.amazonaws.com"]"#, Some("b.amazonaws.com")), Ok(Verdict::Allowed));
        assert_eq!(on(r#""ecs-tasks.amazonaws.com""#, Some("ec2.amazonaws.com")), Ok(Verdict::Silent));
        assert_eq!(on(r#""ecs-tasks.amazonaws.com""#, None), Ok(Verdict::Silent));
        assert!(on("1", None).is_err());
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_when_it_is_read() {
        for statement in [
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}"}"#,
            r#"{"Effect":"Allow","Action":"*"}"#,
            r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"web"}"#,
            "[]",
        ] {
            assert!(matches!(verdict(statement, "a:B", "*"), Err(Malformed::Syntax(_))), "{statement}");
        }
        assert_eq!(Policy::parse("{"), Err(Malformed::Json));
    }
}
