//! `patchbay plugin keygen`

use std::io::Write;
use std::path::{Path, PathBuf};

use patchbay_artefact::{Algorithm, SigningKey};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::failure::{DONE, failed, refused};
use crate::cli::output::{json_lines, print};

/// What it does.
pub const ABOUT: &str = "Makes a pair of keys: NAME.key, which signs and stays with you, readable by its owner only; and NAME.pub, \
    which operators put into their policies. Files that are there already are left alone.\n\n\
    The keys are PEM as OpenSSL and cosign have it (PKCS#8, SubjectPublicKeyInfo). Keys of your own, on a P-256 curve or \
    Ed25519, do as well.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin keygen acme                          acme.key and acme.pub\n  \
    patchbay plugin keygen acme --algorithm ed25519";

/// `patchbay plugin keygen`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What the files are called, without their endings; a folder may stand in front.
    #[arg(value_name = "NAME")]
    pub name: PathBuf,
    /// How the key signs.
    #[arg(long, value_enum, default_value_t = Kind::EcdsaP256, value_name = "WORD")]
    pub algorithm: Kind,
    /// Write one JSON object: id, algorithm, key, public.
    #[arg(long)]
    pub json: bool,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// ECDSA on the curve P-256, as cosign does.
    #[value(name = "ecdsa-p256")]
    EcdsaP256,
    /// Ed25519.
    #[value(name = "ed25519")]
    Ed25519,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let with = |ending: &str| {
        let mut name = args.name.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let (private, public) = (with(".key"), with(".pub"));
    if let Some(there) = [&private, &public].into_iter().find(|file| file.exists()) {
        return Err(refused(format!(
            "{} is there already: what is signed with a key cannot be checked without it. Choose another name, or move the \
             file away",
            there.display()
        )));
    }
    let algorithm = match args.algorithm {
        Kind::EcdsaP256 => Algorithm::EcdsaP256,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    let key = SigningKey::generate(algorithm)?;
    write(&private, key.to_pem()?.expose_secret(), 0o600)?;
    write(&public, &key.public().to_pem(), 0o644)?;
    let id = key.public().id();
    if args.json {
        let row = json!({ "id": id.full(), "algorithm": algorithm.to_string(), "key": private, "public": public });
        json_lines([&row])?;
    } else {
        print(&format!(
            "{}: the private key {id} ({algorithm}); nobody else may have it\n{}: the public key, for those who run your plugins\n",
            private.display(),
            public.display()
        ))?;
    }
    Ok(DONE)
}

/// Writes a file that was not there.
fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let written = options.open(file).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| failed(format!("{} cannot be written ({error})", file.display())))
}
