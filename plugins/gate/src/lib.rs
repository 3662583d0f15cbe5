//! Decides by findings whether an image may pass: the one gate of all plugins that scan.
//! The main function is [`judge`]. No findings is good news only where somebody has looked: [`never_scanned`] says so where nobody has.

mod rules;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::{Date, Failure, FailureKind};

pub use rules::{Accepted, Found, IgnoreUnfixed, Severity};

/// How many findings the outputs and a failure carry.
const SHOWN: usize = 100;

/// A finding, as a scan tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Such as `CVE-2026-0001`.
    pub id: String,
    /// As AWS words it.
    pub severity: String,
    /// The package, with its version where known.
    pub package: Option<String>,
    /// The version that mends it, where known.
    pub fixed_in: Option<String>,
    /// What it is.
    pub description: String,
    /// Where more is told.
    pub uri: Option<String>,
}

/// What one scan found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The platform of what was scanned, where there are several.
    pub platform: Option<String>,
    /// The scan's status, as AWS words it.
    pub status: String,
    /// Whether the scan would say so if something mended a finding.
    pub tells_of_fixes: bool,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// What a pipeline says of the gate.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The mildest severity that closes it.
    pub fail_on: Severity,
    /// Findings that are accepted for a while.
    pub accept: &'a [Accepted],
    /// For how long findings without a fix are ignored.
    pub ignore_unfixed: Option<&'a IgnoreUnfixed>,
}

/// The gate is open.
#[derive(Debug)]
pub struct Verdict {
    /// The statuses of the scans, each once.
    pub status: String,
    /// How many critical findings there are, accepted ones included.
    pub critical: u32,
    /// How many high ones.
    pub high: u32,
    /// How many medium ones.
    pub medium: u32,
    /// How many low ones.
    pub low: u32,
    /// How many would have closed the gate and are accepted.
    pub accepted: u32,
    /// How many would have closed the gate and are ignored.
    pub unfixed: u32,
    /// The findings, the worst first; not all of very many.
    pub findings: Vec<Found>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Time ran out before the scan of these began: they were never scanned, and that is the answer. Any other failure stays. `help` says how
/// they come to be scanned.
pub fn never_scanned(subjects: &[String], help: &str, failure: Failure) -> Failure {
    if failure.kind != FailureKind::TimedOut {
        return failure;
    }
    let were = if subjects.len() == 1 { "was" } else { "were" };
    Failure::rejected(format!("{} {were} never scanned", subjects.join(", "))).help(help).detail(failure.message)
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

/// A finding, once for all images of an index that have it.
struct Weighed<'a> {
    finding: &'a Finding,
    rating: Rating,
    platforms: Vec<String>,
    /// Whether the scan would say so if something mended it: basic scans never do.
    tells_of_fixes: bool,
}

/// Open, or a failure that lists what closes the gate. `subject` is what was scanned.
///
/// # Errors
/// The gate is closed.
pub fn judge(subject: &str, gate: Gate<'_>, today: Date, scans: &[Scan]) -> Result<Verdict, Failure> {
    let findings = weigh(scans);
    let rules = Rules { gate, today };
    let closing: Vec<&Weighed<'_>> = findings.iter().filter(|finding| closes(gate.fail_on, finding.rating)).collect();
    let blocking: Vec<&Weighed<'_>> =
        closing.iter().copied().filter(|finding| !rules.accepts(finding) && !rules.ignores(finding)).collect();
    if !blocking.is_empty() {
        return Err(closed(subject, &rules, &blocking));
    }
    let count = |wanted: Rating| findings.iter().filter(|finding| finding.rating == wanted).count() as u32;
    let found = findings.iter().take(SHOWN).map(|weighed| Found {
        id: weighed.finding.id.clone(),
        severity: weighed.finding.severity.clone(),
        package: weighed.finding.package.clone(),
        fixed_in: weighed.finding.fixed_in.clone(),
        accepted: rules.accepts(weighed),
        platforms: weighed.platforms.clone(),
    });
    let accepted = closing.iter().filter(|finding| rules.accepts(finding)).count();
    let unused = gate.accept.iter().filter(|entry| !findings.iter().any(|weighed| weighed.finding.id == entry.id));
    let mut notes: Vec<String> =
        unused.map(|entry| format!("{} is accepted but was not found: take it off the list", entry.id)).collect();
    let ignored = closing.len() - accepted;
    if ignored > 0 {
        let (are, them) = if ignored == 1 { ("is", "it") } else { ("are", "them") };
        let ignored = kiln_plugin::count(ignored, "finding");
        notes.push(format!("{ignored} that would close the gate {are} ignored: nothing mends {them} yet"));
    }
    let unrated = count(Rating::Unrated);
    if unrated > 0 {
        let are = if unrated == 1 { "is" } else { "are" };
        let unrated = kiln_plugin::count(unrated, "finding");
        notes.push(format!("{unrated} {are} not rated yet; `fail-on = \"low\"` would close the gate"));
    }
    Ok(Verdict {
        status: statuses(scans),
        critical: count(Rating::Critical),
        high: count(Rating::High),
        medium: count(Rating::Medium),
        low: count(Rating::Low),
        accepted: accepted as u32,
        unfixed: ignored as u32,
        findings: found.collect(),
        notes,
    })
}

/// The gate is closed by these findings.
fn closed(subject: &str, rules: &Rules<'_>, blocking: &[&Weighed<'_>]) -> Failure {
    let gate = rules.gate.fail_on;
    let of_them = kiln_plugin::count(blocking.len(), "finding");
    Failure::rejected(format!("{subject} has {of_them} of severity {gate} or worse"))
        .help("Update the packages that are named and build again. What does no harm here can be accepted for a while: `accept = [{ id = \"…\", reason = \"…\", until = \"YYYY-MM-DD\" }]`.")
        .details(rules.expired(blocking))
        .details(blocking.iter().take(SHOWN).map(|weighed| line(weighed)))
        .details(more(blocking.len()))
}

