//! `[portal]`: files that can be read and that browsers can show.
//!
//! Both files are read here once, so that a page is never found to be broken when somebody opens it.

use super::Folder;
use crate::config::file;
use crate::config::read::{Reader, Written};
use crate::config::values::FilePath;
use crate::config::{Logo, Portal};

/// Octets of the operator's style sheet at most.
const LARGEST_STYLE: usize = 8 * 1024;

pub(super) fn portal(reader: &mut Reader, file: &file::Portal, folder: &Folder<'_>) -> Portal {
    Portal {
        name: file.name.value.0.clone(),
        logo: from_file(reader, file.logo_file.as_ref(), folder, logo),
        accent: file.accent.value,
        support: file.support.as_ref().map(|link| link.value.0.clone()),
        extra_css: from_file(reader, file.extra_css_file.as_ref(), folder, style),
    }
}

fn from_file<T>(
    reader: &mut Reader,
    file: Option<&Written<FilePath>>,
    folder: &Folder<'_>,
    parse: impl FnOnce(Vec<u8>) -> Result<T, String>,
) -> Option<T> {
    let file = file?;
    let path = folder.file(&file.value);
    let bytes = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    let parsed = bytes.and_then(parse);
    parsed.map_err(|wrong| reader.mistake(&file.place, wrong)).ok()
}

fn logo(bytes: Vec<u8>) -> Result<Logo, String> {
    if bytes.len() > Logo::LARGEST {
        return Err(format!(
            "is too large with {} octets; it travels inside every page, so keep it below {} KiB, best as SVG",
            bytes.len(),
            Logo::LARGEST / 1024
        ));
    }
    Logo::read(bytes).ok_or_else(|| "is no image that every browser shows; use SVG, PNG, WebP or JPEG".to_owned())
}

/// A style sheet from elsewhere would be refused by our own Content-Security-Policy, without a word to anybody.
fn style(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > LARGEST_STYLE {
        return Err(format!("is too large; keep it below {} KiB", LARGEST_STYLE / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let lower = text.to_ascii_lowercase();
    if lower.contains("@import") || lower.replace([' ', '"', '\''], "").contains("url(http") {
        return Err("loads something from elsewhere, which our pages forbid; put it into the file itself".to_owned());
    }
    if text.matches('{').count() != text.matches('}').count() {
        return Err("has braces that do not match".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_sheet_that_could_not_work_is_refused() {
        assert!(style(b".card{border:0}".to_vec()).is_ok());
        for bad in [
            "@import 'x.css';",
            "a{background:url( \"https://x/y\")}",
            "a{color:red",
            "a{}}",
        ] {
            assert!(style(bad.as_bytes().to_vec()).is_err(), "{bad}");
        }
        assert!(style(vec![0xff]).is_err());
        assert!(style(vec![b' '; LARGEST_STYLE + 1]).is_err());
    }

    #[test]
    fn a_logo_is_small_and_an_image() {
        assert!(logo(b"<svg/>".to_vec()).is_ok());
        assert!(logo(b"hello".to_vec()).is_err());
        assert!(logo(vec![b'<'; Logo::LARGEST + 1]).is_err());
    }
}
