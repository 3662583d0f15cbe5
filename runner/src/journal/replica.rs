//! Where else a journal is kept: what a sync must have reached before anything counts as durable.
//!
//! The main trait is [`Replica`]. The journal knows no more of it: whoever carries frames away reads them as they lie in the file.

use std::fmt::Debug;
use std::pin::Pin;

use super::blob;
use super::error::JournalError;
use super::frame;
use super::reader::{self, BlobReference};
use super::record::Record;
use crate::types::Digest;

/// Keeps frames, durably and in their order.
pub trait Replica: Debug + Send + Sync {
    /// Keep these frames, which follow all that were pushed before. Only when this has succeeded are they durable; when it
    /// fails, the journal takes no more records.
    fn push<'a>(&'a self, frames: &'a [Framed]) -> Pushing<'a>;
}

/// A push under way.
pub type Pushing<'a> = Pin<Box<dyn Future<Output = Result<(), JournalError>> + Send + 'a>>;

/// A frame as it lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Framed {
    /// Its number.
    pub seq: u64,
    /// All of it.
    pub bytes: Vec<u8>,
    /// What it needs beside the journal.
    pub blobs: Vec<Digest>,
    /// Its record.
    pub record: Record,
}

/// The frames in `bytes`, which lie in the journal `path` from `offset` on, the first of them number `seq`.
pub(super) fn framed(path: &std::path::Path, bytes: &[u8], offset: u64, seq: u64) -> Result<Vec<Framed>, JournalError> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let offset = offset + at as u64;
        let wrong = |reason: String| JournalError::Record {
            path: path.to_owned(),
            frame: seq + frames.len() as u64,
            offset,
            reason,
        };
        let frame = frame::decode(rest).map_err(|broken| wrong(format!("it {broken}")))?;
        let record = reader::decode(path, offset, &frame)?;
        let mut blobs = Vec::new();
        if frame.blob {
            let reference: BlobReference =
                serde_json::from_slice(frame.payload).map_err(|error| wrong(error.to_string()))?;
            blobs.push(reference.blob);
        }
        if let Record::RunStart(start) = &record {
            blobs.push(start.source.clone());
            blobs.extend(start.files.values().cloned());
        }
        let len = frame::FRAME_HEADER_LEN + frame.payload.len();
        let whole = rest.get(..len).unwrap_or_default().to_vec();
        frames.push(Framed { seq: frame.seq, bytes: whole, blobs, record });
        at += len;
    }
    Ok(frames)
}

/// One frame: its number, its kind and its bytes.
pub type Slice<'a> = (u64, &'static str, &'a [u8]);

/// The frames that the bytes of a journal's frames hold, from the first on, without reading blobs. What a copy is
/// compared with.
pub fn split_frames(bytes: &[u8]) -> Result<Vec<Slice<'_>>, String> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let frame = frame::decode(rest).map_err(|broken| format!("frame {} {broken}", frames.len()))?;
        let len = frame::FRAME_HEADER_LEN + frame.payload.len();
        frames.push((frame.seq, Record::name_of(frame.kind), rest.get(..len).unwrap_or_default()));
        at += len;
    }
    Ok(frames)
}

/// What a whole frame holds.
pub enum Payload<'a> {
    /// The digest of the blob that its record lies in.
    Blob(Digest),
    /// Its record's JSON.
    Record(&'a [u8]),
}

/// What a frame's bytes hold; none where they are not whole.
pub fn payload(bytes: &[u8]) -> Option<Payload<'_>> {
    let frame = frame::decode(bytes).ok()?;
    if !frame.blob {
        return Some(Payload::Record(frame.payload));
    }
    let reference: BlobReference = serde_json::from_slice(frame.payload).ok()?;
    Some(Payload::Blob(reference.blob))
}

/// Where the bytes of a journal end with a frame that is not whole, and no whole one follows.
pub fn tears_at(bytes: &[u8]) -> Option<usize> {
    let scan = reader::Scan::new(std::path::Path::new("journal"), bytes).ok()?;
    let (_, end) = scan.frames().ok()?;
    (end < bytes.len()).then_some(end)
}

/// Where a blob of the run in `dir` lies, if it is there and whole.
pub fn has_blob(dir: &std::path::Path, digest: &Digest) -> bool {
    blob::attached(dir, digest).is_ok()
}

/// The header of the journal of a run.
pub fn header(run: &crate::types::RunId) -> Result<Vec<u8>, String> {
    uuid::Uuid::parse_str(run.as_str()).map(frame::file_header).map_err(|error| error.to_string())
}
