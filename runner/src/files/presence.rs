//! Whether an open file is still the one that its path leads to. What was unlinked or replaced can be written to without any error,
//! and nobody will ever read it.
//!
//! The main function is [`still_there`].

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What became of an open file, as the end of a sentence that begins with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// It has no name any more.
    #[error("was deleted")]
    Deleted,
    /// It has another name.
    #[error("was moved away")]
    Moved,
    /// Its name leads to another file.
    #[error("was replaced by another file")]
    Replaced,
    /// That cannot be told.
    #[error("cannot be looked at any more ({0})")]
    Unknown(String),
}

/// That `path` leads to `file`.
///
/// # Errors
/// It does not, or that cannot be told.
pub(crate) fn still_there(file: &File, path: &Path) -> Result<(), Gone> {
    let unknown = |error: io::Error| Gone::Unknown(error.to_string());
    let open = file.metadata().map_err(unknown)?;
    if open.nlink() == 0 {
        return Err(Gone::Deleted);
    }
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(Gone::Moved);
        }
        Err(error) => return Err(unknown(error)),
    };
    match (named.dev(), named.ino()) == (open.dev(), open.ino()) {
        true => Ok(()),
        false => Err(Gone::Replaced),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_there_until_its_path_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/file");
        fs::create_dir(dir.path().join("state")).unwrap();
        let file = File::create_new(&path).unwrap();
        assert_eq!(still_there(&file, &path), Ok(()));
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        assert_eq!(still_there(&file, &path), Err(Gone::Moved));
        fs::copy(dir.path().join("elsewhere"), &path).unwrap();
        assert_eq!(still_there(&file, &path), Err(Gone::Replaced));
        fs::rename(dir.path().join("elsewhere"), &path).unwrap();
        assert_eq!(still_there(&file, &path), Ok(()), "it was put back");
        fs::rename(dir.path().join("state"), dir.path().join("moved")).unwrap();
        assert_eq!(still_there(&file, &path), Err(Gone::Moved));
        fs::remove_dir_all(dir.path().join("moved")).unwrap();
        assert_eq!(still_there(&file, &path), Err(Gone::Deleted));
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(still_there(&file, &path), Err(Gone::Deleted), "whatever is there now");
    }
}
