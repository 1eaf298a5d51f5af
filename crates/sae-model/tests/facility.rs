//! The instructions of the facility, as a driver that plays by the book, and one that does not, see them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

use arm_exec::{Page, Ram};
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::block::field;
use s390_arch::sae::{
    Facility, HostControl, M4, QaafFunction, Rejected, SystemRegisterNumber, ValidityReason, save_area,
};
use s390_arch::{Absolute, AbsoluteStorage};
use sae_model::{Clock, Config, Cpu, HostStores, Machine};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use testkit::caches::{CacheMemory, Capacity};

const BLOCK: Absolute = Absolute::new(0x2000);
const AREA: Absolute = Absolute::new(0x3000);
const SCA: Absolute = Absolute::new(0x4000);
const RESULT: Absolute = Absolute::new(0x5000);
const OTHER_BLOCK: Absolute = Absolute::new(0x6000);
const OTHER_AREA: Absolute = Absolute::new(0x7000);
/// A segment table (16 KiB) for guest storage from 0 on, and its page table.
const SEGMENT_TABLE: Absolute = Absolute::new(0x8000);
const PAGE_TABLE: Absolute = Absolute::new(0xc000);
/// Guest page 0.
const GUEST: u64 = 0x10000;
const PAGES: usize = 0x20;
const OUTSIDE: Absolute = Absolute::new(0x20000);

const SCTLR: SystemRegisterNumber = SystemRegisterNumber(0xc080);
const HCR: SystemRegisterNumber = SystemRegisterNumber(0xe088);
const CNTFRQ: SystemRegisterNumber = SystemRegisterNumber(0xdf00);

const SPECIFICATION: Rejected = Rejected { code: ProgramCode::SPECIFICATION };
const ADDRESSING: Rejected = Rejected { code: ProgramCode::ADDRESSING };

#[derive(Debug, Default)]
struct Still(AtomicU64);

impl Clock for Still {
    fn nanoseconds(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

type Model<'a> = Machine<'a, Still>;

/// Two CPUs of a machine, a block and an area for each of two guests of one page, whose code is at 0.
fn with_machine(words: &[u32], test: impl FnOnce(&Model<'_>, &mut [Cpu<'_, Still>])) {
    with_configured(Config::default(), words, test);
}

fn with_configured(config: Config, words: &[u32], test: impl FnOnce(&Model<'_>, &mut [Cpu<'_, Still>])) {
    let pages: Vec<Page> = (0..PAGES).map(|_| Page::zeroed()).collect();
    let machine = Machine::new(Ram::new(&pages), Still::default(), config);
    let mut memory = [Capacity::LEAST; 2].map(CacheMemory::new);
    let mut cpus: Vec<Cpu<'_, Still>> =
        (0..).zip(&mut memory).map(|(number, memory)| machine.cpu(number, memory.lend()).unwrap()).collect();
    let storage = machine.storage();
    for index in 0..2048 {
        storage.store_u64(Absolute::new(SEGMENT_TABLE.bits() + index * 8), 0x20).unwrap();
    }
    for index in 0..256 {
        storage.store_u64(Absolute::new(PAGE_TABLE.bits() + index * 8), 0x400).unwrap();
    }
    storage.store_u64(SEGMENT_TABLE, PAGE_TABLE.bits()).unwrap();
    storage.store_u64(PAGE_TABLE, GUEST).unwrap();
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    storage.write_bytes(Absolute::new(GUEST), &code).unwrap();
    for (block, area) in [(BLOCK, AREA), (OTHER_BLOCK, OTHER_AREA)] {
        cpus[0].qaaf(QaafFunction::InitialSaveArea { format: 0 }.encode(), area).unwrap();
        let put = |offset, value| storage.store_u64(Absolute::new(block.bits() + offset), value).unwrap();
        put(field::SCAD, SCA.bits());
        put(field::MSL, 0xf_ffff);
        put(field::HBASCE, SEGMENT_TABLE.bits() | 3);
        put(field::SAVE_AREA, area.bits());
        put(field::PSTATE, 0x3c5);
        storage.store_u64(Absolute::new(area.bits() + save_area::field::SDO), block.bits()).unwrap();
        cpus[0].sasr(area, HCR, M4::SaveArea, 1 << 31).unwrap();
    }
    test(&machine, &mut cpus);
}

