//! What other accounts do with an image: by the newest report of its use.
//! The main type is [`Others`]; what a report says is decided by [`judge`], purely.

use std::collections::BTreeMap;

use kiln_plugin::aws::ec2::{
    DescribeImageUsageReportEntriesRequest, DescribeImageUsageReportsRequest, DescribeLaunchPermissionRequest, Image,
    UsageEntry, UsageReport, describe_image_usage_report_entries, describe_image_usage_reports,
    describe_launch_permission,
};
use kiln_plugin::{Duration, During, Failure, Instant, count};

use crate::config::Config;

/// The types of resources that a report must tell of.
pub(crate) const TYPES: [&str; 2] = ["ec2:Instance", "ec2:LaunchTemplate"];

/// Looks at what other accounts do.
pub(crate) struct Others<'a> {
    config: &'a Config,
    now: Instant,
    /// The images of which a report is missing: the run can let EC2 make it.
    pub(crate) missing: Vec<String>,
    pub(crate) looked: usize,
}

/// What a report, or the want of one, says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nobody uses it.
    Nobody,
    /// It stays for this reason.
    Stays(String),
    /// It stays for this reason, and a new report would tell.
    Missing(String),
}

impl<'a> Others<'a> {
    pub(crate) fn new(config: &'a Config, now: Instant) -> Self {
        Self { config, now, missing: Vec::new(), looked: 0 }
    }

    /// Why an image stays for what other accounts do with it. One that nobody else may launch is used by nobody else: what was launched
    /// from it before needs it no more.
    pub(crate) fn reason(&mut self, image: &Image) -> Result<Option<String>, Failure> {
        if image.state == "disabled" {
            return Ok(None);
        }
        let request = DescribeLaunchPermissionRequest { image: image.id.clone() };
        let granted = describe_launch_permission(&request).during(format!("seeing who may launch {}", image.id))?;
        let is_private = granted.accounts.is_empty() && granted.organizations.is_empty() && !granted.everybody;
        if is_private && !image.is_public {
            return Ok(None);
        }
        self.looked += 1;
        let request = DescribeImageUsageReportsRequest { images: vec![image.id.clone()] };
        let reports = describe_image_usage_reports(&request).during(format!("reading who uses {}", image.id))?.reports;
        let newest = newest(&reports);
        let entries = match newest {
            Some(report) => {
                let request = DescribeImageUsageReportEntriesRequest { reports: vec![report.id.clone()] };
                describe_image_usage_report_entries(&request)
                    .during(format!("reading the report {}", report.id))?
                    .entries
            }
            None => Vec::new(),
        };
        let pending = reports.iter().any(|report| report.state == "pending");
        Ok(match judge(newest, &entries, &image.owner, self.config.report_within, self.now) {
            Said::Nobody => None,
            Said::Stays(reason) => Some(reason),
            Said::Missing(reason) if pending => Some(format!("{reason}; one is being made")),
            Said::Missing(reason) => {
                self.missing.push(image.id.clone());
                let hint =
                    if self.config.report { "this run lets one be made" } else { "`report = true` lets one be made" };
                Some(format!("{reason}; {hint}"))
            }
        })
    }
}

/// The newest report that is there and tells of all accounts and of all types.
fn newest(reports: &[UsageReport]) -> Option<&UsageReport> {
    let tells = |report: &&UsageReport| {
        let all = TYPES.iter().all(|wanted| report.resource_types.iter().any(|told| told == wanted));
        report.state == "available" && report.accounts.is_empty() && all
    };
    reports.iter().filter(tells).max_by_key(|report| report.created)
}

