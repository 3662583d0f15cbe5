//! Grants as a plugin declares them, a config fills them, and a hostile plugin or config strains them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::{Arn, Place};

const REPOSITORY: &str = "arn:${partition}:ecr:${region}:${account}:repository/${with.repository}";
const SERVICE: &str = "arn:${partition}:ecs:${region}:${account}:service/${with.cluster}/${with.service}";

fn place() -> Place {
    Place::new("us-west-2".parse().unwrap(), "111111111111".parse().unwrap())
}

fn declared(action: &str, resources: &[&str]) -> Declared {
    Declared {
        action: action.to_owned(),
        resources: resources.iter().map(|&resource| resource.to_owned()).collect(),
        reason: "to do its work".to_owned(),
    }
}

fn resolve(action: &str, resource: &str, config: Value) -> Result<Grants, PolicyError> {
    Grants::resolve(&[declared(action, &[resource])], &config, &place())
}

fn arn(text: &str) -> Arn {
    text.parse().unwrap()
}

fn ecr(repository: &str) -> Arn {
    place().arn("ecr", &format!("repository/{repository}"))
}

fn service(name: &str) -> Arn {
    place().arn("ecs", &format!("service/{name}"))
}

fn granted(grants: &Grants) -> Vec<String> {
    grants.iter().flat_map(|grant| &grant.resources).map(ResourcePattern::to_string).collect()
}

#[test]
fn a_grant_covers_what_the_config_names_and_nothing_else() {
    let grants = resolve("ecr:DescribeImages", REPOSITORY, json!({"repository": "web"})).unwrap();
    assert_eq!(grants.allows("ecr:DescribeImages", &[ecr("web")]), Ok(()));
    for outside in [
        "arn:aws:ecr:us-west-2:111111111111:repository/web-evil",
        "arn:aws:ecr:us-west-2:111111111111:repository/we",
        "arn:aws:ecr:us-west-2:111111111111:repository/web/evil",
        "arn:aws:ecr:us-west-2:111111111111:repository/evil/web",
        "arn:aws:ecr:us-west-2:111111111111:repository/WEB",
        "arn:aws:ecr:us-west-2:111111111111:repository/*",
        "arn:aws:ecr:us-west-2:111111111111:repository/web*",
        "arn:aws:ecr:us-west-2:222222222222:repository/web",
        "arn:aws:ecr:us-east-1:111111111111:repository/web",
        "arn:aws-cn:ecr:us-west-2:111111111111:repository/web",
        "arn:aws:ecs:us-west-2:111111111111:repository/web",
        "arn:aws:ecr:::repository/web",
    ] {
        let denied = grants.allows("ecr:DescribeImages", &[arn(outside)]).unwrap_err();
        assert_eq!(denied.resource, Some(arn(outside)));
        // One bad resource among good ones is enough.
        assert!(grants.allows("ecr:DescribeImages", &[ecr("web"), arn(outside)]).is_err(), "{outside}");
        assert!(grants.allows("ecr:DescribeImages", &[arn(outside), ecr("web")]).is_err(), "{outside}");
    }
    assert!(grants.allows("ecr:BatchDeleteImage", &[ecr("web")]).is_err(), "another action");
    assert!(grants.allows("ecr:describeimages", &[ecr("web")]).is_err(), "another spelling");
    assert!(grants.allows("ecr:DescribeImages", &[]).is_err(), "a call without a resource is one on all");
}

