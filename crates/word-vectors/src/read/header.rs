//! The first line: how many words, how many numbers each; or the first word already.

use super::line::{trimmed, values};
use memchr::{memchr, memchr_iter};

/// How many lines are looked at to find out how many numbers a line has.
const SAMPLE: usize = 100;
/// A longer first line is no header.
const LONGEST: usize = 100;

/// What a first line claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) words: u64,
    pub(super) dimensions: u64,
    /// Where the words begin.
    pub(super) end: usize,
    /// How many numbers the line has: two, and three where DeepLearning4j wrote how many documents there were.
    tokens: usize,
}

impl Header {
    /// The first line as a header, where it looks like one: two or three whole numbers.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = memchr(b'\n', &bytes[..bytes.len().min(LONGEST)])
            .or_else(|| (bytes.len() < LONGEST).then_some(bytes.len()))?;
        let line = std::str::from_utf8(trimmed(&bytes[..end])).ok()?;
        let numbers: Option<Vec<u64>> = line
            .split(' ')
            .map(|token| token.parse().ok().filter(|_| !token.starts_with('+')))
            .collect();
        match numbers?[..] {
            [words, dimensions] => Some((words, dimensions, 2)),
            [words, dimensions, _documents] => Some((words, dimensions, 3)),
            _ => None,
        }
        .map(|(words, dimensions, tokens)| Self {
            words,
            dimensions,
            end: bytes.len().min(end + 1),
            tokens,
        })
    }
}

/// How a text begins, and how many numbers follow each word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) header: Option<Header>,
    /// How many numbers the lines have; zero where there is no line with any.
    pub(super) dimensions: usize,
    /// Whether the header may be a word with its numbers as well: it fits the lines as one, and does not fit as a header.
    pub(super) ambiguous: bool,
}

impl Beginning {
    /// Looks at the first lines of a text.
    ///
    /// Whole numbers on the first line are a header. Where they fit the lines that follow as a word with its numbers too, only a
    /// header that is right in both of its numbers is surely one.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let Some(header) = Header::parse(bytes) else {
            return Self {
                header: None,
                dimensions: usual(bytes),
                ambiguous: false,
            };
        };
        let rest = &bytes[header.end..];
        let dimensions = match usual(rest) {
            0 => usize::try_from(header.dimensions).unwrap_or(0),
            dimensions => dimensions,
        };
        let also_a_word = Some(header.tokens) == dimensions.checked_add(1) && !rest.is_empty();
        let right = header.dimensions == dimensions as u64
            && lines(rest) == usize::try_from(header.words).unwrap_or(usize::MAX);
        // One line may be malformed or hold a word with spaces: the header is believed when any line agrees with it.
        let agrees = sample(rest).any(|count| count as u64 == header.dimensions);
        let dimensions = match usize::try_from(header.dimensions) {
            Ok(claimed) if agrees => claimed,
            _ => dimensions,
        };
        Self {
            header: Some(header),
            dimensions,
            ambiguous: also_a_word && !right,
        }
    }

    /// Whether DeepLearning4j's `loadStaticModel` would take the first line for a header, though it is a word.
    pub(super) fn looks_like_a_header(&self, bytes: &[u8]) -> bool {
        let line = &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())];
        let first = &line[..memchr(b' ', line).unwrap_or(line.len())];
        let number = std::str::from_utf8(first)
            .ok()
            .and_then(|first| first.parse::<u32>().ok());
        self.header.is_none() && number.is_some_and(|number| number > 0) && self.dimensions < 5
    }
}

/// How many numbers the first lines have at their ends.
fn sample(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes
        .split(|&byte| byte == b'\n')
        .take(SAMPLE)
        .map(values)
        .filter(|&count| count > 0)
}

/// How many numbers most of the first lines have; of several that are as frequent, the largest: a line is cut off more
/// easily than lengthened.
fn usual(bytes: &[u8]) -> usize {
    let mut counts: Vec<usize> = sample(bytes).collect();
    counts.sort_unstable();
    let runs = counts.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| run.len()).map_or(0, |run| run[0])
}

/// How many lines there are, blank ones at the end left out.
fn lines(bytes: &[u8]) -> usize {
    let bytes = trimmed(bytes);
    memchr_iter(b'\n', bytes).count() + usize::from(!bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(text: &str) -> bool {
        Beginning::of(text.as_bytes()).ambiguous
    }

    fn of(text: &str) -> (Option<(u64, u64)>, usize) {
        let beginning = Beginning::of(text.as_bytes());
        let header = beginning.header.map(|header| (header.words, header.dimensions));
        (header, beginning.dimensions)
    }

    #[test]
    fn headers_are_told_from_words_that_are_numbers() {
        assert_eq!(of("2 3\na 1 2 3\nb 1 2 3\n"), (Some((2, 3)), 3));
        assert_eq!(of("2 3 7\r\na 1 2 3\r\nb 1 2 3\r\n"), (Some((2, 3)), 3));
        assert_eq!(of("7 0.1 0.2\n8 0.3 0.4\n"), (None, 2));
        // Whole numbers that fit the lines as a word, and do not fit as a header.
        assert!(ambiguous("7 3\n8 4\n9 5\n"));
        assert!(ambiguous("7 1\n8 4\n9 5\n"));
        assert!(ambiguous("5 2 7\na 1 2\n"));
        assert!(!ambiguous("2 1\n8 4\n9 5\n"));
        assert!(!ambiguous("9 2\na 1 2\n"));
        // Those that do.
        assert_eq!(of("2 1\n8 4\n9 5\n"), (Some((2, 1)), 1));
        assert_eq!(of("1 2 7\na 1 2\n"), (Some((1, 2)), 2));
        // A header that lies about the numbers; the lines agree with each other.
        assert_eq!(of("2 9\na 1 2 3\nb 1 2 3\n"), (Some((2, 9)), 3));
        // One that only some lines agree with.
        assert_eq!(of("3 3\na 1 2\nb 1 2\nc 1 2 3\n"), (Some((3, 3)), 3));
        assert_eq!(of("0 5\n"), (Some((0, 5)), 5));
        assert_eq!(of(""), (None, 0));
        assert_eq!(of("+2 3\n"), (None, 1));
    }
}
