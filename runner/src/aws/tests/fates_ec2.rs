//! What became of calls of EC2 whose answers never came.

use serde_json::json;

use super::canned::{Answer, SENT, before, denied_look, fate, fate_given_up, hermetic, in_words};
use super::ec2::{version, versions};
use crate::aws::operation::Write;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    CreateImageUsageReportRequest, CreateLaunchTemplateVersionRequest, CreateTagsRequest, DeleteSnapshotRequest,
    DeregisterImageRequest, DisableImageRequest, EnableImageDeprecationRequest, ModifyLaunchTemplateRequest,
    SnapshotDeletion,
};

const IMAGE: &str = "ami-1";

/// EC2 tells of the image, which has these members besides.
fn image(members: &str) -> Answer {
    Answer::ec2(&format!("<imagesSet><item><imageId>{IMAGE}</imageId>{members}</item></imagesSet>"))
}

fn no_image() -> Answer {
    Answer::ec2("<imagesSet/>")
}

fn snapshots(ids: &[&str], members: &str) -> Answer {
    let items: String = ids.iter().map(|id| format!("<item><snapshotId>{id}</snapshotId>{members}</item>")).collect();
    Answer::ec2(&format!("<snapshotSet>{items}</snapshotSet>"))
}

#[test]
fn a_deprecation_is_told_by_its_minute() {
    hermetic(async {
        // 2026-01-05T09:00:30Z.
        let request = EnableImageDeprecationRequest { image: IMAGE.to_owned(), at: 1_767_603_630_000 };
        let at = |time: &str| image(&format!("<deprecationTime>{time}</deprecationTime>"));
        let told = in_words(fate(&request, None, 1, [at("2026-01-05T09:00:00.000Z")]).await).0;
        assert_eq!(told, "happened: the image is deprecated from then on");
        let told = in_words(fate(&request, None, 1, [at("2027-01-05T09:00:00.000Z")]).await).0;
        assert_eq!(told, "not happened: the image is deprecated from another time on");
        let told = in_words(fate(&request, None, 1, [image("")]).await).0;
        assert_eq!(told, "not happened: the image is not deprecated");
        assert_eq!(in_words(fate(&request, None, 1, [no_image()]).await).0, "send again");
        // Sent again later, it was sent with a later time: this one was looked for a minute after it was sent.
        let earlier = EnableImageDeprecationRequest { image: IMAGE.to_owned(), at: (SENT - 3_600) * 1000 };
        let told = in_words(fate(&earlier, None, 1, [at("2025-11-24T16:05:00.000Z")]).await).0;
        assert_eq!(told, "happened: the image is deprecated from then on");
        let told = in_words(fate(&earlier, None, 1, [at("2025-11-24T18:00:00.000Z")]).await).0;
        assert_eq!(told, "not happened: the image is deprecated from another time on");
        let now = SENT * 1000;
        assert_eq!(
            earlier.when_sent(now).map(|request| request.at),
            Some(now + 600_000),
            "EC2 takes no time that is over"
        );
        assert_eq!(request.when_sent(now), None, "it is still to come");
        assert!(!request.means_the_same_later(), "somebody may have taken it back");
        assert_eq!(denied_look(&request).await.as_deref(), Some("ec2:DescribeImages"));
    });
}

#[test]
fn a_disabled_image_was_disabled() {
    hermetic(async {
        let request = DisableImageRequest { image: IMAGE.to_owned() };
        let state = |state: &str| image(&format!("<imageState>{state}</imageState>"));
        let told = in_words(fate(&request, None, 1, [state("disabled")]).await).0;
        assert_eq!(told, "happened: the image's state is disabled");
        let told = in_words(fate(&request, None, 1, [state("available")]).await).0;
        assert_eq!(told, "not happened: the image's state is available");
        assert_eq!(in_words(fate(&request, None, 1, [no_image()]).await).0, "send again");
        assert!(!request.means_the_same_later(), "somebody may have enabled it");
    });
}