#[test]
fn denials_say_what_was_asked_what_is_granted_and_what_to_do() {
    let grants = Grants::resolve(
        &[
            declared(
                "ecr:DescribeImages",
                &[REPOSITORY, "arn:${partition}:ecr:${region}:${account}:repository/base/*"],
            ),
            declared("ecs:UpdateService", &[SERVICE]),
        ],
        &json!({"repository": "web"}),
        &place(),
    )
    .unwrap();
    let denials = [
        grants.allows("ecr:BatchDeleteImage", &[ecr("web")]),
        grants.allows("ecr:DescribeImages", &[ecr("web-evil")]),
        grants.allows("ecr:DescribeImages", &[]),
        grants.allows("ecr:DescribeImages", &[arn("arn:aws:ecr:us-west-2:222222222222:repository/web")]),
        grants.allows("ecr:DescribeImages", &[arn("arn:aws:ecr:eu-west-1:111111111111:repository/web")]),
        grants.allows("ecs:UpdateService", &[service("web/web")]),
    ];
    let text: Vec<String> = denials.into_iter().map(|denial| denial.unwrap_err().to_string()).collect();
    insta::assert_snapshot!(text.join("\n\n"));
}

#[test]
fn lists_become_one_resource_each_and_what_is_absent_none() {
    let alarms = "arn:${partition}:cloudwatch:${region}:${account}:alarm:${with.checks.alarms}";
    let config = json!({"checks": {"alarms": ["web-5xx", "web latency (p99)", "web-5xx"]}});
    let grants = resolve("cloudwatch:DescribeAlarms", alarms, config).unwrap();
    assert_eq!(
        granted(&grants),
        [
            "arn:aws:cloudwatch:us-west-2:111111111111:alarm:web latency (p99)",
            "arn:aws:cloudwatch:us-west-2:111111111111:alarm:web-5xx",
        ]
    );
    let both = [place().arn("cloudwatch", "alarm:web-5xx"), place().arn("cloudwatch", "alarm:web latency (p99)")];
    assert_eq!(grants.allows("cloudwatch:DescribeAlarms", &both), Ok(()));

    for absent in [json!({}), json!({"checks": null}), json!({"checks": {"alarms": []}}), json!({"checks": "text"})] {
        let grants = resolve("cloudwatch:DescribeAlarms", alarms, absent).unwrap();
        assert_eq!(granted(&grants), Vec::<String>::new());
        let denied = grants.allows("cloudwatch:DescribeAlarms", &both).unwrap_err();
        assert!(denied.to_string().contains("config names nothing"), "{denied}");
    }
    // While planning, what depends on a stage that has not run is not known, and grants nothing.
    let unknown = json!({"repository": "(known after build)"});
    assert_eq!(granted(&resolve("ecr:DescribeImages", REPOSITORY, unknown).unwrap()), Vec::<String>::new());
}

#[test]
fn an_image_grants_its_repository_in_the_own_registry_alone() {
    let template = "arn:${partition}:ecr:${region}:${account}:repository/${image-repository(with.image)}";
    let resolved = |image: &str| resolve("ecr:DescribeImages", template, json!({"image": image}));
    let digest = format!("sha256:{}", "0".repeat(64));
    let registry = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
    for image in [
        format!("{registry}/team/web@{digest}"),
        format!("{registry}/team/web:1.2"),
        format!("{registry}/team/web:1.2@{digest}"),
        format!("{registry}/team/web"),
    ] {
        let grants = resolved(&image).unwrap();
        assert_eq!(granted(&grants), ["arn:aws:ecr:us-west-2:111111111111:repository/team/web"], "{image}");
        assert_eq!(grants.allows("ecr:DescribeImages", &[ecr("team/web")]), Ok(()));
        assert!(grants.allows("ecr:DescribeImages", &[ecr("web")]).is_err());
    }
    // The same name in the own registry must not be granted for an image of another.
    for elsewhere in [
        format!("222222222222.dkr.ecr.us-west-2.amazonaws.com/web@{digest}"),
        format!("111111111111.dkr.ecr.us-east-1.amazonaws.com/web@{digest}"),
        format!("111111111111.dkr.ecr.us-west-2.amazonaws.com.evil.example/web@{digest}"),
        format!("evil.example/{registry}/web@{digest}"),
        format!("docker.io/library/web@{digest}"),
        "web".to_owned(),
        "(known after build)".to_owned(),
    ] {
        assert_eq!(granted(&resolved(&elsewhere).unwrap()), Vec::<String>::new(), "{elsewhere}");
    }
    for hostile in ["/*", "/web/../evil", "/we?b", "/", "/web//x", "/WEB", "/w${x}b"] {
        let error = resolved(&format!("{registry}{hostile}")).unwrap_err();
        assert!(matches!(error, PolicyError::Value { .. }), "{hostile}: {error}");
    }
}

