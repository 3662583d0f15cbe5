//! Waits until each part of an image was scanned, and starts the scans that are ours to start.
//! The main function is [`await_scans`].

use kiln_gate::never_scanned;
use kiln_plugin::aws::ecr::{
    DescribeImageScanFindingsRequest, DescribeImageScanFindingsResponse, ImageId, StartImageScanRequest,
    describe_image_scan_findings, start_image_scan,
};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{During, Failure, Look, PinnedImage, log, poll, poll_within};

use crate::parts::Part;
use crate::scan::{self, Step};
use crate::{Config, ScanType};

/// A part and what its scan found.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) part: Part,
    pub(crate) found: DescribeImageScanFindingsResponse,
}

/// A part and how far its scan has come.
struct Awaited {
    part: Part,
    started: bool,
    began: bool,
    waits_for_inspector: bool,
    found: Option<DescribeImageScanFindingsResponse>,
}

/// Look until all scans are over. What was not scanned when time is over was never scanned, and that is no pass.
pub(crate) fn await_scans(
    image: &PinnedImage,
    parts: Vec<Part>,
    config: &Config,
    enhanced: bool,
) -> Result<Vec<Scanned>, Failure> {
    let mut awaited: Vec<Awaited> = parts
        .into_iter()
        .map(|part| Awaited { part, started: false, began: false, waits_for_inspector: enhanced, found: None })
        .collect();
    let subject = format!("the scan of {}", image.brief());
    let look = || {
        let (mut first, mut open) = (None, 0);
        // Each in every round: no part waits for another before its scan is started.
        for one in awaited.iter_mut().filter(|one| one.found.is_none()) {
            if let Some(waiting) = one.look(config.scan_type)? {
                open += 1;
                first = first.or(Some(waiting));
            }
        }
        let all = awaited.len();
        Ok(match first {
            None => Look::Done(()),
            Some(waiting) if all == 1 => Look::waiting(waiting),
            Some(waiting) => Look::counted(waiting, (all - open) as u32, all as u32),
        })
    };
    let ended = match config.timeout {
        Some(limit) => poll_within(limit, config.poll, &subject, look),
        None => poll(config.poll, &subject, look),
    };
    if let Err(failure) = ended {
        let unseen: Vec<String> = awaited.iter().filter(|one| !one.began).map(|one| one.part.brief()).collect();
        return Err(if unseen.is_empty() { failure } else { never_scanned(&unseen, scan::NEVER, failure) });
    }
    let scanned = |one: Awaited| one.found.map(|found| Scanned { part: one.part, found });
    let scanned: Vec<Scanned> = awaited.into_iter().filter_map(scanned).collect();
    Ok(scanned)
}

impl Awaited {
    /// Look once. Answers what it waits for; none where its scan is over.
    fn look(&mut self, scan_type: ScanType) -> Result<Option<String>, Failure> {
        let brief = self.part.brief();
        let of_it = match &self.part.platform {
            Some(platform) => format!("{platform}: "),
            None => String::new(),
        };
        let Some(found) = findings(&self.part.image).during(format!("looking at the scan of {brief}"))? else {
            if self.waits_for_inspector {
                return Ok(Some(format!("{of_it}waiting for Inspector to begin its scan")));
            }
            if !self.started {
                self.started = true;
                self.waits_for_inspector = begin(&self.part, scan_type)?;
            }
            return Ok(Some(format!("{of_it}the scan was started")));
        };
        self.began = true;
        match scan::step(&brief, scan_type, &found)? {
            Step::Over => {
                self.found = Some(found);
                Ok(None)
            }
            Step::Wait => Ok(Some(format!("{of_it}scan: {}", found.status))),
        }
    }
}

/// Start a basic scan. Answers whether Inspector scans the repository, so that there is nothing to start.
fn begin(part: &Part, scan_type: ScanType) -> Result<bool, Failure> {
    let image = &part.image;
    let request = StartImageScanRequest { repository: image.repository.name.clone(), image: by_digest(image) };
    match start_image_scan(&request) {
        Ok(response) => {
            log::info(format!("started a scan of {} ({})", part.brief(), response.status));
            Ok(false)
        }
        // One scan a day and image: a result of this day exists or is on its way.
        Err(error) if error.kind == ErrorKind::Limit || error.code == "LimitExceededException" => {
            log::info("the image was scanned within a day already: waiting for that result");
            Ok(false)
        }
        Err(error) if error.code == "UnsupportedImageTypeException" => {
            Err(scan::unsupported(&part.brief(), Some(&error.message)))
        }
        // Where the registry is set to enhanced scanning, ECR refuses to start a scan.
        Err(error) if error.kind == ErrorKind::Invalid && scan_type == ScanType::Auto => {
            log::info(format!("ECR starts no scan ({}): waiting for Inspector", error.message));
            Ok(true)
        }
        Err(error) => Err(error).during(format!("starting a scan of {}", part.brief())),
    }
}

/// The scan of an image; none where there never was one.
pub(crate) fn findings(image: &PinnedImage) -> Result<Option<DescribeImageScanFindingsResponse>, Error> {
    let request =
        DescribeImageScanFindingsRequest { repository: image.repository.name.clone(), image: by_digest(image) };
    match describe_image_scan_findings(&request) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == "ScanNotFoundException" => Ok(None),
        Err(error) => Err(error),
    }
}

fn by_digest(image: &PinnedImage) -> ImageId {
    ImageId { digest: Some(image.digest.clone()), tag: None }
}
