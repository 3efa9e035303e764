//! What people see of a site, and where they get help.

use crate::config::read::Text;

text! {
    SiteName, "a name like \"Acme\"", site_name;
    SupportLink, "a link like \"mailto:help@example.com\"", support_link;
}

/// What people call the site: 1 to 40 characters, none of them a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SiteName(pub(in crate::config) String);

/// Where help is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SupportLink(pub(in crate::config) String);

fn site_name(text: &str) -> Result<SiteName, String> {
    let length = text.chars().count();
    if text.trim() != text || !(1..=40).contains(&length) || text.chars().any(char::is_control) {
        return Err("must be 1 to 40 characters, without controls and without spaces around them".to_owned());
    }
    Ok(SiteName(text.to_owned()))
}

/// The link stands on a page where people type passwords, so it can be nothing that runs there.
fn support_link(text: &str) -> Result<SupportLink, String> {
    let leads_out = ["https://", "http://", "mailto:"].iter().any(|scheme| {
        let rest = text.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    if leads_out && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(SupportLink(text.to_owned()));
    }
    Err(format!(
        "`{}` is not a link for people; write \"https://…\" or \"mailto:…\"",
        text.escape_debug()
    ))
}