fn load(machine: &Model<'_>, block: Absolute, offset: u64) -> u64 {
    machine.storage().load_u64(Absolute::new(block.bits() + offset)).unwrap()
}

/// Executes SAE; returns the code and the first doubleword of data.
fn sae(machine: &Model<'_>, cpu: &mut Cpu<'_, Still>, block: Absolute) -> (u64, u64) {
    machine.storage().store_u64(Absolute::new(block.bits() + field::ICPTR), 0).unwrap();
    cpu.sae(block);
    (load(machine, block, field::ICPTR) >> 56, load(machine, block, field::ICPTD))
}

/// HVC #0 as SAE reports it.
const HVC: (u64, u64) = (3, 0x5a00_0000);
const HVC_WORD: u32 = 0xd400_0002;
/// Validity, with the reason in the first two bytes.
fn invalid(reason: ValidityReason) -> (u64, u64) {
    (1, u64::from(reason.0) << 48)
}

#[test]
fn an_area_is_loaded_at_one_place_and_stored_from_there() {
    with_machine(&[HVC_WORD], |_, cpus| {
        let [first, second] = cpus else { panic!() };
        first.lasrm(AREA).unwrap();
        assert_eq!(first.lasrm(OTHER_AREA), Err(SPECIFICATION), "a CPU has one set of registers");
        assert_eq!(second.lasrm(AREA), Err(SPECIFICATION), "the area is loaded elsewhere");
        assert_eq!(second.stiasrm(AREA), Err(SPECIFICATION));
        assert_eq!(first.stiasrm(OTHER_AREA), Err(SPECIFICATION));
        first.sasr(AREA, SCTLR, M4::Loaded, 0x1234).unwrap();
        first.stiasrm(AREA).unwrap();
        assert_eq!(first.stiasrm(AREA), Err(SPECIFICATION), "the registers are invalid now");
        second.lasrm(AREA).unwrap();
        assert_eq!(second.easr(AREA, SCTLR, M4::Loaded), Ok(0x1234));
    });
}

#[test]
fn m4_must_be_where_the_registers_are() {
    with_machine(&[HVC_WORD], |_, cpus| {
        let cpu = &mut cpus[0];
        assert_eq!(cpu.easr(AREA, SCTLR, M4::Loaded), Err(SPECIFICATION));
        assert_eq!(cpu.sasr(AREA, SCTLR, M4::Loaded, 0), Err(SPECIFICATION));
        assert_eq!(cpu.sasr(AREA, SCTLR, M4::SaveArea, 5), Ok(()));
        cpu.lasrm(AREA).unwrap();
        assert_eq!(cpu.easr(AREA, SCTLR, M4::SaveArea), Err(SPECIFICATION));
        assert_eq!(cpu.sasr(AREA, SCTLR, M4::SaveArea, 0), Err(SPECIFICATION));
        assert_eq!(cpu.easr(AREA, SCTLR, M4::Loaded), Ok(5));
        assert_eq!(cpu.easr(OTHER_AREA, SCTLR, M4::Loaded), Err(SPECIFICATION));
        assert_eq!(cpu.sasr(OTHER_AREA, SCTLR, M4::SaveArea, 6), Ok(()));
    });
}

