//! `[[auth.providers]]`, whole and wrong.

use super::*;

const GOOD: &str = "[[auth.providers]]\nid = \"corp\"\nissuer = \"https://id.example.com\"\nclient_id = \"gateward\"\n";

#[test]
fn what_is_left_out_of_a_provider_is_what_most_people_want() {
    let auth = settings(GOOD).auth;
    let [provider] = auth.providers.as_slice() else {
        panic!("{:?}", auth.providers);
    };
    assert_eq!((provider.id.as_str(), provider.name.as_str()), ("corp", "corp"));
    assert_eq!(provider.scopes, ["openid", "email", "profile"]);
    assert!(provider.registration && provider.client_secret.is_none() && provider.allowed_domains.is_empty());
    let closed = format!("[auth]\nregistration = \"closed\"\n{GOOD}");
    assert!(!settings(&closed).auth.providers[0].registration);
    let reopened = format!("{closed}registration = \"open\"\n");
    let auth = settings(&reopened).auth;
    assert!(auth.providers[0].registration && !auth.registration);
}

#[test]
fn a_provider_that_could_not_work_is_refused() {
    refuses(&GOOD.replace("corp", "Corp"), 2, "auth.providers[1].id", "lower-case");
    refuses(
        &GOOD.replace("https:", "http:"),
        3,
        "auth.providers[1].issuer",
        "not https",
    );
    refuses(
        &format!("{GOOD}scopes = [\"email\"]\n"),
        5,
        "auth.providers[1].scopes",
        "must contain \"openid\"",
    );
    refuses(
        &format!("{GOOD}client_secret = \"s3cret\"\n"),
        5,
        "auth.providers[1].client_secret",
        "`client_secret_file`",
    );
    refuses(
        &format!("{GOOD}client_secret_file = \"nowhere\"\n"),
        5,
        "auth.providers[1].client_secret_file",
        "cannot be read",
    );
    refuses(
        &format!("{GOOD}ca_file = \"nowhere\"\n"),
        5,
        "auth.providers[1].ca_file",
        "cannot be read",
    );
    refuses(
        "[[auth.providers]]\nid = \"corp\"\nissuer = \"https://id.example.com\"\n",
        1,
        "auth.providers[1]",
        "`client_id` is missing",
    );
}

#[test]
fn two_providers_are_two() {
    let same_issuer = format!("{GOOD}{}", GOOD.replace("corp", "other"));
    refuses(&same_issuer, 7, "auth.providers[2].issuer", "there twice");
    let same_id = format!("{GOOD}{}", GOOD.replace("id.example", "other.example"));
    refuses(&same_id, 6, "auth.providers[2].id", "there twice");
}

#[test]
fn a_provider_s_secret_is_read_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corp.secret"), "s3cret\n").unwrap();
    let text = format!("{GOOD}client_secret_file = \"corp.secret\"\n");
    let settings = check(&text, folder.path(), &HashMap::new()).unwrap();
    let provider = &settings.auth.providers[0];
    assert_eq!(provider.client_secret.as_ref().unwrap().expose(), "s3cret");
    assert!(!format!("{provider:?}").contains("s3cret"));
}
