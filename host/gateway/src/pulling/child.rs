//! The other side: what the pulling process does. It reads its order from its standard input, writes what it pulled to its
//! standard output, and says on its standard error why it did not. It writes no file.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use patchbay_artefact::registry::{Login, Pulled, silent};
use patchbay_artefact::{Registry, Signature};
use patchbay_runtime::helper::{self, Bounds};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::{HEAD_MOST, Head, Order};

/// Exit code: the registry does not give it.
pub(super) const REFUSED: u8 = 3;
/// Exit code: it could not limit itself, read or write.
pub(super) const HOST: u8 = 5;

/// The longest order: a reference and a login, which may be a token of some kilobytes.
const ORDER_MOST: u64 = 64 << 10;
/// Files and connections that it may have open: its three streams, the registry and whom that sends it to, certificates.
const FILES: u64 = 64;

/// Pulls what standard input says to standard output, and gives the process's exit code.
///
/// It limits the whole process for good, so it must be all that the process is for.
#[must_use]
pub fn pull_stdin() -> u8 {
    match obey() {
        Ok(()) => 0,
        Err((code, why)) => {
            // Nobody may be listening any more.
            let _ = writeln!(io::stderr(), "{why}");
            code
        }
    }
}

fn obey() -> Result<(), (u8, String)> {
    let host = |what: &'static str| move |error: io::Error| (HOST, format!("{what}: {error}"));
    let mut order = Zeroizing::new(Vec::new());
    io::stdin().lock().take(ORDER_MOST).read_to_end(&mut order).map_err(host("cannot read"))?;
    let order: Order = serde_json::from_slice(&order)
        .map_err(|_| (HOST, "is told nothing that it understands; the gateway starts it by itself".to_owned()))?;
    let bounds = Bounds { cpu: order.cpu, memory: order.memory, file: 0, files: FILES };
    helper::confine(bounds).map_err(host("cannot limit itself"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let pulled = runtime.map_err(host("cannot start"))?.block_on(pull(order)).map_err(|why| (REFUSED, why))?;
    let head = head(&pulled).map_err(|why| (REFUSED, why))?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&head).and_then(|()| out.write_all(&pulled.bytes)).and_then(|()| out.flush());
    written.map_err(host("cannot write"))
}

async fn pull(order: Order) -> Result<Pulled, String> {
    let login = order.login.map(|(user, password)| Login::new(user, SecretString::from(password)));
    let registry = Registry::of(&order.reference, login, false).map_err(|error| error.to_string())?;
    // Also when the gateway that waits for it is gone.
    let wall = Duration::from_millis(order.wall);
    let pulled = tokio::time::timeout(wall, registry.pull(|_| (), &silent())).await;
    let late =
        |_| format!("the registry {} takes longer than {} s; nothing was kept", order.reference.host(), wall.as_secs());
    pulled.map_err(late)?.map_err(|error| error.to_string())
}

fn head(pulled: &Pulled) -> Result<Vec<u8>, String> {
    let signatures = pulled.signatures.iter().map(Signature::to_line).collect();
    let head = serde_json::to_vec(&Head { digest: pulled.digest, signatures });
    let mut head = head.map_err(|error| error.to_string())?;
    if head.len() >= HEAD_MOST {
        return Err(format!("its signatures have more than {} MiB together", HEAD_MOST >> 20));
    }
    head.push(b'\n');
    Ok(head)
}
