//! Pipelines of random shape, each in a world of its own: what is run to be ended and resumed, drawn from a seed.
//!
//! The main function is [`shape`], which draws a [`Shape`]. It has builds, lanes that deploy and watch, and guests that put images; stages fail at
//! their first attempts or for good, are skipped, undone, or gone on without; AWS throttles, drops answers and is slow. However
//! its stages fall in time, it comes to one end: where stages work beside each other, one that fails keeps no other from
//! anything, and what fails for all comes last.

use std::time::Duration;

use crate::chance::Chance;
use crate::crash::Course;
use crate::scripted::{script, scripted};

/// How fast the clocks of shapes go.
const SCALE: f64 = 100.0;

/// What a secret's second leaf says, and plain configuration in the account beside it. Neither it nor its key may be what everybody
/// knows, such as a word of the pipeline: that is not masked.
const STAGE: &str = "production-eu-7";

/// Whether a secret holds what AWS answers and stages are configured with, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// It does: what is masked for people is part of what a run needs to go on.
    HoldSecrets,
    /// It does not.
    HoldNone,
}

/// What happens when a stage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    Stop,
    Continue,
    Undo,
}

impl OnFailure {
    fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Continue => "continue",
            Self::Undo => "undo",
        }
    }
}

/// Which stages of a shape may fail for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// Any of a lane: what follows in the lane is not run, everything else is.
    InLanes,
    /// The last one, after all others.
    Last(OnFailure),
    /// The one that does it in a single lane.
    Alone(OnFailure),
}

/// A stage, as it is written.
#[derive(Debug, Clone)]
struct StageText {
    name: String,
    plugin: String,
    with: String,
    after: Vec<String>,
    when: Option<bool>,
    environment: Option<String>,
    on_failure: OnFailure,
    retry: Option<Retry>,
}

#[derive(Debug, Clone, Copy)]
struct Retry {
    attempts: u64,
    seconds: u64,
}

/// A shape on its way to a course.
struct Drawing {
    chance: Chance,
    answers: Answers,
    failing: Failing,
    stages: Vec<StageText>,
    environments: Vec<String>,
    world: String,
    /// The last stages of all lanes that are certainly done or skipped in the end.
    certain: Vec<String>,
}

/// A pipeline of random shape in its world.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is run.
    pub course: Course,
    /// How many stages it has.
    pub stages: u64,
}

/// The shape of a seed.
pub fn shape(seed: u64, answers: Answers) -> Shape {
    let mut chance = Chance::of_seed(seed ^ 0x5eed_5ba9_e500_0000);
    let failing = match chance.below(4) {
        0 => Failing::Last(OnFailure::Undo),
        1 => Failing::Alone(if chance.below(3) == 0 { OnFailure::Stop } else { OnFailure::Undo }),
        2 if chance.below(4) == 0 => Failing::Last(OnFailure::Stop),
        _ => Failing::InLanes,
    };
    let mut drawing = Drawing {
        answers,
        failing,
        stages: Vec::new(),
        environments: Vec::new(),
        world: String::new(),
        certain: Vec::new(),
        chance,
    };
    let alone = matches!(failing, Failing::Alone(_));
    let lanes = if alone { 1 } else { 1 + drawing.chance.below(3) };
    for number in 0..lanes {
        match drawing.chance.below(3) {
            0 if !alone => drawing.guests(number),
            _ => drawing.deployment(number),
        }
    }
    if let Failing::Last(on_failure) = failing {
        drawing.last(on_failure);
    }
    drawing.weather();
    Shape { stages: drawing.stages.len() as u64, course: drawing.course(seed) }
}

impl Drawing {
    fn one_in(&mut self, many: u64) -> bool {
        self.chance.below(many) == 0
    }

    fn retry(&mut self, attempts: u64) -> Option<Retry> {
        Some(Retry { attempts, seconds: 10 + self.chance.below(90) })
    }

    /// Whether a stage of a lane fails for good, where one may. `already` says whether one did.
    fn fails(&mut self, already: bool) -> bool {
        match self.failing {
            Failing::InLanes => !already && self.one_in(4),
            Failing::Alone(_) => !already && self.one_in(2),
            Failing::Last(_) => false,
        }
    }

