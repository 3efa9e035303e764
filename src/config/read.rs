//! Reads tables of the file by their list of keys, and says what does not fit.
//!
//! A table is declared once (`table!` in `file`): each key with its type and its default. From that one list come the reading, the defaults, the
//! environment overrides and the suggestion for an unknown key, so they cannot drift apart. Reading never stops at a mistake: it notes it, takes the
//! default and goes on.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::check::Mistake;
use super::place::{Lines, Place};
use super::section::Section;

/// A key that a table may have.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Written as in the environment: text without quotes, everything else as TOML.
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
    pub(super) holds: Holds,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    /// A value, or a list of them.
    Value,
    /// A table with keys of its own.
    Table(&'static [Key]),
    /// Tables under names of the operator's choice, or one after the other.
    Tables(&'static [Key]),
    /// Values under names of the operator's choice.
    Map,
}

/// A table with a fixed set of keys.
pub(super) trait Table: Sized {
    const KEYS: &'static [Key];

    /// `None` only when a built-in default is broken, which a mistake then says.
    fn read(section: &mut Section<'_, '_>) -> Option<Self>;
}

/// What a table's key becomes.
pub(super) trait Field: Sized {
    const HOLDS: Holds;

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self>;
}

/// A single value, or a list of them.
pub(super) trait Read: Sized {
    /// Whether the value is a string in the file.
    const TEXT: bool;

    /// `None` after noting a mistake.
    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self>;
}

/// A value that is a string in the file.
pub(super) trait Text: Sized {
    /// In words, with an example: `a duration like "15m"`.
    const WANTED: &'static str;

    fn parse(text: &str) -> Result<Self, String>;
}

impl<T: Text> Read for T {
    const TEXT: bool = true;

    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            reader.wrong_type(place, T::WANTED, value);
            return None;
        };
        let parsed = T::parse(text);
        parsed.map_err(|message| reader.mistake(place, message)).ok()
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// Whether it is what was written; otherwise it is the default, for want of a value or of a good one.
    pub(super) given: bool,
    /// Whether something was written that cannot be used. What depends on it should not be judged.
    pub(super) broken: bool,
}

/// Everything that reading shares: lines, overrides, and the mistakes so far.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) lines: Lines,
    /// Overrides not used yet, by the path of their key: the variable's name and value.
    pub(super) environment: BTreeMap<String, (String, String)>,
    /// Every key there is, to say where one belongs.
    pub(super) keys: &'static [Key],
    mistakes: Vec<Mistake>,
}

impl Reader {
    /// A reader of a file whose outermost table has `keys`.
    pub(super) fn new(keys: &'static [Key], lines: Lines, environment: BTreeMap<String, (String, String)>) -> Self {
        Self {
            keys,
            lines,
            environment,
            mistakes: Vec::new(),
        }
    }

    pub(super) fn mistake(&mut self, place: &Place, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            line: place.line,
            key: place.key.clone(),
            message: message.into(),
        });
    }

    /// Notes a syntax error at an offset.
    pub(super) fn syntax(&mut self, offset: Option<usize>, message: String) {
        self.mistakes.push(Mistake {
            line: offset.map(|offset| self.lines.line(offset)),
            key: String::new(),
            message,
        });
    }

    pub(super) fn wrong_type(&mut self, place: &Place, wanted: &str, found: &Spanned<DeValue<'_>>) {
        self.mistake(place, format!("must be {wanted}, not {}", kind(found.get_ref())));
    }

    /// The place of a list's element.
    fn element(&self, list: &Place, element: &Spanned<DeValue<'_>>) -> Place {
        Place {
            line: list.line.map(|_| self.lines.line(element.span().start)),
            key: list.key.clone(),
        }
    }

    /// The mistakes, and the overrides that no key has asked for.
    pub(super) fn finish(self) -> (Vec<Mistake>, BTreeMap<String, (String, String)>) {
        (self.mistakes, self.environment)
    }
}

/// A list; its elements keep their own lines.
impl<T: Read> Read for Vec<Written<T>> {
    const TEXT: bool = false;

    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self> {
        let Some(list) = value.get_ref().as_array() else {
            reader.wrong_type(place, "a list, in brackets", value);
            return None;
        };
        let before = reader.mistakes.len();
        let mut elements = Self::new();
        for element in list.iter() {
            let place = reader.element(place, element);
            elements.extend(T::read(reader, element, &place).map(|value| Written {
                value,
                place,
                given: true,
                broken: false,
            }));
        }
        (reader.mistakes.len() == before).then_some(elements)
    }
}

impl Read for bool {
    const TEXT: bool = false;

    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            reader.wrong_type(place, "true or false", value);
        }
        found
    }
}

/// A whole number within limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Read for Count<MIN, MAX> {
    const TEXT: bool = false;

    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self> {
        let Some(number) = value.get_ref().as_integer() else {
            reader.wrong_type(place, "a whole number", value);
            return None;
        };
        let number = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| (MIN..=MAX).contains(number));
        if number.is_none() {
            reader.mistake(place, format!("must be from {MIN} to {MAX}"));
        }
        number.map(Self)
    }
}

/// The version of the file's form; there is one so far.
#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    One,
}

impl Read for Version {
    const TEXT: bool = false;

    fn read(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<Self> {
        let number = value.get_ref().as_integer();
        let known = number.is_some_and(|number| number.as_str() == "1");
        if !known {
            reader.mistake(place, "is not a version this gateway knows; write `version = 1`");
        }
        known.then_some(Self::One)
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
