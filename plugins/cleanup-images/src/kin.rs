//! Which images share the fate of which: the parts of an image for several platforms that of the whole; signatures, attestations and
//! whatever else refers to an image that of the image.
//! The main type is [`Kinship`]. The image whose fate another shares is its owner here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kiln_plugin::aws::ecr_storage::StoredImage;

/// How an image belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// It is listed by it.
    Part,
    /// It says something about it.
    Referrer,
}

impl Tie {
    /// `part of`, `belongs to`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Tie::Part => "part of",
            Tie::Referrer => "belongs to",
        }
    }
}

/// An image that another shares the fate of, or that shares that of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kin {
    pub(crate) digest: String,
    pub(crate) tie: Tie,
}

/// Who belongs to whom among the images of a repository.
#[derive(Debug, Default)]
pub(crate) struct Kinship {
    owners: BTreeMap<String, Vec<Kin>>,
    belongings: BTreeMap<String, Vec<Kin>>,
    /// What images say something about, where that is not in the repository.
    absent: BTreeMap<String, String>,
    /// Those that say something about an image.
    referrers: BTreeSet<String>,
}

impl Kinship {
    /// `parts` holds the digests that each image for several platforms lists.
    pub(crate) fn of(images: &[StoredImage], parts: &BTreeMap<String, Vec<String>>) -> Self {
        let here: BTreeSet<&str> = images.iter().map(|image| image.digest.as_str()).collect();
        let mut kinship = Self::default();
        for (whole, parts) in parts {
            for part in parts.iter().filter(|part| here.contains(part.as_str())) {
                kinship.tie(whole, part, Tie::Part);
            }
        }
        for image in images {
            let tagged = image.tags.iter().filter_map(|tag| subject_of_tag(tag));
            for subject in image.subject.clone().into_iter().chain(tagged) {
                if subject == image.digest {
                    continue;
                }
                kinship.referrers.insert(image.digest.clone());
                match here.contains(subject.as_str()) {
                    true => kinship.tie(&subject, &image.digest, Tie::Referrer),
                    false => {
                        kinship.absent.insert(image.digest.clone(), subject);
                    }
                }
            }
        }
        kinship
    }

    fn tie(&mut self, owner: &str, belonging: &str, tie: Tie) {
        let kin = |digest: &str| Kin { digest: digest.to_owned(), tie };
        let owners = self.owners.entry(belonging.to_owned()).or_default();
        if owners.iter().all(|other| other.digest != owner) {
            owners.push(kin(owner));
            self.belongings.entry(owner.to_owned()).or_default().push(kin(belonging));
        }
    }

    /// The images that it shares the fate of.
    pub(crate) fn owners(&self, digest: &str) -> &[Kin] {
        self.owners.get(digest).map_or(&[], Vec::as_slice)
    }

    /// The images that share its fate.
    pub(crate) fn belongings(&self, digest: &str) -> &[Kin] {
        self.belongings.get(digest).map_or(&[], Vec::as_slice)
    }

    /// The parts of an image for several platforms, and theirs.
    pub(crate) fn parts(&self, whole: &str) -> BTreeSet<&str> {
        let mut parts = BTreeSet::new();
        let mut queue: VecDeque<&str> = VecDeque::from([whole]);
        while let Some(whole) = queue.pop_front() {
            for part in self.belongings(whole).iter().filter(|part| part.tie == Tie::Part) {
                if parts.insert(part.digest.as_str()) {
                    queue.push_back(&part.digest);
                }
            }
        }
        parts
    }

    /// Whether it says something about an image, be that in the repository or not.
    pub(crate) fn is_referrer(&self, digest: &str) -> bool {
        self.referrers.contains(digest)
    }

    /// What it says something about, where none of that is in the repository.
    pub(crate) fn orphaned_by(&self, digest: &str) -> Option<&str> {
        let refers = self.owners(digest).iter().any(|owner| owner.tie == Tie::Referrer);
        self.absent.get(digest).filter(|_| !refers).map(String::as_str)
    }

