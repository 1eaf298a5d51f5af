//! A machine that misbehaves: the driver says what it got, and goes on when the machine does.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod common;

use common::a64::*;
use common::*;
use s390_arch::sae::{InterceptionCode, ValidityReason};
use sae_model::Mischief;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use xarch_abi::{
    AccessCause, BackendVcpu, Direction, Exit, InvalidState, Outcome, RegId, Registers, StopReason, TimerSet,
    Trap,
};

/// Adds 1 to X0 twenty times, with a call after each, then stops.
fn program() -> Vec<u32> {
    let mut words = [add_imm(0, 0, 1), hvc(1)].repeat(20);
    words.push(hvc(0));
    words
}

fn setup(misbehaviour: sae_model::Misbehaviour) -> Setup {
    let model = sae_model::Config { misbehaviour: Some(misbehaviour), ..Setup::default().model };
    Setup { model, ..Setup::default() }
}

/// Runs the program to its end, going on whatever stops it in between; returns X0, what was seen and what stopped it.
fn survive(misbehaviour: sae_model::Misbehaviour) -> (u64, Vec<Exit>, Vec<Outcome>) {
    with_rig(setup(misbehaviour), |rig| {
        rig.load(RAM, &program());
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::new();
        let mut outcomes = Vec::new();
        while outcomes.len() < 100 {
            match vcpu.run(&mut guest, &parts.platform) {
                POWER_OFF => return (vcpu.read(RegId::general(0)).unwrap(), guest.seen, outcomes),
                outcome => outcomes.push(outcome),
            }
        }
        panic!("the guest does not come to its end: {outcomes:x?}");
    })
}

#[test]
fn every_code_with_data_of_all_ones_is_told_for_what_it_is() {
    static CODE: AtomicU64 = AtomicU64::new(0);
    fn third_entry(entries: u64) -> Option<Mischief> {
        (entries == 3).then(|| Mischief::Code(InterceptionCode(u8::try_from(CODE.load(SeqCst)).unwrap())))
    }
    for code in 0..=u8::MAX {
        CODE.store(u64::from(code), SeqCst);
        let (x0, seen, outcomes) = survive(third_entry);
        assert_eq!(x0, 20, "code {code:#x}");
        let all_ones = Trap { syndrome: u64::MAX, fault_address: u64::MAX };
        let stop = |reason| vec![Outcome::Stopped(reason)];
        let (exit, want) = match code {
            0 => (Exit::Spurious, vec![]),
            1 => {
                let state = InvalidState { reason: 0xffff, text: "unknown reason" };
                (Exit::Invalid(state), stop(StopReason::Invalid(state)))
            }
            // pic, seven bits of it: none that translation has.
            2 => (Exit::Unknown(0x2_007f), stop(StopReason::Unknown(0x2_007f))),
            3 => (Exit::Trap(all_ones), stop(StopReason::Unhandled(all_ones))),
            4 => (Exit::Timer(TimerSet(3)), vec![]),
            6 => {
                let Some(Exit::Access(access)) =
                    seen.iter().find(|exit| matches!(exit, Exit::Access(_))).copied()
                else {
                    panic!("{seen:x?}")
                };
                assert_eq!((access.cause, access.direction), (AccessCause::OutOfRange, Direction::Unknown));
                (Exit::Access(access), stop(StopReason::Unhandled(all_ones)))
            }
            7 => (Exit::Stop, stop(StopReason::Host)),
            0xa => (Exit::Maintenance, vec![]),
            _ => (Exit::Unknown(u32::from(code)), stop(StopReason::Unknown(u32::from(code)))),
        };
        assert_eq!(seen.iter().filter(|seen| **seen == exit).count(), 1, "code {code:#x}: {seen:x?}");
        assert_eq!(outcomes, want, "code {code:#x}");
    }
}

#[test]
fn every_validity_reason_comes_out_with_its_number_and_name() {
    static REASON: AtomicU64 = AtomicU64::new(0);
    fn second_entry(entries: u64) -> Option<Mischief> {
        let reason = ValidityReason(u16::try_from(REASON.load(SeqCst)).unwrap());
        (entries == 2).then_some(Mischief::Validity(reason))
    }
    for reason in (0..=0x20).chain([0x100, 0x8000, 0xffff]) {
        REASON.store(reason, SeqCst);
        let (x0, _, outcomes) = survive(second_entry);
        let reason = ValidityReason(u16::try_from(reason).unwrap());
        let text = reason.name().unwrap_or("unknown reason");
        assert_eq!(
            outcomes,
            [Outcome::Stopped(StopReason::Invalid(InvalidState { reason: reason.0, text }))]
        );
        assert_eq!(x0, 20);
    }
    assert_eq!(ValidityReason(0xa).name(), Some("IRPTC"), "the last one that has a name");
}

#[test]
fn spurious_ends_and_blocks_without_a_report_are_entered_again() {
    fn spurious(entries: u64) -> Option<Mischief> {
        (entries % 4 != 0).then_some(Mischief::Spurious)
    }
    fn nothing(entries: u64) -> Option<Mischief> {
        (entries % 4 != 0).then_some(Mischief::Nothing)
    }
    for misbehaviour in [spurious, nothing] {
        let (x0, seen, outcomes) = survive(misbehaviour);
        assert_eq!((x0, outcomes), (20, vec![]));
        let calls = seen.iter().filter(|exit| matches!(exit, Exit::Trap(_))).count();
        assert_eq!(calls, 21);
        assert!(seen.iter().filter(|exit| **exit == Exit::Spurious).count() >= 3 * 21);
    }
}

#[test]
fn a_stale_report_is_believed_but_harms_nobody_else() {
    fn stale(entries: u64) -> Option<Mischief> {
        (entries > 2 && entries % 3 == 0).then_some(Mischief::Stale)
    }
    let (x0, seen, outcomes) = survive(stale);
    assert_eq!((x0, outcomes), (20, vec![]));
    let calls = seen.iter().filter(|exit| matches!(exit, Exit::Trap(_))).count();
    assert!(calls > 21, "calls are reported again: {calls}");
}

#[test]
fn everything_at_once_in_any_order_neither_panics_nor_hangs() {
    fn chaos(entries: u64) -> Option<Mischief> {
        let dice = entries.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        Some(match dice % 8 {
            0 => Mischief::Spurious,
            1 => Mischief::Nothing,
            2 => Mischief::Stale,
            3 => Mischief::Validity(ValidityReason(u16::try_from(dice >> 4 & 0xf).unwrap())),
            4 => Mischief::Code(InterceptionCode(u8::try_from(dice >> 8 & 0xff).unwrap())),
            _ => return None,
        })
    }
    let (x0, _, outcomes) = survive(chaos);
    assert_eq!(x0, 20);
    assert!(!outcomes.is_empty());
}
