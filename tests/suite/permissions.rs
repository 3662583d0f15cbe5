//! What `kiln permissions` prints is what a run needs: each pipeline of the repository runs under exactly that.

use std::fs;

use kiln_runner::event::RunOutcome;
use kiln_runner::policy::{missing_types, required_types};
use kiln_runner::rehearse::rehearse;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Kiln, Outcome, World, plugins, rehearsal, repository, web_service};
use serde_json::{Value, json};

fn file(pipeline: &str, kind: &str) -> String {
    repository().join("pipelines").join(format!("{pipeline}.{kind}")).display().to_string()
}

/// `kiln permissions` of a pipeline, by the file alone.
fn permissions(pipeline: &str, more: &[&str]) -> Outcome {
    let path = file(pipeline, "toml");
    Kiln::new(["permissions", path.as_str()]).args(more.iter().copied()).run()
}

fn policies(pipeline: &str) -> Value {
    let printed = permissions(pipeline, &["--iam", "--account", "111111111111"]);
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    serde_json::from_str(&printed.stdout()).unwrap_or_else(|error| panic!("{error}: {}", printed.all()))
}

/// The pipeline's world with `documents` as its roles' policies, and a role `runner` for whoever runs it.
fn world(pipeline: &str, documents: &Value) -> World {
    let text = World::beside(&format!("{pipeline}.world.toml")).text();
    let mut world: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}"));
    // Those in which AWS's services act stay as they are.
    let mut roles = world.get("roles").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let environments = || documents["environments"].as_object().into_iter().flat_map(|all| all.values());
    let is_environment = |role: &toml::Value| {
        let name = role.get("name").and_then(toml::Value::as_str).unwrap_or_default();
        environments().any(|one| one["role"].as_str().is_some_and(|arn| arn.ends_with(&format!(":role/{name}"))))
    };
    roles.retain(|role| !is_environment(role));
    let mut role = |name: &str, account: Option<&str>, policy: &Value| {
        let mut role = toml::Table::new();
        role.insert("name".to_owned(), name.into());
        role.extend(account.map(|account| ("account".to_owned(), account.into())));
        role.insert("policy".to_owned(), policy.to_string().into());
        roles.push(role.into());
    };
    role("runner", None, &documents["runner"]["policy"]);
    for document in environments() {
        let arn = document["role"].as_str().unwrap_or_default();
        let (place, name) = arn.split_once(":role/").unwrap_or_default();
        role(name, place.rsplit(':').next(), &document["policy"]);
    }
    world.insert("roles".to_owned(), roles.into());
    World::parse(&world.to_string())
}

/// Run a pipeline as the role `runner`.
fn run(pipeline: &str, documents: &Value) -> Outcome {
    let account = Account::of(&world(pipeline, documents));
    let path = file(pipeline, "toml");
    let kiln = account.kiln(["run", &path, "--input", "commit=4f2a9c1", "--output", "json"]);
    account.session_of("runner").iter().fold(kiln, |kiln, (name, value)| kiln.env(name, value)).run()
}

#[test]
fn each_pipeline_runs_under_exactly_what_is_printed() {
    for pipeline in ["web-service", "staging-first", "two-regions", "web-fleet", "stack"] {
        let outcome = run(pipeline, &policies(pipeline));
        assert_eq!(outcome.code(), Some(0), "{pipeline}: {}", outcome.all());
    }
}

#[test]
fn with_less_than_is_printed_it_does_not() {
    let documents = policies("web-service");
    // Without each of these, and in each role.
    for (pointer, action) in [
        ("/runner/policy/Statement", "sts:AssumeRole"),
        ("/runner/policy/Statement", "codebuild:StartBuild"),
        ("/environments/production/policy/Statement", "ecs:TagResource"),
        ("/environments/production/policy/Statement", "iam:PassRole"),
        ("/environments/production/policy/Statement", "ecs:DescribeServiceRevisions"),
    ] {
        let mut less = documents.clone();
        let statements = less.pointer_mut(pointer).and_then(Value::as_array_mut);
        let mut found = false;
        for statement in statements.into_iter().flatten() {
            match &mut statement["Action"] {
                Value::Array(actions) => {
                    found |= actions.iter().any(|one| one == action);
                    actions.retain(|one| one != action);
                }
                one if one == action => (found, *one) = (true, json!("nothing:AtAll")),
                _ => {}
            }
        }
        assert!(found, "{action} is in {documents}");
        let outcome = run("web-service", &less);
        assert_ne!(outcome.code(), Some(0), "without {action}: {}", outcome.all());
        let said = [format!("AWS refused {action}"), format!("perform: {action} ")];
        let all = outcome.all();
        assert!(said.iter().any(|said| all.contains(said)), "it is said that {action} is missing: {all}");
        assert!(
            action != "iam:PassRole"
                || all.contains("AWS refused iam:PassRole, which ecs:RegisterTaskDefinition needs")
        );
        assert!(action != "iam:PassRole" || all.contains("`kiln permissions FILE --iam`"), "{all}");
    }
    // A role may be passed to tasks of ECS and to nobody else.
    let elsewhere = documents.to_string().replace("ecs-tasks.amazonaws.com", "ec2.amazonaws.com");
    let elsewhere: Value = serde_json::from_str(&elsewhere).unwrap_or_default();
    assert_eq!(run("web-service", &elsewhere).code(), Some(1));
}

