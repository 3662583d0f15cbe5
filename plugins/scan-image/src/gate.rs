//! Decides by findings whether an image may pass.
//! The main function is [`judge`].

use kiln_plugin::aws::ecr::{DescribeImageScanFindingsResponse, Finding};
use kiln_plugin::{Date, Failure, PinnedImage};

use crate::{Accepted, Found, Outputs, Severity};

/// How many findings the outputs and a failure carry.
const SHOWN: usize = 100;

/// The gate is open.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) outputs: Outputs,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

/// AWS's severities, the worst first. One that this plugin does not know stands before them all: it may be worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rating {
    Unknown,
    Critical,
    High,
    Medium,
    Low,
    /// Nobody has rated it yet: `UNTRIAGED` by Inspector, `UNDEFINED` by ECR.
    Unrated,
    Informational,
}

fn rating(severity: &str) -> Rating {
    match severity {
        "CRITICAL" => Rating::Critical,
        "HIGH" => Rating::High,
        "MEDIUM" => Rating::Medium,
        "LOW" => Rating::Low,
        "UNTRIAGED" | "UNDEFINED" => Rating::Unrated,
        "INFORMATIONAL" => Rating::Informational,
        _ => Rating::Unknown,
    }
}

fn closes(gate: Severity, rating: Rating) -> bool {
    let mildest = match gate {
        Severity::Critical => Rating::Critical,
        Severity::High => Rating::High,
        Severity::Medium => Rating::Medium,
        // The strictest gate trusts nothing that nobody has looked at.
        Severity::Low => Rating::Unrated,
    };
    rating <= mildest
}

/// Open, or a failure that lists what closes the gate.
pub(crate) fn judge(
    image: &PinnedImage,
    gate: Severity,
    accept: &[Accepted],
    today: Date,
    scan: &DescribeImageScanFindingsResponse,
) -> Result<Verdict, Failure> {
    let mut findings: Vec<&Finding> = scan.findings.iter().collect();
    findings.sort_by(|a, b| (rating(&a.severity), &a.id).cmp(&(rating(&b.severity), &b.id)));
    let accepted = |finding: &Finding| accept.iter().any(|entry| entry.id == finding.id && today <= entry.until);

    let closing: Vec<&Finding> =
        findings.iter().copied().filter(|finding| closes(gate, rating(&finding.severity))).collect();
    let blocking: Vec<&Finding> = closing.iter().copied().filter(|finding| !accepted(finding)).collect();
    let expired = accept.iter().filter(|entry| {
        entry.until < today && blocking.iter().any(|finding| finding.id == entry.id) && !renewed(entry, accept, today)
    });
    let expired: Vec<String> = expired
        .map(|entry| format!("{} was accepted until {} ({}): look at it again", entry.id, entry.until, entry.reason))
        .collect();

    if !blocking.is_empty() {
        let of_them = if blocking.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", blocking.len()) };
        return Err(Failure::rejected(format!("{} has {of_them} of severity {gate} or worse", image.brief()))
            .help("Update the packages that are named and build again. What does no harm here can be accepted for a while: `accept = [{ id = \"…\", reason = \"…\", until = \"YYYY-MM-DD\" }]`.")
            .details(expired)
            .details(blocking.iter().take(SHOWN).map(|finding| line(finding)))
            .details(more(blocking.len())));
    }

    let count = |wanted: Rating| findings.iter().filter(|finding| rating(&finding.severity) == wanted).count() as u32;
    let found = findings.iter().take(SHOWN).map(|finding| Found {
        id: finding.id.clone(),
        severity: finding.severity.clone(),
        package: finding.package.clone(),
        fixed_in: finding.fixed_in.clone(),
        accepted: accepted(finding),
    });
    let outputs = Outputs {
        status: scan.status.clone(),
        critical: count(Rating::Critical),
        high: count(Rating::High),
        medium: count(Rating::Medium),
        low: count(Rating::Low),
        accepted: closing.len() as u32,
        findings: found.collect(),
    };
    let unused = accept.iter().filter(|entry| !findings.iter().any(|finding| finding.id == entry.id));
    let mut notes: Vec<String> =
        unused.map(|entry| format!("{} is accepted but was not found: take it off the list", entry.id)).collect();
    let unrated = count(Rating::Unrated);
    if unrated > 0 {
        notes.push(format!("{unrated} findings are not rated yet; `fail-on = \"low\"` would close the gate"));
    }
    Ok(Verdict { outputs, notes })
}

/// The same finding is accepted again by another entry.
fn renewed(entry: &Accepted, accept: &[Accepted], today: Date) -> bool {
    accept.iter().any(|other| other.id == entry.id && today <= other.until)
}

/// One finding for a reader: how bad, what, where, and what mends it.
fn line(finding: &Finding) -> String {
    let package = finding.package.as_deref().unwrap_or("(package not named)");
    let fixed = match &finding.fixed_in {
        Some(version) => format!("fixed in {version}"),
        None => "no fix known".to_owned(),
    };
    let description: String = finding.description.chars().take(160).collect();
    let uri = finding.uri.as_deref().map(|uri| format!(" {uri}")).unwrap_or_default();
    format!("{} {} in {package}, {fixed}: {description}{uri}", finding.severity, finding.id)
}

