//! Carries a run's journal to the shared store, as far as the run still holds its leases.
//!
//! The main type is [`Carrier`]. Frames are put where nothing is, in one transaction with a check that each lease is still this
//! process's: whoever was taken over finds out here, before it sends anything to AWS.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;
use super::leases::Leases;
use super::runs;
use super::shared;
use super::table::{Condition, Item, Key, Table, Transacted, TransactionPart, Written, token};
use crate::journal::{Framed, JournalError, Pushing, Record, Replica, RunOutline, attached};
use crate::types::{Digest, RunId};

/// An item has at most 400 KB, names included.
const LARGEST: usize = 350_000;

/// Carries the journal of one run.
#[derive(Debug)]
pub struct Carrier {
    table: Table,
    run: RunId,
    /// The run's directory, where its blobs are.
    dir: PathBuf,
    leases: Leases,
    /// How the run stands by what was carried so far.
    summary: Mutex<RunOutline>,
    /// Blobs that are known to be there.
    carried: Mutex<std::collections::BTreeSet<Digest>>,
}

/// The partition of a run.
pub(super) fn partition(run: &RunId) -> String {
    format!("run#{run}")
}

/// Where frames lie that begin with this number.
pub(super) fn frame_place(run: &RunId, seq: u64) -> Key {
    Key::new(partition(run), format!("{FRAMES}{seq:020}"))
}

/// Before the number of the first frame in an item.
pub(super) const FRAMES: &str = "frame#";

impl Carrier {
    /// A carrier for the run whose journal lies in `dir`, as long as it holds `leases`. Where some of it was carried before, `so
    /// far` has its records.
    pub fn new<'a>(
        table: Table,
        run: RunId,
        dir: PathBuf,
        leases: Leases,
        so_far: impl IntoIterator<Item = &'a Record>,
    ) -> Self {
        let mut summary = RunOutline::default();
        so_far.into_iter().for_each(|record| summary.absorb(record));
        Self { table, run, dir, leases, summary: Mutex::new(summary), carried: Mutex::default() }
    }

    async fn push_all(&self, frames: &[Framed]) -> Result<(), JournalError> {
        for frame in frames {
            for digest in &frame.blobs {
                self.push_blob(digest).await?;
            }
        }
        let mut rest = frames;
        while !rest.is_empty() {
            let mut size = 0;
            let fits = rest.iter().take_while(|frame| {
                size += frame.bytes.len();
                size <= LARGEST
            });
            // INVARIANT: a frame is smaller than an item, so that each step carries at least one.
            let (batch, later) = rest.split_at(fits.count().max(1).min(rest.len()));
            self.push_batch(batch).await?;
            rest = later;
        }
        Ok(())
    }

    /// Put frames that fit into one item.
    async fn push_batch(&self, frames: &[Framed]) -> Result<(), JournalError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.iter().copied()).collect();
        let place = frame_place(&self.run, first.seq);
        let token = token(&[self.run.as_str().as_bytes(), &first.seq.to_be_bytes(), &bytes]);
        let item = Item::default().bytes("frames", bytes.clone()).number("last", last.seq);
        let mut parts = vec![TransactionPart::Put(place.clone(), item, Condition::Absent)];
        let leases = self.leases.conditions();
        parts.extend(
            leases.iter().map(|(_, place, condition)| TransactionPart::Check(place.clone(), condition.clone())),
        );
        parts.extend(
            self.summarise(frames).map(|item| TransactionPart::Put(runs::place(&self.run), item, Condition::Always)),
        );
        match self.table.transact(&parts, &token).await.map_err(|error| self.failed(error))? {
            Transacted::Yes => Ok(()),
            Transacted::Refused(refused) => {
                // The answer of an earlier attempt may have been lost: then these very frames are there.
                let there = self.table.get(&place).await.map_err(|error| self.failed(error))?;
                match there {
                    Some(there) if there.get_bytes("frames") == Some(bytes.as_slice()) => Ok(()),
                    there => Err(self.taken_over(there.as_ref(), &refused, &leases).await),
                }
            }
        }
    }

    /// What the list of runs says after `frames`, where they change it.
    fn summarise(&self, frames: &[Framed]) -> Option<Item> {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        let before = summary.clone();
        frames.iter().for_each(|frame| summary.absorb(&frame.record));
        (*summary != before).then(|| runs::item(&summary))
    }

    async fn taken_over(
        &self,
        there: Option<&Item>,
        refused: &[usize],
        leases: &[(super::LeaseKey, Key, Condition)],
    ) -> JournalError {
        let lost = refused.iter().filter_map(|part| leases.get(part.checked_sub(1)?)).map(|(key, _, _)| key).next();
        let by = match (lost, there) {
            (Some(key), _) => format!("{key}: {}", shared::who_has(&self.table, key).await),
            (None, Some(_)) => "another process wrote the next part of its journal".to_owned(),
            (None, None) => "the store refused the next part of its journal, and nobody else's is there".to_owned(),
        };
        JournalError::TakenOver { by }
    }

    /// Put a blob of the run.
    async fn push_blob(&self, digest: &Digest) -> Result<(), JournalError> {
        if self.carried.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            return Ok(());
        }
        let bytes = attached(&self.dir, digest)?;
        put_blob(&self.table, &partition(&self.run), digest, &bytes).await.map_err(|error| self.failed(error))?;
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone());
        Ok(())
    }

    fn failed(&self, error: StoreError) -> JournalError {
        JournalError::Replica { path: self.dir.join("journal"), reason: error.to_string() }
    }
}

