//! A real mail server, and what people find in their mail.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Server, free_port, wait_for_port};

/// What the server asks for, where it asks.
pub const USER: &str = "gateward";
/// What proves it.
pub const PASSWORD: &str = "what-the-mail-server-asks-for";

/// How long a letter may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A mail server that keeps what it accepts.
pub struct Mail {
    /// Where it listens.
    pub port: u16,
    folder: TempDir,
    more: Vec<String>,
    server: Option<Server>,
}

/// A letter as it arrived.
#[derive(Clone, Debug)]
pub struct Letter {
    /// To whom, how secured, and by whom: as the envelope said.
    pub envelope: String,
    /// The whole message, decoded enough to be read: soft line breaks taken out.
    pub text: String,
}

impl Mail {
    /// In cleartext, for anybody.
    pub fn start() -> Self {
        Self::with(Vec::new())
    }

    /// Only over STARTTLS and for who gives the password; its certificate is in the file that comes back.
    pub fn guarded() -> (Self, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = TempDir::new().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let more = [cert.to_str().unwrap(), key.to_str().unwrap(), USER, PASSWORD];
        let mail = Self::within(folder, more.map(str::to_owned).to_vec());
        (mail, cert)
    }

    fn with(more: Vec<String>) -> Self {
        Self::within(TempDir::new().unwrap(), more)
    }

    fn within(folder: TempDir, more: Vec<String>) -> Self {
        let mut mail = Self {
            port: free_port(),
            folder,
            more,
            server: None,
        };
        mail.up();
        mail
    }

    /// Starts it; what it has stays, and so does the count of its letters.
    pub fn up(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/servers/smtp.py");
        let folder = self.folder.path().join(format!("{}", self.folders().len()));
        std::fs::create_dir(&folder).unwrap();
        let port = self.port.to_string();
        // Debian's own, which has the package.
        let mut command = vec!["/usr/bin/python3", script, &port, folder.to_str().unwrap()];
        command.extend(self.more.iter().map(String::as_str));
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(&command, self.folder.path(), &log));
        wait_for_port(self.port, &log);
    }

    /// Stops it.
    pub fn down(&mut self) {
        self.server = None;
    }

    /// Refuses every recipient from now on; or, with an empty reply, none.
    pub fn refuse(&self, reply: &str) {
        let file = self.folders().pop().unwrap().join("refuse");
        match reply {
            "" => std::fs::remove_file(file).unwrap(),
            reply => std::fs::write(file, reply).unwrap(),
        }
    }

    /// Keeps the sender waiting once it has a letter; or no longer.
    pub fn hold(&self, hold: bool) {
        let file = self.folders().pop().unwrap().join("slow");
        match hold {
            true => std::fs::write(file, "").unwrap(),
            false => std::fs::remove_file(file).unwrap(),
        }
    }

    /// The letters to an address so far, in the order they came.
    pub fn to(&self, email: &str) -> Vec<Letter> {
        let mine = format!("{email} ");
        let letters = self.letters().into_iter();
        letters.filter(|letter| letter.envelope.starts_with(&mine)).collect()
    }

    /// All letters so far.
    pub fn letters(&self) -> Vec<Letter> {
        let files = self.folders().into_iter().flat_map(|folder| sorted(&folder));
        files
            .filter(|file| file.extension().is_some_and(|kind| kind == "eml"))
            .map(|file| Letter::read(&std::fs::read_to_string(file).unwrap()))
            .collect()
    }

    /// Waits for so many letters to an address; the newest comes back.
    #[track_caller]
    pub fn wait_for(&self, email: &str, count: usize) -> Letter {
        let began = Instant::now();
        loop {
            let mut letters = self.to(email);
            if letters.len() >= count {
                assert_eq!(letters.len(), count, "more letters than expected: {letters:?}");
                return letters.pop().unwrap();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "no letter to {email}; there are {:?}",
                self.letters()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `smtp://localhost:PORT`
    pub fn url(&self) -> String {
        format!("smtp://localhost:{}", self.port)
    }

    fn folders(&self) -> Vec<PathBuf> {
        sorted(self.folder.path())
            .into_iter()
            .filter(|path| path.is_dir())
            .collect()
    }
}

impl Letter {
    fn read(raw: &str) -> Self {
        let envelope = raw.lines().next().unwrap_or_default();
        Self {
            envelope: envelope.strip_prefix("X-Envelope: ").unwrap_or_default().to_owned(),
            // Quoted-printable (RFC 2045 §6.7), as far as our letters need it.
            text: raw.replace("=\r\n", "").replace("=3D", "="),
        }
    }

    /// A header's value.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The token in the link that it brings to a page of ours.
    #[track_caller]
    pub fn token(&self, page: &str) -> String {
        let link = self.link(page);
        link.split_once("token=").expect("a token").1.to_owned()
    }

    /// That link.
    #[track_caller]
    pub fn link(&self, page: &str) -> String {
        let start = format!("/auth/{page}?token=");
        let line = self
            .text
            .lines()
            .find(|line| line.starts_with("https://") && line.contains(&start));
        line.unwrap_or_else(|| panic!("no link to {page} in {self:?}"))
            .to_owned()
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
