//! `cosign-verify KEY IMAGE`: whether an image in a registry on this machine has a signature by this public key (PEM), as
//! `cosign verify --key KEY --insecure-ignore-tlog IMAGE` asks. Prints how many signatures the
//! image has, and fails when none is by the key.

use anyhow::{Context as _, Result};
use sigstore::cosign::verification_constraint::{PublicKeyVerifier, VerificationConstraintVec};
use sigstore::cosign::{ClientBuilder, CosignCapabilities as _, verify_constraints};
use sigstore::registry::{Auth, ClientConfig, ClientProtocol, OciReference};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (key, image) = arguments.next().zip(arguments.next()).context("cosign-verify KEY IMAGE")?;
    let key = std::fs::read(&key).with_context(|| format!("cannot read {key}"))?;
    let image: OciReference = image.parse().with_context(|| format!("`{image}` names no image"))?;
    let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    let mut client = ClientBuilder::default().with_oci_client_config(config).build()?;
    let layers = client.trusted_signature_layers(&Auth::Anonymous, &image).await?;
    let constraints: VerificationConstraintVec = vec![Box::new(PublicKeyVerifier::try_from(&key)?)];
    verify_constraints(&layers, constraints.iter()).ok().context("no signature is by this key")?;
    println!("{}", layers.len());
    Ok(())
}