#[test]
fn of_an_image_that_is_gone_it_is_told_what_became_of_its_snapshots() {
    hermetic(async {
        let request = DeregisterImageRequest { image: IMAGE.to_owned(), delete_snapshots: true };
        let device = |id: &str| format!("<item><ebs><snapshotId>{id}</snapshotId></ebs></item>");
        let devices = format!("<blockDeviceMapping>{}{}</blockDeviceMapping>", device("snap-1"), device("snap-2"));
        let seen = before(&request, [image(&devices)]).await;
        assert_eq!(seen, json!({ "snapshots": ["snap-1", "snap-2"] }));

        let gone = [no_image(), snapshots(&["snap-2"], "")];
        let (told, output) = in_words(fate(&request, Some(&seen), 1, gone).await);
        assert_eq!(told, "happened: the image is not there any more");
        let deletion = |snapshot: &str, code: &str| SnapshotDeletion { snapshot: snapshot.into(), code: code.into() };
        let snapshots = output.map(|output| output.snapshots);
        assert_eq!(snapshots, Some(vec![deletion("snap-1", "success"), deletion("snap-2", "skipped")]));

        let there = [image("<imageState>available</imageState>")];
        let told = in_words(fate(&request, Some(&seen), 1, there).await).0;
        assert_eq!(told, "not happened: the image is there, and its state is available");
        // EC2 shows what is no more for a while.
        let shown = [image("<imageState>deregistered</imageState>"), self::snapshots(&[], "")];
        assert!(in_words(fate(&request, Some(&seen), 1, shown).await).0.starts_with("happened"));
        let alone = DeregisterImageRequest { delete_snapshots: false, ..request };
        let (_, output) = in_words(fate(&alone, Some(&seen), 1, [no_image()]).await);
        assert_eq!(output.map(|output| output.snapshots), Some(vec![]), "they were to stay");
    });
}

#[test]
fn a_snapshot_that_is_gone_was_deleted() {
    hermetic(async {
        let request = DeleteSnapshotRequest { snapshot: "snap-1".to_owned() };
        let told = in_words(fate(&request, None, 1, [snapshots(&[], "")]).await).0;
        assert_eq!(told, "happened: the snapshot is not there any more");
        let told = in_words(fate(&request, None, 1, [snapshots(&["snap-1"], "")]).await).0;
        assert_eq!(told, "not happened: the snapshot is there");
    });
}

#[test]
fn tags_that_are_there_were_made() {
    hermetic(async {
        let tags = vec![Pair { name: "run".to_owned(), value: "7".to_owned() }];
        let request = CreateTagsRequest { resources: vec![IMAGE.to_owned(), "snap-1".to_owned()], tags };
        let tag = |value: &str| format!("<tagSet><item><key>run</key><value>{value}</value></item></tagSet>");
        let both = [image(&tag("7")), snapshots(&["snap-1"], &tag("7"))];
        assert_eq!(in_words(fate(&request, None, 1, both).await).0, "happened: all of them have the tags");
        let one = [image(&tag("7")), snapshots(&["snap-1"], &tag("6"))];
        assert_eq!(in_words(fate(&request, None, 1, one).await).0, "send again");
        let other = CreateTagsRequest { resources: vec!["i-1".to_owned()], ..request };
        assert_eq!(in_words(fate(&other, None, 1, []).await).0, "send again");
    });
}

