//! The JSON face described for programs: one OpenAPI 3.1 document, at `openapi.json` under `base_path`.
//!
//! It is made from what answers: the paths are those of `endpoint`, the bodies are the types that are read and written, and an endpoint that is not
//! described does not compile. Whatever the tests of the JSON face are answered is compared with it (`conformity`). HEAD and OPTIONS are left out: they
//! mean at each path what HTTP says. The pages are for people, and left out as well.

mod catalogue;
#[cfg(test)]
pub(super) mod conformity;
mod operation;
mod schemas;

use bytes::Bytes;
use http::Uri;
use serde_json::{Map, Value, json};

use super::endpoint::{PLACES, RELATED_ORIGINS, WELL_KNOWN};
use crate::wire::cookie;
use schemas::Schemas;

/// The document for a site whose endpoints stand under `base`; `related_origins`: whether it lists any.
pub(super) fn document(base: &str, public_url: &Uri, related_origins: bool) -> Bytes {
    let mut schemas = Schemas::new();
    let mut paths = paths(base, &mut schemas);
    if !related_origins {
        paths.remove(RELATED_ORIGINS);
    }
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Gateward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Accounts, sign-in and sessions. Refusals are problem documents (RFC 9457) with a `code` to go by. A request that is no GET and \
                leans on a cookie must come from a page of this site (`Sec-Fetch-Site`, `Origin`). Members that are not described are passed over.",
        },
        "servers": [{ "url": public_url.to_string().trim_end_matches('/') }],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(),
            "responses": schemas.problems(),
            "schemas": schemas.into_definitions(),
        },
    });
    Bytes::from(document.to_string())
}

fn paths(base: &str, schemas: &mut Schemas) -> Map<String, Value> {
    let mut paths = Map::new();
    for (place, endpoint) in PLACES {
        let path = if place.starts_with(WELL_KNOWN) {
            (*place).to_owned()
        } else {
            format!("{base}{place}")
        };
        let operations = catalogue::operations(endpoint(""));
        let mut item: Map<String, Value> = operations
            .into_iter()
            .map(|operation| (operation.method().to_owned(), operation.described(schemas)))
            .collect();
        if let Some(name) = parameter(place) {
            item.insert("parameters".to_owned(), json!([described(name)]));
        }
        paths.insert(path, Value::Object(item));
    }
    paths
}

/// The name of the part of a path that may be anything.
fn parameter(place: &str) -> Option<&str> {
    let (_, rest) = place.split_once('{')?;
    rest.split_once('}').map(|(name, _)| name)
}

/// What is called `id` is a UUID of ours; other names are words from the configuration.
fn described(name: &str) -> Value {
    let schema = match name {
        "id" => json!({ "type": "string", "format": "uuid" }),
        _ => json!({ "type": "string" }),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token." },
        "cookie": { "type": "apiKey", "in": "cookie", "name": cookie::ACCESS, "description": "The access token, in a browser." },
        "refreshCookie": { "type": "apiKey", "in": "cookie", "name": cookie::REFRESH, "description": "The refresh token, in a browser." },
    })
}

#[cfg(test)]
mod tests;
