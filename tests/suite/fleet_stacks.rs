//! `deploy-asg` by the stack that owns the group: the AMI goes in as the stack's parameter, the stack or the stage replaces the instances,
//! and whatever happens one whole fleet serves that is what the stack says.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, RunOutcome};
use kiln_runner::rehearse::{Rehearsal, Rehearsed, rehearse};
use kiln_runner::report::Reports;
use kiln_tests::{Account, Kiln, Outcome, World, plugins, rehearsal};
use serde_json::Value;

const OLD: &str = "ami-0aaaaaaaaaaaaaaa1";
const NEW: &str = "ami-0bbbbbbbbbbbbbbb2";

/// A fleet of four; how its instances are replaced stands in the place of `POLICY`, and what else there is in that of `MORE`.
const TEMPLATE: &str = r#"
Parameters:
  Ami: { Type: AWS::EC2::Image::Id }
  Step: { Type: Number, Default: 1 }
Resources:
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateName: web
      LaunchTemplateData: { ImageId: !Ref Ami, InstanceType: m5.large }
  Targets:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: { Name: web, Protocol: HTTP, Port: 80, VpcId: vpc-0a1b2c3d }
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties: { Name: web, Subnets: [subnet-0a1b2c3d4e5f60001, subnet-0a1b2c3d4e5f60002] }
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: 80
      Protocol: HTTP
      DefaultActions: [{ Type: forward, TargetGroupArn: !Ref Targets }]
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    DependsOn: Listener
POLICY
    Properties:
      NAME
      MinSize: 4
      MaxSize: 8
      VPCZoneIdentifier: [subnet-0a1b2c3d4e5f60001, subnet-0a1b2c3d4e5f60002]
      LaunchTemplate: { LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber }
      HealthCheckType: ELB
      TerminationPolicies: [NewestInstance]
      TargetGroupARNs: [!Ref Targets]
MORE
"#;

/// New instances first, half and then all.
const REFRESH: &str = "    UpdatePolicy: { AutoScalingInstanceRefresh: { Preferences: { MinHealthyPercentage: 100, MaxHealthyPercentage: 150, \
                       CheckpointPercentages: [50, 100], CheckpointDelay: 600, SkipMatching: true, AlarmSpecification: { Alarms: [web-5xx] } } } }";
const BATCHES: &str = "    UpdatePolicy: { AutoScalingRollingUpdate: { MinInstancesInService: 3, MaxBatchSize: 1 } }";
const REPLACES: &str = "    UpdatePolicy: { AutoScalingReplacingUpdate: { WillReplace: true } }";

const WORLD: &str = r#"
[[images]]
name    = "web-1"
id      = "ami-0aaaaaaaaaaaaaaa1"
created = "-9d"

[[images]]
name = "web-2"
id   = "ami-0bbbbbbbbbbbbbbb2"

[[subnets]]
id   = "subnet-0a1b2c3d4e5f60001"
zone = "us-west-2a"

[[subnets]]
id   = "subnet-0a1b2c3d4e5f60002"
zone = "us-west-2b"

[[alarms]]
name  = "web-5xx"
state = "OK"

[[alarms]]
name  = "rings"
state = "ALARM"
"#;

fn template(policy: &str, more: &str) -> String {
    let name = if policy == REPLACES { "Cooldown: 60" } else { "AutoScalingGroupName: web" };
    TEMPLATE.replace("POLICY", policy).replace("NAME", name).replace("MORE", more)
}

/// A world with the stack in it; it has the old AMI.
fn world(policy: &str, more: &str) -> World {
    let text = template(policy, more);
    let stack = format!("name = \"web\"\ntemplate = '''{text}'''\nparameters = {{ Ami = \"{OLD}\" }}");
    World::of(WORLD).add("stacks", &stack)
}

fn pipeline(with: &str, more: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "fleet"
region = "us-west-2"

[stages.deploy]
plugin  = "deploy-asg"
timeout = "12h"

[stages.deploy.with]
group     = "web"
image     = "{NEW}"
stack     = "web"
parameter = "Ami"
poll      = "5s"
{with}
{more}
"#
    )
}

/// A stage behind it that fails at once, and lets the run be undone.
const THEN_UNDO: &str = r#"
[stages.verify]
plugin     = "verify-alarms"
after      = ["deploy"]
on-failure = "undo"
with       = { alarms = ["rings"], bake = "10s" }
"#;

