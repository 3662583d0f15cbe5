//! The README and the book: what they link to is there, what they say to type is what there is, and their pipelines pass the check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use kiln_tests::{Kiln, repository};
use regex::Regex;

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages that people read.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "bench", "tests/golden"] {
        let entries = std::fs::read_dir(repository().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        pages.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|ending| ending == "md")),
        );
    }
    assert!(pages.len() > 12, "{pages:?}");
    pages
}

/// A page without its blocks of code, in which nothing is a link or a heading.
fn prose(page: &str) -> String {
    let mut within = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            within = !within;
        } else if !within && !line.starts_with("    ") {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page)
        .lines()
        .filter_map(|line| Some(line.trim_start_matches('#').to_owned()).filter(|_| line.starts_with('#')))
        .collect::<Vec<_>>();
    let anchor = |heading: &String| {
        let kept = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    headings.iter().map(anchor).collect()
}

/// What a page links to: links, and pictures.
fn links(page: &str) -> Vec<String> {
    let code = pattern("`[^`]*`");
    let prose = prose(page);
    let text = code.replace_all(&prose, "`");
    let (inline, picture) = (pattern(r"\]\(([^)\s]+)\)"), pattern("(?:src|srcset)=\"([^\"]+)\""));
    let found = inline.captures_iter(&text).chain(picture.captures_iter(&text)).filter_map(|found| found.get(1));
    found.map(|found| found.as_str().to_owned()).collect()
}

/// The links of a page at `path` that lead nowhere.
fn broken(path: &Path, page: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for link in links(page) {
        if link.starts_with("https://") {
            continue;
        }
        let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let target = if file.is_empty() { path.to_owned() } else { path.parent().unwrap_or(path).join(file) };
        let leads = match anchor {
            _ if !target.exists() => false,
            Some(anchor) => anchors(&if target == path { page.to_owned() } else { read(&target) }).contains(anchor),
            None => true,
        };
        if !leads {
            broken.push(format!("{}: {link}", path.display()));
        }
    }
    broken
}

#[test]
fn every_link_leads_somewhere() {
    let found: Vec<String> = pages().iter().flat_map(|path| broken(path, &read(path))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let links: usize = pages().iter().map(|path| links(&read(path)).len()).sum();
    assert!(links > 60, "{links} links were found");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let path = repository().join("README.md");
    for (text, found) in [
        ("[a](docs/README.md) [b](#there)\n## There\n", 0),
        ("[a](docs/gone.md)", 1),
        ("[a](docs/README.md#gone)", 1),
        ("[a](#gone)", 1),
        ("<img src=\"docs/pictures/gone.svg\">", 1),
        ("```\n[a](gone.md)\n```\n`[b](gone.md)`\n    [c](gone.md)\n", 0),
    ] {
        assert_eq!(broken(&path, text).len(), found, "{text}");
    }
}

#[test]
fn every_page_of_the_book_is_in_its_contents() {
    let contents = read(&repository().join("docs/README.md"));
    for page in pages().iter().filter(|page| page.parent().is_some_and(|folder| folder.ends_with("docs"))) {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        assert!(name == "README.md" || contents.contains(&format!("]({name})")), "{name} is not in docs/README.md");
    }
}

#[test]
fn the_two_commands_are_those_of_ci_and_the_readme_is_short() {
    let readme = read(&repository().join("README.md"));
    let commands: Vec<&str> =
        readme.lines().filter_map(|line| Some(line.strip_prefix("    cargo ")?.split("  ").next()?.trim())).collect();
    assert_eq!(commands, ["xtask demo", "xtask test"]);
    assert!(read(&repository().join(".ci/run")).contains("exec cargo xtask test\n"));
    let lines = readme.lines().count();
    assert!(lines < 120, "the README has {lines} lines; what is detail belongs into docs/");
    // Whom it is for stands on the first screen.
    assert!(readme.lines().take(12).any(|line| line.starts_with("It is for you if")), "{readme}");
}

#[test]
fn pipelines_of_the_readme_and_the_tour_pass_the_check() {
    for page in ["README.md", "docs/tour.md"] {
        let text = read(&repository().join(page));
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let pipelines: Vec<&str> = blocks.filter(|block| block.contains("[pipeline]")).collect();
        assert!(!pipelines.is_empty(), "{page}");
        for pipeline in pipelines {
            let outcome = Kiln::new(["check", "web.toml"]).file("web.toml", pipeline).run();
            assert_eq!(outcome.code(), Some(0), "{page}: {}", outcome.all());
        }
    }
}

#[test]
fn every_command_is_in_the_book() {
    let book = read(&repository().join("docs/operators.md")) + &read(&repository().join("docs/scenarios.md"));
    let list = Kiln::new(["man", "--list"]).run().stdout();
    for command in list.lines().filter_map(|line| line.split_whitespace().nth(1)) {
        assert!(book.contains(&format!("`kiln {command}")), "`kiln {command}` is not in docs/operators.md");
    }
}

#[test]
fn the_dockerfile_takes_what_is_there_and_ends_in_an_image_from_scratch() {
    let file = read(&repository().join("Dockerfile"));
    let stages: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(stages, ["${ROOTS} AS codebuild", "scratch AS tool"]);
    let installing = read(&repository().join("docs/install.md"));
    for stage in ["codebuild", "tool"] {
        assert!(installing.contains(&format!("target `{stage}`")), "{stage}");
    }
    // Of the context it takes one file, which the chapter says how to put there.
    let taken: BTreeSet<&str> = file
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.split_whitespace().find(|word| !word.starts_with("--")))
        .filter(|source| !source.starts_with('/'))
        .collect();
    assert_eq!(taken, ["kiln"].into());
    assert!(installing.contains("target/image/kiln"));
}

