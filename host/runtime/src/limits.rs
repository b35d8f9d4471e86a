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

/// Bytes of a request's method: the longest registered one has 17 letters.
pub const METHOD: usize = 32;

/// Bytes of a request's host and port: a name has 253, and ours allow no user before it.
pub const AUTHORITY: usize = 512;

/// Bytes of a request's path and query: servers refuse more than 8 to 16 KiB of both.
pub const PATH: usize = 32 * KIB;

/// Bytes of a request's body that wait in the host until they are sent; wasmtime's own default of 1 MiB, for each of as
/// many bodies as a call has handles, would be hundreds of MiB.
pub const BODY_CHUNK: usize = 64 * KIB;

/// Parts of one upload: ten files with a form's fields before and between them make fewer. Each piece of media is a file
/// that is opened.
pub const UPLOAD_PARTS: usize = 128;

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

/// Bytes of one text of the host's making that quotes the plugin: a trap's detail, a failure's reason.
pub const QUOTED: usize = 2 * KIB;

/// A component's file: a Python guest has 35 MB. What is larger takes minutes to compile.
pub const COMPONENT: usize = 64 * MIB;

/// A component's file that is worth a warning: it compiles for more than ten seconds.
pub const COMPONENT_LARGE: usize = 16 * MIB;

/// What compiling one component may take in its process.
///
/// By the component's size, because a small one that takes long was made to. Ordinary code takes a second or two of one
/// processor for each MiB; JavaScript, 12 MiB: 7 to 17 s, 430 MiB resident, 710 MiB of address space; Python, 18 MiB: a
/// little less. The limits are three to five times that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Time on processors, all threads together; whole seconds.
    pub cpu: Duration,
    /// From start to end. Compiling gives way to everything else, so it may wait long on a busy machine.
    pub wall: Duration,
    /// Address space, bytes; more than what is ever resident, by the program itself and its threads' stacks and arenas.
    pub memory: u64,
    /// The compiled file, bytes.
    pub artefact: u64,
}

impl CompileLimits {
    /// For a component of `size` bytes.
    #[must_use]
    pub fn of(size: usize) -> Self {
        let mib = size.div_ceil(MIB) as u64;
        let cpu = Duration::from_secs(20 + 5 * mib);
        Self { cpu, wall: 4 * cpu, memory: (1024 + 64 * mib) * MIB as u64, artefact: (16 + 8 * mib) * MIB as u64 }
    }
}

/// Components that are compiled at once: each takes a processor or more and hundreds of MiB, and the gateway works on.
pub const COMPILES: usize = 2;

/// Threads of one compiling process. More of them compile sooner, and take the machine from everything else.
pub const COMPILE_THREADS: usize = 4;

/// What a compiling process may take beyond its soft limit of processor time before it is killed without a word.
pub const COMPILE_CPU_GRACE: Duration = Duration::from_secs(5);

/// Files that a compiling process may have open: its three streams, and what its start takes.
pub const COMPILE_FILES: u64 = 32;

/// How much a compiling process stands back (`nice`): a third of what everything else gets where there is not enough for
/// both. More would let a gateway that starts on a busy machine wait for its plugins.
pub const COMPILE_NICE: i32 = 5;

/// What a compiling process may say about a failure, bytes; what follows is thrown away.
pub const COMPILE_SAID: usize = 8 * KIB;

/// Compiled code that was not used for so long is removed when the engine starts: longer than a plugin is out of use
/// before somebody rolls back to it.
pub const COMPILED_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What an interrupted compilation left behind is removed when the engine starts, if it is older than any compilation
/// takes: another process may be compiling into the same folder.
pub const DRAFT_KEPT: Duration = Duration::from_secs(60 * 60);

/// HTTP requests in one call; four times what creating a ticket with attachments takes.
pub const REQUESTS: u32 = 64;

/// Looking a name up, connecting, TLS, sending the request and waiting for the first byte of the answer.
pub const FIRST_BYTE: Duration = Duration::from_secs(20);

/// The whole body of an answer, from its first byte: [`BODY_MOST`] at 1 MiB/s, and a dripping server ends here.
pub const WHOLE_BODY: Duration = Duration::from_secs(20);

/// The part of a request's body that is kept to send it once more with a new token. Requests to APIs are JSON of a few
/// KiB; what is longer is told 401, and whoever sent it tries again.
pub const REPLAY: u64 = MIB as u64;

/// Lines about refused requests in one call; a plugin is granted fewer hosts as a rule.
pub const DENIALS: usize = 8;

/// Asking for a token, from looking the name up to the last byte. Calls wait for it, so it is shorter than theirs.
pub const TOKEN: Duration = Duration::from_secs(10);

/// An answer with a token: access tokens with all claims inside have a few KiB.
pub const TOKEN_ANSWER: usize = 64 * KIB;

/// How long a token is used whose server does not say how long it is good for. If it ends sooner, there is a 401.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// No token is used longer, whatever its server says: a credential that was taken away must not go on for ever.
pub const TOKEN_LIFETIME_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is replaced so long before it ends, or at three quarters of a short life: clocks differ, and requests take
/// their time to arrive.
pub const TOKEN_EARLY: Duration = Duration::from_secs(60);

/// After a failure nobody asks for a token for so long: hundreds of waiting calls would each ask in turn.
pub const TOKEN_FAILED: Duration = Duration::from_secs(5);

/// The pause doubles with each further failure, up to this: servers that count (Zoho gives ten tokens in ten minutes) would
/// never be done with us, and a credential that was mended must be taken soon.
pub const TOKEN_FAILED_MOST: Duration = Duration::from_secs(60);

/// A token that a server does not take, though it should still be good, is replaced at most this often. A server that
/// answers 401 to everything would have us ask with every request.
pub const TOKEN_REJECTED: Duration = Duration::from_secs(10);

/// A node that asks for the next refresh token has so long for it, and then another one may ask. More than [`TOKEN`], and
/// than the store takes to keep the answer: a token that two ask with is taken from both by many servers.
pub const TOKEN_LEASE: Duration = Duration::from_secs(15);

/// The pause between two looks at whether the node that asks has the next token.
pub const TOKEN_LOOK: Duration = Duration::from_millis(100);

/// The pause between two tries to keep a token that the store did not take.
pub const TOKEN_KEEP: Duration = Duration::from_millis(500);

/// Tokens of one credential that are masked in logs and answers: the current ones, and those just replaced.
pub const KNOWN_TOKENS: usize = 6;

/// Connecting to one address, before the next one is tried.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections kept for one host: lanes run a few calls at a time toward one desk.
pub const IDLE_CONNECTIONS: usize = 16;

/// How long an idle connection is kept: load balancers close after 60 s.
pub const IDLE: Duration = Duration::from_secs(50);

/// Bytes of a key that a plugin keeps something under: what the store's own keys have room for.
pub const KEYVALUE_KEY: usize = 512;

/// Bytes of one value that a plugin keeps: a cached answer or a table of a few thousand rows, and no file.
pub const KEYVALUE_VALUE: usize = 256 * KIB;

/// Keys that one call may write: they are written all at once when it has answered.
pub const KEYVALUE_WRITES: usize = 256;

/// Keys and values that one call may write, bytes: they wait in the host's memory until it has answered.
pub const KEYVALUE_BYTES: u64 = 4 * MIB as u64;

/// Keys in one page of a listing.
pub const KEYVALUE_PAGE: usize = 1000;

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
