//! Tables while they are read: what a key holds, what is not a key, and the tables within.
//!
//! A key's value comes from the environment, else from the file, else from its default; a value that cannot be used is noted and the default stands in.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::{hint, nearest};
use super::place::{Place, join};
use super::read::{Field, Holds, Key, Read, Reader, Table, Written};

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
            let name: &Cow<'_, str> = key.get_ref();
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
            tables.extend(member(section.reader, element, place));
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
            named.extend(member(section.reader, value, place).map(|table| (name, table)));
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

/// Reads a table among others; `None` after noting that it is something else.
fn member<T: Table>(reader: &mut Reader, value: &Spanned<DeValue<'_>>, place: Place) -> Option<T> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        reader.wrong_type(&place, "a table", value);
    }
    section(reader, Some(table?), place)
}

/// Reads a table, or its defaults where there is none.
pub(super) fn section<T: Table>(reader: &mut Reader, table: Option<&DeTable<'_>>, place: Place) -> Option<T> {
    let mut section = Section { reader, table, place };
    section.refuse_unknown(T::KEYS);
    T::read(&mut section)
}

/// Reads the table behind a key of another table.
pub(super) fn nested<T: Table>(outer: &mut Section<'_, '_>, key: &'static Key) -> Option<T> {
    let Some((place, value)) = outer.entry(key.name) else {
        let place = outer.place.below(key.name);
        return section(outer.reader, None, place);
    };
    let table = value.get_ref().as_table();
    if table.is_none() {
        outer.reader.wrong_type(&place, "a table", value);
    }
    section(outer.reader, table, place)
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
