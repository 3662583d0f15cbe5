//! `deploy-stack`: stacks are planned, changed, followed and brought back.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{Event, EventKind, Failure, RunOutcome};
use kiln_runner::rehearse::{Rehearsal, Rehearsed};
use kiln_runner::report::Reports;
use kiln_tests::{Account, World, plugins_with, rehearsal};
use serde_json::Value;

/// A queue, a topic and a parameter; the topic is made once the queue is there.
pub(crate) const TEMPLATE: &str = "\
Parameters:
  Delay: { Type: Number, Default: 1 }
  QueueName: { Type: String, Default: jobs }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Ref QueueName, DelaySeconds: !Ref Delay }
  Topic:
    Type: AWS::SNS::Topic
    Properties: { DisplayName: !Sub 'of ${Queue.QueueName}' }
  Setting:
    Type: AWS::SSM::Parameter
    Properties: { Name: /web/delay, Type: String, Value: !Ref Delay }
Outputs:
  TopicArn: { Value: !Ref Topic, Description: Where news come from }
";

/// The same, and a bucket that stays when the stack goes.
fn with_bucket() -> String {
    TEMPLATE.replace("Outputs:\n", "  Kept:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\nOutputs:\n")
}

/// A pipeline that deploys the stack, and then asks an alarm.
pub(crate) fn pipeline(with: &str, more: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "stacks"
region = "us-west-2"

# What is killed is given one.
[inputs.commit]
default = "4f2a9c1"

[stages.stack]
plugin  = "deploy-stack"
timeout = "4h"

[stages.stack.with]
stack    = "web"
template = "web.yaml"
outputs  = ["TopicArn"]
poll     = "5s"
{with}
{more}
"#
    )
}

/// A stage behind the stack that fails at once, and lets the run be undone.
pub(crate) const THEN_UNDO: &str = r#"
[stages.verify]
plugin     = "verify-alarms"
after      = ["stack"]
on-failure = "undo"
with       = { alarms = ["rings"], bake = "10s" }
"#;

/// A world with an alarm that rings, and one that does not.
pub(crate) fn world() -> World {
    World::of("[[alarms]]\nname = \"rings\"\nstate = \"ALARM\"\n\n[[alarms]]\nname = \"quiet\"\nstate = \"OK\"\n")
}

/// The same, with the stack in it; `more` are further fields of it.
pub(crate) fn with_stack(template: &str, more: &str) -> World {
    world().add("stacks", &format!("name = \"web\"\ntemplate = '''\n{template}'''\n{more}"))
}

/// A world in which something is the matter with a resource.
pub(crate) fn behaving(world: World, behaviour: &str) -> World {
    world.add("resource-behaviours", behaviour)
}

/// What came of a rehearsal.
pub(crate) struct Deployed(pub(crate) Rehearsed);

impl Deployed {
    pub(crate) fn of(world: &World, pipeline: &str, template: &str) -> Self {
        let quiet = Box::new(Reports::new(Vec::new()));
        let source = SourceFile::new("stacks.toml".to_owned(), pipeline.to_owned());
        let mut rehearsal: Rehearsal = rehearsal(source, &world.text(), 7);
        rehearsal.inputs.clear();
        let plugins = plugins_with(&[("web.yaml", template), ("policy.json", POLICY)]);
        Self(kiln_runner::rehearse::rehearse(rehearsal, plugins, quiet).unwrap_or_else(|error| panic!("{error:?}")))
    }

