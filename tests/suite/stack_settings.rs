//! What a config of `deploy-stack` can say beyond template and parameters: each setting does what it says, and shows.

use std::time::Duration;

use kiln_runner::event::Event;
use kiln_tests::{Account, World};
use serde_json::Value;

use crate::resuming::wait_for;
use crate::stacks::{Deployed, TEMPLATE, behaving, pipeline, with_stack, world};

/// A bucket with the template of a nested stack in it.
const CHILD: &str = "name = \"shelf\"\nobjects = { \"child.yaml\" = '''\nParameters: { Label: { Type: String } }\nResources:\n  \
                     Inner: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Label } }\nOutputs: { Arn: { Value: !Ref Inner } }\n''' }\n";

/// A stack with that stack in it.
const PARENT: &str = "\
Parameters: { Label: { Type: String, Default: one } }
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://shelf.s3.us-west-2.amazonaws.com/child.yaml
      Parameters: { Label: !Ref Label }
Outputs:
  TopicArn: { Value: !GetAtt Child.Outputs.Arn }
";

fn with_shelf(world: World) -> World {
    world.add("buckets", CHILD)
}

#[test]
fn a_template_that_is_too_large_for_a_request_goes_through_the_bucket() {
    let large = format!("{}{TEMPLATE}", "# what this is for\n".repeat(3_000));
    let world = world().add("buckets", "name = \"shelf\"");
    let deployed = Deployed::of(&world, &pipeline("template-bucket = \"shelf\"", ""), &large);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("CREATE_COMPLETE"));
    assert_eq!(deployed.count("s3:PutObject"), 1);
    let stack = deployed.stack().map(|stack| stack["goal"]["text"].clone()).unwrap_or_default();
    assert_eq!(stack.as_str(), Some(large.as_str()), "CloudFormation read it from there");
    let small = Deployed::of(&world, &pipeline("template-bucket = \"shelf\"", ""), TEMPLATE);
    assert_eq!(small.count("s3:PutObject"), 0, "a small one needs no bucket");
    let absent = Deployed::of(&crate::stacks::world(), &pipeline("template-bucket = \"shelf\"", ""), &large);
    absent.says("not-found", &["shelf", "The specified bucket does not exist"]);
}

#[test]
fn what_changes_within_a_nested_stack_is_shown_and_its_failure_is_the_cause() {
    let fails =
        |step: &str| format!("resource = \"Inner\"\non = \"{step}\"\nfails = \"The name is taken.\"\ntimes = 1");
    let world = behaving(behaving(with_shelf(world()), &fails("create")), &fails("update"));
    let account = Account::at_scale(&world, 600.0);
    let run = |label: &str| {
        let with = format!(
            "capabilities = [\"auto-expand\"]\nrecover = [\"rollback-complete\"]\nparameters = {{ Label = \"{label}\" }}"
        );
        let kiln = account.kiln(["run", "pipeline.toml", "--output", "json"]).scale(600.0);
        kiln.file("pipeline.toml", pipeline(&with, "")).file("web.yaml", PARENT).run()
    };
    let refused = |step: &str, label: &str| {
        let failed = run(label);
        assert_eq!(failed.code(), Some(1), "{}", failed.all());
        let words = format!("Inner (AWS::SNS::Topic) is {step}_FAILED: The name is taken");
        let message = failed.failure("stack").get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(message.contains(&words), "{message}");
    };
    refused("CREATE", "one");
    assert_eq!(run("one").code(), Some(0));
    refused("UPDATE", "two");
    let changed = run("two");
    assert_eq!(changed.code(), Some(0), "{}", changed.all());
    let inner = "Child: Inner (AWS::SNS::Topic) is changed in place: DisplayName from one to two";
    assert!(changed.all().contains(inner), "{}", changed.all());
}

#[test]
fn a_secret_goes_in_as_a_reference_and_never_as_its_value() {
    let secret = "name = \"prod/db\"\nvalue = \"correct-horse-battery\"";
    let world = world().add("secrets", secret);
    let template = TEMPLATE.replace(
        "Resources:\n",
        "  Password: { Type: String, NoEcho: true }\nResources:\n  Other: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Password } }\n",
    );
    let with = "parameters = { Password = \"${secrets.db}\" }";
    let text = pipeline(with, "").replace("[stages.stack]\n", "[secrets.db]\nid = \"prod/db\"\n\n[stages.stack]\n");
    let deployed = Deployed::of(&world, &text, &template);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("CREATE_COMPLETE"));
    let stack = deployed.stack().cloned().unwrap_or_default();
    let given = stack["goal"]["parameters"]["Password"].to_string();
    assert!(
        given.contains("{{resolve:secretsmanager:arn:aws:secretsmanager:us-west-2:111111111111:secret:prod/db-"),
        "{given}"
    );
    let events: String =
        deployed.0.events.iter().map(|event| serde_json::to_string(event).unwrap_or_default()).collect();
    assert!(!events.contains("correct-horse-battery"), "the value is nowhere");
}

