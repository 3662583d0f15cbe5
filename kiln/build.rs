//! Puts the code of the standard plugins into the binary: what `kiln-precompile` wrote to `target/code`.
//!
//! It never compiles a component. Where there is no code yet, the binary carries none, and compiles its plugins when it needs them.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
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

/// The root of the target directory, wherever it is: cargo marks it with `CACHEDIR.TAG`.
fn target_directory(out: &Path) -> Result<PathBuf, String> {
    out.ancestors()
        .find(|ancestor| ancestor.join("CACHEDIR.TAG").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("none of the directories above {} is a cargo target directory", out.display()))
}
