//! The pages about second factors, as large as they get.

use super::*;
use crate::portal::pages::view::factors::{ProveAgain, RecoveryCodes, SecondStep, Security, TotpSetup, Way};
use crate::portal::pages::view::passkeys::PasskeyLine;
use crate::portal::qr;

pub(super) fn pages(look: &Look) -> Vec<(&'static str, askama::Result<String>)> {
    // As large as a kept form gets once it is sealed and written in base64.
    let kept_form = "k".repeat(5_600);
    let codes = vec!["abcd-efgh-jkmn-pqrs".to_owned(); 10];
    let uri = format!(
        "otpauth://totp/Gateward:{}?secret={}&issuer=Gateward",
        "a-rather-long-address%40example.com",
        "A".repeat(32)
    );
    let second_step = SecondStep {
        look,
        error: complaint(),
        form_token: "t".repeat(43),
        step: "s".repeat(100),
        email: "ada@example.com",
        return_to: Some("/reports?week=3"),
        kept: Some(&kept_form),
        asked: Some("a".repeat(1_500)),
        way: Way::Totp,
        others: vec![Way::Recovery],
    };
    let prove_again = ProveAgain {
        look,
        error: complaint(),
        form_token: "t".repeat(43),
        email: "ada@example.com",
        return_to: Some("/reports?week=3"),
        kept: None,
    };
    let passkey = |number: usize| PasskeyLine {
        id: format!("01990000-0000-7000-8000-{number:012}"),
        name: "Key on the ring".to_owned(),
        synced: number == 0,
        signs_in_alone: number < 3,
        added: moment(),
        used: (number == 0).then(moment),
    };
    let security = Security {
        look,
        error: complaint(),
        done: None,
        needed: true,
        app: Some(moment()),
        app_used: Some(moment()),
        codes_left: 10,
        passkeys: Some((0..4).map(passkey).collect()),
        form_token: "t".repeat(43),
        return_to: Some("/reports?week=3"),
        kept: None,
    };
    let setup = TotpSetup {
        look,
        error: complaint(),
        form_token: "t".repeat(43),
        return_to: Some("/reports?week=3"),
        kept: None,
        qr: qr::svg(&uri).unwrap(),
        secret: "ABCD ".repeat(8),
    };
    let codes = RecoveryCodes {
        look,
        codes: &codes,
        added: true,
        next: Some("/reports?week=3"),
    };
    vec![
        ("second_step", second_step.render()),
        ("prove_again", prove_again.render()),
        ("security", security.render()),
        ("totp_setup", setup.render()),
        ("recovery_codes", codes.render()),
    ]
}
