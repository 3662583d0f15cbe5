//! The names of things that must not be mixed up, parsed at the border and never again inside.
//!
//! Each is a newtype over text with one `FromStr`, which says what is wrong in a full sentence.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not the name that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}: {reason}")]
pub struct InvalidName {
    /// The text.
    pub text: String,
    /// What it should have been, with its article: `a stage name`.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map_err(|reason| InvalidName { text: text.to_owned(), expected: $expected, reason })?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// The name of a stage: lower-case ASCII letters, digits, `-` and `_`, a letter first, at most 64 characters.
    StageName, "a stage name", check_identifier
);
name!(
    /// The name of a pipeline: as a stage's.
    PipelineName, "a pipeline name", check_identifier
);
name!(
    /// The name of an environment: as a stage's.
    EnvironmentName, "an environment name", check_identifier
);
name!(
    /// A run's id: a UUID of version 7, so that ids sort by time.
    RunId, "a run id", |text| {
        uuid::Uuid::parse_str(text).map(|_| ()).map_err(|error| error.to_string())
    }
);
name!(
    /// A content digest: `sha256:` and 64 lower-case hexadecimal digits.
    Digest, "a digest", |text| {
        let hex = text.strip_prefix("sha256:").ok_or("it does not begin with `sha256:`")?;
        if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(())
        } else {
            Err("`sha256:` must be followed by 64 lower-case hexadecimal digits".to_owned())
        }
    }
);
name!(
    /// An AWS account: 12 digits.
    AccountId, "an AWS account id", |text| {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(())
        } else {
            Err("it must have exactly 12 digits".to_owned())
        }
    }
);
name!(
    /// An AWS region, such as `eu-central-1`.
    Region, "an AWS region", |text| {
        let parts: Vec<&str> = text.split('-').collect();
        let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let well_formed = match parts.split_last() {
            Some((number, words)) => {
                words.len() >= 2 && words.iter().all(letters) && number.parse::<u8>().is_ok()
            }
            None => false,
        };
        if well_formed { Ok(()) } else { Err("regions look like `eu-central-1`".to_owned()) }
    }
);
name!(
    /// An Amazon Resource Name: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
    Arn, "an ARN", |text| {
        let mut parts = text.splitn(6, ':');
        let part = |name: &str, part: Option<&str>| {
            part.map(str::to_owned).ok_or(format!("its {name} is missing (arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE)"))
        };
        if parts.next() != Some("arn") {
            return Err("it does not begin with `arn:`".to_owned());
        }
        if !matches!(part("partition", parts.next())?.as_str(), "aws" | "aws-cn" | "aws-us-gov" | "aws-iso" | "aws-iso-b") {
            return Err("its partition is none of aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b".to_owned());
        }
        if part("service", parts.next())?.is_empty() {
            return Err("its service is empty".to_owned());
        }
        part("region", parts.next())?;
        let account = part("account", parts.next())?;
        if !(account.is_empty() || account == "aws" || account.parse::<AccountId>().is_ok()) {
            return Err("its account is not 12 digits".to_owned());
        }
        if part("resource", parts.next())?.is_empty() {
            return Err("its resource is empty".to_owned());
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it holds white space or control characters".to_owned());
        }
        Ok(())
    }
);

name!(
    /// The name of a DynamoDB table: 3 to 255 ASCII letters, digits, `_`, `-` and `.`.
    TableName, "a DynamoDB table's name", |text| {
        if !(3..=255).contains(&text.len()) {
            return Err("it must have 3 to 255 characters".to_owned());
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
            Some(odd) => Err(format!("{odd:?} is not a letter, digit, `_`, `-` or `.`")),
            None => Ok(()),
        }
    }
);
name!(
    /// Where runs are shared: `dynamodb://TABLE`, or `dynamodb://REGION/TABLE` where the region must be told.
    StoreAddress, "the address of a store", |text| {
        let place = text.strip_prefix("dynamodb://").ok_or("write it as dynamodb://TABLE or dynamodb://REGION/TABLE")?;
        let table = match place.split_once('/') {
            Some((region, table)) => {
                region.parse::<Region>().map_err(|error| error.to_string())?;
                table
            }
            None => place,
        };
        table.parse::<TableName>().map(|_| ()).map_err(|error| error.to_string())
    }
);

