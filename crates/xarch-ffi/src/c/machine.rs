//! Back ends of a library that is compiled for s390x: the facility in software, or the machine's own.
//!
//! The second one is there for a caller that has found the facility announced, on a machine whose PTFF then says so
//! too; what else the chain of discovery asks, [`s390_host::Vm::new`] does. It runs guests by [`s390_host::hw`], in
//! supervisor state. Tables lie in a row in absolute storage; all other memory is wherever the caller's mapping leads,
//! which LRAG says when a guest first touches it.

use crate::objects::{Model, ModelCpu};
use core::arch::asm;
use s390_arch::addr::FrameSize;
use s390_arch::sae::{Facility, HostControl, M4, Rejected, SystemRegisterNumber};
use s390_arch::{Absolute, AbsoluteStorage, Frame, OutsideStorage};
use s390_host::discovery;
use s390_host::hw::{Hw, HwControl};
use sae_model::Storage;

const PAGE: u64 = FrameSize::Page.bytes();

/// Whether this machine has the facility, as far as PTFF tells; for a caller that knows it to be announced.
pub(crate) fn is_there() -> bool {
    // SAFETY: PTFF alone is executed, for which neither storage nor blocks matter.
    discovery::converts_guest_time(&mut unsafe { Hw::new(0) })
}

/// What plays the facility, if it is played.
pub(crate) fn model_of(control: &Control) -> Option<&'static Model> {
    match control {
        Control::Model(model) => Some(model),
        Control::Machine(_) => None,
    }
}

/// One CPU.
#[derive(Debug)]
pub(crate) enum Cpu {
    Model(&'static mut ModelCpu),
    Machine(&'static mut Hw),
}

impl From<&'static mut ModelCpu> for Cpu {
    fn from(cpu: &'static mut ModelCpu) -> Self {
        Self::Model(cpu)
    }
}

/// Does something with either.
macro_rules! either {
    ($of:expr, $found:ident => $then:expr) => {
        match $of {
            Self::Model($found) => $then,
            Self::Machine($found) => $then,
        }
    };
}

impl Facility for Cpu {
    fn sae(&mut self, block: Absolute) {
        either!(self, cpu => cpu.sae(block));
    }

    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        either!(self, cpu => cpu.lasrm(area))
    }

    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        either!(self, cpu => cpu.stiasrm(area))
    }

    fn sasr(
        &mut self,
        area: Absolute,
        register: SystemRegisterNumber,
        m4: M4,
        value: u64,
    ) -> Result<(), Rejected> {
        either!(self, cpu => cpu.sasr(area, register, m4, value))
    }

    fn easr(&mut self, area: Absolute, register: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
        either!(self, cpu => cpu.easr(area, register, m4))
    }

    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected> {
        either!(self, cpu => cpu.qaaf(gr0, result))
    }

    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
        either!(self, cpu => cpu.ptff(code, parameters))
    }

    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        either!(self, cpu => cpu.load_vectors(vectors));
    }

    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        either!(self, cpu => cpu.store_vectors(vectors));
    }
}

/// What one CPU does to all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    Model(&'static Model),
    Machine(HwControl<fn(Absolute)>),
}

impl From<&'static Model> for Control {
    fn from(model: &'static Model) -> Self {
        Self::Model(model)
    }
}

impl HostControl for Control {
    fn ipte(&self, page_table: Absolute, address: u64, asce: u64) {
        either!(self, control => control.ipte(page_table, address, asce));
    }

    fn idte(&self, entry: Absolute, address: u64, asce: u64) {
        either!(self, control => control.idte(entry, address, asce));
    }

    fn idte_asce(&self, asce: u64) {
        either!(self, control => control.idte_asce(asce));
    }

    fn ptlb(&self) {
        either!(self, control => control.ptlb());
    }

    fn request_exit(&self, block: Absolute) {
        either!(self, control => control.request_exit(block));
    }
}

/// The embedder interrupts the CPU of a vCPU that is to leave its guest: the header says so.
fn interrupt(_: Absolute) {}

/// The caller's `storage`, from `origin` on: the absolute address of its first byte where the machine runs guests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pages: Storage<'static>,
    origin: u64,
    /// Where it is mapped; `None` if places in it are no absolute addresses of the machine.
    mapped: Option<u64>,
}

impl From<Storage<'static>> for Window {
    fn from(pages: Storage<'static>) -> Self {
        Self { pages, origin: 0, mapped: None }
    }
}

impl Window {
    /// Takes memory that is mapped at `start`, with tables in its first `table_bytes`; `None` if these do not lie in a
    /// row in absolute storage.
    pub(crate) fn mapped(pages: Storage<'static>, start: u64, table_bytes: u64) -> Option<Self> {
        let origin = in_a_row(start, table_bytes)?;
        Some(Self { pages, origin, mapped: Some(start) })
    }

