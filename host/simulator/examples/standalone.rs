//! The simulator by itself: `cargo run -p patchbay-simulator --example standalone -- [PORT [GATEWAY_URL]]`.

use std::net::{Ipv4Addr, SocketAddr};

use patchbay_simulator::{Simulator, SimulatorOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(18081), |port| port.parse())?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let simulator = Simulator::start(SimulatorOptions { listen, ..SimulatorOptions::default() }).await?;
    if let Some(gateway) = arguments.next() {
        simulator.set_webhooks(format!("{gateway}/webhooks/whatsapp"), format!("{gateway}/webhooks/desk/zendesk"));
    }
    println!("{}", simulator.url());
    tokio::signal::ctrl_c().await?;
    simulator.stop().await;
    Ok(())
}
