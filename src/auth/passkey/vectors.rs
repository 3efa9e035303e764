//! The vectors of the specification itself (§16), each judged as this relying party should: keys of the algorithms that we ask for, outside of frames.

use serde_json::Value;

use super::authenticator_data::Verification;
use super::client_data::ClientData;
use super::proof::{Made, Used, made, used};
use super::{Party, Refused};

const VECTORS: &str = include_str!("../../../tests/webauthn/vectors.json");

/// What we do not ask for, and why.
const REFUSED: [(&str, Refused); 5] = [
    ("packed-es384", Refused("a key of a kind that was not asked for")),
    ("packed-es512", Refused("a key of a kind that was not asked for")),
    ("packed-ed448", Refused("a key of a kind that was not asked for")),
    ("none-es256-crossOrigin", Refused("a page in a frame")),
    ("none-es256-topOrigin", Refused("a page in a frame")),
];

fn octets(of: &Value, name: &str) -> Vec<u8> {
    let text = of[name].as_str().unwrap();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn party() -> Party {
    Party::new("example.org", vec!["https://example.org".to_owned()])
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn registration(vector: &Value) -> Made {
    let registration = &vector["registration"];
    Made {
        id: octets(registration, "credential_id"),
        client_data: octets(registration, "clientDataJSON"),
        attestation: octets(registration, "attestationObject"),
        transports: Vec::new(),
    }
}

fn authentication(vector: &Value) -> Used {
    let authentication = &vector["authentication"];
    Used {
        id: octets(&vector["registration"], "credential_id"),
        client_data: octets(authentication, "clientDataJSON"),
        authenticator_data: octets(authentication, "authenticatorData"),
        signature: octets(authentication, "signature"),
        user_handle: None,
    }
}

fn read(octets: &[u8]) -> ClientData {
    ClientData::read(octets).unwrap()
}

#[test]
fn each_vector_of_the_specification_is_judged_as_we_promise() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 15);
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let anchor = vector["anchor"].as_str().unwrap();
        let response = registration(vector);
        let client = read(&response.client_data);
        assert_eq!(
            client.challenge.as_slice(),
            octets(&vector["registration"], "challenge"),
            "{name}"
        );
        let came = made(&party(), &client, &response, Verification::Welcome);
        if let Some((_, why)) = REFUSED.iter().find(|(known, _)| anchor.ends_with(known)) {
            assert_eq!(came.unwrap_err(), *why, "{name}");
            continue;
        }
        let (kept, _) = came.unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let response = authentication(vector);
        let client = read(&response.client_data);
        assert_eq!(
            client.challenge.as_slice(),
            octets(&vector["authentication"], "challenge"),
            "{name}"
        );
        let came = used(&party(), &client, &kept, &response, Verification::Welcome);
        assert_eq!(came, Ok(0), "{name}");
    }
}

#[test]
fn an_octet_that_was_changed_is_found_wherever_it_stands() {
    for vector in vectors().iter().filter(|vector| {
        let anchor = vector["anchor"].as_str().unwrap();
        ["none-es256", "packed-rs256", "packed-eddsa"]
            .iter()
            .any(|kind| anchor.ends_with(kind))
    }) {
        let first = registration(vector);
        let (kept, _) = made(&party(), &read(&first.client_data), &first, Verification::Welcome).unwrap();
        let good = authentication(vector);
        for at in 0..good.authenticator_data.len() {
            let mut changed = authentication(vector);
            changed.authenticator_data[at] ^= 1;
            let client = read(&changed.client_data);
            assert!(
                used(&party(), &client, &kept, &changed, Verification::Welcome).is_err(),
                "data {at}"
            );
        }
        for at in 0..good.signature.len() {
            let mut changed = authentication(vector);
            changed.signature[at] ^= 1;
            let client = read(&changed.client_data);
            assert!(
                used(&party(), &client, &kept, &changed, Verification::Welcome).is_err(),
                "signature {at}"
            );
        }
        for at in 0..good.client_data.len() {
            let mut changed = authentication(vector);
            changed.client_data[at] ^= 1;
            let Ok(client) = ClientData::read(&changed.client_data) else {
                continue;
            };
            assert!(
                used(&party(), &client, &kept, &changed, Verification::Welcome).is_err(),
                "client {at}"
            );
        }
    }
}

#[test]
fn a_registration_is_no_sign_in_and_a_sign_in_no_registration() {
    let vector = &vectors()[0];
    let (making, using) = (registration(vector), authentication(vector));
    let (kept, _) = made(&party(), &read(&making.client_data), &making, Verification::Welcome).unwrap();
    let crossed = made(&party(), &read(&using.client_data), &making, Verification::Welcome);
    assert_eq!(crossed.unwrap_err(), Refused("client data of another ceremony"));
    let crossed = used(
        &party(),
        &read(&making.client_data),
        &kept,
        &using,
        Verification::Welcome,
    );
    assert_eq!(crossed.unwrap_err(), Refused("client data of another ceremony"));
    let demanding = made(&party(), &read(&making.client_data), &making, Verification::Required);
    assert_eq!(
        demanding.unwrap_err(),
        Refused("nobody proved who they are to the authenticator")
    );
    let elsewhere = Party::new("example.org", vec!["https://www.example.org".to_owned()]);
    assert!(made(&elsewhere, &read(&making.client_data), &making, Verification::Welcome).is_err());
    let other = Party::new("example.com", vec!["https://example.org".to_owned()]);
    assert!(used(&other, &read(&using.client_data), &kept, &using, Verification::Welcome).is_err());
}

#[test]
fn an_attestation_object_is_whole_and_names_its_credential_once() {
    let vector = &vectors()[0];
    let good = registration(vector);
    let judged = |change: &dyn Fn(&mut Made)| {
        let mut response = registration(vector);
        change(&mut response);
        made(&party(), &read(&response.client_data), &response, Verification::Welcome).is_ok()
    };
    assert!(judged(&|_| ()));
    assert!(!judged(&|response| response.attestation.push(0)));
    assert!(!judged(&|response| response.id.push(0)));
    for cut in 0..good.attestation.len() {
        assert!(!judged(&|response| response.attestation.truncate(cut)), "cut at {cut}");
    }
    // The text string "fmt" becomes another.
    assert!(!judged(&|response| response.attestation[2] ^= 1));
}
