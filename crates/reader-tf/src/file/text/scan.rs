//! The structure of a text: which field stands where, known or not.

use caribou_ir::Limits;
use prost_reflect::{Kind, MessageDescriptor};

/// Deeper messages are not decoded, whatever the limit.
const DEEPEST: usize = 90;

/// A byte, and what is wrong there.
type Fault = (usize, String);

/// The text with blanks in place of the fields that are not declared.
pub(super) fn covered(text: &str, root: &MessageDescriptor, limits: &Limits) -> Result<String, Fault> {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        depth: 0,
        deepest: limits.nesting.min(DEEPEST),
        blanks: Vec::new(),
    };
    scanner.fields(Some(root), None)?;
    let mut covered = String::with_capacity(text.len());
    let mut last = 0;
    for (start, end) in scanner.blanks {
        covered.push_str(text.get(last..start).unwrap_or_default());
        // Lines and the number of bytes stay.
        covered.extend(
            text.as_bytes()[start..end]
                .iter()
                .map(|&byte| if byte == b'\n' { '\n' } else { ' ' }),
        );
        last = end;
    }
    covered.push_str(text.get(last..).unwrap_or_default());
    Ok(covered)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    deepest: usize,
    /// Ranges of bytes that are covered, in order.
    blanks: Vec<(usize, usize)>,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err((self.at, message.into()))
    }

    /// Goes over bytes while they fit.
    fn while_byte(&mut self, fits: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&fits) {
            self.at += 1;
        }
    }

    /// Goes to the next byte that is neither blank nor in a comment.
    fn skip(&mut self) {
        loop {
            self.while_byte(|byte| byte.is_ascii_whitespace() || byte == b'\x0b');
            if self.peek() != Some(b'#') {
                break;
            }
            self.while_byte(|byte| byte != b'\n');
        }
    }

    /// Fields up to a closing bracket, given with the place of the opening one, or up to the end.
    fn fields(
        &mut self,
        message: Option<&MessageDescriptor>,
        closing: Option<(u8, usize)>,
    ) -> Result<(), Fault> {
        loop {
            self.skip();
            match (self.peek(), closing) {
                (None, None) => return Ok(()),
                (None, Some((_, opened))) => {
                    return Err((opened, "the bracket that opens here is not closed".into()));
                }
                (Some(byte), Some((close, _))) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => self.field(message)?,
            }
        }
    }

    fn field(&mut self, message: Option<&MessageDescriptor>) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'[') {
            // The name of an extension.
            self.while_byte(|byte| byte != b']' && byte != b'\n');
            self.at += 1;
        } else {
            self.while_byte(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        }
        let name = self
            .bytes
            .get(start..self.at)
            .and_then(|name| std::str::from_utf8(name).ok());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return self.fault("expected the name of a field");
        };
        let field = message.and_then(|message| message.get_field_by_name(name));
        let kind = field.as_ref().map(|field| field.kind());
        let inner = match &kind {
            Some(Kind::Message(inner)) => Some(inner),
            _ => None,
        };
        self.skip();
        if self.peek() == Some(b':') {
            self.at += 1;
            self.skip();
        }
        let covers = self.blanks.len();
        if self.peek() == Some(b'[') {
            let opened = self.at;
            self.at += 1;
            loop {
                self.skip();
                match self.peek() {
                    Some(b']') => break self.at += 1,
                    Some(b',') => self.at += 1,
                    None => return Err((opened, "the bracket that opens here is not closed".into())),
                    _ => self.value(inner)?,
                }
            }
        } else {
            self.value(inner)?;
        }
        self.skip();
        if matches!(self.peek(), Some(b',' | b';')) {
            self.at += 1;
        }
        if message.is_some() && field.is_none() {
            self.blanks.truncate(covers);
            self.blanks.push((start, self.at));
        }
        Ok(())
    }

    /// One value: a message, strings one behind the other, or a number or word.
    fn value(&mut self, message: Option<&MessageDescriptor>) -> Result<(), Fault> {
        let opened = self.at;
        match self.peek() {
            Some(open @ (b'{' | b'<')) => {
                if self.depth >= self.deepest {
                    return self.fault(format!("messages are nested deeper than {}", self.deepest));
                }
                self.depth += 1;
                self.at += 1;
                self.fields(message, Some((if open == b'{' { b'}' } else { b'>' }, opened)))?;
                self.depth -= 1;
            }
            Some(b'"' | b'\'') => {
                while let Some(quote @ (b'"' | b'\'')) = self.peek() {
                    self.string(quote)?;
                    self.skip();
                }
            }
            _ => {
                if matches!(self.peek(), Some(b'-' | b'+')) {
                    self.at += 1;
                    self.skip();
                }
                let start = self.at;
                self.while_byte(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-')
                });
                if start == self.at {
                    return self.fault("expected a value");
                }
            }
        }
        Ok(())
    }

    fn string(&mut self, quote: u8) -> Result<(), Fault> {
        let opened = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(byte) if byte == quote => break self.at += 1,
                None | Some(b'\n') => {
                    return Err((opened, "the string that begins here does not end".into()));
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        Ok(())
    }
}
