//! Leases in the shared store: an item each, changed only where it still is as it was seen.
//!
//! The main functions are [`read`] and [`take`].

use super::error::StoreError;
use super::lease::{Holding, Lease, LeaseKey, Owner};
use super::table::{Condition, Item, Key, Table, Written, number, text};
use crate::types::RunId;

/// The partition of the environments' leases.
const LEASES: &str = "leases";

/// Where a lease lies: an environment's among the others, a run's own beside its journal.
pub(super) fn place(key: &LeaseKey) -> Key {
    match key {
        LeaseKey::Run(run) => Key::new(format!("run#{run}"), "lease"),
        LeaseKey::Environment { account, environment } => Key::new(LEASES, format!("lease#{account}#{environment}")),
    }
}

/// The lease as it stands, if it was ever held.
pub(super) async fn read(table: &Table, key: &LeaseKey) -> Result<Option<Lease>, StoreError> {
    let place = place(key);
    table.get(&place).await?.map(|item| parse(table, &place, &item)).transpose()
}

/// All environments' leases.
pub(super) async fn list(table: &Table) -> Result<Vec<(LeaseKey, Lease)>, StoreError> {
    let items = table.query(LEASES, "", None).await?;
    let mut found = Vec::with_capacity(items.len());
    for (place, item) in items {
        let mut parts = place.sort.splitn(3, '#').skip(1);
        let key = parts.next().zip(parts.next()).and_then(|(account, environment)| {
            Some(LeaseKey::Environment { account: account.parse().ok()?, environment: environment.parse().ok()? })
        });
        let key = key.ok_or_else(|| table.foreign(format!("{place} is the key of no lease")))?;
        found.push((key, parse(table, &place, &item)?));
    }
    Ok(found)
}

/// Put `lease` in the place of what was `seen`, where that has not changed since: neither hands nor heartbeat. Answers whether
/// it is there now; also where the answer was lost and it was found there.
pub(super) async fn take(
    table: &Table,
    key: &LeaseKey,
    seen: Option<&Lease>,
    lease: &Lease,
) -> Result<bool, StoreError> {
    let condition = match seen {
        None => Condition::Absent,
        Some(seen) => Condition::Equal(vec![
            ("fence", number(seen.fence)),
            ("heartbeat", number(seen.heartbeat)),
            ("state", text(word(seen.state))),
        ]),
    };
    match table.put(&place(key), &item(lease), &condition).await? {
        Written::Yes => Ok(true),
        Written::Refused => Ok(read(table, key).await?.as_ref() == Some(lease)),
    }
}

/// Put `lease` in the place of the one with its own `nonce`. Answers whether that was still there.
pub(super) async fn replace(table: &Table, key: &LeaseKey, nonce: &str, lease: &Lease) -> Result<bool, StoreError> {
    match table.put(&place(key), &item(lease), &still(nonce)).await? {
        Written::Yes => Ok(true),
        // The answer of an earlier attempt may have been lost.
        Written::Refused => Ok(read(table, key).await?.as_ref() == Some(lease)),
    }
}

/// Renew a lease, by one attempt.
pub(super) async fn renew(table: &Table, key: &LeaseKey, nonce: &str, lease: &Lease) -> Result<bool, StoreError> {
    let sent = table.put_once(&place(key), &item(lease), &still(nonce)).await;
    let written = sent.map_err(|error| table.failed("write to", error))?;
    Ok(written == Written::Yes)
}

/// That a lease is still of the process that knows `nonce`.
pub(super) fn still(nonce: &str) -> Condition {
    Condition::Equal(vec![("nonce", text(nonce))])
}

/// Who has a lease that was lost, as a sentence without its end.
pub(super) async fn who_has(table: &Table, key: &LeaseKey) -> String {
    match read(table, key).await {
        Ok(Some(lease)) => new_holder(&lease),
        Ok(None) => "its item was deleted from the table".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Who has a lease that another had, as a sentence without its end.
fn new_holder(lease: &Lease) -> String {
    match (lease.state, &lease.reason) {
        (Holding::Free, Some(reason)) => format!("a person released it ({reason})"),
        (Holding::Free, None) => format!("it was given back by {}", lease.owner),
        (Holding::Held | Holding::Parked, _) => {
            format!("run {} has it since {} ({})", lease.run, super::error::instant(lease.since), lease.owner)
        }
    }
}

fn word(state: Holding) -> &'static str {
    match state {
        Holding::Held => "held",
        Holding::Parked => "parked",
        Holding::Free => "free",
    }
}

fn item(lease: &Lease) -> Item {
    Item::default()
        .text("run", lease.run.as_str())
        .text("host", lease.owner.host.as_str())
        .number("process", u64::from(lease.owner.process))
        .maybe_text("nonce", lease.nonce.clone())
        .number("fence", lease.fence)
        .number("heartbeat", lease.heartbeat)
        .text("state", word(lease.state))
        .number("since", lease.since)
        .number("ttl", lease.ttl)
        .maybe_text("reason", lease.reason.clone())
}

fn parse(table: &Table, place: &Key, item: &Item) -> Result<Lease, StoreError> {
    let text = |name: &str| item.get_text(name).ok_or_else(|| table.foreign(format!("{place} has no `{name}`")));
    let number = |name: &str| item.get_number(name).ok_or_else(|| table.foreign(format!("{place} has no `{name}`")));
    let run: RunId = text("run")?.parse().map_err(|error| table.foreign(format!("{place}: {error}")))?;
    let state = match text("state")? {
        "held" => Holding::Held,
        "parked" => Holding::Parked,
        "free" => Holding::Free,
        other => return Err(table.foreign(format!("{place} is {other:?}, which no lease is"))),
    };
    Ok(Lease {
        run,
        owner: Owner { host: text("host")?.to_owned(), process: u32::try_from(number("process")?).unwrap_or_default() },
        nonce: item.get_text("nonce").map(str::to_owned),
        fence: number("fence")?,
        heartbeat: number("heartbeat")?,
        state,
        since: number("since")?,
        ttl: number("ttl")?,
        reason: item.get_text("reason").map(str::to_owned),
    })
}
