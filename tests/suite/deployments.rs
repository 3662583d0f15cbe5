//! What a deployment to ECS changes of a service that others made, and what it leaves and puts back.

use std::time::{Duration, Instant};

use kiln_tests::{Account, Outcome, World};
use serde_json::{Value, json};

const REGISTRY: &str = "111111111111.dkr.ecr.us-west-2.amazonaws.com";

const WORLD: &str = r#"
account = "111111111111"
region  = "us-west-2"
seed    = 7

[[repositories]]
name    = "web"
history = { count = 3, prefix = "release-", from = 1, every = "4d", last = "-2d" }

[[clusters]]
name    = "web"
timings = { schedule = "2s", provision = "5s", pull = "5s", start = "3s", health = "10s", drain = "5s", deprovision = "3s" }

[[alarms]]
name  = "web-5xx"
state = "OK"
"#;

fn ecs(account: &Account, operation: &str, input: &Value) -> Value {
    account.ask("ecs", &format!("AmazonEC2ContainerServiceV20141113.{operation}"), input)
}

/// The image of a release, by digest.
fn image(account: &Account, tag: &str) -> String {
    let input = json!({ "repositoryName": "web", "imageIds": [{ "imageTag": tag }] });
    let found = account.ask("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeImages", &input);
    format!("{REGISTRY}/web@{}", found["imageDetails"][0]["imageDigest"].as_str().unwrap_or_default())
}

fn define(account: &Account, containers: &Value) -> Value {
    ecs(account, "RegisterTaskDefinition", &json!({ "family": "web", "containerDefinitions": containers }))
}

fn app(image: &str) -> Value {
    json!([{ "name": "app", "image": image, "memory": 128 }])
}

/// A service of `web:1`, made as another tool would, with these settings besides.
fn serve(account: &Account, more: &Value) {
    let mut input = json!({ "cluster": "web", "serviceName": "web", "taskDefinition": "web:1", "desiredCount": 1 });
    if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
        input.extend(more.clone());
    }
    ecs(account, "CreateService", &input);
}

fn service(account: &Account) -> Value {
    let found = ecs(account, "DescribeServices", &json!({ "cluster": "web", "services": ["web"] }));
    found["services"][0].clone()
}

fn wait_until(account: &Account, what: &str, is: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is(&service(account)) {
        assert!(Instant::now() < deadline, "{what}: {}", service(account));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An account in which `web:1` serves the first release.
fn settled(settings: &Value) -> Account {
    settled_on("release-1", settings)
}

/// An account in which `web:1` serves a release.
fn settled_on(release: &str, settings: &Value) -> Account {
    let account = Account::of(&World::parse(WORLD));
    define(&account, &app(&image(&account, release)));
    serve(&account, settings);
    wait_until(&account, "it settles", |service| service["deployments"][0]["rolloutState"] == "COMPLETED");
    account
}

fn pipeline(with: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "web"
region = "us-west-2"

[inputs.image]

[stages.deploy]
plugin  = "deploy-ecs"
timeout = "30m"
with    = {{ cluster = "web", service = "web", image = "${{inputs.image}}"{with} }}
"#
    )
}

/// `kiln COMMAND` of a pipeline that deploys the third release with this config.
fn kiln(account: &Account, command: &str, with: &str) -> Outcome {
    let input = format!("image={}", image(account, "release-3"));
    account.kiln([command, "pipeline.toml", "--input", &input]).file("pipeline.toml", pipeline(with)).run()
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code(), Some(code), "{}", outcome.all());
    for words in words {
        assert!(outcome.all().contains(words), "{words:?} is not in {}", outcome.all());
    }
}

/// Undo the run that `outcome` is of.
fn undone(account: &Account, outcome: Outcome) -> Outcome {
    let journal = kiln_tests::run_in(&outcome.directory().join(".kiln"));
    let run = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
    outcome.then(["undo", &run]).env("AWS_ENDPOINT_URL", &account.url()).run()
}

