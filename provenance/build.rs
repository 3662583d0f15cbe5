//! Finds out what is built, and hands it to the crate as environment variables.
//!
//! It runs again only when the commit changes, or what the binary is made of does: then the runner is built anew anyway.

#[path = "src/origin.rs"]
mod origin;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use origin::{MADE_OF, Origin};

fn main() -> Result<(), String> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let root = manifest.parent().ok_or("the crate lies in no workspace")?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/origin.rs");
    println!("cargo::rerun-if-changed=archived.txt");
    for variable in ["KILN_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let origin = Origin::find(root, |variable| env::var(variable).ok());
    for path in &origin.watched {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    if origin.by_git {
        for part in MADE_OF.iter().map(|part| root.join(part)).filter(|part| part.exists()) {
            println!("cargo::rerun-if-changed={}", part.display());
        }
    }
    tell("COMMIT", &origin.commit.unwrap_or_default());
    tell("CHANGED", if origin.changed { "true" } else { "" });
    tell("DATE", &origin.date.map(|seconds| seconds.to_string()).unwrap_or_default());
    tell("TARGET", &env::var("TARGET").unwrap_or_default());
    tell("PROFILE", &profile(env::var_os("OUT_DIR").as_deref().map(Path::new)).unwrap_or_default());
    tell("RUSTC", &rustc().unwrap_or_default());
    Ok(())
}

fn tell(name: &str, value: &str) {
    println!("cargo::rustc-env=KILN_PROVENANCE_{name}={value}");
}

/// The profile's own name: the directory of the target directory that `build/` is in. (`PROFILE` knows but two.)
fn profile(out: Option<&Path>) -> Option<String> {
    let build = out?.ancestors().find(|above| above.file_name().is_some_and(|name| name == "build"))?;
    Some(build.parent()?.file_name()?.to_str()?.to_owned())
}

fn rustc() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
