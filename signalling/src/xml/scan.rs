//! Searches in short texts, eight bytes at a time. Most names and values are a few bytes long: a search that is made for long texts has not begun
//! before their end, and a look at each byte is a branch that nobody foresees.

/// One in each byte.
const ONES: u64 = u64::MAX / 255;
/// The highest bit of each byte.
const HIGH: u64 = ONES << 7;

/// The highest bit of each byte that is this one. Of the bytes behind the first such, others may have it too.
const fn equal(eight: u64, byte: u8) -> u64 {
    let other = eight ^ (ONES * byte as u64);
    other.wrapping_sub(ONES) & !other & HIGH
}

/// The same for bytes less than this one, which is 128 at most.
const fn less(eight: u64, byte: u8) -> u64 {
    eight.wrapping_sub(ONES * byte as u64) & !eight & HIGH
}

/// Eight bytes, the first one lowest.
fn eight(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// Where the first byte is of which `marks` has the highest bit.
#[inline]
fn position(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let mut start = 0;
    for chunk in bytes.as_chunks::<8>().0 {
        let found = marks(eight(chunk));
        if found != 0 {
            return Some(start + found.trailing_zeros() as usize / 8);
        }
        start += 8;
    }
    let rest = bytes.len() - start;
    let last = match bytes.last_chunk::<8>() {
        // Without those that have been looked at.
        Some(last) => eight(last) >> (8 * (8 - rest)).min(63),
        None => bytes.iter().rev().fold(0, |eight, byte| eight << 8 | u64::from(*byte)),
    };
    // Zeros stand in place of what is missing.
    let found = marks(last);
    let at = found.trailing_zeros() as usize / 8;
    (found != 0 && at < rest).then_some(start + at)
}

/// Where the first of these three stands.
#[inline]
pub(crate) fn find3(one: u8, two: u8, three: u8, bytes: &[u8]) -> Option<usize> {
    position(bytes, |eight| equal(eight, one) | equal(eight, two) | equal(eight, three))
}

/// Where the first of these two stands.
#[inline]
pub(crate) fn find2(one: u8, two: u8, bytes: &[u8]) -> Option<usize> {
    position(bytes, |eight| equal(eight, one) | equal(eight, two))
}

/// Whether an attribute's value has nothing that is written in another way: only ASCII, no control characters, quotes, `&`, `<` and `>`.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // Each second test is for two bytes that differ in one bit.
    let marks = |eight: u64| {
        let quotes = equal(eight, b'"') | equal(eight | ONES, b'&' | 1);
        let brackets = equal(eight | 2 * ONES, b'<' | 2);
        quotes | brackets | less(eight, b' ') | eight & HIGH
    };
    !any(bytes, marks)
}

/// Whether there is a byte below `limit`, which is no letter.
#[inline]
pub(crate) fn has_less(limit: u8, bytes: &[u8]) -> bool {
    any(bytes, |eight| less(eight, limit))
}

/// Whether there is a byte of which `marks` has the highest bit; it has none of an `a`.
#[inline]
fn any(bytes: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let found = chunks.iter().fold(0, |found, chunk| found | marks(eight(chunk)));
    let last = match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => 0,
        Some(last) => marks(eight(last)),
        None => marks(rest.iter().fold(ONES * u64::from(b'a'), |eight, byte| eight << 8 | u64::from(*byte))),
    };
    found | last != 0
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Few bytes, so that they are found, and neighbours of them.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'a'), Just(b'\''), Just(b'<'), Just(b'&'), Just(b'='), Just(b'%'), Just(0), any::<u8>()];
        vec(prop_oneof![9 => Just(b'a'), 1 => byte], 0..40)
    }

    proptest! {
        #[test]
        fn the_first_is_found_at_any_place(bytes in bytes(), byte in any::<u8>()) {
            let first = |wanted: &[u8]| bytes.iter().position(|byte| wanted.contains(byte));
            prop_assert_eq!(find3(b'\'', b'<', b'&', &bytes), first(b"'<&"));
            prop_assert_eq!(find3(byte, 0, 255, &bytes), first(&[byte, 0, 255]));
            prop_assert_eq!(find2(b'=', 0, &bytes), first(b"=\0"));
        }

        #[test]
        fn what_is_plain_has_none_of_them(bytes in bytes()) {
            let is_plain_byte = |byte: &u8| (b' '..0x80).contains(byte) && !b"\"'&<>".contains(byte);
            prop_assert_eq!(is_plain(&bytes), bytes.iter().all(is_plain_byte));
            prop_assert_eq!(has_less(b' ', &bytes), bytes.iter().any(|byte| *byte < b' '));
        }
    }

    #[test]
    fn each_byte_alone() {
        for byte in 0..=u8::MAX {
            for len in 1..20 {
                for at in 0..len {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = byte;
                    assert_eq!(is_plain(&bytes), (b' '..0x80).contains(&byte) && !b"\"'&<>".contains(&byte), "{bytes:?}");
                    let at = if byte == b'a' { 0 } else { at };
                    assert_eq!(find3(byte, byte, byte, &bytes), Some(at), "{bytes:?}");
                }
            }
        }
    }
}
