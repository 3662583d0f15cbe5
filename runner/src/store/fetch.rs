//! Brings a run of the shared store into the state directory, so that it is shown and resumed as any other.
//!
//! The main function is [`fetch`].

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::replica::{FRAMES, frame_place, get_blob, kept_component, partition};
use super::table::Table;
use crate::contract::standard_component;
use crate::files;
use crate::journal::{
    self, JournalError, PRIVATE, Payload, Record, RunStart, attach, attached, has_blob, header, is_locked,
    keep_component, make_dir, run_dir, split_frames,
};
use crate::types::{Digest, RunId};

/// A run that was brought here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its directory.
    pub dir: PathBuf,
    /// How many frames the store holds. The copy here may hold more, which were written and never carried.
    pub frames: u64,
}

/// Bring the run here, or what is missing of it. Unless another process must be kept from changing it meanwhile, which its
/// lease does, what comes is only how it stood a moment ago.
///
/// # Errors
/// The store cannot be read, it has no such run, or the copy that is here is no beginning of it.
pub async fn fetch(table: &Table, run: &RunId, state_dir: &Path) -> Result<Fetched, StoreError> {
    let dir = run_dir(state_dir, run);
    let (frames, count) = frames_of(table, run).await?;
    if count == 0 {
        return Err(StoreError::NoRun { run: run.clone(), store: table.address().clone() });
    }
    let header = header(run).map_err(|reason| table.foreign(reason))?;
    let whole = [header.as_slice(), frames.as_slice()].concat();
    let path = dir.join("journal");
    let here = match files::read(&path, u64::MAX).map_err(std::io::Error::from) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(JournalError::io("read the journal", &path)(source).into()),
    };
    let common = here.iter().zip(&whole).take_while(|(one, other)| one == other).count();
    let missing = whole.get(here.len()..).unwrap_or_default();
    if common < here.len() && common < whole.len() {
        // What a crash tore off here is no difference: the store has no part of a frame.
        match journal::tears_at(&here) {
            Some(tear) if common >= tear => cut(&path, tear)?,
            Some(_) | None => return Err(differs(table, run, &dir, &here, &whole, header.len(), common)),
        }
        return Box::pin(fetch(table, run, state_dir)).await;
    }
    bring_blobs(table, run, &dir, &frames).await?;
    bring_components(table, &dir, &frames, state_dir).await?;
    if !missing.is_empty() {
        append(&dir, &path, here.is_empty(), missing)?;
    }
    Ok(Fetched { dir, frames: count })
}

/// All frames of a run in their order, and how many there are.
async fn frames_of(table: &Table, run: &RunId) -> Result<(Vec<u8>, u64), StoreError> {
    let mut bytes = Vec::new();
    let mut next = 0;
    for (place, item) in table.query(&partition(run), FRAMES, None).await? {
        if place != frame_place(run, next) {
            return Err(table.foreign(format!("{place} does not follow frame {next}")));
        }
        let frames = item.get_bytes("frames").unwrap_or_default();
        let last = item.get_number("last").ok_or_else(|| table.foreign(format!("{place} has no `last`")))?;
        bytes.extend_from_slice(frames);
        next = last + 1;
    }
    Ok((bytes, next))
}

/// Bring the blobs that frames lie in, the text of the pipeline file, and the files beside it that its stages name.
async fn bring_blobs(table: &Table, run: &RunId, dir: &Path, frames: &[u8]) -> Result<(), StoreError> {
    let mut digests = Vec::new();
    for (seq, _, bytes) in split_frames(frames).map_err(|reason| table.foreign(reason))? {
        match journal::payload(bytes) {
            Some(Payload::Blob(digest)) => digests.push(digest),
            Some(Payload::Record(_)) => {}
            None => return Err(table.foreign(format!("frame {seq} of run {run} is not whole"))),
        }
    }
    for digest in &digests {
        bring_blob(table, run, dir, digest).await?;
    }
    let start = first_record(table, dir, frames)?;
    for digest in std::iter::once(&start.source).chain(start.files.values()) {
        bring_blob(table, run, dir, digest).await?;
    }
    Ok(())
}

