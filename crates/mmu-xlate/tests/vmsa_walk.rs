//! Single rules of the stage 1 walk, by literal tables.
#![cfg(feature = "vmsa")]
#![allow(missing_docs, clippy::panic, clippy::expect_used, clippy::type_complexity, reason = "a test")]

use arm_arch::{FaultStatus, Ipa, Level, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, El1Registers, Fault, HardwareUpdates, Implementation, Mapping, Params, Permissions,
    Privilege, Shareability, Stage, Translation, walk,
};

/// Memory of `entries`; zero below 2 GiB, nothing above, and a host failure at `0xdead_0000`.
struct Memory<'a>(&'a [(u64, u64)]);

impl TableMemory<Ipa> for Memory<'_> {
    type Error = &'static str;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Self::Error> {
        match at.bits() {
            0xdead_0000..=0xdead_ffff => Err("the host failed"),
            at if at >= 0x8000_0000 => Ok(None),
            at => {
                Ok(Some(self.0.iter().find(|entry| entry.0 == at).map_or(0, |entry| entry.1).to_le_bytes()))
            }
        }
    }
}

/// MMU, caches on; 48-bit halves of 4 KiB granule, 40-bit output; attribute 0 Device-nGnRE, 1 Write-Back.
const REGISTERS: El1Registers = El1Registers {
    sctlr: 0x1005,
    tcr: 0x2_8010_0010,
    ttbr0: 0x4000_0000,
    ttbr1: 0x4001_0000,
    mair: 0xff04,
    hcr: 0,
};

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Privileged);
const USER_READ: Access = Access::new(AccessKind::Read, Privilege::Unprivileged);
const USER_FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Unprivileged);

fn translate_with(
    registers: &El1Registers,
    implementation: &Implementation,
    tables: &[(u64, u64)],
    va: u64,
    access: Access,
) -> Result<Translation<Ipa>, &'static str> {
    walk(&Params::el1(registers, implementation), Va::new(va), access, &Memory(tables))
}

fn translate(tables: &[(u64, u64)], va: u64, access: Access) -> Translation<Ipa> {
    translate_with(&REGISTERS, &Implementation::ARMV8_0, tables, va, access).expect("the host works")
}

fn mapping(translation: Translation<Ipa>) -> Mapping<Ipa> {
    match translation {
        Translation::Mapped(mapping) => mapping,
        Translation::Fault(fault) => panic!("{fault:?}"),
    }
}

fn stage_1(status: FaultStatus, write: bool) -> Translation<Ipa> {
    Translation::Fault(Fault::stage_1(status, write))
}

/// Tables down to level 3 for VA 0x0000_8040_2010_0000 + ...: index 1 at levels 0 to 2, page 0x100.
const CHAIN: [(u64, u64); 3] =
    [(0x4000_0008, 0x4000_2003), (0x4000_2008, 0x4000_3003), (0x4000_3008, 0x4000_4003)];
const VA: u64 = 0x0000_0080_4030_0123;

fn chain(leaf: u64) -> [(u64, u64); 4] {
    let [a, b, c] = CHAIN;
    [a, b, c, (0x4000_4800, leaf)]
}

#[test]
fn a_page_maps_with_all_that_a_tlb_entry_holds() {
    // AF, inner shareable, AttrIndx 1, nG, UXN: privileged read, write, execute.
    let got = mapping(translate(&chain(0x0040_0012_3456_7f07), VA, READ));
    assert_eq!(got.output, Ipa::new(0x12_3456_7123));
    assert_eq!((got.level, got.size_log2, got.contiguous), (Some(Level::L3), 12, false));
    assert_eq!((got.attributes.byte(), got.attributes.shareability()), (0xff, Shareability::InnerShareable));
    assert_eq!((got.not_global, got.guarded, got.clean, got.update), (true, false, false, None));
    let all = Permissions::PRIV_READ.union(Permissions::PRIV_WRITE).union(Permissions::PRIV_EXECUTE);
    assert_eq!(got.permissions, all);
    assert_eq!(got.par(), 0xff00_0012_3456_7980);
}

