//! Whether a key lets the service-linked role of Auto Scaling use it, by its policy and its grants.
//! The main function is [`lets`]. The role's own policy says nothing of keys, and nobody can change it: what the key's account allows to
//! its own IAM (`…:root`) does not reach it.

use kiln_plugin::aws::kms_access::Grant;
use serde_json::Value;

/// What an instance with an encrypted volume needs of the key: from "Required KMS key policy for use with encrypted volumes" of Auto
/// Scaling's guide, without what copies need.
const NEEDED: [&str; 4] = ["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext"];

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lets {
    /// The role may do all that is needed.
    Yes,
    /// It may not do these.
    No(Vec<&'static str>),
    /// A condition or the like decides, which nobody can weigh here.
    Unclear(String),
}

/// How a statement bears on one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearing {
    None,
    Certain,
    Perhaps,
}

/// Whether the role `role` of account `account` may use the key by its policy or its grants.
pub(crate) fn lets(policy: &str, grants: &[Grant], role: &str, account: &str) -> Lets {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return Lets::Unclear("the key's policy is no JSON".to_owned());
    };
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let (mut lacking, mut unclear) = (Vec::new(), Vec::new());
    for needed in NEEDED {
        let of = |effect: &str| {
            let bearings =
                statements.iter().filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some(effect));
            let bearings: Vec<Bearing> = bearings.map(|statement| bearing(statement, needed, role, account)).collect();
            match (bearings.contains(&Bearing::Certain), bearings.contains(&Bearing::Perhaps)) {
                (true, _) => Bearing::Certain,
                (false, true) => Bearing::Perhaps,
                (false, false) => Bearing::None,
            }
        };
        let granted = grants.iter().any(|grant| {
            grant.grantee == role && !grant.constrained && grant.operations.iter().any(|operation| operation == needed)
        });
        match (of("Deny"), granted, of("Allow")) {
            (Bearing::Certain, ..) | (Bearing::None, false, Bearing::None) => lacking.push(needed),
            (Bearing::None, true, _) | (Bearing::None, false, Bearing::Certain) => {}
            (Bearing::Perhaps, ..) | (Bearing::None, false, Bearing::Perhaps) => unclear.push(needed),
        }
    }
    match (lacking.is_empty(), unclear.is_empty()) {
        (false, _) => Lets::No(lacking),
        (true, false) => Lets::Unclear(format!("conditions of the key's policy decide of {}", unclear.join(", "))),
        (true, true) => Lets::Yes,
    }
}

/// How a statement bears on `kms:ACTION` of the role.
fn bearing(statement: &Value, action: &str, role: &str, account: &str) -> Bearing {
    if statement.get("NotPrincipal").is_some() || statement.get("NotAction").is_some() {
        return Bearing::Perhaps;
    }
    let named = match statement.get("Principal") {
        Some(Value::String(all)) => all == "*",
        Some(Value::Object(kinds)) => {
            kinds.get("AWS").is_some_and(|named| texts(named).into_iter().any(|one| one == role || one == "*"))
        }
        _ => false,
    };
    let of_action = statement.get("Action").is_some_and(|actions| {
        texts(actions)
            .into_iter()
            .any(|pattern| is_like(&pattern.to_lowercase(), &format!("kms:{}", action.to_lowercase())))
    });
    match (named && of_action, statement.get("Condition")) {
        (false, _) => Bearing::None,
        (true, None) => Bearing::Certain,
        (true, Some(condition)) => holds(condition, action, account),
    }
}

/// Whether a condition surely holds of what Auto Scaling asks. That a grant is for a resource of AWS, and who the caller's account is, can
/// be told; anything else cannot.
fn holds(condition: &Value, action: &str, account: &str) -> Bearing {
    let Value::Object(operators) = condition else { return Bearing::Perhaps };
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else { return Bearing::Perhaps };
        for (key, values) in keys {
            let is = |wanted: &str| {
                texts(values).iter().any(|value| value.eq_ignore_ascii_case(wanted))
                    || values.as_bool() == Some(wanted == "true")
            };
            let surely = match (operator.as_str(), key.to_lowercase().as_str()) {
                ("Bool" | "StringEquals", "kms:grantisforawsresource") => action == "CreateGrant" && is("true"),
                ("StringEquals", "kms:calleraccount" | "aws:principalaccount") => {
                    // Of another account it surely does not hold.
                    if !is(account) {
                        return Bearing::None;
                    }
                    true
                }
                _ => false,
            };
            if !surely {
                return Bearing::Perhaps;
            }
        }
    }
    Bearing::Certain
}

