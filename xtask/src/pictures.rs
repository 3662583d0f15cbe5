//! The pictures of the README: a run and its page, drawn from a rehearsal of the demo's pipeline.
//! The main functions are [`draw`], which writes them, and [`stale`], which says what is not as it would be drawn.
//!
//! A rehearsal is the same each time, and so is what is drawn of it: the pictures are text that is checked in, and a test draws them again.

mod drawing;
mod page;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::Terminal;
use drawing::{DARK, LIGHT};

/// What is drawn, as a person would type it.
const REHEARSAL: [&str; 4] =
    ["rehearse", "pipelines/web-service.toml", "--input", "commit=2a0988aa0e6d3b16f8883f8fc9e84cf9a38f0b7f"];

/// Where the pictures are.
pub(crate) fn directory(layout: &Layout) -> PathBuf {
    layout.root.join("docs/pictures")
}

/// Draw them into `directory`.
pub(crate) fn draw(layout: &Layout, terminal: &Terminal, directory: &Path) -> Result<(), TaskError> {
    terminal.heading("pictures: rehearse the demo's pipeline, and draw what it says");
    fs::create_dir_all(directory).map_err(TaskError::file("make", directory))?;
    for (name, content) in drawn(layout)? {
        let path = directory.join(name);
        fs::write(&path, content).map_err(TaskError::file("write", &path))?;
        terminal.line(path.display());
    }
    Ok(())
}

/// The names of the pictures that are not as they would be drawn.
pub(crate) fn stale(layout: &Layout) -> Result<Vec<&'static str>, TaskError> {
    let directory = directory(layout);
    let is_stale = |(name, content): (&'static str, String)| {
        (fs::read_to_string(directory.join(name)).ok() != Some(content)).then_some(name)
    };
    Ok(drawn(layout)?.into_iter().filter_map(is_stale).collect())
}

/// The pictures, and the text that they are drawn from.
fn drawn(layout: &Layout) -> Result<Vec<(&'static str, String)>, TaskError> {
    let said = said(layout, "plain")?;
    let events = said_events(&said_as_json(layout)?)?;
    let lines = terminal::folded(&said);
    let typed = format!("$ kiln {}", REHEARSAL.join(" "));
    Ok(vec![
        ("run-light.svg", terminal::picture(&typed, &lines, &LIGHT)),
        ("run-dark.svg", terminal::picture(&typed, &lines, &DARK)),
        ("page-light.svg", page::picture(&events, &LIGHT)?),
        ("page-dark.svg", page::picture(&events, &DARK)?),
        ("run.txt", said),
    ])
}

fn said_as_json(layout: &Layout) -> Result<String, TaskError> {
    said(layout, "json")
}

fn said_events(said: &str) -> Result<Vec<serde_json::Value>, TaskError> {
    let odd =
        |error| TaskError::other(format!("an event of the rehearsal is no JSON: {error}"), "this is a defect of kiln");
    said.lines().map(|line| serde_json::from_str(line).map_err(odd)).collect()
}

/// What the rehearsal writes, with nothing of the caller's environment.
fn said(layout: &Layout, output: &str) -> Result<String, TaskError> {
    let binary = std::env::var_os("KILN_BIN").map_or_else(|| layout.kiln(), PathBuf::from);
    let mut command = Command::new(&binary);
    command.current_dir(&layout.root).args(REHEARSAL).args(["--output", output]);
    command.env_clear().env("LANG", "C.UTF-8").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("KILN_CACHE_DIR", layout.target.join("debug/test-components")).stdin(Stdio::null());
    let ended = command.output().map_err(|source| TaskError::Start {
        program: binary.display().to_string(),
        help: "build it first: cargo build --workspace --all-targets".to_owned(),
        source,
    })?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        return Err(TaskError::other(
            format!("the rehearsal ended with {}: {words}", ended.status),
            "see what it says",
        ));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_are_what_a_rehearsal_draws_today() {
        let stale = stale(&Layout::find().unwrap()).unwrap();
        assert_eq!(stale, Vec::<&str>::new(), "draw them anew: cargo xtask pictures, and look at the difference");
    }

    #[test]
    fn a_picture_is_drawn_the_same_each_time_and_differs_from_another() {
        let layout = Layout::find().unwrap();
        let (one, other) = (drawn(&layout).unwrap(), drawn(&layout).unwrap());
        assert_eq!(one, other);
        let contents: std::collections::BTreeSet<&str> = one.iter().map(|(_, content)| content.as_str()).collect();
        assert_eq!(contents.len(), 5);
    }

    #[test]
    fn a_picture_is_xml_that_loads_and_runs_nothing() {
        for (name, content) in drawn(&Layout::find().unwrap()).unwrap() {
            if !name.ends_with(".svg") {
                continue;
            }
            assert!(
                content.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && content.ends_with("</svg>\n"),
                "{name}"
            );
            for odd in ["<script", "<image", "href=", "url(", "@import", "<foreignObject"] {
                assert!(!content.contains(odd), "{odd} in {name}");
            }
            // Each element that is opened is closed; text holds none.
            let opened = content.matches("<text").count();
            assert!(opened > 10 && opened == content.matches("</text>").count(), "{name}");
            assert!(!content.contains(" & "), "{name}");
        }
    }
}