    fn ended(&self, stage: &str) -> (Option<&Value>, Option<&Failure>) {
        let of = |event: &Event| event.stage.as_ref().is_some_and(|one| one.as_str() == stage);
        let ended = self.0.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::StageFinished { outputs, failure, .. } if of(event) => {
                Some((outputs.as_ref(), failure.as_ref()))
            }
            _ => None,
        });
        ended.unwrap_or((None, None))
    }

    #[track_caller]
    pub(crate) fn outputs(&self) -> &Value {
        let (outputs, failure) = self.ended("stack");
        outputs.unwrap_or_else(|| panic!("it failed: {failure:?}"))
    }

    /// The kind of the failure, and all that it says.
    #[track_caller]
    pub(crate) fn failure(&self) -> (String, String) {
        let (outputs, failure) = self.ended("stack");
        let failure = failure.unwrap_or_else(|| panic!("it did not fail: {outputs:?}"));
        let help = failure.help.clone().unwrap_or_default();
        (failure.kind.clone(), format!("{}\n{help}\n{}", failure.message, failure.details.join("\n")))
    }

    #[track_caller]
    pub(crate) fn says(&self, kind: &str, words: &[&str]) {
        let (found, said) = self.failure();
        assert_eq!(found, kind, "{said}");
        for words in words {
            assert!(said.contains(words), "{words:?} is not in {said}");
        }
    }

    /// All lines of the log.
    pub(crate) fn log(&self) -> String {
        let lines = self.0.events.iter().filter_map(|event| match &event.kind {
            EventKind::StageLog { message, .. } => Some(message.as_str()),
            _ => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The stages that were undone.
    fn undone(&self) -> Vec<String> {
        let undone = self.0.events.iter().filter(|event| match &event.kind {
            EventKind::UndoFinished { result } => result.is_ok(),
            _ => false,
        });
        undone.filter_map(|event| event.stage.as_ref().map(ToString::to_string)).collect()
    }

    pub(crate) fn count(&self, action: &str) -> usize {
        self.0.effects.iter().filter(|effect| effect.action == action).count()
    }

    /// The stack of the name, as it is at the end; none where there is none.
    pub(crate) fn stack(&self) -> Option<&Value> {
        stack_in(&self.0.after)
    }

    fn status(&self) -> &str {
        self.stack().and_then(|stack| stack["phase"].as_str()).unwrap_or("none")
    }
}

/// The stack `web` that is there.
fn stack_in(state: &Value) -> Option<&Value> {
    let place = &state["places"]["111111111111/us-west-2"]["cloudformation"];
    let id = place["names"]["web"].as_str()?;
    place["stacks"].get(id)
}

const POLICY: &str =
    r#"{ "Statement": [{ "Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*" }] }"#;

#[test]
fn a_stack_is_created_and_its_outputs_are_the_stage_s() {
    let deployed =
        Deployed::of(&world(), &pipeline("parameters = { Delay = 5 }\ntermination-protection = true", ""), TEMPLATE);
    let outputs = deployed.outputs();
    assert_eq!((outputs["status"].as_str(), outputs["changed"].as_bool()), (Some("CREATE_COMPLETE"), Some(true)));
    assert_eq!(outputs["changes"].as_u64(), Some(3));
    assert!(
        outputs["TopicArn"].as_str().is_some_and(|arn| arn.starts_with("arn:aws:sns:us-west-2:111111111111:")),
        "{outputs}"
    );
    assert!(deployed.log().contains("Queue (AWS::SQS::Queue) is added"), "{}", deployed.log());
    assert_eq!(deployed.count("cloudformation:UpdateTerminationProtection"), 1);
    assert_eq!(deployed.0.outcome, RunOutcome::Done);
}

#[test]
fn a_stack_that_is_as_its_template_says_is_left_alone() {
    let tagged = "tags = { 'kiln:pipeline' = \"stacks\" }";
    let deployed = Deployed::of(&with_stack(TEMPLATE, tagged), &pipeline("", ""), TEMPLATE);
    let outputs = deployed.outputs();
    assert_eq!(
        (outputs["changed"].as_bool(), outputs["status"].as_str()),
        (Some(false), Some("CREATE_COMPLETE")),
        "{outputs}"
    );
    assert!(outputs["TopicArn"].is_string(), "{outputs}");
    assert_eq!(deployed.count("cloudformation:ExecuteChangeSet"), 0);
    assert_eq!(deployed.count("cloudformation:DeleteChangeSet"), 1, "the empty change set is deleted again");
}

#[test]
fn an_update_says_each_change_with_its_cause_before_it_happens() {
    let deployed = Deployed::of(&with_stack(TEMPLATE, ""), &pipeline("parameters = { Delay = 9 }", ""), TEMPLATE);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("UPDATE_COMPLETE"));
    let log = deployed.log();
    assert!(log.contains("Queue (AWS::SQS::Queue) is changed in place: DelaySeconds from 1 to 9"), "{log}");
}

#[test]
fn a_change_set_that_replaces_what_is_protected_is_not_executed() {
    let with = "parameters = { QueueName = \"other\" }";
    let deployed = Deployed::of(&with_stack(TEMPLATE, ""), &pipeline(with, ""), TEMPLATE);
    deployed.says(
        "rejected",
        &[
            "Queue (AWS::SQS::Queue) would be replaced",
            "QueueName from jobs to other",
            "`protect` names AWS::SQS::Queue",
        ],
    );
    assert_eq!(
        (deployed.count("cloudformation:ExecuteChangeSet"), deployed.count("cloudformation:DeleteChangeSet")),
        (0, 1)
    );
    let (before, after) = (stack_in(&deployed.0.before), stack_in(&deployed.0.after));
    let held = |stack: Option<&Value>| {
        let resources = stack.and_then(|stack| stack["resources"].as_object()).into_iter().flatten();
        resources
            .map(|(name, it)| format!("{name} {} {} {}", it["physical"], it["phase"], it["properties"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(held(before).len(), 3);
    assert_eq!(held(before), held(after), "nothing is left of the attempt");
    let allowed = format!("{with}\nprotect = [\"Topic\"]");
    let deployed = Deployed::of(&with_stack(TEMPLATE, ""), &pipeline(&allowed, ""), TEMPLATE);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("UPDATE_COMPLETE"));
}

#[test]
fn what_leaves_the_template_is_not_deleted_where_it_is_protected() {
    let template = TEMPLATE.replace("  Queue:\n    Type: AWS::SQS::Queue\n    Properties: { QueueName: !Ref QueueName, DelaySeconds: !Ref Delay }\n", "")
        .replace("!Sub 'of ${Queue.QueueName}'", "!Ref QueueName");
    let deployed = Deployed::of(&with_stack(TEMPLATE, ""), &pipeline("", ""), &template);
    deployed.says("rejected", &["Queue (AWS::SQS::Queue) would be deleted"]);
}

#[test]
fn more_changes_than_are_allowed_are_not_made_and_a_new_stack_is_not_left_under_review() {
    let deployed = Deployed::of(&world(), &pipeline("max-changes = 2", ""), TEMPLATE);
    deployed.says("rejected", &["there are 3 changes, and `max-changes` allows 2"]);
    assert_eq!(deployed.stack(), None, "the stack that was made for the change set is gone");
}

#[test]
fn a_change_set_may_only_be_looked_at() {
    let deployed =
        Deployed::of(&with_stack(TEMPLATE, ""), &pipeline("execute = false\nparameters = { Delay = 9 }", ""), TEMPLATE);
    let outputs = deployed.outputs();
    assert_eq!((outputs["changed"].as_bool(), outputs["status"].as_str()), (Some(false), Some("CREATE_COMPLETE")));
    assert_eq!(deployed.count("cloudformation:ExecuteChangeSet"), 0);
    let deployed =
        Deployed::of(&world(), &pipeline("execute = false", "").replace("outputs  = [\"TopicArn\"]\n", ""), TEMPLATE);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("NONE"));
    assert_eq!(deployed.stack(), None);
}

#[test]
fn an_alarm_that_rings_already_or_is_not_there_stops_it_before_anything_is_changed() {
    for (alarm, words) in [("rings", "alarm rings is in ALARM"), ("nobody", "CloudWatch has no alarm nobody")] {
        let with = format!("rollback-alarms = [\"quiet\", \"{alarm}\"]\nmonitoring = \"10m\"");
        let deployed = Deployed::of(&with_stack(TEMPLATE, ""), &pipeline(&with, ""), TEMPLATE);
        deployed.says("rejected", &[words]);
        assert_eq!(deployed.count("cloudformation:CreateChangeSet"), 0);
    }
}

#[test]
fn an_alarm_that_rings_while_the_stack_is_watched_brings_it_back() {
    let late = "name = \"late\"\nstate = \"OK\"\nscript = [{ after = \"6m\", state = \"ALARM\" }]";
    let world = with_stack(TEMPLATE, "").add("alarms", late);
    let with = "rollback-alarms = [\"late\"]\nmonitoring = \"20m\"\nparameters = { Delay = 9 }";
    let deployed = Deployed::of(&world, &pipeline(with, ""), TEMPLATE);
    deployed.says("rejected", &["web was not updated, and is as it was before", "late"]);
    assert_eq!(deployed.status(), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn the_first_resource_that_fails_is_the_cause_and_the_cancelled_are_its_followers() {
    let fails = "resource = \"Setting\"\non = \"create\"\ntakes = \"3s\"\nfails = \"The tier is not allowed.\"";
    let slow = "resource = \"Queue\"\non = \"create\"\ntakes = \"2m\"";
    let world = behaving(behaving(world(), fails), slow);
    let deployed = Deployed::of(&world, &pipeline("", ""), TEMPLATE);
    let (kind, said) = deployed.failure();
    assert_eq!(kind, "failed", "{said}");
    let first = said.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("web was not created, and what was made is deleted again; the empty stack stays: Setting (AWS::SSM::Parameter) is CREATE_FAILED"),
        "{said}"
    );
    assert!(first.contains("The tier is not allowed") && said.contains("Queue failed for it"), "{said}");
    assert!(said.contains("`recover = [\"rollback-complete\"]`"), "{said}");
    assert_eq!(deployed.status(), "ROLLBACK_COMPLETE");
}

#[test]
fn an_update_that_fails_in_the_middle_leaves_the_stack_as_it_was() {
    let fails = "resource = \"Setting\"\non = \"update\"\nfails = \"No.\"\ntimes = 1";
    let world = behaving(with_stack(TEMPLATE, ""), fails);
    let deployed = Deployed::of(&world, &pipeline("parameters = { Delay = 9 }", ""), TEMPLATE);
    deployed.says(
        "failed",
        &["web was not updated, and is as it was before: Setting (AWS::SSM::Parameter) is UPDATE_FAILED"],
    );
    assert_eq!(deployed.status(), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn a_new_stack_that_fails_is_deleted_where_the_config_says_so() {
    let fails = "resource = \"Setting\"\non = \"create\"\nfails = \"No.\"";
    let deployed = Deployed::of(&behaving(world(), fails), &pipeline("on-failure = \"delete\"", ""), TEMPLATE);
    deployed.says("failed", &["web was not created, and what was made is deleted again: Setting"]);
    assert_eq!(deployed.stack(), None);
}

#[test]
fn what_failed_stays_as_it_is_where_the_config_says_so_and_goes_back_later() {
    let fails = "resource = \"Setting\"\non = \"update\"\nfails = \"No.\"\ntimes = 1";
    let world = behaving(with_stack(TEMPLATE, ""), fails);
    let deployed = Deployed::of(&world, &pipeline("on-failure = \"keep\"\nparameters = { Delay = 9 }", ""), TEMPLATE);
    deployed.says("failed", &["web was not updated, and stays as it is", "recover = [\"failed\"]"]);
    assert_eq!(deployed.status(), "UPDATE_FAILED");
}

/// A stack that somebody left in this state, deployed with `with`.
fn stuck(status: &str, with: &str) -> Deployed {
    let more = format!("status = \"{status}\"\nreason = \"somebody left it so\"");
    Deployed::of(&with_stack(TEMPLATE, &more), &pipeline(with, ""), TEMPLATE)
}

#[test]
fn a_creation_that_failed_is_deleted_and_made_anew_where_the_config_says_so() {
    let told = stuck("ROLLBACK_COMPLETE", "");
    told.says(
        "conflict",
        &[
            "web is ROLLBACK_COMPLETE: its first creation failed",
            "`recover = [\"rollback-complete\"]`",
            "somebody left it so",
        ],
    );
    assert!(told.0.effects.is_empty(), "nothing was changed");
    let taken = stuck("ROLLBACK_COMPLETE", "recover = [\"rollback-complete\"]");
    assert_eq!(taken.outputs()["status"].as_str(), Some("CREATE_COMPLETE"));
    assert_eq!(taken.count("cloudformation:DeleteStack"), 1);
}

#[test]
fn a_way_back_that_failed_is_gone_on_with_where_the_config_says_so() {
    let told = stuck("UPDATE_ROLLBACK_FAILED", "parameters = { Delay = 9 }");
    told.says("conflict", &["web is UPDATE_ROLLBACK_FAILED", "`recover = [\"update-rollback-failed\"]`", "`skip`"]);
    let taken = stuck("UPDATE_ROLLBACK_FAILED", "parameters = { Delay = 9 }\nrecover = [\"update-rollback-failed\"]");
    assert_eq!(taken.outputs()["status"].as_str(), Some("UPDATE_COMPLETE"));
    assert_eq!(taken.count("cloudformation:ContinueUpdateRollback"), 1);
}

#[test]
fn a_deletion_that_failed_is_tried_again_where_the_config_says_so() {
    stuck("DELETE_FAILED", "")
        .says("conflict", &["web is DELETE_FAILED", "`recover = [\"delete-failed\"]`", "`retain`"]);
    let taken = stuck("DELETE_FAILED", "recover = [\"delete-failed\"]");
    assert_eq!(taken.outputs()["status"].as_str(), Some("CREATE_COMPLETE"));
}

#[test]
fn a_stack_that_is_only_under_review_is_no_obstacle() {
    let deployed = stuck("REVIEW_IN_PROGRESS", "");
    assert_eq!(deployed.outputs()["status"].as_str(), Some("CREATE_COMPLETE"));
}

/// The events cannot be read for a while, so that the first attempt ends while the stack is changed.
#[test]
fn a_second_attempt_follows_the_operation_that_the_first_one_began() {
    let slow = "stack = \"web\"\nresource = \"Queue\"\non = \"update\"\ntakes = \"40m\"";
    let blind =
        "operation = \"cloudformation:DescribeStackEvents\"\nkind = \"internal\"\ntimes = 1000\nuntil = \"10m\"";
    let world = behaving(with_stack(TEMPLATE, ""), slow).add("faults", blind);
    let again = "[stages.stack.retry]\nattempts = 2\nbackoff = \"15m\"\nmax-backoff = \"15m\"\njitter = \"none\"";
    let deployed = Deployed::of(&world, &pipeline("parameters = { Delay = 5 }", again), TEMPLATE);
    assert_eq!(deployed.outputs()["status"], "UPDATE_COMPLETE");
    assert!(
        deployed.log().contains("following the operation on web that an earlier attempt began"),
        "{}",
        deployed.log()
    );
    assert_eq!(deployed.count("cloudformation:ExecuteChangeSet"), 1);
}

#[test]
fn an_undo_brings_template_parameters_and_tags_back() {
    let world = with_stack(TEMPLATE, "parameters = { Delay = \"3\" }\ntags = { team = \"web\" }");
    let with = "parameters = { Delay = 9 }\ntermination-protection = true\nstack-policy = \"policy.json\"";
    let template = with_bucket();
    let deployed = Deployed::of(&world, &pipeline(with, THEN_UNDO), &template);
    assert_eq!(deployed.undone(), ["stack"], "{}", deployed.log());
    let (before, after) = (stack_in(&deployed.0.before), stack_in(&deployed.0.after));
    let of = |stack: Option<&Value>, what: &str| stack.map(|stack| stack["goal"][what].clone());
    for what in ["text", "parameters", "tags"] {
        assert_eq!(of(before, what), of(after, what), "{what}");
    }
    assert_eq!(after.map(|stack| stack["protected"].clone()), Some(false.into()));
}

#[test]
fn an_undo_deletes_a_stack_that_was_new_and_names_what_stays() {
    let deployed = Deployed::of(&world(), &pipeline("termination-protection = true", THEN_UNDO), &with_bucket());
    assert_eq!(deployed.undone(), ["stack"], "{}", deployed.log());
    assert_eq!(deployed.stack(), None);
    let undone =
        deployed.0.events.iter().map(|event| serde_json::to_string(event).unwrap_or_default()).collect::<String>();
    assert!(undone.contains("by their policies these stay: Kept ("), "{undone}");
}

#[test]
fn a_rolled_back_update_leaves_an_undo_nothing_to_do() {
    let fails = "resource = \"Setting\"\non = \"update\"\nfails = \"No.\"\ntimes = 1";
    let world = behaving(with_stack(TEMPLATE, "tags = { 'kiln:pipeline' = \"stacks\" }"), fails);
    let more = "on-failure = \"undo\"\n";
    let pipeline =
        pipeline("parameters = { Delay = 9 }", "").replace("timeout = \"4h\"\n", &format!("timeout = \"4h\"\n{more}"));
    let deployed = Deployed::of(&world, &pipeline, TEMPLATE);
    assert_eq!(deployed.undone(), ["stack"], "{}", deployed.log());
    assert_eq!(deployed.status(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(deployed.count("cloudformation:ExecuteChangeSet"), 1);
}

/// A real run against a real simulator, with the template beside it.
fn run(account: &Account, with: &str) -> kiln_tests::Outcome {
    account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(with, ""))
        .file("web.yaml", TEMPLATE)
        .run()
}

#[test]
fn what_was_changed_behind_the_stack_s_back_is_refused_told_or_brought_back() {
    let changed = || {
        let account = Account::at_scale(&with_stack(TEMPLATE, ""), 60.0);
        let input = serde_json::json!({ "Name": "/web/delay", "Value": "77", "Overwrite": true });
        account.tell("ssm", "AmazonSSM.PutParameter", &input);
        account
    };
    let value = |account: &Account| {
        let input = serde_json::json!({ "Name": "/web/delay" });
        account.ask("ssm", "AmazonSSM.GetParameter", &input)["Parameter"]["Value"].as_str().map(str::to_owned)
    };
    let account = changed();
    let refused = run(&account, "drift = \"refuse\"");
    assert_eq!(refused.code(), Some(1), "{}", refused.all());
    let told = refused.failure("stack").to_string();
    assert!(told.contains("web has drifted: Setting (AWS::SSM::Parameter)") && told.contains("77"), "{told}");
    assert_eq!(value(&account).as_deref(), Some("77"), "nothing was changed");
    let reverted = run(&changed(), "drift = \"revert\"");
    assert_eq!(reverted.code(), Some(0), "{}", reverted.all());
    let account = changed();
    assert_eq!(run(&account, "drift = \"revert\"").code(), Some(0));
    assert_eq!(value(&account).as_deref(), Some("1"), "it is as the template says again");
    let warned = run(&changed(), "drift = \"warn\"\nparameters = { Delay = 4 }");
    assert_eq!(warned.code(), Some(0), "{}", warned.all());
    assert!(warned.all().contains("was changed behind the stack's back"), "{}", warned.all());
}

#[test]
fn a_plan_forecasts_and_writes_nothing() {
    let account = Account::of(&with_stack(TEMPLATE, ""));
    let plan = |with: &str| {
        let outcome = account
            .kiln(["plan", "pipeline.toml"])
            .file("pipeline.toml", pipeline(with, ""))
            .file("web.yaml", TEMPLATE)
            .run();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
        outcome.all()
    };
    let replaced = plan("parameters = { QueueName = \"other\" }");
    for words in ["(a forecast)", "AWS::SQS::Queue Queue", "QueueName from jobs to other", "would be refused"] {
        assert!(replaced.contains(words), "{words:?} is not in {replaced}");
    }
    assert!(plan("").contains("would stay as it is (a forecast)"));
    assert!(account.effects().is_empty(), "a plan writes nothing");
}

/// A task definition and a service of a cluster that is there; the image goes in by its digest.
const SERVICE: &str = "\
Parameters:
  ImageDigest: { Type: String }
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: stacked
      Cpu: '256'
      Memory: '512'
      ContainerDefinitions:
        - { Name: app, Essential: true, Image: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/web@${ImageDigest}' }
  Service:
    Type: AWS::ECS::Service
    Properties: { ServiceName: stacked, Cluster: web, TaskDefinition: !Ref Task, DesiredCount: 2 }
";

/// A pipeline that deploys an image to the service by the stack that owns it.
fn by_the_stack(digest: &str, more: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "by-the-stack"
region = "us-west-2"

[stages.deploy]
plugin  = "deploy-ecs"
timeout = "1h"

[stages.deploy.with]
cluster   = "web"
service   = "stacked"
image     = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web@{digest}"
stack     = "owner"
parameter = "ImageDigest"
poll      = "5s"
{more}
"#
    )
}

/// The digests of two images of the world.
fn digests() -> [String; 2] {
    let account = Account::of(&World::web_service());
    let asked = serde_json::json!({ "repositoryName": "web", "filter": { "tagStatus": "TAGGED" } });
    let images = account.ask("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeImages", &asked);
    let mut digests =
        images["imageDetails"].as_array().into_iter().flatten().filter_map(|image| image["imageDigest"].as_str());
    [digests.next(), digests.next()].map(|digest| digest.unwrap_or_else(|| panic!("{images}")).to_owned())
}

/// The world of the web service, with a service that a stack owns.
fn owned(digest: &str) -> World {
    let stack =
        format!("name = \"owner\"\ntemplate = \"\"\"\n{SERVICE}\"\"\"\nparameters = {{ ImageDigest = \"{digest}\" }}");
    World::web_service().add("stacks", &stack)
}

/// What the parameter of the owner is.
fn owner_s(state: &Value) -> Value {
    let place = &state["places"]["111111111111/us-west-2"]["cloudformation"];
    let id = place["names"]["owner"].as_str().unwrap_or_default();
    place["stacks"][id]["goal"]["parameters"]["ImageDigest"].clone()
}

#[test]
fn a_service_of_a_stack_is_deployed_by_its_stack() {
    let [old, new] = digests();
    let account = Account::at_scale(&owned(&old), 60.0);
    let outcome = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .scale(60.0)
        .file("pipeline.toml", by_the_stack(&new, ""))
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(account.count("cloudformation:ExecuteChangeSet"), 1);
    assert!(owner_s(&account.state()).to_string().contains(&new), "{}", owner_s(&account.state()));
    assert!(outcome.all().contains(&new), "{}", outcome.all());
}

#[test]
fn a_deployment_by_a_stack_is_undone_by_the_stack() {
    let [old, new] = digests();
    let account = Account::at_scale(&owned(&old).add("alarms", "name = \"rings\"\nstate = \"ALARM\""), 60.0);
    let then = THEN_UNDO.replace("after      = [\"stack\"]", "after      = [\"deploy\"]");
    let kiln = account.kiln(["run", "pipeline.toml", "--output", "json"]);
    let outcome = kiln.file("pipeline.toml", by_the_stack(&new, &then)).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert!(owner_s(&account.state()).to_string().contains(&old), "{}", owner_s(&account.state()));
    assert_eq!(account.count("cloudformation:ExecuteChangeSet"), 2);
}

#[test]
fn a_service_that_is_none_of_the_stack_s_is_not_deployed_by_it() {
    let [old, new] = digests();
    let account = Account::of(&owned(&old));
    let pipeline = by_the_stack(&new, "").replace("service   = \"stacked\"", "service   = \"web\"");
    let outcome = account.kiln(["run", "pipeline.toml", "--output", "json"]).file("pipeline.toml", pipeline).run();
    let told = outcome.failure("deploy").to_string();
    assert!(told.contains("the service web is no resource of the stack owner"), "{told}");
}
