//! The browser that the tests look at pages with: a Chromium.
//! The main function is [`ensure`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::TaskError;
use crate::step::{Terminal, succeed};

/// What Chromium is called by those who package it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What `KILN_BROWSER` shall be: as it is set already, or the installed Chromium, which is installed where that can be done.
pub(crate) fn ensure(terminal: &Terminal) -> Result<OsString, TaskError> {
    terminal.heading("browser: Chromium");
    if let Some(chosen) = std::env::var_os("KILN_BROWSER").filter(|chosen| !chosen.is_empty()) {
        if chosen == "skip" {
            terminal.line("KILN_BROWSER=skip: NO PAGE IS LOOKED AT, the tests that need a browser do nothing");
        }
        return Ok(chosen);
    }
    if let Some(browser) = installed() {
        terminal.line(browser.display());
        return Ok(browser.into());
    }
    if is_root() && on_path("apt-get").is_some() {
        terminal.line("not installed: apt-get install chromium");
        let help = "install Chromium yourself, or set KILN_BROWSER=skip";
        succeed(&mut apt_get(&["update"]), help)?;
        succeed(&mut apt_get(&["install", "--yes", "--no-install-recommends", "chromium", "fonts-liberation"]), help)?;
    }
    installed().map(OsString::from).ok_or_else(|| {
        TaskError::other(
            "there is no Chromium, and this task cannot install one here",
            "install it (Debian: apt-get install chromium), name it in KILN_BROWSER, or set KILN_BROWSER=skip to leave out \
             the tests that need it",
        )
    })
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    asked.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn installed() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}
