//! The one accent colour: whichever the operator likes, made readable.
//!
//! WCAG 2.2 asks for a contrast of 4.5 between text and what it stands on (1.4.3). Black or white always reaches that on any colour, so buttons keep
//! the colour as it is; where the colour itself is text, on a light or a dark page, it is darkened or lightened as far as needed.

use crate::config::Color;

const WHITE: Color = Color([255, 255, 255]);
const BLACK: Color = Color([0, 0, 0]);
/// The darkest light ground and the lightest dark ground that links stand on.
const LIGHT_GROUND: Color = Color([238, 241, 246]);
const DARK_GROUND: Color = Color([31, 37, 46]);
const READABLE: f64 = 4.5;

/// The custom properties that the style sheet leaves open.
pub fn properties(accent: Color) -> String {
    let link = until_readable(accent, LIGHT_GROUND, BLACK);
    let dark_link = until_readable(accent, DARK_GROUND, WHITE);
    let on = readable_on(accent);
    format!(
        ":root{{--accent:{accent};--on-accent:{on};--link:{link}}}\
         @media (prefers-color-scheme:dark){{:root{{--link:{dark_link}}}}}"
    )
}

/// White, or black where white could not be read.
fn readable_on(ground: Color) -> Color {
    if contrast(WHITE, ground) >= READABLE {
        WHITE
    } else {
        BLACK
    }
}

/// `color`, moved towards `end` in steps until it can be read on `ground`.
fn until_readable(color: Color, ground: Color, end: Color) -> Color {
    (0..=20)
        .map(|step| mix(color, end, f64::from(step) / 20.0))
        .find(|mixed| contrast(*mixed, ground) >= READABLE)
        .unwrap_or(end)
}

fn mix(from: Color, to: Color, share: f64) -> Color {
    let Color([r, g, b]) = from;
    let Color([x, y, z]) = to;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of two octets is an octet"
    )]
    let blend = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    Color([blend(r, x), blend(g, y), blend(b, z)])
}

/// The contrast ratio of WCAG 2.2, 1 to 21.
fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance as WCAG 2.2 defines it.
fn luminance(Color([r, g, b]): Color) -> f64 {
    let linear = |octet: u8| {
        let share = f64::from(octet) / 255.0;
        if share <= 0.040_45 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_accent_can_be_read(octets in any::<[u8; 3]>()) {
            let accent = Color(octets);
            prop_assert!(contrast(readable_on(accent), accent) >= READABLE);
            prop_assert!(contrast(until_readable(accent, LIGHT_GROUND, BLACK), LIGHT_GROUND) >= READABLE);
            prop_assert!(contrast(until_readable(accent, DARK_GROUND, WHITE), DARK_GROUND) >= READABLE);
        }
    }

    #[test]
    fn a_readable_accent_is_left_as_it_is() {
        assert!(properties(Color([0x1f, 0x5f, 0xbf])).contains("--link:#1f5fbf"));
    }
}
