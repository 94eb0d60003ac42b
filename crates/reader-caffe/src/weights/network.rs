//! The network that a binary file describes besides its weights: a `.caffemodel` holds each layer with its parameters, as
//! the network had them that was saved.
//!
//! Binary fields have numbers and no names, and forks of Caffe give the same number to different fields. Only numbers
//! that Caffe 1.0 knows, and those of the forks in [`FORKS`], are taken for what they are.

use super::WeightError;
use super::wire::{Message, TODAY, V0, V1, Value, whole};
use crate::layers::{self, Support};
use crate::net::{self, unsplit};
use crate::schema::{self, NetParameter};
use crate::text::Parsed;
use caribou_ir::{Code, Finding, Findings, Limits, Origin, Place, Severity, Source};
use prost_reflect::{DynamicMessage, Value as Field};

/// The network of a binary file is one of training.
const TRAINED: Code = Code("C0107");
/// A field without a name.
const NUMBERED_FIELD: Code = Code("C0108");

const GIVE_TEXT: &str = "give the network as text, and this file with --weights";

/// Parameters of forks: the type of layer that has them, their number, and the number that they have in `caffe.proto`.
const FORKS: &[(&str, u64, u64)] = &[
    ("Normalize", 206, 3000),
    ("Permute", 202, 3001),
    ("PriorBox", 203, 3002),
    ("DetectionOutput", 204, 3003),
    ("Clip", 148, 148),
    ("Swish", 147, 147),
];

/// The first number of a layer's parameters that Caffe 1.0 does not know.
const BEYOND: u64 = 147;

/// What is known of the fields of a network: their numbers, and whether their values have lengths.
const NET_FIELDS: [(u64, bool); 9] = [
    (1, true),
    (2, true),
    (3, true),
    (4, false),
    (5, false),
    (6, true),
    (7, false),
    (8, true),
    (100, true),
];

/// Whether a network has such a field, stored as its values are.
pub(super) fn is_of_network(field: u64, value: &Value) -> bool {
    let packed = field == 4;
    NET_FIELDS
        .iter()
        .any(|&(known, length)| known == field && (packed || length == matches!(value, Value::Bytes(_))))
}

/// Whether the bytes are a network in binary form, as far as they are whole.
pub(crate) fn is_network(source: &Source) -> bool {
    let mut net = whole(source);
    let mut layers = 0usize;
    while let Ok(Some((field, value))) = net.next() {
        if !is_of_network(field, &value) {
            return false;
        }
        let Value::Bytes(range) = value else { continue };
        match field {
            1 if net
                .text(range.clone())
                .chars()
                .any(|c| c.is_control() || c == '\u{fffd}') =>
            {
                return false;
            }
            2 | 100 => {
                if layers == 0 && !is_layer(net.within(range), field) {
                    return false;
                }
                layers += 1;
            }
            _ => {}
        }
    }
    layers > 0
}

/// Whether the fields of a message are those that layers have, as far as they are whole.
fn is_layer(mut layer: Message<'_>, field: u64) -> bool {
    let mut named = false;
    while let Ok(Some((number, value))) = layer.next() {
        let Value::Bytes(range) = value else { continue };
        let text = !layer.text(range).contains('\u{fffd}');
        match (field, number) {
            (100, 1) | (2, 4) => named |= text,
            (100, 2..=4) | (2, 2 | 3) if !text => return false,
            (2, 1) => named = true,
            _ => {}
        }
    }
    named
}

/// Whether the bytes are one blob, such as a mean image.
pub(crate) fn is_blob(source: &Source) -> bool {
    let mut blob = whole(source);
    let (mut shaped, mut numbers) = (false, false);
    loop {
        match blob.next() {
            Ok(Some((1..=4, Value::Number(_)))) | Ok(Some((7, Value::Bytes(_)))) => shaped = true,
            Ok(Some((5 | 8, Value::Bytes(_)))) => numbers = true,
            Ok(Some((6 | 9, Value::Bytes(_)))) => {}
            Ok(Some(_)) | Err(_) => return false,
            Ok(None) => return shaped && numbers,
        }
    }
}

