//! The one clock of a run: what plugins, time-outs, retries and records read and wait on.
//!
//! The main type is [`Clock`]. It rides on tokio's clock, which can be paused and advanced, and may run faster than the
//! world: a run against a simulator whose clock is scaled waits in the same scale.

use std::time::{Duration, Instant as Awake, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A clock that runs `scale` times as fast as the world.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// The same instant by a clock that stands still while the machine sleeps, and by one that does not.
    awake: Awake,
    booted: Duration,
    /// Milliseconds since the Unix epoch at `origin`.
    epoch: u64,
    scale: f64,
}

impl Clock {
    /// A clock that shows the world's time now and runs `scale` times as fast from here. 1 is the world's pace.
    pub fn scaled(scale: f64) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(epoch.as_millis() as u64, scale)
    }

    /// A clock that shows `epoch` (milliseconds since the Unix epoch) now.
    pub fn starting_at(epoch: u64, scale: f64) -> Self {
        Self { origin: Instant::now(), awake: Awake::now(), booted: since_boot(), epoch, scale }
    }

    /// The clock of a run that goes on: it showed the world's time at `origin`, goes `scale` times as fast since, and has
    /// shown `latest`. It shows what it would, had nothing stopped it, and never goes back.
    pub fn going_on(origin: u64, latest: u64, scale: f64) -> Self {
        let world = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let since = world.saturating_sub(origin) as f64 * scale;
        Self::starting_at(origin.saturating_add(since as u64).max(latest), scale)
    }

    /// When this clock and the world's showed the same, in milliseconds since the Unix epoch.
    pub fn started(&self) -> u64 {
        self.epoch
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.epoch + (self.origin.elapsed().as_secs_f64() * self.scale * 1000.0) as u64
    }

    /// For how long the machine has slept since this clock began: this clock stood still meanwhile, and AWS's did not. In this
    /// clock's time.
    pub fn slept(&self) -> Duration {
        let slept = since_boot().saturating_sub(self.booted).saturating_sub(self.awake.elapsed());
        // The two are not read at once, and a rehearsal, in which nobody sleeps, must not depend on what passes in between.
        if slept < SHORTEST_SLEEP { Duration::ZERO } else { slept.mul_f64(self.scale) }
    }

    /// How many times as fast as the world this clock goes.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// How long the world takes to see `duration` pass on this clock.
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.scale)
    }

    /// Wait for `duration` of this clock.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.real(duration)).await;
    }

    /// Wait until this clock shows `instant`, milliseconds since the Unix epoch.
    pub async fn sleep_until(&self, instant: u64) {
        self.sleep(Duration::from_millis(instant.saturating_sub(self.now()))).await;
    }
}

/// No machine sleeps for less.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// How long ago the machine was started, with the time for which it slept.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Where no clock tells how long the machine slept, the wall's clock must do.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
impl Clock {
    /// This clock, as if the machine had slept for `duration` since it began.
    pub(crate) fn after_a_sleep_of(self, duration: Duration) -> Self {
        Self { booted: self.booted.saturating_sub(duration), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_knows_how_long_the_machine_slept() {
        let clock = Clock::scaled(1.0);
        assert_eq!(clock.slept(), Duration::ZERO, "it is awake");
        let before = clock.now();
        let slept = clock.after_a_sleep_of(Duration::from_secs(50));
        // Two clocks are not read at once.
        assert_eq!(slept.slept().as_secs_f64().round(), 50.0, "{:?}", slept.slept());
        assert!(slept.now() < before + 50_000, "what it shows stood still");
    }
}
