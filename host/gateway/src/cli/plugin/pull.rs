//! `patchbay plugin pull`

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use patchbay_artefact::lock::{self, Entry, Known};
use patchbay_artefact::{KeyId, Lock, signature};
use serde_json::json;

use super::shipping::{Held, RegistryArgs, TrustArgs, from_lock, from_registry, progress, reference};
use crate::cli::failure::{DONE, failed};
use crate::cli::output::{json_lines, print, progress_of_bytes};

/// What it does.
pub const ABOUT: &str = "Takes a component from a registry into a file, with the signatures over it in FILE.sig. With --policy or --key it \
    is kept only when somebody who is allowed to has signed it; the command exits with 3 otherwise.\n\n\
    What the reference led to is written into patchbay.lock. When its tag leads elsewhere the next time, the command \
    refuses it, until --update says that this is meant.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin pull ghcr.io/acme/router:1.2.0 --policy policy.toml\n  \
    patchbay plugin pull ghcr.io/acme/router:1.2.0 --key keys/acme.pub --output plugins/router.wasm\n  \
    patchbay plugin pull ghcr.io/acme/router:1.2.0 --update               the tag was moved, and that is meant";

/// `patchbay plugin pull`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What: HOST/REPOSITORY:TAG, or HOST/REPOSITORY@sha256:….
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// Where to, instead of NAME.wasm in this folder.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whom to believe.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// The lock file.
    #[arg(long, value_name = "FILE", default_value = lock::FILE)]
    pub lock: PathBuf,
    /// Keep no lock file.
    #[arg(long, conflicts_with_all = ["lock", "update"])]
    pub no_lock: bool,
    /// Take what the tag leads to now, and remember that.
    #[arg(long)]
    pub update: bool,
    /// How the registry is reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Write one JSON object: reference, name, version, file, digest, component, size, signatures, signed_by.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let reference = reference(&args.reference)?;
    let policy = args.trust.policy()?;
    let lock = if args.no_lock { Lock::default() } else { Lock::read(&args.lock).map_err(from_lock)? };
    let registry = args.registry.repository(&reference)?;
    let bar = progress_of_bytes(None).with_message("pulling");
    let pulled = registry.pull(|size| bar.set_length(size), &progress(&bar)).await;
    bar.finish_and_clear();
    let pulled = pulled.map_err(from_registry)?;
    let known = match lock.check(&reference, &pulled.digest) {
        Ok(known) => known,
        Err(_) if args.update => Known::New,
        Err(moved) => return Err(from_lock(moved)),
    };
    let called = reference.repository().rsplit('/').next().unwrap_or_default();
    let held = Held::new(pulled.bytes, called, pulled.signatures)?;
    let by = match &policy {
        Some(policy) => held.judge(policy, Some(&reference))?,
        None => None,
    };
    let file = args.output.clone().unwrap_or_else(|| format!("{}.wasm", held.name).into());
    keep(&file, &held)?;
    let size = held.bytes.len() as u64;
    if !args.no_lock && (known == Known::New || by.is_some()) {
        let signed_by = by.as_ref().map(KeyId::full);
        let (digest, component, pulled_at) = (pulled.digest, held.digest, Timestamp::now());
        let entry = Entry { reference: reference.clone(), digest, component, size, pulled_at, signed_by };
        Lock::remember(&args.lock, entry).map_err(from_lock)?;
    }
    if args.json {
        json_lines([&json!({
            "reference": reference, "name": held.name, "version": held.version, "file": file, "digest": pulled.digest,
            "component": held.digest, "size": size, "signatures": held.signatures.len(),
            "signed_by": by.as_ref().map(KeyId::full),
        })])?;
        return Ok(DONE);
    }
    let signed = match (by, held.signatures.len()) {
        (Some(key), _) => format!("signed by {key}"),
        (None, 0) => "not signed".to_owned(),
        (None, _) if policy.is_some() => "the policy asks for no signature".to_owned(),
        (None, _) => format!("signed; by whom, this says: patchbay plugin verify {} --policy FILE", file.display()),
    };
    print(&format!("{}: {}, {signed}\noci:{}\n", file.display(), held.title(), reference.at(pulled.digest)))?;
    Ok(DONE)
}

/// Writes the component and its signatures: those first, so that no component is without its own.
fn keep(file: &Path, held: &Held) -> anyhow::Result<()> {
    let beside = signature::file_of(file);
    if !held.signatures.is_empty() {
        signature::write(&beside, &held.signatures).map_err(|error| failed(error.to_string()))?;
    } else if beside.exists() {
        let removed = std::fs::remove_file(&beside);
        removed.map_err(|error| failed(format!("{} cannot be removed ({error})", beside.display())))?;
    }
    patchbay_artefact::write_file(file, &held.bytes)
        .map_err(|error| failed(format!("{} cannot be written ({error})", file.display())))
}
