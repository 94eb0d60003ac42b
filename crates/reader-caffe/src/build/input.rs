//! Where values come into the network.

use super::{Blob, Builder, INPUT_SHAPE, LEFT_OUT};
use crate::layers::{self, Support};
use crate::net::Layer;
use crate::preprocessing;
use crate::schema::LayerParameter;
use caribou_ir::op::{Constant, Reshape, Size};
use caribou_ir::{Dim, Finding, Layout, Origin, Shape, Tensor};

/// Layers that learn from what they read.
const WITH_WEIGHTS: [&str; 9] = [
    "Convolution",
    "ConvolutionDepthwise",
    "Deconvolution",
    "DepthwiseConvolution",
    "Embed",
    "InnerProduct",
    "LSTM",
    "RNN",
    "Scale",
];

impl<'a> Builder<'a> {
    /// The inputs that stand outside of layers.
    pub(super) fn net_inputs(&mut self) {
        for (name, shape) in &self.net.inputs {
            let origin = Origin::new(name.as_str(), "input");
            self.input(name, shape, &origin);
        }
    }

    /// A layer that brings in data: its tops that are no labels become inputs; `Input` has one for each top.
    pub(super) fn data(&mut self, layer: &'a Layer) {
        let origin = layer.origin();
        let all = matches!(layer.kind.as_str(), "Input" | "DummyData");
        let mut data: Vec<&String> = layer
            .tops
            .iter()
            .filter(|top| self.is_learned_from(layer, top))
            .collect();
        if data.is_empty() {
            data.extend(layer.tops.first());
        }
        for (index, top) in layer.tops.iter().enumerate() {
            if !all && !data.contains(&top) {
                self.blobs.insert(top.clone(), Blob::Label);
                continue;
            }
            let shape = self.declared(layer, index);
            match constant(layer, index) {
                Some(value) if self.has_other_inputs() => self.stored(layer, top, value, &shape),
                _ => self.input(top, &shape, &origin),
            }
        }
        if !all {
            let names: Vec<&str> = data.iter().map(|top| top.as_str()).collect();
            let message = match names.as_slice() {
                [] => "it was left out: it makes no blob".to_owned(),
                [top] => format!("it reads data in training; {top} became an input in its place"),
                tops => format!(
                    "it reads data in training; {} became inputs in its place",
                    tops.join(", ")
                ),
            };
            self.findings.push(Finding::note(LEFT_OUT, &origin, message));
        }
    }

    /// Whether a layer with weights reads what is made of this top. Labels are read by losses alone, though they may be cut
    /// and reshaped before.
    fn is_learned_from(&self, layer: &Layer, top: &str) -> bool {
        let behind = self
            .net
            .layers
            .iter()
            .skip_while(|other| !std::ptr::eq(*other, layer));
        let mut made = vec![top];
        for other in behind.skip(1) {
            if !other.bottoms.iter().any(|bottom| made.contains(&bottom.as_str())) {
                continue;
            }
            match layers::of(&other.kind).map(|row| row.support) {
                Some(Support::Training(_)) => {}
                _ if WITH_WEIGHTS.contains(&other.kind.as_str()) => return true,
                _ => made.extend(other.tops.iter().map(String::as_str)),
            }
        }
        false
    }

    /// Whether values come in by more than `DummyData`.
    fn has_other_inputs(&self) -> bool {
        let brings = |layer: &Layer| {
            let data = matches!(
                layers::of(&layer.kind).map(|row| row.support),
                Some(Support::Data)
            );
            data && layer.kind != "DummyData"
        };
        !self.net.inputs.is_empty() || self.net.layers.iter().any(brings)
    }

    /// The shape of a top of a layer that brings in data. A database says it itself; where its images are cropped, the
    /// channels can be told from the means or the layer that reads them.
    fn declared(&self, layer: &Layer, index: usize) -> Vec<i64> {
        let declared = declared(layer, index);
        let transform = layer.parameters.transform_param.as_ref();
        let (Some(transform), Some(top), true) = (transform, layer.tops.get(index), declared.is_empty())
        else {
            return declared;
        };
        let crop = i64::from(transform.crop_size());
        let (height, width) = match (transform.crop_h(), transform.crop_w()) {
            (0, _) | (_, 0) => (crop, crop),
            (height, width) => (i64::from(height), i64::from(width)),
        };
        if height == 0 || width == 0 {
            return declared;
        }
        let means = Some(transform.mean_value.len() as i64).filter(|&count| count > 1);
        let channels = means.or_else(|| {
            let mut readers = self
                .net
                .layers
                .iter()
                .filter(|layer| layer.bottoms.first() == Some(top));
            readers.find_map(|reader| {
                let convolution = reader.parameters.convolution_param.as_ref()?;
                let kernel = self.weights.raw(self.net, reader, 0)?.tensor.shape();
                let inputs = kernel.get(1)?.checked_mul(convolution.group() as usize)?;
                i64::try_from(inputs).ok()
            })
        });
        channels.map_or(declared, |channels| vec![1, channels, height, width])
    }

