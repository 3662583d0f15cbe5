//! What is made of the table of services: names and operations.
//!
//! The main type is [`ServiceId`]; [`all`] is what the simulator offers. In `world` the table makes what a place holds and what can happen,
//! in `worldfile` the file's tables.

use super::each_service;
use crate::service::Service;

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
