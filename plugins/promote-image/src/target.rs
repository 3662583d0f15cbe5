//! The repository that images go to: what it has already, and what it lacks.
//! The main type is [`Lack`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecr::{
    BatchGetImageRequest, DescribeRepositoriesRequest, ImageId, batch_get_image, describe_repositories,
};
use kiln_plugin::aws::ecr_promote::{CheckLayersRequest, check_layers};
use kiln_plugin::{During, Failure};

use crate::tree::{BATCH, Item, Tree};

/// The URI of a repository.
pub(crate) fn uri(name: &str) -> Result<String, Failure> {
    let request = DescribeRepositoriesRequest { names: vec![name.to_owned()] };
    let found = describe_repositories(&request).during(format!("looking for the repository {name}"))?.repositories;
    let found = found.into_iter().find(|repository| repository.name == name);
    found
        .map(|repository| repository.uri)
        .ok_or_else(|| Failure::not_found(format!("ECR has no repository {name}")).help("Correct `repository`."))
}

/// Those of `digests` that a repository has.
pub(crate) fn there(repository: &str, digests: &BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
    let digests: Vec<&String> = digests.iter().collect();
    let mut there = BTreeSet::new();
    for batch in digests.chunks(BATCH) {
        let images = batch.iter().map(|digest| ImageId { digest: Some((*digest).clone()), tag: None }).collect();
        let request = BatchGetImageRequest { repository: repository.to_owned(), images };
        let response = batch_get_image(&request).during(format!("looking for the image in {repository}"))?;
        there.extend(response.images.into_iter().filter_map(|image| image.id.digest));
    }
    Ok(there)
}

/// The digest of the image that a tag names there.
pub(crate) fn tagged(repository: &str, tag: &str) -> Result<Option<String>, Failure> {
    let images = vec![ImageId { digest: None, tag: Some(tag.to_owned()) }];
    let request = BatchGetImageRequest { repository: repository.to_owned(), images };
    let response = batch_get_image(&request).during(format!("looking for the tag {tag} in {repository}"))?;
    Ok(response.images.into_iter().find_map(|image| image.id.digest))
}

/// What a repository lacks of an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lack<'a> {
    /// What is to be put, in this order, each with the layers that must be copied before it: digest and size.
    pub(crate) items: Vec<(&'a Item, Vec<(String, u64)>)>,
    /// What is there.
    pub(crate) there: Vec<&'a Item>,
}

impl<'a> Lack<'a> {
    pub(crate) fn find(repository: &str, tree: &'a Tree) -> Result<Self, Failure> {
        let there = there(repository, &tree.digests())?;
        let wanted: BTreeMap<&str, u64> = tree
            .items
            .iter()
            .filter(|item| !there.contains(&item.digest))
            .flat_map(|item| item.layers.iter().map(|(digest, size)| (digest.as_str(), *size)))
            .collect();
        let digests: Vec<String> = wanted.into_keys().map(str::to_owned).collect();
        let mut held = BTreeSet::new();
        for batch in digests.chunks(BATCH) {
            let request = CheckLayersRequest { repository: repository.to_owned(), digests: batch.to_vec() };
            let response = check_layers(&request).during(format!("looking for layers in {repository}"))?;
            let available = response.layers.into_iter().filter(|layer| layer.availability == "AVAILABLE");
            held.extend(available.map(|layer| layer.digest));
        }
        Ok(Self::of(tree, &there, held))
    }

    fn of(tree: &'a Tree, there: &BTreeSet<String>, mut held: BTreeSet<String>) -> Self {
        let (mut items, mut kept) = (Vec::new(), Vec::new());
        for item in &tree.items {
            if there.contains(&item.digest) {
                kept.push(item);
                continue;
            }
            // A layer that several of them have goes with the first.
            let layers = item.layers.iter().filter(|(digest, _)| held.insert(digest.clone())).cloned().collect();
            items.push((item, layers));
        }
        Self { items, there: kept }
    }

    /// How many layers are to be copied, and how many bytes they have.
    pub(crate) fn layers(&self) -> (usize, u64) {
        let all = self.items.iter().flat_map(|(_, layers)| layers);
        (all.clone().count(), all.map(|(_, size)| size).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(digest: &str, layers: &[(&str, u64)]) -> Item {
        Item::bare(digest, layers)
    }

    #[test]
    fn what_is_there_is_kept_and_a_layer_goes_once() {
        let tree = Tree {
            items: vec![item("a", &[("base", 10), ("x", 1)]), item("b", &[("base", 10), ("y", 2)]), item("c", &[])],
        };
        let (there, held) = (BTreeSet::from(["c".to_owned()]), BTreeSet::from(["x".to_owned()]));
        let lack = Lack::of(&tree, &there, held);
        let layers: Vec<(&str, Vec<&str>)> = lack
            .items
            .iter()
            .map(|(item, layers)| (item.digest.as_str(), layers.iter().map(|(digest, _)| digest.as_str()).collect()))
            .collect();
        assert_eq!(layers, [("a", vec!["base"]), ("b", vec!["y"])]);
        assert_eq!(lack.there.iter().map(|item| item.digest.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!(lack.layers(), (2, 12));
    }
}