#[test]
fn what_is_no_area_or_no_register_is_refused() {
    with_machine(&[HVC_WORD], |machine, cpus| {
        let cpu = &mut cpus[0];
        for (area, want) in [
            (Absolute::new(AREA.bits() + 8), SPECIFICATION),
            (OUTSIDE, ADDRESSING),
            // Zeros: not valid.
            (RESULT, SPECIFICATION),
        ] {
            assert_eq!(cpu.lasrm(area), Err(want), "{area}");
            assert_eq!(cpu.easr(area, SCTLR, M4::SaveArea), Err(want), "{area}");
        }
        // MPIDR_EL1 is no register of the save area, nor is ESR_EL2.
        for number in [0xc005, 0xe290] {
            assert_eq!(cpu.easr(AREA, SystemRegisterNumber(number), M4::SaveArea), Err(SPECIFICATION));
        }
        machine.storage().store_u64(AREA, 1 << 56 | 1).unwrap();
        assert_eq!(cpu.lasrm(AREA), Err(SPECIFICATION), "format 1");
    });
}

#[test]
fn an_initial_area_has_the_machine_s_constants() {
    with_machine(&[HVC_WORD], |machine, cpus| {
        let cpu = &mut cpus[0];
        assert_eq!(load(machine, OTHER_AREA, 0), 1, "format 0, valid");
        assert_eq!(cpu.easr(OTHER_AREA, CNTFRQ, M4::SaveArea), Ok(1_000_000_000));
        assert_eq!(cpu.easr(OTHER_AREA, SystemRegisterNumber(0xc000), M4::SaveArea), Ok(0xf_7a00));
        for (gr0, result, want) in [
            (0, RESULT, SPECIFICATION),
            (3, RESULT, SPECIFICATION),
            (0x102, RESULT, SPECIFICATION),
            (1, Absolute::new(RESULT.bits() + 0x800), SPECIFICATION),
            (1, OUTSIDE, ADDRESSING),
        ] {
            assert_eq!(cpu.qaaf(gr0, result), Err(want), "{gr0:#x} to {result}");
        }
    });
}

#[test]
fn guest_time_is_the_clock_with_an_offset_both_ways() {
    with_machine(&[HVC_WORD], |machine, cpus| {
        let cpu = &mut cpus[0];
        machine.clock().0.store(1000, SeqCst);
        let mut installed = [0, 0];
        cpu.ptff(0, &mut installed).unwrap();
        // Bits 0, 16 and 17 from the left.
        assert_eq!(installed, [0x8000_c000_0000_0000, 0]);
        let mut offset = [50, 0];
        cpu.ptff(0x10, &mut offset).unwrap();
        assert_eq!(offset[1], 50_u64.wrapping_sub(1000));
        machine.clock().0.store(1007, SeqCst);
        let mut count = [offset[1], 0];
        cpu.ptff(0x11, &mut count).unwrap();
        assert_eq!(count[1], 57);
        assert_eq!(cpu.ptff(0x12, &mut count), Err(SPECIFICATION));
    });
}

#[test]
fn sae_runs_only_the_guest_whose_registers_are_loaded() {
    with_machine(&[HVC_WORD], |machine, cpus| {
        let cpu = &mut cpus[0];
        assert_eq!(sae(machine, cpu, BLOCK), invalid(ValidityReason::HOST_CONTROL));
        cpu.lasrm(AREA).unwrap();
        assert_eq!(sae(machine, cpu, OTHER_BLOCK), invalid(ValidityReason::HOST_CONTROL));
        assert_eq!(sae(machine, cpu, BLOCK), HVC);
        assert_eq!(load(machine, BLOCK, field::PC), 4);
        // Where there is no block there is no report; nothing else happens.
        cpu.sae(OUTSIDE);
        cpu.sae(Absolute::new(BLOCK.bits() + 0x800));
        assert_eq!(load(machine, BLOCK, field::PC), 4);
    });
}

