//! Instances: launched, running, stopped, ended.
//!
//! The main types are [`Instance`] and [`Launch`]. Whoever keeps fleets of them is told of each turn that one takes ([`tell`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capacity;
use super::errors::{missing, no_image, unavailable_image};
use super::events::Event;
use super::image::{ImageState, MachineImage, image};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::ids;
use crate::services::{autoscaling, kms};
use crate::tags::Tags;

/// An instance boots so long, and its status is checked so long after that, unless the world says otherwise.
const BOOTS: Duration = Duration::from_secs(20);
const CHECKS: Duration = Duration::from_secs(120);
/// From being told to end or to stop until it has.
const SHUTS_DOWN: Duration = Duration::from_secs(30);
/// What has ended is shown so long.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InstanceState {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopped,
}

impl InstanceState {
    /// EC2's number of the state.
    pub(super) fn code(self) -> u32 {
        match self {
            InstanceState::Pending => 0,
            InstanceState::Running => 16,
            InstanceState::ShuttingDown => 32,
            InstanceState::Terminated => 48,
            InstanceState::Stopped => 80,
        }
    }

    /// EC2's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            InstanceState::Pending => "pending",
            InstanceState::Running => "running",
            InstanceState::ShuttingDown => "shutting-down",
            InstanceState::Terminated => "terminated",
            InstanceState::Stopped => "stopped",
        }
    }
}

/// What is paid for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Market {
    /// The list's price; it stays.
    #[default]
    OnDemand,
    /// Less; it can be taken away.
    Spot,
}

/// What the checks of an instance's status say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    Initializing,
    Ok,
    Impaired,
}

/// A turn that an instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InstanceTurn {
    /// It runs.
    Running,
    /// Its status was found to be impaired.
    Impaired,
    /// A spot instance that is going to be taken away.
    Interrupted,
    /// It is shutting down for good.
    Ending,
    /// It has ended.
    Ended,
}

/// An instance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Instance {
    pub(crate) id: String,
    /// The image that it was launched of.
    pub(crate) image: String,
    /// The image of its root volume, where that was replaced since.
    pub(crate) root: Option<String>,
    pub(crate) instance_type: String,
    pub(crate) zone: String,
    pub(crate) subnet: Option<String>,
    pub(crate) vpc: Option<String>,
    pub(crate) state: InstanceState,
    pub(crate) market: Market,
    /// The launch template's id, and the number of its version.
    pub(crate) template: Option<(String, u64)>,
    pub(crate) tags: Tags,
    pub(crate) groups: Vec<String>,
    pub(crate) launched: Timestamp,
    pub(crate) check: Check,
    /// When it will be taken away, once that is known.
    pub(crate) interruption: Option<Timestamp>,
    /// Why it is in this state: EC2's code and message.
    pub(crate) reason: Option<(String, String)>,
    /// What it wrote to its console.
    #[serde(skip)]
    pub(super) console: String,
    /// What became of it, and when.
    pub(crate) turns: Vec<(Timestamp, InstanceTurn)>,
}

impl Instance {
    /// Its private address.
    pub(super) fn address(&self) -> String {
        let drawn = ids::sha256(self.id.as_bytes());
        let byte = |at: usize| drawn.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        format!("10.0.{}.{}", byte(0), byte(2).clamp(4, 250))
    }

    /// The image that it runs.
    pub(crate) fn runs(&self) -> &str {
        self.root.as_deref().unwrap_or(&self.image)
    }

    /// Whether it stands in this subnet or security group.
    pub(super) fn stands_in(&self, id: &str) -> bool {
        self.subnet.as_deref() == Some(id) || self.groups.iter().any(|group| group == id)
    }

    /// Whether it has ended, or is about to.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, InstanceState::ShuttingDown | InstanceState::Terminated)
    }
}

/// How the instances of an image do.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    /// The image's id or name; every image's where there is none.
    pub(super) image: Option<String>,
    pub(super) boots: Duration,
    pub(super) checks: Duration,
    /// So long after it runs its status is impaired.
    pub(super) impaired_after: Option<Duration>,
    /// So long after it was launched it ends by itself.
    pub(super) dies_after: Option<Duration>,
    pub(super) console: String,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            image: None,
            boots: BOOTS,
            checks: CHECKS,
            impaired_after: None,
            dies_after: None,
            console: String::new(),
        }
    }
}

