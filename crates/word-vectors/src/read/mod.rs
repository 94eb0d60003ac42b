//! Reading: what a file is, and the words and numbers in it.

mod archive;
mod binary;
mod header;
mod line;
mod text;

use crate::log::{self, Log};
use crate::vectors::WordVectors;
use crate::words::List;
use caribou_ir::{Findings, Limits, Place, ReadError, Source};
use flate2::read::MultiGzDecoder;
use header::Header;
use std::io::Read;

/// What the user asks of the reader.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the file may make us allocate.
    pub limits: Limits,
    /// Whether lines that can't be read are left out, each counted, instead of making the file unreadable.
    pub skip_malformed: bool,
}

impl Settings {
    /// Refuses more numbers than the limit allows, before there is room for them.
    fn affordable(&self, words: usize, dimensions: usize) -> Result<(), Failure> {
        let bytes = (words as u64).saturating_mul(dimensions as u64).saturating_mul(4);
        if bytes > self.limits.tensor_bytes || u32::try_from(words).is_err() {
            return Err(Failure::format(
                format!(
                    "{words} words of {dimensions} numbers are {bytes} bytes, above the limit of {}",
                    self.limits.tensor_bytes
                ),
                "raise it with --limit tensor-bytes=…",
            ));
        }
        Ok(())
    }
}

/// How the words and numbers were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Whether the whole file is gzipped.
    pub gzip: bool,
    /// The entry of the archive that holds the vectors, where the file is one.
    pub entry: Option<String>,
    /// Whether numbers are stored as they are, not as text.
    pub binary: bool,
    /// Whether the first line says how many there are.
    pub header: bool,
    /// Whether a line break stands before the words of a binary file.
    pub line_breaks: bool,
    /// How many words are written as `B64:`.
    pub escaped: usize,
    /// How many lines end with CRLF.
    pub carriage_returns: usize,
    /// How many lines or records could not be read, and were left out.
    pub left_out: usize,
    /// How many words were there already, and were left out.
    pub repeated: usize,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry} of a zip, ")?;
        }
        if self.gzip {
            f.write_str("gzipped ")?;
        }
        f.write_str(match (self.binary, self.header, self.line_breaks) {
            (true, _, true) => "word2vec binary with line breaks",
            (true, _, false) => "word2vec binary",
            (false, true, _) => "word2vec text",
            (false, false, _) => "text without a header (GloVe)",
        })
    }
}

/// Word vectors as they were read.
#[derive(Debug, Clone)]
pub struct Import {
    /// The words with their vectors.
    pub vectors: WordVectors,
    /// How they were written.
    pub form: Form,
    /// What there is to say about the file, without errors among them.
    pub findings: Findings,
}

/// Why bytes could not be read, before the file's name is known.
pub(crate) struct Failure {
    message: String,
    help: String,
}

