//! How our pages look: the operator's name, logo and colour, and the two files that every page asks for.
//!
//! Style and script are made once per configuration and named by a hash of their content, so that browsers may keep them for ever. Logo and icon travel
//! inside the page: a page costs three requests, whatever is configured.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

use super::accent;
use crate::config;
use crate::wire::Body;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = concat!(
    include_str!("../assets/script.js"),
    include_str!("../assets/passkeys.js")
);
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What every page shows, and where its style and script are.
#[derive(Debug)]
pub struct Look {
    /// Whose site it is.
    pub name: String,
    /// The logo as a `data:` address.
    pub logo: Option<String>,
    /// The icon as a `data:` address.
    pub icon: String,
    /// Where help is to be had.
    pub support: Option<String>,
    /// Where our pages stand, without a slash at the end.
    pub base: String,
    /// The path of the style sheet.
    pub style: String,
    /// The path of the script.
    pub script: String,
    style_text: Bytes,
    script_text: Bytes,
}

impl Look {
    /// The look under the given settings.
    pub fn new(portal: &config::Portal, base_path: &str) -> Self {
        let extra = portal.extra_css.as_deref().unwrap_or_default();
        let style = format!("{STYLE}{}\n{extra}", accent::properties(portal.accent));
        let script = squeezed(SCRIPT);
        let logo = portal.logo.as_ref().map(|logo| data(logo.media_type, &logo.bytes));
        Self {
            name: portal.name.clone(),
            icon: logo.clone().unwrap_or_else(|| shield(portal.accent)),
            logo,
            support: portal.support.clone(),
            base: base_path.to_owned(),
            style: format!("{base_path}/assets/{}.css", short_hash(style.as_bytes())),
            script: format!("{base_path}/assets/{}.js", short_hash(script.as_bytes())),
            style_text: style.into(),
            script_text: script.into(),
        }
    }

    /// The style sheet or the script, by its path.
    pub fn asset(&self, path: &str) -> Option<Response<Body>> {
        let (kind, text) = if path == self.style {
            ("text/css; charset=utf-8", &self.style_text)
        } else if path == self.script {
            ("text/javascript; charset=utf-8", &self.script_text)
        } else {
            return None;
        };
        let mut response = Response::new(Body::Full(text.clone()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, FOR_EVER);
        response
            .headers_mut()
            .insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        Some(response)
    }
}

/// A script without what only its authors need: indentation, and lines that are comments.
fn squeezed(script: &str) -> String {
    let lines = script
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn short_hash(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..12).unwrap_or_default())
}

fn data(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

/// The icon of a site without a logo.
fn shield(accent: config::Color) -> String {
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><path fill=\"{accent}\" d=\"M16 2 4 6.5V15c0 7.4 5 12.6 12 15 7-2.4 12-7.6 12-15V6.5Z\"/></svg>"
    );
    data("image/svg+xml", svg.as_bytes())
}