    /// A number that stands in every place of a blob.
    fn stored(&mut self, layer: &Layer, top: &str, value: f32, shape: &[i64]) {
        let origin = layer.origin();
        let Some(sizes) = self.sizes(top, usize::MAX, shape, &origin) else {
            self.blobs.insert(top.to_owned(), Blob::Failed);
            return;
        };
        let mut sizes: Vec<usize> = sizes.into_iter().skip(1).flatten().collect();
        if sizes.is_empty() {
            sizes.push(1);
        }
        let value = Tensor::filled(&sizes, value);
        let made = self.graph.apply(Constant { value }, &[], &origin);
        let state = made.map_or(Blob::Failed, |value| Blob::Value { value, read: true });
        self.blobs.insert(top.to_owned(), state);
    }

    /// An input, if a layer that is not left out reads it.
    fn input(&mut self, name: &str, declared: &[i64], origin: &Origin) {
        let position = self.inputs;
        self.inputs += 1;
        let read = self.net.layers.iter().any(|layer| {
            let left_out = matches!(
                layers::of(&layer.kind).map(|row| row.support),
                Some(Support::Training(_))
            );
            !left_out && layer.bottoms.iter().any(|bottom| bottom == name)
        });
        if !read {
            let message = format!("no layer reads the input {name}; it was left out");
            self.findings.push(Finding::note(LEFT_OUT, origin, message));
            self.blobs.insert(name.to_owned(), Blob::Label);
            return;
        }
        if self.time.continues.contains(name) {
            self.continues(name, origin);
            return;
        }
        let Some(mut sizes) = self.sizes(name, position, declared, origin) else {
            self.blobs.insert(name.to_owned(), Blob::Failed);
            return;
        };
        let time_first = self.time.first.contains(name) && sizes.len() > 1;
        if time_first {
            sizes.swap(0, 1);
        }
        let batch = sizes[0].unwrap_or(1);
        match self.batch {
            Some(other) if other != batch => {
                let message = format!("input {name} has {batch} examples, another has {other}");
                self.error(
                    INPUT_SHAPE,
                    origin,
                    message,
                    "axis 0 of all inputs must be that of the examples",
                );
            }
            _ => self.batch = Some(batch),
        }
        let mut dims = vec![Dim::BATCH];
        for size in &sizes[1..] {
            dims.push(match size {
                Some(size) => Dim::Fixed(*size),
                None => self.graph.unknown(),
            });
        }
        let embedded =
            |layer: &Layer| layer.kind == "Embed" || !layer.bottoms.iter().any(|bottom| bottom == name);
        if dims.len() == 1 && !self.net.layers.iter().all(embedded) {
            self.error(
                INPUT_SHAPE,
                origin,
                format!("input {name} has examples and no other axis, which no array of DL4J has"),
                "give it a second axis of size one",
            );
            self.blobs.insert(name.to_owned(), Blob::Failed);
            return;
        }
        // An index an example is a column: DL4J has no arrays of one axis.
        let column = dims.len() == 1;
        if column {
            dims.push(Dim::Fixed(1));
        }
        let layout = if dims.len() > 2 {
            Layout::ChannelsFirst
        } else {
            Layout::Plain
        };
        if time_first {
            self.sequence(name, dims, origin);
            return;
        }
        let first = self.graph.inputs().is_empty();
        let mut value = self.graph.input(name, Shape::new(dims), layout);
        if first {
            let limits = &self.options.limits;
            let given = self.preprocessing;
            (value, self.normalizer) =
                preprocessing::apply(given, self.net, &mut self.graph, value, limits, self.findings);
        }
        let flat = Reshape {
            target: vec![Size::Keep(0)],
        };
        let made = match column {
            true => self.graph.apply(flat, &[value], origin),
            false => Ok(value),
        };
        let state = made.map_or(Blob::Failed, |value| Blob::Value { value, read: false });
        self.blobs.insert(name.to_owned(), state);
    }