/// An instance that is to be launched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    /// The image's id.
    pub(crate) image: String,
    pub(crate) instance_type: String,
    /// The subnet's id; then the zone is the subnet's.
    pub(crate) subnet: Option<String>,
    /// The zone, where there is no subnet: the region's first unless told.
    pub(crate) zone: Option<String>,
    pub(crate) market: Market,
    /// The launch template's id, and the number of its version.
    pub(crate) template: Option<(String, u64)>,
    pub(crate) groups: Vec<String>,
    pub(crate) tags: Tags,
}

/// What falls due for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceStep {
    /// It has booted.
    Boot,
    /// Its status has been checked.
    Check,
    /// Its status gets bad.
    Impair,
    /// It ends by itself.
    Die,
    /// The notice of a spot instance is over.
    TakeAway,
    /// It has shut down.
    Down,
    /// Nobody remembers it.
    Forget,
}

/// Launch an instance in the scope's place, and tell its id. It is refused as AWS refuses it: the image is not to be seen or cannot be used,
/// the subnet is not there, there is no room. An instance whose volumes are encrypted by a key that cannot be used is launched, and ends.
pub(crate) fn launch(scope: &mut Scope<'_>, launch: Launch) -> Result<String, AwsError> {
    let found = image(scope, &launch.image).cloned().ok_or_else(|| no_image(&launch.image))?;
    match found.state {
        ImageState::Available => {}
        ImageState::Pending | ImageState::Disabled | ImageState::Failed | ImageState::Deregistered => {
            return Err(unavailable_image(&launch.image));
        }
    }
    let (zone, vpc) = stands(scope, &launch)?;
    let now = scope.now();
    capacity::check(&scope.place().ec2, now, &zone, &launch.instance_type, launch.market)?;
    let id = format!("i-0{}", scope.world.ids.hex(&format!("ec2/instance/{}", scope.at), 16));
    let behaviour = behaviour(scope, &found);
    let instance = Instance {
        id: id.clone(),
        image: launch.image,
        root: None,
        instance_type: launch.instance_type,
        zone,
        subnet: launch.subnet,
        vpc,
        state: InstanceState::Pending,
        market: launch.market,
        template: launch.template,
        tags: launch.tags,
        groups: launch.groups,
        launched: now,
        check: Check::Initializing,
        interruption: None,
        reason: None,
        console: behaviour.console,
        turns: Vec::new(),
    };
    scope.place().ec2.instances.insert(id.clone(), instance);
    launched(scope, &found);
    let mut then =
        |after: Duration, step: InstanceStep| scope.schedule(after, Event::Instance { id: id.clone(), step });
    then(behaviour.boots, InstanceStep::Boot);
    if let Some(after) = behaviour.dies_after {
        then(after, InstanceStep::Die);
    }
    if let Some(reason) = unusable_key(scope, &found) {
        let message = format!("{reason}: Client error on launch");
        end(scope, &id, Some((reason, message)), Duration::from_secs(5));
    }
    Ok(id)
}

/// The zone and the network that an instance is to stand in.
fn stands(scope: &mut Scope<'_>, launch: &Launch) -> Result<(String, Option<String>), AwsError> {
    let region = scope.at.region.clone();
    let Some(id) = &launch.subnet else {
        return Ok((launch.zone.clone().unwrap_or_else(|| format!("{region}a")), None));
    };
    let subnet = scope.place().ec2.subnets.get(id);
    let subnet = subnet.ok_or_else(|| missing("InvalidSubnetID.NotFound", "subnet ID", id))?;
    Ok((subnet.zone.clone(), Some(subnet.vpc.clone())))
}

fn behaviour(scope: &mut Scope<'_>, image: &MachineImage) -> Behaviour {
    let behaviours = scope.place().ec2.behaviours.iter();
    let of =
        |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| *wanted == image.id || *wanted == image.name);
    behaviours
        .filter(|behaviour| of(&behaviour.image))
        .max_by_key(|each| each.image.is_some())
        .cloned()
        .unwrap_or_default()
}

/// How instances of this image behave, which may be gone.
fn behaviour_of(scope: &mut Scope<'_>, id: &str) -> Behaviour {
    image(scope, id).cloned().map(|image| behaviour(scope, &image)).unwrap_or_default()
}

/// The image was launched: its owner sees that later.
fn launched(scope: &mut Scope<'_>, image: &MachineImage) {
    let (now, owner, region) = (scope.now(), image.owner.clone(), scope.at.region.clone());
    let home = scope.world.places.iter_mut().find(|(at, _)| at.account == owner && at.region == region);
    if let Some(image) = home.and_then(|(_, place)| place.ec2.images.get_mut(&image.id)) {
        image.launches.push(now);
    }
}