    /// Returns the place of its first byte.
    pub(crate) const fn origin(&self) -> u64 {
        self.origin
    }

    /// Takes the CPU that this runs on. `None` where the machine does not run guests.
    ///
    /// # Safety
    /// The machine has the facility, and is in supervisor state whenever what is returned is used; the caller obeys what
    /// the header says about threads and mappings.
    pub(crate) unsafe fn cpu(&self) -> Option<Hw> {
        // SAFETY: the caller's promise; blocks and tables lie in the first part of the window, which `mapped` has
        // found in a row, and belong to the driver; slots name the caller's memory.
        self.offset().map(|offset| unsafe { Hw::new(offset) })
    }

    /// Takes what reaches all CPUs.
    ///
    /// # Safety
    /// As [`cpu`](Self::cpu).
    pub(crate) unsafe fn control(&self) -> Option<Control> {
        // SAFETY: as there; what LRAG gives lies outside the prefix area.
        self.offset().map(|offset| Control::Machine(unsafe { HwControl::new(offset, interrupt) }))
    }

    fn offset(&self) -> Option<u64> {
        self.mapped.map(|start| start.wrapping_sub(self.origin))
    }

    fn inside(&self, at: Absolute) -> Result<Absolute, OutsideStorage> {
        at.bits().checked_sub(self.origin).map(Absolute::new).ok_or(OutsideStorage(at))
    }
}

impl AbsoluteStorage for Window {
    #[inline]
    fn load(&self, at: Absolute) -> Result<[u8; 8], OutsideStorage> {
        self.pages.load(self.inside(at)?)
    }

    #[inline]
    fn store(&self, at: Absolute, bytes: [u8; 8]) -> Result<(), OutsideStorage> {
        self.pages.store(self.inside(at)?, bytes)
    }

    fn compare_and_swap(
        &self,
        at: Absolute,
        current: [u8; 8],
        new: [u8; 8],
    ) -> Result<Result<(), [u8; 8]>, OutsideStorage> {
        self.pages.compare_and_swap(self.inside(at)?, current, new)
    }

    fn frame(&self, at: Absolute) -> Result<&Frame, OutsideStorage> {
        self.pages.frame(self.inside(at)?)
    }

    fn read_bytes(&self, at: Absolute, into: &mut [u8]) -> Result<(), OutsideStorage> {
        self.pages.read_bytes(self.inside(at)?, into)
    }

    fn write_bytes(&self, at: Absolute, from: &[u8]) -> Result<(), OutsideStorage> {
        self.pages.write_bytes(self.inside(at)?, from)
    }

    fn frame_of(&self, place: Absolute, bytes: u64) -> Option<Absolute> {
        match self.mapped {
            None => Some(place),
            Some(start) => {
                let offset = self.inside(place).ok()?.bits();
                in_a_row(start.checked_add(offset)?, bytes).map(Absolute::new)
            }
        }
    }
}

/// Returns the absolute address of what is mapped at `start`, if `bytes` from there on, whole pages, lie in a row.
fn in_a_row(start: u64, bytes: u64) -> Option<u64> {
    let first = absolute(start)?;
    let pages = (1..bytes.checked_div(PAGE)?).map(|page| page.wrapping_mul(PAGE));
    let follows = |offset: u64| absolute(start.wrapping_add(offset)) == first.checked_add(offset);
    pages.into_iter().all(follows).then_some(first)
}

/// Bytes of a prefix area.
const PREFIX_AREA: u64 = 0x2000;

/// Returns the absolute address of what is mapped at `logical`; `None` where nothing is, and for a prefix area, which no
/// caller can mean.
fn absolute(logical: u64) -> Option<u64> {
    let (real, cc): (u64, u64);
    let mut prefix = 0_u32;
    // SAFETY: LRAG asks for a translation and changes nothing; STPX stores a word. PoP ch. 10.
    unsafe {
        asm!(
            "lrag {real}, 0({at})",
            "ipm {cc}",
            "stpx 0({prefix})",
            real = out(reg) real,
            cc = out(reg) cc,
            at = in(reg_addr) logical,
            prefix = in(reg_addr) &raw mut prefix,
            options(nostack)
        );
    }
    // Condition code 0: there is a translation.
    let there = cc >> 28 & 3 == 0;
    // What prefixing exchanges. PoP ch. 3, "Prefixing".
    let exchanged = real < PREFIX_AREA || real.wrapping_sub(u64::from(prefix)) < PREFIX_AREA;
    (there && !exchanged).then_some(real)
}