    fn on_failure(&self) -> OnFailure {
        match self.failing {
            Failing::InLanes => OnFailure::Continue,
            Failing::Last(on_failure) | Failing::Alone(on_failure) => on_failure,
        }
    }

    /// An environment with a role, or none.
    fn environment(&mut self, number: u64) -> Option<String> {
        if self.one_in(3) {
            return None;
        }
        let name = format!("e{number}");
        self.environments.push(name.clone());
        Some(name)
    }

    fn stage(&mut self, name: String, plugin: &str, with: String, after: Vec<String>) -> &mut StageText {
        let on_failure = self.on_failure();
        self.stages.push(StageText {
            name,
            plugin: plugin.to_owned(),
            with,
            after,
            when: None,
            environment: None,
            on_failure,
            retry: None,
        });
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }

    /// A lane that builds, deploys what it built, and perhaps watches it.
    fn deployment(&mut self, number: u64) {
        let mut failed = false;
        let build = self.build(number);
        let fails = self.fails(failed);
        failed |= fails;
        let deploy = self.deploy(number, &build, fails);
        let mut end = deploy;
        if !fails && !self.one_in(3) {
            let fires = self.fails(failed);
            failed |= fires;
            end = self.verify(number, end, fires);
        }
        if !failed {
            self.certain.push(end);
        }
    }

    fn build(&mut self, number: u64) -> String {
        let name = format!("build-{number}");
        let failures = if self.one_in(2) { 1 + self.chance.below(2) } else { 0 };
        let retry = (failures > 0).then(|| self.retry(failures + 1)).flatten();
        let takes = 5 + self.chance.below(50);
        let secret = match (self.answers, self.chance.below(3)) {
            (Answers::HoldNone, 0) => String::new(),
            (Answers::HoldNone | Answers::HoldSecrets, _) => {
                ", environment = { TOKEN = \"${secrets.registry}\" }".to_owned()
            }
        };
        let with = format!(
            "project = \"p{number}\", repository = \"r{number}\", tag = \"${{inputs.commit}}\", \
             source-version = \"${{inputs.commit}}\"{secret}"
        );
        self.stage(name.clone(), "build-image", with, Vec::new()).retry = retry;
        let fail = match failures {
            0 => String::new(),
            times => format!("fail = {{ phase = \"BUILD\", message = \"not yet\", times = {times} }}\n"),
        };
        self.world += &format!(
            "[[repositories]]\nname = \"r{number}\"\nscan-on-push = false\n\
             history = {{ count = 2, prefix = \"release-\", from = 1, every = \"4d\", last = \"-2d\", size = 1_000_000 }}\n\
             [[projects]]\nname = \"p{number}\"\n{fail}\
             pushes = {{ repository = \"${{IMAGE_REPO_NAME}}\", tag = \"${{IMAGE_TAG}}\", size = 1_000_000 }}\n\
             phases = {{ QUEUED = \"0s\", PROVISIONING = \"0s\", DOWNLOAD_SOURCE = \"0s\", INSTALL = \"0s\", \
             PRE_BUILD = \"0s\", BUILD = \"{takes}s\", POST_BUILD = \"0s\", FINALIZING = \"0s\" }}\n"
        );
        name
    }

    fn deploy(&mut self, number: u64, build: &str, fails: bool) -> String {
        let name = format!("deploy-{number}");
        let environment = self.environment(number);
        let retry = if self.one_in(3) { self.retry(2) } else { None };
        let with = format!(
            "cluster = \"c{number}\", service = \"s{number}\", image = \"${{stages.{build}.image}}\", \
             strategy = \"rolling\", roles = [\"s{number}-execution\"]"
        );
        let stage = self.stage(name.clone(), "deploy-ecs", with, Vec::new());
        (stage.environment, stage.retry) = (environment, retry);
        let (start, tasks) = (self.chance.below(4), 1 + self.chance.below(2));
        self.world += &format!(
            "[[clusters]]\nname = \"c{number}\"\n\
             timings = {{ schedule = \"0s\", provision = \"0s\", pull = \"{start}s\", start = \"0s\", health = \"5s\", \
             drain = \"0s\", deprovision = \"0s\" }}\n\
             [[services]]\ncluster = \"c{number}\"\nname = \"s{number}\"\ndesired-count = {tasks}\n\
             circuit-breaker = \"rollback\"\n\
             [[services.containers]]\nname = \"app\"\nimage = \"r{number}:release-2\"\nport = 8080\n\
             health-check = \"curl --fail http://localhost:8080/\"\n\
             environment = {{ STAGE = \"{STAGE}\", LANE = \"{number}\" }}\n"
        );
        if fails {
            // Before it counts as healthy: whether a deployment fails must not depend on when somebody looks.
            self.world += &format!(
                "[[task-behaviours]]\nfamily = \"s{number}\"\nfrom-revision = 2\ncrash-after = \"2s\"\nexit-code = 1\n"
            );
        }
        name
    }

