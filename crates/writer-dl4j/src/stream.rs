//! Parameters on their way into the archive: one thread brings blocks into their order, the other writes them.

use crate::format::array::ArrayType;
use caribou_ir::{Code, Finding, Findings, Origin, Tensor, TensorError, WriteError};
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

/// A parameter that is no number.
const NOT_FINITE: Code = Code("D0202");

/// A parameter that the type of the archive has no number for.
pub(crate) const TOO_LARGE: Code = Code("D0204");

/// Blocks that wait to be written: together as many megabytes as a tensor is brought into another order at a time, so that
/// these are written meanwhile. They count against the memory that a conversion may use.
const WAITING: usize = 64;

/// The elements of tensors, each times a factor, as big-endian numbers of this type, rounded to the nearest.
///
/// # Errors
/// When a tensor can't be read or the sink not written to, and when elements are NaN or infinite, or larger than the type
/// holds: all layers that hold such are named.
pub(crate) fn stream<'t>(
    tensors: impl Iterator<Item = (&'t String, &'t Tensor, f32)> + Send,
    dtype: ArrayType,
    sink: &mut impl Write,
) -> Result<(), WriteError> {
    std::thread::scope(|scope| {
        let (full, blocks) = sync_channel(WAITING);
        let (written, free) = channel();
        let producer = scope.spawn(move || produce(tensors, dtype, &full, &free));
        let mut outcome = Ok(());
        // Blocks end when the producer is done, or, after an error, when nobody takes them any more.
        for block in &blocks {
            outcome = sink.write_all(&block);
            if outcome.is_err() {
                break;
            }
            written.send(block).ok();
        }
        drop(blocks);
        let produced = producer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome?;
        produced
    })
}

/// Why no more blocks are made.
enum Stop {
    Tensor(TensorError),
    /// The writer has failed, and tells why itself.
    NobodyWrites,
}

impl From<TensorError> for Stop {
    fn from(error: TensorError) -> Self {
        Self::Tensor(error)
    }
}

/// Makes the blocks of all tensors, in the buffers that come back from the writer.
fn produce<'t>(
    tensors: impl Iterator<Item = (&'t String, &'t Tensor, f32)>,
    dtype: ArrayType,
    full: &SyncSender<Vec<u8>>,
    free: &Receiver<Vec<u8>>,
) -> Result<(), WriteError> {
    let mut findings = Findings::new();
    for (layer, tensor, scale) in tensors {
        let (mut wrong, mut large) = (0, 0);
        let result = tensor.stream(|block| {
            if holds_none(block) {
                wrong += block.iter().filter(|value| !value.is_finite()).count();
            }
            let mut bytes = free.try_recv().unwrap_or_default();
            large += encode(block, scale, dtype, &mut bytes);
            full.send(bytes).map_err(|_| Stop::NobodyWrites)
        });
        match result {
            Ok(()) => {}
            Err(Stop::NobodyWrites) => return Ok(()),
            Err(Stop::Tensor(source)) => {
                return Err(WriteError::Tensor {
                    layer: layer.clone(),
                    source,
                });
            }
        }
        if wrong > 0 {
            let message = format!("its parameters hold {wrong} numbers that are NaN or infinite");
            let origin = Origin::new(layer.as_str(), "parameters");
            findings.push(Finding::error(NOT_FINITE, &origin, message));
        }
        if large > wrong {
            let name = dtype.name();
            let message = format!(
                "its parameters hold {} numbers that are too large for {name}",
                large - wrong
            );
            let origin = Origin::new(layer.as_str(), "parameters");
            findings.push(Finding::error(TOO_LARGE, &origin, message));
        }
    }
    if findings.has_errors() {
        return Err(WriteError::Refused(findings));
    }
    Ok(())
}

/// Whether one of the numbers is NaN or infinite: an exponent of ones, to which one more carries into the sign.
fn holds_none(block: &[f32]) -> bool {
    let (exponent, one) = (f32::INFINITY.to_bits(), f32::MIN_POSITIVE.to_bits());
    let carried = |all: u32, value: &f32| all | ((value.to_bits() & exponent) + one);
    block.iter().fold(0, carried) >> 31 == 1
}

