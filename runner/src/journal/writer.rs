//! Writing a journal: append, sync, and stop for good at the first failure.
//!
//! The main type is [`Journal`]. Callers that need durability at the same time share one `fdatasync`: whoever comes while
//! one is under way waits for the next, which covers all of them. Where the journal is kept elsewhere as well ([`Replica`]),
//! a sync is over when its frames are there, too.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::blob;
use super::error::JournalError;
use super::frame::{self, MAX_INLINE};
use super::reader::{self, BlobReference, Recording, Tail};
use super::record::{Record, RunStart};
use super::replica::{self, Framed, Replica};
use crate::files::{self, Gone};

/// The largest record.
pub(super) const MAX_RECORD: u64 = 1 << 20;
/// From here on a run's journal is worth a warning.
pub(super) const WARN_AT: u64 = 4 << 20;
/// From here on it takes no record that begins work.
pub(super) const MAX_RUN: u64 = 50 << 20;
/// From here on it takes nothing: what is between is for what ends and undoes work.
pub(super) const MAX_RUN_CLOSING: u64 = 64 << 20;

/// The journal of a run that is going on. Clones write the same file, which is locked until the last of them is dropped.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<OpenJournal>,
}

/// A run's journal has become so large that somebody should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeWarning {
    /// How large it is, in bytes.
    pub bytes: u64,
    /// Where the run will fail.
    pub limit: u64,
}

struct OpenJournal {
    dir: PathBuf,
    path: PathBuf,
    /// A second handle of the same open file, so that a sync holds no lock that an append needs.
    syncing: File,
    state: Mutex<WriterState>,
    /// How many frames are durable.
    durable: AtomicU64,
    /// Where the journal is kept as well.
    replica: OnceLock<Replicated>,
    /// How many syncs there were.
    syncs: AtomicU64,
    warned: AtomicBool,
    /// Held by whoever syncs. An `Arc` of its own, because the guard travels to the thread that does it.
    sync_lock: Arc<tokio::sync::Mutex<()>>,
}

/// Where a journal is kept as well, and how far.
#[derive(Debug)]
struct Replicated {
    replica: Arc<dyn Replica>,
    /// The number of the first frame that is not there, and where it begins. Changed only by whoever holds `sync_lock`.
    next: Mutex<(u64, u64)>,
}

struct WriterState {
    file: File,
    next_seq: u64,
    prev_crc: u32,
    /// The size of all records, blobs included.
    bytes: u64,
    /// The length of the file.
    length: u64,
    /// The first failure.
    failed: Option<WriterFailure>,
}

/// Why a journal takes no more records.
#[derive(Clone)]
struct WriterFailure {
    cause: String,
    /// Where the file is not the one any more that its path leads to.
    gone: Option<Gone>,
}

impl WriterFailure {
    fn of(cause: impl ToString) -> Self {
        Self { cause: cause.to_string(), gone: None }
    }

    fn at(self, path: &Path) -> JournalError {
        JournalError::Poisoned { path: path.to_owned(), cause: self.cause, gone: self.gone }
    }
}

/// A record's JSON, ready to be framed.
#[derive(Debug)]
pub(crate) struct Encoded {
    kind: u16,
    name: &'static str,
    begins_work: bool,
    json: Vec<u8>,
}

