//! `caribou transfer`.

use crate::archive::Job;
use crate::args::{Arguments, Convert, Ends, Target, not_negative};
use crate::command::convert;
use crate::failure::Failure;
use crate::formats::Opened;
use caribou_ir::{
    Clipping, Code, Confidence, Finding, Graph, Import, LearningRate, ReadError, ReadOptions, Reader, Scheme,
    Severity, Source, TrainingState, Updater,
};
use caribou_optimize::transfer::{
    self, Block, Replacement, Surgery, TransferError, TransferReport, Transferred,
};
use caribou_reader_dl4j::is_field;
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Layers that do not learn.
const FROZEN: Code = Code("I0110");
/// Layers that are no longer there, and new ones.
const CHANGED: Code = Code("I0111");
/// A parameter that is not the source's.
const INITIALISED: Code = Code("I0112");

#[derive(Args)]
pub(crate) struct Transfer {
    #[command(flatten)]
    pub(crate) convert: Convert,
    /// Freeze this layer and all that it depends on; may be given several times.
    #[arg(long, value_name = "LAYER")]
    freeze_through: Vec<String>,
    /// Freeze the layers whose names match (* and ?); may be given several times.
    #[arg(long, value_name = "GLOB")]
    freeze: Vec<String>,
    /// Put a new layer in place of the dense one, or of the convolution, that ends the network, with this many units or filters.
    /// Without a function, that of the old one stays.
    #[arg(long, value_name = "[OUTPUT=]N[:ACTIVATION[:LOSS]]", value_parser = replacement)]
    replace_output: Vec<Replacement>,
    /// Cut off what is behind this layer.
    #[arg(long, value_name = "LAYER")]
    remove_after: Option<String>,
    /// Add layers at the end: dense:N[:ACTIVATION], dropout:RATE, batchnorm, activation:NAME, globalpool:avg|max, flatten,
    /// output:N[:ACTIVATION[:LOSS]].
    #[arg(long, value_name = "BLOCK,…", value_delimiter = ',', value_parser = block)]
    append: Vec<Block>,
    /// Give a layer another number of units or filters. It and the layers that read it are initialised anew.
    #[arg(long, value_name = "LAYER=N", value_parser = resized)]
    resize: Vec<(String, usize)>,
    /// The optimizer: sgd, nesterovs, adam, amsgrad, adamax, nadam, rmsprop, adagrad or adadelta, with DL4J's constants where
    /// none are given.
    #[arg(long, value_name = "NAME[:lr=X,…]", value_parser = updater)]
    updater: Option<Updater>,
    /// The learning rate by the number of steps: step:initial=X,decay=X,step=N, exponential:initial=X,gamma=X,
    /// inverse:initial=X,gamma=X, poly:initial=X,power=X,steps=N (DL4J can't train beyond them), sigmoid:initial=X,gamma=X,step=N or
    /// map:0=X,N=X,….
    #[arg(long, value_name = "KIND:NAME=X,…", value_parser = schedule)]
    schedule: Option<LearningRate>,
    /// DL4J's factor of the L2 penalty of layers that learn.
    #[arg(long, value_name = "X", value_parser = not_negative)]
    l2: Option<f64>,
    /// Clip gradients: their norm for each parameter, or each element.
    #[arg(long, value_name = "norm:X|value:X", value_parser = clipping)]
    clip_gradients: Option<Clipping>,
    /// How new layers are initialised: xavier, relu or zero.
    #[arg(long, value_name = "SCHEME", default_value = "xavier", value_parser = scheme)]
    init: Scheme,
    /// The seed of new layers.
    #[arg(long, default_value_t = 12345)]
    seed: u64,
    /// Write two archives, the frozen front (OUT.bottom.zip) and what learns (OUT.head.zip): what the first gives can be
    /// computed once, and the second trained on that.
    #[arg(long)]
    featurize: bool,
}

fn told<T>(result: Result<T, TransferError>) -> Result<T, String> {
    result.map_err(|error| match error {
        // The option is named by whoever shows it.
        TransferError::Option { message, .. } => message,
        other => other.to_string(),
    })
}

fn replacement(text: &str) -> Result<Replacement, String> {
    let (output, head) = match text.rsplit_once('=') {
        Some((output, head)) => (Some(output.to_owned()), head),
        None => (None, text),
    };
    let head = told(transfer::head(head, "--replace-output"))?;
    Ok(Replacement { output, head })
}

fn block(text: &str) -> Result<Block, String> {
    told(transfer::block(text))
}

fn updater(text: &str) -> Result<Updater, String> {
    told(transfer::updater(text))
}

fn schedule(text: &str) -> Result<LearningRate, String> {
    told(transfer::schedule(text))
}

fn clipping(text: &str) -> Result<Clipping, String> {
    told(transfer::clipping(text))
}

fn scheme(text: &str) -> Result<Scheme, String> {
    told(transfer::scheme(text))
}

fn resized(text: &str) -> Result<(String, usize), String> {
    let (layer, units) = text.rsplit_once('=').ok_or("expected LAYER=N")?;
    match units.parse() {
        Ok(units) if units > 0 => Ok((layer.to_owned(), units)),
        _ => Err(format!("{units} is no number of units")),
    }
}

