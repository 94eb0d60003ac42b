//! Binary, as word2vec and gensim write it: a line with how many words and numbers, then each word, a space, and its numbers
//! as little-endian `f32`. A line break may stand before each word but the first.

use super::header::Header;
use super::line::shown;
use super::{Failure, Form, Rows, Settings};
use crate::log::{self, Log};
use caribou_ir::Place;
use memchr::memchr;
use rayon::prelude::*;

/// A longer word is none.
const LONGEST: usize = 1 << 16;

/// Where the word of a record begins and ends; its numbers follow behind one space.
#[derive(Debug, Clone, Copy)]
struct Record {
    start: usize,
    end: usize,
}

/// The next record at `at`: its word without the line break before it. `None` where there is no space, or not enough bytes
/// for the numbers.
fn record(bytes: &[u8], at: usize, numbers: usize) -> Option<Record> {
    let breaks = bytes.get(at..)?.iter().take_while(|&&byte| byte == b'\n').count();
    let start = at + breaks;
    let window = &bytes[start..bytes.len().min(start + LONGEST)];
    let end = start + memchr(b' ', window)?;
    (bytes.len() - end > numbers).then_some(Record { start, end })
}

/// Whether the bytes are exactly the records that the header claims.
pub(super) fn exactly(bytes: &[u8], header: &Header) -> bool {
    let Some(numbers) = size(header) else { return false };
    let mut at = header.end;
    for _ in 0..header.words {
        match record(bytes, at, numbers) {
            Some(record) => at = record.end + 1 + numbers,
            None => return false,
        }
    }
    header.words > 0 && bytes[at..].iter().all(|&byte| byte == b'\n')
}

/// The bytes of a vector.
fn size(header: &Header) -> Option<usize> {
    usize::try_from(header.dimensions)
        .ok()
        .filter(|&dimensions| dimensions > 0)?
        .checked_mul(4)
}

/// Whether bytes are what a word may be.
fn is_text(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok() && !word.iter().any(u8::is_ascii_control)
}

/// Reads the words and numbers behind a header.
pub(super) fn read(
    bytes: &[u8],
    header: &Header,
    settings: &Settings,
    mut log: Log,
) -> Result<Rows, Failure> {
    let available = bytes.len() - header.end;
    let Some(numbers) = size(header).filter(|numbers| *numbers < available) else {
        return Err(Failure::format(
            format!(
                "its header says {} numbers for each word, and {available} bytes follow",
                header.dimensions
            ),
            "it may be damaged",
        ));
    };
    // A record is a space and numbers at least; no word is shorter than a byte.
    let most = (available / (numbers + 2)) as u64;
    let claimed = header.words;
    let mut records = Vec::with_capacity(usize::try_from(claimed.min(most)).unwrap_or(0));
    let (mut at, mut line_breaks) = (header.end, 0usize);
    while (records.len() as u64) < claimed {
        let Some(record) = record(bytes, at, numbers) else {
            break;
        };
        line_breaks += usize::from(record.start > at && !records.is_empty());
        records.push(record);
        at = record.end + 1 + numbers;
    }
    let found = records.len();
    let unread = bytes[at..].iter().any(|&byte| byte != b'\n');
    if (found as u64) < claimed || unread {
        // Where the bytes do not add up and a word is no text, the header lies about the numbers: nothing can be kept then.
        if let Some((row, word)) = records
            .iter()
            .map(|record| &bytes[record.start..record.end])
            .enumerate()
            .find(|(_, word)| !is_text(word))
        {
            return Err(Failure::format(
                format!(
                    "expected word {} at byte {}, found {}: the header says {} numbers for each word, which can't be right",
                    row + 1,
                    records[row].start,
                    shown(word),
                    header.dimensions
                ),
                "it may be damaged, or not of the format word2vec",
            ));
        }
        if (found as u64) < claimed {
            log.push(&log::MISSING, Some(Place::Offset(at as u64)), || {
                format!(
                    "the header says {claimed} words of {} numbers, and the file ends after {found}",
                    header.dimensions
                )
            });
        } else {
            log.push(&log::UNREAD, Some(Place::Offset(at as u64)), || {
                format!(
                    "{} bytes follow the {claimed} words that the header says",
                    bytes.len() - at
                )
            });
        }
    }
    let dimensions = numbers / 4;
    settings.affordable(found, dimensions)?;
    let mut rows = Rows {
        dimensions,
        ..Rows::default()
    };
    records.retain(|record| {
        let bytes = &bytes[record.start..record.end];
        let place = Some(Place::Offset(record.start as u64));
        match std::str::from_utf8(bytes) {
            Ok("") => {
                log.push(&log::NO_WORD, place, || {
                    "there is no word before the numbers".into()
                });
                false
            }
            Ok(word) => {
                rows.words.push(word);
                true
            }
            Err(_) => {
                log.push(&log::NOT_UTF8, place, || {
                    format!("the word {} is not UTF-8", shown(bytes))
                });
                false
            }
        }
    });
    rows.values = vec![0.0; records.len() * dimensions];
    let rows_of = rows
        .values
        .par_chunks_exact_mut(dimensions)
        .zip(&records)
        .with_min_len(64);
    let finite: Vec<bool> = rows_of
        .map(|(values, record)| {
            let (words, _) = bytes[record.end + 1..record.end + 1 + numbers].as_chunks::<4>();
            for (value, word) in values.iter_mut().zip(words) {
                *value = f32::from_le_bytes(*word);
            }
            values.iter().all(|value| value.is_finite())
        })
        .collect();
    for (row, record) in records.iter().enumerate().filter(|(row, _)| !finite[*row]) {
        let place = Some(Place::Offset(record.start as u64));
        log.push(&log::NOT_FINITE, place, || {
            format!("the vector of {:?} holds NaN or infinity", rows.words.get(row))
        });
    }
    rows.offsets = records.iter().map(|record| record.start as u64).collect();
    rows.form = Form {
        binary: true,
        header: true,
        line_breaks: line_breaks > 0,
        ..Form::default()
    };
    rows.log = Some(log);
    Ok(rows)
}
