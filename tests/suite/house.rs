//! What keeps the house in order: folders of the runner import in the one direction that ARCHITECTURE.md has, no two types of a
//! crate have one name, and what has one place is nowhere else.

use std::collections::{BTreeMap, BTreeSet};
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

/// A file of a crate: its path below `src`, and its text.
type Source = (PathBuf, String);

/// All that is compiled into a crate, what is only for its tests left out.
fn sources(crate_folder: &str) -> Vec<Source> {
    let root = repository().join(crate_folder).join("src");
    let mut all = Vec::new();
    files(&root, &mut all);
    all.sort();
    let below = |path: &PathBuf| path.strip_prefix(&root).unwrap_or(path).to_owned();
    compiled(all.iter().map(|path| (below(path), read(path))).collect())
}

/// The files that no `#[cfg(test)] mod` leads to, without the items that `#[cfg(test)]` marks.
fn compiled(all: Vec<Source>) -> Vec<Source> {
    static MODULE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*(?:pub(?:\([^)]*\))? )?mod ([a-z_0-9]+);")
            .unwrap_or_else(|error| panic!("{error}"))
    });
    let mut tests = BTreeSet::new();
    for (path, text) in &all {
        let is_root = path.file_stem().is_some_and(|stem| ["mod", "lib", "main"].iter().any(|root| stem == *root));
        let folder = if is_root { path.parent().unwrap_or(path).to_owned() } else { path.with_extension("") };
        for module in MODULE.captures_iter(text).filter_map(|found| found.get(1)) {
            tests.insert(folder.join(module.as_str()));
        }
    }
    let is_test = |path: &Path| path.ancestors().any(|path| tests.contains(&path.with_extension("")));
    all.into_iter().filter(|(path, _)| !is_test(path)).map(|(path, text)| (path, without_tests(&text))).collect()
}

/// A text in which the items that `#[cfg(test)]` marks are empty lines. It reads the code as rustfmt writes it: an item ends with
/// the line that is indented as it is and ends with `}`, `;` or `,`.
fn without_tests(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut skipped: Option<&str> = None;
    for line in text.lines() {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        match skipped {
            None if rest.starts_with("#[cfg(test)]") => skipped = Some(indent),
            None => code.push_str(line),
            Some(item) if item == indent && rest.ends_with(['}', ';', ',']) => skipped = None,
            Some(_) => {}
        }
        code.push('\n');
    }
    code
}

/// The folder or file of `runner/src` that a path below it belongs to.
fn room(path: &Path) -> String {
    let first = path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// What the code of a file uses of other folders, with the line.
fn uses(text: &str) -> Vec<(usize, String)> {
    static PATH: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").unwrap_or_else(|error| panic!("{error}")));
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
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
    // What is only for tests may use everything.
    let all = sources("runner");
    let rank = |room: &str| order.iter().position(|known| known == room);
    let mut problems = BTreeSet::new();
    for (path, text) in &all {
        let own = room(path);
        // What is above all of them.
        if own == "lib" || own == "bin" {
            continue;
        }
        let Some(height) = rank(&own) else {
            problems.insert(format!("ARCHITECTURE.md does not place `{own}`"));
            continue;
        };
        for (line, used) in uses(text) {
            // A macro or a type of the crate's root is nobody's.
            let Some(other) = rank(&used) else {
                problems.insert(format!("{}:{line} uses `{used}`, which has no place", path.display()));
                continue;
            };
            if other > height {
                problems.insert(format!("{}:{line}: `{own}` uses `{used}`, which is above it", path.display()));
            }
        }
    }
    let there: BTreeSet<String> = all.iter().map(|(path, _)| room(path)).collect();
    problems.extend(order.iter().filter(|room| !there.contains(*room)).map(|room| format!("there is no `{room}`")));
    problems.into_iter().collect()
}

/// A name that several types of a crate have on purpose.
struct Convention {
    crate_folder: &'static str,
    name: &'static str,
    /// Where they are declared, below `src`.
    within: &'static [&'static str],
    /// Why none of them is taken for another.
    reason: &'static str,
}