/// Each resource of each statement of a policy, and the policy without it.
fn less(documents: &Value, policy: &str) -> Vec<(String, Value)> {
    let statements = documents.pointer(policy).and_then(|policy| policy["Statement"].as_array()).cloned();
    let mut without = Vec::new();
    for (index, statement) in statements.unwrap_or_default().into_iter().enumerate() {
        let resources = match &statement["Resource"] {
            Value::Array(resources) => resources.clone(),
            one => vec![one.clone()],
        };
        for resource in &resources {
            let mut less = documents.clone();
            let mut rest: Vec<Value> = resources.iter().filter(|other| *other != resource).cloned().collect();
            if rest.is_empty() {
                rest.push(json!("arn:aws:nothing:::at-all"));
            }
            if let Some(policy) = less.pointer_mut(policy) {
                policy["Statement"][index]["Resource"] = Value::Array(rest);
            }
            without.push((format!("{} on {resource}", statement["Action"]), less));
        }
    }
    without
}

/// What this run has no use for: nothing fails, no alarm is muted, and the account has no rules, schedules and functions.
const UNUSED: [&str; 5] = [
    "cloudwatch:GetAlarmMuteRule",
    "events:ListTargetsByRule",
    "lambda:GetFunction",
    "logs:GetLogEvents",
    "scheduler:GetSchedule",
];

#[test]
fn with_one_resource_less_in_the_environment_s_role_it_does_not() {
    let documents = policies("web-service");
    let plugins = plugins();
    let outcome = |documents: &Value| {
        let rehearsal = rehearsal(web_service(), &world("web-service", documents).text(), 7);
        let quiet = Box::new(Reports::new(Vec::new()));
        rehearse(rehearsal, std::sync::Arc::clone(&plugins), quiet).map(|rehearsed| rehearsed.outcome)
    };
    assert!(matches!(outcome(&documents), Ok(RunOutcome::Done)));
    let all = less(&documents, "/environments/production/policy");
    assert!(all.len() > 10, "{documents}");
    for (what, less) in all {
        let needed = !UNUSED.iter().any(|action| what.contains(action));
        let done = matches!(outcome(&less), Ok(RunOutcome::Done));
        assert_eq!(done, !needed, "without {what}");
    }
}

