//! A Python wheel that holds the binary and no Python, as ruff and uv do it: `pip install` puts it on the PATH of an environment.
//! The main type is [`Wheel`]. The format: packaging.python.org, "Binary distribution format" 1.0.

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::binary::Form;
use crate::error::TaskError;

/// The name of the distribution, as `pip install` takes it.
const NAME: &str = "kiln-aws";
/// The same in the names of files, where a hyphen divides.
const FILE_NAME: &str = "kiln_aws";

/// How the binary is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Small.
    Deflated,
    /// At once.
    Stored,
}

/// What a wheel is made of.
pub(super) struct Wheel<'a> {
    pub(super) version: &'a str,
    pub(super) binary: &'a [u8],
    pub(super) form: &'a Form,
}

impl Wheel<'_> {
    /// Write the wheel to a directory. The same binary makes the same file: no time is in it.
    pub(super) fn write(&self, directory: &Path, compression: Compression) -> Result<PathBuf, TaskError> {
        let path = directory.join(format!("{FILE_NAME}-{}-{}.whl", self.version, self.tags().join("-")));
        let made = self.archive(compression).map_err(|error| {
            TaskError::other(format!("cannot make {}: {error}", path.display()), "see what it says")
        })?;
        fs::create_dir_all(directory).map_err(TaskError::file("make", directory))?;
        let mut file = File::create(&path).map_err(TaskError::file("make", &path))?;
        file.write_all(&made).map_err(TaskError::file("write", &path))?;
        Ok(path)
    }

    /// Of every Python 3, whatever its ABI, on every Linux where the binary is static, on this one else.
    fn tags(&self) -> [String; 3] {
        let architecture = self.form.architecture;
        let platform = match self.form.is_static() {
            // What PyPI takes for "any Linux": of the GNU C library as of musl.
            true => format!("manylinux_2_17_{architecture}.manylinux2014_{architecture}.musllinux_1_1_{architecture}"),
            false => format!("linux_{architecture}"),
        };
        ["py3".to_owned(), "none".to_owned(), platform]
    }

    fn archive(&self, compression: Compression) -> zip::result::ZipResult<Vec<u8>> {
        let info = format!("{FILE_NAME}-{}.dist-info", self.version);
        let method = match compression {
            Compression::Deflated => CompressionMethod::Deflated,
            Compression::Stored => CompressionMethod::Stored,
        };
        // The earliest time that a zip file can name.
        let plain = SimpleFileOptions::default().compression_method(method).last_modified_time(DateTime::default());
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut record = String::new();
        let files: [(String, &[u8], u32); 4] = [
            (format!("{FILE_NAME}-{}.data/scripts/kiln", self.version), self.binary, 0o755),
            (format!("{info}/METADATA"), &self.metadata().into_bytes(), 0o644),
            (format!("{info}/WHEEL"), &self.wheel().into_bytes(), 0o644),
            (format!("{info}/licenses/LICENSE"), include_bytes!("../../../LICENSE"), 0o644),
        ];
        for (name, content, mode) in files {
            zip.start_file(&name, plain.unix_permissions(mode))?;
            zip.write_all(content)?;
            let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
            record.push_str(&format!("{name},sha256={digest},{}\n", content.len()));
        }
        let name = format!("{info}/RECORD");
        record.push_str(&format!("{name},,\n"));
        zip.start_file(&name, plain.unix_permissions(0o644))?;
        zip.write_all(record.as_bytes())?;
        Ok(zip.finish()?.into_inner())
    }

    fn metadata(&self) -> String {
        format!(
            "Metadata-Version: 2.4\n\
             Name: {NAME}\n\
             Version: {}\n\
             Summary: Takes software to AWS the immutable way: builds, scans, deploys, verifies, cleans up, and can be killed at any instant\n\
             License-Expression: Apache-2.0\n\
             License-File: LICENSE\n\
             Requires-Python: >=3.8\n\
             Classifier: Environment :: Console\n\
             Classifier: Operating System :: POSIX :: Linux\n\
             Classifier: Programming Language :: Rust\n\
             Description-Content-Type: text/markdown\n\
             \n\
             The command `kiln` as one binary; nothing of it is Python.\n\
             \n\
             `kiln --help` begins to teach it.\n",
            self.version
        )
    }

    fn wheel(&self) -> String {
        let [python, abi, platforms] = self.tags();
        let tags = platforms.split('.').map(|platform| format!("Tag: {python}-{abi}-{platform}\n"));
        format!(
            "Wheel-Version: 1.0\nGenerator: kiln {}\nRoot-Is-Purelib: false\n{}",
            self.version,
            tags.collect::<String>()
        )
    }
}
