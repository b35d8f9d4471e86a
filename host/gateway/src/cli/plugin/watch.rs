//! `patchbay plugin watch`

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use patchbay_artefact::Project;

use super::build::{self, Built, sentence};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::wrong;
use crate::cli::output::text_of;

/// The pause between two looks at the files: nobody notices it, and looking at some hundred files costs a millisecond.
const LOOK: Duration = Duration::from_millis(100);
/// What tools write themselves.
const NOT_LOOKED_AT: [&str; 5] = [".git", ".venv", "__pycache__", "node_modules", "target"];

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
    let mut seen = Files::of(&args.folder);
    loop {
        once(&args.folder, &name, &client).await;
        anstream::eprintln!("waiting for changes; Ctrl-C ends it");
        seen = seen.changed(&args.folder).await;
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

/// The files that a project is made of, and when they changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Files {
    /// As they are now. A plugin.toml that cannot be read for a moment is a file that changes.
    fn of(folder: &Path) -> Self {
        let watched = Project::read(folder).ok().and_then(|project| Some(project.build?.watch));
        let mut files = BTreeMap::new();
        for path in watched.unwrap_or_else(|| vec!["src".into()]).iter().map(|path| folder.join(path)) {
            collect(&path, &mut files);
        }
        collect(&folder.join(patchbay_artefact::project::FILE), &mut files);
        Self(files)
    }

    /// Waits until something has changed, and then until nothing changes any more.
    async fn changed(self, folder: &Path) -> Self {
        let mut before = self;
        let mut moved = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Self::of(folder);
            match (now == before, moved) {
                (true, true) => return now,
                (true, false) => {}
                (false, _) => moved = true,
            }
            before = now;
        }
    }
}

fn collect(path: &Path, files: &mut BTreeMap<PathBuf, (Option<SystemTime>, u64)>) {
    let Ok(about) = fs::metadata(path) else { return };
    if !about.is_dir() {
        files.insert(path.to_owned(), (about.modified().ok(), about.len()));
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if !NOT_LOOKED_AT.iter().any(|name| entry.file_name() == *name) {
            collect(&entry.path(), files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_once_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("plugin.toml", "name = \"a\"\nversion = \"0.1.0\"\n[build]\ncommand = [\"true\"]\noutput = \"a.wasm\"\n");
        write("src/lib.rs", "1");
        write("src/target/x", "1");
        let before = Files::of(folder.path());
        assert_eq!(before.0.len(), 2, "{before:?}");
        write("src/lib.rs", "22");
        let after = before.clone().changed(folder.path()).await;
        assert!(after != before && after == Files::of(folder.path()));
    }
}
