//! The folders of the runner import in one direction: the order that ARCHITECTURE.md has. What has one place is nowhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kiln_tests::repository;
use regex::Regex;

/// The folders of `runner/src`, from the ground up.
fn order() -> Vec<String> {
    let text = read(&repository().join("ARCHITECTURE.md"));
    let block = text.split_once("```order\n").and_then(|(_, rest)| rest.split_once("```")).map(|(block, _)| block);
    let block = block.unwrap_or_else(|| panic!("ARCHITECTURE.md has no block ```order"));
    block.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of code below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The folder or file of `runner/src` that a path below it belongs to.
fn room(path: &Path) -> String {
    let first = path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// What the code of a file uses of other folders, with the line. What is only for tests may use everything.
fn uses(text: &str) -> Vec<(usize, String)> {
    static PATH: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").unwrap_or_else(|error| panic!("{error}")));
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut found = Vec::new();
    for (number, line) in code.iter().enumerate() {
        for path in PATH.captures_iter(line) {
            let names = path.get(1).or(path.get(2)).map_or("", |names| names.as_str());
            let names = names.split(',').filter_map(|name| name.trim().split("::").next());
            found.extend(names.filter(|name| !name.is_empty()).map(|name| (number + 1, name.to_owned())));
        }
    }
    found
}

/// The arrows that go up in `order`, and folders that it does not have.
fn wrong(order: &[String]) -> Vec<String> {
    let root = repository().join("runner/src");
    let mut all = Vec::new();
    files(&root, &mut all);
    let rank = |room: &str| order.iter().position(|known| known == room);
    let mut problems = BTreeSet::new();
    for path in &all {
        let below = path.strip_prefix(&root).unwrap_or(path);
        let own = room(below);
        let is_test = below.components().any(|part| part.as_os_str() == "tests")
            || below.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
        if is_test || own == "lib" || own == "main" {
            continue;
        }
        let Some(height) = rank(&own) else {
            problems.insert(format!("ARCHITECTURE.md does not place `{own}`"));
            continue;
        };
        for (line, used) in uses(&read(path)) {
            // A macro or a type of the crate's root is nobody's.
            let Some(other) = rank(&used) else {
                problems.insert(format!("{}:{line} uses `{used}`, which has no place", below.display()));
                continue;
            };
            if other > height {
                problems.insert(format!("{}:{line}: `{own}` uses `{used}`, which is above it", below.display()));
            }
        }
    }
    let there: BTreeSet<String> = all.iter().map(|path| room(path.strip_prefix(&root).unwrap_or(path))).collect();
    problems.extend(order.iter().filter(|room| !there.contains(*room)).map(|room| format!("there is no `{room}`")));
    problems.into_iter().collect()
}

#[test]
fn nothing_uses_what_is_above_it() {
    let problems = wrong(&order());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_arrow_that_is_turned_round_is_found() {
    let order = order();
    // Each two neighbours of which the upper one uses the lower one.
    for (lower, upper) in [("types", "event"), ("policy", "call"), ("aws", "store"), ("call", "host"), ("run", "cli")] {
        let turned: Vec<String> = order
            .iter()
            .map(|room| match room.as_str() {
                room if room == lower => upper.to_owned(),
                room if room == upper => lower.to_owned(),
                room => room.to_owned(),
            })
            .collect();
        let found = wrong(&turned);
        assert!(
            found.iter().any(|problem| problem.contains(&format!("`{upper}` uses `{lower}`"))),
            "{lower}, {upper}: {found:?}"
        );
    }
    let mut short = order;
    short.retain(|room| room != "journal");
    assert!(wrong(&short).iter().any(|problem| problem.contains("does not place `journal`")));
}

/// The code of the runner, but for its tests: each file, and its text.
fn code() -> Vec<(String, String)> {
    let root = repository().join("runner/src");
    let mut all = Vec::new();
    files(&root, &mut all);
    let named = |path: PathBuf| {
        let below = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let text = read(&path).split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        (below, text)
    };
    all.into_iter().map(named).filter(|(name, _)| !name.contains("tests")).collect()
}

#[test]
fn only_one_room_knows_which_characters_and_words_act() {
    // Lists of characters, tests of them, and the ways to write one out.
    let own = Regex::new(r"\\u\{[0-9A-Fa-f]+\}'\s*(\.\.=|\|[^|])|char::is_control|\.is_control\(|\.escape_(unicode|debug|default)\(|##vso|strip_ansi")
        .unwrap_or_else(|error| panic!("{error}"));
    let (room, others): (Vec<_>, Vec<_>) = code().into_iter().partition(|(name, _)| name.starts_with("harmless/"));
    assert!(room.iter().any(|(_, text)| own.is_match(text)), "the room itself is found");
    let found: Vec<String> = others
        .iter()
        .flat_map(|(name, text)| own.find_iter(text).map(move |found| format!("{name}: {}", found.as_str())))
        .filter(|found| !found.starts_with("report/screen.rs") && !found.starts_with("report/story.rs"))
        .collect();
    assert!(found.is_empty(), "what is harmless is decided in `harmless`: {}", found.join(", "));
}