async fn bring_blob(table: &Table, run: &RunId, dir: &Path, digest: &Digest) -> Result<(), StoreError> {
    if has_blob(dir, digest) {
        return Ok(());
    }
    let bytes = get_blob(table, &partition(run), digest).await?.ok_or_else(|| missing_blob(table, digest))?;
    attach(dir, &bytes)?;
    Ok(())
}

/// Bring the components that the run began with, as far as this kiln does not carry them.
async fn bring_components(table: &Table, dir: &Path, frames: &[u8], state_dir: &Path) -> Result<(), StoreError> {
    for digest in first_record(table, dir, frames)?.plugins.values() {
        if standard_component(digest).is_none() && journal::kept_component(state_dir, digest)?.is_none() {
            let bytes = kept_component(table, digest).await?.ok_or_else(|| missing_blob(table, digest))?;
            keep_component(state_dir, digest, &bytes)?;
        }
    }
    Ok(())
}

fn first_record(table: &Table, dir: &Path, frames: &[u8]) -> Result<RunStart, StoreError> {
    let record = match journal::payload(frames) {
        Some(Payload::Record(json)) => serde_json::from_slice(json),
        Some(Payload::Blob(digest)) => serde_json::from_slice(&attached(dir, &digest)?),
        None => return Err(table.foreign("a run that begins with nothing whole")),
    };
    match record {
        Ok(Record::RunStart(start)) => Ok(start),
        Ok(_) => Err(table.foreign("a run that does not begin with a run-start record")),
        Err(error) => Err(table.foreign(error)),
    }
}

fn cut(path: &Path, at: usize) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path).map_err(JournalError::io("open the journal", path))?;
    let cut = file.set_len(at as u64).and_then(|()| file.sync_all());
    Ok(cut.map_err(JournalError::io("cut the torn tail off", path))?)
}

fn differs(
    table: &Table,
    run: &RunId,
    dir: &Path,
    here: &[u8],
    whole: &[u8],
    header: usize,
    common: usize,
) -> StoreError {
    let frame_at = |bytes: &[u8]| {
        let frames = split_frames(bytes.get(header..).unwrap_or_default()).unwrap_or_default();
        let mut end = header;
        let found = frames.iter().find(|(_, _, bytes)| {
            end += bytes.len();
            end > common
        });
        found.map(|(seq, name, _)| (*seq, (*name).to_owned()))
    };
    let (there_at, here_at) = (frame_at(whole), frame_at(here));
    let frame = there_at.as_ref().or(here_at.as_ref()).map_or(0, |(seq, _)| *seq);
    let name = |at: Option<(u64, String)>| at.map_or_else(|| "nothing whole".to_owned(), |(_, name)| name);
    StoreError::Differs {
        run: run.clone(),
        dir: dir.to_owned(),
        store: table.address().clone(),
        frame,
        here: name(here_at),
        there: name(there_at),
    }
}

/// Write what is missing of the journal: a new one under another name first, so that it is there with its beginning.
fn append(dir: &Path, path: &Path, new: bool, missing: &[u8]) -> Result<(), StoreError> {
    make_dir(dir)?;
    if new {
        // A name that nobody can foresee cannot be a link that somebody else put there.
        let partial = dir.join(format!("journal.{}.partial", uuid::Uuid::new_v4().simple()));
        let created = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&partial);
        let written = created
            .and_then(|mut file| file.write_all(missing).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, path))
            .and_then(|()| fs::File::open(dir)?.sync_all());
        return Ok(written.map_err(JournalError::io("write the journal", path))?);
    }
    if is_locked(path)? {
        return Err(JournalError::Locked { path: path.to_owned() }.into());
    }
    let written = OpenOptions::new().append(true).open(path).and_then(|mut file| {
        file.write_all(missing)?;
        file.sync_all()
    });
    Ok(written.map_err(JournalError::io("write the journal", path))?)
}

fn missing_blob(table: &Table, digest: &Digest) -> StoreError {
    StoreError::Blob { digest: digest.clone(), store: table.address().clone(), reason: "is missing".to_owned() }
}
