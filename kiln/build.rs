//! Puts into the binary what only its build knows: the code of the standard plugins, which `kiln-precompile` wrote to `target/code`, and
//! what is built.
//!
//! It never compiles a component. Where there is no code yet, the binary carries none, and compiles its plugins when it needs them.

#[path = "src/origin.rs"]
mod origin;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use origin::{MADE_OF, Origin};

#[path = "../runner/target_directory.rs"]
mod target_directory;

use target_directory::target_directory;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../runner/target_directory.rs");
    tell_origin()?;
    embed_code()
}

/// Of which commit it is, and for what. Told again only when the commit changes, or what the binary is made of does.
fn tell_origin() -> Result<(), Box<dyn Error>> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let root = manifest.parent().ok_or("the crate lies in no workspace")?;
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

fn embed_code() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=KILN_CODE_DIR");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?);
    let directory = match env::var_os("KILN_CODE_DIR") {
        Some(given) => PathBuf::from(given),
        None => target_directory(&out)?.join("code"),
    };
    // Cargo takes a path that does not exist for changed, each time.
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    println!("cargo::rerun-if-changed={}", directory.display());

    let mut codes: Vec<PathBuf> =
        fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Box<dyn Error>>>()?;
    codes.retain(|path| path.extension().is_some_and(|extension| extension == "code"));
    // So that the same code gives the same binary.
    codes.sort();

    let mut table = String::from("static CARRIED: &[Carried] = &[\n");
    for code in codes {
        let note = code.with_extension("json");
        println!("cargo::rerun-if-changed={}", code.display());
        println!("cargo::rerun-if-changed={}", note.display());
        let digest =
            code.file_stem().and_then(|stem| stem.to_str()).ok_or("the name of a file of code is not UTF-8")?;
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("the path of the code is not UTF-8");
        writeln!(
            table,
            "    Carried {{ digest: {:?}, note: include_bytes!({:?}), code: include_bytes!({:?}) }},",
            format!("sha256:{digest}"),
            text(&note)?,
            text(&code)?
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("embedded.rs"), table)?;
    Ok(())
}
