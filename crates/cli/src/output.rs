//! Standard output and standard error. Whoever reads them may stop reading: that ends the text, not the command.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes a result.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::model(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a message for the user; a standard error that is closed has no reader to miss it.
pub(crate) fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
