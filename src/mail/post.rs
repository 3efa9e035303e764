//! Where letters are handed over: a mail server, or a folder.
//!
//! A server's no to this recipient or this message is for good; every other failure may pass by itself. A wrong password counts as the latter: an operator
//! mends it, and until then no letter is to be lost over it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use uuid::Uuid;

use super::letter::Worded;
use crate::config::mail::{Mail, Sender, Way};
use crate::config::servers::{Security, Smtp};
use crate::model::clock::Timestamp;
use crate::model::user::Email;

/// How long a server may keep us waiting for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Letters cannot be handed over at all, as things are set up.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The folder cannot be made.
    #[error("the folder of `mail.url` cannot be made: {0}")]
    Folder(#[source] io::Error),
    /// What secures the way to the server is of no use.
    #[error("the way to the mail server cannot be secured: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
    /// The authorities cannot be read.
    #[error("`mail.ca_file` cannot be read: {0}")]
    Authorities(#[source] io::Error),
}

/// A letter was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Trying again may help.
    #[error("{0}")]
    ForNow(String),
    /// It will never be taken.
    #[error("{0}")]
    ForGood(String),
}

/// What goes on the envelope and into the headers of one letter.
pub(super) struct Cover<'a> {
    pub(super) id: Uuid,
    pub(super) to: &'a Email,
    pub(super) written_at: Timestamp,
}

/// Hands letters over.
#[derive(Debug)]
pub struct Post {
    way: Open,
    from: Sender,
    /// What stands behind the `@` of a Message-ID.
    host: String,
}

#[derive(Debug)]
enum Open {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

impl Post {
    /// As the settings say; `host` is the name under which the site is reached. Asks no server yet.
    pub fn open(settings: &Mail, host: &str) -> Result<Self, PostError> {
        let way = match &settings.way {
            Way::Smtp(server) => Open::Smtp(transport(server, host)?),
            Way::Folder(path) => {
                make_folder(path).map_err(PostError::Folder)?;
                Open::Folder(path.clone())
            }
        };
        Ok(Self {
            way,
            from: settings.from.clone(),
            host: host.to_owned(),
        })
    }

    /// Hands one over. The same id gives the same Message-ID, so that a letter that had to be sent twice is known by it.
    pub(super) async fn send(&self, cover: &Cover<'_>, worded: Worded) -> Result<(), Refused> {
        let message = self.message(cover, worded)?;
        match &self.way {
            Open::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(refused(&error)),
            },
            Open::Folder(path) => {
                let (path, bytes) = (path.join(format!("{}.eml", cover.id)), message.formatted());
                let written = tokio::task::spawn_blocking(move || write_whole(&path, &bytes)).await;
                match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(Refused::ForNow(error.to_string())),
                    Err(error) => Err(Refused::ForNow(error.to_string())),
                }
            }
        }
    }

    fn message(&self, cover: &Cover<'_>, worded: Worded) -> Result<Message, Refused> {
        let unfit =
            |error: &dyn std::error::Error| Refused::ForGood(format!("it cannot be put into a message: {error}"));
        let address = |email: &Email| email.as_str().parse::<Address>().map_err(|error| unfit(&error));
        let from = Mailbox::new(self.from.name.clone(), address(&self.from.address)?);
        let subject: String = worded.subject.chars().filter(|c| !c.is_control()).collect();
        let body = MultiPart::alternative_plain_html(worded.text, worded.html);
        Message::builder()
            .from(from)
            .to(Mailbox::new(None, address(cover.to)?))
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_secs(cover.written_at.as_secs()))
            .message_id(Some(format!("<{}@{}>", cover.id, self.host)))
            .header(Automatic)
            .multipart(body)
            .map_err(|error| unfit(&error))
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): absence notes are not to be sent back.
#[derive(Clone, Copy)]
struct Automatic;

impl Header for Automatic {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn transport(server: &Smtp, host: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, PostError> {
    let address = &server.address;
    let tls = match server.security {
        Security::Off => Tls::None,
        Security::StartTls => Tls::Required(trust(server)?),
        Security::Tls => Tls::Wrapper(trust(server)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.host.as_str())
        .port(address.port)
        .tls(tls)
        .hello_name(ClientId::Domain(host.to_owned()))
        .timeout(Some(PATIENCE));
    if let (Some(user), Some(password)) = (&server.user, &server.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn trust(server: &Smtp) -> Result<TlsParameters, PostError> {
    let mut trust = TlsParameters::builder(server.address.host.clone());
    if let Some(path) = &server.ca_file {
        let pem = std::fs::read(path).map_err(PostError::Authorities)?;
        trust = trust
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(trust.build()?)
}

/// The replies that mean this recipient or this message (RFC 5321 §4.2.3, RFC 7504): not those to a greeting, to a sign-in or to a command unknown there.
fn refused(error: &lettre::transport::smtp::Error) -> Refused {
    let code = error.status().map(u16::from);
    let mut words = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        words = format!("{words}: {cause}");
    }
    let words = words.chars().filter(|c| !c.is_control()).take(300).collect();
    match code {
        Some(550..=553 | 556) => Refused::ForGood(words),
        _ => Refused::ForNow(words),
    }
}

/// A folder for the owner of this process alone: letters hold links that let somebody in.
fn make_folder(path: &PathBuf) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whoever watches the folder sees a whole file or none.
fn write_whole(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;
    let draft = path.with_extension("draft");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(folder: &std::path::Path) -> Post {
        let settings = Mail {
            way: Way::Folder(folder.to_owned()),
            from: Sender {
                name: Some("Acme & Söhne".to_owned()),
                address: "no-reply@example.com".parse().unwrap(),
            },
            templates: Default::default(),
        };
        Post::open(&settings, "gate.example").unwrap()
    }

    fn worded(subject: &str) -> Worded {
        Worded {
            subject: subject.to_owned(),
            text: "Hello,\n.\r\nBcc: eve@example.com\n".to_owned(),
            html: "<p>Hello</p>".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_letter_is_a_message_with_one_recipient_and_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (id, to) = (Uuid::from_u128(7), "ada@example.com".parse().unwrap());
        let cover = Cover {
            id,
            to: &to,
            written_at: Timestamp::from_secs(1_750_000_000),
        };
        let post = post(folder.path());
        for _ in 0..2 {
            post.send(&cover, worded("New\r\nBcc: eve@example.com")).await.unwrap();
        }
        let written: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(written.len(), 1, "the same letter is the same file");
        let text = std::fs::read_to_string(folder.path().join(format!("{id}.eml"))).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "To: ada@example.com",
            "Subject: NewBcc: eve@example.com",
            &format!("Message-ID: <{id}@gate.example>"),
            "Date: Sun, 15 Jun 2025 15:06:40 +0000",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(head.lines().any(|found| found == line), "{line} is missing in\n{head}");
        }
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(body.contains("text/plain") && body.contains("text/html"), "{body}");
    }
}
