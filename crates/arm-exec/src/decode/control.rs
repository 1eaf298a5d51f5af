//! Arm ARM, "Branches, Exception Generating and System instructions".

use super::{Context, Decoder, Go, destination};
use crate::block::{Code, Operation};
use crate::memory::Word;
use crate::state::{DISCARD, SP, ZERO};
use arm_arch::sysreg::{SysRegId, names};

impl Decoder<'_, '_> {
    /// "Branches, Exception Generating and System instructions".
    pub(super) fn control(&mut self, w: Word) -> Go {
        match w.field(31, 29) {
            0b000 | 0b100 => {
                let target = self.pc.wrapping_add(w.signed(25, 0) << 2);
                if !w.bit(31) {
                    self.branch(Code::Goto, target, Operation::default());
                    return Go::End;
                }
                self.branch(Code::Bl, target, Operation::default());
                // The operation after it carries the return address.
                let imm = self.pc.wrapping_add(4);
                self.emit(Operation { code: Code::Undefined, imm, ..Operation::default() });
                Go::End
            }
            0b001 | 0b101 if w.bit(25) => {
                let number = w.field(31, 31) << 5 | w.field(23, 19);
                let code = if w.bit(24) { Code::Tbnz } else { Code::Tbz };
                let target = self.pc.wrapping_add(w.signed(18, 5) << 2);
                self.branch(
                    code,
                    target,
                    Operation { b: w.rt() as u8, c: number as u8, ..Operation::default() },
                );
                self.fence = self.used;
                Go::On
            }
            0b001 | 0b101 => {
                let code = match (w.bit(31), w.bit(24)) {
                    (false, false) => Code::Cbz32,
                    (false, true) => Code::Cbnz32,
                    (true, false) => Code::Cbz64,
                    (true, true) => Code::Cbnz64,
                };
                let target = self.pc.wrapping_add(w.signed(23, 5) << 2);
                self.branch(code, target, Operation { b: w.rt() as u8, ..Operation::default() });
                self.fence = self.used;
                Go::On
            }
            0b010 if w.field(25, 24) == 0 && !w.bit(4) => self.conditional_branch(w),
            0b110 if w.field(25, 24) == 0 => {
                self.system_word(w);
                Go::End
            }
            0b110 if w.field(25, 22) == 0b0100 => self.system(w),
            0b110 if w.bit(25) => self.indirect_branch(w),
            _ => self.undefined(w),
        }
    }

    fn conditional_branch(&mut self, w: Word) -> Go {
        let condition = w.field(3, 0);
        let target = self.pc.wrapping_add(w.signed(23, 5) << 2);
        if condition >= 14 {
            self.branch(Code::Goto, target, Operation::default());
            return Go::End;
        }
        let joined = self.last().and_then(|last| Some((last, joined(last, condition)?)));
        if let Some((last, code)) = joined {
            self.used -= 1;
            let joined = Operation { code, imm: last.imm << 32, ..last };
            let step = self.last().and_then(|before| stepped(before, joined));
            if step.is_some() {
                self.used -= 1;
            }
            let joined = step.unwrap_or(joined);
            self.branch(joined.code, target, joined);
        } else {
            #[rustfmt::skip]
            const PLAIN: [Code; 14] = [
                Code::Beq, Code::Bne, Code::Bcs, Code::Bcc, Code::Bmi, Code::Bpl, Code::Bvs,
                Code::Bvc, Code::Bhi, Code::Bls, Code::Bge, Code::Blt, Code::Bgt, Code::Ble,
            ];
            self.branch(PLAIN[condition as usize % 14], target, Operation::default());
        }
        self.fence = self.used;
        Go::On
    }

    fn indirect_branch(&mut self, w: Word) -> Go {
        let (opc, n) = (w.field(24, 21), w.rn());
        if w.field(20, 16) != 0b11111 || w.field(15, 10) != 0 || w.field(4, 0) != 0 {
            return self.undefined(w);
        }
        let (d, e) = (self.instructions, self.accesses);
        match opc {
            0b0000 | 0b0010 => {
                self.emit(Operation { code: Code::Br, a: DISCARD, b: n as u8, d, e, ..Operation::default() });
                Go::End
            }
            0b0001 => {
                let imm = self.pc.wrapping_add(4);
                self.emit(Operation {
                    code: Code::Blr,
                    a: 30,
                    b: n as u8,
                    d,
                    e,
                    imm,
                    ..Operation::default()
                });
                Go::End
            }
            0b0100 | 0b0101 if n == 31 => {
                self.system_word(w);
                Go::End
            }
            _ => self.undefined(w),
        }
    }

