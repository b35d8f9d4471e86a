//! What a component asks for, and what of it is more than another one had.

use std::collections::BTreeSet;

use patchbay_artefact::manifest::{Manifest, WantedHost};
use patchbay_runtime::{Inspection, Need};
use serde::{Deserialize, Serialize};

use crate::config::Size;

/// What a component asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asks {
    /// Hosts.
    pub http: Vec<WantedHost>,
    /// Stored media.
    pub media: bool,
    /// So many bytes of keys and values.
    pub keyvalue: Option<u64>,
    /// What it imports that needs a grant, without versions.
    pub imports: BTreeSet<String>,
}

impl Asks {
    /// What a component asks for by its manifest and its imports. Without a manifest its imports alone tell.
    #[must_use]
    pub fn of(manifest: Option<&Manifest>, inspection: &Inspection) -> Self {
        let mut asks = Self::default();
        for import in &inspection.imports {
            if let Need::Grants { media, .. } = import.need {
                asks.media |= media;
                let name = import.name.split_once('@').map_or(import.name.as_str(), |(name, _)| name);
                asks.imports.insert(name.to_owned());
            }
        }
        if let Some(manifest) = manifest {
            asks.http.clone_from(&manifest.wants.http);
            asks.media |= manifest.wants.media;
            asks.keyvalue = manifest.wants.keyvalue;
        }
        asks
    }

    /// Nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// What of this is not in `had`.
    #[must_use]
    pub fn beyond(&self, had: &Self) -> Self {
        let http = self.http.iter().filter(|wanted| !had.http.iter().any(|before| covers(before, wanted)));
        Self {
            http: http.cloned().collect(),
            media: self.media && !had.media,
            keyvalue: self.keyvalue.filter(|bytes| had.keyvalue.is_none_or(|before| *bytes > before)),
            imports: self.imports.difference(&had.imports).cloned().collect(),
        }
    }

    /// This and that.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let mut http = self.http.clone();
        http.extend(more.http.iter().filter(|wanted| !self.http.contains(wanted)).cloned());
        Self {
            http,
            media: self.media || more.media,
            keyvalue: self.keyvalue.max(more.keyvalue),
            imports: self.imports.union(&more.imports).cloned().collect(),
        }
    }

    /// What of `approved` this still asks for: a later generation keeps no more than it needs.
    #[must_use]
    pub fn still(&self, approved: &Self) -> Self {
        Self {
            http: approved
                .http
                .iter()
                .filter(|granted| self.http.iter().any(|w| covers(granted, w)))
                .cloned()
                .collect(),
            media: approved.media && self.media,
            keyvalue: approved.keyvalue.filter(|_| self.keyvalue.is_some()),
            imports: approved.imports.intersection(&self.imports).cloned().collect(),
        }
    }

    /// Each thing that is asked for, in a few words: `GET https://api.example.com/orders`, `stored media`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.http.iter().map(host).collect();
        lines.extend(self.media.then(|| "stored media".to_owned()));
        lines.extend(self.keyvalue.map(|bytes| format!("{} of keys and values", Size::bytes(bytes))));
        lines.extend(self.imports.iter().map(|import| format!("the interface {import}")));
        lines
    }
}

/// A host in a few words.
fn host(wanted: &WantedHost) -> String {
    let WantedHost { host, methods, paths, about } = wanted;
    let methods = if methods.is_empty() { String::new() } else { format!("{} ", methods.join(",")) };
    let paths = match paths.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        several => format!(" ({})", several.join(", ")),
    };
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    format!("{methods}https://{host}{paths}{about}")
}

