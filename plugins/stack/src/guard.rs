//! What must not happen to a stack, whatever its template says.
//! The main function is [`breaches`].

use kiln_plugin::aws::cloudformation::ResourceChange;
use kiln_plugin::{Failure, JsonSchema};
use serde::{Deserialize, Serialize};

/// What holds what cannot be made again: databases, buckets, keys, file systems, secrets, queues and streams.
const PRECIOUS: &[&str] = &[
    "AWS::Backup::BackupVault",
    "AWS::CloudTrail::Trail",
    "AWS::CodeCommit::Repository",
    "AWS::Cognito::UserPool",
    "AWS::DocDB::*",
    "AWS::DynamoDB::*Table",
    "AWS::EC2::Volume",
    "AWS::ECR::Repository",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::*Cluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::FSx::FileSystem",
    "AWS::KMS::*Key",
    "AWS::Kinesis::Stream",
    "AWS::MSK::*Cluster",
    "AWS::MemoryDB::Cluster",
    "AWS::Neptune::DB*",
    "AWS::OpenSearchService::Domain",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::RDS::GlobalCluster",
    "AWS::Redshift::Cluster",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
    "AWS::Timestream::*",
];

/// Resource types, in which `*` stands for anything, or names of resources, that may be neither replaced nor deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Protect(#[schemars(inner(regex(pattern = r"^[A-Za-z0-9:*]{1,256}$")))] pub Vec<String>);

impl Default for Protect {
    fn default() -> Self {
        Self(PRECIOUS.iter().map(ToString::to_string).collect())
    }
}

impl Protect {
    /// What of it a resource falls under.
    fn over(&self, change: &ResourceChange) -> Option<&str> {
        let falls = |pattern: &&String| match pattern.contains(':') {
            true => matches(pattern, &change.type_),
            false => matches(pattern, &change.logical),
        };
        self.0.iter().find(falls).map(String::as_str)
    }
}

/// Whether a text is like a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pattern.split('*').next_back().filter(|_| pattern.contains('*')) else { return rest.is_empty() };
    let between = pattern.matches('*').count().saturating_sub(1);
    for part in parts.take(between) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// What a change would do to a resource that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing but a change in place, or nothing.
    None,
    /// It may be replaced.
    MayReplace,
    /// It is replaced.
    Replace,
    /// It is deleted.
    Delete,
}

impl Harm {
    /// Of a change.
    pub fn of(change: &ResourceChange) -> Self {
        // What is retained leaves the stack and stays in the account; what replaces it is a new one all the same.
        let keeps = matches!(change.policy_action.as_deref(), Some("Retain"));
        match (change.action.as_str(), change.replacement.as_deref()) {
            ("Remove", _) if keeps => Self::None,
            ("Remove", _) => Self::Delete,
            ("Modify" | "SyncWithActual", Some("True")) => Self::Replace,
            ("Modify" | "SyncWithActual", Some("Conditional")) => Self::MayReplace,
            // What CloudFormation cannot tell before it does it.
            ("Dynamic", _) => Self::MayReplace,
            _ => Self::None,
        }
    }
}

/// Each change that a guard forbids, in a sentence.
pub fn breaches(changes: &[ResourceChange], protect: &Protect, most: Option<u32>) -> Vec<String> {
    let mut breaches: Vec<String> = changes
        .iter()
        .filter_map(|change| {
            let does = match Harm::of(change) {
                Harm::None => return None,
                Harm::MayReplace => "may be replaced",
                Harm::Replace => "would be replaced",
                Harm::Delete => "would be deleted",
            };
            let pattern = protect.over(change)?;
            let why = crate::show::why(change);
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            Some(format!("{} ({}) {does}{why}, and `protect` names {pattern}", change.logical, change.type_))
        })
        .collect();
    if let Some(most) = most.filter(|most| changes.len() > *most as usize) {
        let there = kiln_plugin::count(changes.len(), "change");
        breaches.push(format!("there are {there}, and `max-changes` allows {most}"));
    }
    breaches
}

