//! What the hardware refuses, or gets wrong, arrives at the person as an error with its reason; and a machine of every
//! setting runs the same guest. In-process: the blocks are spoilt between the driver and the facility.

use crate::guest::{Program, a64::*};
use crate::session::{LIMIT, TemporaryFile};
use s390_arch::sae::block::field;
use s390_arch::sae::{InterceptionCode, QmcBase, ValidityReason, save_area};
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::LimitForm;
use sae_model::{HostStores, Mischief, PastLimit, Storage, TimerForm};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use vmm::console::Typist;
use vmm::image::{self, Image};
use vmm::machine::{self, BeforeRun, End, Memory, Setup};
use vmm::options::Options;
use vmm::{Error, run_image};
use xarch_abi::{StopReason, VcpuIndex};

fn options(cpus: u16) -> Options {
    let arguments = ["vmm", "--kernel", "k", "--memory", "64", "--no-reboot", "--cpus", &cpus.to_string()];
    Options::from_command_line(arguments.into_iter().map(Into::into)).unwrap()
}

fn image(guest: Program) -> Arc<Image> {
    let file = TemporaryFile::new(&guest.image());
    Arc::new(image::read(Path::new(file.name()), None, 64 << 20).unwrap())
}

/// Turns the machine off if nothing else happens.
fn quiet() -> Arc<Image> {
    let mut guest = Program::new();
    guest.power_off();
    image(guest)
}

#[track_caller]
fn error(setup: Setup<'static>, cpus: u16, image: &Arc<Image>) -> Error {
    let image = Arc::clone(image);
    within_limit(move |memory| run_image(&options(cpus), &image, memory, &setup))
        .expect_err("the machine fails")
}

