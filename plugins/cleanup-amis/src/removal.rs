//! Takes images down: the oldest first, each looked at again right before it goes.
//! The main type is [`Removal`].

use std::collections::BTreeMap;

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ec2::{
    CreateImageUsageReportRequest, DeleteSnapshotRequest, DeregisterImageRequest, DescribeImagesRequest,
    DisableImageRequest, EnableImageDeprecationRequest, Filter, Image, create_image_usage_report, delete_snapshot,
    deregister_image, describe_images, disable_image, enable_image_deprecation,
};
use kiln_plugin::aws::imagebuilder::{DeleteImageRequest, delete_image};
use kiln_plugin::{During, Failure, context, count, grouped, log, progress, timer};

use crate::config::{Config, Look, Outputs, Rung};
use crate::orphans::Orphan;
use crate::others::TYPES;
use crate::uses::named_now;
use crate::verdict::{Decision, Verdict, spared};

/// So many are looked at again together.
const BATCH: usize = 10;
/// So long before the stage's time is over nothing more is begun, in milliseconds: a tenth of what there was, but no longer than this.
const IN_TIME: u64 = 60_000;

/// Takes images down.
pub(crate) struct Removal<'a> {
    config: &'a Config,
    /// When nothing more is begun, in milliseconds since the Unix epoch.
    end: u64,
    total: usize,
    handled: usize,
    gone: Vec<String>,
    failures: Vec<String>,
    done: Outputs,
}

impl<'a> Removal<'a> {
    pub(crate) fn new(config: &'a Config, total: usize) -> Self {
        let (now, deadline) = (timer::now(), timer::deadline());
        let end = deadline.saturating_sub((deadline.saturating_sub(now) / 10).min(IN_TIME));
        let (gone, failures) = (Vec::new(), Vec::new());
        Self { config, end, total, handled: 0, gone, failures, done: Outputs::default() }
    }

    /// Do it all, and say how far it came where it does not come to the end.
    pub(crate) fn run(
        mut self,
        decisions: &[Decision],
        orphans: &[Orphan],
        missing: &[String],
    ) -> Result<Outputs, Failure> {
        let outcome = self.all(decisions, orphans, missing);
        self.done.images = few(&self.gone);
        match outcome {
            Err(failure) => Err(self.unfinished(failure)),
            Ok(()) if self.failures.is_empty() => Ok(self.done),
            Ok(()) => {
                let failed =
                    format!("{} of {} could not be done", grouped(self.failures.len()), count(self.total, "step"));
                Err(self.unfinished(
                    Failure::failed(failed).help("See why below. Running the stage again goes on with what is left."),
                ))
            }
        }
    }

    fn all(&mut self, decisions: &[Decision], orphans: &[Orphan], missing: &[String]) -> Result<(), Failure> {
        let going: Vec<&Decision> =
            decisions.iter().filter(|decision| matches!(decision.verdict, Verdict::To(_))).collect();
        for batch in going.chunks(BATCH) {
            self.in_time()?;
            let ids: Vec<String> = batch.iter().map(|decision| decision.id.clone()).collect();
            let (now, uses) = (look_again(&ids)?, named_now(self.config, &ids)?);
            for decision in batch {
                self.report();
                self.in_time()?;
                match spared(decision, now.get(&decision.id), &uses) {
                    Some(reason) => log::warn(format!("{} is kept: {reason}", decision.title())),
                    None => self.image(decision)?,
                }
                self.handled += 1;
            }
        }
        for orphan in orphans.iter().filter(|orphan| orphan.goes) {
            self.report();
            self.in_time()?;
            self.orphan(orphan)?;
            self.handled += 1;
        }
        for image in missing.iter().filter(|_| self.config.report) {
            self.report();
            self.in_time()?;
            self.usage_report(image)?;
            self.handled += 1;
        }
        Ok(())
    }

    fn image(&mut self, decision: &Decision) -> Result<(), Failure> {
        let Verdict::To(rung) = decision.verdict else { return Ok(()) };
        let (image, title) = (decision.id.clone(), decision.title());
        let (done, what) = match rung {
            Rung::Deprecate => {
                // The host says a little later than now: EC2 takes no time that is over.
                let request = EnableImageDeprecationRequest { image, at: timer::now() };
                (enable_image_deprecation(&request).map(|_| self.done.deprecated += 1), "deprecated")
            }
            Rung::Disable => {
                let request = DisableImageRequest { image };
                (disable_image(&request).map(|_| self.done.disabled += 1), "disabled")
            }
            Rung::Deregister => {
                let request = DeregisterImageRequest { image, delete_snapshots: self.config.snapshots };
                let deregistered = deregister_image(&request).map(|answer| {
                    self.done.deregistered += 1;
                    self.gone.push(decision.id.clone());
                    for deletion in answer.snapshots {
                        match deletion.code.as_str() {
                            "success" => self.done.snapshots += 1,
                            "skipped" => log::info(format!("{} stays: another image is made of it", deletion.snapshot)),
                            other => {
                                self.failures
                                    .push(format!("{} of {title} was not deleted: {other}", deletion.snapshot));
                            }
                        }
                    }
                });
                (deregistered, "deregistered")
            }
        };
        match done {
            Ok(()) => {
                log::info(format!("{what} {title}: {}", decision.reason));
                if rung == Rung::Deregister {
                    self.record(decision)?;
                }
            }
            // Somebody else was faster.
            Err(error) if error.kind == ErrorKind::NotFound || error.code == "InvalidAMIID.Unavailable" => {
                log::warn(format!("{title} is gone already"));
            }
            Err(error) if error.kind == ErrorKind::Conflict || error.code == "OperationNotPermitted" => {
                self.failures.push(format!("{title} could not be {what}: {}: {}", error.code, error.message));
            }
            Err(error) => return Err(error).during(format!("taking {title} down to {what}")),
        }
        Ok(())
    }

