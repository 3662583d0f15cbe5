//! Load balancers, what they forward to, and how healthy that is.

use super::canned::{Answer, hermetic, refused, sent};
use crate::contract::bindings::kiln::aws_elasticloadbalancing::elasticloadbalancing::{
    DescribeListenersRequest, DescribeLoadBalancersRequest, DescribeRulesRequest, DescribeTargetGroupAttributesRequest,
    DescribeTargetGroupsRequest, DescribeTargetHealthRequest, Forward,
};

const ARN: &str = "arn:aws:elasticloadbalancing:us-west-2:111111111111";

fn arn(resource: &str) -> String {
    format!("{ARN}:{resource}")
}

#[test]
fn health_is_told_in_states_that_kiln_does_not_know() {
    hermetic(async {
        let request = DescribeTargetHealthRequest { target_group: arn("targetgroup/web/0a") };
        let health = "<TargetHealthDescriptions><member><Target><Id>i-1</Id><Port>80</Port></Target><TargetHealth><State>dozing\
            </State><Reason>Target.Sleepy</Reason></TargetHealth></member><member/></TargetHealthDescriptions>";
        let (output, asked) = sent(&request, [Answer::query("DescribeTargetHealth", health)]).await;
        let told: Vec<_> = output.targets.iter().map(|one| (one.id.as_str(), one.state.as_str(), one.port)).collect();
        assert_eq!(told, [("i-1", "dozing", Some(80)), ("", "", None)]);
        assert_eq!(output.targets[0].reason.as_deref(), Some("Target.Sleepy"));
        assert!(asked[0].text.contains("TargetGroupArn=arn%3Aaws"), "{}", asked[0].text);
        let request = DescribeTargetGroupAttributesRequest { target_group: arn("targetgroup/web/0a") };
        let attributes = "<Attributes><member><Key>deregistration_delay.timeout_seconds</Key><Value>30</Value></member></Attributes>";
        let (output, _) = sent(&request, [Answer::query("DescribeTargetGroupAttributes", attributes)]).await;
        assert_eq!(output.attributes[0].value, "30");
    });
}

#[test]
fn listeners_and_rules_say_where_they_forward_to() {
    hermetic(async {
        let actions = "<member><Type>forward</Type><TargetGroupArn>blue</TargetGroupArn><ForwardConfig><TargetGroups><member>\
            <TargetGroupArn>blue</TargetGroupArn><Weight>90</Weight></member><member><TargetGroupArn>green</TargetGroupArn>\
            <Weight>0</Weight></member></TargetGroups></ForwardConfig></member><member><Type>redirect</Type></member>";
        let page = format!(
            "<Listeners><member><ListenerArn>a</ListenerArn><Port>443</Port><DefaultActions>{actions}</DefaultActions><Novel>1\
             </Novel></member></Listeners><NextMarker>two</NextMarker>"
        );
        let last = "<Listeners><member><ListenerArn>b</ListenerArn><DefaultActions><member><Type>forward</Type><TargetGroupArn>\
            blue</TargetGroupArn></member></DefaultActions></member></Listeners>";
        let request = DescribeListenersRequest { load_balancer: Some(arn("loadbalancer/app/web/0a")), arns: vec![] };
        let answers = [page.as_str(), last].map(|page| Answer::query("DescribeListeners", page));
        let (output, asked) = sent(&request, answers).await;
        let forward = |group: &str, weight| Forward { target_group: group.to_owned(), weight };
        assert_eq!(output.listeners[0].forwards, [forward("blue", 90), forward("green", 0)]);
        assert!(output.listeners[0].document.contains(r#""Novel":"1""#), "{}", output.listeners[0].document);
        assert_eq!(output.listeners[1].forwards, [forward("blue", 1)]);
        assert!(asked[1].text.contains("Marker=two"));
        let rules = format!(
            "<Rules><member><RuleArn>r</RuleArn><Priority>default</Priority><IsDefault>true</IsDefault><Actions>{actions}</Actions></member></Rules>"
        );
        let request = DescribeRulesRequest { listener: Some(arn("listener/app/web/0a/1b")), arns: vec![] };
        let (output, _) = sent(&request, [Answer::query("DescribeRules", &rules)]).await;
        assert_eq!((output.rules[0].is_default, output.rules[0].forwards.len()), (true, 2));
    });
}

#[test]
fn balancers_and_target_groups_are_followed_to_their_last_page() {
    hermetic(async {
        let pages = [
            "<LoadBalancers><member><LoadBalancerName>web</LoadBalancerName><State><Code>limping</Code></State></member>\
             </LoadBalancers><NextMarker>two</NextMarker>",
            "<LoadBalancers><member/></LoadBalancers>",
        ];
        let request = DescribeLoadBalancersRequest { arns: vec![], names: vec!["web".to_owned()] };
        let pages = pages.map(|page| Answer::query("DescribeLoadBalancers", page));
        let (output, _) = sent(&request, pages).await;
        let states: Vec<_> = output.load_balancers.iter().map(|one| one.state.as_str()).collect();
        assert_eq!(states, ["limping", ""]);
        let request = DescribeTargetGroupsRequest { arns: vec![], names: vec![], load_balancer: None };
        let groups = "<TargetGroups><member><TargetGroupName>web</TargetGroupName><HealthCheckEnabled>false</HealthCheckEnabled>\
            <HealthyThresholdCount>3</HealthyThresholdCount><TargetType>instance</TargetType></member></TargetGroups>";
        let (output, asked) = sent(&request, [Answer::query("DescribeTargetGroups", groups)]).await;
        let group = &output.target_groups[0];
        assert_eq!((group.checked, group.healthy_threshold, group.kind.as_str()), (false, Some(3), "instance"));
        assert!(!asked[0].text.contains("Names"), "an empty list means nothing: {}", asked[0].text);
    });
}

#[test]
fn what_is_no_question_is_refused_before_it_is_sent() {
    hermetic(async {
        let health = DescribeTargetHealthRequest { target_group: arn("loadbalancer/app/web/0a") };
        assert!(refused(&health).await.contains("is not the ARN of a target group"));
        assert!(
            refused(&DescribeTargetHealthRequest { target_group: "web".to_owned() }).await.contains("is not the ARN")
        );
        let neither = DescribeListenersRequest { load_balancer: None, arns: vec![] };
        assert!(refused(&neither).await.contains("by what they belong to, or by their ARNs"));
        let both =
            DescribeLoadBalancersRequest { arns: vec![arn("loadbalancer/app/web/0a")], names: vec!["web".to_owned()] };
        assert!(refused(&both).await.contains("not by both"));
    });
}
