//! Looks at the machine images that a bake has made, in each account and region.
//! The main function is [`all`]; what is wrong with one is decided by [`wrong`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ec2::{
    DescribeImagesRequest, DescribeSnapshotsRequest, Image as MachineImage, describe_images, describe_snapshots,
};
use kiln_plugin::aws::imagebuilder::OutputAmi;
use kiln_plugin::aws::kms::{DescribeKeyRequest, DescribeKeyResponse, describe_key};
use kiln_plugin::aws::kms_access::{GetKeyPolicyRequest, ListGrantsRequest, get_key_policy, list_grants};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{During, Failure, context, elsewhere, log};

use crate::config::{Config, Unchecked};
use crate::key::{Lets, lets};

/// An account's region that the stage acts in.
struct Reached {
    /// The environment; none for the stage's own place.
    environment: Option<String>,
    account: String,
    region: String,
    partition: String,
    kms_key: Option<String>,
}

/// What is wrong, and what nobody could look at.
#[derive(Debug, Default)]
struct Report {
    wrong: Vec<String>,
    /// `ACCOUNT/REGION`.
    unchecked: BTreeSet<String>,
    /// Why something could not be looked at, a line each.
    notes: Vec<String>,
}

/// `ACCOUNT/REGION` of a machine image.
pub(crate) fn place(ami: &OutputAmi) -> String {
    format!("{}/{}", ami.account, ami.region)
}

/// Look at all of them. Answers the places that could not be looked at; a failure where something is wrong, or where that is one.
pub(crate) fn all(config: &Config, amis: &[OutputAmi]) -> Result<Vec<String>, Failure> {
    let mut report = Report::default();
    let mut of_place: BTreeMap<String, Vec<&OutputAmi>> = BTreeMap::new();
    for ami in amis {
        of_place.entry(place(ami)).or_default().push(ami);
    }
    for reached in reached(config) {
        let Some(amis) = of_place.remove(&format!("{}/{}", reached.account, reached.region)) else { continue };
        match &reached.environment {
            None => look(config, &reached, &amis, &mut report)?,
            Some(name) => elsewhere::within(name, |_| look(config, &reached, &amis, &mut report))?,
        }
    }
    for (place, amis) in of_place {
        let ids: Vec<&str> = amis.iter().map(|ami| ami.ami.as_str()).collect();
        report.notes.push(format!("{place}: {} (no environment of `elsewhere` is there)", ids.join(", ")));
        report.unchecked.insert(place);
    }
    if !report.wrong.is_empty() {
        return Err(Failure::rejected("the machine images are not as they must be")
            .help("Mend the distribution configuration, the recipe's volumes or the key's policy, and bake again. The machine images stay: nothing uses them yet.")
            .details(report.wrong)
            .details(report.notes));
    }
    if !report.unchecked.is_empty() {
        if config.unchecked == Unchecked::Fail {
            return Err(Failure::rejected("not all machine images can be looked at: nobody knows whether they are encrypted and not public")
                .help("Name environments of those accounts and regions in `elsewhere`, with roles that may look at them; or say `unchecked = \"warn\"`.")
                .details(report.notes));
        }
        report.notes.iter().for_each(|note| log::warn(format!("not checked: {note}")));
    }
    Ok(report.unchecked.into_iter().collect())
}

/// All places that the stage acts in.
fn reached(config: &Config) -> Vec<Reached> {
    let here = context::get();
    let own = Reached {
        environment: None,
        account: here.account,
        region: here.region,
        partition: here.partition,
        kms_key: config.kms_key.clone(),
    };
    let others = elsewhere::all().into_iter().map(|there| Reached {
        kms_key: config.elsewhere.iter().find(|one| one.environment == there.name).and_then(|one| one.kms_key.clone()),
        environment: Some(there.name),
        account: there.account,
        region: there.region,
        partition: there.partition,
    });
    std::iter::once(own).chain(others).collect()
}

