//! Images and their tags.

use serde_json::{Value, json};

use crate::aws::{Aws, EPOCH, texts};

fn manifest(name: &str) -> String {
    let part = json!({ "mediaType": "x", "size": 10, "digest": format!("sha256:{name}") });
    json!({ "schemaVersion": 2, "config": part, "layers": [part] }).to_string()
}

async fn put(aws: &Aws, name: &str, tag: &str) -> Value {
    let input = json!({ "repositoryName": "web", "imageManifest": manifest(name), "imageTag": tag });
    aws.ask("ecr:PutImage", input).await["image"]["imageId"]["imageDigest"].take()
}

async fn digest_of(aws: &Aws, tag: &str) -> Value {
    let input = json!({ "repositoryName": "web", "imageIds": [{ "imageTag": tag }] });
    aws.ask("ecr:DescribeImages", input).await["imageDetails"][0]["imageDigest"].take()
}

#[tokio::test]
async fn a_tag_moves_to_the_image_that_was_pushed_last() {
    let aws = Aws::of("[[repositories]]\nname = 'web'");
    let one = put(&aws, "one", "stable").await;
    assert_eq!(put(&aws, "one", "v1").await, one);
    let two = put(&aws, "two", "stable").await;
    assert_ne!(one, two);
    assert_eq!(digest_of(&aws, "stable").await, two);
    assert_eq!(digest_of(&aws, "v1").await, one, "the image keeps its other tags");
    put(&aws, "two", "v1").await;
    let untagged = json!({ "repositoryName": "web", "filter": { "tagStatus": "UNTAGGED" } });
    let untagged = aws.ask("ecr:DescribeImages", untagged).await;
    assert_eq!(texts(&untagged["imageDetails"], "imageDigest"), [one.as_str().unwrap()], "and stays without any");
    assert_eq!(aws.count("ecr:PutImage"), 4);
}

#[tokio::test]
async fn an_immutable_tag_stays() {
    let aws = Aws::of("[[repositories]]\nname = 'web'\nmutability = 'IMMUTABLE'");
    let one = put(&aws, "one", "v1").await;
    let again = json!({ "repositoryName": "web", "imageManifest": manifest("one"), "imageTag": "v1" });
    aws.refused("ImageAlreadyExistsException", "ecr:PutImage", again).await;
    let other = json!({ "repositoryName": "web", "imageManifest": manifest("two"), "imageTag": "v1" });
    aws.refused("ImageTagAlreadyExistsException", "ecr:PutImage", other).await;
    assert_eq!(digest_of(&aws, "v1").await, one);
    assert_eq!(aws.count("ecr:PutImage"), 1, "what is refused has no effect");
}

const HISTORY: &str = "[[repositories]]
name    = 'web'
history = { count = 250, prefix = 'release-', from = 1, every = '1d', last = '-2h' }
images  = [{ pushed = '-90d', pulled = '-1d' }]";

#[tokio::test]
async fn pages_of_a_history_join_to_the_whole() {
    let aws = Aws::of(HISTORY);
    let mut images: Vec<Value> = Vec::new();
    let mut token = Value::Null;
    let mut sizes = Vec::new();
    loop {
        let mut page = aws.ask("ecr:DescribeImages", json!({ "repositoryName": "web", "nextToken": token })).await;
        let Value::Array(details) = page["imageDetails"].take() else { panic!("a list") };
        sizes.push(details.len());
        images.extend(details);
        token = page["nextToken"].take();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 51]);
    let pushed = |tag: &str| {
        let tagged = |image: &&Value| image["imageTags"][0] == tag;
        images.iter().find(tagged).unwrap_or_else(|| panic!("{tag}"))["imagePushedAt"].as_f64().unwrap()
    };
    assert_eq!(pushed("release-250"), (EPOCH - 2 * 3600) as f64);
    assert_eq!(pushed("release-249"), (EPOCH - 26 * 3600) as f64);
    let untagged: Vec<&Value> = images.iter().filter(|image| image["imageTags"].is_null()).collect();
    assert_eq!(untagged.len(), 1);
    assert_eq!(untagged[0]["lastRecordedPullTime"], json!((EPOCH - 86_400) as f64));
}

#[tokio::test]
async fn the_same_world_has_the_same_digests() {
    let (one, two) = (Aws::of(HISTORY), Aws::of(HISTORY));
    two.pass(3600);
    assert_eq!(digest_of(&one, "release-7").await, digest_of(&two, "release-7").await);
    assert_ne!(digest_of(&one, "release-7").await, digest_of(&one, "release-8").await);
}

#[tokio::test]
async fn an_image_goes_with_its_last_tag_or_by_its_digest() {
    let aws = Aws::of("[[repositories]]\nname = 'web'");
    let one = put(&aws, "one", "a").await;
    put(&aws, "one", "b").await;
    let two = put(&aws, "two", "c").await;
    put(&aws, "two", "d").await;
    let delete = |ids: Value| aws.ask("ecr:BatchDeleteImage", json!({ "repositoryName": "web", "imageIds": ids }));
    let first = delete(json!([{ "imageTag": "a" }])).await;
    assert_eq!(first["imageIds"], json!([{ "imageDigest": one, "imageTag": "a" }]));
    assert_eq!(digest_of(&aws, "b").await, one, "a tag goes, the image stays");
    let rest = delete(json!([{ "imageTag": "b" }, { "imageDigest": two }, { "imageDigest": two }])).await;
    let gone = json!([
        { "imageDigest": one, "imageTag": "b" },
        { "imageDigest": two, "imageTag": "c" },
        { "imageDigest": two, "imageTag": "d" },
    ]);
    assert_eq!(rest["imageIds"], gone);
    assert_eq!(texts(&rest["failures"], "failureCode"), ["ImageNotFound"]);
    assert_eq!(aws.ask("ecr:ListImages", json!({ "repositoryName": "web" })).await["imageIds"], json!([]));
}

#[tokio::test]
async fn another_accounts_registry_is_reached_by_its_id() {
    let aws = Aws::of("[[repositories]]\nname = 'base'\naccount = '222222222222'\nimages = [{ tags = ['v1'] }]");
    let here = json!({ "repositoryName": "base" });
    aws.refused("RepositoryNotFoundException", "ecr:ListImages", here).await;
    let there = aws.ask("ecr:ListImages", json!({ "repositoryName": "base", "registryId": "222222222222" })).await;
    assert_eq!(texts(&there["imageIds"], "imageTag"), ["v1"]);
}
