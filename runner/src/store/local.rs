//! Leases in the state directory: a file each, locked while a run holds it. The kernel frees the lock with the process.
//!
//! The main type is [`LeaseFile`]. A file is a list of lines, each the whole lease as it stood then, and the last whole line
//! counts: what a crash tears off was not yet acted on, so a fence is never given twice.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::error::LeaseError;
use super::lease::{Lease, LeaseKey};
use crate::files;
use crate::journal::make_dir;

/// The last lines that are read: a line has some hundred bytes.
const TAIL: u64 = 64 << 10;

/// A lease's file, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct LeaseFile {
    file: File,
    path: PathBuf,
}

/// A lease's file, opened.
pub(super) enum OpenedLease {
    /// This process has the lock now. The lease as it stands, if it was ever held.
    Locked(LeaseFile, Option<Lease>),
    /// Another process has the lock.
    Busy(Option<Lease>),
}

/// Where a lease lies.
pub(super) fn path(state: &Path, key: &LeaseKey) -> Option<PathBuf> {
    match key {
        // The lock of its journal is a run's lease.
        LeaseKey::Run(_) => None,
        LeaseKey::Environment { account, environment } => {
            Some(state.join("leases").join(format!("{account}-{environment}")))
        }
    }
}

/// Open and lock the file of a lease.
pub(super) fn open(path: &Path) -> Result<OpenedLease, LeaseError> {
    loop {
        match open_once(path)? {
            // It was removed before it was locked: whoever comes next would lock another.
            OpenedLease::Locked(file, _) if files::still_there(&file.file, path).is_err() => {}
            opened => return Ok(opened),
        }
    }
}

fn open_once(path: &Path) -> Result<OpenedLease, LeaseError> {
    if let Some(parent) = path.parent() {
        make_dir(parent).map_err(super::StoreError::from)?;
    }
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io("open the lease", path))?;
    check_regular(&file, path)?;
    if !lock(&file, path)? {
        return Ok(OpenedLease::Busy(read_from(&mut file, path)?));
    }
    let lease = read_from(&mut file, path)?;
    Ok(OpenedLease::Locked(LeaseFile { file, path: path.to_owned() }, lease))
}

/// The lease as it stands, and whether a process holds the lock. Looking means to hold a shared lock for a moment: whoever
/// takes the lease tries for longer.
pub(super) fn look(path: &Path) -> Result<(Option<Lease>, bool), LeaseError> {
    let mut file = files::open(path).map_err(std::io::Error::from).map_err(io("open the lease", path))?;
    let busy = match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => false,
        Err(rustix::io::Errno::WOULDBLOCK) => true,
        Err(error) => return Err(io("look at the lock of", path)(error.into())),
    };
    Ok((read_from(&mut file, path)?, busy))
}

/// All leases that the state directory holds.
pub(super) fn list(state: &Path) -> Result<Vec<(LeaseKey, PathBuf)>, LeaseError> {
    let dir = state.join("leases");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io("list the leases in", &dir)(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io("list the leases in", &dir))?;
        let name = entry.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('-'));
        let key = parts.and_then(|(account, environment)| {
            Some(LeaseKey::Environment { account: account.parse().ok()?, environment: environment.parse().ok()? })
        });
        found.extend(key.map(|key| (key, entry.path())));
    }
    found.sort();
    Ok(found)
}

impl LeaseFile {
    /// That whoever looks for the lease finds this one.
    pub(super) fn still_there(&self, key: &LeaseKey) -> Result<(), LeaseError> {
        files::still_there(&self.file, &self.path).map_err(|what| LeaseError::Vanished {
            key: key.clone(),
            path: self.path.clone(),
            what,
        })
    }

