//! Checks whether a host, or a platform, keeps the contract of [`xarch_abi`], clause by clause.
//!
//! Every clause is one sentence with a name that does not change: [`CLAUSES`]. A check answers for each whether it is
//! kept, broken, with what was seen, or not applicable, with the reason. The kit knows no architecture: the host under
//! test puts the few steps of which its guest programs are made into machine code.
//!
//! ```text
//!              Host: programs, VMs, memory, threads, time
//!                ▼                    ▲
//!   clauses ──▶ checks ──▶ Services ──┤  memory and kicks: any Backend
//!                │    └──▶ Cpu ───────┤  a run: Pair of any BackendVcpu and any Guest
//!                └── Bench ◀──────────┘  the Platform, which the check is itself
//! ```
//!
//! Not checked: what a guest architecture says, which is not the contract's; how fast anything is; what a back end does
//! when it is given memory that does not exist.
//!
//! # Your own host in twenty lines
//!
//! Implement [`Host`] and [`Vm`]; [`Pair`] makes a [`Cpu`] of your vCPU and the guest side that is to run on it, and any
//! [`Backend`](xarch_abi::Backend) has [`Services`]. Then ask:
//!
//! ```
//! use xarch_abi::{GuestPa, HostPa, VcpuIndex};
//! use xarch_conformance::*;
//! # fn steps(_: &Step, _: &mut Code) -> Result<(), Cannot> { Err(Cannot("this host runs nothing")) }
//! # mod mine {
//! #     use xarch_abi::*;
//! #     #[derive(Debug)]
//! #     pub struct Refusal;
//! #     impl core::fmt::Display for Refusal {
//! #         fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str("no") }
//! #     }
//! #     impl core::error::Error for Refusal {}
//! #     pub struct MyVm;
//! #     impl Backend for MyVm {
//! #         type Error = Refusal;
//! #         fn add_slot(&self, _: &Slot) -> Result<(), Refusal> { Err(Refusal) }
//! #         fn remove_slot(&self, _: GuestRange) -> Result<(), Refusal> { Err(Refusal) }
//! #         fn unmap(&self, _: GuestRange) -> Result<(), Refusal> { Err(Refusal) }
//! #         fn protect(&self, _: GuestRange) -> Result<(), Refusal> { Err(Refusal) }
//! #         fn collect_dirty<F: FnMut(GuestPa)>(&self, _: GuestRange, _: F) -> Result<(), Refusal> { Err(Refusal) }
//! #         fn age(&self, _: GuestRange) -> Result<Age, Refusal> { Err(Refusal) }
//! #         fn request_exit(&self, _: VcpuIndex) {}
//! #     }
//! # }
//! # use mine::MyVm;
//!
//! struct MyHost;
//!
//! impl Host for MyHost {
//!     fn facts(&self) -> Facts<'_> {
//!         Facts {
//!             page_bytes: 4096,
//!             address_bits: 40,
//!             vcpus: 1,
//!             order: ByteOrder::Little,
//!             ram: GuestPa::new(0x4000_0000),
//!             memory: HostPa::new(0x20_0000),
//!             device: GuestPa::new(0x1000_0000),
//!             plain: &[],
//!             wide: &[],
//!             read_only: &[],
//!             unknown: &[],
//!             patience: 5_000_000_000,
//!             rounds: 300,
//!         }
//!     }
//!     fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
//!         steps(step, code) // one match: code.words(&[…]) for each
//!     }
//!     fn with_vm(&self, _vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
//!         then(&MyMachine(MyVm));
//!     }
//!     fn nanoseconds(&self) -> u64 {
//!         0
//!     }
//! }
//!
//! struct MyMachine(MyVm);
//!
//! impl Vm for MyMachine {
//!     fn services(&self) -> &dyn Services {
//!         &self.0
//!     }
//!     fn with_vcpu(&self, _index: VcpuIndex, _entry: GuestPa, _then: &mut dyn FnMut(&mut dyn Cpu)) {
//!         // let (mut vcpu, mut guest) = …; reset, set the program counter;
//!         // then(&mut Pair::new(&mut vcpu, &mut guest));
//!     }
//!     fn load(&self, _from: HostPa, _into: &mut [u8]) {}
//!     fn store(&self, _to: HostPa, _bytes: &[u8]) {}
//! }
//!
//! let mut report = Report::default();
//! let summary = check(&MyHost, |clause, verdict| report.note(clause, *verdict));
//! let refused = report.verdict("slot-is-refused-whole").unwrap().to_string();
//! assert_eq!(refused, "not applicable: this host runs nothing");
//! assert_eq!(summary.kept, 0);
//! println!("{report}");
//! ```
//!
//! `tests/riscv` of this crate is a whole host in that form, with a guest architecture of its own. A host whose guest
//! side is out of reach, such as a table of functions, implements [`Cpu`] and [`Services`] itself and says
//! [`GuestSide::Hidden`]: clauses about what the two say to each other are not applicable then. A host without threads
//! leaves [`Host::at_once`] out, and races are not checked.
//!
//! A platform is checked by [`check_platform`]: implement [`Embedder`] for it.
//!
//! The kit allocates nothing and needs no operating system: some 6 KiB of stack beside what the host takes, and
//! [`Report`] if you keep one.
//!
//! # Sources
//! The documentation of [`xarch_abi`], which each clause puts into one sentence.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::result_large_err,
    reason = "what was seen is carried out of a check once, and nothing allocates"
)]

mod bench;
mod checks;
mod clauses;
mod host;
mod platform;
mod program;
mod report;
mod stage;
mod text;
mod watch;

pub use bench::Bench;
pub use clauses::{CLAUSES, Clause, Party};
pub use host::{
    ByteOrder, Cpu, Facts, GuestSide, Host, MEMORY_BYTES, Pair, RAM_BYTES, Refused, Services, Threads, Vm,
};
pub use platform::{Embedder, Machine, Woken};
pub use program::{CODE_BYTES, Cannot, Code, Step};
pub use report::{Report, Summary, Verdict};
pub use text::Text;

use clauses::Check;
use stage::Stage;

/// Checks a host, clause by clause, and shows each verdict as it is found.
pub fn check(host: &dyn Host, mut found: impl FnMut(&'static Clause, &Verdict)) -> Summary {
    let stage = Stage::new(host);
    CLAUSES.iter().fold(Summary::default(), |summary, clause| match clause.check {
        Check::OfHost(check) => {
            let verdict = Verdict::from(check(&stage));
            found(clause, &verdict);
            summary.with(&verdict)
        }
        Check::OfPlatform(_) => summary,
    })
}

/// Checks a platform, clause by clause, and shows each verdict as it is found.
pub fn check_platform(embedder: &dyn Embedder, mut found: impl FnMut(&'static Clause, &Verdict)) -> Summary {
    CLAUSES.iter().fold(Summary::default(), |summary, clause| match clause.check {
        Check::OfPlatform(check) => {
            let verdict = Verdict::from(check(embedder));
            found(clause, &verdict);
            summary.with(&verdict)
        }
        Check::OfHost(_) => summary,
    })
}
