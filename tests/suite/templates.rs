//! The templates of CloudFormation, those of the lifecycle and those that the engine is tried with: what others' tools say of them, and that
//! what their data files say of changes is so by AWS's own schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use kiln_tests::repository;

use crate::emulators::python;

/// Where templates lie, seen from the project's folder.
const FOLDERS: [&str; 2] = ["pipelines/templates", "tests/templates"];

/// The files of a folder with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_one = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one));
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_one).collect();
    found.sort();
    found
}

fn templates() -> Vec<PathBuf> {
    let found: Vec<PathBuf> =
        FOLDERS.iter().flat_map(|folder| files(&repository().join(folder), &["yaml", "json"])).collect();
    assert!(found.len() >= 19, "{found:?}");
    found
}

/// Whether a tool of the Python environment is content, and what it says.
fn asked(command: &mut Command) -> (bool, String) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it"));
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat();
    (output.status.success(), said)
}

fn cfn_lint(templates: &[PathBuf]) -> (bool, String) {
    asked(Command::new(python().with_file_name("cfn-lint")).arg("--").args(templates))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(repository().join("tests/python").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn validate(templates: &[PathBuf]) -> (bool, String) {
    asked(script("validate.py").args(templates))
}

/// A template of the project in which something stands in another's place, in a directory of its own.
struct Changed {
    directory: tempfile::TempDir,
}

impl Changed {
    /// All templates with their data files, as they lie to each other.
    fn all() -> Self {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        for folder in FOLDERS {
            let to = directory.path().join(folder);
            std::fs::create_dir_all(&to).unwrap_or_else(|error| panic!("{error}"));
            for file in files(&repository().join(folder), &["yaml", "json", "toml"]) {
                let name = file.file_name().unwrap_or_default();
                std::fs::copy(&file, to.join(name)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            }
        }
        Self { directory }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn replaced(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap_or_else(|error| panic!("{file}: {error}"));
        self
    }

    /// What the data files should say and do not.
    fn judged(&self) -> (bool, String) {
        asked(script("templates.py").arg("--folder").arg(self.path("tests/templates")))
    }
}

#[test]
fn cfn_lint_says_nothing_of_any_template() {
    let (content, said) = cfn_lint(&templates());
    assert!(content && said.trim().is_empty(), "{said}");
}

#[test]
fn the_validation_of_aws_says_nothing_of_any_template() {
    let (content, said) = validate(&templates());
    assert!(content && said.trim().is_empty(), "{said}");
}

#[test]
fn both_find_what_is_misspelt_and_what_is_only_a_warning() {
    const FLEET: &str = "pipelines/templates/fleet.yaml";
    for (from, to, found) in [
        ("HealthCheckGracePeriod: 300", "HealthCheckGracePeriods: 300", "HealthCheckGracePeriods"),
        ("TargetGroupARNs: [!Ref TargetGroup]", "TargetGroupARNs: [!Ref TargetGruop]", "TargetGruop"),
        ("    DependsOn: Listener\n", "    DependsOn: [Listener, LaunchTemplate]\n", "W3005"),
    ] {
        let changed = Changed::all().replaced(FLEET, from, to);
        for (content, said) in [cfn_lint(&[changed.path(FLEET)]), validate(&[changed.path(FLEET)])] {
            assert!(!content && said.contains(found), "{to}: {said}");
        }
    }
}

#[test]
fn what_changes_do_is_as_schemas_of_aws_have_it() {
    let (content, said) = asked(&mut script("templates.py"));
    assert!(content && said.trim().is_empty(), "{said}");
}

#[test]
fn a_data_file_that_says_otherwise_is_found() {
    let mistakes = [
        // A list that lacks one, a change out of bounds, a text that is not in the template, what nobody acknowledges.
        (
            "tests/templates/bucket.toml",
            "[\"Bucket\", \"BucketPolicy\", \"KeyAlias\"]",
            "[\"Bucket\"]",
            "bucket: [replacing]",
        ),
        ("tests/templates/cpu-alarm.toml", "Threshold = \"90\"", "Threshold = \"900\"", "out of bounds"),
        ("tests/templates/wait.toml", "from = \"Name: ", "from = \"Named: ", "is there 0 times"),
        ("tests/templates/trail.toml", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "trail: capabilities should be"),
        // Where something outlives its stack no more.
        ("tests/templates/watch.yaml", "DeletionPolicy: Retain", "DeletionPolicy: Delete", "watch: [kept]"),
        // What says nothing of itself.
        (
            "tests/templates/events.yaml",
            "    Description: Whom to tell.\n",
            "",
            "events: Email of Parameters has no description",
        ),
        // The only template that has it.
        ("tests/templates/table.yaml", "!RefAll \"AWS::EC2::VPC::Id\"", "[vpc-1]", "no template uses Fn::RefAll"),
    ];
    let changed = mistakes.iter().fold(Changed::all(), |changed, (file, from, to, _)| changed.replaced(file, from, to));
    let (content, said) = changed.judged();
    for (file, .., found) in mistakes {
        assert!(!content && said.contains(found), "{file}: {said}");
    }
    let (content, said) = Changed::all().judged();
    assert!(content && said.trim().is_empty(), "{said}");
}
