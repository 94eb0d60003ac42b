//! Protobuf's binary form: decoded from the map, so that weights stay where they are, and with the place of a damage.

use crate::schema;
use bytes::Bytes;
use caribou_ir::Source;
use memmap2::Mmap;
use prost_reflect::{Kind, MessageDescriptor};
use std::sync::Arc;

/// The bytes of a mapped file as protobuf's decoder takes them: fields of bytes are parts of the map.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a file that holds one message `tensorflow.<name>`.
///
/// # Errors
/// When it is none, with the place where that shows.
pub(crate) fn decode<M: prost::Message + Default>(source: &Source, name: &str) -> Result<M, String> {
    let bytes = Bytes::from_owner(Mapped(Arc::clone(source.map())));
    M::decode(bytes).map_err(|error| match damage(source.bytes(), name) {
        Some((offset, path)) => {
            format!("byte {offset}, in {path}: the file is damaged or incomplete ({error})")
        }
        None => error.to_string(),
    })
}

/// Messages deeper than this are not gone into, as the decoder does not.
const DEEPEST: usize = 100;

/// The byte at which `bytes` stop being a message `tensorflow.<name>`, and the fields that it lies in.
fn damage(bytes: &[u8], name: &str) -> Option<(usize, String)> {
    let descriptor = schema::descriptor(name)?;
    let mut walk = Walk {
        bytes,
        path: vec![name.to_owned()],
    };
    let offset = walk.message(0, bytes.len(), &descriptor).err()?;
    Some((offset, walk.path.join(".")))
}

struct Walk<'a> {
    bytes: &'a [u8],
    path: Vec<String>,
}

impl Walk<'_> {
    /// Goes over the message at `at..end`; the error is the offset of the first byte that does not fit.
    fn message(&mut self, mut at: usize, end: usize, descriptor: &MessageDescriptor) -> Result<(), usize> {
        while at < end {
            let start = at;
            let key = self.varint(&mut at, end).ok_or(start)?;
            let (number, wire) = (u32::try_from(key >> 3).map_err(|_| start)?, key & 7);
            let field = descriptor.get_field(number);
            let begin = at;
            let content = match wire {
                0 => self.varint(&mut at, end).map(|_| begin..at).ok_or(start)?,
                1 => begin..begin + 8,
                5 => begin..begin + 4,
                2 => {
                    let length = self.varint(&mut at, end).ok_or(start)?;
                    let length = usize::try_from(length).map_err(|_| start)?;
                    at..at.checked_add(length).ok_or(start)?
                }
                _ => return Err(start),
            };
            let Some(field) = field else {
                if content.end > end || number == 0 {
                    return Err(start);
                }
                at = content.end;
                continue;
            };
            self.path.push(field.name().to_owned());
            let kind = field.kind();
            let fits = match (&kind, wire) {
                (Kind::Message(_) | Kind::String | Kind::Bytes, wire) => wire == 2,
                (_, 2) => field.is_list(),
                (Kind::Float | Kind::Fixed32, wire) => wire == 5,
                (Kind::Double, wire) => wire == 1,
                (_, wire) => wire == 0,
            };
            if !fits || content.end > end {
                return Err(start);
            }
            match kind {
                Kind::Message(inner) if self.path.len() < DEEPEST => {
                    self.message(content.start, content.end, &inner)?;
                }
                Kind::Message(_) => return Err(start),
                Kind::String if std::str::from_utf8(&self.bytes[content.clone()]).is_err() => {
                    return Err(start);
                }
                _ => {}
            }
            self.path.pop();
            at = content.end;
        }
        Ok(())
    }

    fn varint(&self, at: &mut usize, end: usize) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(*at).filter(|_| *at < end)?;
            *at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::damage;

    #[test]
    fn damage_has_its_place() {
        let whole = b"\x0a\x09\x0a\x01x\x12\x04Relu";
        assert_eq!(damage(whole, "GraphDef"), None);
        assert_eq!(damage(&whole[..9], "GraphDef"), Some((0, "GraphDef.node".into())));
        let inner = b"\x0a\x09\x0a\x01x\x12\x05Relu";
        assert_eq!(damage(inner, "GraphDef"), Some((5, "GraphDef.node.op".into())));
    }
}
