//! `healthcheck`: asks the admin listener whether the gateway is ready; for containers that have no other client.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::CliError;

const PATIENCE: Duration = Duration::from_secs(3);
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Fails unless the answer is 200.
pub fn run(file: &Path) -> Result<(), CliError> {
    let admin = super::settings(file)?.server.admin;
    let Some(address) = admin else {
        return Err(CliError::Refused(
            "server.admin is switched off, so nobody can be asked; set it to 127.0.0.1:9901".to_owned(),
        ));
    };
    let address = reachable(address);
    let answer = ask(address).map_err(CliError::io(format!(
        "no answer from {address}; is the gateway running?"
    )))?;
    if answer.starts_with("HTTP/1.1 200") {
        println!("ready");
        return Ok(());
    }
    let state = answer.lines().last().unwrap_or_default();
    Err(CliError::Refused(format!(
        "not ready ({state}); see http://{address}/readyz?verbose"
    )))
}

/// Whether a gateway answers there, ready or not.
pub fn is_answered(address: SocketAddr) -> bool {
    ask(reachable(address)).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503"))
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A listener on every address is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
