//! Random cases with a structure: each is about something, and all else is set at random around it.

use super::case::{CASE_WORDS, Case, Kind, word};
use super::pe::VECTORS;
use crate::rng::Rng;

/// Where code of cases lies; all else there is UDF #0.
const CODE: u64 = 0x4800_0000;
const DATA: u64 = 0x5000_0000;
const NOP: u32 = 0xd503_201f;
const ERET: u32 = 0xd69f_03e0;
const BR_X3: u32 = 0xd61f_0060;
const SVC: u32 = 0xd400_0001;
const HVC: u32 = 0xd400_0002;
const SMC: u32 = 0xd400_0003;
const BRK: u32 = 0xd420_0000;

const TGE: u64 = 1 << 27;
const SS: u64 = 1 << 21;
const IL: u64 = 1 << 20;
const D: u64 = 1 << 9;

/// Makes cases: the same for a seed and a number, everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// The seed.
    pub seed: u64,
}

impl Generator {
    /// Returns case `number`; the kinds take turns.
    #[must_use]
    pub fn case(self, number: u64) -> Case {
        let mut rng = Rng::item(self.seed, number);
        let kind = Kind::ALL[(number % Kind::ALL.len() as u64) as usize];
        let mut case = Maker { rng: &mut rng, w: [0; CASE_WORDS] }.make(kind);
        case.words[word::KIND] = Kind::ALL.iter().position(|&other| other == kind).unwrap() as u64;
        case
    }
}

struct Maker<'a> {
    rng: &'a mut Rng,
    w: [u64; CASE_WORDS],
}