#[test]
fn a_parameter_that_is_kept_stays_as_the_stack_has_it() {
    let world = with_stack(TEMPLATE, "parameters = { Delay = \"7\", QueueName = \"mine\" }");
    let deployed = Deployed::of(&world, &pipeline("parameters = { Delay = 9 }\nkeep = [\"QueueName\"]", ""), TEMPLATE);
    assert_eq!(deployed.outputs()["status"].as_str(), Some("UPDATE_COMPLETE"));
    let stack = deployed.stack().cloned().unwrap_or_default();
    assert!(stack["goal"]["parameters"]["QueueName"].to_string().contains("mine"), "{}", stack["goal"]);
}

#[test]
fn resources_that_cannot_be_deleted_stay_where_they_are_named() {
    let sticks = "resource = \"Queue\"\non = \"delete\"\nfails = \"It is in use.\"";
    let stuck = behaving(with_stack(TEMPLATE, "status = \"DELETE_FAILED\"\nreason = \"Queue is in use\""), sticks);
    let tried = Deployed::of(&stuck, &pipeline("recover = [\"delete-failed\"]", ""), TEMPLATE);
    let (_, said) = tried.failure();
    assert!(said.contains("Queue") && said.contains("It is in use"), "{said}");
    let with = "recover = [\"delete-failed\"]\nretain = [\"Queue\"]\nparameters = { QueueName = \"another\" }";
    let retained = Deployed::of(&stuck, &pipeline(with, ""), TEMPLATE);
    assert_eq!(retained.outputs()["status"].as_str(), Some("CREATE_COMPLETE"), "{}", retained.log());
}

#[test]
fn express_mode_ends_before_resources_are_stable() {
    let slow = "resource = \"Queue\"\non = \"create\"\ntakes = \"40m\"";
    let took = |with: &str| {
        let deployed = Deployed::of(&behaving(world(), slow), &pipeline(with, ""), TEMPLATE);
        assert_eq!(deployed.outputs()["status"].as_str(), Some("CREATE_COMPLETE"), "{}", deployed.log());
        let at = |event: Option<&Event>| event.map(|event| event.at).unwrap_or_default();
        (at(deployed.0.events.last()) - at(deployed.0.events.first())) / 1_000
    };
    let (standard, express) = (took(""), took("mode = \"express\""));
    assert!(standard >= 2_400, "it waited for the queue: {standard} s");
    assert!(express < 1_300, "it did not: {express} s");
}

#[test]
fn another_operation_on_the_stack_is_refused_or_waited_for() {
    let slow = "stack = \"web\"\nresource = \"Queue\"\non = \"update\"\ntakes = \"5m\"\ntimes = 1";
    let account = Account::at_scale(&behaving(with_stack(TEMPLATE, ""), slow), 60.0);
    let kiln = |delay: u32, with: &str| {
        let text = pipeline(&format!("parameters = {{ Delay = {delay} }}\n{with}"), "");
        account
            .kiln(["run", "pipeline.toml", "--output", "json"])
            .file("pipeline.toml", text)
            .file("web.yaml", TEMPLATE)
    };
    let first = kiln(5, "").start();
    wait_for(&first, "the execution", |journal| journal.contains("cloudformation:ExecuteChangeSet"));
    std::thread::sleep(Duration::from_millis(300));
    let refused = kiln(6, "when-busy = \"refuse\"").run();
    assert_eq!(refused.code(), Some(1), "{}", refused.all());
    let told = refused.failure("stack").to_string();
    assert!(told.contains("UPDATE_IN_PROGRESS") && told.contains("when-busy"), "{told}");
    let waited = kiln(7, "when-busy = \"wait\"").run();
    assert_eq!(waited.code(), Some(0), "{}", waited.all());
    let first = first.end();
    assert_eq!(first.code(), Some(0), "{}", first.all());
}
