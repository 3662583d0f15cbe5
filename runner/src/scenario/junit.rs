//! What came of scenarios, as JUnit XML for CI services.
//!
//! The main function is [`junit`]. CodeBuild's limits are kept: 500 cases a report, 5,000 characters a message.

use std::borrow::Cow;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::{Tested, told};
use crate::harmless::{line, lines};

/// How many cases CodeBuild takes in one report.
const CASES: usize = 500;
/// How many characters CodeBuild shows of a message.
const CHARACTERS: usize = 5_000;

/// Why there is no JUnit report.
#[derive(Debug, thiserror::Error)]
#[error("the JUnit report cannot be written: {0}")]
pub struct JunitError(String);

/// The report of all that was tested, the failed first where not all have room. Also how many were left out.
///
/// # Errors
/// The XML cannot be made.
pub fn junit(pipeline: &str, tested: &[Tested], wall: Duration) -> Result<(String, usize), JunitError> {
    let mut kept: Vec<&Tested> = tested.iter().collect();
    if kept.len() > CASES {
        kept.sort_by_key(|one| one.passed());
        kept.truncate(CASES);
    }
    let mut suite = TestSuite::new(&*line(pipeline));
    suite.set_time(wall);
    for one in &kept {
        suite.add_test_case(case(pipeline, one));
    }
    let mut report = Report::new("kiln test");
    report.set_time(wall);
    report.add_test_suite(suite);
    let text = report.to_string().map_err(|error| JunitError(error.to_string()))?;
    Ok((text, tested.len() - kept.len()))
}

fn case(pipeline: &str, tested: &Tested) -> TestCase {
    let mut status = match &tested.result {
        Ok(trial) if trial.unmet.is_empty() => TestCaseStatus::success(),
        Ok(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Err(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !tested.passed() {
        let text = told(tested);
        let lines: Vec<Cow<'_, str>> = lines(&text).collect();
        status.set_message(short(lines.first().map_or("", |first| first)));
        status.set_description(short(&lines.join("\n")));
    }
    let mut case = TestCase::new(&*line(&tested.name), status);
    case.set_classname(&*line(pipeline));
    if let Ok(trial) = &tested.result {
        case.set_time(trial.wall);
    }
    case
}

fn short(text: &str) -> String {
    if text.chars().count() <= CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS - 1).chain(['…']).collect()
}