/// The code of the reason why an instance's volumes cannot be made of this image, where a key of them cannot be used.
fn unusable_key(scope: &mut Scope<'_>, image: &MachineImage) -> Option<String> {
    let keys: Vec<String> = image.devices.iter().filter_map(|device| device.kms_key.clone()).collect();
    keys.iter().any(|key| kms::is_disabled(scope, key)).then(|| "Client.InvalidKMSKey.InvalidState".to_owned())
}

/// An instance of the scope's place.
pub(crate) fn instance<'s>(scope: &'s mut Scope<'_>, id: &str) -> Option<&'s Instance> {
    scope.place().ec2.instances.get(id)
}

/// The instances of the scope's place, those that have ended lately among them.
pub(crate) fn instances<'s>(scope: &'s mut Scope<'_>) -> impl Iterator<Item = &'s Instance> {
    scope.place().ec2.instances.values()
}

/// End an instance, as its user.
pub(crate) fn terminate(scope: &mut Scope<'_>, id: &str) {
    let message = "Client.UserInitiatedShutdown: User initiated shutdown".to_owned();
    end(scope, id, Some(("Client.UserInitiatedShutdown".to_owned(), message)), SHUTS_DOWN);
}

/// A spot instance is going to be taken away.
pub(super) fn interrupted(scope: &mut Scope<'_>, id: &str, notice: Duration) {
    let at = scope.now() + notice;
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        instance.interruption = Some(at);
        scope.schedule(notice, Event::Instance { id: id.to_owned(), step: InstanceStep::TakeAway });
    }
}

fn end(scope: &mut Scope<'_>, id: &str, reason: Option<(String, String)>, takes: Duration) {
    let Some(instance) = scope.place().ec2.instances.get_mut(id).filter(|each| !each.is_ending()) else { return };
    (instance.state, instance.reason) = (InstanceState::ShuttingDown, reason);
    scope.schedule(takes, Event::Instance { id: id.to_owned(), step: InstanceStep::Down });
    tell(scope, id, InstanceTurn::Ending);
}

/// Stop an instance that runs.
pub(crate) fn stop(scope: &mut Scope<'_>, id: &str) {
    let instance = scope.place().ec2.instances.get_mut(id);
    if let Some(instance) = instance.filter(|instance| instance.state == InstanceState::Running) {
        instance.state = InstanceState::Stopped;
    }
}

/// Start an instance that was stopped: it boots again.
pub(crate) fn start(scope: &mut Scope<'_>, id: &str) {
    let Some(found) = scope.place().ec2.instances.get(id).cloned() else { return };
    if found.state != InstanceState::Stopped {
        return;
    }
    let behaviour = behaviour_of(scope, found.runs());
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        (instance.state, instance.check) = (InstanceState::Pending, Check::Initializing);
    }
    scope.schedule(behaviour.boots, Event::Instance { id: id.to_owned(), step: InstanceStep::Boot });
}

/// Give an instance another root volume, of this image, with which it boots again. Tells how long it takes.
pub(crate) fn replace_root(scope: &mut Scope<'_>, id: &str, of: &str) -> Duration {
    let behaviour = behaviour_of(scope, of);
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        (instance.root, instance.check) = (Some(of.to_owned()), Check::Initializing);
        instance.console.clone_from(&behaviour.console);
    }
    scope
        .schedule(behaviour.boots + behaviour.checks, Event::Instance { id: id.to_owned(), step: InstanceStep::Check });
    behaviour.boots
}

/// Let an instance go on.
pub(super) fn step(scope: &mut Scope<'_>, id: &str, due: InstanceStep) {
    let Some(found) = scope.place().ec2.instances.get(id).cloned() else { return };
    match due {
        InstanceStep::Boot if found.state == InstanceState::Pending => boot(scope, &found),
        InstanceStep::Check if found.state == InstanceState::Running && found.check == Check::Initializing => {
            set_check(scope, id, Check::Ok);
        }
        InstanceStep::Impair if found.state == InstanceState::Running => {
            set_check(scope, id, Check::Impaired);
            tell(scope, id, InstanceTurn::Impaired);
        }
        InstanceStep::Die => {
            let code = "Server.InternalError".to_owned();
            end(scope, id, Some((code, "Server.InternalError: Internal error on launch".to_owned())), SHUTS_DOWN);
        }
        InstanceStep::TakeAway => {
            let code = "Server.SpotInstanceTermination".to_owned();
            let message = "Server.SpotInstanceTermination: Spot instance termination".to_owned();
            end(scope, id, Some((code, message)), SHUTS_DOWN);
        }
        InstanceStep::Down => down(scope, &found),
        InstanceStep::Forget => {
            scope.place().ec2.instances.remove(id);
        }
        InstanceStep::Boot | InstanceStep::Check | InstanceStep::Impair => {}
    }
}

