//! Reading files that somebody names: regular ones, and no more of them than there is room for.
//!
//! The main function is [`read`]. What is no regular file may never begin (a FIFO without a writer), never end (a device), do
//! something when it is opened, or be another thing when it is read again; a run that goes on reads again.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is something else than a file.
    #[error("it is {0}, and kiln reads regular files only")]
    NotRegular(&'static str),
    /// It is too large.
    #[error("it has more than {} KiB, which is the most that is read", .0 >> 10)]
    TooLarge(u64),
    /// It is no text.
    #[error("byte {0} of it is not UTF-8")]
    NotText(usize),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotRegular("a directory") => Some("name a file in it"),
            Self::NotRegular(_) => Some("write what it holds into a file first, and name that"),
            Self::TooLarge(_) => Some("it may be another file than you mean"),
            Self::NotText(_) => Some("save the file as UTF-8"),
            Self::Io(_) => None,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other @ (ReadError::NotRegular(_) | ReadError::TooLarge(_) | ReadError::NotText(_)) => Self::other(other),
        }
    }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// It is no regular file, it has more, or it cannot be read.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let bytes = read_at_most(path, limit.saturating_add(1))?;
    match bytes.len() as u64 > limit {
        true => Err(ReadError::TooLarge(limit)),
        false => Ok(bytes),
    }
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`read`]; and it is no text.
pub fn read_text(path: &Path, limit: u64) -> Result<String, ReadError> {
    String::from_utf8(read(path, limit)?).map_err(|error| ReadError::NotText(error.utf8_error().valid_up_to()))
}

/// The first `count` bytes of a regular file, for whoever says better what is wrong with a longer one.
///
/// # Errors
/// It is no regular file, or it cannot be read.
pub fn read_at_most(path: &Path, count: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    open(path)?.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A regular file, opened for reading.
///
/// # Errors
/// It is none, or it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<File, ReadError> {
    // Some things do something when they are opened.
    check(fs::metadata(path)?.file_type())?;
    // It may be another thing by now: a FIFO must not be waited for, and no terminal becomes this process's own.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(found: FileType) -> Result<(), ReadError> {
    match name_of(found) {
        None => Ok(()),
        Some(name) => Err(ReadError::NotRegular(name)),
    }
}

/// What it is, if it is no regular file.
pub(super) fn name_of(found: FileType) -> Option<&'static str> {
    let kinds = [
        (found.is_dir(), "a directory"),
        (found.is_symlink(), "a symbolic link"),
        (found.is_fifo(), "a pipe (FIFO)"),
        (found.is_socket(), "a socket"),
        (found.is_char_device(), "a device"),
        (found.is_block_device(), "a block device"),
        (!found.is_file(), "no regular file"),
    ];
    kinds.into_iter().find_map(|(is, name)| is.then_some(name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType as Node, Mode, mknodat};

    use super::*;

    /// What reading says, which must not take long.
    fn told(path: &Path) -> String {
        let (sender, said) = mpsc::channel();
        let path = path.to_owned();
        std::thread::spawn(move || {
            let said = read(&path, 4).map_or_else(|error| error.to_string(), |bytes| format!("{bytes:?}"));
            sender.send(said)
        });
        said.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn a_regular_file_is_read_also_by_a_link_and_no_more_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::write(&file, "four").unwrap();
        assert_eq!((read(&file, 4).unwrap(), read_text(&link, 4).unwrap()), (b"four".to_vec(), "four".to_owned()));
        assert!(matches!(read(&file, 3), Err(ReadError::TooLarge(3))));
        assert_eq!(read_at_most(&file, 3).unwrap(), b"fou");
        fs::write(&file, [b'a', 0xff]).unwrap();
        assert!(matches!(read_text(&file, 4), Err(ReadError::NotText(1))));
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mknodat(CWD, path("fifo"), Node::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("dir")).unwrap();
        std::os::unix::fs::symlink(path("fifo"), path("link")).unwrap();
        let refused = |name: &str| format!("it is {name}, and kiln reads regular files only");
        assert_eq!(told(&path("fifo")), refused("a pipe (FIFO)"));
        assert_eq!(told(&path("link")), refused("a pipe (FIFO)"));
        assert_eq!(told(&path("socket")), refused("a socket"));
        assert_eq!(told(&path("dir")), refused("a directory"));
        let missing = read(&path("missing"), 4).map_err(io::Error::from).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
