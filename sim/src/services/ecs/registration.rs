//! Whether a task definition may be registered, as ECS checks it.
//!
//! The main functions are [`check`] and [`fill`], which puts in what ECS says of a definition that does not say it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fargate;
use crate::error::AwsError;

/// The least memory that Docker gives a container, in MiB.
const LEAST_MEMORY: u64 = 6;
const MOST_CONTAINERS: usize = 10;

type Document = Map<String, Value>;

pub(super) fn client(message: impl Into<String>) -> AwsError {
    AwsError::new("ClientException", message)
}

/// A member that is a list.
pub(super) fn list<'d>(members: &'d Value, field: &str) -> impl Iterator<Item = &'d Value> + use<'d> {
    members.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// A member that is a text.
pub(super) fn text<'d>(members: &'d Value, field: &str) -> Option<&'d str> {
    members.get(field).and_then(Value::as_str)
}

/// The containers of a definition.
pub(super) fn containers(document: &Document) -> impl Iterator<Item = &Value> {
    document.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten()
}

fn own<'d>(document: &'d Document, field: &str) -> Option<&'d str> {
    document.get(field).and_then(Value::as_str)
}

/// Whether tasks have a network interface of their own.
pub(super) fn has_own_network(document: &Document) -> bool {
    own(document, "networkMode") == Some("awsvpc")
}

/// CPU units of a task: `256`, or `.25 vCPU`.
pub(super) fn cpu_units(given: &str) -> Option<u64> {
    number_of(given, "vcpu")
}

/// MiB of a task: `512`, or `0.5 GB`.
pub(super) fn mebibytes(given: &str) -> Option<u64> {
    number_of(given, "gb")
}

fn number_of(given: &str, unit: &str) -> Option<u64> {
    let given = given.trim().to_ascii_lowercase();
    let Some(number) = given.strip_suffix(unit) else { return given.parse().ok() };
    let number: f64 = number.trim().parse().ok()?;
    let units = number * 1024.0;
    // A whole number below 2^32: the cast is exact.
    ((0.0..4_294_967_296.0).contains(&units) && units.fract() == 0.0).then(|| format!("{units:.0}").parse().ok())?
}

/// Refuse what ECS refuses.
pub(super) fn check(document: &Document) -> Result<(), AwsError> {
    check_containers(document)?;
    check_sizes(document)?;
    for container in containers(document) {
        check_ports(document, container)?;
        check_mounts(document, container)?;
        check_secrets(document, container)?;
        check_links(document, container)?;
    }
    check_order(document)?;
    let fargate = document.get("requiresCompatibilities").and_then(Value::as_array);
    if fargate.is_some_and(|kinds| kinds.iter().any(|kind| kind == "FARGATE")) {
        fargate::check(document).map_err(client)?;
    }
    Ok(())
}

fn check_containers(document: &Document) -> Result<(), AwsError> {
    let given: Vec<&Value> = containers(document).collect();
    if given.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    if given.len() > MOST_CONTAINERS {
        return Err(client(format!("Task definition cannot have more than {MOST_CONTAINERS} containers.")));
    }
    let mut names = BTreeSet::new();
    for container in &given {
        let name = text(container, "name").unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() {
            return Err(client("Container.name should not be null or empty."));
        }
        if name.len() > 255 || !name.chars().all(fits) {
            return Err(client("Container.name contains invalid characters."));
        }
        if text(container, "image").unwrap_or_default().is_empty() {
            return Err(client("Container.image should not be null or empty."));
        }
        if !names.insert(name) {
            return Err(client("Container definition names must be unique."));
        }
    }
    let essential = |container: &&Value| container.get("essential").and_then(Value::as_bool).unwrap_or(true);
    if !given.iter().any(essential) {
        return Err(client("Invalid 'essential' setting. At least one container must be essential."));
    }
    Ok(())
}

