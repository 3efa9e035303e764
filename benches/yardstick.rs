//! What a password hash and a signature cost when nothing else is done: what `benches/peers` holds sign-ins and refreshes against.
//!
//! The same crates, parameters, number of threads and priority as in the gateway; figures go to standard output as one JSON object.

use std::path::Path;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use gateward::config::{self, PasswordRules};
use gateward::model::priority::Priority;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// `hashes CONFIG SECONDS` or `signatures KEY SECONDS`.
pub fn run(words: &[String]) {
    let [what, file, seconds] = words else {
        panic!("yardstick hashes CONFIG SECONDS, or yardstick signatures KEY SECONDS");
    };
    let span = Duration::from_secs(seconds.parse().expect("a number of seconds"));
    let said = match what.as_str() {
        "hashes" => hashes(Path::new(file), span),
        "signatures" => signatures(Path::new(file), span),
        other => panic!("no such yardstick: {other}"),
    };
    println!("{said}");
}

fn hashes(config: &Path, span: Duration) -> Value {
    let rules = config::load(config).expect("a configuration").auth.password;
    let done: Vec<(u32, f64)> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| hash_for(&rules, span));
        let threads: Vec<_> = (0..rules.threads).map(|_| one()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count: u32 = done.iter().map(|(count, _)| count).sum();
    let cpu: f64 = done.iter().map(|(_, cpu)| cpu).sum();
    json!({ "cpu_us": cpu / f64::from(count), "count": count })
}

fn hash_for(rules: &PasswordRules, span: Duration) -> (u32, f64) {
    // As the hashing pool does; without it these threads would have more of a busy CPU than the pool's.
    Priority::Hashing.take();
    let params = Params::new(rules.memory_kib, rules.iterations, rules.lanes, Some(32)).unwrap();
    let mut memory = vec![Block::new(); params.block_count()];
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = [0; 32];
    count_for(span, || {
        hasher
            .hash_password_into_with_memory(
                b"correct horse battery staple",
                &[7; 16],
                &mut tag,
                memory.as_mut_slice(),
            )
            .unwrap();
    })
}

fn signatures(key: &Path, span: Duration) -> Value {
    let der = PrivatePkcs8KeyDer::from_pem_file(key).expect("a PKCS#8 key in PEM");
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key");
    let mut signature = vec![0; pair.public_modulus_len()];
    // About what the header and the claims of an access token are.
    let message = [b'x'; 480];
    let random = SystemRandom::new();
    let (count, cpu) = count_for(span, || {
        pair.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).unwrap();
    });
    json!({ "cpu_us": cpu / f64::from(count), "count": count })
}

/// How often something was done in a span, and how many microseconds of CPU time this thread spent on it.
fn count_for(span: Duration, mut work: impl FnMut()) -> (u32, f64) {
    work();
    let (begun, before) = (Instant::now(), cpu_us());
    let mut count = 0;
    while begun.elapsed() < span {
        work();
        count += 1;
    }
    (count, cpu_us() - before)
}

fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap() / 1000.0
}
