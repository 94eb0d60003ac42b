//! Writing: what DeepLearning4j's `loadStaticModel` and `readWord2VecModel` both read, and what gensim reads.
//!
//! Numbers are written as the shortest text that gives the same `f32` back. Words are written as `B64:` unless asked
//! otherwise: DeepLearning4j reads text in whatever charset its machine has, and a word with a space would shift the numbers.

use crate::base64;
use crate::vectors::WordVectors;
use flate2::{Compression, write::GzEncoder};
use rayon::prelude::*;
use std::io::{Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The kinds of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// word2vec text: a first line with how many words and numbers, then a word on each line.
    #[default]
    Text,
    /// DeepLearning4j's zip: the same as its entry `syn0.txt`, with `frequencies.txt` where counts are known.
    Zip,
    /// word2vec binary, without line breaks.
    Binary,
    /// Text without the first line, as GloVe has it.
    Glove,
}

/// How words are written in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WordText {
    /// As `B64:` and the base64 of their UTF-8, which DeepLearning4j reads on every machine.
    #[default]
    Base64,
    /// As they are, in UTF-8, which gensim reads.
    Plain,
}

/// What is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The kind of file.
    pub format: Format,
    /// How words are written in text; binary has them as they are.
    pub words: WordText,
    /// Whether the whole file is gzipped. A zip is compressed by itself.
    pub gzip: bool,
}

/// Why vectors could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system would not let us.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The zip could not be made.
    #[error("{0}")]
    Zip(#[from] zip::result::ZipError),
    /// A word that this kind of file can't hold.
    #[error("word {row}, {word:?}, can't be written: {why}", row = row + 1)]
    Word {
        /// Its place.
        row: usize,
        /// The word.
        word: String,
        /// Why not.
        why: &'static str,
        /// What to do.
        help: &'static str,
    },
}

/// Rows whose text is made by one thread at a time.
const BLOCK: usize = 1024;
/// What a number may take as text, the space before it included: `-1.2345679e-38`.
const LONGEST_NUMBER: u64 = 16;

/// Writes words with their vectors.
///
/// # Errors
/// When the sink does not take them, or a word can't be written in this kind of file; nothing is written then.
pub fn write(
    vectors: &WordVectors,
    sink: &mut (impl Write + Seek),
    options: &WriteOptions,
) -> Result<(), WriteError> {
    expressible(vectors, options)?;
    if options.format == Format::Zip {
        return archive(vectors, sink, options);
    }
    if options.gzip {
        let mut sink = GzEncoder::new(sink, Compression::default());
        body(vectors, &mut sink, options)?;
        sink.finish()?;
        return Ok(());
    }
    body(vectors, sink, options)
}

/// Refuses words that would be read as something else.
fn expressible(vectors: &WordVectors, options: &WriteOptions) -> Result<(), WriteError> {
    let plain = options.words == WordText::Plain || options.format == Format::Binary;
    let text = options.format != Format::Binary;
    for (row, word) in vectors.words.iter().enumerate() {
        let why = match word {
            "" => "it is empty",
            _ if !plain => continue,
            _ if word.contains(' ') => "it holds a space, where the numbers would begin",
            _ if word.contains(['\n', '\r']) => "it holds a line break",
            _ if text && word.starts_with(base64::PREFIX) => "it begins with B64:, which would be decoded",
            _ if options.format == Format::Glove && row == 0 && word.starts_with('\u{feff}') => {
                "it begins with a byte order mark"
            }
            _ => continue,
        };
        let help = match word {
            "" => "leave it out",
            _ => "write text or a zip, with its words as B64: (--words b64)",
        };
        let word = word.to_owned();
        return Err(WriteError::Word { row, word, why, help });
    }
    let first = vectors.words.get(0);
    let header = first.parse::<u32>().is_ok_and(|number| number > 0) && vectors.dimensions() < 5;
    if options.format == Format::Glove && plain && header {
        return Err(WriteError::Word {
            row: 0,
            word: first.to_owned(),
            why: "the first line would be taken for a header",
            help: "write text with a header",
        });
    }
    Ok(())
}

/// DeepLearning4j's zip.
fn archive(
    vectors: &WordVectors,
    sink: &mut (impl Write + Seek),
    options: &WriteOptions,
) -> Result<(), WriteError> {
    let bytes = vectors.values().len() as u64 * LONGEST_NUMBER
        + vectors
            .words
            .iter()
            .map(|word| word.len() as u64 * 2 + 8)
            .sum::<u64>();
    let entry = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .large_file(bytes >= u64::from(u32::MAX));
    let mut zip = ZipWriter::new(sink);
    zip.start_file("syn0.txt", entry)?;
    body(vectors, &mut zip, options)?;
    if let Some(counts) = vectors.counts() {
        zip.start_file("frequencies.txt", entry.large_file(false))?;
        let mut line = Vec::new();
        for (word, count) in vectors.words.iter().zip(counts) {
            line.clear();
            push_word(word, WordText::Base64, &mut line);
            writeln!(line, " {}.0 {}", count.occurrences, count.documents)?;
            zip.write_all(&line)?;
        }
    }
    zip.finish()?;
    Ok(())
}