    /// Image Builder's own record of an image goes with its AMI, where it is one of this account and region: an AMI that was distributed
    /// has its record elsewhere.
    fn record(&mut self, decision: &Decision) -> Result<(), Failure> {
        let Some(record) = &decision.builder else { return Ok(()) };
        let context::Info { account, region, .. } = context::get();
        let is_here = record.contains(&format!(":imagebuilder:{region}:{account}:image/"));
        if !is_here || self.config.not_looked_at.contains(&Look::ImageBuilder) {
            return Ok(());
        }
        match delete_image(&DeleteImageRequest { image: record.clone() }) {
            Ok(_) => self.done.records += 1,
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) if error.kind == ErrorKind::Conflict => {
                log::warn(format!("Image Builder keeps its record {record}: {}", error.message));
            }
            Err(error) => return Err(error).during(format!("deleting Image Builder's record {record}")),
        }
        Ok(())
    }

    fn orphan(&mut self, orphan: &Orphan) -> Result<(), Failure> {
        match delete_snapshot(&DeleteSnapshotRequest { snapshot: orphan.id.clone() }) {
            Ok(_) => {
                self.done.snapshots += 1;
                log::info(format!("deleted {}: {}", orphan.id, orphan.reason));
            }
            Err(error) if error.kind == ErrorKind::NotFound => log::warn(format!("{} is gone already", orphan.id)),
            Err(error) if error.kind == ErrorKind::Conflict => {
                log::warn(format!("{} is kept: {}", orphan.id, error.message));
            }
            Err(error) => return Err(error).during(format!("deleting {}", orphan.id)),
        }
        Ok(())
    }

    fn usage_report(&mut self, image: &str) -> Result<(), Failure> {
        let resource_types = TYPES.iter().map(|each| (*each).to_owned()).collect();
        let request = CreateImageUsageReportRequest { image: image.to_owned(), resource_types };
        let report = create_image_usage_report(&request).during(format!("asking for a report of {image}"))?.report;
        self.done.reports += 1;
        log::info(format!("the report {report} will tell what other accounts do with {image}"));
        Ok(())
    }

    fn in_time(&self) -> Result<(), Failure> {
        if timer::now() <= self.end {
            return Ok(());
        }
        Err(Failure::timed_out("the stage's time is nearly over")
            .help("Run it again: it goes on with what is left. A longer `timeout` lets one run do more."))
    }

    fn report(&self) {
        progress::report(&progress::Status {
            message: "taking images out of use".to_owned(),
            done: u32::try_from(self.handled).ok(),
            total: u32::try_from(self.total).ok(),
        });
    }

    /// A failure that ends the stage before it was through: it says what was done.
    fn unfinished(&self, failure: Failure) -> Failure {
        let Outputs { deprecated, disabled, deregistered, snapshots, records, reports, .. } = &self.done;
        let done = [
            (*deprecated, "image", "deprecated"),
            (*disabled, "image", "disabled"),
            (*deregistered, "image", "deregistered"),
            (*snapshots, "snapshot", "deleted"),
            (*records, "record", "deleted"),
            (*reports, "report", "begun"),
        ];
        let told: Vec<String> = done
            .iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, noun, what)| format!("{} {what}", count(*number, noun)))
            .collect();
        let failure = match told.as_slice() {
            [] => failure.detail("nothing was changed"),
            told => failure.detail(format!("done before: {}", told.join(", "))),
        };
        let gone = self.done.images.as_str();
        let failure = if gone.is_empty() { failure } else { failure.detail(format!("deregistered: {gone}")) };
        failure.details(self.failures.clone())
    }
}

/// Images as they are now, by id, those that are disabled among them.
fn look_again(ids: &[String]) -> Result<BTreeMap<String, Image>, Failure> {
    let filter = Filter { name: "image-id".to_owned(), values: ids.to_vec() };
    let request = DescribeImagesRequest {
        ids: Vec::new(),
        owners: vec!["self".to_owned()],
        filters: vec![filter],
        include_disabled: true,
    };
    let images = describe_images(&request).during("looking at the images again")?.images;
    Ok(images.into_iter().map(|image| (image.id.clone(), image)).collect())
}

/// A few of many names: the first three and the last.
pub(crate) fn few(names: &[String]) -> String {
    match names {
        [first, second, third, .., last] if names.len() > 4 => format!("{first}, {second}, {third} … {last}"),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_and_the_last_are_told() {
        let names = |number: usize| few(&(1..=number).map(|each| format!("ami-{each}")).collect::<Vec<_>>());
        assert_eq!(names(0), "");
        assert_eq!(names(4), "ami-1, ami-2, ami-3, ami-4");
        assert_eq!(names(9), "ami-1, ami-2, ami-3 … ami-9");
    }
}
