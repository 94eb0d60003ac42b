//! Text, in blocks of lines that are read side by side.

use super::header::Beginning;
use super::line::{Fault, shown, trimmed, unusual, usual};
use super::{Form, Rows, Settings};
use crate::base64;
use crate::log::{self, Log};
use crate::words::List;
use memchr::{memchr, memchr_iter};
use rayon::prelude::*;
use std::ops::Range;

/// Bytes that are read by one thread at a time.
const BLOCK: usize = 1 << 20;

/// Lines that are read together.
struct Block {
    range: Range<usize>,
    /// How many lines are before it in the file.
    lines_before: u64,
    /// How many words it has at most: no line that can be read is shorter than a word of one byte, and as many numbers of
    /// one digit.
    most: usize,
}

/// What was read of a block.
struct Part {
    words: List,
    lines: Vec<u64>,
    log: Log,
    escaped: usize,
    carriage_returns: usize,
    /// Blank lines, and the last of them.
    blank: (usize, u64),
    after_blank: Option<u64>,
}

/// Reads the words and numbers of a text.
pub(super) fn read(bytes: &[u8], settings: &Settings, mut log: Log) -> Result<Rows, super::Failure> {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if start > 0 {
        log.line(&log::MARK, 1, 1, || {
            "the file begins with a byte order mark, which is no part of the first line".into()
        });
    }
    let beginning = Beginning::of(&bytes[start..]);
    let dimensions = beginning.dimensions;
    if dimensions == 0 {
        return Err(nothing(&bytes[start..], beginning));
    }
    if beginning.looks_like_a_header(&bytes[start..]) {
        log.line(&log::FIRST_IS_WORD, 1, 1, || {
            "the first line is read as a word with its numbers".into()
        });
    }
    if beginning.ambiguous {
        log.line(&log::AMBIGUOUS, 1, 1, || {
            "the first line may be a header that does not fit, or a word that is a number".into()
        });
    }
    let body = start + beginning.header.map_or(0, |header| header.end);
    let blocks = blocks(bytes, body, u64::from(beginning.header.is_some()), dimensions);
    let most: usize = blocks.iter().map(|block| block.most).sum();
    settings.affordable(most, dimensions)?;
    let mut values = vec![0f32; most * dimensions];
    let mut parts = Vec::with_capacity(blocks.len());
    let mut rest = &mut values[..];
    for block in &blocks {
        let (own, others) = rest.split_at_mut(block.most * dimensions);
        parts.push((block, own));
        rest = others;
    }
    let parts: Vec<Part> = parts
        .into_par_iter()
        .map(|(block, values)| part(bytes, block, dimensions, values, log.part()))
        .collect();
    // Blocks with fewer words than they might have had leave room between them.
    let (mut from, mut to) = (0, 0);
    let mut rows = Rows {
        dimensions,
        ..Rows::default()
    };
    let mut form = Form {
        header: beginning.header.is_some(),
        ..Form::default()
    };
    let (mut blank, mut blank_before_end) = ((0, 0), None);
    for (block, part) in blocks.iter().zip(parts) {
        let used = part.words.len() * dimensions;
        if from != to {
            values.copy_within(from..from + used, to);
        }
        from += block.most * dimensions;
        to += used;
        rows.words.append(&part.words);
        rows.lines.extend(part.lines);
        log.append(part.log);
        form.escaped += part.escaped;
        form.carriage_returns += part.carriage_returns;
        if part.after_blank.is_some() || (blank.0 > 0 && part.words.len() > 0) {
            blank_before_end = Some(part.after_blank.unwrap_or(blank.1));
        }
        if part.blank.0 > 0 {
            blank = (blank.0 + part.blank.0, part.blank.1);
        }
    }
    values.truncate(to);
    rows.values = values;
    if let Some(line) = blank_before_end {
        log.line(&log::BLANK, line, 1, || {
            "blank lines between the words are passed over".into()
        });
    }
    if form.carriage_returns > 0 {
        let count = form.carriage_returns;
        log.push(&log::CARRIAGE_RETURNS, None, || {
            format!("{count} lines end with a carriage return (CRLF), which is no part of their last number")
        });
    }
    counted(&beginning, &rows, &mut log);
    rows.form = form;
    rows.log = Some(log);
    Ok(rows)
}

