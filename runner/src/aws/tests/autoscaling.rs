//! Groups, what they are launched of, and their refreshes.

use serde_json::{Value, json};

use super::canned::{Answer, Canned, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    CancelInstanceRefreshRequest, DescribeAutoScalingGroupsRequest, DescribeInstanceRefreshesRequest,
    DescribeLifecycleHooksRequest, DescribePoliciesRequest, DescribeScalingActivitiesRequest, DescribeWarmPoolRequest,
    LaunchTemplate, RollbackInstanceRefreshRequest, StartInstanceRefreshRequest,
};

const GROUP: &str = "<member><AutoScalingGroupName>web</AutoScalingGroupName><MinSize>2</MinSize><MaxSize>8</MaxSize>\
    <DesiredCapacity>4</DesiredCapacity><HealthCheckType>EC2,ELB</HealthCheckType><Novelty><Of>2031</Of></Novelty>\
    <MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification><LaunchTemplateId>lt-1</LaunchTemplateId>\
    <Version>3</Version></LaunchTemplateSpecification><Overrides><member><InstanceType>m5.large</InstanceType>\
    <Shade>blue</Shade></member></Overrides></LaunchTemplate><InstancesDistribution><OnDemandBaseCapacity>1\
    </OnDemandBaseCapacity></InstancesDistribution></MixedInstancesPolicy>\
    <InstanceMaintenancePolicy><MinHealthyPercentage>90</MinHealthyPercentage><MaxHealthyPercentage>-1\
    </MaxHealthyPercentage></InstanceMaintenancePolicy>\
    <Instances><member><InstanceId>i-1</InstanceId><LifecycleState>Pondering</LifecycleState><HealthStatus>Healthy\
    </HealthStatus><ProtectedFromScaleIn>true</ProtectedFromScaleIn><LaunchTemplate><LaunchTemplateName>web\
    </LaunchTemplateName><Version>2</Version></LaunchTemplate></member></Instances></member>";

fn groups(names: &[&str]) -> DescribeAutoScalingGroupsRequest {
    DescribeAutoScalingGroupsRequest { names: names.iter().map(ToString::to_string).collect() }
}

#[test]
fn a_group_is_told_with_members_that_kiln_does_not_know() {
    hermetic(async {
        let pages = [
            format!("<AutoScalingGroups>{GROUP}</AutoScalingGroups><NextToken>two</NextToken>"),
            "<AutoScalingGroups><member/></AutoScalingGroups>".to_owned(),
        ];
        let pages = pages.map(|page| Answer::query("DescribeAutoScalingGroups", &page));
        let (output, asked) = sent(&groups(&["web"]), pages).await;
        assert_eq!(output.groups.len(), 2);
        let (group, bare) = (&output.groups[0], &output.groups[1]);
        assert_eq!((group.name.as_str(), group.min_size, group.desired, group.max_size), ("web", 2, 4, 8));
        assert_eq!((group.min_healthy_percentage, group.max_healthy_percentage), (Some(90), None));
        let instance = &group.instances[0];
        assert_eq!((instance.state.as_str(), instance.protected_from_scale_in), ("Pondering", true));
        let template = LaunchTemplate { id: None, name: Some("web".to_owned()), version: Some("2".to_owned()) };
        assert_eq!(instance.launch_template.as_ref(), Some(&template));
        let policy: Value = serde_json::from_str(group.mixed_instances_policy.as_deref().unwrap()).unwrap();
        assert_eq!(policy["LaunchTemplate"]["Overrides"], json!([{ "InstanceType": "m5.large", "Shade": "blue" }]));
        let document: Value = serde_json::from_str(&group.document).unwrap();
        assert_eq!(document["Novelty"], json!({ "Of": "2031" }));
        assert_eq!((bare.name.as_str(), bare.desired, bare.document.as_str()), ("", 0, "\"\""));
        assert!(asked[0].text.contains("AutoScalingGroupNames.member.1=web") && !asked[0].text.contains("NextToken"));
        assert!(asked[1].text.contains("NextToken=two"), "{}", asked[1].text);
    });
}

