//! Files beside a pipeline: within its directory, and by no link.
//!
//! The main function is [`read_beside`]. A pipeline may come from somebody who must not read this machine's other files by it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::read::{ReadError, name_of};

/// Why a file beside a pipeline was not read.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// The path leads elsewhere, or says in a roundabout way where it leads.
    #[error("it is no path within the pipeline's directory: {0}")]
    Outside(&'static str),
    /// A part of the path is a symbolic link.
    #[error("{0} is a symbolic link, and kiln follows none from a pipeline")]
    Link(String),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BesideError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Outside(_) => {
                Some("put the file into the pipeline's directory, or one below it, and name it from there")
            }
            Self::Link(_) => Some("put the file itself there"),
            Self::Read(error) => error.help(),
        }
    }
}

/// The content of a regular file of at most `limit` bytes that `path` names from `directory`.
///
/// # Errors
/// The path is none within the directory, it goes by a link, or there is no such file.
pub fn read_beside(directory: &Path, path: &str, limit: u64) -> Result<Vec<u8>, BesideError> {
    let parts = parts(path)?;
    let io = |errno: Errno| BesideError::Read(ReadError::Io(io::Error::from(errno)));
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let common = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // The pipeline's own directory may be named by a link: whoever calls kiln names it.
    let mut at =
        openat(CWD, directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(io)?;
    let (last, above) = parts.split_last().ok_or(BesideError::Outside("it is empty"))?;
    let opened = |error: Errno, part: &str| match error {
        // With `NOFOLLOW` a link is one of these, with `DIRECTORY` the other.
        Errno::LOOP | Errno::NOTDIR if is_link(directory, path, part) => BesideError::Link(part.to_owned()),
        error => io(error),
    };
    for part in above {
        let flags = common | OFlags::RDONLY | OFlags::DIRECTORY;
        at = openat(&at, *part, flags, Mode::empty()).map_err(|error| opened(error, part))?;
    }
    // A FIFO must not be waited for, and no terminal becomes this process's own.
    let flags = common | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(&at, *last, flags, Mode::empty()).map_err(|error| opened(error, last))?);
    if let Some(name) = name_of(file.metadata().map_err(ReadError::Io)?.file_type()) {
        return Err(ReadError::NotRegular(name).into());
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    match bytes.len() as u64 > limit {
        true => Err(ReadError::TooLarge(limit).into()),
        false => Ok(bytes),
    }
}

/// The parts of a path that stays where it begins.
fn parts(path: &str) -> Result<Vec<&str>, BesideError> {
    if path.contains('\0') {
        return Err(BesideError::Outside("it has a byte that no path has"));
    }
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            Component::ParentDir => return Err(BesideError::Outside("`..` leads out of a directory")),
            Component::RootDir | Component::Prefix(_) => return Err(BesideError::Outside("it begins at the root")),
        }
    }
    if parts.is_empty() { Err(BesideError::Outside("it is empty")) } else { Ok(parts) }
}

/// Whether the first part of this name on the way is a link: only the message depends on it.
fn is_link(directory: &Path, path: &str, part: &str) -> bool {
    let mut at = directory.to_owned();
    for component in Path::new(path).components() {
        at.push(component);
        if component.as_os_str() == part {
            return std::fs::symlink_metadata(&at).is_ok_and(|found| found.is_symlink());
        }
    }
    false
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn told(directory: &Path, path: &str) -> String {
        read_beside(directory, path, 10).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_within_the_directory_alone_and_by_no_link() {
        let all = tempfile::tempdir().unwrap();
        let directory = all.path().join("pipelines");
        fs::create_dir_all(directory.join("templates")).unwrap();
        fs::write(all.path().join("secret"), "secret").unwrap();
        fs::write(directory.join("templates/web.yaml"), "a: 1").unwrap();
        for path in ["templates/web.yaml", "./templates/web.yaml", "templates//web.yaml"] {
            assert_eq!(read_beside(&directory, path, 4).unwrap(), b"a: 1", "{path}");
        }
        assert_eq!(
            read_beside(&directory, "templates/web.yaml", 3).unwrap_err().help(),
            Some("it may be another file than you mean")
        );
        assert!(told(&directory, "../secret").contains("`..`"));
        assert!(told(&directory, "templates/../../secret").contains("`..`"));
        assert!(told(&directory, "/etc/hostname").contains("root"));
        assert!(told(&directory, "").contains("empty") && told(&directory, "a\0b").contains("byte"));
        symlink("../secret", directory.join("link")).unwrap();
        symlink("..", directory.join("up")).unwrap();
        assert_eq!(told(&directory, "link"), "link is a symbolic link, and kiln follows none from a pipeline");
        assert_eq!(told(&directory, "up/secret"), "up is a symbolic link, and kiln follows none from a pipeline");
        assert!(told(&directory, "templates").contains("a directory"));
        assert!(told(&directory, "none").contains("No such file"));
        assert!(told(&directory, "templates/web.yaml/x").contains("Not a directory"));
    }
}
