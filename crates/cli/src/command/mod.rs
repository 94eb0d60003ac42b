//! The commands, one file each.

pub(crate) mod convert;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod simplify;
pub(crate) mod soften;
pub(crate) mod transfer;
pub(crate) mod verify;
pub(crate) mod words;
