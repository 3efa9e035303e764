//! What a plain HTML form sends (`application/x-www-form-urlencoded`, URL Standard §5).

use percent_encoding::percent_decode;

/// The fields of a form, in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body. `None`: it is not text.
    pub fn read(body: &[u8]) -> Option<Self> {
        body.split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let mut parts = pair.splitn(2, |&byte| byte == b'=');
                let name = decode(parts.next().unwrap_or_default())?;
                Some((name, decode(parts.next().unwrap_or_default())?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The value of a field; an absent one, or one that is there twice, is empty.
    pub fn get(&self, name: &str) -> &str {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => value,
            _ => "",
        }
    }

    /// All fields.
    pub fn into_fields(self) -> Vec<(String, String)> {
        self.0
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({} fields)", self.0.len())
    }
}

fn decode(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_once() {
        let form = Form::read(b"email=ada%40example.com&password=a+b%2Bc%2520&empty=").unwrap();
        assert_eq!(form.get("email"), "ada@example.com");
        assert_eq!(form.get("password"), "a b+c%20");
        assert_eq!(form.get("empty"), "");
        assert_eq!(form.get("missing"), "");
    }

    #[test]
    fn a_doubled_field_counts_as_none() {
        assert_eq!(Form::read(b"a=1&a=2").unwrap().get("a"), "");
    }

    #[test]
    fn what_is_not_text_is_no_form() {
        assert_eq!(Form::read(b"a=%ff"), None);
    }
}
