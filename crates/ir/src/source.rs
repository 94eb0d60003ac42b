//! The bytes of a source file, mapped into memory.

use memmap2::Mmap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A file that the user named, mapped read-only: its pages belong to the file, not to this process.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    map: Arc<Mmap>,
    weights: Option<Box<Source>>,
    directory: Option<PathBuf>,
}

/// The files that stand for a directory that is named as a model.
const WITHIN: [&str; 2] = ["saved_model.pb", "saved_model.pbtxt"];

impl Source {
    /// Maps the file at `path`, or the `saved_model.pb` or `saved_model.pbtxt` in the directory at `path`.
    ///
    /// # Errors
    /// When it can't be opened, or is neither a regular file nor such a directory.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        if path.is_dir() {
            let within = WITHIN.iter().map(|name| path.join(name));
            let Some(file) = within.into_iter().find(|file| file.is_file()) else {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::IsADirectory,
                    "it is a directory, and no SavedModel: it holds neither saved_model.pb nor saved_model.pbtxt",
                ));
            };
            return Ok(Self {
                directory: Some(path),
                ..Self::open(file)?
            });
        }
        let file = File::open(&path)?;
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
            directory: None,
        })
    }

    /// The directory that the user named, where it was one.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Maps the file at a path below the directory that the user named.
    ///
    /// # Errors
    /// When no directory was named, when the path leads out of it, or when the file can't be opened.
    pub fn below(&self, relative: &str) -> std::io::Result<Self> {
        let plain = Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        match &self.directory {
            Some(directory) if plain => Self::open(directory.join(relative)),
            _ => Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                "only files below a directory that was named are opened",
            )),
        }
    }

    /// Maps a file that belongs to this one and has its name but for the end: `from` is replaced by `to`.
    ///
    /// # Errors
    /// When the name does not end so, when `to` leads to another directory, or when the file can't be opened.
    pub fn sibling(&self, from: &str, to: &str) -> std::io::Result<Self> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        match name.and_then(|name| name.strip_suffix(from)) {
            Some(stem) if !to.contains(['/', '\\']) => {
                Self::open(self.path.with_file_name(format!("{stem}{to}")))
            }
            _ => Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("its name does not end in {from}"),
            )),
        }
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
