//! The structure of a text: its fields with their places, known or not.

use caribou_ir::{Limits, Place};
use prost_reflect::{Kind, MessageDescriptor};
use std::fmt;

/// Why a text can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct TextError {
    place: Place,
    message: String,
}

impl TextError {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
        }
    }

    pub(super) fn at_start(message: impl Into<String>) -> Self {
        Self::new(Place::Line { line: 1, column: 1 }, message)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line { line, column } => write!(f, "line {line}, column {column}: {}", self.message),
            Place::Offset(offset) => write!(f, "byte {offset}: {}", self.message),
        }
    }
}

/// A field that is not declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The names of the fields around it, outermost first.
    pub(crate) within: Vec<String>,
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// The layer that it stands in, as the place of that one.
    pub(crate) layer: Option<Place>,
}

impl Unknown {
    /// The names of the fields around it and its own, with dots between.
    pub(crate) fn path(&self) -> String {
        let mut names = self.within.clone();
        names.push(self.name.clone());
        names.join(".")
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = format!("{} is no field of Caffe's that is known here", self.path());
        TextError::new(self.place, message).fmt(f)
    }
}

/// What [`scan`] finds.
pub(super) struct Scanned {
    /// The text with blanks in place of unknown fields.
    pub(super) text: String,
    pub(super) layer: Vec<Place>,
    pub(super) layers: Vec<Place>,
    pub(super) unknown: Vec<Unknown>,
}

/// Fields whose values choose an implementation; forks add values of their own, and none changes what is computed.
const WITHOUT_EFFECT: [&str; 2] = ["engine", "backend"];

/// Deeper messages are not decoded, whatever the limit: the deepest of Caffe's is at eight.
const DEEPEST: usize = 90;

