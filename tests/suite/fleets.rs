//! AMIs that go to a group of instances: what a refresh replaces, how it fails, and what puts one whole fleet back into service.

use std::time::{Duration, Instant};

use kiln_tests::{Account, Outcome, World};
use serde_json::{Value, json};

const OLD: &str = "ami-0aaaaaaaaaaaaaaa1";
const NEW: &str = "ami-0bbbbbbbbbbbbbbb2";

/// Four instances of `web-1` behind a load balancer; `web-2` is to come.
const WORLD: &str = r#"
account = "111111111111"
region  = "us-west-2"
seed    = 7

[[images]]
name    = "web-1"
id      = "ami-0aaaaaaaaaaaaaaa1"
created = "-9d"

[[images]]
name = "web-2"
id   = "ami-0bbbbbbbbbbbbbbb2"

[[launch-templates]]
name     = "web"
versions = [{ image = "web-1", instance-type = "m5.large", data = { EbsOptimized = true } }]

[[target-groups]]
name = "web"

[[load-balancers]]
name      = "web"
listeners = [{ forward = { web = 1 } }]

[[auto-scaling-groups]]
name            = "web"
launch-template = "web"
desired         = 4
target-groups   = ["web"]
cpu-targets     = { cpu = 60.0 }

[[alarms]]
name  = "web-5xx"
state = "OK"
"#;

fn world() -> World {
    World::parse(WORLD)
}

fn pipeline(with: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "fleet"
region = "us-west-2"

[inputs.image]

[stages.deploy]
plugin  = "deploy-asg"
timeout = "12h"
with    = {{ group = "web", image = "${{inputs.image}}"{with} }}
"#
    )
}