impl StoreAddress {
    /// A table of DynamoDB.
    pub fn dynamodb(region: Option<&Region>, table: &TableName) -> Self {
        Self(match region {
            Some(region) => format!("dynamodb://{region}/{table}").into(),
            None => format!("dynamodb://{table}").into(),
        })
    }

    fn place(&self) -> (Option<&str>, &str) {
        let place = self.0.trim_start_matches("dynamodb://");
        match place.split_once('/') {
            Some((region, table)) => (Some(region), table),
            None => (None, place),
        }
    }

    /// The table.
    pub fn table(&self) -> &str {
        self.place().1
    }

    /// The table's region, where the address names it.
    pub fn region(&self) -> Option<Region> {
        self.place().0?.parse().ok()
    }

    /// The same store, its region named.
    pub fn in_region(&self, region: &Region) -> Self {
        match self.region() {
            Some(_) => self.clone(),
            None => Self(format!("dynamodb://{region}/{}", self.table()).into()),
        }
    }
}

impl RunId {
    /// A new id at `now`, milliseconds since the Unix epoch.
    pub fn new(now: u64) -> Self {
        let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, now / 1000, ((now % 1000) * 1_000_000) as u32);
        Self(uuid::Uuid::new_v7(timestamp).to_string().into())
    }
}

impl RunId {
    /// The id of a rehearsal that begins at `start`: the same for the same seed.
    pub fn seeded(start: u64, seed: u64) -> Self {
        let chance: Vec<u8> = sha2_of(&seed.to_be_bytes()).into_iter().take(10).collect();
        let chance = <[u8; 10]>::try_from(chance).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(start, &chance).into_uuid().to_string().into())
    }
}

fn sha2_of(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = sha2_of(bytes);
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            use fmt::Write as _;
            // INVARIANT: writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }
}

impl Region {
    /// The partition that the region belongs to.
    pub fn partition(&self) -> &'static str {
        match self.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            region if region.starts_with("us-iso-") => "aws-iso",
            region if region.starts_with("us-isob-") => "aws-iso-b",
            _ => "aws",
        }
    }
}

impl Arn {
    /// An ARN in a place; `resource` is everything behind the account.
    pub fn new(partition: &str, service: &str, region: &str, account: &str, resource: &str) -> Self {
        Self(format!("arn:{partition}:{service}:{region}:{account}:{resource}").into())
    }

    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// Such as `ecs`.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// Empty for global services.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// Empty where the ARN has none.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// Everything behind the account.
    pub fn resource(&self) -> &str {
        self.part(5)
    }
}

fn check_identifier(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > 64 {
        return Err("it is longer than 64 characters".to_owned());
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii()) {
        return Err(format!(
            "it holds the non-ASCII character U+{:04X}; names that look alike must not differ",
            odd as u32
        ));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it must begin with a lower-case letter".to_owned());
    }
    match text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))) {
        Some(odd) => Err(format!("{odd:?} is not a lower-case letter, digit, `-` or `_`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_wrong() {
        let wrong = |text: &str| text.parse::<StageName>().map_err(|e| e.reason).err();
        assert_eq!(wrong("deploy-2"), None);
        assert_eq!(wrong(""), Some("it is empty".to_owned()));
        assert!(wrong("dерloy").is_some_and(|reason| reason.contains("U+0435")), "a Cyrillic letter");
        assert!(wrong("Deploy").is_some());
        assert!("arn:aws:iam::1:role/x".parse::<Arn>().is_err());
        assert!("arn:aws:iam::111111111111:role/x".parse::<Arn>().is_ok());
        assert!("eu-central-1".parse::<Region>().is_ok());
        assert!("eu-central".parse::<Region>().is_err());
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn the_address_of_a_store_names_a_table_and_perhaps_its_region() {
        let read = |text: &str| {
            let address = text.parse::<StoreAddress>().ok()?;
            Some((address.region().map(String::from), address.table().to_owned()))
        };
        assert_eq!(read("dynamodb://kiln"), Some((None, "kiln".to_owned())));
        assert_eq!(read("dynamodb://eu-west-1/kiln"), Some((Some("eu-west-1".to_owned()), "kiln".to_owned())));
        for wrong in ["kiln", "s3://kiln", "dynamodb://", "dynamodb://k", "dynamodb://nowhere/kiln", "dynamodb://a b c"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
