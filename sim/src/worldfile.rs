//! The file that says what there is at the start of a simulated world, and how it behaves.
//!
//! The main type is [`WorldFile`]. Each service defines its own part beside its state.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
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
    #[error("the world file does not make sense:\n{}", lines(.0))]
    Invalid(Vec<WorldProblem>),
}

/// Something in a world file that contradicts the rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct WorldProblem {
    /// The table of the file, such as `services`, and which of its entries, from 0.
    pub entry: Option<(&'static str, usize)>,
    /// The line that the entry begins on.
    pub line: Option<usize>,
    /// What is wrong, and with what.
    pub message: String,
}

fn lines(problems: &[WorldProblem]) -> String {
    problems.iter().map(WorldProblem::to_string).collect::<Vec<_>>().join("\n")
}

/// A world file that was read and checked.
#[derive(Debug, Clone)]
pub struct WorldFile(File);

macro_rules! file {
    ($([$Service:ident $module:ident $state:tt $event:tt (
        $($turn:literal; $($seeds:ident $Seed:ident),+ $(; $setting:ident $Setting:ident)?)?
    )])*) => {
        /// A kiln world: what a simulated account holds at the start, and how it behaves.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        #[schemars(title = "kiln world")]
        struct File {
            /// The account, 12 digits in quotes, to which all belongs that does not say otherwise, and whoever has keys that the
            /// simulator did not hand out.
            #[schemars(regex(pattern = "^[0-9]{12}$"))]
            account: String,
            /// The region that everything is in that does not say otherwise, such as `us-west-2`.
            #[schemars(regex(pattern = "-.*-"))]
            region: String,
            /// Two worlds of one seed hand out the same ids.
            #[serde(default)]
            seed: u64,
            /// How many times as fast as real time, where the caller does not decide.
            #[serde(default = "real_time")]
            #[schemars(extend("exclusiveMinimum" = 0))]
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
            /// What AWS does on a bad day.
            #[serde(default)]
            faults: Vec<FaultSeed>,
            /// How many calls a service takes before it throttles; any number unless told.
            #[serde(default)]
            throttling: ThrottlingSeed,
            /// How late it is seen what was written; at once unless told.
            #[serde(default)]
            consistency: ConsistencySeed,
            $($($(
                #[doc = concat!("The most ", stringify!($setting), " at a time; then calls for more are refused.")]
                $setting: Option<$Setting>,
            )?)?)*
            /// The most items that a page of any list holds.
            #[schemars(range(min = 1))]
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
    /// Read a world file, and tell everything that is wrong with it. It names no files beside it.
    pub fn parse(text: &str) -> Result<WorldFile, WorldError> {
        let file: File = toml::from_str(text).map_err(|error| WorldError::Syntax(error.to_string()))?;
        Self::checked(file, text)
    }

    /// The same with the files that it names: `beside` reads one, or says why it cannot.
    pub fn parse_with(text: &str, beside: &dyn Fn(&str) -> Result<String, String>) -> Result<WorldFile, WorldError> {
        let mut file: File = toml::from_str(text).map_err(|error| WorldError::Syntax(error.to_string()))?;
        file.stacks.iter_mut().for_each(|stack| stack.read(beside));
        Self::checked(file, text)
    }

    fn checked(file: File, text: &str) -> Result<WorldFile, WorldError> {
        let (_, Problems { mut found, .. }) = file.plant(Timestamp(0));
        found.extend(misplaced(text));
        if found.is_empty() {
            return Ok(WorldFile(file));
        }
        for problem in &mut found {
            problem.line = problem.entry.and_then(|(table, index)| line_of(text, table, index));
        }
        Err(WorldError::Invalid(found))
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
        for WorldProblem { message, .. } in problems.found {
            tracing::error!(message, "a checked world file has a problem");
        }
        world
    }
}

impl JsonSchema for WorldFile {
    fn schema_name() -> Cow<'static, str> {
        "World".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        File::json_schema(generator)
    }
}

impl File {
    fn plant(&self, now: Timestamp) -> (World, Problems) {
        let mut problems = Problems::default();
        let home = PlaceKey { account: self.account.clone(), region: self.region.clone() };
        if !is_account(&self.account) {
            problems.add("account", "an AWS account is 12 digits");
        }
        if !is_region(&self.region) {
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
        problems.entry = None;
        let mut plants = PLANTS.to_vec();
        plants.sort_by_key(|(turn, _)| *turn);
        for (_, plant) in plants {
            plant(self, &mut world, &mut problems);
            problems.entry = None;
        }
        (world, problems)
    }
}

/// What is wrong with a world file.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<WorldProblem>,
    /// What is read now.
    entry: Option<(&'static str, usize)>,
}

impl Problems {
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// What is added from here on is wrong with this entry of a table.
    pub(crate) fn reading(&mut self, table: &'static str, index: usize) {
        self.entry = Some((table, index));
    }

    /// Say what is wrong, and where.
    pub(crate) fn add(&mut self, place: &str, problem: impl fmt::Display) {
        self.found.push(WorldProblem { entry: self.entry, line: None, message: format!("{place}: {problem}") });
    }
}

/// The tables whose entries say where they belong.
const PLACED: [&str; 39] = [
    "access-keys",
    "roles",
    "secrets",
    "keys",
    "repositories",
    "findings",
    "projects",
    "clusters",
    "services",
    "task-behaviours",
    "task-definitions",
    "alarms",
    "tables",
    "rules",
    "schedules",
    "functions",
    "images",
    "snapshots",
    "launch-templates",
    "subnets",
    "security-groups",
    "instances",
    "ec2-capacity",
    "spot-interruptions",
    "parameters",
    "inspectors",
    "image-pipelines",
    "image-recipes",
    "infrastructure-configurations",
    "distribution-configurations",
    "lifecycle-policies",
    "target-groups",
    "load-balancers",
    "traffic-behaviours",
    "launch-configurations",
    "auto-scaling-groups",
    "buckets",
    "stacks",
    "resource-behaviours",
];

/// Entries whose account or region is none: a mistake in it would make a place that nobody looks into.
fn misplaced(text: &str) -> Vec<WorldProblem> {
    let Ok(document) = text.parse::<toml::Table>() else { return Vec::new() };
    let mut found = Vec::new();
    for table in PLACED {
        let entries = document.get(table).and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, entry) in entries.iter().enumerate() {
            let mut add =
                |message: String| found.push(WorldProblem { entry: Some((table, index)), line: None, message });
            let given = |field: &str| entry.get(field).and_then(toml::Value::as_str);
            if let Some(account) = given("account").filter(|account| !is_account(account)) {
                add(format!("{table}: `account` is {account:?}, and an AWS account is 12 digits"));
            }
            if let Some(region) = given("region").filter(|region| !is_region(region)) {
                add(format!("{table}: `region` is {region:?}, and regions look like `us-west-2`"));
            }
        }
    }
    found
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = parts.next_back().is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let mut count = 0;
    number
        && parts.inspect(|_| count += 1).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
        && count >= 2
}

/// The line on which an entry of a table of tables begins, from 1.
fn line_of(text: &str, table: &str, index: usize) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let entry = document.get_ref().get(table)?.get_ref().as_array()?.get(index)?;
    let before = text.get(..entry.span().start)?;
    Some(1 + before.matches('\n').count())
}

