//! A text as a QR code, in SVG: dark on light with its margin, whatever colours the page around it has, since cameras want it so.

use qrcode::{Color, EcLevel, QrCode};

use super::refusal::internal;
use crate::wire::reply::Problem;

/// Modules of blank margin on each side (ISO/IEC 18004 §9.1).
const MARGIN: usize = 4;

/// The code; each run of dark modules in a row is one stroke.
pub(super) fn svg(text: &str) -> Result<String, Problem> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| internal(&error))?;
    let side = code.width() + 2 * MARGIN;
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(code.width()).enumerate() {
        let mut column = 0;
        for run in modules.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                path.push_str(&format!("M{} {}.5h{}", column + MARGIN, row + MARGIN, run.len()));
            }
            column += run.len();
        }
    }
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path stroke="#000" d="{path}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_small_and_holds_nothing_of_its_text_but_squares() {
        let text = format!(
            "otpauth://totp/Gateward:ada%40example.com?secret={}&issuer=Gateward",
            "A".repeat(32)
        );
        let drawn = svg(&text).unwrap();
        assert!(drawn.len() < 12_000, "{}", drawn.len());
        assert!(!drawn.contains("otpauth") && !drawn.contains("ada"));
        assert!(svg(&"x".repeat(5000)).is_err());
    }
}
