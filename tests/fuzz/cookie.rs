//! Anything as `Cookie` lines: after ours are taken out none is found, others stay, and what we set we find again.
#![no_main]

use gateward::wire::cookie::{self, Ours};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fn lines(bytes: &[u8]) -> HeaderMap {
    let values = bytes
        .split(|&b| b == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (header::COOKIE, value)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let mut headers = lines(bytes);
    let _ = cookie::find(&headers);
    cookie::strip(&mut headers);
    assert_eq!(cookie::find(&headers), Ok(Ours::default()));
    assert!(headers.get_all(header::COOKIE).iter().count() <= 1);
    let once = headers.clone();
    cookie::strip(&mut headers);
    assert_eq!(once, headers);

    let Some(set) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|value| cookie::set(cookie::ACCESS, value, 60))
    else {
        return;
    };
    let pair = set.to_str().unwrap().split(';').next().unwrap();
    let back = lines(format!("a=1; {pair}; b=2").as_bytes());
    assert_eq!(cookie::find(&back).unwrap().access.unwrap().as_bytes(), bytes);
    let mut back = back;
    cookie::strip(&mut back);
    assert_eq!(back[header::COOKIE], "a=1; b=2");
});