/// A length of time, written as `500ms`, `10s`, `5m`, `1h30m` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(Duration);

impl Span {
    pub(crate) fn of(duration: Duration) -> Self {
        Self(duration)
    }

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

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 2, "pattern": format!("^{}$", kiln_span::FORM), "examples": ["10s", "1h30m"] })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// An instant before the world's beginning, such as `-20d`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ago(Duration);

impl Ago {
    pub(crate) fn of(duration: Duration) -> Self {
        Self(duration)
    }

    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl JsonSchema for Ago {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ago".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^-{}$", kiln_span::FORM), "examples": ["-20d"] })
    }
}

impl<'de> Deserialize<'de> for Ago {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = text.strip_prefix('-').ok_or_else(|| format!("{text:?} is not a time ago such as `-20d`"));
        let span = span.and_then(|span| span.parse::<Span>().map_err(|error| error.to_string()));
        span.map(|span| Ago(span.duration())).map_err(de::Error::custom)
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
    fn a_thing_belongs_where_it_says_and_a_problem_names_its_line() {
        let text = "account = '111111111111'\nregion = 'us-west-2'\n\
            [[repositories]]\nname = 'web'\nimages = [{ tags = ['v1'] }]\n\
            [[clusters]]\nname = 'web'\naccount = '222222222222'\nregion = 'eu-west-1'\n\
            [[clusters]]\nname = 'web'\n\
            [[services]]\ncluster = 'web'\nname = 'web'\ndesired-count = 1\naccount = '222222222222'\nregion = 'eu-west-1'\n\
            containers = [{ name = 'app', image = '111111111111.dkr.ecr.us-west-2.amazonaws.com/web:v1' }]\n\
            [[alarms]]\nname = 'web'\nregion = 'eu-west-1'\n[[alarms]]\nname = 'web'\n\
            [[tables]]\nname = 'runs'\npartition-key = 'pk'\naccount = '333333333333'\n";
        let world = WorldFile::parse(text).unwrap_or_else(|error| panic!("{error}")).world(Timestamp(0));
        let state = serde_json::to_value(&world.places).unwrap_or_default();
        let holds =
            |place: &str, thing: &str| state.pointer(&format!("/{}/{thing}", place.replace('/', "~1"))).cloned();
        let tasks =
            |place: &str| holds(place, "ecs/clusters/web/tasks").and_then(|tasks| Some(tasks.as_object()?.len()));
        assert_eq!(tasks("222222222222/eu-west-1"), Some(1), "{state}");
        assert_eq!(tasks("111111111111/us-west-2"), Some(0));
        assert!(holds("111111111111/eu-west-1", "cloudwatch/alarms/web").is_some());
        assert!(holds("111111111111/us-west-2", "cloudwatch/alarms/web").is_some());
        assert!(holds("333333333333/us-west-2", "dynamodb/tables/runs").is_some());

        let wrong = format!(
            "{text}[[services]]\ncluster = 'web'\nname = 'api'\ndesired-count = 1\naccount = '333333333333'\n\
            containers = []\n[[alarms]]\nname = 'x'\naccount = '33'\nregion = 'eu-west'\n"
        );
        let Err(WorldError::Invalid(problems)) = WorldFile::parse(&wrong) else { panic!("it is refused") };
        let told: Vec<String> = problems.iter().map(WorldProblem::to_string).collect();
        assert_eq!(
            told,
            [
                "line 28: services: web/api: there is no cluster \"web\" in account 333333333333 and region us-west-2",
                "line 34: alarms: `account` is \"33\", and an AWS account is 12 digits",
                "line 34: alarms: `region` is \"eu-west\", and regions look like `us-west-2`",
            ]
        );
    }

