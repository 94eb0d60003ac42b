//! How a command ends when it does not succeed.

use crate::output::complain;
use caribou_ir::{Findings, ReadError, WriteError};
use caribou_optimize::OptimizeError;
use std::path::Path;

/// Why a command did not succeed.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The models differ.
    Differ(String),
    /// The command was called wrongly.
    Usage(String),
    /// The model can't be read or expressed.
    Model {
        message: String,
        help: String,
        findings: Findings,
    },
}

impl Failure {
    pub(crate) fn model(message: impl Into<String>) -> Self {
        Self::Model {
            message: message.into(),
            help: String::new(),
            findings: Findings::new(),
        }
    }

    /// What it says, in one line.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Differ(message) | Self::Usage(message) | Self::Model { message, .. } => message,
        }
    }

    /// All findings of a refusal.
    pub(crate) fn refused(path: &Path, findings: Findings) -> Self {
        let message = format!("{}: the model can't be expressed", path.display());
        Self::Model {
            message,
            help: String::new(),
            findings,
        }
    }

    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::model(format!("{}: {error}", path.display()))
    }

    pub(crate) fn read(error: ReadError) -> Self {
        match error {
            ReadError::Refused { path, findings, .. } => Self::refused(&path, findings),
            ReadError::Format { path, message, help } => Self::Model {
                message: format!("{}: {message}", path.display()),
                help,
                findings: Findings::new(),
            },
            other => Self::model(other.to_string()),
        }
    }

    /// A pass that could not be done: a wrong option is the user's, the rest is the model's.
    pub(crate) fn optimize(error: OptimizeError) -> Self {
        match error {
            OptimizeError::Option { .. } => Self::Usage(error.to_string()),
            error => Self::model(error.to_string()),
        }
    }

    pub(crate) fn write(path: &Path, error: WriteError) -> Self {
        match error {
            WriteError::Refused(findings) => Self::refused(path, findings),
            other => Self::model(format!("{}: {other}", path.display())),
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Differ(_) => 1,
            Self::Usage(_) => 2,
            Self::Model { .. } => 3,
        }
    }

    pub(crate) fn findings(&self) -> Findings {
        match self {
            Self::Model { findings, .. } => findings.clone(),
            _ => Findings::new(),
        }
    }

    pub(crate) fn print(&self) {
        match self {
            Self::Differ(message) | Self::Usage(message) => complain(format_args!("error: {message}")),
            Self::Model {
                message,
                help,
                findings,
            } => {
                for finding in findings {
                    complain(finding);
                }
                complain(format_args!("error: {message}"));
                if !help.is_empty() {
                    complain(format_args!("  help: {help}"));
                }
            }
        }
    }
}

impl From<OptimizeError> for Failure {
    fn from(error: OptimizeError) -> Self {
        Self::optimize(error)
    }
}
