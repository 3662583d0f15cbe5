//! Names of container images.
//! The main type is [`PinnedImage`]: an ECR image by digest, which is how images travel through a pipeline.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an image in any registry: `NAME[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Registry and repository: everything before tag and digest.
    pub name: String,
    /// The tag, where it has one.
    pub tag: Option<String>,
    /// The digest, where it has one: `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

/// A repository of a private ECR registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrRepository {
    /// The account that owns the registry.
    pub account: String,
    /// The registry's region.
    pub region: String,
    /// The repository's name, with slashes.
    pub name: String,
}

/// An ECR image by digest: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedImage {
    /// Registry and repository, as written.
    pub name: String,
    /// Where it is.
    pub repository: EcrRepository,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Why a text is not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidImage {
    text: String,
    reason: &'static str,
}

impl fmt::Display for InvalidImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not name an image as it must: {}", self.text, self.reason)
    }
}

impl std::error::Error for InvalidImage {}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

impl FromStr for ImageReference {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let invalid = |reason| InvalidImage { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(invalid("behind `@` must stand `sha256:` and 64 lower-case hexadecimal digits"));
        }
        // A colon before the last slash belongs to the registry's port.
        let path = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(path..).and_then(|last| last.find(':')) {
            Some(colon) => rest.split_at(path + colon),
            None => (rest, ""),
        };
        let tag = tag.strip_prefix(':');
        if name.is_empty() || tag == Some("") {
            return Err(invalid("a name or tag is empty"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(invalid("it holds white space or control characters"));
        }
        Ok(Self { name: name.to_owned(), tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }
}

/// What the hosts of registries end with, in each of AWS's partitions.
const DOMAINS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

impl ImageReference {
    /// The ECR repository that the image is in; none where it is in another registry.
    pub fn ecr(&self) -> Option<EcrRepository> {
        let (registry, name) = self.name.split_once('/')?;
        let labels: Vec<&str> = registry.split('.').collect();
        let (account, region) = match labels.as_slice() {
            [account, "dkr", "ecr" | "ecr-fips", region, domain @ ..]
                if DOMAINS.contains(&domain.join(".").as_str()) =>
            {
                (*account, *region)
            }
            [account, "dkr-ecr" | "dkr-ecr-fips", region, "on", "aws"] => (*account, *region),
            _ => return None,
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (is_account && !name.is_empty() && !region.is_empty()).then(|| EcrRepository {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl FromStr for PinnedImage {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let invalid = |reason| InvalidImage { text: text.to_owned(), reason };
        let image: ImageReference = text.parse()?;
        let repository = image
            .ecr()
            .ok_or_else(|| invalid("it must be in ECR: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:…`"))?;
        let digest = image
            .digest
            .ok_or_else(|| invalid("it must be named by digest (`…@sha256:…`), because a tag can be moved"))?;
        Ok(Self { name: image.name, repository, digest })
    }
}

impl PinnedImage {
    /// The image of a repository, whose URI ECR gives, by digest.
    pub fn of(repository_uri: &str, digest: &str) -> Result<Self, InvalidImage> {
        format!("{repository_uri}@{digest}").parse()
    }

    /// `REPOSITORY@` and the beginning of the digest, for people.
    pub fn brief(&self) -> String {
        format!("{}@{}", self.repository.name, self.short_digest())
    }

    /// The digest's first 12 hexadecimal digits, for people.
    pub fn short_digest(&self) -> &str {
        short_digest(&self.digest)
    }
}

/// A digest's first 12 hexadecimal digits, for people.
fn short_digest(digest: &str) -> &str {
    digest.get(7..19).unwrap_or(digest)
}

impl fmt::Display for PinnedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

impl<'de> Deserialize<'de> for PinnedImage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for PinnedImage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What [`PinnedImage`] is read from, as a pattern. It takes nothing that the parser refuses: that would put off a mistake until the run.
fn pinned() -> String {
    let domains = DOMAINS.map(|domain| domain.replace('.', r"\.")).join("|");
    let host = format!(r"(\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.({domains})|\.dkr-ecr(-fips)?\.[a-z0-9-]+\.on\.aws)");
    format!(r"^[0-9]{{12}}{host}/[a-z0-9][a-z0-9._/-]{{1,255}}(:[A-Za-z0-9_.-]{{1,128}})?@sha256:[0-9a-f]{{64}}$")
}

impl JsonSchema for PinnedImage {
    fn schema_name() -> Cow<'static, str> {
        "PinnedImage".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": pinned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parts(text: &str) -> Option<(String, Option<String>, Option<String>)> {
        text.parse::<ImageReference>().ok().map(|i| (i.name, i.tag, i.digest))
    }

    #[test]
    fn a_reference_is_taken_apart() {
        assert_eq!(parts("nginx"), Some(("nginx".to_owned(), None, None)));
        assert_eq!(parts("nginx:1.27"), Some(("nginx".to_owned(), Some("1.27".to_owned()), None)));
        assert_eq!(parts("localhost:5000/a/b:c"), Some(("localhost:5000/a/b".to_owned(), Some("c".to_owned()), None)));
        assert_eq!(parts("localhost:5000/a"), Some(("localhost:5000/a".to_owned(), None, None)));
        assert_eq!(
            parts(&format!("a/b:c@{DIGEST}")),
            Some(("a/b".to_owned(), Some("c".to_owned()), Some(DIGEST.to_owned())))
        );
        for wrong in ["", ":tag", "a:", "a@sha256:12", "a b"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ecr_registries_are_recognised() {
        let repository = |text: &str| text.parse::<ImageReference>().ok().and_then(|i| i.ecr());
        let expected = |region: &str, name: &str| {
            Some(EcrRepository { account: "111111111111".to_owned(), region: region.to_owned(), name: name.to_owned() })
        };
        assert_eq!(repository("111111111111.dkr.ecr.us-west-2.amazonaws.com/web:1"), expected("us-west-2", "web"));
        assert_eq!(repository("111111111111.dkr.ecr.us-west-2.amazonaws.com/a/b"), expected("us-west-2", "a/b"));
        assert_eq!(repository("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/web"), expected("cn-north-1", "web"));
        assert_eq!(
            repository("111111111111.dkr.ecr.eusc-de-east-1.amazonaws.eu/web"),
            expected("eusc-de-east-1", "web")
        );
        assert_eq!(repository("111111111111.dkr.ecr.us-iso-east-1.c2s.ic.gov/web"), expected("us-iso-east-1", "web"));
        assert_eq!(repository("111111111111.dkr.ecr.us-west-2.amazonaws.com.example/web"), None);
        assert_eq!(repository("111111111111.dkr-ecr.us-west-2.on.aws/web"), expected("us-west-2", "web"));
        assert_eq!(repository("public.ecr.aws/nginx/nginx:1"), None);
        assert_eq!(repository("111111111111.dkr.ecr.us-west-2.amazonaws.com.evil.example/web"), None);
        assert_eq!(repository("1111.dkr.ecr.us-west-2.amazonaws.com/web"), None);
    }

    #[test]
    fn an_image_without_a_digest_is_not_pinned() {
        let registry = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
        let pinned = format!("{registry}/web@{DIGEST}").parse::<PinnedImage>();
        assert_eq!(pinned.as_ref().map(PinnedImage::short_digest), Ok("e3b0c44298fc"));
        assert_eq!(pinned.as_ref().map(PinnedImage::brief), Ok("web@e3b0c44298fc".to_owned()));
        assert_eq!(pinned.map(|image| image.to_string()), Ok(format!("{registry}/web@{DIGEST}")));
        let tagged = format!("{registry}/web:1").parse::<PinnedImage>();
        assert!(tagged.is_err_and(|error| error.to_string().contains("by digest")));
        let elsewhere = format!("docker.io/web@{DIGEST}").parse::<PinnedImage>();
        assert!(elsewhere.is_err_and(|error| error.to_string().contains("must be in ECR")));
    }
}