/// `kiln COMMAND` of a pipeline that deploys the new AMI with this config.
fn kiln(account: &Account, command: &str, with: &str) -> Outcome {
    let input = format!("image={NEW}");
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

fn place(account: &Account, service: &str) -> Value {
    account.state()["places"]["111111111111/us-west-2"][service].clone()
}

fn group(account: &Account) -> Value {
    place(account, "autoscaling")["groups"]["web"].clone()
}

/// The AMI of each instance in service.
fn serving(account: &Account) -> Vec<String> {
    let group = group(account);
    let members = group["members"].as_object().cloned().unwrap_or_default();
    let in_service = members.values().filter(|member| member["phase"] == "InService");
    in_service.map(|member| member["image"].as_str().unwrap_or_default().to_owned()).collect()
}

/// One whole fleet serves: as many instances as there are to be, each of this AMI, and all of them healthy targets.
#[track_caller]
fn serves(account: &Account, image: &str, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let whole = || {
        let groups = place(account, "elasticloadbalancing")["target-groups"].clone();
        let targets: Vec<Value> = groups
            .as_object()
            .into_iter()
            .flat_map(|groups| groups.values())
            .flat_map(|group| {
                group["targets"].as_object().cloned().unwrap_or_default().into_iter().map(|(_, target)| target)
            })
            .collect();
        let healthy = targets.iter().filter(|target| target["phase"] == "healthy").count();
        serving(account) == vec![image.to_owned(); count] && healthy == count
    };
    while !whole() {
        assert!(Instant::now() < deadline, "{:?} serve: {}", serving(account), group(account));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The fewest healthy targets that any step left.
fn least(account: &Account) -> Option<u64> {
    let groups = place(account, "elasticloadbalancing")["target-groups"].clone();
    let of = |group: &Value| group["record"]["least-healthy-after-steps"].as_u64();
    groups.as_object().and_then(|groups| groups.values().filter_map(of).min())
}

/// How the newest refresh of the group ended.
fn refreshed(account: &Account) -> String {
    let refreshes = group(account)["refreshes"].as_array().cloned().unwrap_or_default();
    refreshes.last().and_then(|last| last["status"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_group_is_brought_to_the_ami_and_all_else_stays_as_it_was() {
    let account = Account::of(&world());
    let before = group(&account);
    let plan = kiln(&account, "plan", "");
    says(
        &plan,
        0,
        &["a copy of version 1", OLD, NEW, "3 to 4 at a time", "4 instances, of 1 to 8", "cpu (TargetTrackingScaling)"],
    );
    says(&plan, 0, &["at least 3 of 4 healthy targets in web"]);
    assert_eq!(account.effects().len(), 0, "a plan changes nothing");
    let run = kiln(&account, "run", "");
    says(&run, 0, &["made version 2 of web", &format!("web serves web version 2 ({NEW})")]);
    serves(&account, NEW, 4);
    assert_eq!(least(&account), Some(3));
    assert_eq!(
        (account.count("ec2:CreateLaunchTemplateVersion"), account.count("autoscaling:StartInstanceRefresh")),
        (1, 1)
    );
    let after = group(&account);
    assert_eq!(after["source"]["template"]["Version"], "2");
    for kept in ["min", "max", "desired", "target-groups", "policies", "hooks", "suspended"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    let templates = place(&account, "ec2")["templates"].to_string();
    assert_eq!(templates.matches("EbsOptimized").count(), 2, "the new version has what the old one has: {templates}");
    let again = kiln(&account, "run", "");
    says(&again, 0, &["nothing to deploy"]);
    assert_eq!(account.count("autoscaling:StartInstanceRefresh"), 1);
    let undo = undone(&account, run);
    says(&undo, 0, &[&format!("web went back to web version 1 ({OLD}) by a refresh")]);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3), "the way back keeps the guard, too");
    says(&undone(&account, undo), 0, &[]);
}

#[test]
fn instances_are_launched_before_others_go_where_the_config_says_so() {
    let account = Account::of(&world());
    let with = ", min-healthy-percentage = 100, max-healthy-percentage = 150, keep-healthy = 100";
    says(&kiln(&account, "run", with), 0, &[]);
    serves(&account, NEW, 4);
    assert_eq!(least(&account), Some(4), "never fewer than there were");
    let members = group(&account)["activities"].as_array().cloned().unwrap_or_default();
    let launched =
        members.iter().filter(|one| one["description"].as_str().is_some_and(|what| what.starts_with("Launching")));
    assert_eq!(launched.count(), 4, "as many as are replaced");
}

#[test]
fn a_refresh_that_the_guard_does_not_allow_is_refused_before_anything_changes() {
    let account = Account::of(&world());
    let refused = [
        "a refresh of web could leave 3 of 4 healthy targets in web, and the guard wants 4",
        "`max-healthy-percentage`",
    ];
    says(&kiln(&account, "plan", ", keep-healthy = 90"), 1, &refused);
    says(&kiln(&account, "run", ", keep-healthy = 90"), 1, &refused);
    assert_eq!(account.effects().len(), 0, "nothing was begun");
    serves(&account, OLD, 4);
}

#[test]
fn an_ami_that_is_not_there_is_refused_before_anything_changes() {
    let account = Account::of(&world());
    let kiln = account.kiln(["run", "pipeline.toml", "--input", "image=ami-0ccccccccccccccc3"]);
    says(&kiln.file("pipeline.toml", pipeline("")).run(), 1, &["ami-0ccccccccccccccc3"]);
    assert_eq!(account.effects().len(), 0);
}

#[test]
fn a_refresh_that_fails_at_a_checkpoint_goes_back_and_says_why() {
    // The alarm rings while the refresh rests at half of the fleet.
    let account = Account::at_scale(
        &world().change(
            "alarms",
            "web-5xx",
            "script = [{ after = \"30m\", state = \"ALARM\", reason = \"too many errors\" }]",
        ),
        300.0,
    );
    let with = ", checkpoints = [50, 100], checkpoint-delay = \"2h\", alarms = [\"web-5xx\"], auto-rollback = true";
    let run = kiln(&account, "run", with);
    says(&run, 1, &["the refresh failed and AWS rolled it back", "web-5xx", "What served before serves as a whole"]);
    assert_eq!(refreshed(&account), "RollbackSuccessful");
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3));
    says(&undone(&account, run), 0, &["web serves web version 1", "as a whole"]);
}

#[test]
fn an_alarm_during_the_bake_time_takes_the_refresh_back() {
    let account = Account::at_scale(
        &world().change("alarms", "web-5xx", "script = [{ after = \"45m\", state = \"ALARM\" }]"),
        300.0,
    );
    let with = ", bake = \"3h\", alarms = [\"web-5xx\"], auto-rollback = true";
    let run = kiln(&account, "run", with);
    says(&run, 1, &["the refresh failed and AWS rolled it back", "web-5xx"]);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3));
}

#[test]
fn where_aws_does_not_go_back_by_itself_an_undo_does() {
    let account = Account::at_scale(
        &world().change("alarms", "web-5xx", "script = [{ after = \"45m\", state = \"ALARM\" }]"),
        300.0,
    );
    let run = kiln(&account, "run", ", bake = \"3h\", alarms = [\"web-5xx\"]");
    says(&run, 1, &["the refresh of web to web version 2", "failed", "web-5xx", "`kiln undo` brings it back"]);
    assert_eq!(refreshed(&account), "Failed");
    let undo = undone(&account, run);
    says(&undo, 0, &["web went back to web version 1", "by a refresh"]);
    serves(&account, OLD, 4);
}

#[test]
fn capacity_that_is_short_is_named_and_the_fleet_is_whole_again_after_an_undo() {
    let short = "instances = 3\nafter = \"1s\"\nuntil = \"3h\"";
    let account = Account::at_scale(&world().add("ec2-capacity", short), 600.0);
    let run = kiln(&account, "run", ", auto-rollback = false");
    says(&run, 1, &["the refresh of web to web version 2", "failed", "capacity", "`kiln undo` brings it back"]);
    assert!(least(&account) >= Some(3), "the refresh waits: {:?}", least(&account));
    let undo = undone(&account, run);
    says(&undo, 0, &["web"]);
    serves(&account, OLD, 4);
}

#[test]
fn a_spot_interruption_in_the_middle_delays_a_refresh_and_no_step_takes_too_many() {
    let account = Account::at_scale(
        &world()
            .change("auto-scaling-groups", "web", "on-demand-base = 0\non-demand-percentage = 0\noverrides = [{ instance-type = \"m5.large\" }, { instance-type = \"m5a.large\" }]")
            .add("spot-interruptions", "after = \"2m\"\ncount = 2\nnotice = \"5s\""),
        60.0,
    );
    let plan = kiln(&account, "plan", "");
    says(&plan, 0, &["mixed instances of web", "m5.large, m5a.large; 0 on demand and 0 % of the rest, others spot"]);
    says(&kiln(&account, "run", ""), 0, &["web serves web version 2"]);
    serves(&account, NEW, 4);
    assert!(least(&account) >= Some(3), "{:?}", least(&account));
    let source = group(&account)["source"]["mixed"].to_string();
    assert!(source.contains("m5a.large") && source.contains("price-capacity-optimized"), "{source}");
}

/// The group as one that mixes two types, on demand.
fn mixed() -> World {
    world().change(
        "auto-scaling-groups",
        "web",
        "overrides = [{ instance-type = \"m5.large\" }, { instance-type = \"m5a.large\" }]",
    )
}

const IN_PLACE: &str = ", strategy = \"replace-root-volume\"";

#[test]
fn root_volumes_are_replaced_and_the_instances_stay() {
    let account = Account::of(&mixed());
    let ids = || group(&account)["members"].as_object().cloned().unwrap_or_default().into_iter().map(|(id, _)| id);
    let before: Vec<String> = ids().collect();
    let says_it = "replaces the root volume of 4 instances, which stay; at least 3 at a time in service";
    says(&kiln(&account, "plan", IN_PLACE), 0, &[says_it]);
    let run = kiln(&account, "run", IN_PLACE);
    says(&run, 0, &["made version 2 of web", &format!("web serves web version 2 ({NEW})")]);
    serves(&account, NEW, 4);
    assert_eq!(ids().collect::<Vec<String>>(), before, "they stay");
    assert_eq!(least(&account), Some(3));
    let source = group(&account)["source"]["mixed"].to_string();
    assert_eq!(source.matches(&format!("\"ImageId\":\"{NEW}\"")).count(), 2, "each type has it: {source}");
    says(&kiln(&account, "run", IN_PLACE), 0, &["nothing to deploy"]);
    // What served before had no AMI of its own: other instances are launched of it.
    says(&undone(&account, run), 0, &[&format!("web went back to web version 1 ({OLD}) by a refresh")]);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3));
    let source = group(&account)["source"]["mixed"].to_string();
    assert!(!source.contains(NEW) && source.contains("\"ImageId\":null"), "as it was: {source}");
}

