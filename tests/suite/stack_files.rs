//! Files beside a pipeline, and what plugins say of configs before a run: templates are read, checked and kept with the run.

use std::time::Duration;

use kiln_tests::{Account, Guest, Kiln, Outcome, SharedAccount, World};
use rustix::process::Signal;
use serde_json::Value;

use crate::resuming::{send, wait_for};

/// A pipeline that deploys a stack, with `with` added to its config.
fn pipeline(with: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "stacks"
region = "us-west-2"

[inputs.size]
default = "2"

[secrets.db]
id = "prod/db"

[stages.stack]
plugin = "deploy-stack"

[stages.stack.with]
stack    = "web"
template = "templates/web.yaml"
{with}
"#
    )
}

const TEMPLATE: &str = "\
Parameters:
  Size: { Type: Number, MaxValue: 5 }
  Password: { Type: String, NoEcho: true, Default: none }
Resources:
  Topic: { Type: AWS::SNS::Topic }
Outputs:
  TopicArn: { Value: !Ref Topic }
";

/// What `kiln check` says of a pipeline and its template.
fn checked(pipeline: &str, template: &str) -> Outcome {
    Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", pipeline).file("templates/web.yaml", template).run()
}

#[track_caller]
fn fine(outcome: &Outcome) {
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}

#[track_caller]
fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    for words in words {
        assert!(outcome.stderr().contains(words), "{words:?} is not in {}", outcome.all());
    }
}

#[test]
fn a_template_is_checked_with_its_pipeline() {
    let with = "parameters = { Size = \"${inputs.size}\", Password = \"${secrets.db}\" }\noutputs = [\"TopicArn\"]";
    fine(&checked(&pipeline(with), TEMPLATE));
}

#[test]
fn all_that_is_wrong_with_a_template_is_told_at_once_by_line_and_column() {
    let template = "\
Resources:
  Topic: { Type: AWS::SNS::Topic, Properties: { TopicName: !Ref Nobody } }
  Queue: { Type: AWS::SQS::Queue, Properties: { Colour: red } }
  Rest: { Type: AWS::SQS::Queue, DependsOn: Nothing }
";
    let outcome = checked(&pipeline(""), template);
    refused(
        &outcome,
        &["templates/web.yaml:2:", "Nobody", "templates/web.yaml:3:", "Colour", "templates/web.yaml:4:", "Nothing"],
    );
}

#[test]
fn what_does_not_fit_the_template_is_told_at_its_place_in_the_pipeline() {
    let with = "parameters = { Size = 9, Sise = 1, Password = \"plain\" }\noutputs = [\"Arn\"]\nkeep = [\"Digest\"]";
    let outcome = checked(&pipeline(with), TEMPLATE);
    let words = [
        "templates/web.yaml:2:3: Parameter 'Size' must be a number not greater than 5",
        "no parameter Sise",
        "the parameter Password is not shown (`NoEcho`), and its value stands in the pipeline",
        "the template has no output Arn",
        "no parameter Digest",
        "pipeline.toml:",
    ];
    refused(&outcome, &words);
}

#[test]
fn references_to_the_outputs_of_a_stack_are_checked_before_a_run() {
    let after = |output: &str| {
        let with = "parameters = { Size = 1 }\noutputs = [\"TopicArn\"]";
        format!(
            "{}\n[stages.next]\nplugin = \"verify-alarms\"\nwith = {{ alarms = [\"${{stages.stack.{output}}}\"], bake = \"1m\" }}\n",
            pipeline(with)
        )
    };
    fine(&checked(&after("TopicArn"), TEMPLATE));
    fine(&checked(&after("status"), TEMPLATE));
    refused(&checked(&after("TopicName"), TEMPLATE), &["the stage `stack` has no output `TopicName`"]);
}

#[test]
fn a_file_is_read_within_the_pipeline_s_directory_alone() {
    let with_template = |path: &str| pipeline("").replace("templates/web.yaml", path);
    for (path, words) in [
        ("../web.yaml", "`..` leads out of a directory"),
        ("/etc/hostname", "it begins at the root"),
        ("templates/none.yaml", "No such file"),
        ("templates", "a directory"),
        ("${inputs.size}", "names a file by an expression"),
    ] {
        refused(&checked(&with_template(path), TEMPLATE), &[words]);
    }
    let kiln = Kiln::new(["check", "pipeline.toml"])
        .file("pipeline.toml", with_template("link.yaml"))
        .file("templates/web.yaml", TEMPLATE);
    std::os::unix::fs::symlink("/etc/hostname", kiln.directory().join("link.yaml"))
        .unwrap_or_else(|error| panic!("{error}"));
    refused(&kiln.run(), &["link.yaml is a symbolic link, and kiln follows none from a pipeline"]);
    let large = format!("{TEMPLATE}# {}\n", "x".repeat(1 << 20));
    refused(&checked(&pipeline("parameters = { Size = 1 }"), &large), &["it has more than 1024 KiB"]);
}

