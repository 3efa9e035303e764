//! Which route a request is for.
//!
//! A route matches when its host, its path prefix (at a segment border) and its methods do. Of those that match, the host decides first (exact, then the
//! deepest wildcard, then any), then the longest prefix, then whether methods are named, then the order in the file. A route for other methods does not
//! match, so the request goes to the next best, as in most proxies; only when nothing else stands there is the answer 405.
//!
//! A path that a lenient server would read as one of another prefix belongs to neither (see `disguise`).
//!
//! The cost of a search does not grow with the number of routes: a hash look-up for the host, one for each label where wildcards exist, and one for each
//! path segment up to the depth of the deepest route.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use http::{HeaderValue, Method};

use super::disguise;
use crate::config::HostPattern;

/// Routes by host, path and method; `T` is what a route leads to.
#[derive(Debug)]
pub struct Table<T> {
    exact: HashMap<String, Prefixes<T>, RandomState>,
    wildcard: HashMap<String, Prefixes<T>, RandomState>,
    any: Prefixes<T>,
    /// Whether a prefix has another reading itself (`/API`), so that plain paths may be disguises of it.
    odd: bool,
}

/// Why no route was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing stands at this host and path.
    Nothing,
    /// Something does, for these methods.
    Method(HeaderValue),
    /// Something does, but a lenient server would take the path for one of another prefix.
    Disguised,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            any: Prefixes::new(),
            odd: false,
        }
    }
}

impl<T> Table<T> {
    /// Adds a route behind those that are there.
    pub fn add(&mut self, host: &HostPattern, path: &str, methods: &[Method], target: T) {
        let prefixes = match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_insert_with(Prefixes::new),
            HostPattern::Wildcard(domain) => self.wildcard.entry(domain.clone()).or_insert_with(Prefixes::new),
        };
        prefixes.add(path, methods, target);
        self.odd |= disguise::seen_through(path.trim_end_matches('/')).is_some();
    }

    /// The route of a request. A port or a dot at the host's end says nothing; case does in paths and does not in hosts.
    pub fn find(&self, host: &str, method: &Method, path: &str) -> Result<&T, Miss> {
        let host = bare(host);
        let found = self
            .owners(&host, path)
            .find_map(|owner| Some((owner, owner.pick(method)?)));
        let seen = disguise::seen_through(path).or_else(|| self.odd.then(|| path.to_owned()));
        if let Some(seen) = seen {
            let other = self.likenesses(&host, &seen).find(|owner| owner.pick(method).is_some());
            if other.map(|owner| &owner.seen) != found.map(|(owner, _)| &owner.seen) {
                return Err(Miss::Disguised);
            }
        }
        found.map(|(_, target)| target).ok_or_else(|| self.miss(&host, path))
    }

    /// Everything that stands at a host and path, the best first.
    fn owners<'a, 'r>(&'a self, host: &'r str, path: &'r str) -> impl Iterator<Item = &'a Owner<T>> {
        self.hosts(host).flat_map(move |prefixes| prefixes.owners(path))
    }

    /// The same for a path that was seen through, among prefixes that were.
    fn likenesses<'a, 'r>(&'a self, host: &'r str, seen: &'r str) -> impl Iterator<Item = &'a Owner<T>> {
        self.hosts(host).flat_map(move |prefixes| prefixes.likenesses(seen))
    }

    fn hosts<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a Prefixes<T>> {
        let exact = self.exact.get(host).into_iter();
        let domains = if self.wildcard.is_empty() { "" } else { host };
        let wildcard = parents(domains).filter_map(|domain| self.wildcard.get(domain));
        exact.chain(wildcard).chain([&self.any])
    }

    fn miss(&self, host: &str, path: &str) -> Miss {
        let mut all: Vec<&str> = Vec::new();
        for method in self.owners(host, path).flat_map(Owner::methods) {
            if !all.contains(&method.as_str()) {
                all.push(method.as_str());
            }
        }
        match HeaderValue::try_from(all.join(", ")) {
            Ok(allow) if !all.is_empty() => Miss::Method(allow),
            _ => Miss::Nothing,
        }
    }
}

/// The domains that a host is in, the deepest first; not the host itself.
fn parents(host: &str) -> impl Iterator<Item = &str> {
    let parent = |domain: &str| domain.split_once('.').map(|(_, rest)| rest.len());
    let tail = move |length: usize| host.get(host.len() - length..).unwrap_or_default();
    std::iter::successors(parent(host), move |&length| parent(tail(length))).map(tail)
}

/// A host without port and final dot, lower case.
fn bare(host: &str) -> Cow<'_, str> {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Cow::Owned(host.to_ascii_lowercase());
    }
    Cow::Borrowed(host)
}

