//! Typed access to the `config` object of a layer. Every error names the key, what was found and what was expected.

use serde_json::{Map, Value};

/// Why a value of a configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// There is no such key.
    #[error("{key} is missing")]
    Missing { key: String },
    /// The value is of another kind.
    #[error("{key}: expected {expected}, found {found}")]
    Kind {
        key: String,
        expected: &'static str,
        found: String,
    },
    /// The text is no JSON, too large or too deep.
    #[error("{0}")]
    Text(String),
}

/// The `config` object of a layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes(pub(crate) Map<String, Value>);

impl Attributes {
    /// The value of `key`; `None` when it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn require<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let value = self
            .get(key)
            .ok_or_else(|| ConfigError::Missing { key: key.to_owned() })?;
        read(value).ok_or_else(|| ConfigError::Kind {
            key: key.to_owned(),
            expected,
            found: brief(value),
        })
    }

    fn or<T>(
        &self,
        key: &str,
        default: T,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        if self.get(key).is_none() {
            Ok(default)
        } else {
            self.require(key, expected, read)
        }
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize, ConfigError> {
        self.require(key, "a size", size)
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize, ConfigError> {
        self.or(key, default, "a size", size)
    }

    pub(crate) fn flag_or(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        self.or(key, default, "true or false", Value::as_bool)
    }

    pub(crate) fn number_or(&self, key: &str, default: f64) -> Result<f64, ConfigError> {
        self.or(key, default, "a number", number)
    }

    pub(crate) fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| ConfigError::Kind {
                key: key.to_owned(),
                expected: "a string",
                found: brief(value),
            }),
        }
    }

    /// `n` sizes: one number for all, or a list.
    pub(crate) fn sizes(&self, key: &str, n: usize) -> Result<Vec<usize>, ConfigError> {
        self.require(key, "one size, or one for each axis", |value| {
            if let Some(one) = size(value) {
                return Some(vec![one; n]);
            }
            let list: Vec<usize> = value.as_array()?.iter().map(size).collect::<Option<_>>()?;
            match list.len() {
                1 => Some(vec![list[0]; n]),
                length if length == n => Some(list),
                _ => None,
            }
        })
    }

    pub(crate) fn sizes_or(&self, key: &str, n: usize, default: usize) -> Result<Vec<usize>, ConfigError> {
        if self.get(key).is_none() {
            Ok(vec![default; n])
        } else {
            self.sizes(key, n)
        }
    }

    /// `[before, after]` for each of `n` axes: a number, one number an axis, or one pair an axis.
    pub(crate) fn pairs(&self, key: &str, n: usize) -> Result<Vec<[usize; 2]>, ConfigError> {
        self.require(key, "cells before and after each axis", |value| {
            if let Some(one) = size(value) {
                return Some(vec![[one, one]; n]);
            }
            let list = value.as_array()?;
            if n == 1 && list.len() == 2 && list.iter().all(Value::is_number) {
                return Some(vec![[size(&list[0])?, size(&list[1])?]]);
            }
            let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
                Some([before, after]) => Some([size(before)?, size(after)?]),
                Some(_) => None,
                None => size(value).map(|one| [one, one]),
            };
            if list.len() == n {
                list.iter().map(pair).collect()
            } else {
                None
            }
        })
    }

    /// One axis or a list of axes, as Keras counts them: negative from the end.
    pub(crate) fn axes_or(&self, key: &str, default: &[i64]) -> Result<Vec<i64>, ConfigError> {
        self.or(
            key,
            default.to_vec(),
            "an axis or a list of axes",
            |value| match value.as_i64() {
                Some(axis) => Some(vec![axis]),
                None => value.as_array()?.iter().map(Value::as_i64).collect(),
            },
        )
    }

    /// A shape whose unknown sizes are null.
    pub(crate) fn shape(&self, key: &str) -> Result<Option<Vec<Option<usize>>>, ConfigError> {
        if self.get(key).is_none() {
            return Ok(None);
        }
        self.require(key, "a shape", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| {
                    if item.is_null() {
                        Some(None)
                    } else {
                        size(item).map(Some)
                    }
                })
                .collect()
        })
        .map(Some)
    }
}

/// A size or count that DL4J can hold in an `int`, as TensorFlow does.
fn size(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .or_else(|| {
            value
                .as_f64()
                .filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n))
                .map(|n| n as u64)
        })
        .filter(|&n| n <= i32::MAX as u64)
        .and_then(|n| usize::try_from(n).ok())
}

/// A number; Keras writes NumPy scalars as objects `{"class_name": "__numpy__", …}` or `{"value": …}` at times.
fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.get("value").and_then(Value::as_f64))
}

/// A value of another kind than was expected.
pub(super) fn wrong(key: &str, expected: &'static str, found: &Value) -> ConfigError {
    ConfigError::Kind {
        key: key.to_owned(),
        expected,
        found: brief(found),
    }
}

/// A value in an error message: its text, cut.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        text.chars().take(57).chain("...".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attributes(value: Value) -> Attributes {
        Attributes(value.as_object().unwrap().clone())
    }

    #[test]
    fn padding_is_read_in_all_its_forms() {
        let pads = |value: Value, n| attributes(json!({ "padding": value })).pairs("padding", n);
        assert_eq!(pads(json!(2), 2), Ok(vec![[2, 2], [2, 2]]));
        assert_eq!(pads(json!([1, 2]), 1), Ok(vec![[1, 2]]));
        assert_eq!(pads(json!([1, 2]), 2), Ok(vec![[1, 1], [2, 2]]));
        assert_eq!(pads(json!([[1, 2], [3, 0]]), 2), Ok(vec![[1, 2], [3, 0]]));
        assert!(pads(json!([[1, 2, 3], [3, 0]]), 2).is_err());
    }

    #[test]
    fn errors_name_the_key_and_what_was_found() {
        let error = attributes(json!({ "units": "many" })).size("units").unwrap_err();
        assert_eq!(error.to_string(), "units: expected a size, found \"many\"");
        assert!(attributes(json!({ "units": -3 })).size("units").is_err());
    }
}