#[test]
fn values_bring_no_wildcards_and_no_structure() {
    // Wildcards are plain characters.
    for name in ["*", "w*b", "we?", "${*}", "$"] {
        let grants = resolve("ecr:DescribeImages", REPOSITORY, json!({"repository": name})).unwrap();
        assert!(grants.allows("ecr:DescribeImages", &[ecr("web")]).is_err(), "{name}");
        assert_eq!(grants.allows("ecr:DescribeImages", &[ecr(name)]), Ok(()), "{name}");
        let resource = grants.session_policy()["Statement"][0]["Resource"].as_str().unwrap().to_owned();
        let name =
            resource.rsplit_once("repository/").unwrap().1.replace("${*}", "").replace("${?}", "").replace("${$}", "");
        assert!(!name.contains(['*', '?', '$']), "{resource}: AWS would read a wildcard or a variable");
    }
    let refused = |template: &str, config: Value| {
        let error = resolve("ecs:UpdateService", template, config).unwrap_err();
        assert!(matches!(error, PolicyError::Value { .. }), "{error}");
        error.to_string()
    };
    for name in ["", "web:*", "a:b", "web\n", "we\u{202e}b", "we\u{200b}b", "web\u{0}", "web/"] {
        let error = refused(SERVICE, json!({"cluster": "web", "service": name}));
        assert!(error.contains("`with.service`"), "{error}");
    }
    let error = refused(SERVICE, json!({"cluster": "web/other", "service": "web"}));
    assert!(error.contains("must not hold `/` here"), "{error}");
    refused(SERVICE, json!({"cluster": ["web", "a/b"], "service": "web"}));
    refused(SERVICE, json!({"cluster": {"name": "web"}, "service": "web"}));
    refused(SERVICE, json!({"cluster": true, "service": "web"}));

    let many: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    let error = resolve("ecs:UpdateService", SERVICE, json!({"cluster": many, "service": many})).unwrap_err();
    assert!(error.to_string().contains("more than 1000"), "{error}");
}

#[test]
fn what_a_config_makes_of_all_templates_together_is_bounded() {
    let list: Vec<String> = (0..1_000).map(|index| format!("repository-number-{index}")).collect();
    let config =
        json!({"repository": list, "arns": (0..1_001).map(|i| ecr(&format!("r{i}")).to_string()).collect::<Vec<_>>()});
    let actions = ["ecr:DescribeImages", "ecr:BatchGetImage", "ecr:ListImages", "ecr:DescribeRepositories"];
    let asked = |times: usize| {
        let resources: Vec<String> = (0..times).map(|index| format!("{REPOSITORY}/{index}*")).collect();
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        let all: Vec<Declared> = actions.iter().map(|action| declared(action, &resources)).collect();
        Grants::resolve(&all, &config, &place())
    };
    assert!(asked(3).is_ok());
    assert!(matches!(asked(100), Err(PolicyError::TooMany { .. })));
    let whole = resolve("ecr:DescribeImages", "${with.arns}", config.clone()).unwrap_err();
    assert!(whole.to_string().contains("more than 1000"), "{whole}");
    let long = resolve("ecr:DescribeImages", REPOSITORY, json!({"repository": "r".repeat(100_000)})).unwrap_err();
    assert!(long.to_string().contains("it has 100000 characters") && long.to_string().len() < 1_000, "{long}");
}

#[test]
fn an_arn_that_is_longer_than_any_is_refused_unread() {
    let grants =
        resolve("ecr:DescribeImages", "arn:${partition}:ecr:${region}:${account}:repository/*", json!({})).unwrap();
    assert!(grants.allows("ecr:DescribeImages", &[ecr("web")]).is_ok());
    let denied = grants.allows("ecr:DescribeImages", &[ecr(&"w".repeat(1 << 20))]).unwrap_err();
    assert!(denied.to_string().contains("characters, and no ARN has as many"), "{denied}");
    assert!(denied.to_string().len() < 1_000);
}