/// Lends a hook for as long as a machine may be left behind.
fn hook(
    before_run: impl Fn(&Storage<'_>, Absolute, VcpuIndex) + Sync + 'static,
) -> Option<&'static BeforeRun<'static>> {
    Some(Box::leak(Box::new(before_run)))
}

/// What is done to a doubleword of the control block, or of the save area that it names.
#[derive(Clone, Copy)]
enum Spoil {
    Block(u64, fn(u64) -> u64),
    Area(u64, fn(u64) -> u64),
}

fn spoil(storage: &Storage<'_>, block: Absolute, what: Spoil) {
    let (at, change) = match what {
        Spoil::Block(offset, change) => (block.checked_add(offset).unwrap(), change),
        Spoil::Area(offset, change) => {
            let area = storage.load_u64(block.checked_add(field::SAVE_AREA).unwrap()).unwrap();
            (Absolute::new(area).checked_add(offset).unwrap(), change)
        }
    };
    storage.store_u64(at, change(storage.load_u64(at).unwrap())).unwrap();
}

/// One field each; the reasons are the names of the SAE sources, and which field has which is the model's reading.
const CASES: &[(&str, Spoil, &str)] = &[
    ("format of the block", Spoil::Block(field::SDF, |_| 1 << 56), "0x01 (UNSUPP_FORMAT)"),
    ("the last format of the block", Spoil::Block(field::SDF, |_| 0xff << 56), "0x01 (UNSUPP_FORMAT)"),
    ("origin within a MiB", Spoil::Block(field::MSO, |_| 0x1000), "0x08 (MSO_ALIGN)"),
    ("origin behind the limit", Spoil::Block(field::MSO, |_| 1 << 40), "0x02 (MSO_BOUNDS)"),
    ("limit beyond 48 bits", Spoil::Block(field::MSL, |_| 1 << 48), "0x04 (MGPAS)"),
    ("limit of all ones", Spoil::Block(field::MSL, |_| u64::MAX), "0x04 (MGPAS)"),
    ("real-space ASCE", Spoil::Block(field::HBASCE, |asce| asce | 0x20), "0x06 (HOST_CONTROL)"),
    (
        "ASCE outside storage",
        Spoil::Block(field::HBASCE, |asce| asce | 0x7fff_f000_0000_0000),
        "0x06 (HOST_CONTROL)",
    ),
    ("no save area", Spoil::Block(field::SAVE_AREA, |_| 0), "0x06 (HOST_CONTROL)"),
    (
        "the save area of nobody",
        Spoil::Block(field::SAVE_AREA, |area| area + 0x10_0000),
        "0x06 (HOST_CONTROL)",
    ),
    ("a save area outside storage", Spoil::Block(field::SAVE_AREA, |_| 1 << 60), "0x06 (HOST_CONTROL)"),
    (
        "a save area that points elsewhere",
        Spoil::Area(save_area::field::SDO, |sdo| sdo ^ 0x1000),
        "0x06 (HOST_CONTROL)",
    ),
    ("interception controls", Spoil::Block(field::IC, |_| 1), "0x06 (HOST_CONTROL)"),
    ("execution controls", Spoil::Block(field::EC, |_| 1 << 63), "0x06 (HOST_CONTROL)"),
    ("system control area within a page", Spoil::Block(field::SCAD, |scad| scad + 8), "0x07 (SCA)"),
    ("system control area outside storage", Spoil::Block(field::SCAD, |_| 1 << 60), "0x07 (SCA)"),
    ("interruption controls", Spoil::Block(field::IRQ_CTL, |_| 1 << 56), "0x0a (IRPTC)"),
    ("PSTATE of AArch32", Spoil::Block(field::PSTATE, |pstate| pstate | 0x10), "0x05 (INVAL_SYSREG)"),
    ("PSTATE of EL2", Spoil::Block(field::PSTATE, |pstate| pstate & !0xf | 9), "0x05 (INVAL_SYSREG)"),
    ("PSTATE of EL3", Spoil::Block(field::PSTATE, |pstate| pstate & !0xf | 0xd), "0x05 (INVAL_SYSREG)"),
    ("PSTATE of no level", Spoil::Block(field::PSTATE, |pstate| pstate & !0xf | 1), "0x05 (INVAL_SYSREG)"),
];

#[test]
fn a_spoilt_control_block_is_an_error_with_its_reason() {
    let image = quiet();
    for (name, what, reason) in CASES {
        let before_run = hook(|storage, block, _| spoil(storage, block, *what));
        let error = error(Setup { before_run, ..Setup::default() }, 1, &image);
        assert_eq!(error.status(), 1, "{name}");
        let want = format!("vcpu 0 stopped: the hardware refuses its state, validity reason {reason}");
        assert_eq!(error.to_string(), want, "{name}");
    }
}

/// A limit that is a size has to be one of whole MiB.
#[test]
fn a_limit_within_a_mib_is_refused_where_it_is_a_size() {
    let image = quiet();
    let before_run =
        hook(|storage, block, _| spoil(storage, block, Spoil::Block(field::MSL, |limit| limit + 0x1000)));
    let model = sae_model::Config { limit: sae_model::LimitForm::Size, ..sae_model::Config::default() };
    let setup = Setup { model, limit: LimitForm::Size, before_run };
    assert!(error(setup, 1, &image).to_string().ends_with("validity reason 0x03 (MSLA)"));
}

/// A block that stays as the driver made it is not refused: the hook itself does no harm.
#[test]
fn an_unspoilt_control_block_runs() {
    let before_run = hook(|storage, block, _| spoil(storage, block, Spoil::Block(field::MSL, |limit| limit)));
    assert_eq!(run(Setup { before_run, ..Setup::default() }, 1, &quiet()), Ok(End::PowerOff));
}

/// The vCPU is named: the second one fails when the first one starts it.
#[test]
fn the_error_names_the_vcpu() {
    let mut guest = Program::new();
    guest.set(0, 0xc400_0003);
    guest.set(1, 1);
    guest.to("second", |o| adr(2, o));
    guest.op(hvc(0));
    guest.hang();
    guest.label("second");
    guest.power_off();
    let image = image(guest);
    let before_run = hook(|storage, block, vcpu| {
        if vcpu == VcpuIndex(1) {
            spoil(storage, block, Spoil::Block(field::MSO, |_| 0x1000));
        }
    });
    let error = error(Setup { before_run, ..Setup::default() }, 2, &image);
    assert!(error.to_string().starts_with("vcpu 1 stopped: "), "{error}");
    assert!(error.to_string().ends_with("validity reason 0x08 (MSO_ALIGN)"), "{error}");
}

fn mischief(misbehaviour: sae_model::Misbehaviour) -> Setup<'static> {
    let model = sae_model::Config { misbehaviour: Some(misbehaviour), ..sae_model::Config::default() };
    Setup { model, ..Setup::default() }
}