    /// Write down, durably, how the lease stands from now on.
    pub(super) fn write(&mut self, lease: &Lease) -> Result<(), LeaseError> {
        let mut line = Vec::new();
        // What a crash tore off ends with this, and is then a line that nobody understands.
        if self.ends_torn()? {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, lease).map_err(|error| io("write the lease", &self.path)(error.into()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_all());
        written.map_err(io("write the lease", &self.path))
    }

    fn ends_torn(&mut self) -> Result<bool, LeaseError> {
        let mut last = [b'\n'];
        let length = self.file.seek(SeekFrom::End(0)).map_err(io("read the lease", &self.path))?;
        if length > 0 {
            let read = self.file.seek(SeekFrom::End(-1)).and_then(|_| self.file.read_exact(&mut last));
            read.map_err(io("read the lease", &self.path))?;
        }
        Ok(last != [b'\n'])
    }
}

fn read_from(file: &mut File, path: &Path) -> Result<Option<Lease>, LeaseError> {
    let mut text = Vec::new();
    let read = file.seek(SeekFrom::End(0)).and_then(|length| {
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        file.read_to_end(&mut text)
    });
    read.map_err(io("read the lease", path))?;
    let whole = text.split(|byte| *byte == b'\n').rev();
    Ok(whole.filter(|line| !line.is_empty()).find_map(|line| serde_json::from_slice(line).ok()))
}

/// What is no regular file may never end.
fn check_regular(file: &File, path: &Path) -> Result<(), LeaseError> {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(io("open the lease", path)(std::io::Error::other("it is no regular file"))),
        Err(error) => Err(io("open the lease", path)(error)),
    }
}

/// Lock it against other runs. Whoever lists leases holds a shared lock for an instant, so one refusal is not yet an answer.
fn lock(file: &File, path: &Path) -> Result<bool, LeaseError> {
    for _ in 0..20 {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(io("lock the lease", path)(error.into())),
        }
    }
    Ok(false)
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LeaseError {
    let path = path.to_owned();
    move |source| LeaseError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

    use super::super::lease::{Holding, Owner};
    use super::*;
    use crate::types::RunId;

    fn lease(fence: u64) -> Lease {
        Lease {
            run: RunId::seeded(0, 1),
            owner: Owner { host: "h".to_owned(), process: 1 },
            nonce: Some("n".to_owned()),
            fence,
            heartbeat: 0,
            state: Holding::Held,
            since: 0,
            ttl: 60_000,
            reason: None,
        }
    }

    fn locked(path: &Path) -> (LeaseFile, Option<Lease>) {
        match open(path).unwrap() {
            OpenedLease::Locked(file, lease) => (file, lease),
            OpenedLease::Busy(lease) => panic!("it is locked: {lease:?}"),
        }
    }

    #[test]
    fn what_was_written_last_counts_whatever_was_torn_off_behind_it() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("leases/111111111111-production");
        let (mut file, nothing) = locked(&path);
        assert_eq!(nothing, None);
        file.write(&lease(1)).unwrap();
        file.write(&lease(2)).unwrap();
        drop(file);
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for end in first..whole.len() {
            fs::write(&path, whole.get(..end).unwrap()).unwrap();
            let (mut file, seen) = locked(&path);
            let fence = seen.unwrap().fence;
            assert!(fence == 1 || end + 1 == whole.len(), "cut at byte {end}");
            file.write(&lease(fence + 1)).unwrap();
            drop(file);
            assert_eq!(look(&path).unwrap(), (Some(lease(fence + 1)), false), "cut at byte {end}");
        }
    }

    #[test]
    fn a_lease_whose_file_is_not_found_any_more_is_nobodys() {
        let state = tempfile::tempdir().unwrap();
        let key = LeaseKey::Environment {
            account: "111111111111".parse().unwrap(),
            environment: "production".parse().unwrap(),
        };
        let path = path(state.path(), &key).unwrap();
        let (mut file, _) = locked(&path);
        file.write(&lease(1)).unwrap();
        file.still_there(&key).unwrap();
        fs::remove_dir_all(state.path().join("leases")).unwrap();
        let error = file.still_there(&key).unwrap_err();
        assert!(error.to_string().contains("was deleted while this run held it"), "{error}");
        let (other, seen) = locked(&path);
        assert_eq!(seen, None, "another run finds nothing of it");
        assert!(file.still_there(&key).is_err() && other.still_there(&key).is_ok());
    }

    #[test]
    fn one_process_holds_it_at_a_time() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("leases/111111111111-production");
        let (mut file, _) = locked(&path);
        file.write(&lease(1)).unwrap();
        assert!(matches!(open(&path).unwrap(), OpenedLease::Busy(Some(seen)) if seen == lease(1)));
        assert_eq!(look(&path).unwrap(), (Some(lease(1)), true));
        drop(file);
        assert_eq!(look(&path).unwrap(), (Some(lease(1)), false));
        assert_eq!(list(state.path()).unwrap().len(), 1);
    }
}
