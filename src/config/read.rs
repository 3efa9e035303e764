//! Reads tables of the file by their list of keys, and says what does not fit.
//!
//! A table is declared once (`table!` in `file`): each key with its type and its default. From that one list come the reading, the defaults, the
//! environment overrides and the suggestion for an unknown key, so they cannot drift apart. Reading never stops at a mistake: it notes it, takes the
//! default and goes on.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Mistake;
use super::nearest::{hint, nearest};
use super::place::{Lines, Place, join};

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

impl<T: Read> Field for Written<T> {
    const HOLDS: Holds = Holds::Value;

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
        let (place, broken) = match section.value::<T>(key) {
            Some((place, Some(value))) => {
                return Some(Self {
                    value,
                    place,
                    given: true,
                    broken: false,
                });
            }
            Some((place, None)) => (place, true),
            None => (section.place.below(key.name), false),
        };
        let text = key.default.unwrap_or_default();
        let value = from_text(section.reader, text, &place)?;
        Some(Self {
            value,
            place,
            given: false,
            broken,
        })
    }
}

impl<T: Read> Field for Option<Written<T>> {
    const HOLDS: Holds = Holds::Value;

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
        let found = section.value::<T>(key);
        if found.is_none() && key.required {
            let place = section.place.clone();
            let message = format!("`{}` is missing", key.name);
            section.reader.mistake(&place, message);
        }
        let written = found.and_then(|(place, value)| {
            Some(Written {
                value: value?,
                place,
                given: true,
                broken: false,
            })
        });
        Some(written)
    }
}

/// Tables one after the other: `[[routes]]`, or a list of inline tables.
impl<T: Table> Field for Vec<T> {
    const HOLDS: Holds = Holds::Tables(T::KEYS);

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
        let Some((place, value)) = section.entry(key.name) else {
            return Some(Self::new());
        };
        let Some(list) = value.get_ref().as_array() else {
            section.reader.wrong_type(&place, "a list of tables", value);
            return Some(Self::new());
        };
        let mut tables = Self::new();
        for (n, element) in list.iter().enumerate() {
            let name = element.get_ref().get("name").and_then(|name| name.get_ref().as_str());
            let label = name.map_or_else(|| (n + 1).to_string(), str::to_owned);
            let place = Place {
                line: Some(section.reader.lines.line(element.span().start)),
                key: format!("{}[{label}]", place.key),
            };
            tables.extend(table(section.reader, Some(element), place));
        }
        Some(tables)
    }
}

/// Tables under names of the operator's choice: `[upstreams.NAME]`.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T: Table> Field for Named<T> {
    const HOLDS: Holds = Holds::Tables(T::KEYS);

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
        let mut named = Vec::new();
        for (name, place, value) in section.members(key.name) {
            named.extend(table(section.reader, Some(value), place).map(|table| (name, table)));
        }
        Some(Self(named))
    }
}

/// Values under names of the operator's choice.
#[derive(Debug)]
pub(super) struct Map<T>(pub(super) Vec<(String, Written<T>)>);

impl<T: Read> Field for Map<T> {
    const HOLDS: Holds = Holds::Map;

    fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
        let mut map = Vec::new();
        for (name, place, value) in section.members(key.name) {
            if let Some(value) = T::read(section.reader, value, &place) {
                let written = Written {
                    value,
                    place,
                    given: true,
                    broken: false,
                };
                map.push((name, written));
            }
        }
        Some(Self(map))
    }
}

/// Everything that reading shares: lines, overrides, and the mistakes so far.
#[derive(Debug)]
pub(super) struct Reader {
    lines: Lines,
    /// Overrides not used yet, by the path of their key: the variable's name and value.
    environment: BTreeMap<String, (String, String)>,
    /// Every key there is, to say where one belongs.
    keys: &'static [Key],
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

/// A table while it is read.
#[derive(Debug)]
pub(super) struct Section<'r, 't> {
    reader: &'r mut Reader,
    table: Option<&'t DeTable<'t>>,
    pub(super) place: Place,
}

impl<'t> Section<'_, 't> {
    fn entry(&self, name: &str) -> Option<(Place, &'t Spanned<DeValue<'t>>)> {
        let mut entries = self.table?.iter();
        let (key, value) = entries.find(|(key, _)| key.get_ref().as_ref() == name)?;
        let place = Place {
            line: Some(self.reader.lines.line(key.span().start)),
            key: join(&self.place.key, name),
        };
        Some((place, value))
    }

