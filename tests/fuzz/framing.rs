//! Anything as the bytes of an HTTP/1 connection: the verdict does not depend on how they arrive, and what was lost stays lost.
#![no_main]

use gateward::server::framing::Framing;
use libfuzzer_sys::fuzz_target;

fn verdict(framing: &Framing) -> String {
    format!("{} {:?}", framing.heads(), framing.fault())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    let mut whole = Framing::new(256);
    whole.observe(bytes);
    let mut pieces = Framing::new(256);
    for piece in bytes.chunks(usize::from(cut % 61) + 1) {
        pieces.observe(piece);
    }
    assert_eq!(verdict(&whole), verdict(&pieces));
    let ends = bytes.windows(4).filter(|four| four == b"\r\n\r\n").count();
    assert!(whole.heads() <= ends as u64, "{} heads, {ends} ends", whole.heads());
    if whole.fault().is_some() {
        let before = verdict(&whole);
        whole.observe(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(before, verdict(&whole));
    }
});
