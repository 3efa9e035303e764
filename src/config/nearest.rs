//! What somebody may have meant.

/// The name nearest to `word`, if any is near enough to be worth saying.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = word.to_ascii_lowercase();
    let distances = names
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_ascii_lowercase()), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    let longest = word.chars().count().max(name.chars().count());
    (distance * 5 <= longest * 2).then_some(name)
}

/// `; did you mean …?`, or else the list of what there is.
pub(super) fn hint<'n>(word: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> String {
    if let Some(name) = nearest(word, names.clone()) {
        return format!("; did you mean `{name}`?");
    }
    let all: Vec<&str> = names.into_iter().take(30).collect();
    match all.as_slice() {
        [] => String::new(),
        [only] => format!("; there is only `{only}`"),
        _ => format!("; there are: {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let names = ["https", "http", "admin", "public_url"];
        assert_eq!(nearest("htps", names), Some("https"));
        assert_eq!(nearest("pubilc_url", names), Some("public_url"));
        assert_eq!(nearest("HTTP", names), Some("http"));
    }

    #[test]
    fn a_word_like_no_other_gets_the_list() {
        assert_eq!(
            hint("zzz", ["cached", "strict", "off"]),
            "; there are: cached, strict, off"
        );
        assert_eq!(hint("zzz", []), "");
    }
}
