//! JSON read strictly: a duplicated member, at any depth, refuses the whole text.
//!
//! RFC 8259 §4 leaves it open which of two members of one name counts, RFC 7519 §4 lets a verifier refuse; two readers that choose differently are how
//! one token says two things. Names are compared after unescaping. Integers stay integers: `1.0`, `1e3` and `"1"` are no NumericDate of ours.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Each member is compared with all before it, and a header is read before its signature: what anybody can send must not cost the square of its length.
const MOST_MEMBERS: usize = 64;

/// A JSON value without ambiguity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// `null`, and numbers that are not non-negative integers: nothing that we ever read.
    Other,
    /// A boolean.
    Truth(bool),
    /// A non-negative integer.
    Whole(u64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in the order written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole text. `None`: not JSON, ambiguous, or nested deeper than any of ours could be.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// A member of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members()?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// All members, if it is an object.
    pub(super) fn members(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one and not negative.
    pub(super) fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The strings, if it is a list of nothing else.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        self.list()?.iter().map(Self::text).collect()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Truth(truth))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() >= MOST_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("duplicate member"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_many_members_is_refused_before_they_are_all_compared() {
        let object = |count: usize| {
            let members: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
            Json::read(format!("{{{}}}", members.join(",")).as_bytes())
        };
        assert!(object(MOST_MEMBERS).is_some());
        assert!(object(MOST_MEMBERS + 1).is_none());
    }

    #[test]
    fn a_duplicate_member_is_refused_however_it_is_written() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"a":2}]}"#,
        ] {
            assert_eq!(Json::read(text.as_bytes()), None, "{text}");
        }
        assert!(Json::read(br#"{"a":{"a":1},"b":{"a":1}}"#).is_some());
    }

    #[test]
    fn only_an_integer_is_an_integer() {
        let whole = |text: &str| Json::read(text.as_bytes()).unwrap().whole();
        assert_eq!(whole("17"), Some(17));
        for text in [
            "17.0",
            "1e3",
            "-1",
            "\"17\"",
            "null",
            "true",
            "[17]",
            "18446744073709551616",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{} {}", "{\"a\":1,}", "NaN", "'a'", "\"\\ud800\""] {
            assert_eq!(Json::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Json::read(b"\"\xff\""), None);
        assert_eq!(Json::read("[".repeat(100_000).as_bytes()), None);
    }
}
