//! What plugins said of themselves, kept beside their compiled code: to ask one means to load it, and whoever checks a
//! pipeline needs no more than the answer.
//!
//! The main type is [`Notes`]. Like the compiled code itself, a note is only as good as the directory that it lies in is
//! private.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::cache::{CacheDir, is_private};
use super::component::Description;
use crate::files;
use crate::types::Digest;

/// No note is longer: two schemas, and what a plugin asks for.
const LONGEST: u64 = 4 << 20;

/// Notes of one engine of one build of kiln.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    directory: PathBuf,
    /// Changes with whatever could make a plugin's description another, or its check.
    maker: String,
}

/// What is known of a component without loading it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) description: Description,
    pub(super) imports: Vec<String>,
}

impl Notes {
    /// Notes under `cache`. None where this build of kiln cannot be told from another.
    pub(super) fn new(cache: &CacheDir, engine: &str) -> Option<Self> {
        let program = fs::metadata(std::env::current_exe().ok()?).ok()?;
        let built = program.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let maker = format!("{} {built} {} {engine}", env!("CARGO_PKG_VERSION"), program.len());
        Some(Self { directory: cache.descriptions(), maker })
    }

    /// What was noted of the component of a digest. What cannot be read was never written; what others could have written, while the
    /// directory was theirs to write to, is not believed.
    pub(super) fn read(&self, component: &Digest) -> Option<Note> {
        let path = self.path(component);
        let found = fs::symlink_metadata(&path).ok().filter(is_private)?;
        if !found.is_file() {
            return None;
        }
        serde_json::from_slice(&files::read(&path, LONGEST).ok()?).ok()
    }

    /// Note it. A note that cannot be written costs time, and nothing else.
    pub(super) fn write(&self, component: &Digest, note: &Note) {
        let path = self.path(component);
        // By a rename, so that nobody reads half of it.
        let partial = path.with_extension(format!("{}.partial", uuid::Uuid::new_v4().simple()));
        let written = serde_json::to_vec(note).is_ok_and(|text| {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
            file.is_ok_and(|mut file| file.write_all(&text).is_ok()) && fs::rename(&partial, &path).is_ok()
        });
        if !written {
            // It may not be there at all.
            let _ = fs::remove_file(&partial);
        }
    }

    fn path(&self, component: &Digest) -> PathBuf {
        let key = Digest::of(format!("{} {component}", self.maker).as_bytes());
        self.directory.join(key.as_str().trim_start_matches("sha256:")).with_extension("json")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn note() -> Note {
        let description = Description {
            name: "probe".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Tests".to_owned(),
            config_schema: serde_json::json!({ "type": "object", "b": 1, "a": 2 }),
            output_schema: serde_json::json!({ "type": "object" }),
            permissions: Vec::new(),
            undoable: true,
            checks: true,
        };
        Note { description, imports: vec!["kiln:stage/timer@0.1.0".to_owned()] }
    }

    #[test]
    fn what_was_noted_is_read_by_the_same_engine_alone() {
        let cache = tempfile::tempdir().unwrap();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let cache = CacheDir::open(cache.path()).unwrap();
        let notes = Notes::new(&cache, "engine").unwrap();
        assert!(notes.read(&one).is_none());
        notes.write(&one, &note());
        let read = notes.read(&one).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&note()).unwrap());
        assert!(notes.read(&other).is_none());
        assert!(Notes::new(&cache, "another engine").unwrap().read(&one).is_none());
    }

    #[test]
    fn a_note_that_others_could_have_written_is_none() {
        let cache = tempfile::tempdir().unwrap();
        let notes = Notes::new(&CacheDir::open(cache.path()).unwrap(), "engine").unwrap();
        let component = Digest::of(b"one");
        notes.write(&component, &note());
        let path = notes.path(&component);
        for (mode, believed) in [(0o600, true), (0o644, true), (0o664, false), (0o666, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(notes.read(&component).is_some(), believed, "{mode:o}");
        }
        let elsewhere = cache.path().join("elsewhere");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(notes.read(&component).is_none(), "a link");
        notes.write(&component, &note());
        assert!(notes.read(&component).is_some(), "it is written anew");
    }

    #[test]
    fn a_damaged_note_is_none() {
        let cache = tempfile::tempdir().unwrap();
        let notes = Notes::new(&CacheDir::open(cache.path()).unwrap(), "engine").unwrap();
        let component = Digest::of(b"one");
        notes.write(&component, &note());
        let path = notes.path(&component);
        let text = fs::read(&path).unwrap();
        fs::write(&path, text.get(..text.len() / 2).unwrap()).unwrap();
        assert!(notes.read(&component).is_none());
    }
}