    /// What an override or the file says; inside, `None` when it is wrong, which is noted.
    fn value<T: Read>(&mut self, key: &Key) -> Option<(Place, Option<T>)> {
        let path = join(&self.place.key, key.name);
        if let Some((variable, text)) = self.reader.environment.remove(&path) {
            let place = Place {
                line: None,
                key: variable,
            };
            let value = from_text(self.reader, &text, &place);
            return Some((place, value));
        }
        let (place, value) = self.entry(key.name)?;
        let value = T::read(self.reader, value, &place);
        Some((place, value))
    }

    /// The members of a table whose keys the operator chooses.
    fn members(&mut self, name: &str) -> Vec<(String, Place, &'t Spanned<DeValue<'t>>)> {
        let Some((place, value)) = self.entry(name) else {
            return Vec::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.reader.wrong_type(&place, "a table", value);
            return Vec::new();
        };
        let member = |(key, value): (&Spanned<_>, &'t Spanned<_>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            let place = Place {
                line: Some(self.reader.lines.line(key.span().start)),
                key: join(&place.key, name),
            };
            (name.clone().into_owned(), place, value)
        };
        table.iter().map(member).collect()
    }

    fn refuse_unknown(&mut self, keys: &'static [Key]) {
        let Some(table) = self.table else { return };
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if keys.iter().any(|known| known.name == name) {
                continue;
            }
            let place = Place {
                line: Some(self.reader.lines.line(key.span().start)),
                key: join(&self.place.key, name),
            };
            let message = self.unknown(name, keys);
            self.reader.mistake(&place, message);
        }
    }

    /// A secret is never written into the file itself, least of all beside the file that holds it.
    fn unknown(&self, name: &str, keys: &'static [Key]) -> String {
        let twin = format!("{name}_file");
        if !keys.iter().any(|known| known.name == twin) {
            let names = keys.iter().map(|key| key.name);
            let home = home_of(name, self.reader.keys, "").filter(|_| nearest(name, names.clone()).is_none());
            let elsewhere = home.map(|home| format!("; it belongs into {home}"));
            return format!("unknown key{}", elsewhere.unwrap_or_else(|| hint(name, names)));
        }
        if self.entry(&twin).is_some() {
            return format!("is written beside `{twin}`; keep `{twin}` alone");
        }
        format!("unknown key; put the value into a file of its own and name it with `{twin}`")
    }
}

/// The table that has a key of this name.
fn home_of(name: &str, keys: &'static [Key], path: &str) -> Option<String> {
    if keys.iter().any(|key| key.name == name) {
        let table = if path.is_empty() {
            "no table".to_owned()
        } else {
            format!("`{path}`")
        };
        return Some(table);
    }
    keys.iter().find_map(|key| match key.holds {
        Holds::Table(inner) | Holds::Tables(inner) => home_of(name, inner, &join(path, key.name)),
        Holds::Value | Holds::Map => None,
    })
}

/// Reads a table where one may stand.
pub(super) fn table<T: Table>(reader: &mut Reader, value: Option<&Spanned<DeValue<'_>>>, place: Place) -> Option<T> {
    let found = value.and_then(|value| value.get_ref().as_table());
    if let Some(value) = value.filter(|_| found.is_none()) {
        reader.wrong_type(&place, "a table", value);
    }
    section(reader, found, place)
}

/// Reads a table, or its defaults where there is none.
pub(super) fn section<T: Table>(reader: &mut Reader, table: Option<&DeTable<'_>>, place: Place) -> Option<T> {
    let mut section = Section { reader, table, place };
    section.refuse_unknown(T::KEYS);
    T::read(&mut section)
}

/// Reads the table behind a key of another table.
pub(super) fn nested<T: Table>(outer: &mut Section<'_, '_>, key: &'static Key) -> Option<T> {
    let found = outer.entry(key.name);
    let place = found.as_ref().map(|(place, _)| place.clone());
    let place = place.unwrap_or_else(|| outer.place.below(key.name));
    table(outer.reader, found.map(|(_, value)| value), place)
}

/// A value written without its surroundings: a default, or an environment variable.
fn from_text<T: Read>(reader: &mut Reader, text: &str, place: &Place) -> Option<T> {
    if T::TEXT {
        let value = Spanned::new(0..0, DeValue::String(text.into()));
        return T::read(reader, &value, place);
    }
    match DeValue::parse(text) {
        Ok(value) => T::read(reader, &value, place),
        Err(_) => {
            reader.mistake(place, format!("`{text}` cannot be read; write it as in the file"));
            None
        }
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
