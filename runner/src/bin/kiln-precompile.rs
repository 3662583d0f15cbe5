//! Compiles components for the binary that carries them: `kiln-precompile COMPONENTS OUT [CACHE]`.
//!
//! A step of the build between two: this program is built, it compiles what is in `COMPONENTS`, and the package `kiln` is built with
//! what it wrote to `OUT`. So it is the same host, with the same settings of the same compiler, that makes the code and that uses it.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kiln_runner::plugin::{CacheDir, Precompiler};

#[expect(clippy::print_stderr, reason = "whoever builds kiln reads why that failed")]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let done = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(components), Some(out), cache) => precompile(&components, &out, cache.as_deref()),
        _ => Err("it takes a directory of components, one to write to, and perhaps one for a cache".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kiln-precompile: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compile all components; what is there already and would be the same is not touched, so that nothing is built in vain.
fn precompile(components: &Path, out: &Path, cache: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    fs::create_dir_all(out).map_err(at(out))?;
    // Where that is no directory for a cache, compiling takes seconds more.
    let cache = cache.and_then(|path| CacheDir::open(path).ok());
    let precompiler = Precompiler::new(cache.as_ref())?;
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(components).map_err(at(components))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let made = precompiler.precompile(&name, &fs::read(&path).map_err(at(&path))?)?;
        let stem = made.digest.as_str().trim_start_matches("sha256:").to_owned();
        for (ending, content) in [("json", &made.note), ("code", &made.code)] {
            let file = OsString::from(format!("{stem}.{ending}"));
            let path = out.join(&file);
            if fs::read(&path).ok().as_ref() != Some(content) {
                fs::write(&path, content).map_err(at(&path))?;
            }
            written.insert(file);
        }
    }
    for entry in fs::read_dir(out).map_err(at(out))? {
        let entry = entry?;
        if !written.contains(&entry.file_name()) {
            fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}
