//! Removes what the stage has put, where the config says so.
//! The main function is [`undo`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecr::{BatchDeleteImageRequest, ImageId, batch_delete_image};
use kiln_plugin::aws::ecr_storage::{DescribeStoredImagesRequest, StoredImage, describe_stored_images};
use kiln_plugin::{During, Failure, memory};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::copying::brief;
use crate::target;
use crate::tree::BATCH;

/// Under which name the stage remembers what it puts.
pub(crate) const PUT: &str = "put";

/// What the stage puts.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    /// Digests, in the order in which they are put.
    pub(crate) digests: Vec<String>,
    /// The tags that they get.
    pub(crate) tags: BTreeSet<String>,
}

impl Put {
    /// Behind what was put before.
    pub(crate) fn with(self, before: Option<Self>) -> Self {
        let mut all = before.unwrap_or_default();
        for digest in self.digests {
            if !all.digests.contains(&digest) {
                all.digests.push(digest);
            }
        }
        all.tags.extend(self.tags);
        all
    }
}

/// Take back what was put. Answers what was done, in a sentence.
pub(crate) fn undo(config: &Config) -> Result<String, Failure> {
    let repository = config.repository.as_str();
    let Some(put) = memory::recall::<Put>(PUT)?.filter(|put| !put.digests.is_empty()) else {
        return Ok("nothing was copied".to_owned());
    };
    if !config.remove_on_undo {
        return Ok(format!("what was copied to {repository} stays there: `remove-on-undo` is not set"));
    }
    let there = target::there(repository, &put.digests.iter().cloned().collect())?;
    let stored = tags_of(repository, &there)?;
    let (ours, others) = parted(&put, &there, &stored);
    let (mut removed, mut kept) = (0, others.len());
    // What lists or is about others goes before these.
    for digest in &ours {
        let images = vec![ImageId { digest: Some(digest.clone()), tag: None }];
        let request = BatchDeleteImageRequest { repository: repository.to_owned(), images };
        let response = batch_delete_image(&request).during(format!("removing {repository}@{}", brief(digest)))?;
        if response.failures.iter().any(|failure| failure.code == "ImageReferencedByManifestList") {
            // It is part of one that stays.
            kept += 1;
            continue;
        }
        if let Some(failure) = response.failures.iter().find(|failure| failure.code != "ImageNotFound") {
            return Err(Failure::failed(format!(
                "{repository}@{} could not be removed: {}",
                brief(digest),
                failure.reason
            )));
        }
        removed += 1;
    }
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {kept} stay, which somebody has tagged since or that belong to such"),
    };
    Ok(format!("removed {removed} of what was copied to {repository}{kept}"))
}

fn tags_of(repository: &str, digests: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let digests: Vec<String> = digests.iter().cloned().collect();
    let mut tags = BTreeMap::new();
    for batch in digests.chunks(BATCH) {
        let request = DescribeStoredImagesRequest { repository: repository.to_owned(), digests: batch.to_vec() };
        let images = describe_stored_images(&request).during(format!("reading tags of {repository}"))?.images;
        tags.extend(images.into_iter().map(|StoredImage { digest, tags, .. }| (digest, tags)));
    }
    Ok(tags)
}

/// What may go, the last that was put first, and what stays because it has a tag of somebody else.
fn parted(put: &Put, there: &BTreeSet<String>, tags: &BTreeMap<String, Vec<String>>) -> (Vec<String>, Vec<String>) {
    let foreign = |digest: &String| tags.get(digest).into_iter().flatten().any(|tag| !put.tags.contains(tag));
    let left = put.digests.iter().rev().filter(|digest| there.contains(*digest)).cloned();
    left.partition(|digest| !foreign(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_tagged_since_stays() {
        let text = |text: &str| text.to_owned();
        let put = Put { digests: vec![text("a"), text("b"), text("c")], tags: BTreeSet::from([text("v1")]) };
        let there = BTreeSet::from([text("a"), text("b")]);
        let tags = BTreeMap::from([(text("a"), vec![text("v1")]), (text("b"), vec![text("v1"), text("stable")])]);
        assert_eq!(parted(&put, &there, &tags), (vec![text("a")], vec![text("b")]));
        let again = Put { digests: vec![text("c"), text("d")], tags: BTreeSet::new() }.with(Some(put));
        assert_eq!(again.digests, ["a", "b", "c", "d"]);
    }
}