/// The refusal that the breaches make, where there are any.
pub fn refusal(stack: &str, breaches: Vec<String>) -> Option<Failure> {
    let first = breaches.first()?.clone();
    Some(
        Failure::rejected(format!("the change set of {stack} is not executed: {first}"))
            .help(
                "Nothing was changed. Change the template so that it stays, or say in `protect` what may be replaced \
                 and deleted: its list takes the place of kiln's own.",
            )
            .details(breaches),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn change(action: &str, logical: &str, kind: &str, replacement: Option<&str>) -> ResourceChange {
        ResourceChange {
            action: action.to_owned(),
            logical: logical.to_owned(),
            physical: Some(format!("{logical}-1")),
            type_: kind.to_owned(),
            replacement: replacement.map(str::to_owned),
            scope: Vec::new(),
            policy_action: None,
            drift: None,
            details: Vec::new(),
            change_set: None,
            before: None,
            after: None,
        }
    }

    #[test]
    fn patterns_match_as_a_person_reads_them() {
        for (pattern, text, is_like) in [
            ("AWS::KMS::*Key", "AWS::KMS::Key", true),
            ("AWS::KMS::*Key", "AWS::KMS::ReplicaKey", true),
            ("AWS::KMS::*Key", "AWS::KMS::Alias", false),
            ("AWS::Neptune::DB*", "AWS::Neptune::DBCluster", true),
            ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", false),
            ("*", "anything", true),
            ("A*B*C", "AxxBxxC", true),
            ("A*B*C", "AxxC", false),
            ("Data*", "Database", true),
            ("aXa*aXa", "aXa", false),
        ] {
            assert_eq!(matches(pattern, text), is_like, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_precious_is_neither_replaced_nor_deleted() {
        let told = |change: ResourceChange| breaches(&[change], &Protect::default(), None);
        let bucket = "AWS::S3::Bucket";
        assert_eq!(
            told(change("Remove", "Logs", bucket, None)),
            ["Logs (AWS::S3::Bucket) would be deleted, and `protect` names AWS::S3::Bucket"]
        );
        assert!(told(change("Modify", "Logs", bucket, Some("True"))).concat().contains("would be replaced"));
        assert!(told(change("Modify", "Logs", bucket, Some("Conditional"))).concat().contains("may be replaced"));
        assert!(told(change("Dynamic", "Logs", bucket, None)).concat().contains("may be replaced"));
        for harmless in [
            change("Add", "Logs", bucket, None),
            change("Modify", "Logs", bucket, Some("False")),
            change("Remove", "Service", "AWS::ECS::Service", None),
            ResourceChange { policy_action: Some("Retain".to_owned()), ..change("Remove", "Logs", bucket, None) },
        ] {
            assert_eq!(told(harmless), Vec::<String>::new());
        }
        let replaced = ResourceChange {
            policy_action: Some("ReplaceAndRetain".to_owned()),
            ..change("Modify", "Logs", bucket, Some("True"))
        };
        assert_eq!(told(replaced).len(), 1, "the new bucket is empty");
    }

    #[test]
    fn a_resource_is_protected_by_its_name_too_and_changes_are_counted() {
        let all =
            [change("Remove", "Service", "AWS::ECS::Service", None), change("Add", "Other", "AWS::SNS::Topic", None)];
        let by_name = Protect(vec!["Service".to_owned()]);
        assert_eq!(breaches(&all, &by_name, Some(1)).len(), 2);
        assert_eq!(breaches(&all, &Protect(Vec::new()), Some(2)), Vec::<String>::new());
        let refused = refusal("web", breaches(&all, &by_name, None)).map(|failure| failure.message);
        assert!(refused.is_some_and(|told| told.contains("Service (AWS::ECS::Service) would be deleted")));
    }
}