/// Look at the machine images of one place, in which all calls are made.
fn look(config: &Config, at: &Reached, amis: &[&OutputAmi], report: &mut Report) -> Result<(), Failure> {
    let place = format!("{}/{}", at.account, at.region);
    let required = match &at.kms_key {
        Some(given) => Some(described(given).during(format!("looking for the key {given} in {place}"))?.arn),
        None => None,
    };
    let mut keys = BTreeSet::new();
    for ami in amis {
        let image = machine_image(&ami.ami).during(format!("looking at {} in {place}", ami.ami))?;
        let Some(image) = image else {
            report.wrong.push(format!("{} in {place} is not there", ami.ami));
            continue;
        };
        let found = devices(&image).during(format!("looking at the snapshots of {} in {place}", ami.ami))?;
        report.wrong.extend(
            wrong(&image, &found, config.encrypted, required.as_deref())
                .into_iter()
                .map(|what| format!("{} in {place} {what}", ami.ami)),
        );
        keys.extend(found.into_iter().filter_map(|device| device.key));
    }
    if config.auto_scaling {
        for key in keys {
            scaling(config, at, &place, &key, report)?;
        }
    }
    Ok(())
}

/// Look whether Auto Scaling may use a key of this place.
fn scaling(config: &Config, at: &Reached, place: &str, key: &str, report: &mut Report) -> Result<(), Failure> {
    let role = format!(
        "arn:{}:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/{}",
        at.partition, at.account, config.scaling_role
    );
    if owner(key) != Some(at.account.as_str()) {
        report
            .notes
            .push(format!("{place}: the key {key} is another account's, who alone can see whether {role} may use it"));
        report.unchecked.insert(place.to_owned());
        return Ok(());
    }
    let described = described(key).during(format!("looking at the key {key}"))?;
    if !described.enabled {
        report.wrong.push(format!("the key {key} in {place} is {}: nothing can be launched", described.key_state));
    }
    if described.key_manager == "AWS" {
        // What a service made for itself, every service of the account may use by it.
        return Ok(());
    }
    let policy = get_key_policy(&GetKeyPolicyRequest { key_id: key.to_owned() });
    let policy = policy.during(format!("reading the policy of the key {key}"))?.policy;
    let grants = list_grants(&ListGrantsRequest { key_id: key.to_owned() });
    let grants = grants.during(format!("reading the grants of the key {key}"))?.grants;
    match lets(&policy, &grants, &role, &at.account) {
        Lets::Yes => {}
        Lets::No(lacking) => report.wrong.push(format!(
            "the key {key} in {place} does not let {role} do {}: no group could launch an instance",
            lacking.join(", ")
        )),
        Lets::Unclear(why) => {
            report.notes.push(format!("{place}: whether {role} may use the key {key} is unclear: {why}"));
            report.unchecked.insert(place.to_owned());
        }
    }
    Ok(())
}

