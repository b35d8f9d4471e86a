//! What is in a registry, by other people's programs: what we push they read, what they push we read and run, and our signatures
//! are good for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::{ContainerRegistry, House, Patchbay, binary, eventually};
use tempfile::TempDir;

/// A folder with a component and a pair of keys, a registry, and the command line.
struct Vendor {
    folder: TempDir,
    component: PathBuf,
    registry: ContainerRegistry,
    patchbay: Patchbay,
}

impl Vendor {
    async fn new() -> Result<Self> {
        let (folder, registry, patchbay) = (tempfile::tempdir()?, ContainerRegistry::open()?, Patchbay::offline());
        let component = Version::of("2.0.0").of_router(folder.path())?;
        let vendor = Self { folder, component, registry, patchbay };
        vendor.patchbay.done(&["plugin", "keygen", &vendor.at("acme")]).await?;
        Ok(vendor)
    }

    /// A path in the folder, as an argument.
    fn at(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn component(&self) -> Vec<u8> {
        std::fs::read(&self.component).unwrap()
    }

    /// Runs a program in the folder, with nobody's logins. Gives whether it was content, and what it said.
    fn run(&self, program: &Path, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(program);
        let ran = command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path()).output();
        let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    /// Pushes the component under this name.
    async fn push(&self, name: &str, more: &[&str]) -> Result<()> {
        let push = [&["plugin", "push", text(&self.component), name], more].concat();
        self.patchbay.done(&push).await.map(drop)
    }

    /// Pulls into `pulled.wasm`.
    async fn pull(&self, name: &str) -> Result<patchbay_tests::command::Ran> {
        self.patchbay.run(&["plugin", "pull", name, "--output", &self.at("pulled.wasm"), "--no-lock"]).await
    }
}

/// Pulls or pushes with the Python client of the ORAS project.
const ORAS: &str = "
import sys
import oras.client
host, verb, target, argument = sys.argv[1:]
client = oras.client.OrasClient(hostname=host, insecure=True)
if verb == 'pull':
    print(client.pull(target=target, outdir=argument)[0])
else:
    print(client.push(target=target, files=[argument], disable_path_validation=True).status_code)
";

#[tokio::test]
async fn oras_pulls_what_we_push_and_we_what_it_pushes() -> Result<()> {
    let vendor = Vendor::new().await?;
    let python = binary::python()?;
    let oras = |verb: &str, target: &str, argument: &str| {
        let (good, said) = vendor.run(&python, &["-c", ORAS, vendor.registry.host(), verb, target, argument]);
        assert!(good, "{said}");
        said.lines().last().unwrap().to_owned()
    };
    let ours = vendor.registry.name("acme/ours:1");
    vendor.push(&ours, &[]).await?;
    let file = oras("pull", &ours, &vendor.at("theirs"));
    assert!(file.ends_with("/acme-router.wasm"), "{file}");
    assert_eq!(std::fs::read(file)?, vendor.component());

    let theirs = vendor.registry.name("acme/theirs:1");
    assert_eq!(oras("push", &theirs, "router-2.0.0.wasm:application/wasm"), "201");
    let pulled = vendor.pull(&theirs).await?;
    assert_eq!(pulled.code, 0, "{pulled:?}");
    assert_eq!(vendor.read("pulled.wasm"), vendor.component());
    // What is no component is told, not loaded.
    let text = vendor.registry.name("acme/text:1");
    oras("push", &text, "acme.pub:text/plain");
    let told = vendor.pull(&text).await?;
    assert!(told.code == 1 && told.err.contains("its content is `text/plain`"), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn wkg_pulls_what_we_push_and_we_run_what_it_pushes() -> Result<()> {
    let vendor = Vendor::new().await?;
    let program = binary::wkg()?;
    let wkg = |arguments: &[&str]| {
        let (good, said) =
            vendor.run(&program, &[&["oci"], arguments, &["--insecure", vendor.registry.host()]].concat());
        assert!(good, "{said}");
    };
    let (ours, theirs) = (vendor.registry.name("acme/ours:1"), vendor.registry.name("acme/theirs:1"));
    vendor.push(&ours, &["--key", &vendor.at("acme.key")]).await?;
    wkg(&["pull", &ours, "--output", "theirs.wasm"]);
    assert_eq!(vendor.read("theirs.wasm"), vendor.component());

    wkg(&["push", &theirs, text(&vendor.component)]);
    let pulled = vendor.pull(&theirs).await?;
    assert_eq!(pulled.code, 0, "{pulled:?}");
    assert_eq!(vendor.read("pulled.wasm"), vendor.component());
    let unsigned = "\n[deployments]\nunsigned = true\n".to_owned();
    let house = House::with(Options { more: unsigned, ..Options::default() }).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let deploy = ["plugin", "deploy", "router", &format!("oci:{theirs}"), "--wait", "--json"];
    assert_eq!(patchbay.rows(&deploy).await?[0]["state"], "active");
    house.text("447700900001", "hello").await?;
    eventually("a decision of the second generation", || async {
        for event in house.events("kind=message").await? {
            let id = event["id"].as_str().unwrap_or_default();
            let Ok(decision) = house.api(&format!("/v1/events/{id}/decision")).await else { continue };
            let steps = decision["steps"].as_array().cloned().unwrap_or_default();
            if steps.iter().any(|step| step["plugin"] == "router" && step["generation"] == 2) {
                return Ok(Ok(()));
            }
        }
        Ok(Err("none yet".to_owned()))
    })
    .await
}

#[tokio::test]
async fn the_sigstore_projects_library_finds_our_signatures_good() -> Result<()> {
    let vendor = Vendor::new().await?;
    let program = binary::cosign_verify()?;
    let verify = |key: &str, name: &str| vendor.run(&program, &[key, name]);
    let name = vendor.registry.name("acme/router:1");
    vendor.push(&name, &[]).await?;
    assert!(!verify("acme.pub", &name).0, "nobody has signed it");
    vendor.patchbay.done(&["plugin", "keygen", &vendor.at("bolt"), "--algorithm", "ed25519"]).await?;
    for (signer, count) in [("acme", "1"), ("bolt", "2")] {
        let key = vendor.at(&format!("{signer}.key"));
        vendor.patchbay.done(&["plugin", "sign", &format!("oci:{name}"), "--key", &key]).await?;
        let (good, said) = verify(&format!("{signer}.pub"), &name);
        assert!(good && said.trim() == count, "{signer}: {said}");
    }
    vendor.patchbay.done(&["plugin", "keygen", &vendor.at("other")]).await?;
    let (good, said) = verify("other.pub", &name);
    assert!(!good && said.contains("no signature is by this key"), "{said}");
    Ok(())
}