#[test]
fn blocks_map_gigabytes_at_level_1_and_megabytes_at_level_2() {
    let gigabyte = [CHAIN[0], (0x4000_2008, 0xc000_0405)];
    let got = mapping(translate(&gigabyte, VA, READ));
    assert_eq!((got.output, got.level, got.size_log2), (Ipa::new(0xc030_0123), Some(Level::L1), 30));
    let megabytes = [CHAIN[0], CHAIN[1], (0x4000_3008, 0xc020_0405)];
    let got = mapping(translate(&megabytes, VA, READ));
    assert_eq!((got.output, got.level, got.size_log2), (Ipa::new(0xc030_0123), Some(Level::L2), 21));
}

#[test]
fn each_fault_has_the_level_of_its_descriptor() {
    use FaultStatus as F;
    use Level::{L0, L1, L2, L3};
    const BEYOND: u64 = 1 << 40;
    let [a, b, c] = CHAIN;
    let cases: &[(&str, &[(u64, u64)], F)] = &[
        ("nothing at level 0", &[], F::Translation(L0)),
        ("nothing at level 1", &[a], F::Translation(L1)),
        ("nothing at level 2", &[a, b], F::Translation(L2)),
        ("nothing at level 3", &[a, b, c], F::Translation(L3)),
        ("block at level 0", &[(a.0, 0x401)], F::Translation(L0)),
        ("block at level 3", &[a, b, c, (0x4000_4800, 0x401)], F::Translation(L3)),
        ("next table at level 0", &[(a.0, BEYOND | 3)], F::AddressSize(L0)),
        ("next table at level 1", &[a, (b.0, BEYOND | 3)], F::AddressSize(L1)),
        ("next table at level 2", &[a, b, (c.0, BEYOND | 3)], F::AddressSize(L2)),
        ("block at level 1", &[a, (b.0, BEYOND | 0x401)], F::AddressSize(L1)),
        ("page", &[a, b, c, (0x4000_4800, BEYOND | 0x403)], F::AddressSize(L3)),
        ("size before access flag", &[a, b, c, (0x4000_4800, BEYOND | 3)], F::AddressSize(L3)),
        ("no access flag at level 1", &[a, (b.0, 1)], F::AccessFlag(L1)),
        ("no access flag at level 2", &[a, b, (c.0, 1)], F::AccessFlag(L2)),
        ("no access flag at level 3", &[a, b, c, (0x4000_4800, 3)], F::AccessFlag(L3)),
        ("read-only at level 1", &[a, (b.0, 0x481)], F::Permission(L1)),
        ("read-only at level 2", &[a, b, (c.0, 0x481)], F::Permission(L2)),
        ("read-only at level 3", &[a, b, c, (0x4000_4800, 0x483)], F::Permission(L3)),
        ("tables at level 1 outside memory", &[(a.0, 0x8000_0003)], F::ExternalOnWalk(L1)),
        ("tables at level 2 outside memory", &[a, (b.0, 0x8000_0003)], F::ExternalOnWalk(L2)),
        ("tables at level 3 outside memory", &[a, b, (c.0, 0x8000_0003)], F::ExternalOnWalk(L3)),
    ];
    for (name, tables, status) in cases {
        assert_eq!(translate(tables, VA, WRITE), stage_1(*status, true), "{name}");
    }
    let outside = El1Registers { ttbr0: 0x8000_0000, ..REGISTERS };
    let got = translate_with(&outside, &Implementation::ARMV8_0, &[], VA, READ);
    assert_eq!(got, Ok(stage_1(F::ExternalOnWalk(L0), false)));
    let beyond = El1Registers { ttbr0: BEYOND, ..REGISTERS };
    let got = translate_with(&beyond, &Implementation::ARMV8_0, &[], VA, READ);
    assert_eq!(got, Ok(stage_1(F::AddressSize(L0), false)));
}

#[test]
fn a_failure_of_the_host_is_no_fault() {
    let host = El1Registers { ttbr0: 0xdead_0000, ..REGISTERS };
    let got = translate_with(&host, &Implementation::ARMV8_0, &[], VA, READ);
    assert_eq!(got, Err("the host failed"));
}

