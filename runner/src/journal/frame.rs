//! Frames: how a record lies in the file, and how damage is told from a torn tail.
//!
//! The main type is [`Frame`]. Everything here is pure; `docs/journal.md` has the same layout in words.

use super::record::{FORMAT, OLDEST_FORMAT};

/// The first bytes of a journal.
pub(super) const FILE_MAGIC: [u8; 8] = *b"KILNJRNL";
/// The length of the file's header: magic, format, the run's id as 16 bytes, checksum.
pub(super) const HEADER_LEN: usize = 8 + 4 + 16 + 4;
/// The first bytes of a frame. 0xFF occurs in no UTF-8 text, so no payload can look like a frame.
pub(super) const FRAME_MAGIC: [u8; 4] = [0xFF, b'K', b'L', b'N'];
/// The length of what is before a frame's payload: magic, length, sequence number, kind, two checksums.
pub(super) const FRAME_HEADER_LEN: usize = 4 + 4 + 8 + 2 + 4 + 4;
/// The largest payload of a frame; what is larger lies in a blob.
pub(super) const MAX_INLINE: usize = 64 << 10;
/// The bit of a frame's kind that says that its payload names a blob.
pub(super) const BLOB_BIT: u16 = 1 << 15;

/// A frame of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Counts from 0 in a file.
    pub(super) seq: u64,
    /// The record's kind, without [`BLOB_BIT`].
    pub(super) kind: u16,
    /// Whether the payload names a blob.
    pub(super) blob: bool,
    /// The checksum of the frame before, or of the file's header.
    pub(super) prev_crc: u32,
    /// The checksum of all of the frame but itself.
    pub(super) crc: u32,
    /// JSON.
    pub(super) payload: &'a [u8],
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// They do not begin as a frame does.
    Magic,
    /// The length is larger than a frame can be.
    Length(u32),
    /// The file ends first.
    Short,
    /// The checksum is wrong.
    Checksum,
}

/// The header of the file of a run.
pub(super) fn file_header(run: uuid::Uuid) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend_from_slice(&FILE_MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(run.as_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// The run's id and the checksum that the first frame continues from, or what is wrong with the header.
pub(super) fn parse_file_header(bytes: &[u8]) -> Result<(uuid::Uuid, u32), String> {
    let mut rest = bytes;
    let magic = take::<8>(&mut rest).ok_or("its header is incomplete")?;
    let format = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or("its header is incomplete")?;
    if magic != FILE_MAGIC {
        return Err("it does not begin as a journal does".to_owned());
    }
    if !(OLDEST_FORMAT..=FORMAT).contains(&format) {
        return Err(format!(
            "its format is {format}, and this kiln knows {OLDEST_FORMAT} to {FORMAT} (or the header is damaged)"
        ));
    }
    let run = take::<16>(&mut rest).ok_or("its header is incomplete")?;
    let crc = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or("its header is incomplete")?;
    let covered = bytes.get(..HEADER_LEN - 4).unwrap_or_default();
    if crc != crc32c::crc32c(covered) {
        return Err("its header is damaged: the checksum is wrong".to_owned());
    }
    Ok((uuid::Uuid::from_bytes(run), crc))
}

/// A frame's bytes, and its checksum.
pub(super) fn encode(seq: u64, kind: u16, blob: bool, prev_crc: u32, payload: &[u8]) -> (Vec<u8>, u32) {
    let kind = if blob { kind | BLOB_BIT } else { kind };
    let mut bytes = Vec::with_capacity(FRAME_HEADER_LEN + payload.len());
    bytes.extend_from_slice(&FRAME_MAGIC);
    // INVARIANT: the writer puts what is larger than MAX_INLINE into a blob.
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&prev_crc.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(payload);
    (bytes, crc)
}

/// The frame at the beginning of `bytes`, by itself: whether it continues the one before is for the caller to see.
pub(super) fn decode(bytes: &[u8]) -> Result<Frame<'_>, Broken> {
    let mut rest = bytes;
    if !bytes.starts_with(&FRAME_MAGIC) {
        return Err(if FRAME_MAGIC.starts_with(bytes) { Broken::Short } else { Broken::Magic });
    }
    take::<4>(&mut rest);
    let len = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or(Broken::Short)?;
    if len as usize > MAX_INLINE {
        return Err(Broken::Length(len));
    }
    let seq = take::<8>(&mut rest).map(u64::from_le_bytes).ok_or(Broken::Short)?;
    let kind = take::<2>(&mut rest).map(u16::from_le_bytes).ok_or(Broken::Short)?;
    let prev_crc = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or(Broken::Short)?;
    let crc = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or(Broken::Short)?;
    let payload = rest.get(..len as usize).ok_or(Broken::Short)?;
    let covered = bytes.get(..FRAME_HEADER_LEN - 4).ok_or(Broken::Short)?;
    if crc != crc32c::crc32c_append(crc32c::crc32c(covered), payload) {
        return Err(Broken::Checksum);
    }
    Ok(Frame { seq, kind: kind & !BLOB_BIT, blob: kind & BLOB_BIT != 0, prev_crc, crc, payload })
}

/// The first whole frame in `bytes` at or behind `from` whose sequence number is at least `seq`, and where it begins.
pub(super) fn find_later(bytes: &[u8], from: usize, seq: u64) -> Option<(usize, u64)> {
    let mut at = from;
    while let Some(tail) = bytes.get(at..) {
        let next = tail.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC)?;
        at += next;
        if let Ok(frame) = decode(bytes.get(at..)?)
            && frame.seq >= seq
        {
            return Some((at, frame.seq));
        }
        at += 1;
    }
    None
}

impl std::fmt::Display for Broken {
    /// As a verb, for a sentence about the frame.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Magic => f.write_str("does not begin as a frame does"),
            Self::Length(len) => write!(f, "gives its length as {len} bytes, more than a frame can have"),
            Self::Short => f.write_str("is not whole"),
            Self::Checksum => f.write_str("has a wrong checksum"),
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}