    /// The system space, whose meaning is the business of `system`, apart from what is both frequent
    /// and simple.
    fn system(&mut self, w: Word) -> Go {
        let rt = w.rt();
        let el1 = !self.context.has(Context::EL0);
        match w.0 & !0x1f {
            // Hints without effect: NOP, and what was not announced. WFE, WFI, SEV, SEVL, YIELD stay.
            0xd503_2000..=0xd503_2fff if rt == 31 && !(0xd503_2020..0xd503_20c0).contains(&w.0) => Go::On,
            // DMB.
            0xd503_30a0..=0xd503_3fff if rt == 31 && w.field(7, 5) == 5 => self.word(Code::Fence, w),
            // MRS, MSR (register) of what has no effects, unless some of it traps.
            code if el1 && !self.context.has(Context::TRAPS) && field_of(code).is_some() => {
                self.field(w, field_of(code))
            }
            code @ 0xd53b_d040 if field_of(code).is_some() => self.field(w, field_of(code)),
            // MRS DAIF, MSR DAIF.
            0xd53b_4220 if el1 => self.simple(Code::MrsDaif, destination(rt), 0, 0),
            0xd51b_4220 if el1 => self.followed(Code::MsrDaif, rt as u8, 0),
            // MSR DAIFSet, DAIFClr.
            0xd503_40c0..=0xd503_4fdf if el1 && rt == 31 && w.field(7, 5) == 6 => {
                self.simple(Code::DaifSet, 0, 0, u64::from(w.field(11, 8)) << 6)
            }
            0xd503_40e0..=0xd503_4fff if el1 && rt == 31 && w.field(7, 5) == 7 => {
                self.followed(Code::DaifClr, 0, u64::from(w.field(11, 8)) << 6)
            }
            // DC ZVA: tried on the map first, then as any other.
            0xd50b_7420 => {
                self.simple(Code::DcZva, 0, rt as u8, 0);
                self.system_word(w);
                Go::On
            }
            _ => {
                self.system_word(w);
                Go::On
            }
        }
    }

    fn field(&mut self, w: Word, field: Option<Field>) -> Go {
        let number = field.map_or(0, |field| field as u64);
        let code = if w.bit(21) { Code::MrsField } else { Code::MsrField };
        let a = if w.bit(21) { destination(w.rt()) } else { w.rt() as u8 };
        self.simple(code, a, 0, number)
    }

    /// Emits an operation that may leave the executor's loop, and after it its address.
    pub(super) fn followed(&mut self, code: Code, b: u8, imm: u64) -> Go {
        self.emit(Operation { code, b, imm, d: self.instructions, e: self.accesses, ..Operation::default() });
        self.emit(Operation { code: Code::Undefined, imm: self.pc, ..Operation::default() });
        self.fence = self.used;
        Go::On
    }

    /// Emits a system instruction, and after it an operation that carries its address.
    fn system_word(&mut self, w: Word) {
        self.sp_checked = false;
        self.word(Code::System, w);
        self.emit(Operation { code: Code::Undefined, imm: self.pc, ..Operation::default() });
        self.fence = self.used;
    }
}

/// A system register that is storage and nothing else, and is not trapped ([`Context::TRAPS`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    SpEl0,
    TpidrEl1,
    TpidrEl0,
    TpidrroEl0,
    ElrEl1,
    SpsrEl1,
    EsrEl1,
    FarEl1,
}

impl Field {
    /// Each of them, by its name, and whether it is written as well.
    pub(crate) const ALL: [(SysRegId, bool); 8] = [
        (names::SP_EL0, true),
        (names::TPIDR_EL1, true),
        (names::TPIDR_EL0, true),
        (names::TPIDRRO_EL0, false),
        (names::ELR_EL1, true),
        (names::SPSR_EL1, false),
        (names::ESR_EL1, false),
        (names::FAR_EL1, false),
    ];

    /// Returns the register of a number.
    #[inline(always)]
    pub(crate) const fn from_number(number: u64) -> Self {
        match number & 7 {
            0 => Self::SpEl0,
            1 => Self::TpidrEl1,
            2 => Self::TpidrEl0,
            3 => Self::TpidrroEl0,
            4 => Self::ElrEl1,
            5 => Self::SpsrEl1,
            6 => Self::EsrEl1,
            _ => Self::FarEl1,
        }
    }
}

