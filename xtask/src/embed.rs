//! Builds the host so that it carries the code of the plugins: the host compiles them, and is built again with what it made.
//! The main function is [`build`].

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed};

/// Build with `arguments`, what cargo lays into `directory`. Answers the binary.
///
/// The second build links anew what carries the code, if the code is another; a host that was built by plain cargo carries what was
/// made last, and compiles what it does not carry.
pub(crate) fn build(
    layout: &Layout,
    terminal: &Terminal,
    mut cargo_build: Command,
    directory: &Path,
) -> Result<PathBuf, TaskError> {
    cargo_build.current_dir(&layout.root);
    let mut build = || succeed(&mut cargo_build, "install Rust from https://rustup.rs");
    let program = |name: &str| directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    terminal.heading("host: build");
    build()?;
    terminal.heading("host: compile the plugins, and build with their code");
    let mut precompile = Command::new(program("kiln-precompile"));
    precompile.arg(layout.components()).arg(layout.code()).arg(layout.target.join("code-cache"));
    succeed(&mut precompile, "see what it says above")?;
    build()?;
    Ok(program("kiln"))
}

/// The build of the whole workspace, with `more` arguments.
pub(crate) fn workspace(more: &[&str]) -> Command {
    let mut build = cargo();
    build.args(["build", "--workspace"]).args(more);
    build
}
