use super::*;
use crate::schema::tensor_shape_proto::Dim;
use crate::schema::tensor_slice_proto::Extent;
use crate::schema::{DataType, TensorSliceProto};
use std::path::Path;

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A block whose keys leave out what they share with the one before.
fn block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut last): (Vec<u8>, &[u8]) = (Vec::new(), &[]);
    for (key, value) in entries {
        let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
        bytes.extend([varint(shared), varint(key.len() - shared), varint(value.len())].concat());
        bytes.extend([&key[shared..], value].concat());
        last = key;
    }
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes
}

/// A table of one block.
fn table(content: &[u8], compressed: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |content: Vec<u8>, kind: u8| {
        let place = [varint(bytes.len()), varint(content.len())].concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&content), &[kind]);
        bytes.extend(content);
        bytes.push(kind);
        bytes.extend(table::masked(crc).to_le_bytes());
        place
    };
    let first = match compressed {
        true => add(snap::raw::Encoder::new().compress_vec(content).unwrap(), 1),
        false => add(content.to_vec(), 0),
    };
    let meta = add(block(&[]), 0);
    let index = add(block(&[(b"zz".to_vec(), first)]), 0);
    let mut footer = [meta, index].concat();
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    bytes.extend(footer);
    bytes
}

fn shape(sizes: &[i64]) -> TensorShapeProto {
    TensorShapeProto {
        dim: sizes
            .iter()
            .map(|&size| Dim {
                size,
                ..Dim::default()
            })
            .collect(),
        unknown_rank: false,
    }
}

fn entry(sizes: &[i64], bytes: &[u8], offset: i64) -> BundleEntryProto {
    BundleEntryProto {
        dtype: DataType::DtFloat as i32,
        shape: Some(shape(sizes)),
        offset,
        size: bytes.len() as i64,
        crc32c: table::masked(crc32c::crc32c(bytes)),
        ..BundleEntryProto::default()
    }
}

fn header(endianness: i32) -> (Vec<u8>, Vec<u8>) {
    let header = BundleHeaderProto {
        num_shards: 1,
        endianness,
    };
    (Vec::new(), header.encode_to_vec())
}

