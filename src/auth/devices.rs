//! Known devices: a browser in which somebody has signed in keeps a signed word for it, and strangers who fail at the account cannot shut it out.
//!
//! The word says which account (as the counters name it), which device, and since when; it opens nothing, and is good for 180 days. It outlives sign-out
//! and a changed password, since all it gives is tries of its own: as few as a source gets, so a stolen one is worth no more than another address. An
//! account that moves to another address leaves its devices behind.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Auth;
use super::throttle::AccountKey;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::secret::{self, NoEntropy, Secret};

/// How long a device stays known after a sign-in.
pub const KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 60 * 60);
const SINCE: usize = 8;
const NAME: usize = 16;

/// A device that an account knows; the name that the counters have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device(Uuid);

impl Device {
    /// A new one.
    pub(super) fn named(now: Timestamp) -> Result<Self, NoEntropy> {
        secret::uuid_v7(now).map(Self)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Signs what devices keep.
#[derive(Debug)]
pub(super) struct Devices(hmac::Key);

impl Devices {
    pub(super) fn new(secret: &Secret) -> Result<Self, NoEntropy> {
        let key = secret.derive("known-devices")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())))
    }

    /// What a device keeps of an account.
    pub(super) fn word(&self, device: Device, account: &AccountKey, now: Timestamp) -> String {
        let since = now.as_millis().to_be_bytes();
        let body = [device.0.as_bytes().as_slice(), &since].concat();
        let tag = hmac::sign(&self.0, &message(&body, account));
        URL_SAFE_NO_PAD.encode([&body, tag.as_ref()].concat())
    }

    /// The device that a word is of, if it is ours, about this account, and not too old.
    pub(super) fn read(&self, word: Option<&str>, account: &AccountKey, now: Timestamp) -> Option<Device> {
        let bytes = URL_SAFE_NO_PAD.decode(word?).ok()?;
        let (body, tag) = bytes.split_at_checked(NAME + SINCE)?;
        hmac::verify(&self.0, &message(body, account), tag).ok()?;
        let (name, since) = body.split_first_chunk::<NAME>()?;
        let since = Timestamp::from_millis(u64::from_be_bytes(since.try_into().ok()?));
        (now < since.plus(KNOWN_FOR)).then_some(Device(Uuid::from_bytes(*name)))
    }
}

impl Auth {
    /// The device that somebody tries from, if the account knows it.
    pub(super) fn known_device(&self, caller: &Caller, account: &AccountKey) -> Option<Device> {
        let now = self.clock.now();
        self.vault.devices.read(caller.device.as_deref(), account, now)
    }
}

/// The account is not in the word: whoever reads a browser's cookies learns no more than that somebody was here.
fn message(body: &[u8], account: &AccountKey) -> Vec<u8> {
    [body, account.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn devices(secret: u8) -> Devices {
        Devices::new(&Secret::new([secret; 32])).unwrap()
    }

    #[test]
    fn a_device_is_known_to_its_account_for_its_time_and_no_longer() {
        let (ada, ben) = (
            AccountKey::of_typed("ada@example.com"),
            AccountKey::of_typed("ben@example.com"),
        );
        let device = Device::named(NOW).unwrap();
        let word = devices(7).word(device, &ada, NOW);
        let read = |account, now| devices(7).read(Some(&word), account, now);
        assert_eq!(read(&ada, NOW), Some(device));
        assert_eq!(read(&ben, NOW), None);
        assert_eq!(read(&ada, NOW.plus(KNOWN_FOR)), None);
        assert_eq!(devices(8).read(Some(&word), &ada, NOW), None);
        assert_eq!(devices(7).read(None, &ada, NOW), None);
    }

    #[test]
    fn a_changed_word_is_nobodys() {
        let ada = AccountKey::of_typed("ada@example.com");
        let word = devices(7).word(Device::named(NOW).unwrap(), &ada, NOW);
        let bytes = URL_SAFE_NO_PAD.decode(&word).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(&changed);
            assert_eq!(devices(7).read(Some(&changed), &ada, NOW), None, "octet {at}");
        }
        assert_eq!(devices(7).read(Some(&word[..20]), &ada, NOW), None);
    }
}
