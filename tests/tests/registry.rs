//! Shipping a plugin: packed, signed, pushed to a real registry, pulled and checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay_tests::command::text;
use patchbay_tests::registry::{PASSWORD, USER};
use patchbay_tests::{ContainerRegistry, Patchbay, binary};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A vendor's folder: a project with its packed component, and a pair of keys.
struct Vendor {
    folder: tempfile::TempDir,
    patchbay: Patchbay,
}

impl Vendor {
    async fn new() -> Result<Self> {
        let vendor = Self { folder: tempfile::tempdir()?, patchbay: Patchbay::offline() };
        vendor.pack("1.0.0").await?;
        vendor.patchbay.done(&["plugin", "keygen", &vendor.at("acme")]).await?;
        vendor.write("policy.toml", "[[allow]]\nnames = [\"acme-*\"]\nkeys = [\"acme.pub\"]\n");
        Ok(vendor)
    }

    /// The project's component, of this version, as `acme-router.wasm`.
    async fn pack(&self, version: &str) -> Result<Value> {
        self.write(
            "plugin.toml",
            &format!("name = \"acme-router\"\nversion = \"{version}\"\ndescription = \"Routes.\"\n"),
        );
        let guest = binary::hostile_guest()?;
        let pack = ["plugin", "pack", &self.at(""), "--component", text(&guest), "--json"];
        Ok(self.patchbay.rows(&pack).await?.remove(0))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path as an argument.
    fn at(&self, name: &str) -> String {
        text(&self.path(name)).to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs another program in the folder.
    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let output = Command::new(program).args(arguments).current_dir(self.folder.path()).output();
        output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// Whether OpenSSL finds this signature over this file good.
    fn openssl(&self, file: &str, signature: &[u8]) -> bool {
        std::fs::write(self.path("signature"), signature).unwrap();
        let verify = ["dgst", "-sha256", "-verify", "acme.pub", "-signature", "signature", file];
        self.run(Path::new("openssl"), &verify).status.success()
    }

    /// Pulls into `pulled.wasm`, with these arguments more.
    async fn pull(&self, reference: &str, more: &[&str]) -> Result<patchbay_tests::command::Ran> {
        let (output, lock) = (self.at("pulled.wasm"), self.at("patchbay.lock"));
        let pull = [&["plugin", "pull", reference, "--output", &output, "--lock", &lock, "--json"], more].concat();
        self.patchbay.run(&pull).await
    }
}

fn row(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// What the registry answers, with its content type.
async fn get(registry: &ContainerRegistry, path: &str) -> Result<Vec<u8>> {
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let request = reqwest::Client::new().get(format!("http://{}/v2/{path}", registry.host())).header("accept", accept);
    Ok(request.send().await?.error_for_status()?.bytes().await?.to_vec())
}

#[tokio::test]
async fn a_component_is_signed_and_checked_without_any_registry() -> Result<()> {
    let vendor = Vendor::new().await?;
    let (component, key, public) = (vendor.at("acme-router.wasm"), vendor.at("acme.key"), vendor.at("acme.pub"));
    let verify = ["plugin", "verify", &component, "--policy", &vendor.at("policy.toml")];
    let unsigned = vendor.patchbay.run(&verify).await?;
    assert_eq!(unsigned.code, 3, "{unsigned:?}");
    assert!(
        unsigned.err.contains("it is not signed") && unsigned.err.contains("patchbay plugin sign"),
        "{}",
        unsigned.err
    );

    let signed = vendor.patchbay.rows(&["plugin", "sign", &component, "--key", &key, "--json"]).await?.remove(0);
    assert_eq!(signed["digest"], sha256(&vendor.read("acme-router.wasm")));
    let verified = vendor.patchbay.rows(&[&verify[..], &["--json"]].concat()).await?.remove(0);
    assert_eq!((&verified["name"], &verified["signed_by"]), (&json!("acme-router"), &signed["key"]));
    vendor.patchbay.done(&["plugin", "verify", &component, "--key", &public]).await?;
    // Nobody needs Patchbay for it.
    let signature = BASE64_STANDARD.decode(String::from_utf8(vendor.read("acme-router.wasm.sig"))?.trim())?;
    assert!(vendor.openssl("acme-router.wasm", &signature));

    // Signing once more changes nothing; in CI the key is in a variable.
    let before = vendor.read("acme-router.wasm.sig");
    let in_ci = vendor.patchbay.clone().with("SIGNING_KEY", &String::from_utf8(vendor.read("acme.key"))?);
    in_ci.done(&["plugin", "sign", &component, "--key", "env:SIGNING_KEY"]).await?;
    assert_eq!(vendor.read("acme-router.wasm.sig"), before);

    vendor.patchbay.done(&["plugin", "keygen", &vendor.at("other"), "--algorithm", "ed25519"]).await?;
    let other = vendor.patchbay.run(&["plugin", "verify", &component, "--key", &vendor.at("other.pub")]).await?;
    assert!(other.code == 3 && other.err.contains("none fits a key"), "{other:?}");
    vendor.pack("1.0.1").await?;
    let changed = vendor.patchbay.run(&verify).await?;
    assert!(changed.code == 3 && changed.err.contains("changed after it was signed"), "{changed:?}");
    Ok(())
}

#[tokio::test]
async fn keys_are_their_owners_and_replace_nothing() -> Result<()> {
    let vendor = Vendor::new().await?;
    let mode = |name: &str| {
        let data = std::fs::metadata(vendor.path(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777
    };
    assert_eq!(mode("acme.key"), 0o600);
    let before = vendor.read("acme.key");
    let again = vendor.patchbay.run(&["plugin", "keygen", &vendor.at("acme")]).await?;
    assert!(again.code == 3 && again.err.contains("acme.key is there already"), "{again:?}");
    assert_eq!(vendor.read("acme.key"), before);
    let swapped = vendor
        .patchbay
        .run(&["plugin", "sign", &vendor.at("acme-router.wasm"), "--key", &vendor.at("acme.pub")])
        .await?;
    assert!(swapped.code == 2 && swapped.err.contains("this is a public key"), "{swapped:?}");
    let absent = vendor.patchbay.run(&["plugin", "verify", &vendor.at("acme-router.wasm")]).await?;
    assert!(absent.code == 2 && absent.err.contains("--policy FILE"), "{absent:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_pushed_is_pulled_by_tag_and_digest_and_is_locked() -> Result<()> {
    let (registry, vendor) = (ContainerRegistry::open()?, Vendor::new().await?);
    let (component, key, policy) = (vendor.at("acme-router.wasm"), vendor.at("acme.key"), vendor.at("policy.toml"));
    let name = registry.name("acme/router:1");
    let push = ["plugin", "push", &component, &name, "--json"];
    let unsigned = vendor.patchbay.rows(&push).await?.remove(0);
    assert_eq!(
        (&unsigned["component"], &unsigned["signatures"]),
        (&json!(sha256(&vendor.read("acme-router.wasm"))), &json!(0))
    );
    let refused = vendor.pull(&name, &["--policy", &policy]).await?;
    assert!(refused.code == 3 && refused.err.contains("it is not signed"), "{refused:?}");
    assert!(!vendor.path("pulled.wasm").exists() && !vendor.path("patchbay.lock").exists(), "nothing is kept");

    vendor.patchbay.done(&["plugin", "sign", &component, "--key", &key]).await?;
    let pushed = vendor.patchbay.rows(&push).await?.remove(0);
    assert_eq!(vendor.patchbay.rows(&push).await?.remove(0), pushed, "pushing again changes nothing");
    let pulled = vendor.pull(&name, &["--policy", &policy]).await?;
    assert_eq!(pulled.code, 0, "{pulled:?}");
    let pulled = row(&pulled.out);
    assert_eq!((&pulled["digest"], &pulled["name"]), (&pushed["digest"], &json!("acme-router")));
    assert_eq!(vendor.read("pulled.wasm"), vendor.read("acme-router.wasm"));
    assert_eq!(vendor.read("pulled.wasm.sig"), vendor.read("acme-router.wasm.sig"));
    vendor.patchbay.done(&["plugin", "verify", &vendor.at("pulled.wasm"), "--policy", &policy]).await?;
    let lock = String::from_utf8(vendor.read("patchbay.lock"))?;
    for part in [
        format!("reference = \"{name}\""),
        format!("digest = {}", pushed["digest"]),
        format!("signed_by = {}", pulled["signed_by"]),
    ] {
        assert!(lock.contains(&part), "{part}\n{lock}");
    }

    // The tag moves.
    vendor.pack("2.0.0").await?;
    let moved = vendor.patchbay.rows(&[&push[..], &["--key", &key]].concat()).await?.remove(0);
    assert_ne!(moved["digest"], pushed["digest"]);
    let refused = vendor.pull(&name, &["--policy", &policy]).await?;
    assert!(
        refused.code == 3 && refused.err.contains(&format!("patchbay plugin pull oci:{name} --update")),
        "{refused:?}"
    );
    assert_eq!(String::from_utf8(vendor.read("patchbay.lock"))?, lock);
    let pinned = format!("{}@{}", registry.name("acme/router"), pushed["digest"].as_str().unwrap());
    assert_eq!(
        row(&vendor.pull(&pinned, &["--policy", &policy]).await?.out)["version"],
        "1.0.0",
        "the old one is there still"
    );
    let updated = vendor.pull(&name, &["--policy", &policy, "--update"]).await?;
    assert_eq!(row(&updated.out)["version"], "2.0.0", "{updated:?}");
    assert_eq!(vendor.pull(&name, &[]).await?.code, 0, "the new one is known now");

    let absent = vendor.pull(&registry.name("acme/router:9"), &[]).await?;
    assert!(absent.code == 1 && absent.err.contains("is not there"), "{absent:?}");
    Ok(())
}

#[tokio::test]
async fn the_registrys_signature_is_cosigns() -> Result<()> {
    let (registry, vendor) = (ContainerRegistry::open()?, Vendor::new().await?);
    let (component, key) = (vendor.at("acme-router.wasm"), vendor.at("acme.key"));
    let name = registry.name("acme/router:1");
    let pushed = vendor.patchbay.rows(&["plugin", "push", &component, &name, "--json"]).await?.remove(0);
    // Signed where it is, by somebody who does not have the file.
    let reference = format!("oci:{name}");
    let sign = ["plugin", "sign", &reference, "--key", &key, "--json"];
    let signed = vendor.patchbay.rows(&sign).await?.remove(0);
    assert_eq!(signed["digest"], pushed["digest"]);
    assert_eq!(vendor.patchbay.rows(&sign).await?.remove(0), signed);
    let verify = ["plugin", "verify", &reference, "--key", &vendor.at("acme.pub"), "--json"];
    assert_eq!(vendor.patchbay.rows(&verify).await?[0]["signed_by"], signed["key"]);

    let digest = pushed["digest"].as_str().unwrap();
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let manifest: Value = serde_json::from_slice(&get(&registry, &format!("acme/router/manifests/{tag}")).await?)?;
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "signing twice is signing once");
    assert_eq!(layers[0]["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    let payload = get(&registry, &format!("acme/router/blobs/{}", layers[0]["digest"].as_str().unwrap())).await?;
    let expected = json!({ "critical": { "identity": { "docker-reference": registry.name("acme/router") },
        "image": { "docker-manifest-digest": digest }, "type": "cosign container image signature" }, "optional": null });
    assert_eq!(serde_json::from_slice::<Value>(&payload)?, expected);
    std::fs::write(vendor.path("payload"), &payload)?;
    let signature = layers[0]["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    assert!(vendor.openssl("payload", &BASE64_STANDARD.decode(signature)?));

    // It travels with the file, too.
    assert_eq!(vendor.pull(&name, &[]).await?.code, 0);
    vendor.patchbay.done(&["plugin", "verify", &vendor.at("pulled.wasm"), "--key", &vendor.at("acme.pub")]).await?;
    // A second signer comes beside the first one.
    vendor.patchbay.done(&["plugin", "keygen", &vendor.at("bolt"), "--algorithm", "ed25519"]).await?;
    vendor.patchbay.done(&["plugin", "sign", &reference, "--key", &vendor.at("bolt.key")]).await?;
    for public in ["acme.pub", "bolt.pub"] {
        vendor.patchbay.done(&["plugin", "verify", &reference, "--key", &vendor.at(public)]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_layout_is_the_one_of_wasm_in_registries() -> Result<()> {
    let (registry, vendor) = (ContainerRegistry::open()?, Vendor::new().await?);
    let name = registry.name("acme/router:1");
    vendor.patchbay.done(&["plugin", "push", &vendor.at("acme-router.wasm"), &name]).await?;
    let manifest: Value = serde_json::from_slice(&get(&registry, "acme/router/manifests/1").await?)?;
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0.0");
    let config =
        get(&registry, &format!("acme/router/blobs/{}", manifest["config"]["digest"].as_str().unwrap())).await?;
    let config: Value = serde_json::from_slice(&config)?;
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([manifest["layers"][0]["digest"]]));
    let exports = config["component"]["exports"].as_array().unwrap();
    assert!(exports.iter().any(|name| name.as_str().unwrap().starts_with("patchbay:plugin/handler@")), "{exports:?}");
    Ok(())
}

#[tokio::test]
async fn a_registry_that_wants_to_know_who_asks_is_told() -> Result<()> {
    let (registry, vendor) = (ContainerRegistry::guarded()?, Vendor::new().await?);
    let (component, name) = (vendor.at("acme-router.wasm"), registry.name("acme/router:1"));
    let push = ["plugin", "push", &component, &name];
    let anonymous = vendor.patchbay.run(&push).await?;
    assert!(anonymous.code == 1 && anonymous.err.contains("docker login"), "{anonymous:?}");
    let with = |user: &str, password: &str| {
        let patchbay = vendor.patchbay.clone().with("PATCHBAY_REGISTRY_USER", user);
        patchbay.with("PATCHBAY_REGISTRY_PASSWORD", password)
    };
    let wrong = with(USER, "hunter2").run(&push).await?;
    assert!(wrong.code == 1 && wrong.err.contains(&format!("refuses this to `{USER}`")), "{wrong:?}");
    assert!(!wrong.err.contains("hunter2"));
    with(USER, PASSWORD).done(&push).await?;

    // As `docker login` keeps it.
    let auth = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    vendor.write("config.json", &json!({ "auths": { registry.host(): { "auth": auth } } }).to_string());
    let docker = vendor.patchbay.clone().with("DOCKER_CONFIG", &vendor.at(""));
    docker.done(&["plugin", "pull", &name, "--output", &vendor.at("pulled.wasm"), "--no-lock"]).await?;
    assert_eq!(vendor.read("pulled.wasm"), vendor.read("acme-router.wasm"));
    Ok(())
}
