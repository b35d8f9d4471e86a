//! `patchbay plugin push`

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::json;

use super::shipping::{Held, RegistryArgs, from_registry, progress, reference, sign_file, signing_key};
use crate::cli::failure::DONE;
use crate::cli::output::{json_lines, print, progress_of_bytes};

/// What it does.
pub const ABOUT: &str = "Puts a component into a registry, in the layout that `wkg` and others read, with the signatures in FILE.sig. With \
    --key it is signed first, and the image in the registry as well, as `cosign sign --key` does it.\n\n\
    The registry is any that takes OCI images. The login is the one of `docker login`, or PATCHBAY_REGISTRY_USER and \
    PATCHBAY_REGISTRY_PASSWORD. Pushing the same file again changes nothing, the digest included.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin push acme-router.wasm ghcr.io/acme/router:1.2.0\n  \
    patchbay plugin push acme-router.wasm ghcr.io/acme/router:1.2.0 --key acme.key    signs and pushes\n  \
    patchbay plugin push acme-router.wasm localhost:5000/acme/router:dev";

/// `patchbay plugin push`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The component's file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to: HOST/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// Sign with this private key (PEM): a file, or env:NAME for a variable that holds it.
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// How the registry is reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Write one JSON object: reference, digest, component, size, signatures, key.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let reference = reference(&args.reference)?;
    let key = args.key.as_deref().map(signing_key).transpose()?;
    let registry = args.registry.repository(&reference)?;
    let mut held = Held::read(&args.file)?;
    if let Some(key) = &key {
        sign_file(&args.file, &mut held, key)?;
    }
    let bar = progress_of_bytes(Some(held.bytes.len() as u64)).with_message("pushing");
    let content = Bytes::from(std::mem::take(&mut held.bytes));
    let size = content.len();
    let pushed = registry.push(&content, &held.signatures, &progress(&bar)).await;
    bar.finish_and_clear();
    let pushed = pushed.map_err(from_registry)?;
    let pinned = reference.at(pushed.digest);
    if let Some(key) = &key {
        // By digest: the tag may be somebody else's by now.
        args.registry.repository(&pinned)?.sign(key).await.map_err(from_registry)?;
    }
    let signatures = held.signatures.len();
    if args.json {
        json_lines([&json!({
            "reference": reference, "digest": pushed.digest, "component": pushed.component, "size": size,
            "signatures": signatures, "key": key.map(|key| key.public().id().full()),
        })])?;
        return Ok(DONE);
    }
    held.bytes = content.into();
    print(&format!("{}: pushed to oci:{reference}\nfor good, by digest: oci:{pinned}\n", held.title()))?;
    if signatures == 0 {
        anstream::eprintln!(
            "it is not signed, and most operators will refuse it: patchbay plugin push {} {reference} --key KEY",
            args.file.display()
        );
    }
    Ok(DONE)
}
