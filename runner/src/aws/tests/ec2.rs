//! Images, launch templates and instances.

use serde_json::{Value, json};

use super::canned::{Answer, TOKEN, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    CreateImageUsageReportRequest, CreateLaunchTemplateVersionRequest, CreateTagsRequest, DeleteSnapshotRequest,
    DeregisterImageRequest, DescribeImageReferencesRequest, DescribeImageUsageReportsRequest, DescribeImagesRequest,
    DescribeInstanceStatusRequest, DescribeInstancesRequest, DescribeLaunchPermissionRequest,
    DescribeLaunchTemplateVersionsRequest, DescribeSecurityGroupsRequest, DisableImageRequest,
    EnableImageDeprecationRequest, Filter, GetConsoleOutputRequest, Image, ImageDevice,
};

fn images(ids: &[&str]) -> DescribeImagesRequest {
    let ids = ids.iter().map(ToString::to_string).collect();
    DescribeImagesRequest { ids, owners: vec!["self".to_owned()], filters: vec![], include_disabled: true }
}

/// The fields of a form, without the action and the version.
fn fields(text: &str) -> Vec<String> {
    let fields = text.split('&').filter(|field| !field.starts_with("Action=") && !field.starts_with("Version="));
    let mut fields: Vec<String> = fields.map(|field| field.replace("%3A", ":")).collect();
    fields.sort();
    fields
}

#[test]
fn pages_of_images_are_followed_to_their_end() {
    hermetic(async {
        let full = "<imagesSet><item><imageId>ami-1</imageId><name>web-1</name><imageState>available</imageState>\
            <imageOwnerId>111111111111</imageOwnerId><creationDate>1970-01-01T00:00:01.500Z</creationDate>\
            <deprecationTime>1970-01-01T00:01:00.000Z</deprecationTime><isPublic>true</isPublic>\
            <architecture>arm64</architecture><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>\
            <item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-1</snapshotId><volumeSize>8</volumeSize>\
            <volumeType>gp3</volumeType><encrypted>true</encrypted><kmsKeyId>arn:k</kmsKeyId></ebs></item>\
            <item><deviceName>/dev/sdb</deviceName><virtualName>ephemeral0</virtualName></item></blockDeviceMapping>\
            <tagSet><item><key>family</key><value>a &amp; b</value></item></tagSet><colour>blue</colour>\
            <sourceImageId>ami-0</sourceImageId><sourceImageRegion>eu-west-1</sourceImageRegion></item></imagesSet>\
            <nextToken>second</nextToken>";
        let pages = [full, "<imagesSet/><nextToken>third</nextToken>", "<imagesSet><item/></imagesSet>"];
        let (output, asked) = sent(&images(&[]), pages.map(Answer::ec2)).await;
        let device = ImageDevice {
            name: "/dev/xvda".to_owned(),
            snapshot: Some("snap-1".to_owned()),
            size: Some(8),
            volume_type: "gp3".to_owned(),
            encrypted: true,
            kms_key: Some("arn:k".to_owned()),
        };
        let first = Image {
            id: "ami-1".to_owned(),
            name: "web-1".to_owned(),
            description: String::new(),
            state: "available".to_owned(),
            state_reason: None,
            owner: "111111111111".to_owned(),
            created: Some(1500),
            deprecated: Some(60_000),
            last_launched: None,
            is_public: true,
            architecture: "arm64".to_owned(),
            root_device: "/dev/xvda".to_owned(),
            devices: vec![device],
            tags: vec![Pair { name: "family".to_owned(), value: "a & b".to_owned() }],
            source_image: Some("ami-0".to_owned()),
            source_region: Some("eu-west-1".to_owned()),
            deregistration_protection: "disabled".to_owned(),
        };
        assert_eq!(output.images.len(), 2);
        assert_eq!(output.images[0], first);
        assert_eq!(output.images[1].state, "", "what an answer lacks is empty, and no state that kiln knows");
        let all = ["IncludeDeprecated=true", "IncludeDisabled=true", "MaxResults=1000", "Owner.1=self"];
        assert_eq!(fields(&asked[0].text), all);
        assert_eq!(fields(&asked[2].text)[3], "NextToken=third");
    });
}