    fn verify(&mut self, number: u64, deploy: String, fires: bool) -> String {
        let name = format!("verify-{number}");
        let bake = if fires { 120 } else { 1 + self.chance.below(90) };
        let when = (!fires && self.one_in(4)).then(|| self.one_in(2));
        let environment = self.environments.contains(&format!("e{number}")).then(|| format!("e{number}"));
        let with = format!("alarms = [\"a{number}\"], bake = \"{bake}s\"");
        let stage = self.stage(name.clone(), "verify-alarms", with, vec![deploy]);
        (stage.when, stage.environment) = (when, environment);
        let script = match fires {
            true => format!(
                "script = [{{ after-deployment-of = \"c{number}/s{number}\", nth = 1, at = \"1s\", state = \"ALARM\" }}]\n"
            ),
            false => String::new(),
        };
        self.world += &format!("[[alarms]]\nname = \"a{number}\"\nstate = \"OK\"\n{script}");
        name
    }

    /// A lane of guests, one after the other.
    fn guests(&mut self, number: u64) {
        let (mut after, mut failed) = (Vec::new(), false);
        for step in 0..=self.chance.below(2) {
            let name = format!("guest-{number}-{step}");
            let fails = self.fails(failed);
            failed |= fails;
            let failures = if self.one_in(2) { 1 + self.chance.below(2) } else { 0 };
            let when = self.one_in(6).then(|| self.one_in(2));
            let retry = (failures > 0).then(|| self.retry(failures + 1)).flatten();
            let environment = if step == 0 { self.environment(number) } else { None };
            let with = self.script(&name, failures, fails);
            let stage = self.stage(name.clone(), "guest", with, std::mem::take(&mut after));
            (stage.when, stage.retry, stage.environment) = (when, retry, environment);
            after.push(name);
            if failed {
                return;
            }
        }
        self.certain.append(&mut after);
    }

    /// What comes after all others, fails, and lets them be undone or not.
    fn last(&mut self, on_failure: OnFailure) {
        let after = std::mem::take(&mut self.certain);
        let with = self.script("last", 0, true);
        self.stage("last".to_owned(), "guest", with, after).on_failure = on_failure;
    }

    /// What a guest does with a repository of its own: it fails at its first `failures` attempts, and at last where it `fails`
    /// for good.
    fn script(&mut self, name: &str, failures: u64, fails: bool) -> String {
        let run = format!("{}f{failures}{}{}", self.steps('a'), self.steps('b'), if fails { "x" } else { "" });
        let undo = self.steps('c');
        self.world += &format!("[[repositories]]\nname = \"{name}\"\n");
        script(name, &run, &undo)
    }

    /// Some steps of a script, which put the image with the tag `tag` once.
    fn steps(&mut self, tag: char) -> String {
        let mut steps = Vec::new();
        for _ in 0..self.chance.below(4) {
            steps.push(match self.chance.below(5) {
                0 => "i".to_owned(),
                1 => "d".to_owned(),
                2 => "r".to_owned(),
                _ => format!("s{:02}", 1 + self.chance.below(45)),
            });
        }
        steps.insert(self.chance.below(steps.len() as u64 + 1) as usize, format!("p{tag}"));
        steps.concat()
    }

