//! Whatever stands in the file, the loader answers.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC*") {
        let _ = check(&text, Path::new("/nowhere"), &HashMap::new());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic(at in 0..8000_usize, noise in "[\\[\\]{}=\"'\\n#a-z0-9.,]{0,6}", cut in 0..40_usize) {
        let mut text = include_str!("../../../gateway.toml").to_owned();
        let at = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((at + cut).min(text.len())).max(at);
        text.replace_range(at..end, &noise);
        let _ = check(&text, Path::new("/nowhere"), &HashMap::new());
    }

    #[test]
    fn no_value_of_a_key_makes_the_loader_panic(value in "\\PC{0,40}") {
        for key in ["https", "public_url", "trusted_proxies", "shutdown_grace"] {
            let quoted = toml::Value::String(value.clone()).to_string();
            let _ = check(&format!("[server]\n{key} = {quoted}"), Path::new("/nowhere"), &HashMap::new());
            let _ = check(&format!("[server]\n{key} = [{quoted}]"), Path::new("/nowhere"), &HashMap::new());
        }
        for key in ["host", "path", "methods", "upstream", "name"] {
            let quoted = toml::Value::String(value.clone()).to_string();
            let _ = check(&format!("[[routes]]\n{key} = {quoted}"), Path::new("/nowhere"), &HashMap::new());
        }
    }
}
