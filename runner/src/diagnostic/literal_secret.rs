//! Finds secrets that somebody wrote into a text, so that they can be refused and are never shown.
//!
//! The main type is [`LiteralSecret`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// A secret that stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteralSecret {
    /// Where the secret itself stands.
    pub span: Range<usize>,
    /// What it looks like: `an AWS access key id`.
    pub looks_like: &'static str,
}

/// What a secret looks like, and the pattern that finds it.
struct Shape {
    looks_like: &'static str,
    pattern: &'static str,
}

/// The group `secret` is what is masked; whatever stands around it only makes the match surer.
const SHAPES: &[Shape] = &[
    Shape {
        looks_like: "a private key",
        pattern: r"(?s)(?<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z))",
    },
    Shape { looks_like: "an AWS access key id", pattern: r"(?<secret>(?:AKIA|ASIA)[A-Z0-9]{16})" },
    Shape {
        looks_like: "an AWS secret access key",
        pattern: r#"(?i)(?:aws|secret)[a-z0-9_."' -]*(?:key|secret|token)["']?\s*[=:]\s*["']{0,3}(?<secret>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
    },
    Shape {
        looks_like: "a GitHub token",
        pattern: r"\b(?<secret>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    },
    Shape { looks_like: "a Slack token", pattern: r"\b(?<secret>xox[abeprs]-[A-Za-z0-9-]{10,})" },
];

static PATTERNS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    // INVARIANT: the patterns are constant, and a test compiles every one of them.
    SHAPES.iter().filter_map(|shape| Some((shape.looks_like, Regex::new(shape.pattern).ok()?))).collect()
});

/// The secrets that stand in `text`, in order, none inside another.
pub fn literal_secrets(text: &str) -> Vec<LiteralSecret> {
    // By where they begin: none is inside another, so the last that begins before an end is the only one to ask.
    let mut found: BTreeMap<usize, LiteralSecret> = BTreeMap::new();
    for (looks_like, pattern) in PATTERNS.iter() {
        for captures in pattern.captures_iter(text) {
            let Some(secret) = captures.name("secret") else { continue };
            let span = secret.range();
            let before = found.range(..span.end).next_back();
            if before.is_none_or(|(_, other)| other.span.end <= span.start) {
                found.insert(span.start, LiteralSecret { span, looks_like });
            }
        }
    }
    found.into_values().collect()
}

/// `text` with every character of `secrets` replaced by `*`, byte for byte, so that offsets stay what they were.
pub(crate) fn masked(text: &str, secrets: &[LiteralSecret]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for secret in secrets {
        out.push_str(text.get(done..secret.span.start).unwrap_or_default());
        for byte in text.get(secret.span.clone()).unwrap_or_default().bytes() {
            out.push(if byte == b'\n' { '\n' } else { '*' });
        }
        done = secret.span.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), SHAPES.len());
    }

    #[test]
    fn secrets_are_found_and_masked() {
        let cases = [
            ("token = \"AKIAIOSFODNN7EXAMPLE\"", "AKIAIOSFODNN7EXAMPLE"),
            ("x = 'ASIAIOSFODNN7EXAMPLE'", "ASIAIOSFODNN7EXAMPLE"),
            (
                "aws_secret_access_key = \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            (
                "{ aws-secret-key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            ("k = \"\"\"-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\"\"\"", "MIIabc"),
            ("k = '-----BEGIN PRIVATE KEY-----\nnever closed", "never closed"),
        ];
        for (text, secret) in cases {
            let masked = masked(text, &literal_secrets(text));
            assert!(!masked.contains(secret), "{text} → {masked}");
            assert_eq!(masked.len(), text.len());
        }
    }

    #[test]
    fn what_only_resembles_a_secret_is_left_alone() {
        for text in [
            "digest = \"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
            "role = \"arn:aws:iam::111111111111:role/deployer\"",
            "password = \"${secrets.registry}\"",
            "commit = \"0123456789abcdef0123456789abcdef01234567\"",
            "[secrets.registry]\nkey = \"token\"",
        ] {
            assert_eq!(literal_secrets(text), vec![], "{text}");
        }
    }
}