impl Replica for Carrier {
    fn push<'a>(&'a self, frames: &'a [Framed]) -> Pushing<'a> {
        Box::pin(self.push_all(frames))
    }
}

/// Keep a component for all runs, by its digest. Nothing is sent where it is there already.
pub(crate) async fn keep_component(table: &Table, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
    let partition = component_partition(digest);
    match table.get(&Key::new(partition.as_str(), head(digest))).await? {
        Some(_) => Ok(()),
        None => put_blob(table, &partition, digest, bytes).await,
    }
}

/// The component of this digest, if it is kept.
pub(super) async fn kept_component(table: &Table, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    get_blob(table, &component_partition(digest), digest).await
}

fn component_partition(digest: &Digest) -> String {
    format!("component#{digest}")
}

/// The sort key of the item that says that a blob is whole, and of how many parts.
fn head(digest: &Digest) -> String {
    format!("blob#{digest}")
}

/// Put a blob in parts, and last what says that all are there. The same bytes again do no harm.
async fn put_blob(table: &Table, partition: &str, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
    let mut parts = 0;
    for part in bytes.chunks(LARGEST) {
        let item = Item::default().bytes("part", part.to_vec());
        let place = Key::new(partition, format!("{}#{parts:06}", head(digest)));
        let (Written::Yes | Written::Refused) = table.put(&place, &item, &Condition::Always).await?;
        parts += 1;
    }
    let item = Item::default().number("parts", parts).number("bytes", bytes.len() as u64);
    let (Written::Yes | Written::Refused) =
        table.put(&Key::new(partition, head(digest)), &item, &Condition::Always).await?;
    Ok(())
}

/// The blob of this digest, checked against it; none where it is not there.
pub(super) async fn get_blob(table: &Table, partition: &str, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let items = table.query(partition, &head(digest), None).await?;
    let Some((_, first)) = items.first().filter(|(place, _)| place.sort == head(digest)) else { return Ok(None) };
    let parts = first.get_number("parts").unwrap_or_default();
    let bytes: Vec<u8> =
        items.iter().skip(1).flat_map(|(_, item)| item.get_bytes("part").unwrap_or_default().iter().copied()).collect();
    let wrong = |reason: String| StoreError::Blob { digest: digest.clone(), store: table.address().clone(), reason };
    if items.len() as u64 != parts + 1 {
        return Err(wrong(format!("has {} parts of {parts}", items.len() - 1)));
    }
    let found = Digest::of(&bytes);
    match found == *digest {
        true => Ok(Some(bytes)),
        false => Err(wrong(format!("is damaged: its content has the digest {found}"))),
    }
}