/// CPU and memory, of the task and of its containers.
fn check_sizes(document: &Document) -> Result<(), AwsError> {
    let task = |field: &str, read: fn(&str) -> Option<u64>| match own(document, field) {
        Some(given) => read(given)
            .filter(|number| *number > 0)
            .map(Some)
            .ok_or_else(|| client(format!("Invalid '{field}' setting for task: {given}"))),
        None => Ok(None),
    };
    let (task_cpu, task_memory) = (task("cpu", cpu_units)?, task("memory", mebibytes)?);
    if task_cpu.is_some_and(|cpu| !(128..=196_608).contains(&cpu)) {
        return Err(client("Invalid 'cpu' setting for task: it is from 128 to 196608 CPU units."));
    }
    let (mut cpu, mut memory) = (0_u64, 0_u64);
    for container in containers(document) {
        let name = text(container, "name").unwrap_or_default();
        let number = |field: &str| container.get(field).and_then(Value::as_u64);
        let (hard, soft) = (number("memory"), number("memoryReservation"));
        if hard.is_none() && soft.is_none() && task_memory.is_none() {
            return Err(client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            )));
        }
        for (field, given) in [("memory", hard), ("memoryReservation", soft)] {
            if given.is_some_and(|given| given < LEAST_MEMORY) {
                return Err(client(format!(
                    "Invalid '{field}' setting for container '{name}'. It must be at least {LEAST_MEMORY} MiB."
                )));
            }
        }
        if let (Some(hard), Some(soft)) = (hard, soft)
            && soft > hard
        {
            return Err(client(format!(
                "Invalid setting for container '{name}'. 'memory' must be greater than or equal to 'memoryReservation'."
            )));
        }
        if let (Some(hard), Some(task)) = (hard, task_memory)
            && hard > task
        {
            return Err(client(format!(
                "Invalid 'memory' setting for container '{name}'. It must not be greater than the task's memory."
            )));
        }
        cpu += number("cpu").unwrap_or(0);
        memory += soft.or(hard).unwrap_or(0);
    }
    if task_cpu.is_some_and(|task| cpu > task) {
        return Err(client("The total CPU of the containers must not be greater than the task's cpu."));
    }
    if task_memory.is_some_and(|task| memory > task) {
        return Err(client("The total memory of the containers must not be greater than the task's memory."));
    }
    Ok(())
}

fn check_ports(document: &Document, container: &Value) -> Result<(), AwsError> {
    let name = text(container, "name").unwrap_or_default();
    let host = own(document, "networkMode") == Some("host");
    for mapping in list(container, "portMappings") {
        if let Some(protocol) = text(mapping, "protocol")
            && !matches!(protocol, "tcp" | "udp")
        {
            return Err(client(format!("Invalid 'protocol' setting for container '{name}': {protocol}")));
        }
        let port = |field: &str| mapping.get(field).and_then(Value::as_u64);
        if ["containerPort", "hostPort"].into_iter().filter_map(port).any(|port| port > 65_535) {
            return Err(client(format!("Invalid port mapping for container '{name}': a port is at most 65535.")));
        }
        if (has_own_network(document) || host)
            && let (Some(inner), Some(outer)) = (port("containerPort"), port("hostPort"))
            && inner != outer
        {
            return Err(client(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
            ));
        }
    }
    Ok(())
}

fn check_mounts(document: &Document, container: &Value) -> Result<(), AwsError> {
    let volumes = document.get("volumes").and_then(Value::as_array);
    let volumes: BTreeSet<&str> = volumes.into_iter().flatten().filter_map(|volume| text(volume, "name")).collect();
    for mount in list(container, "mountPoints") {
        let volume = text(mount, "sourceVolume").unwrap_or_default();
        if !volumes.contains(volume) {
            return Err(client(format!("Unknown volume '{volume}'.")));
        }
        if text(mount, "containerPath").unwrap_or_default().is_empty() {
            return Err(client(format!("The mount point of volume '{volume}' has no containerPath.")));
        }
    }
    let names: BTreeSet<&str> = containers(document).filter_map(|container| text(container, "name")).collect();
    for from in list(container, "volumesFrom") {
        let source = text(from, "sourceContainer").unwrap_or_default();
        if !names.contains(source) {
            return Err(client(format!("Unknown container '{source}' in volumesFrom.")));
        }
    }
    Ok(())
}

/// Whoever fetches a secret or a private registry's credentials does so by the execution role.
fn check_secrets(document: &Document, container: &Value) -> Result<(), AwsError> {
    let log = container.get("logConfiguration");
    let of_log = log.is_some_and(|log| list(log, "secretOptions").next().is_some());
    let fetched = list(container, "secrets").next().is_some() || of_log;
    let private = container.get("repositoryCredentials").is_some();
    if !(fetched || private) || own(document, "executionRoleArn").is_some_and(|role| !role.is_empty()) {
        return Ok(());
    }
    let what = if fetched { "container secrets" } else { "repositoryCredentials" };
    Err(client(format!("When you are specifying {what}, you must also specify a value for 'executionRoleArn'.")))
}