/// The account of an ARN.
fn owner(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

fn described(key: &str) -> Result<DescribeKeyResponse, Error> {
    describe_key(&DescribeKeyRequest { key_id: key.to_owned() })
}

/// A machine image; none where it is not there.
fn machine_image(ami: &str) -> Result<Option<MachineImage>, Error> {
    let request = DescribeImagesRequest {
        ids: vec![ami.to_owned()],
        owners: Vec::new(),
        filters: Vec::new(),
        include_disabled: true,
    };
    match describe_images(&request) {
        Ok(response) => Ok(response.images.into_iter().find(|image| image.id == ami)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A volume of a machine image, and its key as its snapshot tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) encrypted: bool,
    pub(crate) key: Option<String>,
}

/// The volumes of a machine image. A volume that does not name its key has that of its snapshot.
fn devices(image: &MachineImage) -> Result<Vec<Volume>, Error> {
    let untold = |device: &&kiln_plugin::aws::ec2::ImageDevice| device.encrypted && device.kms_key.is_none();
    let ids: Vec<String> = image.devices.iter().filter(untold).filter_map(|device| device.snapshot.clone()).collect();
    let snapshots = match ids.is_empty() {
        true => Vec::new(),
        false => {
            let request = DescribeSnapshotsRequest { ids, owners: Vec::new(), filters: Vec::new() };
            describe_snapshots(&request)?.snapshots
        }
    };
    let key = |device: &kiln_plugin::aws::ec2::ImageDevice| {
        let of_snapshot = || snapshots.iter().find(|it| Some(&it.id) == device.snapshot.as_ref())?.kms_key.clone();
        device.kms_key.clone().or_else(of_snapshot)
    };
    let volume = |device: &kiln_plugin::aws::ec2::ImageDevice| Volume {
        name: device.name.clone(),
        encrypted: device.encrypted,
        key: key(device),
    };
    Ok(image.devices.iter().map(volume).collect())
}

/// What is wrong with a machine image, each in words that follow its name.
pub(crate) fn wrong(image: &MachineImage, volumes: &[Volume], encrypted: bool, required: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    if image.state != "available" {
        let why = image.state_reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        wrong.push(format!("is {}{why}", image.state));
    }
    if image.is_public {
        wrong.push("is public: every account may launch it and read what it holds".to_owned());
    }
    if volumes.is_empty() {
        wrong.push("has no volumes that could be looked at".to_owned());
    }
    for volume in volumes {
        match (volume.encrypted, &volume.key, required) {
            (false, _, Some(required)) => {
                wrong.push(format!("is not encrypted ({}), and must be with {required}", volume.name))
            }
            (false, _, None) if encrypted => wrong.push(format!("is not encrypted ({})", volume.name)),
            (true, Some(key), Some(required)) if key != required => {
                wrong.push(format!("is encrypted with {key} ({}), and must be with {required}", volume.name));
            }
            (true, None, Some(required)) => {
                wrong.push(format!(
                    "is encrypted with nobody knows which key ({}), and must be with {required}",
                    volume.name
                ));
            }
            (false, _, None) | (true, ..) => {}
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(state: &str, is_public: bool) -> MachineImage {
        MachineImage {
            id: "ami-1".to_owned(),
            name: "web".to_owned(),
            description: String::new(),
            state: state.to_owned(),
            state_reason: None,
            owner: "111111111111".to_owned(),
            created: None,
            deprecated: None,
            last_launched: None,
            is_public,
            architecture: "x86_64".to_owned(),
            root_device: "/dev/xvda".to_owned(),
            devices: Vec::new(),
            tags: Vec::new(),
            source_image: None,
            source_region: None,
            deregistration_protection: "disabled".to_owned(),
        }
    }

    fn volume(key: Option<&str>, encrypted: bool) -> Volume {
        Volume { name: "/dev/xvda".to_owned(), encrypted, key: key.map(str::to_owned) }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let good = image("available", false);
        let told = |volumes: &[Volume], encrypted, required| wrong(&good, volumes, encrypted, required).join("; ");
        assert_eq!(told(&[volume(Some("k"), true)], true, Some("k")), "");
        assert_eq!(told(&[volume(None, true)], true, None), "");
        assert_eq!(told(&[volume(None, false)], false, None), "", "where nobody asks for it");
        assert_eq!(told(&[volume(None, false)], true, None), "is not encrypted (/dev/xvda)");
        assert_eq!(told(&[volume(None, false)], false, Some("k")), "is not encrypted (/dev/xvda), and must be with k");
        assert_eq!(
            told(&[volume(Some("other"), true)], true, Some("k")),
            "is encrypted with other (/dev/xvda), and must be with k"
        );
        assert!(told(&[volume(None, true)], true, Some("k")).contains("nobody knows which key"));
        assert!(told(&[], true, None).contains("no volumes"));
        let both = [volume(Some("k"), true), volume(None, false)];
        assert_eq!(wrong(&good, &both, true, Some("k")).len(), 1, "each volume is looked at");
        assert!(wrong(&image("available", true), &both[..1], true, None).concat().contains("is public"));
        for state in ["pending", "failed", "disabled", "melting"] {
            assert_eq!(wrong(&image(state, false), &both[..1], true, None), [format!("is {state}")]);
        }
        assert_eq!(owner("arn:aws:kms:us-west-2:111111111111:key/0a"), Some("111111111111"));
    }
}