impl Encoded {
    /// `record` as JSON.
    pub(crate) fn of(record: &Record) -> Result<Self, JournalError> {
        let (kind, name) = record.kind();
        let json = serde_json::to_vec(record).map_err(|source| JournalError::Encode { kind: name, source })?;
        // In every test: nothing counts as written that could not be read.
        if cfg!(debug_assertions) {
            let reason = match serde_json::from_slice::<Record>(&json) {
                Ok(read) if read == *record => None,
                Ok(_) => Some("it is another one".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = reason {
                return Err(JournalError::Unreadable { kind: name, reason });
            }
        }
        Ok(Self { kind, name, begins_work: record.begins_work(), json })
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.json.len() as u64
    }
}

/// How a new journal is opened.
fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(blob::PRIVATE);
    options
}

impl Journal {
    /// Make the journal of a new run in `dir` (`<state>/runs/<run-id>/`, made where it is missing) with its first record,
    /// durably. The pipeline's text must have been [attached](super::attach()) before.
    pub fn create(dir: &Path, start: &RunStart) -> Result<Self, JournalError> {
        let run = uuid::Uuid::parse_str(start.run.as_str()).map_err(|error| JournalError::Header {
            path: dir.join("journal"),
            reason: format!("the run's id {} is not a UUID: {error}", start.run),
        })?;
        blob::make_dir(dir)?;
        blob::attached(dir, &start.source)?;
        for digest in start.files.values() {
            blob::attached(dir, digest)?;
        }
        let path = dir.join("journal");
        let mut file = match new_file().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(JournalError::Exists { path });
            }
            Err(source) => return Err(JournalError::Io { action: "make the journal", path, source }),
        };
        lock(&file, &path)?;
        let header = frame::file_header(run);
        file.write_all(&header).map_err(JournalError::io("write the journal", &path))?;
        let prev_crc = crc_of_header(&header, &path)?;
        let length = header.len() as u64;
        let state = WriterState { file, next_seq: 0, prev_crc, bytes: 0, length, failed: None };
        let journal = Self::over(dir, path, state)?;
        journal.append(&Record::RunStart(start.clone()))?;
        journal.inner.sync()?;
        blob::sync_dir(dir)?;
        Ok(journal)
    }

    /// Open the journal in `dir` to go on with its run: lock it, read it, and cut off a torn tail durably. The recording
    /// says what its tail was.
    pub fn reopen(dir: &Path) -> Result<(Self, Recording), JournalError> {
        let path = dir.join("journal");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .map_err(JournalError::io("open the journal", &path))?;
        lock(&file, &path)?;
        blob::make_private(&file).map_err(JournalError::io("keep others from reading the journal", &path))?;
        let recording = reader::read(&path)?;
        if let Tail::Torn { at } = recording.tail {
            file.set_len(at).map_err(JournalError::io("cut the torn tail off", &path))?;
            file.sync_all().map_err(JournalError::io("sync the journal", &path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(JournalError::io("open the journal", &path))?;
        let bytes = reader::bytes_of(&path)?;
        let scan = reader::Scan::new(&path, &bytes)?;
        let (frames, end) = scan.frames()?;
        let mut size = 0;
        for (_, frame) in &frames {
            size += match frame.blob {
                true => serde_json::from_slice::<BlobReference>(frame.payload).map_or(0, |blob| blob.bytes),
                false => frame.payload.len() as u64,
            };
        }
        let prev_crc = match frames.last() {
            Some((_, frame)) => frame.crc,
            None => crc_of_header(&bytes, &path)?,
        };
        let length = end as u64;
        let state = WriterState { file, next_seq: frames.len() as u64, prev_crc, bytes: size, length, failed: None };
        let journal = Self::over(dir, path, state)?;
        // What was read may have been written but not synced by the process that died.
        journal.inner.sync()?;
        Ok((journal, recording))
    }

    fn over(dir: &Path, path: PathBuf, state: WriterState) -> Result<Self, JournalError> {
        let syncing = state.file.try_clone().map_err(JournalError::io("open the journal", &path))?;
        Ok(Self {
            inner: Arc::new(OpenJournal {
                dir: dir.to_owned(),
                path,
                syncing,
                state: Mutex::new(state),
                durable: AtomicU64::new(0),
                replica: OnceLock::new(),
                syncs: AtomicU64::new(0),
                warned: AtomicBool::new(false),
                sync_lock: Arc::new(tokio::sync::Mutex::new(())),
            }),
        })
    }

    /// Write a record; it becomes durable with the next sync. Answers its sequence number. A record that is too large for
    /// a frame costs a sync of its blob here and now.
    pub fn append(&self, record: &Record) -> Result<u64, JournalError> {
        self.write(&Encoded::of(record)?)
    }

    /// Write a record that is encoded already. Answers its sequence number.
    pub(crate) fn write(&self, encoded: &Encoded) -> Result<u64, JournalError> {
        self.inner.append(encoded)
    }

    /// Write a record and return when it is durable. Answers its sequence number.
    ///
    /// When the future is dropped the record may or may not have been written, as when the process dies.
    pub async fn append_durable(&self, record: &Record) -> Result<u64, JournalError> {
        self.write_durable(Encoded::of(record)?).await
    }

    /// Write a record that is encoded already, and return when it is durable, as [`append_durable`](Self::append_durable) does.
    pub(crate) async fn write_durable(&self, encoded: Encoded) -> Result<u64, JournalError> {
        let seq = if encoded.json.len() > MAX_INLINE {
            let inner = Arc::clone(&self.inner);
            self.blocking(move || inner.append(&encoded)).await?
        } else {
            self.inner.append(&encoded)?
        };
        self.sync_to(seq).await?;
        Ok(seq)
    }

    /// Return when all that was appended is durable.
    pub async fn sync(&self) -> Result<(), JournalError> {
        // By itself, so that the lock is not held while this waits for whoever needs it.
        let written = self.inner.state().next_seq;
        match written.checked_sub(1) {
            Some(last) => self.sync_to(last).await,
            None => Ok(()),
        }
    }

    /// From here on nothing is durable that `replica` does not have as well. It has the first `there` frames already; the
    /// others reach it with the next [`sync`](Self::sync).
    pub fn replicate(&self, replica: Arc<dyn Replica>, there: u64) -> Result<(), JournalError> {
        let path = &self.inner.path;
        let wrong = |reason: &str| JournalError::Replica { path: path.clone(), reason: reason.to_owned() };
        let bytes = reader::bytes_of(path)?;
        let (frames, end) = reader::Scan::new(path, &bytes)?.frames()?;
        let behind = usize::try_from(there).ok().filter(|there| *there <= frames.len());
        let behind = behind.ok_or_else(|| wrong("the store holds more of it than this machine"))?;
        let offset = frames.get(behind).map_or(end as u64, |(offset, _)| *offset);
        self.inner.durable.store(there, Ordering::Release);
        let replicated = Replicated { replica, next: Mutex::new((there, offset)) };
        self.inner.replica.set(replicated).map_err(|_| wrong("it is carried to one already"))
    }

    /// That what is written is where it will be looked for. Once it was not, the journal takes no more records.
    pub fn still_there(&self) -> Result<(), JournalError> {
        self.inner.still_there()
    }

    async fn sync_to(&self, seq: u64) -> Result<(), JournalError> {
        let lock = Arc::clone(&self.inner.sync_lock).lock_owned().await;
        // While this caller waited for the lock, another's sync may have covered it.
        if self.inner.durable.load(Ordering::Acquire) > seq {
            return Ok(());
        }
        let journal = self.clone();
        // The lock is held until the sync ends, even where nobody waits for it any more: two syncs at once could hide an error,
        // because the operating system reports it to one of them only; and two pushes at once would race for the same place.
        if self.inner.replica.get().is_none() {
            return self
                .blocking(move || {
                    let _lock = lock;
                    journal.inner.sync()
                })
                .await;
        }
        let pushed = tokio::spawn(async move {
            let _lock = lock;
            journal.sync_and_push().await
        });
        match pushed.await {
            Ok(result) => result,
            Err(error) => Err(self.inner.poison(&mut self.inner.state(), WriterFailure::of(error))),
        }
    }

    /// Make all that is written durable, here and where the journal is kept as well. Only for whoever holds `sync_lock`.
    async fn sync_and_push(&self) -> Result<(), JournalError> {
        let inner = Arc::clone(&self.inner);
        let (written, frames) = self.blocking(move || inner.sync_file_and_read()).await?;
        if let Some(replicated) = self.inner.replica.get() {
            replicated.replica.push(&frames).await.map_err(|error| self.inner.fail(error))?;
            let pushed: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
            let mut next = replicated.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next = (written, next.1 + pushed as u64);
        }
        self.inner.durable.fetch_max(written, Ordering::Release);
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            // Only where the runtime is being shut down, or the work panicked.
            Err(error) => Err(self.inner.poison(&mut self.inner.state(), WriterFailure::of(error))),
        }
    }

    /// Keep `bytes` beside the journal; see [`attach`](super::attach()).
    pub fn attach(&self, bytes: &[u8]) -> Result<crate::types::Digest, JournalError> {
        blob::attach(&self.inner.dir, bytes)
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The size of all records, in bytes.
    pub fn size(&self) -> u64 {
        self.inner.state().bytes
    }

    /// How often the file was synced: what a run's durability costs, since the device's flush dominates.
    pub fn syncs(&self) -> u64 {
        self.inner.syncs.load(Ordering::Relaxed)
    }

    /// That the journal has become large: once, after the append that made it so.
    pub fn size_warning(&self) -> Option<SizeWarning> {
        let bytes = self.size();
        (bytes >= WARN_AT && !self.inner.warned.swap(true, Ordering::Relaxed))
            .then_some(SizeWarning { bytes, limit: MAX_RUN })
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Drop for OpenJournal {
    fn drop(&mut self) {
        let records = self.state().next_seq;
        tracing::debug!(records, syncs = self.syncs.load(Ordering::Relaxed), "the journal is closed");
    }
}

impl OpenJournal {
    fn state(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, record: &Encoded) -> Result<u64, JournalError> {
        let size = record.json.len() as u64;
        if size > MAX_RECORD {
            return Err(JournalError::RecordTooLarge { kind: record.name, size, limit: MAX_RECORD });
        }
        self.admit(&self.state(), record)?;
        let (blob, payload) = if record.json.len() > MAX_INLINE {
            let digest = blob::attach(&self.dir, &record.json).map_err(|error| self.fail(error))?;
            let reference = BlobReference { blob: digest, bytes: size };
            let payload =
                serde_json::to_vec(&reference).map_err(|source| JournalError::Encode { kind: record.name, source })?;
            (true, payload)
        } else {
            (false, Vec::new())
        };
        let payload = if blob { &payload } else { &record.json };

        let mut state = self.state();
        // The state may have changed while the blob was written.
        self.admit(&state, record)?;
        let seq = state.next_seq;
        let (bytes, crc) = frame::encode(seq, record.kind, blob, state.prev_crc, payload);
        if let Err(source) = state.file.write_all(&bytes) {
            self.poison(&mut state, WriterFailure::of(&source));
            return Err(JournalError::Io { action: "write the journal", path: self.path.clone(), source });
        }
        state.next_seq += 1;
        state.prev_crc = crc;
        state.bytes += size;
        state.length += bytes.len() as u64;
        Ok(seq)
    }

    fn admit(&self, state: &WriterState, record: &Encoded) -> Result<(), JournalError> {
        if let Some(failure) = &state.failed {
            return Err(failure.clone().at(&self.path));
        }
        let limit = if record.begins_work { MAX_RUN } else { MAX_RUN_CLOSING };
        if state.bytes + record.json.len() as u64 > limit {
            return Err(JournalError::Full { path: self.path.clone(), size: state.bytes, limit });
        }
        Ok(())
    }

    /// Make all that is written durable in the file.
    fn sync(&self) -> Result<(), JournalError> {
        let (written, _) = self.sync_file()?;
        self.durable.fetch_max(written, Ordering::Release);
        Ok(())
    }

    /// Sync the file. Answers how many frames it has, and its length. An error is fatal: the operating system may have dropped
    /// the pages that it could not write, and a second sync would then succeed without them.
    fn sync_file(&self) -> Result<(u64, u64), JournalError> {
        let written = {
            let state = self.state();
            if let Some(failure) = &state.failed {
                return Err(failure.clone().at(&self.path));
            }
            (state.next_seq, state.length)
        };
        // To be durable means to be found again.
        self.still_there()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(source) = self.syncing.sync_data() {
            self.poison(&mut self.state(), WriterFailure::of(&source));
            return Err(JournalError::Io { action: "sync the journal", path: self.path.clone(), source });
        }
        Ok(written)
    }

    fn still_there(&self) -> Result<(), JournalError> {
        files::still_there(&self.syncing, &self.path)
            .map_err(|what| self.fail(JournalError::Vanished { path: self.path.clone(), what }))
    }

    /// Sync the file, and read the frames that are not yet where the journal is kept as well.
    fn sync_file_and_read(&self) -> Result<(u64, Vec<Framed>), JournalError> {
        let (written, length) = self.sync_file()?;
        let Some(replicated) = self.replica.get() else { return Ok((written, Vec::new())) };
        let (seq, offset) = *replicated.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; usize::try_from(length.saturating_sub(offset)).unwrap_or_default()];
        self.syncing.read_exact_at(&mut bytes, offset).map_err(JournalError::io("read the journal", &self.path))?;
        Ok((written, replica::framed(&self.path, &bytes, offset, seq)?))
    }

    fn fail(&self, error: JournalError) -> JournalError {
        self.poison(&mut self.state(), WriterFailure { gone: error.gone().cloned(), ..WriterFailure::of(&error) });
        error
    }

    fn poison(&self, state: &mut WriterState, failure: WriterFailure) -> JournalError {
        state.failed.get_or_insert(failure).clone().at(&self.path)
    }
}

fn crc_of_header(bytes: &[u8], path: &Path) -> Result<u32, JournalError> {
    match frame::parse_file_header(bytes) {
        Ok((_, crc)) => Ok(crc),
        Err(reason) => Err(JournalError::Header { path: path.to_owned(), reason }),
    }
}

/// Lock the journal against other writers. Whoever lists runs holds a shared lock for an instant, so one refusal is not
/// yet an answer.
fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    for _ in 0..20 {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => {
                return Err(JournalError::Io {
                    action: "lock the journal",
                    path: path.to_owned(),
                    source: error.into(),
                });
            }
        }
    }
    Err(JournalError::Locked { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

    use std::os::fd::{AsRawFd as _, OwnedFd};

    use super::super::record::RunEnd;
    use super::*;
    use crate::event::RunOutcome;

    fn over(file: impl Into<File>) -> Journal {
        let file = file.into();
        // A path to whatever it is.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let state = WriterState { file, next_seq: 0, prev_crc: 0, bytes: 0, length: 0, failed: None };
        Journal::over(Path::new("run"), path, state).unwrap()
    }

    fn record() -> Record {
        Record::RunEnd(RunEnd { outcome: RunOutcome::Done, at: 0 })
    }

    #[tokio::test]
    async fn a_sync_that_fails_is_never_tried_again() {
        // A pipe takes writes but cannot be synced.
        let (_reader, writer) = std::io::pipe().unwrap();
        let journal = over(OwnedFd::from(writer));
        journal.append(&record()).unwrap();
        let error = journal.append_durable(&record()).await.unwrap_err();
        assert!(matches!(error, JournalError::Io { action: "sync the journal", .. }), "{error}");
        assert_eq!(journal.syncs(), 1);

        assert!(matches!(journal.append(&record()), Err(JournalError::Poisoned { .. })));
        assert!(matches!(journal.sync().await, Err(JournalError::Poisoned { .. })));
        let error = journal.append_durable(&record()).await.unwrap_err();
        assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
        assert_eq!(journal.syncs(), 1, "the second would have hidden the error of the first");
    }

    #[tokio::test]
    async fn all_who_wait_for_a_sync_that_fails_are_told() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let journal = over(OwnedFd::from(writer));
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let journal = journal.clone();
            writers.spawn(async move { journal.append_durable(&record()).await.is_err() });
        }
        assert!(writers.join_all().await.into_iter().all(|failed| failed));
        assert_eq!(journal.syncs(), 1);
    }

    #[test]
    fn a_task_that_waits_for_the_journal_can_move_between_threads() {
        fn assert_send<T: Send>(_: &T) {}
        let journal = over(tempfile::tempfile().unwrap());
        assert_send(&journal.append_durable(&record()));
        assert_send(&journal.sync());
    }

    #[tokio::test]
    async fn a_file_that_nobody_will_find_takes_no_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let state = |file| WriterState { file, next_seq: 0, prev_crc: 0, bytes: 0, length: 0, failed: None };
        let journal = Journal::over(dir.path(), path.clone(), state(File::create_new(&path).unwrap())).unwrap();
        journal.append_durable(&record()).await.unwrap();
        journal.still_there().unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = journal.append_durable(&record()).await.unwrap_err();
        assert!(matches!(error, JournalError::Vanished { what: Gone::Deleted, .. }), "{error}");
        assert!(matches!(journal.append(&record()), Err(JournalError::Poisoned { .. })));

        let journal = Journal::over(dir.path(), path.clone(), state(File::create_new(&path).unwrap())).unwrap();
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::fs::copy(dir.path().join("elsewhere"), &path).unwrap();
        let error = journal.still_there().unwrap_err();
        assert!(matches!(error, JournalError::Vanished { what: Gone::Replaced, .. }), "{error}");
        assert!(matches!(journal.append(&record()), Err(JournalError::Poisoned { .. })), "also when it is put back");
    }

    #[test]
    fn a_full_disk_poisons_the_journal() {
        let journal = over(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = journal.append(&record()).unwrap_err();
        assert!(matches!(error, JournalError::Io { action: "write the journal", .. }), "{error}");
        let error = journal.append(&record()).unwrap_err();
        assert!(matches!(&error, JournalError::Poisoned { cause, .. } if cause.contains("space")), "{error}");
    }
}