fn guarded() -> Value {
    json!({ "deploymentConfiguration": {
        "alarms": { "alarmNames": ["web-5xx"], "enable": true, "rollback": true },
        "deploymentCircuitBreaker": { "enable": false, "rollback": false },
        "maximumPercent": 250,
    } })
}

#[test]
fn what_the_config_does_not_name_stays_as_it_is_and_an_undo_restores_it() {
    let account = settled(&guarded());
    let before = service(&account)["deploymentConfiguration"].clone();
    let plan = kiln(&account, "plan", "");
    says(&plan, 0, &["from web:1 to the new revision", "watched by web-5xx"]);
    assert!(!plan.all().contains("deployment alarms"), "nothing of the settings changes: {}", plan.all());
    let run = kiln(&account, "run", "");
    says(&run, 0, &["web/web goes from web:1 to web:2"]);
    assert_eq!(service(&account)["deploymentConfiguration"], before);
    let undo = undone(&account, run);
    says(&undo, 0, &["went back from web:2 to web:1"]);
    assert_eq!(service(&account)["deploymentConfiguration"], before);
    assert!(service(&account)["taskDefinition"].as_str().is_some_and(|arn| arn.ends_with("/web:1")));
}

#[test]
fn limits_that_let_no_task_be_replaced_are_named_before_they_cost_the_stage_its_time() {
    let account = settled(&json!({ "deploymentConfiguration": { "maximumPercent": 150 } }));
    says(&kiln(&account, "plan", ""), 0, &["the limits of web/web let no task be replaced", "`maximum-percent`"]);
}

#[test]
fn a_limit_that_aws_refuses_beside_the_one_that_the_service_keeps_changes_nothing() {
    let account = settled(&guarded());
    let before = account.effects().len();
    for command in ["plan", "run"] {
        let refused = kiln(&account, command, ", maximum-percent = 100");
        let words = "`maximum-percent` of 100 is not more than `minimum-healthy-percent` of 100, which the service has";
        assert!(refused.all().contains(words), "{}", refused.all());
    }
    assert_eq!(account.effects().len(), before);
}

#[test]
fn each_setting_that_changes_is_planned_and_put_back() {
    let account = settled(&guarded());
    let before = service(&account)["deploymentConfiguration"].clone();
    let with = ", alarms = [], circuit-breaker = {}, minimum-healthy-percent = 0";
    let plan = kiln(&account, "plan", with);
    says(&plan, 0, &["deployment alarms", "from web-5xx to none", "from off to on, going back", "from 100 % to 0 %"]);
    let run = kiln(&account, "run", with);
    says(&run, 0, &[]);
    let changed = service(&account)["deploymentConfiguration"].clone();
    assert_eq!(changed["alarms"]["enable"], false);
    assert_eq!(changed["deploymentCircuitBreaker"], json!({ "enable": true, "rollback": true }));
    assert_eq!((&changed["minimumHealthyPercent"], &changed["maximumPercent"]), (&json!(0), &json!(250)));
    let undo = undone(&account, run);
    says(&undo, 0, &["with its settings as they were"]);
    assert_eq!(service(&account)["deploymentConfiguration"], before);
}

#[test]
fn where_only_settings_change_nothing_is_registered_and_no_deployment_begins() {
    let account = settled_on("release-3", &guarded());
    let before = service(&account);
    let with = ", minimum-healthy-percent = 50";
    let plan = kiln(&account, "plan", with);
    says(&plan, 0, &["only its settings change", "fewest running tasks", "from 100 % to 50 %", "1 to update"]);
    assert!(!plan.all().contains("changed from") && !plan.all().contains("to create"), "{}", plan.all());
    let run = kiln(&account, "run", with);
    says(&run, 0, &["fewest running tasks: from 100 % to 50 %", "only its settings change"]);
    let after = service(&account);
    assert_eq!(after["deploymentConfiguration"]["minimumHealthyPercent"], 50);
    assert_eq!(after["taskDefinition"], before["taskDefinition"]);
    assert_eq!(after["deployments"][0]["id"], before["deployments"][0]["id"], "no deployment began");
    assert_eq!(account.count("ecs:RegisterTaskDefinition"), 1, "that which serves");
    let again = kiln(&account, "run", with);
    says(&again, 0, &["nothing to deploy"]);
    assert_eq!(account.count("ecs:UpdateService"), 1);
    let undo = undone(&account, run);
    says(&undo, 0, &["with its settings as they were"]);
    assert_eq!(service(&account)["deploymentConfiguration"], before["deploymentConfiguration"]);
}

