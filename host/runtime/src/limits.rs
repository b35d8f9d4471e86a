//! Every cap on what a plugin can take, each with the reason for its number.
//!
//! Three kinds: what an operator may set for one plugin ([`Limits`]), what is the same for every call, and what the
//! engine as a whole is built with. A cap that is reached is an outcome with a report that names it, never a crash.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What an operator may set for one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of one call together, bytes.
    pub memory: usize,
    /// Time on a processor in one call; waiting does not count.
    pub cpu: Duration,
    /// One HTTP request's body, bytes.
    pub request_body: u64,
    /// One HTTP response's body, bytes.
    pub response_body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: MEMORY, cpu: CPU, request_body: REQUEST_BODY, response_body: RESPONSE_BODY }
    }
}

/// A stock Rust guest needs 1 to 3 MiB, a Python or JavaScript one 20 to 40 MiB with its interpreter; the rest is room
/// for a page of JSON. It is a limit on time as well: one bulk instruction cannot be interrupted, and touches no more
/// than this.
pub const MEMORY: usize = 64 * MIB;

/// The most that [`Limits::memory`] can be set to: the size of a slot in the pool. Above it a component is refused.
pub const MEMORY_MOST: usize = 256 * MIB;

/// A handler takes microseconds and a desk call a few milliseconds; an interpreted guest a few hundred. Two seconds is
/// a bug, not work.
pub const CPU: Duration = Duration::from_secs(2);

/// The deadline of a call that has none of its own ([`Call::timeout`](crate::Call::timeout) is cut to
/// [`WALL_MOST`]): the slowest vendors answer in 10 to 20 s.
pub const WALL: Duration = Duration::from_secs(30);

/// No call may take longer, whatever is asked for: a deployment must be able to drain.
pub const WALL_MOST: Duration = Duration::from_secs(300);

/// What a caller waits beyond a call's deadline for the guest's thread to notice it: one bulk instruction over
/// [`MEMORY_MOST`] takes far less.
pub const WALL_GRACE: Duration = Duration::from_secs(2);

/// A JSON document with a page of tickets; media goes through `uploads` and does not count here.
pub const REQUEST_BODY: u64 = 4 * MIB as u64;

/// Vendors' pages are below 1 MiB as a rule; a hundred audits with their comments can be a few.
pub const RESPONSE_BODY: u64 = 4 * MIB as u64;

/// The most that `request_body` and `response_body` can be set to.
pub const BODY_MOST: u64 = 16 * MIB as u64;

/// An upload's body: WhatsApp's largest file is a 100 MB document, in base64 a third more, and the JSON around it.
pub const UPLOAD_BODY: u64 = 144 * MIB as u64;

/// Bytes that a guest may hand to the host in one go (an outcome, a request's chunk, a log line). A chain's answer is
/// a few KiB; wasmtime's own default of 128 MiB would let one call fill the host's memory.
pub const HOST_BYTES: usize = 8 * MIB;

/// Open handles (requests, streams, pollables) of one call. An HTTP exchange takes about ten.
pub const HANDLES: usize = 1024;

/// One header map in memory, about twice its size on the wire. Servers refuse 8 to 16 KiB of headers.
pub const FIELDS: usize = 32 * KIB;

/// Bytes of randomness in one go: a guest that seeds a generator takes 32.
pub const RANDOM: u64 = 64 * KIB as u64;

/// Core instances in one component: the WASI adapter and its shims make 4 to 8, composed components more.
pub const CORE_INSTANCES: usize = 32;

/// Linear memories in one component: one for each composed part.
pub const MEMORIES: usize = 8;

/// Tables in one component.
pub const TABLES: usize = 16;

/// Elements in one table: a JavaScript engine needs 7,700.
pub const TABLE_ELEMENTS: usize = 20_000;

/// Lines that one call may log; a chatty plugin in trouble logs ten.
pub const LOG_LINES: u32 = 64;

/// Bytes of one log line; what is longer is cut.
pub const LOG_LINE: usize = 2 * KIB;

/// Standard error kept of one call, from its end: a panic's message stands last.
pub const STDERR_KEPT: usize = 8 * KIB;

/// Standard output and error taken from one call; what follows is thrown away, and the guest does not notice.
pub const STDIO_TAKEN: usize = MIB;

/// Bytes of one text of the host's making that quotes the plugin: a trap's detail, a failure's reason.
pub const QUOTED: usize = 2 * KIB;

/// A component's file: a Python guest has 35 MB. What is larger takes minutes to compile.
pub const COMPONENT: usize = 64 * MIB;

/// A component's file that is worth a warning: it compiles for more than ten seconds.
pub const COMPONENT_LARGE: usize = 16 * MIB;

/// HTTP requests in one call; four times what creating a ticket with attachments takes.
pub const REQUESTS: u32 = 64;

/// Looking a name up, connecting, TLS, sending the request and waiting for the first byte of the answer.
pub const FIRST_BYTE: Duration = Duration::from_secs(20);

/// The whole body of an answer, from its first byte: [`BODY_MOST`] at 1 MiB/s, and a dripping server ends here.
pub const WHOLE_BODY: Duration = Duration::from_secs(20);

/// Connecting to one address, before the next one is tried.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections kept for one host: lanes run a few calls at a time toward one desk.
pub const IDLE_CONNECTIONS: usize = 16;

/// How long an idle connection is kept: load balancers close after 60 s.
pub const IDLE: Duration = Duration::from_secs(50);

/// The engine's tick. A spinning guest gives way to the others this often; a finer one costs wake-ups.
pub const TICK: Duration = Duration::from_millis(5);

/// Calls at once, by default: a slot is 256 MiB of address space and takes memory only while it is used.
pub const CONCURRENT_CALLS: u32 = 256;

/// How long a call waits for a free slot before it is `busy`.
pub const ADMISSION: Duration = Duration::from_secs(10);

/// A guest's stack, bytes. Wasmtime's default, and more recursion than any parser needs.
pub const WASM_STACK: usize = 512 * KIB;

/// The stack that a guest and the host functions below it run on, bytes.
pub const ASYNC_STACK: usize = 2 * MIB;

/// What the instance of one component takes in the pool: a component of 35 MB needs 3 MiB.
pub const INSTANCE: usize = 8 * MIB;

/// Resident memory kept in a slot after a call, so that the next one has no page faults there.
pub const KEEP_RESIDENT: usize = MIB;

/// Resident table memory kept in a slot after a call.
pub const TABLE_KEEP_RESIDENT: usize = 64 * KIB;

/// The part of a call's stack that is wiped by hand after it instead of being given back, so that the next call has no
/// page faults there; a handler touches two pages.
pub const STACK_KEEP_RESIDENT: usize = 32 * KIB;

/// Slots that are given back to the kernel in one system call.
pub const DECOMMIT_BATCH: usize = 16;

/// Frames in a report.
pub const FRAMES: usize = 20;
