//! LZF, the compression that h5py brings along: literal runs, and copies of what was written before.
//!
//! A control byte below 32 is followed by that many bytes plus one. Any other holds a length in its upper three bits
//! (seven: one more byte is added) and, with the byte after it, how far back the copy begins. The format is that of
//! Marc Lehmann's LibLZF.

/// Decodes `packed` to at most `limit` bytes; `None` when it is damaged, or longer.
pub(super) fn decode(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = packed.iter().copied();
    while let Some(control) = bytes.next() {
        if control < 32 {
            let run = usize::from(control) + 1;
            if bytes.len() < run || out.len() + run > limit {
                return None;
            }
            out.extend(bytes.by_ref().take(run));
            continue;
        }
        let mut length = usize::from(control >> 5);
        if length == 7 {
            length += usize::from(bytes.next()?);
        }
        let length = length + 2;
        let back = (usize::from(control & 31) << 8) + usize::from(bytes.next()?) + 1;
        let start = out.len().checked_sub(back)?;
        if out.len() + length > limit {
            return None;
        }
        // The copy may run into what it has just written.
        for at in start..start + length {
            out.push(out[at]);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn runs_and_overlapping_copies_are_decoded() {
        let packed = [2, b'a', b'b', b'c', 0b010_00000, 2, 0xe0, 3, 0];
        assert_eq!(decode(&packed, 64).unwrap(), b"abcabcaaaaaaaaaaaaa".to_vec());
    }

    #[test]
    fn damage_and_excess_are_noticed() {
        assert_eq!(decode(&[5, b'a'], 64), None, "a run that ends early");
        assert_eq!(
            decode(&[0, b'a', 0x20, 9], 64),
            None,
            "a copy from before the start"
        );
        assert_eq!(decode(&[0, b'a', 0xe0], 64), None, "a copy without its length");
        assert_eq!(
            decode(&[0, b'a', 0xe0, 250, 0], 64),
            None,
            "more than was promised"
        );
    }
}
