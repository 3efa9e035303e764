//! Words with places to be filled in: what stands between `{{` and `}}` gives way to a value, and nothing else happens. No conditions, no loops, no code.

use std::borrow::Cow;

/// What is filled into one letter, by the names in `config::mail::PLACES`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a>(pub(super) &'a [(&'static str, &'a str)]);

/// What the text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Values stand as they are.
    Plain,
    /// Values are escaped, wherever in the document they stand.
    Html,
}

impl Values<'_> {
    /// The text with its places filled in. A place without a value becomes empty.
    pub(super) fn fill(self, text: &str, form: Form) -> String {
        let mut pieces = text.split("{{");
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let Some((place, rest)) = piece.split_once("}}") else {
                filled.push_str("{{");
                filled.push_str(piece);
                continue;
            };
            let value = self.get(place.trim());
            match form {
                Form::Plain => filled.push_str(value),
                Form::Html => filled.push_str(&escape(value)),
            }
            filled.push_str(rest);
        }
        filled
    }

    fn get(&self, place: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == place);
        found.map_or("", |(_, value)| value)
    }
}

/// Text that means itself in HTML, in an attribute between quotes too.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_filled_in_once_and_means_itself() {
        let values = Values(&[("site", "A & \"B\""), ("link", "{{site}}<script>")]);
        assert_eq!(
            values.fill("{{site}}: {{ link }}, {{where}}.", Form::Plain),
            "A & \"B\": {{site}}<script>, ."
        );
        assert_eq!(
            values.fill("<a href=\"{{link}}\">{{site}}</a>", Form::Html),
            "<a href=\"{{site}}&lt;script&gt;\">A &amp; &quot;B&quot;</a>"
        );
        assert_eq!(values.fill("{{open", Form::Plain), "{{open");
    }
}