/// `.ci/release` in a directory of its own, where cargo, git and aws are scripts that write down what they were asked.
struct Release {
    directory: tempfile::TempDir,
}

impl Release {
    fn new(tag: &str, changed: &str, digests: &str) -> Self {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let release = Self { directory };
        for folder in [".ci", "bin", "target"] {
            std::fs::create_dir(release.path(folder)).unwrap_or_else(|error| panic!("{error}"));
        }
        std::fs::copy(repository().join(".ci/release"), release.path(".ci/release"))
            .unwrap_or_else(|error| panic!("{error}"));
        std::fs::copy(repository().join("Cargo.toml"), release.path("Cargo.toml"))
            .unwrap_or_else(|error| panic!("{error}"));
        release.program(
            "cargo",
            &format!(
                "out=${{CARGO_TARGET_DIR:-target}}/dist; rm -rf $out; mkdir -p $out/man\n\
             echo binary{digests} > $out/kiln-1; echo page > $out/man/kiln.1\n\
             cd $out && sha256sum kiln-1 man/kiln.1 > SHA256SUMS"
            ),
        );
        release.program("git", &format!("case $1 in tag) echo '{tag}';; status) echo '{changed}';; esac"));
        release.program("aws", "echo \"$@\" >> uploads");
        release
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap_or_else(|error| panic!("{error}"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Its exit code, what it said, and what was uploaded.
    fn run(&self, bucket: Option<&str>) -> (Option<i32>, String, Vec<String>) {
        let mut command = Command::new(self.path(".ci/release"));
        let system = std::env::var("PATH").unwrap_or_default();
        command.env_clear().env("PATH", format!("{}:{system}", self.path("bin").display()));
        command.envs(bucket.map(|bucket| ("KILN_RELEASE_BUCKET", bucket)));
        let ended = command.output().unwrap_or_else(|error| panic!("{error}"));
        let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        let uploads = std::fs::read_to_string(self.path("uploads")).unwrap_or_default();
        (ended.status.code(), said, uploads.lines().map(str::to_owned).collect())
    }
}

#[test]
fn without_a_tag_nothing_is_published() {
    let (code, said, uploads) = Release::new("", "", "").run(Some("bucket"));
    assert_eq!((code, uploads), (Some(0), Vec::new()), "{said}");
    assert!(said.contains("nothing is published") && said.contains("man/kiln.1"), "{said}");
}

#[test]
fn the_tag_of_the_version_publishes_each_file_once_and_the_digests_last() {
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    let (code, said, uploads) = Release::new(&tag, "", "").run(Some("bucket"));
    assert_eq!(code, Some(0), "{said}");
    let key = pattern("--key ([^ ]+) ");
    let keys: Vec<&str> = uploads.iter().filter_map(|upload| Some(key.captures(upload)?.get(1)?.as_str())).collect();
    let at = |name: &str| format!("kiln/{}/{name}", env!("CARGO_PKG_VERSION"));
    assert_eq!(keys, [at("kiln-1"), at("man/kiln.1"), at("SHA256SUMS")]);
    assert!(
        uploads.iter().all(|upload| upload.contains("--bucket bucket ") && upload.ends_with("--if-none-match *")),
        "{uploads:?}"
    );
    let (code, said, uploads) = Release::new(&tag, "", "").run(None);
    assert!(code != Some(0) && uploads.is_empty() && said.contains("KILN_RELEASE_BUCKET"), "{said}");
}

#[test]
fn what_is_no_release_is_refused() {
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    for (release, why) in [
        (Release::new("v99.0.0", "", ""), "the tag is v99.0.0"),
        (Release::new(&tag, " M Cargo.toml", ""), "files differ from the commit"),
        (Release::new(&tag, "", "$(date +%N)$$"), "two builds of one commit differ"),
    ] {
        let (code, said, uploads) = release.run(Some("bucket"));
        assert_eq!((code, uploads), (Some(1), Vec::new()), "{said}");
        assert!(said.contains(why), "{why} in {said}");
    }
}
