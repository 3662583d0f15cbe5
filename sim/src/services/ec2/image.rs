//! Images of machines.
//!
//! The main types are [`MachineImage`] and [`NewImage`], of which [`make_image`] makes one. Other services make images, too, here and in other
//! regions, by a scope of that place.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::Event;
use super::snapshot::{Snapshot, SnapshotState};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::tags::Tags;

const GIB: u64 = 1 << 30;

/// A launch is seen in an image's `lastLaunchedTime` so long after it.
const LAUNCHES_LAG: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ImageState {
    /// It is being made.
    Pending,
    /// Instances can be launched from it.
    #[default]
    Available,
    /// It cannot be used, and is only listed where it is asked for.
    Disabled,
    /// It was not made.
    Failed,
    /// It is no more, and is not listed.
    Deregistered,
}

/// An image of a machine.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MachineImage {
    pub(crate) id: String,
    /// Its account.
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) state: ImageState,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    pub(crate) created: Timestamp,
    /// From when on it counts as deprecated.
    pub(crate) deprecated: Option<Timestamp>,
    /// When instances were launched from it; the last of those that are old enough to be seen.
    pub(super) launches: Vec<Timestamp>,
    pub(crate) public: bool,
    /// Accounts that may launch it.
    pub(crate) shared: BTreeSet<String>,
    /// Whether it may not be deregistered.
    pub(crate) protected: bool,
    pub(crate) architecture: String,
    pub(crate) devices: Vec<Device>,
    pub(crate) tags: Tags,
    /// The image that it is a copy of, and its region.
    pub(crate) source: Option<(String, String)>,
    /// The ARN of the image of Image Builder that it is an output of.
    pub(crate) builder: Option<String>,
    /// Use by accounts of which the world knows nothing else.
    #[serde(skip)]
    pub(super) used_by: Vec<Use>,
}

/// So many resources of another account use an image.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Use {
    /// The account.
    pub(super) account: String,
    /// `ec2:Instance` or `ec2:LaunchTemplate`.
    #[serde(default = "instance_type")]
    pub(super) resource: String,
    /// How many.
    #[serde(default = "one")]
    pub(super) count: u64,
}

fn instance_type() -> String {
    "ec2:Instance".to_owned()
}

fn one() -> u64 {
    1
}

/// A volume that an instance of an image begins with.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) snapshot: Option<String>,
    /// In GiB.
    pub(crate) size: u64,
    pub(crate) volume_type: String,
    pub(crate) encrypted: bool,
    /// The key's ARN.
    pub(crate) kms_key: Option<String>,
}

/// An image that is to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewImage {
    /// Its id, where that is settled already.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    /// `x86_64` unless told.
    pub(crate) architecture: Option<String>,
    /// One of 8 GiB, where there is none.
    pub(crate) devices: Vec<NewDevice>,
    pub(crate) public: bool,
    pub(crate) shared: BTreeSet<String>,
    pub(crate) tags: Tags,
    /// The image that it is a copy of, and its region.
    pub(crate) source: Option<(String, String)>,
    /// The ARN of the image of Image Builder that it is an output of.
    pub(crate) builder: Option<String>,
    /// It is pending so long; available at once where there is nothing.
    pub(crate) takes: Option<Duration>,
}

/// A volume of an image that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewDevice {
    pub(crate) name: String,
    /// In GiB.
    pub(crate) size: u64,
    pub(crate) volume_type: String,
    pub(crate) encrypted: bool,
    /// The key's ARN.
    pub(crate) kms_key: Option<String>,
    /// The snapshot's id, where that is settled already.
    pub(crate) snapshot: Option<String>,
    /// What its snapshot holds, in bytes: all of it unless told.
    pub(crate) full_size: Option<u64>,
}

impl Default for NewDevice {
    fn default() -> Self {
        Self {
            name: "/dev/xvda".to_owned(),
            size: 8,
            volume_type: "gp3".to_owned(),
            encrypted: false,
            kms_key: None,
            snapshot: None,
            full_size: None,
        }
    }
}

impl MachineImage {
    /// Whether an account may see it and launch from it.
    pub(crate) fn seen_by(&self, account: &str) -> bool {
        self.owner == account || self.public || self.shared.contains(account)
    }

    /// When an instance was last launched from it, as it is seen at this instant.
    pub(crate) fn last_launched(&self, now: Timestamp) -> Option<Timestamp> {
        self.launches.iter().copied().filter(|launched| now.since(*launched) >= LAUNCHES_LAG).max()
    }

