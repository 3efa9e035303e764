//! What the authenticator says, and signs (WebAuthn §6.1): for whom, whether a person was there and proved it, how often it signed, and the key it made.

use super::cbor;
use super::public_key::PublicKey;
use super::{Party, Refused};

/// Octets of a credential's id at most (§7.1 step 25).
pub(super) const LONGEST_ID: usize = 1023;

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// Authenticator data, read and not yet judged.
#[derive(Debug)]
pub(super) struct AuthenticatorData<'a> {
    party: &'a [u8],
    flags: u8,
    /// How often it signed, where it counts; else 0.
    pub(super) count: u32,
    /// What it made, when it made one.
    pub(super) made: Option<Attested<'a>>,
}

/// The attested credential data (§6.5.1).
#[derive(Debug)]
pub(super) struct Attested<'a> {
    /// The credential's id.
    pub(super) id: &'a [u8],
    /// Its public key as COSE, found good.
    pub(super) cose: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Reads it to its last octet.
    pub(super) fn read(octets: &'a [u8]) -> Result<Self, Refused> {
        let unreadable = Refused("authenticator data that cannot be read");
        let (party, rest) = octets.split_at_checked(32).ok_or(unreadable)?;
        let (flags, rest) = rest.split_first().ok_or(unreadable)?;
        let (count, rest) = rest.split_first_chunk().ok_or(unreadable)?;
        let (made, rest) = match flags & ATTESTED {
            0 => (None, rest),
            _ => Attested::read(rest).map(|(made, rest)| (Some(made), rest))?,
        };
        // What extensions say is not asked for and passed over (§7.1 step 28, §7.2 step 23); where they end is not.
        let rest = match flags & EXTENDED {
            0 => rest,
            _ => cbor::begin(rest).ok_or(unreadable)?.1,
        };
        if !rest.is_empty() {
            return Err(unreadable);
        }
        Ok(Self {
            party,
            flags: *flags,
            count: u32::from_be_bytes(*count),
            made,
        })
    }

    /// Whether it speaks to us and of a person who was there (§7.1 steps 14 to 17, §7.2 steps 15 to 18).
    pub(super) fn judge(&self, party: &Party, verified: Verification) -> Result<(), Refused> {
        if self.party != party.hash {
            return Err(Refused("an authenticator that speaks to somebody else"));
        }
        if !self.has(PRESENT) {
            return Err(Refused("nobody was there"));
        }
        if verified == Verification::Required && !self.has(VERIFIED) {
            return Err(Refused("nobody proved who they are to the authenticator"));
        }
        if self.has(BACKED_UP) && !self.has(BACKUP_ELIGIBLE) {
            return Err(Refused("a backup of what cannot be backed up"));
        }
        Ok(())
    }

    /// Whether the authenticator lets its owner's other devices have the key.
    pub(super) fn is_synced(&self) -> bool {
        self.has(BACKUP_ELIGIBLE)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Whether the person must have proved themselves to the authenticator, by a PIN or their body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Where the passkey is all that is asked for.
    Required,
    /// Where it comes after a password.
    Welcome,
}

impl<'a> Attested<'a> {
    /// AAGUID, length of the id, id, key; returns what follows. The AAGUID names a model, which without attestation anybody can claim: it is passed over.
    fn read(octets: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        let unreadable = Refused("a credential that cannot be read");
        let (_aaguid, rest) = octets.split_at_checked(16).ok_or(unreadable)?;
        let (length, rest) = rest.split_first_chunk().ok_or(unreadable)?;
        let length = usize::from(u16::from_be_bytes(*length));
        // §7.1 step 25.
        if length == 0 || length > LONGEST_ID {
            return Err(Refused("a credential's id of no or too great length"));
        }
        let (id, rest) = rest.split_at_checked(length).ok_or(unreadable)?;
        let (_, after) = cbor::begin(rest).ok_or(unreadable)?;
        let cose = rest.strip_suffix(after).ok_or(unreadable)?;
        // §7.1 step 20.
        PublicKey::read(cose).ok_or(Refused("a key of a kind that was not asked for"))?;
        Ok((Self { id, cose }, after))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn party() -> Party {
        Party::new("example.org", Vec::new())
    }

    fn plain(flags: u8) -> Vec<u8> {
        [party().hash.as_slice(), &[flags], &7u32.to_be_bytes()].concat()
    }

    fn judged(octets: &[u8], verification: Verification) -> Result<(), Refused> {
        AuthenticatorData::read(octets)?.judge(&party(), verification)
    }

    #[test]
    fn a_person_must_have_been_there_and_may_have_to_prove_themselves() {
        assert_eq!(AuthenticatorData::read(&plain(5)).unwrap().count, 7);
        for (flags, alone, second) in [
            (PRESENT | VERIFIED, true, true),
            (PRESENT, false, true),
            (VERIFIED, false, false),
            (0, false, false),
            (PRESENT | VERIFIED | BACKUP_ELIGIBLE, true, true),
            (PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP, true, true),
            (PRESENT | VERIFIED | BACKED_UP, false, false),
            (PRESENT | VERIFIED | 1 << 1 | 1 << 5, true, true),
        ] {
            assert_eq!(
                judged(&plain(flags), Verification::Required).is_ok(),
                alone,
                "{flags:#b}"
            );
            assert_eq!(
                judged(&plain(flags), Verification::Welcome).is_ok(),
                second,
                "{flags:#b}"
            );
        }
    }

    #[test]
    fn another_relying_partys_data_is_refused() {
        let other = [Party::new("example.com", Vec::new()).hash.as_slice(), &[5, 0, 0, 0, 7]].concat();
        assert!(judged(&other, Verification::Welcome).is_err());
    }

    #[test]
    fn each_octet_belongs_to_something() {
        let good = plain(PRESENT | VERIFIED);
        for cut in 0..good.len() {
            assert!(AuthenticatorData::read(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(AuthenticatorData::read(&[good.as_slice(), &[0]].concat()).is_err());
        let extended = plain(PRESENT | VERIFIED | EXTENDED);
        assert!(AuthenticatorData::read(&extended).is_err(), "announced and missing");
        assert!(AuthenticatorData::read(&[extended.as_slice(), &[0xa1, 0x61, b'x', 0xf5]].concat()).is_ok());
        assert!(AuthenticatorData::read(&[extended.as_slice(), &[0xa0, 0]].concat()).is_err());
        assert!(AuthenticatorData::read(&[extended.as_slice(), &[0x80]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = AuthenticatorData::read(&octets);
        }
    }
}