    #[test]
    fn the_tables_of_all_services_stand_between_those_of_the_simulator_in_the_order_of_old() {
        let text = "account = '111111111111'\nregion = 'us-west-2'\nspeed = 3";
        let Err(WorldError::Syntax(message)) = WorldFile::parse(text) else { panic!("it is refused") };
        let expected = "expected one of `account`, `region`, `seed`, `scale`, `start`, `expire-credentials`, \
                        `verify-signatures`, `access-keys`, `roles`, `secrets`, `keys`, `repositories`, `findings`, \
                        `projects`, `clusters`, `services`, `task-behaviours`, `task-definitions`, `alarms`, `alarm-mute-rules`, \
                        `tables`, `rules`, `schedules`, `functions`, `images`, `snapshots`, `launch-templates`, `subnets`, \
                        `security-groups`, `instances`, `instance-behaviours`, `ec2-capacity`, `spot-interruptions`, `parameters`, \
                        `inspectors`, `risks`, `image-pipelines`, `image-recipes`, `infrastructure-configurations`, \
                        `distribution-configurations`, `lifecycle-policies`, `target-groups`, `load-balancers`, `traffic-behaviours`, \
                        `launch-configurations`, `auto-scaling-groups`, `buckets`, `stacks`, `resource-behaviours`, \
                        `faults`, `throttling`, `consistency`, `concurrent-builds`, `page-size`, `forget-tokens`\n";
        assert!(message.ends_with(expected), "{message}");
    }
}
