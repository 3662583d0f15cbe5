//! Images, recipes and what they are made by.

use serde_json::{Value, json};

use super::canned::{Answer, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    GetDistributionConfigurationRequest, GetImagePipelineRequest, GetImageRequest, GetLifecyclePolicyRequest,
    ListImagePipelineImagesRequest, ListImageScanFindingsRequest, ListImagesRequest, ListWorkflowExecutionsRequest,
    ListWorkflowStepExecutionsRequest,
};

fn arn(resource: &str) -> String {
    format!("arn:aws:imagebuilder:us-west-2:111111111111:{resource}")
}

fn get_image() -> GetImageRequest {
    GetImageRequest { image: arn("image/web/1.0.0/2") }
}

#[test]
fn an_image_tells_what_became_of_it() {
    hermetic(async {
        let answer = json!({ "image": {
            "arn": arn("image/web/1.0.0/2"), "name": "web", "version": "1.0.0", "type": "AMI",
            "state": { "status": "FAILED", "reason": "because", "failureContext": {
                "failedStep": "DistributeImage",
                "distributionFailure": { "regionFailures": [
                    { "region": "eu-west-1", "status": "FAILED", "errorMessage": "no key" },
                    { "region": "eu-west-2", "status": "TIMED_OUT", "imageConfigurationStep": "PUT_SSM_PARAMETERS",
                      "errorMessage": "late", "targetAccountId": "222222222222" },
                ] },
            } },
            "imageRecipe": { "arn": arn("image-recipe/web/1.0.0"), "version": "1.0.0", "parentImage": "ami-0",
                "components": [{ "componentArn": arn("component/x/1.0.0"),
                                 "parameters": [{ "name": "p", "value": ["1", "2"] }] }],
                "blockDeviceMappings": [{ "deviceName": "/dev/xvda", "ebs": { "encrypted": true, "kmsKeyId": "k" } }] },
            "dateCreated": "2025-11-24T16:00:00.000Z", "buildType": "SCHEDULED",
            "scanState": { "status": "COLLECTING" },
            "outputResources": { "amis": [{ "region": "us-west-2", "image": "ami-1", "accountId": "111111111111",
                                            "state": { "status": "AVAILABLE" } }] },
            "tags": { "b": "2", "a": "1" },
        } });
        let (output, _) = sent(&get_image(), [Answer::ok(answer)]).await;
        let image = output.image;
        assert_eq!((image.version.as_str(), image.status.as_str()), ("1.0.0/2", "FAILED"));
        assert_eq!(image.failed_step.as_deref(), Some("DistributeImage"));
        let failures: Vec<_> =
            image.region_failures.iter().map(|it| (it.region.as_str(), it.message.as_str())).collect();
        assert_eq!(failures, [("eu-west-1", "no key"), ("eu-west-2", "PUT_SSM_PARAMETERS: late")]);
        let recipe = image.recipe.unwrap();
        assert_eq!(recipe.components[0].parameters[0].values, ["1", "2"]);
        assert_eq!((recipe.volumes[0].encrypted, recipe.volumes[0].key.as_deref()), (Some(true), Some("k")));
        assert_eq!(image.created, Some(1_764_000_000_000));
        assert_eq!((image.tests, image.scans, image.scan_status.as_str()), (true, false, "COLLECTING"));
        assert_eq!((image.amis[0].ami.as_str(), image.amis[0].status.as_str()), ("ami-1", "AVAILABLE"));
        assert_eq!(image.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    });
}

#[test]
fn an_image_of_which_little_is_told_is_no_crash() {
    hermetic(async {
        let (output, _) = sent(&get_image(), [Answer::ok(json!({ "image": { "dateCreated": "yesterday" } }))]).await;
        assert_eq!((output.image.created, output.image.status.as_str()), (None, ""));
        let none = failed(&get_image(), Answer::ok(json!({}))).await;
        assert_eq!(none.map(|(kind, _)| kind), Some(ErrorKind::Unavailable));
        for (status, code, kind) in [
            (429, "CallRateLimitExceededException", ErrorKind::Throttled),
            (403, "ForbiddenException", ErrorKind::AccessDenied),
            (404, "ResourceNotFoundException", ErrorKind::NotFound),
            (400, "IdempotentParameterMismatchException", ErrorKind::Conflict),
            (400, "ResourceDependencyException", ErrorKind::Conflict),
            (400, "ServiceQuotaExceededException", ErrorKind::Limit),
            (400, "InvalidRequestException", ErrorKind::Invalid),
            (500, "ServiceException", ErrorKind::Unavailable),
        ] {
            assert_eq!(failed(&get_image(), Answer::error(status, code)).await.map(|(kind, _)| kind), Some(kind));
        }
    });
}

#[test]
fn lists_are_followed_to_their_last_page() {
    hermetic(async {
        let summary = |build: u32| json!({ "arn": arn(&format!("image/web/1.0.0/{build}")), "buildType": "SCHEDULED" });
        let pages = [
            json!({ "imageSummaryList": [summary(1)], "nextToken": "two" }),
            json!({ "imageSummaryList": [summary(2)] }),
        ];
        let request = ListImagePipelineImagesRequest { pipeline: arn("image-pipeline/web") };
        let (output, asked) = sent(&request, pages.map(Answer::ok)).await;
        assert_eq!(output.images.len(), 2);
        let expected = json!({ "imagePipelineArn": arn("image-pipeline/web"), "maxResults": 25, "nextToken": "two" });
        assert_eq!(asked[1].json(), expected);

        let (_, asked) = sent(&ListImagesRequest { name: Some("web".to_owned()) }, [Answer::ok(json!({}))]).await;
        let expected = json!({
            "owner": "Self", "includeDeprecated": true, "maxResults": 25,
            "filters": [{ "name": "name", "values": ["web"] }],
        });
        assert_eq!(asked[0].json(), expected);

        let workflow = json!({ "workflowExecutions": [{
            "workflowExecutionId": "wf-1", "type": "TEST", "status": "RUNNING", "message": "",
            "totalStepCount": 5, "totalStepsSucceeded": 2, "totalStepsSkipped": 1, "totalStepsFailed": 0,
        }] });
        let request = ListWorkflowExecutionsRequest { image: arn("image/web/1.0.0/2") };
        let (output, _) = sent(&request, [Answer::ok(workflow)]).await;
        let execution = &output.executions[0];
        assert_eq!((execution.steps, execution.steps_done, execution.message.clone()), (5, 3, None));
        let steps = json!({ "steps": [{ "name": "RunTests", "status": "DANCING", "message": "m" }] });
        let request = ListWorkflowStepExecutionsRequest { execution: "wf-1".to_owned() };
        let (output, _) = sent(&request, [Answer::ok(steps)]).await;
        assert_eq!((output.steps[0].status.as_str(), output.steps[0].message.as_deref()), ("DANCING", Some("m")));
    });
}

#[test]
fn findings_are_those_of_one_image() {
    hermetic(async {
        let findings = json!({ "findings": [
            { "severity": "CRITICAL", "inspectorScore": 9.8, "fixAvailable": "YES", "packageVulnerabilityDetails": {
                "vulnerabilityId": "CVE-1", "vulnerablePackages": [{ "name": "openssl", "fixedInVersion": "3" }] } },
            { "severity": "UNTRIAGED", "title": "a port is open", "type": "NETWORK_REACHABILITY" },
        ] });
        let request = ListImageScanFindingsRequest { image: arn("image/web/1.0.0/2") };
        let (output, asked) = sent(&request, [Answer::ok(findings)]).await;
        let filters = json!([{ "name": "imageBuildVersionArn", "values": [request.image] }]);
        assert_eq!(asked[0].json(), json!({ "filters": filters, "maxResults": 25 }));
        assert_eq!(output.findings[0].score.as_deref(), Some("9.8"));
        assert_eq!(output.findings[0].packages[0].fixed_in.as_deref(), Some("3"));
        assert_eq!((output.findings[1].vulnerability.clone(), output.findings[1].packages.len()), (None, 0));
    });
}

#[test]
fn configurations_tell_what_decides() {
    hermetic(async {
        let get = |answer: Value| [Answer::ok(answer)];
        let request = GetDistributionConfigurationRequest { distribution: arn("distribution-configuration/web") };
        let distribution = json!({ "distributionConfiguration": { "timeoutMinutes": 60, "distributions": [
            { "region": "eu-west-1", "amiDistributionConfiguration": {
                "kmsKeyId": "k", "targetAccountIds": ["222222222222"], "amiTags": { "a": "1" },
                "launchPermission": { "userGroups": ["all"], "organizationArns": ["o"], "organizationalUnitArns": ["u"] } },
              "ssmParameterConfigurations": [{ "parameterName": "/web/ami" }],
              "launchTemplateConfigurations": [{ "launchTemplateId": "lt-1", "setDefaultVersion": true }] },
            { "region": "us-west-2" },
        ] } });
        let (output, _) = sent(&request, get(distribution)).await;
        let first = &output.distributions[0];
        assert_eq!((first.key.as_deref(), first.launch_groups.len()), (Some("k"), 1));
        assert_eq!(first.launch_organizations, ["o", "u"]);
        assert_eq!((first.parameters[0].name.as_str(), first.templates[0].set_default), ("/web/ami", true));
        assert_eq!(output.distributions[1].key, None);

        let request = GetImagePipelineRequest { pipeline: arn("image-pipeline/web") };
        let pipeline = json!({ "imagePipeline": {
            "imageRecipeArn": "r", "schedule": { "scheduleExpression": "cron(0 4 * * ? *)" },
            "imageTestsConfiguration": { "imageTestsEnabled": false },
        } });
        let (output, _) = sent(&request, get(pipeline)).await;
        assert_eq!((output.tests, output.scans), (false, false));
        assert_eq!(output.schedule.as_deref(), Some("cron(0 4 * * ? *)"));

        let request = GetLifecyclePolicyRequest { policy: arn("lifecycle-policy/old") };
        let policy = json!({ "lifecyclePolicy": { "status": "ENABLED", "policyDetails": [{
            "action": { "type": "DELETE", "includeResources": { "amis": true, "snapshots": true } },
            "filter": { "type": "AGE", "value": 6, "unit": "MONTHS", "retainAtLeast": 2 },
            "exclusionRules": { "amis": { "tagMap": { "keep": "yes" } } },
        }], "resourceSelection": { "recipes": [{ "name": "web", "semanticVersion": "1.x.x" }] } } });
        let (output, _) = sent(&request, get(policy)).await;
        let rule = &output.rules[0];
        assert_eq!((rule.action.as_str(), rule.amis, rule.value, rule.retain_at_least), ("DELETE", true, 6, Some(2)));
        assert_eq!((rule.excluded_ami_tags[0].name.as_str(), output.recipes[0].version.as_str()), ("keep", "1.x.x"));
    });
}

#[test]
fn names_in_the_place_of_arns_are_refused() {
    hermetic(async {
        assert!(refused(&GetImagePipelineRequest { pipeline: "web".to_owned() }).await.contains("is not the ARN"));
        let version = ListWorkflowExecutionsRequest { image: arn("image/web/1.0.0") };
        assert!(refused(&version).await.contains("one build"));
        refused(&ListWorkflowStepExecutionsRequest { execution: "../x".to_owned() }).await;
    });
}
