//! Whether a component may have what it imports, decided when it is loaded: never a trap later.

use crate::contract::PACKAGE;
use crate::grants::Grants;

/// What the standard libraries import whether they use it or not. It is all linked, and empty or harmless.
const INERT: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The version of `wasi:config` that this host has; it is not released yet, so no other one fits.
const CONFIG: &str = "0.2.0-rc.1";

/// The version of `wasi:keyvalue` that this host has; a draft as well.
const KEYVALUE: &str = "0.2.0-draft";

/// An import that a plugin cannot have: the sentence, and the lines that would change it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) import: String,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

/// Checks every import against the grants.
pub(crate) fn check(plugin: &str, imports: &[String], grants: &Grants) -> Result<(), Refused> {
    imports.iter().try_for_each(|import| one(plugin, import, grants))
}

fn one(plugin: &str, import: &str, grants: &Grants) -> Result<(), Refused> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let refuse = |why: &str, remedy: String| Err(Refused { import: import.to_owned(), why: why.to_owned(), remedy });
    let http =
        || format!("add the hosts that it may reach:\n[[plugins.{plugin}.grants.http]]\nhost = \"api.example.com\"");
    let media = || format!("allow it:\n[plugins.{plugin}.grants]\nmedia = true");
    let own = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));

    if name.starts_with("wasi:") && name != "wasi:config/store" && !version.starts_with("0.2.") {
        return refuse("this gateway has WASI 0.2 only", "build the plugin for the target wasm32-wasip2".into());
    }
    match (name, own) {
        (_, Some("types" | "context")) => Ok(()),
        (_, Some("blobs" | "uploads")) if !grants.media => refuse("it is not granted media", media()),
        (_, Some("uploads")) if grants.http.is_empty() => refuse("it is not granted any host", http()),
        (_, Some("blobs" | "uploads")) => Ok(()),
        ("wasi:config/store", _) if version == CONFIG => Ok(()),
        ("wasi:config/store", _) => {
            let remedy = format!("build the plugin with wasi:config {CONFIG}");
            refuse(&format!("this gateway has version {CONFIG} of it"), remedy)
        }
        ("wasi:keyvalue/store", _) if version != KEYVALUE => {
            let remedy = format!("build the plugin with wasi:keyvalue {KEYVALUE}");
            refuse(&format!("this gateway has version {KEYVALUE} of it"), remedy)
        }
        ("wasi:keyvalue/store", _) if grants.keyvalue.is_none() => {
            let remedy = format!("allow it so many bytes:\n[plugins.{plugin}.grants]\nkeyvalue = \"1MiB\"");
            refuse("it is not granted storage", remedy)
        }
        ("wasi:keyvalue/store", _) => Ok(()),
        ("wasi:keyvalue/atomics" | "wasi:keyvalue/batch" | "wasi:keyvalue/watch", _) => {
            refuse("this gateway has wasi:keyvalue/store only", "build the plugin without it".into())
        }
        ("wasi:http/types" | "wasi:http/outgoing-handler", _) if grants.http.is_empty() => {
            refuse("it is not granted any host", http())
        }
        ("wasi:http/types" | "wasi:http/outgoing-handler", _) => Ok(()),
        (name, _) if INERT.contains(&name) => Ok(()),
        _ => refuse("this gateway does not have it", "build the plugin without it".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::{HostPattern, HttpGrant};

    fn refused(import: &str, grants: &Grants) -> Option<Refused> {
        check("desk", &[import.to_owned()], grants).err()
    }

    #[test]
    fn grants_open_what_they_name() {
        let none = Grants::default();
        let http =
            Grants { http: vec![HttpGrant::https(HostPattern::parse("a.com").unwrap())], media: false, keyvalue: None };
        let media = Grants { http: Vec::new(), media: true, keyvalue: None };
        let both = Grants { media: true, ..http.clone() };

        for inert in [
            "wasi:cli/exit@0.2.6",
            "wasi:sockets/tcp@0.2.0",
            "wasi:config/store@0.2.0-rc.1",
            "patchbay:plugin/context@0.1.0",
        ] {
            assert_eq!(refused(inert, &none), None);
        }
        let request = "wasi:http/outgoing-handler@0.2.4";
        assert!(refused(request, &none).unwrap().remedy.contains("[[plugins.desk.grants.http]]\nhost = "));
        assert_eq!(refused(request, &http), None);
        let blobs = "patchbay:plugin/blobs@0.1.0";
        assert!(refused(blobs, &http).unwrap().remedy.contains("media = true"));
        assert_eq!(refused(blobs, &media), None);
        let uploads = "patchbay:plugin/uploads@0.1.0";
        assert!(refused(uploads, &http).is_some() && refused(uploads, &media).is_some());
        assert_eq!(refused(uploads, &both), None);
        let store = "wasi:keyvalue/store@0.2.0-draft";
        assert!(refused(store, &both).unwrap().remedy.contains("[plugins.desk.grants]\nkeyvalue = \"1MiB\""));
        let both = Grants { keyvalue: Some(1 << 20), ..both };
        assert_eq!(refused(store, &both), None);
        for never in [
            "wasi:keyvalue/store@0.2.0-draft2",
            "wasi:keyvalue/atomics@0.2.0-draft",
            "wasi:config/store@0.2.0-draft",
            "wasi:cli/exit@0.3.0",
            "acme:things/door",
            "root",
        ] {
            assert!(refused(never, &both).is_some(), "{never}");
        }
    }
}
