//! DeepLearning4j's zip: `syn0.txt` with the vectors, and `frequencies.txt` with how often each word was met. Any other zip
//! with one file of vectors in it is read too, as fastText and GloVe are handed out.

use super::{Failure, Form, Settings, inflate, plain};
use crate::base64;
use crate::log::{self, Log};
use crate::vectors::{Count, WordVectors};
use caribou_ir::{Findings, Place};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// The entry with the vectors.
const VECTORS: &str = "syn0.txt";
/// The entry with the counts.
const FREQUENCIES: &str = "frequencies.txt";

/// What DeepLearning4j goes on training from.
const TRAINING: [&str; 5] = [
    "syn1.txt",
    "syn1Neg.txt",
    "codes.txt",
    "huffman.txt",
    "config.json",
];

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Reads the archive.
pub(super) fn read(bytes: &[u8], settings: &Settings) -> Result<(WordVectors, Form, Findings), Failure> {
    let damaged = |error: zip::result::ZipError| {
        Failure::format(
            format!("the zip can't be read: {error}"),
            "it may be damaged or cut off",
        )
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .filter(|name| !name.ends_with('/'))
        .collect();
    let name = chosen(&names)?;
    let content = entry(&mut archive, bytes, &name, settings)?;
    let read = if content.starts_with(&[0x1f, 0x8b]) {
        plain(&inflate(&content, settings)?, &name, settings)
    } else {
        plain(&content, &name, settings)
    };
    let (mut vectors, form, mut findings) = read?;
    let beside = |name: &&String| {
        let file = name.rsplit('/').next();
        TRAINING.iter().any(|entry| file == Some(*entry))
    };
    let training: Vec<&str> = names.iter().filter(beside).map(String::as_str).collect();
    if name.ends_with(VECTORS) && !training.is_empty() {
        let mut log = Log::new(name.as_str(), "zip", settings.skip_malformed);
        log.push(&log::TRAINING, None, || {
            format!(
                "{} beside it, which training would go on from, are passed over",
                training.join(", ")
            )
        });
        findings.extend(log.findings());
    }
    let frequencies = name
        .strip_suffix(VECTORS)
        .map(|folder| format!("{folder}{FREQUENCIES}"));
    if let Some(frequencies) = frequencies.filter(|frequencies| names.contains(frequencies)) {
        let content = entry(&mut archive, bytes, &frequencies, settings)?;
        let mut log = Log::new(frequencies, "text", settings.skip_malformed);
        vectors.counts = counts(&content, &vectors, &mut log);
        findings.extend(log.findings());
    }
    Ok((
        vectors,
        Form {
            entry: Some(name),
            ..form
        },
        findings,
    ))
}

/// The entry that holds vectors.
fn chosen(names: &[String]) -> Result<String, Failure> {
    let within = |name: &&String| name.rsplit('/').next() == Some(VECTORS);
    if let Some(name) = names
        .iter()
        .find(|name| *name == VECTORS)
        .or_else(|| names.iter().find(within))
    {
        return Ok(name.clone());
    }
    match names {
        [only] => Ok(only.clone()),
        [] => Err(Failure::format(
            "the zip is empty",
            "expected syn0.txt, or one file of vectors",
        )),
        _ if names.iter().any(|name| name == "configuration.json") => Err(Failure::format(
            "it is a network of DeepLearning4j",
            "caribou words extract takes the vectors of its embedding layer out",
        )),
        _ => Err(Failure::format(
            format!(
                "the zip holds no {VECTORS}, but {} files: {}",
                names.len(),
                names[..names.len().min(8)].join(", ")
            ),
            "take the one with the vectors out of it",
        )),
    }
}

/// The bytes of an entry: of the file itself where they are stored as they are.
fn entry<'a>(
    archive: &mut Archive<'_>,
    bytes: &'a [u8],
    name: &str,
    settings: &Settings,
) -> Result<Cow<'a, [u8]>, Failure> {
    let damaged = |error: &dyn std::fmt::Display| {
        Failure::format(
            format!("{name} in the zip can't be read: {error}"),
            "it may be damaged or cut off",
        )
    };
    let file = archive.by_name(name).map_err(|error| damaged(&error))?;
    let limit = settings.limits.inflated_bytes;
    let large = || {
        Failure::format(
            format!("{name} inflates to more than {limit} bytes"),
            "raise that with --limit inflated-bytes=…",
        )
    };
    let mut content = Vec::new();
    if file.compression() == CompressionMethod::Stored {
        let stored = file.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            bytes.get(start..start.checked_add(usize::try_from(file.size()).ok()?)?)
        });
        // The checksum is what reading it through the archive would have compared.
        return match stored {
            Some(stored) if crc(stored) == file.crc32() => Ok(Cow::Borrowed(stored)),
            _ => Err(damaged(&"its bytes are not those that were stored")),
        };
    }
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| damaged(&error))?;
    if content.len() as u64 > limit {
        return Err(large());
    }
    Ok(Cow::Owned(content))
}

/// The checksum of a zip's entry.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// `B64:word frequency documents` on each line, in the order of the vectors.
fn counts(content: &[u8], vectors: &WordVectors, log: &mut Log) -> Option<Vec<Count>> {
    let mut counts = Vec::new();
    let lines = content
        .split(|&byte| byte == b'\n')
        .map(super::line::trimmed)
        .enumerate();
    for (row, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let mut tokens = line.rsplitn(3, |&byte| byte == b' ');
        let (documents, frequency, word) = (tokens.next(), tokens.next(), tokens.next());
        let word = word.and_then(|word| std::str::from_utf8(word).ok()).map(|word| {
            let decoded = word
                .strip_prefix(base64::PREFIX)
                .and_then(|text| base64::decode(text.as_bytes()));
            decoded
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_else(|| word.to_owned())
        });
        let expected = vectors.words.get(counts.len());
        if counts.len() >= vectors.len() || word.as_deref() != Some(expected) {
            let line = u32::try_from(row + 1).unwrap_or(u32::MAX);
            log.push(&log::FREQUENCIES, Some(Place::Line { line, column: 1 }), || {
                format!(
                    "expected the word {expected:?}, whose vector is at that place, found {:?}",
                    word.as_deref().unwrap_or("")
                )
            });
            return None;
        }
        // Written as doubles; a word is met a whole number of times.
        let number = |text: Option<&[u8]>| {
            let number = text.and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
            number.map_or(0, |number| number.max(0.0) as u64)
        };
        counts.push(Count {
            occurrences: number(frequency),
            documents: number(documents),
        });
    }
    if counts.len() < vectors.len() {
        log.push(&log::FREQUENCIES, None, || {
            format!(
                "it lists {} words, and there are {} vectors",
                counts.len(),
                vectors.len()
            )
        });
        return None;
    }
    Some(counts)
}