/// Whether whoever had `before` can do everything that `wanted` allows. Why it is wanted does not matter.
fn covers(before: &WantedHost, wanted: &WantedHost) -> bool {
    let host = before.host == wanted.host
        || before.host.strip_prefix('*').is_some_and(|domain| {
            let name = wanted.host.strip_prefix("*").unwrap_or(&wanted.host);
            name.ends_with(domain) && name.len() > domain.len()
        });
    // No list is every method, and every path.
    let methods = before.methods.is_empty()
        || (!wanted.methods.is_empty() && wanted.methods.iter().all(|method| before.methods.contains(method)));
    let below = |path: &String| before.paths.iter().any(|prefix| starts_with(path, prefix));
    let paths = before.paths.is_empty() || (!wanted.paths.is_empty() && wanted.paths.iter().all(below));
    host && methods && paths
}

/// `/api` begins `/api` and `/api/orders`, not `/apiary`: as grants read it.
fn starts_with(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use patchbay_runtime::Import;

    use super::*;

    fn host(host: &str, methods: &[&str], paths: &[&str]) -> WantedHost {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        WantedHost { host: host.into(), methods: texts(methods), paths: texts(paths), about: String::new() }
    }

    fn asks(http: Vec<WantedHost>) -> Asks {
        Asks { http, ..Asks::default() }
    }

    #[test]
    fn only_what_is_more_than_before_is_beyond() {
        let had = asks(vec![host("*.example.com", &["GET", "POST"], &["/api"])]);
        for same in [
            host("*.example.com", &["POST", "GET"], &["/api"]),
            host("a.example.com", &["GET"], &["/api/orders"]),
            host("*.a.example.com", &["GET"], &["/api"]),
        ] {
            assert!(asks(vec![same.clone()]).beyond(&had).is_empty(), "{same:?}");
        }
        for more in [
            host("example.com", &["GET"], &["/api"]),
            host("evilexample.com", &["GET"], &["/api"]),
            host("a.example.com", &["DELETE"], &["/api"]),
            host("a.example.com", &[], &["/api"]),
            host("a.example.com", &["GET"], &["/apiary"]),
            host("a.example.com", &["GET"], &[]),
        ] {
            assert_eq!(asks(vec![more.clone()]).beyond(&had).http, [more]);
        }
    }

    #[test]
    fn media_and_keys_are_more_too() {
        let all = Asks {
            media: true,
            keyvalue: Some(2048),
            imports: BTreeSet::from(["wasi:keyvalue/store".to_owned()]),
            ..Asks::default()
        };
        let had = Asks { keyvalue: Some(1024), ..Asks::default() };
        let beyond = all.beyond(&had);
        assert_eq!(beyond, all);
        assert_eq!(beyond.lines(), ["stored media", "2KiB of keys and values", "the interface wasi:keyvalue/store"]);
        assert!(all.beyond(&had.with(&beyond)).is_empty());
        assert!(Asks { keyvalue: Some(512), ..Asks::default() }.beyond(&had).is_empty());
    }

    #[test]
    fn imports_tell_where_there_is_no_manifest() {
        let import = |name: &str, need: Need| Import { name: name.to_owned(), need };
        let granted = |http, media| Need::Grants { http, media, keyvalue: false };
        let inspection = Inspection {
            roles: Vec::new(),
            contracts: Vec::new(),
            imports: vec![
                import("wasi:cli/exit@0.2.6", Need::Nothing),
                import("patchbay:plugin/blobs@0.1.0", granted(false, true)),
                import("wasi:http/outgoing-handler@0.2.4", granted(true, false)),
            ],
            size: 0,
            memory: 0,
            digest: String::new(),
        };
        let asks = Asks::of(None, &inspection);
        assert!(asks.media && asks.http.is_empty());
        let imports: Vec<&str> = asks.imports.iter().map(String::as_str).collect();
        assert_eq!(imports, ["patchbay:plugin/blobs", "wasi:http/outgoing-handler"]);
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_not_kept() {
        let approved = Asks { media: true, ..asks(vec![host("a.com", &[], &[]), host("b.com", &[], &[])]) };
        let now = asks(vec![host("b.com", &["GET"], &[])]);
        assert_eq!(now.still(&approved), asks(vec![host("b.com", &[], &[])]));
    }
}
