//! Runs that were stopped go on: nothing happens twice, nothing is lost, and a person decides what nobody can find out.

use std::time::{Duration, Instant};

use kiln_tests::{Account, Guest, Outcome, Running, World, repository};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Wait until `holds` is true of the directory that `running` works in.
pub(crate) fn wait_for(running: &Running, what: &str, holds: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let runs = std::fs::read_dir(running.directory().join(".kiln/runs"));
        let journals = runs.into_iter().flatten().flatten().map(|run| run.path().join("journal"));
        let mut texts =
            journals.map(|journal| String::from_utf8_lossy(&std::fs::read(journal).unwrap_or_default()).into_owned());
        if texts.any(|text| holds(&text)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what} does not come");
}

pub(crate) fn send(running: &Running, signal: Signal) {
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("{} is no process", running.id()));
    kill_process(process, signal).unwrap_or_else(|error| panic!("{error}"));
}

fn pipeline_of_the_service() -> Vec<u8> {
    let path = repository().join("pipelines/web-service.toml");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pipeline(more: &str) -> String {
    format!(
        "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
         [stages.only]\nplugin = \"guest\"\ntimeout = \"2h\"\n{more}"
    )
}

/// Resume what `outcome` left, until it ends.
fn resumed(account: &Account, outcome: Outcome, more: &[&str]) -> Outcome {
    outcome
        .then(["resume", "--output", "json"])
        .env("AWS_ENDPOINT_URL", &account.url())
        .args(more.iter().copied())
        .run()
}

#[test]
fn a_run_that_is_killed_in_each_of_its_stages_does_everything_once() {
    let account = Account::of(&World::web_service());
    let mut running = account
        .kiln(["run", "web-service.toml", "--input", "commit=4f2a9c1", "--output", "json"])
        .file("web-service.toml", pipeline_of_the_service())
        .start();
    // Whichever of these it is at, it is killed there, and once more as it goes on.
    for action in
        ["codebuild:BatchGetBuilds", "ecr:DescribeImageScanFindings", "ecs:UpdateService", "cloudwatch:DescribeAlarms"]
    {
        wait_for(&running, action, |journal| journal.contains(action));
        send(&running, Signal::KILL);
        let outcome = running.end();
        assert_eq!(outcome.code(), None, "{}", outcome.all());
        running = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).start();
    }
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    for action in ["codebuild:StartBuild", "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecr:BatchDeleteImage"] {
        assert_eq!(account.count(action), 1, "{action}: {}", outcome.all());
    }
    let stages = outcome.stages();
    assert_eq!(stages.iter().filter(|stage| stage.ends_with(" done")).count(), 5, "{stages:?}");

    let again = resumed(&account, outcome, &[]);
    assert_eq!(again.code(), Some(0), "there is nothing left to do, and that is no failure: {}", again.all());
}

#[test]
fn a_run_that_waits_is_left_and_goes_on_later() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let guest = r#"(call $sleep (i64.const 60000)) (call $sleep (i64.const 60000)) (call $ok (str "{}"))"#;
    let outcome = account
        .kiln(["run", "pipeline.toml", "--output", "json", "--detach-after", "30s"])
        .file("pipeline.toml", pipeline(""))
        .file("guest.wasm", Guest::new(guest).build())
        .run();
    assert_eq!(outcome.code(), Some(5), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["only interrupted"]);
    let outcome = resumed(&account, outcome, &[]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let events = outcome.events();
    let resumed = events.first().and_then(|event| event.pointer("/event/resumed")).and_then(Value::as_u64);
    assert!(resumed.is_some(), "the first event says that the run goes on: {}", outcome.all());
    assert_eq!(outcome.stages(), ["only done"]);
}

#[test]
fn an_end_that_was_asked_for_leaves_a_run_that_goes_on() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let guest = r#"(call $sleep (i64.const 100000)) (call $ok (str "{}"))"#;
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline("[stages.next]\nplugin = \"guest\"\nafter = [\"only\"]\n"))
        .file("guest.wasm", Guest::new(guest).build())
        .start();
    wait_for(&running, "the wait", |journal| journal.contains("\"record\":\"timer\""));
    let began = Instant::now();
    send(&running, Signal::TERM);
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(143), "{}", outcome.all());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let outcome = resumed(&account, outcome, &[]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["only done", "next done"]);
}

