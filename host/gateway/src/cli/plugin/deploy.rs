//! `patchbay plugin deploy`

use std::path::{Path, PathBuf};

use anyhow::Context;
use patchbay_artefact::component::COMPONENT_MOST;
use patchbay_artefact::{Signature, signature};
use serde_json::json;

use super::deployed::{conclude, path, refused_by_a_rule};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::wrong;
use crate::config::Share;
use crate::http::api::deployments::SIGNATURES_HEADER;

/// What its help says.
pub const ABOUT: &str = "Makes a new generation of a deployment. It is verified, its settings are checked, it is compiled and its \
                  golden events are asked; then it takes the place of the one before, on all nodes, without an event being \
                  lost or handled by both. A generation that asks for more than the one before is held until it is \
                  approved. Whatever it does not pass, the old generation goes on.\n\n\
                  A file is sent to the gateway with the signatures in FILE.sig. oci:HOST/REPOSITORY:TAG and builtin:NAME \
                  are fetched by the gateway.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin deploy router acme-router.wasm --wait\n  \
                       patchbay plugin deploy router oci:ghcr.io/acme/router:1.2.0 --canary 10%\n  \
                       patchbay plugin deploy router acme-router.wasm --shadow    asked beside, without effect\n\n\
                       Exits with 3 when the generation is held or a rule refuses it.";

/// `patchbay plugin deploy`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment: the name in [plugins.NAME].
    #[arg(value_name = "NAME")]
    pub name: String,
    /// FILE, oci:HOST/REPOSITORY:TAG, oci:HOST/REPOSITORY@sha256:HEX or builtin:NAME.
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Only for a share of the conversations, always the same ones: 10%.
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    pub canary: Option<Share>,
    /// Beside the active generation: asked about the same events, compared, and nothing carried out.
    #[arg(long)]
    pub shadow: bool,
    /// Wait until every node runs it.
    #[arg(long)]
    pub wait: bool,
    /// Write one JSON object: deployment, generation, state, missing, next, active, stages.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let mut address = format!("{}/generations?mode=", path(&args.name)?);
    match (args.canary, args.shadow) {
        (Some(share), _) => address += &format!("canary&share={}", share.as_percent()),
        (None, true) => address += "shadow",
        (None, false) => address += "full",
    }
    let done = if args.source.starts_with("oci:") || args.source.starts_with("builtin:") {
        client.post(&address, &json!({ "source": args.source }), None).await
    } else {
        let (component, signatures) = read(Path::new(args.source.strip_prefix("file:").unwrap_or(&args.source)))?;
        client.upload_with(&address, component, (SIGNATURES_HEADER, &signatures)).await
    };
    conclude(&client, &args.name, done.map_err(refused_by_a_rule)?, args.wait, args.json).await
}

/// A component and its signatures, as the header carries them.
fn read(file: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    let component = std::fs::read(file).map_err(|error| {
        let file = file.display();
        wrong(format!("cannot read {file}: {error}; write a file, oci:HOST/REPOSITORY:TAG or builtin:NAME"))
    })?;
    if component.len() > COMPONENT_MOST {
        return Err(wrong(format!(
            "{} has {} MiB; {} are the most: build it in release mode, without debug information",
            file.display(),
            component.len() >> 20,
            COMPONENT_MOST >> 20
        )));
    }
    let beside: PathBuf = signature::file_of(file);
    let signatures = signature::read(&beside).with_context(|| format!("the signatures in {}", beside.display()))?;
    let lines: Vec<String> = signatures.iter().map(Signature::to_line).collect();
    Ok((component, lines.join(",")))
}