fn check_links(document: &Document, container: &Value) -> Result<(), AwsError> {
    let names: BTreeSet<&str> = containers(document).filter_map(|container| text(container, "name")).collect();
    for link in list(container, "links").filter_map(Value::as_str) {
        let target = link.split(':').next().unwrap_or(link);
        if own(document, "networkMode").is_some_and(|mode| mode != "bridge") {
            return Err(client("Links are not supported when networkMode is not 'bridge'."));
        }
        if !names.contains(target) {
            return Err(client(format!("Unknown container '{target}' in links.")));
        }
    }
    Ok(())
}

/// What containers wait for is there, can come to pass, and forms no circle.
fn check_order(document: &Document) -> Result<(), AwsError> {
    let by_name: BTreeMap<&str, &Value> =
        containers(document).filter_map(|container| Some((text(container, "name")?, container))).collect();
    let mut waits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, container) in &by_name {
        for dependency in list(container, "dependsOn") {
            let target = text(dependency, "containerName").unwrap_or_default();
            let Some((target, other)) = by_name.get_key_value(target) else {
                return Err(client(format!("Unknown container '{target}' in dependsOn of container '{name}'.")));
            };
            let essential = other.get("essential").and_then(Value::as_bool).unwrap_or(true);
            match text(dependency, "condition").unwrap_or_default() {
                "START" => {}
                "HEALTHY" if other.get("healthCheck").is_some() => {}
                "HEALTHY" => {
                    return Err(client(format!(
                        "Container '{name}' cannot depend on '{target}' to be HEALTHY: '{target}' has no health check."
                    )));
                }
                condition @ ("COMPLETE" | "SUCCESS") if essential => {
                    return Err(client(format!(
                        "Container '{name}' cannot depend on '{target}' with the condition {condition}: '{target}' is \
                         essential."
                    )));
                }
                "COMPLETE" | "SUCCESS" => {}
                other => return Err(client(format!("Invalid dependsOn condition '{other}' of container '{name}'."))),
            }
            waits.entry(*name).or_default().push(*target);
        }
    }
    let mut started: BTreeSet<&str> = BTreeSet::new();
    while let Some(next) = by_name.keys().find(|name| {
        let ready = |waited: &Vec<&str>| waited.iter().all(|other| started.contains(other));
        !started.contains(**name) && waits.get(**name).is_none_or(ready)
    }) {
        started.insert(*next);
    }
    if started.len() < by_name.len() {
        return Err(client("There is a circular dependency between containers in dependsOn."));
    }
    Ok(())
}

/// Put in what ECS says of a definition that does not say it.
pub(super) fn fill(document: &mut Document) {
    for (field, read) in [("cpu", cpu_units as fn(&str) -> Option<u64>), ("memory", mebibytes)] {
        if let Some(units) = own(document, field).and_then(read) {
            document.insert(field.to_owned(), json!(units.to_string()));
        }
    }
    let mode = own(document, "networkMode").unwrap_or("bridge").to_owned();
    let Some(Value::Array(containers)) = document.get_mut("containerDefinitions") else { return };
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::Array(mappings)) = container.get_mut("portMappings") {
            for mapping in mappings.iter_mut().filter_map(Value::as_object_mut) {
                mapping.entry("protocol").or_insert_with(|| json!("tcp"));
                let port = mapping.get("containerPort").cloned().filter(|_| mode == "awsvpc" || mode == "host");
                mapping.entry("hostPort").or_insert(port.unwrap_or_else(|| json!(0)));
            }
        }
        if let Some(Value::Object(health)) = container.get_mut("healthCheck") {
            for (field, usual) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
                health.entry(field).or_insert_with(|| json!(usual));
            }
        }
    }
}

