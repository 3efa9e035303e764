//! Judges answers by the document, for tests: an answer that it does not describe is a mistake of one of the two.
//!
//! Stricter than JSON Schema: a member that is not described is one that somebody forgot to describe.

use std::collections::BTreeSet;

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use crate::portal::endpoint;

/// The document, read.
pub(in crate::portal) struct Described(Value);

impl Described {
    pub(in crate::portal) fn new(document: &[u8]) -> Self {
        Self(serde_json::from_slice(document).unwrap())
    }

    pub(in crate::portal) fn value(&self) -> &Value {
        &self.0
    }

    /// Fails unless the answer is one that the document describes.
    #[track_caller]
    pub(in crate::portal) fn must_describe(
        &self,
        asked: (&Method, &str),
        status: StatusCode,
        headers: &HeaderMap,
        body: &Value,
    ) {
        let (method, path) = asked;
        let Some(operation) = self.operation(method, path) else {
            let undescribed = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            let plain = [Method::OPTIONS, Method::HEAD].contains(method) && status.is_success();
            assert!(
                plain || undescribed.contains(&status),
                "{method} {path} is not described"
            );
            return;
        };
        let found = self.follow(&operation["responses"][status.as_str()]);
        let what = format!("the answer {status} to {method} {path}");
        assert!(!found.is_null(), "{what} is not described");
        for (name, header) in found["headers"].as_object().unwrap_or(&Map::new()) {
            let must = header["required"] == true;
            assert!(!must || headers.contains_key(name), "{what} has no {name}");
        }
        let Some(content) = found["content"].as_object() else {
            return assert!(body.is_null(), "{what} has content that is not described");
        };
        let kind = headers["content-type"].to_str().unwrap();
        let media = content.get(kind).unwrap_or_else(|| panic!("{what} is {kind}"));
        let faults = self.faults(&media["schema"], body, "");
        assert!(faults.is_empty(), "{what}: {faults:?}\n{body}");
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object().unwrap();
        let (_, item) = paths.iter().find(|(place, _)| endpoint::is_at(place, path))?;
        item.get(method.as_str().to_lowercase())
    }

    fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            Some(place) => self.0.pointer(place).unwrap(),
            None => value,
        }
    }

    /// What of a value is not as a schema says.
    pub(in crate::portal) fn faults(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let whole = self.follow(schema);
        let mut faults = Vec::new();
        let types: BTreeSet<&str> = match &whole["type"] {
            Value::String(name) => BTreeSet::from([name.as_str()]),
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => BTreeSet::new(),
        };
        if !types.is_empty() && !kinds(value).iter().any(|kind| types.contains(kind)) {
            faults.push(format!("{at} is no {types:?}"));
        }
        // Beside a reference stands what it is narrowed to.
        let narrowed = schema.get("$ref").map(|_| schema);
        for schema in [Some(whole), narrowed].into_iter().flatten() {
            if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
                faults.push(format!("{at} is not {constant}"));
            }
            if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
                faults.push(format!("{at} is not one of {}", schema["enum"]));
            }
        }
        if let Some(ways) = whole["oneOf"].as_array() {
            let fits = ways.iter().filter(|way| self.faults(way, value, at).is_empty()).count();
            if fits != 1 {
                faults.push(format!("{at} fits {fits} of {ways:?}"));
            }
        }
        if let Some(ways) = whole["anyOf"].as_array()
            && ways.iter().all(|way| !self.faults(way, value, at).is_empty())
        {
            faults.push(format!("{at} fits none of {ways:?}"));
        }
        if let Some(items) = value.as_array() {
            faults.extend(items.iter().flat_map(|item| self.faults(&whole["items"], item, at)));
        }
        if let (Some(members), Some(_)) = (value.as_object(), whole.get("properties")) {
            faults.extend(self.member_faults(whole, narrowed, members, at));
        }
        faults
    }

    fn member_faults(
        &self,
        whole: &Value,
        narrowed: Option<&Value>,
        members: &Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let properties = whole["properties"].as_object().unwrap();
        let required = whole["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let missing = required.filter(|name| !members.contains_key(*name));
        let mut faults: Vec<String> = missing.map(|name| format!("{at}.{name} is missing")).collect();
        for (name, value) in members {
            let at = format!("{at}.{name}");
            match properties.get(name) {
                None => faults.push(format!("{at} is not described")),
                Some(schema) => faults.extend(self.faults(schema, value, &at)),
            }
            if let Some(schema) = narrowed.and_then(|narrowed| narrowed["properties"].get(name)) {
                faults.extend(self.faults(schema, value, &at));
            }
        }
        faults
    }
}

fn kinds(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_f64() => &["number"],
        Value::Number(_) => &["number", "integer"],
        Value::String(_) => &["string"],
        Value::Array(_) => &["array"],
        Value::Object(_) => &["object"],
    }
}