    /// The sizes of an input: what the user says, or the file. Networks of convolutions are fed other sizes than those
    /// that the file says.
    fn sizes(
        &mut self,
        name: &str,
        position: usize,
        declared: &[i64],
        origin: &Origin,
    ) -> Option<Vec<Option<usize>>> {
        let help = "give its shape: --input-shape 1x3x224x224 (several times, for the inputs in their order)";
        let given = self.options.input_shapes.get(position);
        if let Some(sizes) = given.filter(|sizes| !sizes.is_empty()) {
            return Some(sizes.clone());
        }
        if declared.is_empty() {
            let message = format!("the shape of input {name} is not in the file");
            self.error(INPUT_SHAPE, origin, message, help);
            return None;
        }
        let sizes: Vec<Option<usize>> = declared.iter().map(|&size| usize::try_from(size).ok()).collect();
        let count = sizes.iter().try_fold(1u64, |product, size| {
            product.checked_mul(size.filter(|&size| size > 0)? as u64)
        });
        let limits = &self.options.limits;
        let message = match count {
            None => format!("input {name} has the shape {declared:?}"),
            Some(count) if count / sizes[0].unwrap_or(1) as u64 > limits.elements => {
                format!(
                    "input {name} has {count} elements, the limit is {}",
                    limits.elements
                )
            }
            Some(_) if sizes.len() > limits.rank => {
                format!(
                    "input {name} has {} axes, the limit is {}",
                    sizes.len(),
                    limits.rank
                )
            }
            Some(_) => return Some(sizes),
        };
        self.error(INPUT_SHAPE, origin, message, help);
        None
    }
}

/// The number that `DummyData` puts everywhere in top `index`; `None` for random ones, and for other layers.
fn constant(layer: &Layer, index: usize) -> Option<f32> {
    if layer.kind != "DummyData" {
        return None;
    }
    let fillers = &layer.parameters.dummy_data_param.as_ref()?.data_filler;
    match fillers.get(index).or(fillers.first()) {
        None => Some(0.0),
        Some(filler) if filler.r#type() == "constant" => Some(filler.value()),
        Some(_) => None,
    }
}

/// The shape of top `index` of a layer that brings in data, as far as the layer says it.
fn declared(layer: &Layer, index: usize) -> Vec<i64> {
    let p: &LayerParameter = &layer.parameters;
    // One shape may stand for all tops.
    let pick = |shapes: &[crate::schema::BlobShape]| match shapes {
        [one] => one.dim.clone(),
        several => several
            .get(index)
            .map_or_else(Vec::new, |shape| shape.dim.clone()),
    };
    let sizes = |sizes: [u32; 4]| sizes.iter().map(|&size| i64::from(size)).collect::<Vec<i64>>();
    let cropped = p
        .transform_param
        .as_ref()
        .map_or(0, |transform| transform.crop_size());
    match layer.kind.as_str() {
        "Input" => p
            .input_param
            .as_ref()
            .map_or_else(Vec::new, |input| pick(&input.shape)),
        "DummyData" => p.dummy_data_param.as_ref().map_or_else(Vec::new, |data| {
            if !data.shape.is_empty() {
                return pick(&data.shape);
            }
            let size = |list: &[u32]| list.get(index).or(list.first()).copied().unwrap_or(0);
            sizes([
                size(&data.num),
                size(&data.channels),
                size(&data.height),
                size(&data.width),
            ])
        }),
        "MemoryData" => p.memory_data_param.as_ref().map_or_else(Vec::new, |data| {
            let crop = |size: u32| if cropped > 0 { cropped } else { size };
            sizes([
                data.batch_size(),
                data.channels(),
                crop(data.height()),
                crop(data.width()),
            ])
        }),
        "ImageData" => p.image_data_param.as_ref().map_or_else(Vec::new, |data| {
            let channels = if data.is_color() { 3 } else { 1 };
            let size = |resized: u32| if cropped > 0 { cropped } else { resized };
            match (size(data.new_height()), size(data.new_width())) {
                (0, _) | (_, 0) => Vec::new(),
                (height, width) => sizes([data.batch_size.unwrap_or(1), channels, height, width]),
            }
        }),
        _ => Vec::new(),
    }
}
