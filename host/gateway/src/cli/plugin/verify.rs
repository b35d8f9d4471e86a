//! `patchbay plugin verify`

use std::path::{Path, PathBuf};

use patchbay_artefact::registry::silent;
use patchbay_artefact::{KeyId, Source, signature};
use serde_json::json;

use super::shipping::{Held, RegistryArgs, TrustArgs, from_registry, reference};
use crate::cli::failure::{DONE, failed, wrong};
use crate::cli::output::{json_lines, print};

/// What it does.
pub const ABOUT: &str = "Checks that somebody who is allowed to has signed a component: by a policy, or by one public key. A file's \
    signatures are in FILE.sig; what is in a registry is fetched and not kept. Exits with 3 when it is refused, and says \
    who would be allowed.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin verify acme-router.wasm --policy policy.toml\n  \
    patchbay plugin verify acme-router.wasm --key acme.pub\n  \
    patchbay plugin verify oci:ghcr.io/acme/router:1.2.0 --policy policy.toml\n\n\
    A policy:\n  \
    [[allow]]\n  \
    names = [\"acme-*\"]\n  \
    keys = [\"keys/acme.pub\"]                 from the policy's folder\n  \
    registries = [\"ghcr.io/acme/*\"]          left out: from anywhere, files too";

/// `patchbay plugin verify`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The component's file, or oci:HOST/REPOSITORY:TAG.
    #[arg(value_name = "FILE|REFERENCE")]
    pub what: String,
    /// Whom to believe.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// The signatures over a file, instead of FILE.sig.
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// How a registry is reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Write one JSON object: name, version, component, signatures, signed_by.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let policy = args.trust.policy()?;
    let policy =
        policy.ok_or_else(|| wrong("whom to believe? Add --policy FILE, or --key PUB for one signer alone"))?;
    let (held, reference) = if Source::is_registry(&args.what) {
        let reference = reference(&args.what)?;
        let pulled = args.registry.repository(&reference)?.pull(|_| (), &silent()).await.map_err(from_registry)?;
        let called = reference.repository().rsplit('/').next().unwrap_or_default();
        (Held::new(pulled.bytes, called, pulled.signatures)?, Some(reference))
    } else {
        let mut held = Held::read(Path::new(&args.what))?;
        if let Some(file) = &args.signature {
            held.signatures = signature::read(file).map_err(|error| failed(error.to_string()))?;
        }
        (held, None)
    };
    let by = held.judge(&policy, reference.as_ref())?;
    if args.json {
        json_lines([&json!({
            "name": held.name, "version": held.version, "component": held.digest, "signatures": held.signatures.len(),
            "signed_by": by.as_ref().map(KeyId::full),
        })])?;
    } else {
        let by = by.map_or_else(|| "allowed without a signature".to_owned(), |key| format!("signed by {key}"));
        print(&format!("{}: {by}\n{}\n", held.title(), held.digest))?;
    }
    Ok(DONE)
}
