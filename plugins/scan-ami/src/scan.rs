//! What the status of a scan means, and what it found.
//! The main functions are [`of_builder`] and [`on_demand`]. No findings is good news only where a scan has looked.

use kiln_gate::{Finding, Scan};
use kiln_plugin::aws::imagebuilder::{Image, ImageScanFinding};
use kiln_plugin::aws::inspector2::{InspectorFinding, OnDemandScan};
use kiln_plugin::{Failure, FailureKind};

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Look again.
    Wait,
    /// The findings are there.
    Over,
}

/// How machine images come to be scanned.
pub(crate) const NEVER: &str = "See that Inspector scans machine images in this account and region, or that the pipeline of Image Builder \
     keeps the findings of its builds (`imageScanningEnabled`); no findings is no good news where nobody looked.";

/// What the status of Image Builder's scan says. A failure where it ended without an answer.
pub(crate) fn of_builder(image: &Image) -> Result<Step, Failure> {
    let (name, why) = (format!("{} {}", image.name, image.version), image.scan_reason.as_deref());
    match image.scan_status.as_str() {
        "COMPLETED" => Ok(Step::Over),
        "" if !image.scans => Err(Failure::rejected(format!("{name} was never scanned by Image Builder")).help(NEVER)),
        "FAILED" => Err(ended(FailureKind::Failed, &name, "failed", why)
            .help("See what Image Builder says of it, and bake again, or say `by = \"on-demand\"`.")),
        "ABANDONED" | "TIMED_OUT" => Err(ended(FailureKind::Rejected, &name, "ended without an answer", why)
            .help("Nobody knows whether the image is clean. Bake again, or say `by = \"on-demand\"`.")),
        // What AWS adds is waited for: the deadline decides, and the failure names it.
        _ => Ok(Step::Wait),
    }
}

/// What the status of a scan on demand says. A failure where it ended without an answer.
pub(crate) fn on_demand(scan: &OnDemandScan) -> Result<Step, Failure> {
    let why = scan.reason.as_deref();
    match (scan.status.as_str(), why) {
        ("SUCCESSFUL", _) => Ok(Step::Over),
        ("FAILED", Some("UNSUPPORTED_OS")) => Err(ended(
            FailureKind::Rejected,
            &scan.machine_image,
            "is impossible: Inspector does not know its system",
            why,
        )
        .help("Nobody knows whether the image is clean. Build it on a system that Inspector supports.")),
        ("FAILED", Some("RESOURCE_TERMINATED")) => {
            Err(ended(FailureKind::Conflict, &scan.machine_image, "failed: the image is gone", why)
                .help("Somebody has deregistered it meanwhile. Bake again."))
        }
        ("FAILED", _) => Err(ended(FailureKind::Failed, &scan.machine_image, "failed", why)
            .help("See what Inspector says (a key that it may not use, for one), and run it again.")),
        _ => Ok(Step::Wait),
    }
}

fn ended(kind: FailureKind, image: &str, what: &str, why: Option<&str>) -> Failure {
    Failure::new(kind, format!("the scan of {image} {what}")).details(why.map(str::to_owned))
}

/// Of these scans the one that counts: the one that runs, or else the newest that went well and is no older than `max_age`
/// milliseconds.
pub(crate) fn counts(scans: Vec<OnDemandScan>, now: u64, max_age: u64) -> Option<OnDemandScan> {
    let (over, mut running): (Vec<_>, Vec<_>) =
        scans.into_iter().partition(|scan| matches!(scan.status.as_str(), "SUCCESSFUL" | "FAILED"));
    running.sort_by_key(|scan| scan.started);
    let is_new = |scan: &OnDemandScan| {
        scan.status == "SUCCESSFUL" && scan.completed.is_some_and(|ended| ended.saturating_add(max_age) >= now)
    };
    running.pop().or_else(|| over.into_iter().filter(is_new).max_by_key(|scan| scan.completed))
}

/// What mends a finding, as far as it is told: where there is a fix whose version nobody names, that is said.
fn fix(available: &str, versions: Vec<String>) -> Option<String> {
    match (versions.is_empty(), available) {
        (false, _) => Some(versions.join(", ")),
        (true, "YES" | "PARTIAL") => Some("a newer version".to_owned()),
        (true, _) => None,
    }
}

