//! Which images belong together.
//! The main functions are [`of_image`] and [`of_orphan`].

use kiln_plugin::aws::Pair;
use kiln_plugin::aws::ec2::{Image, Snapshot};

use crate::config::Family;
use crate::glob;

/// The place of the first family that an image belongs to.
pub(crate) fn of_image(families: &[Family], image: &Image) -> Option<usize> {
    families.iter().position(|family| glob::matches(&family.names, &image.name) && has_tags(family, &image.tags))
}

/// The first family that a snapshot of a former image belongs to. Nobody knows the image's name any more, but by a tag `Name`: a family
/// that is known by its name alone takes a snapshot by that.
pub(crate) fn of_orphan(families: &[Family], snapshot: &Snapshot) -> Option<usize> {
    let name = snapshot.tags.iter().find(|tag| tag.name == "Name").map(|tag| tag.value.as_str());
    families.iter().position(|family| match name {
        Some(name) => glob::matches(&family.names, name) && has_tags(family, &snapshot.tags),
        None => !family.tags.is_empty() && has_tags(family, &snapshot.tags),
    })
}

fn has_tags(family: &Family, tags: &[Pair]) -> bool {
    family
        .tags
        .iter()
        .all(|(name, pattern)| tags.iter().any(|tag| tag.name == *name && glob::matches(pattern, &tag.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{image, snapshot};

    fn family(names: &str, tags: &[(&str, &str)]) -> Family {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Family { names: names.to_owned(), tags }
    }

    fn tagged(tags: &[(&str, &str)]) -> Vec<Pair> {
        tags.iter().map(|(name, value)| Pair { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
    }

    #[test]
    fn an_image_belongs_to_the_first_family_that_it_fits_by_name_and_tags() {
        let families = [family("web-*", &[("team", "front*")]), family("web-*", &[]), family("*", &[("team", "api")])];
        let of = |name: &str, tags: &[(&str, &str)]| {
            of_image(&families, &Image { tags: tagged(tags), ..image("ami-1", name, 1) })
        };
        assert_eq!(of("web-7", &[("team", "frontend"), ("x", "y")]), Some(0));
        assert_eq!(of("web-7", &[]), Some(1));
        assert_eq!(of("api-7", &[("team", "api")]), Some(2));
        assert_eq!(of("api-7", &[("team", "apis")]), None);
    }

    #[test]
    fn an_orphan_belongs_to_a_family_by_its_tags() {
        let of = |family: Family, tags: &[(&str, &str)]| {
            of_orphan(&[family], &Snapshot { tags: tagged(tags), ..snapshot("snap-1", 1) })
        };
        assert_eq!(of(family("web-*", &[]), &[]), None, "nobody knows what it was called");
        assert_eq!(of(family("web-*", &[]), &[("Name", "web-7")]), Some(0));
        assert_eq!(of(family("web-*", &[("team", "api")]), &[("team", "api")]), Some(0));
        assert_eq!(of(family("web-*", &[("team", "api")]), &[("Name", "db-7"), ("team", "api")]), None);
    }
}
