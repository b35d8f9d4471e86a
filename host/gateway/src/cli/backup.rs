//! `patchbay backup`, `patchbay restore`

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use futures::StreamExt;
use serde_json::json;

use super::args::{BackupArgs, RestoreArgs};
use super::client::Client;
use super::failure::{DONE, Failure, REFUSED, failed, refused};
use super::output::{bytes, count, json_lines, print, progress_of_bytes};
use super::source::{config, store};
use crate::backup::{self, Contents, Manifest, Restore, RestoreError};
use crate::config::{Config, StoreKind};

/// Makes a backup, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn backup(args: BackupArgs) -> anyhow::Result<u8> {
    if args.file.exists() {
        return Err(refused(format!("{} is there already: a backup replaces nothing", args.file.display())));
    }
    let unfinished = Unfinished(unfinished_name(&args.file));
    let file = unfinished.create()?;
    let manifest = match &args.source.config {
        Some(path) => offline(&args, &config(path)?, &file).await?,
        None => online(&args, &file).await?,
    };
    let written = file.metadata().and_then(|data| file.sync_all().map(|()| data.len()));
    let written = written.with_context(|| format!("cannot write {}", args.file.display()))?;
    unfinished.finish(&args.file)?;
    if args.json {
        json_lines([&json!({ "file": args.file, "bytes": written, "manifest": manifest })])?;
    } else {
        print(&format!("{}: {}, {}\n", args.file.display(), bytes(written), contents(&manifest)))?;
    }
    Ok(DONE)
}

async fn online(args: &BackupArgs, mut file: &File) -> anyhow::Result<Manifest> {
    let client = Client::new(&args.source.gateway)?;
    let query = [("media", (!args.no_media).to_string()), ("store", (!args.no_store).to_string())];
    let answer = client.download("/v1/store/backup", &query).await.map_err(hinted)?;
    let bar = progress_of_bytes(answer.content_length()).with_message("backing up");
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            let reason = error.without_url();
            failed(format!("the backup broke off ({reason}): the gateway's log says why; nothing was kept"))
        })?;
        file.write_all(&piece).context("cannot write the backup")?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    file.flush().context("cannot write the backup")?;
    manifest(&args.file, &File::open(unfinished_name(&args.file))?)
}

/// What to do about a store that has backups of its own.
fn hinted(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Failure>() {
        Ok(failure) if failure.code == REFUSED => {
            refused(format!("{failure}. `patchbay backup --no-store` backs up customers' files alone"))
        }
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

async fn offline(args: &BackupArgs, config: &Config, file: &File) -> anyhow::Result<Manifest> {
    let data = std::path::absolute(&config.gateway.data_dir).context("there is no current folder")?;
    let source = if args.no_store { None } else { Some(store(config).await?) };
    let media = data.join("media");
    let contents =
        Contents { store: source.clone(), media: (!args.no_media && media.is_dir()).then_some(media), scratch: data };
    let prepared = backup::prepare(contents).await?;
    if let Some(source) = source {
        source.close().await;
    }
    let bar = progress_of_bytes(None).with_message("backing up");
    let written = prepared.write(BufWriter::new(file), |bytes| bar.inc(bytes)).context("cannot write the backup");
    bar.finish_and_clear();
    written
}

/// The last member of a backup.
fn manifest(name: &Path, file: &File) -> anyhow::Result<Manifest> {
    let mut archive = tar::Archive::new(file);
    let mut last = None;
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.path()?.as_os_str() == "manifest.json" {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            last = Some(serde_json::from_str(&text)?);
        }
    }
    last.with_context(|| format!("{} has no manifest: the gateway did not finish it", name.display()))
}

fn contents(manifest: &Manifest) -> String {
    let store = manifest.store.as_ref().map(|store| {
        let conversations = count(store.conversations, "conversation", "conversations");
        format!("{} in {conversations}", count(store.events, "event", "events"))
    });
    let media = match manifest.media {
        Some(media) => format!("{} of customers' ({})", count(media.files, "file", "files"), bytes(media.bytes)),
        None => "no files".to_owned(),
    };
    store.into_iter().chain([media]).collect::<Vec<_>>().join(", ")
}

fn unfinished_name(file: &Path) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(".unfinished");
    name.into()
}

/// A file that goes away again unless it is finished.
struct Unfinished(PathBuf);

impl Unfinished {
    /// For its owner only: it holds what customers wrote.
    fn create(&self) -> anyhow::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.0).map_err(|error| failed(format!("cannot write {}: {error}", self.0.display())))
    }

    fn finish(self, to: &Path) -> anyhow::Result<()> {
        std::fs::rename(&self.0, to).with_context(|| format!("cannot give the backup its name {}", to.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Puts a backup back, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<u8> {
    let config = config(&args.config.config)?;
    let data = std::path::absolute(&config.gateway.data_dir).context("there is no current folder")?;
    let to = Restore {
        store: std::path::absolute(config.store_path()).context("there is no current folder")?,
        media: data.join("media"),
        force: args.force,
    };
    let size = std::fs::metadata(&args.file).map(|data| data.len()).ok();
    let bar = progress_of_bytes(size).with_message("checking");
    let restored = to.run(&args.file, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let restored = restored.map_err(|error| match error {
        RestoreError::Occupied(_) | RestoreError::InUse(_) => refused(error.to_string()),
        error => anyhow::Error::new(error).context(format!("{} was not restored", args.file.display())),
    })?;
    let manifest = &restored.manifest;
    if args.json {
        let aside: Vec<_> = restored.aside.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
        let row = json!({ "store": to.store, "media": to.media, "aside": aside, "manifest": manifest });
        json_lines([&row])?;
        return Ok(DONE);
    }
    let mut text = String::new();
    for (from, to) in &restored.aside {
        text.push_str(&format!("moved aside: {} is {} now\n", from.display(), to.display()));
    }
    text.push_str(&format!("restored, as of {}: {}\n", manifest.created_at, contents(manifest)));
    if config.store.kind == StoreKind::Redis && manifest.store.is_some() {
        text.push_str(&format!(
            "this configuration keeps its store in Redis; bring it there with: patchbay migrate --from embedded:{} --to \
             config:{}\n",
            to.store.display(),
            args.config.config.display()
        ));
    }
    print(&text)?;
    Ok(DONE)
}
