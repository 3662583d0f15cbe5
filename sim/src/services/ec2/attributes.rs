//! `DescribeImageAttribute`: who may launch an image.
//!
//! The main function is [`describe_image_attribute`].

use serde::{Deserialize, Serialize};

use super::errors::{invalid, no_image};
use super::image::image;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeImageAttribute {
    image_id: String,
    attribute: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageAttribute {
    image_id: String,
    launch_permission: Vec<Permission>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    user_id: Option<String>,
    group: Option<&'static str>,
}

pub(super) fn describe_image_attribute(
    ctx: &mut Ctx<'_>,
    input: DescribeImageAttribute,
) -> Result<ImageAttribute, AwsError> {
    if input.attribute != "launchPermission" {
        return Err(invalid(format!("the simulator does not do the attribute {} of images", input.attribute)));
    }
    let found = image(ctx, &input.image_id).ok_or_else(|| no_image(&input.image_id))?;
    if found.owner != ctx.at.account {
        let message = format!("Not authorized for image:{}", input.image_id);
        return Err(AwsError::new("AuthFailure", message).status(403));
    }
    let everybody = found.public.then_some(Permission { user_id: None, group: Some("all") });
    let accounts = found.shared.iter().map(|account| Permission { user_id: Some(account.clone()), group: None });
    Ok(ImageAttribute { image_id: input.image_id, launch_permission: everybody.into_iter().chain(accounts).collect() })
}
