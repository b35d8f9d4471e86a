//! Whom the operator believes: a file that says who may sign what.
//!
//! ```toml
//! [[allow]]
//! names = ["acme-*"]                     # plugins by the names in their manifests; * is any letters
//! keys = ["keys/acme.pub"]               # from the policy's folder
//! registries = ["ghcr.io/acme/*"]        # only from there; left out: from anywhere, files too
//! unsigned = false                       # true: without a signature
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::Digest;
use crate::files::parse;
use crate::key::{KeyId, VerifyingKey};
use crate::signature::{SIGNATURES_MOST, Signature};
use crate::source::Reference;

/// Who may sign what.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What sentences call it.
    title: String,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    names: Vec<String>,
    registries: Vec<String>,
    keys: Vec<TrustedKey>,
    unsigned: bool,
}

#[derive(Clone, Debug)]
struct TrustedKey {
    file: PathBuf,
    key: VerifyingKey,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The name in the manifest; of a plugin without one the name that the operator gave it.
    pub name: &'a str,
    /// The registry that it comes from; none for a file.
    pub reference: Option<&'a Reference>,
    /// The digest of its bytes.
    pub digest: &'a Digest,
    /// The component.
    pub bytes: &'a [u8],
    /// What signatures there are; good or not.
    pub signatures: &'a [Signature],
}

/// It is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The key that signed it; none where the policy asks for no signature.
    pub by: Option<KeyId>,
    /// The file of that key, as the policy names it.
    pub key: Option<PathBuf>,
}

/// It is not allowed: why, who would be, and what to type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// A policy cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct PolicyError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, and what to write.
    pub problem: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySection {
    #[serde(default)]
    allow: Vec<RuleSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSection {
    names: Vec<String>,
    #[serde(default)]
    registries: Vec<String>,
    #[serde(default)]
    keys: Vec<PathBuf>,
    #[serde(default)]
    unsigned: bool,
}

impl Policy {
    /// Reads a policy and the keys that it names.
    ///
    /// # Errors
    /// When it or a key cannot be read, or a rule allows nothing.
    pub fn read(file: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let file = file.as_ref();
        let wrong = |problem: String| PolicyError { file: file.to_owned(), problem };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let section: PolicySection = parse(&text).map_err(wrong)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut rules = Vec::new();
        for (place, rule) in section.allow.into_iter().enumerate() {
            let key = |part: &str| format!("allow[{place}].{part}");
            if rule.names.is_empty() {
                return Err(wrong(format!("{}: names no plugin; write: names = [\"acme-*\"]", key("names"))));
            }
            match (rule.keys.is_empty(), rule.unsigned) {
                (true, false) => {
                    return Err(wrong(format!(
                        "{}: nobody could sign these; write: keys = [\"keys/acme.pub\"]",
                        key("keys")
                    )));
                }
                (false, true) => {
                    return Err(wrong(format!(
                        "{}: keys mean nothing where no signature is asked for; take out the one or the other",
                        key("unsigned")
                    )));
                }
                _ => {}
            }
            let keys = rule.keys.iter().map(|path| trusted(folder, path));
            let keys =
                keys.collect::<Result<_, _>>().map_err(|problem| wrong(format!("{}: {problem}", key("keys"))))?;
            rules.push(Rule { names: rule.names, registries: rule.registries, keys, unsigned: rule.unsigned });
        }
        Ok(Self { title: file.display().to_string(), rules })
    }

    /// One that allows everything signed with this key.
    #[must_use]
    pub fn of_key(file: &Path, key: VerifyingKey) -> Self {
        let rule = Rule {
            names: vec!["*".into()],
            registries: Vec::new(),
            keys: vec![TrustedKey { file: file.to_owned(), key }],
            unsigned: false,
        };
        Self { title: "--key".into(), rules: vec![rule] }
    }

    /// Decides about a component.
    ///
    /// # Errors
    /// When no rule allows it; the sentence says who would be allowed, and what to type.
    pub fn judge(&self, candidate: &Candidate<'_>) -> Result<Verdict, Refusal> {
        if Digest::of(candidate.bytes) != *candidate.digest {
            return Err(Refusal(format!("{} is not what its digest says: fetch it again", called(candidate))));
        }
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.is_about(candidate)).collect();
        let trusted = || rules.iter().flat_map(|rule| &rule.keys);
        for signature in candidate.signatures.iter().take(SIGNATURES_MOST) {
            let signer = trusted().find(|trusted| signature.is_by(&trusted.key, candidate.bytes, candidate.digest));
            if let Some(TrustedKey { file, key }) = signer {
                return Ok(Verdict { by: Some(key.id()), key: Some(file.clone()) });
            }
        }
        if rules.iter().any(|rule| rule.unsigned) {
            return Ok(Verdict { by: None, key: None });
        }
        Err(self.refusal(candidate, &rules))
    }

    fn refusal(&self, candidate: &Candidate<'_>, rules: &[&Rule]) -> Refusal {
        let (what, title) = (called(candidate), &self.title);
        let mut keys: Vec<String> = Vec::new();
        for trusted in rules.iter().flat_map(|rule| &rule.keys) {
            let text = format!("{} ({})", trusted.file.display(), trusted.key.id());
            if !keys.contains(&text) {
                keys.push(text);
            }
        }
        if keys.is_empty() {
            let origin = candidate.reference.map_or_else(|| "a file".to_owned(), Reference::place);
            return Refusal(format!(
                "{what} is refused: no rule of {title} is about this name from {origin}. To believe its vendor, write:\n\
                 [[allow]]\nnames = [\"{}\"]\nkeys = [\"keys/VENDOR.pub\"]",
                candidate.name
            ));
        }
        let keys = keys.join(" or ");
        let target = candidate.reference.map_or_else(|| "FILE".to_owned(), |reference| format!("oci:{reference}"));
        let sign = format!("patchbay plugin sign {target} --key KEY");
        Refusal(match candidate.signatures.len() {
            0 => format!(
                "{what} is refused: it is not signed, and {title} asks for a signature by {keys}. Whoever has that key types: {sign}"
            ),
            count => format!(
                "{what} is refused: {} on it, and none fits a key that {title} allows: {keys}. Either the content was \
                 changed after it was signed, or somebody else signed it. Whoever has the key types: {sign}; or, to believe \
                 another signer, add their public key to `keys`",
                if count == 1 { "there is 1 signature".to_owned() } else { format!("there are {count} signatures") }
            ),
        })
    }
}

/// `acme-router (sha256:e3b0c44298fc)`
fn called(candidate: &Candidate<'_>) -> String {
    format!("{} ({})", candidate.name, candidate.digest.short())
}

fn trusted(folder: &Path, file: &Path) -> Result<TrustedKey, String> {
    let path = folder.join(file);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read ({error})", path.display()))?;
    let key = VerifyingKey::from_pem(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(TrustedKey { file: file.to_owned(), key })
}

impl Rule {
    fn is_about(&self, candidate: &Candidate<'_>) -> bool {
        let from_there = self.registries.is_empty()
            || candidate.reference.is_some_and(|reference| {
                let place = reference.place();
                self.registries.iter().any(|pattern| matches(pattern, &place))
            });
        from_there && self.names.iter().any(|pattern| matches(pattern, candidate.name))
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any letters, also for none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}