    /// All that must stay because `needed` must, each with the reason: what they belong to, and all that belongs to that.
    pub(crate) fn bound(&self, needed: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
        let mut kept: BTreeMap<String, String> = needed.into_iter().collect();
        let mut queue: VecDeque<String> = kept.keys().cloned().collect();
        while let Some(digest) = queue.pop_front() {
            let reason = kept.get(&digest).cloned().unwrap_or_default();
            for owner in self.owners(&digest) {
                if !kept.contains_key(&owner.digest) {
                    kept.insert(owner.digest.clone(), reason.clone());
                    queue.push_back(owner.digest.clone());
                }
            }
        }
        self.with_belongings(&mut kept);
        kept
    }

    /// Add to what stays all that belongs to it.
    pub(crate) fn with_belongings(&self, kept: &mut BTreeMap<String, String>) {
        let mut queue: VecDeque<String> = kept.keys().cloned().collect();
        while let Some(owner) = queue.pop_front() {
            for belonging in self.belongings(&owner) {
                if !kept.contains_key(&belonging.digest) {
                    let reason = format!("{} {}, which stays", belonging.tie.words(), brief(&owner));
                    kept.insert(belonging.digest.clone(), reason);
                    queue.push_back(belonging.digest.clone());
                }
            }
        }
    }
}

/// The digest of the image that a tag says something about: cosign tags signatures `sha256-HEX.sig`, attestations `sha256-HEX.att`, lists of
/// contents `sha256-HEX.sbom`, and `sha256-HEX` is the tag of all referrers where a registry knows no subjects.
pub(crate) fn subject_of_tag(tag: &str) -> Option<String> {
    let rest = tag.strip_prefix("sha256-")?;
    let (hex, kind) = rest.split_at_checked(64)?;
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_kind = kind.is_empty() || kind.strip_prefix('.').is_some_and(|kind| !kind.is_empty());
    (is_hex && is_kind).then(|| format!("sha256:{hex}"))
}

/// The tags that somebody gave an image to name it by, and not to say what it belongs to.
pub(crate) fn own_tags(image: &StoredImage) -> impl Iterator<Item = &String> {
    image.tags.iter().filter(|tag| subject_of_tag(tag).is_none())
}

/// A digest for people.
pub(crate) fn brief(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::image;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn tags_of_cosign_name_the_image_that_they_are_about() {
        let subject = Some(format!("sha256:{HEX}"));
        for kind in ["", ".sig", ".att", ".sbom", ".other"] {
            assert_eq!(subject_of_tag(&format!("sha256-{HEX}{kind}")), subject);
        }
        let no = [
            format!("sha256-{HEX}."),
            format!("sha256-{HEX}sig"),
            format!("sha256-{}", &HEX[1..]),
            format!("sha256-{}", HEX.to_uppercase()),
            format!("v1-sha256-{HEX}.sig"),
            "sha256-".to_owned(),
            format!("sha256-{}é{}", &HEX[..63], HEX),
        ];
        for tag in no {
            assert_eq!(subject_of_tag(&tag), None, "{tag}");
        }
    }

    #[test]
    fn an_image_that_claims_to_be_about_itself_or_in_a_circle_is_walked_once() {
        let digest = format!("sha256:{HEX}");
        let mut own = image(&digest, &[&format!("sha256-{HEX}.sig")], 1);
        own.subject = Some(digest.clone());
        let kinship = Kinship::of(&[own], &BTreeMap::new());
        assert!(kinship.owners(&digest).is_empty() && !kinship.is_referrer(&digest));

        let (mut a, mut b) = (image("a", &[], 1), image("b", &[], 1));
        (a.subject, b.subject) = (Some("b".to_owned()), Some("a".to_owned()));
        let kinship = Kinship::of(&[a, b], &BTreeMap::new());
        assert_eq!(kinship.bound([("a".to_owned(), "used".to_owned())]).len(), 2);
    }

    #[test]
    fn whoever_is_about_nothing_here_is_an_orphan() {
        let mut signature = image("s", &[], 1);
        signature.subject = Some("gone".to_owned());
        let kinship = Kinship::of(&[signature.clone()], &BTreeMap::new());
        assert_eq!(kinship.orphaned_by("s"), Some("gone"));
        let kinship = Kinship::of(&[signature, image("gone", &["v1"], 1)], &BTreeMap::new());
        assert_eq!(kinship.orphaned_by("s"), None);
    }
}
