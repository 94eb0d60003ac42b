//! Recipes, and the search for one within a bound.
#![allow(clippy::unwrap_used)]

use caribou_ir::op::{Activate, Activation, Dense};
use caribou_ir::{Graph, Layout, Origin, Shape, Tensor, Validator};
use caribou_optimize::OptimizeError;
use caribou_optimize::recipe::{GridRule, LayerRecipe, Recipe, Setting};
use caribou_optimize::search::{Found, Judgement, Search, search};
use caribou_optimize::simplify::Simplify;
use caribou_optimize::weights::weights;
use caribou_runtime::{Array, Session, compare, seeded_inputs};

/// Numbers between -1 and 1 that are the same every time.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next() * next()).collect()
}

fn network() -> Graph {
    let mut graph = Graph::new();
    let mut value = graph.input("x", Shape::batched(&[24]), Layout::Plain);
    for (name, rows, columns) in [("first", 24, 40), ("second", 40, 16), ("last", 16, 5)] {
        let dense = Dense {
            weight: Tensor::from_values(&[rows, columns], numbers(rows * columns, rows as u64)).unwrap(),
            bias: Some(Tensor::filled(&[columns], 0.1)),
        };
        value = graph.apply(dense, &[value], &Origin::new(name, "Dense")).unwrap();
        if name != "last" {
            let relu = Activate {
                function: Activation::Relu,
            };
            value = graph.apply(relu, &[value], &Origin::new("relu", "ReLU")).unwrap();
        }
    }
    graph.output("y", value, Layout::Plain);
    graph
}

fn outputs(graph: &Graph, inputs: &[Array]) -> Vec<Array> {
    let valid = Validator::default().validate(graph.clone()).unwrap();
    Session::new(&valid).run(inputs).unwrap()
}

/// The search with the number of networks that were judged.
fn searched(options: &Search) -> Result<(Found, usize), OptimizeError> {
    let graph = network();
    let valid = Validator::default().validate(graph.clone()).unwrap();
    let inputs = seeded_inputs(&valid, 6, 1, 7);
    let expected = outputs(&graph, &inputs);
    let mut count = 0;
    let mut judge = |graph: &Graph| -> Result<Judgement, OptimizeError> {
        count += 1;
        let drop = compare(&expected[0], &outputs(graph, &inputs)[0])
            .unwrap()
            .max_rel;
        Ok(Judgement {
            drop,
            noise: drop * drop,
        })
    };
    let found = search(&graph, options, &Simplify::default(), &mut judge)?;
    Ok((found, count))
}

/// The bits that the weights take, without those for the places of zeros.
fn bits(recipe: &Recipe) -> f64 {
    let graph = network();
    let all = weights(&graph);
    let of = |layer: &LayerRecipe| {
        let weight = all
            .iter()
            .find(|weight| *weight.origin.layer == *layer.name)
            .unwrap();
        let elements: usize = weight.shape.iter().product();
        (1.0 - layer.setting.sparsity) * f64::from(layer.setting.bits.unwrap_or(32)) * elements as f64
    };
    recipe.layers.iter().map(of).sum()
}

#[test]
fn the_bound_is_kept_by_few_networks_and_wider_ones_are_smaller() {
    let mut before = f64::INFINITY;
    for max_drop in [1e-4, 1e-2, 0.1, 0.5] {
        let (found, count) = searched(&Search::within(max_drop)).unwrap();
        assert!(
            found.judgement.drop <= max_drop,
            "{max_drop}: {:?}",
            found.judgement
        );
        assert_eq!(count, found.evaluations);
        assert!(count <= 400);
        let now = bits(&found.recipe);
        assert!(now < before, "{max_drop}: {now} after {before}");
        before = now;
    }
    let few = Search {
        evaluations: Search::FEWEST,
        ..Search::within(0.1)
    };
    let (found, count) = searched(&few).unwrap();
    assert!(count <= Search::FEWEST, "{count}");
    assert!(found.judgement.drop <= 0.1);
}