fn open(directory: &Path, index: &[u8], data: &[u8]) -> Result<Bundle, String> {
    std::fs::write(directory.join("v.index"), index).unwrap();
    std::fs::write(directory.join("v.data-00000-of-00001"), data).unwrap();
    Bundle::open(
        &Source::open(directory.join("v.index")).unwrap(),
        &Limits::default(),
    )
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn tensors_are_read_in_both_byte_orders_and_from_compressed_blocks() {
    let directory = tempfile::tempdir().unwrap();
    for (endianness, compressed) in [(0, false), (0, true), (1, true)] {
        let data: Vec<u8> = [1.5f32, -2.0, 3.0]
            .iter()
            .flat_map(|value| match endianness {
                0 => value.to_le_bytes(),
                _ => value.to_be_bytes(),
            })
            .collect();
        let content = block(&[
            header(endianness),
            (b"dense/bias".to_vec(), entry(&[2], &data[..8], 0).encode_to_vec()),
            (
                b"dense/kernel".to_vec(),
                entry(&[1], &data[8..], 8).encode_to_vec(),
            ),
        ]);
        let bundle = open(directory.path(), &table(&content, compressed), &data).unwrap();
        assert_eq!(
            bundle.tensor("dense/bias", None).unwrap().to_vec().unwrap(),
            [1.5, -2.0]
        );
        assert_eq!(
            bundle.tensor("dense/kernel", None).unwrap().to_vec().unwrap(),
            [3.0]
        );
        assert!(
            bundle
                .tensor("dense", None)
                .unwrap_err()
                .contains("no tensor dense")
        );
    }
}

#[test]
fn tensors_in_parts_are_put_together() {
    let directory = tempfile::tempdir().unwrap();
    let data = floats(&[0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
    let part = |start| TensorSliceProto {
        extent: vec![Extent::default(), Extent { start, length: 2 }],
    };
    let whole = BundleEntryProto {
        slices: vec![part(0), part(2)],
        ..entry(&[2, 4], &[], 0)
    };
    let mut entries = vec![
        header(0),
        (b"w".to_vec(), whole.encode_to_vec()),
        (
            slice::key("w", &part(0)),
            entry(&[2, 2], &data[..16], 0).encode_to_vec(),
        ),
        (
            slice::key("w", &part(2)),
            entry(&[2, 2], &data[16..], 16).encode_to_vec(),
        ),
    ];
    entries.sort();
    let bundle = open(directory.path(), &table(&block(&entries), false), &data).unwrap();
    let whole = bundle.tensor("w", None).unwrap();
    assert_eq!(whole.to_vec().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let right = Slice::parse("2 4 -:2,2").unwrap();
    assert_eq!(
        bundle.tensor("w", right.as_ref()).unwrap().to_vec().unwrap(),
        [2.0, 3.0, 6.0, 7.0]
    );
    let middle = Slice::parse("2 4 -:1,2").unwrap();
    assert_eq!(
        bundle.tensor("w", middle.as_ref()).unwrap().to_vec().unwrap(),
        [1.0, 2.0, 5.0, 6.0]
    );
    assert_eq!(bundle.part("w", 1), right);
}

#[test]
fn what_is_damaged_or_missing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let data = floats(&[1.0, 2.0]);
    let of = |entry: BundleEntryProto| {
        table(
            &block(&[header(0), (b"w".to_vec(), entry.encode_to_vec())]),
            false,
        )
    };
    let read = |index: &[u8], data: &[u8]| {
        let bundle = open(directory.path(), index, data)?;
        bundle.tensor("w", None).map(|_| ())
    };
    let good = of(entry(&[2], &data, 0));
    assert_eq!(read(&good, &data), Ok(()));
    assert!(
        read(&good, &floats(&[1.0, 3.0]))
            .unwrap_err()
            .contains("checksum of w is wrong")
    );
    assert!(read(&good, &data[..7]).unwrap_err().contains("the file has 7"));
    let mut wrong = good.clone();
    wrong[3] ^= 1;
    assert!(
        read(&wrong, &data)
            .unwrap_err()
            .contains("byte 0: the checksum of a block")
    );
    assert!(read(&good[1..], &data).is_err());
    let shard = BundleEntryProto {
        shard_id: 3,
        ..entry(&[2], &data, 0)
    };
    assert!(read(&of(shard), &data).unwrap_err().contains("no such shard"));
    assert!(read(&of(entry(&[3], &data, 0)), &data).is_err());
    assert!(read(&of(entry(&[-1], &data, 0)), &data).is_err());
    assert!(read(&of(entry(&[i64::MAX, 8], &data, 0)), &data).is_err());
    assert!(read(&of(entry(&[2], &data, -4)), &data).is_err());
    let old = table(&block(&[(Vec::new(), vec![0x0a, 0])]), false);
    assert!(read(&old, &data).unwrap_err().contains("first format (V1)"));
    assert!(
        read(&table(&block(&[]), false), &data)
            .unwrap_err()
            .contains("no header")
    );
    std::fs::remove_file(directory.path().join("v.data-00000-of-00001")).unwrap();
    std::fs::write(directory.path().join("v.index"), &good).unwrap();
    let bundle = Bundle::open(
        &Source::open(directory.path().join("v.index")).unwrap(),
        &Limits::default(),
    )
    .unwrap();
    assert!(bundle.tensor("w", None).unwrap_err().contains("can't be opened"));
}

#[test]
fn damage_behind_right_checksums_is_refused_or_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let data = floats(&[1.0, 2.0]);
    let entries: Vec<(Vec<u8>, Vec<u8>)> = std::iter::once(header(0))
        .chain((0..6).map(|i| {
            (
                format!("layer/{i}").into_bytes(),
                entry(&[2], &data, 0).encode_to_vec(),
            )
        }))
        .collect();
    let content = block(&entries);
    for at in 0..content.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = content.clone();
            damaged[at] ^= flip;
            for compressed in [false, true] {
                let Ok(bundle) = open(directory.path(), &table(&damaged, compressed), &data) else {
                    continue;
                };
                for key in bundle.entries.keys() {
                    let _ = bundle.tensor(&String::from_utf8_lossy(key), None);
                }
            }
        }
        let _ = open(directory.path(), &table(&content[..at], false), &data);
    }
}
