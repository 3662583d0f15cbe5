//! What becomes of a run when what it keeps is taken from it: it sends nothing more, says what happened, and goes on where it can.

use std::time::{Duration, Instant};

use kiln_tests::{Account, Outcome, World};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::web_service::pipeline;

/// What the pipeline changes in the account, each once.
const WRITES: [&str; 4] =
    ["codebuild:StartBuild", "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecr:BatchDeleteImage"];

const PATIENCE: Duration = Duration::from_secs(90);

/// Wait until the account was changed.
fn changed(account: &Account) {
    let deadline = Instant::now() + PATIENCE;
    while account.effects().is_empty() {
        assert!(Instant::now() < deadline, "nothing happens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The run ended by itself, with nothing more done than when it lost what it kept.
#[track_caller]
fn given_up(account: &Account, outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert_eq!(account.effects().len(), 1, "{:?}\n{}", account.effects(), outcome.all());
    for words in words {
        assert!(outcome.stderr().contains(words), "{words:?} is not in {}", outcome.all());
    }
    assert!(!outcome.all().contains("defect"), "{}", outcome.all());
    let events = outcome.events();
    let end = events.iter().filter_map(|event| event.get("event")).find(|event| event["type"] == "run-finished");
    let calls = end.and_then(|end| end.get("calls")).and_then(Value::as_u64).unwrap_or_default();
    assert!(calls >= 1 && outcome.stderr().contains(&format!("after {calls} AWS call")), "{}", outcome.all());
}

#[test]
fn a_disk_that_takes_no_more_ends_the_run_and_a_resume_goes_on() {
    let account = Account::of(&World::web_service());
    let arguments = ["run", &pipeline(), "--input", "commit=4f2a9c1", "--output", "json"];
    let running = account.kiln(arguments).surviving_large_files().start();
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("a process has an id"));
    changed(&account);
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(process), Resource::Fsize, nothing).unwrap_or_else(|error| panic!("{error}"));
    let outcome = running.end_within(PATIENCE);
    given_up(&account, &outcome, &["the journal", "File too large", "free space on the disk", "`kiln resume "]);

    let resumed = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    for action in WRITES {
        assert_eq!(account.count(action), 1, "{action}: {}", resumed.all());
    }
}
