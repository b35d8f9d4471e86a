//! Who is believed, and what somebody who is not is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;

use patchbay_artefact::{Algorithm, Candidate, Digest, Policy, Reference, Signature, SigningKey};

const CONTENT: &[u8] = b"a component's bytes";

/// A folder with a policy, and keys of Acme and Bolt below it.
struct House {
    folder: tempfile::TempDir,
    acme: SigningKey,
    bolt: SigningKey,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [acme, bolt] =
            [Algorithm::EcdsaP256, Algorithm::Ed25519].map(|algorithm| SigningKey::generate(algorithm).unwrap());
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        for (name, key) in [("acme", &acme), ("bolt", &bolt)] {
            std::fs::write(folder.path().join(format!("keys/{name}.pub")), key.public().to_pem()).unwrap();
        }
        Self { folder, acme, bolt }
    }

    fn policy(&self, text: &str) -> Result<Policy, String> {
        let file = self.folder.path().join("policy.toml");
        std::fs::write(&file, text).unwrap();
        Policy::read(&file).map_err(|error| error.to_string())
    }
}

/// What is said about a plugin of this name with these signatures: the file of the key that signed it, or the refusal.
fn judge(policy: &Policy, name: &str, from: Option<&str>, signatures: &[Signature]) -> Result<String, String> {
    let reference: Option<Reference> = from.map(|from| from.parse().unwrap());
    let digest = Digest::of(CONTENT);
    let candidate = Candidate { name, reference: reference.as_ref(), digest: &digest, bytes: CONTENT, signatures };
    let verdict = policy.judge(&candidate).map_err(|refusal| refusal.to_string())?;
    Ok(verdict.key.map_or_else(|| "unsigned".to_owned(), |key| key.display().to_string()))
}

const RULES: &str = r#"
[[allow]]
names = ["acme-*"]
keys = ["keys/acme.pub"]

[[allow]]
names = ["bolt", "*-tools"]
registries = ["ghcr.io/bolt/*"]
keys = ["keys/bolt.pub", "keys/acme.pub"]

[[allow]]
names = ["own-*"]
unsigned = true
"#;

#[test]
fn a_signature_by_a_key_of_the_rule_is_enough() {
    let house = House::new();
    let policy = house.policy(RULES).unwrap();
    let by = |key: &SigningKey| Signature::make(CONTENT, key).unwrap();
    assert_eq!(judge(&policy, "acme-router", None, &[by(&house.acme)]), Ok("keys/acme.pub".into()));
    let both = [by(&house.bolt), by(&house.acme)];
    assert_eq!(judge(&policy, "acme-router", Some("ghcr.io/acme/router:1"), &both), Ok("keys/acme.pub".into()));
    assert_eq!(judge(&policy, "bolt", Some("ghcr.io/bolt/a/b:1"), &both[..1]), Ok("keys/bolt.pub".into()));
    assert_eq!(judge(&policy, "x-tools", Some("ghcr.io/bolt/a:1"), &both[1..]), Ok("keys/acme.pub".into()));
    assert_eq!(judge(&policy, "own-thing", None, &[]), Ok("unsigned".into()));
}

