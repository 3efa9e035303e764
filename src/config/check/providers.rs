//! `[[auth.providers]]`: each with a name and an issuer of its own, a secret that can be read, and a way to it that nobody can listen on.

use super::Folder;
use super::secrets::secret;
use super::tokens::twice;
use super::upstreams::authorities;
use crate::config::read::{Reader, Written};
use crate::config::words::Registration;
use crate::config::{Provider, file};

pub(super) fn providers(
    reader: &mut Reader,
    files: &[file::Provider],
    registration: bool,
    folder: &Folder<'_>,
) -> Vec<Provider> {
    let ids: Vec<_> = files.iter().filter_map(|file| file.id.clone()).collect();
    twice(reader, &ids, |id| id.0.clone());
    let issuers: Vec<_> = files.iter().filter_map(|file| file.issuer.clone()).collect();
    twice(reader, &issuers, |issuer| issuer.0.clone());
    let providers = files.iter().filter_map(|file| one(reader, file, registration, folder));
    providers.collect()
}

/// `None`: what must be there is not, which is noted.
fn one(reader: &mut Reader, file: &file::Provider, registration: bool, folder: &Folder<'_>) -> Option<Provider> {
    let scopes = list(&file.scopes.value, |scope| scope.0.clone());
    if !scopes.iter().any(|scope| scope == "openid") {
        reader.mistake(
            &file.scopes.place,
            "must contain \"openid\"; without it the provider says nothing of who somebody is",
        );
    }
    twice(reader, &file.scopes.value, |scope| scope.0.clone());
    twice(reader, &file.allowed_domains.value, |domain| domain.0.clone());
    let client_secret = file.client_secret_file.as_ref();
    let client_secret = client_secret.and_then(|written| secret(reader, written, folder));
    let ca_file = file.ca_file.as_ref().map(|written| {
        let path = folder.file(&written.value);
        if let Err(message) = authorities(&path) {
            reader.mistake(&written.place, message);
        }
        path
    });
    let id = file.id.as_ref()?.value.0.clone();
    let own = file.registration.as_ref();
    Some(Provider {
        name: file
            .name
            .as_ref()
            .map_or_else(|| id.clone(), |name| name.value.0.clone()),
        id,
        issuer: file.issuer.as_ref()?.value.0.clone(),
        client_id: file.client_id.as_ref()?.value.0.clone(),
        client_secret,
        scopes,
        allowed_domains: list(&file.allowed_domains.value, |domain| domain.0.clone()),
        roles_from: file.roles_from.as_ref().map(|claim| claim.value.0.clone()),
        registration: own.map_or(registration, |written| written.value == Registration::Open),
        ca_file,
    })
}

fn list<T>(written: &[Written<T>], word: impl Fn(&T) -> String) -> Vec<String> {
    written.iter().map(|element| word(&element.value)).collect()
}