/// The numbers times a factor as big-endian bytes, and how many of them are infinite or none then.
fn encode(block: &[f32], scale: f32, dtype: ArrayType, bytes: &mut Vec<u8>) -> usize {
    bytes.resize(dtype.size() * block.len(), 0);
    match dtype {
        ArrayType::Half => sixteen_bits(block, bytes, |value| {
            half::f16::from_f32(value * scale).to_be_bytes()
        }),
        ArrayType::Bfloat16 => sixteen_bits(block, bytes, |value| {
            half::bf16::from_f32(value * scale).to_be_bytes()
        }),
        ArrayType::Double => {
            for (element, value) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
                *element = f64::from(value * scale).to_be_bytes();
            }
            return 0;
        }
        ArrayType::Float => {
            for (element, value) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
                *element = (value * scale).to_be_bytes();
            }
            return 0;
        }
    }
    // An exponent of ones: infinite, or no number.
    let exponent = if dtype == ArrayType::Half { 0x7c00 } else { 0x7f80 };
    let none = |bytes: &&[u8; 2]| u16::from_be_bytes(**bytes) & exponent == exponent;
    bytes.as_chunks().0.iter().filter(none).count()
}

fn sixteen_bits(block: &[f32], bytes: &mut [u8], encode: impl Fn(f32) -> [u8; 2]) {
    for (element, &value) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
        *element = encode(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that takes so many bytes and no more.
    struct Short(usize);

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn parameters() -> Vec<(String, Tensor)> {
        let large = Tensor::filled(&[3, 1 << 20], 2.5);
        vec![("a".into(), Tensor::vector(&[1.0, -2.0])), ("b".into(), large)]
    }

    fn items(list: &[(String, Tensor)]) -> impl Iterator<Item = (&String, &Tensor, f32)> + Send {
        list.iter().map(|(layer, tensor)| (layer, tensor, 2.0))
    }

    #[test]
    fn elements_arrive_in_order_and_scaled() {
        let list = parameters();
        let mut bytes = Vec::new();
        stream(items(&list), ArrayType::Float, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 4 * (2 + (3 << 20)));
        assert_eq!(
            bytes[..8],
            [2.0f32.to_be_bytes(), (-4.0f32).to_be_bytes()].concat()
        );
        assert!(
            bytes[8..]
                .chunks_exact(4)
                .all(|element| element == 5.0f32.to_be_bytes())
        );
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_hang() {
        let list = parameters();
        for room in [0, 8, 5 << 20] {
            let error = stream(items(&list), ArrayType::Float, &mut Short(room)).unwrap_err();
            assert!(matches!(error, WriteError::Io(_)), "{error}");
        }
    }

    #[test]
    fn every_layer_with_a_number_that_is_none_is_named() {
        let list: Vec<(String, Tensor)> = [("a", f32::NAN), ("b", 1.0), ("c", f32::INFINITY)]
            .map(|(layer, value)| (layer.to_owned(), Tensor::vector(&[0.0, value])))
            .into();
        let WriteError::Refused(findings) =
            stream(items(&list), ArrayType::Float, &mut Vec::new()).unwrap_err()
        else {
            panic!("expected a refusal");
        };
        let layers: Vec<String> = findings
            .iter()
            .filter_map(|finding| Some(finding.origin.as_ref()?.layer.to_string()))
            .collect();
        assert_eq!(layers, ["a", "c"]);
    }

    #[test]
    fn numbers_are_rounded_to_sixteen_bits_and_refused_where_there_is_none() {
        let list = vec![("a".to_owned(), Tensor::vector(&[1.0, 0.1, -65_504.0]))];
        let mut bytes = Vec::new();
        let once = || list.iter().map(|(layer, tensor)| (layer, tensor, 1.0));
        stream(once(), ArrayType::Half, &mut bytes).unwrap();
        assert_eq!(bytes, [0x3c, 0x00, 0x2e, 0x66, 0xfb, 0xff]);
        bytes.clear();
        stream(once(), ArrayType::Bfloat16, &mut bytes).unwrap();
        assert_eq!(bytes, [0x3f, 0x80, 0x3d, 0xcd, 0xc7, 0x80]);
        let WriteError::Refused(findings) = stream(items(&list), ArrayType::Half, &mut bytes).unwrap_err()
        else {
            panic!("expected a refusal");
        };
        assert_eq!(findings.iter().next().unwrap().code, TOO_LARGE);
    }
}