    /// Whether it counts as deprecated at this instant.
    pub(crate) fn is_deprecated(&self, now: Timestamp) -> bool {
        self.deprecated.is_some_and(|deprecated| deprecated <= now)
    }
}

/// Make an image with its snapshots in the scope's place, and tell its id.
pub(crate) fn make_image(scope: &mut Scope<'_>, new: NewImage) -> String {
    let (kind, now, owner) = (format!("ec2/image/{}", scope.at), scope.now(), scope.at.account.clone());
    let id = new.id.unwrap_or_else(|| format!("ami-0{}", scope.world.ids.hex(&kind, 16)));
    let (state, made) = match new.takes {
        Some(_) => (ImageState::Pending, SnapshotState::Pending),
        None => (ImageState::Available, SnapshotState::Completed),
    };
    let devices = if new.devices.is_empty() { vec![NewDevice::default()] } else { new.devices };
    let mut kept = Vec::new();
    for device in devices {
        let kind = format!("ec2/snapshot/{}", scope.at);
        let snapshot = device.snapshot.unwrap_or_else(|| format!("snap-0{}", scope.world.ids.hex(&kind, 16)));
        let drawn = scope.world.ids.hex(&format!("ec2/volume/{}", scope.at), 32);
        let (instance, volume) = drawn.split_at(16);
        let description = match &new.source {
            None => format!("Created by CreateImage(i-0{instance}) for {id}"),
            Some((source, _)) => format!("Copied for DestinationAmi {id} from SourceAmi {source}."),
        };
        let held = Snapshot {
            id: snapshot.clone(),
            owner: owner.clone(),
            description,
            state: made,
            started: now,
            size: device.size,
            full_size: device.full_size.unwrap_or(device.size.saturating_mul(GIB)),
            encrypted: device.encrypted,
            kms_key: device.kms_key.clone(),
            volume: format!("vol-0{volume}"),
            tags: new.tags.clone(),
        };
        scope.place().ec2.snapshots.insert(snapshot.clone(), held);
        let (name, size, volume_type) = (device.name, device.size, device.volume_type);
        let (encrypted, kms_key) = (device.encrypted, device.kms_key);
        kept.push(Device { name, snapshot: Some(snapshot), size, volume_type, encrypted, kms_key });
    }
    let image = MachineImage {
        id: id.clone(),
        owner,
        name: new.name,
        description: new.description,
        state,
        reason: None,
        created: now,
        deprecated: None,
        launches: Vec::new(),
        public: new.public,
        shared: new.shared,
        protected: false,
        architecture: new.architecture.unwrap_or_else(|| "x86_64".to_owned()),
        devices: kept,
        tags: new.tags,
        source: new.source,
        builder: new.builder,
        used_by: Vec::new(),
    };
    scope.place().ec2.images.insert(id.clone(), image);
    if let Some(takes) = new.takes {
        scope.schedule(takes, Event::Image { id: id.clone() });
    }
    id
}

/// The image of an id, where it is to be seen from here: an account's own, one that is shared with it, or a public one.
pub(crate) fn image<'s>(scope: &'s Scope<'_>, id: &str) -> Option<&'s MachineImage> {
    let here = scope.world.places.iter().filter(|(at, _)| at.region == scope.at.region);
    here.filter_map(|(_, place)| place.ec2.images.get(id))
        .find(|image| image.state != ImageState::Deregistered && image.seen_by(&scope.at.account))
}

/// Let an image of this place be in a state, with the reason where it failed.
pub(crate) fn set_image_state(scope: &mut Scope<'_>, id: &str, state: ImageState, reason: Option<String>) {
    let ec2 = &mut scope.place().ec2;
    let Some(image) = ec2.images.get_mut(id) else { return };
    (image.state, image.reason) = (state, reason);
    let made = match state {
        ImageState::Pending => SnapshotState::Pending,
        ImageState::Failed => SnapshotState::Error,
        ImageState::Available | ImageState::Disabled | ImageState::Deregistered => SnapshotState::Completed,
    };
    let snapshots: Vec<String> = image.devices.iter().filter_map(|device| device.snapshot.clone()).collect();
    for snapshot in snapshots {
        if let Some(snapshot) = ec2.snapshots.get_mut(&snapshot) {
            snapshot.state = made;
        }
    }
}

/// An image that is pending has been made.
pub(super) fn is_made(scope: &mut Scope<'_>, id: &str) {
    if scope.place().ec2.images.get(id).is_some_and(|image| image.state == ImageState::Pending) {
        set_image_state(scope, id, ImageState::Available, None);
    }
}