macro_rules! misbehaviours {
    ($($mischief:expr => $text:literal,)*) => {
        &[$((|_| Some($mischief), $text),)*]
    };
}

/// The facility reports every reason there is, and codes that nobody knows.
#[test]
fn whatever_the_facility_reports_is_said() {
    type Case = (sae_model::Misbehaviour, &'static str);
    let cases: &[Case] = misbehaviours! {
        Mischief::Validity(ValidityReason::UNKNOWN) => "validity reason 0x00 (UNKNOWN)",
        Mischief::Validity(ValidityReason::UNSUPP_FORMAT) => "validity reason 0x01 (UNSUPP_FORMAT)",
        Mischief::Validity(ValidityReason::MSO_BOUNDS) => "validity reason 0x02 (MSO_BOUNDS)",
        Mischief::Validity(ValidityReason::MSLA) => "validity reason 0x03 (MSLA)",
        Mischief::Validity(ValidityReason::MGPAS) => "validity reason 0x04 (MGPAS)",
        Mischief::Validity(ValidityReason::INVAL_SYSREG) => "validity reason 0x05 (INVAL_SYSREG)",
        Mischief::Validity(ValidityReason::HOST_CONTROL) => "validity reason 0x06 (HOST_CONTROL)",
        Mischief::Validity(ValidityReason::SCA) => "validity reason 0x07 (SCA)",
        Mischief::Validity(ValidityReason::MSO_ALIGN) => "validity reason 0x08 (MSO_ALIGN)",
        Mischief::Validity(ValidityReason::HLC) => "validity reason 0x09 (HLC)",
        Mischief::Validity(ValidityReason::IRPTC) => "validity reason 0x0a (IRPTC)",
        Mischief::Validity(ValidityReason(0x0b)) => "validity reason 0x0b (unknown reason)",
        Mischief::Validity(ValidityReason(0xffff)) => "validity reason 0xffff (unknown reason)",
        Mischief::Code(InterceptionCode(0x05)) => "interception code 0x5 is unknown",
        Mischief::Code(InterceptionCode(0x07)) => "the host stopped it",
        Mischief::Code(InterceptionCode(0x08)) => "interception code 0x8 is unknown",
        Mischief::Code(InterceptionCode(0x09)) => "interception code 0x9 is unknown",
        Mischief::Code(InterceptionCode(0x0b)) => "interception code 0xb is unknown",
        Mischief::Code(InterceptionCode(0x55)) => "interception code 0x55 is unknown",
        Mischief::Code(InterceptionCode(0xff)) => "interception code 0xff is unknown",
    };
    let image = quiet();
    for (misbehaviour, text) in cases {
        let error = error(mischief(*misbehaviour), 1, &image);
        assert_eq!(error.status(), 1);
        let error = error.to_string();
        assert!(error.starts_with("vcpu 0 stopped: ") && error.ends_with(text), "{error}, not {text}");
    }
}

/// Payloads of all ones under known codes: aborts and traps of no meaning, which end or go on, but never break.
#[test]
fn payloads_of_nonsense_are_survived() {
    // Any exception at all turns the machine off.
    let mut guest = Program::with_handler("off");
    guest.repeat(8, 200, |guest| guest.ops(&[movz(0, 0x8400, 1), hvc(0)]));
    guest.label("off");
    guest.power_off();
    let image = image(guest);
    let cases: [sae_model::Misbehaviour; 4] = [
        |entry| (entry == 50).then_some(Mischief::Code(InterceptionCode(0x02))),
        |entry| (entry == 50).then_some(Mischief::Code(InterceptionCode(0x03))),
        |entry| (entry == 50).then_some(Mischief::Code(InterceptionCode(0x04))),
        |entry| (entry == 50).then_some(Mischief::Code(InterceptionCode(0x0a))),
    ];
    for (index, misbehaviour) in cases.into_iter().enumerate() {
        match (index, run(mischief(misbehaviour), 1, &image)) {
            // A program interruption that translation does not have, with code 2.
            (0, Ok(End::Failed(VcpuIndex(0), StopReason::Unknown(0x0002_007f)))) => {}
            // A class that nothing announced has is UNDEFINED to the guest; what is due is looked at, and nothing is.
            (1.., Ok(End::PowerOff)) => {}
            (index, result) => panic!("case {index}: {result:?}"),
        }
    }
}

/// Runs the machine once. One that does not end is left behind, and the test with it.
fn run(setup: Setup<'static>, cpus: u16, image: &Arc<Image>) -> Result<End, Error> {
    let image = Arc::clone(image);
    within_limit(move |memory| {
        let (end, _) = machine::run(&options(cpus), &image, memory, &mut Typist::default(), &setup)?;
        Ok(end)
    })
}

/// Memory of machines that came to their end: it cannot be given back to the host, but to the next machine.
static USED: Mutex<Vec<Memory>> = Mutex::new(Vec::new());

#[track_caller]
fn within_limit<T: Send + 'static>(work: impl FnOnce(&Memory) -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let used = USED.lock().unwrap().pop();
        let memory = used.unwrap_or_else(|| Memory::new(64 << 20).unwrap());
        memory.clear().unwrap();
        let result = work(&memory);
        USED.lock().unwrap().push(memory);
        done.send(result)
    });
    result.recv_timeout(LIMIT).expect("the machine ends")
}

