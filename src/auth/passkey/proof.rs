//! Both ceremonies from a response to a verdict. Nothing is asked of a store here, and nothing but the signature's key decides who it was.

use super::authenticator_data::{AuthenticatorData, Verification};
use super::client_data::{Ceremony, ClientData};
use super::kept::{Kept, known_transports};
use super::{Party, Refused, cbor};

/// What a browser answers when a passkey was made, its octets as they were.
pub struct Made {
    /// The credential's id.
    pub id: Vec<u8>,
    /// `clientDataJSON`
    pub client_data: Vec<u8>,
    /// `attestationObject`
    pub attestation: Vec<u8>,
    /// How the authenticator is reached.
    pub transports: Vec<String>,
}

/// What a browser answers when a passkey was used.
pub struct Used {
    /// The credential's id.
    pub id: Vec<u8>,
    /// `clientDataJSON`
    pub client_data: Vec<u8>,
    /// `authenticatorData`
    pub authenticator_data: Vec<u8>,
    /// `signature`
    pub signature: Vec<u8>,
    /// Whose passkey the authenticator says it is.
    pub user_handle: Option<Vec<u8>>,
}

/// Judges the making of a passkey (§7.1 from step 5 on). Returns what to keep, and what its counter says.
pub(super) fn made(
    party: &Party,
    client: &ClientData,
    response: &Made,
    verification: Verification,
) -> Result<(Kept, u32), Refused> {
    client.judge(Ceremony::Create, party)?;
    let authenticator = authenticator_data_of(&response.attestation)?;
    let authenticator = AuthenticatorData::read(&authenticator)?;
    authenticator.judge(party, verification)?;
    let Some(made) = &authenticator.made else {
        return Err(Refused("no credential was made"));
    };
    if made.id != response.id {
        return Err(Refused("two names for one credential"));
    }
    let kept = Kept {
        id: made.id.to_vec(),
        cose: made.cose.to_vec(),
        synced: authenticator.is_synced(),
        transports: known_transports(&response.transports),
    };
    Ok((kept, authenticator.count))
}

/// Judges the use of a passkey (§7.2 from step 8 on). Returns what its counter says.
pub(super) fn used(
    party: &Party,
    client: &ClientData,
    kept: &Kept,
    response: &Used,
    verification: Verification,
) -> Result<u32, Refused> {
    client.judge(Ceremony::Get, party)?;
    let said = AuthenticatorData::read(&response.authenticator_data)?;
    said.judge(party, verification)?;
    // Only the making of a credential tells of one (§6.1).
    if said.made.is_some() {
        return Err(Refused("a credential where none was made"));
    }
    // Steps 20 and 21. Step 19 is for those who act on backups.
    let message = [response.authenticator_data.as_slice(), &client.hash].concat();
    if !kept.key()?.verifies(&message, &response.signature) {
        return Err(Refused("a signature that does not verify"));
    }
    Ok(said.count)
}

/// §7.1 step 13. Statements of any format are let be (steps 21 to 24): attestation is not asked for, so browsers take most away themselves.
fn authenticator_data_of(attestation: &[u8]) -> Result<Vec<u8>, Refused> {
    let unreadable = Refused("an attestation object that cannot be read");
    let object = cbor::whole(attestation).ok_or(unreadable)?;
    let is_one = object.named("fmt").is_some_and(ciborium::Value::is_text)
        && object.named("attStmt").is_some_and(ciborium::Value::is_map);
    let data = object.named("authData").and_then(ciborium::Value::as_bytes);
    data.filter(|_| is_one).cloned().ok_or(unreadable)
}
