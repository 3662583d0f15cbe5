//! Leaves of a secret that are no secret: regions, accounts, hosts, states, the words of the pipeline itself.
//!
//! The main type is [`Common`]. Masking them would hide nothing that is not known, and make everything that is written
//! unreadable.

use std::collections::BTreeSet;

use super::MIN_LENGTH;
use crate::types::is_domain_of_aws;

/// Words that a run uses in the open.
#[derive(Debug, Clone, Default)]
pub struct Common {
    words: BTreeSet<String>,
    /// What a run was given: as open as the words, unless it was given a secret.
    given: BTreeSet<String>,
}

/// Why a leaf is not masked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainReason {
    /// It is shorter than [`MIN_LENGTH`].
    Short,
    /// Everybody knows it.
    Common,
}

/// What the values of such keys are is no secret where they look like it.
const OPEN_KEYS: [&str; 22] = [
    "account",
    "region",
    "host",
    "endpoint",
    "registry",
    "server",
    "url",
    "uri",
    "domain",
    "port",
    "user",
    "username",
    "login",
    "email",
    "engine",
    "environment",
    "env",
    "stage",
    "project",
    "dbname",
    "database",
    "name",
];

/// What the value of a key with one of these in its name is, is secret whatever it looks like.
const CLOSED_KEYS: [&str; 11] =
    ["pass", "pwd", "secret", "token", "key", "credential", "auth", "private", "salt", "signature", "pin"];

/// Words that stand in every log: states of AWS's resources, and what environments and databases are called.
const WORDS: [&str; 52] = [
    "accepted",
    "active",
    "available",
    "canceled",
    "cancelled",
    "complete",
    "completed",
    "creating",
    "deleting",
    "disabled",
    "draining",
    "enabled",
    "executing",
    "failure",
    "in_progress",
    "in-progress",
    "inactive",
    "pending",
    "primary",
    "provisioning",
    "registered",
    "rollback",
    "run-start",
    "run-resume",
    "stage-start",
    "local-read",
    "remember",
    "reconciled",
    "undo-start",
    "stage-end",
    "starting",
    "stopping",
    "succeeded",
    "terminated",
    "updating",
    "production",
    "development",
    "integration",
    "acceptance",
    "preproduction",
    "pre-production",
    "localhost",
    "postgres",
    "postgresql",
    "sqlserver",
    "aurora-mysql",
    "aurora-postgresql",
    "administrator",
    "username",
    "password",
    "database",
    "us-iso-east-1",
];

impl Common {
    /// The words that a run uses in the open: names, regions, accounts and values of its pipeline; and what it was given.
    pub fn new(words: impl IntoIterator<Item = String>, given: impl IntoIterator<Item = String>) -> Self {
        let lower = |word: String| word.trim().to_lowercase();
        Self { words: words.into_iter().map(lower).collect(), given: given.into_iter().map(lower).collect() }
    }

    /// Whether everybody knows `text`.
    pub(super) fn is_known(&self, text: &str) -> bool {
        let word = text.trim().to_lowercase();
        self.words.contains(&word) || WORDS.contains(&word.as_str()) || is_region(&word) || is_aws_name(&word)
    }

    /// Why the leaf that is called `name` is not masked by itself, if it is not.
    pub(super) fn why_plain(&self, name: &str, leaf: &str) -> Option<PlainReason> {
        let leaf = leaf.trim();
        if leaf.chars().count() < MIN_LENGTH {
            return Some(PlainReason::Short);
        }
        // The last part that is no index.
        let key = name.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        let (key, word) = (key.to_lowercase(), leaf.to_lowercase());
        if CLOSED_KEYS.iter().any(|part| key.contains(part)) {
            return None;
        }
        let open = OPEN_KEYS.iter().any(|part| key.split(['_', '-', '.']).any(|piece| piece == *part));
        let harmless = open && (is_account(&word) || is_host(&word) || self.given.contains(&word));
        (self.is_known(leaf) || harmless).then_some(PlainReason::Common)
    }
}

/// `us-west-2`, `us-gov-east-1`, `eusc-de-east-1`.
fn is_region(word: &str) -> bool {
    let mut parts = word.split('-');
    let first = parts.next();
    let country = first == Some("eusc")
        || first.is_some_and(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase()));
    let parts: Vec<&str> = parts.skip_while(|part| first == Some("eusc") && part.len() == 2).collect();
    let Some((number, words)) = parts.split_last() else { return false };
    country
        && matches!(words.len(), 1 | 2)
        && words.iter().all(|part| part.len() > 2 && part.bytes().all(|b| b.is_ascii_lowercase()))
        && matches!(number.as_bytes(), [b'1'..=b'9'])
}

/// An ARN without a path that could hold anything, or a host of AWS's own.
fn is_aws_name(word: &str) -> bool {
    (word.starts_with("arn:aws") && word.split(':').count() >= 6) || (is_domain_of_aws(word) && is_host(word))
}

fn is_account(word: &str) -> bool {
    word.len() == 12 && word.bytes().all(|b| b.is_ascii_digit())
}

fn is_host(word: &str) -> bool {
    let host = word.strip_prefix("https://").unwrap_or(word).trim_end_matches('/');
    host.contains('.')
        && host.split('.').all(|label| {
            !label.is_empty() && label.len() < 64 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
        && host.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_knows_is_told_from_what_is_secret() {
        let common = Common::new(["web-image".to_owned(), "team-checkout".to_owned()], ["canary-9".to_owned()]);
        for (key, leaf) in [
            ("region", "us-west-2"),
            ("where", "eu-central-1"),
            ("account", "111111111111"),
            ("registry", "111111111111.dkr.ecr.us-west-2.amazonaws.com"),
            ("host", "db.example.com"),
            ("project", "web-image"),
            ("environment", "production"),
            ("status", "COMPLETE"),
            ("kind", "stage-end"),
            ("role", "arn:aws:iam::111111111111:role/deployer"),
            ("owner", "Team-Checkout"),
            ("environment", "canary-9"),
        ] {
            assert_eq!(common.why_plain(key, leaf), Some(PlainReason::Common), "{key} = {leaf}");
        }
        for (key, leaf) in [
            ("password", "production"),
            ("api_key", "us-west-2"),
            ("number", "123456789012"),
            ("host", "hunter2-hunter2"),
            ("environment", "production-eu-7"),
            ("x", "dGhlIHRva2Vu"),
            ("x", "canary-9"),
            ("user", "xx.yyy.Zk3"),
        ] {
            assert_eq!(common.why_plain(key, leaf), None, "{key} = {leaf}");
        }
        assert_eq!(common.why_plain("token", "short"), Some(PlainReason::Short));
    }
}