/// A text without any line that has numbers.
fn nothing(bytes: &[u8], beginning: Beginning) -> super::Failure {
    let message = match beginning.header {
        Some(_) => "its first line says that the words have no numbers".to_owned(),
        None if trimmed(bytes).is_empty() => "it is empty".to_owned(),
        None if bytes[..bytes.len().min(1000)].contains(&b'\t') => {
            "its words and numbers are separated by tabs; expected single spaces".to_owned()
        }
        None => format!(
            "expected words with numbers behind them, found {}",
            shown(&bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())])
        ),
    };
    super::Failure::format(
        message,
        "expected word2vec, GloVe or fastText vectors, as text or binary, gzipped, or in a .zip",
    )
}

/// Compares what the header claims with what is there.
fn counted(beginning: &Beginning, rows: &Rows, log: &mut Log) {
    let Some(header) = beginning.header else { return };
    if header.dimensions != rows.dimensions as u64 {
        log.line(&log::DIMENSIONS, 1, 1, || {
            format!(
                "the header says {} numbers for each word, and the lines have {}",
                header.dimensions, rows.dimensions
            )
        });
    }
    // Lines that can't be read are told by themselves.
    let unread = log.unread();
    let (claimed, found) = (header.words, (rows.words.len() + unread) as u64);
    if claimed > found {
        log.line(&log::MISSING, 1, 1, || {
            format!("the header says {claimed} words, and there are {found}")
        });
    }
    if claimed < found {
        // Where every line could be read, the one that is too many is known.
        let row = usize::try_from(claimed).ok().filter(|_| unread == 0);
        let line = row.and_then(|row| rows.lines.get(row)).copied();
        let here = if line.is_some() {
            ": here begins what it does not count"
        } else {
            ""
        };
        log.line(&log::SURPLUS, line.unwrap_or(1), 1, || {
            format!("the header says {claimed} words, and there are {found}{here}")
        });
    }
}

/// Cuts the text into blocks of whole lines, and counts their lines.
fn blocks(bytes: &[u8], start: usize, lines_before: u64, dimensions: usize) -> Vec<Block> {
    let mut ranges = Vec::new();
    let mut from = start;
    while from < bytes.len() {
        let middle = bytes.len().min(from + BLOCK);
        let to = memchr(b'\n', &bytes[middle..]).map_or(bytes.len(), |end| middle + end + 1);
        ranges.push(from..to);
        from = to;
    }
    let counts: Vec<usize> = ranges
        .par_iter()
        .map(|range| memchr_iter(b'\n', &bytes[range.clone()]).count())
        .collect();
    let mut before = lines_before;
    let mut blocks = Vec::with_capacity(ranges.len());
    for (range, count) in ranges.into_iter().zip(counts) {
        // The last line may have no end.
        let lines = count + usize::from(!bytes[..range.end].ends_with(b"\n"));
        let shortest = dimensions.saturating_mul(2).saturating_add(2);
        blocks.push(Block {
            most: lines.min((range.len() + 1) / shortest),
            lines_before: before,
            range,
        });
        before += count as u64;
    }
    blocks
}