/// The path prefixes of one host.
#[derive(Debug)]
struct Prefixes<T> {
    /// By prefix without its final slash, so `/` is empty here.
    by_path: HashMap<String, Owner<T>, RandomState>,
    /// The prefixes as a lenient server reads them, and which they are.
    by_likeness: HashMap<String, Vec<String>, RandomState>,
    /// Segments of the deepest prefix.
    depth: usize,
}

impl<T> Prefixes<T> {
    fn new() -> Self {
        Self {
            by_path: HashMap::default(),
            by_likeness: HashMap::default(),
            depth: 0,
        }
    }

    fn add(&mut self, path: &str, methods: &[Method], target: T) {
        let path = path.trim_end_matches('/');
        self.depth = self.depth.max(path.bytes().filter(|&b| b == b'/').count());
        let seen = disguise::seen_through(path).unwrap_or_else(|| path.to_owned());
        let likeness = self.by_likeness.entry(seen.clone()).or_default();
        if !likeness.iter().any(|known| known == path) {
            likeness.push(path.to_owned());
        }
        self.by_path
            .entry(path.to_owned())
            .or_insert_with(|| Owner::new(seen))
            .add(methods, target);
    }

    /// Those that own a path, the longest prefix first. Begins at the deepest prefix that any route has, so that a path of a thousand slashes costs no more
    /// than another.
    fn owners<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Owner<T>> {
        self.prefixes(path).filter_map(|prefix| self.by_path.get(prefix))
    }

    fn likenesses<'a>(&'a self, seen: &str) -> impl Iterator<Item = &'a Owner<T>> {
        let names = self.prefixes(seen).filter_map(|prefix| self.by_likeness.get(prefix));
        names.flatten().filter_map(|name| self.by_path.get(name))
    }

    fn prefixes<'r>(&self, path: &'r str) -> impl Iterator<Item = &'r str> + use<'r, T> {
        let shorter = |prefix: &&'r str| prefix.rfind('/').and_then(|end| prefix.get(..end));
        std::iter::successors(Some(cut(path, self.depth)), shorter)
    }
}

/// At most the first `segments` segments of a path.
fn cut(path: &str, segments: usize) -> &str {
    let mut slashes = path.bytes().enumerate().filter(|&(_, b)| b == b'/');
    match slashes.nth(segments) {
        Some((end, _)) => path.get(..end).unwrap_or(path),
        None => path,
    }
}

/// The routes of one prefix of one host.
#[derive(Debug)]
struct Owner<T> {
    /// The prefix as a lenient server reads it.
    seen: String,
    /// Those that name methods, in order.
    named: Vec<(Vec<Method>, T)>,
    /// The first that names none.
    rest: Option<T>,
}

impl<T> Owner<T> {
    const fn new(seen: String) -> Self {
        Self {
            seen,
            named: Vec::new(),
            rest: None,
        }
    }

    fn add(&mut self, methods: &[Method], target: T) {
        if methods.is_empty() {
            self.rest.get_or_insert(target);
        } else {
            self.named.push((methods.to_vec(), target));
        }
    }

    fn pick(&self, method: &Method) -> Option<&T> {
        let named = self.named.iter().find(|(methods, _)| methods.contains(method));
        named.map(|(_, target)| target).or(self.rest.as_ref())
    }

