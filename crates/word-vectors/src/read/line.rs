//! One line of text: a word, and a number behind each space.

use crate::number::{number, parse};
use memchr::{memchr, memchr_iter, memrchr};
use std::ops::Range;

/// Why a line can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// What stands in place of a number, and its column.
    Number { text: String, column: usize },
    /// So many numbers, more or fewer than the other lines have.
    Count(usize),
    /// There is no word before the numbers.
    NoWord,
    /// Words and numbers are separated by tabs.
    Tabs,
}

/// The line without what blanks it ends with.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let blanks = line
        .iter()
        .rev()
        .take_while(|&&byte| byte == b' ' || (9..14).contains(&byte))
        .count();
    &line[..line.len() - blanks]
}

/// How many numbers a line ends with; it begins with a word, whatever that is.
pub(super) fn values(line: &[u8]) -> usize {
    let line = trimmed(line);
    let numbers = line
        .rsplit(|&byte| byte == b' ')
        .take_while(|token| parse(token).is_some());
    numbers.count().min(memchr_iter(b' ', line).count())
}

/// Reads the numbers of the line `range` into `values`; gives where its word ends. `None` where anything is unusual:
/// [`unusual`] says what.
#[inline]
pub(super) fn usual(bytes: &[u8], range: Range<usize>, values: &mut [f32]) -> Option<usize> {
    let word = range.start + memchr(b' ', &bytes[range.clone()])?;
    let mut at = word;
    for value in values {
        if at >= range.end || bytes[at] != b' ' {
            return None;
        }
        (*value, at) = number(bytes, at + 1)?;
    }
    (at == range.end && word > range.start).then_some(word)
}

/// A line that [`usual`] does not take: a word with spaces, whose end it gives with the `count` numbers, or what is wrong.
pub(super) fn unusual(line: &[u8], count: usize) -> Result<(usize, Vec<f32>), Fault> {
    let line = trimmed(line);
    let spaces = memchr_iter(b' ', line).count();
    if spaces == 0 && line.contains(&b'\t') {
        return Err(Fault::Tabs);
    }
    if spaces < count {
        return Err(Fault::Count(spaces));
    }
    // From the end, so that nothing is set aside for a line but the numbers that it has.
    let (mut end, mut numbers) = (line.len(), Vec::new());
    for _ in 0..count {
        let space = memrchr(b' ', &line[..end]).unwrap_or(0);
        let token = &line[space + 1..end];
        numbers.push(parse(token).ok_or_else(|| Fault::Number {
            text: shown(token),
            column: space + 2,
        })?);
        end = space;
    }
    numbers.reverse();
    let (word, before) = (end, &line[..end]);
    // Where the word itself seems to end with a number, the line has too many of them: which is the first, nobody knows.
    let last = before
        .rsplit(|&byte| byte == b' ')
        .next()
        .filter(|last| last.len() < before.len());
    if last.is_some_and(|last| parse(last).is_some()) {
        return Err(Fault::Count(values(line)));
    }
    // Blank in front: the word is nothing but spaces.
    if trimmed(before).is_empty() {
        Err(Fault::NoWord)
    } else {
        Ok((word, numbers))
    }
}

/// Bytes for a message: not too many of them, and nothing that a terminal would obey.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
    let more = if bytes.len() > 40 { "…" } else { "" };
    format!("{:?}{more}", &*text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, count: usize) -> Result<(String, Vec<f32>), Fault> {
        let mut values = vec![0.0; count];
        let bytes = line.as_bytes();
        let end = trimmed(bytes).len();
        let (word, values) = match usual(bytes, 0..end, &mut values) {
            Some(word) => (word, values),
            None => unusual(bytes, count)?,
        };
        Ok((line[..word].to_owned(), values))
    }

    #[test]
    fn words_may_hold_anything_but_numbers_behind_spaces() {
        assert_eq!(read("cat 1 -2.5", 2), Ok(("cat".into(), vec![1.0, -2.5])));
        assert_eq!(read("cat 1 -2.5 \r\n", 2), Ok(("cat".into(), vec![1.0, -2.5])));
        assert_eq!(read(". . . 1 2\n", 2), Ok((". . .".into(), vec![1.0, 2.0])));
        assert_eq!(read("7 1 2", 2), Ok(("7".into(), vec![1.0, 2.0])));
        assert_eq!(read("at 5 1 2", 2), Err(Fault::Count(3)));
        assert_eq!(read("5 5 1 2", 2), Err(Fault::Count(3)));
    }

    #[test]
    fn faults_say_what_and_where() {
        assert_eq!(read("cat 1", 2), Err(Fault::Count(1)));
        assert_eq!(read("cat", 2), Err(Fault::Count(0)));
        assert_eq!(read("", 2), Err(Fault::Count(0)));
        assert_eq!(read("cat\t1\t2", 2), Err(Fault::Tabs));
        let number = |text: &str, column| {
            Err(Fault::Number {
                text: text.into(),
                column,
            })
        };
        assert_eq!(read("cat 1 b2", 2), number("\"b2\"", 7));
        assert_eq!(read("cat 1  2", 3), number("\"\"", 7));
        assert_eq!(read(" 1 2", 2), Err(Fault::NoWord));
        assert_eq!(read("1 2 3 4 5", 2), Err(Fault::Count(4)));
    }
}
