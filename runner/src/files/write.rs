//! Writing files that somebody names: a new one, or in the place of a regular one that may be written and that nobody needs.
//!
//! The main type is [`Destination`]. A file is replaced by a rename, so that it is there as it was or as it shall be. What a rename
//! would not write into but put away (a device, a FIFO, a link, a file that is protected, an input of the run) is refused.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::read::name_of;

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something else than a file is there.
    #[error("it is {0}; only a regular file is replaced, or a new one made")]
    NotRegular(&'static str),
    /// A link is there.
    #[error("it is a symbolic link to {}, and would be a file afterwards", .0.display())]
    Link(PathBuf),
    /// The file there may not be written.
    #[error("it is write-protected (mode {0:03o})")]
    Protected(u32),
    /// The file there is needed.
    #[error("it is {0}")]
    Needed(String),
    /// It would lie among files that are another's.
    #[error("it lies in {what}, {}", directory.display())]
    Inside {
        /// Among whose.
        what: &'static str,
        /// Where they lie.
        directory: PathBuf,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl WriteError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotRegular("a directory") => "name a file in it",
            Self::NotRegular(_) | Self::Needed(_) | Self::Inside { .. } => "name another file",
            Self::Link(_) => "name the file that it leads to, or another",
            Self::Protected(_) => "name another file, or let yourself write this one",
            Self::Io(_) => "name a file in a directory that exists and can be written to",
        }
    }
}

/// What must stay as it is whatever a command writes: what it reads, and where kiln keeps its own.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    files: Vec<(String, PathBuf)>,
    directories: Vec<(&'static str, PathBuf)>,
}

impl Kept {
    /// And this file; `what` says what it is: `the pipeline file`.
    pub fn file(mut self, what: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.files.push((what.into(), path.into()));
        self
    }

    /// And all that is in this directory, now or later.
    pub fn directory(mut self, what: &'static str, path: impl Into<PathBuf>) -> Self {
        self.directories.push((what, path.into()));
        self
    }

    /// Refuse a file that is one of these, by whatever name.
    fn check_file(&self, found: &Metadata) -> Result<(), WriteError> {
        let is = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|kept| (kept.dev(), kept.ino()) == (found.dev(), found.ino()))
        };
        match self.files.iter().find(|(_, path)| is(path)) {
            Some((what, _)) => Err(WriteError::Needed(what.clone())),
            None => Ok(()),
        }
    }

    /// Refuse a place in one of these directories, also in one that is not there yet.
    fn check_place(&self, path: &Path) -> Result<(), WriteError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (real, named) = (fs::canonicalize(parent).ok(), std::path::absolute(path).ok());
        let within = |directory: &PathBuf| {
            let real = real.as_ref().zip(fs::canonicalize(directory).ok());
            let named = named.as_ref().zip(std::path::absolute(directory).ok());
            real.is_some_and(|(path, directory)| path.starts_with(directory))
                || named.is_some_and(|(path, directory)| path.starts_with(directory))
        };
        match self.directories.iter().find(|(_, directory)| within(directory)) {
            Some((what, directory)) => Err(WriteError::Inside { what, directory: directory.clone() }),
            None => Ok(()),
        }
    }
}

/// A file that will be written.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    kept: Kept,
}

impl Destination {
    /// The file `path`, which must be none of `kept`. Fails at once where it could not be written, so that nobody learns of it after
    /// an hour's work.
    ///
    /// # Errors
    /// What is there may not be replaced, or nothing can be written there.
    pub fn new(path: impl Into<PathBuf>, kept: Kept) -> Result<Self, WriteError> {
        let destination = Self { path: path.into(), kept };
        destination.check()?;
        let (partial, _) = partial(&destination.path)?;
        fs::remove_file(partial)?;
        Ok(destination)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write it, as a whole. It may be written again.
    ///
    /// # Errors
    /// As [`new`](Self::new): what is there may have become another thing since. What was there before stays.
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let before = self.check()?;
        let (partial, mut file) = partial(&self.path)?;
        let written = file.write_all(bytes).and_then(|()| {
            // What was for few to read stays so.
            before.map_or(Ok(()), |before| file.set_permissions(before))?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        });
        Ok(written.inspect_err(|_| {
            // What cannot be removed cannot be helped: the error that is told is the first.
            let _ = fs::remove_file(&partial);
        })?)
    }

