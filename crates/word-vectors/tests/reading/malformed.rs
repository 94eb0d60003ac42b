//! Files that others made wrongly: each told with its line, and nothing lost silently.

use super::{findings, places, reading};

/// A file, and the codes and lines of what is said about it; words that are left once lines are left out.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, Option<u32>)], &'a [&'a str]);

const REFUSED: [Case<'_>; 15] = [
    (
        "a header or a word",
        "7 3\n8 4\n9 5\n",
        &[("W0115", Some(1)), ("W0113", Some(1)), ("W0111", Some(1))],
        &["8", "9"],
    ),
    ("no number", "2 2\na 1 2\nb 1 x\n", &[("W0101", Some(3))], &["a"]),
    (
        "two spaces",
        "2 2\na 1 2\nb 1  2\n",
        &[("W0101", Some(3))],
        &["a"],
    ),
    (
        "too few",
        "3 2\na 1 2\nb 1\nc 3 4\n",
        &[("W0102", Some(3))],
        &["a", "c"],
    ),
    (
        "too many",
        "3 2\na 1 2\nb 1 2 3\nc 3 4\n",
        &[("W0102", Some(3))],
        &["a", "c"],
    ),
    (
        "a word alone",
        "3 2\na 1 2\nb\nc 3 4\n",
        &[("W0102", Some(3))],
        &["a", "c"],
    ),
    (
        "without a header",
        "a 1 2\nb 1\nc 3 4\n",
        &[("W0102", Some(2))],
        &["a", "c"],
    ),
    ("no word", "2 2\na 1 2\n 3 4\n", &[("W0103", Some(3))], &["a"]),
    (
        "nothing behind B64:",
        "2 2\na 1 2\nB64: 3 4\n",
        &[("W0103", Some(3))],
        &["a"],
    ),
    ("tabs", "2 2\na 1 2\nb\t3\t4\n", &[("W0105", Some(3))], &["a"]),
    (
        "fewer words",
        "5 2\na 1 2\nb 3 4\n",
        &[("W0111", Some(1))],
        &["a", "b"],
    ),
    (
        "other numbers",
        "2 3\na 1 2\nb 3 4\n",
        &[("W0113", Some(1))],
        &["a", "b"],
    ),
    ("cut off", "2 2\na 1 2\nb 3", &[("W0102", Some(3))], &["a"]),
    (
        "underscores",
        "1 2\na 1_0 2\nb 1 2\n",
        &[("W0101", Some(2)), ("W0112", Some(1))],
        &["b"],
    ),
    (
        "all at once",
        "9 2\na 1 2\nb 1\nc 1 z\na 1 2\n",
        &[
            ("W0102", Some(3)),
            ("W0101", Some(4)),
            ("W0111", Some(1)),
            ("W0121", Some(5)),
        ],
        &["a"],
    ),
];

#[test]
fn what_can_not_be_read_is_refused_with_its_line() {
    for (what, text, expected, left) in REFUSED {
        let found = places(&findings(reading(text.as_bytes(), false).unwrap_err()));
        let expected: Vec<_> = expected
            .iter()
            .map(|(code, line)| ((*code).to_owned(), *line))
            .collect();
        assert_eq!(found, expected, "{what}");
        let import = reading(text.as_bytes(), true).unwrap();
        assert_eq!(
            places(&import.findings),
            expected,
            "{what}: the same is told when it is left out"
        );
        assert_eq!(import.vectors.words().iter().collect::<Vec<_>>(), left, "{what}");
    }
}

#[test]
fn what_is_read_all_the_same_is_told_with_its_line() {
    let cases: [Case<'_>; 10] = [
        (
            "a repeated word",
            "3 1\na 1\nb 2\na 3\n",
            &[("W0121", Some(4))],
            &["a", "b"],
        ),
        (
            "NaN",
            "2 2\na nan 2\nb 1 inf\n",
            &[("W0122", Some(2)), ("W0122", Some(3))],
            &["a", "b"],
        ),
        (
            "more words",
            "1 2\na 1 2\nb 3 4\n",
            &[("W0112", Some(3))],
            &["a", "b"],
        ),
        (
            "spaces",
            ". . 1 2\nb c 3 4\nd 5 6\n",
            &[("W0123", Some(1)), ("W0123", Some(2))],
            &[". .", "b c", "d"],
        ),
        (
            "no base64",
            "2 2\nB64:!! 1 2\nB64:YQ== 3 4\n",
            &[("W0124", Some(2))],
            &["B64:!!", "a"],
        ),
        (
            "a number first",
            "7 1.5 2\n8 3 4\n",
            &[("W0131", Some(1))],
            &["7", "8"],
        ),
        (
            "a number first, far from a header",
            "7 1 2 3 4 5\n8 3 4 5 6 7\n",
            &[],
            &["7", "8"],
        ),
        (
            "CRLF",
            "2 2\r\na 1 2\r\nb 3 4\r\n",
            &[("W0132", None)],
            &["a", "b"],
        ),
        (
            "a byte order mark",
            "\u{feff}1 2\na 1 2\n",
            &[("W0133", Some(1))],
            &["a"],
        ),
        (
            "a blank line",
            "2 2\na 1 2\n\nb 3 4\n\n",
            &[("W0134", Some(3))],
            &["a", "b"],
        ),
    ];
    for (what, text, expected, left) in cases {
        let import = reading(text.as_bytes(), false).unwrap();
        let expected: Vec<_> = expected
            .iter()
            .map(|(code, line)| ((*code).to_owned(), *line))
            .collect();
        assert_eq!(places(&import.findings), expected, "{what}");
        assert_eq!(import.vectors.words().iter().collect::<Vec<_>>(), left, "{what}");
    }
}