/// The words and numbers, with their header.
fn body(vectors: &WordVectors, sink: &mut impl Write, options: &WriteOptions) -> Result<(), WriteError> {
    if options.format != Format::Glove {
        writeln!(sink, "{} {}", vectors.len(), vectors.dimensions())?;
    }
    let rows: Vec<usize> = (0..vectors.len()).collect();
    let threads = rayon::current_num_threads();
    for group in rows.chunks(BLOCK * threads * 2) {
        let texts: Vec<Vec<u8>> = group
            .par_chunks(BLOCK)
            .map(|rows| block(vectors, rows, options))
            .collect();
        for text in texts {
            sink.write_all(&text)?;
        }
    }
    Ok(())
}

/// The bytes of some rows.
fn block(vectors: &WordVectors, rows: &[usize], options: &WriteOptions) -> Vec<u8> {
    let mut out = Vec::new();
    for &row in rows {
        let (word, values) = (vectors.words.get(row), vectors.row(row));
        if options.format == Format::Binary {
            out.extend_from_slice(word.as_bytes());
            out.push(b' ');
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            continue;
        }
        push_word(word, options.words, &mut out);
        for &value in values {
            out.push(b' ');
            push_number(value, &mut out);
        }
        out.push(b'\n');
    }
    out
}

fn push_word(word: &str, text: WordText, out: &mut Vec<u8>) {
    match text {
        WordText::Plain => out.extend_from_slice(word.as_bytes()),
        WordText::Base64 => {
            out.extend_from_slice(base64::PREFIX.as_bytes());
            base64::encode(word.as_bytes(), out);
        }
    }
}

/// The shortest text that gives the number back, in words that Java and Python both know.
fn push_number(value: f32, out: &mut Vec<u8>) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
        return;
    }
    // Writing into memory does not fail.
    let _ = write!(out, "{value:?}");
    if out.ends_with(b".0") {
        out.truncate(out.len() - 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn written(words: &[&str], dimensions: usize, options: &WriteOptions) -> Result<Vec<u8>, WriteError> {
        let values: Vec<f32> = (0..words.len() * dimensions).map(|i| i as f32 * 0.5).collect();
        let vectors = WordVectors::new(words.iter().copied(), dimensions, values).unwrap();
        let mut sink = Cursor::new(Vec::new());
        write(&vectors, &mut sink, options).map(|()| sink.into_inner())
    }

    #[test]
    fn numbers_are_written_in_words_of_java_and_python() {
        let text = |value: f32| {
            let mut out = Vec::new();
            push_number(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (10.0, "10"),
            (0.1, "0.1"),
            (1e-7, "1e-7"),
            (1e20, "1e20"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "Infinity"),
            (f32::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn words_that_would_be_read_as_something_else_are_refused() {
        let options = |format, words| WriteOptions {
            format,
            words,
            gzip: false,
        };
        let plain = options(Format::Text, WordText::Plain);
        for word in ["a b", "", "a\nb", "a\r", "B64:YQ=="] {
            let error = written(&["ok", word], 2, &plain).unwrap_err();
            assert!(matches!(error, WriteError::Word { row: 1, .. }), "{word:?}");
        }
        assert!(written(&["a b", "B64:YQ=="], 2, &options(Format::Text, WordText::Base64)).is_ok());
        assert!(written(&["a b"], 2, &options(Format::Binary, WordText::Base64)).is_err());
        assert!(written(&["B64:YQ=="], 2, &options(Format::Binary, WordText::Base64)).is_ok());
        assert!(written(&["7"], 4, &options(Format::Glove, WordText::Plain)).is_err());
        assert!(written(&["7"], 5, &options(Format::Glove, WordText::Plain)).is_ok());
    }

    #[test]
    fn the_bytes_of_each_kind() {
        let options = |format, words| WriteOptions {
            format,
            words,
            gzip: false,
        };
        let text = written(&["ä b", "c"], 2, &options(Format::Text, WordText::Base64)).unwrap();
        assert_eq!(text, b"2 2\nB64:w6QgYg== 0 0.5\nB64:Yw== 1 1.5\n");
        let text = written(&["a", "c"], 2, &options(Format::Glove, WordText::Plain)).unwrap();
        assert_eq!(text, b"a 0 0.5\nc 1 1.5\n");
        let binary = written(&["c"], 2, &options(Format::Binary, WordText::Plain)).unwrap();
        assert_eq!(binary, b"1 2\nc \0\0\0\0\0\0\0\x3f");
    }
}
