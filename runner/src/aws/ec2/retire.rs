//! Images and snapshots go out of use: deprecated, disabled, deregistered, deleted.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`DeregisterImageRequest`] is the one without a way
//! back.

use std::collections::BTreeMap;

use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

use super::ids::{self, IMAGE, SNAPSHOT};
use super::wire::{
    CreateTags, DeleteSnapshot, DeregisterAnswer, DeregisterImage, DisableImage, Done, EnableImageDeprecation, SentTag,
};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::batch;
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Operation, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::{incomplete, instant};
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    CreateTagsRequest, CreateTagsResponse, DeleteSnapshotRequest, DeleteSnapshotResponse, DeregisterImageRequest,
    DeregisterImageResponse, DescribeImagesRequest, DescribeSnapshotsRequest, DisableImageRequest,
    DisableImageResponse, EnableImageDeprecationRequest, EnableImageDeprecationResponse, Filter, Image, Snapshot,
    SnapshotDeletion,
};
use crate::types::{Arn, Place};

heads! {
    EnableImageDeprecationRequest => EnableImageDeprecationResponse:
        "ec2:EnableImageDeprecation" on |it, at| [IMAGE.arn(at, &it.image)];
    DisableImageRequest => DisableImageResponse: "ec2:DisableImage" on |it, at| [IMAGE.arn(at, &it.image)];
    DeleteSnapshotRequest => DeleteSnapshotResponse: "ec2:DeleteSnapshot" on |it, at| [SNAPSHOT.arn(at, &it.snapshot)];
    CreateTagsRequest => CreateTagsResponse:
        "ec2:CreateTags" on |it, at| it.resources.iter().map(|id| ids::tagged_arn(at, id));
}

/// The image of an id as it is now, whatever its state; none, where it is not there any more.
async fn seen(look: &Look, image: &str) -> Result<Option<Image>, AwsError> {
    let filter = Filter { name: "image-id".to_owned(), values: vec![image.to_owned()] };
    let request =
        DescribeImagesRequest { ids: Vec::new(), owners: Vec::new(), filters: vec![filter], include_disabled: true };
    Ok(look.read(&request).await?.images.into_iter().find(|found| found.id == image && found.state != "deregistered"))
}

/// Those of these snapshots that are there.
async fn there(look: &Look, snapshots: &[String]) -> Result<Vec<Snapshot>, AwsError> {
    if snapshots.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter { name: "snapshot-id".to_owned(), values: snapshots.to_vec() };
    let request = DescribeSnapshotsRequest { ids: Vec::new(), owners: Vec::new(), filters: vec![filter] };
    Ok(look.read(&request).await?.snapshots)
}

/// EC2 answers that something was done, or an error.
fn done(answer: bool, what: &str) -> Result<(), AwsError> {
    if answer { Ok(()) } else { Err(incomplete(what)) }
}

const MINUTE: u64 = 60_000;
/// So far ahead an image is deprecated that should be at once: until the request is there, and more than two clocks differ by.
const AHEAD: u64 = 10 * MINUTE;

impl Write for EnableImageDeprecationRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeImages"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        IMAGE.check(&self.image)?;
        let at = instant("the time of deprecation", self.at)?
            .fmt(Format::DateTime)
            .map_err(|error| invalid(format_args!("the time of deprecation cannot be written: {error}")))?;
        let request = EnableImageDeprecation { image_id: self.image.clone(), deprecate_at: at };
        let (answer, _) = aws.ec2().call::<_, Done>("EnableImageDeprecation", &request).await?;
        done(answer.r#return, "that the image is deprecated")?;
        Ok(EnableImageDeprecationResponse { image: self.image.clone() })
    }

    /// EC2 takes no time that is over. A run may have been ended and gone on much later.
    fn when_sent(&self, now: u64) -> Option<Self> {
        (self.at < now.saturating_add(MINUTE))
            .then(|| Self { image: self.image.clone(), at: now.saturating_add(AHEAD) })
    }

    /// Somebody may have taken it back meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let Some(image) = seen(look, &self.image).await? else {
            // EC2 says so in its own words.
            return Ok(Fate::SendAgain);
        };
        // It may have been sent last a moment ago.
        let passed = u64::try_from(asked.age.as_millis()).unwrap_or(u64::MAX);
        let latest = asked.sent.saturating_add(passed).saturating_add(AHEAD + MINUTE).max(self.at);
        Ok(match image.deprecated {
            Some(at) if at / MINUTE >= self.at / MINUTE && at <= latest => Fate::Happened {
                output: EnableImageDeprecationResponse { image: self.image.clone() },
                evidence: "the image is deprecated from then on".to_owned(),
            },
            Some(_) => Fate::NotHappened { evidence: "the image is deprecated from another time on".to_owned() },
            None => Fate::NotHappened { evidence: "the image is not deprecated".to_owned() },
        })
    }
}

impl Write for DisableImageRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeImages"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        IMAGE.check(&self.image)?;
        let request = DisableImage { image_id: self.image.clone() };
        let (answer, _) = aws.ec2().call::<_, Done>("DisableImage", &request).await?;
        done(answer.r#return, "that the image is disabled")?;
        Ok(DisableImageResponse { image: self.image.clone() })
    }

    /// Somebody may have enabled it meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let Some(image) = seen(look, &self.image).await? else {
            return Ok(Fate::SendAgain);
        };
        let evidence = format!("the image's state is {}", image.state);
        Ok(match image.state.as_str() {
            "disabled" => Fate::Happened { output: DisableImageResponse { image: image.id }, evidence },
            _ => Fate::NotHappened { evidence },
        })
    }
}