#[test]
fn unaligned_data_accesses_to_a_device_fault_before_permissions() {
    let device = chain(0x0060_0012_3456_7483);
    assert_eq!(translate(&device, VA, READ.unaligned()), stage_1(FaultStatus::Alignment, false));
    assert_eq!(translate(&device, VA, WRITE.unaligned()), stage_1(FaultStatus::Alignment, true));
    assert_eq!(translate(&device, VA, WRITE), stage_1(FaultStatus::Permission(Level::L3), true));
    assert_eq!(mapping(translate(&device, VA, READ)).attributes.byte(), 0x04);
    assert_eq!(mapping(translate(&chain(0x12_3456_7407), VA, READ.unaligned())).attributes.byte(), 0xff);
}

/// Whether privileged read, write, execute and unprivileged read, write, execute are permitted.
fn permitted(registers: &El1Registers, tables: &[(u64, u64)], pan: bool) -> [bool; 6] {
    let mut allowed = [false; 6];
    let accesses = [
        (AccessKind::Read, Privilege::Privileged),
        (AccessKind::Write, Privilege::Privileged),
        (AccessKind::Fetch, Privilege::Privileged),
        (AccessKind::Read, Privilege::Unprivileged),
        (AccessKind::Write, Privilege::Unprivileged),
        (AccessKind::Fetch, Privilege::Unprivileged),
    ];
    for (allowed, (kind, privilege)) in allowed.iter_mut().zip(accesses) {
        let access = Access::new(kind, privilege).with_pan(pan);
        let got = translate_with(registers, &Implementation::ALL, tables, VA, access);
        *allowed = matches!(got, Ok(Translation::Mapped(_)));
    }
    allowed
}

#[test]
fn access_permissions_follow_the_table_of_the_manual() {
    const UXN: u64 = 1 << 54;
    const PXN: u64 = 1 << 53;
    const Y: bool = true;
    const N: bool = false;
    let cases: &[(&str, u64, u64, [bool; 6])] = &[
        ("AP 00", 0x000, 0, [Y, Y, Y, N, N, Y]),
        ("AP 01", 0x040, 0, [Y, Y, N, Y, Y, Y]),
        ("AP 10", 0x080, 0, [Y, N, Y, N, N, Y]),
        ("AP 11", 0x0c0, 0, [Y, N, Y, Y, N, Y]),
        ("UXN", UXN, 0, [Y, Y, Y, N, N, N]),
        ("PXN", PXN, 0, [Y, Y, N, N, N, Y]),
        ("APTable 01", 0x040, 1 << 61, [Y, Y, Y, N, N, Y]),
        ("APTable 10", 0x040, 2 << 61, [Y, N, Y, Y, N, Y]),
        ("UXNTable", 0, 1 << 60, [Y, Y, Y, N, N, N]),
        ("PXNTable", 0, 1 << 59, [Y, Y, N, N, N, Y]),
    ];
    for (name, leaf, table, want) in cases {
        let [a, mut b, c, page] = chain(0x12_3456_7403 | leaf);
        b.1 |= table;
        assert_eq!(permitted(&REGISTERS, &[a, b, c, page], false), *want, "{name}");
        // With HPD0 the table's bits do not count.
        let hpd = El1Registers { tcr: REGISTERS.tcr | 1 << 41, ..REGISTERS };
        b.1 &= !(0xf << 59);
        let flat = permitted(&REGISTERS, &[a, b, c, page], false);
        b.1 |= table;
        assert_eq!(permitted(&hpd, &[a, b, c, page], false), flat, "{name} with HPD0");
        // WXN: what can be written is not executed.
        let wxn = El1Registers { sctlr: REGISTERS.sctlr | 1 << 19, ..REGISTERS };
        let [pr, pw, px, ur, uw, ux] = *want;
        let strict = [pr, pw, px && !pw, ur, uw, ux && !uw];
        assert_eq!(permitted(&wxn, &[a, b, c, page], false), strict, "{name} with WXN");
        // PAN: what EL0 can read or write, EL1 cannot.
        let pan = [pr && !ur, pw && !ur, px, ur, uw, ux];
        assert_eq!(permitted(&REGISTERS, &[a, b, c, page], true), pan, "{name} with PAN");
        // EPAN: nor what EL0 can execute.
        let epan = El1Registers { sctlr: REGISTERS.sctlr | 1 << 57, ..REGISTERS };
        let strict = [pr && !ur && !ux, pw && !ur && !ux, px, ur, uw, ux];
        assert_eq!(permitted(&epan, &[a, b, c, page], true), strict, "{name} with EPAN");
    }
}

