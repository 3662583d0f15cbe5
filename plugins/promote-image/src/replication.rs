//! Waits until ECR has replicated an image by itself.
//! The main function is [`wait`].

use std::collections::BTreeSet;

use kiln_plugin::aws::ecr_promote::{DescribeImageReplicationRequest, Replica, describe_image_replication};
use kiln_plugin::{Duration, During, Failure, Look, PinnedImage, context, elsewhere, poll};

use crate::target;

/// Wait until all of `digests` are in the repository of the image's own name here.
pub(crate) fn wait(
    image: &PinnedImage,
    environment: &str,
    digests: &BTreeSet<String>,
    every: Duration,
) -> Result<(), Failure> {
    let name = image.repository.name.as_str();
    poll(every, &format!("the replication of {}", image.brief()), || {
        let replicas = elsewhere::within(environment, |_| replicas(image))?;
        let here = context::get();
        match state(&replicas, &here.account, &here.region) {
            State::Complete => {}
            State::Waiting => return Ok(Look::waiting(format!("{} is on its way", image.brief()))),
            State::Failed(code) => {
                return Err(Failure::failed(format!("ECR could not replicate {}: {code}", image.brief())).help(
                    "See the registry's replication settings and the other registry's permissions, then push it again.",
                ));
            }
            State::None => {
                return Err(Failure::not_found(format!(
                    "the registry of account {} in {} does not replicate {} to account {} in {}",
                    image.repository.account,
                    image.repository.region,
                    image.brief(),
                    here.account,
                    here.region
                ))
                .help("Add a rule to its replication settings (what was pushed before is not replicated), or say `by = \"copy\"`."));
            }
        }
        // What it lists and what is about it are replicated each by itself.
        let there = target::there(name, digests)?;
        match digests.len() - there.len() {
            0 => Ok(Look::Done(())),
            left => Ok(Look::waiting(format!("{left} of {} images are not there yet", digests.len()))),
        }
    })
}

/// Where an image is replicated to.
pub(crate) fn replicas(image: &PinnedImage) -> Result<Vec<Replica>, Failure> {
    let request =
        DescribeImageReplicationRequest { repository: image.repository.name.clone(), digest: image.digest.clone() };
    Ok(describe_image_replication(&request).during(format!("asking how far {} is replicated", image.brief()))?.replicas)
}

/// How far a replica is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    None,
    Waiting,
    Complete,
    Failed(String),
}

pub(crate) fn state(replicas: &[Replica], account: &str, region: &str) -> State {
    let own = replicas.iter().find(|replica| replica.account == account && replica.region == region);
    match own.map(|replica| (replica.status.as_str(), replica.failure_code.clone())) {
        None => State::None,
        Some(("COMPLETE", _)) => State::Complete,
        Some(("FAILED", code)) => State::Failed(code.unwrap_or_else(|| "it does not say why".to_owned())),
        // A status that nobody knows is not yet one of the end.
        Some(_) => State::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_of_this_registry_decides() {
        let replica = |region: &str, status: &str| Replica {
            account: "111111111111".to_owned(),
            region: region.to_owned(),
            status: status.to_owned(),
            failure_code: (status == "FAILED").then(|| "KmsError".to_owned()),
        };
        let all = [replica("eu-west-1", "COMPLETE"), replica("us-west-2", "FAILED"), replica("ap-south-1", "NEW")];
        let of = |region: &str| state(&all, "111111111111", region);
        assert_eq!(of("eu-west-1"), State::Complete);
        assert_eq!(of("us-west-2"), State::Failed("KmsError".to_owned()));
        assert_eq!(of("ap-south-1"), State::Waiting);
        assert_eq!(of("us-east-1"), State::None);
        assert_eq!(state(&all, "222222222222", "eu-west-1"), State::None);
    }
}