impl Operation for DeregisterImageRequest {
    type Output = DeregisterImageResponse;
    const ACTION: &'static str = "ec2:DeregisterImage";
    const REQUIRES: &'static [&'static str] = &["ec2:DeleteSnapshot"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![IMAGE.arn(at, &self.image)]
    }

    /// Which snapshots it is made of, EC2 knows.
    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        let snapshots = || ("ec2:DeleteSnapshot", vec![SNAPSHOT.arn(at, "*")]);
        self.delete_snapshots.then(snapshots).into_iter().collect()
    }
}

/// What is kept of the image before it is deregistered.
const SNAPSHOTS: &str = "snapshots";

impl Write for DeregisterImageRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeImages", "ec2:DescribeSnapshots"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        IMAGE.check(&self.image)?;
        let request =
            DeregisterImage { image_id: self.image.clone(), delete_associated_snapshots: self.delete_snapshots };
        let (answer, _) = aws.ec2().call::<_, DeregisterAnswer>("DeregisterImage", &request).await?;
        done(answer.r#return, "that the image is deregistered")?;
        let results = answer.delete_snapshot_result_set.item.into_iter();
        let snapshots = results.map(|each| SnapshotDeletion { snapshot: each.snapshot_id, code: each.return_code });
        Ok(DeregisterImageResponse { snapshots: snapshots.collect() })
    }

    /// Afterwards nobody can tell which snapshots were its own.
    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let image = seen(look, &self.image).await?;
        let devices = image.map(|image| image.devices).unwrap_or_default();
        let snapshots: Vec<String> = devices.into_iter().filter_map(|device| device.snapshot).collect();
        Ok(Some(json!({ SNAPSHOTS: snapshots })))
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if let Some(image) = seen(look, &self.image).await? {
            return Ok(Fate::NotHappened { evidence: format!("the image is there, and its state is {}", image.state) });
        }
        let before = asked.before.and_then(|before| before.get(SNAPSHOTS)?.as_array()).map(Vec::as_slice);
        let snapshots: Vec<String> =
            before.unwrap_or_default().iter().filter_map(|each| each.as_str().map(str::to_owned)).collect();
        let deletions = match self.delete_snapshots {
            false => Vec::new(),
            true => {
                let left = there(look, &snapshots).await?;
                let is_left = |id: &String| left.iter().any(|snapshot| snapshot.id == *id);
                let code = |id: &String| if is_left(id) { "skipped" } else { "success" };
                snapshots
                    .iter()
                    .map(|id| SnapshotDeletion { snapshot: id.clone(), code: code(id).to_owned() })
                    .collect()
            }
        };
        let output = DeregisterImageResponse { snapshots: deletions };
        Ok(Fate::Happened { output, evidence: "the image is not there any more".to_owned() })
    }
}

impl Write for DeleteSnapshotRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeSnapshots"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        SNAPSHOT.check(&self.snapshot)?;
        let request = DeleteSnapshot { snapshot_id: self.snapshot.clone() };
        // EC2 says that it was done, which its model leaves out: what is no error was.
        let (BTreeMap::<String, String> { .. }, _) = aws.ec2().call("DeleteSnapshot", &request).await?;
        Ok(DeleteSnapshotResponse { snapshot: self.snapshot.clone() })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        Ok(match there(look, std::slice::from_ref(&self.snapshot)).await?.is_empty() {
            true => Fate::Happened {
                output: DeleteSnapshotResponse { snapshot: self.snapshot.clone() },
                evidence: "the snapshot is not there any more".to_owned(),
            },
            false => Fate::NotHappened { evidence: "the snapshot is there".to_owned() },
        })
    }
}

impl CreateTagsRequest {
    fn answer(&self) -> CreateTagsResponse {
        CreateTagsResponse { tagged: u32::try_from(self.resources.len()).unwrap_or(u32::MAX) }
    }
}

impl Write for CreateTagsRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeImages", "ec2:DescribeSnapshots"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        batch("things that get tags", &self.resources, 1000)?;
        batch("tags", &self.tags, 50)?;
        self.resources.iter().try_for_each(|id| ids::tagged(id).map(|_| ()))?;
        let tag = self.tags.iter().map(|tag| SentTag { key: tag.name.clone(), value: tag.value.clone() });
        let request = CreateTags { resource_id: self.resources.clone(), tag: tag.collect() };
        let (BTreeMap::<String, String> { .. }, _) = aws.ec2().call("CreateTags", &request).await?;
        Ok(self.answer())
    }

    /// Of images and snapshots it is seen what tags they have; the rest gets them again.
    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let mut tagged = 0;
        for id in &self.resources {
            let tags = match ids::tagged(id)?.is_image() {
                Some(true) => seen(look, id).await?.map(|image| image.tags),
                Some(false) => there(look, std::slice::from_ref(id)).await?.pop().map(|snapshot| snapshot.tags),
                None => None,
            };
            if tags.is_some_and(|tags| self.tags.iter().all(|tag| tags.contains(tag))) {
                tagged += 1;
            }
        }
        Ok(match tagged == self.resources.len() {
            true => Fate::Happened { output: self.answer(), evidence: "all of them have the tags".to_owned() },
            false => Fate::SendAgain,
        })
    }
}