#[test]
fn a_guest_moves_from_one_cpu_to_the_other() {
    // ADD X0, X0, #1; HVC #0, twice; CONTEXTIDR_EL1 and TPIDR_EL1 are written on the way.
    let words = [0x9100_0400, 0xd518_d020, 0xd518_d080, HVC_WORD, 0xd538_d021, 0xd538_d082, HVC_WORD];
    with_machine(&words, |machine, cpus| {
        let [first, second] = cpus else { panic!() };
        first.lasrm(AREA).unwrap();
        assert_eq!(sae(machine, first, BLOCK), HVC);
        first.stiasrm(AREA).unwrap();
        second.lasrm(AREA).unwrap();
        assert_eq!(sae(machine, second, BLOCK), HVC);
        let x = |n| load(machine, BLOCK, field::gpr(n).unwrap());
        assert_eq!((x(0), x(1), x(2)), (1, 1, 1));
    });
}

#[test]
fn a_request_waits_for_its_block_and_is_used_up_by_a_report() {
    with_machine(&[HVC_WORD; 8], |machine, cpus| {
        let cpu = &mut cpus[0];
        cpu.lasrm(AREA).unwrap();
        machine.request_exit(BLOCK);
        machine.request_exit(BLOCK);
        machine.request_exit(OTHER_BLOCK);
        assert_eq!(sae(machine, cpu, BLOCK).0, 0);
        assert_eq!(load(machine, BLOCK, field::PC), 0, "the guest did not run");
        assert_eq!(sae(machine, cpu, BLOCK), HVC, "two requests are one");
        // An SAE that ends for another reason does not use it up.
        machine.request_exit(BLOCK);
        machine.storage().store_u64(Absolute::new(BLOCK.bits() + field::MSO), 1).unwrap();
        assert_eq!(sae(machine, cpu, BLOCK), invalid(ValidityReason::MSO_ALIGN));
        machine.storage().store_u64(Absolute::new(BLOCK.bits() + field::MSO), 0).unwrap();
        assert_eq!(sae(machine, cpu, BLOCK).0, 0);
        cpu.stiasrm(AREA).unwrap();
        cpu.lasrm(OTHER_AREA).unwrap();
        assert_eq!(sae(machine, cpu, OTHER_BLOCK).0, 0, "the other block's request has waited");
    });
}

#[test]
fn entries_are_made_invalid_and_what_was_formed_from_them_is_gone() {
    // LDR X0, [X1]; HVC #0; then back to the load.
    let words = [0xf940_0020, HVC_WORD, 0x17ff_fffe];
    with_machine(&words, |machine, cpus| {
        let cpu = &mut cpus[0];
        let storage = machine.storage();
        // Guest page 1 is host page 0x11000.
        let entry = Absolute::new(PAGE_TABLE.bits() + 8);
        let put = |offset, value| storage.store_u64(Absolute::new(BLOCK.bits() + offset), value).unwrap();
        put(field::gpr(1).unwrap(), 0x1000);
        storage.store(Absolute::new(0x1_1000), 7_u64.to_le_bytes()).unwrap();
        cpu.lasrm(AREA).unwrap();
        // The page-translation exception of the host is code 2, pic 0x11 at 0x40e; the TEID has the page.
        let fault = |cpu: &mut Cpu<'_, Still>, pic: u64| {
            assert_eq!(sae(machine, cpu, BLOCK).0, 2);
            assert_eq!(load(machine, BLOCK, field::ICPTD + 8) & 0xffff, pic);
            assert_eq!(load(machine, BLOCK, field::ICPTD + 16) & !0xfff, 0x1000);
        };
        fault(cpu, 0x11);
        storage.store_u64(entry, 0x1_1000).unwrap();
        assert_eq!(sae(machine, cpu, BLOCK), HVC);
        assert_eq!(load(machine, BLOCK, field::gpr(0).unwrap()), 7);
        machine.ipte(PAGE_TABLE, 0x1000, 0);
        assert_eq!(storage.load_u64(entry), Ok(0x1_1400));
        fault(cpu, 0x11);
        storage.store_u64(entry, 0x1_1000).unwrap();
        assert_eq!(sae(machine, cpu, BLOCK), HVC);
        machine.idte(SEGMENT_TABLE, 0, 0);
        assert_eq!(storage.load_u64(SEGMENT_TABLE), Ok(PAGE_TABLE.bits() | 0x20));
        // The whole segment is gone: the fetch of the branch faults before the load does.
        assert_eq!(sae(machine, cpu, BLOCK).0, 2);
        assert_eq!(load(machine, BLOCK, field::ICPTD + 8) & 0xffff, 0x10);
        // Operations on entries that are not there do nothing.
        machine.ipte(OUTSIDE, 0, 0);
        machine.idte(OUTSIDE, 0, 0);
        machine.idte_asce(0);
        machine.ptlb();
    });
}

