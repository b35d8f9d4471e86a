//! The scripts: each is one atomic step of one partition.

use std::sync::LazyLock;

/// A script and the name that a server knows it by.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

impl Script {
    const fn new(source: &'static str, hash: fn() -> String) -> Self {
        Self { source, hash: LazyLock::new(hash) }
    }

    pub(super) const fn source(&self) -> &'static str {
        self.source
    }

    /// SHA-1 of the source.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}

macro_rules! scripts {
    ($($name:ident = [$($file:literal),+];)+) => {
        $(
            pub(super) static $name: Script = {
                const SOURCE: &str = concat!($(include_str!(concat!("scripts/", $file, ".lua"))),+);
                Script::new(SOURCE, || ::redis::Script::new(SOURCE).get_hash().to_owned())
            };
        )+
        /// All of them, to be given to a server at once.
        pub(super) static ALL: &[&Script] = &[$(&$name),+];
    };
}

scripts! {
    APPEND = ["keys", "put", "append"];
    COMMIT = ["keys", "put", "documents", "commit"];
    IMPORT = ["keys", "put", "import"];
    LEASE = ["keys", "lease"];
    READ_JOURNAL = ["keys", "journal"];
    READ_LINKS = ["keys", "links"];
    STATS = ["keys", "stats"];
    THIN_EVENTS = ["keys", "thin_events"];
    THIN_LETTERS = ["keys", "thin_letters"];
    FORGET = ["keys", "forget"];
    CLAIM = ["claim"];
    DISOWN = ["disown"];
    TURN = ["turn"];
    BEAT = ["beat"];
    META = ["meta"];
    SHELVE = ["documents", "shelve"];
}
