//! What the end-to-end tests stand on: the spawned gateway, a simulator beside it, and waiting for conditions.
//!
//! Nothing of the gateway runs in the test's own process: it is the binary that an operator runs, started with a
//! configuration file, and killed as a machine would kill it.
//!
//! # Layout
//! - [`binary`]: where the binary is, and the hostile plugins
//! - [`config`]: the configuration file of a test
//! - [`gateway`]: one process
//! - [`house`]: a gateway and its simulator together
//! - [`wait`]: waiting for a condition

pub mod binary;
pub mod config;
pub mod gateway;
pub mod house;
pub mod wait;

pub use gateway::Gateway;
pub use house::House;
pub use wait::eventually;
