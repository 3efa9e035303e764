//! A browser under remote control: chromedriver and the little of the WebDriver protocol (W3C) that the tests speak.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The flags of a browser that touches nothing outside of the test. Every name under `.test` is another host on this machine.
const FLAGS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/// One browser with a profile of its own; gone when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// A fresh browser.
    #[track_caller]
    pub fn start() -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts; tests/run installs it");
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        until("chromedriver is ready", || {
            let status = browser.ask("GET", "/status", None).ok()?;
            status["ready"].as_bool().filter(|ready| *ready)
        });
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": flags},
        }}});
        let made = browser
            .ask("POST", "/session", Some(wanted))
            .expect("a browser starts; tests/run installs it");
        browser.session = format!("/session/{}", made["sessionId"].as_str().expect("a session's id"));
        browser
    }

    /// A fresh browser with scripts switched off.
    #[track_caller]
    pub fn without_scripts() -> Self {
        let browser = Self::start();
        browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true}));
        browser
    }

    /// Opens an address and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", json!({"url": url}));
    }

    /// The address in the address bar.
    #[track_caller]
    pub fn url(&self) -> String {
        self.command("GET", "/url", Value::Null)
            .as_str()
            .expect("an address")
            .to_owned()
    }

    /// What the page shows as text.
    #[track_caller]
    pub fn text(&self) -> String {
        self.text_of("body")
    }

    /// What an element shows as text.
    #[track_caller]
    pub fn text_of(&self, selector: &str) -> String {
        // A page that is just being replaced takes its elements away.
        until(selector, || {
            let element = self.locate(selector).ok()?;
            let text = self
                .ask("GET", &format!("{}/element/{element}/text", self.session), None)
                .ok()?;
            text.as_str().map(str::to_owned)
        })
    }

    /// Whether there is such an element.
    pub fn has(&self, selector: &str) -> bool {
        self.locate(selector).is_ok()
    }

    /// Types into a field.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.command("POST", &format!("/element/{element}/clear"), json!({}));
        self.command("POST", &format!("/element/{element}/value"), json!({"text": text}));
    }

    /// Clicks something that leads to no other page.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.command("POST", &format!("/element/{element}/click"), json!({}));
    }

    /// Clicks a link or a button that leads to another page (or the same once more), and waits for that page.
    #[track_caller]
    pub fn follow(&self, selector: &str) {
        self.about_to_leave();
        self.click(selector);
        self.arrived();
    }

    /// Remembers the present page, for `arrived`.
    #[track_caller]
    pub fn about_to_leave(&self) {
        self.run("window.left = false");
    }

    /// Waits until another page has taken its place (or the same once more).
    #[track_caller]
    pub fn arrived(&self) {
        until("the next page is there", || {
            let script =
                json!({"script": "return window.left === undefined && document.readyState === 'complete'", "args": []});
            let there = self.ask("POST", &format!("{}/execute/sync", self.session), Some(script));
            there.ok()?.as_bool().filter(|there| *there)
        });
    }

    /// The browser's "back".
    #[track_caller]
    pub fn back(&self) {
        self.command("POST", "/back", json!({}));
    }

    /// A second tab; commands go to it from now on. Returns the name of the first.
    #[track_caller]
    pub fn new_tab(&self) -> String {
        let first = self.tab();
        let tab = self.command("POST", "/window/new", json!({"type": "tab"}));
        self.switch_to(tab["handle"].as_str().expect("a tab's name"));
        first
    }

    /// The name of the tab that commands go to.
    #[track_caller]
    pub fn tab(&self) -> String {
        let tab = self.command("GET", "/window", Value::Null);
        tab.as_str().expect("a tab's name").to_owned()
    }

    /// Goes to a tab.
    #[track_caller]
    pub fn switch_to(&self, tab: &str) {
        self.command("POST", "/window", json!({"handle": tab}));
    }

    /// Takes one cookie of the present page's origin away for good: the answer to what the page's own script has just asked may bring it back.
    #[track_caller]
    pub fn delete_cookie(&self, name: &str) {
        until("the cookie stays away", || {
            self.command("DELETE", &format!("/cookie/{name}"), Value::Null);
            std::thread::sleep(Duration::from_millis(300));
            (!self.cookies().iter().any(|cookie| cookie == name)).then_some(())
        });
    }

    /// The names of the cookies that the present page's origin has.
    #[track_caller]
    pub fn cookies(&self) -> Vec<String> {
        let cookies = self.command("GET", "/cookie", Value::Null);
        let cookies = cookies.as_array().expect("a list of cookies");
        cookies
            .iter()
            .filter_map(|cookie| cookie["name"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Runs a script in the page and waits for the promise that it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", json!({"script": script, "args": []}))
    }

    /// Puts an authenticator into the machine: one that keeps passkeys, and whose person agrees and proves themselves at once.
    #[track_caller]
    pub fn plug_in_authenticator(&self) {
        let wanted = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserConsenting": true,
            "isUserVerified": true,
        });
        self.command("POST", "/webauthn/authenticator", wanted);
    }

    /// A command of the browser's own protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command(
            "POST",
            "/goog/cdp/execute",
            json!({"cmd": command, "params": parameters}),
        )
    }

    /// How wide the window is, and whether the person prefers dark.
    #[track_caller]
    pub fn look(&self, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// The whole page as PNG.
    #[track_caller]
    pub fn picture(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let data = taken["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(data).expect("base64")
    }

    #[track_caller]
    fn find(&self, selector: &str) -> String {
        match self.locate(selector) {
            Ok(element) => element,
            Err(_) => panic!("there is no {selector} at {}:\n{}", self.url(), self.text_of("body")),
        }
    }

    fn locate(&self, selector: &str) -> Result<String, String> {
        let by = json!({"using": "css selector", "value": selector});
        let found = self.ask("POST", &format!("{}/element", self.session), Some(by))?;
        let id = found
            .as_object()
            .and_then(|found| found.values().next())
            .and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| "no element".to_owned())
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: Value) -> Value {
        let body = Some(body).filter(|body| !body.is_null());
        match self.ask(method, &format!("{}{path}", self.session), body) {
            Ok(value) => value,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let answer = self.exchange(method, path, body).map_err(|error| error.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let mut value: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {answer}"))?;
        let value = value["value"].take();
        if head.starts_with("HTTP/1.1 200") {
            Ok(value)
        } else {
            Err(value.to_string())
        }
    }

    fn exchange(&self, method: &str, path: &str, body: Option<Value>) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map_or_else(String::new, |body| body.to_string());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let mut piece = [0; 65_536];
            match stream.read(&mut piece)? {
                0 => break,
                length => answer.extend_from_slice(&piece[..length]),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.ask("DELETE", &self.session, None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Whether an answer with `Content-Length` is there to its end.
fn is_whole(answer: &[u8]) -> bool {
    let Some(border) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..border]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= border + 4 + length)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Asks until there is something, and fails when that takes too long.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
