//! Certificates: readable, fitting their keys, one for a name.

use super::*;

/// A folder with certificates for the given names, `0.pem`/`0.key` and so on.
fn certificates(names: &[&[&str]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (n, names) in names.iter().enumerate() {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(folder.path().join(format!("{n}.pem")), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join(format!("{n}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    folder
}

fn tls(folder: &Path, pairs: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    let tables = pairs
        .iter()
        .map(|(cert, key)| format!("[[tls.certificates]]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n"));
    check(&tables.collect::<String>(), folder, &HashMap::new())
}

#[test]
fn certificates_are_read_and_must_fit_their_keys() {
    let folder = certificates(&[&["a.example"], &["b.example"]]);
    let good = tls(folder.path(), &[("0.pem", "0.key"), ("1.pem", "1.key")]).unwrap();
    assert_eq!(good.tls.certificates[0].cert_file, folder.path().join("0.pem"));
    assert!(!good.tls.self_signed);
    let list = tls(folder.path(), &[("0.pem", "1.key"), ("gone.pem", "0.pem")]).unwrap_err();
    let said: Vec<String> = list.iter().map(said).collect();
    assert!(
        said[0].starts_with("3 ") && said[0].contains("not the key of the certificate"),
        "{said:#?}"
    );
    assert!(
        said[1].starts_with("5 ") && said[1].contains("cannot be read"),
        "{said:#?}"
    );
    assert!(
        said[2].starts_with("6 ") && said[2].contains("no private key"),
        "{said:#?}"
    );
}

#[test]
fn a_name_has_one_certificate() {
    let folder = certificates(&[&["a.example", "b.example"], &["B.example"]]);
    let list = tls(folder.path(), &[("0.pem", "0.key"), ("1.pem", "1.key")]).unwrap_err();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].line, Some(5));
    assert!(
        list[0].message.contains("`b.example`") && list[0].message.contains("line 2"),
        "{list:?}"
    );
}