#[test]
fn a_report_of_the_same_that_was_begun_since_is_as_good() {
    hermetic(async {
        let resource_types = vec!["ec2:Instance".to_owned(), "ec2:LaunchTemplate".to_owned()];
        let request = CreateImageUsageReportRequest { image: IMAGE.to_owned(), resource_types };
        assert_eq!(in_words(fate(&request, None, 599, []).await).0, "send again");
        let report = |id: &str, since: i64, types: &[&str], account: &str| {
            let at = jiff::Timestamp::from_second(i64::try_from(SENT).unwrap() + since).unwrap();
            let kinds: String =
                types.iter().map(|each| format!("<item><resourceType>{each}</resourceType></item>")).collect();
            format!(
                "<item><reportId>{id}</reportId><imageId>{IMAGE}</imageId><creationTime>{at}</creationTime>\
                 <resourceTypeSet>{kinds}</resourceTypeSet><accountIdSet>{account}</accountIdSet></item>"
            )
        };
        let both = ["ec2:LaunchTemplate", "ec2:Instance"];
        let of =
            |items: &[String]| Answer::ec2(&format!("<imageUsageReportSet>{}</imageUsageReportSet>", items.concat()));
        let found = [of(&[report("amiur-1", -60, &both, ""), report("amiur-2", 3, &both, "")])];
        let (told, output) = in_words(fate(&request, None, 601, found).await);
        assert_eq!(told, "happened: the report amiur-2 of ami-1 was begun then");
        assert_eq!(output.map(|output| output.report).as_deref(), Some("amiur-2"));
        let others = [of(&[
            report("amiur-1", -60, &both, ""),
            report("amiur-3", 3, &both[..1], ""),
            report("amiur-4", 3, &both, "<item>222222222222</item>"),
        ])];
        let told = in_words(fate(&request, None, 601, others).await).0;
        assert_eq!(told, "not happened: no report of ami-1 was begun since");
        let given_up = [of(&[report("amiur-2", 3, &both, "")])];
        assert!(in_words(fate_given_up(&request, 1, given_up).await).0.starts_with("happened"));
    });
}

#[test]
fn a_version_that_says_what_the_call_gave_is_its_own() {
    hermetic(async {
        let request = CreateLaunchTemplateVersionRequest {
            template: "lt-1".to_owned(),
            source_version: Some(7),
            description: None,
            data: json!({ "ImageId": "ami-2" }).to_string(),
        };
        let of = |image: &str| format!("<imageId>{image}</imageId><instanceType>t3.micro</instanceType>");
        let (old, new) = (of("ami-1"), of("ami-2"));
        let seen = before(&request, [versions(&[version(9, &old), version(7, &old)])]).await;
        assert_eq!(seen, json!({ "latest": 9, "source": { "ImageId": "ami-1", "InstanceType": "t3.micro" } }));
        assert_eq!(in_words(fate(&request, Some(&seen), 599, []).await).0, "send again");

        let all = |versions_there: &[(u64, &str)]| {
            [versions(&versions_there.iter().map(|(number, data)| version(*number, data)).collect::<Vec<_>>())]
        };
        let (told, output) = in_words(fate(&request, Some(&seen), 601, all(&[(10, &new), (9, &new)])).await);
        assert_eq!(told, "happened: the version 10 is the one, and no other");
        assert_eq!(output.map(|output| output.version.number), Some(10));
        let others = all(&[(11, "<imageId>ami-2</imageId><instanceType>t3.large</instanceType>"), (10, &old)]);
        let told = in_words(fate(&request, Some(&seen), 601, others).await).0;
        assert_eq!(told, "not happened: lt-1 has no such version since");
        let (told, _) = in_words(fate(&request, Some(&seen), 601, all(&[(11, &new), (10, &new)])).await);
        assert!(told.starts_with("unknown: 2 such versions were made since; see in CloudTrail"), "{told}");
        let unseen = json!({ "latest": null, "source": null });
        let told = in_words(fate(&request, Some(&unseen), 601, []).await).0;
        assert!(told.starts_with("unknown: it is not known which versions there were before"), "{told}");
    });
}

#[test]
fn a_default_version_that_is_the_one_was_made_so() {
    hermetic(async {
        let request = ModifyLaunchTemplateRequest { template: "lt-1".to_owned(), default_version: 8 };
        let template = |default: u64| {
            Answer::ec2(&format!(
                "<launchTemplates><item><launchTemplateId>lt-1</launchTemplateId><defaultVersionNumber>{default}\
                 </defaultVersionNumber></item></launchTemplates>"
            ))
        };
        let told = in_words(fate(&request, None, 1, [template(8)]).await).0;
        assert_eq!(told, "happened: the default version is 8");
        assert_eq!(in_words(fate(&request, None, 1, [template(7)]).await).0, "send again");
        let told = in_words(fate(&request, None, 601, [template(7)]).await).0;
        assert_eq!(told, "not happened: the default version is 7");
    });
}
