//! The host's operations on two emulations of AWS that do not know of each other: the simulator, and moto where moto is
//! faithful (ECR images and deletion, Secrets Manager, KMS, STS, task definitions, AMIs, launch templates, groups of instances, weights of
//! load balancers, stacks of a few types). What passes on one must on the other.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kiln_runner::aws::clients::{Clients, Connection};
use kiln_runner::aws::error::ErrorKind;
use kiln_runner::aws::operation::{Read, Token, Write};
use kiln_runner::aws::secretsmanager::GetSecretValueRequest;
use kiln_runner::contract::bindings::kiln::aws::types::Pair;
use kiln_runner::contract::bindings::kiln::aws_autoscaling::autoscaling::DescribeAutoScalingGroupsRequest;
use kiln_runner::contract::bindings::kiln::aws_ec2::ec2::{
    CreateLaunchTemplateVersionRequest, CreateTagsRequest, DeregisterImageRequest,
    DescribeImagesRequest as DescribeAmisRequest, DescribeLaunchTemplateVersionsRequest,
    DescribeLaunchTemplatesRequest, Filter, ModifyLaunchTemplateRequest,
};
use kiln_runner::contract::bindings::kiln::aws_ecr::ecr::{
    BatchDeleteImageRequest, BatchGetImageRequest, DescribeImagesRequest, ImageId, PutImageRequest,
};
use kiln_runner::contract::bindings::kiln::aws_ecs::ecs::{
    DescribeTaskDefinitionRequest, RegisterTaskDefinitionRequest,
};
use kiln_runner::contract::bindings::kiln::aws_elasticloadbalancing::elasticloadbalancing::{
    DescribeListenersRequest, DescribeLoadBalancersRequest, DescribeRulesRequest, DescribeTargetGroupsRequest,
    DescribeTargetHealthRequest, Forward,
};
use kiln_runner::contract::bindings::kiln::aws_kms::kms::{DecryptRequest, DescribeKeyRequest, EncryptRequest};
use kiln_runner::contract::bindings::kiln::aws_secretsmanager::secretsmanager::DescribeSecretRequest;
use kiln_runner::contract::bindings::kiln::aws_sts::sts::GetCallerIdentityRequest;
use kiln_runner::types::{Digest, Region};
use kiln_tests::{Account, World, repository};
use serde_json::Value;

pub(crate) type Checked = Result<(), Box<dyn std::error::Error>>;

/// A moto server on loopback, ended when it is dropped.
pub(crate) struct Moto {
    child: Child,
    /// Its address.
    pub(crate) url: String,
    /// The same, as one connects to it.
    pub(crate) address: SocketAddr,
}

