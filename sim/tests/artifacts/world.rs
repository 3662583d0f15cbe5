//! World files: the one of the demo, and wrong ones.

use kiln_sim::{WorldError, WorldFile};
use serde_json::json;

use crate::aws::Aws;

#[tokio::test]
async fn the_demo_builds_in_six_minutes_and_its_image_passes_a_scan() {
    let aws = Aws::whole(include_str!("../../../pipelines/web-service.world.toml"));
    let deployed = json!({ "repositoryName": "web", "imageIds": [{ "imageTag": "release-41" }] });
    aws.ask("ecr:DescribeImages", deployed).await;
    let all = aws.ask("ecr:DescribeImages", json!({ "repositoryName": "web" })).await;
    let images = all["imageDetails"].as_array().unwrap();
    assert_eq!((images.len(), images.iter().filter(|image| image["imageTags"].is_null()).count()), (18, 3));

    let variables: Vec<_> = [("IMAGE_REPO_NAME", "web"), ("IMAGE_TAG", "4f2a9c1")]
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .into();
    let token = json!({ "name": "REGISTRY_TOKEN", "value": "prod/registry:token", "type": "SECRETS_MANAGER" });
    let variables = [variables, vec![token]].concat();
    let input =
        json!({ "projectName": "web-image", "sourceVersion": "4f2a9c1", "environmentVariablesOverride": variables });
    aws.ask("codebuild:StartBuild", input).await;
    aws.pass(600);
    let ids = aws.ask("codebuild:ListBuilds", json!({})).await;
    let build = aws.ask("codebuild:BatchGetBuilds", json!({ "ids": ids["ids"] })).await["builds"][0].take();
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{build}");
    let commit = build["resolvedSourceVersion"].as_str().unwrap();
    assert!(commit.len() == 40 && commit.starts_with("4f2a9c1"), "{commit}");
    let took = build["endTime"].as_f64().unwrap() - build["startTime"].as_f64().unwrap();
    assert!((330.0..390.0).contains(&took), "{took}");

    let image = json!({ "repositoryName": "web", "imageId": { "imageTag": "4f2a9c1" } });
    let scan = aws.ask("ecr:DescribeImageScanFindings", image).await;
    assert_eq!(scan["imageScanStatus"]["status"], "COMPLETE");
    assert_eq!(scan["imageScanFindings"]["findingSeverityCounts"], json!({ "LOW": 1, "MEDIUM": 2 }));
}

#[test]
fn what_contradicts_itself_is_told() {
    let world = "account = '111111111111'\nregion = 'us-west-2'
        [[repositories]]
        name = 'Web'
        [[repositories]]
        name = 'one'
        scanning = 'basic'
        [[repositories]]
        name = 'two'
        scanning = 'enhanced'
        images = [{ tags = ['no spaces'] }]
        [[projects]]
        name = 'web-image'
        timeout-minutes = 1
        phases = { COMPLETED = '1s' }
        fail = { phase = 'SUBMITTED', status = 'SUCCEEDED' }
        exports = { AWS_KEY = 'x' }
        [[projects]]
        name = 'web-image'";
    let Err(WorldError::Invalid(problems)) = WorldFile::parse(world) else { panic!("it is refused") };
    for part in [
        "'Web'",
        "basic or enhanced",
        "imageTag",
        "timeout-minutes",
        "take no time",
        "cannot fail in",
        "status FAILED",
        "AWS_",
        "twice",
    ] {
        let part = part.replace('\'', "");
        assert!(problems.iter().any(|problem| problem.message.contains(&part)), "{part} in {problems:#?}");
    }
    assert_eq!(problems.len(), 9, "{problems:#?}");
}

#[test]
fn a_time_ago_wants_its_minus() {
    let world =
        "account = '111111111111'\nregion = 'us-west-2'\n[[repositories]]\nname = 'web'\nimages = [{ pushed = '20d' }]";
    let Err(WorldError::Syntax(message)) = WorldFile::parse(world) else { panic!("it is refused") };
    assert!(message.contains("time ago"), "{message}");
}
