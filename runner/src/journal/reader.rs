//! Reading a journal: every record that is whole, and how the file ends.
//!
//! The main function is [`read`], its answer [`Recording`]. A torn tail is what a crash leaves and no error; damage in
//! front of a valid frame is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::blob;
use super::error::JournalError;
use super::frame::{self, Frame};
use super::record::{Record, RunStart};
use super::writer::MAX_RUN_CLOSING;
use crate::files;
use crate::types::Digest;

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// All whole records, in their order. The first is a [`Record::RunStart`].
    pub entries: Vec<Entry>,
    /// How the file ends.
    pub tail: Tail,
}

/// A record and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Counts from 0 in a journal, without gaps.
    pub seq: u64,
    /// Where its frame begins, in bytes.
    pub offset: u64,
    /// It.
    pub record: Record,
}

/// How a journal's file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// With a whole frame.
    Clean,
    /// In the middle of a frame: what a crash leaves, or what a reader sees while a runner writes.
    Torn {
        /// Where the last whole frame ends, in bytes.
        at: u64,
    },
}

impl Recording {
    /// How the run began.
    pub fn start(&self) -> Option<&RunStart> {
        match self.entries.first().map(|entry| &entry.record) {
            Some(Record::RunStart(start)) => Some(start),
            Some(_) | None => None,
        }
    }
}

/// What a frame holds whose record lies in a blob.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BlobReference {
    /// The digest of the record's JSON.
    pub(super) blob: Digest,
    /// Its length.
    pub(super) bytes: u64,
}

/// Read the journal in the file `path` (`<state>/runs/<run-id>/journal`). Takes no lock: a run's journal can be read while
/// the run goes on.
pub fn read(path: &Path) -> Result<Recording, JournalError> {
    parse(path, &bytes_of(path)?)
}

/// The bytes of the journal `path`. No run's has as many as this reads: frames with blobs elsewhere are short.
pub(super) fn bytes_of(path: &Path) -> Result<Vec<u8>, JournalError> {
    let bytes = files::read(path, 4 * MAX_RUN_CLOSING).map_err(std::io::Error::from);
    bytes.map_err(JournalError::io("read the journal", path))
}

/// What the bytes of the journal `path` hold.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Recording, JournalError> {
    let scan = Scan::new(path, bytes)?;
    let (frames, end) = scan.frames()?;
    let mut entries = Vec::with_capacity(frames.len());
    for (offset, frame) in frames {
        entries.push(Entry { seq: frame.seq, offset, record: decode(path, offset, &frame)? });
    }
    match entries.first() {
        Some(Entry { record: Record::RunStart(start), .. }) => {
            let named = uuid::Uuid::parse_str(start.run.as_str()).ok();
            if named != Some(scan.run) {
                return Err(JournalError::Header {
                    path: path.to_owned(),
                    reason: format!("its header names the run {}, its first record {}", scan.run, start.run),
                });
            }
        }
        Some(entry) => {
            return Err(JournalError::Record {
                path: path.to_owned(),
                frame: entry.seq,
                offset: entry.offset,
                reason: format!("a journal begins with a run-start record, and this is {}", entry.record.kind().1),
            });
        }
        // The crash came before the first record: nothing was done yet.
        None => {}
    }
    let tail = if end == bytes.len() { Tail::Clean } else { Tail::Torn { at: end as u64 } };
    Ok(Recording { entries, tail })
}

/// The bytes of a journal whose header is good.
pub(super) struct Scan<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// The run that the header names.
    pub(super) run: uuid::Uuid,
    header_crc: u32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, JournalError> {
        let (run, header_crc) =
            frame::parse_file_header(bytes).map_err(|reason| JournalError::Header { path: path.to_owned(), reason })?;
        Ok(Self { path, bytes, run, header_crc })
    }

    /// All whole frames with their offsets, and where the last of them ends.
    pub(super) fn frames(&self) -> Result<(Vec<(u64, Frame<'a>)>, usize), JournalError> {
        let mut frames = Vec::new();
        let mut at = frame::HEADER_LEN;
        let mut prev_crc = self.header_crc;
        let mut seq = 0;
        while at < self.bytes.len() {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let reason = match frame::decode(rest) {
                Ok(frame) if frame.seq == seq && frame.prev_crc == prev_crc => {
                    prev_crc = frame.crc;
                    let len = frame::FRAME_HEADER_LEN + frame.payload.len();
                    frames.push((at as u64, frame));
                    at += len;
                    seq += 1;
                    continue;
                }
                // A whole frame in the wrong place is never what a crash leaves.
                Ok(frame) => {
                    let reason = if frame.seq == seq {
                        "does not continue the frame before it".to_owned()
                    } else {
                        "is missing".to_owned()
                    };
                    return Err(self.damaged(seq, at, reason, (at, frame.seq)));
                }
                Err(broken) => broken.to_string(),
            };
            return match frame::find_later(self.bytes, at + 1, seq) {
                Some(later) => Err(self.damaged(seq, at, reason, later)),
                None => Ok((frames, at)),
            };
        }
        Ok((frames, at))
    }

    fn damaged(&self, frame: u64, offset: usize, reason: String, (later_offset, later): (usize, u64)) -> JournalError {
        JournalError::Damaged {
            path: self.path.to_owned(),
            frame,
            offset: offset as u64,
            reason,
            later,
            later_offset: later_offset as u64,
        }
    }
}

/// The record in a frame of the journal `path`.
pub(super) fn decode(path: &Path, offset: u64, frame: &Frame<'_>) -> Result<Record, JournalError> {
    let wrong = |reason: String| JournalError::Record { path: path.to_owned(), frame: frame.seq, offset, reason };
    let record: Record = if frame.blob {
        let reference: BlobReference = serde_json::from_slice(frame.payload).map_err(|e| wrong(e.to_string()))?;
        let dir: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
        let bytes = blob::attached(&dir, &reference.blob)?;
        serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?
    } else {
        serde_json::from_slice(frame.payload).map_err(|e| wrong(e.to_string()))?
    };
    let (kind, name) = record.kind();
    if kind != frame.kind {
        return Err(wrong(format!("the frame says kind {}, its content is {name} ({kind})", frame.kind)));
    }
    Ok(record)
}
