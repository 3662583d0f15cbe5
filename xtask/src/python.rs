//! The Python environment of the tests: boto3, the AWS CLI, moto, taplo and the linters of templates, at fixed versions, in `.venv`.
//! The main function is [`ensure`].

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, succeed};

/// Make the environment where it is missing or out of date. Answers its interpreter.
pub(crate) fn ensure(layout: &Layout, terminal: &Terminal) -> Result<PathBuf, TaskError> {
    terminal.heading("python: boto3, AWS CLI, moto, taplo and cfn-lint in .venv");
    let environment = layout.root.join(".venv");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let requirements = layout.root.join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(TaskError::file("read", &requirements))?;

    // What was installed last. Written only after pip succeeded, so that a broken environment is mended.
    let installed = environment.join("kiln-requirements.txt");
    if python.is_file() && fs::read_to_string(&installed).is_ok_and(|before| before == wanted) {
        terminal.line("up to date");
        return Ok(python);
    }
    if !python.is_file() {
        let help = "install Python 3.10 or newer with its venv module";
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment), help)?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    succeed(Command::new(&python).args(pip).arg(&requirements), "remove .venv and run this again")?;
    fs::write(&installed, wanted).map_err(TaskError::file("write", &installed))?;
    Ok(python)
}
