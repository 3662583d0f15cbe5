//! The names of things that must not be mixed up, parsed at the border and never again inside.
//!
//! Each is a newtype over text with one `FromStr`, which says what is wrong in a full sentence.

mod partition;
mod place;
mod retry_class;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::harmless::is_unseen;

use partition::PARTITIONS;
pub(crate) use partition::is_domain_of_aws;
pub use place::Place;
pub use retry_class::RetryClass;

/// The stage under whose name the host's own calls are journaled. No stage of a pipeline can have it.
pub const HOST: &str = "kiln";

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

/// AWS's own limit.
const LONGEST_ARN: usize = 2048;

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
        let id = uuid::Uuid::parse_str(text).map_err(|error| error.to_string())?;
        // A UUID may be written in braces, as a URN, without hyphens, in capitals; a run's directory has one name.
        if id.hyphenated().to_string() != text {
            return Err(format!("write it as {}", id.hyphenated()));
        }
        match (id.get_version_num(), id.get_variant()) {
            (7, uuid::Variant::RFC4122) => Ok(()),
            (version, _) => Err(format!("it is a UUID of version {version}, not 7")),
        }
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
        // Digits alone: what parses numbers takes a sign and zeros before them, too.
        let number = |part: &str| matches!(part.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
        let well_formed = match parts.split_last() {
            Some((last, words)) => words.len() >= 2 && words.iter().all(letters) && number(last),
            None => false,
        };
        // It becomes part of host names.
        let short = text.len() <= 32;
        if well_formed && short { Ok(()) } else { Err("regions look like `eu-central-1`".to_owned()) }
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
        let partition = part("partition", parts.next())?;
        if !PARTITIONS.iter().any(|known| known.name == partition) {
            return Err(format!("its partition is none of {}", PARTITIONS.map(|known| known.name).join(", ")));
        }
        let service = part("service", parts.next())?;
        if service.is_empty() || !service.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err("its service is not lower-case letters, digits and `-`".to_owned());
        }
        let region = part("region", parts.next())?;
        if !(region.is_empty() || region.parse::<Region>().is_ok()) {
            return Err("its region is none".to_owned());
        }
        let account = part("account", parts.next())?;
        if !(account.is_empty() || account == "aws" || account.parse::<AccountId>().is_ok()) {
            return Err("its account is not 12 digits".to_owned());
        }
        if part("resource", parts.next())?.is_empty() {
            return Err("its resource is empty".to_owned());
        }
        if text.len() > LONGEST_ARN {
            return Err(format!("it is longer than {LONGEST_ARN} bytes"));
        }
        if text.chars().any(|c| c.is_whitespace() || is_unseen(c)) {
            return Err("it holds white space, or characters that cannot be seen".to_owned());
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

/// What a binary was built of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The version of kiln.
    pub version: &'static str,
    /// The commit, where it is known: from `KILN_COMMIT`, an archive made by git, or the clone.
    pub commit: Option<&'static str>,
    /// Whether what the binary is made of differs from that commit.
    pub changed: bool,
    /// `SOURCE_DATE_EPOCH`, or when the commit was made, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// The target triple.
    pub target: &'static str,
    /// Cargo's profile.
    pub profile: &'static str,
    /// The compiler, as it says itself.
    pub compiler: &'static str,
}

impl Provenance {
    /// Nothing is known of it.
    pub const UNKNOWN: Self =
        Self { version: "", commit: None, changed: false, date: None, target: "", profile: "", compiler: "" };
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
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    const REGION: &str = "[a-z]+(-[a-z]+)+-[1-9][0-9]?";
    const IDENTIFIER: &str = "[a-z][a-z0-9_-]{0,63}";

    /// Names that are good, among them the longest and the shortest.
    const GOOD: [&str; 22] = [
        "eu-central-1",
        "us-gov-west-1",
        "ap-southeast-12",
        "eusc-de-east-1",
        "111111111111",
        "000000000000",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "a",
        "deploy_2-b",
        "arn:aws:iam::111111111111:role/x",
        "arn:aws:iam::aws:policy/y",
        "arn:aws-cn:s3:::bucket/key",
        "arn:aws:ecs:eu-central-1:111111111111:service/web/web",
        "arn:aws:cloudwatch:us-west-2:111111111111:alarm:\u{fc}ber",
        "tab",
        "Table_1.x-y",
        "dynamodb://kiln",
        "dynamodb://eu-west-1/kiln",
        "arn:aws:ecs:us-west-+2:111111111111:x",
        "us-west-+2",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
    ];