#[test]
fn a_deployment_in_progress_is_told_by_the_plan_and_refused_by_the_run() {
    let account = settled(&json!({}));
    define(&account, &app(&format!("{REGISTRY}/web:never-pushed")));
    let input = json!({ "cluster": "web", "service": "web", "taskDefinition": "web:2" });
    ecs(&account, "UpdateService", &input);
    let busy = "a deployment of web:2 to web/web is in progress";
    let told = format!("{busy}: a run that comes here before it has ended is refused");
    says(&kiln(&account, "plan", ""), 0, &[&told, "`replace-failed = true`"]);
    says(&kiln(&account, "run", ""), 1, &[busy]);
    assert_eq!(account.count("ecs:UpdateService"), 1, "nothing was begun");
}

#[test]
fn a_newest_revision_that_has_the_image_is_deployed_as_it_is() {
    let account = settled(&json!({}));
    define(&account, &app(&image(&account, "release-3")));
    let latest = ", base = \"latest\"";
    let plan = kiln(&account, "plan", latest);
    says(&plan, 0, &["from web:1 to web:2, which has the image already", "1 to update"]);
    assert!(!plan.all().contains("to create"), "{}", plan.all());
    says(&kiln(&account, "run", latest), 0, &["web/web goes from web:1 to web:2"]);
    assert_eq!(account.count("ecs:RegisterTaskDefinition"), 2, "both were there");
}

#[test]
fn an_image_that_is_not_there_is_refused_before_anything_changes() {
    let account = settled(&json!({}));
    let gone = format!("image={REGISTRY}/web@sha256:{}", "ab".repeat(32));
    for command in ["plan", "run"] {
        let kiln = account.kiln([command, "pipeline.toml", "--input", &gone]).file("pipeline.toml", pipeline(""));
        says(&kiln.run(), 1, &["ECR has no image 111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:abab"]);
    }
    assert_eq!((account.count("ecs:RegisterTaskDefinition"), account.count("ecs:UpdateService")), (1, 0));
}

