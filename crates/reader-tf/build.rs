//! Makes Rust types and a descriptor set of `proto/tensorflow.proto`, with a parser in Rust: no `protoc` is needed.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = Path::new("proto/tensorflow.proto");
    println!("cargo::rerun-if-changed={}", proto.display());
    let descriptors = protobuf_parse::Parser::new()
        .pure()
        .include("proto")
        .input(proto)
        .file_descriptor_set()?;
    let bytes = protobuf::Message::write_to_bytes(&descriptors)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("tensorflow.descriptors"), &bytes)?;
    let descriptors = prost::Message::decode(bytes.as_slice())?;
    // Weights stay where they are in the mapped file: a `Bytes` is a part of it.
    prost_build::Config::new()
        .bytes([".tensorflow.TensorProto.tensor_content"])
        .compile_fds(descriptors)?;
    Ok(())
}