    /// What parsers of numbers, of UUIDs and of text let through that a name must not hold.
    const ODD: [&str; 20] = [
        "+", "-", "0", "00", " ", "\n", "\0", "\u{1b}", "\u{663}", "\u{ff11}", "\u{200b}", "\u{202e}", "\u{85}", "A",
        "F", "_", ":", "/", "{", "\u{435}",
    ];

    /// A good name, with an odd piece in the place of some of it.
    fn nearly_good() -> impl Strategy<Value = String> {
        let (good, odd) = (prop::sample::select(GOOD.as_slice()), prop::sample::select(ODD.as_slice()));
        (good, odd, any::<prop::sample::Index>(), 0_usize..3).prop_map(|(good, odd, at, gone)| {
            let characters: Vec<char> = good.chars().collect();
            let at = at.index(characters.len() + 1);
            let (before, behind) = characters.split_at(at);
            before.iter().copied().chain(odd.chars()).chain(behind.iter().copied().skip(gone)).collect()
        })
    }

    /// Whether a name of this type is exactly what the pattern says, and is written as it was read.
    #[track_caller]
    fn agrees<T: FromStr + fmt::Display + Into<String>>(text: &str, pattern: &str) {
        let expected = Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(text);
        match text.parse::<T>() {
            Ok(name) => {
                assert!(expected, "{text:?} is no {}", std::any::type_name::<T>());
                assert_eq!(name.to_string(), text);
                assert_eq!(Into::<String>::into(name), text);
            }
            Err(_) => assert!(!expected, "{text:?} is a {}", std::any::type_name::<T>()),
        }
    }

    fn every_type_agrees(text: &str) {
        let arn = format!(
            "arn:(aws|aws-cn|aws-us-gov|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f|aws-eusc):[a-z0-9-]+:({REGION})?:\
             ([0-9]{{12}}|aws)?:[^\\s\\p{{Cc}}\\p{{Cf}}]+"
        );
        agrees::<Region>(text, REGION);
        agrees::<AccountId>(text, "[0-9]{12}");
        agrees::<Digest>(text, "sha256:[0-9a-f]{64}");
        agrees::<RunId>(text, "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
        agrees::<StageName>(text, IDENTIFIER);
        agrees::<PipelineName>(text, IDENTIFIER);
        agrees::<EnvironmentName>(text, IDENTIFIER);
        agrees::<TableName>(text, "[A-Za-z0-9_.-]{3,255}");
        agrees::<StoreAddress>(text, &format!("dynamodb://({REGION}/)?[A-Za-z0-9_.-]{{3,255}}"));
        agrees::<Arn>(text, &arn);
    }

    proptest! {
        #[test]
        fn a_name_is_what_its_description_says_and_nothing_else(text in nearly_good()) {
            every_type_agrees(&text);
        }

        #[test]
        fn what_is_made_is_what_is_read(now in 0_u64..1 << 45, seed: u64, bytes: Vec<u8>) {
            agrees::<RunId>(RunId::new(now).as_str(), ".*");
            agrees::<RunId>(RunId::seeded(now, seed).as_str(), ".*");
            agrees::<Digest>(Digest::of(&bytes).as_str(), ".*");
        }
    }

    #[test]
    fn good_names_and_those_that_only_look_good() {
        for text in GOOD {
            every_type_agrees(text);
        }
        for wrong in ["us-west-+2", "us-west-02", "us-west-0", "us-west-255", "us-west-\u{663}", "us-west--2"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for wrong in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")] {
            let refused = wrong.parse::<RunId>().unwrap_err();
            assert!(refused.reason.contains(id), "{refused}");
        }
        assert!("7a6c5d4e-0000-4000-8000-1a2b3c4d5e6f".parse::<RunId>().is_err(), "version 4");
    }

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