#[test]
fn ids_are_asked_for_without_a_size_of_pages_and_what_is_none_is_refused() {
    hermetic(async {
        let (_, asked) = sent(&images(&["ami-1", "ami-2"]), [Answer::ec2("<imagesSet/>")]).await;
        let expected =
            ["ImageId.1=ami-1", "ImageId.2=ami-2", "IncludeDeprecated=true", "IncludeDisabled=true", "Owner.1=self"];
        assert_eq!(fields(&asked[0].text), expected);
        assert_eq!(refused(&images(&["web-1"])).await, "\"web-1\" is not the id of an image, such as ami-0a1b2c3d");
        let filters = vec![Filter { name: "tag:family".to_owned(), values: vec![] }];
        let odd = refused(&DescribeImagesRequest { filters, ..images(&[]) }).await;
        assert_eq!(odd, "the filter \"tag:family\" has no name or no values");
        let odd = refused(&DescribeImageReferencesRequest { images: vec![], template_versions: 1 }).await;
        assert_eq!(odd, "the list of images is empty; it takes 1 to 10");
        let disable = refused(&DisableImageRequest { image: "ami-*".to_owned() }).await;
        assert!(disable.contains("is not the id of an image"), "{disable}");
        let tags = vec![Pair { name: "a".to_owned(), value: "b".to_owned() }];
        let odd = refused(&CreateTagsRequest { resources: vec!["vpc-1".to_owned()], tags }).await;
        assert_eq!(odd, "\"vpc-1\" is no id of a thing that kiln gives tags to");
    });
}

#[test]
fn errors_have_kind_code_and_request_id() {
    hermetic(async {
        for (status, code, kind) in [
            (400, "InvalidAMIID.NotFound", ErrorKind::NotFound),
            (400, "InvalidAMIID.Unavailable", ErrorKind::Conflict),
            (400, "InvalidSnapshot.InUse", ErrorKind::Conflict),
            (403, "UnauthorizedOperation", ErrorKind::AccessDenied),
            (401, "AuthFailure", ErrorKind::AccessDenied),
            (400, "RequestExpired", ErrorKind::Expired),
            (503, "RequestLimitExceeded", ErrorKind::Throttled),
            (400, "InvalidParameterValue", ErrorKind::Invalid),
            (500, "InternalError", ErrorKind::Unavailable),
            (503, "Unavailable", ErrorKind::Unavailable),
            (400, "SomethingNew", ErrorKind::Other),
        ] {
            let found = failed(&images(&[]), Answer::ec2_error(status, code)).await;
            assert_eq!(found, Some((kind, code.to_owned())));
        }
        let half = failed(&images(&[]), Answer::ec2("<imagesSet><item>")).await;
        assert_eq!(half, Some((ErrorKind::Unavailable, "UnreadableAnswer".to_owned())), "it may have happened");
        let broken = failed(&images(&[]), Answer::hang_up()).await;
        assert_eq!(broken.map(|(kind, _)| kind), Some(ErrorKind::Unavailable));
    });
}

#[test]
fn who_may_launch_an_image_is_told() {
    hermetic(async {
        let answer = "<imageId>ami-1</imageId><launchPermission><item><userId>222222222222</userId></item>\
            <item><group>all</group></item><item><organizationArn>arn:o</organizationArn></item></launchPermission>";
        let request = DescribeLaunchPermissionRequest { image: "ami-1".to_owned() };
        let (output, asked) = sent(&request, [Answer::ec2(answer)]).await;
        assert_eq!((output.accounts, output.everybody), (vec!["222222222222".to_owned()], true));
        assert_eq!(output.organizations, ["arn:o"]);
        assert_eq!(fields(&asked[0].text), ["Attribute=launchPermission", "ImageId=ami-1"]);
    });
}

#[test]
fn references_are_looked_for_everywhere_and_as_deep_as_is_asked() {
    hermetic(async {
        let request = DescribeImageReferencesRequest { images: vec!["ami-1".to_owned()], template_versions: 3 };
        let answer = "<imageReferenceSet><item><imageId>ami-1</imageId><resourceType>ssm:Parameter</resourceType>\
            <arn>arn:p</arn></item></imageReferenceSet>";
        let (output, asked) = sent(&request, [Answer::ec2(answer)]).await;
        assert_eq!(output.references[0].arn, "arn:p");
        let expected = [
            "ImageId.1=ami-1",
            "IncludeAllResourceTypes=true",
            "MaxResults=1000",
            "ResourceType.1.ResourceType=ec2:LaunchTemplate",
            "ResourceType.1.ResourceTypeOption.1.OptionName=version-depth",
            "ResourceType.1.ResourceTypeOption.1.OptionValue.1=3",
        ];
        assert_eq!(fields(&asked[0].text), expected);
    });
}

