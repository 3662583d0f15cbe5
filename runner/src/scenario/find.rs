//! The scenarios beside a pipeline.
//!
//! The main function is [`find`].

use std::io;
use std::path::{Path, PathBuf};

/// Where the scenarios of a pipeline are kept unless told: `web.scenarios/` beside `web.toml`.
pub fn default_directory(pipeline: &Path) -> PathBuf {
    beside(pipeline, "scenarios")
}

/// A file or directory beside `pipeline`, of its name and another ending.
pub(super) fn beside(pipeline: &Path, ending: &str) -> PathBuf {
    let stem = pipeline.file_stem().unwrap_or_default().to_string_lossy();
    pipeline.with_file_name(format!("{stem}.{ending}"))
}

/// The scenario files of a directory, by name. Those whose names do not contain `filter` are left out.
///
/// # Errors
/// The directory cannot be read.
pub fn find(directory: &Path, filter: Option<&str>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_scenario = path.extension().is_some_and(|ending| ending == "toml") && path.is_file();
        if is_scenario && filter.is_none_or(|filter| name(&path).contains(filter)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A scenario's name: its file's, without the ending.
pub(super) fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