    /// That what is there may be replaced. Answers who may do what with it.
    fn check(&self) -> Result<Option<Permissions>, WriteError> {
        let path = &self.path;
        if path.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it names no file").into());
        }
        let before = match fs::symlink_metadata(path) {
            Ok(found) => Some(self.check_found(&found)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        self.kept.check_place(path)?;
        Ok(before)
    }

    fn check_found(&self, found: &Metadata) -> Result<Permissions, WriteError> {
        if found.is_symlink() {
            return Err(WriteError::Link(fs::read_link(&self.path)?));
        }
        if let Some(name) = name_of(found.file_type()) {
            return Err(WriteError::NotRegular(name));
        }
        self.kept.check_file(found)?;
        let mode = found.permissions().mode() & 0o777;
        // Whoever may write everything (root) still finds files that somebody has protected.
        if mode & 0o222 == 0 || access(&self.path, Access::WRITE_OK).is_err() {
            return Err(WriteError::Protected(mode));
        }
        Ok(Permissions::from_mode(mode))
    }
}

/// A new file beside the one that is meant: renaming is atomic only within a file system, and a name that nobody can foresee cannot
/// be a link that somebody else put there.
fn partial(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", uuid::Uuid::new_v4().simple()));
    let partial = path.with_file_name(name);
    let file = File::create_new(&partial)?;
    Ok((partial, file))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What is said of a file in `dir`, before and at writing, and that nothing in `dir` changed.
    #[track_caller]
    fn refused(dir: &Path, name: &str, kept: &Kept) -> String {
        let before = (names(dir), fs::symlink_metadata(dir.join(name)).ok().map(|found| found.ino()));
        let early = Destination::new(dir.join(name), kept.clone()).unwrap_err().to_string();
        let late = Destination { path: dir.join(name), kept: kept.clone() }.write(b"new").unwrap_err().to_string();
        assert_eq!(early, late);
        assert_eq!(before, (names(dir), fs::symlink_metadata(dir.join(name)).ok().map(|found| found.ino())));
        early
    }

    #[test]
    fn a_new_file_and_a_regular_one_are_written_and_nothing_is_left_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let destination = Destination::new(&path, Kept::default()).unwrap();
        assert!(names(dir.path()).is_empty(), "nothing is there before it is written");
        destination.write(b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        destination.write(b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"two".to_vec(), vec!["out".to_owned()]));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640, "readable by whom it was");
    }

    #[test]
    fn what_is_no_regular_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, none) = (dir.path(), Kept::default());
        mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(dir.join("socket")).unwrap();
        fs::create_dir(dir.join("dir")).unwrap();
        fs::write(dir.join("file"), "old").unwrap();
        symlink("file", dir.join("link")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        let of = |what: &str| format!("it is {what}; only a regular file is replaced, or a new one made");
        assert_eq!(refused(dir, "fifo", &none), of("a pipe (FIFO)"));
        assert_eq!(refused(dir, "socket", &none), of("a socket"));
        assert_eq!(refused(dir, "dir", &none), of("a directory"));
        assert_eq!(refused(dir, "link", &none), "it is a symbolic link to file, and would be a file afterwards");
        assert_eq!(refused(dir, "dangling", &none), "it is a symbolic link to nowhere, and would be a file afterwards");
        assert_eq!(fs::read(dir.join("file")).unwrap(), b"old");
    }

    #[test]
    fn what_is_protected_or_needed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, none) = (dir.path(), Kept::default());
        fs::write(dir.join("file"), "old").unwrap();
        fs::set_permissions(dir.join("file"), Permissions::from_mode(0o444)).unwrap();
        assert_eq!(refused(dir, "file", &none), "it is write-protected (mode 444)");
        fs::set_permissions(dir.join("file"), Permissions::from_mode(0o644)).unwrap();
        symlink("file", dir.join("by-another-name")).unwrap();
        let kept = Kept::default().file("the pipeline file", dir.join("by-another-name"));
        assert_eq!(refused(dir, "file", &kept), "it is the pipeline file");

        fs::create_dir(dir.join("state")).unwrap();
        symlink("state", dir.join("other")).unwrap();
        let kept = Kept::default().directory("the state directory", dir.join("state"));
        assert!(refused(dir, "state/new", &kept).starts_with("it lies in the state directory"));
        assert!(refused(dir, "other/new", &kept).starts_with("it lies in the state directory"));
        let kept = Kept::default().directory("the state directory", dir.join("not-yet"));
        assert!(refused(dir, "not-yet", &kept).starts_with("it lies in the state directory"));
        Destination::new(dir.join("not-yet-either"), kept).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_it_is_told_before() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Destination::new(dir.path().join("missing/out"), Kept::default()), Err(WriteError::Io(_))));
        assert!(Destination::new("/", Kept::default()).is_err());
        assert!(Destination::new("..", Kept::default()).is_err());
        assert!(Destination::new("", Kept::default()).is_err());
    }

    #[test]
    fn what_has_become_another_thing_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let destination = Destination::new(&path, Kept::default()).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(matches!(destination.write(b"new"), Err(WriteError::Link(_))));
        assert_eq!(names(dir.path()), ["out"]);
    }
}