/// A guest that looks at what the settings may change, and resets instead of powering off if something is wrong:
/// translation, a timer interrupt, an address past the limit, a device, a second CPU.
fn thorough() -> Arc<Image> {
    let mut guest = Program::with_handler("check");
    guest.mmu_on(None);
    guest.interrupts(0);
    guest.set(0, 0xc400_0003);
    guest.set(1, 1);
    guest.to("second", |o| adr(2, o));
    guest.op(hvc(0));
    guest.to("wrong", |o| cbnz(0, o));
    guest.ops(&[movz(9, 0, 0), movz(10, 0, 0)]);
    // The interrupt of a timer, once.
    guest.op(daif_clear(2));
    guest.write(CNTV_TVAL_EL0, 2_000_000);
    guest.write(CNTV_CTL_EL0, 1);
    guest.label("sleep");
    guest.op(WFI);
    guest.to("sleep", |o| cbz(9, o));
    guest.ops(&[daif_set(15), cmp_i(9, 1)]);
    guest.to("wrong", |o| b_cond(NE, o));
    // Past the limit, with the MMU off.
    guest.write(SCTLR_EL1, crate::guest::SCTLR_OFF);
    guest.op(ISB);
    guest.set(2, 1 << 40);
    guest.ops(&[ldr(1, 2, 0), cmp_i(10, 1)]);
    guest.to("wrong", |o| b_cond(NE, o));
    // A device says what it is, and the other CPU goes off.
    guest.set(2, crate::guest::PL031 + 0xfe0);
    guest.ops(&[ldr_w(1, 2, 0), cmp_i(1, 0x31)]);
    guest.to("wrong", |o| b_cond(NE, o));
    guest.label("wait");
    guest.call(0xc400_0004, [1, 0, 0]);
    guest.op(cmp_i(0, 1));
    guest.to("wait", |o| b_cond(NE, o));
    guest.power_off();
    guest.label("wrong");
    guest.call(0x8400_0009, [0; 3]);
    guest.label("second");
    guest.repeat(3, 100_000, |guest| guest.op(NOP));
    guest.call(0x8400_0002, [0; 3]);
    guest.hang();
    // X9 counts interrupts 27, X10 address size faults at level 0; everything else is wrong.
    guest.label("check");
    guest.ops(&[ubfx(20, 26, 0, 2), cmp_i(20, 1)]);
    guest.to("interrupt", |o| b_cond(EQ, o));
    guest.op(mrs(20, ESR_EL1));
    guest.set(21, 0x9600_0000);
    guest.op(cmp(20, 21));
    guest.to("wrong", |o| b_cond(NE, o));
    guest.ops(&[add_i(10, 10, 1), mrs(20, ELR_EL1), add_i(20, 20, 4), msr(ELR_EL1, 20), ERET]);
    guest.label("interrupt");
    guest.ops(&[mrs(20, ICC_IAR1_EL1), cmp_i(20, 27)]);
    guest.to("wrong", |o| b_cond(NE, o));
    guest.ops(&[msr(CNTV_CTL_EL0, ZR), ISB, msr(ICC_EOIR1_EL1, 20), add_i(9, 9, 1), ERET]);
    image(guest)
}