#[test]
fn root_volumes_that_do_not_get_healthy_go_back_in_place() {
    let account = Account::of(&mixed().add("traffic-behaviours", "image = \"web-2\"\nnever-healthy = true"));
    let run = kiln(&account, "run", &format!("{IN_PLACE}, auto-rollback = true"));
    says(&run, 1, &["web does not run web version 2", "AWS rolled it back", "What served before serves as a whole"]);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3), "{:?}", least(&account));
}

#[test]
fn root_volumes_are_replaced_only_where_aws_can() {
    let plain = kiln(&Account::of(&world()), "plan", IN_PLACE);
    says(&plain, 1, &["AWS cannot replace the root volumes of web: it mixes no instances", "Leave `strategy` out"]);
    let devices = "devices = [{ size = 8 }, { name = \"/dev/sdb\", size = 20 }]";
    let two = kiln(&Account::of(&mixed().change("images", "web-2", devices)), "plan", IN_PLACE);
    says(&two, 1, &["has 2 volumes, and AWS replaces root volumes by AMIs of one alone"]);
}

#[test]
fn a_group_whose_types_have_an_ami_needs_none_in_its_launch_template() {
    let own = "overrides = [{ instance-type = \"m5.large\", image = \"web-1\" }, { instance-type = \"m5a.large\", image = \"web-1\" }]";
    let world = world().change("launch-templates", "web", "versions = [{ instance-type = \"m5.large\" }]").change(
        "auto-scaling-groups",
        "web",
        own,
    );
    for with in ["", IN_PLACE] {
        let account = Account::of(&world);
        let run = kiln(&account, "run", with);
        says(&run, 0, &[&format!("({NEW})")]);
        serves(&account, NEW, 4);
        let source = group(&account)["source"]["mixed"].to_string();
        assert_eq!(source.matches(&format!("\"ImageId\":\"{NEW}\"")).count(), 2, "each type has it: {source}");
        says(&undone(&account, run), 0, &["web"]);
        serves(&account, OLD, 4);
    }
}

