//! `kiln doctor`: what it finds and says, that it writes nothing, and that it waits for nobody for long.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use kiln_tests::{Account, Kiln, Loopback, Outcome, Secured, SharedAccount, World, binary, repository};
use serde_json::Value;

/// A pipeline with an environment in another account, and one without a role.
const PIPELINE: &str = "\
[pipeline]
name   = \"web\"
region = \"us-west-2\"

[environments.own]
account = \"111111111111\"

[environments.production]
account = \"222222222222\"
role    = \"arn:aws:iam::222222222222:role/deployer\"

[stages.verify]
plugin      = \"verify-alarms\"
environment = \"production\"
with        = { alarms = [\"web-5xx\"], bake = \"2m\" }
";

/// Roles in both accounts, of which one lets nobody in.
fn world() -> World {
    World::of("")
        .add("roles", "name = \"deployer\"\naccount = \"222222222222\"\n")
        .add("roles", "name = \"shut\"\naccount = \"222222222222\"\nassumable = false\n")
        .add("roles", "name = \"own\"\n")
}

/// A bundle of certificates, so that it does not matter which ones the machine has.
fn certified(kiln: Kiln) -> Kiln {
    let authority = Secured::before("http://127.0.0.1:9", &["x"]).authority().to_owned();
    kiln.file("ca.pem", authority).env("AWS_CA_BUNDLE", "ca.pem")
}

fn doctor(endpoint: &str) -> Kiln {
    certified(Kiln::new(["doctor", "--endpoint-url", endpoint])).env("AWS_REGION", "us-west-2")
}

/// What it says of a subject, by `--output json`.
#[track_caller]
fn observed(outcome: &Outcome, subject: &str) -> Value {
    let view: Value =
        serde_json::from_str(&outcome.stdout()).unwrap_or_else(|error| panic!("{error}: {}", outcome.all()));
    let observations = view.get("observations").and_then(Value::as_array).cloned().unwrap_or_default();
    let found = observations.into_iter().find(|seen| seen.get("subject").and_then(Value::as_str) == Some(subject));
    found.unwrap_or_else(|| panic!("nothing is said of {subject}: {}", outcome.all()))
}

/// That a subject is so healthy, and that what is said of it, with what to do, has these parts.
#[track_caller]
fn is(outcome: &Outcome, subject: &str, health: &str, parts: &[&str]) {
    let seen = observed(outcome, subject);
    assert_eq!(seen.get("health").and_then(Value::as_str), Some(health), "{subject}: {}", outcome.all());
    let said = format!("{} {}", text(&seen, "says"), text(&seen, "advice"));
    for part in parts {
        assert!(said.contains(part), "{part} in {said}");
    }
    if health == "warning" || health == "problem" {
        assert!(!text(&seen, "advice").is_empty(), "{subject} says what to do: {}", outcome.all());
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The text for people, without what is of this machine and this build.
fn shown(outcome: &Outcome) -> String {
    let mut shown = outcome.stdout();
    for (pattern, instead) in [
        (r"(binary +)kiln .*", "${1}[this binary]"),
        (r"http://127\.0\.0\.1:\d+", "http://[endpoint]"),
        (r"127\.0\.0\.1:\d+", "[endpoint]"),
        (r"(/[^ ;/]+)+/(\.kiln|\.cache/kiln/components)", "[here]/${2}"),
        (r"\d+ [KMG]iB free", "[room] free"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        shown = pattern.replace_all(&shown, instead).into_owned();
    }
    shown
}

#[test]
fn a_machine_that_has_all_it_needs() {
    let account = Account::of(&world());
    let kiln =
        doctor(&account.url()).args(["pipeline.toml"]).file("pipeline.toml", PIPELINE).without_env("KILN_CACHE_DIR");
    let home = kiln.directory().join("home").display().to_string();
    let outcome = kiln.env("HOME", &home).run();
    assert_eq!((outcome.code(), outcome.stderr().as_str()), (Some(0), ""), "{}", outcome.all());
    insta::assert_snapshot!(shown(&outcome));
    assert_eq!(account.effects().len(), 0, "{:?}", account.effects());
}

#[test]
fn a_machine_that_has_nothing() {
    let kiln = Kiln::new(["doctor"]).without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    let kiln = certified(kiln).without_env("KILN_CACHE_DIR").file("state", "").env("KILN_STATE_DIR", "state");
    let outcome = kiln.env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9").run();
    assert_eq!((outcome.code(), outcome.stderr().as_str()), (Some(3), ""), "{}", outcome.all());
    insta::assert_snapshot!(shown(&outcome).replace(&outcome.directory().display().to_string(), "[here]"));
}

#[test]
fn offline_nobody_is_asked() {
    let asked = Loopback::new(|_| (500, String::new()));
    let kiln = doctor(&asked.url()).args(["--offline", "pipeline.toml", "--store", "dynamodb://us-west-2/kiln"]);
    let outcome = kiln.file("pipeline.toml", PIPELINE).args(["--output", "json"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    is(&outcome, "credentials", "skipped", &["not asked for", "AWS_ACCESS_KEY_ID"]);
    for subject in ["clock", "store", "environment own", "environment production"] {
        is(&outcome, subject, "skipped", &["not asked"]);
    }
    is(&outcome, "plugins", "ok", &["all ", "deploy-ecs"]);
    assert_eq!(asked.asked(), Vec::<String>::new());
}

/// All that is below a directory: kind, mode, owner, size, time of change and content.
fn everything(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let of = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let content = if of.is_file() { format!("{:?}", fs::read(&path).unwrap_or_default()) } else { String::new() };
        let said = format!("{:o} {} {} {:?} {content}", of.mode(), of.uid(), of.len(), of.modified().ok());
        if of.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        found.insert(path.display().to_string(), said);
    }
    found
}

/// Whether another user may run the binary under test.
fn others_may_run_it() -> bool {
    let passable = |path: &Path| path.metadata().is_ok_and(|found| found.mode() & 0o001 != 0);
    rustix::process::geteuid().is_root() && binary().ancestors().all(passable)
}

#[test]
fn an_empty_home_and_a_read_only_directory_stay_as_they_are() {
    let account = Account::of(&world());
    for online in [true, false] {
        let kiln = doctor(&account.url()).args(["pipeline.toml", "--output", "json"]);
        let kiln = kiln.file("pipeline.toml", PIPELINE).without_env("KILN_CACHE_DIR");
        let mut kiln = if online { kiln } else { kiln.args(["--offline"]) };
        let here = kiln.directory().to_owned();
        fs::create_dir(here.join("home")).unwrap_or_else(|error| panic!("{error}"));
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        for path in [here.join("home"), here.clone()] {
            mode(&path, 0o555).unwrap_or_else(|error| panic!("{error}"));
        }
        let shut = others_may_run_it() || !rustix::process::geteuid().is_root();
        if others_may_run_it() {
            kiln = kiln.as_user(65534);
        }
        let before = everything(&here);
        let outcome = kiln.env("HOME", &here.join("home").display().to_string()).run();
        assert_eq!(everything(&here), before, "{}", outcome.all());
        mode(&here, 0o755).unwrap_or_else(|error| panic!("{error}"));
        // To root nothing is shut.
        if shut {
            assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
            is(&outcome, "state", "problem", &["cannot be made in", "Permission denied", "--state-dir"]);
            is(&outcome, "cache", "warning", &["cannot be made in", "Permission denied", "--cache-dir"]);
        }
        if online {
            is(&outcome, "credentials", "ok", &["account 111111111111"]);
        }
    }
}

#[test]
fn a_state_directory_and_a_cache_that_are_used_stay_as_they_are() {
    let account = Account::of(&World::web_service());
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let run = account.kiln(["run", &pipeline, "--input", "commit=4f2a9c1"]).env("KILN_CACHE_DIR", "cache").run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
    let before = everything(run.directory());
    let again = run.then(["doctor", &pipeline, "--endpoint-url", &account.url(), "--output", "json"]);
    let outcome = again.env("KILN_CACHE_DIR", "cache").run();
    assert_eq!(everything(outcome.directory()), before, "{}", outcome.all());
    is(&outcome, "state", "ok", &["with 1 run;"]);
    is(&outcome, "cache", "ok", &["private"]);
}

/// A server that says another time than this machine's.
fn clock_off_by(seconds: i64) -> Loopback {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let said = DateTime::from_secs(i64::try_from(now).unwrap_or_default() - seconds).fmt(Format::HttpDate);
    let head = format!("Date: {}\r\n", said.unwrap_or_else(|error| panic!("{error}")));
    Loopback::with_head(&head, |_| (200, identity("arn:aws:sts::111111111111:assumed-role/web/x")))
}

fn identity(arn: &str) -> String {
    format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROA:x</UserId>\
         <Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

#[test]
fn the_clock_is_held_against_the_one_that_answers() {
    let aws = clock_off_by(-900);
    let outcome = doctor(&aws.url()).args(["--output", "json"]).run();
    is(
        &outcome,
        "clock",
        "problem",
        &["behind the one that answered", "set this machine's clock", "more than five minutes"],
    );
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    is(&outcome, "credentials", "ok", &["account 111111111111"]);
    // Where nobody says what time it is, nothing is said of it.
    let silent = Loopback::new(|_| (200, identity("arn:aws:iam::111111111111:user/somebody")));
    is(&doctor(&silent.url()).args(["--output", "json"]).run(), "clock", "skipped", &["no answer said"]);
}

#[test]
fn a_clock_that_aws_refuses_is_told_with_the_credentials() {
    let head = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    let aws = Loopback::with_head(head, |_| {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>Signature not yet current: \
                     x is still later than y</Message></Error><RequestId>r</RequestId></ErrorResponse>";
        (403, error.to_owned())
    });
    let outcome = doctor(&aws.url()).args(["--output", "json"]).run();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    is(&outcome, "credentials", "problem", &["Signature not yet current", "set this machine's clock"]);
    is(&outcome, "clock", "problem", &["ahead of"]);
}

#[test]
fn a_network_that_does_not_answer_is_told_within_seconds() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
    let address = silent.local_addr().unwrap_or_else(|error| panic!("{error}"));
    let began = Instant::now();
    let kiln = doctor(&format!("http://{address}")).args(["--patience", "1s", "--output", "json", "pipeline.toml"]);
    let outcome = kiln.file("pipeline.toml", PIPELINE).run();
    let took = began.elapsed();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    is(&outcome, "credentials", "problem", &["AWS does not answer within 1.0s", "check the network"]);
    is(&outcome, "environment production", "skipped", &["without credentials"]);
    // Plugins are compiled meanwhile, in a build that is not optimised.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn each_environment_says_whether_its_role_can_be_had() {
    let account = Account::of(&world());
    let examined = |change: [&str; 2]| {
        let kiln = doctor(&account.url()).args(["pipeline.toml", "--output", "json"]);
        kiln.file("pipeline.toml", PIPELINE.replace(change[0], change[1])).run()
    };
    let outcome = examined(["", ""]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    is(&outcome, "environment own", "ok", &["account 111111111111, by the runner's own credentials"]);
    is(&outcome, "environment production", "ok", &["role/deployer can be assumed"]);
    let sessions = account.state().to_string();
    assert!(
        sessions.contains("kiln-doctor") && sessions.contains(r#"\"Effect\":\"Deny\",\"Action\":\"*\""#),
        "{sessions}"
    );

    let shut = examined(["role/deployer", "role/shut"]);
    assert_eq!(shut.code(), Some(3), "{}", shut.all());
    is(&shut, "environment production", "problem", &["role/shut", "AccessDenied", "trust policy", "sts:AssumeRole"]);
    let foreign = examined(["account = \"111111111111\"", "account = \"333333333333\""]);
    is(
        &foreign,
        "environment own",
        "problem",
        &["account 333333333333", "belong to account 111111111111", "[environments.own]"],
    );
}

#[test]
fn a_pipeline_that_is_wrong_is_the_input() {
    let kiln = doctor("http://127.0.0.1:9").args(["--offline", "pipeline.toml"]);
    let outcome = kiln.file("pipeline.toml", PIPELINE.replace("bake", "bakee")).run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("did you mean `bake`"), "{}", outcome.all());
    assert_eq!(doctor("http://127.0.0.1:9").args(["missing.toml"]).run().code(), Some(2));
}

#[test]
fn a_store_is_read_and_what_keeps_it_from_being_read_is_told() {
    let shared = SharedAccount::at_scale(&world(), 1.0);
    let at = |store: &str| doctor(&shared.url()).args(["--output", "json", "--store", store]).run();
    is(&at("dynamodb://us-west-2/kiln"), "store", "ok", &["dynamodb://us-west-2/kiln can be read"]);
    is(&at("dynamodb://kiln"), "store", "ok", &["dynamodb://us-west-2/kiln can be read"]);
    let missing = at("dynamodb://us-west-2/another");
    assert_eq!(missing.code(), Some(3), "{}", missing.all());
    is(&missing, "store", "problem", &["make the table"]);
    let nowhere =
        doctor(&shared.url()).without_env("AWS_REGION").args(["--output", "json", "--store", "dynamodb://kiln"]).run();
    is(&nowhere, "store", "problem", &["not known in which region", "AWS_REGION"]);
    is(&nowhere, "region", "warning", &["none is set"]);
}

#[test]
fn the_way_is_told_without_passwords() {
    let outcome = doctor("http://user:hunter22@127.0.0.1:9/path")
        .env("HTTPS_PROXY", "http://user:hunter22@127.0.0.1:9")
        .env("NO_PROXY", "10.0.0.0/8,127.0.0.1")
        .args(["--patience", "1s", "--output", "json"])
        .run();
    is(&outcome, "endpoint", "ok", &["http://127.0.0.1:9/path, from --endpoint-url"]);
    is(&outcome, "proxy", "ok", &["https:// by http://127.0.0.1:9", "10.0.0.0/8"]);
    is(&outcome, "certificates", "ok", &["the 1 of ca.pem, from AWS_CA_BUNDLE"]);
    assert!(!outcome.all().contains("hunter22"), "{}", outcome.all());

    let odd = doctor("http://127.0.0.1:9").env("HTTPS_PROXY", "socks5://127.0.0.1:9").args(["--output", "json"]).run();
    assert_eq!(odd.code(), Some(3), "{}", odd.all());
    is(&odd, "proxy", "problem", &["names no proxy", "http://HOST:PORT"]);
    let missing = doctor("http://127.0.0.1:9").env("AWS_CA_BUNDLE", "gone.pem").args(["--output", "json"]).run();
    is(&missing, "certificates", "problem", &["gone.pem", "remove AWS_CA_BUNDLE"]);
    let bare = doctor("http://127.0.0.1:9").without_env("AWS_CA_BUNDLE").env("SSL_CERT_FILE", "/dev/null");
    is(
        &bare.env("SSL_CERT_DIR", "/dev/null").args(["--offline", "--output", "json"]).run(),
        "certificates",
        "problem",
        &["ca-certificates"],
    );
    let elsewhere =
        certified(Kiln::new(["doctor", "--offline", "--output", "json"])).env("AWS_ENDPOINT_URL_ECS", "http://x:1");
    is(&elsewhere.run(), "endpoint", "warning", &["http://x:1, from AWS_ENDPOINT_URL_ECS"]);
}

#[test]
fn secrets_of_the_environment_are_masked_whoever_repeats_them() {
    let secret = "correct-horse-battery-staple";
    let aws = Loopback::new(move |_| {
        (
            400,
            format!(
                "<ErrorResponse><Error><Code>Odd</Code><Message>what is {secret}?</Message></Error></ErrorResponse>"
            ),
        )
    });
    let outcome = doctor(&aws.url()).env("AWS_SESSION_TOKEN", secret).run();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert!(outcome.stdout().contains("[secret AWS_SESSION_TOKEN]"), "{}", outcome.all());
    assert!(!outcome.all().contains(secret), "{}", outcome.all());
}

#[test]
fn the_root_user_and_credentials_that_end_soon_are_odd() {
    let root = Loopback::new(|_| (200, identity("arn:aws:iam::111111111111:root")));
    is(&doctor(&root.url()).args(["--output", "json"]).run(), "credentials", "warning", &["make a role"]);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let soon = DateTime::from_secs(i64::try_from(now).unwrap_or_default() + 300).fmt(Format::DateTime);
    let soon = soon.unwrap_or_else(|error| panic!("{error}"));
    let process = format!(
        r#"{{"Version":1,"AccessKeyId":"ASIAPROCESS","SecretAccessKey":"s","SessionToken":"t","Expiration":"{soon}"}}"#
    );
    let aws = Loopback::new(|_| (200, identity("arn:aws:sts::111111111111:assumed-role/web/x")));
    let kiln = doctor(&aws.url())
        .file("process.json", process)
        .file("config", "[profile p]\ncredential_process = /bin/cat process.json\n");
    let outcome = kiln.env("AWS_CONFIG_FILE", "config").args(["--profile", "p", "--output", "json"]).run();
    is(&outcome, "credentials", "warning", &["from the profile `p`, which runs a program", "sign in again"]);
}
