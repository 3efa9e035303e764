//! The PROXY protocol, version 2: what a TCP balancer says about the client before the client's own first byte.
//!
//! Whoever may say it is the caller's to judge; here it is read to its last byte and not beyond, within a time and a size, so that TLS or HTTP finds the
//! connection as if the balancer were not there. What is not a header of this version is refused at its first wrong byte: version 1 too, which is text
//! without a length in front. Nothing of what may follow the addresses (TLVs) is looked at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What every header begins with; no other protocol does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets before the addresses: signature, version and command, family and transport, length.
const HEAD: usize = 16;
/// The longest rest that is read. Addresses take 216 octets at most.
const LONGEST: usize = 4096;

/// For whom a balancer has made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// For itself: a probe.
    Balancer,
    /// For the client at an address.
    Client(IpAddr),
    /// For a client of which it has no address to tell (a UNIX socket, a family that it does not know). What that client says is not the balancer's word.
    Unknown,
}

/// Why a connection is closed instead of being served.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It begins in another way.
    #[error("no PROXY protocol header of version 2; let the balancer send one (HAProxy: `send-proxy-v2`)")]
    Absent,
    /// It begins like a header and is none.
    #[error("a malformed PROXY protocol header")]
    Malformed,
    /// More would follow than anybody needs.
    #[error("a PROXY protocol header over {LONGEST} octets")]
    TooLong,
    /// It did not come in time.
    #[error("a PROXY protocol header that did not come in time")]
    Late,
    /// The connection ended within it.
    #[error("a PROXY protocol header that was cut off")]
    Cut(#[source] io::Error),
    /// The connection ended before it: a probe, not worth a word.
    #[error("nothing")]
    Nothing,
}

/// Reads a header.
///
/// # Errors
/// When there is none, or it cannot be used.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> Result<Source, Refused> {
    let reading = async {
        let head = head(stream).await?;
        let mut rest = vec![0; length(&head)?];
        stream.read_exact(&mut rest).await.map_err(Refused::Cut)?;
        source(&head, &rest)
    };
    tokio::time::timeout(limit, reading).await.unwrap_or(Err(Refused::Late))
}

/// Fails at the first octet that no header has there, so that nobody waits for the rest of something else.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; HEAD], Refused> {
    let mut head = [0; HEAD];
    let mut filled = 0;
    while let Some(empty) = head.get_mut(filled..).filter(|empty| !empty.is_empty()) {
        let came = stream.read(empty).await.map_err(Refused::Cut)?;
        if came == 0 {
            let cut = Refused::Cut(io::ErrorKind::UnexpectedEof.into());
            return Err(if filled == 0 { Refused::Nothing } else { cut });
        }
        filled += came;
        if !head.iter().take(filled).zip(SIGNATURE).all(|(is, wanted)| is == wanted) {
            return Err(Refused::Absent);
        }
    }
    Ok(head)
}

fn length(head: &[u8; HEAD]) -> Result<usize, Refused> {
    let [.., high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        Err(Refused::TooLong)
    } else {
        Ok(length)
    }
}

fn source(head: &[u8; HEAD], rest: &[u8]) -> Result<Source, Refused> {
    const VERSION_2: u8 = 0x20;
    const PROXY: u8 = VERSION_2 | 1;
    let [.., command, family, _, _] = *head;
    let ip: IpAddr = match (command, family) {
        // LOCAL: whatever addresses it gives.
        (VERSION_2, _) => return Ok(Source::Balancer),
        (PROXY, 0x00 | 0x31) => return Ok(Source::Unknown),
        (PROXY, 0x11) => {
            let [a, b, c, d, ..] = addresses::<12>(rest)?;
            Ipv4Addr::new(a, b, c, d).into()
        }
        (PROXY, 0x21) => {
            let addresses = addresses::<36>(rest)?;
            let source = addresses.first_chunk::<16>().ok_or(Refused::Malformed)?;
            Ipv6Addr::from(*source).to_canonical()
        }
        _ => return Err(Refused::Malformed),
    };
    Ok(Source::Client(ip))
}