#[test]
fn a_template_that_is_too_large_for_a_request_needs_a_bucket() {
    let large = format!("# {}\n{TEMPLATE}", "x".repeat(52_000));
    let size = "parameters = { Size = 1 }";
    refused(&checked(&pipeline(size), &large), &["CloudFormation takes 51200 in a request", "template-bucket"]);
    fine(&checked(&pipeline(&format!("{size}\ntemplate-bucket = \"templates\"")), &large));
}

#[test]
fn a_linter_is_run_where_it_is_installed_and_asked_for() {
    let lint = |linter: Option<&str>| {
        let kiln = Kiln::new(["check", "--lint", "pipeline.toml"])
            .file("pipeline.toml", pipeline("parameters = { Size = 1 }"))
            .file("templates/web.yaml", TEMPLATE);
        let bin = kiln.directory().join("bin");
        std::fs::create_dir(&bin).unwrap_or_else(|error| panic!("{error}"));
        if let Some(script) = linter {
            let program = bin.join("cfn-lint");
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap_or_else(|error| panic!("{error}"));
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap_or_else(|error| panic!("{error}"));
        }
        let path = format!("{}:/bin", bin.display());
        kiln.env("PATH", &path).run()
    };
    fine(&lint(Some("test \"$4\" = templates/web.yaml && test -f \"$4\"")));
    refused(&lint(Some("echo \"$4:3:5:3:9:W2001:unused\"; exit 4")), &["templates/web.yaml:3:5:3:9:W2001:unused"]);
    let missing = lint(None);
    assert_eq!(missing.code(), Some(3), "{}", missing.all());
    assert!(missing.stderr().contains("cfn-lint is not installed"), "{}", missing.all());
}

#[test]
fn roles_have_to_be_acknowledged_before_a_run() {
    let template = "\
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: { RoleName: web, AssumeRolePolicyDocument: { Version: '2012-10-17', Statement: [] } }
";
    refused(&checked(&pipeline(""), template), &["templates/web.yaml:2:3", "`capabilities = [\"named-iam\"]`"]);
    fine(&checked(&pipeline("capabilities = [\"named-iam\"]"), template));
}

#[test]
fn a_stack_policy_that_is_none_is_told() {
    let check = |policy: &str| {
        Kiln::new(["check", "pipeline.toml"])
            .file("pipeline.toml", pipeline("parameters = { Size = 1 }\nstack-policy = \"policy.json\""))
            .file("templates/web.yaml", TEMPLATE)
            .file("policy.json", policy)
            .run()
    };
    fine(&check("{ \"Statement\": [] }"));
    refused(&check("{ \"Statement\": "), &["policy.json:1:", "it is no JSON"]);
    refused(&check("{}"), &["has no list `Statement`"]);
}

/// A stage that waits, and one behind it that deploys a stack.
fn after_a_wait(kiln: Kiln) -> Kiln {
    let wait = r#"(call $sleep (i64.const 300000)) (call $ok (str "{}"))"#;
    let before = "[plugins.guest]\npath = \"guest.wasm\"\n[environments.production]\naccount = \"111111111111\"\n\
                  [stages.wait]\nplugin = \"guest\"\ntimeout = \"2h\"\nenvironment = \"production\"\n\n[stages.stack]\n\
                  after = [\"wait\"]\nenvironment = \"production\"\n";
    let text = pipeline("parameters = { Size = 2 }").replace("[stages.stack]\n", before);
    kiln.file("pipeline.toml", text).file("guest.wasm", Guest::new(wait).build()).file("templates/web.yaml", TEMPLATE)
}

/// The template that the stack `web` of an account's state has.
fn deployed(state: &Value) -> &str {
    let place = &state["places"]["111111111111/us-west-2"]["cloudformation"];
    let id = place["names"]["web"].as_str().unwrap_or_default();
    place["stacks"][id]["goal"]["text"].as_str().unwrap_or_default()
}

#[test]
fn a_run_goes_on_with_the_template_that_it_began_with() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let running = after_a_wait(account.kiln(["run", "pipeline.toml", "--output", "json"])).start();
    wait_for(&running, "the wait", |journal| journal.contains("\"record\":\"timer\""));
    send(&running, Signal::KILL);
    let outcome = running.end();
    let template = outcome.directory().join("templates/web.yaml");
    std::fs::write(template, "no template at all").unwrap_or_else(|error| panic!("{error}"));
    let outcome = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(deployed(&account.state()), TEMPLATE);
}

#[test]
fn a_run_brings_its_template_to_the_machine_that_goes_on_with_it() {
    let account = SharedAccount::at_scale(&World::of(""), 60.0);
    let lease = |kiln: Kiln| kiln.env("KILN_LEASE_TTL", "8s");
    let running = lease(after_a_wait(account.kiln(["run", "pipeline.toml", "--output", "json"]))).start();
    wait_for(&running, "the wait", |journal| journal.contains("\"record\":\"timer\""));
    // The copy in the table is behind by a moment.
    std::thread::sleep(Duration::from_millis(500));
    send(&running, Signal::KILL);
    drop(running.end());
    let outcome = lease(account.kiln(["resume", "--output", "json"])).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(account.count("cloudformation:ExecuteChangeSet"), 1);
}
