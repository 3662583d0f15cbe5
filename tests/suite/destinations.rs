//! Files that a command line asks for: what is there is replaced only where it is a regular file that nobody needs.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use kiln_tests::{Account, Guest, Kiln, World};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const PATIENCE: Duration = Duration::from_secs(60);

const PIPELINE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
    [stages.a]\nplugin = \"guest\"\n";

const WORLD: &str = "account = \"111111111111\"\nregion = \"us-west-2\"\n";

/// A pipeline and all that can be named beside it.
fn dressed(kiln: Kiln) -> Kiln {
    let kiln = kiln
        .file("pipeline.toml", PIPELINE)
        .file("pipeline.world.toml", WORLD)
        .file("guest.wasm", Guest::harmless().build())
        .file("old.html", "the old page")
        .file("protected.html", "the old page");
    let dir = kiln.directory();
    let path = |name: &str| dir.join(name);
    let done = mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(std::io::Error::from);
    done.and_then(|()| symlink("old.html", path("link")))
        .and_then(|()| symlink("pipeline.toml", path("link-to-pipeline")))
        .and_then(|()| fs::set_permissions(path("protected.html"), fs::Permissions::from_mode(0o444)))
        .and_then(|()| fs::create_dir_all(path(".kiln/runs")))
        .and_then(|()| fs::create_dir(path("pipeline.scenarios")))
        .and_then(|()| {
            let scenario = "description = 'd'\nexpect = { outcome = 'done' }\n";
            fs::write(path("pipeline.scenarios/calm.toml"), scenario)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    kiln
}

/// Name, kind, inode and content of all that is in a directory.
fn picture(dir: &Path) -> Vec<String> {
    let mut picture = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(found) = entry.path().symlink_metadata() else { continue };
        let content = if found.is_file() { fs::read(entry.path()).unwrap_or_default().len() } else { 0 };
        picture.push(format!("{:?} {:?} {} {content}", entry.path(), found.file_type(), found.ino()));
        if found.is_dir() {
            picture.extend(self::picture(&entry.path()));
        }
    }
    picture.sort();
    picture
}

/// Nothing is begun, nothing is changed, and the reader is told why.
#[track_caller]
fn refused(kiln: Kiln, words: &str) {
    let kiln = dressed(kiln);
    let before = picture(kiln.directory());
    let outcome = kiln.start().end_within(PATIENCE);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains(words) && outcome.stderr().contains("help:"), "{words}: {}", outcome.all());
    assert_eq!(picture(outcome.directory()), before, "{}", outcome.all());
}

#[test]
fn a_report_replaces_nothing_but_a_regular_file_that_nobody_needs() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let targets = [
        ("fifo", "a pipe (FIFO)"),
        ("link", "a symbolic link to old.html"),
        ("link-to-pipeline", "a symbolic link to pipeline.toml"),
        ("protected.html", "write-protected (mode 444)"),
        ("pipeline.toml", "it is the pipeline file"),
        ("./pipeline.scenarios/../pipeline.toml", "it is the pipeline file"),
        ("guest.wasm", "it is the component of the plugin `guest`"),
        (".kiln/runs/new.html", "it lies in the state directory"),
        (".kiln", "a directory"),
        (".", "a directory"),
        ("missing/new.html", "No such file or directory"),
    ];
    for (target, words) in targets {
        refused(account.kiln(["run", "pipeline.toml", "--report", target]), words);
        refused(Kiln::new(["rehearse", "pipeline.toml", "--report", target]), words);
    }
    refused(Kiln::new(["rehearse", "pipeline.toml", "--report", "pipeline.world.toml"]), "it is the world file");
    let scenario = ["rehearse", "pipeline.toml", "--scenario", "pipeline.scenarios/calm.toml", "--report"];
    for (target, words) in
        [("pipeline.world.toml", "it is the world file"), ("pipeline.scenarios/calm.toml", "it is a scenario")]
    {
        refused(Kiln::new(scenario).args([target]), words);
    }
    assert!(account.effects().is_empty());

    let outcome = dressed(account.kiln(["run", "pipeline.toml", "--report", "old.html"])).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let page = fs::read_to_string(outcome.directory().join("old.html")).unwrap_or_default();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page:.80}");
}

#[test]
fn a_socket_stays_a_socket() {
    let kiln = dressed(Kiln::new(["rehearse", "pipeline.toml", "--report", "socket"]));
    let socket = UnixListener::bind(kiln.directory().join("socket"));
    let outcome = kiln.start().end_within(PATIENCE);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("a socket") && socket.is_ok(), "{}", outcome.all());
}

#[test]
fn a_page_of_a_run_that_goes_on_does_not_replace_its_journal() {
    let account = Account::at_scale(&World::of(""), 1.0);
    let waiting = Guest::new(r#"(call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#);
    let kiln = dressed(account.kiln(["run", "pipeline.toml", "--detach-after", "1s"]));
    let left = kiln.file("guest.wasm", waiting.build()).run();
    assert_eq!(left.code(), Some(5), "{}", left.all());
    let run = kiln_tests::run_in(&left.directory().join(".kiln"));
    let before = picture(left.directory());
    let journal = run.join("journal").display().to_string();
    let arguments = ["resume", "--report", &journal];
    let outcome = left.then(arguments).env("AWS_ENDPOINT_URL", &account.url()).start().end_within(PATIENCE);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("it lies in the state directory"), "{}", outcome.all());
    assert_eq!(picture(outcome.directory()), before);
}

#[test]
fn results_and_addresses_are_held_to_the_same() {
    for (target, words) in [
        ("fifo", "a pipe (FIFO)"),
        ("link", "a symbolic link"),
        ("protected.html", "write-protected"),
        ("pipeline.toml", "it is the pipeline file"),
        ("pipeline.world.toml", "it is the world file"),
        ("pipeline.scenarios/calm.toml", "it is a scenario"),
        ("guest.wasm", "it is the component of the plugin `guest`"),
    ] {
        refused(Kiln::new(["test", "pipeline.toml", "--junit", target]), words);
    }
    let sim = ["sim", "--port", "0", "--world", "pipeline.world.toml", "--ready-file"];
    for (target, words) in [("fifo", "a pipe (FIFO)"), ("pipeline.world.toml", "it is the world file")] {
        refused(Kiln::new(sim).args([target]), words);
    }
    let outcome = dressed(Kiln::new(["test", "pipeline.toml", "--junit", "old.xml"])).file("old.xml", "old").run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let written = fs::read_to_string(outcome.directory().join("old.xml")).unwrap_or_default();
    assert!(written.contains("<testsuites"), "{written:.80}");
}