#[test]
fn instructions_that_the_host_stores_are_executed_as_the_setting_says() {
    // ADD X0, X0, #n; HVC #0; back.
    let add = |n: u32| 0x9100_0000 | n << 10;
    let words = [add(1), HVC_WORD, 0x17ff_fffe];
    for host_stores in [HostStores::AfterInvalidation, HostStores::AtEntry] {
        let config = Config { host_stores, ..Config::default() };
        with_configured(config, &words, |machine, cpus| {
            let cpu = &mut cpus[0];
            let storage = machine.storage();
            cpu.lasrm(AREA).unwrap();
            let added = |cpu: &mut Cpu<'_, Still>| {
                let x0 = field::gpr(0).unwrap();
                let before = load(machine, BLOCK, x0);
                assert_eq!(sae(machine, cpu, BLOCK), HVC);
                load(machine, BLOCK, x0) - before
            };
            let put = |n| storage.write_bytes(Absolute::new(GUEST), &add(n).to_le_bytes()).unwrap();
            assert_eq!(added(cpu), 1);
            put(2);
            let seen_at_once = if matches!(host_stores, HostStores::AtEntry) { 2 } else { 1 };
            assert_eq!(added(cpu), seen_at_once, "{host_stores:?}");
            // Translations alone are not what was decoded.
            machine.ptlb();
            machine.idte_asce(0);
            assert_eq!(added(cpu), seen_at_once, "{host_stores:?}");
            machine.ipte(PAGE_TABLE, 0, 0);
            storage.store_u64(PAGE_TABLE, GUEST).unwrap();
            assert_eq!(added(cpu), 2, "{host_stores:?}, IPTE");
            put(3);
            machine.idte(SEGMENT_TABLE, 0, 0);
            storage.store_u64(SEGMENT_TABLE, PAGE_TABLE.bits()).unwrap();
            assert_eq!(added(cpu), 3, "{host_stores:?}, IDTE");
        });
    }
}

#[test]
fn a_teid_names_the_page_in_the_space_of_the_host() {
    // The guest's 0 is the host's 1 MiB: nothing is mapped there.
    with_machine(&[HVC_WORD], |machine, cpus| {
        let cpu = &mut cpus[0];
        let put = |offset, value| {
            machine.storage().store_u64(Absolute::new(BLOCK.bits() + offset), value).unwrap();
        };
        put(field::MSO, 0x10_0000);
        put(field::MSL, 0x1f_ffff);
        cpu.lasrm(AREA).unwrap();
        assert_eq!(sae(machine, cpu, BLOCK).0, 2);
        assert_eq!(load(machine, BLOCK, field::ICPTD + 8) & 0xffff, 0x10);
        assert_eq!(load(machine, BLOCK, field::ICPTD + 16) & !0xfff, 0x10_0000);
        // One window of the guest is one MiB long: the next address is past it.
        put(field::PC, 0x10_0000);
        assert_eq!(sae(machine, cpu, BLOCK).0, 6);
        assert_eq!(load(machine, BLOCK, field::ICPTD + 16) & !0xfff, 0x20_0000);
    });
}