#[test]
fn addresses_outside_a_half_are_translation_faults_at_level_0() {
    let level_0 = |access: Access| stage_1(FaultStatus::Translation(Level::L0), access == WRITE);
    for va in [0x0001_0000_0000_0000, 0xfffe_ffff_ffff_f000, 0x0100_0000_0000_0000, 0xff7f_8000_0000_0000] {
        for access in [READ, WRITE, FETCH] {
            assert_eq!(translate(&chain(0x403), va, access), level_0(access), "{va:#x}");
        }
    }
    // Top byte ignored for data in the lower half only, and not for fetches with TBID0.
    let tbi = El1Registers { tcr: REGISTERS.tcr | 1 << 37 | 1 << 51, ..REGISTERS };
    let tables = chain(0x12_3456_7403);
    let tagged = 0xab00_0000_0000_0000 | VA;
    let of = |access, va| translate_with(&tbi, &Implementation::ALL, &tables, va, access);
    assert_eq!(mapping(of(READ, tagged).expect("the host works")).output, Ipa::new(0x12_3456_7123));
    assert_eq!(of(FETCH, tagged), Ok(level_0(FETCH)));
    assert_eq!(of(READ, 0xab80_0000_0000_0000 | VA), Ok(level_0(READ)), "bit 55 is not ignored");
}

#[test]
fn disabled_and_barred_halves_are_translation_faults_at_level_0() {
    let level_0 = stage_1(FaultStatus::Translation(Level::L0), false);
    let tables = chain(0x12_3456_7443);
    let of = |tcr, implementation: &Implementation, access| {
        let registers = El1Registers { tcr: REGISTERS.tcr | tcr, ..REGISTERS };
        translate_with(&registers, implementation, &tables, VA, access).expect("the host works")
    };
    let plain = mapping(of(0, &Implementation::ALL, USER_READ));
    assert_eq!(of(1 << 7, &Implementation::ALL, READ), level_0, "EPD0");
    assert_eq!(of(1 << 55, &Implementation::ALL, USER_READ), level_0, "E0PD0");
    assert_eq!(of(1 << 55, &Implementation::ALL, USER_FETCH), level_0, "E0PD0");
    assert_eq!(mapping(of(1 << 55, &Implementation::ALL, READ)), plain, "E0PD0 is for EL0");
    assert_eq!(mapping(of(1 << 55, &Implementation::ARMV8_0, USER_READ)), plain, "E0PD0 is RES0");
    assert_eq!(mapping(of(1 << 56 | 1 << 23, &Implementation::ALL, USER_READ)), plain, "the other half");
}

#[test]
fn txsz_has_limits() {
    let of = |txsz: u64, implementation: &Implementation| {
        let registers = El1Registers { tcr: (REGISTERS.tcr & !0x3f) | txsz, ..REGISTERS };
        translate_with(&registers, implementation, &[], 0x123, READ).expect("the host works")
    };
    let cases: &[(u64, &Implementation, Level)] = &[
        (15, &Implementation::ARMV8_0, Level::L0),
        (16, &Implementation::ARMV8_0, Level::L0),
        (24, &Implementation::ARMV8_0, Level::L0),
        (25, &Implementation::ARMV8_0, Level::L1),
        (33, &Implementation::ARMV8_0, Level::L1),
        (34, &Implementation::ARMV8_0, Level::L2),
        (39, &Implementation::ARMV8_0, Level::L2),
        (40, &Implementation::ARMV8_0, Level::L0),
        (40, &Implementation::ALL, Level::L2),
        (42, &Implementation::ALL, Level::L2),
        (43, &Implementation::ALL, Level::L3),
        (48, &Implementation::ALL, Level::L3),
        (49, &Implementation::ALL, Level::L0),
    ];
    for (txsz, implementation, level) in cases {
        let want = stage_1(FaultStatus::Translation(*level), false);
        assert_eq!(of(*txsz, implementation), want, "TxSZ {txsz}");
    }
}