#[test]
fn a_refusal_names_only_some_of_many_resources() {
    let list: Vec<String> = (0..1_000).map(|index| format!("repository-number-{index}")).collect();
    let grants = resolve("ecr:DescribeImages", REPOSITORY, json!({"repository": list})).unwrap();
    let denied = grants.allows("ecr:DescribeImages", &[ecr("other")]).unwrap_err();
    assert_eq!(denied.granted.len(), 21);
    assert!(denied.to_string().contains("980 more"), "{denied}");
}

#[test]
fn an_arn_in_the_place_of_a_name_stands_for_its_name() {
    let config = |cluster: &str, service: &str| json!({"cluster": cluster, "service": service});
    for (cluster, name) in [
        ("web", "web"),
        ("arn:aws:ecs:us-west-2:111111111111:cluster/web", "web"),
        ("web", "arn:aws:ecs:us-west-2:111111111111:service/web/web"),
        ("web", "arn:aws:ecs:us-west-2:111111111111:service/web"),
    ] {
        let grants = resolve("ecs:UpdateService", SERVICE, config(cluster, name)).unwrap();
        assert_eq!(granted(&grants), ["arn:aws:ecs:us-west-2:111111111111:service/web/web"], "{cluster} {name}");
    }
    // Elsewhere names hold `/` themselves.
    let repository = json!({"repository": "arn:aws:ecr:us-west-2:111111111111:repository/team/web"});
    let grants = resolve("ecr:DescribeImages", REPOSITORY, repository).unwrap();
    assert_eq!(granted(&grants), ["arn:aws:ecr:us-west-2:111111111111:repository/team/web"]);

    for (foreign, reason) in [
        ("arn:aws:ecs:us-west-2:222222222222:cluster/web", "account 222222222222"),
        ("arn:aws:ecs:eu-west-1:111111111111:cluster/web", "region eu-west-1"),
        ("arn:aws-cn:ecs:us-west-2:111111111111:cluster/web", "partition aws-cn"),
        ("arn:aws:ecs:us-west-2:111111111111:cluster/*:x", "must not hold `:`"),
        ("arn:aws:ecs:us-west-2:111111111111:cluster/", "names nothing"),
        ("arn:aws:ecs", "not an ARN"),
    ] {
        let error = resolve("ecs:UpdateService", SERVICE, config(foreign, "web")).unwrap_err().to_string();
        assert!(error.contains(reason), "{foreign}: {error}");
    }
}

#[test]
fn a_role_is_passed_only_where_it_is_listed() {
    let config =
        json!({"roles": ["arn:aws:iam::111111111111:role/web-task", "arn:aws:iam::111111111111:role/web/exec"]});
    let grants = resolve("iam:PassRole", "${with.roles}", config).unwrap();
    assert_eq!(grants.allows("iam:PassRole", &[arn("arn:aws:iam::111111111111:role/web-task")]), Ok(()));
    assert_eq!(grants.allows("iam:PassRole", &[arn("arn:aws:iam::111111111111:role/web/exec")]), Ok(()));
    for other in ["arn:aws:iam::111111111111:role/admin", "arn:aws:iam::222222222222:role/web-task"] {
        assert!(grants.allows("iam:PassRole", &[arn(other)]).is_err(), "{other}");
    }
    for wrong in ["web-task", "*", "arn:aws:iam::222222222222:role/web-task", "arn:aws:iam::111111111111:role/a b"] {
        assert!(resolve("iam:PassRole", "${with.roles}", json!({"roles": wrong})).is_err(), "{wrong}");
    }
    let wildcard =
        resolve("iam:PassRole", "${with.roles}", json!({"roles": "arn:aws:iam::111111111111:role/*"})).unwrap();
    assert!(wildcard.allows("iam:PassRole", &[arn("arn:aws:iam::111111111111:role/admin")]).is_err());
}