pub(crate) fn run(options: &Transfer, arguments: &Arguments) -> Result<(), Failure> {
    if options.convert.with_training_state {
        return Err(Failure::Usage(
            "--with-training-state: training starts anew after a transfer".into(),
        ));
    }
    let surgery = Surgery {
        resize: options.resize.clone(),
        remove_after: options.remove_after.clone(),
        replace_output: options.replace_output.clone(),
        append: options.append.clone(),
        freeze_through: options.freeze_through.clone(),
        freeze: options.freeze.clone(),
        updater: options.updater.clone(),
        schedule: options.schedule.clone(),
        l2: options.l2,
        clipping: options.clip_gradients,
        scheme: options.init,
        seed: options.seed,
    };
    let Convert {
        model,
        parts,
        target,
        unroll_recurrent,
        ..
    } = &options.convert;
    let write = |part: Part, target: &Target| {
        let surgery = |opened: Opened| Opened {
            source: opened.source,
            reader: Box::new(Transferring {
                reader: opened.reader,
                surgery: surgery.clone(),
                part,
            }),
        };
        convert::written(&Job {
            model,
            parts,
            target,
            unroll_recurrent: *unroll_recurrent,
            // What is left of it is the number of steps.
            with_training_state: true,
            surgery: Some(&surgery),
            repetitive: false,
            arguments,
        })
    };
    if !options.featurize {
        return write(Part::Whole, target);
    }
    let half = |name: &str| Target {
        ends: Ends::default(),
        out: None,
        output: beside(&target.output, name),
        report: target.report.as_deref().map(|path| beside(path, name)),
        ..*target
    };
    // The head is more likely to be refused: the bottom is written when it is there.
    write(Part::Head, &half("head"))?;
    write(Part::Bottom, &half("bottom"))
}

/// `OUT.head.zip` for `OUT.zip`.
fn beside(path: &Path, part: &str) -> PathBuf {
    let name = match path.extension() {
        Some(extension) => format!("{part}.{}", extension.to_string_lossy()),
        None => part.to_owned(),
    };
    path.with_extension(name)
}

/// What is written of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Bottom,
    Head,
}

/// A reader of networks that are made ready for another task.
struct Transferring {
    reader: Box<dyn Reader>,
    surgery: Surgery,
    part: Part,
}

impl Reader for Transferring {
    fn name(&self) -> &'static str {
        self.reader.name()
    }

    fn takes_weights(&self) -> bool {
        self.reader.takes_weights()
    }

    fn probe(&self, source: &Source) -> Confidence {
        self.reader.probe(source)
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let mut import = self.reader.read(source, options)?;
        if self.reader.name() != "dl4j"
            && let Some(training) = &mut import.training
        {
            // The steps so far are those of another framework.
            training.state = None;
        }
        let failed = |error: TransferError| ReadError::Format {
            path: source.path().to_path_buf(),
            message: error.to_string(),
            help: String::new(),
        };
        let Transferred {
            mut graph,
            mut training,
            report,
        } = transfer::transfer(&import.graph, import.training.as_ref(), &self.surgery).map_err(failed)?;
        let fields = fields(&import.graph);
        match self.part {
            Part::Whole => {}
            Part::Bottom => {
                graph = transfer::split(&graph, &training).map_err(failed)?.bottom;
                training.losses.clear();
            }
            Part::Head => {
                let halves = transfer::split(&graph, &training).map_err(failed)?;
                (graph, training) = (halves.head, halves.training);
                // What is done to inputs is done to those of the bottom.
                import.normalizer = None;
            }
        }
        training.state.get_or_insert_with(TrainingState::default);
        for finding in findings(&report, &fields, self.surgery.seed) {
            import.findings.push(finding);
        }
        Ok(Import {
            graph,
            training: Some(training),
            ..import
        })
    }
}

/// The names of what an archive has as fields of its layers.
fn fields(graph: &Graph) -> HashSet<String> {
    let nodes = graph.nodes().filter(|(_, node)| is_field(&node.origin));
    nodes.map(|(_, node)| node.origin.layer.to_string()).collect()
}

/// What was done, for the report; fields of layers are not told apart from these.
fn findings(report: &TransferReport, fields: &HashSet<String>, seed: u64) -> Vec<Finding> {
    let note = |code: Code, message: String| Finding::new(Severity::Note, code, None, message);
    let list = |code: Code, what: &str, layers: &[String]| {
        let named = layers.iter().map(String::as_str);
        let named: Vec<&str> = named.filter(|name| !fields.contains(*name)).collect();
        (!named.is_empty()).then(|| note(code, format!("{what}: {}", named.join(", "))))
    };
    let lists = [
        list(FROZEN, "frozen", &report.frozen),
        list(CHANGED, "removed", &report.removed),
        list(CHANGED, "added", &report.added),
    ];
    let new = report.initialised.iter().map(|new| {
        let message = format!(
            "{}: its {} {:?} is new (seed {seed})",
            new.layer, new.role, new.shape
        );
        note(INITIALISED, message)
    });
    lists.into_iter().flatten().chain(new).collect()
}
