//! Files that are written: beside their final name, and under it only when they are complete.

use crate::failure::Failure;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in the making.
pub(crate) struct Destination {
    path: PathBuf,
    replace: bool,
    file: NamedTempFile,
}

impl Destination {
    /// Begins the file that will be called `path`. `inputs` are files that it must not replace.
    ///
    /// # Errors
    /// Before anything is written: when the file exists and `replace` is not set, is one of the inputs or no regular
    /// file, or when its directory is missing or not writable. All are matters of usage.
    pub(crate) fn create(path: &Path, replace: bool, inputs: &[&Path]) -> Result<Self, Failure> {
        let usage = |message: String| Failure::Usage(format!("{}: {message}", path.display()));
        inputs.iter().try_for_each(|input| distinct(path, input))?;
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(usage("it is a directory; give the name of a file".into()));
            }
            Ok(metadata) if !metadata.is_file() => return Err(usage("it is no regular file".into())),
            Ok(_) if !replace => return Err(usage("it exists; give --force to replace it".into())),
            _ => {}
        }
        let directory = directory(path);
        if !directory.is_dir() {
            return Err(usage(format!("there is no directory {}", directory.display())));
        }
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // As any new file: the umask takes away what it takes away.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .prefix(".caribou-")
            .tempfile_in(directory)
            .map_err(|error| usage(format!("its directory can't be written to: {error}")))?;
        Ok(Self {
            path: path.to_path_buf(),
            replace,
            file,
        })
    }

    /// Where the bytes are until the file is complete.
    pub(crate) fn temporary(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its name.
    pub(crate) fn complete(self) -> Result<(), Failure> {
        let Self { path, replace, file } = self;
        let renamed = if replace {
            file.persist(&path)
        } else {
            file.persist_noclobber(&path)
        };
        renamed
            .map(|_| ())
            .map_err(|error| Failure::io(&path, &error.error))
    }
}

/// Refuses an output that is an input.
pub(crate) fn distinct(output: &Path, input: &Path) -> Result<(), Failure> {
    if same(output, input) {
        let message = format!(
            "{}: it is an input ({}), and would be lost",
            output.display(),
            input.display()
        );
        return Err(Failure::Usage(message));
    }
    Ok(())
}

/// The directory of a file.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whether both name the same file, be it there or not yet.
fn same(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let directory = directory(path).canonicalize().ok()?;
            Some(directory.join(path.file_name()?))
        })
    };
    resolved(a).zip(resolved(b)).is_some_and(|(a, b)| a == b)
}
