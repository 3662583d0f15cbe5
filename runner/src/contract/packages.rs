//! The packages of the contract that this host offers, those of before among them.

/// What a component may import, each package with its version. `kiln:aws` held all services before each had a package of its own. A test
/// compares this with `wit/` and with what each release offered, all of which is linked.
pub const OFFERED: [&str; 15] = [
    "kiln:stage@0.1.0",
    "kiln:aws@0.1.0",
    "kiln:aws-cloudwatch@0.1.0",
    "kiln:aws-codebuild@0.1.0",
    "kiln:aws-ecr@0.1.0",
    "kiln:aws-ecr-storage@0.1.0",
    "kiln:aws-ecs@0.2.0",
    "kiln:aws-ecs-inventory@0.1.0",
    "kiln:aws-events@0.1.0",
    "kiln:aws-kms@0.1.0",
    "kiln:aws-lambda@0.1.0",
    "kiln:aws-logs@0.1.0",
    "kiln:aws-scheduler@0.1.0",
    "kiln:aws-secretsmanager@0.1.0",
    "kiln:aws-sts@0.1.0",
];
