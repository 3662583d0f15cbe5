//! Builds the host so that it carries the code of the plugins: the host compiles them, and is built again with what it made.
//! The main function is [`build`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::TaskError;
use crate::layout::Layout;
use crate::plugins;
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
    let kiln = program("kiln");
    carries(layout, &kiln)?;
    Ok(kiln)
}

/// The binary must carry each component that was built, and its code: a build script that looks elsewhere carries nothing, and says
/// nothing.
fn carries(layout: &Layout, kiln: &Path) -> Result<(), TaskError> {
    let answered = Command::new(kiln).args(["version", "--output", "json"]).output();
    let answered = answered.map_err(TaskError::file("run", kiln))?;
    let said: Value = serde_json::from_slice(&answered.stdout).unwrap_or_default();
    let carried = said.get("plugins").and_then(Value::as_array).into_iter().flatten();
    let compiled: BTreeSet<&str> = carried
        .filter(|plugin| plugin.get("compiled") == Some(&Value::Bool(true)))
        .filter_map(|plugin| plugin.get("digest")?.as_str())
        .collect();
    let components = layout.components();
    for component in fs::read_dir(&components).map_err(TaskError::file("read", &components))? {
        let path = component.map_err(TaskError::file("read", &components))?.path();
        let bytes = fs::read(&path).map_err(TaskError::file("read", &path))?;
        if !compiled.contains(format!("sha256:{}", plugins::hex(&Sha256::digest(&bytes))).as_str()) {
            let problem = format!("{} does not carry {} with its code", kiln.display(), path.display());
            return Err(TaskError::other(problem, "see which directory the build scripts of runner and kiln read"));
        }
    }
    Ok(())
}

/// The build of the whole workspace, with `more` arguments.
pub(crate) fn workspace(more: &[&str]) -> Command {
    let mut build = cargo();
    build.args(["build", "--workspace"]).args(more);
    build
}
