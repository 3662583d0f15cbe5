//! Puts the standard plugins into the binary: every component in `target/plugins`, which `cargo xtask plugins` writes.
//!
//! It never builds a guest. Where there are none yet, the binary simply carries none. It also lists the interfaces of `wit/`, whose
//! names the generated bindings do not tell.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

mod target_directory;

use target_directory::target_directory;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=target_directory.rs");
    println!("cargo::rerun-if-env-changed=KILN_PLUGINS_DIR");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?);
    let directory = match env::var_os("KILN_PLUGINS_DIR") {
        Some(given) => {
            let given = PathBuf::from(given);
            if !given.is_absolute() || !given.is_dir() {
                return Err(
                    format!("KILN_PLUGINS_DIR={} must be the absolute path of a directory", given.display()).into()
                );
            }
            given
        }
        None => {
            let directory = target_directory(&out)?.join("plugins");
            // Cargo takes a path that does not exist for changed, each time.
            fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            directory
        }
    };
    // The directory itself: a plugin that comes or goes. Each file: a plugin that changes.
    println!("cargo::rerun-if-changed={}", directory.display());

    let mut components = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            println!("cargo::rerun-if-changed={}", path.display());
            components.push(path);
        }
    }
    // So that the same plugins give the same binary.
    components.sort();

    let mut code = String::from("static STANDARD: &[Standard] = &[\n");
    for path in components {
        let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a plugin's file name is not UTF-8")?;
        let file = path.to_str().ok_or("the path of the plugins is not UTF-8")?;
        let digest = digest(&fs::read(&path).map_err(|error| format!("{file}: {error}"))?);
        writeln!(code, "    Standard {{ name: {name:?}, digest: {digest:?}, bytes: include_bytes!({file:?}) }},")?;
    }
    code.push_str("];\n");
    fs::write(out.join("standard_plugins.rs"), code)?;
    write_interfaces(&out)
}

/// What the component is known by: reckoned once here, not at each start.
fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The interfaces of the contract as components import them: `kiln:aws-ecr/ecr@0.1.0`.
fn write_interfaces(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = vec![PathBuf::from("../wit/stage.wit")];
    println!("cargo::rerun-if-changed=../wit");
    for package in fs::read_dir("../wit/deps")? {
        for file in fs::read_dir(package?.path())? {
            files.push(file?.path());
        }
    }
    files.sort();
    let mut code = String::from("pub(crate) static INTERFACES: &[&str] = &[\n");
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let package = text.lines().find_map(|line| line.strip_prefix("package ")?.trim().strip_suffix(';'));
        let package = package.and_then(|package| package.split_once('@'));
        let (package, version) = package.ok_or_else(|| format!("{} has no package with a version", file.display()))?;
        for interface in text.lines().filter_map(|line| line.strip_prefix("interface ")?.trim().strip_suffix('{')) {
            writeln!(code, "    \"{package}/{}@{version}\",", interface.trim())?;
        }
    }
    code.push_str("];\n");
    fs::write(out.join("interfaces.rs"), code)?;
    Ok(())
}