#[test]
fn the_same_is_found_again_and_the_recipe_makes_it() {
    let options = Search::within(0.05);
    let (first, _) = searched(&options).unwrap();
    let (again, _) = searched(&options).unwrap();
    assert_eq!(first.recipe, again.recipe);
    let text = first.recipe.to_toml().unwrap();
    let mut read = Recipe::parse(&text).unwrap();
    read.layers.iter_mut().for_each(|layer| layer.place = None);
    assert_eq!(read, first.recipe);
    let applied = read.apply(&network(), &Simplify::default()).unwrap();
    for (a, b) in weights(&applied.graph).iter().zip(weights(&first.applied.graph)) {
        let values = |weight: &caribou_optimize::weights::Weight, graph| {
            weight.tensor(graph).map(|tensor| tensor.to_vec().unwrap())
        };
        assert_eq!(values(a, &applied.graph), values(&b, &first.applied.graph));
    }
    for layer in &first.applied.layers {
        let entry = first
            .recipe
            .layers
            .iter()
            .find(|entry| entry.name == layer.layer)
            .unwrap();
        assert_eq!(layer.bits, entry.setting.bits);
        let wanted = (entry.setting.sparsity * layer.elements as f64).round() as usize;
        assert!(layer.zeros >= wanted, "{layer:?}");
    }
}

#[test]
fn layers_that_are_kept_stay_as_they_are() {
    let mut options = Search::within(0.3);
    options.selection.keep = vec!["second".into()];
    let (found, _) = searched(&options).unwrap();
    assert_eq!(found.recipe.layers.len(), 2);
    let second = |graph: &Graph| {
        let all = weights(graph);
        let weight = all
            .iter()
            .find(|weight| &*weight.origin.layer == "second")
            .unwrap();
        weight.tensor(graph).unwrap().to_vec().unwrap()
    };
    assert_eq!(second(&found.applied.graph), second(&network()));
}

#[test]
fn options_that_can_not_be_are_named() {
    for (max_drop, evaluations, option) in [
        (-0.1, 400, "--max-drop"),
        (1.5, 400, "--max-drop"),
        (f64::NAN, 400, "--max-drop"),
        (0.1, 3, "--evaluations"),
    ] {
        let options = Search {
            evaluations,
            ..Search::within(max_drop)
        };
        let error = searched(&options).unwrap_err().to_string();
        assert!(error.starts_with(option), "{error}");
    }
}

#[test]
fn a_recipe_says_where_it_is_wrong() {
    for (text, line, column, said) in [
        ("version = 2", 1, 11, "expected version 1"),
        ("simplify = true", 1, 1, "version"),
        ("version = 1\nlayers = 3", 2, 1, "layers"),
        ("version = 1\n[[layer]]\nname = \"a\"\nbit = 8", 4, 1, "bit"),
        (
            "version = 1\n[[layer]]\nname = \"a\"\nbits = 40",
            4,
            8,
            "expected 2 to 16",
        ),
        (
            "version = 1\n[[layer]]\nname = \"a\"\nsparsity = 1.0",
            4,
            12,
            "no sparsity",
        ),
        ("version = 1\n[grid]\nscale = \"most\"", 3, 9, "expected max"),
        ("version = 1\n[grid]\nscale_bits = 0", 3, 14, "expected 1 to 24"),
        ("version = 1\n[grid", 2, 6, ""),
    ] {
        let error = Recipe::parse(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert!(error.message.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_recipe_for_layers_that_are_not_there_is_refused() {
    let text = "version = 1\n[[layer]]\nname = \"third\"\nbits = 8";
    let recipe = Recipe::parse(text).unwrap();
    let error = recipe
        .apply(&network(), &Simplify::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--recipe: line 3, column 8: third matches no layer"),
        "{error}"
    );
    assert!(error.contains("first, second, last"), "{error}");
}

#[test]
fn the_last_entry_that_matches_counts() {
    let entry = |name: &str, sparsity, bits| LayerRecipe {
        name: name.into(),
        setting: Setting { sparsity, bits },
        place: None,
    };
    let recipe = Recipe {
        simplify: false,
        grid: GridRule::default(),
        layers: vec![entry("*", 0.5, Some(8)), entry("s*", 0.25, None)],
    };
    let applied = recipe.apply(&network(), &Simplify::default()).unwrap();
    let told: Vec<_> = applied
        .layers
        .iter()
        .map(|layer| (layer.layer.as_str(), layer.zeros, layer.bits))
        .collect();
    assert_eq!(
        told,
        [
            ("first", 480, Some(8)),
            ("second", 160, None),
            ("last", 40, Some(8))
        ]
    );
    assert_eq!(applied.quantization.parameters.len(), 2);
}
