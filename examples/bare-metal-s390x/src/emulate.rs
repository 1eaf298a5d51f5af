//! The facility's instructions, by program check: what a machine without the facility does instead of executing them.
//!
//! Nobody outside IBM has the facility, so nobody could run the driver's `hw` module. Here its instructions are
//! executed, recognised as none by the CPU, decoded from storage, done by `sae-model`, and left with every register
//! that they may change changed: what the driver relies on is then only what it may rely on.
//!
//! The discovery chain is walked, not bypassed: an emulated machine announces the facility where a real one would, in
//! the CPU entries of the service processor's information ([`announce`]) and in the mask of PTFF's functions, which
//! this CPU does not have either. QEMU has neither PTFF nor the BEAR-enhancement facility, which is why STBEAR and
//! LBEAR are here.

use crate::hw::{self, Frame};
use crate::layout::CPUS;
use crate::model::{self, Cpu, Machine};
use crate::report;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use s390_arch::Absolute;
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::opcode::{self, Gpr, Rie, Rre};
use s390_arch::sae::{Facility, HostControl, Rejected};
use s390_host::discovery;
use spin::{Mutex, Once};

/// The machine whose instructions these are, where they are emulated at all.
static MACHINE: Once<&'static Machine> = Once::new();
/// Its CPUs: of each, this one's.
static MODELS: [Mutex<Option<Cpu>>; CPUS] = [const { Mutex::new(None) }; CPUS];
/// The control block in SAE on each CPU, 0 for none.
static IN_SAE: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
/// Breaking-event addresses, as LBEAR has left them.
static BREAKING: [AtomicU64; CPUS] = [const { AtomicU64::new(1) }; CPUS];
/// What was emulated, in the order of [`Operation::NAMES`].
static COUNTS: [AtomicU64; 9] = [const { AtomicU64::new(0) }; 9];

/// The model keeps no translation from one SAE to the next.
static KEEPS_NOTHING: AtomicBool = AtomicBool::new(false);

/// An instruction of the facility, or one that comes with it.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Rre(Rre, Gpr),
    Rie(opcode::RieOperands),
    Ptff,
    StoreBreaking { base: u8, displacement: u64 },
    LoadBreaking { base: u8, displacement: u64 },
}

impl Operation {
    const NAMES: [&str; 9] = ["SAE", "LASRM", "STIASRM", "QAAF", "SASR", "EASR", "PTFF", "STBEAR", "LBEAR"];

    /// Decodes an instruction by its bytes; `None` if it is none of these.
    fn decode(code: [u8; 6]) -> Option<Self> {
        let [a, b, c, d, ..] = code;
        let storage = || (c >> 4, u64::from(c & 15) << 8 | u64::from(d));
        match (a, b) {
            _ if [a, b] == opcode::PTFF => Some(Self::Ptff),
            // LBEAR and STBEAR, S format: B2 16-19, D2 20-31.
            (0xb2, 0x00 | 0x01) => {
                let (base, displacement) = storage();
                Some(match b {
                    0 => Self::LoadBreaking { base, displacement },
                    _ => Self::StoreBreaking { base, displacement },
                })
            }
            _ => Rre::decode([a, b, c, d])
                .map(|(operation, r1)| Self::Rre(operation, r1))
                .or_else(|| opcode::RieOperands::decode(code).map(Self::Rie)),
        }
    }

    const fn number(self) -> usize {
        match self {
            Self::Rre(Rre::Sae, _) => 0,
            Self::Rre(Rre::Lasrm, _) => 1,
            Self::Rre(Rre::Stiasrm, _) => 2,
            Self::Rre(Rre::Qaaf, _) => 3,
            Self::Rie(opcode::RieOperands { operation: Rie::Sasr, .. }) => 4,
            Self::Rie(opcode::RieOperands { operation: Rie::Easr, .. }) => 5,
            Self::Ptff => 6,
            Self::StoreBreaking { .. } => 7,
            Self::LoadBreaking { .. } => 8,
        }
    }
}