#[test]
fn the_first_of_repeated_words_keeps_its_numbers() {
    let import = reading(b"4 1\na 1\nb 2\na 3\nc 4\n", false).unwrap();
    assert_eq!(import.vectors.values(), [1.0, 2.0, 4.0]);
    let message = import.findings.iter().next().unwrap().to_string();
    assert!(message.contains("\"a\" stands on line 2 already"), "{message}");
}

#[test]
fn lines_are_counted_across_blocks() {
    // Several blocks of a megabyte, and what is wrong in a late one.
    let mut text = String::from("200000 4\n");
    for i in 0..200_000 {
        text += &match i {
            150_000 => "bad 1 2 3 x\n".to_owned(),
            170_000 => "word5 1 2 3 4\n".to_owned(),
            _ => format!("word{i} 0.125 -1.5 {i} 1e-3\n"),
        };
    }
    let found = places(&findings(reading(text.as_bytes(), false).unwrap_err()));
    assert_eq!(
        found,
        [
            ("W0101".to_owned(), Some(150_002)),
            ("W0121".to_owned(), Some(170_002))
        ]
    );
    let import = reading(text.as_bytes(), true).unwrap();
    assert_eq!(import.vectors.len(), 199_998);
    assert_eq!(
        import.vectors.get("word199999"),
        Some(&[0.125, -1.5, 199_999.0, 0.001][..])
    );
    assert_eq!((import.form.left_out, import.form.repeated), (1, 1));
}

#[test]
fn words_that_are_not_utf8_are_told() {
    let found = places(&findings(
        reading(b"2 2\na 1 2\n\xe4\xff 3 4\n", false).unwrap_err(),
    ));
    assert_eq!(found, [("W0104".to_owned(), Some(3))]);
}

#[test]
fn a_binary_file_that_lies_is_refused() {
    let record = |word: &str| [word.as_bytes(), b" ", &[0, 0, 128, 63, 7, 0, 0, 64]].concat();
    let file = |header: &str| [header.as_bytes(), &record("a"), &record("bc"), &record("d")].concat();
    assert_eq!(reading(&file("3 2\n"), false).unwrap().vectors.len(), 3);
    let codes = |bytes: &[u8]| places(&findings(reading(bytes, false).unwrap_err()));
    assert_eq!(codes(&file("4 2\n")), [("W0111".to_owned(), None)]);
    assert_eq!(codes(&file("2 2\n")), [("W0114".to_owned(), None)]);
    assert_eq!(reading(&file("4 2\n"), true).unwrap().vectors.len(), 3);
    for header in ["3 1\n", "3 3\n", "3 7\n"] {
        assert!(reading(&file(header), false).is_err(), "{header:?}");
    }
}

#[test]
fn claims_are_not_believed() {
    for header in [
        "18446744073709551615 300\n",
        "300 18446744073709551615\n",
        "4294967295 4294967295\n",
    ] {
        for body in ["a 1 2\n", "a \0\0\0\0\u{1}\0\0\0", ""] {
            assert!(reading(format!("{header}{body}").as_bytes(), false).is_err());
        }
    }
    // A million line breaks ask for nothing.
    let blank = format!("1000000 1000\na{}\n{}", " 1".repeat(1000), "\n".repeat(1_000_000));
    assert!(reading(blank.as_bytes(), false).is_err());
}

#[test]
fn other_files_are_named() {
    for (bytes, what) in [
        (&b"\xba\x16\x4f\x2f\x0c\0\0\0"[..], "fastText model"),
        (b"\x80\x04\x95", "pickle"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"hello\nworld\n", "expected words with numbers"),
        (b"a\t1\t2\nb\t3\t4\n", "tabs"),
        (b"PK\x03\x04garbage", "zip"),
        (b"\x1f\x8b\x08\0garbage", "gzip"),
    ] {
        let error = reading(bytes, false).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