#[test]
fn a_report_has_the_token_of_its_call() {
    hermetic(async {
        let resource_types = vec!["ec2:Instance".to_owned(), "ec2:LaunchTemplate".to_owned()];
        let request = CreateImageUsageReportRequest { image: "ami-1".to_owned(), resource_types };
        let (output, asked) = sent(&request, [Answer::ec2("<reportId>amiur-1</reportId>")]).await;
        assert_eq!(output.report, "amiur-1");
        assert!(fields(&asked[0].text).contains(&format!("ClientToken={TOKEN}")));
        assert_eq!(failed(&request, Answer::ec2("")).await.map(|(kind, _)| kind), Some(ErrorKind::Unavailable));
        let odd = CreateImageUsageReportRequest { resource_types: vec!["s3:Bucket".to_owned()], ..request };
        assert_eq!(refused(&odd).await, "a report tells of ec2:Instance and ec2:LaunchTemplate, not of \"s3:Bucket\"");
        let reports = "<imageUsageReportSet><item><reportId>amiur-1</reportId><imageId>ami-1</imageId><state>error</state>\
            <stateReason>too busy</stateReason><accountIdSet><item>222222222222</item></accountIdSet></item></imageUsageReportSet>";
        let request = DescribeImageUsageReportsRequest { images: vec!["ami-1".to_owned()] };
        let (output, _) = sent(&request, [Answer::ec2(reports)]).await;
        let report = &output.reports[0];
        assert_eq!((report.state.as_str(), report.reason.as_deref()), ("error", Some("too busy")));
        assert_eq!(report.accounts, ["222222222222"]);
    });
}

#[test]
fn images_go_out_of_use_and_what_ec2_does_not_confirm_may_not_have_happened() {
    hermetic(async {
        let deprecation = EnableImageDeprecationRequest { image: "ami-1".to_owned(), at: 1_767_603_600_250 };
        let (output, asked) = sent(&deprecation, [Answer::ec2("<return>true</return>")]).await;
        assert_eq!(output.image, "ami-1");
        assert!(fields(&asked[0].text).contains(&"DeprecateAt=2026-01-05T09:00:00.25Z".to_owned()), "{asked:?}");
        let unconfirmed = failed(&deprecation, Answer::ec2("<return>false</return>")).await;
        assert_eq!(unconfirmed.map(|(kind, _)| kind), Some(ErrorKind::Unavailable));
        let deregistration = DeregisterImageRequest { image: "ami-1".to_owned(), delete_snapshots: true };
        let answer = "<return>true</return><deleteSnapshotResultSet><item><snapshotId>snap-1</snapshotId>\
            <returnCode>skipped</returnCode></item></deleteSnapshotResultSet>";
        let (output, asked) = sent(&deregistration, [Answer::ec2(answer)]).await;
        assert_eq!((output.snapshots[0].snapshot.as_str(), output.snapshots[0].code.as_str()), ("snap-1", "skipped"));
        assert_eq!(fields(&asked[0].text), ["DeleteAssociatedSnapshots=true", "ImageId=ami-1"]);
        let deletion = DeleteSnapshotRequest { snapshot: "snap-1".to_owned() };
        let (output, _) = sent(&deletion, [Answer::ec2("<return>true</return>")]).await;
        assert_eq!(output.snapshot, "snap-1");
    });
}

/// A version of a launch template, as EC2 tells of it.
pub(super) fn version(number: u64, data: &str) -> String {
    format!(
        "<launchTemplateId>lt-1</launchTemplateId><launchTemplateName>web</launchTemplateName><versionNumber>{number}\
         </versionNumber><createTime>2026-01-05T09:00:00.000Z</createTime><defaultVersion>false</defaultVersion>\
         <launchTemplateData>{data}</launchTemplateData>"
    )
}

/// Some of them.
pub(super) fn versions(all: &[String]) -> Answer {
    let items: String = all.iter().map(|version| format!("<item>{version}</item>")).collect();
    Answer::ec2(&format!("<launchTemplateVersionSet>{items}</launchTemplateVersionSet>"))
}

