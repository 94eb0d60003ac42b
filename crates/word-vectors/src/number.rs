//! Decimal text to `f32`, rounded to nearest as IEEE 754 asks, at the speed of memory for the numbers that files hold.
//!
//! A number of up to 19 digits is gathered in a `u64`, eight digits at a time. Where it stays below 2^53 and its power of ten
//! within 10^±22, both are exact as `f64`, and one division or product gives the nearest `f64`. That is the nearest `f32` too once
//! it is narrowed, unless it stands exactly half way between two of them: then the digits may have been a little more or less
//! than half, and the standard library decides. It also reads all that is rare: more digits, larger exponents, `nan`, `inf`.

/// Powers of ten that `f64` holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// What eight more digits multiply a whole number by, for each number of digits up to eight.
const SHIFTS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];
/// Digits that a `u64` surely holds.
const DIGITS: usize = 19;
/// The bits of an `f64` that an `f32` has no room for, and their value half way between two `f32`.
const REST: u64 = (1 << 29) - 1;
const HALF: u64 = 1 << 28;

/// The number that begins at `at`, and where it ends. `None` where there is none.
///
/// A number ends at the first byte that can't belong to it; whether that byte may stand there is for the caller to say.
#[inline]
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<(f32, usize)> {
    let mut end = at;
    let negative = bytes.get(end) == Some(&b'-');
    end += usize::from(negative);
    let first = end;
    let mut whole = 0u64;
    while let Some(digit) = bytes
        .get(end)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|&digit| digit < 10)
    {
        whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    let mut digits = end - first;
    let mut tens = 0i32;
    if bytes.get(end) == Some(&b'.') {
        end += 1;
        let point = end;
        loop {
            let (value, count) = eight(bytes, end);
            whole = whole.wrapping_mul(SHIFTS[count]).wrapping_add(value);
            end += count;
            if count < 8 {
                break;
            }
        }
        digits += end - point;
        // A line has fewer than 2^31 digits, or it is left to the standard library.
        tens = i32::try_from(end - point).map_or(i32::MIN, |count| -count);
    }
    let power = bytes
        .get(end)
        .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
    if power || digits == 0 || digits > DIGITS {
        return exponent(bytes, at, end, digits, whole, tens, negative);
    }
    match fast(whole, tens, negative) {
        Some(value) => Some((value, end)),
        None => slow(bytes, at),
    }
}

/// The digits at `at`, at most eight: their value and their number.
#[inline]
fn eight(bytes: &[u8], at: usize) -> (u64, usize) {
    let Some(chunk) = bytes
        .get(at..at + 8)
        .and_then(|chunk| <[u8; 8]>::try_from(chunk).ok())
    else {
        return few(bytes, at);
    };
    let digits = u64::from_le_bytes(chunk) ^ 0x3030_3030_3030_3030;
    // The high bit of a byte is set where it is no digit; a carry can only spoil bytes behind the first such one.
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    // The digits at the end, zeros before them; then pairs, fours, and all eight in one product each.
    let digits = digits << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    (low.wrapping_add(high) >> 32, count)
}

/// The same near the end of the file, where there are no eight bytes any more.
#[cold]
fn few(bytes: &[u8], at: usize) -> (u64, usize) {
    let (mut value, mut count) = (0, 0);
    while let Some(byte) = bytes
        .get(at + count)
        .filter(|byte| byte.is_ascii_digit() && count < 8)
    {
        value = value * 10 + u64::from(byte - b'0');
        count += 1;
    }
    (value, count)
}

/// `whole` times ten to the power of `tens`, where one operation gives it exactly enough.
#[inline]
fn fast(whole: u64, tens: i32, negative: bool) -> Option<f32> {
    if whole >= 1 << 53 {
        return None;
    }
    let power = TENS.get(tens.unsigned_abs() as usize)?;
    // Signed, because that conversion is one instruction.
    let whole = whole as i64 as f64;
    let value = if tens < 0 { whole / power } else { whole * power };
    if value.to_bits() & REST == HALF {
        return None;
    }
    Some(if negative { -value as f32 } else { value as f32 })
}

