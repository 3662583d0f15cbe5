//! What a release is made of: a static binary, a wheel that holds it, what is built into it, and the digests of all.
//! The main function is [`run`].

mod binary;
mod pages;
mod sbom;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::TaskError;
use crate::layout::Layout;
use crate::plugins;
use crate::step::Terminal;

use binary::Form;
use wheel::{Compression, Wheel};

/// The version of everything in the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Build it all, and write it to `out`.
pub(crate) fn run(
    layout: &Layout,
    terminal: &Terminal,
    target: Option<String>,
    out: Option<PathBuf>,
) -> Result<(), TaskError> {
    let (target, built) = published(layout, terminal, target)?;
    terminal.heading("dist: what a release is made of");
    let out = out.unwrap_or_else(|| layout.target.join("dist"));
    if out.exists() {
        fs::remove_dir_all(&out).map_err(TaskError::file("remove", &out))?;
    }
    fs::create_dir_all(&out).map_err(TaskError::file("make", &out))?;
    let bytes = fs::read(&built).map_err(TaskError::file("read", &built))?;
    let form = Form::of(&built, &bytes)?;
    if !form.is_static() {
        return Err(TaskError::other(
            format!("{} is not static: it needs {}", built.display(), form.needed().join(", ")),
            "see what it is linked with",
        ));
    }
    let name = format!("kiln-{VERSION}-{target}");
    write(&out.join(&name), &bytes)?;
    executable(&out.join(&name))?;
    pages::write(&out.join(&name), &out)?;
    write(&out.join(format!("{name}.cdx.json")), &sbom::of(layout, &target, &bytes)?)?;
    let wheel = Wheel { version: VERSION, binary: &bytes, form: &form }.write(&out, Compression::Deflated)?;
    terminal.line(format_args!("wheel: {}", wheel.display()));
    sums(terminal, &out)
}

/// Build what is published: answers the target, and the binary.
pub(crate) fn published(
    layout: &Layout,
    terminal: &Terminal,
    target: Option<String>,
) -> Result<(String, PathBuf), TaskError> {
    let target = target.map_or_else(|| binary::target(terminal), Ok)?;
    plugins::build(layout, terminal, true)?;
    let built = binary::build(layout, terminal, &target)?;
    Ok((target, built))
}

/// The wheel of a binary that is there, for whoever wants no release build of it.
pub(crate) fn wheel_of(terminal: &Terminal, binary: &Path, out: &Path, stored: bool) -> Result<(), TaskError> {
    let bytes = fs::read(binary).map_err(TaskError::file("read", binary))?;
    let form = Form::of(binary, &bytes)?;
    fs::create_dir_all(out).map_err(TaskError::file("make", out))?;
    let compression = if stored { Compression::Stored } else { Compression::Deflated };
    let wheel = Wheel { version: VERSION, binary: &bytes, form: &form }.write(out, compression)?;
    terminal.line(wheel.display());
    Ok(())
}

/// Write the digests of all that was made, as `sha256sum --check` reads them.
fn sums(terminal: &Terminal, out: &Path) -> Result<(), TaskError> {
    let mut files = Vec::new();
    collect(out, &mut files)?;
    files.sort();
    let mut text = String::new();
    for file in files {
        let bytes = fs::read(&file).map_err(TaskError::file("read", &file))?;
        let name = file.strip_prefix(out).unwrap_or(&file).display();
        let digest = plugins::hex(&Sha256::digest(&bytes));
        terminal.line(format_args!("{:>9.2} MiB  sha256:{digest}  {name}", bytes.len() as f64 / f64::from(1 << 20)));
        text.push_str(&format!("{digest}  {name}\n"));
    }
    write(&out.join("SHA256SUMS"), text.as_bytes())
}

/// All files below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), TaskError> {
    for entry in fs::read_dir(directory).map_err(TaskError::file("read", directory))? {
        let path = entry.map_err(TaskError::file("read", directory))?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TaskError> {
    fs::write(path, bytes).map_err(TaskError::file("write", path))
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<(), TaskError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(TaskError::file("change", path))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<(), TaskError> {
    Ok(())
}