#[test]
fn a_version_of_a_launch_template_is_read_whole_and_made_of_another() {
    hermetic(async {
        let data = "<imageId>ami-1</imageId><userData>c2VjcmV0</userData><metadataOptions><httpTokens>required</httpTokens></metadataOptions>";
        let request =
            DescribeLaunchTemplateVersionsRequest { template: Some("lt-1".to_owned()), versions: vec!["7".to_owned()] };
        let (output, asked) = sent(&request, [versions(&[version(7, data)])]).await;
        let found = &output.versions[0];
        assert_eq!((found.number, found.image.as_deref()), (7, Some("ami-1")));
        let document: Value = serde_json::from_str(&found.data).unwrap();
        assert_eq!(document, json!({ "ImageId": "ami-1", "MetadataOptions": { "HttpTokens": "required" } }));
        assert_eq!(fields(&asked[0].text), ["LaunchTemplateId=lt-1", "LaunchTemplateVersion.1=7", "MaxResults=200"]);
        let request = CreateLaunchTemplateVersionRequest {
            template: "lt-1".to_owned(),
            source_version: Some(7),
            description: Some("kiln".to_owned()),
            data: json!({ "ImageId": "ami-2", "SecurityGroupIds": ["sg-1"] }).to_string(),
        };
        let made = format!("<launchTemplateVersion>{}</launchTemplateVersion>", version(8, data));
        let warned = format!(
            "{made}<warning><errorSet><item><code>InvalidAMIID.NotFound</code><message>no image</message></item></errorSet></warning>"
        );
        let (output, asked) = sent(&request, [Answer::ec2(&warned)]).await;
        assert_eq!((output.version.number, output.warnings), (8, vec!["no image".to_owned()]));
        let expected = [
            format!("ClientToken={TOKEN}"),
            "LaunchTemplateData.ImageId=ami-2".to_owned(),
            "LaunchTemplateData.SecurityGroupId.1=sg-1".to_owned(),
            "LaunchTemplateId=lt-1".to_owned(),
            "SourceVersion=7".to_owned(),
            "VersionDescription=kiln".to_owned(),
        ];
        assert_eq!(fields(&asked[0].text), expected);
        let secret = CreateLaunchTemplateVersionRequest { data: json!({ "UserData": "x" }).to_string(), ..request };
        assert!(refused(&secret).await.starts_with("UserData is not given to kiln"));
        let all = DescribeLaunchTemplateVersionsRequest { template: None, versions: vec!["7".to_owned()] };
        assert_eq!(refused(&all).await, "of all launch templates $Latest and $Default are told");
    });
}

#[test]
fn instances_of_all_reservations_are_told_with_how_they_do() {
    hermetic(async {
        let instance = |id: &str| {
            format!(
                "<item><instanceId>{id}</instanceId><imageId>ami-1</imageId><instanceState><code>48</code><name>terminated</name>\
                 </instanceState><stateReason><code>Server.SpotInstanceTermination</code><message>taken</message></stateReason>\
                 <placement><availabilityZone>us-west-2a</availabilityZone></placement><instanceLifecycle>spot</instanceLifecycle>\
                 <launchTime>1970-01-01T00:00:02.000Z</launchTime></item>"
            )
        };
        let reservation = |id: &str| format!("<item><instancesSet>{}</instancesSet></item>", instance(id));
        let answer = format!("<reservationSet>{}{}</reservationSet>", reservation("i-1"), reservation("i-2"));
        let request = DescribeInstancesRequest { ids: vec![], filters: vec![] };
        let (output, _) = sent(&request, [Answer::ec2(&answer)]).await;
        let told: Vec<_> = output.instances.iter().map(|each| (each.id.as_str(), each.launched)).collect();
        assert_eq!(told, [("i-1", Some(2000)), ("i-2", Some(2000))]);
        let first = &output.instances[0];
        assert_eq!(first.reason_code.as_deref(), Some("Server.SpotInstanceTermination"));
        assert_eq!((first.lifecycle.as_deref(), first.zone.as_str()), (Some("spot"), "us-west-2a"));
        let status = "<instanceStatusSet><item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>\
            <instanceStatus><status>impaired</status></instanceStatus><systemStatus><status>ok</status></systemStatus>\
            <eventsSet><item><code>instance-retirement</code></item></eventsSet></item></instanceStatusSet>";
        let request = DescribeInstanceStatusRequest { ids: vec![], all_states: true };
        let (output, _) = sent(&request, [Answer::ec2(status)]).await;
        assert_eq!(output.statuses[0].instance_status, "impaired");
        assert_eq!(output.statuses[0].events, ["instance-retirement"]);
        let request = GetConsoleOutputRequest { instance: "i-1".to_owned() };
        let (output, _) = sent(&request, [Answer::ec2("<output>bG9n\naW46</output>")]).await;
        assert_eq!(output.output.as_deref(), Some("login:"));
        assert_eq!(sent(&request, [Answer::ec2("<output/>")]).await.0.output, None);
    });
}

#[test]
fn rules_of_security_groups_are_told_for_all_addresses() {
    hermetic(async {
        let answer = "<securityGroupInfo><item><groupId>sg-1</groupId><groupName>web</groupName><vpcId>vpc-1</vpcId><ipPermissions>\
            <item><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort><groups><item><groupId>sg-2</groupId></item></groups>\
            <ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges><ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges>\
            <prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds></item></ipPermissions></item></securityGroupInfo>";
        let (output, _) = sent(&DescribeSecurityGroupsRequest { ids: vec![] }, [Answer::ec2(answer)]).await;
        let rule = &output.groups[0].ingress[0];
        assert_eq!((rule.from_port, rule.cidrs.clone()), (Some(443), vec!["10.0.0.0/8".to_owned(), "::/0".to_owned()]));
        assert_eq!(
            (rule.groups.clone(), rule.prefix_lists.clone()),
            (vec!["sg-2".to_owned()], vec!["pl-1".to_owned()])
        );
    });
}