    /// What passes by itself: nothing of it decides how a run ends.
    fn weather(&mut self) {
        const READS: [&str; 5] = [
            "ecs:DescribeServices",
            "codebuild:BatchGetBuilds",
            "cloudwatch:DescribeAlarms",
            "ecr:DescribeImages",
            "sts:GetCallerIdentity",
        ];
        const WRITES: [&str; 4] =
            ["ecs:UpdateService", "ecs:RegisterTaskDefinition", "codebuild:StartBuild", "ecr:PutImage"];
        let mut struck = Vec::new();
        for _ in 0..self.chance.below(4) {
            let nth = 1 + self.chance.below(6);
            let (operation, kind) = match self.chance.below(5) {
                0 => (self.chance.of(&READS), format!("\"throttle\"\ntimes = {}", 1 + self.chance.below(3))),
                1 => (self.chance.of(&READS), "\"unavailable\"".to_owned()),
                2 => (self.chance.of(&WRITES), "\"reset-after\"".to_owned()),
                3 => ("sts:AssumeRole", format!("\"delay\"\ndelay = \"{}s\"", 5 + self.chance.below(20))),
                _ => ("sts:GetCallerIdentity", format!("\"delay\"\ndelay = \"{}s\"", 5 + self.chance.below(20))),
            };
            // Two in a row may be more than a call bears: six refusals, and it has failed.
            if struck.contains(&operation) {
                continue;
            }
            struck.push(operation);
            self.world += &format!("[[faults]]\noperation = \"{operation}\"\nnth = {nth}\nkind = {kind}\n");
        }
    }

    fn course(mut self, seed: u64) -> Course {
        // Where a key is named, its value alone is secret.
        let named = if self.answers == Answers::HoldSecrets { 5 } else { 2 };
        let key = if self.one_in(named) { "key = \"token\"\n" } else { "" };
        let limit =
            if self.one_in(3) { format!("max-parallel = {}\n", 1 + self.chance.below(2)) } else { String::new() };
        let mut pipeline = format!("[pipeline]\nname = \"shape\"\nregion = \"us-west-2\"\n{limit}[inputs.commit]\n");
        if self.stages.iter().any(|stage| stage.with.contains("secrets.registry")) {
            pipeline += &format!("[secrets.registry]\nid = \"prod/registry\"\n{key}");
        }
        for name in &self.environments {
            pipeline += &format!(
                "[environments.{name}]\naccount = \"111111111111\"\nrole = \"arn:aws:iam::111111111111:role/deployer\"\n"
            );
        }
        if self.stages.iter().any(|stage| stage.plugin == "guest") {
            pipeline += "[plugins.guest]\npath = \"guest.wasm\"\n";
        }
        pipeline.extend(self.stages.iter().map(StageText::text));
        let secret = match self.answers {
            Answers::HoldSecrets => format!("{{\"token\":\"registry-token-8f3a2c\",\"password\":\"{STAGE}\"}}"),
            Answers::HoldNone => "{\"token\":\"registry-token-8f3a2c\"}".to_owned(),
        };
        let world = format!(
            "account = \"111111111111\"\nregion = \"us-west-2\"\nseed = {seed}\n[[roles]]\nname = \"deployer\"\n\
             [[secrets]]\nname = \"prod/registry\"\nvalue = '{secret}'\n{}",
            self.world
        );
        let course = Course::new(format!("shape {seed}"), pipeline, world, SCALE);
        Course { patience: Duration::from_secs(90), ..course.file("guest.wasm", scripted(STAGE).build()) }
    }
}

impl StageText {
    fn text(&self) -> String {
        let Self { name, plugin, with, after, when, environment, on_failure, retry } = self;
        // How long a run is dead between two processes must not decide how it ends.
        let mut text = format!("[stages.{name}]\nplugin = \"{plugin}\"\ntimeout = \"2d\"\n");
        text += &format!("on-failure = \"{}\"\n", on_failure.word());
        if !with.is_empty() {
            text += &format!("with = {{ {with} }}\n");
        }
        if !after.is_empty() {
            text += &format!("after = [\"{}\"]\n", after.join("\", \""));
        }
        if let Some(holds) = when {
            text += &format!("when = \"inputs.commit {} '4f2a9c1'\"\n", if *holds { "==" } else { "!=" });
        }
        if let Some(environment) = environment {
            text += &format!("environment = \"{environment}\"\n");
        }
        if let Some(Retry { attempts, seconds }) = retry {
            text += &format!("retry = {{ attempts = {attempts}, backoff = \"{seconds}s\", jitter = \"none\" }}\n");
        }
        text
    }
}
