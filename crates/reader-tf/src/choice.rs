//! What the user says of a graph that does not tell by itself.

/// A node or tensor that is fed from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputChoice {
    /// `name` of a node, or `name:slot` of one of its outputs.
    pub name: String,
    /// Its shape, examples included, with `None` where a size is unknown.
    pub shape: Option<Vec<Option<usize>>>,
}

impl std::str::FromStr for InputChoice {
    type Err = String;

    /// Reads `NAME` or `NAME=SHAPE`; a shape is sizes with `x` or commas between, `?` where one is unknown: `?x224x224x3`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, shape) = match text.split_once('=') {
            Some((name, shape)) => (name, Some(sizes(shape)?)),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(format!("{text} names no node: expected NAME or NAME=SHAPE"));
        }
        Ok(Self {
            name: name.to_owned(),
            shape,
        })
    }
}

fn sizes(text: &str) -> Result<Vec<Option<usize>>, String> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let size = |size: &str| match (size.trim(), size.trim().parse::<usize>()) {
        ("?" | "-1" | "None", _) => Ok(None),
        (_, Ok(size)) if size > 0 => Ok(Some(size)),
        _ => Err(format!(
            "{text} is no shape: expected sizes such as ?x224x224x3, with ? for an unknown one"
        )),
    };
    inner.split(['x', ',']).map(size).collect()
}

/// A value for a placeholder that is not an input: a rate of dropout, whether to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// `name` of the placeholder, or `name:0`.
    pub name: String,
    /// Its value, the same for all of its elements; truth values are one and zero.
    pub value: f64,
}

impl std::str::FromStr for Binding {
    type Err = String;

    /// Reads `NAME=VALUE`: a number, or `true` or `false`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| format!("expected NAME=VALUE, found {text}"))?;
        let value = match value.to_ascii_lowercase().as_str() {
            "true" => 1.0,
            "false" => 0.0,
            number => number
                .parse()
                .map_err(|_| format!("{value} is neither a number nor true or false"))?,
        };
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_and_bindings_are_read() {
        let input: InputChoice = "a/b:1=?x3".parse().unwrap();
        assert_eq!(
            (input.name.as_str(), input.shape),
            ("a/b:1", Some(vec![None, Some(3)]))
        );
        let input: InputChoice = "x=[1,-1,2]".parse().unwrap();
        assert_eq!(input.shape, Some(vec![Some(1), None, Some(2)]));
        assert_eq!("x".parse::<InputChoice>().unwrap().shape, None);
        assert!("x=3x".parse::<InputChoice>().is_err());
        assert!("=3".parse::<InputChoice>().is_err());
        assert_eq!("t=False".parse::<Binding>().unwrap().value, 0.0);
        assert_eq!("keep=0.5".parse::<Binding>().unwrap().value, 0.5);
        assert!("keep".parse::<Binding>().is_err());
    }
}
