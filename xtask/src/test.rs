//! Everything that must pass before a change is merged.
//! The main function is [`run`].

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed, succeeds_quietly};
use crate::{browser, embed, lint, plugins, python};

/// What a quick run leaves out, as the profile `quick` of nextest does.
const LONG: [&str; 6] = ["crash::", "schedules::", "altered::", "storms::", "scenarios::every_", "store::a_run_"];

const NO_CARGO: &str = "install Rust from https://rustup.rs";

/// Run it all; the first step that fails ends it.
pub(crate) fn run(layout: &Layout, terminal: &Terminal, quick: bool) -> Result<(), TaskError> {
    lint::run(layout, terminal)?;
    plugins::test(layout, terminal)?;
    build_host(layout, terminal)?;
    let python = python::ensure(layout, terminal)?;
    let browser = browser::ensure(terminal)?;

    terminal.heading("test suite");
    let mut command = cargo();
    command.current_dir(&layout.root).env("KILN_BIN", layout.kiln()).env("KILN_PYTHON", python);
    command.env("KILN_BROWSER", browser);
    if succeeds_quietly(cargo().args(["nextest", "--version"])) {
        command.args(["nextest", "run", "--workspace"]);
        if quick {
            command.args(["--profile", "quick"]);
        }
    } else {
        terminal.line("cargo-nextest is not installed (`cargo install cargo-nextest --locked`): using `cargo test`, which is slower");
        // `--all-targets` is what was built already; it leaves out doc tests, of which there are none.
        command.args(["test", "--workspace", "--all-targets"]);
        if quick {
            command.arg("--").args(LONG.iter().flat_map(|long| ["--skip", long]));
        }
    }
    succeed(&mut command, NO_CARGO)?;
    terminal.heading("all passed");
    Ok(())
}

/// Build the host and its tests in one selection of packages: another selection would build the AWS SDK again, because
/// cargo unites the features of what is selected.
pub(crate) fn build_host(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    embed::build(layout, terminal, embed::workspace(&["--all-targets"]), &layout.target.join("debug")).map(|_| ())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_leaves_out_the_same_with_nextest_and_without() {
        let profiles = std::fs::read_to_string(Layout::find().unwrap().root.join(".config/nextest.toml")).unwrap();
        let filter = format!("default-filter = 'not test(/^({})/)'", LONG.join("|"));
        assert!(profiles.lines().any(|line| line == filter), "the profile `quick` is not {filter}");
    }
}
