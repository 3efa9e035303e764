//! The document against the endpoints that it describes.

use std::collections::BTreeSet;

use super::conformity::Described;
use super::*;

fn described() -> Described {
    Described::new(&document("/auth", &Uri::from_static("https://localhost:8443/"), true))
}

#[test]
fn every_endpoint_is_described_under_the_methods_that_it_answers_and_nothing_else_is() {
    let described = described();
    let paths = described.value()["paths"].as_object().unwrap();
    assert_eq!(paths.len(), PLACES.len(), "two endpoints stand at one path");
    for ((place, endpoint), described) in PLACES.iter().zip(sorted(paths)) {
        let endpoint = endpoint("");
        let methods = described.as_object().unwrap().keys();
        let methods: BTreeSet<String> = methods
            .filter(|key| *key != "parameters")
            .map(|key| key.to_uppercase())
            .collect();
        let allowed = endpoint
            .allow()
            .split(", ")
            .filter(|method| !["HEAD", "OPTIONS"].contains(method));
        assert_eq!(methods, allowed.map(str::to_owned).collect(), "{place}");
    }
}

/// The paths in the order of `PLACES`.
fn sorted(paths: &Map<String, Value>) -> Vec<&Value> {
    let path = |place: &str| {
        if place.starts_with(WELL_KNOWN) {
            place.to_owned()
        } else {
            format!("/auth{place}")
        }
    };
    PLACES.iter().map(|(place, _)| &paths[&path(place)]).collect()
}

#[test]
fn no_reference_leads_nowhere_and_no_name_is_given_twice() {
    let described = described();
    let mut names = BTreeSet::new();
    let mut stack = vec![described.value()];
    let mut references = 0;
    while let Some(value) = stack.pop() {
        if let Some(place) = value["$ref"].as_str() {
            references += 1;
            let place = place.strip_prefix('#').unwrap();
            assert!(described.value().pointer(place).is_some(), "{place}");
        }
        if let Some(name) = value.get("operationId") {
            assert!(names.insert(name.to_string()), "{name} is given twice");
        }
        stack.extend(value.as_object().into_iter().flat_map(Map::values));
        stack.extend(value.as_array().into_iter().flatten());
    }
    assert!(references > 50, "only {references} references");
}

#[test]
fn every_refusal_that_is_described_has_the_status_of_its_code() {
    let described = described();
    for (word, refusal) in described.value()["components"]["responses"].as_object().unwrap() {
        let schema = &refusal["content"]["application/problem+json"]["schema"];
        assert_eq!(schema["properties"]["code"]["enum"], json!([word]));
        assert!(
            schema["properties"]["status"]["const"]
                .as_u64()
                .is_some_and(|status| status >= 400)
        );
    }
}

#[test]
fn what_a_body_must_hold_is_what_is_described() {
    let described = described();
    let schema = |name: &str| &described.value()["components"]["schemas"][name];
    let body = json!({ "email": "ada@example.com", "password": "x" });
    assert!(described.faults(schema("Login"), &body, "").is_empty());
    assert!(
        !described
            .faults(schema("Login"), &json!({ "email": "ada@example.com" }), "")
            .is_empty()
    );
    assert_eq!(
        schema("Login")["required"],
        json!(["email", "password"]),
        "transport has a default"
    );
    assert_eq!(schema("Refresh").get("required"), None);
}

#[test]
fn an_answer_that_is_not_described_is_found() {
    let described = described();
    let granted = |more: Value| {
        let mut body = json!({ "access_token": "x", "token_type": "Bearer", "expires_in": 1,
            "user": { "id": "x", "email": "x", "roles": [] } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        described.faults(&json!({ "$ref": "#/components/schemas/Granted" }), &body, "")
    };
    assert_eq!(granted(json!({})), Vec::<String>::new());
    for wrong in [
        json!({ "undescribed": 1 }),
        json!({ "expires_in": "soon" }),
        json!({ "token_type": "mac" }),
        json!({ "user": { "id": "x", "email": "x" } }),
        json!({ "user": { "id": "x", "email": "x", "roles": [1] } }),
    ] {
        assert_eq!(granted(wrong.clone()).len(), 1, "{wrong}");
    }
}