/// Goes over the text once.
pub(super) fn scan(text: &str, root: &MessageDescriptor, limits: &Limits) -> Result<Scanned, TextError> {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        line_start: 0,
        limits,
        within: Vec::new(),
        blanks: Vec::new(),
        layer: Vec::new(),
        layers: Vec::new(),
        unknown: Vec::new(),
        current: None,
    };
    scanner.fields(Some(root), None)?;
    let mut bytes = text.as_bytes().to_vec();
    for &(start, end) in &scanner.blanks {
        for byte in &mut bytes[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    Ok(Scanned {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        layer: scanner.layer,
        layers: scanner.layers,
        unknown: scanner.unknown,
    })
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    limits: &'a Limits,
    within: Vec<String>,
    /// Ranges of bytes that are covered.
    blanks: Vec<(usize, usize)>,
    layer: Vec<Place>,
    layers: Vec<Place>,
    unknown: Vec<Unknown>,
    /// The place of the layer that is being read.
    current: Option<Place>,
}

impl Scanner<'_> {
    fn place(&self) -> Place {
        Place::Line {
            line: self.line,
            column: u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX),
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, TextError> {
        Err(TextError::new(self.place(), message))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn bump(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at + 1;
        }
        self.at += 1;
    }

    /// Goes to the next byte that is neither blank nor in a comment.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.bump();
                    }
                }
                byte if byte.is_ascii_whitespace() || byte == b'\x0b' => self.bump(),
                _ => break,
            }
        }
    }

    /// The fields of a message up to `closing`, a closing bracket with the place of its opening one.
    fn fields(
        &mut self,
        message: Option<&MessageDescriptor>,
        closing: Option<(u8, Place)>,
    ) -> Result<(), TextError> {
        loop {
            self.skip();
            match (self.peek(), closing) {
                (None, None) => return Ok(()),
                (None, Some((_, opened))) => {
                    return Err(TextError::new(
                        opened,
                        "the bracket that opens here is not closed",
                    ));
                }
                (Some(byte), Some((close, _))) if byte == close => {
                    self.bump();
                    return Ok(());
                }
                _ => self.field(message)?,
            }
        }
    }

    fn field(&mut self, message: Option<&MessageDescriptor>) -> Result<(), TextError> {
        let (start, place) = (self.at, self.place());
        let name = self.name()?;
        let field = message.and_then(|message| message.get_field_by_name(&name));
        let known = field.is_some();
        let outermost = self.within.is_empty();
        let inner = field.as_ref().map(|field| field.kind());
        let inner = match &inner {
            Some(Kind::Message(message)) => Some(message),
            _ => None,
        };
        self.skip();
        if self.peek() == Some(b':') {
            self.bump();
            self.skip();
        }
        let listed = outermost && matches!(name.as_str(), "layer" | "layers");
        let unread = message.is_some() && !known;
        self.within.push(name.clone());
        if self.peek() == Some(b'[') {
            let opened = self.place();
            self.bump();
            loop {
                self.skip();
                match self.peek() {
                    Some(b']') => break self.bump(),
                    Some(b',') => self.bump(),
                    None => {
                        return Err(TextError::new(
                            opened,
                            "the bracket that opens here is not closed",
                        ));
                    }
                    _ => {
                        if listed {
                            self.enter(&name, self.place())?;
                        }
                        self.value(inner)?;
                    }
                }
            }
        } else {
            if listed {
                self.enter(&name, place)?;
            }
            self.value(inner)?;
        }
        self.within.pop();
        self.skip();
        if matches!(self.peek(), Some(b',' | b';')) {
            self.bump();
        }
        if unread {
            self.unknown.push(Unknown {
                within: self.within.clone(),
                name: name.clone(),
                place,
                layer: self.current.filter(|_| !outermost),
            });
        }
        if unread || (message.is_some() && WITHOUT_EFFECT.contains(&name.as_str())) {
            self.blanks.push((start, self.at));
        }
        Ok(())
    }

    /// Notes the beginning of a layer.
    fn enter(&mut self, name: &str, place: Place) -> Result<(), TextError> {
        let list = if name == "layer" {
            &mut self.layer
        } else {
            &mut self.layers
        };
        list.push(place);
        self.current = Some(place);
        let count = list.len();
        if count > self.limits.nodes {
            return self.error(format!("there are more than {} layers", self.limits.nodes));
        }
        Ok(())
    }

    /// The name of a field.
    fn name(&mut self) -> Result<String, TextError> {
        let start = self.at;
        if self.peek() == Some(b'[') {
            // An extension.
            while self.peek().is_some_and(|byte| byte != b']' && byte != b'\n') {
                self.bump();
            }
            if self.peek() != Some(b']') {
                return self.error("expected ]");
            }
            self.bump();
        } else {
            while self
                .peek()
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                self.bump();
            }
        }
        if start == self.at {
            let found = self.bytes[self.at..].utf8_chunks().next();
            let found = found.and_then(|chunk| chunk.valid().chars().next());
            return self.error(match found {
                Some(found) => format!("expected the name of a field, found {found:?}"),
                None => "expected the name of a field".to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }

    /// One value: a message, strings one behind the other, or a number or word.
    fn value(&mut self, message: Option<&MessageDescriptor>) -> Result<(), TextError> {
        let close = match self.peek() {
            Some(b'{') => b'}',
            Some(b'<') => b'>',
            Some(b'"' | b'\'') => {
                while matches!(self.peek(), Some(b'"' | b'\'')) {
                    self.string()?;
                    self.skip();
                }
                return Ok(());
            }
            _ => return self.word(),
        };
        let deepest = self.limits.nesting.min(DEEPEST);
        if self.within.len() > deepest {
            return self.error(format!("messages are nested deeper than {deepest}"));
        }
        let opened = self.place();
        self.bump();
        self.fields(message, Some((close, opened)))
    }

    fn string(&mut self) -> Result<(), TextError> {
        let (quote, opened) = (self.peek(), self.place());
        self.bump();
        loop {
            match self.peek() {
                byte if byte == quote && byte.is_some() => break self.bump(),
                None | Some(b'\n') => {
                    return Err(TextError::new(opened, "the string that begins here does not end"));
                }
                Some(b'\\') => {
                    self.bump();
                    if self.peek().is_some_and(|byte| byte != b'\n') {
                        self.bump();
                    }
                }
                Some(_) => self.bump(),
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<(), TextError> {
        if matches!(self.peek(), Some(b'-' | b'+')) {
            self.bump();
            self.skip();
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-'))
        {
            self.bump();
        }
        if start == self.at {
            return self.error("expected a value");
        }
        Ok(())
    }
}
