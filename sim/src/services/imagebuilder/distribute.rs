//! AMIs come of an image, in regions and accounts.
//!
//! The main function is [`all`].

use std::collections::BTreeSet;

use super::behaviour::BakePhase;
use super::state::{Bake, MadeAmi, RegionTarget, text};
use crate::ctx::Scope;
use crate::services::{ec2, kms, ssm};
use crate::tags::Tags;
use crate::world::PlaceKey;

/// Give the image to every region and account, and tell where that failed, and why.
pub(super) fn all(scope: &mut Scope<'_>, bake: &Bake) -> Vec<(String, String)> {
    let own = RegionTarget { region: scope.at.region.clone(), ..RegionTarget::default() };
    let targets = bake.distribution.as_ref().map_or_else(|| vec![own], |distribution| distribution.regions.clone());
    let failure = bake.recipe.behaviour.fail.as_ref();
    let failure = failure.filter(|failure| failure.strikes(BakePhase::Distribution, bake.number));
    let (mut failed, mut source) = (Vec::new(), None);
    for target in targets {
        let strikes = failure.filter(|failure| failure.region.as_ref().is_none_or(|region| *region == target.region));
        if let Some(failure) = strikes {
            let usual = "The AMI could not be copied.".to_owned();
            failed.push((target.region.clone(), failure.message.clone().unwrap_or(usual)));
            continue;
        }
        match region(scope, bake, &target, source.as_ref()) {
            Ok(made) => {
                source = source.or_else(|| made.first().map(|made| (made.ami.clone(), made.region.clone())));
                if let Some(bake) = scope.place().imagebuilder.bake(&bake.arn) {
                    bake.amis.extend(made);
                }
            }
            Err(message) => failed.push((target.region.clone(), message)),
        }
    }
    failed
}

/// Give the image to a region, and to the accounts that get it there.
fn region(
    scope: &mut Scope<'_>,
    bake: &Bake,
    target: &RegionTarget,
    source: Option<&(String, String)>,
) -> Result<Vec<MadeAmi>, String> {
    let home = scope.at.clone();
    let name = target.ami_name.as_deref().unwrap_or("{{ imagebuilder:recipeName }} {{ imagebuilder:buildDate }}");
    let date = text(scope.now()).replace(':', "-");
    let name = name
        .replace("{{ imagebuilder:buildDate }}", &date)
        .replace("{{ imagebuilder:buildVersion }}", bake.version().rsplit('/').next().unwrap_or_default())
        .replace("{{ imagebuilder:recipeName }}", &bake.recipe.name);
    let mut tags = target.tags.clone();
    tags.insert("CreatedBy".to_owned(), "EC2 Image Builder".to_owned());
    tags.insert("Ec2ImageBuilderArn".to_owned(), bake.arn.clone());
    let accounts = std::iter::once(home.account.clone()).chain(target.accounts.iter().cloned());
    let (mut made, mut from) = (Vec::new(), source.cloned());
    for account in accounts {
        let at = PlaceKey { account: account.clone(), region: target.region.clone() };
        let there = &mut Scope { world: &mut *scope.world, at };
        let is_own = there.at == home;
        let (encrypted, key) = encryption(there, bake, target, is_own, &home)?;
        let image = new_image(bake, target, &name, &tags, from.clone(), (encrypted, key));
        let ami = ec2::make_image(there, image);
        for parameter in &target.parameters {
            ssm::put_text(there, parameter, &ami, "aws:ec2:image");
        }
        from = from.or_else(|| Some((ami.clone(), target.region.clone())));
        made.push(MadeAmi { region: target.region.clone(), account, ami, name: name.clone() });
    }
    Ok(made)
}

fn new_image(
    bake: &Bake,
    target: &RegionTarget,
    name: &str,
    tags: &Tags,
    source: Option<(String, String)>,
    (encrypted, kms_key): (bool, Option<String>),
) -> ec2::NewImage {
    let device = ec2::NewDevice { size: bake.recipe.size, encrypted, kms_key, ..ec2::NewDevice::default() };
    ec2::NewImage {
        name: name.to_owned(),
        description: format!("Image {} of {}", bake.version(), bake.recipe.name),
        devices: vec![device],
        public: target.public,
        shared: target.launch_accounts.iter().cloned().collect::<BTreeSet<_>>(),
        tags: tags.clone(),
        source,
        builder: Some(bake.arn.clone()),
        ..ec2::NewImage::default()
    }
}

/// Whether an AMI is encrypted there, and with which key: that of the region, or that of the recipe where it was built, or the one that
/// EBS has everywhere.
fn encryption(
    there: &mut Scope<'_>,
    bake: &Bake,
    target: &RegionTarget,
    is_own: bool,
    home: &PlaceKey,
) -> Result<(bool, Option<String>), String> {
    let missing = |key: &str| format!("The KMS key {key} does not exist or cannot be used in {}.", target.region);
    if let Some(key) = &target.key {
        // Another account's AMI is encrypted with its own key of that name, or with the one of the account that gives it.
        let giver = PlaceKey { account: home.account.clone(), region: target.region.clone() };
        let own = kms::key_arn(there, key);
        let found = own.or_else(|| kms::key_arn(&mut Scope { world: &mut *there.world, at: giver }, key));
        return found.map(|arn| (true, Some(arn))).ok_or_else(|| missing(key));
    }
    match (bake.recipe.encrypted.unwrap_or(false), &bake.recipe.key) {
        (false, _) => Ok((false, None)),
        (true, Some(key)) if is_own => {
            kms::key_arn(there, key).map(|arn| (true, Some(arn))).ok_or_else(|| missing(key))
        }
        (true, _) => Ok((true, Some(kms::key_of_aws(there, "alias/aws/ebs")))),
    }
}
