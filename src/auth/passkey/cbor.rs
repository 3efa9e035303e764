//! CBOR read strictly (RFC 8949): one item from the first octet to the last, each name of a map once.
//!
//! Two readers that take a doubled name differently, or stop at different octets, see two different keys in one response. What authenticators write is
//! canonical besides (CTAP 2.1 §8), and where we keep it, it has to be: so one key has one spelling.

use ciborium::Value;

/// Deeper than anything an authenticator has to say.
const DEEPEST: usize = 8;

/// A map of CBOR.
#[derive(Debug)]
pub(super) struct Map(Vec<(Value, Value)>);

/// Reads a map that begins a text; returns the rest as well.
pub(super) fn begin(octets: &[u8]) -> Option<(Map, &[u8])> {
    let mut rest = octets;
    let value: Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST).ok()?;
    let entries = value.into_map().ok()?;
    let doubled = |(place, (name, _)): (usize, &(Value, Value))| entries.iter().skip(place + 1).any(|(n, _)| n == name);
    if entries.iter().enumerate().any(doubled) {
        return None;
    }
    Some((Map(entries), rest))
}

/// Reads a map that is the whole text.
pub(super) fn whole(octets: &[u8]) -> Option<Map> {
    let (map, rest) = begin(octets)?;
    rest.is_empty().then_some(map)
}

/// The same, where the text must be the shortest way to write it.
pub(super) fn canonical(octets: &[u8]) -> Option<Map> {
    let map = whole(octets)?;
    let mut again = Vec::with_capacity(octets.len());
    ciborium::into_writer(&Value::Map(map.0.clone()), &mut again).ok()?;
    (again == octets).then_some(map)
}

impl Map {
    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What stands under a name that is text.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        self.find(|key| key.as_text() == Some(name))
    }

    /// The integer under a label.
    pub(super) fn integer(&self, label: i64) -> Option<i64> {
        self.labelled(label)?.as_integer()?.try_into().ok()
    }

    /// The octets under a label.
    pub(super) fn octets(&self, label: i64) -> Option<&[u8]> {
        self.labelled(label)?.as_bytes().map(Vec::as_slice)
    }

    fn labelled(&self, label: i64) -> Option<&Value> {
        self.find(|key| key.as_integer() == Some(label.into()))
    }

    fn find(&self, is: impl Fn(&Value) -> bool) -> Option<&Value> {
        self.0.iter().find(|(key, _)| is(key)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_map_is_read_to_its_last_octet_and_each_name_once() {
        let map = whole(&[0xa2, 1, 2, 3, 0x26]).unwrap();
        assert_eq!(
            (map.integer(1), map.integer(3), map.integer(-1)),
            (Some(2), Some(-7), None)
        );
        for wrong in [
            &[][..],
            &[0xa1, 1],
            &[0xa1, 1, 2, 0],
            &[0xa2, 1, 2, 1, 2],
            &[0xa2, 1, 2, 0x18, 1, 2],
            &[0x81, 1],
            &[1],
            &[0xbf, 1, 2],
            &[0xff],
        ] {
            assert!(whole(wrong).is_none(), "{wrong:02x?}");
        }
    }

    #[test]
    fn a_longer_spelling_is_not_canonical() {
        assert!(canonical(&[0xa1, 1, 0x41, 7]).is_some());
        for longer in [
            &[0xb8, 1, 1, 0x41, 7][..],
            &[0xa1, 0x18, 1, 0x41, 7],
            &[0xa1, 1, 0x58, 1, 7],
            &[0xa1, 1, 0x5f, 0x41, 7, 0xff],
            &[0xbf, 1, 0x41, 7, 0xff],
        ] {
            assert!(whole(longer).is_some(), "{longer:02x?}");
            assert!(canonical(longer).is_none(), "{longer:02x?}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let mut deep = vec![0xa1, 1];
        deep.extend([0x81].repeat(10_000));
        deep.push(0);
        assert!(whole(&deep).is_none());
        assert!(whole(&[0xa1, 1, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(whole(&[0xa1, 1, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_none());
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, rest)) = begin(&octets) {
                prop_assert!(octets.ends_with(rest) && rest.len() < octets.len());
            }
            prop_assert!(canonical(&octets).is_none() || whole(&octets).is_some());
        }
    }
}