impl Maker<'_> {
    fn make(mut self, kind: Kind) -> Case {
        let level = self.base(kind);
        let code = match kind {
            Kind::Svc => vec![self.call(SVC)],
            Kind::Hvc => vec![self.call(HVC)],
            Kind::Smc => vec![self.call(SMC)],
            Kind::SoftwareBreakpoint => vec![self.call(BRK)],
            Kind::Undefined => vec![self.undefined(level)],
            Kind::Eret => self.exception_return(level),
            Kind::IllegalState => self.illegal_state(level),
            Kind::PcAlignment => self.misaligned_pc(),
            Kind::SpAlignment => self.misaligned_sp(),
            Kind::Step => self.step(level),
            Kind::StepReturn => self.step_return(level),
            Kind::Breakpoint => self.breakpoint(),
            Kind::Watchpoint => self.watchpoint(),
            Kind::VirtualInterrupt => self.virtual_interrupt(),
            Kind::PhysicalInterrupt => self.physical_interrupt(),
            Kind::Pstate => self.pstate(),
        };
        let mut case = Case { kind, words: self.w };
        case.set_code(&code);
        case
    }

    fn flag(&mut self, percent: u64, bit: u32) -> u64 {
        u64::from(self.rng.percent(percent)) << bit
    }

    /// PSTATE but for mode, IL and SS.
    fn flags(&mut self) -> u64 {
        let sparse = self.rng.word() & self.rng.word();
        self.rng.word() & 0xf3c0_03c0 | sparse & (1 << 34 | 1 << 13 | 1 << 12 | 3 << 10)
    }

    /// Fills in everything, and returns the level that the case starts at.
    fn base(&mut self, kind: Kind) -> u64 {
        let modes: &[u64] = match kind {
            Kind::Eret => &[0x5, 0x4, 0x5, 0x9, 0x9, 0x8, 0xd],
            Kind::StepReturn => &[0x5, 0x5, 0x4, 0x9, 0x9, 0x8],
            Kind::Step | Kind::Breakpoint | Kind::Watchpoint => &[0, 0, 0, 5, 5, 4, 9, 9, 8, 0xd],
            Kind::VirtualInterrupt => &[0, 0, 0, 5, 5, 5, 4, 4, 9],
            _ => &[0, 0, 0, 5, 5, 5, 4, 4, 9, 9, 8, 0xd, 0xc],
        };
        let mode = *self.rng.pick(modes);
        self.w[word::PSTATE] = self.flags() | mode;
        self.w[word::CODE_AT] = CODE + 0x40 * self.rng.below(0x1000);
        self.w[word::PC] = self.w[word::CODE_AT];
        self.controls(kind, mode >> 2);
        for at in [word::SPSR_EL1, word::SPSR_EL2] {
            self.w[at] = self.flags() | *self.rng.pick(&[0, 4, 5, 8, 9]);
            self.w[at + 1] = self.landing();
            self.w[at + 2] = u64::from(self.rng.half());
            self.w[at + 3] = self.rng.word();
        }
        self.w[word::ESR_EL3] = u64::from(self.rng.half());
        self.w[word::FAR_EL3] = self.rng.word();
        for n in 0..3 {
            self.w[word::SP_EL0 + n] = DATA + 0x100 * (n as u64 + 1);
        }
        self.w[word::X0] = self.rng.word();
        self.w[word::X0 + 1] = DATA + 16 * self.rng.below(4);
        self.w[word::X0 + 3] = self.landing();
        for at in [word::VBAR, word::VBAR + 1] {
            self.w[at] = VECTORS + 0x800 * self.rng.below(32);
        }
        self.w[word::VSESR] = self.rng.word() & 0x1ff_ffff;
        mode >> 2
    }

    fn controls(&mut self, kind: Kind, level: u64) {
        let is_debug = matches!(kind, Kind::Step | Kind::StepReturn | Kind::Breakpoint | Kind::Watchpoint);
        let is_interrupt = matches!(kind, Kind::VirtualInterrupt | Kind::PhysicalInterrupt);
        // NS, RES1, RW, APK, API, ATA, HXEn, GCSEn.
        let mut scr = 1 | 0x30 | 1 << 10 | 3 << 16 | 1 << 26 | 3 << 38;
        scr |= self.flag(80, 8) | self.flag(15, 7) | self.flag(40, 18);
        if !is_debug && !is_interrupt && self.rng.percent(12) {
            scr &= !1;
        }
        let mut hcr = 1 << 31 | 3 << 40;
        hcr |= self.flag(25, 27) | self.flag(35, 34) | self.flag(20, 19) | self.flag(10, 29);
        hcr |= self.flag(30, 3) | self.flag(30, 4) | self.flag(30, 5) | self.flag(20, 37);
        if kind != Kind::Undefined && kind != Kind::Pstate && self.rng.percent(12) {
            hcr |= 1 << 42 | self.flag(50, 43) | self.flag(50, 45);
        }
        // Neither is a level that the entry from EL3 could reach.
        if level == 1 {
            hcr &= !TGE;
        }
        if level == 2 && scr & 1 == 0 {
            scr |= 1 << 18 | 1;
        }
        self.w[word::SCR] = scr;
        self.w[word::HCR] = hcr;
        self.w[word::MDCR_EL2] = self.flag(30, 8);
        for n in 0..3 {
            // RES1 bits of Armv8.0; SPAN, DSSBS, NMI, SPINTMASK, SA, SA0, UMA.
            let res1 = if n == 0 { 0x3050_0800 } else { 0x3045_0830 };
            let span = if n == 2 { 0 } else { self.flag(50, 23) };
            let alignment = self.flag(50, 3) | self.flag(50, 4) | self.flag(50, 9);
            self.w[word::SCTLR + n] = res1
                | span
                | self.flag(50, 44)
                | self.flag(30, 61)
                | self.flag(50, 62)
                | if n == 2 { alignment & 8 } else { alignment };
        }
        for n in 0..2 {
            self.w[word::GCSCR + n] = self.flag(20, 6);
        }
        self.w[word::TCR_EL1] = self.flag(40, 37) | self.flag(40, 38) | self.flag(30, 51) | self.flag(30, 52);
        self.w[word::TCR_EL2] = self.flag(40, 37) | self.flag(40, 38) | self.flag(30, 51) | self.flag(30, 52);
        self.w[word::VTTBR] = self.rng.below(4) << 48 | self.rng.below(2) << 56;
        self.w[word::VTCR] = 1 << 31 | self.flag(50, 19);
        self.w[word::CONTEXTIDR_EL1] = self.rng.below(3);
        self.w[word::CONTEXTIDR_EL2] = self.rng.below(3);
        self.w[word::OS_LOCK] = u64::from(self.rng.percent(if is_debug { 6 } else { 50 }));
        self.w[word::DOUBLE_LOCK] = u64::from(is_debug && self.rng.percent(6));
    }

    /// An address of UDF #0.
    fn landing(&mut self) -> u64 {
        CODE + 0x20_0000 + 4 * self.rng.below(0x1000)
    }

    fn call(&mut self, word: u32) -> u32 {
        word | (self.rng.half() & 0xffff) << 5
    }

    fn undefined(&mut self, level: u64) -> u32 {
        let half = self.rng.half();
        match self.rng.below(6) {
            0 => half & 0xffff,
            // MSR and MRS of encodings that nothing has: op0 = 3, CRn = 3, op1 other than 4.
            1 => 0xd518_3000 | (half & 0x20_0fff) | *self.rng.pick(&[0, 1, 2, 3, 5, 7]) << 16,
            // op0 = 0 with a register.
            2 => 0xd500_4000 | half & 0x7_0fff & !0x1f | half >> 27 & 15,
            // HCR_EL2 at EL0 and EL1, SCR_EL3 below EL3.
            3 if level < 2 => {
                *self.rng.pick(&[0xd53c_1100, 0xd51c_1100, 0xd53e_1100, 0xd51e_1100]) | half & 31
            }
            3 if level == 2 => *self.rng.pick(&[0xd53e_1100, 0xd51e_1100]) | half & 31,
            // HLT without halting debug, DCPS1 to DCPS3 outside of Debug state.
            4 => *self.rng.pick(&[0xd440_0000, 0xd4a0_0001, 0xd4a0_0002, 0xd4a0_0003]) | (half & 0x3fff) << 5,
            // ERET at EL0; unallocated branches and exceptions.
            _ => *self.rng.pick(&[
                0xd4e0_0000,
                0xd400_0000,
                0xd420_0001,
                0xffff_ffff,
                0x6000_0000,
                0xd63f_0c00,
            ]),
        }
    }

    /// A saved mode: half of them legal for `level`, the rest anything but AArch32 User.
    fn saved_mode(&mut self, level: u64) -> u64 {
        let legal: &[u64] = match level {
            1 => &[0, 4, 5],
            2 => &[0, 4, 5, 8, 9],
            _ => &[0, 4, 5, 8, 9, 0xc, 0xd],
        };
        if self.rng.percent(55) {
            return *self.rng.pick(legal);
        }
        match self.rng.below(32) {
            0x10 => 2,
            mode => mode,
        }
    }

    fn saved(&mut self, level: u64) -> u64 {
        let mode = self.saved_mode(level);
        let noise = if self.rng.percent(20) { self.rng.word() & 0x0c0f_8000 } else { 0 };
        self.flags() | mode | noise | self.flag(20, 20) | self.flag(30, 21)
    }

    fn tagged(&mut self, address: u64) -> u64 {
        match self.rng.below(4) {
            0 => address | (self.rng.word() & 0xff) << 56,
            1 if self.rng.percent(50) => address | 0x1ff << 55 | 0x7f << 48,
            1 => address | (self.rng.word() & 0xff) << 56 | 0xff << 48,
            _ => address,
        }
    }

    fn exception_return(&mut self, level: u64) -> Vec<u32> {
        if level == 3 {
            self.w[word::PSTATE] = self.saved(3) & !SS;
            let address = self.landing();
            self.w[word::PC] = self.tagged(address);
            return vec![ERET];
        }
        let at = if level == 1 { word::SPSR_EL1 } else { word::SPSR_EL2 };
        self.w[at] = self.saved(level);
        let address = self.landing();
        self.w[at + 1] = if level == 1 || self.w[at] & 0xc < 8 { self.tagged(address) } else { address };
        vec![ERET]
    }

    fn illegal_state(&mut self, _level: u64) -> Vec<u32> {
        self.w[word::PSTATE] |= IL;
        if self.rng.percent(20) {
            self.w[word::PC] |= self.rng.below(4);
        }
        let other = *self.rng.pick(&[NOP, SVC, HVC, SMC, BRK, ERET, 0]);
        vec![other]
    }

    fn misaligned_pc(&mut self) -> Vec<u32> {
        let low = 1 + self.rng.below(3);
        if self.rng.percent(40) {
            self.w[word::PC] |= low;
            return vec![NOP];
        }
        self.w[word::X0 + 3] |= low;
        vec![BR_X3]
    }

    fn misaligned_sp(&mut self) -> Vec<u32> {
        for n in 0..3 {
            self.w[word::SP_EL0 + n] |= self.flag(50, 3);
        }
        // LDR X2, [SP]; STR X2, [SP]; STR W2, [SP, #4].
        vec![*self.rng.pick(&[0xf940_03e2, 0xf900_03e2, 0xb900_07e2])]
    }

    /// MDSCR_EL1 with these bits, and KDE or not.
    fn debug_on(&mut self, bits: u64) {
        self.w[word::MDSCR] = bits | self.flag(60, 13);
        if self.rng.percent(70) {
            self.w[word::PSTATE] &= !D;
        }
    }

    /// Something that executes.
    fn plain(&mut self) -> u32 {
        match self.rng.below(10) {
            0..=2 => NOP,
            3 => 0xc85f_7c22,                                 // LDXR X2, [X1]
            4 => *self.rng.pick(&[0x085f_fc22, 0x885f_7c22]), // LDAXRB, LDXR of a word
            5 => 0xf940_0022,                                 // LDR X2, [X1]
            6 => self.immediate(),
            7 => 0xd53b_4202, // MRS X2, NZCV
            _ => 0xa900_0823, // STP X3, X2, [X1]
        }
    }

    fn step(&mut self, level: u64) -> Vec<u32> {
        self.debug_on(1);
        self.w[word::PSTATE] |= self.flag(70, 21);
        if self.rng.percent(10) {
            self.w[word::PC] |= self.rng.below(4);
        }
        self.w[word::PSTATE] |= self.flag(5, 20);
        let first = match self.rng.below(8) {
            0 => self.call(SVC),
            1 => *self.rng.pick(&[HVC, SMC, BRK]),
            // ERET at EL3 would return to itself.
            2 => *self.rng.pick(&[if level < 3 { ERET } else { NOP }, 0, BR_X3]),
            _ => self.plain(),
        };
        if self.rng.percent(10) {
            self.w[word::MDSCR] |= 1 << 15;
            self.any_breakpoint(0);
        }
        vec![first, self.plain(), self.plain(), self.call(SVC)]
    }

    fn step_return(&mut self, level: u64) -> Vec<u32> {
        self.debug_on(1);
        let at = if level == 1 { word::SPSR_EL1 } else { word::SPSR_EL2 };
        self.w[at] = self.saved(level) & !IL | self.flag(50, 21);
        if self.rng.percent(70) {
            self.w[at + 1] = self.w[word::CODE_AT] + 4;
        }
        vec![ERET, self.plain(), self.plain()]
    }

    fn any_breakpoint(&mut self, n: usize) {
        let target = self.w[word::CODE_AT] + 4 * self.rng.below(3);
        let kind = if self.rng.percent(80) { u64::from(self.rng.percent(35)) } else { self.rng.below(16) };
        let mask = if self.rng.percent(10) { self.rng.below(32) } else { 0 };
        let bas = *self.rng.pick(&[0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 3, 0xc, 0]);
        let linked = if self.rng.percent(80) { 4 + self.rng.below(2) } else { self.rng.below(16) };
        let control =
            self.state_control() | kind << 20 | mask << 24 | bas << 5 | linked << 16 | self.flag(90, 0);
        self.w[word::BREAKPOINTS + 2 * n] = control;
        self.w[word::BREAKPOINTS + 2 * n + 1] = match kind {
            0 | 1 | 4 | 5 => target | self.flag(10, 1) | self.flag(4, 12),
            _ => self.context(),
        };
    }

    /// HMC, SSC and PMC or PAC.
    fn state_control(&mut self) -> u64 {
        if self.rng.percent(60) {
            // EL1 and EL0, EL2, all.
            *self.rng.pick(&[0b11 << 1, 0b11 << 14 | 1 << 13, 1 << 13 | 0b11 << 1, 1 << 13 | 0b11 << 1])
        } else {
            self.rng.below(4) << 1 | self.rng.below(8) << 13
        }
    }

    fn context(&mut self) -> u64 {
        let vmid = self.rng.below(4) | self.rng.below(2) << 8;
        self.rng.below(3) | if self.rng.percent(50) { vmid } else { self.rng.below(3) } << 32
    }

    fn linked_contexts(&mut self) {
        for n in [4, 5] {
            let kind = *self.rng.pick(&[3, 3, 3, 7, 7, 13, 13, 9, 11, 15, 2, 1]);
            self.w[word::BREAKPOINTS + 2 * n] = kind << 20 | 0xf << 5 | self.flag(90, 0);
            self.w[word::BREAKPOINTS + 2 * n + 1] = self.context();
        }
    }

    fn breakpoint(&mut self) -> Vec<u32> {
        self.debug_on(0);
        self.w[word::MDSCR] |= self.flag(92, 15);
        self.linked_contexts();
        self.any_breakpoint(0);
        if self.rng.percent(40) {
            let n = 1 + self.rng.below(3) as usize;
            self.any_breakpoint(n);
        }
        if self.rng.percent(5) {
            self.w[word::PC] |= self.rng.below(4);
        }
        self.w[word::PSTATE] |= self.flag(5, 20);
        vec![self.plain(), self.plain(), self.call(SVC)]
    }

    fn watchpoint(&mut self) -> Vec<u32> {
        self.debug_on(0);
        self.w[word::MDSCR] |= self.flag(92, 15);
        self.linked_contexts();
        for n in 0..2 {
            if n == 1 && self.rng.percent(60) {
                break;
            }
            let linked = if self.rng.percent(80) { 4 + self.rng.below(2) } else { self.rng.below(16) };
            let bas = match self.rng.below(4) {
                0 => 0xff,
                1 => 1 << self.rng.below(8),
                2 => 0xff >> self.rng.below(8) << self.rng.below(8) & 0xff,
                _ => self.rng.below(256),
            };
            let mask = if self.rng.percent(25) { self.rng.below(8) } else { 0 };
            let control = self.state_control()
                | self.flag(95, 0)
                | *self.rng.pick(&[1, 2, 3, 3, 0]) << 3
                | bas << 5
                | linked << 16
                | self.flag(30, 20)
                | mask << 24;
            let low = if self.rng.percent(30) { 4 } else { 0 };
            let at = (DATA + 8 * self.rng.below(12)) & !(((1 << mask) - 1) & !7) | low;
            self.w[word::WATCHPOINTS + 2 * n] = control;
            self.w[word::WATCHPOINTS + 2 * n + 1] = at;
        }
        let accesses = [self.access(), self.access()];
        vec![accesses[0], accesses[1], self.call(SVC)]
    }

    /// A load or store of X2 near X1, aligned.
    fn access(&mut self) -> u32 {
        let size = self.rng.below(4) as u32;
        let store = self.rng.percent(50);
        let load = if store { 0 } else { 1 << 22 };
        let offset = self.rng.below(1 << (5 - size)) as u32;
        match self.rng.below(6) {
            0..=2 => 0x3900_0022 | size << 30 | load | offset << 10,
            3 | 4 => 0x3800_0822 | size << 30 | load | (offset << size) << 12,
            _ => 0xa900_0c22 | load | (self.rng.below(4) as u32 * 2) << 15,
        }
    }

    fn virtual_interrupt(&mut self) -> Vec<u32> {
        self.w[word::HCR] |= self.flag(50, 6) | self.flag(60, 7) | self.flag(40, 8);
        for bit in 3..6 {
            self.w[word::HCR] |= self.flag(60, bit);
        }
        self.w[word::HCRX] = self.flag(40, 7) | self.flag(40, 8);
        self.sparse_masks();
        if self.rng.percent(40) { vec![self.immediate(), NOP] } else { vec![NOP] }
    }

    fn physical_interrupt(&mut self) -> Vec<u32> {
        self.w[word::PENDING] = *self.rng.pick(&[1, 2, 2, 6, 6]);
        self.w[word::SCR] |= self.flag(20, 1) | self.flag(20, 2);
        self.sparse_masks();
        if self.rng.percent(40) { vec![self.immediate(), NOP] } else { vec![NOP] }
    }

    fn sparse_masks(&mut self) {
        if self.rng.percent(60) {
            self.w[word::PSTATE] &= !(self.rng.word() & 0x3c0);
        }
    }

    /// MSR (immediate) of a field of PSTATE.
    fn immediate(&mut self) -> u32 {
        let imm = self.rng.below(16) as u32;
        let (op1, op2, imm) = *self.rng.pick(&[
            (3, 6, imm),
            (3, 7, imm),
            (3, 7, 15),
            (0, 4, imm & 1),
            (0, 5, imm & 1),
            (0, 3, imm & 1),
            (3, 1, imm & 1),
            (3, 2, imm & 1),
            (3, 4, imm & 1),
            (1, 0, imm & 1),
        ]);
        0xd500_401f | op1 << 16 | imm << 8 | op2 << 5
    }

    fn pstate(&mut self) -> Vec<u32> {
        const READ: [u32; 10] = [
            0xd538_4240,
            0xd538_4200,
            0xd53b_4220,
            0xd53b_4200,
            0xd538_4260,
            0xd538_4280,
            0xd53b_42a0,
            0xd53b_42c0,
            0xd53b_42e0,
            0xd538_4300,
        ];
        vec![self.immediate(), *self.rng.pick(&READ), self.immediate(), BR_X3]
    }
}