/// What the newest report says, where there is one.
pub(crate) fn judge(
    newest: Option<&UsageReport>,
    entries: &[UsageEntry],
    owner: &str,
    within: Duration,
    now: Instant,
) -> Said {
    let Some(report) = newest else {
        return Said::Missing("other accounts may launch it, and no report tells what they do".to_owned());
    };
    let Some(created) = report.created.map(Instant) else {
        return Said::Missing(
            "other accounts may launch it, and nobody knows how old the report of their use is".to_owned(),
        );
    };
    let mut accounts: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.account != owner && entry.count > 0) {
        *accounts.entry(entry.account.as_str()).or_default() += entry.count;
    }
    // An old report that tells of use tells enough.
    if let Some((account, used)) = accounts.iter().next() {
        let others = match accounts.len() - 1 {
            0 => String::new(),
            more => format!(" and {}", count(more, "other account")),
        };
        let things = if *used == 1 { "1 resource".to_owned() } else { count(*used, "resource") };
        return Said::Stays(format!("account {account} has {things} of it{others}, as of {}", created.date()));
    }
    match now.millis_since(created) > within.as_millis() {
        true => Said::Missing(format!(
            "other accounts may launch it, and the report of their use is of {}, older than {within}",
            created.date()
        )),
        false => Said::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::NOW;

    const DAY: u64 = 86_400_000;

    fn report(id: &str, days: u64) -> UsageReport {
        UsageReport {
            id: id.to_owned(),
            image: "ami-1".to_owned(),
            state: "available".to_owned(),
            reason: None,
            resource_types: TYPES.iter().map(|each| (*each).to_owned()).collect(),
            accounts: Vec::new(),
            created: Some((1000 - days) * DAY),
        }
    }

    fn entry(account: &str, count: u64) -> UsageEntry {
        UsageEntry {
            report: "r".to_owned(),
            image: "ami-1".to_owned(),
            account: account.to_owned(),
            resource_type: "ec2:Instance".to_owned(),
            count,
        }
    }

    fn said(newest: Option<&UsageReport>, entries: &[UsageEntry]) -> Said {
        judge(newest, entries, "111111111111", Duration::from_secs(7 * 86_400), NOW)
    }

    #[test]
    fn the_newest_report_that_tells_all_counts() {
        let partial = UsageReport { resource_types: vec!["ec2:Instance".to_owned()], ..report("partial", 1) };
        let narrow = UsageReport { accounts: vec!["2".to_owned()], ..report("narrow", 1) };
        let pending = UsageReport { state: "pending".to_owned(), ..report("pending", 0) };
        let odd = UsageReport { state: "daydreaming".to_owned(), ..report("odd", 0) };
        let reports = [report("old", 20), partial, narrow, pending, odd, report("new", 3)];
        assert_eq!(newest(&reports).map(|report| report.id.as_str()), Some("new"));
        assert_eq!(newest(&reports[1..5]), None);
    }

    #[test]
    fn use_by_others_keeps_an_image_and_so_does_the_want_of_a_report() {
        assert_eq!(said(Some(&report("r", 2)), &[]), Said::Nobody);
        assert_eq!(said(Some(&report("r", 2)), &[entry("111111111111", 4)]), Said::Nobody, "its own");
        let used = said(Some(&report("r", 2)), &[entry("222222222222", 1)]);
        assert_eq!(used, Said::Stays("account 222222222222 has 1 resource of it, as of 1972-09-25".to_owned()));
        let old = said(Some(&report("r", 20)), &[entry("222222222222", 2), entry("333333333333", 1)]);
        let expected = "account 222222222222 has 2 resources of it and 1 other account, as of 1972-09-07";
        assert_eq!(old, Said::Stays(expected.to_owned()), "an old one that tells of use tells enough");
        let missing =
            |said: Said, words: &str| assert!(matches!(&said, Said::Missing(told) if told.contains(words)), "{said:?}");
        missing(said(None, &[]), "no report tells what they do");
        missing(said(Some(&report("r", 8)), &[]), "older than 7d");
        missing(said(Some(&UsageReport { created: None, ..report("r", 0) }), &[]), "nobody knows how old");
    }
}
