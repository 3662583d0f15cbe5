//! Scans, through time.

use serde_json::{Value, json};

use crate::aws::{Aws, EPOCH, texts};

const DAY: u64 = 86_400;

fn world(repository: &str) -> String {
    format!(
        "[[repositories]]
        name = 'web'
        images = [{{ tags = ['v1'], pushed = '-2d' }}, {{ tags = ['v2'] }}]
        {repository}
        [[findings]]
        repository = 'web'
        tag = 'v*'
        severity = 'HIGH'
        id = 'CVE-2026-0001'
        package = 'openssl'
        version = '3.0.1'
        fixed-in = '3.0.2'
        [[findings]]
        repository = '*'
        severity = 'CRITICAL'
        id = 'CVE-2026-0002'
        [[findings]]
        repository = 'web'
        tag = 'built'
        severity = 'LOW'
        id = 'CVE-2026-0003'"
    )
}

fn image(tag: &str) -> Value {
    json!({ "repositoryName": "web", "imageId": { "imageTag": tag } })
}

async fn status(aws: &Aws, tag: &str) -> Value {
    aws.ask("ecr:DescribeImageScanFindings", image(tag)).await["imageScanStatus"]["status"].take()
}

#[tokio::test]
async fn a_basic_scan_takes_its_time_and_can_be_asked_for_once_a_day() {
    let aws = Aws::of(&world("scan = { takes = '1m' }"));
    aws.refused("ScanNotFoundException", "ecr:DescribeImageScanFindings", image("v1")).await;
    aws.ask("ecr:StartImageScan", image("v1")).await;
    aws.pass(59);
    let running = aws.ask("ecr:DescribeImageScanFindings", image("v1")).await;
    assert_eq!(running["imageScanStatus"]["status"], "IN_PROGRESS");
    assert!(running["imageScanFindings"].is_null(), "{running}");
    aws.pass(1);
    let done = aws.ask("ecr:DescribeImageScanFindings", image("v1")).await;
    assert_eq!(done["imageScanStatus"]["status"], "COMPLETE");
    let findings = &done["imageScanFindings"];
    assert_eq!(findings["imageScanCompletedAt"], json!((EPOCH + 60) as f64));
    assert_eq!(texts(&findings["findings"], "name"), ["CVE-2026-0002", "CVE-2026-0001"], "the worst first");
    assert_eq!(findings["findingSeverityCounts"], json!({ "HIGH": 1, "CRITICAL": 1 }));

    aws.pass(DAY - 61);
    aws.refused("LimitExceededException", "ecr:StartImageScan", image("v1")).await;
    aws.pass(1);
    aws.ask("ecr:StartImageScan", image("v1")).await;
    assert_eq!(status(&aws, "v1").await, "IN_PROGRESS");
    assert_eq!(aws.count("ecr:StartImageScan"), 2);
}

#[tokio::test]
async fn a_push_starts_a_scan_where_the_repository_wants_it() {
    let aws = Aws::of(&world("scan-on-push = true\nscan = { takes = '30s' }"));
    assert_eq!(status(&aws, "v1").await, "COMPLETE", "it was scanned two days ago");
    assert_eq!(status(&aws, "v2").await, "IN_PROGRESS", "it was pushed just now");
    aws.refused("LimitExceededException", "ecr:StartImageScan", image("v2")).await;
    aws.pass(30);
    assert_eq!(status(&aws, "v2").await, "COMPLETE");
}

#[tokio::test]
async fn enhanced_scans_go_on_by_themselves() {
    let aws = Aws::of(&world("scanning = 'enhanced'\nscan = { takes = '2m' }"));
    assert_eq!(status(&aws, "v2").await, "PENDING");
    aws.refused("ValidationException", "ecr:StartImageScan", image("v2")).await;
    aws.pass(120);
    let done = aws.ask("ecr:DescribeImageScanFindings", image("v2")).await;
    assert_eq!(done["imageScanStatus"]["status"], "ACTIVE");
    let findings = &done["imageScanFindings"]["enhancedFindings"];
    assert_eq!(texts(findings, "severity"), ["CRITICAL", "HIGH"]);
    assert_eq!(texts(findings, "fixAvailable"), ["NO", "YES"]);
    let package = &findings[1]["packageVulnerabilityDetails"]["vulnerablePackages"][0];
    assert_eq!(package["fixedInVersion"], "3.0.2");
    let how = aws.ask("ecr:BatchGetRepositoryScanningConfiguration", json!({ "repositoryNames": ["web"] })).await;
    assert_eq!(texts(&how["scanningConfigurations"], "scanFrequency"), ["CONTINUOUS_SCAN"]);
}

#[tokio::test]
async fn scans_end_as_the_world_says() {
    for wanted in ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"] {
        let aws = Aws::of(&world(&format!("scan = {{ status = '{wanted}', description = 'Because.' }}")));
        aws.ask("ecr:StartImageScan", image("v1")).await;
        aws.pass(3600);
        let answer = aws.ask("ecr:DescribeImageScanFindings", image("v1")).await;
        assert_eq!(answer["imageScanStatus"], json!({ "status": wanted, "description": "Because." }));
        assert!(answer["imageScanFindings"].is_null(), "no findings, and not none found: {answer}");
    }
}

#[tokio::test]
async fn a_scan_does_not_mind_that_its_image_goes() {
    let aws = Aws::of(&world(""));
    aws.ask("ecr:StartImageScan", image("v1")).await;
    aws.ask("ecr:BatchDeleteImage", json!({ "repositoryName": "web", "imageIds": [{ "imageTag": "v1" }] })).await;
    aws.pass(3600);
    aws.refused("ImageNotFoundException", "ecr:DescribeImageScanFindings", image("v1")).await;
}
