//! S3's part of a world file.
//!
//! The main type is [`BucketSeed`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{StoredBucket, StoredObject};
use crate::ids::sha256;
use crate::world::World;
use crate::worldfile::Problems;

/// A bucket in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BucketSeed {
    /// Its name.
    name: String,
    /// Whether it keeps the versions of objects: yes unless told.
    #[serde(default = "yes")]
    versioned: bool,
    /// Texts that lie in it, by their keys.
    #[serde(default)]
    objects: BTreeMap<String, String>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn yes() -> bool {
    true
}

/// Put buckets into the world.
pub(crate) fn plant(world: &mut World, seeds: &[BucketSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("buckets", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let (now, kind) = (scope.now(), format!("s3/version/{}/{}", scope.at, seed.name));
        let mut objects = BTreeMap::new();
        for (key, text) in &seed.objects {
            let version = if seed.versioned { scope.world.ids.hex(&kind, 32) } else { "null".to_owned() };
            let object = StoredObject {
                version,
                body: text.clone().into_bytes(),
                etag: format!("\"{}\"", sha256(text.as_bytes()).get(..32).unwrap_or_default()),
                encryption: "AES256".to_owned(),
                key: None,
                content_type: None,
                crc32: None,
                modified: now,
            };
            objects.insert(key.clone(), vec![object]);
        }
        let bucket = StoredBucket { versioned: seed.versioned, objects };
        if scope.place().s3.buckets.insert(seed.name.clone(), bucket).is_some() {
            problems.add(&format!("buckets: {}", seed.name), "the bucket is there twice");
        }
    }
}
