//! Every published vector, and what is refused.

use super::*;
use crate::auth::hashing::recipe::Excess;

/// A password and its hash as others published them.
#[derive(serde::Deserialize)]
struct Vector {
    source: String,
    password: String,
    hash: String,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../../tests/hashes/published.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tag_of(recipe: &Recipe, password: &str) -> Vec<u8> {
    recipe.tag(password.as_bytes(), &mut Vec::new()).unwrap()
}

#[test]
fn every_published_vector_is_that_of_its_password_and_of_no_other() {
    let vectors = vectors();
    assert!(vectors.len() >= 45, "only {} vectors", vectors.len());
    for Vector { source, password, hash } in vectors {
        let (recipe, tag) = read(&hash).unwrap_or_else(|| panic!("{source}: {hash}"));
        assert_eq!(recipe.excess(), None, "{hash}");
        assert_eq!(tag_of(&recipe, &password), tag, "{source}: {hash}");
        assert_ne!(tag_of(&recipe, &format!("x{password}")), tag, "{source}: {hash}");
    }
}

#[test]
fn what_is_cut_off_garbled_or_of_another_kind_is_not_read() {
    for Vector { hash, .. } in vectors() {
        let (half, _) = hash.rsplit_once('$').unwrap();
        assert!(read(half).is_none(), "{half}");
        assert!(read(&format!("{half}$")).is_none(), "{half}$");
        assert!(read(&format!("{hash}$")).is_none(), "{hash}$");
        assert!(read(&format!("x{hash}")).is_none(), "x{hash}");
        assert!(read(&format!("{hash}é")).is_none(), "{hash}é");
    }
    for text in [
        "",
        "$",
        "!",
        "hunter2",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
        "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "scrypt$16383$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==",
        "scrypt$0$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==",
        "pbkdf2_sha256$0$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps=",
        "pbkdf2_sha256$-1$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps=",
        "pbkdf2_sha256$1000$seasalt$c2hvcnQ=",
        "$pbkdf2-sha256$i=1000,l=64$c2VhIHNhbHQ$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps",
    ] {
        assert!(read(text).is_none(), "{text}");
    }
}

#[test]
fn what_costs_more_than_a_sign_in_may_is_told_from_what_is_usual() {
    let tag = "c29tZXRhZ3NvbWV0YWdzb21ldGFnc29tZXRhZzEyMzQ";
    let salt = "c29tZXNhbHRzb21lc2FsdA";
    let argon2 = |params: &str| format!("$argon2i$v=19${params}${salt}${tag}");
    let scrypt = |params: &str| format!("$scrypt${params}${salt}${tag}");
    let bcrypt = |cost: u32| format!("$2b${cost:02}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    let pbkdf2 = |rounds: u32| format!("$pbkdf2-sha256${rounds}${salt}${tag}");
    for (text, excess) in [
        (argon2("m=65536,t=3,p=4"), None),
        (argon2("m=131072,t=4,p=1"), None),
        (argon2("m=131073,t=1,p=1"), Some(Excess::Memory)),
        (argon2("m=4294967295,t=1,p=1"), Some(Excess::Memory)),
        (argon2("m=65536,t=9,p=1"), Some(Excess::Work)),
        (argon2("m=8,t=4294967295,p=1"), Some(Excess::Work)),
        (scrypt("ln=16,r=8,p=1"), None),
        (scrypt("ln=15,r=8,p=3"), None),
        (scrypt("ln=18,r=8,p=1"), Some(Excess::Memory)),
        (scrypt("ln=40,r=1,p=1"), Some(Excess::Memory)),
        (scrypt("ln=10,r=8,p=4000"), Some(Excess::Work)),
        (bcrypt(14), None),
        (bcrypt(15), Some(Excess::Work)),
        (bcrypt(31), Some(Excess::Work)),
        (pbkdf2(1_500_000), None),
        (pbkdf2(2_000_001), Some(Excess::Work)),
        (
            format!("$pbkdf2-sha256$1000001${salt}$c29tZXRhZ3NvbWV0YWdzb21ldGFnc29tZXRhZzEyMzQ1"),
            Some(Excess::Work),
        ),
    ] {
        let (recipe, _) = read(&text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(recipe.excess(), excess, "{text}");
    }
}