/// The statuses of the scans, each once.
fn statuses(scans: &[Scan]) -> String {
    let statuses: BTreeSet<&str> = scans.iter().map(|scan| scan.status.as_str()).collect();
    statuses.into_iter().collect::<Vec<_>>().join(", ")
}

/// All findings, the worst first. The same finding of several images is one.
fn weigh(scans: &[Scan]) -> Vec<Weighed<'_>> {
    let mut weighed: BTreeMap<_, Weighed<'_>> = BTreeMap::new();
    for Scan { platform, tells_of_fixes, findings, .. } in scans {
        let tells_of_fixes = *tells_of_fixes;
        let mut seen: BTreeMap<_, u32> = BTreeMap::new();
        for finding in findings {
            let rating = rating(&finding.severity);
            let key = (rating, &finding.id, &finding.severity, &finding.package, &finding.fixed_in, tells_of_fixes);
            // What one scan tells twice is there twice.
            let nth = seen.entry(key).and_modify(|nth| *nth += 1).or_insert(0);
            let once = Weighed { finding, rating, platforms: Vec::new(), tells_of_fixes };
            weighed.entry((key, *nth)).or_insert(once).platforms.extend(platform.clone());
        }
    }
    weighed.into_values().collect()
}

/// What is let pass today.
struct Rules<'a> {
    gate: Gate<'a>,
    today: Date,
}

impl Rules<'_> {
    fn accepts(&self, weighed: &Weighed<'_>) -> bool {
        self.gate.accept.iter().any(|entry| entry.id == weighed.finding.id && self.today <= entry.until)
    }

    /// Whether it is ignored because nothing mends it yet.
    fn ignores(&self, weighed: &Weighed<'_>) -> bool {
        let in_time = self.gate.ignore_unfixed.is_some_and(|ignored| self.today <= ignored.until);
        in_time && weighed.tells_of_fixes && weighed.finding.fixed_in.is_none()
    }

    /// Which exceptions do not hold of what closes the gate, and why, a line each.
    fn expired(&self, blocking: &[&Weighed<'_>]) -> Vec<String> {
        let Gate { accept, ignore_unfixed, .. } = self.gate;
        let entries = accept.iter().filter(|entry| {
            entry.until < self.today
                && blocking.iter().any(|weighed| weighed.finding.id == entry.id)
                && !renewed(entry, accept, self.today)
        });
        let mut lines: Vec<String> = entries
            .map(|entry| {
                format!("{} was accepted until {} ({}): look at it again", entry.id, entry.until, entry.reason)
            })
            .collect();
        if let Some(IgnoreUnfixed { reason, until }) = ignore_unfixed {
            let unfixed = |weighed: &&&Weighed<'_>| weighed.tells_of_fixes && weighed.finding.fixed_in.is_none();
            if blocking.iter().any(|weighed| unfixed(&weighed)) {
                lines.push(format!("findings without a fix were ignored until {until} ({reason}): look at them again"));
            }
            if blocking.iter().any(|weighed| !weighed.tells_of_fixes) {
                lines.push("`ignore-unfixed` does not hold of what a basic scan finds: it does not tell whether something mends it".to_owned());
            }
        }
        lines
    }
}

/// The same finding is accepted again by another entry.
fn renewed(entry: &Accepted, accept: &[Accepted], today: Date) -> bool {
    accept.iter().any(|other| other.id == entry.id && today <= other.until)
}

/// One finding for a reader: how bad, what, where, and what mends it.
fn line(weighed: &Weighed<'_>) -> String {
    let finding = weighed.finding;
    let package = finding.package.as_deref().unwrap_or("(package not named)");
    let fixed = match &finding.fixed_in {
        Some(version) => format!("fixed in {version}"),
        None => "no fix known".to_owned(),
    };
    let platforms = match weighed.platforms.as_slice() {
        [] => String::new(),
        platforms => format!(" ({})", platforms.join(", ")),
    };
    let description: String = finding.description.chars().take(160).collect();
    let uri = finding.uri.as_deref().map(|uri| format!(" {uri}")).unwrap_or_default();
    format!("{} {} in {package}{platforms}, {fixed}: {description}{uri}", finding.severity, finding.id)
}

