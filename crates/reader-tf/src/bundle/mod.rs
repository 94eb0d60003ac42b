//! Tensor bundles, the form of checkpoints: a table of what there is ([`table`]), and shards of bytes. Tensors are read from
//! the map of their shard; their checksums are compared once, when they are asked for.

mod slice;
mod stitched;
mod table;
#[cfg(test)]
mod tests;

use crate::literal;
use crate::schema::{BundleEntryProto, BundleHeaderProto, TensorShapeProto, TrackableObjectGraph};
use caribou_ir::{Endian, Limits, Source, Tensor, TensorData};
use prost::Message;
pub(crate) use slice::Slice;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use stitched::{Part, Stitched};
pub(crate) use table::is_table;

/// The most shards of a bundle.
const SHARDS: i32 = 100_000;
/// The key of what a checkpoint of objects says of itself.
const OBJECT_GRAPH: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

/// A checkpoint that is open.
pub(crate) struct Bundle {
    index: Source,
    entries: BTreeMap<Vec<u8>, BundleEntryProto>,
    endian: Endian,
    shards: Vec<OnceLock<Result<Source, String>>>,
    limits: Limits,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({} entries)", self.entries.len())
    }
}

impl Bundle {
    /// Opens the checkpoint whose index `index` is; its shards are files of the same name beside it.
    ///
    /// # Errors
    /// When the index is damaged, or is that of a checkpoint of TensorFlow before 0.12.
    pub(crate) fn open(index: &Source, limits: &Limits) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        let mut header = None;
        table::read(index.bytes(), limits, |key, value| {
            if key.is_empty() {
                // The first field of the old format is a message, that of a bundle's header a number.
                if value.first() == Some(&0x0a) {
                    return Err("it is a checkpoint of the first format (V1), of TensorFlow before 0.12, which is not read; \
                                save it again with tf.compat.v1.train.Saver"
                        .into());
                }
                let read = BundleHeaderProto::decode(value)
                    .map_err(|error| format!("the header of the checkpoint is damaged ({error})"))?;
                header = Some(read);
                return Ok(());
            }
            let entry = BundleEntryProto::decode(value).map_err(|error| {
                format!(
                    "the entry {} of the checkpoint is damaged ({error})",
                    String::from_utf8_lossy(key)
                )
            })?;
            entries.insert(key.to_vec(), entry);
            match entries.len() > limits.nodes {
                true => Err(format!("the checkpoint has more than {} entries", limits.nodes)),
                false => Ok(()),
            }
        })?;
        let header = header.ok_or("the table has no header: it is not the index of a checkpoint")?;
        if !(1..=SHARDS).contains(&header.num_shards) {
            return Err(format!("the checkpoint claims {} shards", header.num_shards));
        }
        Ok(Self {
            index: index.clone(),
            entries,
            endian: match header.endianness {
                0 => Endian::Little,
                _ => Endian::Big,
            },
            shards: (0..header.num_shards).map(|_| OnceLock::new()).collect(),
            limits: limits.clone(),
        })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key.as_bytes())
    }

    /// The tensor called `key`, or a part of it.
    ///
    /// # Errors
    /// When there is none, when its shard is missing, or when its bytes are not those that were saved.
    pub(crate) fn tensor(&self, key: &str, part: Option<&Slice>) -> Result<Tensor, String> {
        let entry = self
            .entries
            .get(key.as_bytes())
            .ok_or_else(|| format!("the checkpoint has no tensor {key}"))?;
        let shape = self.shape(entry, key)?;
        if let Some(part) = part
            && let Some(proto) = entry
                .slices
                .iter()
                .find(|proto| Slice::of(proto, &shape).as_ref() == Some(part))
        {
            return self.whole(self.slice(key, proto)?, &part.sizes(), key);
        }
        let tensor = match entry.slices.is_empty() {
            true => self.whole(entry, &shape, key)?,
            false => self.stitched(entry, &shape, key)?,
        };
        let Some(part) = part else {
            return Ok(tensor);
        };
        if part.0.len() != shape.len() {
            return Err(format!(
                "{key} has {} axes, a part of {} is asked for",
                shape.len(),
                part.0.len()
            ));
        }
        let axes = part.0.iter().enumerate();
        axes.into_iter()
            .try_fold(tensor, |tensor, (axis, &(start, length))| {
                tensor
                    .narrow(axis, start, start + length)
                    .map_err(|error| format!("{key}: {error}"))
            })
    }

    /// The part of `key` that is `number`, in their order along the axes.
    pub(crate) fn part(&self, key: &str, number: usize) -> Option<Slice> {
        let entry = self.entries.get(key.as_bytes())?;
        let shape = self.shape(entry, key).ok()?;
        let mut parts: Vec<Slice> = entry
            .slices
            .iter()
            .filter_map(|proto| Slice::of(proto, &shape))
            .collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        parts.get(number).cloned()
    }

    /// The entry of a part of `key`.
    fn slice(&self, key: &str, proto: &crate::schema::TensorSliceProto) -> Result<&BundleEntryProto, String> {
        let stored = self.entries.get(&slice::key(key, proto));
        stored.ok_or_else(|| format!("the checkpoint lacks a part of {key}"))
    }

    fn shape(&self, entry: &BundleEntryProto, key: &str) -> Result<Vec<usize>, String> {
        let unknown = TensorShapeProto::default();
        let dims = &entry.shape.as_ref().unwrap_or(&unknown).dim;
        if dims.len() > self.limits.rank {
            return Err(format!(
                "{key} has {} axes, the limit is {}",
                dims.len(),
                self.limits.rank
            ));
        }
        dims.iter()
            .map(|dim| {
                usize::try_from(dim.size).map_err(|_| format!("{key} has an axis of size {}", dim.size))
            })
            .collect()
    }

    /// The bytes of an entry, where they lie.
    fn bytes(&self, entry: &BundleEntryProto, key: &str) -> Result<(Source, std::ops::Range<usize>), String> {
        let slot = usize::try_from(entry.shard_id)
            .ok()
            .and_then(|shard| self.shards.get(shard))
            .ok_or_else(|| {
                format!(
                    "{key} lies in shard {}, and there is no such shard",
                    entry.shard_id
                )
            })?;
        let shard = slot.get_or_init(|| {
            let name = format!(".data-{:05}-of-{:05}", entry.shard_id, self.shards.len());
            self.index
                .sibling(".index", &name)
                .map_err(|error| format!("the shard {name} of the checkpoint can't be opened: {error}"))
        });
        let shard = shard.clone()?;
        let range = (|| {
            let start = usize::try_from(entry.offset).ok()?;
            let end = start.checked_add(usize::try_from(entry.size).ok()?)?;
            (end <= shard.bytes().len()).then_some(start..end)
        })();
        let range = range.ok_or_else(|| {
            format!(
                "{key} is said to lie at byte {} of {}, {} bytes long, and the file has {}",
                entry.offset,
                shard.path().display(),
                entry.size,
                shard.bytes().len()
            )
        })?;
        Ok((shard, range))
    }

    /// The same for numbers, after their checksum was found right.
    fn checked(
        &self,
        entry: &BundleEntryProto,
        key: &str,
    ) -> Result<(Source, std::ops::Range<usize>), String> {
        let (shard, range) = self.bytes(entry, key)?;
        let bytes = shard.bytes().get(range.clone()).unwrap_or_default();
        if table::masked(crc32c::crc32c(bytes)) != entry.crc32c {
            return Err(format!(
                "the checksum of {key} is wrong: {} is damaged at byte {} to {}",
                shard.path().display(),
                range.start,
                range.end
            ));
        }
        Ok((shard, range))
    }

    fn whole(&self, entry: &BundleEntryProto, shape: &[usize], key: &str) -> Result<Tensor, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{key}: {error}");
        let dtype = literal::dtype(entry.dtype()).ok_or_else(|| {
            wrong(&format!(
                "tensors of type {} are not read",
                entry.dtype().as_str_name()
            ))
        })?;
        let (shard, range) = self.checked(entry, key)?;
        let data = TensorData::mapped(Arc::clone(shard.map()), range).map_err(|error| wrong(&error))?;
        Tensor::new(shape, dtype, self.endian, data).map_err(|error| wrong(&error))
    }

    /// A tensor that was saved in parts.
    fn stitched(&self, entry: &BundleEntryProto, shape: &[usize], key: &str) -> Result<Tensor, String> {
        let dtype = literal::dtype(entry.dtype()).ok_or_else(|| {
            format!(
                "{key}: tensors of type {} are not read",
                entry.dtype().as_str_name()
            )
        })?;
        let mut parts = Vec::new();
        for proto in &entry.slices {
            let slice =
                Slice::of(proto, shape).ok_or_else(|| format!("a part of {key} does not lie within it"))?;
            let stored = self.slice(key, proto)?;
            let (shard, range) = self.checked(stored, key)?;
            if stored.dtype() != entry.dtype() {
                return Err(format!("the parts of {key} have other types than itself"));
            }
            parts.push(Part {
                slice,
                map: Arc::clone(shard.map()),
                range,
            });
        }
        let stitched = Stitched::new(shape, dtype, parts, self.limits.inflated_bytes)
            .map_err(|error| format!("{key}: {error}"))?;
        Tensor::new(
            shape,
            dtype,
            self.endian,
            TensorData::Deferred(Arc::new(stitched)),
        )
        .map_err(|error| format!("{key}: {error}"))
    }

    /// The keys of variables by their own names, in a checkpoint of objects. Names that several have are left out.
    pub(crate) fn names(&self) -> HashMap<String, String> {
        let graph = self.entries.get(OBJECT_GRAPH.as_bytes());
        let graph = graph.and_then(|entry| self.string(entry).ok());
        let graph = graph.and_then(|bytes| TrackableObjectGraph::decode(bytes.as_slice()).ok());
        let mut keys = HashMap::new();
        let mut twice = Vec::new();
        for attribute in graph
            .iter()
            .flat_map(|graph| &graph.nodes)
            .flat_map(|node| &node.attributes)
        {
            if attribute.full_name.is_empty() {
                continue;
            }
            let key = attribute.checkpoint_key.clone();
            if keys
                .insert(attribute.full_name.clone(), key.clone())
                .is_some_and(|other| other != key)
            {
                twice.push(attribute.full_name.clone());
            }
        }
        for name in twice {
            keys.remove(&name);
        }
        keys
    }

    /// A single string: its length, the checksum of that, its bytes.
    fn string(&self, entry: &BundleEntryProto) -> Result<Vec<u8>, String> {
        let (shard, range) = self.bytes(entry, OBJECT_GRAPH)?;
        let bytes = shard.bytes().get(range).unwrap_or_default();
        let damaged = || "what the checkpoint says of its objects is damaged".to_owned();
        let digits = bytes
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .filter(|&at| at < 5)
            .ok_or_else(damaged)?;
        let length = bytes[..=digits]
            .iter()
            .rev()
            .fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
        let rest = bytes.get(digits + 1..).ok_or_else(damaged)?;
        let (sum, text) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::try_from(length).map_err(|_| damaged())?;
        let crc = crc32c::crc32c(&length.to_le_bytes());
        let whole = crc32c::crc32c_append(crc32c::crc32c_append(crc, sum), text);
        if text.len() != length as usize
            || table::masked(crc) != u32::from_le_bytes(*sum)
            || table::masked(whole) != entry.crc32c
        {
            return Err(damaged());
        }
        Ok(text.to_vec())
    }
}