#[test]
fn demand_is_met_from_the_warm_pool_which_is_filled_again() {
    let warm = "warm = 2\nmax = 8\ndemand = [{ after = \"10m\", desired = 5 }]";
    let account = Account::of(&world().change("auto-scaling-groups", "web", warm));
    let waiting = || {
        let members = group(&account)["members"].as_object().cloned().unwrap_or_default();
        let stopped = members.into_iter().filter(|(_, one)| one["phase"] == "Warmed:Stopped");
        stopped.map(|(id, _)| id).collect::<Vec<String>>()
    };
    let before = waiting();
    assert_eq!(before.len(), 2);
    serves(&account, OLD, 5);
    let deadline = Instant::now() + Duration::from_secs(30);
    while waiting().len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", waiting());
        std::thread::sleep(Duration::from_millis(50));
    }
    let left: Vec<String> = before.iter().filter(|id| waiting().contains(id)).cloned().collect();
    assert_eq!(left.len(), 1, "one of {before:?} serves, and another came in its place");
    says(&kiln(&account, "plan", ""), 0, &["warm pool of web", "2 instances, which AWS replaces, too"]);
    says(&kiln(&account, "run", ""), 0, &[]);
    serves(&account, NEW, 5);
}

/// The world in which somebody's refresh to another version of the template bakes for so long.
fn occupied(bake: &str) -> World {
    let versions = "versions = [{ image = \"web-1\", instance-type = \"m5.large\" }, { image = \"web-1\", instance-type = \"m5.xlarge\" }]";
    world().change("launch-templates", "web", versions).change(
        "auto-scaling-groups",
        "web",
        &format!("refreshes = [{{ after = \"1s\", version = \"2\", bake = \"{bake}\" }}]"),
    )
}

