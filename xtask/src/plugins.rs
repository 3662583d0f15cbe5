//! Builds the plugins to components in `target/plugins`.
//! The main function is [`build`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use wit_component::ComponentEncoder;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, status, succeed, succeeds_quietly};

/// No WASI: a plugin can do nothing but what the contract offers.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// Members of the guests' workspace that are no plugins.
const LIBRARIES: [&str; 3] = ["gate", "sdk", "stack"];

/// Build all plugins. A component is written only where its content changed, so that the host is not linked in vain.
pub(crate) fn build(layout: &Layout, terminal: &Terminal, release: bool) -> Result<(), TaskError> {
    terminal.heading("plugins: build to WebAssembly");
    ensure_target(terminal)?;
    let mut command = cargo();
    command
        .current_dir(layout.guests())
        .args(["build", "--workspace", "--target", TARGET])
        .env("CARGO_TARGET_DIR", layout.guests_target())
        // In the place of flags for the host's machine, which mean nothing to the guest.
        .env("CARGO_ENCODED_RUSTFLAGS", flags(layout)?)
        .env_remove("RUSTFLAGS");
    if release {
        command.arg("--release");
    }
    succeed(&mut command, "install Rust from https://rustup.rs")?;

    terminal.heading("plugins: make components");
    let modules = layout.guests_target().join(TARGET).join(if release { "release" } else { "debug" });
    let components = layout.components();
    fs::create_dir_all(&components).map_err(TaskError::file("make", &components))?;
    let names = names(&layout.guests())?;
    for name in &names {
        let module = modules.join(format!("{}.wasm", name.replace('-', "_")));
        let component = componentize(&module)?;
        let path = components.join(format!("{name}.wasm"));
        let changed = write_if_changed(&path, &component)?;
        let digest = hex(&Sha256::digest(&component));
        let note = if changed { "" } else { "  (unchanged)" };
        terminal.line(format_args!("{name:<16} {:>6} KiB  sha256:{digest}{note}", component.len().div_ceil(1024)));
    }
    remove_others(&components, &names)
}

/// The places of a panic name source files. Without the paths of this machine the same sources make the same component
/// everywhere, and a lock file that holds its digest is good everywhere.
fn flags(layout: &Layout) -> Result<String, TaskError> {
    let flags = remapped(layout)?.into_iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
    Ok(flags.collect::<Vec<_>>().join("\u{1f}"))
}

/// The paths of this machine that sources lie under, and what stands for them in what is built.
pub(crate) fn remapped(layout: &Layout) -> Result<[(String, &'static str); 2], TaskError> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).ok_or_else(|| {
        TaskError::other("neither CARGO_HOME nor a home directory is known", "set CARGO_HOME to cargo's own directory")
    })?;
    Ok([(home.display().to_string(), "/cargo"), (layout.root.display().to_string(), "/kiln")])
}

/// Whether the standard library of a target is installed.
pub(crate) fn has_target(target: &str) -> bool {
    // rustc knows where its libraries are, however it was installed.
    let mut probe = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let libraries = probe.args(["--print", "target-libdir", "--target", target]).output();
    libraries.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

/// The target must be there; rustup brings it.
fn ensure_target(terminal: &Terminal) -> Result<(), TaskError> {
    if has_target(TARGET) {
        return Ok(());
    }
    terminal.line(format_args!("the target {TARGET} is missing: adding it by rustup"));
    let help = format!("add the target {TARGET} to your Rust installation, then run this again");
    let done = status(Command::new("rustup").args(["target", "add", TARGET]), &help)?;
    if done.success() {
        return Ok(());
    }
    Err(TaskError::other(
        format!("rustup could not add the target {TARGET} ({done})"),
        format!("see what it says above; with a network, `rustup target add {TARGET}` must work"),
    ))
}

/// The plugins: every directory of the guests' workspace that is a package, but the libraries.
fn names(guests: &Path) -> Result<BTreeSet<String>, TaskError> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(guests).map_err(TaskError::file("read", guests))? {
        let path = entry.map_err(TaskError::file("read", guests))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.join("Cargo.toml").is_file() && !LIBRARIES.contains(&name.as_str()) {
            names.insert(name);
        }
    }
    Ok(names)
}

fn componentize(module: &Path) -> Result<Vec<u8>, TaskError> {
    let bytes = fs::read(module).map_err(TaskError::file("read", module))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| TaskError::Component { path: module.to_path_buf(), reason: format!("{error:#}") })
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool, TaskError> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(false);
    }
    // By a rename, so that nobody ever reads half a component.
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, content).map_err(TaskError::file("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(TaskError::file("write", path))?;
    Ok(true)
}

/// A plugin that is gone must not live on in the binary.
fn remove_others(components: &Path, names: &BTreeSet<String>) -> Result<(), TaskError> {
    for entry in fs::read_dir(components).map_err(TaskError::file("read", components))? {
        let path = entry.map_err(TaskError::file("read", components))?.path();
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if is_component && !names.contains(&name) {
            fs::remove_file(&path).map_err(TaskError::file("remove", &path))?;
        }
    }
    Ok(())
}

/// The native tests of the plugins' decisions.
pub(crate) fn test(layout: &Layout, terminal: &Terminal) -> Result<(), TaskError> {
    terminal.heading("plugins: native tests");
    let with_nextest = succeeds_quietly(cargo().args(["nextest", "--version"]));
    let mut command = cargo();
    command.current_dir(layout.guests()).env("CARGO_TARGET_DIR", layout.guests_target());
    if with_nextest {
        command.args(["nextest", "run", "--workspace"]);
    } else {
        command.args(["test", "--workspace", "--quiet"]);
    }
    succeed(&mut command, "install Rust from https://rustup.rs")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