/// Findings as the gate has them. Those that do not tell whether something mends them are a scan of their own.
fn scans(status: &str, findings: Vec<(bool, Finding)>) -> Vec<Scan> {
    let (telling, silent): (Vec<_>, Vec<_>) = findings.into_iter().partition(|(tells, _)| *tells);
    let scan = |tells_of_fixes, findings: Vec<(bool, Finding)>| Scan {
        platform: None,
        status: status.to_owned(),
        tells_of_fixes,
        findings: findings.into_iter().map(|(_, finding)| finding).collect(),
    };
    let mut scans = vec![scan(true, telling)];
    if !silent.is_empty() {
        scans.push(scan(false, silent));
    }
    scans
}

/// What Image Builder's scan found.
pub(crate) fn found_by_builder(status: &str, findings: Vec<ImageScanFinding>) -> Vec<Scan> {
    let finding = |found: ImageScanFinding| {
        let packages: Vec<String> =
            found.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
        let versions = found.packages.into_iter().filter_map(|package| package.fixed_in).collect();
        let finding = Finding {
            id: found.vulnerability.unwrap_or_else(|| found.title.clone()),
            severity: found.severity,
            package: (!packages.is_empty()).then(|| packages.join(", ")),
            fixed_in: fix(&found.fix_available, versions),
            description: found.title,
            uri: None,
        };
        (!found.fix_available.is_empty(), finding)
    };
    scans(status, findings.into_iter().map(finding).collect())
}