/// Which register an MRS or MSR without its transfer register names.
const fn field_of(word: u32) -> Option<Field> {
    Some(match word {
        0xd538_4100 | 0xd518_4100 => Field::SpEl0,
        0xd538_d080 | 0xd518_d080 => Field::TpidrEl1,
        0xd53b_d040 | 0xd51b_d040 => Field::TpidrEl0,
        0xd53b_d060 => Field::TpidrroEl0,
        0xd538_4020 | 0xd518_4020 => Field::ElrEl1,
        // A write of SPSR_EL1 keeps some bits and not others.
        0xd538_4000 => Field::SpsrEl1,
        0xd538_5200 => Field::EsrEl1,
        0xd538_6000 => Field::FarEl1,
        _ => return None,
    })
}

/// The operation that is a comparison and a conditional branch in one.
fn joined(last: Operation, condition: u32) -> Option<Code> {
    use Code::*;
    // Conditions by number: EQ, NE, CS, CC, HI, LS, GE, LT, GT, LE.
    let position = match condition {
        0..=3 => condition,
        8..=13 => condition - 4,
        _ => return None,
    } as usize;
    #[rustfmt::skip]
    const SUBTRACT: [[Code; 10]; 4] = [
        [SubsI64Eq, SubsI64Ne, SubsI64Cs, SubsI64Cc, SubsI64Hi, SubsI64Ls, SubsI64Ge, SubsI64Lt, SubsI64Gt, SubsI64Le],
        [SubsI32Eq, SubsI32Ne, SubsI32Cs, SubsI32Cc, SubsI32Hi, SubsI32Ls, SubsI32Ge, SubsI32Lt, SubsI32Gt, SubsI32Le],
        [SubsR64Eq, SubsR64Ne, SubsR64Cs, SubsR64Cc, SubsR64Hi, SubsR64Ls, SubsR64Ge, SubsR64Lt, SubsR64Gt, SubsR64Le],
        [SubsR32Eq, SubsR32Ne, SubsR32Cs, SubsR32Cc, SubsR32Hi, SubsR32Ls, SubsR32Ge, SubsR32Lt, SubsR32Gt, SubsR32Le],
    ];
    const TEST: [[Code; 2]; 4] =
        [[AndsI64Eq, AndsI64Ne], [AndsI32Eq, AndsI32Ne], [AndsR64Eq, AndsR64Ne], [AndsR32Eq, AndsR32Ne]];
    match last.code {
        SubsI64 => Some(*SUBTRACT[0].get(position)?),
        SubsI32 => Some(*SUBTRACT[1].get(position)?),
        SubsR64 => Some(*SUBTRACT[2].get(position)?),
        SubsR32 => Some(*SUBTRACT[3].get(position)?),
        // Masks that are not their own low half, sign-extended, do not fit beside the link.
        AndsI64 if last.imm as i32 as u64 == last.imm => Some(*TEST[0].get(position)?),
        AndsI32 => Some(*TEST[1].get(position)?),
        AndsR64 => Some(*TEST[2].get(position)?),
        AndsR32 => Some(*TEST[3].get(position)?),
        _ => None,
    }
}

/// The operation that is a comparison and branch with the step of its register before it.
fn stepped(before: Operation, compare: Operation) -> Option<Operation> {
    let code = match (before.code, compare.code) {
        (Code::AddI64, Code::SubsI64Ne) => Code::StepI64Ne,
        (Code::AddI32, Code::SubsI32Ne) => Code::StepI32Ne,
        (Code::AddI64, Code::SubsR64Ne) => Code::StepR64Ne,
        (Code::AddI32, Code::SubsR32Ne) => Code::StepR32Ne,
        _ => return None,
    };
    let register = before.a;
    let small = before.imm.wrapping_add(32);
    let other = if code == Code::StepR64Ne || code == Code::StepR32Ne { compare.c } else { ZERO };
    let fits = before.b == register && compare.b == register && compare.a == DISCARD && small < 64;
    // The stepped register on both sides, or SP, is left alone.
    if !fits || other == register || register == SP {
        return None;
    }
    Some(Operation { code, a: register, b: other, c: small as u8, ..compare })
}
