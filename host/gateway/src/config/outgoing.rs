//! The part of a configuration that says which servers a plugin may call, read by itself: for a vendor who has no gateway
//! yet, but a server to ask.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Credential, Grants};

/// What a plugin may call, and with which credentials. A whole configuration has it, and so does a file with nothing but
/// `[plugins.NAME.grants]` and `[credentials]`; everything else in it is passed over.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Outgoing {
    #[serde(default)]
    plugins: BTreeMap<String, Section>,
    /// By the name that grants call them.
    #[serde(default)]
    pub credentials: BTreeMap<String, Credential>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Section {
    #[serde(default)]
    grants: Grants,
}

impl Outgoing {
    /// Reads a file. Secrets in files count from its folder.
    ///
    /// # Errors
    /// A sentence with the file's name and the line in it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        // Not the line itself: a secret may stand in it by mistake.
        let place = |error: &toml::de::Error| {
            let begin = error.span().map_or(0, |span| span.start);
            text.get(..begin).unwrap_or_default().matches('\n').count() + 1
        };
        let mut outgoing: Self = toml::from_str(&text)
            .map_err(|error| format!("{shown}: line {}: {}", place(&error), error.message().replace('\n', " ")))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for (_, secret) in outgoing.credentials.values_mut().flat_map(Credential::secrets_mut) {
            secret.anchor(folder);
        }
        Ok(outgoing)
    }

    /// What the plugin of this name is granted; of another name, if it is the only one.
    #[must_use]
    pub fn grants(&self, plugin: &str) -> Option<&Grants> {
        let mut all = self.plugins.values();
        let only = all.next().filter(|_| all.next().is_none());
        self.plugins.get(plugin).or(only).map(|section| &section.grants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Outgoing, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("servers.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::write(folder.path().join("token"), "made-up\n").unwrap();
        let read = Outgoing::read(&file)?;
        for (_, secret) in read.clone().credentials.values_mut().flat_map(Credential::secrets_mut) {
            assert!(secret.resolve().is_ok(), "{secret}");
        }
        Ok(read)
    }

    #[test]
    fn a_part_is_enough_and_a_whole_configuration_will_do() {
        let part = "[[plugins.acme.grants.http]]\nhost = \"a.example\"\ncredential = \"acme\"\n\
                    [credentials.acme]\ntype = \"bearer\"\ntoken = \"file:token\"\n";
        let read_part = read(part).unwrap();
        assert_eq!(read_part.grants("acme").unwrap().http[0].host, "a.example");
        assert!(read_part.grants("another").is_some(), "it is the only one");
        let more = format!("[gateway]\ndata_dir = \"x\"\n[plugins.other]\nsource = \"file:x\"\n{part}");
        let whole = read(&more).unwrap();
        assert_eq!((whole.grants("acme").is_some(), whole.grants("another").is_some()), (true, false));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let said = read("[[plugins.acme.grants.http]]\nhots = \"a.example\"\n").unwrap_err();
        assert!(said.contains("servers.toml: line 2: ") && said.contains("hots"), "{said}");
        let said = read("[credentials.acme]\ntype = \"bearer\"\ntoken = \"hunter2\"\n").unwrap_err();
        assert!(said.contains("expected env:NAME or file:PATH") && !said.contains("hunter2"), "{said}");
        assert!(Outgoing::read(Path::new("/nowhere")).unwrap_err().starts_with("cannot read /nowhere"));
    }
}