fn addresses<const N: usize>(rest: &[u8]) -> Result<[u8; N], Refused> {
    rest.first_chunk().copied().ok_or(Refused::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    fn v4(source: [u8; 4], more: &[u8]) -> Vec<u8> {
        let rest = [source.as_slice(), &[10, 0, 0, 1], &[0x12, 0x34, 1, 187], more].concat();
        header(0x21, 0x11, &rest)
    }

    /// What comes of it, and what is left to be read.
    async fn read_from(mut bytes: &[u8]) -> (Result<Source, Refused>, Vec<u8>) {
        let told = read(&mut bytes, PATIENCE).await;
        (told, bytes.to_vec())
    }

    #[tokio::test]
    async fn the_source_is_told_and_nothing_behind_the_header_is_touched() {
        let mut bytes = v4([203, 0, 113, 9], &[]);
        bytes.extend(b"GET / HTTP/1.1");
        let (told, left) = read_from(&bytes).await;
        assert_eq!(told.unwrap(), Source::Client("203.0.113.9".parse().unwrap()));
        assert_eq!(left, b"GET / HTTP/1.1");
    }

    #[tokio::test]
    async fn what_follows_the_addresses_is_passed_over() {
        let tlv = [0x04, 0, 3, 1, 2, 3];
        let mut bytes = v4([203, 0, 113, 9], &tlv);
        bytes.push(0x16);
        let (told, left) = read_from(&bytes).await;
        assert_eq!(told.unwrap(), Source::Client("203.0.113.9".parse().unwrap()));
        assert_eq!(left, [0x16]);
    }

    #[tokio::test]
    async fn version_6_addresses_are_told_and_mapped_ones_unmapped() {
        for (source, told) in [("2001:db8::9", "2001:db8::9"), ("::ffff:203.0.113.9", "203.0.113.9")] {
            let source: Ipv6Addr = source.parse().unwrap();
            let rest = [source.octets().as_slice(), &[0; 20]].concat();
            let (said, _) = read_from(&header(0x21, 0x21, &rest)).await;
            assert_eq!(said.unwrap(), Source::Client(told.parse().unwrap()));
        }
    }

    #[tokio::test]
    async fn a_balancer_that_speaks_for_itself_is_told_from_one_that_speaks_for_somebody_unknown() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0, 1, 0, 2];
        for (bytes, source) in [
            (header(0x20, 0x00, &[]), Source::Balancer),
            (header(0x20, 0x11, &v4), Source::Balancer),
            (header(0x21, 0x00, &[1, 2, 3]), Source::Unknown),
            (header(0x21, 0x31, &[0; 216]), Source::Unknown),
        ] {
            let (told, left) = read_from(&bytes).await;
            assert_eq!(told.unwrap(), source);
            assert!(left.is_empty());
        }
    }

    #[tokio::test]
    async fn another_beginning_is_refused_at_once() {
        for bytes in [
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n".as_slice(),
            b"PROXY UNKNOWN\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            b"\r\n\r\n\0\r\nQUIX",
        ] {
            // Held open: who waited for more would wait for ever.
            let (mut ours, theirs) = tokio::io::duplex(64);
            tokio::io::AsyncWriteExt::write_all(&mut ours, bytes).await.unwrap();
            let mut theirs = theirs;
            let told = read(&mut theirs, PATIENCE).await;
            assert!(matches!(told, Err(Refused::Absent)), "{bytes:?}: {told:?}");
        }
    }

    #[tokio::test]
    async fn malformed_headers_are_refused() {
        for bytes in [
            header(0x11, 0x11, &[0; 12]),
            header(0x22, 0x11, &[0; 12]),
            header(0x2f, 0x11, &[0; 12]),
            header(0x21, 0x12, &[0; 12]),
            header(0x21, 0x41, &[0; 12]),
            header(0x21, 0x11, &[0; 11]),
            header(0x21, 0x21, &[0; 35]),
        ] {
            let (told, _) = read_from(&bytes).await;
            assert!(matches!(told, Err(Refused::Malformed)), "{bytes:?}: {told:?}");
        }
        let (told, _) = read_from(&header(0x21, 0x11, &[0; LONGEST + 1])).await;
        assert!(matches!(told, Err(Refused::TooLong)));
        let whole = v4([203, 0, 113, 9], &[]);
        for cut in 1..whole.len() {
            let (told, _) = read_from(&whole[..cut]).await;
            assert!(matches!(told, Err(Refused::Cut(_))), "cut at {cut}");
        }
        assert!(matches!(read_from(b"").await.0, Err(Refused::Nothing)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let whole = v4([203, 0, 113, 9], &[]);
        tokio::io::AsyncWriteExt::write_all(&mut ours, &whole[..20])
            .await
            .unwrap();
        assert!(matches!(read(&mut theirs, PATIENCE).await, Err(Refused::Late)));
    }

    proptest! {
        #[test]
        fn no_bytes_name_anybody_but_a_header_s_own_source(
            rest in proptest::collection::vec(any::<u8>(), 0..64),
            command in any::<u8>(),
            family in any::<u8>(),
        ) {
            let bytes = header(command, family, &rest);
            let mut unread = bytes.as_slice();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let told = runtime.block_on(read(&mut unread, PATIENCE));
            if let Ok(Source::Client(ip)) = told {
                prop_assert_eq!(command, 0x21);
                let octets = match ip {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                };
                prop_assert!(rest.starts_with(&octets) || rest.get(12..16) == Some(octets.as_slice()));
                prop_assert!(unread.is_empty());
            }
        }
    }
}
