//! One operation: a method at a path, who may ask, what is sent, and every answer there is.

use std::collections::BTreeMap;

use http::StatusCode;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schemas::{self, SchemaOf, Schemas};
use crate::wire::reply::Code;

/// Refusals that any request may meet, before its endpoint is asked.
const ANYWHERE: &[Code] = &[
    Code::BadRequest,
    Code::MisdirectedRequest,
    Code::HeadersTooLarge,
    Code::Internal,
    Code::NotImplemented,
];

/// Refusals of a body.
const OF_A_BODY: &[Code] = &[Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType];

/// Refusals of whoever must be signed in.
const OF_A_STRANGER: &[Code] = &[Code::NoToken, Code::InvalidToken, Code::StoreUnavailable];

/// Refusals wherever passwords are hashed and attempts are counted.
const OF_AN_ATTEMPT: &[Code] = &[Code::RateLimited, Code::Overloaded, Code::StoreUnavailable];

/// A method at a path.
#[derive(Debug)]
pub(super) struct Operation {
    method: &'static str,
    name: &'static str,
    summary: &'static str,
    /// Each entry is one way to say who asks; an empty one: nobody need say.
    ways: &'static [&'static str],
    body: Option<Payload>,
    answers: Vec<Answer>,
    codes: Vec<Code>,
}

#[derive(Debug)]
struct Payload {
    schema: SchemaOf,
    required: bool,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    words: &'static str,
    schema: Option<SchemaOf>,
    sets_cookies: bool,
}

impl Operation {
    /// An operation for anybody, under a name that is its own in the whole document.
    pub(super) fn new(method: &'static str, name: &'static str, summary: &'static str) -> Self {
        let mut operation = Self {
            method,
            name,
            summary,
            ways: &[],
            body: None,
            answers: Vec::new(),
            codes: ANYWHERE.to_vec(),
        };
        if method != "get" {
            operation.codes.push(Code::CrossSite);
        }
        operation
    }

    /// For whoever is signed in.
    pub(super) fn by_the_signed_in(mut self) -> Self {
        self.ways = &["bearer", "cookie"];
        self.refuses(OF_A_STRANGER)
    }

    /// For whoever has signed in recently.
    pub(super) fn changes_factors(self) -> Self {
        self.by_the_signed_in().refuses(&[Code::InsufficientUserAuthentication])
    }

    /// By one of these security schemes; an empty name: by none.
    pub(super) fn by(mut self, ways: &'static [&'static str]) -> Self {
        self.ways = ways;
        self
    }

    /// Counted and limited, because it hashes or guesses.
    pub(super) fn an_attempt(self) -> Self {
        self.refuses(OF_AN_ATTEMPT)
    }

    /// Reads a body.
    pub(super) fn reads<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Payload {
            schema: schemas::of::<T>(),
            required: true,
        });
        self.refuses(OF_A_BODY)
    }

    /// Reads a body that may be missing.
    pub(super) fn may_read<T: JsonSchema>(mut self) -> Self {
        self = self.reads::<T>();
        self.body = self.body.map(|body| Payload {
            required: false,
            ..body
        });
        self
    }

    /// Answers with this.
    pub(super) fn gives<T: JsonSchema>(self, status: StatusCode, words: &'static str) -> Self {
        self.answers(status, words, Some(schemas::of::<T>()))
    }

    /// Answers without content.
    pub(super) fn gives_nothing(self, words: &'static str) -> Self {
        self.answers(StatusCode::NO_CONTENT, words, None)
    }

    /// Answers without content that something is on its way.
    pub(super) fn accepts(self, words: &'static str) -> Self {
        self.answers(StatusCode::ACCEPTED, words, None)
    }

    fn answers(mut self, status: StatusCode, words: &'static str, schema: Option<SchemaOf>) -> Self {
        self.answers.push(Answer {
            status,
            words,
            schema,
            sets_cookies: false,
        });
        self
    }

    /// What was just said to be answered may set cookies or take them away.
    pub(super) fn and_moves_cookies(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.sets_cookies = true;
        }
        self
    }

    /// Refuses with these, too.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        for code in codes {
            if !self.codes.contains(code) {
                self.codes.push(*code);
            }
        }
        self
    }

    /// Its method, as the document spells it.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// Its part of the document.
    pub(super) fn described(&self, schemas: &mut Schemas) -> Value {
        let ways = self.ways.iter().map(|way| match *way {
            "" => json!({}),
            scheme => json!({ scheme: [] }),
        });
        let mut described = json!({
            "operationId": self.name,
            "summary": self.summary,
            "security": ways.collect::<Value>(),
            "responses": self.responses(schemas),
        });
        if let (Some(body), Some(described)) = (&self.body, described.as_object_mut()) {
            let schema = schemas.read(body.schema);
            let body = json!({ "required": body.required, "content": { "application/json": { "schema": schema } } });
            described.insert("requestBody".to_owned(), body);
        }
        described
    }

    fn responses(&self, schemas: &mut Schemas) -> Value {
        let mut responses = Map::new();
        for answer in &self.answers {
            responses.insert(answer.status.as_str().to_owned(), answer.described(schemas));
        }
        let mut by_status: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
        for code in &self.codes {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            responses.insert(status.as_str().to_owned(), schemas.refusal(&codes));
        }
        Value::Object(responses)
    }
}

impl Answer {
    fn described(&self, schemas: &mut Schemas) -> Value {
        let mut described = Map::from_iter([("description".to_owned(), Value::from(self.words))]);
        if let Some(schema) = self.schema {
            let schema = schemas.written(schema);
            described.insert(
                "content".to_owned(),
                json!({ "application/json": { "schema": schema } }),
            );
        }
        if self.sets_cookies {
            let cookies = json!({ "Set-Cookie": { "schema": { "type": "string" } } });
            described.insert("headers".to_owned(), cookies);
        }
        Value::Object(described)
    }
}