/// What a scan on demand found. What is closed is there no more.
pub(crate) fn found_on_demand(status: &str, findings: Vec<InspectorFinding>) -> Vec<Scan> {
    let finding = |found: InspectorFinding| {
        let packages: Vec<String> =
            found.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
        let versions = found.packages.into_iter().filter_map(|package| package.fixed_in).collect();
        let suppressed = if found.status == "SUPPRESSED" { " (suppressed in Inspector)" } else { "" };
        let finding = Finding {
            id: found.vulnerability.unwrap_or_else(|| found.title.clone()),
            severity: found.severity,
            package: (!packages.is_empty()).then(|| packages.join(", ")),
            fixed_in: fix(&found.fix_available, versions),
            description: format!("{}{suppressed}", found.title),
            uri: None,
        };
        (!found.fix_available.is_empty(), finding)
    };
    let open = findings.into_iter().filter(|found| found.status != "CLOSED");
    scans(status, open.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_plugin::aws::inspector2::AffectedPackage;

    fn image(scan_status: &str, scans: bool) -> Image {
        Image {
            arn: "arn:aws:imagebuilder:us-west-2:111111111111:image/web/1.0.0/1".to_owned(),
            name: "web".to_owned(),
            version: "1.0.0/1".to_owned(),
            image_type: "AMI".to_owned(),
            status: "AVAILABLE".to_owned(),
            reason: None,
            failed_step: None,
            region_failures: Vec::new(),
            recipe: None,
            pipeline: None,
            distribution: None,
            build_type: "USER_INITIATED".to_owned(),
            created: None,
            tests: true,
            scans,
            scan_status: scan_status.to_owned(),
            scan_reason: None,
            amis: Vec::new(),
            log_group: None,
            tags: Vec::new(),
        }
    }

    fn scan(id: &str, status: &str, reason: Option<&str>, completed: Option<u64>) -> OnDemandScan {
        OnDemandScan {
            id: id.to_owned(),
            machine_image: "ami-1".to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            started: Some(1),
            completed,
        }
    }

    #[test]
    fn each_status_is_decided() {
        for (status, scans, expected) in [
            ("COMPLETED", true, Ok(Step::Over)),
            ("PENDING", true, Ok(Step::Wait)),
            ("SCANNING", true, Ok(Step::Wait)),
            ("COLLECTING", true, Ok(Step::Wait)),
            ("", true, Ok(Step::Wait)),
            ("", false, Err(FailureKind::Rejected)),
            ("FAILED", true, Err(FailureKind::Failed)),
            ("ABANDONED", true, Err(FailureKind::Rejected)),
            ("TIMED_OUT", true, Err(FailureKind::Rejected)),
            ("MELTING", true, Ok(Step::Wait)),
        ] {
            let step = of_builder(&image(status, scans)).map_err(|failure| failure.kind);
            assert_eq!(step, expected, "{status}");
        }
        for (status, reason, expected) in [
            ("SUCCESSFUL", None, Ok(Step::Over)),
            ("IN_PROGRESS", None, Ok(Step::Wait)),
            ("MELTING", None, Ok(Step::Wait)),
            ("FAILED", Some("UNSUPPORTED_OS"), Err(FailureKind::Rejected)),
            ("FAILED", Some("RESOURCE_TERMINATED"), Err(FailureKind::Conflict)),
            ("FAILED", Some("ACCESS_DENIED"), Err(FailureKind::Failed)),
            ("FAILED", None, Err(FailureKind::Failed)),
        ] {
            let step = on_demand(&scan("a", status, reason, None)).map_err(|failure| failure.kind);
            assert_eq!(step, expected, "{status} {reason:?}");
        }
    }

    #[test]
    fn the_scan_that_runs_counts_or_else_the_newest_good_one() {
        let id = |scans: Vec<OnDemandScan>, now| counts(scans, now, 100).map(|scan| scan.id);
        let good = |id, completed| scan(id, "SUCCESSFUL", None, Some(completed));
        assert_eq!(
            id(vec![good("old", 10), good("new", 50), scan("bad", "FAILED", None, Some(90))], 100).as_deref(),
            Some("new")
        );
        assert_eq!(id(vec![good("old", 10)], 200), None, "it is too old");
        assert_eq!(id(vec![good("old", 10), scan("runs", "IN_PROGRESS", None, None)], 200).as_deref(), Some("runs"));
        assert_eq!(id(vec![scan("bad", "FAILED", None, Some(90))], 100), None, "what failed is no answer");
        assert_eq!(id(Vec::new(), 0), None);
    }

    #[test]
    fn a_fix_of_which_nobody_names_the_version_is_a_fix() {
        assert_eq!(fix("YES", Vec::new()).as_deref(), Some("a newer version"));
        assert_eq!(fix("PARTIAL", Vec::new()).as_deref(), Some("a newer version"));
        assert_eq!(fix("NO", Vec::new()), None);
        assert_eq!(fix("YES", vec!["3.0.2".to_owned()]).as_deref(), Some("3.0.2"));
    }

    #[test]
    fn what_is_suppressed_counts_and_what_is_closed_does_not() {
        let finding = |id: &str, status: &str, fix: &str| InspectorFinding {
            arn: String::new(),
            vulnerability: Some(id.to_owned()),
            severity: "HIGH".to_owned(),
            status: status.to_owned(),
            title: "t".to_owned(),
            finding_type: "PACKAGE_VULNERABILITY".to_owned(),
            score: None,
            packages: vec![AffectedPackage { name: "curl".to_owned(), version: "8".to_owned(), fixed_in: None }],
            fix_available: fix.to_owned(),
            exploit_available: String::new(),
            resources: Vec::new(),
            last_observed: None,
        };
        let findings = vec![
            finding("a", "ACTIVE", "NO"),
            finding("b", "SUPPRESSED", "YES"),
            finding("c", "CLOSED", "NO"),
            finding("d", "ACTIVE", ""),
        ];
        let scans = found_on_demand("SUCCESSFUL", findings);
        let told: Vec<_> = scans.iter().map(|scan| (scan.tells_of_fixes, scan.findings.len())).collect();
        assert_eq!(told, [(true, 2), (false, 1)]);
        let suppressed = scans.first().and_then(|scan| scan.findings.get(1)).map(|it| it.description.clone());
        assert_eq!(suppressed.as_deref(), Some("t (suppressed in Inspector)"));
        assert_eq!(found_on_demand("SUCCESSFUL", Vec::new()).len(), 1, "a scan that found nothing is one");
    }
}
