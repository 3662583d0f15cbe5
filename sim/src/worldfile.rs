//! The file that says what there is at the start of a simulated world, and how it behaves.
//!
//! The main type is [`WorldFile`]. Each service defines its own part beside its state.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::access::{self, AccessKeySeed, Rigour, Verify};
use crate::clock::{Clock, Timestamp};
use crate::consistency::{Consistency, ConsistencySeed};
use crate::faults::{FaultSeed, Faults};
use crate::services::{self, each_service};
use crate::throttle::{Throttle, ThrottlingSeed};
use crate::world::{PlaceKey, Tokens, World};

/// Why a world file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// It is no TOML, or not of the right form. The message shows the place.
    #[error("the world file cannot be read: {0}")]
    Syntax(String),
    /// It is well-formed, and contradicts itself: one line a problem.
    #[error("the world file does not make sense:\n{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// A world file that was read and checked.
#[derive(Debug, Clone)]
pub struct WorldFile(File);

macro_rules! file {
    ($([$Service:ident $module:ident $state:tt $event:tt (
        $($turn:literal; $($seeds:ident $Seed:ident),+ $(; $setting:ident $Setting:ident)?)?
    )])*) => {
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct File {
            /// Where everything belongs that does not say otherwise, and whoever has keys that the simulator did not hand out.
            account: String,
            region: String,
            /// Two worlds of one seed hand out the same ids.
            #[serde(default)]
            seed: u64,
            /// How many times as fast as real time, where the caller does not decide.
            #[serde(default = "real_time")]
            scale: f64,
            /// The instant at which the world begins, where the caller does not decide.
            start: Option<Timestamp>,
            /// Whether calls with expired credentials or signatures are refused. Wants a client on the same clock.
            #[serde(default)]
            expire_credentials: bool,
            /// Whose signatures are verified: of `known` keys, or `strict`ly of all.
            #[serde(default)]
            verify_signatures: Verify,
            /// Users' access keys.
            #[serde(default)]
            access_keys: Vec<AccessKeySeed>,
            $($($(#[serde(default)] $seeds: Vec<services::$module::$Seed>,)+)?)*
            #[serde(default)]
            faults: Vec<FaultSeed>,
            #[serde(default)]
            throttling: ThrottlingSeed,
            #[serde(default)]
            consistency: ConsistencySeed,
            $($($($setting: Option<$Setting>,)?)?)*
            /// The most items that a page of any list holds.
            page_size: Option<usize>,
            /// Whether client tokens mean nothing, so that a call that is sent again happens again: only for tests that must be
            /// seen to fail.
            #[serde(default)]
            forget_tokens: bool,
        }

        /// When each service plants its part of the file, and how.
        const PLANTS: &[(u8, Plant)] = &[$($(
            ($turn, |file, world, problems| {
                services::$module::plant(world, $(&file.$seeds,)+ $(file.$setting,)? problems);
            }),
        )?)*];
    };
}

each_service!(file);

type Plant = fn(&File, &mut World, &mut Problems);

fn real_time() -> f64 {
    1.0
}

impl WorldFile {
    /// Read a world file, and tell everything that is wrong with it.
    pub fn parse(text: &str) -> Result<WorldFile, WorldError> {
        let file: File = toml::from_str(text).map_err(|error| WorldError::Syntax(error.to_string()))?;
        let (_, problems) = file.plant(Timestamp(0));
        if problems.0.is_empty() { Ok(WorldFile(file)) } else { Err(WorldError::Invalid(problems.0)) }
    }

    /// The same world for callers in this process, who live on the simulator's clock: every signature is verified, and
    /// credentials and signatures grow old. The key `test` with the secret `test` belongs to a user of the world's own
    /// account, unless the file has it otherwise.
    #[must_use]
    pub fn in_process(mut self) -> Self {
        self.0.verify_signatures = Verify::Strict;
        self.0.expire_credentials = true;
        if !self.0.access_keys.iter().any(|key| key.id() == "test") {
            self.0.access_keys.push(AccessKeySeed::anyone());
        }
        self
    }

    /// The world's own account.
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// The world's own region.
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// How many times as fast as real time the file wants the world to run.
    pub fn scale(&self) -> f64 {
        self.0.scale
    }

    /// The instant at which the file wants the world to begin: milliseconds since the Unix epoch.
    pub fn start(&self) -> Option<u64> {
        self.0.start.map(|start| start.0)
    }

    /// A clock that begins at the file's `start`, or else at `epoch` (milliseconds since the Unix epoch), and runs at the
    /// file's `scale`.
    pub fn clock(&self, epoch: u64) -> Clock {
        Clock::new(self.start().unwrap_or(epoch), self.0.scale)
    }

    /// The world at its beginning.
    pub(crate) fn world(&self, now: Timestamp) -> World {
        let (world, problems) = self.0.plant(now);
        // INVARIANT: `parse` made this same world, and refused a file with problems.
        for problem in problems.0 {
            tracing::error!(problem, "a checked world file has a problem");
        }
        world
    }
}

impl File {
    fn plant(&self, now: Timestamp) -> (World, Problems) {
        let mut problems = Problems::default();
        let home = PlaceKey { account: self.account.clone(), region: self.region.clone() };
        if !(self.account.len() == 12 && self.account.bytes().all(|b| b.is_ascii_digit())) {
            problems.add("account", "an AWS account is 12 digits");
        }
        if self.region.split('-').count() < 3 {
            problems.add("region", "regions look like `us-west-2`");
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            problems.add("scale", "it must be a positive number");
        }
        let mut world = World::new(home, self.seed, now);
        let actions = services::actions();
        world.faults = Faults::plant(&self.faults, now, &actions, &mut problems);
        world.throttle = Throttle::plant(&self.throttling, &actions, &mut problems);
        world.consistency = Consistency::new(self.consistency);
        if self.forget_tokens {
            world.tokens = Tokens::forgetful();
        }
        match self.page_size {
            Some(0) => problems.add("page-size", "a page holds at least 1"),
            Some(size) => world.page_size = size,
            None => {}
        }
        let rigour = Rigour { verify: self.verify_signatures, expire: self.expire_credentials };
        access::plant(&mut world, &self.access_keys, rigour, &mut problems);
        let mut plants = PLANTS.to_vec();
        plants.sort_by_key(|(turn, _)| *turn);
        for (_, plant) in plants {
            plant(self, &mut world, &mut problems);
        }
        (world, problems)
    }
}

/// What is wrong with a world file.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Say what is wrong, and where.
    pub(crate) fn add(&mut self, place: &str, problem: impl fmt::Display) {
        self.0.push(format!("{place}: {problem}"));
    }
}

/// A length of time, written as `500ms`, `10s`, `5m`, `1h30m` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(Duration);

impl Span {
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl std::str::FromStr for Span {
    type Err = kiln_span::InvalidDuration;

    fn from_str(text: &str) -> Result<Self, kiln_span::InvalidDuration> {
        // In a world, what takes no time at all is as good as what takes years.
        kiln_span::parse(text, Duration::MAX).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_and_nonsense_is_refused() {
        let millis = |text: &str| text.parse::<Span>().map(|span| span.duration().as_millis()).ok();
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("30d"), Some(2_592_000_000));
        for wrong in ["", "10", "s", "-1s", "1 s", "1y", "99999999999999999999s"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_problem_of_a_file_is_told_at_once() {
        let text = "account = '1'\nregion = 'x'\n[[faults]]\noperation = 'x'\nkind = 'delay'";
        let Err(WorldError::Invalid(problems)) = WorldFile::parse(text) else { panic!("it is refused") };
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let text = "account = '111111111111'\nregion = 'us-west-2'\nspeed = 3";
        let Err(WorldError::Syntax(message)) = WorldFile::parse(text) else { panic!("it is refused") };
        assert!(message.contains("line 3") && message.contains("speed"), "{message}");
    }

    #[test]
    fn the_tables_of_all_services_stand_between_those_of_the_simulator_in_the_order_of_old() {
        let text = "account = '111111111111'\nregion = 'us-west-2'\nspeed = 3";
        let Err(WorldError::Syntax(message)) = WorldFile::parse(text) else { panic!("it is refused") };
        let expected = "expected one of `account`, `region`, `seed`, `scale`, `start`, `expire-credentials`, \
                        `verify-signatures`, `access-keys`, `roles`, `secrets`, `keys`, `repositories`, `findings`, \
                        `projects`, `clusters`, `services`, `task-behaviours`, `task-definitions`, `alarms`, `alarm-mute-rules`, \
                        `tables`, `rules`, `schedules`, `functions`, `faults`, `throttling`, `consistency`, `concurrent-builds`, `page-size`, `forget-tokens`\n";
        assert!(message.ends_with(expected), "{message}");
    }
}