#[test]
fn stage_1_off_is_flat() {
    let off = El1Registers { sctlr: 0x1000, ..REGISTERS };
    let of = |registers: &El1Registers, va, access| {
        translate_with(registers, &Implementation::ARMV8_0, &[], va, access).expect("the host works")
    };
    let got = mapping(of(&off, 0x4008_0123, READ));
    assert_eq!((got.output, got.level, got.attributes.byte()), (Ipa::new(0x4008_0123), None, 0x00));
    assert_eq!(got.permissions, Permissions::ALL);
    assert_eq!(mapping(of(&off, 0x4008_0000, FETCH)).attributes.byte(), 0xaa);
    let no_cache = El1Registers { sctlr: 0, ..REGISTERS };
    assert_eq!(mapping(of(&no_cache, 0x4008_0000, FETCH)).attributes.byte(), 0x44);
    assert_eq!(of(&off, 0x4008_0123, WRITE.unaligned()), stage_1(FaultStatus::Alignment, true));
    assert_eq!(of(&off, 1 << 48, READ), stage_1(FaultStatus::AddressSize(Level::L0), false));
    let dc = El1Registers { hcr: 1 << 12, ..REGISTERS };
    let got = mapping(of(&dc, 0x4008_0123, READ.unaligned()));
    assert_eq!((got.attributes.byte(), got.attributes.shareability().encode()), (0xff, 0));
}

#[test]
fn hardware_updates_are_reported() {
    let ha = El1Registers { tcr: REGISTERS.tcr | 1 << 39, ..REGISTERS };
    let hd = El1Registers { tcr: REGISTERS.tcr | 3 << 39, ..REGISTERS };
    let clean = 1 << 51 | 0x12_3456_7083;
    let of = |registers: &El1Registers, leaf, access| {
        translate_with(registers, &Implementation::ALL, &chain(leaf), VA, access).expect("the host works")
    };
    let got = mapping(of(&ha, 0x12_3456_7003, READ));
    let update = got.update.expect("the access flag is set");
    assert_eq!((update.at, update.old ^ update.new), (Ipa::new(0x4000_4800), 1 << 10));
    assert_eq!(mapping(of(&ha, 0x12_3456_7403, READ)).update, None);
    assert_eq!(of(&ha, clean, WRITE), stage_1(FaultStatus::Permission(Level::L3), true));
    let got = mapping(of(&hd, clean, READ));
    assert_eq!((got.clean, got.update.map(|update| update.old ^ update.new)), (true, Some(1 << 10)));
    let got = mapping(of(&hd, clean, WRITE));
    assert_eq!((got.clean, got.update.map(|update| update.old ^ update.new)), (false, Some(0x480)));
    let old = Implementation { hafdbs: HardwareUpdates::None, ..Implementation::ALL };
    let got = translate_with(&hd, &old, &chain(clean), VA, READ);
    assert_eq!(got, Ok(stage_1(FaultStatus::AccessFlag(Level::L3), false)), "HA is RES0");
}

#[test]
fn faults_encode_as_iss_and_par() {
    let Translation::Fault(fault) = translate(&CHAIN, VA, WRITE) else { panic!("nothing at level 3") };
    assert_eq!((fault.iss(WRITE), fault.par()), (0x47, 0x80f));
    let Translation::Fault(fault) = translate(&[], VA, FETCH) else { panic!("nothing at level 0") };
    assert_eq!((fault.iss(FETCH), fault.par()), (0x04, 0x809));
    let clean = Access::new(AccessKind::Clean, Privilege::Unprivileged);
    let Translation::Fault(fault) = translate(&chain(0x403), VA, clean) else { panic!("no EL0 access") };
    assert_eq!(fault.iss(clean), 0x14f);
    let two = Fault { stage: Stage::Two, s1ptw: true, ..fault };
    assert_eq!((two.iss(clean), two.par()), (0x1cf, 0xb1f));
}
