//! `patchbay plugin pack`

use std::path::{Path, PathBuf};

use patchbay_artefact::component::{self, ArtefactError};
use patchbay_artefact::{Digest, Project};
use serde_json::json;

use super::shipping::read_component;
use crate::cli::failure::{DONE, failed, wrong};
use crate::cli::output::{bytes, count, json_lines, print};

/// What it does.
pub const ABOUT: &str = "Puts what plugin.toml says about a plugin, its settings' schema and its golden events into the component that \
    the project's build has made. The one file that comes out is all there is to ship. `patchbay plugin build` packs by \
    itself; this is for components that something else has built.\n\n\
    What was packed before is replaced, and packing the same twice gives the same bytes. Pack last: tools that change a \
    component afterwards may drop what they do not know, and a signature fits no longer.";
/// How it is typed.
pub const EXAMPLES: &str = "Examples:\n  \
    patchbay plugin pack                                   the project in this folder; writes NAME.wasm\n  \
    patchbay plugin pack --component out.wasm              of what another build has made\n  \
    patchbay plugin pack acme-router --output dist/acme-router.wasm";

/// `patchbay plugin pack`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The project's folder, with plugin.toml.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// The component, instead of `build.output` in plugin.toml.
    #[arg(long, value_name = "FILE")]
    pub component: Option<PathBuf>,
    /// Where the packed component goes, instead of NAME.wasm in the project's folder.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write one JSON object: name, version, file, digest, size, golden.
    #[arg(long)]
    pub json: bool,
}

/// A component that was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Where it is.
    pub file: PathBuf,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let project = Project::read(&args.folder).map_err(|error| wrong(error.to_string()))?;
    let packed = pack(&project, args.component.as_deref(), args.output.as_deref())?;
    let (manifest, golden) = (project.manifest(), project.golden().len() as u64);
    if args.json {
        json_lines([&json!({
            "name": manifest.name, "version": manifest.version, "file": packed.file, "digest": packed.digest,
            "size": packed.size, "golden": golden,
        })])?;
    } else {
        print(&format!(
            "{}: {} {}, {}, {}, {}\n",
            packed.file.display(),
            manifest.name,
            manifest.version,
            bytes(packed.size),
            count(golden, "golden event", "golden events"),
            packed.digest
        ))?;
    }
    Ok(DONE)
}

/// Packs a project's component: what its build has made unless another one is named.
///
/// # Errors
/// When there is no component, or it cannot be packed or written.
pub fn pack(project: &Project, component: Option<&Path>, output: Option<&Path>) -> anyhow::Result<Packed> {
    let built = project.build.as_ref().map(|build| project.folder.join(&build.output));
    let component = component.map(Path::to_owned).or(built).ok_or_else(|| {
        wrong(
            "plugin.toml says nothing about building: name the component with --component FILE, or write [build] with command \
             and output",
        )
    })?;
    if !component.exists() {
        return Err(failed(format!(
            "{} is not there; build it first: patchbay plugin build, or name another one with --component",
            component.display()
        )));
    }
    let packed = component::pack(&read_component(&component)?, project.manifest(), project.golden());
    let packed = packed.map_err(|error| match error {
        ArtefactError::Manifest(_) => wrong(error.to_string()),
        error => failed(format!("{}: {error}", component.display())),
    })?;
    let file = output.map_or_else(|| project.packed(), Path::to_owned);
    patchbay_artefact::write_file(&file, &packed)
        .map_err(|error| failed(format!("{} cannot be written ({error})", file.display())))?;
    Ok(Packed { file, digest: Digest::of(&packed), size: packed.len() as u64 })
}
