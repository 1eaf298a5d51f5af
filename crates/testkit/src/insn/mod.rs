//! The instruction oracle: random A64 instructions with random states, what a reference machine makes
//! of them, and the comparison with an engine.
//!
//! ```text
//!   (seed, number) ──generate──▶ Case ──┬─▶ QEMU with oracles/insn ─▶ Raw ─┐
//!                                       ├─▶ the architecture's "UNDEFINED" ─┼─normalise─▶ Outcome ─compare─▶ differences
//!                                       └─▶ an InsnEngine ─────────▶ Raw ───┘
//! ```
//!
//! * A case is up to eight instruction words at one address, a whole state, and 512 bytes of data.
//! * Words of the announced instruction set ([`announced`]) are put to QEMU. Words outside it are
//!   UNDEFINED by the architecture, and that expectation needs no machine ([`outcome::undefined`]).
//! * CONSTRAINED UNPREDICTABLE encodings are not generated ([`unpredictable`]).
//! * Where QEMU 7.2 departs from the architecture, [`outcome`] says so by name and corrects the
//!   expectation.
//!
//! Both sides run the same image ([`mod@env`]): the word after the case is `SMC #2`, the EL1 vectors hold
//! `SMC #0x100 + n`; the run stops at the first SMC that reaches EL2 or above, or at WFE or WFI.

pub mod announced;
pub mod case;
pub mod compare;
#[cfg(feature = "engine")]
pub mod engine;
pub mod env;
pub mod generate;
pub mod memory_form;
pub mod outcome;
pub mod qemu;
pub mod store;
pub mod system;
pub mod table;
pub mod unpredictable;
pub mod values;

pub use case::{Case, InsnEngine, Peer, Raw, State, Stop};
pub use env::Env;
pub use outcome::Outcome;