#[test]
fn a_guest_runs_under_every_setting_of_the_model() {
    let image = thorough();
    let limits = [
        (sae_model::LimitForm::LastBlock, LimitForm::LastAddress),
        (sae_model::LimitForm::Size, LimitForm::Size),
    ];
    let host_stores = [HostStores::AfterInvalidation, HostStores::AtEntry];
    for ((form, limit), host_stores) in limits.into_iter().flat_map(|l| host_stores.map(|h| (l, h))) {
        for past_limit in [PastLimit::GuestAddressSize, PastLimit::HostAccess] {
            for timer in [TimerForm::Edge, TimerForm::Level] {
                for qmc_base in [QmcBase::FromBlockStart, QmcBase::FromRegs] {
                    let model = sae_model::Config {
                        limit: form,
                        qmc_base,
                        past_limit,
                        timer,
                        host_stores,
                        misbehaviour: None,
                    };
                    let setup = Setup { model, limit, before_run: None };
                    assert_eq!(run(setup, 2, &image), Ok(End::PowerOff), "{setup:?}");
                }
            }
        }
    }
}

/// Interceptions without a reason, and blocks that nothing was written to, cost time and nothing else.
#[test]
fn a_guest_runs_on_a_machine_that_returns_for_no_reason() {
    let image = thorough();
    let cases: [sae_model::Misbehaviour; 3] = [
        |entry| (entry % 2 == 0).then_some(Mischief::Spurious),
        |entry| (entry % 3 != 0).then_some(Mischief::Nothing),
        |entry| (entry % 7 < 3).then_some(Mischief::Spurious),
    ];
    for misbehaviour in cases {
        assert_eq!(run(mischief(misbehaviour), 2, &image), Ok(End::PowerOff));
    }
}

/// A thread that breaks takes the machine with it, and not the program: wherever it is, nobody waits for it.
#[test]
fn a_vcpu_that_panics_ends_the_machine() {
    let mut guest = Program::new();
    guest.hang();
    let image = image(guest);
    for broken in [0, 3] {
        let before_run = hook(move |_, _, vcpu| assert_ne!(vcpu.0, broken, "on purpose"));
        let error = error(Setup { before_run, ..Setup::default() }, 4, &image);
        assert_eq!((error.status(), error.to_string().as_str()), (1, "a vCPU's thread panicked"));
    }
}