#[test]
fn somebody_elses_refresh_is_refused_or_waited_for() {
    let account = Account::of(&occupied("30h"));
    let busy = "a refresh of web is in progress that is not this stage's";
    says(&kiln(&account, "plan", ""), 0, &[busy, "a run that comes here before its end is refused"]);
    says(&kiln(&account, "run", ""), 1, &[busy, "`when-busy = \"wait\"`"]);
    assert_eq!(account.effects().len(), 0, "nothing was begun");
    let account = Account::of(&occupied("2h"));
    says(&kiln(&account, "run", ", when-busy = \"wait\""), 0, &["waiting for the refresh", "made version 3 of web"]);
    serves(&account, NEW, 4);
    let templates = place(&account, "ec2")["templates"].to_string();
    assert_eq!(
        templates.matches("m5.xlarge").count(),
        2,
        "it is a copy of what the other refresh brought: {templates}"
    );
}

#[test]
fn instances_that_do_not_get_healthy_fail_the_refresh_and_an_undo_ends_them() {
    let ill = "image = \"web-2\"\nnever-healthy = true";
    let account = Account::of(&world().add("traffic-behaviours", ill));
    let run = kiln(&account, "run", "");
    says(&run, 1, &["the refresh of web to web version 2", "failed", "ELB system health check failure", "`kiln undo`"]);
    assert!(serving(&account).iter().any(|image| image == OLD), "the old ones serve");
    assert!(least(&account) >= Some(3), "{:?}", least(&account));
    let undo = undone(&account, run);
    says(&undo, 0, &["web version 1"]);
    serves(&account, OLD, 4);
}

#[test]
fn a_lifecycle_hook_that_gives_an_instance_up_is_named() {
    let hooks = "hooks = [{ name = \"warm-up\", transition = \"launching\", answers = [\
        { image = \"web-2\", after = \"10s\", result = \"ABANDON\" }, { after = \"10s\", result = \"CONTINUE\" }] }]";
    let account = Account::of(&world().change("auto-scaling-groups", "web", hooks));
    says(&kiln(&account, "plan", ""), 0, &["warm-up when one begins, for 300 s and then ABANDON"]);
    let run = kiln(&account, "run", ", auto-rollback = true");
    says(&run, 1, &["AWS rolled it back", "lifecycle hook warm-up", "abandoned"]);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3), "{:?}", least(&account));
}

#[test]
fn the_capacity_that_demand_sets_meanwhile_is_kept() {
    let demand = "demand = [{ after = \"4m\", desired = 6 }]";
    let account = Account::at_scale(&world().change("auto-scaling-groups", "web", demand), 60.0);
    says(&kiln(&account, "run", ""), 0, &["web serves web version 2"]);
    serves(&account, NEW, 6);
    assert_eq!(group(&account)["desired"], 6);
}

#[test]
fn a_group_that_names_whatever_version_there_is_must_be_allowed() {
    let account = Account::of(&world().change("auto-scaling-groups", "web", "version = \"$Latest\""));
    let refused = ["names version $Latest of its launch template web", "`allow-unpinned = true`"];
    says(&kiln(&account, "plan", ""), 1, &refused);
    says(&kiln(&account, "run", ""), 1, &refused);
    assert_eq!(account.effects().len(), 0);
    let run = kiln(&account, "run", ", allow-unpinned = true");
    says(&run, 0, &["AWS cannot roll the refresh back"]);
    serves(&account, NEW, 4);
    says(&undone(&account, run), 0, &["web went back to web version 1"]);
    serves(&account, OLD, 4);
}