#[test]
fn a_container_that_is_not_there_is_missed_before_the_image_is_built() {
    let account = Account::of(&World::parse(&format!(
        "{WORLD}
[[projects]]
name   = \"web-image\"
source = {{ type = \"GITHUB\", location = \"https://github.com/acme/web.git\" }}
pushes = {{ repository = \"web\", tag = \"next\" }}
"
    )));
    define(&account, &app(&image(&account, "release-1")));
    serve(&account, &json!({}));
    let build = "[stages.build]\nplugin = \"build-image\"\nwith = { project = \"web-image\", repository = \"web\", tag = \"next\" }";
    let text = pipeline(", container = \"sidecar\"").replace("[inputs.image]", build);
    let text = text.replace("${inputs.image}", "${stages.build.image}");
    let plan = account.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", text).run();
    says(&plan, 1, &["web:1 has no container sidecar", "It has these: app."]);
}

#[test]
fn a_newer_revision_than_the_one_that_serves_is_named_and_can_be_taken() {
    let account = settled(&json!({}));
    let environment = json!([{ "name": "FEATURE", "value": "on" }]);
    let image = image(&account, "release-1");
    define(&account, &json!([{ "name": "app", "image": image, "memory": 128, "environment": environment }]));
    let newer = "web:2 is newer than web:1, which serves";
    says(&kiln(&account, "plan", ""), 0, &[newer, "(app.environment)", "`base = \"latest\"` takes it"]);
    let latest = ", base = \"latest\"";
    says(&kiln(&account, "plan", latest), 0, &["web:2 is copied, which is newer than web:1", "app.environment"]);
    let run = kiln(&account, "run", latest);
    says(&run, 0, &["web/web goes from web:1 to web:3"]);
    let found = ecs(&account, "DescribeTaskDefinition", &json!({ "taskDefinition": "web:3" }));
    assert_eq!(found["taskDefinition"]["containerDefinitions"][0]["environment"], environment);
    // And without it the run says what it passes over.
    let other = settled(&json!({}));
    define(&other, &json!([{ "name": "app", "image": image, "memory": 128, "environment": environment }]));
    says(&kiln(&other, "run", ""), 0, &[newer]);
}

#[test]
fn containers_of_one_repository_get_the_image_in_one_revision() {
    let account = Account::of(&World::parse(WORLD));
    let image = image(&account, "release-1");
    let container = |name: &str| json!({ "name": name, "image": image, "memory": 128 });
    define(&account, &json!([container("app"), container("worker"), container("migration")]));
    serve(&account, &json!({}));
    wait_until(&account, "it settles", |service| service["deployments"][0]["rolloutState"] == "COMPLETED");
    says(&kiln(&account, "plan", ", containers = [\"app\", \"worker\"]"), 0, &["the containers app, worker changed"]);
    says(&kiln(&account, "run", ""), 0, &[]);
    assert_eq!(account.count("ecs:UpdateService"), 1);
    let found = ecs(&account, "DescribeTaskDefinition", &json!({ "taskDefinition": "web:2" }));
    let images = found["taskDefinition"]["containerDefinitions"].as_array().cloned().unwrap_or_default();
    assert!(images.len() == 3 && images.iter().all(|container| container["image"] != image.as_str()), "{images:?}");
}

#[test]
fn an_undo_to_an_inactive_revision_registers_it_anew() {
    let account = settled(&json!({}));
    ecs(&account, "DeregisterTaskDefinition", &json!({ "taskDefinition": "web:1" }));
    says(&kiln(&account, "plan", ""), 0, &["web:1, which serves, is INACTIVE", "registers it anew"]);
    let run = kiln(&account, "run", "");
    says(&run, 0, &["web:1, which serves, is INACTIVE"]);
    let undo = undone(&account, run);
    says(&undo, 0, &["went back from web:2 to web:1 (as web:3: it was INACTIVE, and was registered anew)"]);
    let definition = |revision: &str| {
        let found = ecs(&account, "DescribeTaskDefinition", &json!({ "taskDefinition": revision }));
        found["taskDefinition"]["containerDefinitions"].clone()
    };
    assert_eq!(definition("web:3"), definition("web:1"));
    assert!(service(&account)["taskDefinition"].as_str().is_some_and(|arn| arn.ends_with("/web:3")));
}

#[test]
fn a_first_deployment_that_can_never_settle_is_replaced() {
    let account = Account::of(&World::parse(WORLD));
    define(&account, &app(&format!("{REGISTRY}/web:bootstrap")));
    serve(&account, &json!({}));
    wait_until(&account, "its tasks fail", |service| {
        service["deployments"][0]["failedTasks"].as_u64().is_some_and(|failed| failed > 0)
    });
    let run = kiln(&account, "run", "");
    says(&run, 0, &["has only failed tasks: it is replaced", "web/web goes from web:1 to web:2"]);
    assert_eq!(service(&account)["deployments"][0]["rolloutState"], "COMPLETED");
}

#[test]
fn roles_that_are_not_listed_are_missed_by_the_plan_before_anything_is_built() {
    let world = World::parse(&format!(
        "{WORLD}
[[services]]
cluster       = \"web\"
name          = \"web\"
desired-count = 1

[[services.containers]]
name  = \"app\"
image = \"web:release-1\"
"
    ));
    let account = Account::of(&world);
    let missing = ["web:1 names the role web-execution", "Say `roles = [\"web-execution\"]`"];
    says(&kiln(&account, "plan", ""), 1, &missing);
    says(&kiln(&account, "run", ""), 1, &missing);
    assert_eq!(account.effects().len(), 0, "nothing was begun");
    says(&kiln(&account, "run", ", roles = [\"web-execution\"]"), 0, &[]);
}

#[test]
fn a_service_without_tasks_is_deployed_to_only_when_told_and_nothing_is_said_to_serve() {
    let account = settled(&json!({}));
    ecs(&account, "UpdateService", &json!({ "cluster": "web", "service": "web", "desiredCount": 0 }));
    wait_until(&account, "its tasks end", |service| service["runningCount"] == 0);
    says(&kiln(&account, "plan", ""), 1, &["is to have 0 tasks", "`allow-zero = true`"]);
    says(&kiln(&account, "run", ""), 1, &["is to have 0 tasks"]);
    let run = kiln(&account, "run", ", allow-zero = true");
    says(&run, 0, &["no task of it runs"]);
    assert!(!run.all().contains("serves") && !run.all().contains("serving"), "{}", run.all());
}

#[test]
fn what_a_stack_owns_is_named() {
    let account = Account::of(&World::parse(&format!(
        "{WORLD}
[[services]]
cluster       = \"web\"
name          = \"web\"
desired-count = 1
tags          = {{ \"aws:cloudformation:stack-name\" = \"web-production\" }}

[[services.containers]]
name  = \"app\"
image = \"web:release-1\"
"
    )));
    let plan = kiln(&account, "plan", ", roles = [\"web-execution\"]");
    says(&plan, 0, &["the service web/web is of the CloudFormation stack web-production"]);
}

#[test]
fn a_deployment_begins_only_under_alarms_that_can_see_it() {
    let account = settled(&guarded());
    let set = |state: &str| {
        let input = json!({ "AlarmName": "web-5xx", "StateValue": state, "StateReason": "many errors" });
        account.tell("monitoring", "GraniteServiceVersion20100801.SetAlarmState", &input);
    };
    set("ALARM");
    let blind = ["nothing would watch the deployment to web/web", "alarm web-5xx is in ALARM", "`alarms` names others"];
    says(&kiln(&account, "plan", ""), 1, &blind);
    let effects = account.effects().len();
    says(&kiln(&account, "run", ""), 1, &blind);
    says(&kiln(&account, "plan", ", alarms = [\"absent\"]"), 1, &["CloudWatch has no alarm absent"]);
    assert_eq!(account.effects().len(), effects, "nothing was registered or deployed");
    let warned = ["alarm web-5xx is in ALARM", "the deployment goes on without it"];
    says(&kiln(&account, "plan", ", unready-alarms = \"warn\""), 0, &warned);
    says(&kiln(&account, "run", ", unready-alarms = \"warn\""), 0, &warned);
}

/// An account in which `web:1` serves, whose container logs to `/ecs/web`, and whose next revision crashes after `after`.
fn crashing(after: &str) -> Account {
    let behaviour = format!(
        "family = \"web\"\nfrom-revision = 2\ncrash-after = \"{after}\"\nexit-code = 3\n\
         log = [\"listening on :8080\", \"panic: no route to the database\"]"
    );
    let account = Account::of(&World::parse(WORLD).add("task-behaviours", &behaviour));
    account.tell("logs", "Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "/ecs/web" }));
    let mut containers = app(&image(&account, "release-1"));
    let options = json!({ "awslogs-group": "/ecs/web", "awslogs-region": "us-west-2", "awslogs-stream-prefix": "web" });
    containers[0]["logConfiguration"] = json!({ "logDriver": "awslogs", "options": options });
    containers[0]["healthCheck"] = json!({ "command": ["CMD-SHELL", "true"] });
    define(&account, &containers);
    serve(&account, &json!({}));
    wait_until(&account, "it settles", |service| service["deployments"][0]["rolloutState"] == "COMPLETED");
    account
}

const LAST_WORDS: &str = "panic: no route to the database";

#[test]
fn a_failed_deployment_tells_what_its_crashed_containers_logged_last() {
    let account = crashing("2s");
    let run = kiln(&account, "run", ", circuit-breaker = {}, log-groups = [\"/ecs/web\"]");
    says(&run, 1, &["container app exited with code 3", "the end of /ecs/web web/app/", LAST_WORDS]);

    let account = crashing("2s");
    let run = kiln(&account, "run", ", circuit-breaker = {}");
    says(&run, 1, &["the container app logs to /ecs/web; `log-groups = [\"/ecs/web\"]` shows the end of it"]);
    assert!(!run.all().contains(LAST_WORDS), "{}", run.all());
}

#[test]
fn an_undo_tells_what_the_containers_logged_before_it_destroys_them() {
    let account = crashing("40s");
    let run = kiln(&account, "run", ", log-groups = [\"/ecs/web\"]");
    says(&run, 0, &["web/web goes from web:1 to web:2"]);
    wait_until(&account, "its tasks crash", |service| {
        service["events"].as_array().is_some_and(|events| !events.is_empty()) && service["runningCount"] == 0
    });
    let undo = undone(&account, run);
    says(&undo, 0, &["went back from web:2 to web:1"]);
    let said = undo.all();
    let (evidence, end) = (said.find(LAST_WORDS), said.find("went back from web:2"));
    assert!(evidence.is_some() && evidence < end, "{said}");
}

#[test]
fn a_task_whose_log_group_is_missing_does_not_start() {
    let account = Account::of(&World::parse(WORLD));
    let mut containers = app(&image(&account, "release-1"));
    let options = json!({ "awslogs-group": "/none", "awslogs-region": "us-west-2", "awslogs-stream-prefix": "web" });
    containers[0]["logConfiguration"] = json!({ "logDriver": "awslogs", "options": options });
    define(&account, &containers);
    serve(&account, &json!({}));
    wait_until(&account, "its tasks fail", |service| {
        service["deployments"][0]["failedTasks"].as_u64().is_some_and(|failed| failed > 0)
    });
}

#[test]
fn a_failed_undo_is_settled_only_by_a_person_who_says_what_was_done() {
    let account = settled(&json!({}));
    let run = kiln(&account, "run", "");
    says(&run, 0, &["web/web goes from web:1 to web:2"]);
    let journal = kiln_tests::run_in(&run.directory().join(".kiln"));
    let id = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ask = |before: Outcome, arguments: &[&str]| {
        before.then(arguments.iter().copied()).env("AWS_ENDPOINT_URL", &account.url()).run()
    };
    define(&account, &app(&image(&account, "release-2")));
    ecs(&account, "UpdateService", &json!({ "cluster": "web", "service": "web", "taskDefinition": "web:3" }));
    let undo = ask(run, &["undo", &id]);
    says(&undo, 4, &["now runs web:3", "kiln undo ", "--as happened --because"]);
    assert!(!undo.all().contains("not-happened"), "no call is in doubt: {}", undo.all());

    let refused = ask(undo, &["resolve", &id, "--as", "not-happened"]);
    says(&refused, 2, &["there is nothing to settle about that", "kiln undo"]);
    let refused = ask(refused, &["resolve", &id, "--as", "happened"]);
    says(&refused, 2, &["nothing says that it was done otherwise", "--because"]);
    let resumed = ask(refused, &["undo", &id]);
    says(&resumed, 4, &["now runs web:3"]);

    let resolved = ask(resumed, &["resolve", &id, "--as", "happened", "--because", "web:3 is what we want"]);
    says(&resolved, 0, &["the undo of stage `deploy` counts as done by hand", "kiln has looked at nothing"]);
    let shown = ask(resolved, &["show", &id]);
    says(&shown, 0, &["done by hand: web:3 is what we want"]);
}