fn boot(scope: &mut Scope<'_>, found: &Instance) {
    let behaviour = behaviour_of(scope, found.runs());
    if let Some(instance) = scope.place().ec2.instances.get_mut(&found.id) {
        instance.state = InstanceState::Running;
    }
    let mut then = |after, step| scope.schedule(after, Event::Instance { id: found.id.clone(), step });
    then(behaviour.checks, InstanceStep::Check);
    if let Some(after) = behaviour.impaired_after {
        then(after, InstanceStep::Impair);
    }
    tell(scope, &found.id, InstanceTurn::Running);
}

fn down(scope: &mut Scope<'_>, found: &Instance) {
    if found.state != InstanceState::ShuttingDown {
        return;
    }
    if let Some(instance) = scope.place().ec2.instances.get_mut(&found.id) {
        instance.state = InstanceState::Terminated;
    }
    scope.schedule(REMEMBERED, Event::Instance { id: found.id.clone(), step: InstanceStep::Forget });
    tell(scope, &found.id, InstanceTurn::Ended);
}

fn set_check(scope: &mut Scope<'_>, id: &str, check: Check) {
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        instance.check = check;
    }
}

/// Write down the turn that an instance takes. This is where others hear of it: whoever keeps fleets of instances is called here.
pub(super) fn tell(scope: &mut Scope<'_>, id: &str, turn: InstanceTurn) {
    let now = scope.now();
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        instance.turns.push((now, turn));
    }
    autoscaling::instance_turned(scope, id, turn);
}