/// A number with an exponent, or one that is left to the standard library.
fn exponent(
    bytes: &[u8],
    at: usize,
    end: usize,
    digits: usize,
    whole: u64,
    tens: i32,
    negative: bool,
) -> Option<(f32, usize)> {
    if digits == 0 || digits > DIGITS || bytes.get(end).map(u8::to_ascii_lowercase) != Some(b'e') {
        return slow(bytes, at);
    }
    let mut end = end + 1;
    let down = bytes.get(end) == Some(&b'-');
    end += usize::from(down || bytes.get(end) == Some(&b'+'));
    let (power, count) = eight(bytes, end);
    end += count;
    if count == 0 || count > 3 || bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return slow(bytes, at);
    }
    let power = i32::try_from(power).ok()?;
    match fast(whole, tens + if down { -power } else { power }, negative) {
        Some(value) => Some((value, end)),
        None => slow(bytes, at),
    }
}

/// As the standard library reads what stands before the next blank.
#[cold]
fn slow(bytes: &[u8], at: usize) -> Option<(f32, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(rest.len());
    let value = parse(&rest[..end])?;
    Some((value, at + end))
}

/// A whole token as a number, by the standard library.
pub(crate) fn parse(token: &[u8]) -> Option<f32> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a token that is followed by more, and one that ends the file.
    fn both(token: &str) -> Option<u32> {
        let alone = number(token.as_bytes(), 0).filter(|(_, end)| *end == token.len());
        let line = format!("{token} 12345678 \n");
        let within = number(line.as_bytes(), 0).filter(|(_, end)| *end == token.len());
        let bits = |found: Option<(f32, usize)>| found.map(|(value, _)| value.to_bits());
        assert_eq!(bits(alone), bits(within), "{token}");
        bits(alone)
    }

    #[test]
    fn numbers_are_rounded_as_the_standard_library_rounds_them() {
        let tokens = [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1",
            "-1",
            "0.1",
            ".5",
            "5.",
            "-.5",
            "1e5",
            "1E5",
            "1e-5",
            "1e+5",
            "-1.5e-10",
            "0.00000000000000000000001",
            "123456789012345678901234567890",
            "1e-45",
            "1.4e-45",
            "7e-46",
            "3.4028235e38",
            "3.5e38",
            "1e400",
            "1e-400",
            "0e999",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "Infinity",
            "-Infinity",
            "+1",
            "+0.5",
            // Half way between two f32, a little above, and a little below; as f64 all three are the middle.
            "1.000000059604644775390625",
            "1.00000005960464480",
            "1.00000005960464474",
            "0.050633128732442856",
            "8388608.5",
            "8388609.5",
            "16777217",
            "16777219",
            "99999999999999999999",
            "0.000000059604644775390625",
            "4.582917026709765E-4",
            "9007199254740993",
            "1e22",
            "1e23",
            "123456789e14",
        ];
        for token in tokens {
            let expected: f32 = token.parse().unwrap();
            assert_eq!(both(token), Some(expected.to_bits()), "{token}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for token in [
            "", "-", ".", "-.", "e5", "1e", "1e+", "abc", "1.2.3", "1,5", "0x10", "1_000", "--1", "1-2",
            "1e5x",
        ] {
            assert_eq!(both(token), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn decimals_are_rounded_correctly(digits in "-?[0-9]{0,12}\\.?[0-9]{0,24}", power in prop::option::of(-60i32..60)) {
            let token = match power { Some(power) => format!("{digits}e{power}"), None => digits };
            prop_assert_eq!(both(&token), token.parse::<f32>().ok().map(f32::to_bits));
        }

        #[test]
        fn the_shortest_text_of_a_number_gives_it_back(bits: u32) {
            let value = f32::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(both(&format!("{value:?}")), Some(bits));
            prop_assert_eq!(both(&format!("{value}")), Some(bits));
        }

        #[test]
        fn the_middle_between_two_numbers_goes_to_the_even_one(bits in 0x2000_0000u32..0x5000_0000) {
            let middle = (f64::from(f32::from_bits(bits)) + f64::from(f32::from_bits(bits + 1))) / 2.0;
            for token in [format!("{middle:.70}"), format!("{middle:.16e}"), format!("{middle}")] {
                prop_assert_eq!(both(&token), token.parse::<f32>().ok().map(f32::to_bits));
            }
        }

        #[test]
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..50) {
            if let Some((_, end)) = number(&bytes, at) { prop_assert!(end <= bytes.len()); }
        }
    }
}