/// Returns the name of the instruction that these bytes are, if it is one of the facility's.
pub fn name(code: [u8; 6]) -> Option<&'static str> {
    Operation::decode(code).and_then(|operation| Operation::NAMES.get(operation.number()).copied())
}

/// Makes the machine have the facility, from now on.
pub fn install(machine: &'static Machine) {
    for (number, model) in MODELS.iter().enumerate() {
        *model.lock() = Some(model::cpu(machine, number));
    }
    MACHINE.call_once(|| machine);
}

/// Says in a CPU entry of the service processor's information what a machine with the facility says there.
pub fn announce(entry: &mut [u8]) {
    if let (Some(_), Some(byte)) = (MACHINE.get(), entry.get_mut(discovery::AEF_BYTE)) {
        *byte |= discovery::AEF;
    }
}

/// The machine's own caches are emptied along with the CPU's: the driver's tables are also walked by the model.
pub fn machine() -> Option<&'static Machine> {
    MACHINE.get().copied()
}

/// Has the model forget what it found in tables before each SAE, since nobody tells it what changes there: IPTE and IDTE
/// of the C library are instructions of the CPU, of which the model sees nothing.
pub fn keep_nothing() {
    KEEPS_NOTHING.store(true, Ordering::Relaxed);
}

/// Ends an SAE that runs on this CPU, as an interruption of the host does; called with it.
pub fn interrupted() {
    let block = IN_SAE.get(hw::this_cpu()).map_or(0, |block| block.load(Ordering::SeqCst));
    if let (Some(machine), true) = (MACHINE.get(), block != 0) {
        machine.request_exit(Absolute::new(block));
    }
}

/// Says what was emulated.
pub fn counts() -> impl Iterator<Item = (&'static str, u64)> {
    Operation::NAMES.into_iter().zip(COUNTS.iter().map(|count| count.load(Ordering::Relaxed)))
}

/// Emulates the instruction that ended with an operation exception; what is none of the facility's is reported, and so
/// is what ends with a program interruption on a machine that has the facility.
pub fn operation(frame: &mut Frame) {
    let check = hw::program_check();
    let code = hw::instruction(frame.address.wrapping_sub(check.length));
    let cpu = hw::this_cpu();
    let done = match (Operation::decode(code), MODELS.get(cpu).map(|model| model.try_lock())) {
        (Some(operation), Some(Some(mut model))) => match model.as_mut() {
            Some(model) => {
                if let Some(count) = COUNTS.get(operation.number()) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                execute(operation, frame, model, cpu)
            }
            None => Err(ProgramCode::OPERATION),
        },
        _ => Err(ProgramCode::OPERATION),
    };
    if let Err(code) = done {
        report::program_check(frame, hw::ProgramCheck { code, ..check })
    }
}