/// Reads the lines of a block into `values`.
fn part(bytes: &[u8], block: &Block, dimensions: usize, values: &mut [f32], log: Log) -> Part {
    let mut part = Part {
        words: List::default(),
        lines: Vec::with_capacity(block.most),
        log,
        escaped: 0,
        carriage_returns: 0,
        blank: (0, 0),
        after_blank: None,
    };
    let mut slots = values.chunks_exact_mut(dimensions);
    let mut slot = slots.next();
    let mut start = block.range.start;
    let mut line = block.lines_before;
    while start < block.range.end {
        line += 1;
        let end = memchr(b'\n', &bytes[start..block.range.end]).map_or(block.range.end, |end| start + end);
        let text = trimmed(&bytes[start..end]);
        let next = end + 1;
        if text.is_empty() {
            part.blank = (part.blank.0 + 1, line);
            start = next;
            continue;
        }
        part.carriage_returns += usize::from(bytes[..end].ends_with(b"\r"));
        // Where there is no slot left, the line is too short to be one that is read.
        let Some(target) = slot.as_deref_mut() else {
            let fault = unusual(text, dimensions).err().unwrap_or(Fault::Count(0));
            part.fault(fault, text, dimensions, line);
            start = next;
            continue;
        };
        let found = match usual(bytes, start..start + text.len(), target) {
            Some(word) => Ok(&bytes[start..word]),
            None => unusual(text, dimensions).map(|(end, numbers)| {
                target.copy_from_slice(&numbers);
                &text[..end]
            }),
        };
        match found {
            Ok(word) => {
                if let Some(word) = part.word(word, line) {
                    if target.iter().any(|value| !value.is_finite()) {
                        let message = || format!("the vector of {word:?} holds NaN or infinity");
                        part.log.line(&log::NOT_FINITE, line, 1, message);
                    }
                    if part.blank.0 > 0 {
                        part.after_blank = Some(part.blank.1);
                    }
                    part.words.push(&word);
                    part.lines.push(line);
                    slot = slots.next();
                }
            }
            Err(fault) => part.fault(fault, text, dimensions, line),
        }
        start = next;
    }
    part
}

impl Part {
    /// A word as it is meant.
    fn word<'a>(&mut self, bytes: &'a [u8], line: u64) -> Option<std::borrow::Cow<'a, str>> {
        let Ok(word) = std::str::from_utf8(bytes) else {
            self.log.line(&log::NOT_UTF8, line, 1, || {
                format!("the word {} is not UTF-8", shown(bytes))
            });
            return None;
        };
        if let Some(text) = word.strip_prefix(base64::PREFIX) {
            let decoded = base64::decode(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
            match decoded {
                Some(word) if word.is_empty() => {
                    self.log
                        .line(&log::NO_WORD, line, 1, || "there is no word behind B64:".into());
                    return None;
                }
                Some(word) => {
                    self.escaped += 1;
                    return Some(word.into());
                }
                None => self.log.line(&log::NOT_BASE64, line, 5, || {
                    format!(
                        "the word {} is no base64 of UTF-8, and is read as it stands",
                        shown(bytes)
                    )
                }),
            }
        }
        if word.contains(' ') {
            self.log.line(&log::SPACES, line, 1, || {
                format!("the word {} holds spaces", shown(bytes))
            });
        }
        Some(word.into())
    }

    /// Notes why a line can't be read.
    fn fault(&mut self, fault: Fault, text: &[u8], dimensions: usize, line: u64) {
        let word = shown(&text[..memchr(b' ', text).unwrap_or(text.len())]);
        match fault {
            Fault::Number { text, column } => self.log.line(&log::NUMBER, line, column, || {
                let hint = if text == "\"\"" { " (two spaces)" } else { "" };
                format!("expected a number of the word {word}, found {text}{hint}")
            }),
            Fault::Count(found) => self.log.line(&log::COUNT, line, 1, || {
                format!("expected {dimensions} numbers behind the word {word}, found {found}")
            }),
            Fault::NoWord => {
                self.log.line(&log::NO_WORD, line, 1, || {
                    "there is no word before the numbers".into()
                });
            }
            Fault::Tabs => {
                self.log.line(&log::TABS, line, 1, || {
                    format!("the line {word} is separated by tabs")
                });
            }
        }
    }
}
