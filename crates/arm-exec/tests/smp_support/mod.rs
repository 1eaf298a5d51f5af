//! A64 words by name, and the threads that run PEs.
//!
//! Encodings are the Arm ARM's, of each instruction; registers are numbers, 31 is ZR or SP as the manual says.

use super::engine_support::{DATA, Refused, World};
use arm_exec::{Event, Pe};
use std::time::{Duration, Instant};

/// Where tests with no number of repetitions say that it is enough.
pub const STOP: u64 = DATA - 0x1000;

/// Code under construction.
pub struct Asm {
    at: u64,
    words: Vec<u32>,
}

/// Conditions of B.cond.
pub const EQ: u32 = 0;
pub const NE: u32 = 1;
pub const HS: u32 = 2;

pub const DMB_ISH: u32 = 0xd503_3bbf;
pub const DMB_ISHLD: u32 = 0xd503_39bf;
pub const DMB_ISHST: u32 = 0xd503_3abf;
pub const DSB_ISH: u32 = 0xd503_3b9f;
pub const ISB: u32 = 0xd503_3fdf;
pub const YIELD: u32 = 0xd503_203f;
pub const WFE: u32 = 0xd503_205f;
pub const SEV: u32 = 0xd503_209f;
pub const RET: u32 = 0xd65f_03c0;
pub const ERET: u32 = 0xd69f_03e0;
pub const TLBI_VMALLE1IS: u32 = 0xd508_831f;
/// Ends a test: all is well, or the guest has found something wrong.
pub const HVC_DONE: u32 = 0xd400_0002;
pub const HVC_WRONG: u32 = 0xd400_0022;

const fn rrr(base: u32, m: u32, n: u32, d: u32) -> u32 {
    base | m << 16 | n << 5 | d
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident($($operand:ident),*) = $word:expr;)*) => {$(
        $(#[$meta])*
        pub const fn $name($($operand: u32),*) -> u32 {
            $word
        }
    )*};
}
words! {
    movz(d, imm) = 0xd280_0000 | imm << 5 | d;
    mov(d, m) = rrr(0xaa00_03e0, m, 0, d);
    add(d, n, m) = rrr(0x8b00_0000, m, n, d);
    /// ADD Xd, Xn, Xm, LSL #shift.
    add_lsl(d, n, m, shift) = rrr(0x8b00_0000, m, n, d) | shift << 10;
    eor(d, n, m) = rrr(0xca00_0000, m, n, d);
    /// AND Xd, Xn, #1 and #3.
    and_1(d, n) = rrr(0x9240_0000, 0, n, d);
    and_3(d, n) = rrr(0x9240_0400, 0, n, d);
    addi(d, n, imm) = rrr(0x9100_0000, 0, n, d) | imm << 10;
    subi(d, n, imm) = rrr(0xd100_0000, 0, n, d) | imm << 10;
    lsri(d, n, shift) = rrr(0xd340_fc00, shift, n, d);
    cmp(n, m) = rrr(0xeb00_001f, m, n, 0);
    cmpi(n, imm) = rrr(0xf100_001f, 0, n, 0) | imm << 10;
    ldr(t, n) = rrr(0xf940_0000, 0, n, t);
    str(t, n) = rrr(0xf900_0000, 0, n, t);
    str_w(t, n) = rrr(0xb900_0000, 0, n, t);
    /// LDR Xt, [Xn, Xm].
    ldr_x(t, n, m) = rrr(0xf860_6800, m, n, t);
    ldar(t, n) = rrr(0xc8df_fc00, 0, n, t);
    ldapr(t, n) = rrr(0xf8bf_c000, 0, n, t);
    stlr(t, n) = rrr(0xc89f_fc00, 0, n, t);
    ldxr(t, n) = rrr(0xc85f_7c00, 0, n, t);
    ldaxr(t, n) = rrr(0xc85f_fc00, 0, n, t);
    stxr(s, t, n) = rrr(0xc800_7c00, s, n, t);
    stlxr(s, t, n) = rrr(0xc800_fc00, s, n, t);
    ldxr_b(t, n) = rrr(0x085f_7c00, 0, n, t);
    stxr_b(s, t, n) = rrr(0x0800_7c00, s, n, t);
    ldxp(t, u, n) = rrr(0xc87f_0000, 0, n, t) | u << 10;
    stxp(s, t, u, n) = rrr(0xc820_0000, s, n, t) | u << 10;
    ldadd(s, t, n) = rrr(0xf820_0000, s, n, t);
    ldaddl(s, t, n) = rrr(0xf860_0000, s, n, t);
    ldadd_w(s, t, n) = rrr(0xb820_0000, s, n, t);
    ldadd_h(s, t, n) = rrr(0x7820_0000, s, n, t);
    ldadd_b(s, t, n) = rrr(0x3820_0000, s, n, t);
    swpa(s, t, n) = rrr(0xf8a0_8000, s, n, t);
    cas(s, t, n) = rrr(0xc8a0_7c00, s, n, t);
    casal(s, t, n) = rrr(0xc8e0_fc00, s, n, t);
    casp(s, t, n) = rrr(0x4820_7c00, s, n, t);
    tlbi_vae1is(t) = 0xd508_8320 | t;
    dc_cvau(t) = 0xd50b_7b20 | t;
    ic_ivau(t) = 0xd50b_7520 | t;
    mrs_esr_el1(t) = 0xd538_5200 | t;
    // Branches, without their offset.
    cbz(t) = 0xb400_0000 | t;
    cbnz(t) = 0xb500_0000 | t;
    b_cond(cond) = 0x5400_0000 | cond;
    b() = 0x1400_0000;
    bl() = 0x9400_0000;
}