impl Moto {
    pub(crate) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let moto = Self { child, url: format!("http://{address}"), address };
        for _ in 0..300 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(moto);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("moto does not answer; are `tests/python/requirements.txt` installed? `cargo xtask test` does that".into())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python that has boto3 and moto: `KILN_PYTHON`, or the project's virtual environment, or the machine's.
pub(crate) fn python() -> PathBuf {
    let of_project = repository().join(".venv/bin/python");
    match std::env::var_os("KILN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None if of_project.exists() => of_project,
        None => PathBuf::from("python3"),
    }
}

pub(crate) fn on_both(check: impl AsyncFn(&Clients) -> Checked) -> Checked {
    on_both_with("", "", check)
}

/// On both, where the simulator's account holds what `world` says, and moto's what `script` makes with its clients `ec2`, `elb` and `groups`
/// of boto3.
fn on_both_with(world: &str, script: &str, check: impl AsyncFn(&Clients) -> Checked) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let account = Account::of(&World::of(world));
    let moto = Moto::start()?;
    if !script.is_empty() {
        let clients = [("ec2", "ec2"), ("elb", "elbv2"), ("groups", "autoscaling")].map(|(name, service)| {
            format!("{name} = boto3.client('{service}', endpoint_url='{}', region_name='us-west-2')\n", moto.url)
        });
        let made = Command::new(python())
            .args(["-c", &format!("import boto3\n{}{script}", clients.concat())])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
    }
    for (name, url) in [("the simulator", account.url()), ("moto", moto.url.clone())] {
        let checked = runtime.block_on(async {
            let region: Region = "us-west-2".parse()?;
            check(&Connection::to_simulator(&region, &url).clients(&region, None).await).await
        });
        checked.map_err(|error| format!("on {name}: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn ask<R: Read>(aws: &Clients, request: R) -> Result<R::Output, Box<dyn std::error::Error>> {
    request.send(aws).await.map_err(|error| format!("{}: {}", error.code, error.message).into())
}

pub(crate) async fn write<W: Write>(aws: &Clients, request: W) -> Result<W::Output, Box<dyn std::error::Error>> {
    let token = Token::new("01234567-89ab-4def-8123-456789abcdef".to_owned());
    request.send(aws, &token).await.map_err(|error| format!("{}: {}", error.code, error.message).into())
}

pub(crate) async fn refusal<R: Read>(aws: &Clients, request: R) -> Result<ErrorKind, Box<dyn std::error::Error>> {
    match request.send(aws).await {
        Ok(output) => Err(format!("it answered {output:?}").into()),
        Err(error) => Ok(error.kind),
    }
}

/// A manifest as Docker pushes it; `salt` makes it another image.
fn manifest(salt: u8) -> String {
    let layer = Digest::of(&[salt]);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":7023,"digest":"{layer}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":32654,"digest":"{layer}"}}]}}"#
    )
}

fn put(salt: u8, tag: &str) -> PutImageRequest {
    let media_type = Some("application/vnd.docker.distribution.manifest.v2+json".to_owned());
    PutImageRequest { repository: "app".to_owned(), manifest: manifest(salt), media_type, tag: Some(tag.to_owned()) }
}

fn by_tag(tag: &str) -> ImageId {
    ImageId { digest: None, tag: Some(tag.to_owned()) }
}

#[test]
fn images_are_put_found_and_deleted() -> Checked {
    on_both(async |aws: &Clients| {
        aws.ecr().create_repository().repository_name("app").send().await?;
        let one = write(aws, put(1, "one")).await?.id.digest.ok_or("an image has a digest")?;
        // Which digest it has is ECR's to say: moto does not hash the manifest as it is.
        assert!(one.parse::<Digest>().is_ok(), "{one}");
        write(aws, put(2, "two")).await?;
        // The same manifest with the same tag again is harmless.
        write(aws, put(1, "one")).await?;

        let all = DescribeImagesRequest { repository: "app".to_owned(), images: vec![], tag_status: None };
        let mut tags: Vec<String> =
            ask(aws, all.clone()).await?.images.into_iter().flat_map(|image| image.tags).collect();
        tags.sort();
        assert_eq!(tags, ["one", "two"]);
        let images = vec![by_tag("one"), by_tag("gone")];
        let got = ask(aws, BatchGetImageRequest { repository: "app".to_owned(), images }).await?;
        assert_eq!(got.images.iter().map(|image| image.manifest.as_str()).collect::<Vec<_>>(), [manifest(1)]);
        assert_eq!(got.failures.iter().map(|failure| failure.code.as_str()).collect::<Vec<_>>(), ["ImageNotFound"]);

        let images = vec![ImageId { digest: Some(one.clone()), tag: None }];
        let delete = BatchDeleteImageRequest { repository: "app".to_owned(), images };
        assert!(!write(aws, delete.clone()).await?.deleted.is_empty());
        let again = write(aws, delete).await?;
        assert!(again.deleted.is_empty() && again.failures.len() == 1, "{again:?}");
        let left: Vec<String> = ask(aws, all).await?.images.into_iter().flat_map(|image| image.tags).collect();
        assert_eq!(left, ["two"]);

        let nowhere = DescribeImagesRequest { repository: "nowhere".to_owned(), images: vec![], tag_status: None };
        assert_eq!(refusal(aws, nowhere).await?, ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn secrets_are_described_and_read_by_version() -> Checked {
    on_both(async |aws: &Clients| {
        let id = "prod/registry".to_owned();
        let made = aws.secretsmanager().create_secret().name(&id).secret_string("first value").send().await?;
        let first = made.version_id.ok_or("a secret has a version")?;
        aws.secretsmanager().put_secret_value().secret_id(&id).secret_string("second value").send().await?;

        let described = ask(aws, DescribeSecretRequest { secret_id: id.clone() }).await?;
        assert_eq!(described.name, id);
        let current = described.current_version.ok_or("one version is current")?;
        assert_ne!(current, first);
        let read = |version_id| GetSecretValueRequest { secret_id: id.clone(), version_id, version_stage: None };
        let newest = ask(aws, read(None)).await?;
        assert_eq!((newest.secret_string.as_deref(), &newest.version_id), (Some("second value"), &current));
        let pinned = ask(aws, read(Some(first))).await?;
        assert_eq!(pinned.secret_string.as_deref(), Some("first value"));
        let nothing = GetSecretValueRequest { secret_id: "nothing".to_owned(), version_id: None, version_stage: None };
        assert_eq!(refusal(aws, nothing).await?, ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn what_kms_encrypts_it_decrypts_under_the_same_context() -> Checked {
    on_both(async |aws: &Clients| {
        let made = aws.kms().create_key().send().await?;
        let key_id = made.key_metadata.ok_or("a key has metadata")?.key_id;
        let described = ask(aws, DescribeKeyRequest { key_id: key_id.clone() }).await?;
        assert!(described.enabled && described.key_state == "Enabled", "{described:?}");
        let context = |value: &str| vec![Pair { name: "purpose".to_owned(), value: value.to_owned() }];
        let encryption_context = context("test");
        let encrypt = EncryptRequest { key_id: key_id.clone(), plaintext: b"plain".to_vec(), encryption_context };
        let ciphertext = ask(aws, encrypt).await?.ciphertext;
        assert!(!ciphertext.windows(5).any(|window| window == b"plain"));
        let decrypt = |encryption_context| DecryptRequest {
            key_id: key_id.clone(),
            ciphertext: ciphertext.clone(),
            encryption_context,
        };
        assert_eq!(ask(aws, decrypt(context("test"))).await?.plaintext, b"plain");
        assert_eq!(refusal(aws, decrypt(context("another"))).await?, ErrorKind::Invalid);
        Ok(())
    })
}

#[test]
fn the_caller_is_known() -> Checked {
    on_both(async |aws: &Clients| {
        let identity = ask(aws, GetCallerIdentityRequest { reserved: false }).await?;
        assert_eq!(identity.account.len(), 12);
        assert!(identity.arn.starts_with("arn:aws:"), "{}", identity.arn);
        Ok(())
    })
}

#[test]
fn a_task_definition_comes_back_as_it_was_registered() -> Checked {
    on_both(async |aws: &Clients| {
        let document = r#"{"family":"web","networkMode":"awsvpc","containerDefinitions":[
            {"name":"app","image":"web:1","memory":256,"essential":true,"environment":[{"name":"A","value":"1"}]}]}"#;
        let register = RegisterTaskDefinitionRequest { document: document.to_owned(), tags: vec![] };
        let first = write(aws, register.clone()).await?.task_definition;
        let second = write(aws, register).await?.task_definition;
        assert_eq!((first.revision, second.revision), (1, 2));
        let describe = DescribeTaskDefinitionRequest { task_definition: "web:1".to_owned() };
        let described = ask(aws, describe).await?.task_definition;
        assert_eq!((described.family.as_str(), described.revision), ("web", 1));
        assert_eq!(described.containers.first().map(|container| container.image.as_str()), Some("web:1"));
        assert!(described.tags.iter().any(|tag| tag.name == "kiln:token"), "{:?}", described.tags);
        let document: Value = serde_json::from_str(&described.document)?;
        assert_eq!(document.pointer("/containerDefinitions/0/environment/0/value"), Some(&Value::from("1")));

        let unknown = DescribeTaskDefinitionRequest { task_definition: "nothing:1".to_owned() };
        assert!(matches!(refusal(aws, unknown).await?, ErrorKind::Invalid | ErrorKind::NotFound));
        Ok(())
    })
}

/// The account's own AMIs of this name.
fn amis(name: &str) -> DescribeAmisRequest {
    let filters = vec![Filter { name: "name".to_owned(), values: vec![name.to_owned()] }];
    DescribeAmisRequest { ids: vec![], owners: vec!["self".to_owned()], filters, include_disabled: false }
}

#[test]
fn amis_are_found_tagged_and_deregistered() -> Checked {
    let world = "[[images]]\nname = \"web-1\"\n[[images]]\nname = \"web-2\"\n[[images]]\nname = \"api-1\"";
    let script = "for name in ('web-1', 'web-2', 'api-1'):\n    ec2.register_image(Name=name, Architecture='x86_64', RootDeviceName='/dev/xvda')";
    on_both_with(world, script, async |aws: &Clients| {
        let mut found = ask(aws, amis("web-*")).await?.images;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<&str> = found.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["web-1", "web-2"]);
        let first = &found[0];
        assert_eq!((first.state.as_str(), first.created.is_some(), first.is_public), ("available", true, false));
        let tag = Pair { name: "run".to_owned(), value: "a & <b>".to_owned() };
        write(aws, CreateTagsRequest { resources: vec![first.id.clone()], tags: vec![tag.clone()] }).await?;
        let by_id = DescribeAmisRequest { ids: vec![first.id.clone()], filters: vec![], ..amis("") };
        assert_eq!(ask(aws, by_id).await?.images[0].tags, [tag]);
        write(aws, DeregisterImageRequest { image: first.id.clone(), delete_snapshots: false }).await?;
        assert_eq!(ask(aws, amis("web-*")).await?.images.len(), 1);
        let absent = DescribeAmisRequest { ids: vec!["ami-0a0a0a0a0a0a0a0a0".to_owned()], filters: vec![], ..amis("") };
        assert_eq!(refusal(aws, absent).await?, ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn launch_templates_get_versions_and_another_default_one() -> Checked {
    let world = "[[launch-templates]]\nname = \"web\"\nversions = [{ data = { ImageId = \"ami-1\", InstanceType = \"t3.micro\", \
        SecurityGroupIds = [\"sg-1\", \"sg-2\"], MetadataOptions = { HttpTokens = \"required\", HttpPutResponseHopLimit = 1 } } }]";
    let script = "ec2.create_launch_template(LaunchTemplateName='web', LaunchTemplateData={'ImageId': 'ami-1', 'InstanceType': 't3.micro', \
        'SecurityGroupIds': ['sg-1', 'sg-2'], 'MetadataOptions': {'HttpTokens': 'required', 'HttpPutResponseHopLimit': 1}})";
    on_both_with(world, script, async |aws: &Clients| {
        let by_name = DescribeLaunchTemplatesRequest { ids: vec![], names: vec!["web".to_owned()] };
        let template = ask(aws, by_name).await?.templates.remove(0);
        assert_eq!((template.default_version, template.latest_version), (1, 1));
        let versions = |versions: &[&str]| DescribeLaunchTemplateVersionsRequest {
            template: Some(template.id.clone()),
            versions: versions.iter().map(ToString::to_string).collect(),
        };
        let first = ask(aws, versions(&["1"])).await?.versions.remove(0);
        assert_eq!((first.image.as_deref(), first.is_default), (Some("ami-1"), true));
        let data: Value = serde_json::from_str(&first.data)?;
        assert_eq!(data["SecurityGroupIds"], serde_json::json!(["sg-1", "sg-2"]));
        // What was read is written again, whole.
        let request = CreateLaunchTemplateVersionRequest {
            template: template.id.clone(),
            source_version: None,
            description: Some("again".to_owned()),
            data: first.data.clone(),
        };
        let second = write(aws, request).await?.version;
        assert_eq!((second.number, second.is_default), (2, false));
        assert_eq!(serde_json::from_str::<Value>(&second.data)?, data);
        write(aws, ModifyLaunchTemplateRequest { template: template.id.clone(), default_version: 2 }).await?;
        let mut numbers: Vec<u64> = ask(aws, versions(&[])).await?.versions.iter().map(|each| each.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        let words = ask(aws, versions(&["$Default"])).await?.versions;
        assert_eq!(words.iter().map(|each| each.number).collect::<Vec<_>>(), [2]);
        Ok(())
    })
}

#[test]
fn a_group_and_the_weights_before_it_are_told() -> Checked {
    let world = "[[launch-templates]]\nname = \"web\"\nversions = [{ data = { ImageId = \"ami-1\", InstanceType = \"t3.micro\" } }]\n\
        [[target-groups]]\nname = \"blue\"\n[[target-groups]]\nname = \"green\"\n\
        [[load-balancers]]\nname = \"web\"\nlisteners = [{ forward = { blue = 70, green = 30 } }]\n\
        [[auto-scaling-groups]]\nname = \"web\"\nlaunch-template = \"web\"\nmin = 0\nmax = 4\ndesired = 0\ntarget-groups = [\"blue\"]";
    let script = "\
subnets = [one['SubnetId'] for one in ec2.describe_subnets()['Subnets']][:2]
vpc = ec2.describe_vpcs()['Vpcs'][0]['VpcId']
image = ec2.describe_images()['Images'][0]['ImageId']
ec2.create_launch_template(LaunchTemplateName='web', LaunchTemplateData={'ImageId': image, 'InstanceType': 't3.micro'})
made = lambda name: elb.create_target_group(Name=name, Protocol='HTTP', Port=80, VpcId=vpc)['TargetGroups'][0]['TargetGroupArn']
blue, green = made('blue'), made('green')
balancer = elb.create_load_balancer(Name='web', Subnets=subnets)['LoadBalancers'][0]['LoadBalancerArn']
weights = [{'TargetGroupArn': blue, 'Weight': 70}, {'TargetGroupArn': green, 'Weight': 30}]
elb.create_listener(LoadBalancerArn=balancer, Protocol='HTTP', Port=80, DefaultActions=[
    {'Type': 'forward', 'ForwardConfig': {'TargetGroups': weights}}])
groups.create_auto_scaling_group(AutoScalingGroupName='web', LaunchTemplate={'LaunchTemplateName': 'web', 'Version': '1'}, MinSize=0,
    MaxSize=4, DesiredCapacity=0, VPCZoneIdentifier=','.join(subnets), TargetGroupARNs=[blue], HealthCheckType='ELB')
";
    on_both_with(world, script, async |aws: &Clients| {
        let request = DescribeAutoScalingGroupsRequest { names: vec!["web".to_owned()] };
        let group = ask(aws, request).await?.groups.remove(0);
        assert_eq!((group.min_size, group.max_size, group.desired, group.instances.len()), (0, 4, 0, 0));
        assert_eq!((group.health_check.as_str(), group.mixed_instances_policy.as_deref()), ("ELB", None));
        let template = group.launch_template.ok_or("it has a launch template")?;
        assert_eq!((template.name.as_deref(), template.version.as_deref()), (Some("web"), Some("1")));
        let by_name = |name: &str| DescribeTargetGroupsRequest {
            arns: vec![],
            names: vec![name.to_owned()],
            load_balancer: None,
        };
        let blue = ask(aws, by_name("blue")).await?.target_groups.remove(0);
        let green = ask(aws, by_name("green")).await?.target_groups.remove(0);
        assert_eq!(group.target_groups, [blue.arn.as_str()]);
        assert_eq!((blue.protocol.as_deref(), blue.port, blue.kind.as_str()), (Some("HTTP"), Some(80), "instance"));
        let of_it = DescribeLoadBalancersRequest { arns: vec![], names: vec!["web".to_owned()] };
        let balancer = ask(aws, of_it).await?.load_balancers.remove(0);
        assert_eq!(balancer.kind, "application");
        let request = DescribeListenersRequest { load_balancer: Some(balancer.arn.clone()), arns: vec![] };
        let listener = ask(aws, request).await?.listeners.remove(0);
        let told = |forwards: &[Forward]| -> Vec<(String, u32)> {
            let mut all: Vec<_> = forwards.iter().map(|to| (to.target_group.clone(), to.weight)).collect();
            all.sort_by_key(|(_, weight)| *weight);
            all
        };
        let weights = [(green.arn.clone(), 30), (blue.arn.clone(), 70)];
        assert_eq!((listener.port, told(&listener.forwards)), (Some(80), weights.to_vec()));
        let request = DescribeRulesRequest { listener: Some(listener.arn), arns: vec![] };
        let rules = ask(aws, request).await?.rules;
        let default = rules.iter().find(|rule| rule.is_default).ok_or("a listener has a rule for the rest")?;
        assert_eq!(told(&default.forwards), weights);
        let nobody = DescribeTargetHealthRequest { target_group: blue.arn };
        assert_eq!(ask(aws, nobody).await?.targets.len(), 0);
        let absent = DescribeAutoScalingGroupsRequest { names: vec!["absent".to_owned()] };
        assert_eq!(ask(aws, absent).await?.groups.len(), 0);
        Ok(())
    })
}

/// What a script of boto3 says of the stacks of these templates, on the simulation at `url`.
fn stacks(url: &str, names: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
    let asked = Command::new(python())
        .arg(repository().join("tests/python/stacks_on_both.py"))
        .arg(url)
        .args(names)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()?;
    if !asked.status.success() {
        return Err(format!("at {url}: {}", String::from_utf8_lossy(&asked.stderr)).into());
    }
    Ok(serde_json::from_slice(&asked.stdout)?)
}

/// The templates that moto knows all types and functions of.
const STACKS: [&str; 2] = ["events", "registry"];

#[test]
fn stacks_are_made_changed_and_deleted_alike() -> Checked {
    let account = Account::of(&World::of(""));
    let moto = Moto::start()?;
    let mut own = stacks(&account.url(), &STACKS)?;
    let mut other = stacks(&moto.url, &STACKS)?;
    for name in STACKS {
        // moto updates a stack to what it is, which AWS refuses.
        let again = own[name].as_object_mut().and_then(|steps| steps.remove("again"));
        assert_eq!(again, Some(serde_json::json!(["ValidationError", "No updates are to be performed."])), "{name}");
        other[name].as_object_mut().and_then(|steps| steps.remove("again"));
        assert_eq!(own[name]["updated"]["status"], "UPDATE_COMPLETE", "{name}");
        for step in ["created", "updated"] {
            // moto counts resources whose types it only accepts, without their names.
            let known = other[name][step]["resources"].as_array().cloned().unwrap_or_default();
            let mut all = own[name][step]["resources"].as_array().cloned().unwrap_or_default();
            all.iter_mut().filter(|one| !known.contains(one)).for_each(|one| *one = serde_json::json!(["", ""]));
            all.sort_by_key(Value::to_string);
            own[name][step]["resources"] = Value::Array(all);
        }
    }
    assert_eq!(own, other);
    Ok(())
}
