//! `[mail]`: a way out and a sender, or neither; templates that can be filled in.

use std::collections::BTreeMap;
use std::path::Path;

use super::Folder;
use super::stores::{authorities_are_readable, fill};
use crate::config::file;
use crate::config::mail::{LETTERS, Mail, PLACES, SUBJECT, Way};
use crate::config::nearest;
use crate::config::read::{Reader, Written};
use crate::config::servers::{Security, Smtp};
use crate::config::values::{FilePath, MailAt};

/// Octets of a template at most.
const LARGEST: usize = 32 * 1024;

pub(super) fn mail(reader: &mut Reader, file: &file::Mail, folder: &Folder<'_>) -> Option<Mail> {
    let Some(way) = way(reader, file, folder) else {
        // Of a way that cannot be read nothing is known.
        if !file.url.broken {
            refuse_lonely(reader, file);
        }
        return None;
    };
    let templates = file.templates.as_ref().map(|at| templates(reader, at, folder));
    let Some(from) = &file.from else {
        let message = "needs `from` beside it: whose letters these are, like \"Acme <no-reply@example.com>\"";
        reader.mistake(&file.url.place, message);
        return None;
    };
    Some(Mail {
        way,
        from: from.value.clone(),
        templates: templates.unwrap_or_default(),
    })
}

fn refuse_lonely(reader: &mut Reader, file: &file::Mail) {
    let files = [&file.password_file, &file.ca_file, &file.templates];
    let places = files.into_iter().flatten().map(|written| &written.place);
    for place in places.chain(file.from.as_ref().map(|from| &from.place)) {
        reader.mistake(place, "does nothing without a `mail.url`");
    }
}

fn way(reader: &mut Reader, file: &file::Mail, folder: &Folder<'_>) -> Option<Way> {
    let mut smtp = match &file.url.value {
        MailAt::Off => return None,
        MailAt::Smtp(smtp) => smtp.clone(),
        MailAt::Folder(path) => {
            for written in [&file.password_file, &file.ca_file].into_iter().flatten() {
                let message = "is for a mail server, and `mail.url` names a folder; take it out";
                reader.mistake(&written.place, message);
            }
            return Some(Way::Folder(folder.join(path)));
        }
    };
    if let Some(written) = &file.password_file {
        fill(reader, written, Some(&mut smtp.password), "", folder);
        if smtp.user.is_none() {
            let message = "is a password without a user; write `smtp://user@host`";
            reader.mistake(&written.place, message);
        }
    }
    smtp.ca_file = file.ca_file.as_ref().map(|written| folder.file(&written.value));
    authorities_are_readable(reader, file.ca_file.as_ref(), smtp.ca_file.as_ref());
    keeps_its_password(reader, &file.url, &smtp);
    Some(Way::Smtp(smtp))
}

/// Who can listen on the way would have the password, and with it send in our name.
fn keeps_its_password(reader: &mut Reader, url: &Written<MailAt>, smtp: &Smtp) {
    if smtp.security == Security::Off && smtp.password.is_some() && !smtp.address.is_loopback() {
        let message = "would send its password in cleartext to another machine; leave `tls=off` out";
        reader.mistake(&url.place, message);
    }
}

fn templates(reader: &mut Reader, at: &Written<FilePath>, folder: &Folder<'_>) -> BTreeMap<String, String> {
    match read_folder(&folder.file(&at.value)) {
        Ok(templates) => templates,
        Err(wrong) => {
            for message in wrong {
                reader.mistake(&at.place, message);
            }
            BTreeMap::new()
        }
    }
}

fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, Vec<String>> {
    let unreadable = |error: std::io::Error| vec![format!("{} cannot be read: {error}", folder.display())];
    let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        // An editor's leavings, and notes to oneself.
        let Some((letter, kind)) = name.rsplit_once('.').filter(|(_, kind)| ["txt", "html"].contains(kind)) else {
            continue;
        };
        let judged = known(letter).and_then(|()| {
            let text =
                std::fs::read_to_string(folder.join(&name)).map_err(|error| format!("cannot be read: {error}"))?;
            template(&text, kind).map(|()| text)
        });
        match judged {
            Ok(text) => drop(found.insert(name, text)),
            Err(why) => wrong.push(format!("{name} {why}")),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn known(letter: &str) -> Result<(), String> {
    if LETTERS.contains(&letter) {
        return Ok(());
    }
    Err(format!("is the name of no letter{}", nearest::hint(letter, LETTERS)))
}

fn template(text: &str, kind: &str) -> Result<(), String> {
    if text.len() > LARGEST {
        return Err(format!("is too large; keep it below {} KiB", LARGEST / 1024));
    }
    let subject = text.lines().next().and_then(|line| line.strip_prefix(SUBJECT));
    if kind == "txt" && subject.is_none_or(|subject| subject.trim().is_empty()) {
        return Err(format!("must begin with a line like `{SUBJECT}Set a new password`"));
    }
    for rest in text.split("{{").skip(1) {
        let (place, _) = rest.split_once("}}").ok_or("has a `{{` without its `}}`")?;
        if !PLACES.contains(&place.trim()) {
            let place = place.trim();
            return Err(format!(
                "asks for `{}`{}",
                place.escape_debug(),
                nearest::hint(place, PLACES)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_cannot_be_filled_in_is_refused() {
        assert_eq!(template("Subject: Hello {{site}}\n\n{{ link }}\n", "txt"), Ok(()));
        assert_eq!(template("<a href=\"{{link}}\">go</a>", "html"), Ok(()));
        for (text, kind, word) in [
            ("Hello\n", "txt", "Subject"),
            ("Subject: \nHello", "txt", "Subject"),
            ("{{linc}}", "html", "link"),
            ("{{link", "html", "}}"),
        ] {
            let wrong = template(text, kind).unwrap_err();
            assert!(wrong.contains(word), "{wrong}");
        }
    }

    #[test]
    fn a_folder_of_templates_is_read_and_a_misspelt_name_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("reset.txt", "Subject: New password\n{{link}}");
        write("notes.md", "{{nothing}}");
        assert_eq!(read_folder(folder.path()).unwrap().len(), 1);
        write("resett.html", "{{link}}");
        let wrong = read_folder(folder.path()).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].contains("`reset`"), "{wrong:?}");
    }
}