const CONVENTIONS: [Convention; 2] = [
    Convention {
        crate_folder: "sim",
        name: "State",
        within: &["services/"],
        reason: "what a place holds of one service, named with its module in the row of the table of services",
    },
    Convention {
        crate_folder: "sim",
        name: "Event",
        within: &["services/", "world/event.rs"],
        reason: "what falls due in one service; the world's has a variant for each of them",
    },
];

/// The types that a text declares, with the line. Aliases only at the margin: further in, they are associated types.
fn declared(text: &str) -> Vec<(usize, &str)> {
    static TYPE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:\s*(?:pub(?:\([^)]*\))? )?(?:unsafe )?(?:struct|enum|union|trait)|(?:pub(?:\([^)]*\))? )?type) ([A-Z]\w*)",
        )
        .unwrap_or_else(|error| panic!("{error}"))
    });
    let name = |line| TYPE.captures(line).and_then(|found| found.get(1)).map(|name| name.as_str());
    text.lines().enumerate().filter_map(|(number, line)| Some((number + 1, name(line)?))).collect()
}

/// The names that more than one type of a crate has, and conventions that nothing follows any more.
fn shared_names(crate_folder: &str, sources: &[Source], conventions: &[Convention]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, text) in sources {
        for (line, name) in declared(text) {
            places.entry(name).or_default().push(format!("{}:{line}", path.display()));
        }
    }
    let mut problems = Vec::new();
    for convention in conventions.iter().filter(|convention| convention.crate_folder == crate_folder) {
        let Convention { name, within, reason, .. } = convention;
        let all = places.remove(name).unwrap_or_default();
        if all.len() < 2 {
            problems.push(format!("{crate_folder}: `{name}` is not declared twice: it needs no convention"));
        }
        let is_elsewhere = |place: &&String| !within.iter().any(|within| place.starts_with(within));
        let elsewhere: Vec<&str> = all.iter().filter(is_elsewhere).map(String::as_str).collect();
        if !elsewhere.is_empty() {
            problems.push(format!("{crate_folder}: `{name}` is {reason}; it is another in {}", elsewhere.join(", ")));
        }
    }
    for (name, places) in places.iter().filter(|(_, places)| places.len() > 1) {
        problems.push(format!("{crate_folder}: `{name}` is declared in {}", places.join(", ")));
    }
    problems
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

#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let problems: Vec<String> =
        ["runner", "sim"].iter().flat_map(|house| shared_names(house, &sources(house), &CONVENTIONS)).collect();
    assert!(problems.is_empty(), "{}\nname each after what it holds", problems.join("\n"));
}

