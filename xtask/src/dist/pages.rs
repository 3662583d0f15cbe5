//! The manual pages and the completion scripts of a binary, as it prints them itself.
//! The main function is [`write`].

use std::fs;
use std::path::Path;
use std::process::Command;

use super::write as write_file;
use crate::error::TaskError;

/// What each shell calls the file that it looks for.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "kiln.bash"),
    ("elvish", "kiln.elv"),
    ("fish", "kiln.fish"),
    ("powershell", "_kiln.ps1"),
    ("zsh", "_kiln"),
];

/// Write the pages to `out/man` and the scripts to `out/completions`. The binary is run for it.
pub(super) fn write(binary: &Path, out: &Path) -> Result<(), TaskError> {
    let (man, completions) = (out.join("man"), out.join("completions"));
    for directory in [&man, &completions] {
        fs::create_dir_all(directory).map_err(TaskError::file("make", directory))?;
    }
    let list = printed(binary, &["man", "--list"])?;
    for line in String::from_utf8_lossy(&list).lines() {
        let mut words = line.split_whitespace();
        let Some(page) = words.next() else { continue };
        let arguments: Vec<&str> = std::iter::once("man").chain(words).collect();
        write_file(&man.join(page), &printed(binary, &arguments)?)?;
    }
    for (shell, file) in COMPLETIONS {
        write_file(&completions.join(file), &printed(binary, &["completions", shell])?)?;
    }
    Ok(())
}

/// What the binary writes to its standard output.
fn printed(binary: &Path, arguments: &[&str]) -> Result<Vec<u8>, TaskError> {
    let mut command = Command::new(binary);
    let answered = command.args(arguments).env("AWS_EC2_METADATA_DISABLED", "true").output();
    let answered = answered.map_err(|source| TaskError::Start {
        program: binary.display().to_string(),
        help: "build for this machine's architecture: the binary prints its own pages".to_owned(),
        source,
    })?;
    if answered.status.success() && !answered.stdout.is_empty() {
        return Ok(answered.stdout);
    }
    let said = String::from_utf8_lossy(&answered.stderr);
    Err(TaskError::other(format!("kiln {} printed nothing: {said}", arguments.join(" ")), "run it by hand"))
}
