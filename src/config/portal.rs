//! `[portal]`: how our own pages look.

use std::fmt;
use std::str::FromStr;

/// How our own pages look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    /// Whose site it is, in the heading of every page.
    pub name: String,
    /// An image beside the name.
    pub logo: Option<Logo>,
    /// The one colour.
    pub accent: Color,
    /// Where help is to be had: `https:`, `http:` or `mailto:`.
    pub support: Option<String>,
    /// The content of the operator's own style sheet, after ours.
    pub extra_css: Option<String>,
}

impl Default for Portal {
    fn default() -> Self {
        Self {
            name: "Gateward".to_owned(),
            logo: None,
            accent: Color([0x1f, 0x5f, 0xbf]),
            support: None,
            extra_css: None,
        }
    }
}

/// An image file, read.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    /// `image/svg+xml`, `image/png`, `image/webp` or `image/jpeg`, judged by its content.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Logo {
    /// Octets of a logo at most: it travels inside every page.
    pub const LARGEST: usize = 8 * 1024;

    /// Takes over a file; `None`: not an image of a kind that browsers show.
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let media_type = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            text if std::str::from_utf8(text).is_ok_and(|text| text.contains("<svg")) => "image/svg+xml",
            _ => return None,
        };
        Some(Self { media_type, bytes })
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} octets)", self.media_type, self.bytes.len())
    }
}

/// A colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

/// The text is not a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a colour; write it like \"#1f5fbf\"")]
pub struct InvalidColor;

impl FromStr for Color {
    type Err = InvalidColor;

    fn from_str(text: &str) -> Result<Self, InvalidColor> {
        let digits = text.strip_prefix('#').ok_or(InvalidColor)?;
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InvalidColor);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| InvalidColor)?;
        let [_, r, g, b] = number.to_be_bytes();
        Ok(Self([r, g, b]))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([r, g, b]) = self;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        assert_eq!("#1F5fbf".parse(), Ok(Color([0x1f, 0x5f, 0xbf])));
        for wrong in ["1f5fbf", "#1f5", "red", "#1f5fb ", "#+f5fbf", ""] {
            assert_eq!(wrong.parse::<Color>(), Err(InvalidColor), "{wrong}");
        }
    }

    #[test]
    fn a_logo_is_known_by_its_content() {
        assert_eq!(
            Logo::read(b"<svg xmlns=''/>".to_vec()).map(|logo| logo.media_type),
            Some("image/svg+xml")
        );
        assert_eq!(
            Logo::read(b"\x89PNG\r\n".to_vec()).map(|logo| logo.media_type),
            Some("image/png")
        );
        assert_eq!(Logo::read(b"GIF89a".to_vec()), None);
    }
}
