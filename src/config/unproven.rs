//! Routes that take an address for a person where anybody may have any address.
//!
//! Where no mail is sent, with open registration an account of a free address proves nothing. An upstream that knows its people by address would let a
//! stranger in as one of them. That may be meant, where addresses matter to nobody; so `gateward check` says it and accepts the file.

use super::{Claim, Settings};

/// One sentence for each route that tells an address in the place of the user, with registration open.
pub fn unproven(settings: &Settings) -> Vec<String> {
    if !settings.auth.registration || settings.mail.is_some() {
        return Vec::new();
    }
    let routes = settings.routes.iter();
    let telling = routes.filter_map(|route| {
        let mut headers = route.identity.headers.iter();
        let (header, _) = headers.find(|(name, claim)| *claim == Claim::Email && name.as_str().ends_with("user"))?;
        Some(format!(
            "the route `{}` tells an e-mail address as the user ({header}), and auth.registration is open: anybody may have an account of an \
             address that is not theirs",
            route.name
        ))
    });
    telling.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;
    use crate::config::check::check;

    fn said(registration: &str, identity: &str) -> usize {
        let text = format!(
            "version = 1\n[auth]\nregistration = \"{registration}\"\n[[routes]]\nname = \"app\"\npath = \"/\"\n\
             upstream = \"builtin:whoami\"\n[routes.identity]\n{identity}\n"
        );
        unproven(&check(&text, Path::new("/nowhere"), &HashMap::new()).unwrap()).len()
    }

    #[test]
    fn an_address_as_the_user_is_said_where_anybody_may_register() {
        for preset in ["x-forwarded", "remote-user", "x-auth-request"] {
            let identity = format!("preset = \"{preset}\"\nuser = \"email\"");
            assert_eq!(said("open", &identity), 1, "{preset}");
            assert_eq!(said("closed", &identity), 0, "{preset}");
        }
        let confirmed = "user = \"email\"\n[mail]\nurl = \"file:sent\"\nfrom = \"a@example.com\"";
        assert_eq!(said("open", confirmed), 0);
        assert_eq!(said("open", "user = \"sub\""), 0);
        assert_eq!(said("open", "preset = \"none\"\nheaders = { X-User = \"email\" }"), 1);
    }
}
