//! Knowledge transfer: a trained network gets a new end, and learns another task from what it knows.
//!
//! [`transfer`] does to a graph what DL4J's `TransferLearning.Builder` does to a network: layers are cut off, resized,
//! put in place of others or added at the end, the front is frozen, and training starts anew with an optimiser of its own.
//! Parameters that stay are the source's, untouched; new ones are initialised by the schemes of DL4J, from a
//! seed. [`split`] cuts the frozen bottom off, so that its outputs can be computed once.

mod block;
mod error;
mod initialise;
mod layers;
mod layout;
mod notation;
mod output;
mod rebuild;
mod resize;
mod soften;
mod split;
mod training;

pub use block::{Block, Function, Head};
pub use error::TransferError;
pub use notation::{block, clipping, head, schedule, scheme, updater};
pub use soften::soften;
pub use split::{Halves, split};

use caribou_ir::{Clipping, Graph, LearningRate, Scheme, Training, Updater};
use initialise::Initialiser;
use layers::Layers;

/// What is done to a network before it learns another task. Names are those of the source's layers, globs match them
/// whole. The steps are done in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Surgery {
    /// Layers with another number of units or filters; those that read them are initialised anew, for their new inputs.
    pub resize: Vec<(String, usize)>,
    /// The layer behind which everything is cut off.
    pub remove_after: Option<String>,
    /// New layers in place of the dense ones that end the network.
    pub replace_output: Vec<Replacement>,
    /// What is added at the end, in this order.
    pub append: Vec<Block>,
    /// Layers that are frozen together with all that they depend on.
    pub freeze_through: Vec<String>,
    /// Layers that are frozen, as globs.
    pub freeze: Vec<String>,
    /// The optimiser of the layers that learn; that of the source where absent.
    pub updater: Option<Updater>,
    /// The learning rate by the number of steps, in place of the updater's.
    pub schedule: Option<LearningRate>,
    /// DL4J's factor of the L2 penalty of the kernels of layers that learn.
    pub l2: Option<f64>,
    /// What is done to gradients.
    pub clipping: Option<Clipping>,
    /// How new parameters are initialised.
    pub scheme: Scheme,
    /// The seed of the new parameters.
    pub seed: u64,
}

/// A new end for one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// The output, by name; not needed where there is one only.
    pub output: Option<String>,
    /// What it becomes.
    pub head: Head,
}

/// A parameter that is not the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Its layer.
    pub layer: String,
    /// Its role, such as `weight`.
    pub role: String,
    /// Its shape, as the graph has it.
    pub shape: Vec<usize>,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Layers that do not learn, in the order of the network.
    pub frozen: Vec<String>,
    /// Layers that are no longer there.
    pub removed: Vec<String>,
    /// Layers that were not there before.
    pub added: Vec<String>,
    /// Parameters that were initialised.
    pub initialised: Vec<New>,
}

/// A network that is ready to learn another task.
#[derive(Debug, Clone)]
pub struct Transferred {
    /// The network.
    pub graph: Graph,
    /// How it is to be trained; without an optimiser's state, which starts anew.
    pub training: Training,
    /// What was done.
    pub report: TransferReport,
}

/// Makes a trained network ready to learn another task.
///
/// # Errors
/// When a name matches no layer, a layer can't be treated as asked, or the network no longer fits together.
pub fn transfer(
    graph: &Graph,
    training: Option<&Training>,
    surgery: &Surgery,
) -> Result<Transferred, TransferError> {
    let before = Layers::of(graph);
    let mut training = training.cloned().unwrap_or_default();
    let mut report = TransferReport::default();
    let mut initialiser = Initialiser::new(surgery.scheme, surgery.seed);
    let frozen = layers::frozen(graph, &before, surgery)?;

    let mut graph = resize::resize(graph, &surgery.resize, &mut initialiser)?;
    if let Some(layer) = &surgery.remove_after {
        graph = output::cut(&graph, layer, &mut training)?;
    }
    for replacement in &surgery.replace_output {
        graph = output::replace(&graph, replacement, &mut training, &mut initialiser)?;
    }
    for block in &surgery.append {
        graph = block::append(&graph, block, &mut training, &mut initialiser)?;
    }
    rebuild::all_inputs_read(&graph)?;

    let after = Layers::of(&graph);
    report.removed = before.without(&after);
    report.added = after.without(&before);
    report.initialised = initialiser.into_new();
    report.frozen = after
        .names()
        .filter(|name| frozen.contains(*name))
        .map(str::to_owned)
        .collect();
    training::set(&mut training, &graph, surgery, &report)?;
    Ok(Transferred {
        graph,
        training,
        report,
    })
}
