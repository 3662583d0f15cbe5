//! Takes a bake back: cancels it while it goes on, and deletes what it made only where the config says so.
//! The main function is [`undo`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ec2::{DeregisterImageRequest, deregister_image};
use kiln_plugin::aws::imagebuilder::{
    CancelImageCreationRequest, DeleteImageRequest, Image, OutputAmi, cancel_image_creation, delete_image,
};
use kiln_plugin::{Duration, During, Failure, Look, context, count, elsewhere, memory, poll_within};

use crate::bake::{Step, brief, step};
use crate::config::Config;
use crate::{MEMORY, Remembered, check, get};

/// How long a bake may take to be cancelled.
const CANCEL: Duration = Duration::from_secs(1800);

/// Take back what the stage has begun.
pub(crate) fn undo(config: &Config) -> Result<String, Failure> {
    let Some(Remembered { image: arn }) = memory::recall(MEMORY)? else {
        return Ok("no bake was started".to_owned());
    };
    let Some(image) = get(&arn)? else {
        return Ok(format!("the image {arn} does not exist any more"));
    };
    let name = brief(&image);
    match step(&image) {
        Step::Wait => cancel(config, &image),
        Step::Made | Step::Failed(_) if config.delete_on_undo => delete(config, &image),
        Step::Made => Ok(format!("the bake of {name} was over; what it made stays (`delete-on-undo` would delete it)")),
        Step::Failed(_) => Ok(format!("the bake of {name} had ended already ({})", image.status)),
    }
}

fn cancel(config: &Config, image: &Image) -> Result<String, Failure> {
    let (arn, name) = (&image.arn, brief(image));
    match cancel_image_creation(&CancelImageCreationRequest { image: arn.clone() }) {
        Ok(_) => {}
        // It ended meanwhile; what became of it is seen below.
        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict) => {}
        Err(error) => return Err(error).during(format!("cancelling the bake of {name}")),
    }
    let ended = poll_within(CANCEL, config.poll, &format!("the end of the bake of {name}"), || {
        Ok(match get(arn)? {
            Some(image) => match step(&image) {
                Step::Wait => Look::waiting(format!("the bake is being cancelled ({})", image.status)),
                Step::Made | Step::Failed(_) => Look::Done(Some(image)),
            },
            None => Look::Done(None),
        })
    })?;
    match ended {
        None => Ok(format!("the bake of {name} is gone")),
        Some(image) if image.status == "CANCELLED" && image.amis.is_empty() => {
            Ok(format!("the bake of {name} was cancelled"))
        }
        Some(image) if config.delete_on_undo => delete(config, &image),
        Some(image) => Ok(format!(
            "the bake of {name} ended as {}; {} that it made stays",
            image.status,
            count(image.amis.len(), "machine image")
        )),
    }
}

/// Delete the machine images with their snapshots, where the stage reaches them, and then Image Builder's record.
fn delete(config: &Config, image: &Image) -> Result<String, Failure> {
    let here = context::get();
    let mut left = Vec::new();
    let mut deleted = 0_usize;
    for ami in &image.amis {
        if ami.account == here.account && ami.region == here.region {
            deregister(ami)?;
            deleted += 1;
            continue;
        }
        let is_there = |there: &elsewhere::Environment| {
            there.account == ami.account
                && there.region == ami.region
                && config.elsewhere.iter().any(|one| one.environment == there.name)
        };
        match elsewhere::all().into_iter().find(is_there) {
            Some(there) => {
                elsewhere::within(&there.name, |_| deregister(ami))?;
                deleted += 1;
            }
            None => left.push(format!("{} in {}", ami.ami, check::place(ami))),
        }
    }
    let (name, made) = (brief(image), count(deleted, "machine image"));
    if !left.is_empty() {
        // Image Builder's record is what says that they belong together.
        return Ok(format!(
            "{made} of {name} deleted; {} stay, which the stage does not reach, and so does Image Builder's record",
            left.join(", ")
        ));
    }
    match delete_image(&DeleteImageRequest { image: image.arn.clone() }) {
        Ok(_) => {}
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error).during(format!("deleting {name}")),
    }
    Ok(format!("{name} was deleted, with {made} and their snapshots"))
}

/// Deregister a machine image, with its snapshots. One that is gone is gone.
fn deregister(ami: &OutputAmi) -> Result<(), Failure> {
    let request = DeregisterImageRequest { image: ami.ami.clone(), delete_snapshots: true };
    match deregister_image(&request) {
        Ok(_) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound || error.code.starts_with("InvalidAMIID") => Ok(()),
        Err(error) => Err(error).during(format!("deleting {} in {}", ami.ami, check::place(ami))),
    }
}
