//! Copies what a repository lacks: layers in parts, then manifests.
//! The main type is [`Copying`].

use kiln_plugin::aws::ecr::{PutImageRequest, put_image};
use kiln_plugin::aws::ecr_layers::{CopyLayerPartRequest, copy_layer_part};
use kiln_plugin::aws::ecr_promote::{CompleteLayerRequest, StartLayerRequest, complete_layer, start_layer};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{During, Failure, progress};

use crate::target::Lack;
use crate::tree::Item;

/// A layer is begun anew so often, where ECR has forgotten its upload.
const BEGUN: u32 = 3;

/// A copy under way.
pub(crate) struct Copying<'a> {
    /// The repository that it goes to.
    pub(crate) repository: &'a str,
    /// The environment and the repository that it comes from.
    pub(crate) environment: &'a str,
    pub(crate) source: &'a str,
    /// The layers and bytes that are copied, and those in all.
    done: (usize, u64),
    all: (usize, u64),
}

impl<'a> Copying<'a> {
    pub(crate) fn new(repository: &'a str, environment: &'a str, source: &'a str) -> Self {
        Self { repository, environment, source, done: (0, 0), all: (0, 0) }
    }

    /// Copy all of it. `tag` is for the image itself, of which this is the digest.
    pub(crate) fn run(mut self, lack: &Lack<'_>, image: &str, tag: Option<&str>) -> Result<u64, Failure> {
        self.all = lack.layers();
        for (item, layers) in &lack.items {
            for (digest, size) in layers {
                self.layer(item, digest, *size)?;
            }
            let tag = if item.digest == image { tag } else { item.tag.as_deref() };
            put(self.repository, item, tag)?;
        }
        Ok(self.done.1)
    }

    fn layer(&mut self, item: &Item, digest: &str, size: u64) -> Result<(), Failure> {
        let what = format!("copying the layer {} of {}@{}", brief(digest), self.source, brief(&item.digest));
        let mut begun = 1;
        loop {
            match self.upload(digest, size) {
                Ok(()) => break,
                // ECR forgets uploads that nobody goes on with: a run that rested for long begins the layer anew.
                Err(error) if error.kind == ErrorKind::NotFound && error.code.contains("Upload") && begun < BEGUN => {
                    begun += 1;
                }
                Err(error) => return Err(error).during(what),
            }
        }
        self.done.0 += 1;
        self.done.1 += size;
        Ok(())
    }

    fn upload(&self, digest: &str, size: u64) -> Result<(), Error> {
        let (repository, digest) = (self.repository.to_owned(), digest.to_owned());
        let start = StartLayerRequest { repository: repository.clone(), digest: digest.clone() };
        let upload = start_layer(&start)?;
        for (first, last) in ranges(size, upload.part_size) {
            self.report(&digest, first);
            copy_layer_part(&CopyLayerPartRequest {
                repository: repository.clone(),
                upload_id: upload.upload_id.clone(),
                digest: digest.clone(),
                first,
                last,
                source_environment: Some(self.environment.to_owned()),
                source_repository: self.source.to_owned(),
            })?;
        }
        complete_layer(&CompleteLayerRequest { repository, upload_id: upload.upload_id, digest }).map(|_| ())
    }

    fn report(&self, digest: &str, within: u64) {
        let (layers, bytes) = self.all;
        let copied = self.done.1 + within;
        progress::report(&progress::Status {
            message: format!("layer {}: {} of {} copied", brief(digest), size(copied), size(bytes)),
            done: u32::try_from(self.done.0).ok(),
            total: u32::try_from(layers).ok(),
        });
    }
}

/// Put a manifest, whose layers are all there. With a tag that it has already nothing changes.
pub(crate) fn put(repository: &str, item: &Item, tag: Option<&str>) -> Result<(), Failure> {
    let request = PutImageRequest {
        repository: repository.to_owned(),
        manifest: item.manifest.clone(),
        media_type: item.media_type.clone(),
        tag: tag.map(str::to_owned),
    };
    let put = put_image(&request).during(format!("putting {repository}@{}", brief(&item.digest)))?;
    match put.id.digest {
        Some(digest) if digest == item.digest => Ok(()),
        other => Err(Failure::failed(format!(
            "what came to {repository} has the digest {}, and not {}",
            other.unwrap_or_default(),
            item.digest
        ))),
    }
}

/// The parts of something of `size` bytes, from and to, both included.
fn ranges(size: u64, part: u64) -> impl Iterator<Item = (u64, u64)> {
    let part = part.max(1);
    (0..size.div_ceil(part)).map(move |index| (index * part, ((index + 1) * part).min(size) - 1))
}

/// A digest's first 12 hexadecimal digits, for people.
pub(crate) fn brief(digest: &str) -> &str {
    digest.get(7..19).unwrap_or(digest)
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    if bytes < MEBI { format!("{} KiB", bytes.div_ceil(1024)) } else { format!("{} MiB", bytes / MEBI) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_parts_without_gaps() {
        assert_eq!(ranges(10, 4).collect::<Vec<_>>(), [(0, 3), (4, 7), (8, 9)]);
        assert_eq!(ranges(8, 4).collect::<Vec<_>>(), [(0, 3), (4, 7)]);
        assert_eq!(ranges(3, 4).collect::<Vec<_>>(), [(0, 2)]);
        assert_eq!(ranges(0, 4).count(), 0);
    }
}