fn more(blocking: usize) -> Option<String> {
    let hidden = blocking.saturating_sub(SHOWN);
    (hidden > 0).then(|| format!("… and {hidden} more"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::tests::image;
    use kiln_plugin::FailureKind;

    fn finding(id: &str, severity: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            severity: severity.to_owned(),
            package: Some("openssl 3.0.1".to_owned()),
            fixed_in: Some("3.0.2".to_owned()),
            description: "a hole".to_owned(),
            uri: None,
        }
    }

    fn accept(id: &str, until: &str) -> Accepted {
        let until = match until.parse() {
            Ok(date) => date,
            Err(error) => unreachable!("{error}"),
        };
        Accepted { id: id.to_owned(), reason: "not reachable".to_owned(), until }
    }

    fn judge_on(gate: Severity, accepted: &[Accepted], findings: &[(&str, &str)]) -> Result<Verdict, Failure> {
        let scan = DescribeImageScanFindingsResponse {
            status: "COMPLETE".to_owned(),
            status_description: None,
            completed: None,
            findings: findings.iter().map(|(id, severity)| finding(id, severity)).collect(),
        };
        let today = accept("", "2026-11-23").until;
        judge(&image(), gate, accepted, today, &scan)
    }

    #[test]
    fn the_gate_closes_at_its_severity_and_worse() {
        assert!(judge_on(Severity::Critical, &[], &[("a", "HIGH"), ("b", "UNTRIAGED")]).is_ok());
        assert!(judge_on(Severity::High, &[], &[("a", "HIGH")]).is_err());
        assert!(judge_on(Severity::High, &[], &[("a", "CRITICAL")]).is_err());
        assert!(judge_on(Severity::Medium, &[], &[("a", "LOW")]).is_ok());
        assert!(judge_on(Severity::Low, &[], &[("a", "LOW")]).is_err());
    }

    #[test]
    fn what_nobody_rated_closes_only_the_strictest_gate() {
        for severity in ["UNTRIAGED", "UNDEFINED"] {
            assert!(judge_on(Severity::Medium, &[], &[("a", severity)]).is_ok_and(|verdict| verdict.notes.len() == 1));
            assert!(judge_on(Severity::Low, &[], &[("a", severity)]).is_err());
        }
        assert!(judge_on(Severity::Low, &[], &[("a", "INFORMATIONAL")]).is_ok());
    }

    #[test]
    fn a_severity_that_aws_added_closes_every_gate() {
        assert!(judge_on(Severity::Critical, &[], &[("a", "CATASTROPHIC")]).is_err());
    }

    #[test]
    fn the_worst_comes_first_with_its_package_and_fix() {
        let failure =
            judge_on(Severity::Medium, &[], &[("c", "MEDIUM"), ("b", "HIGH"), ("a", "CRITICAL"), ("z", "LOW")])
                .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.message.ends_with("has 3 findings of severity medium or worse"), "{}", failure.message);
        assert_eq!(
            failure.details,
            [
                "CRITICAL a in openssl 3.0.1, fixed in 3.0.2: a hole",
                "HIGH b in openssl 3.0.1, fixed in 3.0.2: a hole",
                "MEDIUM c in openssl 3.0.1, fixed in 3.0.2: a hole",
            ]
        );
    }

    #[test]
    fn an_accepted_finding_passes_until_its_last_day() {
        let findings = [("CVE-1", "CRITICAL"), ("x", "LOW")];
        let verdict = judge_on(Severity::High, &[accept("CVE-1", "2026-11-23")], &findings);
        let outputs = verdict.map(|verdict| (verdict.outputs.critical, verdict.outputs.accepted, verdict.outputs.low));
        assert_eq!(outputs.ok(), Some((1, 1, 1)));

        let failure = judge_on(Severity::High, &[accept("CVE-1", "2026-11-22")], &findings).unwrap_err();
        let first = failure.details.first().map(String::as_str);
        assert_eq!(first, Some("CVE-1 was accepted until 2026-11-22 (not reachable): look at it again"));

        let both = [accept("CVE-1", "2026-11-22"), accept("CVE-1", "2027-01-01")];
        assert!(judge_on(Severity::High, &both, &findings).is_ok(), "it was accepted again");
    }

    #[test]
    fn an_acceptance_that_nothing_needs_is_mentioned() {
        let verdict = judge_on(Severity::High, &[accept("CVE-9", "2027-01-01")], &[]);
        assert_eq!(
            verdict.map(|verdict| verdict.notes).ok(),
            Some(vec!["CVE-9 is accepted but was not found: take it off the list".to_owned()])
        );
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let ids: Vec<String> = (0..120).map(|n| format!("CVE-{n:03}")).collect();
        let findings: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "CRITICAL")).collect();
        let failure = judge_on(Severity::Critical, &[], &findings).unwrap_err();
        assert_eq!(failure.details.len(), 101);
        assert_eq!(failure.details.last().map(String::as_str), Some("… and 20 more"));
    }
}