/// What came of a rehearsal.
struct Ran(Rehearsed);

impl Ran {
    fn of(world: &World, pipeline: &str) -> Self {
        let source = SourceFile::new("fleet.toml".to_owned(), pipeline.to_owned());
        let mut rehearsal: Rehearsal = rehearsal(source, &world.text(), 7);
        rehearsal.inputs.clear();
        let quiet = Box::new(Reports::new(Vec::new()));
        Self(rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error:?}")))
    }

    fn place(&self, service: &str) -> &Value {
        &self.0.after["places"]["111111111111/us-west-2"][service]
    }

    /// The stack's parameter.
    fn says(&self) -> String {
        let cloudformation = self.place("cloudformation");
        let id = cloudformation["names"]["web"].as_str().unwrap_or_default();
        cloudformation["stacks"][id]["goal"]["parameters"]["Ami"].to_string()
    }

    fn group(&self) -> &Value {
        let groups = self.place("autoscaling")["groups"].as_object();
        groups.and_then(|groups| groups.values().next()).unwrap_or(&Value::Null)
    }

    /// One whole fleet of four serves, of an AMI that is the stack's, too, and no step left fewer healthy targets than `least`.
    #[track_caller]
    fn serves(&self, image: &str, least: u64) {
        let members = self.group()["members"].as_object().cloned().unwrap_or_default();
        let serving: Vec<&Value> = members.values().filter(|one| one["phase"] == "InService").collect();
        assert!(serving.len() == 4 && serving.iter().all(|one| one["image"] == image), "{}\n{serving:#?}", self.log());
        assert!(self.says().contains(image), "the stack says {}\n{}", self.says(), self.log());
        for targets in
            self.place("elasticloadbalancing")["target-groups"].as_object().into_iter().flatten().map(|(_, one)| one)
        {
            let left = targets["record"]["least-healthy-after-steps"].as_u64().unwrap_or(least);
            assert!(left >= least, "a step left {left} healthy targets");
        }
    }

    #[track_caller]
    fn ended(&self, outcome: RunOutcome) {
        assert_eq!(self.0.outcome, outcome, "{}", self.log());
    }

    /// All that was said: logs, failures, and what undone stages say.
    fn log(&self) -> String {
        let mut lines = Vec::new();
        for event in &self.0.events {
            match &event.kind {
                EventKind::StageLog { message, .. } => lines.push(message.clone()),
                EventKind::StageFinished { failure: Some(failure), .. } => {
                    lines.push(format!(
                        "{}: {}\n{}\n{:?}",
                        failure.kind,
                        failure.message,
                        failure.details.join("\n"),
                        failure.help
                    ));
                }
                EventKind::UndoFinished { result } => lines.push(format!("{result:?}")),
                _ => {}
            }
        }
        lines.join("\n")
    }

    #[track_caller]
    fn told(&self, words: &[&str]) {
        for words in words {
            assert!(self.log().contains(words), "{words:?} is not in {}", self.log());
        }
    }

    fn count(&self, action: &str) -> usize {
        self.0.effects.iter().filter(|effect| effect.action == action).count()
    }

