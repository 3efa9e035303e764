//! The types and refusals that operations speak of, each described once.

use std::collections::BTreeSet;

use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::wire::reply::{Code, Document};

/// Makes the schema of one type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Everything that was spoken of so far.
pub(super) struct Schemas {
    /// As bodies are read: what has a default may be missing.
    read: SchemaGenerator,
    /// As answers are written: what is skipped when empty may be missing.
    written: SchemaGenerator,
    problem: Value,
    codes: BTreeSet<&'static str>,
    problems: Map<String, Value>,
}

/// What makes the schema of a type.
pub(super) fn of<T: JsonSchema>() -> SchemaOf {
    SchemaGenerator::subschema_for::<T>
}

impl Schemas {
    pub(super) fn new() -> Self {
        let mut written = generator(Contract::Serialize);
        let problem = written.subschema_for::<Document<'_>>().to_value();
        Self {
            read: generator(Contract::Deserialize),
            written,
            problem,
            codes: BTreeSet::new(),
            problems: Map::new(),
        }
    }

    /// A type that is read.
    pub(super) fn read(&mut self, of: SchemaOf) -> Value {
        of(&mut self.read).to_value()
    }

    /// A type that is written.
    pub(super) fn written(&mut self, of: SchemaOf) -> Value {
        of(&mut self.written).to_value()
    }

    /// A refusal with one of several codes of the same status.
    pub(super) fn refusal(&mut self, codes: &[Code]) -> Value {
        let [code] = codes else {
            return self.problem(codes);
        };
        if self.codes.insert(code.word()) {
            let problem = self.problem(codes);
            self.problems.insert(code.word().to_owned(), problem);
        }
        json!({ "$ref": format!("#/components/responses/{}", code.word()) })
    }

    fn problem(&self, codes: &[Code]) -> Value {
        let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
        let titles: Vec<&str> = codes.iter().map(|code| code.title()).collect();
        let status = codes.first().map_or(0, |code| code.status().as_u16());
        let mut schema = self.problem.clone();
        if let Some(schema) = schema.as_object_mut() {
            let narrowed = json!({ "status": { "const": status }, "code": { "enum": words } });
            schema.insert("properties".to_owned(), narrowed);
        }
        let mut refusal = json!({
            "description": format!("{}.", titles.join(". ")),
            "content": { "application/problem+json": { "schema": schema } },
        });
        if let (Some(headers), Some(refusal)) = (headers(status), refusal.as_object_mut()) {
            refusal.insert("headers".to_owned(), headers);
        }
        refusal
    }

    /// The refusals that stand for themselves, by their codes.
    pub(super) fn problems(&self) -> Value {
        Value::Object(self.problems.clone())
    }

    /// All types, by their names.
    pub(super) fn into_definitions(mut self) -> Value {
        let mut definitions = self.read.take_definitions(true);
        definitions.extend(self.written.take_definitions(true));
        Value::Object(definitions)
    }
}

/// What a refusal of this status carries beside its document.
fn headers(status: u16) -> Option<Value> {
    match status {
        401 => Some(json!({ "WWW-Authenticate": { "required": true, "schema": { "type": "string" } } })),
        429 | 503 => Some(json!({ "Retry-After": {
            "required": true,
            "description": "When to try again, in seconds.",
            "schema": { "type": "integer", "minimum": 0 },
        } })),
        _ => None,
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.contract = contract;
    settings.into_generator()
}