fn more(blocking: usize) -> Option<String> {
    let hidden = blocking.saturating_sub(SHOWN);
    (hidden > 0).then(|| format!("… and {hidden} more"))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What a pipeline says of the gate, with the day until which findings without a fix are ignored.
    struct Said {
        fail_on: Severity,
        accept: Vec<Accepted>,
        ignore_unfixed: Option<IgnoreUnfixed>,
    }

    fn config(fail_on: Severity, accepted: &[Accepted], ignore_until: Option<&str>) -> Said {
        let ignored = |until| IgnoreUnfixed { reason: "the base is old".to_owned(), until: accept("", until).until };
        Said { fail_on, accept: accepted.to_vec(), ignore_unfixed: ignore_until.map(ignored) }
    }

    fn scanned(platform: Option<&str>, status: &str, findings: Vec<Finding>) -> Scan {
        let (platform, tells_of_fixes) = (platform.map(str::to_owned), status == "ACTIVE");
        Scan { platform, status: status.to_owned(), tells_of_fixes, findings }
    }

    fn judge_all(said: &Said, scans: &[Scan]) -> Result<Verdict, Failure> {
        let gate = Gate { fail_on: said.fail_on, accept: &said.accept, ignore_unfixed: said.ignore_unfixed.as_ref() };
        judge("web@e3b0c44298fc", gate, accept("", "2026-11-23").until, scans)
    }

    fn judge_on(gate: Severity, accepted: &[Accepted], findings: &[(&str, &str)]) -> Result<Verdict, Failure> {
        let findings = findings.iter().map(|(id, severity)| finding(id, severity)).collect();
        judge_all(&config(gate, accepted, None), &[scanned(None, "COMPLETE", findings)])
    }

    #[test]
    fn the_images_of_an_index_are_judged_together_and_the_same_finding_is_one() {
        let scans = [
            scanned(Some("linux/amd64"), "COMPLETE", vec![finding("a", "CRITICAL"), finding("b", "LOW")]),
            scanned(Some("linux/arm64"), "COMPLETE", vec![finding("a", "CRITICAL")]),
        ];
        let failure = judge_all(&config(Severity::High, &[], None), &scans).unwrap_err();
        assert!(failure.message.contains("has 1 finding of severity high"), "{}", failure.message);
        assert_eq!(failure.details, ["CRITICAL a in openssl 3.0.1 (linux/amd64, linux/arm64), fixed in 3.0.2: a hole"]);
        let accepted = [accept("a", "2027-01-01")];
        let verdict = judge_all(&config(Severity::High, &accepted, None), &scans);
        let counted = verdict.map(|verdict| (verdict.critical, verdict.low, verdict.status));
        assert_eq!(counted.ok(), Some((1, 1, "COMPLETE".to_owned())));
        let twice = [scanned(None, "COMPLETE", vec![finding("a", "LOW"), finding("a", "LOW")])];
        let verdict = judge_all(&config(Severity::High, &[], None), &twice);
        assert_eq!(verdict.map(|verdict| verdict.low).ok(), Some(2), "of one image each counts");
    }

    #[test]
    fn findings_without_a_fix_are_ignored_until_the_last_day_where_the_scan_tells() {
        let unfixed = || vec![Finding { fixed_in: None, ..finding("a", "CRITICAL") }];
        let until = |day, status, findings| {
            judge_all(&config(Severity::High, &[], Some(day)), &[scanned(None, status, findings)])
        };
        let verdict = until("2026-11-23", "ACTIVE", unfixed());
        let counted = verdict.map(|verdict| (verdict.unfixed, verdict.accepted, verdict.notes.len()));
        assert_eq!(counted.ok(), Some((1, 0, 1)));

        assert!(until("2026-11-23", "ACTIVE", vec![finding("a", "CRITICAL")]).is_err(), "there is a fix");
        let first = |result: Result<Verdict, Failure>| result.unwrap_err().details.into_iter().next();
        assert_eq!(
            first(until("2026-11-22", "ACTIVE", unfixed())).as_deref(),
            Some("findings without a fix were ignored until 2026-11-22 (the base is old): look at them again")
        );
        let basic = first(until("2026-11-23", "COMPLETE", unfixed()));
        assert!(basic.is_some_and(|line| line.contains("does not hold of what a basic scan finds")));
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
        let outputs = verdict.map(|verdict| (verdict.critical, verdict.accepted, verdict.low));
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

    #[test]
    fn what_was_never_scanned_is_rejected() {
        let subjects = ["web@e3b0c44298fc".to_owned()];
        let late = Failure::timed_out("the scan was not done; last seen: waiting for Inspector to begin its scan");
        let failure = never_scanned(&subjects, "See that it is scanned.", late);
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Rejected, "web@e3b0c44298fc was never scanned")
        );
        assert_eq!(never_scanned(&subjects, "", Failure::denied("no")).kind, FailureKind::Denied, "another stays");
    }
}
