//! `patchbay dev`: a gateway with WhatsApp and a ticket system that are simulated, on loopback, in one process.
//!
//! # Layout
//! - here: starting and stopping both
//! - `adapt`: a configuration that points at the simulators, with secrets made for this run
//! - `reload`: the file, read again when it changes
//! - `welcome`: what is said when it runs
//! - `dev.toml`: the configuration when none is given

mod adapt;
mod reload;
mod welcome;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use patchbay_simulator::Simulator;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::DevArgs;
use crate::config::{Checked, Config, Secrets};
use crate::serve::reload::Reading;
use crate::serve::{Gateway, stop_signal};
use crate::telemetry;

use self::adapt::{Place, Secret};
use self::welcome::Addresses;

/// The configuration when none is given.
pub const DEV_TOML: &str = include_str!("dev.toml");

/// Runs until the process is told to stop.
///
/// # Errors
/// When a port is taken or the configuration is wrong.
pub async fn run(args: DevArgs) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    // Before the start: whoever sends one then must not end the process.
    let hangups = signal(SignalKind::hangup()).context("cannot listen to SIGHUP")?;
    let checked = configuration(args.config.as_deref());
    let mut config = checked.config.ok_or(checked.problems)?;
    // Beside the welcome, only what needs attention.
    let quiet = "warn";
    telemetry::init(&config.telemetry, Some(args.log.as_deref().unwrap_or(quiet)))?;
    let home = Home::open(args.store.as_deref())?;
    let secret = Secret::draw();
    let simulator = simulator(args.port, &secret).await?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let place = Place { listen, simulator: simulator.addr(), secret, home: home.path().to_owned() };
    adapt::adapt(&mut config, &place);
    let place = Arc::new(place);
    let gateway = Gateway::start(&config, reading(args.config.clone(), Arc::clone(&place)));
    let gateway = gateway.await.with_context(|| port_hint(args.port))?;
    // Before the welcome: whoever has read that may save the file.
    let watching = args.config.and_then(reload::watch);
    let reloads = tokio::spawn(reload::run(gateway.surface(), hangups, watching));
    let addresses = Addresses::new(&config, &gateway, &simulator, &place.secret)?;
    simulator.set_webhooks(addresses.webhook(), addresses.desk_webhook());
    if args.json {
        welcome::print_json(&addresses)?;
    } else {
        welcome::print(&addresses, home.path())?;
    }
    if !args.json && !args.no_browser && std::io::stdout().is_terminal() {
        for page in [addresses.desk_page(), addresses.phone_page()] {
            if let Err(error) = open::that_detached(&page) {
                tracing::info!(%error, page, "no browser could be opened");
            }
        }
    }
    stop.await;
    reloads.abort();
    if !args.json {
        anstream::eprintln!("\nstopping …");
    }
    gateway.stop().await;
    simulator.stop().await;
    Ok(())
}

fn configuration(path: Option<&Path>) -> Checked {
    match path {
        Some(path) => Config::check(path, Secrets::Unseen),
        None => Config::from_toml("dev.toml", DEV_TOML.to_owned(), Path::new("."), Secrets::Unseen),
    }
}

/// How a configuration is read again: adapted as it was at the start. None without a file.
fn reading(path: Option<PathBuf>, place: Arc<Place>) -> Option<Reading> {
    let path = path?;
    Some(Reading::by(move || {
        let mut checked = configuration(Some(&path));
        if let Some(config) = &mut checked.config {
            adapt::adapt(config, &place);
        }
        checked
    }))
}

async fn simulator(gateway_port: u16, secret: &Secret) -> anyhow::Result<Simulator> {
    let port = if gateway_port == 0 {
        0
    } else {
        gateway_port.checked_add(1).context("no port is left for the simulators: choose a lower one")?
    };
    let options = adapt::simulator_options(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), secret);
    Simulator::start(options).await.with_context(|| port_hint(gateway_port))
}

fn port_hint(port: u16) -> String {
    if port == 0 {
        "cannot start".into()
    } else {
        format!(
            "cannot start on the ports {port} and {}; choose others with --port N, or free ones with --port 0",
            port.saturating_add(1)
        )
    }
}

/// Where everything is kept: a folder that goes when the command ends, or the one that was asked for.
#[derive(Debug)]
enum Home {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Home {
    fn open(store: Option<&str>) -> anyhow::Result<Self> {
        let Some(url) = store else {
            let folder = tempfile::Builder::new().prefix("patchbay-dev-").tempdir().context("no temporary folder")?;
            return Ok(Self::Temporary(folder));
        };
        let path = url.strip_prefix("file://").or_else(|| url.strip_prefix("file:")).unwrap_or(url);
        if path.contains("://") {
            bail!("--store {url}: this version keeps its store in a folder: write --store file:./patchbay-data");
        }
        Ok(Self::Kept(PathBuf::from(path)))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}