#[test]
fn every_required_type_of_resource_is_printed() {
    for pipeline in ["web-service", "staging-first", "web-fleet"] {
        let printed = permissions(pipeline, &["--output", "json"]);
        let printed: Value = serde_json::from_str(&printed.stdout()).unwrap_or_else(|error| panic!("{error}"));
        let needs =
            printed["roles"].as_array().into_iter().flatten().flat_map(|role| role["needs"].as_array()).flatten();
        for need in needs {
            let action = need["action"].as_str().unwrap_or_default();
            let resources = need["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let resources: Vec<String> = resources.map(str::to_owned).collect();
            assert!(missing_types(action, &resources).is_empty(), "{action} on {resources:?}");
            assert!(
                resources == ["*"] || required_types(action).is_some(),
                "{action} is missing in policy/required.rs"
            );
        }
    }
}

const OF_ANOTHER: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[stages.build]
plugin = "build-image"
with   = { project = "web-image", repository = "team/web", tag = "1" }

[stages.scan]
plugin = "scan-image"
with   = { image = "${EXPRESSION}", fail-on = "high" }
"#;

#[test]
fn an_image_of_another_stage_reaches_its_repository_alone_where_the_stage_can_tell() {
    let printed = |expression: &str| {
        let text = OF_ANOTHER.replace("EXPRESSION", expression);
        let run = Kiln::new(["permissions", "p.toml", "--account", "111111111111"]).file("p.toml", text).run();
        assert_eq!(run.code(), Some(0), "{}", run.all());
        run.stdout()
    };
    let plain = printed("stages.build.image");
    assert!(plain.contains("repository/team/web") && !plain.contains("repository/*"), "{plain}");
    let computed = printed("stages.build.repository + '@' + stages.build.digest");
    assert!(computed.contains("repository/*"), "{computed}");
    assert!(computed.contains("on all of its kind: `image` is known after build"), "{computed}");
}

/// The documents with the permission to ask IAM about oneself added.
fn asking(documents: &Value) -> Value {
    let mut asking = documents.clone();
    let role = documents["environments"]["production"]["role"].clone();
    for (policy, role) in [
        ("/runner/policy/Statement", json!("arn:aws:iam::111111111111:role/runner")),
        ("/environments/production/policy/Statement", role),
    ] {
        let statement = json!({ "Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": role });
        if let Some(statements) = asking.pointer_mut(policy).and_then(Value::as_array_mut) {
            statements.push(statement);
        }
    }
    asking
}

/// Plan a pipeline as the role `runner`.
fn plan(documents: &Value, output: &str) -> Outcome {
    let account = Account::of(&world("web-service", documents));
    let path = file("web-service", "toml");
    let kiln = account.kiln(["plan", &path, "--input", "commit=4f2a9c1", "--output", output]);
    account.session_of("runner").iter().fold(kiln, |kiln, (name, value)| kiln.env(name, value)).run()
}

#[test]
fn the_plan_asks_iam_about_what_it_cannot_try() {
    let documents = asking(&policies("web-service"));
    let allowed = plan(&documents, "plain");
    assert_eq!(allowed.code(), Some(0), "{}", allowed.all());
    for words in ["the runner: all of ", "the role of production: all of ", "arn:aws:iam::111111111111:role/runner"] {
        assert!(allowed.stdout().contains(words), "{words:?} is not in {}", allowed.all());
    }
    // Without a statement, with one that denies, and with a condition that is another's.
    let mut less: Value =
        serde_json::from_str(&documents.to_string().replace("ecs-tasks.amazonaws.com", "ec2.amazonaws.com"))
            .unwrap_or_default();
    if let Some(statements) = less["environments"]["production"]["policy"]["Statement"].as_array_mut() {
        for statement in statements.iter_mut() {
            if let Value::Array(actions) = &mut statement["Action"] {
                actions.retain(|action| action != "ecs:UpdateService");
            }
            if statement["Action"] == "ecs:UpdateService" {
                statement["Action"] = json!("nothing:AtAll");
            }
        }
        statements.push(json!({ "Effect": "Deny", "Action": "ecr:BatchDeleteImage", "Resource": "*" }));
    }
    let denied = plan(&less, "plain");
    assert_eq!(denied.code(), Some(0), "it warns, because other policies may decide: {}", denied.all());
    let service = "arn:aws:ecs:us-west-2:111111111111:service/web/web";
    for words in [
        &format!("ecs:UpdateService on {service} for deploy: no statement allows it"),
        &format!("allow: {{\"Effect\":\"Allow\",\"Action\":\"ecs:UpdateService\",\"Resource\":\"{service}\"}}"),
        "ecr:BatchDeleteImage on arn:aws:ecr:us-west-2:111111111111:repository/web for cleanup: a statement denies it",
        "iam:PassRole on arn:aws:iam::111111111111:role/web-execution for deploy: no statement allows it",
        "\"Condition\":{\"StringEquals\":{\"iam:PassedToService\":\"ecs-tasks.amazonaws.com\"}}",
        "the role of production: not 3 of ",
    ] {
        assert!(denied.stdout().contains(words), "{words:?} is not in {}", denied.all());
    }
    let told = plan(&less, "json");
    let told: Value = serde_json::from_str(&told.stdout()).unwrap_or_else(|error| panic!("{error}: {}", told.all()));
    let of_production = &told["access"][1];
    assert_eq!(of_production["environment"], "production");
    let actions: Vec<&str> =
        of_production["denied"].as_array().into_iter().flatten().filter_map(|one| one["action"].as_str()).collect();
    assert_eq!(actions.len(), 3, "{actions:?}");
    assert_eq!(told["access"][0]["denied"], json!([]));
}

#[test]
fn where_iam_may_not_be_asked_the_plan_says_so_and_goes_on() {
    let outcome = plan(&policies("web-service"), "plain");
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    for role in ["runner", "deployer"] {
        let said =
            format!("it may not ask: allow iam:SimulatePrincipalPolicy on arn:aws:iam::111111111111:role/{role}");
        assert!(outcome.stdout().contains(&said), "{said:?} is not in {}", outcome.all());
    }
}

#[test]
fn the_table_says_what_each_action_is_for() {
    let printed = permissions("web-service", &[]);
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    insta::assert_snapshot!(printed.stdout());
}

#[test]
fn the_book_shows_what_is_printed() {
    let book = fs::read_to_string(repository().join("docs/operators.md")).unwrap_or_default();
    let documents = policies("web-service");
    for document in [
        &documents["runner"]["policy"],
        &documents["environments"]["production"]["trust"],
        &documents["environments"]["production"]["policy"],
    ] {
        let shown = serde_json::to_string_pretty(document).unwrap_or_default();
        assert!(book.contains(&shown), "docs/operators.md should show:\n{shown}");
    }
}

#[test]
fn without_an_account_it_is_asked_for() {
    let pipeline = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n[stages.scan]\nplugin = \"scan-image\"\n\
                    with = { image = \"111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", fail-on = \"high\" }\n";
    let asked = Kiln::new(["permissions", "p.toml"]).file("p.toml", pipeline).run();
    assert_eq!(asked.code(), Some(2), "{}", asked.all());
    assert!(asked.stderr().contains("--account 111111111111"), "{}", asked.all());
    let told = Kiln::new(["permissions", "p.toml", "--account", "111111111111"]).file("p.toml", pipeline).run();
    assert_eq!(told.code(), Some(0), "{}", told.all());
    assert!(told.stdout().contains("arn:aws:ecr:us-west-2:111111111111:repository/web"), "{}", told.all());
}
