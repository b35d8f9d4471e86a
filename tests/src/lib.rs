//! What the end-to-end tests stand on: the spawned gateway, a simulator beside it, and waiting for conditions.
//!
//! Nothing of the gateway runs in the test's own process: it is the binary that an operator runs, started with a
//! configuration file, and killed as a machine would kill it.
//!
//! # Layout
//! - [`binary`]: where the binary is, and the hostile plugins
//! - [`command`]: the command line, as a script uses it
//! - [`components`]: versions of a plugin
//! - [`config`]: the configuration file of a test
//! - [`gateway`]: one process
//! - [`registry`]: a container registry; [`authority`]: certificates for it
//! - [`foreign`]: other people's servers, which check credentials
//! - [`sandbox`]: a plugin in the real runtime, without a gateway around it
//! - [`outside`]: the simulated WhatsApp and ticket system
//! - [`house`]: a gateway and the world outside of it
//! - [`dev`]: `patchbay dev`, as a vendor starts it
//! - [`files`]: what lies in a folder
//! - [`fleet`], [`balancer`]: several gateways that share a Redis, and what stands in front of them
//! - [`load`]: webhooks as fast as they are taken
//! - [`traffic`]: customers who write while things break, and what must be true in the end
//! - [`vendor`]: projects of plugins, as a vendor makes them
//! - [`tickets`]: the ticket system that the templates of desks speak to
//! - [`wait`]: waiting for a condition

pub mod authority;
pub mod balancer;
pub mod binary;
pub mod command;
pub mod components;
pub mod config;
pub mod dev;
pub mod files;
pub mod fleet;
pub mod foreign;
pub mod gateway;
pub mod house;
pub mod load;
pub mod outside;
pub mod registry;
pub mod sandbox;
pub mod tickets;
pub mod traffic;
pub mod vendor;
pub mod wait;

pub use command::Patchbay;
pub use fleet::Fleet;
pub use gateway::Gateway;
pub use house::House;
pub use outside::Outside;
pub use registry::ContainerRegistry;
pub use wait::eventually;
