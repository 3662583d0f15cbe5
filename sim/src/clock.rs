//! The simulator's time.
//!
//! The main types are [`Clock`], which says what time it is, and [`Timestamp`], an instant as AWS sends it. The clock
//! rides on tokio's, so that a paused tokio clock makes it virtual; a manual clock moves only when it is told to.

use std::borrow::Cow;
use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kiln_span::millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;

use crate::wire::value::TIMESTAMP;

/// What time it is in the simulated world. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(TimeSource);

#[derive(Debug, Clone)]
enum TimeSource {
    Running { origin: Instant, epoch: u64, scale: f64 },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that shows `epoch` (milliseconds since the Unix epoch) now and runs `scale` times as fast as tokio's
    /// clock. A scale that is not positive and finite counts as 1.
    ///
    /// Credentials that the simulator hands out expire on this clock: clients outside the process live in the world's
    /// time, so give a served simulator an epoch of about now.
    pub fn new(epoch: u64, scale: f64) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 { scale } else { 1.0 };
        Self(TimeSource::Running { origin: Instant::now(), epoch, scale })
    }

    /// A clock that stands at `epoch` (milliseconds since the Unix epoch) until [`advance`](Self::advance) moves it.
    pub fn manual(epoch: u64) -> Self {
        Self(TimeSource::Manual(Arc::new(AtomicU64::new(epoch))))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp(match &self.0 {
            TimeSource::Running { origin, epoch, scale } => {
                epoch + (origin.elapsed().as_secs_f64() * scale * 1000.0) as u64
            }
            TimeSource::Manual(now) => now.load(Ordering::SeqCst),
        })
    }

    /// How many times as fast as tokio's clock this one runs; 0 for a manual one.
    pub fn scale(&self) -> f64 {
        match &self.0 {
            TimeSource::Running { scale, .. } => *scale,
            TimeSource::Manual(_) => 0.0,
        }
    }

    /// Move a manual clock on by `duration`. A running clock goes by itself and ignores this.
    pub fn advance(&self, duration: Duration) {
        if let TimeSource::Manual(now) = &self.0 {
            now.fetch_add(millis(duration), Ordering::SeqCst);
        }
    }

    /// Wait for `duration` of this clock; a manual clock jumps over it.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            TimeSource::Running { scale, .. } => tokio::time::sleep(duration.div_f64(*scale)).await,
            TimeSource::Manual(_) => self.advance(duration),
        }
    }
}

/// An instant: milliseconds since the Unix epoch.
///
/// It serialises to a marker that each protocol turns into its own form, and reads all of those forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to this instant; zero where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The instant `duration` before this one.
    pub fn before(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(duration)))
    }

    /// Seconds since the Unix epoch.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    pub(crate) fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).round().max(0.0) as u64)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(duration)))
    }
}

/// As AWS's XML writes it: `2026-01-05T09:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(i64::try_from(self.0).unwrap_or(i64::MAX)) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(TIMESTAMP, &self.0)?;
        map.end()
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"], "examples": ["2026-11-23T09:00:00Z"] })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InstantReader;

        impl Visitor<'_> for InstantReader {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since the Unix epoch, or an ISO 8601 instant")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
                Ok(Timestamp(seconds.saturating_mul(1000)))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_seconds(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let instant: jiff::Timestamp = text.parse().map_err(E::custom)?;
                u64::try_from(instant.as_millisecond()).map(Timestamp).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(InstantReader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(1_000);
        let seen = clock.clone();
        clock.advance(Duration::from_millis(500));
        assert_eq!(seen.now(), Timestamp(1_500));
    }

    #[test]
    fn an_instant_is_written_as_aws_writes_it() {
        assert_eq!(Timestamp(1_767_603_600_250).to_string(), "2026-01-05T09:00:00.250Z");
        let read: Timestamp = serde_json::from_str("\"2026-01-05T09:00:00.250Z\"").unwrap_or_default();
        assert_eq!(read, Timestamp(1_767_603_600_250));
    }
}
