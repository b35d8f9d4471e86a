//! `patchbay plugin sign`

use std::path::PathBuf;

use patchbay_artefact::Source;
use serde_json::json;

use super::shipping::{Held, RegistryArgs, from_registry, reference, sign_file, signing_key};
use crate::cli::failure::DONE;
use crate::cli::output::{json_lines, print};

/// What it does.
pub const ABOUT: &str = "Signs a component with a private key, offline. The signature is in FILE.sig then, which travels with the file: \
    `patchbay plugin push` takes it along. A file that the key has signed already is left as it is; other keys' \
    signatures stay.\n\n\
    What is in a registry is signed there, in the way of `cosign sign --key`, by whoever may push to it.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin sign acme-router.wasm --key acme.key\n  \
    patchbay plugin sign acme-router.wasm --key env:SIGNING_KEY     in CI: the PEM text is in a variable\n  \
    patchbay plugin sign oci:ghcr.io/acme/router:1.2.0 --key acme.key\n\n\
    Others can check it too:\n  \
    base64 --decode acme-router.wasm.sig > signature\n  \
    openssl dgst -sha256 -verify acme.pub -signature signature acme-router.wasm";

/// `patchbay plugin sign`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The component's file, or oci:HOST/REPOSITORY:TAG.
    #[arg(value_name = "FILE|REFERENCE")]
    pub what: String,
    /// The private key (PEM): a file, or env:NAME for a variable that holds it.
    #[arg(long, value_name = "FILE")]
    pub key: String,
    /// How a registry is reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Write one JSON object: digest, key, and file or reference.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let key = signing_key(&args.key)?;
    let id = key.public().id();
    if Source::is_registry(&args.what) {
        let reference = reference(&args.what)?;
        let digest = args.registry.repository(&reference)?.sign(&key).await.map_err(from_registry)?;
        if args.json {
            json_lines([&json!({ "reference": reference, "digest": digest, "key": id.full() })])?;
        } else {
            print(&format!("{reference}: {digest} is signed by {id}\n"))?;
        }
        return Ok(DONE);
    }
    let file = PathBuf::from(&args.what);
    let mut held = Held::read(&file)?;
    let beside = sign_file(&file, &mut held, &key)?;
    if args.json {
        json_lines([&json!({ "file": beside, "digest": held.digest, "key": id.full() })])?;
    } else {
        print(&format!("{}: {} is signed by {id}\n", beside.display(), held.title()))?;
    }
    Ok(DONE)
}
