//! A small form that met an ended session, kept until the person is signed in again.
//!
//! It travels sealed in the sign-in form itself, so that no server has to remember it and no cookie has to be large. The seal is bound to the browser:
//! another site can neither read one nor bring one of its own, and it is shown for confirmation before it goes out. It keeps for fifteen minutes.

use super::csrf::Browser;
use super::form::Form;
use super::pages::view::KeptField;
use super::seal::Seal;
use crate::model::clock::Timestamp;
use crate::model::secret::{NoEntropy, Secret};

/// Octets of a form's body at most.
pub const LARGEST: usize = 4096;
const LIFE: std::time::Duration = std::time::Duration::from_secs(15 * 60);
/// Separates target and body: it stands in neither.
const BORDER: u8 = b'\n';

/// A form and where it was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptForm {
    /// Path and query on the origin that it was sent to.
    pub target: String,
    /// What it says.
    pub form: Form,
}

impl KeptForm {
    /// The fields for the page that asks whether to send them; what looks like a secret is not shown.
    pub fn fields(self) -> Vec<KeptField> {
        let field = |(name, value): (String, String)| KeptField {
            shown: if is_secret(&name) {
                "••••••".to_owned()
            } else {
                value.clone()
            },
            name,
            value,
        };
        self.form.into_fields().into_iter().map(field).collect()
    }
}

/// Seals forms and opens them again.
#[derive(Debug)]
pub struct Sealer(Seal);

impl Sealer {
    /// Under the installation's secret: what one gateway sealed, each that shares the secret opens.
    pub fn new(secret: &Secret) -> Result<Self, NoEntropy> {
        Seal::new(secret, "kept-form").map(Self)
    }

    /// Seals a form for one browser.
    pub fn seal(&self, browser: &Browser, target: &str, body: &[u8], now: Timestamp) -> Option<String> {
        let until = now.plus(LIFE).as_millis().to_be_bytes();
        let content = [until.as_slice(), target.as_bytes(), &[BORDER], body].concat();
        self.0.seal(browser.as_bytes(), &content)
    }

    /// Opens what this browser brings; `None`: not sealed by us, for another browser, or too old.
    pub fn open(&self, browser: &Browser, text: &str, now: Timestamp) -> Option<KeptForm> {
        let opened = self.0.open(browser.as_bytes(), text)?;
        let (until, rest) = opened.split_first_chunk::<8>()?;
        if now >= Timestamp::from_millis(u64::from_be_bytes(*until)) {
            return None;
        }
        let border = rest.iter().position(|&byte| byte == BORDER)?;
        let target = String::from_utf8(rest.get(..border)?.to_vec()).ok()?;
        let form = Form::read(rest.get(border + 1..)?)?;
        Some(KeptForm { target, form })
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token", "csrf", "pin", "cvc", "cvv", "card"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn sealer() -> Sealer {
        Sealer::new(&Secret::new([7; 32])).unwrap()
    }

    #[test]
    fn a_form_comes_back_as_it_went() {
        let browser = Browser::named().unwrap();
        let sealed = sealer()
            .seal(&browser, "/orders?x=1", b"title=Forty+two&password=x", NOW)
            .unwrap();
        let kept = sealer()
            .open(&browser, &sealed, NOW.plus(Duration::from_secs(60)))
            .unwrap();
        assert_eq!(kept.target, "/orders?x=1");
        let fields = kept.fields();
        assert_eq!(
            (fields[0].name.as_str(), fields[0].shown.as_str()),
            ("title", "Forty two")
        );
        assert_eq!((fields[1].value.as_str(), fields[1].shown.as_str()), ("x", "••••••"));
    }

    #[test]
    fn nobody_elses_form_opens_nor_an_old_or_forged_one() {
        let (mine, other) = (Browser::named().unwrap(), Browser::named().unwrap());
        let sealed = sealer().seal(&mine, "/a", b"b=c", NOW).unwrap();
        assert_eq!(sealer().open(&other, &sealed, NOW), None);
        assert_eq!(sealer().open(&mine, &sealed, NOW.plus(LIFE)), None);
        let mut forged = sealed.into_bytes();
        forged[20] ^= 1;
        assert_eq!(sealer().open(&mine, &String::from_utf8_lossy(&forged), NOW), None);
        assert_eq!(sealer().open(&mine, "", NOW), None);
    }
}