#[test]
fn wildcards_of_a_template_stay_in_their_part() {
    let matches = |resource: &str, candidate: &str| {
        let template = format!("arn:${{partition}}:ecs:${{region}}:${{account}}:{resource}");
        let grants = resolve("ecs:DescribeTasks", &template, json!({"cluster": "web"})).unwrap();
        grants.allows("ecs:DescribeTasks", &[place().arn("ecs", candidate)]).is_ok()
    };
    assert!(matches("task/${with.cluster}/*", "task/web/0123"));
    assert!(!matches("task/${with.cluster}/*", "task/web-evil/0123"));
    assert!(!matches("task/${with.cluster}/*", "task/web"));
    assert!(!matches("task/${with.cluster}/*", "task/web/0123:x"));
    assert!(matches("service/*/web", "service/a/web"));
    assert!(!matches("service/*/web", "service/a/b/web"));
    assert!(matches("task-definition/*:*", "task-definition/web:12"));
    assert!(!matches("task-definition/*:*", "task-definition/web"));
    // Alone in its part it stands for a whole name, which may hold `/`; attached to text it does not.
    assert!(matches("repository/*", "repository/team/web"));
    assert!(matches("log-group:/aws/*:log-stream:*", "log-group:/aws/codebuild/web:log-stream:a/b"));
    assert!(!matches("log-group:/aws/*:log-stream:*", "log-group:/aws/codebuild/web:log-stream:a:b"));
    assert!(matches("repository/team-*", "repository/team-a"));
    assert!(!matches("repository/team-*", "repository/team-a/web"));
    assert!(!matches("service/web*", "service/web-other/anything"));
    assert!(matches("secret:prod/registry-??????", "secret:prod/registry-AbCdEf"));
    assert!(!matches("secret:prod/registry-??????", "secret:prod/registry-evil-AbCdEf"));
    assert!(!matches("secret:prod/registry-??????", "secret:prod/registry-AbC/Ef"));
    assert!(!matches("service/we?", "service/we"));
    let long = "a".repeat(20_000);
    assert!(!matches(&format!("service/{}b", "a*".repeat(50)), &format!("service/{long}")), "and this takes no time");
}

#[test]
fn templates_that_reach_too_far_are_refused() {
    let wrong = |action: &str, template: &str| resolve(action, template, json!({"x": "y"})).unwrap_err().to_string();
    for (template, reason) in [
        ("*", "IAM ties this action to resources"),
        ("arn:*:ecr:${region}:${account}:repository/web", "partition"),
        ("arn:aws-cn:ecr:${region}:${account}:repository/web", "partition"),
        ("arn:${partition}:*:${region}:${account}:repository/web", "service"),
        ("arn:${partition}:${with.x}:${region}:${account}:repository/web", "service"),
        ("arn:${partition}:ecr:*:${account}:repository/web", "region"),
        ("arn:${partition}:ecr:us-east-1:${account}:repository/web", "region"),
        ("arn:${partition}:ecr:${with.x}:${account}:repository/web", "region"),
        ("arn:${partition}:ecr:${region}${region}:${account}:repository/web", "region"),
        ("arn:${partition}:ecr:${region}:*:repository/web", "account"),
        ("arn:${partition}:ecr:${region}:222222222222:repository/web", "account"),
        ("arn:${partition}:ecr:${region}:${with.x}:repository/web", "account"),
        ("arn:${partition}:ecr:${region}:1${account}:repository/web", "account"),
        ("arn:${partition}:ecr:${region}:${account}:", "names no resource"),
        ("arn:${partition}:ecr", "arn:PARTITION"),
        ("repository/web", "arn:PARTITION"),
        ("*:${partition}:ecr:${region}:${account}:repository/web", "begins with `arn:`"),
        ("${with.x}:${partition}:ecr:${region}:${account}:repository/web", "begins with `arn:`"),
        ("arn:${partition}:ecr:${region}:${account}:repository/${with.}", "unknown"),
        ("arn:${partition}:ecr:${region}:${account}:repository/${env.HOME}", "unknown"),
        ("arn:${partition}:ecr:${region}:${account}:repository/${with.x", "not closed"),
        ("arn:${partition}:ecr:${region}:${account}:repository/$x", "followed by"),
        ("arn:${partition}:ecr:${region}:${account}:repository/${image-repository(x)}", "takes a config value"),
        ("arn:${partition}:ecr:${region}:${account}:repository/a b", "U+0020"),
    ] {
        let error = wrong("ecr:DescribeImages", template);
        assert!(error.contains(reason) && error.contains("ecr:DescribeImages"), "{template}: {error}");
    }
    // The place's own account and region may be written out.
    let plain = "arn:aws:ecr:us-west-2:111111111111:repository/web";
    assert_eq!(granted(&resolve("ecr:DescribeImages", plain, json!({})).unwrap()), [plain]);
    assert!(Grants::resolve(&[declared("ecr:DescribeImages", &[])], &json!({}), &place()).is_err());
    for action in
        ["ecr:*", "*", "ecr:Describe?mages", "ecr", "ECR:DescribeImages", "ecr:describeImages", "ecr:", "ecr:A B"]
    {
        let error = wrong(action, REPOSITORY);
        assert!(error.contains("each action is declared by itself"), "{action}: {error}");
    }
}