    /// How the refreshes of the group ended, the oldest first.
    fn refreshes(&self) -> Vec<String> {
        let all = self.group()["refreshes"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one["status"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn the_stage_replaces_the_instances_once_the_stack_lets_the_group_name_the_ami() {
    let pipeline = pipeline("min-healthy-percentage = 100\nmax-healthy-percentage = 150\nkeep-healthy = 100", "");
    let ran = Ran::of(&world("", ""), &pipeline);
    ran.ended(RunOutcome::Done);
    ran.serves(NEW, 4);
    assert_eq!((ran.count("autoscaling:StartInstanceRefresh"), ran.count("ec2:CreateLaunchTemplateVersion")), (1, 0));
    assert_eq!(ran.refreshes(), ["Successful"]);
    ran.told(&[
        "the change set of web: ",
        "the stack web has no role",
        "Template (AWS::EC2::LaunchTemplate) is changed in place",
        "the parameter Ami",
    ]);
}

#[test]
fn the_stack_replaces_the_instances_as_its_policy_says() {
    for policy in [REFRESH, BATCHES] {
        let ran = Ran::of(&world(policy, ""), &pipeline("refresh = \"stack\"", ""));
        ran.ended(RunOutcome::Done);
        ran.serves(NEW, 3);
        assert_eq!(ran.count("autoscaling:StartInstanceRefresh"), 0, "none of the stage's");
    }
}

#[test]
fn a_stack_may_put_another_group_in_the_place_of_the_one_that_there_is() {
    let world = world(REPLACES, "");
    // The stack has given it a name, which the first of two rehearsals tells.
    let without = Ran::of(&world, &pipeline("refresh = \"stack\"", ""));
    without.told(&["there is no Auto Scaling group web"]);
    let name = without.group()["name"].as_str().unwrap_or_default().to_owned();
    let of_it = |with: &str| pipeline(with, "").replace("group     = \"web\"", &format!("group = \"{name}\""));
    let refused = Ran::of(&world, &of_it("refresh = \"stack\""));
    refused.told(&["could leave 0 of 4 healthy targets in web", "`CreationPolicy`"]);
    refused.serves(OLD, 4);
    let ran = Ran::of(&world, &of_it("refresh = \"stack\"\nkeep-healthy = 0"));
    ran.ended(RunOutcome::Done);
    ran.serves(NEW, 0);
    assert_ne!(ran.group()["name"], name.as_str());
}

#[test]
fn what_the_stack_cannot_bring_it_takes_back_and_what_served_serves() {
    let never = "image = \"web-2\"\nnever-healthy = true";
    let world = world(REFRESH, "").add("traffic-behaviours", never);
    let ran = Ran::of(&world, &pipeline("refresh = \"stack\"", ""));
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&[
        "was not deployed to web by the stack web, which is UPDATE_ROLLBACK_COMPLETE",
        "Group (AWS::AutoScaling::AutoScalingGroup) is UPDATE_FAILED: Instance refresh",
        "What served before serves as a whole",
    ]);
}

#[test]
fn a_group_that_would_end_old_instances_after_a_failure_is_told() {
    let usual = template(REFRESH, "").replace("      TerminationPolicies: [NewestInstance]\n", "");
    let world = world(REFRESH, "").change("stacks", "web", &format!("template = '''{usual}'''"));
    let ran = Ran::of(&world, &pipeline("refresh = \"stack\"", ""));
    ran.ended(RunOutcome::Done);
    ran.told(&["the group ends old ones first: `TerminationPolicies: [NewestInstance]`"]);
}

#[test]
fn an_alarm_fails_the_stack_s_refresh_and_one_that_rings_already_stops_it_before() {
    let script = "script = [{ after = \"4m\", state = \"ALARM\" }]";
    let ran = Ran::of(&world(REFRESH, "").change("alarms", "web-5xx", script), &pipeline("refresh = \"stack\"", ""));
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&["web-5xx", "UPDATE_ROLLBACK_COMPLETE"]);
    let rings = world(REFRESH, "").change("alarms", "web-5xx", "state = \"ALARM\"");
    let ran = Ran::of(&rings, &pipeline("refresh = \"stack\"", ""));
    ran.ended(RunOutcome::Failed);
    ran.told(&["the refresh of web would not be watched: alarm web-5xx is in ALARM"]);
    assert_eq!(ran.count("cloudformation:CreateChangeSet"), 0);
}

#[test]
fn a_refresh_of_the_stage_that_fails_is_undone_by_the_stack() {
    let never = "image = \"web-2\"\nnever-healthy = true";
    let with = "min-healthy-percentage = 100\nmax-healthy-percentage = 150\nkeep-healthy = 100";
    let undone = pipeline(with, "").replace("timeout = \"12h\"", "timeout = \"12h\"\non-failure = \"undo\"");
    let ran = Ran::of(&world("", "").add("traffic-behaviours", never), &undone);
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&[
        "the stack web has ami-0aaaaaaaaaaaaaaa1 for Ami again, and web serves ami-0aaaaaaaaaaaaaaa1 as a whole",
    ]);
    assert_eq!(ran.count("cloudformation:ExecuteChangeSet"), 2);
}

#[test]
fn a_deployment_that_held_is_undone_by_the_stack_whoever_replaces_the_instances() {
    let with = "min-healthy-percentage = 100\nmax-healthy-percentage = 150\nkeep-healthy = 100";
    for (policy, with) in [("", with), (REFRESH, "refresh = \"stack\"\nkeep-healthy = 100")] {
        let ran = Ran::of(&world(policy, ""), &pipeline(with, THEN_UNDO));
        ran.ended(RunOutcome::Failed);
        ran.serves(OLD, 4);
        ran.told(&["the stack web has ami-0aaaaaaaaaaaaaaa1 for Ami again"]);
        assert_eq!(ran.count("cloudformation:ExecuteChangeSet"), 2, "{}", ran.log());
    }
}

#[test]
fn an_update_of_the_stack_that_comes_to_no_end_is_cancelled_by_an_undo() {
    let slow = "image = \"web-2\"\nhealthy-after = \"10h\"";
    let short =
        pipeline("refresh = \"stack\"", "").replace("timeout = \"12h\"", "timeout = \"1h\"\non-failure = \"undo\"");
    let ran = Ran::of(&world(REFRESH, "").add("traffic-behaviours", slow), &short);
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    assert_eq!(ran.count("cloudformation:CancelUpdateStack"), 1, "{}", ran.log());
    ran.told(&["cancelling the update of web"]);
}

#[test]
fn a_way_back_of_the_stack_that_failed_is_gone_on_with_by_an_undo() {
    let group = "resource = \"Group\"\non = \"update\"\ntimes = 1\nfails = \"no\"";
    let template = "resource = \"Template\"\non = \"update\"\nnth = 2\ntimes = 1\nfails = \"not now\"";
    let world = world(REFRESH, "").add("resource-behaviours", group).add("resource-behaviours", template);
    let undone =
        pipeline("refresh = \"stack\"", "").replace("timeout = \"12h\"", "timeout = \"12h\"\non-failure = \"undo\"");
    let ran = Ran::of(&world, &undone);
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&[
        "which is UPDATE_ROLLBACK_FAILED",
        "its way back goes on",
        "the stack web has ami-0aaaaaaaaaaaaaaa1 for Ami again",
    ]);
    assert_eq!(ran.count("cloudformation:ContinueUpdateRollback"), 1);
}