#[test]
fn an_undo_of_a_refresh_that_runs_rolls_it_back() {
    let account = Account::at_scale(&world(), 300.0);
    let with = ", checkpoints = [50, 100], checkpoint-delay = \"10h\"";
    let input = format!("image={NEW}");
    let run = account
        .kiln(["run", "pipeline.toml", "--input", &input, "--detach-after", "30m"])
        .file("pipeline.toml", pipeline(with))
        .run();
    says(&run, 5, &[]);
    let undo = undone(&account, run);
    says(&undo, 0, &["rolling the refresh", "web serves web version 1", "as a whole"]);
    assert_eq!(
        (refreshed(&account).as_str(), account.count("autoscaling:RollbackInstanceRefresh")),
        ("RollbackSuccessful", 1)
    );
    assert_eq!(account.count("autoscaling:StartInstanceRefresh"), 1);
    serves(&account, OLD, 4);
    assert!(least(&account) >= Some(3));
}

#[test]
fn health_is_held_for_a_time_and_nothing_else_serves() {
    let verify = |ami: &str| {
        format!(
            "[pipeline]\nname = \"verify\"\nregion = \"us-west-2\"\n[stages.verify]\nplugin = \"verify-health\"\ntimeout = \"2h\"\n\
             with = {{ group = \"web\", ami = \"{ami}\", hold = \"5m\", patience = \"10m\" }}\n"
        )
    };
    let run = |account: &Account, command: &str, ami: &str| {
        account.kiln([command, "verify.toml"]).file("verify.toml", verify(ami)).run()
    };
    let account = Account::of(&world());
    says(
        &run(&account, "plan", OLD),
        0,
        &["every instance in service runs", "every target in 1 target group is healthy"],
    );
    says(&run(&account, "run", OLD), 0, &[]);
    let other = run(&account, "run", NEW);
    says(&other, 1, &[&format!("serve another AMI than {NEW}: {OLD} for one"), "has not been well for 10m"]);
    let ill = "image = \"web-1\"\nunhealthy-after = \"1m\"";
    let suspended = "suspended = [\"ReplaceUnhealthy\"]";
    let world = world().add("traffic-behaviours", ill).change("auto-scaling-groups", "web", suspended);
    says(&run(&Account::of(&world), "run", OLD), 1, &["of web are not healthy: unhealthy"]);
}

#[test]
fn tasks_are_held_to_the_digest_that_was_deployed() {
    let history =
        "name = \"web\"\nhistory = { count = 3, prefix = \"release-\", from = 1, every = \"4d\", last = \"-2d\" }";
    let service = "cluster = \"web\"\nname = \"web\"\ndesired-count = 2\ncontainers = [{ name = \"app\", image = \"web:release-1\" }]";
    let world = world().add("repositories", history).add("clusters", "name = \"web\"").add("services", service);
    let account = Account::of(&world);
    let digest = |tag: &str| {
        let input = json!({ "repositoryName": "web", "imageIds": [{ "imageTag": tag }] });
        let found = account.ask("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeImages", &input);
        found["imageDetails"][0]["imageDigest"].as_str().unwrap_or_default().to_owned()
    };
    let run = |tag: &str| {
        let image = format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@{}", digest(tag));
        let text = format!(
            "[pipeline]\nname = \"verify\"\nregion = \"us-west-2\"\n[stages.verify]\nplugin = \"verify-health\"\ntimeout = \"2h\"\n\
             with = {{ cluster = \"web\", service = \"web\", image = \"{image}\", target-groups = [\"web\"], hold = \"5m\" }}\n"
        );
        account.kiln(["run", "verify.toml"]).file("verify.toml", text).run()
    };
    says(&run("release-1"), 0, &[]);
    says(&run("release-2"), 1, &["of web/web run another image", "has not been well for 10m"]);
}
