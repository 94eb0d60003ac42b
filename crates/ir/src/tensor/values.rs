//! Numbers in memory.

use memmap2::{MmapMut, MmapOptions};
use std::ops::{Deref, DerefMut};

/// So many numbers or more are asked of the system itself.
const MANY: usize = 1 << 20;

/// `f32` numbers in memory, in the machine's byte order.
///
/// Many of them lie in memory that is asked of the system itself, in pages of megabytes where it has such: in pages of
/// kilobytes, it takes longer to get the memory for the weights of a large network than to compute with them.
pub struct Values(Memory);

enum Memory {
    Heap(Vec<f32>),
    System(MmapMut),
}

impl Values {
    /// So many zeros.
    pub fn zeros(count: usize) -> Self {
        let system = || {
            let memory = MmapOptions::new().len(4 * count).map_anon().ok()?;
            // Smaller pages do as well, only more slowly.
            #[cfg(target_os = "linux")]
            memory.advise(memmap2::Advice::HugePage).ok();
            Some(memory)
        };
        match (count >= MANY).then(system).flatten() {
            Some(memory) => Self(Memory::System(memory)),
            None => Self(Memory::Heap(vec![0.0; count])),
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self(Memory::Heap(values))
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Heap(values) => values,
            Memory::System(memory) => bytemuck::cast_slice(memory),
        }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Memory::Heap(values) => values,
            Memory::System(memory) => bytemuck::cast_slice_mut(memory),
        }
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} numbers", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_zeros_that_can_be_written() {
        for count in [0, 1, MANY - 1, MANY, MANY + 3] {
            let mut values = Values::zeros(count);
            assert_eq!(values.len(), count);
            assert!(values.iter().all(|&value| value == 0.0));
            values
                .iter_mut()
                .enumerate()
                .for_each(|(i, value)| *value = i as f32);
            assert!(values.iter().enumerate().all(|(i, &value)| value == i as f32));
        }
        assert_eq!(*Values::from(vec![1.5, -2.0]), [1.5, -2.0]);
    }
}