#[test]
fn only_actions_without_resources_are_granted_on_everything() {
    for action in ["ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", "cloudwatch:GetMetricData"] {
        let grants = resolve(action, "*", json!({})).unwrap();
        assert_eq!(grants.allows(action, &[]), Ok(()));
        assert!(grants.allows(action, &[arn("arn:aws:ecs:us-west-2:222222222222:task-definition/web:1")]).is_err());
        let error = resolve(action, REPOSITORY, json!({"repository": "web"})).unwrap_err().to_string();
        assert!(error.contains("the only resource that grants it is `*`"), "{error}");
    }
    assert!(resolve("cloudwatch:DescribeAlarms", "*", json!({})).is_ok(), "composite alarms need it");
}

#[test]
fn the_session_policy_is_small_and_always_the_same() {
    let permissions = [
        declared("ecr:DescribeImages", &[REPOSITORY]),
        declared("ecs:DescribeTaskDefinition", &["*"]),
        declared("ecr:BatchDeleteImage", &[REPOSITORY]),
        declared("ecs:ListTasks", &["*", "arn:${partition}:ecs:${region}:${account}:container-instance/web/*"]),
        declared("ecs:DescribeServices", &[SERVICE, SERVICE]),
        declared("cloudwatch:DescribeAlarms", &["arn:${partition}:cloudwatch:${region}:${account}:alarm:${with.none}"]),
    ];
    let config = json!({"repository": "we*b", "cluster": "web", "service": ["b", "a"]});
    let policy = Grants::resolve(&permissions, &config, &place()).unwrap().session_policy();
    insta::assert_snapshot!(serde_json::to_string_pretty(&policy).unwrap());
    let mut reversed = permissions.to_vec();
    reversed.reverse();
    assert_eq!(Grants::resolve(&reversed, &config, &place()).unwrap().session_policy(), policy);

    // A stage that may do nothing gets a policy that says so: none at all would let it do all that its role may.
    let nothing = Grants::resolve(&[], &json!({}), &place()).unwrap().session_policy();
    assert_eq!(nothing["Statement"], json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_config_holds_a_grant_covers_that_very_name_alone(name in "\\PC{0,12}", other in "\\PC{1,12}") {
        match resolve("ecr:DescribeImages", REPOSITORY, json!({"repository": name})) {
            Err(PolicyError::Value { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
            Ok(grants) => {
                prop_assert!(grants.allows("ecr:DescribeImages", &[ecr(&name)]).is_ok());
                prop_assert_eq!(grants.allows("ecr:DescribeImages", &[ecr(&other)]).is_ok(), name == other);
            }
        }
    }
}
