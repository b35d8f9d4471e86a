//! `patchbay plugin build`
//!
//! # Layout
//! - here: from a project to a packed component
//! - `tools`: the tools of its language, and what is installed for them

mod tools;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use patchbay_artefact::{Digest, Project, component};
use serde_json::json;
use tokio::process::Command;

use crate::cli::failure::{DONE, failed, wrong};
use crate::cli::output::{bytes, count, json_lines, print};

/// What its help says.
pub const ABOUT: &str = "Runs the command of the project's plugin.toml, and packs its manifest and golden events into the \
                  component. What the SDK of JavaScript or Python is built with is installed at the first time, inside \
                  of the project.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin build\n  \
                       patchbay plugin build --folder plugins/router --json";

/// `patchbay plugin build`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The project's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Write one JSON object: component, name, version, bytes, digest, golden, seconds.
    #[arg(long)]
    pub json: bool,
}

/// A component that was built.
#[derive(Debug)]
pub struct Built {
    /// Its file.
    pub path: PathBuf,
    /// Its bytes.
    pub component: Vec<u8>,
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// How many golden events are in it.
    pub golden: usize,
    /// How long all of it took.
    pub took: Duration,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not build; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let built = make(&args.folder).await?;
    if args.json {
        json_lines([&json!({
            "component": built.path,
            "name": built.name,
            "version": built.version,
            "bytes": built.component.len(),
            "digest": Digest::of(&built.component).to_string(),
            "golden": built.golden,
            "seconds": built.took.as_secs_f64(),
        })])?;
    } else {
        print(&format!("{}\n", sentence(&built)))?;
    }
    Ok(DONE)
}

/// `router.wasm: router 0.1.0, 54.2 KiB with 2 golden events, built in 3.1 s`
pub fn sentence(built: &Built) -> String {
    let golden = match built.golden {
        0 => String::new(),
        some => format!(" with {}", count(some as u64, "golden event", "golden events")),
    };
    format!(
        "{}: {} {}, {}{golden}, built in {:.1} s",
        built.path.display(),
        built.name,
        built.version,
        bytes(built.component.len() as u64),
        built.took.as_secs_f64()
    )
}

/// Builds the project in this folder, and packs it.
///
/// # Errors
/// When a tool is missing, the project is wrong, or does not build; the error says what to type next.
pub async fn make(folder: &Path) -> anyhow::Result<Built> {
    let start = Instant::now();
    let project = Project::read(folder).map_err(|error| wrong(error.to_string()))?;
    let Some(build) = &project.build else {
        return Err(wrong(format!(
            "{} does not say how the component is built; write, for Rust:\n[build]\n\
             command = [\"cargo\", \"build\", \"--release\", \"--target\", \"wasm32-wasip2\"]\n\
             output = \"target/wasm32-wasip2/release/NAME.wasm\"",
            folder.join(patchbay_artefact::project::FILE).display()
        )));
    };
    let (program, arguments) = build.command.split_first().context("the build has no command")?;
    tools::prepare(folder, program, arguments).await?;
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        // The project says where its component lies: with a folder that all projects share, an old one would lie there.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .stdin(Stdio::null())
        // What it says is not our answer.
        .stdout(std::io::stderr())
        .status()
        .await
        .with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        return Err(failed(format!("`{}` failed ({status}); what it said stands above", build.command.join(" "))));
    }
    let output = folder.join(&build.output);
    let component = fs::read(&output).map_err(|error| {
        wrong(format!(
            "the build made no {} ({error}): write into plugin.toml, under [build], where the component is: output = \"…\"",
            output.display()
        ))
    })?;
    let packed = component::pack(&component, project.manifest(), project.golden())
        .map_err(|error| failed(format!("{}: {error}", output.display())))?;
    let path = project.packed();
    replace(&path, &packed).with_context(|| format!("cannot write {}", path.display()))?;
    let manifest = project.manifest();
    Ok(Built {
        path,
        component: packed,
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        golden: project.golden().len(),
        took: start.elapsed(),
    })
}

/// A gateway that reads the file meanwhile sees the old one or the new one.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".patchbay-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(build: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let toml = format!("name = \"acme\"\nversion = \"0.1.0\"\n{build}");
        fs::write(folder.path().join("plugin.toml"), toml).unwrap();
        folder
    }

    async fn refused(build: &str) -> String {
        make(project(build).path()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_project_that_cannot_be_built_says_what_to_write() {
        let said = refused("").await;
        assert!(said.contains("[build]\ncommand = [\"cargo\""), "{said}");
        let said = refused("[build]\ncommand = [\"true\"]\noutput = \"target/x.wasm\"\n").await;
        assert!(said.contains("target/x.wasm") && said.contains("output = "), "{said}");
        let said = refused("[build]\ncommand = [\"false\"]\noutput = \"target/x.wasm\"\n").await;
        assert!(said.contains("`false` failed"), "{said}");
        let said = refused("[build]\ncommand = [\"no-such-tool\"]\noutput = \"target/x.wasm\"\n").await;
        assert!(said.contains("no-such-tool"), "{said}");
    }

    #[tokio::test]
    async fn what_is_built_is_packed_beside_plugin_toml() {
        let folder = project("[build]\ncommand = [\"true\"]\noutput = \"in.wasm\"\n");
        // The smallest component.
        fs::write(folder.path().join("in.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        let built = make(folder.path()).await.unwrap();
        assert_eq!(built.path, folder.path().join("acme.wasm"));
        let manifest = component::manifest(&fs::read(&built.path).unwrap()).unwrap().unwrap();
        assert_eq!((manifest.name.as_str(), built.golden), ("acme", 0));
        assert!(sentence(&built).contains("acme.wasm: acme 0.1.0, "), "{}", sentence(&built));
    }
}
