//! Readers that stop reading: a run goes on without them, hears its signals, and ends as it would.

use std::io::Read;
use std::time::{Duration, Instant};

use kiln_tests::{Account, Guest, Kiln, Running, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The whole of a run whose readers stand still, their patience at its end included.
const PATIENCE: Duration = Duration::from_secs(60);

const PIPELINE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
    [stages.loud]\nplugin = \"guest\"\ntimeout = \"2h\"\n[stages.after]\nplugin = \"guest\"\nafter = [\"loud\"]\ntimeout = \"2h\"\n";

/// Writes 9,000 lines of 200 bytes and as many statuses, asks AWS, and then does this.
fn loud(then: &str) -> Guest {
    let line = "x".repeat(200);
    let run = format!(
        "(local $i i32) (loop $again
           (call $log (i32.const 1) (str \"{line}\"))
           (call $report (str \"{line}\") (i32.const 1) (local.get $i) (i32.const 0) (i32.const 0))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const 9000))))
         (call $identity (i32.const 0) (i32.const 256))
         {then}"
    );
    Guest::new(&run).asking("sts:GetCallerIdentity", &["*"])
}

const DONE: &str = r#"(call $ok (str "{\"state\":\"done\"}"))"#;
const WAITING: &str =
    r#"(call $log (i32.const 3) (str "waiting")) (call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#;

/// A run that begins, of a guest that does this when it has been loud.
fn run(account: &Account, then: &str, more: &[&str]) -> Kiln {
    let kiln = account.kiln(["run", "pipeline.toml"]).args(more.iter().copied());
    kiln.file("pipeline.toml", PIPELINE).file("guest.wasm", loud(then).build())
}

fn send(running: &Running, signal: Signal) {
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("a process has an id"));
    kill_process(process, signal).unwrap_or_else(|error| panic!("{error}"));
}

fn journal(running: &Running) -> String {
    let runs = std::fs::read_dir(running.directory().join(".kiln/runs")).into_iter().flatten().flatten();
    runs.map(|run| String::from_utf8_lossy(&std::fs::read(run.path().join("journal")).unwrap_or_default()).into_owned())
        .collect()
}

fn wait_for(running: &Running, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !journal(running).contains(what) {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_that_nobody_reads_ends_as_it_would() {
    for more in [["--output", "plain"].as_slice(), &["--output", "json"], &["--output", "plain", "--verbose"]] {
        let account = Account::at_scale(&World::of(""), 1.0);
        // The trace fills the other stream.
        let mut running = run(&account, DONE, more).env("KILN_LOG", "kiln_runner=trace").start();
        let begun = Instant::now();
        wait_for(&running, "\"record\":\"run-end\"");
        assert!(begun.elapsed() < Duration::from_secs(20), "{more:?}: the run took {:?}", begun.elapsed());
        assert_eq!(running.end_unread(PATIENCE), Some(0), "{more:?}");
        let ended = journal(&running);
        assert_eq!(ended.matches("sts:GetCallerIdentity").count(), 2, "{more:?}: both stages were run: {ended:.2000}");
        // What was not read is in the pipe still, as far as that held it.
        let outcome = running.end();
        assert!(outcome.stdout().len() < 1 << 20, "{more:?}");
    }
}

#[test]
fn a_signal_is_heard_at_once_although_nobody_reads() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let account = Account::at_scale(&World::of(""), 1.0);
        let mut running = run(&account, WAITING, &["--output", "json"]).env("KILN_LOG", "kiln_runner=trace").start();
        wait_for(&running, "\"record\":\"timer\"");
        // Long after the pipe is full.
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        send(&running, signal);
        assert_eq!(running.end_unread(PATIENCE), Some(code));
        // A stage that waits ends at once; its reader has another moment.
        assert!(begun.elapsed() < Duration::from_secs(6), "it took {:?}", begun.elapsed());
        assert!(journal(&running).contains("\"outcome\":\"interrupted\""), "it ended in order");
    }
}

#[test]
fn a_second_signal_ends_the_wait_for_a_reader() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let mut running = run(&account, DONE, &["--output", "json"]).start();
    wait_for(&running, "\"record\":\"run-end\"");
    let begun = Instant::now();
    send(&running, Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    send(&running, Signal::TERM);
    running.end_unread(PATIENCE);
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
}

#[test]
fn a_plan_that_nobody_reads_hears_a_signal() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let mut stages = String::new();
    for number in 0..700 {
        stages.push_str(&format!("[stages.a-stage-with-a-long-name-number-{number}]\nplugin = \"guest\"\n"));
    }
    let pipeline = format!("{}{stages}", PIPELINE.split("[stages").next().unwrap_or_default());
    let kiln = account.kiln(["plan", "pipeline.toml", "--output", "json"]);
    let mut running = kiln.file("pipeline.toml", pipeline).file("guest.wasm", Guest::harmless().build()).start();
    std::thread::sleep(Duration::from_secs(8));
    send(&running, Signal::TERM);
    let begun = Instant::now();
    assert_eq!(running.end_unread(PATIENCE), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
}

#[test]
fn a_reader_that_keeps_up_reads_everything_and_one_that_comes_late_what_is_missing() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let outcome = run(&account, DONE, &["--output", "json"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr());
    let events = outcome.events();
    let kinds = |events: &[Value], kind: &str| {
        events.iter().filter(|event| event.pointer("/event/type").is_some_and(|found| found == kind)).count()
    };
    assert!(events.iter().enumerate().all(|(number, event)| event["seq"] == number), "without gaps");
    assert_eq!((kinds(&events, "left-out"), kinds(&events, "stage-log")), (0, 18_000));

    // One that begins to read when the run is over gets its end, and learns how much is missing.
    let mut late = account.kiln(["run", "pipeline.toml", "--output", "json"]);
    late = late.file("pipeline.toml", PIPELINE).file("guest.wasm", loud(DONE).build());
    let running = late.start();
    wait_for(&running, "\"record\":\"run-end\"");
    let outcome = running.end_within(PATIENCE);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr());
    let read = outcome.events();
    let number = |event: &Value, at: &str| event.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let mut next = 0;
    for event in &read {
        next += number(event, "/event/events").saturating_sub(1);
        assert_eq!(number(event, "/seq"), next, "each gap has its event");
        next += 1;
    }
    assert_eq!(next, events.len() as u64, "nothing else is missing");
    assert!(kinds(&read, "left-out") > 0);
    for kind in ["run-started", "stage-started", "stage-finished", "run-finished"] {
        assert_eq!(kinds(&read, kind), kinds(&events, kind), "{kind}");
    }
}

#[test]
fn a_reader_that_is_gone_ends_nothing() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let (mut reader, writer) = std::io::pipe().unwrap_or_else(|error| panic!("{error}"));
    let kiln = run(&account, DONE, &["--output", "json"]).stdout(writer);
    let running = kiln.start();
    let mut first = [0; 100];
    assert!(reader.read(&mut first).is_ok());
    drop(reader);
    let outcome = running.end_within(PATIENCE);
    assert_eq!((outcome.code(), outcome.stderr().as_str()), (Some(0), ""));
}