impl Failure {
    fn format(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Words and numbers in the order of the file.
#[derive(Default)]
struct Rows {
    words: List,
    dimensions: usize,
    values: Vec<f32>,
    /// The line of each word, in text.
    lines: Vec<u64>,
    /// The byte where each word begins, in binary.
    offsets: Vec<u64>,
    form: Form,
    log: Option<Log>,
}

impl Rows {
    /// Where the word at `row` stands.
    fn place(&self, row: usize) -> Option<Place> {
        let line = self.lines.get(row).map(|&line| Place::Line {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
        });
        line.or_else(|| self.offsets.get(row).map(|&offset| Place::Offset(offset)))
    }
}

/// Reads word vectors: word2vec text or binary, GloVe, fastText `.vec`, each also gzipped or in a `.zip`. What a file is shows
/// in its content, never in its name.
///
/// # Errors
/// When the file is none of these, is damaged, or holds lines that can't be read: all of them, each with its line.
pub fn read(source: &Source, settings: &Settings) -> Result<Import, ReadError> {
    let name = source
        .path()
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let failed = |failure: Failure| ReadError::Format {
        path: source.path().to_path_buf(),
        message: failure.message,
        help: failure.help,
    };
    let (vectors, form, findings) = decode(source.bytes(), &name, settings).map_err(failed)?;
    if findings.has_errors() {
        return Err(ReadError::Refused {
            path: source.path().to_path_buf(),
            findings,
            rest: None,
        });
    }
    Ok(Import {
        vectors,
        form,
        findings,
    })
}

/// Reads the bytes of a file.
fn decode(bytes: &[u8], name: &str, settings: &Settings) -> Result<(WordVectors, Form, Findings), Failure> {
    if bytes.starts_with(b"PK\x03\x04") {
        return archive::read(bytes, settings);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let inflated = inflate(bytes, settings)?;
        let (vectors, form, findings) = plain(&inflated, name, settings)?;
        return Ok((vectors, Form { gzip: true, ..form }, findings));
    }
    plain(bytes, name, settings)
}

/// Reads text or binary that is not compressed.
fn plain(bytes: &[u8], name: &str, settings: &Settings) -> Result<(WordVectors, Form, Findings), Failure> {
    let mut rows = rows(bytes, name, settings)?;
    let mut log = rows
        .log
        .take()
        .unwrap_or_else(|| Log::new(name, "word vectors", settings.skip_malformed));
    let place: Vec<Option<Place>> = (0..rows.words.len()).map(|row| rows.place(row)).collect();
    let (vectors, duplicates) = WordVectors::of_file(rows.words, rows.dimensions, rows.values);
    let mut form = rows.form;
    form.left_out = log.unread();
    form.repeated = duplicates.len();
    for duplicate in duplicates {
        let word = vectors.words().get(duplicate.kept);
        log.push(
            &log::DUPLICATE,
            place.get(duplicate.row).copied().flatten(),
            || match place.get(duplicate.first).copied().flatten() {
                Some(Place::Line { line, .. }) => format!("the word {word:?} stands on line {line} already"),
                Some(Place::Offset(offset)) => format!("the word {word:?} stands at byte {offset} already"),
                None => format!("the word {word:?} is there already"),
            },
        );
    }
    Ok((vectors, form, log.findings()))
}

/// What other programs keep vectors in, by how such a file begins, and what to do.
const OTHERS: [(&[u8], &str, &str); 6] = [
    (
        b"\xba\x16\x4f\x2f",
        "a fastText model",
        "its vectors as text, the .vec beside it, are read",
    ),
    (
        b"\x80\x02",
        "a Python pickle, which is code",
        "write it with save_word2vec_format",
    ),
    (
        b"\x80\x03",
        "a Python pickle, which is code",
        "write it with save_word2vec_format",
    ),
    (
        b"\x80\x04",
        "a Python pickle, which is code",
        "write it with save_word2vec_format",
    ),
    (
        b"\x80\x05",
        "a Python pickle, which is code",
        "write it with save_word2vec_format",
    ),
    (b"\xff\xfe", "text in UTF-16", "convert it to UTF-8"),
];

/// Tells text from binary.
fn rows(bytes: &[u8], name: &str, settings: &Settings) -> Result<Rows, Failure> {
    if let Some((_, what, help)) = OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return Err(Failure::format(format!("it is {what}"), *help));
    }
    let log = |form: &str| Log::new(name, form, settings.skip_malformed);
    if let Some(header) = Header::parse(bytes)
        && is_binary(bytes, &header)
    {
        return binary::read(bytes, &header, settings, log("binary"));
    }
    text::read(bytes, settings, log("text"))
}

/// Bytes in which numbers that are no text show themselves.
const LOOK: usize = 1 << 16;

/// Whether what follows a header is binary: no line of numbers, but bytes that no text has.
fn is_binary(bytes: &[u8], header: &Header) -> bool {
    let rest = &bytes[header.end..];
    let window = &rest[..rest.len().min(LOOK)];
    let line = &window[..memchr::memchr(b'\n', window).unwrap_or(window.len())];
    if header.dimensions > 0 && line::values(line) as u64 == header.dimensions {
        return false;
    }
    let control = |byte: &u8| *byte < 32 && !byte.is_ascii_whitespace() && *byte != 11;
    window.iter().any(control) || binary::exactly(bytes, header)
}

/// Inflates a gzipped file, as far as the limit allows.
fn inflate(bytes: &[u8], settings: &Settings) -> Result<Vec<u8>, Failure> {
    let limit = settings.limits.inflated_bytes;
    let mut inflated = Vec::new();
    let read = MultiGzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut inflated);
    read.map_err(|error| {
        Failure::format(
            format!(
                "the gzipped bytes end or break off after {} inflated ones: {error}",
                inflated.len()
            ),
            "it may be cut off; get it again",
        )
    })?;
    if inflated.len() as u64 > limit {
        return Err(Failure::format(
            format!("it inflates to more than {limit} bytes"),
            "raise that with --limit inflated-bytes=…",
        ));
    }
    Ok(inflated)
}
