//! Sorted tables in the format of LevelDB: blocks of entries whose keys leave out what they share with the one before, each
//! block with a checksum, found by an index block, which the end of the file points to.

use caribou_ir::Limits;
use std::borrow::Cow;

/// The last eight bytes of a table.
const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();
/// Bytes of the end of the file that say where the index is.
const FOOTER: usize = 48;
/// Bytes behind a block: how it is compressed, and its checksum.
const TRAILER: usize = 5;

/// The checksum that is stored for bytes with the CRC-32C `crc`: rotated, so that checksums of checksums are as good.
pub(super) fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Whether a file ends as tables do.
pub(crate) fn is_table(bytes: &[u8]) -> bool {
    bytes.len() >= FOOTER && bytes.ends_with(&MAGIC)
}

/// Calls `entry` with every key and value of a table, in order.
///
/// # Errors
/// When the table is damaged, with the place, or is larger than the limits allow.
pub(super) fn read(
    bytes: &[u8],
    limits: &Limits,
    mut entry: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    if !is_table(bytes) {
        return Err("it does not end as a table of LevelDB does".into());
    }
    let footer = bytes.len() - FOOTER;
    let mut at = footer;
    let damaged = || format!("byte {footer}: the end of the table is damaged");
    // Where the block of other information is comes first.
    handle(bytes, &mut at).ok_or_else(damaged)?;
    let (offset, size) = handle(bytes, &mut at).ok_or_else(damaged)?;
    let mut budget = Budget {
        inflated: limits.inflated_bytes,
        keys: limits.text_bytes,
    };
    let index = block(bytes, offset, size, &mut budget)?;
    let mut blocks = Vec::new();
    entries(&index, offset, &mut budget, |_, value| {
        let place = handle(value, &mut 0)
            .ok_or_else(|| format!("byte {offset}: the index of the table is damaged"))?;
        blocks.push(place);
        Ok(())
    })?;
    for (offset, size) in blocks {
        let content = block(bytes, offset, size, &mut budget)?;
        entries(&content, offset, &mut budget, &mut entry)?;
    }
    Ok(())
}

/// What may still be allocated.
struct Budget {
    inflated: u64,
    keys: usize,
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    varint(bytes, at).and_then(|value| usize::try_from(value).ok())
}

/// Where a block is: offset and size.
fn handle(bytes: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    Some((length(bytes, at)?, length(bytes, at)?))
}

/// The content of a block, after its checksum was found right.
fn block<'b>(
    bytes: &'b [u8],
    offset: usize,
    size: usize,
    budget: &mut Budget,
) -> Result<Cow<'b, [u8]>, String> {
    let outside = || format!("byte {offset}: a block of {size} bytes does not lie within the file");
    let end = offset.checked_add(size).ok_or_else(outside)?;
    let content = bytes.get(offset..end).ok_or_else(outside)?;
    let trailer = end
        .checked_add(TRAILER)
        .and_then(|last| bytes.get(end..last))
        .ok_or_else(outside)?;
    let &[kind, a, b, c, d] = trailer else {
        return Err(outside());
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c(content), &[kind]);
    if masked(crc) != u32::from_le_bytes([a, b, c, d]) {
        return Err(format!("byte {offset}: the checksum of a block is wrong"));
    }
    match kind {
        0 => Ok(Cow::Borrowed(content)),
        1 => {
            let damaged =
                |error: snap::Error| format!("byte {offset}: a compressed block is damaged ({error})");
            let inflated = snap::raw::decompress_len(content).map_err(damaged)? as u64;
            // No input makes more than 22 times as much: the longest copy, of 64 bytes, takes three.
            if inflated > content.len() as u64 * 32 || inflated > budget.inflated {
                return Err(format!(
                    "byte {offset}: a compressed block claims {inflated} bytes"
                ));
            }
            budget.inflated -= inflated;
            snap::raw::Decoder::new()
                .decompress_vec(content)
                .map(Cow::Owned)
                .map_err(damaged)
        }
        kind => Err(format!(
            "byte {offset}: a block is compressed in a way that is not known ({kind})"
        )),
    }
}

/// Goes over the entries of a block.
fn entries(
    block: &[u8],
    offset: usize,
    budget: &mut Budget,
    mut entry: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let damaged = || format!("byte {offset}: the entries of a block are damaged");
    let (rest, count) = block.split_last_chunk::<4>().ok_or_else(damaged)?;
    let restarts = usize::try_from(u32::from_le_bytes(*count)).map_err(|_| damaged())?;
    let end = restarts
        .checked_mul(4)
        .and_then(|restarts| rest.len().checked_sub(restarts))
        .ok_or_else(damaged)?;
    let content = &rest[..end];
    let mut key = Vec::new();
    let mut at = 0;
    while at < content.len() {
        let (shared, unshared, size) = (|| {
            Some((
                length(content, &mut at)?,
                length(content, &mut at)?,
                length(content, &mut at)?,
            ))
        })()
        .ok_or_else(damaged)?;
        let middle = at.checked_add(unshared).ok_or_else(damaged)?;
        let end = middle.checked_add(size).ok_or_else(damaged)?;
        let (Some(suffix), Some(value), true) = (
            content.get(at..middle),
            content.get(middle..end),
            shared <= key.len(),
        ) else {
            return Err(damaged());
        };
        key.truncate(shared);
        key.extend_from_slice(suffix);
        budget.keys = budget
            .keys
            .checked_sub(key.len())
            .ok_or("the names in the table are longer than the limit (--limit text-bytes=NUMBER)")?;
        entry(&key, value)?;
        at = end;
    }
    Ok(())
}
