//! Rules, schedules and functions: what starts something, and of what.

use serde_json::json;

use super::canned::{Answer, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_ecs_inventory::ecs_inventory::{
    DescribeTaskImagesRequest, ListClustersRequest, ListTaskDefinitionsRequest,
};
use crate::contract::bindings::kiln::aws_events::events::{
    ListEventBusesRequest, ListRulesRequest, ListTargetsByRuleRequest, RuleTarget,
};
use crate::contract::bindings::kiln::aws_lambda::lambda::{
    FunctionSummary, GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest,
};
use crate::contract::bindings::kiln::aws_scheduler::scheduler::{
    GetScheduleRequest, ListSchedulesRequest, ScheduleSummary,
};

fn targets(bus: &str, rule: &str) -> ListTargetsByRuleRequest {
    ListTargetsByRuleRequest { event_bus: bus.to_owned(), rule: rule.to_owned() }
}

#[test]
fn rules_and_targets_are_followed_to_their_last_page() {
    hermetic(async {
        let pages = [
            json!({ "NextToken": "two", "Rules": [{ "Name": "a", "Arn": "arn", "State": "ON_SUNDAYS" }] }),
            json!({ "NextToken": "three", "Rules": [] }),
            json!({ "Rules": [{ "Name": "b", "ScheduleExpression": "rate(1 day)", "ManagedBy": "aws" }] }),
        ];
        let request = ListRulesRequest { event_bus: "orders".to_owned() };
        let (output, asked) = sent(&request, pages.map(Answer::ok)).await;
        let rules: Vec<_> =
            output.rules.iter().map(|r| (r.name.as_str(), r.state.as_str(), r.schedule.as_deref())).collect();
        assert_eq!(rules, [("a", "ON_SUNDAYS", None), ("b", "", Some("rate(1 day)"))]);
        assert_eq!(asked[1].json(), json!({ "EventBusName": "orders", "Limit": 100, "NextToken": "two" }));

        let target = |id: &str| json!({ "Id": id, "Arn": "cluster", "Input": "{\"password\":1}" });
        let mut task = target("2");
        task["EcsParameters"] = json!({ "TaskDefinitionArn": "job:1" });
        let pages = [json!({ "NextToken": "two", "Targets": [target("1")] }), json!({ "Targets": [task] })];
        let (output, _) = sent(&targets("default", "nightly"), pages.map(Answer::ok)).await;
        let expected = |id: &str, task_definition: Option<&str>| RuleTarget {
            id: id.to_owned(),
            arn: "cluster".to_owned(),
            task_definition: task_definition.map(str::to_owned),
        };
        assert_eq!(output.targets, [expected("1", None), expected("2", Some("job:1"))]);
        let buses = ListEventBusesRequest { name_prefix: None };
        let (output, _) = sent(&buses, [Answer::ok(json!({ "EventBuses": [{ "Name": "default" }] }))]).await;
        assert_eq!(output.buses.len(), 1);
    });
}

#[test]
fn names_that_eventbridge_could_read_otherwise_are_refused() {
    hermetic(async {
        let arn = "arn:aws:events:us-west-2:222222222222:event-bus/orders";
        assert!(refused(&ListRulesRequest { event_bus: arn.to_owned() }).await.contains("not its ARN"));
        assert!(refused(&targets("default", "orders/nightly")).await.contains("'/' cannot be part of one"));
        assert!(refused(&targets("default", "")).await.contains("is empty"));
        let schedule = |name: &str, group: &str| GetScheduleRequest { name: name.to_owned(), group: group.to_owned() };
        assert!(refused(&schedule("a/b", "default")).await.contains("'/' cannot be part of one"));
        assert!(refused(&schedule("a", "")).await.contains("is empty"));
        let function = GetFunctionRequest { name: "a".to_owned(), qualifier: Some("1/../2".to_owned()) };
        assert!(refused(&function).await.contains("cannot be part of one"));
        let request = ListTaskDefinitionsRequest { family: None, status: "RUNNING".to_owned() };
        assert!(refused(&request).await.contains("is no status of task definitions"));
    });
}

#[test]
fn a_schedule_tells_the_task_definition_that_it_starts_and_nothing_else_of_its_input() {
    hermetic(async {
        let request = GetScheduleRequest { name: "nightly".to_owned(), group: "default".to_owned() };
        let answer = async |target: serde_json::Value| {
            let answer = json!({ "State": "ENABLED", "ScheduleExpression": "rate(1 day)", "Target": target });
            sent(&request, [Answer::ok(answer)]).await.0.task_definition
        };
        let parameters = json!({ "Arn": "c", "RoleArn": "r", "EcsParameters": { "TaskDefinitionArn": "job:1" } });
        assert_eq!(answer(parameters).await.as_deref(), Some("job:1"));
        let universal = |call: &str, input: &str| json!({ "Arn": format!("arn:aws:scheduler:::aws-sdk:{call}"), "RoleArn": "r", "Input": input });
        let input = r#"{"TaskDefinition": "job:2", "Overrides": {"password": 1}}"#;
        assert_eq!(answer(universal("ecs:runTask", input)).await.as_deref(), Some("job:2"));
        assert_eq!(answer(universal("sqs:sendMessage", input)).await, None);
        assert_eq!(answer(universal("ecs:runTask", "no JSON")).await, None);

        let page =
            json!({ "Schedules": [{ "Name": "nightly", "GroupName": "default", "Target": { "Arn": "c" } }, {}] });
        let (output, asked) = sent(&ListSchedulesRequest { group: None }, [Answer::ok(page)]).await;
        let summary = |name: &str, group: &str, target: &str| ScheduleSummary {
            name: name.to_owned(),
            group: group.to_owned(),
            state: String::new(),
            target: target.to_owned(),
        };
        assert_eq!(output.schedules, [summary("nightly", "default", "c"), summary("", "", "")]);
        assert_eq!(asked[0].operation, "schedules");
    });
}

#[test]
fn functions_are_listed_with_their_versions_and_tell_their_images_and_no_variables() {
    hermetic(async {
        let variables = json!({ "Variables": { "TOKEN": "hidden" } });
        let pages = [
            json!({ "NextMarker": "two", "Functions": [{ "FunctionName": "a", "FunctionArn": "arn:a:1", "Version": "1", "PackageType": "Image", "Environment": variables }] }),
            json!({ "Functions": [{ "FunctionName": "b", "Version": "$LATEST" }] }),
        ];
        let (output, asked) = sent(&ListFunctionsRequest { all_versions: true }, pages.map(Answer::ok)).await;
        assert!(!format!("{output:?}").contains("hidden"));
        let summary = |name: &str, arn: &str, version: &str, package_type: &str| FunctionSummary {
            name: name.to_owned(),
            arn: arn.to_owned(),
            version: version.to_owned(),
            package_type: package_type.to_owned(),
        };
        assert_eq!(output.functions, [summary("a", "arn:a:1", "1", "Image"), summary("b", "", "$LATEST", "Zip")]);
        assert_eq!(asked.len(), 2);

        let request = GetFunctionRequest { name: "a".to_owned(), qualifier: Some("1".to_owned()) };
        let answer = json!({
            "Configuration": { "PackageType": "Image", "Environment": variables },
            "Code": { "ImageUri": "web:v1", "ResolvedImageUri": "web@sha256:0a", "Location": "https://signed" },
        });
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let expected = GetFunctionResponse {
            package_type: "Image".to_owned(),
            image: Some("web:v1".to_owned()),
            resolved_image: Some("web@sha256:0a".to_owned()),
        };
        assert_eq!(output, expected);
        let gone = failed(&request, Answer::error(404, "ResourceNotFoundException")).await;
        assert_eq!(gone.map(|(kind, _)| kind), Some(ErrorKind::NotFound));
    });
}

#[test]
fn clusters_and_task_definitions_are_listed_and_only_images_are_told_of_them() {
    hermetic(async {
        let pages = [json!({ "clusterArns": ["a"], "nextToken": "two" }), json!({ "clusterArns": ["b"] })];
        let (output, _) = sent(&ListClustersRequest { reserved: false }, pages.map(Answer::ok)).await;
        assert_eq!(output.arns, ["a", "b"]);
        let request = ListTaskDefinitionsRequest { family: Some("web".to_owned()), status: "ACTIVE".to_owned() };
        let (output, asked) = sent(&request, [Answer::ok(json!({ "taskDefinitionArns": ["web:1"] }))]).await;
        assert_eq!(output.arns, ["web:1"]);
        assert_eq!(asked[0].json(), json!({ "familyPrefix": "web", "status": "ACTIVE", "maxResults": 100 }));

        let request = DescribeTaskImagesRequest { task_definition: "web".to_owned() };
        let environment = json!([{ "name": "TOKEN", "value": "hidden" }]);
        let containers = json!([{ "image": "web:v1", "environment": environment }, {}]);
        let definition =
            json!({ "taskDefinitionArn": "web:2", "status": "ACTIVE", "containerDefinitions": containers });
        let (output, _) = sent(&request, [Answer::ok(json!({ "taskDefinition": definition }))]).await;
        assert!(!format!("{output:?}").contains("hidden"));
        assert_eq!((output.arn.as_str(), output.images), ("web:2", vec!["web:v1".to_owned(), String::new()]));
        let incomplete = failed(&request, Answer::ok(json!({}))).await;
        assert_eq!(incomplete.map(|(_, code)| code).as_deref(), Some("IncompleteAnswer"));
    });
}
