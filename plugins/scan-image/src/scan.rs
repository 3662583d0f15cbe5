//! What the status of a scan means.
//! The main function is [`step`]. No findings is good news only where a scan has looked.

use kiln_plugin::aws::ecr::DescribeImageScanFindingsResponse;
use kiln_plugin::{Failure, FailureKind};

use crate::ScanType;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Look again.
    Wait,
    /// The findings are there.
    Over,
}

/// Whether Inspector scans the image by itself, so that no scan is to be started.
pub(crate) fn is_enhanced(scan_type: ScanType, frequency: &str) -> bool {
    match scan_type {
        ScanType::Enhanced => true,
        ScanType::Basic => false,
        ScanType::Auto => frequency == "CONTINUOUS_SCAN",
    }
}

/// What a run will come to that waits for a scan of this type of an image of which there is none yet, where the repository is not
/// scanned so.
pub(crate) fn foreseen(repository: &str, scan_type: ScanType, frequency: &str) -> Option<String> {
    match (scan_type, frequency) {
        (ScanType::Enhanced, "MANUAL") => Some(format!(
            "`type` demands an enhanced scan, and nothing scans {repository} by itself: unless Inspector is turned on for it, a run \
             waits in vain and refuses the image as never scanned"
        )),
        (ScanType::Basic, "CONTINUOUS_SCAN") => Some(format!(
            "`type` demands a basic scan, and Inspector scans {repository}: a run refuses what it finds; say `type = \"enhanced\"` or \
             `\"auto\"`"
        )),
        _ => None,
    }
}

/// What the status says. A failure where the scan ended without an answer.
pub(crate) fn step(
    image: &str,
    scan_type: ScanType,
    found: &DescribeImageScanFindingsResponse,
) -> Result<Step, Failure> {
    let why = found.status_description.as_deref();
    match (found.status.as_str(), scan_type) {
        ("PENDING" | "IN_PROGRESS", _) => Ok(Step::Wait),
        ("COMPLETE", ScanType::Auto | ScanType::Basic) | ("ACTIVE", ScanType::Auto | ScanType::Enhanced) => {
            Ok(Step::Over)
        }
        ("COMPLETE", ScanType::Enhanced) => {
            Err(Failure::rejected(format!("{image} has only a basic scan, and `type` demands an enhanced one"))
                .help("Turn on enhanced scanning (Inspector) for the repository, or say `type = \"auto\"`."))
        }
        ("ACTIVE", ScanType::Basic) => {
            Err(Failure::rejected(format!("{image} is scanned by Inspector, and `type` demands a basic scan"))
                .help("Say `type = \"enhanced\"` or `\"auto\"`."))
        }
        ("FAILED", _) => {
            Err(ended(FailureKind::Failed, image, "failed", why).help("See what ECR says, and scan the image again."))
        }
        ("UNSUPPORTED_IMAGE", _) => Err(unsupported(image, why)),
        ("SCAN_ELIGIBILITY_EXPIRED", _) => {
            Err(ended(FailureKind::Rejected, image, "is out of date: Inspector scans the image no more", why)
                .help("Build the image again, or lengthen the time for which Inspector scans images."))
        }
        ("FINDINGS_UNAVAILABLE", _) => Err(ended(FailureKind::Rejected, image, "has no findings to show", why)
            .help("Nobody knows whether the image is clean. Scan it again.")),
        ("LIMIT_EXCEEDED", _) => {
            Err(ended(FailureKind::Unavailable, image, "met a limit of AWS", why).help("Run it again later."))
        }
        // What AWS adds is waited for: the deadline decides, and the failure names it.
        _ => Ok(Step::Wait),
    }
}

/// The image is of a sort that cannot be scanned.
pub(crate) fn unsupported(image: &str, why: Option<&str>) -> Failure {
    ended(FailureKind::Rejected, image, "is impossible: ECR cannot scan images of this kind", why)
        .help("Nobody knows whether the image is clean. Build it on a base that ECR supports.")
}

fn ended(kind: FailureKind, image: &str, what: &str, why: Option<&str>) -> Failure {
    Failure::new(kind, format!("the scan of {image} {what}")).details(why.map(str::to_owned))
}

/// How images come to be scanned.
pub(crate) const NEVER: &str = "See that the repository is scanned (ECR's scan on push, or Inspector with a filter that matches it); no findings is no good news where nobody looked.";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::PinnedImage;

    pub(crate) fn image() -> PinnedImage {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        match PinnedImage::of("111111111111.dkr.ecr.us-west-2.amazonaws.com/web", digest) {
            Ok(image) => image,
            Err(error) => unreachable!("{error}"),
        }
    }

    #[test]
    fn a_scan_that_will_not_come_is_foreseen() {
        let said = |scan_type, frequency| foreseen("web", scan_type, frequency);
        assert!(said(ScanType::Enhanced, "MANUAL").is_some_and(|said| said.contains("waits in vain")));
        assert!(said(ScanType::Basic, "CONTINUOUS_SCAN").is_some_and(|said| said.contains("a run refuses")));
        for (scan_type, frequency) in [
            (ScanType::Auto, "MANUAL"),
            (ScanType::Auto, "CONTINUOUS_SCAN"),
            (ScanType::Basic, "SCAN_ON_PUSH"),
            // Inspector scans on push, too.
            (ScanType::Enhanced, "SCAN_ON_PUSH"),
            (ScanType::Enhanced, ""),
        ] {
            assert_eq!(said(scan_type, frequency), None, "{scan_type:?} {frequency}");
        }
    }

    fn found(status: &str) -> DescribeImageScanFindingsResponse {
        DescribeImageScanFindingsResponse {
            status: status.to_owned(),
            status_description: Some("because".to_owned()),
            completed: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn each_status_is_decided() {
        for (status, scan_type, expected) in [
            ("PENDING", ScanType::Auto, Ok(Step::Wait)),
            ("IN_PROGRESS", ScanType::Basic, Ok(Step::Wait)),
            ("COMPLETE", ScanType::Auto, Ok(Step::Over)),
            ("COMPLETE", ScanType::Basic, Ok(Step::Over)),
            ("COMPLETE", ScanType::Enhanced, Err(FailureKind::Rejected)),
            ("ACTIVE", ScanType::Auto, Ok(Step::Over)),
            ("ACTIVE", ScanType::Enhanced, Ok(Step::Over)),
            ("ACTIVE", ScanType::Basic, Err(FailureKind::Rejected)),
            ("FAILED", ScanType::Auto, Err(FailureKind::Failed)),
            ("UNSUPPORTED_IMAGE", ScanType::Auto, Err(FailureKind::Rejected)),
            ("SCAN_ELIGIBILITY_EXPIRED", ScanType::Auto, Err(FailureKind::Rejected)),
            ("FINDINGS_UNAVAILABLE", ScanType::Auto, Err(FailureKind::Rejected)),
            ("LIMIT_EXCEEDED", ScanType::Auto, Err(FailureKind::Unavailable)),
            ("IMAGE_ARCHIVED", ScanType::Auto, Ok(Step::Wait)),
        ] {
            assert_eq!(
                step("web@e3b0c44298fc", scan_type, &found(status)).map_err(|failure| failure.kind),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn the_type_is_found_by_itself() {
        assert!(is_enhanced(ScanType::Auto, "CONTINUOUS_SCAN"));
        assert!(!is_enhanced(ScanType::Auto, "SCAN_ON_PUSH"));
        assert!(is_enhanced(ScanType::Enhanced, "MANUAL"));
        assert!(!is_enhanced(ScanType::Basic, "CONTINUOUS_SCAN"));
    }
}
