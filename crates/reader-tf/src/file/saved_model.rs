//! SavedModels: a directory with graphs, one for each set of tags, and the checkpoint of their variables.

use super::variables::Variables;
use super::{frozen, keras_metadata};
use crate::bundle::Bundle;
use crate::program::{Edge, Program, Signature};
use crate::schema::{MetaGraphDef, SavedModel, SignatureDef, TensorInfo};
use caribou_ir::{Limits, Source};
use std::collections::HashMap;

/// The tag of graphs for inference.
const SERVE: &str = "serve";
/// The signature that a program calls when nobody says another.
const DEFAULT: &str = "serving_default";
/// Signatures that prepare a model, and compute nothing.
const PREPARATIONS: [&str; 2] = ["__saved_model_init_op", "__saved_model_train_op"];

/// The program of a signature of a SavedModel.
///
/// # Errors
/// When there is no such signature, or the variables can't be read.
pub(super) fn program(
    model: SavedModel,
    source: &Source,
    signature: Option<&str>,
    limits: &Limits,
) -> Result<Program, String> {
    let mut graph = chosen(model.meta_graphs)?;
    let objects = graph.object_graph_def.take();
    let checkpoint = match (source.weights(), source.directory()) {
        (Some(weights), _) => Some(weights.clone()),
        (None, Some(_)) => source.below("variables/variables.index").ok(),
        (None, None) => None,
    };
    let mut program = meta_graph(graph, source, signature, checkpoint.as_ref(), limits)?;
    program.keras = keras_metadata::model(source, objects.as_ref(), limits);
    Ok(program)
}

/// The program of one graph with its signatures.
pub(super) fn meta_graph(
    graph: MetaGraphDef,
    source: &Source,
    signature: Option<&str>,
    checkpoint: Option<&Source>,
    limits: &Limits,
) -> Result<Program, String> {
    let version = graph
        .meta_info_def
        .as_ref()
        .map(|info| info.tensorflow_version.as_str())
        .unwrap_or_default();
    let format = format!("TensorFlow {version} SavedModel").replace("  ", " ");
    let signature = chosen_signature(&graph.signature_def, signature)?;
    let mut program = frozen::program(graph.graph_def.unwrap_or_default(), source, format);
    program.signature = signature;
    if let Some(index) = checkpoint {
        let bundle =
            Bundle::open(index, limits).map_err(|error| format!("{}: {error}", index.path().display()))?;
        program.variables = Variables::new(bundle, &program.nodes, &program.functions);
    } else if source.directory().is_none() {
        program.variables = Variables::absent(
            "its value lies in the directory of the SavedModel: name the directory, not the file within it",
        );
    }
    Ok(program)
}

/// The graph for inference among several.
fn chosen(graphs: Vec<MetaGraphDef>) -> Result<MetaGraphDef, String> {
    let tags = |graph: &MetaGraphDef| graph.meta_info_def.clone().unwrap_or_default().tags;
    let all: Vec<String> = graphs.iter().map(|graph| tags(graph).join(" and ")).collect();
    let several = graphs.len() > 1;
    let mut serving: Vec<MetaGraphDef> = graphs
        .into_iter()
        .filter(|graph| !several || tags(graph).iter().any(|tag| tag == SERVE))
        .collect();
    // The fewer tags beside it, the plainer: others are for accelerators.
    serving.sort_by_key(|graph| tags(graph).len());
    serving.into_iter().next().ok_or_else(|| match all.is_empty() {
        true => "the SavedModel holds no graph".to_owned(),
        false => format!(
            "none of the graphs has the tag {SERVE}; their tags are {}",
            all.join(", ")
        ),
    })
}

/// What the signature called `name` feeds and fetches, or the one that is called by default.
fn chosen_signature(
    signatures: &HashMap<String, SignatureDef>,
    name: Option<&str>,
) -> Result<Option<Signature>, String> {
    let mut names: Vec<&str> = signatures
        .iter()
        .filter(|(name, signature)| !PREPARATIONS.contains(&name.as_str()) && !signature.outputs.is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    let list = || match names.is_empty() {
        true => "it has none".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    let name = match (name, &names[..]) {
        (Some(name), _) => name,
        (None, _) if names.contains(&DEFAULT) => DEFAULT,
        (None, [single]) => single,
        (None, []) => return Ok(None),
        (None, _) => {
            return Err(format!(
                "it has several signatures, and none is called {DEFAULT}: choose one by --signature; {}",
                list()
            ));
        }
    };
    let signature = signatures
        .get(name)
        .ok_or_else(|| format!("it has no signature {name}; {}", list()))?;
    Ok(Some(Signature {
        name: name.to_owned(),
        inputs: edges(&signature.inputs)?,
        outputs: edges(&signature.outputs)?,
    }))
}

/// The tensors of one side, by name; numbers within names count as numbers.
fn edges(tensors: &HashMap<String, TensorInfo>) -> Result<Vec<Edge>, String> {
    let mut edges = tensors
        .iter()
        .map(|(name, info)| match info.name.as_str() {
            "" => Err(format!("{name} of the signature is made of several tensors (it is sparse, perhaps), which is not supported")),
            tensor => Ok(Edge {
                name: name.clone(),
                tensor: tensor.to_owned(),
                shape: info.tensor_shape.as_ref().and_then(crate::flatten::sizes),
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    edges.sort_by_key(|edge| ordered(&edge.name));
    Ok(edges)
}

/// A name in pieces that compare as people do: `output_2` stands before `output_10`.
fn ordered(name: &str) -> Vec<(String, u64)> {
    let mut pieces = vec![(String::new(), 0u64)];
    let mut digits = false;
    for c in name.chars() {
        match c.to_digit(10) {
            Some(digit) => {
                if let Some((_, number)) = pieces.last_mut() {
                    *number = number.saturating_mul(10).saturating_add(u64::from(digit));
                }
                digits = true;
            }
            None => {
                if std::mem::take(&mut digits) {
                    pieces.push((String::new(), 0));
                }
                if let Some((text, _)) = pieces.last_mut() {
                    text.push(c);
                }
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_do() {
        let mut names = ["output_10", "b", "output_2", "output_1x", "a"];
        names.sort_by_key(|name| ordered(name));
        assert_eq!(names, ["a", "b", "output_1x", "output_2", "output_10"]);
    }

    #[test]
    fn a_signature_is_chosen() {
        let tensors = || {
            HashMap::from([(
                "y".to_owned(),
                TensorInfo {
                    name: "y:0".into(),
                    ..TensorInfo::default()
                },
            )])
        };
        let signature = SignatureDef {
            outputs: tensors(),
            ..SignatureDef::default()
        };
        let one = HashMap::from([("only".to_owned(), signature.clone())]);
        assert_eq!(chosen_signature(&one, None).unwrap().unwrap().name, "only");
        let two = HashMap::from([
            ("a".to_owned(), signature.clone()),
            ("b".to_owned(), signature.clone()),
        ]);
        assert!(
            chosen_signature(&two, None)
                .unwrap_err()
                .contains("there are a, b")
        );
        assert_eq!(chosen_signature(&two, Some("b")).unwrap().unwrap().name, "b");
        assert!(chosen_signature(&two, Some("c")).is_err());
        let default = HashMap::from([
            ("serving_default".to_owned(), signature.clone()),
            ("b".to_owned(), signature),
        ]);
        assert_eq!(
            chosen_signature(&default, None).unwrap().unwrap().name,
            "serving_default"
        );
        assert!(chosen_signature(&HashMap::new(), None).unwrap().is_none());
    }
}