fn execute(operation: Operation, frame: &mut Frame, model: &mut Cpu, cpu: usize) -> Result<(), ProgramCode> {
    let rejected = |error: Rejected| error.code;
    let register = |gpr: Gpr| frame.general[usize::from(gpr.number())];
    // Storage operands are logical addresses, but for SAE's.
    let area = |gpr| hw::absolute(register(gpr)).ok_or(ProgramCode::ADDRESSING);
    let address = |base: u8, displacement: u64| match base {
        0 => displacement,
        _ => frame.general[usize::from(base)].wrapping_add(displacement),
    };
    match operation {
        Operation::Rre(Rre::Sae, r1) => {
            let block = Absolute::new(register(r1));
            sae(block, frame.mask & hw::EXTERNAL != 0, model, cpu);
            spoil(frame, cpu);
        }
        Operation::Rre(Rre::Lasrm, r1) => model.lasrm(area(r1)?).map_err(rejected)?,
        Operation::Rre(Rre::Stiasrm, r1) => model.stiasrm(area(r1)?).map_err(rejected)?,
        Operation::Rre(Rre::Qaaf, r1) => model.qaaf(frame.general[0], area(r1)?).map_err(rejected)?,
        Operation::Rie(operands) => {
            let opcode::RieOperands { operation, r1, r3, i2, m4 } = operands;
            let m4 = m4.ok_or(ProgramCode::SPECIFICATION)?;
            match operation {
                Rie::Sasr => model.sasr(area(r3)?, i2, m4, register(r1)).map_err(rejected)?,
                Rie::Easr => {
                    let value = model.easr(area(r3)?, i2, m4).map_err(rejected)?;
                    frame.general[usize::from(r1.number())] = value;
                }
            }
        }
        Operation::Ptff => {
            set_condition(frame, ptff(frame.general[0], frame.general[1], model)?);
            return Ok(());
        }
        Operation::StoreBreaking { base, displacement } => {
            let value = BREAKING.get(cpu).map_or(0, |place| place.load(Ordering::Relaxed));
            hw::finish_operand(address(base, displacement), value);
            return Ok(());
        }
        Operation::LoadBreaking { base, displacement } => {
            let value = hw::operand(address(base, displacement));
            if let Some(place) = BREAKING.get(cpu) {
                place.store(value, Ordering::Relaxed);
            }
            return Ok(());
        }
    }
    // What they do to the condition code is not known.
    set_condition(frame, garbage() & 3);
    Ok(())
}

/// Runs the guest. An interruption of the host is taken while it runs if the host is enabled for it, and ends it.
fn sae(block: Absolute, enabled: bool, model: &mut Cpu, cpu: usize) {
    if let (Some(machine), true) = (MACHINE.get(), KEEPS_NOTHING.load(Ordering::Relaxed)) {
        machine.ptlb();
    }
    let mut vectors = hw::vectors();
    model.load_vectors(&vectors);
    let place = IN_SAE.get(cpu);
    if let Some(place) = place {
        place.store(block.bits(), Ordering::SeqCst);
    }
    if enabled {
        hw::enable();
    }
    model.sae(block);
    hw::disable();
    if let Some(place) = place {
        place.store(0, Ordering::SeqCst);
    }
    model.store_vectors(&mut vectors);
    hw::set_vectors(&vectors);
}

/// Changes what SAE may change: general registers 0 to 13, access registers, the breaking-event address; and the
/// floating-point-control register, which the driver takes care of though nobody says that it must.
fn spoil(frame: &mut Frame, cpu: usize) {
    frame.general.iter_mut().take(14).for_each(|register| *register = garbage());
    let access = core::array::from_fn(|_| garbage() as u32);
    // Flags, data-exception code, rounding.
    hw::set_others(&hw::Others { access, control: garbage() as u32 & 0x00f8_ff03 });
    if let Some(place) = BREAKING.get(cpu) {
        place.store(garbage() & !1, Ordering::Relaxed);
    }
}

/// PERFORM TIMING FACILITY FUNCTION, PoP ch. 10; returns the condition code.
fn ptff(gr0: u64, parameters: u64, model: &mut Cpu) -> Result<u64, ProgramCode> {
    // Bit 56 has to be zero, bits 57 to 63 are the function.
    if gr0 & 0x80 != 0 {
        return Err(ProgramCode::SPECIFICATION);
    }
    let mut words = [hw::operand(parameters), hw::operand(parameters.wrapping_add(8))];
    // Functions that are not installed: condition code 3.
    if model.ptff(gr0 as u8, &mut words).is_err() {
        return Ok(3);
    }
    for (at, word) in (0..).step_by(8).zip(words) {
        hw::finish_operand(parameters.wrapping_add(at), word);
    }
    Ok(0)
}

const fn set_condition(frame: &mut Frame, code: u64) {
    frame.mask = frame.mask & !(3 << 44) | (code & 3) << 44;
}

/// Returns something that nobody can rely on. Xorshift, Marsaglia 2003.
fn garbage() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut x = STATE.load(Ordering::Relaxed);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    STATE.store(x, Ordering::Relaxed);
    x
}
