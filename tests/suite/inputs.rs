//! What a command line may name as its input: regular files, and nothing that may never begin or never end.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use kiln_tests::{Account, Guest, Kiln, World, repository};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than all that is done here takes.
const PATIENCE: Duration = Duration::from_secs(40);

const PIPELINE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
    [stages.a]\nplugin = \"guest\"\n";

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap_or_else(|error| panic!("{error}"));
}

/// The input is refused, in these words.
#[track_caller]
fn refused(kiln: Kiln, words: &[&str]) {
    let outcome = kiln.start().end_within(PATIENCE);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    let said = format!("{}{}", outcome.stdout(), outcome.stderr());
    for words in words {
        assert!(said.contains(words), "{words:?} is not in {}", outcome.all());
    }
}

#[test]
fn a_pipeline_that_is_no_regular_file_is_refused_at_once() {
    for command in ["check", "plan", "run", "rehearse", "test"] {
        let kiln = Kiln::new([command, "pipe"]);
        fifo(&kiln.directory().join("pipe"));
        refused(kiln, &["cannot read pipe", "a pipe (FIFO)", "help: write what it holds into a file"]);
    }
    let kiln = Kiln::new(["check", "socket"]);
    let _socket = UnixListener::bind(kiln.directory().join("socket"));
    refused(kiln, &["cannot read socket", "a socket"]);
    refused(Kiln::new(["check", "."]), &["a directory"]);
    refused(Kiln::new(["run", "/dev/null"]), &["cannot read /dev/null", "a device"]);
}

#[test]
fn a_pipeline_on_the_standard_input_is_refused_with_help() {
    let (reader, _writer) = std::io::pipe().unwrap_or_else(|error| panic!("{error}"));
    refused(Kiln::new(["run", "/dev/stdin"]).stdin(reader), &["cannot read /dev/stdin", "help:"]);
    refused(Kiln::new(["run", "-"]), &["no pipeline from its standard input", "help: write it into a file"]);
}

#[test]
fn other_files_are_held_to_the_same() {
    let kiln = || Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", PIPELINE);
    let plugin = kiln();
    fifo(&plugin.directory().join("guest.wasm"));
    refused(plugin, &["guest.wasm", "a pipe (FIFO)"]);

    let web = repository().join("pipelines/web-service.toml").display().to_string();
    let world = Kiln::new(["rehearse", &web, "--input", "commit=1", "--world", "pipe"]);
    fifo(&world.directory().join("pipe"));
    refused(world, &["cannot read pipe", "a pipe (FIFO)"]);
    let scenario = Kiln::new(["rehearse", &web, "--scenario", "pipe"]);
    fifo(&scenario.directory().join("pipe"));
    refused(scenario, &["a pipe (FIFO)"]);
    let sim = Kiln::new(["sim", "--port", "0", "--world", "pipe"]);
    fifo(&sim.directory().join("pipe"));
    refused(sim, &["cannot read pipe", "a pipe (FIFO)"]);

    refused(Kiln::new(["sim", "--world", "large"]).file("large", vec![b'#'; 5 << 20]), &["4096 KiB"]);
    refused(Kiln::new(["check", "large"]).file("large", vec![b'#'; 2 << 20]), &["1 MiB"]);
    refused(Kiln::new(["sim", "--world", "bytes"]).file("bytes", [0xff]), &["UTF-8"]);
}

#[test]
fn a_run_whose_pipeline_came_from_the_standard_input_goes_on_without_it() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let waiting = Guest::new(r#"(call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#);
    let kiln = account.kiln(["run", "/dev/stdin"]);
    let guest = kiln.directory().join("guest.wasm");
    let pipeline = PIPELINE.replace("guest.wasm", &guest.display().to_string());
    let kiln = kiln.file("guest.wasm", waiting.build()).file("pipeline.toml", pipeline);
    let file = File::open(kiln.directory().join("pipeline.toml")).unwrap_or_else(|error| panic!("{error}"));
    let running = kiln.stdin(file).start();
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("a process has an id"));
    let end = std::time::Instant::now() + PATIENCE;
    let begun = || {
        let runs = std::fs::read_dir(running.directory().join(".kiln/runs")).into_iter().flatten().flatten();
        runs.filter_map(|run| std::fs::read(run.path().join("journal")).ok())
            .any(|journal| String::from_utf8_lossy(&journal).contains("\"record\":\"timer\""))
    };
    while !begun() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = kill_process(process, Signal::KILL);
    let killed = running.end_within(PATIENCE);

    // Nobody writes anything into this, and nobody closes it.
    let (reader, _writer) = std::io::pipe().unwrap_or_else(|error| panic!("{error}"));
    let resumed = killed.then(["resume", "--detach-after", "1s"]).env("AWS_ENDPOINT_URL", &account.url());
    let resumed = resumed.stdin(reader).start().end_within(PATIENCE);
    assert_eq!(resumed.code(), Some(5), "{}", resumed.all());
}

#[test]
fn names_that_would_act_on_a_terminal_are_written_out() {
    // Clears the screen, sets the title, writes backwards, begins a line of its own, gives a command to a CI service.
    const NASTY: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}b\nerror: forged\n::error::c.toml";
    let harmless = |text: &str| {
        let odd = text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}');
        assert_eq!(odd, None, "{text:?}");
        let forged = text.lines().find(|line| line.starts_with("error: forged") || line.trim_start().starts_with("::"));
        assert_eq!(forged, None, "{text:?}");
    };
    let scenario = NASTY.replace("a\u{1b}", "b\u{1b}");
    let good = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[stages.a]\nplugin = \"verify-alarms\"\nwith = { alarms = [\"x\"], bake = \"1m\" }\n";
    for (arguments, content) in [
        (vec!["check", NASTY], None),
        (vec!["check", NASTY], Some("[pipeline")),
        (vec!["check", NASTY], Some(good)),
        (vec!["run", NASTY], None),
        (vec!["rehearse", NASTY], Some(good)),
        (vec!["test", NASTY], Some(good)),
        (vec!["test", NASTY, "--scenario-dir", "."], Some(good)),
        (vec!["sim", "--world", NASTY], None),
        (vec!["sim", "--world", NASTY], Some("a = [")),
        (vec!["plugin", "inspect", NASTY], None),
        (vec!["show", NASTY], None),
        (vec!["runs", "--state-dir", NASTY], None),
        (vec!["resume", NASTY, "--state-dir", NASTY], None),
        (vec!["lease", "release", NASTY, "--reason", "x"], None),
        (vec!["check", "x", NASTY], None),
        (vec![NASTY], None),
        (vec!["run", "x", "--max-parallel", NASTY], None),
    ] {
        let kiln = content.into_iter().fold(Kiln::new(arguments.iter().copied()), |kiln, text| kiln.file(NASTY, text));
        let outcome = kiln.file(&scenario, "description = 'd'\nexpect = { outcome = 'done' }").start();
        let outcome = outcome.end_within(PATIENCE);
        harmless(&outcome.stdout());
        harmless(&outcome.stderr());
        assert!(!outcome.all().is_empty() && outcome.code().is_some(), "{arguments:?}");
    }
}