#[test]
fn the_traffic_guard_holds_for_the_stack_s_policy_too() {
    let ran = Ran::of(&world(BATCHES, ""), &pipeline("refresh = \"stack\"\nkeep-healthy = 100", ""));
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&["could leave 3 of 4 healthy targets in web", "at least 3 of 4 stay in service", "`UpdatePolicy`"]);
    assert_eq!(ran.count("cloudformation:CreateChangeSet"), 0);
}

#[test]
fn what_the_ami_would_replace_of_the_stack_s_data_is_not_replaced() {
    let jobs = "  Jobs:\n    Type: AWS::SQS::Queue\n    Properties: { QueueName: !Sub 'jobs-${Ami}' }\n";
    let ran = Ran::of(&world(REFRESH, jobs), &pipeline("refresh = \"stack\"", ""));
    ran.ended(RunOutcome::Failed);
    ran.serves(OLD, 4);
    ran.told(&["Jobs (AWS::SQS::Queue) would be replaced", "`deploy-stack`"]);
    assert_eq!(ran.count("cloudformation:ExecuteChangeSet"), 0);
}

#[test]
fn an_ami_that_the_stack_has_and_the_group_runs_is_nothing_to_deploy() {
    let there = |policy: &str| {
        let same = format!("parameters = {{ Ami = \"{NEW}\" }}");
        world(policy, "").change("stacks", "web", &same)
    };
    for (policy, with) in [("", ""), (REFRESH, "refresh = \"stack\"")] {
        let ran = Ran::of(&there(policy), &pipeline(with, ""));
        ran.ended(RunOutcome::Done);
        ran.serves(NEW, 4);
        assert!(ran.0.effects.is_empty(), "{:?}", ran.0.effects);
    }
}

#[test]
fn who_replaces_the_instances_is_one_of_both() {
    let stack = Ran::of(&world("", ""), &pipeline("refresh = \"stack\"", ""));
    stack.told(&["the stack web replaces no instance of web when its AMI changes", "`refresh = \\\"stage\\\"`"]);
    let stage = Ran::of(&world(REFRESH, ""), &pipeline("", ""));
    stage.told(&["the stack web itself replaces the instances of web", "`refresh = \\\"stack\\\"`"]);
    for ran in [stack, stage] {
        ran.ended(RunOutcome::Failed);
        assert!(ran.0.effects.is_empty());
    }
}

