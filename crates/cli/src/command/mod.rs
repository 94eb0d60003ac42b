//! The commands, one file each.

pub(crate) mod clip;
pub(crate) mod convert;
pub(crate) mod inspect;
pub(crate) mod optimize;
pub(crate) mod prune;
pub(crate) mod quantize;
pub(crate) mod run;
mod selected;
pub(crate) mod sensitivity;
pub(crate) mod simplify;
pub(crate) mod soften;
pub(crate) mod structured;
pub(crate) mod transfer;
pub(crate) mod verify;
pub(crate) mod words;
