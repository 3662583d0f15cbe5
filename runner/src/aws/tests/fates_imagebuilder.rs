//! What became of calls of Image Builder whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, TOKEN, denied_look, fate, fate_given_up, hermetic, in_words, looked_at, refused, sent};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    CancelImageCreationRequest, CreateImageRequest, DeleteImageRequest, StartImagePipelineExecutionRequest,
};

/// Later than a token is trusted.
const LATER: u64 = 300;

fn arn(resource: &str) -> String {
    format!("arn:aws:imagebuilder:us-west-2:111111111111:{resource}")
}

fn start() -> StartImagePipelineExecutionRequest {
    let tags = vec![Pair { name: "kiln:run".to_owned(), value: "r1".to_owned() }];
    StartImagePipelineExecutionRequest { pipeline: arn("image-pipeline/web"), tags }
}

fn create() -> CreateImageRequest {
    CreateImageRequest {
        recipe: arn("image-recipe/web/1.0.0"),
        infrastructure: arn("infrastructure-configuration/web"),
        distribution: None,
        tests: Some(false),
        scans: Some(true),
        tags: Vec::new(),
    }
}

fn image(build: u32, token: &str) -> Value {
    json!({ "arn": arn(&format!("image/web/1.0.0/{build}")), "tags": { "kiln:run": "r1", "kiln:token": token } })
}

fn images(images: &[Value]) -> Answer {
    Answer::ok(json!({ "imageSummaryList": images }))
}

#[test]
fn an_image_carries_the_call_s_token() {
    hermetic(async {
        let made = json!({ "imageBuildVersionArn": arn("image/web/1.0.0/2") });
        let (output, asked) = sent(&start(), [Answer::ok(made.clone())]).await;
        assert_eq!(output.image, arn("image/web/1.0.0/2"));
        let expected = json!({
            "imagePipelineArn": arn("image-pipeline/web"), "clientToken": TOKEN,
            "tags": { "kiln:run": "r1", "kiln:token": TOKEN },
        });
        assert_eq!(asked[0].json(), expected);
        let (_, asked) = sent(&create(), [Answer::ok(made)]).await;
        let expected = json!({
            "imageRecipeArn": arn("image-recipe/web/1.0.0"), "clientToken": TOKEN,
            "infrastructureConfigurationArn": arn("infrastructure-configuration/web"),
            "imageTestsConfiguration": { "imageTestsEnabled": false },
            "imageScanningConfiguration": { "imageScanningEnabled": true }, "tags": { "kiln:token": TOKEN },
        });
        assert_eq!(asked[0].json(), expected);
        let mut own = start();
        own.tags.push(Pair { name: "kiln:token".to_owned(), value: "mine".to_owned() });
        assert_eq!(refused(&own).await, "the tag \"kiln:token\" is given twice, or is kiln's own");
    });
}

#[test]
fn while_the_token_is_trusted_a_bake_is_started_with_it_again() {
    hermetic(async {
        assert_eq!(in_words(fate(&start(), None, 239, []).await).0, "send again");
        assert_eq!(in_words(fate(&create(), None, 239, []).await).0, "send again");
        let (told, _) = in_words(fate_given_up(&start(), 1, [images(&[])]).await);
        let pipeline = arn("image-pipeline/web");
        assert_eq!(told, format!("not happened: no image of the pipeline {pipeline} carries the call's token"));
    });
}

#[test]
fn the_image_with_the_token_is_the_call_s_and_no_other() {
    hermetic(async {
        let ours = arn("image/web/1.0.0/3");
        let all = [image(4, "of another run"), image(3, TOKEN), json!({ "arn": arn("image/web/1.0.0/2") })];
        let (told, output) = in_words(fate(&start(), None, LATER, [images(&all)]).await);
        assert_eq!(told, format!("happened: {ours} carries the call's token"));
        assert_eq!(output.unwrap().image, ours);
        let (told, output) = in_words(fate(&create(), None, LATER, [images(&all)]).await);
        assert_eq!(told, format!("happened: {ours} carries the call's token"));
        assert_eq!(output.unwrap().image, ours);
        for others in [&all[..1], &all[2..], &[]] {
            let (told, _) = in_words(fate(&create(), None, LATER, [images(others)]).await);
            let recipe = arn("image-recipe/web/1.0.0");
            assert_eq!(told, format!("not happened: no image of the recipe {recipe} carries the call's token"));
        }
        let (told, _) = in_words(fate(&create(), None, LATER, [Answer::error(404, "ResourceNotFoundException")]).await);
        assert!(told.starts_with("not happened"), "of a recipe that nothing was made of: {told}");
    });
}

#[test]
fn a_bake_that_is_cancelled_was_cancelled() {
    hermetic(async {
        let request = CancelImageCreationRequest { image: arn("image/web/1.0.0/2") };
        let state = |status: &str| Answer::ok(json!({ "image": { "state": { "status": status } } }));
        let told = async |status| in_words(fate(&request, None, 1, [state(status)]).await).0;
        assert_eq!(told("CANCELLED").await, "happened: the image's status is CANCELLED");
        assert_eq!(told("BUILDING").await, "send again");
        assert_eq!(told("AVAILABLE").await, "not happened: the image's status is AVAILABLE");
        assert_eq!(told("MELTING").await, "not happened: the image's status is MELTING");
        let (given_up, _) = in_words(fate_given_up(&request, 1, [state("BUILDING")]).await);
        assert_eq!(given_up, "not happened: the image's status is BUILDING");
    });
}

#[test]
fn an_image_that_is_there_no_more_was_deleted() {
    hermetic(async {
        let request = DeleteImageRequest { image: arn("image/web/1.0.0/2") };
        let gone = fate(&request, None, 1, [Answer::error(404, "ResourceNotFoundException")]).await;
        assert_eq!(in_words(gone).0, format!("happened: {} is there no more", request.image));
        let there = Answer::ok(json!({ "image": { "state": { "status": "AVAILABLE" } } }));
        assert_eq!(in_words(fate(&request, None, 1, [there]).await).0, "send again");
        let deleted = Answer::ok(json!({ "image": { "state": { "status": "DELETED" } } }));
        assert!(in_words(fate(&request, None, 1, [deleted]).await).0.starts_with("happened"));
        assert_eq!(denied_look(&request).await.as_deref(), Some("imagebuilder:GetImage"));
        let looked = looked_at(&request, &Value::Null, [Answer::error(404, "ResourceNotFoundException")]).await;
        assert_eq!(looked, [format!("imagebuilder:GetImage {}", request.image)]);
    });
}

#[test]
fn a_version_is_no_image_to_be_deleted() {
    hermetic(async {
        for image in ["image/web/1.0.0", "image/web/1.0.0/x", "image-recipe/web/1.0.0"] {
            let message = refused(&DeleteImageRequest { image: arn(image) }).await;
            assert!(message.contains("is not the ARN of"), "{message}");
        }
    });
}