#[test]
fn a_group_that_is_none_of_the_stack_s_and_a_parameter_that_it_has_not_are_refused() {
    let other = pipeline("", "").replace("parameter = \"Ami\"", "parameter = \"Image\"");
    Ran::of(&world("", ""), &other).told(&["the stack web has no parameter Image", "It has Ami"]);
    let group = "name = \"lone\"\nlaunch-template = \"lone\"\ndesired = 4";
    let template = "name = \"lone\"\nversions = [{ image = \"web-1\", instance-type = \"m5.large\" }]";
    let world = world("", "").add("launch-templates", template).add("auto-scaling-groups", group);
    let lone = pipeline("", "").replace("group     = \"web\"", "group = \"lone\"");
    Ran::of(&world, &lone).told(&["the group lone is no resource of the stack web"]);
}

#[test]
fn a_parameter_that_brings_no_ami_is_told_as_that() {
    let step =
        pipeline("", "").replace("parameter = \"Ami\"", "parameter = \"Step\"").replace(NEW, "ami-0bbbbbbbbbbbbbbb2");
    let ran = Ran::of(&world("", ""), &step);
    ran.ended(RunOutcome::Failed);
    ran.told(&["Step"]);
}

#[test]
fn a_group_of_a_stack_is_told_where_the_stage_deploys_without_it() {
    let without = pipeline("keep-healthy = 50", "").replace("stack     = \"web\"\nparameter = \"Ami\"\n", "");
    let ran = Ran::of(&world("", ""), &without);
    ran.ended(RunOutcome::Done);
    ran.told(&["the group web is of the CloudFormation stack web", "`stack` and `parameter` deploy by the stack"]);
}

#[test]
fn a_plan_forecasts_what_the_ami_changes_and_writes_nothing() {
    let account = Account::of(&world(REFRESH, ""));
    let outcome =
        account.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", pipeline("refresh = \"stack\"", "")).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    for words in [
        "deploys ami-0bbbbbbbbbbbbbbb2 to web by the stack web (a forecast)",
        "Ami from ami-0aaaaaaaaaaaaaaa1 to ami-0bbbbbbbbbbbbbbb2",
        "AWS::EC2::LaunchTemplate Template",
        "4 to 6 at a time in service, rests at 50 %, 100 %",
    ] {
        assert!(outcome.all().contains(words), "{words:?} is not in {}", outcome.all());
    }
    assert!(account.effects().is_empty(), "a plan writes nothing");
}

/// A rehearsal in a world whose stack is told by these lines.
fn with_world(lines: &str) -> Outcome {
    let world =
        format!("account = \"111111111111\"\nregion = \"us-west-2\"\n{WORLD}\n[[stacks]]\nname = \"web\"\n{lines}\n");
    Kiln::new(["rehearse", "pipeline.toml", "--world", "world.toml"])
        .file("pipeline.toml", pipeline("", ""))
        .file("world.toml", world)
        .file("templates/web.yaml", template("", ""))
        .run()
}

#[test]
fn a_stack_of_a_world_has_its_template_beside_the_world_and_its_instances_at_the_start() {
    let lines =
        |file: &str, more: &str| format!("template-file = \"{file}\"\nparameters = {{ Ami = \"{OLD}\" }}\n{more}");
    let fine = with_world(&lines("templates/web.yaml", "sizes = { web = 5 }"));
    assert_eq!(fine.code(), Some(0), "{}", fine.all());
    assert!(fine.all().contains("serves web version 2 (ami-0bbbbbbbbbbbbbbb2): 5 instances"), "{}", fine.all());
    for (lines, words) in [
        (lines("../web.yaml", ""), "`..` leads out of a directory"),
        (lines("templates/none.yaml", ""), "templates/none.yaml cannot be read"),
        (lines("templates/web.yaml", "template = \"Resources: {}\""), "one of `template` and `template-file`"),
        ("tags = { a = \"b\" }".to_owned(), "one of `template` and `template-file`"),
        (lines("templates/web.yaml", "sizes = { other = 5 }"), "it has no group \"other\""),
        (lines("templates/web.yaml", "sizes = { web = 9 }"), "9 instances are not between 4 and 8"),
    ] {
        let refused = with_world(&lines);
        assert_eq!(refused.code(), Some(2), "{}", refused.all());
        assert!(refused.all().contains(words), "{words:?} is not in {}", refused.all());
    }
}