/// A text or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a text is of a pattern in which `*` stands for any text, and `?` for a character.
fn is_like(pattern: &str, text: &str) -> bool {
    let (mut rest, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Behind the last `*`, and where its text ends so far.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, text));
                rest = after;
            }
            (Some((wanted, after)), Some((found, left))) if *wanted == b'?' || wanted == found => {
                (rest, text) = (after, left);
            }
            (None, None) => return true,
            (_, _) => match retry.and_then(|(after, from)| Some((after, from.split_first()?.1))) {
                Some((after, from)) => {
                    retry = Some((after, from));
                    (rest, text) = (after, from);
                }
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ACCOUNT: &str = "111111111111";
    const ROLE: &str =
        "arn:aws:iam::111111111111:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";

    fn told(statements: &[Value]) -> Lets {
        lets(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string(), &[], ROLE, ACCOUNT)
    }

    fn root() -> Value {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        json!({ "Effect": "Allow", "Principal": { "AWS": root }, "Action": "kms:*", "Resource": "*" })
    }

    /// The two statements of AWS's guide.
    fn guide() -> [Value; 2] {
        [
            json!({ "Effect": "Allow", "Principal": { "AWS": [ROLE] }, "Resource": "*",
                    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"] }),
            json!({ "Effect": "Allow", "Principal": { "AWS": [ROLE] }, "Resource": "*", "Action": ["kms:CreateGrant"],
                    "Condition": { "Bool": { "kms:GrantIsForAWSResource": true } } }),
        ]
    }

    #[test]
    fn the_policy_of_the_guide_lets_it() {
        let [using, granting] = guide();
        assert_eq!(told(&[root(), using.clone(), granting.clone()]), Lets::Yes);
        assert_eq!(told(&[root(), using]), Lets::No(vec!["CreateGrant"]));
        assert_eq!(told(&[granting]), Lets::No(vec!["Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext"]));
    }

    #[test]
    fn what_the_account_may_does_not_reach_the_role() {
        assert!(matches!(told(&[root()]), Lets::No(lacking) if lacking.len() == 4));
        let other = json!({ "Effect": "Allow", "Principal": { "AWS": format!("{ROLE}_other") }, "Action": "kms:*" });
        assert!(matches!(told(&[other]), Lets::No(_)), "a role with another name is another");
    }

    #[test]
    fn everybody_is_the_role_too_where_no_condition_says_otherwise() {
        let all =
            |condition: Value| json!({ "Effect": "Allow", "Principal": "*", "Action": "*", "Condition": condition });
        assert_eq!(told(&[json!({ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "kms:*" })]), Lets::Yes);
        let account = |account: &str| all(json!({ "StringEquals": { "kms:CallerAccount": account } }));
        assert_eq!(told(&[account(ACCOUNT)]), Lets::Yes);
        assert!(matches!(told(&[account("222222222222")]), Lets::No(_)));
        let via = all(json!({ "StringEquals": { "kms:ViaService": "ec2.us-west-2.amazonaws.com" } }));
        assert!(matches!(told(&[via]), Lets::Unclear(_)));
        assert!(matches!(told(&[all(json!([]))]), Lets::Unclear(_)));
    }

    #[test]
    fn what_is_denied_is_denied() {
        let deny = |condition: Option<Value>| {
            let mut deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt" });
            if let Some(condition) = condition {
                deny["Condition"] = condition;
            }
            deny
        };
        let [using, granting] = guide();
        assert_eq!(told(&[using.clone(), granting.clone(), deny(None)]), Lets::No(vec!["Decrypt"]));
        let unclear = told(&[using, granting, deny(Some(json!({ "Bool": { "aws:SecureTransport": "false" } })))]);
        assert_eq!(unclear, Lets::Unclear("conditions of the key's policy decide of Decrypt".to_owned()));
    }

    #[test]
    fn a_grant_lets_it_too() {
        let grant = |grantee: &str, operations: &[&str], constrained| Grant {
            id: "1".to_owned(),
            grantee: grantee.to_owned(),
            operations: operations.iter().map(ToString::to_string).collect(),
            constrained,
        };
        let by = |grants: &[Grant]| lets(&json!({ "Statement": root() }).to_string(), grants, ROLE, ACCOUNT);
        assert_eq!(by(&[grant(ROLE, &NEEDED, false)]), Lets::Yes);
        assert!(matches!(by(&[grant(ROLE, &NEEDED, true)]), Lets::No(_)), "only in circumstances");
        assert!(matches!(by(&[grant("arn:aws:iam::111111111111:role/x", &NEEDED, false)]), Lets::No(_)));
        assert_eq!(
            by(&[grant(ROLE, &["Decrypt", "CreateGrant", "DescribeKey"], false)]),
            Lets::No(vec!["GenerateDataKeyWithoutPlaintext"])
        );
    }

    #[test]
    fn what_cannot_be_read_is_unclear() {
        assert!(matches!(lets("{", &[], ROLE, ACCOUNT), Lets::Unclear(_)));
        let not = json!({ "Effect": "Allow", "NotPrincipal": { "AWS": "x" }, "Action": "kms:*" });
        assert!(matches!(told(&[not]), Lets::Unclear(_)));
        assert!(
            is_like("kms:generatedatakey*", "kms:generatedatakeywithoutplaintext")
                && is_like("kms:d?crypt", "kms:decrypt")
        );
        assert!(!is_like("kms:encrypt", "kms:decrypt") && !is_like("kms:*key", "kms:decrypt"));
    }
}
