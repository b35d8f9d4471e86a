//! `patchbay plugin watch`

use std::path::{Path, PathBuf};
use std::time::Instant;

use patchbay_artefact::Project;

use super::build::{self, Built, sentence};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::wrong;
use crate::cli::output::text_of;
use crate::watching::Watching;

/// What its help says.
pub const ABOUT: &str = "Builds the project, deploys it into a running gateway, and does so again whenever one of the files \
                  changes that its plugin.toml names under [build] watch. A version that does not build or is not taken \
                  changes nothing. Ctrl-C ends it.\n\n\
                  It is made for `patchbay dev`, which prints PATCHBAY_URL and PATCHBAY_TOKEN, and takes unsigned plugins.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin watch --deployment acme-router\n  \
                       patchbay plugin watch --folder plugins/router --deployment router --url http://127.0.0.1:18080";

/// `patchbay plugin watch`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The project's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// The deployment: the name of the gateway's section [plugins.NAME]. Without it, the plugin's own name.
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Does it until it is told to stop, and gives the exit code.
///
/// # Errors
/// When the project cannot be read at first.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let project = Project::read(&args.folder).map_err(|error| wrong(error.to_string()))?;
    let name = args.deployment.clone().unwrap_or_else(|| project.manifest().name.clone());
    let client = Client::new(&args.gateway)?;
    loop {
        // From before the build on: what changes while it runs is built next.
        let watching = Watching::of(&files(&args.folder))?;
        once(&args.folder, &name, &client).await;
        anstream::eprintln!("waiting for changes; Ctrl-C ends it");
        watching.changed().await;
    }
}

/// Builds and deploys; what goes wrong is said, and changes nothing.
async fn once(folder: &Path, name: &str, client: &Client) {
    let built = match build::make(folder).await {
        Ok(built) => built,
        Err(error) => return anstream::eprintln!("{error:#}"),
    };
    anstream::eprintln!("{}", sentence(&built));
    match deploy(&built, name, client).await {
        Ok(said) => anstream::eprintln!("{said}"),
        Err(error) => anstream::eprintln!("{name} stays as it was: {error:#}"),
    }
}

/// Deploys a component as the active generation; says what became of it.
async fn deploy(built: &Built, name: &str, client: &Client) -> anyhow::Result<String> {
    let start = Instant::now();
    let path = format!("/v1/deployments/{name}/generations");
    let answer = client.upload(&path, built.component.clone()).await?;
    let generation = text_of(&answer, "generation");
    let state = text_of(&answer, "state");
    let mut said =
        format!("{name}: generation {generation} is {state}, {} ms after the build", start.elapsed().as_millis());
    let next = text_of(&answer, "next");
    if !next.is_empty() {
        said.push_str(&format!("; next: {next}"));
    }
    Ok(said)
}

/// The files that a project is made of. A plugin.toml that cannot be read for a moment is a file that changes.
fn files(folder: &Path) -> Vec<PathBuf> {
    let watched = Project::read(folder).ok().and_then(|project| Some(project.build?.watch));
    let mut files: Vec<PathBuf> = watched.unwrap_or_else(|| vec!["src".into()]);
    files.push(patchbay_artefact::project::FILE.into());
    files.iter().map(|path| folder.join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_stands_in_the_project_s_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.toml");
        let at = |name: &str| folder.path().join(name);
        let build = "[build]\ncommand = [\"true\"]\noutput = \"a.wasm\"\nwatch = [\"lib\", \"words.txt\"]\n";
        std::fs::write(&file, format!("name = \"a\"\nversion = \"0.1.0\"\n{build}")).unwrap();
        assert_eq!(files(folder.path()), [at("lib"), at("words.txt"), file.clone()]);
        std::fs::write(&file, "name =").unwrap();
        assert_eq!(files(folder.path()), [at("src"), file]);
    }
}
