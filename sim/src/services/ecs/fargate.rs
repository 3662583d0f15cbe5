//! What Fargate runs: sizes, networks, images and settings.
//!
//! The main function is [`check`].

use serde_json::{Map, Value};

use super::registration::{containers, cpu_units, has_own_network, list, mebibytes, text};

/// CPU units, and the memory that goes with them in MiB: the least, the most, and the step.
const SIZES: [(u64, u64, u64, u64); 6] = [
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// The smallest has a list in the place of a range.
const SMALLEST: (u64, [u64; 3]) = (256, [512, 1024, 2048]);

/// What containers have on EC2 only.
const ON_EC2: [&str; 7] =
    ["dockerSecurityOptions", "links", "dnsServers", "dnsSearchDomains", "extraHosts", "disableNetworking", "hostname"];
const LINUX_ON_EC2: [&str; 4] = ["devices", "sharedMemorySize", "maxSwap", "swappiness"];
const LOG_DRIVERS: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];

/// The platform version that `LATEST` means.
pub(super) const PLATFORM: &str = "1.4.0";

/// Whether Fargate runs tasks of such a definition, and if not, why.
pub(super) fn check(document: &Map<String, Value>) -> Result<(), String> {
    let own = |field: &str| document.get(field).and_then(Value::as_str);
    let (Some(cpu), Some(memory)) = (own("cpu"), own("memory")) else {
        return Err("Fargate requires that 'cpu' and 'memory' be defined at the task level.".to_owned());
    };
    if !has_own_network(document) {
        return Err("Fargate only supports network mode 'awsvpc'.".to_owned());
    }
    if !cpu_units(cpu).zip(mebibytes(memory)).is_some_and(|(cpu, memory)| is_size(cpu, memory)) {
        return Err(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS \
             documentation for the valid values."
        ));
    }
    let unsupported = |what: &str| Err(format!("Fargate compatible task definitions do not support {what}"));
    if own("ipcMode").is_some_and(|mode| mode != "none") {
        return unsupported("ipcMode");
    }
    if own("pidMode").is_some_and(|mode| mode != "task") {
        return unsupported("the pidMode 'host'");
    }
    let given = Value::Object(document.clone());
    for field in ["placementConstraints", "inferenceAccelerators"] {
        if list(&given, field).next().is_some() {
            return unsupported(field);
        }
    }
    if let Some(storage) = document.get("ephemeralStorage")
        && !storage.get("sizeInGiB").and_then(Value::as_u64).is_some_and(|size| (21..=200).contains(&size))
    {
        return Err("The size of the ephemeralStorage must be from 21 to 200 GiB.".to_owned());
    }
    for volume in list(&given, "volumes") {
        if volume.get("host").and_then(|host| host.get("sourcePath")).is_some() {
            return unsupported("sourcePath");
        }
        if volume.get("dockerVolumeConfiguration").is_some() {
            return unsupported("dockerVolumeConfiguration");
        }
    }
    let role = own("executionRoleArn").is_some_and(|role| !role.is_empty());
    containers(document).try_for_each(|container| check_container(container, role))
}

fn is_size(cpu: u64, memory: u64) -> bool {
    if cpu == SMALLEST.0 {
        return SMALLEST.1.contains(&memory);
    }
    SIZES.iter().any(|(units, least, most, step)| {
        cpu == *units && (*least..=*most).contains(&memory) && (memory - least).is_multiple_of(*step)
    })
}

fn check_container(container: &Value, role: bool) -> Result<(), String> {
    let unsupported = |what: &str| Err(format!("Fargate compatible task definitions do not support {what}"));
    let is_given =
        |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != Value::Array(Vec::new());
    if container.get("privileged").is_some_and(is_given) {
        return unsupported("privileged");
    }
    // A task has one host name: that of its network interface.
    if let Some(field) = ON_EC2.into_iter().find(|field| container.get(*field).is_some_and(is_given)) {
        return unsupported(field);
    }
    if let Some(linux) = container.get("linuxParameters") {
        if let Some(field) = LINUX_ON_EC2.into_iter().find(|field| linux.get(*field).is_some_and(is_given)) {
            return unsupported(field);
        }
        let added = linux.get("capabilities").into_iter().flat_map(|capabilities| list(capabilities, "add"));
        if let Some(capability) = added.filter_map(Value::as_str).find(|capability| *capability != "SYS_PTRACE") {
            return unsupported(&format!("the capability {capability}"));
        }
    }
    if list(container, "resourceRequirements").any(|wanted| text(wanted, "type") == Some("GPU")) {
        return unsupported("resources of the type GPU");
    }
    if let Some(limit) =
        list(container, "ulimits").filter_map(|limit| text(limit, "name")).find(|name| *name != "nofile")
    {
        return unsupported(&format!("the ulimit {limit}"));
    }
    let driver = container.get("logConfiguration").and_then(|log| text(log, "logDriver"));
    if let Some(driver) = driver.filter(|driver| !LOG_DRIVERS.contains(driver)) {
        return unsupported(&format!("the log driver {driver}"));
    }
    let wanted =
        |what: &str| Err(format!("Fargate requires task definition to have execution role ARN to support {what}."));
    match driver {
        _ if role => Ok(()),
        _ if is_of_ecr(text(container, "image").unwrap_or_default()) => wanted("ECR images"),
        Some("awslogs") => wanted("log driver awslogs"),
        Some(_) | None => Ok(()),
    }
}

/// Whether an image is of a private registry of ECR.
fn is_of_ecr(image: &str) -> bool {
    let host = image.split('/').next().unwrap_or(image);
    host.contains(".dkr.ecr") && host.contains(".amazonaws.com")
}

/// What Fargate calls the system that a definition asks for.
pub(super) fn platform_family(document: &Map<String, Value>) -> &'static str {
    let system = document.get("runtimePlatform").and_then(|platform| text(platform, "operatingSystemFamily"));
    match system {
        Some("WINDOWS_SERVER_2019_CORE") => "Windows Server 2019 Core",
        Some("WINDOWS_SERVER_2019_FULL") => "Windows Server 2019 Full",
        Some("WINDOWS_SERVER_2022_CORE") => "Windows Server 2022 Core",
        Some("WINDOWS_SERVER_2022_FULL") => "Windows Server 2022 Full",
        Some(_) | None => "Linux",
    }
}