#[test]
fn a_type_that_is_declared_twice_is_found() {
    let with = |crate_folder: &str, path: &str, text: &str| {
        let mut all = sources(crate_folder);
        all.push((PathBuf::from(path), text.to_owned()));
        shared_names(crate_folder, &compiled(all), &CONVENTIONS).join("\n")
    };
    for added in [
        "struct Journal;",
        "pub(crate) enum Journal {",
        "pub trait Journal: Send {",
        "type Journal = ();",
        "fn inner() {\n    struct Journal;\n}",
        "#[cfg(test)]\nmod more;\n\nstruct Journal;",
        "#[cfg(test)]\n#[expect(dead_code)]\nmod tests {\n    struct Twin;\n}\n\nstruct Journal;",
    ] {
        let line = added.lines().position(|line| line.contains("Journal")).unwrap_or_default() + 1;
        let found = with("runner", "call/added.rs", added);
        assert!(
            found.starts_with("runner: `Journal` is declared in ") && found.lines().count() == 1,
            "{added}: {found}"
        );
        assert!(found.contains("journal/writer.rs:") && found.contains(&format!(", call/added.rs:{line}")), "{found}");
    }
    // Tests have names of their own, and a name is no declaration.
    for harmless in [
        "#[cfg(test)]\nmod tests {\n    struct Journal;\n}",
        "#[cfg(test)]\n#[expect(dead_code, reason = \"…\")]\nstruct Journal(u8);",
        "// struct Journal;\nuse crate::journal::Journal;\nimpl Journal {\n    type Output = Journal;\n}",
    ] {
        assert_eq!(with("runner", "call/added.rs", harmless), "", "{harmless}");
    }
    let mut all = sources("runner");
    all.push((PathBuf::from("call/added.rs"), "#[cfg(test)]\nmod canned;".to_owned()));
    all.push((PathBuf::from("call/added/canned.rs"), "struct Journal;".to_owned()));
    all.push((PathBuf::from("call/added/canned/deeper.rs"), "struct Journal;".to_owned()));
    assert_eq!(shared_names("runner", &compiled(all), &CONVENTIONS), Vec::<String>::new());

    assert_eq!(with("sim", "services/new/state.rs", "pub(crate) struct State {}"), "");
    let found = with("sim", "access/added.rs", "struct State;");
    assert!(found.ends_with("it is another in access/added.rs:1"), "{found}");
    let found = shared_names("sim", &sources("sim"), &[]).join("\n");
    assert!(found.contains("`Event` is declared in ") && found.contains("`State` is declared in "), "{found}");
    let unneeded = Convention { crate_folder: "runner", name: "Journal", within: &["journal/"], ..CONVENTIONS[0] };
    let found = shared_names("runner", &sources("runner"), &[unneeded]);
    assert_eq!(found, ["runner: `Journal` is not declared twice: it needs no convention"]);
}

#[test]
fn only_one_room_knows_which_characters_and_words_act() {
    // Lists of characters, tests of them, and the ways to write one out.
    let own = Regex::new(r"\\u\{[0-9A-Fa-f]+\}'\s*(\.\.=|\|[^|])|char::is_control|\.is_control\(|\.escape_(unicode|debug|default)\(|##vso|strip_ansi")
        .unwrap_or_else(|error| panic!("{error}"));
    let (room, others): (Vec<_>, Vec<_>) =
        sources("runner").into_iter().partition(|(path, _)| path.starts_with("harmless"));
    assert!(room.iter().any(|(_, text)| own.is_match(text)), "the room itself is found");
    let found: Vec<String> = others
        .iter()
        .flat_map(|(path, text)| {
            own.find_iter(text).map(move |found| format!("{}: {}", path.display(), found.as_str()))
        })
        .filter(|found| !found.starts_with("report/screen.rs") && !found.starts_with("report/story.rs"))
        .collect();
    assert!(found.is_empty(), "what is harmless is decided in `harmless`: {}", found.join(", "));
}

/// Where the traits are in sight by which an operation is sent.
fn senders(all: &[Source]) -> BTreeSet<String> {
    let traits = Regex::new(
        r"aws::operation::(\*|\{[^}]*\b(Read|Write)\b|Read\b|Write\b)|super::operation::(\*|\{[^}]*\b(Read|Write)\b)",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    all.iter().filter(|(_, text)| traits.is_match(text)).map(|(path, _)| room(path)).collect()
}

#[test]
fn only_the_call_path_can_send_an_operation() {
    let all = sources("runner");
    // `aws` implements them and looks by them; `host` hands them on to `call`.
    assert_eq!(senders(&all), ["aws", "call", "host"].map(str::to_owned).into());
    let handed_on = all.iter().filter(|(path, _)| path.starts_with("host")).all(|(_, text)| !text.contains(".send("));
    assert!(handed_on, "`host` sends by itself");
    let mut turned = all;
    turned.push((PathBuf::from("run/added.rs"), "use crate::aws::operation::{Operation, Write};".to_owned()));
    assert!(senders(&turned).contains("run"));
}