/// What a definition can run on.
pub(super) fn compatibilities(document: &Document) -> Vec<&'static str> {
    let external = !has_own_network(document);
    let on_fargate = fargate::check(document).is_ok();
    let kinds = [("EXTERNAL", external), ("EC2", true), ("FARGATE", on_fargate)];
    kinds.into_iter().filter(|(_, fits)| *fits).map(|(kind, _)| kind).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn refusal(document: Value) -> Option<String> {
        check(document.as_object()?).err().map(|error| error.message)
    }

    /// A definition for Fargate that is as it should be, changed.
    fn changed(change: impl Fn(&mut Value)) -> Option<String> {
        let mut document = json!({
            "family": "web",
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "512",
            "memory": "1024",
            "executionRoleArn": "arn:aws:iam::111111111111:role/web",
            "volumes": [{ "name": "data" }],
            "containerDefinitions": [
                { "name": "app", "image": "111111111111.dkr.ecr.us-west-2.amazonaws.com/web:1" },
                { "name": "side", "image": "example.com/side:1", "essential": false },
            ],
        });
        change(&mut document);
        refusal(document)
    }

    fn app(document: &mut Value) -> &mut Value {
        &mut document["containerDefinitions"][0]
    }

    #[test]
    fn fargate_takes_pairs_of_cpu_and_memory_only() {
        let sized = |cpu: &str, memory: &str| {
            changed(|document| {
                document["cpu"] = json!(cpu);
                document["memory"] = json!(memory);
            })
        };
        for (cpu, memory) in [
            ("256", "512"),
            ("256", "2048"),
            (".25 vCPU", "0.5 GB"),
            ("512", "4096"),
            ("1 vCPU", "8 GB"),
            ("2048", "4096"),
            ("4096", "30720"),
            ("8192", "16384"),
            ("8192", "61440"),
            ("16384", "122880"),
        ] {
            assert_eq!(sized(cpu, memory), None, "{cpu} {memory}");
        }
        for (cpu, memory) in [
            ("256", "513"),
            ("256", "4096"),
            ("512", "512"),
            ("1024", "9216"),
            ("2048", "3072"),
            ("4096", "31744"),
            ("8192", "17408"),
            ("16384", "16384"),
            ("300", "1024"),
            ("32768", "65536"),
        ] {
            let told = sized(cpu, memory).unwrap_or_default();
            assert!(told.starts_with("No Fargate configuration exists for given values"), "{cpu} {memory}: {told}");
        }
        assert!(sized("much", "1024").is_some_and(|told| told.contains("Invalid 'cpu' setting")));
    }

    #[test]
    fn the_execution_role_is_wanted_where_somebody_fetches_something() {
        let role = |document: &mut Value| document["executionRoleArn"] = Value::Null;
        let told = changed(role).unwrap_or_default();
        assert!(told.ends_with("to support ECR images."), "{told}");
        let logs = |document: &mut Value| {
            role(document);
            app(document)["image"] = json!("example.com/web:1");
            app(document)["logConfiguration"] = json!({ "logDriver": "awslogs" });
        };
        assert!(changed(logs).is_some_and(|told| told.ends_with("to support log driver awslogs.")));
        let secret = json!({ "name": "KEY", "valueFrom": "arn:aws:ssm:us-west-2:111111111111:parameter/key" });
        let on_ec2 = json!({ "family": "web", "containerDefinitions": [
            { "name": "app", "image": "web:1", "memory": 64, "secrets": [secret] }] });
        assert!(refusal(on_ec2).is_some_and(|told| told.contains("container secrets")));
        assert_eq!(changed(|_| ()), None);
    }

    #[test]
    fn memory_has_a_least_and_a_most() {
        let with = |memory: Value| {
            changed(|document| {
                for (field, value) in memory.as_object().into_iter().flatten() {
                    app(document)[field] = value.clone();
                }
            })
        };
        assert_eq!(with(json!({ "memory": 512, "memoryReservation": 256 })), None);
        for (memory, told) in [
            (json!({ "memory": 5 }), "at least 6 MiB"),
            (json!({ "memory": 256, "memoryReservation": 512 }), "greater than or equal to 'memoryReservation'"),
            (json!({ "memory": 1025 }), "not be greater than the task's memory"),
            (json!({ "cpu": 513 }), "not be greater than the task's cpu"),
        ] {
            assert!(with(memory).is_some_and(|found| found.contains(told)), "{told}");
        }
        let both = changed(|document| {
            app(document)["memory"] = json!(800);
            document["containerDefinitions"][1]["memory"] = json!(800);
        });
        assert!(both.is_some_and(|told| told.starts_with("The total memory")));
    }

    #[test]
    fn what_a_container_waits_for_and_mounts_is_there() {
        let waits = |target: &str, condition: &str| {
            changed(|document| {
                app(document)["dependsOn"] = json!([{ "containerName": target, "condition": condition }]);
            })
        };
        assert_eq!(waits("side", "SUCCESS"), None);
        assert!(waits("nobody", "START").is_some_and(|told| told.contains("Unknown container 'nobody'")));
        assert!(waits("side", "HEALTHY").is_some_and(|told| told.contains("has no health check")));
        assert!(waits("side", "READY").is_some_and(|told| told.contains("Invalid dependsOn condition")));
        assert!(waits("app", "START").is_some_and(|told| told.contains("circular")));
        let essential = changed(|document| {
            document["containerDefinitions"][1]["dependsOn"] =
                json!([{ "containerName": "app", "condition": "COMPLETE" }]);
        });
        assert!(essential.is_some_and(|told| told.contains("is essential")));
        let mounts = |volume: &str| {
            changed(|document| {
                app(document)["mountPoints"] = json!([{ "sourceVolume": volume, "containerPath": "/data" }]);
            })
        };
        assert_eq!((mounts("data"), mounts("other")), (None, Some("Unknown volume 'other'.".to_owned())));
    }

    #[test]
    fn what_only_ec2_has_is_refused_on_fargate() {
        for (field, value, told) in [
            ("privileged", json!(true), "privileged"),
            ("dockerSecurityOptions", json!(["label:x"]), "dockerSecurityOptions"),
            ("extraHosts", json!([{ "hostname": "a", "ipAddress": "10.0.0.1" }]), "extraHosts"),
            ("linuxParameters", json!({ "devices": [{ "hostPath": "/dev/fuse" }] }), "devices"),
            ("linuxParameters", json!({ "capabilities": { "add": ["NET_ADMIN"] } }), "NET_ADMIN"),
            ("logConfiguration", json!({ "logDriver": "syslog" }), "syslog"),
            ("resourceRequirements", json!([{ "type": "GPU", "value": "1" }]), "GPU"),
            ("portMappings", json!([{ "containerPort": 80, "hostPort": 81 }]), "must match"),
        ] {
            let found = changed(|document| app(document)[field] = value.clone());
            assert!(found.as_ref().is_some_and(|found| found.contains(told)), "{field}: {found:?}");
        }
        for (field, value, told) in [
            ("networkMode", json!("bridge"), "awsvpc"),
            ("ipcMode", json!("host"), "ipcMode"),
            ("pidMode", json!("host"), "pidMode"),
            ("placementConstraints", json!([{ "type": "memberOf", "expression": "true" }]), "placementConstraints"),
            ("volumes", json!([{ "name": "data", "host": { "sourcePath": "/mnt" } }]), "sourcePath"),
            ("volumes", json!([{ "name": "data", "dockerVolumeConfiguration": {} }]), "dockerVolumeConfiguration"),
            ("ephemeralStorage", json!({ "sizeInGiB": 20 }), "ephemeralStorage"),
        ] {
            let found = changed(|document| document[field] = value.clone());
            assert!(found.as_ref().is_some_and(|found| found.contains(told)), "{field}: {found:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let mut document = json!({
            "networkMode": "awsvpc", "cpu": "0.5 vCPU", "memory": "1GB",
            "containerDefinitions": [{
                "name": "app", "image": "web:1", "portMappings": [{ "containerPort": 80 }],
                "healthCheck": { "command": ["CMD", "true"], "retries": 9 },
            }],
        });
        if let Some(document) = document.as_object_mut() {
            fill(document);
            assert_eq!(compatibilities(document), ["EC2", "FARGATE"]);
        }
        assert_eq!((&document["cpu"], &document["memory"]), (&json!("512"), &json!("1024")));
        let app = &document["containerDefinitions"][0];
        assert_eq!(app["portMappings"], json!([{ "containerPort": 80, "hostPort": 80, "protocol": "tcp" }]));
        assert_eq!(app["healthCheck"]["interval"], 30);
        assert_eq!(app["healthCheck"]["retries"], 9);
    }
}
