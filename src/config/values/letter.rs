//! Whose letters they are, and where they are handed over. No mistake repeats a text that may hold a password.

use std::path::PathBuf;

use super::file_path;
use crate::config::mail::Sender;
use crate::config::read::Text;
use crate::config::servers::{self, Smtp};

text! {
    MailAt, "a URL like \"smtps://user@mail.example.com\", \"file:data/outbox\", or \"off\"", mail_at;
    Sender, "an address like \"Acme <no-reply@example.com>\"", sender;
}

/// Where letters are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum MailAt {
    /// Nowhere.
    Off,
    /// A folder; its path is still relative to the configuration file's folder.
    Folder(PathBuf),
    /// A mail server.
    Smtp(Smtp),
}

fn mail_at(text: &str) -> Result<MailAt, String> {
    if text == "off" {
        return Ok(MailAt::Off);
    }
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return file_path(path).map(|path| MailAt::Folder(path.0));
    }
    match text.split_once("://") {
        Some((scheme @ ("smtp" | "smtps"), rest)) => servers::smtp(scheme, rest).map(MailAt::Smtp),
        // The text is not repeated: a password may stand in it.
        _ => Err(
            "is no way for letters; write it like \"smtps://user@mail.example.com\" or \"file:data/outbox\"".to_owned(),
        ),
    }
}

/// A name is shown to people by their mail programs, so it can be nothing that reads like another header or address.
fn sender(text: &str) -> Result<Sender, String> {
    let wrong = || {
        let text = text.escape_debug();
        format!("`{text}` is not an address; write it like \"no-reply@example.com\" or \"Acme <no-reply@example.com>\"")
    };
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.split_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    if name.chars().count() > 64 || name.chars().any(|c| c.is_control() || "<>@\"\\".contains(c)) {
        return Err(wrong());
    }
    Ok(Sender {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        address: address.parse().map_err(|_| wrong())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let read = sender("Acme & Söhne <No-Reply@Example.com>").unwrap();
        assert_eq!(read.to_string(), "Acme & Söhne <no-reply@example.com>");
        assert_eq!(sender("a@example.com").unwrap().name, None);
        for text in [
            "",
            "Acme",
            "A\r\nBcc: x@y.z <a@example.com>",
            "a@b.c <a@example.com>",
            "<a@example.com",
            "<>",
        ] {
            assert!(sender(text).is_err(), "{text}");
        }
    }

    #[test]
    fn letters_go_to_a_mail_server_or_into_a_folder() {
        assert_eq!(mail_at("file:data/outbox"), Ok(MailAt::Folder("data/outbox".into())));
        assert!(matches!(mail_at("smtps://u@mail.example.com"), Ok(MailAt::Smtp(_))));
        for text in ["file:", "mail.example.com", "http://u:s3cret@a", "smtp:u:s3cret@a"] {
            assert!(!mail_at(text).unwrap_err().contains("s3cret"), "{text}");
        }
    }
}
