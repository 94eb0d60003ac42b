//! The bytes of a source file, mapped into memory.

use memmap2::Mmap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that the user named, mapped read-only: its pages belong to the file, not to this process.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    map: Arc<Mmap>,
    weights: Option<Box<Source>>,
}

impl Source {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// When it can't be opened, or is not a regular file.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::IsADirectory,
                "it is a directory, not a file",
            ));
        }
        // SAFETY: the map is read-only and lives behind an `Arc` for as long as anything reads from it. A mapped
        // file that another process shortens meanwhile would end this process with SIGBUS, and one that is changed
        // would change under us; both need somebody to write into the model during its conversion, which every
        // reader of large files that maps them accepts, and no invariant of this crate rests on the bytes staying
        // the same: each read is checked against the range and decoded anew.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self {
            path,
            map: Arc::new(map),
            weights: None,
        })
    }

    /// The same source with its weights in a second file.
    pub fn with_weights(mut self, weights: Source) -> Self {
        self.weights = Some(Box::new(weights));
        self
    }

    /// Where the file is, in the user's words.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The map itself, for tensors that go on reading from it.
    pub fn map(&self) -> &Arc<Mmap> {
        &self.map
    }

    /// The second file with the weights, where the user named one.
    pub fn weights(&self) -> Option<&Source> {
        self.weights.as_deref()
    }
}
