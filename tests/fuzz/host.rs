//! Anything as `Host` and as a request target: there is one authority or none, it is printed as it is read, and it finds the routes of its host.
#![no_main]

use gateward::config::HostPattern;
use gateward::proxy::routes::Table;
use gateward::wire::hygiene::{check, is_authority};
use gateward::wire::origin::Peer;
use http::uri::Authority;
use http::{Method, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (host, target) = text.split_once('\n').unwrap_or((text, "/"));
    let request = Request::builder().uri(target).header("host", host).body(());
    let Ok(request) = request else { return };
    let peer = Peer {
        ip: [192, 0, 2, 1].into(),
        tls: false,
        server_name: None,
    };
    let Ok(authority) = check(&peer, &request.into_parts().0) else {
        return;
    };
    let printed = authority.as_str();
    assert!(
        is_authority(printed) && !printed.bytes().any(|b| b.is_ascii_uppercase()),
        "{printed:?}"
    );
    assert_eq!(&printed.parse::<Authority>().unwrap(), &authority);
    assert!(printed.eq_ignore_ascii_case(host), "{printed:?} of {host:?}");

    let name = printed
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
        .map_or(printed, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut table = Table::default();
    table.add(&HostPattern::Exact(name.to_owned()), "/", &[], true);
    table.add(&HostPattern::Any, "/", &[], false);
    assert_eq!(table.find(printed, &Method::GET, "/"), Ok(&true), "{printed:?}");
});
