//! What the binary says of itself: `kiln version`, its manual pages, its completions.

use std::collections::BTreeSet;

use kiln_tests::{Kiln, repository};
use serde_json::Value;

fn printed<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let outcome = Kiln::new(arguments).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(outcome.stderr(), "", "{}", outcome.all());
    outcome.stdout()
}

fn version() -> Value {
    serde_json::from_str(&printed(["version", "--output", "json"])).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_version_is_one_line_unless_more_is_asked_for() {
    let expected = format!("kiln {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(["--version"]), expected);
    assert_eq!(printed(["version"]), expected);
}

#[test]
fn all_that_the_binary_is_can_be_read() {
    let said = printed(["version", "--verbose"]);
    let mut shown = said.clone();
    for (pattern, instead) in [
        (r"(?m)^commit .*$", "commit    [commit]"),
        (r"(?m)^date .*$", "date      [date]"),
        (r"(?m)^target .*$", "target    [target]"),
        (r"(?m)^profile .*$", "profile   [profile]"),
        (r"sha256:[0-9a-f]{64}", "sha256:[digest]"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        assert!(pattern.is_match(&said), "{pattern} in {said}");
        shown = pattern.replace_all(&shown, instead).into_owned();
    }
    insta::assert_snapshot!(shown);
    // A directory says nothing, whatever repository it is in: the commit is that of the build.
    assert!(!said.contains("fatal"), "{said}");
}

#[test]
fn scripts_read_the_same() {
    let view = version();
    let text = |name: &str| view.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(text("version"), env!("CARGO_PKG_VERSION"));
    assert!(text("target").starts_with(std::env::consts::ARCH), "{view}");
    assert!(!text("profile").is_empty() && text("compiler").starts_with("rustc "), "{view}");
    // A build from something that is no clone does not know; one that knows, knows it whole, and when it was made.
    let commit = text("commit");
    assert!(commit.is_empty() || commit.bytes().all(|byte| byte.is_ascii_hexdigit()) && commit.len() >= 7, "{view}");
    assert!(commit.is_empty() || text("date").ends_with('Z'), "{view}");
    assert_eq!(view.pointer("/journal/writes"), Some(&2.into()));
    assert_eq!(view.pointer("/journal/reads"), Some(&serde_json::json!([1, 2])));

    let listed: Value = serde_json::from_str(&printed(["plugin", "list", "--output", "json"])).unwrap_or_default();
    let digests = |list: &Value| -> BTreeSet<(String, String)> {
        let of = |plugin: &Value, name: &str| plugin.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        list.as_array().into_iter().flatten().map(|plugin| (of(plugin, "name"), of(plugin, "digest"))).collect()
    };
    let carried = digests(view.get("plugins").unwrap_or(&Value::Null));
    assert!(!carried.is_empty(), "{view}");
    assert_eq!(carried, digests(&listed));
}

/// The packages that the WIT files of a contract declare.
fn declared(contract: &std::path::Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(contract).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            declared(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "wit") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            found.extend(
                text.lines().filter_map(|line| Some(line.strip_prefix("package ")?.strip_suffix(';')?.to_owned())),
            );
        }
    }
}

#[test]
fn the_contract_that_it_names_is_what_this_and_each_release_declares() {
    let mut declared_now = BTreeSet::new();
    declared(&repository().join("wit"), &mut declared_now);
    declared(&repository().join("tests/contract"), &mut declared_now);
    assert!(declared_now.len() > 10, "{declared_now:?}");
    let view = version();
    let named = view.get("contract").and_then(Value::as_array).cloned().unwrap_or_default();
    let named: BTreeSet<String> = named.iter().filter_map(|package| Some(package.as_str()?.to_owned())).collect();
    assert_eq!(named, declared_now);
}

/// The options that a help text names, but for the short ones.
fn options(help: &str) -> BTreeSet<String> {
    let line = regex::Regex::new(r"(?m)^ +(?:-\w, )?(--[a-z-]+)").unwrap_or_else(|error| panic!("{error}"));
    line.captures_iter(help).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect()
}

/// The commands below one, as its help names them.
fn commands(help: &str) -> BTreeSet<String> {
    let listed = help.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let name = |line: &str| {
        line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next().map(str::to_owned)
    };
    listed.into_iter().flat_map(str::lines).filter_map(name).filter(|name| name != "help").collect()
}

#[test]
fn each_command_has_a_page_with_its_options() {
    let list = printed(["man", "--list"]);
    let pages: Vec<(&str, Vec<&str>)> = list
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap_or_default(), words.collect())
        })
        .collect();
    assert_eq!(pages.first(), Some(&("kiln.1", Vec::new())));
    let mut checked = 0;
    for (file, command) in &pages {
        let words: Vec<&str> = std::iter::once("kiln").chain(command.iter().copied()).collect();
        assert_eq!(*file, format!("{}.1", words.join("-")));
        let help = printed(command.iter().copied().chain(["--help"]));
        let page = printed(["man"].into_iter().chain(command.iter().copied()));
        assert!(
            page.contains(".TH ") && page.contains(&format!("kiln {}", env!("CARGO_PKG_VERSION"))),
            "{file}: {page}"
        );
        let plain = page.replace("\\-", "-");
        let options = options(&help);
        assert!(options.contains("--help"), "{file}: {help}");
        for option in &options {
            assert!(plain.contains(option.as_str()), "{option} in {file}: {page}");
            checked += 1;
        }
        // What it has below it has pages of its own.
        for inner in commands(&help) {
            let page = format!("{}-{inner}.1", words.join("-"));
            assert!(pages.iter().any(|(file, _)| **file == page), "{page} in {list}");
        }
    }
    assert!(pages.len() > 20 && checked > 150, "{} pages, {checked} options", pages.len());
    assert!(commands(&printed(["--help"])).contains("doctor"));
}

#[test]
fn a_page_is_the_same_each_time_and_one_that_is_not_there_is_told() {
    assert_eq!(printed(["man", "run"]), printed(["man", "run"]));
    let outcome = Kiln::new(["man", "lease", "nothing"]).run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("no command `lease nothing`"), "{}", outcome.all());
}

#[test]
fn completions_know_every_command() {
    let commands = commands(&printed(["--help"]));
    assert!(commands.len() > 15, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(["completions", shell]);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{command} in the completions of {shell}");
        }
    }
}
