//! Which route a request is for.
//!
//! The host decides first (exact, then the deepest wildcard, then any), then the longest path prefix at a segment border; that prefix owns the request, and
//! among its routes the first in the file's order that names the method wins over those that name none. A prefix whose routes all name other methods
//! answers 405 and does not hand the request to a shorter one: a rule for `GET /admin` must not leave `POST /admin` to whatever stands at `/`.
//!
//! The cost of a search does not grow with the number of routes: a hash look-up for the host, one for each label where wildcards exist, and one for each
//! path segment up to the depth of the deepest route.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use http::{HeaderValue, Method};

use crate::config::HostPattern;

/// Routes by host, path and method; `T` is what a route leads to.
#[derive(Debug)]
pub struct Table<T> {
    exact: HashMap<String, Prefixes<T>, RandomState>,
    wildcard: HashMap<String, Prefixes<T>, RandomState>,
    any: Prefixes<T>,
}

/// Why no route was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss<'a> {
    /// Nothing stands at this host and path.
    Nothing,
    /// Something does, for these methods.
    Method(&'a HeaderValue),
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            any: Prefixes::new(),
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
    }

    /// The route of a request. A port or a dot at the host's end says nothing; case does in paths and does not in hosts.
    pub fn find(&self, host: &str, method: &Method, path: &str) -> Result<&T, Miss<'_>> {
        match self.owner(&bare(host), path) {
            Some(owner) => owner.pick(method),
            None => Err(Miss::Nothing),
        }
    }

    fn owner(&self, host: &str, path: &str) -> Option<&Owner<T>> {
        let exact = self.exact.get(host).and_then(|prefixes| prefixes.longest(path));
        exact
            .or_else(|| self.below_wildcard(host, path))
            .or_else(|| self.any.longest(path))
    }

    fn below_wildcard(&self, host: &str, path: &str) -> Option<&Owner<T>> {
        if self.wildcard.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((_, domain)) = rest.split_once('.') {
            let found = self.wildcard.get(domain).and_then(|prefixes| prefixes.longest(path));
            if found.is_some() {
                return found;
            }
            rest = domain;
        }
        None
    }
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
    /// Segments of the deepest prefix.
    depth: usize,
}

impl<T> Prefixes<T> {
    fn new() -> Self {
        Self {
            by_path: HashMap::default(),
            depth: 0,
        }
    }

    fn add(&mut self, path: &str, methods: &[Method], target: T) {
        let path = path.trim_end_matches('/');
        self.depth = self.depth.max(path.bytes().filter(|&b| b == b'/').count());
        self.by_path
            .entry(path.to_owned())
            .or_insert_with(Owner::new)
            .add(methods, target);
    }

    /// Begins at the deepest prefix that any route has, so that a path of a thousand slashes costs no more than another.
    fn longest(&self, path: &str) -> Option<&Owner<T>> {
        let mut prefix = cut(path, self.depth);
        loop {
            if let Some(owner) = self.by_path.get(prefix) {
                return Some(owner);
            }
            prefix = prefix.get(..prefix.rfind('/')?)?;
        }
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
    /// Those that name methods, in order.
    named: Vec<(Vec<Method>, T)>,
    /// The first that names none.
    rest: Option<T>,
    /// Every method named.
    allow: HeaderValue,
}

impl<T> Owner<T> {
    fn new() -> Self {
        Self {
            named: Vec::new(),
            rest: None,
            allow: HeaderValue::from_static(""),
        }
    }

    fn add(&mut self, methods: &[Method], target: T) {
        if methods.is_empty() {
            self.rest.get_or_insert(target);
            return;
        }
        self.named.push((methods.to_vec(), target));
        let mut all: Vec<&str> = Vec::new();
        for method in self.named.iter().flat_map(|(methods, _)| methods) {
            if !all.contains(&method.as_str()) {
                all.push(method.as_str());
            }
        }
        self.allow = HeaderValue::try_from(all.join(", ")).unwrap_or(HeaderValue::from_static(""));
    }

    fn pick(&self, method: &Method) -> Result<&T, Miss<'_>> {
        let named = self.named.iter().find(|(methods, _)| methods.contains(method));
        named
            .map(|(_, target)| target)
            .or(self.rest.as_ref())
            .ok_or(Miss::Method(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

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
        let fits: Vec<(usize, (usize, usize))> = rules
            .iter()
            .enumerate()
            .filter_map(|(index, (host, path, _))| Some((index, (rank(host)?, length(path)?))))
            .collect();
        let best = fits.iter().map(|(_, fit)| *fit).max().ok_or(false)?;
        let mut owners = fits.iter().filter(|(_, fit)| *fit == best).map(|(index, _)| *index);
        let named = owners.clone().find(|index| rules[*index].2.contains(method));
        named
            .or_else(|| owners.find(|index| rules[*index].2.is_empty()))
            .ok_or(true)
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
    fn another_method_is_told_the_right_ones() {
        let table = table(&[
            (HostPattern::Any, "/".into(), vec![]),
            (HostPattern::Any, "/a".into(), vec![Method::GET, Method::HEAD]),
            (HostPattern::Any, "/a".into(), vec![Method::POST, Method::GET]),
        ]);
        assert_eq!(table.find("h", &Method::POST, "/a"), Ok(&2));
        assert_eq!(
            table.find("h", &Method::PUT, "/a"),
            Err(Miss::Method(&HeaderValue::from_static("GET, HEAD, POST")))
        );
    }
}