/// The network of a binary file, as text would give it: all layers that it has took part.
///
/// # Errors
/// When the file is damaged, or holds weights and no network.
pub(crate) fn network(
    source: &Source,
    limits: &Limits,
    findings: &mut Findings,
) -> Result<Parsed<NetParameter>, WeightError> {
    let described = description(source, limits)?;
    let damaged = |what: String| WeightError::Damaged { offset: 0, what };
    let descriptor = schema::descriptor("NetParameter")
        .ok_or_else(|| damaged("there is no message NetParameter".into()))?;
    let read = DynamicMessage::decode(descriptor, described.bytes.as_slice())
        .map_err(|error| damaged(error.to_string()))?;
    let not_finite = net::not_finite(&read, &described.layer, &described.layers);
    let mut message: NetParameter = read.transcode_to().map_err(|error| damaged(error.to_string()))?;
    let connected = message.layer.iter().any(|layer| !layer.top.is_empty())
        || message.layers.iter().any(|layer| !layer.top.is_empty());
    if !connected {
        return Err(damaged(
            "the file has the weights of layers, and does not say how these are connected".into(),
        ));
    }
    for (index, layer) in message.layer.iter_mut().enumerate() {
        layer.include.clear();
        layer.exclude.clear();
        let mut fields = unnamed_of(&read, "layer", index);
        // It says how sizes are rounded, in some forks the other way round.
        let rounded = layer
            .pooling_param
            .as_ref()
            .and_then(|pooling| pooling.round_mode);
        fields.extend(rounded.map(|_| "pooling_param.13".to_owned()));
        let computed = layers::of(layer.r#type()).map(|row| row.support);
        if let (Some(first), Some(Support::Read(_))) = (fields.first(), computed) {
            numbered(
                first,
                layer.name(),
                layer.r#type(),
                described.layer.get(index),
                findings,
            );
        }
    }
    for (index, layer) in message.layers.iter_mut().enumerate() {
        layer.include.clear();
        layer.exclude.clear();
        if let Some(first) = unnamed_of(&read, "layers", index).first() {
            numbered(
                first,
                layer.name(),
                layer.r#type().as_str_name(),
                described.layers.get(index),
                findings,
            );
        }
    }
    let mut places = described.layer;
    unsplit(&mut message, &mut places);
    let training = message
        .layer
        .iter()
        .any(|layer| layer.phase == Some(schema::Phase::Train as i32));
    if training || message.layer.is_empty() {
        let message = "it is the network of training that was saved here: what else the deployed one has, a softmax at its \
                       end say, is not in it";
        findings.push(Finding::new(Severity::Warning, TRAINED, None, message).with_help(GIVE_TEXT));
    }
    Ok(Parsed {
        message,
        layer: places,
        layers: described.layers,
        unknown: Vec::new(),
        not_finite,
    })
}

/// A network without its weights.
struct Description {
    bytes: Vec<u8>,
    layer: Vec<Place>,
    layers: Vec<Place>,
}

fn description(source: &Source, limits: &Limits) -> Result<Description, WeightError> {
    let mut net = whole(source);
    let mut described = Description {
        bytes: Vec::new(),
        layer: Vec::new(),
        layers: Vec::new(),
    };
    loop {
        let start = net.at;
        let Some((field, value)) = net.next()? else {
            return Ok(described);
        };
        let layer = match (field, value) {
            (100, Value::Bytes(range)) => {
                described.layer.push(Place::Offset(start as u64));
                without_blobs(net.within(range), TODAY)?
            }
            (2, Value::Bytes(range)) => {
                described.layers.push(Place::Offset(start as u64));
                without_blobs(net.within(range), V1)?
            }
            _ => {
                described.bytes.extend_from_slice(net.since(start));
                continue;
            }
        };
        length_delimited(&mut described.bytes, field, &layer);
        if described.bytes.len() > limits.text_bytes || described.layer.len() > limits.nodes {
            return Err(WeightError::Limit(format!(
                "the layers without their weights have more than {} bytes, or there are more than {}",
                limits.text_bytes, limits.nodes
            )));
        }
    }
}

/// The bytes of a layer without its blobs, with the parameters of forks under their numbers in `caffe.proto`.
fn without_blobs(mut layer: Message<'_>, fields: (u64, u64, u64)) -> Result<Vec<u8>, WeightError> {
    let mut bytes = Vec::new();
    let mut kind = String::new();
    loop {
        let start = layer.at;
        let Some((field, value)) = layer.next()? else {
            return Ok(bytes);
        };
        match value {
            Value::Bytes(_) if field == fields.2 => {}
            Value::Bytes(range) if fields == V1 && field == V0.0 => {
                let oldest = without_blobs(layer.within(range), V0)?;
                length_delimited(&mut bytes, field, &oldest);
            }
            Value::Bytes(range) if fields == TODAY && field >= BEYOND => {
                let known = FORKS.iter().find(|fork| fork.0 == kind && fork.1 == field);
                match known {
                    Some(&(.., number)) => {
                        length_delimited(&mut bytes, number, layer.bytes.get(range).unwrap_or_default());
                    }
                    // It keeps a number that is nobody's, and is told.
                    None => length_delimited(
                        &mut bytes,
                        field + UNNAMED,
                        layer.bytes.get(range).unwrap_or_default(),
                    ),
                }
            }
            value => {
                if let (true, 2, Value::Bytes(range)) = (fields == TODAY, field, &value) {
                    kind = layer.text(range.clone());
                }
                bytes.extend_from_slice(layer.since(start));
            }
        }
    }
}

/// What is added to the numbers of fields whose meaning is not known, so that no field of `caffe.proto` is met.
const UNNAMED: u64 = 100_000;

fn length_delimited(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    for mut number in [field << 3 | 2, value.len() as u64] {
        while number > 0x7f {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
    out.extend_from_slice(value);
}

/// Refuses a layer with a field whose name can't be told.
fn numbered(field: &str, layer: &str, kind: &str, place: Option<&Place>, findings: &mut Findings) {
    let place = place.copied().unwrap_or(Place::Offset(0));
    let origin = Origin::new(layer, kind).at(place);
    let message = format!("its field {field} has a number that each fork of Caffe gives to another field");
    findings.push(Finding::error(NUMBERED_FIELD, &origin, message).with_help(GIVE_TEXT));
}

/// The fields of the layer at `index` of `list` that are not declared.
fn unnamed_of(net: &DynamicMessage, list: &str, index: usize) -> Vec<String> {
    let mut fields = Vec::new();
    if let Some(Field::List(all)) = net.get_field_by_name(list).as_deref()
        && let Some(Field::Message(layer)) = all.get(index)
    {
        unnamed(layer, "", &mut fields);
    }
    fields
}

/// The fields within a message that are not declared, by name and number.
fn unnamed(message: &DynamicMessage, path: &str, found: &mut Vec<String>) {
    for field in message.unknown_fields() {
        let number = u64::from(field.number());
        let number = number.checked_sub(UNNAMED).unwrap_or(number);
        found.push(format!("{path}{number}"));
    }
    for (field, value) in message.fields() {
        let path = format!("{path}{}.", field.name());
        match value {
            Field::Message(inner) => unnamed(inner, &path, found),
            Field::List(all) => {
                for inner in all {
                    if let Field::Message(inner) = inner {
                        unnamed(inner, &path, found);
                    }
                }
            }
            _ => {}
        }
    }
}
