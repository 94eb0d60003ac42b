//! The messages of `proto/tensorflow.proto` as Rust types, and their descriptors for the text format.

// The fields are described where they are declared.
#![allow(missing_docs, dead_code, clippy::all)]

use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::sync::OnceLock;

include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));

/// The descriptor of `tensorflow.<name>`; `None` only if the build made no such message.
pub(crate) fn descriptor(name: &str) -> Option<MessageDescriptor> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tensorflow.descriptors"));
        DescriptorPool::decode(bytes).ok()
    });
    pool.as_ref()?.get_message_by_name(&format!("tensorflow.{name}"))
}
