//! Findings of machine images, and what Inspector looks at.

use serde_json::json;

use super::canned::{Answer, hermetic, refused, sent};
use crate::contract::bindings::kiln::aws_inspector2::inspector2::{
    BatchGetAccountStatusRequest, GetOnDemandScanStatusRequest, ListCoverageRequest, ListFindingsRequest,
    StartOnDemandScanRequest,
};

fn findings_of(machine_images: &[&str]) -> ListFindingsRequest {
    let machine_images = machine_images.iter().map(ToString::to_string).collect();
    ListFindingsRequest { machine_images, of_instances_from: Vec::new(), resources: Vec::new() }
}

#[test]
fn findings_are_those_of_what_is_named() {
    hermetic(async {
        let finding = json!({
            "findingArn": "f", "awsAccountId": "111111111111", "type": "PACKAGE_VULNERABILITY", "description": "d",
            "remediation": {}, "severity": "SEVERE", "firstObservedAt": 1, "lastObservedAt": 1_764_000_000.5,
            "status": "ACTIVE", "resources": [{ "type": "MACHINE_IMAGE", "id": "ami-1" }], "inspectorScore": 9.8,
            "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-1", "source": "NVD", "vulnerablePackages": [
                { "name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2" } ] },
            "fixAvailable": "YES",
        });
        let pages = [json!({ "findings": [finding], "nextToken": "two" }), json!({ "findings": [] })];
        let (output, asked) = sent(&findings_of(&["ami-1"]), pages.map(Answer::ok)).await;
        let found = &output.findings[0];
        assert_eq!((found.severity.as_str(), found.vulnerability.as_deref()), ("SEVERE", Some("CVE-1")));
        assert_eq!((found.resources[0].as_str(), found.last_observed), ("ami-1", Some(1_764_000_000_500)));
        assert_eq!(found.packages[0].fixed_in.as_deref(), Some("3.0.2"));
        let criteria = json!({ "machineImageId": [{ "comparison": "EQUALS", "value": "ami-1" }] });
        let expected = json!({ "filterCriteria": criteria, "maxResults": 100, "nextToken": "two" });
        assert_eq!(asked[1].json(), expected);
    });
}

#[test]
fn findings_of_everything_are_not_asked_for() {
    hermetic(async {
        assert!(refused(&findings_of(&[])).await.contains("those of all"));
        refused(&findings_of(&["ami-1*"])).await;
        refused(&ListCoverageRequest { resources: Vec::new() }).await;
        let scan = StartOnDemandScanRequest { machine_image: "i-0123".to_owned() };
        assert!(refused(&scan).await.contains("begin with ami-"));
    });
}

#[test]
fn an_account_tells_what_inspector_does_in_it() {
    hermetic(async {
        let state = |status: &str| json!({ "status": status, "errorCode": "INTERNAL_ERROR", "errorMessage": "m" });
        let answer = json!({ "accounts": [{ "accountId": "111111111111", "state": state("ENABLED"),
            "resourceState": { "ec2": state("ENABLED"), "ecr": state("DISABLED"), "ami": state("ENABLING") } }] });
        let request = BatchGetAccountStatusRequest { account: None };
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!((output.instances.as_str(), output.machine_images.as_str()), ("ENABLED", "ENABLING"));
        let (old, _) = sent(
            &request,
            [Answer::ok(json!({ "accounts": [{ "accountId": "111111111111",
            "state": state("ENABLED"), "resourceState": { "ec2": state("ENABLED"), "ecr": state("ENABLED") } }] }))],
        )
        .await;
        assert_eq!(old.machine_images, "");
    });
}

#[test]
fn a_scan_tells_how_it_stands() {
    hermetic(async {
        let request = GetOnDemandScanStatusRequest { machine_image: "ami-0123456789".to_owned(), scan: "s".to_owned() };
        let answer = json!({
            "scanId": "s", "resourceId": "ami-0123456789", "resourceType": "AMI", "scanStatus": "FAILED",
            "scanStatusReason": "UNSUPPORTED_OS", "startedAt": "2025-11-24T16:00:00Z",
            "completedAt": "2025-11-24T16:01:00Z",
        });
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let scan = output.scan;
        assert_eq!((scan.status.as_str(), scan.reason.as_deref()), ("FAILED", Some("UNSUPPORTED_OS")));
        assert_eq!((scan.started, scan.completed), (Some(1_764_000_000_000), Some(1_764_000_060_000)));
    });
}
