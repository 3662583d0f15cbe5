//! The directories that a run keeps things in. They are only looked at: what is missing stays missing.
//!
//! The main functions are [`state`] and [`cache`].

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::geteuid;

use crate::plugin::CacheDir;
use crate::report::health::Observation;

const STATE: &str = "state";
const CACHE: &str = "cache";

/// A run keeps a journal, its payloads and its plugins: some MiB.
const ENOUGH: u64 = 100 << 20;

/// Where journals are kept.
pub(super) fn state(path: &Path) -> Observation {
    let shown = path.display();
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return missing_state(path);
        }
        Err(error) => {
            return Observation::problem(
                STATE,
                format!("{shown} cannot be looked at: {error}"),
                "name another by --state-dir",
            );
        }
    };
    if !found.is_dir() {
        return Observation::problem(STATE, format!("{shown} is no directory"), "name another by --state-dir");
    }
    if let Err(error) = writable(path) {
        return Observation::problem(
            STATE,
            format!("{shown} cannot be written to: {error}"),
            "let its owner run kiln, or name another by --state-dir",
        );
    }
    let runs = fs::read_dir(path.join("runs")).map(Iterator::count).unwrap_or_default();
    let what = format!("{shown}, with {runs} run{}", if runs == 1 { "" } else { "s" });
    let observation = match oddity(&found) {
        Some((odd, advice)) => Observation::warning(STATE, format!("{what}; {odd}"), advice),
        None => Observation::ok(STATE, what),
    };
    with_space(observation, path).fact("path", shown.to_string()).fact("exists", true).fact("runs", runs)
}

/// The first run makes it, where that can be done.
fn missing_state(path: &Path) -> Observation {
    let above = existing(path);
    let (shown, found) = (path.display(), fs::metadata(&above));
    let observation = match (found, writable(&above)) {
        (Ok(found), Ok(())) if found.is_dir() => {
            with_space(Observation::ok(STATE, format!("{shown} is not there yet: a run makes it")), &above)
        }
        (Ok(found), _) if !found.is_dir() => Observation::problem(
            STATE,
            format!("{shown} cannot be made: {} is no directory", above.display()),
            "name another by --state-dir",
        ),
        (Err(error), _) | (Ok(_), Err(error)) => Observation::problem(
            STATE,
            format!("{shown} cannot be made in {}: {error}", above.display()),
            "run kiln where it may write, or name another by --state-dir",
        ),
        (Ok(_), Ok(())) => Observation::ok(STATE, format!("{shown} is not there yet: a run makes it")),
    };
    observation.fact("path", shown.to_string()).fact("exists", false)
}

/// What is odd about who may write to a directory, and what to do.
fn oddity(found: &Metadata) -> Option<(String, &'static str)> {
    let (own, mode) = (geteuid().as_raw(), found.mode() & 0o777);
    if found.uid() != own && own != 0 {
        return Some((
            format!("it belongs to the user {}", found.uid()),
            "let one user run kiln here, or name another by --state-dir",
        ));
    }
    (mode & 0o002 != 0).then(|| {
        (
            format!("everybody may write to it (mode {mode:03o})"),
            "`chmod o-w` it: whoever writes there decides what a resumed run does",
        )
    })
}

/// With the room that there is.
fn with_space(observation: Observation, path: &Path) -> Observation {
    let Ok(volume) = statvfs(path) else { return observation };
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let says = format!("{}; {} free", observation.says, size(free));
    let observation = Observation { says, ..observation };
    let observation = match free < ENOUGH {
        true => Observation {
            health: observation.health.max(crate::report::health::Health::Warning),
            advice: Some("make room: a run that cannot write its journal ends".to_owned()),
            ..observation
        },
        false => observation,
    };
    observation.fact("free-bytes", free)
}

/// A number of bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 10 << 30 => format!("{} GiB", bytes >> 30),
        bytes if bytes >= 10 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

/// Where compiled plugins are cached.
pub(super) fn cache(path: Option<&Path>) -> Observation {
    let Some(path) = path else {
        return Observation::warning(
            CACHE,
            "none: this user has no home directory, so each process compiles the plugins that the binary does not carry",
            "name one by --cache-dir or KILN_CACHE_DIR, where nobody else may write",
        );
    };
    let shown = path.display();
    let is_there = |part: &str| fs::symlink_metadata(path.join(part)).is_ok_and(|found| found.is_dir());
    let observation = if fs::symlink_metadata(path).is_err() {
        let above = existing(path);
        match writable(&above) {
            Ok(()) => Observation::ok(CACHE, format!("{shown} is not there yet: it is made when a plugin is compiled")),
            Err(error) => Observation::warning(
                CACHE,
                format!(
                    "{shown} cannot be made in {}: {error}; each process compiles the plugins that the binary does not carry",
                    above.display()
                ),
                "name another by --cache-dir",
            ),
        }
    } else if is_there("code") && is_there("descriptions") {
        // Where both are there, opening it makes nothing.
        match CacheDir::open(path) {
            Ok(_) => Observation::ok(CACHE, format!("{shown}, private")),
            Err(error) => Observation::warning(CACHE, format!("it is not used: {error}"), error.help()),
        }
    } else if !path.is_dir() {
        Observation::warning(CACHE, format!("it is not used: {shown} is no directory"), "name another by --cache-dir")
    } else {
        Observation::ok(CACHE, format!("{shown} holds nothing yet"))
    };
    observation.fact("path", shown.to_string())
}

/// The closest directory above `path` that is there.
fn existing(path: &Path) -> PathBuf {
    let there = |above: &&Path| fs::symlink_metadata(above).is_ok();
    path.ancestors().skip(1).find(there).unwrap_or(Path::new("/")).to_owned()
}

/// Whether this user may make something in a directory.
fn writable(directory: &Path) -> io::Result<()> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::report::health::Health;

    #[test]
    fn what_is_missing_is_told_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one/two/.kiln");
        let found = state(&path);
        assert!(
            found.health == Health::Ok && found.says.contains("not there yet") && found.says.contains(" free"),
            "{found:?}"
        );
        assert_eq!(cache(Some(&path)).health, Health::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(dir.path().join("one"), "").unwrap();
        let found = state(&path);
        assert!(found.health == Health::Problem && found.says.contains("one is no directory"), "{found:?}");
        assert_eq!(state(&dir.path().join("one")).health, Health::Problem);
        assert_eq!(cache(Some(&dir.path().join("one"))).health, Health::Warning);
        assert_eq!(cache(None).health, Health::Warning);
    }

    #[test]
    fn a_directory_that_everybody_may_write_to_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("runs/a")).unwrap();
        let found = state(dir.path());
        assert!(found.health == Health::Ok && found.says.contains("with 1 run;"), "{found:?}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let found = state(dir.path());
        assert!(found.health == Health::Warning && found.says.contains("(mode 777)"), "{found:?}");
    }

    #[test]
    fn a_cache_is_looked_at_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(cache(Some(dir.path())).says.contains("holds nothing yet"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it was not made");
        CacheDir::open(dir.path()).unwrap();
        assert!(cache(Some(dir.path())).says.ends_with(", private"));
        fs::set_permissions(dir.path().join("code"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let found = cache(Some(dir.path()));
        assert!(found.health == Health::Warning && found.advice.is_some(), "{found:?}");
    }

    #[test]
    fn sizes_are_told_by_the_unit_that_fits() {
        assert_eq!([size(512), size(20 << 20), size(40 << 30)], ["0 KiB", "20 MiB", "40 GiB"].map(str::to_owned));
    }
}