impl Asm {
    pub fn at(at: u64) -> Self {
        Self { at, words: Vec::new() }
    }

    /// The address of the next word.
    pub fn here(&self) -> u64 {
        self.at + 4 * self.words.len() as u64
    }

    pub fn put(&mut self, words: &[u32]) {
        self.words.extend_from_slice(words);
    }

    /// MOVZ and MOVK.
    pub fn constant(&mut self, d: u32, value: u64) {
        self.put(&[movz(d, value as u32 & 0xffff)]);
        for n in (1..4).filter(|n| value >> (16 * n) & 0xffff != 0) {
            let part = (value >> (16 * n)) as u32 & 0xffff;
            self.put(&[0xf280_0000 | n << 21 | part << 5 | d]);
        }
    }

    /// A branch to an address that is known.
    pub fn to(&mut self, branch: u32, target: u64) {
        let word = Self::aim(branch, self.here(), target);
        self.put(&[word]);
    }

    /// A branch to an address that is not known yet; see [`land`](Self::land).
    pub fn ahead(&mut self, branch: u32) -> usize {
        self.put(&[branch]);
        self.words.len() - 1
    }

    /// Makes a branch ahead lead here.
    pub fn land(&mut self, branch: usize) {
        self.words[branch] = Self::aim(self.words[branch], self.at + 4 * branch as u64, self.here());
    }

    fn aim(branch: u32, from: u64, target: u64) -> u32 {
        let offset = (target.wrapping_sub(from) as i64 >> 2) as u32;
        match branch >> 26 & 0x1f {
            0b00101 => branch | offset & 0x3ff_ffff,
            _ => branch | (offset & 0x7_ffff) << 5,
        }
    }

    /// Repeats what `body` says until the count in `register` is used up.
    pub fn repeat(&mut self, register: u32, times: u64, body: impl FnOnce(&mut Self)) {
        self.constant(register, times);
        let top = self.here();
        body(self);
        self.put(&[subi(register, register, 1)]);
        self.to(cbnz(register), top);
    }

    /// Waits until as many PEs as `count` have come here; `cell` holds the address of a counter that only this
    /// place uses. Changes 20 to 22.
    pub fn meet(&mut self, cell: u32, count: u64) {
        self.constant(20, 1);
        self.constant(22, count);
        self.put(&[ldadd(20, 31, cell)]);
        let again = self.here();
        self.put(&[ldar(21, cell), cmp(21, 22)]);
        let met = self.ahead(b_cond(HS));
        self.put(&[YIELD]);
        self.to(b(), again);
        self.land(met);
    }

    /// Repeats what `body` says until the test says [`STOP`]. Changes 23 and 24.
    pub fn until_stopped(&mut self, body: impl FnOnce(&mut Self)) {
        self.constant(23, STOP);
        let top = self.here();
        body(self);
        self.put(&[YIELD, ldar(24, 23)]);
        self.to(cbz(24), top);
    }

    pub fn store(self, world: &World) {
        world.code(self.at, &self.words);
    }
}

/// What ended the runs of a PE between its start and its HVC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    pub kicks: u64,
    pub stage2: u64,
    pub waits: u64,
}

/// Runs a PE until it says that it is done. Aborts of stage 2 go to `fault`, which makes the page accessible.
pub fn drive(pe: &mut Pe<'static>, world: &'static World, mut fault: impl FnMut(u64)) -> Ends {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut ends = Ends::default();
    loop {
        match pe.run(world, 5000) {
            Event::Trap { esr: 0x5a00_0000, .. } => return ends,
            Event::Budget => assert!(Instant::now() < deadline, "stuck at {:#x}", pe.state.pc),
            Event::ExitRequest => ends.kicks += 1,
            Event::Stage2 { fault: Refused(_), ipa, .. } => {
                ends.stage2 += 1;
                fault(ipa.bits() & !0xfff);
            }
            // WFE: nothing else to do than to let others go on.
            Event::Trap { esr, .. } if esr >> 26 == 1 => {
                ends.waits += 1;
                pe.state.pc += 4;
                std::thread::yield_now();
            }
            event => panic!("{event:?} at {:#x}, ESR_EL1 {:#x}", pe.state.pc, pe.state.sys.esr_el1),
        }
    }
}

/// Runs PEs on a thread each until all are done.
pub fn drive_all(pes: &mut [Pe<'static>], world: &'static World) -> Vec<Ends> {
    drive_until(pes, world, |_| panic!("an abort of stage 2"), || true)
}

/// Runs PEs on a thread each and says [`STOP`] after a quarter of a second and when there is enough of what the test
/// is about.
pub fn drive_until(
    pes: &mut [Pe<'static>],
    world: &'static World,
    fault: impl Fn(u64) + Sync,
    enough: impl Fn() -> bool,
) -> Vec<Ends> {
    let start = Instant::now();
    let fault = &fault;
    std::thread::scope(|scope| {
        let threads: Vec<_> = pes.iter_mut().map(|pe| scope.spawn(move || drive(pe, world, fault))).collect();
        while !threads.iter().any(|thread| thread.is_finished())
            && (start.elapsed() < Duration::from_millis(250) || !enough())
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        world.put(STOP, 1);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
