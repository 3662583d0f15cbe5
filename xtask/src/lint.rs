//! What needs no run to be seen: forms, clippy's warnings, and what is wrong with the crates that are used.
//! The main function is [`run`].

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::plugins;
use crate::step::{Terminal, cargo, succeed, succeeds_quietly};

const NO_CARGO: &str = "install Rust from https://rustup.rs";

/// Of cargo-deny, which changes its checks from one version to the next.
const VERSION: &str = "0.20.2";

/// All of it. It leaves the plugins built: the host holds them, and is not even checked without them.
pub(crate) fn run(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    formats(layout, terminal)?;
    crates(layout, terminal)?;
    plugins::build(layout, terminal, false)?;
    clippy(layout, terminal)
}

/// Whether all is written as rustfmt has it.
fn formats(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    terminal.heading("format");
    for workspace in [layout.root.clone(), layout.guests()] {
        succeed(cargo().current_dir(workspace).args(["fmt", "--all", "--check"]), NO_CARGO)?;
    }
    Ok(())
}

/// Clippy, for which every warning is an error: the host, the guests as they are built, and the guests' native tests. The host is
/// selected as it is always built, so that nothing of the AWS SDK is checked in two ways.
fn clippy(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    terminal.heading("clippy");
    let help = "install clippy: `rustup component add clippy`";
    let mut host = cargo();
    host.current_dir(&layout.root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    succeed(&mut host, help)?;
    for selected in [["--target", plugins::TARGET].as_slice(), &["--all-targets"]] {
        let mut guests = cargo();
        guests.current_dir(layout.guests()).env("CARGO_TARGET_DIR", layout.guests_target());
        guests.args(["clippy", "--workspace"]).args(selected).args(["--", "-D", "warnings"]);
        succeed(&mut guests, help)?;
    }
    Ok(())
}

/// What `deny.toml` says of the crates of both workspaces: bans, licences and sources, and advisories where a database of them is there.
fn crates(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    terminal.heading("crates: bans, licences, sources, advisories");
    let ours = layout.target.join("tools");
    let program = ours.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let there = succeeds_quietly(Command::new("cargo-deny").arg("--version"));
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let deny = match Tool::choose(there, program, in_ci) {
        Tool::At(program) => program,
        Tool::Install(program) => {
            terminal.line(format_args!("cargo-deny {VERSION} is not installed: building it into {}", ours.display()));
            let install = ["install", "cargo-deny", "--locked", "--version", VERSION, "--root"];
            let help = "with a network, `cargo install cargo-deny --locked` must work";
            succeed(cargo().args(install).arg(&ours), help)?;
            program
        }
        Tool::Missing => {
            terminal.line(
                "NOT CHECKED: cargo-deny is not installed (`cargo install cargo-deny --locked`, some minutes). CI installs it.",
            );
            return Ok(());
        }
    };
    let workspaces = [layout.root.clone(), layout.guests()];
    for workspace in &workspaces {
        // The licences of crates for other platforms are read, too: cargo downloads what of them is not there yet.
        let help = "with a network, `cargo fetch --locked` must work in both workspaces";
        succeed(checks(&deny, layout, workspace).args(["check", "bans", "licenses", "sources"]), help)?;
    }
    // Nothing is fetched here but from the registry: a database that is there is used as it is.
    let advisories = Advisories::of(databases().as_deref());
    terminal.line(advisories.note());
    if advisories == Advisories::Old {
        for workspace in &workspaces {
            succeed(checks(&deny, layout, workspace).args(["--offline", "check", "advisories"]), NO_CARGO)?;
        }
    }
    Ok(())
}

/// cargo-deny, about the crates of a workspace, by the one configuration.
fn checks(deny: &Path, layout: &Layout, workspace: &Path) -> Command {
    let mut command = Command::new(deny);
    command.current_dir(workspace).args(["--all-features", "--locked", "--config"]).arg(layout.root.join("deny.toml"));
    command
}

/// Where cargo-deny is.
#[derive(Debug, PartialEq, Eq)]
enum Tool {
    /// There.
    At(PathBuf),
    /// Nowhere; it is to be built there.
    Install(PathBuf),
    /// Nowhere, and nobody waits for it to be built.
    Missing,
}

impl Tool {
    /// Where it is `installed` by whoever works here, that one; else the one that was built as `ours`, and in CI it is built.
    fn choose(installed: bool, ours: PathBuf, in_ci: bool) -> Self {
        match (installed, ours.is_file(), in_ci) {
            (true, _, _) => Self::At(PathBuf::from("cargo-deny")),
            (false, true, _) => Self::At(ours),
            (false, false, true) => Self::Install(ours),
            (false, false, false) => Self::Missing,
        }
    }
}

/// What is known of advisories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advisories {
    /// All until their database was fetched last.
    Old,
    /// Nothing.
    None,
}

impl Advisories {
    fn of(folder: Option<&Path>) -> Self {
        if folder.is_some_and(holds_something) { Self::Old } else { Self::None }
    }

    /// What whoever reads the end of this should know.
    fn note(self) -> &'static str {
        match self {
            Self::Old => "advisories: as they were when their database was fetched last (`cargo deny fetch`)",
            Self::None => "advisories: NOT CHECKED, there is no database of them (`cargo deny fetch`)",
        }
    }
}

/// Where cargo-deny keeps its databases of advisories.
fn databases() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    Some(home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))?.join("advisory-dbs"))
}

fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn cargo_deny_is_built_in_ci_alone_and_only_where_it_is_nowhere() {
        let nowhere = PathBuf::from("/nowhere/cargo-deny");
        let somewhere = std::env::current_exe().unwrap();
        assert_eq!(Tool::choose(true, nowhere.clone(), true), Tool::At("cargo-deny".into()));
        assert_eq!(Tool::choose(false, somewhere.clone(), false), Tool::At(somewhere));
        assert_eq!(Tool::choose(false, nowhere.clone(), true), Tool::Install(nowhere.clone()));
        assert_eq!(Tool::choose(false, nowhere, false), Tool::Missing);
    }

    #[test]
    fn what_is_not_known_of_advisories_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Advisories::of(None), Advisories::None);
        assert_eq!(Advisories::of(Some(folder.path())), Advisories::None);
        assert!(Advisories::None.note().contains("NOT CHECKED"));
        std::fs::create_dir(folder.path().join("advisory-db")).unwrap();
        assert_eq!(Advisories::of(Some(folder.path())), Advisories::Old);
        assert!(Advisories::Old.note().contains("fetched last"));
    }

    #[test]
    fn nothing_is_silenced_without_a_reason() {
        let root = Layout::find().unwrap().root;
        for workspace in [root.clone(), root.join("plugins")] {
            let text = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
            for lint in ["allow_attributes = \"deny\"", "allow_attributes_without_reason = \"deny\""] {
                assert!(text.contains(lint), "{}: {lint}", workspace.display());
            }
        }
    }
}
