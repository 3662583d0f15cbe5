//! Puts what ECR's scans found before the gate.
//! The main function is [`judge`]; the gate itself is `kiln_gate`'s.

use kiln_gate::{Finding, Gate, Scan};
use kiln_plugin::aws::ecr;
use kiln_plugin::{Date, Failure, PinnedImage};

use crate::wait::Scanned;
use crate::{Config, Outputs};

/// The gate is open.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) outputs: Outputs,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

/// Open, or a failure that lists what closes the gate.
pub(crate) fn judge(image: &PinnedImage, config: &Config, today: Date, scans: &[Scanned]) -> Result<Verdict, Failure> {
    let scans: Vec<Scan> = scans.iter().map(scan).collect();
    let gate = Gate { fail_on: config.fail_on, accept: &config.accept, ignore_unfixed: config.ignore_unfixed.as_ref() };
    let verdict = kiln_gate::judge(&image.brief(), gate, today, &scans)?;
    let outputs = Outputs {
        status: verdict.status,
        critical: verdict.critical,
        high: verdict.high,
        medium: verdict.medium,
        low: verdict.low,
        accepted: verdict.accepted,
        unfixed: verdict.unfixed,
        findings: verdict.findings,
    };
    Ok(Verdict { outputs, notes: verdict.notes })
}

fn scan(Scanned { part, found }: &Scanned) -> Scan {
    let finding = |finding: &ecr::Finding| Finding {
        id: finding.id.clone(),
        severity: finding.severity.clone(),
        package: finding.package.clone(),
        fixed_in: finding.fixed_in.clone(),
        description: finding.description.clone(),
        uri: finding.uri.clone(),
    };
    Scan {
        platform: part.platform.clone(),
        status: found.status.clone(),
        // Basic scans never tell.
        tells_of_fixes: found.status == "ACTIVE",
        findings: found.findings.iter().map(finding).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Part;
    use crate::scan::tests::image;
    use kiln_plugin::aws::ecr::DescribeImageScanFindingsResponse;

    #[test]
    fn only_enhanced_scans_tell_of_fixes() {
        for (status, tells) in [("ACTIVE", true), ("COMPLETE", false), ("MELTING", false)] {
            let (status, findings) = (status.to_owned(), Vec::new());
            let found =
                DescribeImageScanFindingsResponse { status, status_description: None, completed: None, findings };
            assert_eq!(scan(&Scanned { part: Part::whole(&image()), found }).tells_of_fixes, tells);
        }
    }
}