/// A guest whose first attempt fails, and whose second puts an image.
fn lucky_at_the_second_attempt() -> Guest {
    Guest::new(
        r#"(call $recall (str "tried") (i32.const 256))
        (if (result i32) (i32.load8_u (i32.const 256))
          (then
            (call $put-image (str "web") (str "{\"schemaVersion\":2}") (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 1) (str "v1") (i32.const 256))
            (call $ok (str "{\"attempt\":2}")))
          (else
            (call $remember (str "tried") (str "1"))
            (call $fail (i32.const 7) (str "not yet"))))"#,
    )
    .asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
}

/// Stop a run while the stage that fails at first rests, with `beside` at work, and let it go on.
fn stopped_at_rest(signal: Signal, beside: &str) -> (Account, Outcome) {
    let account = Account::at_scale(&World::of("[[repositories]]\nname = \"web\"\n"), 60.0);
    let rested = "[stages.rested]\nplugin = \"lucky\"\ntimeout = \"20m\"\n\
                  retry = { attempts = 2, backoff = \"2m\", jitter = \"none\" }\n";
    let text = format!(
        "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.lucky]\npath = \"lucky.wasm\"\n\
         [plugins.guest]\npath = \"guest.wasm\"\n{rested}{beside}"
    );
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", text)
        .file("lucky.wasm", lucky_at_the_second_attempt().build())
        .file("guest.wasm", Guest::new(r#"(call $sleep (i64.const 300000)) (call $ok (str "{}"))"#).build())
        .start();
    let wanted = usize::from(!beside.is_empty());
    wait_for(&running, "the rest", |journal| {
        journal.contains("\"retry_at\":1") && journal.matches("\"record\":\"timer\"").count() == wanted
    });
    send(&running, signal);
    let outcome = running.end();
    assert_eq!(outcome.code(), (signal == Signal::TERM).then_some(143), "{}", outcome.all());
    let outcome = resumed(&account, outcome, &[]);
    (account, outcome)
}

#[test]
fn a_stage_that_rested_when_the_run_stopped_is_tried_again_when_its_rest_is_over() {
    let beside = "[stages.beside]\nplugin = \"guest\"\ntimeout = \"20m\"\n";
    for signal in [Signal::KILL, Signal::TERM] {
        for beside in ["", beside] {
            let (account, outcome) = stopped_at_rest(signal, beside);
            assert_eq!(outcome.code(), Some(0), "after {signal:?}: {}", outcome.all());
            assert_eq!(account.count("ecr:PutImage"), 1, "after {signal:?}");
            let events = outcome.events();
            let instants = events.iter().filter_map(|event| event.get("at").and_then(Value::as_u64));
            let (first, last) = (instants.clone().min().unwrap_or_default(), instants.max().unwrap_or_default());
            assert!(
                last - first < 8 * 60_000,
                "it takes {} s after {signal:?}: {}",
                (last - first) / 1_000,
                outcome.all()
            );
        }
    }
}

/// A guest that puts an image after half a minute.
fn putting() -> Guest {
    Guest::new(
        r#"(call $sleep (i64.const 30000))
        (call $put-image (str "web") (str "{\"schemaVersion\":2}") (i32.const 0) (i32.const 0) (i32.const 0)
          (i32.const 1) (str "v1") (i32.const 256))
        (call $ok (str "{}"))"#,
    )
    .asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
}

#[test]
fn past_its_deadline_a_stage_that_goes_on_sends_nothing_more() {
    // It is killed while it waits, and while its call is under way, of which nothing has happened yet.
    let late = "[[faults]]\noperation = \"ecr:PutImage\"\nkind = \"delay\"\ndelay = \"2h\"\n";
    for (record, faults) in [("timer", ""), ("intent", late)] {
        let account = Account::at_scale(&World::of(&format!("[[repositories]]\nname = \"web\"\n{faults}")), 60.0);
        let running = account
            .kiln(["run", "pipeline.toml", "--output", "json"])
            .file("pipeline.toml", pipeline("").replace("2h", "3m"))
            .file("guest.wasm", putting().build())
            .start();
        wait_for(&running, record, |journal| journal.contains(&format!("\"record\":\"{record}\"")));
        send(&running, Signal::KILL);
        let outcome = running.end();
        std::thread::sleep(Duration::from_secs(4));
        let outcome = resumed(&account, outcome, &[]);
        assert_eq!(outcome.code(), Some(1), "killed after the {record}: {}", outcome.all());
        assert_eq!(account.count("ecr:PutImage"), 0, "killed after the {record}: {}", outcome.all());
        assert_eq!(outcome.failure("only").get("kind").and_then(Value::as_str), Some("timed-out"));
    }
}

#[test]
fn a_run_goes_on_with_the_pipeline_and_the_plugins_that_it_began_with() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let guest = r#"(call $sleep (i64.const 100000)) (call $ok (str "{}"))"#;
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(""))
        .file("guest.wasm", Guest::new(guest).build())
        .start();
    wait_for(&running, "the wait", |journal| journal.contains("\"record\":\"timer\""));
    send(&running, Signal::KILL);
    let outcome = running.end();
    let write = |name: &str, bytes: &[u8]| std::fs::write(outcome.directory().join(name), bytes).unwrap_or_default();
    write("guest.wasm", &Guest::new(r#"(call $fail (i32.const 5) (str "another"))"#).build());
    write("pipeline.toml", b"no pipeline at all");
    let outcome = resumed(&account, outcome, &[]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert!(outcome.stderr().contains("pipeline.toml was changed since the run began"), "{}", outcome.all());
}

#[test]
fn a_run_that_is_at_work_is_not_resumed() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(""))
        .file("guest.wasm", Guest::new(r#"(call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#).build())
        .start();
    wait_for(&running, "the wait", |journal| journal.contains("\"record\":\"timer\""));
    let second =
        account.kiln(["resume"]).args(["--state-dir", &running.directory().join(".kiln").display().to_string()]).run();
    assert_eq!(second.code(), Some(3), "{}", second.all());
    assert!(second.stderr().contains("is being written by another kiln process"), "{}", second.all());
    send(&running, Signal::KILL);
    running.end();
}

/// The run that `outcome` is of.
fn run_of(outcome: &Outcome) -> String {
    kiln_tests::run_in(&outcome.directory().join(".kiln"))
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn an_undo_of_a_run_that_is_done_works_and_tells_how_its_stages_ended() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let guest = Guest::new(r#"(call $ok (str "{\"state\":\"there\"}"))"#).build();
    let outcome =
        account.kiln(["run", "pipeline.toml"]).file("pipeline.toml", pipeline("")).file("guest.wasm", guest).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let run = run_of(&outcome);
    let undone = outcome.then(["undo", &run, "--output", "plain"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(undone.code(), Some(0), "{}", undone.all());
    let said = undone.stdout();
    assert!(said.contains("nothing was undone") && !said.contains("not ended"), "{said}");
    let row = |line: &str| line.split_whitespace().skip(1).take(2).eq(["only", "done"]) && line.contains("undone");
    assert!(said.lines().any(row), "{said}");
    let again = undone.then(["undo", &run]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(again.code(), Some(0), "{}", again.all());
    assert!(again.stdout().contains("there is nothing left to do"), "{}", again.all());
}

#[test]
fn a_run_goes_on_as_fast_as_it_is_told() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let guest = Guest::new(r#"(call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#).build();
    let outcome = account
        .kiln(["run", "pipeline.toml", "--detach-after", "1s"])
        .file("pipeline.toml", pipeline(""))
        .file("guest.wasm", guest)
        .run();
    assert_eq!(outcome.code(), Some(5), "{}", outcome.all());
    let run = run_of(&outcome);
    let began = Instant::now();
    let resumed = outcome
        .then(["resume", &run, "--clock-scale", "3600", "--output", "json"])
        .env("AWS_ENDPOINT_URL", &account.url())
        .run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    assert!(began.elapsed() < Duration::from_secs(60), "an hour took {:?}", began.elapsed());
    let undone = resumed.then(["undo", &run, "--clock-scale", "0"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(undone.code(), Some(2), "{}", undone.all());
}
