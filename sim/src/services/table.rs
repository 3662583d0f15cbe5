//! The table of services: one row for each that the simulator offers.
//!
//! The main macro is [`each_service`], which gives the rows to another macro. Whatever lists the services is made so: here
//! [`ServiceId`] and [`all`], in `world` what a place holds and what can happen, in `worldfile` the file's tables.

use crate::service::Service;

/// Give every row to the macro `make`. The columns are
/// - the service's name as a type, and its module, named as the interface in `wit`, as the IAM prefix and as botocore's
///   name for it; the module has a function `service`, what it offers;
/// - the type of what it holds in a place, if it holds anything there;
/// - the type of what happens by itself, if anything does; the module then has a function `happen`;
/// - its part of the world file, if it has one: when it is planted (a service stands behind those that its seeds need),
///   its tables with the types of their entries, and perhaps one setting. The module then has a function `plant`.
///
/// The order of the rows is the one in which operations are listed and the world file's tables are told.
macro_rules! each_service {
    ($make:ident) => {
        $make! {
            [Sts             sts             ()       ()       (1; roles RoleSeed)]
            [SecretsManager  secretsmanager  (State)  (Event)  (4; secrets SecretSeed)]
            [Kms             kms             (State)  ()       (3; keys KeySeed)]
            [Ecr             ecr             (State)  (Event)  (5; repositories RepositorySeed, findings FindingSeed)]
            [CodeBuild       codebuild       (State)  (Event)  (6; projects ProjectSeed; concurrent_builds usize)]
            [Logs            logs            (State)  ()       ()]
            [Ecs             ecs             (State)  (Event)  (8; clusters ClusterSeed, services ServiceSeed, task_behaviours BehaviourSeed)]
            [CloudWatch      cloudwatch      (State)  (Event)  (7; alarms AlarmSeed)]
            [DynamoDb        dynamodb        (State)  ()       (2; tables TableSeed)]
        }
    };
}
pub(crate) use each_service;

macro_rules! list {
    ($([$Service:ident $module:ident $state:tt $event:tt $seeds:tt])*) => {
        /// Which service.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum ServiceId {
            $($Service,)*
        }

        impl ServiceId {
            /// Its IAM prefix, which is also botocore's name and that of its module.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(ServiceId::$Service => stringify!($module),)*
                }
            }
        }

        /// Every service that the simulator offers.
        pub(crate) fn all() -> Vec<Service> {
            vec![$(super::$module::service(ServiceId::$Service),)*]
        }
    };
}

each_service!(list);

/// The IAM actions of all operations.
pub(crate) fn actions() -> Vec<String> {
    let services = all();
    services.iter().flat_map(|service| &service.operations).map(|operation| operation.action.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names in a folder of this repository, without what stands behind the dot.
    fn names(folder: &str) -> std::io::Result<BTreeSet<String>> {
        let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?;
        let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        entries.map(|entry| Ok(stem(&entry?.path()))).collect()
    }

    macro_rules! parts {
        ($([$Service:ident $module:ident ($($State:ident)?) ($($Event:ident)?) ($($turn:literal; $($seeds:tt)*)?)])*) => {
            /// The parts of each service that is a folder, by the row that says it has them.
            const PARTS: &[(&str, &[&str])] = &[$((stringify!($module), &[
                $(concat!("state/", stringify!($State)),)?
                $(concat!("events/", stringify!($Event)),)?
                $(concat!("seeds/", $turn),)?
            ])),*];
        };
    }

    each_service!(parts);

    #[test]
    fn what_a_service_has_lies_in_files_of_the_same_names() -> std::io::Result<()> {
        for (module, parts) in PARTS {
            let folder = format!("src/services/{module}");
            if !Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder).is_dir() {
                continue;
            }
            let files = names(&folder)?;
            let wanted = parts.iter().filter_map(|part| part.split('/').next()).chain(["operations"]);
            for file in ["state", "events", "seeds", "operations"] {
                assert_eq!(files.contains(file), wanted.clone().any(|wanted| wanted == file), "{folder}/{file}.rs");
            }
        }
        Ok(())
    }

    #[test]
    fn every_service_that_is_written_stands_in_the_table_and_is_driven_by_boto3() -> std::io::Result<()> {
        let offered: BTreeSet<String> = all().iter().map(|service| service.id.name().to_owned()).collect();
        let mut written = names("src/services")?;
        for file in ["mod", "table"] {
            assert!(written.remove(file), "{file}");
        }
        assert_eq!(written, offered);
        let mut driven = names("../tests/python/services")?;
        driven.remove("__pycache__");
        assert_eq!(driven, offered);
        Ok(())
    }
}