    fn methods(&self) -> impl Iterator<Item = &Method> {
        self.named.iter().flat_map(|(methods, _)| methods)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn a_path_in_disguise_belongs_to_no_prefix() {
        let any = |path: &str| (HostPattern::Any, path.to_owned(), Vec::new());
        let table = table(&[
            any("/"),
            any("/admin"),
            any("/API"),
            any("/api/v1"),
            any("/Two"),
            any("/two"),
        ]);
        let find = |path: &str| table.find("a.test", &Method::GET, path).copied();
        for path in [
            "/%61dmin",
            "/ADMIN/x",
            "/x/%252e%252e/admin",
            "/admin.",
            "/admin%3bx",
            "/api",
            "/Api/V1",
        ] {
            assert_eq!(find(path), Err(Miss::Disguised), "{path}");
        }
        for (path, target) in [
            ("/x/ADMIN", 0),
            ("/a%20b", 0),
            ("/%7Eada", 0),
            ("/admin/A%2561", 1),
            ("/API/x", 2),
            ("/api/v1/X", 3),
            ("/Two/x", 4),
            ("/two/X", 5),
        ] {
            assert_eq!(find(path), Ok(target), "{path}");
        }
    }

    type Rule = (HostPattern, String, Vec<Method>);

    fn table(rules: &[Rule]) -> Table<usize> {
        let mut table = Table::default();
        for (index, (host, path, methods)) in rules.iter().enumerate() {
            table.add(host, path, methods, index);
        }
        table
    }

    /// The rules as words, one after the other: slow, and plainly right.
    fn naive(rules: &[Rule], host: &str, method: &Method, path: &str) -> Result<usize, bool> {
        let rank = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (name == host).then_some(usize::MAX),
            HostPattern::Wildcard(domain) => host
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .filter(|rest| !rest.is_empty())
                .map(|_| domain.len()),
            HostPattern::Any => Some(0),
        };
        let length = |prefix: &str| {
            let prefix = prefix.trim_end_matches('/');
            let rest = path.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
        };
        let fits: Vec<usize> = (0..rules.len())
            .filter(|&index| rank(&rules[index].0).is_some() && length(&rules[index].1).is_some())
            .collect();
        let serving = fits
            .iter()
            .copied()
            .filter(|&index| rules[index].2.is_empty() || rules[index].2.contains(method));
        // Of equals, the last is kept by `max_by_key`; the first in the file is wanted.
        let best = serving.rev().max_by_key(|&index| {
            let (host, path, methods) = &rules[index];
            (rank(host), length(path), !methods.is_empty())
        });
        best.ok_or(!fits.is_empty())
    }

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let host = select(vec![
            HostPattern::Any,
            HostPattern::Exact("a.test".into()),
            HostPattern::Exact("x.a.test".into()),
            HostPattern::Wildcard("test".into()),
            HostPattern::Wildcard("a.test".into()),
        ]);
        let methods = prop::collection::vec(select(vec![Method::GET, Method::POST]), 0..2);
        prop::collection::vec((host, "(/(a|ab|b)){0,3}/?", methods), 0..12).prop_map(|rules| {
            let slash = |path: String| if path.is_empty() { "/".to_owned() } else { path };
            rules.into_iter().map(|(h, p, m)| (h, slash(p), m)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_table_finds_what_reading_every_rule_would(
            rules in rules(),
            host in select(vec!["a.test", "x.a.test", "y.x.a.test", "test", "b.test", "other"]),
            method in select(vec![Method::GET, Method::POST, Method::PUT]),
            path in "(/(a|ab|b)){0,4}/?",
        ) {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let table = table(&rules);
            let found = table.find(host, &method, &path).copied().map_err(|miss| miss != Miss::Nothing);
            prop_assert_eq!(found, naive(&rules, host, &method, &path));
        }
    }

    fn one(host: HostPattern, path: &str) -> Table<usize> {
        table(&[(host, path.to_owned(), Vec::new())])
    }

    #[test]
    fn a_prefix_ends_at_a_segment_border() {
        let table = one(HostPattern::Any, "/api");
        for path in ["/api", "/api/", "/api/x"] {
            assert!(table.find("h", &Method::GET, path).is_ok(), "{path}");
        }
        for path in ["/apis", "/API", "/", "/ap"] {
            assert!(table.find("h", &Method::GET, path).is_err(), "{path}");
        }
    }

    #[test]
    fn port_case_and_final_dot_of_a_host_say_nothing() {
        let table = one(HostPattern::Exact("app.test".into()), "/");
        for host in ["app.test", "APP.test", "app.test.", "app.test:8443", "app.test.:1"] {
            assert!(table.find(host, &Method::GET, "/").is_ok(), "{host}");
        }
        assert!(table.find("app.test.evil", &Method::GET, "/").is_err());
        let table = one(HostPattern::Exact("[::1]".into()), "/");
        assert!(table.find("[::1]", &Method::GET, "/").is_ok());
        assert!(table.find("[::1]:80", &Method::GET, "/").is_ok());
    }

    #[test]
    fn a_route_for_other_methods_leaves_the_request_to_the_next_best() {
        let table = table(&[
            (HostPattern::Any, "/".into(), vec![]),
            (HostPattern::Any, "/a".into(), vec![Method::POST]),
        ]);
        assert_eq!(table.find("h", &Method::POST, "/a/b"), Ok(&1));
        assert_eq!(table.find("h", &Method::GET, "/a/b"), Ok(&0));
    }

    #[test]
    fn where_only_the_method_is_wrong_the_right_ones_are_told() {
        let table = table(&[
            (HostPattern::Any, "/a".into(), vec![Method::GET, Method::HEAD]),
            (HostPattern::Any, "/a".into(), vec![Method::POST, Method::GET]),
        ]);
        assert_eq!(table.find("h", &Method::POST, "/a"), Ok(&1));
        assert_eq!(
            table.find("h", &Method::PUT, "/a"),
            Err(Miss::Method(HeaderValue::from_static("GET, HEAD, POST")))
        );
        assert_eq!(table.find("h", &Method::PUT, "/b"), Err(Miss::Nothing));
    }
}