/// An instance of the world's beginning has booted and was checked long ago, or has been stopped since.
pub(crate) fn settle(scope: &mut Scope<'_>, id: &str, stopped: bool) {
    let Some(found) = scope.place().ec2.instances.get(id).cloned() else { return };
    let behaviour = behaviour_of(scope, found.runs());
    if let Some(instance) = scope.place().ec2.instances.get_mut(id) {
        instance.state = if stopped { InstanceState::Stopped } else { InstanceState::Running };
        instance.check = Check::Ok;
    }
    if let Some(after) = behaviour.impaired_after {
        scope.schedule(after, Event::Instance { id: id.to_owned(), step: InstanceStep::Impair });
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::WorldFile;
    use crate::world::World;

    const START: u64 = 1_767_603_600_000;
    const HEAD: &str = "account = '111111111111'\nregion = 'us-west-2'\n[[images]]\nname = 'web-1'\nid = 'ami-1'\n";

    fn world(more: &str) -> World {
        let file = WorldFile::parse(&format!("{HEAD}{more}")).unwrap_or_else(|error| panic!("{error}"));
        file.world(Timestamp(START))
    }

    fn run(world: &mut World, market: Market) -> Result<String, AwsError> {
        let (image, instance_type) = ("ami-1".to_owned(), "t3.micro".to_owned());
        launch(&mut world.scope(None, None), Launch { image, instance_type, market, ..Launch::default() })
    }

    fn after(world: &mut World, seconds: u64) {
        world.advance_to(Timestamp(START + seconds * 1000));
    }

    fn seen(world: &mut World, id: &str) -> Option<Instance> {
        instance(&mut world.scope(None, None), id).cloned()
    }

    fn state(world: &mut World, id: &str) -> Option<(InstanceState, Check)> {
        seen(world, id).map(|instance| (instance.state, instance.check))
    }

    #[test]
    fn an_instance_boots_is_checked_ends_and_is_forgotten() {
        let mut world = world("");
        let id = run(&mut world, Market::OnDemand).unwrap_or_default();
        assert_eq!(state(&mut world, &id), Some((InstanceState::Pending, Check::Initializing)));
        after(&mut world, 20);
        assert_eq!(state(&mut world, &id), Some((InstanceState::Running, Check::Initializing)));
        after(&mut world, 140);
        assert_eq!(state(&mut world, &id), Some((InstanceState::Running, Check::Ok)));
        terminate(&mut world.scope(None, None), &id);
        after(&mut world, 170);
        assert_eq!(state(&mut world, &id).map(|(state, _)| state), Some(InstanceState::Terminated));
        let turns = seen(&mut world, &id).map(|instance| instance.turns.into_iter().map(|(_, turn)| turn).collect());
        assert_eq!(turns, Some(vec![InstanceTurn::Running, InstanceTurn::Ending, InstanceTurn::Ended]));
        after(&mut world, 4000);
        assert_eq!(state(&mut world, &id), None);
    }

    #[test]
    fn spot_instances_are_taken_away_after_a_notice_and_others_are_not() {
        let mut world = world("[[spot-interruptions]]\nafter = '5m'\ncount = 1\n");
        let first = run(&mut world, Market::Spot).unwrap_or_default();
        let kept = run(&mut world, Market::OnDemand).unwrap_or_default();
        after(&mut world, 10);
        let second = run(&mut world, Market::Spot).unwrap_or_default();
        after(&mut world, 300);
        let noticed = |world: &mut World, id: &str| seen(world, id).and_then(|instance| instance.interruption);
        assert_eq!(noticed(&mut world, &first), Some(Timestamp(START + 420_000)), "the first that was launched");
        assert_eq!((noticed(&mut world, &second), noticed(&mut world, &kept)), (None, None));
        assert_eq!(state(&mut world, &first).map(|(state, _)| state), Some(InstanceState::Running));
        after(&mut world, 460);
        let ended = seen(&mut world, &first);
        assert!(ended.is_some_and(|instance| {
            instance.state == InstanceState::Terminated
                && instance.reason.is_some_and(|(code, _)| code == "Server.SpotInstanceTermination")
        }));
    }

    #[test]
    fn there_is_no_room_where_and_while_the_world_says_so() {
        let limits =
            "[[ec2-capacity]]\nzone = 'us-west-2a'\nmarket = 'on-demand'\ninstances = 1\nafter = '1m'\nuntil = '2m'\n";
        let mut world = world(limits);
        assert!(run(&mut world, Market::OnDemand).is_ok() && run(&mut world, Market::OnDemand).is_ok());
        after(&mut world, 60);
        let code = |refused: Result<String, AwsError>| refused.err().map(|error| (error.code, error.status));
        assert_eq!(code(run(&mut world, Market::OnDemand)), Some(("InsufficientInstanceCapacity".into(), 500)));
        assert!(run(&mut world, Market::Spot).is_ok(), "of the other market there is");
        after(&mut world, 120);
        assert!(run(&mut world, Market::OnDemand).is_ok());
    }

    #[test]
    fn an_image_that_cannot_be_used_is_refused_and_a_launch_is_told_a_day_later() {
        let more = "[[images]]\nname = 'off'\nid = 'ami-2'\nstate = 'disabled'\n\
            [[images]]\nname = 'hidden'\nid = 'ami-3'\naccount = '222222222222'\n";
        let mut world = world(more);
        let mut refusal = |image: &str| {
            let launch_of =
                Launch { image: image.to_owned(), instance_type: "t3.micro".to_owned(), ..Launch::default() };
            launch(&mut world.scope(None, None), launch_of).err().map(|error| error.code)
        };
        assert_eq!(refusal("ami-2"), Some("InvalidAMIID.Unavailable".into()));
        assert_eq!(refusal("ami-3"), Some("InvalidAMIID.NotFound".into()));
        assert_eq!(refusal("ami-1"), None);
        let told = |world: &mut World| {
            let now = world.now;
            image(&world.scope(None, None), "ami-1").and_then(|image| image.last_launched(now))
        };
        after(&mut world, 24 * 3600 - 1);
        assert_eq!(told(&mut world), None);
        after(&mut world, 24 * 3600);
        assert_eq!(told(&mut world), Some(Timestamp(START)));
    }

    #[test]
    fn an_instance_whose_key_is_disabled_ends_before_it_runs() {
        let text = "account = '111111111111'\nregion = 'us-west-2'\n[[keys]]\nalias = 'amis'\nenabled = false\n";
        let file = WorldFile::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let mut world = file.world(Timestamp(START));
        let key = "alias/amis".to_owned();
        let device = super::super::NewDevice { encrypted: true, kms_key: Some(key), ..Default::default() };
        let new = super::super::NewImage { id: Some("ami-1".to_owned()), devices: vec![device], ..Default::default() };
        super::super::make_image(&mut world.scope(None, None), new);
        let id = run(&mut world, Market::OnDemand).unwrap_or_default();
        after(&mut world, 60);
        let ended = seen(&mut world, &id).map(|instance| (instance.state, instance.reason.map(|(code, _)| code)));
        assert_eq!(ended, Some((InstanceState::Terminated, Some("Client.InvalidKMSKey.InvalidState".to_owned()))));
    }
}