#[test]
fn a_refusal_says_who_would_be_allowed_and_what_to_type() {
    let house = House::new();
    let policy = house.policy(RULES).unwrap();
    let by = |key: &SigningKey| Signature::make(CONTENT, key).unwrap();
    let acme = house.acme.public().id();

    let said = judge(&policy, "acme-router", None, &[]).unwrap_err();
    assert!(
        said.starts_with(&format!("acme-router ({}) is refused: it is not signed", Digest::of(CONTENT).short())),
        "{said}"
    );
    assert!(said.contains(&format!("keys/acme.pub ({acme})")), "{said}");
    assert!(said.contains("patchbay plugin sign FILE --key KEY"), "{said}");

    let said = judge(&policy, "acme-router", Some("ghcr.io/x/y:1"), &[by(&house.bolt)]).unwrap_err();
    assert!(said.contains("there is 1 signature on it, and none fits a key"), "{said}");
    assert!(said.contains("patchbay plugin sign oci:ghcr.io/x/y:1 --key KEY"), "{said}");
    let changed = Signature::make(b"other bytes", &house.acme).unwrap();
    assert!(judge(&policy, "acme-router", None, &[changed]).unwrap_err().contains("the content was changed"));

    // Of the right name, from elsewhere; from a file it comes from no registry.
    for from in [None, Some("ghcr.io/bolt:1"), Some("ghcr.io/acme/bolt:1"), Some("evil.example.com/ghcr.io/bolt/a:1")] {
        let said = judge(&policy, "bolt", from, &[by(&house.bolt)]).unwrap_err();
        assert!(said.contains("no rule of ") && said.contains("policy.toml is about this name"), "{said}");
        assert!(said.contains("[[allow]]\nnames = [\"bolt\"]\nkeys = [\"keys/VENDOR.pub\"]"), "{said}");
    }
    for name in ["acme", "xacme-router", "bolts", "tools", "own"] {
        assert!(
            judge(&policy, name, Some("ghcr.io/bolt/a:1"), &[by(&house.acme)]).unwrap_err().contains("no rule"),
            "{name}"
        );
    }
}

#[test]
fn bytes_that_are_not_their_digest_are_refused() {
    let house = House::new();
    let policy = house.policy(RULES).unwrap();
    let signatures = [Signature::make(CONTENT, &house.acme).unwrap()];
    let digest = Digest::of(b"other bytes");
    let candidate =
        Candidate { name: "own-thing", reference: None, digest: &digest, bytes: CONTENT, signatures: &signatures };
    assert!(policy.judge(&candidate).unwrap_err().to_string().contains("not what its digest says"));
}

#[test]
fn one_key_is_a_policy() {
    let house = House::new();
    let policy = Policy::of_key(Path::new("acme.pub"), house.acme.public().clone());
    let by = |key: &SigningKey| [Signature::make(CONTENT, key).unwrap()];
    assert_eq!(judge(&policy, "anything", None, &by(&house.acme)), Ok("acme.pub".into()));
    assert!(judge(&policy, "anything", None, &by(&house.bolt)).unwrap_err().contains("acme.pub"));
}

#[test]
fn a_wrong_policy_says_what_to_write() {
    let house = House::new();
    for (text, what) in [
        ("[[allow]]\nkeys = [\"keys/acme.pub\"]\n", "missing field `names`"),
        ("[[allow]]\nnames = []\nkeys = [\"keys/acme.pub\"]\n", "allow[0].names: names no plugin"),
        ("[[allow]]\nnames = [\"a\"]\n", "allow[0].keys: nobody could sign these"),
        (
            "[[allow]]\nnames = [\"a\"]\nkeys = [\"keys/acme.pub\"]\nunsigned = true\n",
            "allow[0].unsigned: keys mean nothing",
        ),
        ("[[allow]]\nnames = [\"a\"]\nkey = \"x\"\n", "line 3: allow[0].key: unknown field `key`"),
        ("[[allow]]\nnames = [\"a\"]\nkeys = [\"keys/no.pub\"]\n", "keys/no.pub cannot be read"),
        ("[[allow]]\nnames = [\"a\"]\nkeys = [\"policy.toml\"]\n", "there is no PUBLIC KEY in it"),
        ("[[allow]\n", "line 1: "),
    ] {
        let said = house.policy(text).unwrap_err();
        assert!(said.contains("policy.toml: ") && said.contains(what), "{said}");
    }
    assert!(
        Policy::read(house.folder.path().join("none.toml"))
            .unwrap_err()
            .to_string()
            .contains("none.toml: cannot be read")
    );
    // An empty policy believes nobody.
    assert!(judge(&house.policy("").unwrap(), "a", None, &[]).unwrap_err().contains("no rule"));
}