#[test]
fn what_was_read_of_a_group_is_given_back_to_a_refresh_as_it_was() {
    hermetic(async {
        let page = format!("<AutoScalingGroups>{GROUP}</AutoScalingGroups>");
        let (output, _) = sent(&groups(&["web"]), [Answer::query("DescribeAutoScalingGroups", &page)]).await;
        let policy = output.groups[0].mixed_instances_policy.clone().unwrap();
        let request = StartInstanceRefreshRequest {
            group: "web".to_owned(),
            strategy: Some("Rolling".to_owned()),
            desired_configuration: Some(format!(r#"{{"MixedInstancesPolicy":{policy}}}"#)),
            preferences: Some(
                r#"{"SkipMatching":true,"CheckpointPercentages":[20,100],"MinHealthyPercentage":90}"#.to_owned(),
            ),
            roles: vec![],
        };
        let answer = Answer::query("StartInstanceRefresh", "<InstanceRefreshId>0a-1b</InstanceRefreshId>");
        let (output, asked) = sent(&request, [answer]).await;
        assert_eq!(output.id, "0a-1b");
        let policy = "DesiredConfiguration.MixedInstancesPolicy.";
        for field in [
            "AutoScalingGroupName=web".to_owned(),
            "Strategy=Rolling".to_owned(),
            format!("{policy}LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId=lt-1"),
            format!("{policy}LaunchTemplate.LaunchTemplateSpecification.Version=3"),
            format!("{policy}LaunchTemplate.Overrides.member.1.Shade=blue"),
            format!("{policy}InstancesDistribution.OnDemandBaseCapacity=1"),
            "Preferences.SkipMatching=true".to_owned(),
            "Preferences.CheckpointPercentages.member.2=100".to_owned(),
            "Preferences.MinHealthyPercentage=90".to_owned(),
        ] {
            assert!(asked[0].text.split('&').any(|given| given == field), "{field} in {}", asked[0].text);
        }
    });
}

#[test]
fn a_refresh_is_told_in_states_that_kiln_does_not_know() {
    hermetic(async {
        let refresh = "<InstanceRefreshes><member><InstanceRefreshId>0a</InstanceRefreshId><Status>Musing</Status>\
            <PercentageComplete>40</PercentageComplete><InstancesToUpdate>3</InstancesToUpdate>\
            <StartTime>2026-01-05T09:00:00Z</StartTime><DesiredConfiguration><LaunchTemplate><LaunchTemplateId>lt-1\
            </LaunchTemplateId><Version>3</Version></LaunchTemplate></DesiredConfiguration><RollbackDetails>\
            <RollbackReason>because</RollbackReason><PercentageCompleteOnRollback>20</PercentageCompleteOnRollback>\
            </RollbackDetails></member><member/></InstanceRefreshes><NextToken>two</NextToken>";
        let request = DescribeInstanceRefreshesRequest { group: "web".to_owned(), ids: vec![], limit: 2 };
        let (output, asked) = sent(&request, [Answer::query("DescribeInstanceRefreshes", refresh)]).await;
        assert_eq!((asked.len(), output.refreshes.len()), (1, 2), "no more than are asked for");
        let (one, bare) = (&output.refreshes[0], &output.refreshes[1]);
        assert_eq!((one.status.as_str(), one.percentage, one.to_update), ("Musing", 40, 3));
        assert_eq!(one.started, Some(1_767_603_600_000));
        let desired = r#"{"LaunchTemplate":{"LaunchTemplateId":"lt-1","Version":"3"}}"#;
        assert_eq!(one.desired_configuration.as_deref(), Some(desired));
        assert_eq!((one.rollback_reason.as_deref(), one.percentage_on_rollback), (Some("because"), Some(20)));
        assert_eq!((bare.status.as_str(), bare.strategy.as_str(), bare.started), ("", "Rolling", None));
    });
}

#[test]
fn activities_policies_hooks_and_the_warm_pool_are_told() {
    hermetic(async {
        let activity = |n: u32| {
            format!("<member><ActivityId>{n}</ActivityId><StatusCode>Snoozing</StatusCode><Cause>c</Cause></member>")
        };
        let page = format!("<Activities>{}{}</Activities><NextToken>x</NextToken>", activity(1), activity(2));
        let request = DescribeScalingActivitiesRequest { group: "web".to_owned(), limit: 1 };
        let (output, _) = sent(&request, [Answer::query("DescribeScalingActivities", &page)]).await;
        let found: Vec<_> = output.activities.iter().map(|one| (one.id.as_str(), one.status.as_str())).collect();
        assert_eq!(found, [("1", "Snoozing")]);

        let policies = "<ScalingPolicies><member><PolicyName>cpu</PolicyName><PolicyType>TargetTrackingScaling</PolicyType>\
            <TargetTrackingConfiguration><TargetValue>60.0</TargetValue></TargetTrackingConfiguration>\
            <Alarms><member><AlarmName>high</AlarmName></member></Alarms><Enabled>false</Enabled></member><member/>\
            </ScalingPolicies>";
        let request = DescribePoliciesRequest { group: "web".to_owned() };
        let (output, _) = sent(&request, [Answer::query("DescribePolicies", policies)]).await;
        assert_eq!(
            (output.policies[0].enabled, output.policies[0].alarms.as_slice()),
            (false, ["high".to_owned()].as_slice())
        );
        assert!(output.policies[0].document.contains(r#""TargetValue":"60.0""#), "{}", output.policies[0].document);
        assert_eq!((output.policies[1].kind.as_str(), output.policies[1].enabled), ("SimpleScaling", true));

        let hooks = "<LifecycleHooks><member><LifecycleHookName>warm</LifecycleHookName><HeartbeatTimeout>300</HeartbeatTimeout>\
            <DefaultResult>ABANDON</DefaultResult></member></LifecycleHooks>";
        let request = DescribeLifecycleHooksRequest { group: "web".to_owned() };
        let (output, _) = sent(&request, [Answer::query("DescribeLifecycleHooks", hooks)]).await;
        assert_eq!((output.hooks[0].heartbeat_seconds, output.hooks[0].default_result.as_str()), (300, "ABANDON"));

        let request = DescribeWarmPoolRequest { group: "web".to_owned() };
        let pool = "<WarmPoolConfiguration><MinSize>2</MinSize></WarmPoolConfiguration><Instances><member><InstanceId>i-1\
            </InstanceId><LifecycleState>Warmed:Stopped</LifecycleState></member></Instances>";
        let (output, _) = sent(&request, [Answer::query("DescribeWarmPool", pool)]).await;
        assert_eq!(output.configuration.as_deref(), Some(r#"{"MinSize":"2"}"#));
        assert_eq!(output.instances[0].state, "Warmed:Stopped");
        let (output, _) = sent(&request, [Answer::query("DescribeWarmPool", "<Instances/>")]).await;
        assert_eq!((output.configuration, output.instances.len()), (None, 0));
    });
}

#[test]
fn what_is_no_request_is_refused_before_it_is_sent() {
    hermetic(async {
        let start = |group: &str, strategy: Option<&str>, desired: Option<&str>| StartInstanceRefreshRequest {
            group: group.to_owned(),
            strategy: strategy.map(str::to_owned),
            desired_configuration: desired.map(str::to_owned),
            preferences: None,
            roles: vec![],
        };
        let arn = "arn:aws:autoscaling:us-west-2:111111111111:autoScalingGroup:0a:autoScalingGroupName/web";
        assert!(refused(&start(arn, None, None)).await.contains("takes the name of a group"));
        assert!(refused(&start("", None, None)).await.contains("is empty"));
        assert!(refused(&start("we*b", None, None)).await.contains("cannot be part of one"));
        assert!(refused(&start("web", Some("Sideways"), None)).await.contains("no strategy"));
        assert!(refused(&start("web", None, Some("[]"))).await.contains("not a JSON object"));
        let refreshes = DescribeInstanceRefreshesRequest { group: "web".to_owned(), ids: vec![], limit: 0 };
        assert!(refused(&refreshes).await.contains("1 to 100"));
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        assert!(refused(&DescribeAutoScalingGroupsRequest { names: many }).await.contains("50 at most"));
    });
}

#[test]
fn a_refresh_in_progress_is_a_conflict() {
    hermetic(async {
        let start = StartInstanceRefreshRequest {
            group: "web".to_owned(),
            strategy: None,
            desired_configuration: None,
            preferences: None,
            roles: vec![],
        };
        let met = failed(&start, Answer::query_error(400, "InstanceRefreshInProgress")).await;
        assert_eq!(met, Some((ErrorKind::Conflict, "InstanceRefreshInProgress".to_owned())));
    });
}

#[test]
fn a_refresh_of_somebody_else_is_neither_cancelled_nor_rolled_back() {
    hermetic(async {
        let refresh = |status: &str| {
            let found = format!(
                "<InstanceRefreshes><member><InstanceRefreshId>0a</InstanceRefreshId><Status>{status}</Status></member>\
                 </InstanceRefreshes>"
            );
            Answer::query("DescribeInstanceRefreshes", &found)
        };
        let cancel =
            CancelInstanceRefreshRequest { group: "web".to_owned(), id: "0a".to_owned(), wait_for_transitions: None };
        let back = RollbackInstanceRefreshRequest { group: "web".to_owned(), id: "0a".to_owned() };
        for over in ["Successful", "Failed", "Cancelled", "RollbackSuccessful", "Musing"] {
            let aws = Canned::with([refresh(over), refresh(over)]).await;
            let met = aws.send(&cancel).await.unwrap_err();
            assert_eq!((met.kind, met.code.as_str()), (ErrorKind::Conflict, "RefreshNotUnderWay"), "{over}");
            assert_eq!(aws.send(&back).await.unwrap_err().kind, ErrorKind::Conflict, "{over}");
            assert!(aws.asked().iter().all(|asked| asked.operation == "DescribeInstanceRefreshes"), "{over}");
        }
        let id = "<InstanceRefreshId>0a</InstanceRefreshId>";
        let answers = [refresh("InProgress"), Answer::query("CancelInstanceRefresh", id)];
        assert_eq!(sent(&cancel, answers).await.0.id, "0a");
        let answers = [refresh("Baking"), Answer::query("RollbackInstanceRefresh", id)];
        assert_eq!(sent(&back, answers).await.0.id, "0a");
        let gone = Answer::query("DescribeInstanceRefreshes", "<InstanceRefreshes/>");
        let aws = Canned::with([gone]).await;
        assert!(aws.send(&back).await.unwrap_err().message.contains("web has no refresh 0a"));
    });
}
