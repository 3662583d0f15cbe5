//! What becomes of a run when what it keeps is taken from it: it sends nothing more, says what happened, and goes on where it can.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kiln_tests::{Account, Outcome, Running, World};
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
fn ended(account: &Account, outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert_eq!(account.effects().len(), 1, "{:?}\n{}", account.effects(), outcome.all());
    for words in words {
        assert!(outcome.stderr().contains(words), "{words:?} is not in {}", outcome.all());
    }
    assert!(!outcome.all().contains("defect"), "{}", outcome.all());
}

/// And it says how much it had done.
#[track_caller]
fn given_up(account: &Account, outcome: &Outcome, words: &[&str]) {
    ended(account, outcome, words);
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

/// A run of the pipeline that has changed the account once, and has the most of it before itself.
fn at_work(account: &Account) -> Running {
    let running = account.kiln(["run", &pipeline(), "--input", "commit=4f2a9c1", "--output", "json"]).start();
    changed(account);
    running
}

fn journal_of(running: &Running) -> PathBuf {
    kiln_tests::run_in(&running.directory().join(".kiln")).join("journal")
}

#[test]
fn a_journal_that_is_removed_ends_the_run_before_its_next_write() {
    let deleted: [fn(&Running) -> std::io::Result<()>; 3] = [
        |running| fs::remove_dir_all(running.directory().join(".kiln")),
        |running| fs::remove_dir_all(running.directory().join(".kiln/runs")),
        |running| fs::remove_file(journal_of(running)),
    ];
    for remove in deleted {
        let account = Account::of(&World::web_service());
        let running = at_work(&account);
        remove(&running).unwrap_or_else(|error| panic!("{error}"));
        let outcome = running.end_within(PATIENCE);
        given_up(
            &account,
            &outcome,
            &["/journal was deleted while its run was at work", "help: look at what it has done"],
        );
    }
}

#[test]
fn a_journal_that_is_moved_or_replaced_ends_the_run_and_a_resume_goes_on_where_it_was_put_back() {
    let account = Account::of(&World::web_service());
    let running = at_work(&account);
    let journal = journal_of(&running);
    // Another file stands there from one instant to the next: a look between would rightly say that the journal was moved.
    let replaced = fs::hard_link(&journal, journal.with_extension("1"))
        .and_then(|()| fs::copy(&journal, journal.with_extension("2")))
        .and_then(|_| fs::rename(journal.with_extension("2"), &journal));
    assert!(replaced.is_ok(), "{replaced:?}");
    let outcome = running.end_within(PATIENCE);
    given_up(&account, &outcome, &["was replaced by another file", "help: put the state directory back"]);
    fs::rename(journal.with_extension("1"), &journal).unwrap_or_else(|error| panic!("{error}"));

    let account_of_moved = Account::of(&World::web_service());
    let running = at_work(&account_of_moved);
    let (state, away) = (running.directory().join(".kiln"), running.directory().join("away"));
    fs::rename(&state, &away).unwrap_or_else(|error| panic!("{error}"));
    let moved = running.end_within(PATIENCE);
    given_up(&account_of_moved, &moved, &["was moved away", "help: put the state directory back"]);
    fs::rename(&away, &state).unwrap_or_else(|error| panic!("{error}"));

    for (account, outcome) in [(account, outcome), (account_of_moved, moved)] {
        let resumed = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
        assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
        for action in WRITES {
            assert_eq!(account.count(action), 1, "{action}: {}", resumed.all());
        }
    }
}

#[test]
fn leases_that_are_removed_let_no_two_runs_deploy_at_once() {
    let account = Account::of(&World::web_service());
    let running = at_work(&account);
    let state = running.directory().join(".kiln");
    fs::remove_dir_all(state.join("leases")).unwrap_or_else(|error| panic!("{error}"));
    // Another run finds no lease, and has it.
    let arguments = ["run", &pipeline(), "--input", "commit=77aa01b", "--state-dir", &state.display().to_string()];
    let other = account.kiln(arguments).start();
    let (outcome, other) = (running.end_within(PATIENCE), other.end_within(PATIENCE));
    assert_eq!(other.code(), Some(0), "{}", other.all());
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    for words in ["production", "was deleted while this run held it", "help: look at who deploys there"] {
        assert!(outcome.stderr().contains(words), "{words:?} is not in {}", outcome.all());
    }
    assert_eq!(account.count("codebuild:StartBuild"), 2, "each had begun");
    for action in ["ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecr:BatchDeleteImage"] {
        assert_eq!(account.count(action), 1, "{action} of the other: {}", outcome.all());
    }
    let resumed = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(resumed.code(), Some(3), "{}", resumed.all());
    assert!(resumed.stderr().contains("--despite-newer-run"), "it is told of the other: {}", resumed.all());
}
