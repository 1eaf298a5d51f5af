//! Where QEMU differs, each as a change of what the walker is asked: an answer of QEMU is explained by a set of
//! differences only if the walker, asked with all of them, gives that very answer. `docs/differences.md` says who is right.

use super::ask::{OutOfBounds, Trace, ask};
use super::attributes::{Inputs, Second, attributes};
use super::case::{
    Answer, Case, MEMORY_END, NON_SECURE_TABLES, Query, STAGE_1_TABLES, STAGE_2_TABLES, register as r,
};
use super::geometry::{Geometry, ones};
use arm_arch::Pa;
use arm_arch::sysreg::{
    HcrEl2, HcrxEl2, MairEl1, ParFault, ParSuccess, SctlrEl1, Tcr2, TcrEl1, TcrEl3, VtcrEl2,
};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{AtOperation, DescriptorKind, Implementation, Registers, Stage, Stage1Registers, Step};
use std::collections::HashSet;
use std::fmt;

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// B1a.
    HighBits,
    /// B1b, at stage 1.
    LargeLeaf,
    /// B1b, at stage 2.
    LargeLeaf2,
    /// B2.
    Managed,
    /// B3.
    Dirty,
    /// B4.
    CacheControls,
    /// B5.
    Xs,
    /// B6.
    DeviceOverNormal,
    /// B7.
    ForcedDevice,
    /// B8.
    PtwLevel,
    /// B9.
    Transient,
    /// B11.
    Tge,
    /// B14.
    ShareabilityOfStage1,
    /// C1.
    Contiguous,
    /// C2.
    ReservedShareability,
    /// C3.
    ReservedMemAttr,
    /// C5.
    LowBits,
    /// C6.
    ReservedMair,
    /// C7.
    ReservedIndirect,
    /// B15.
    PtwAlone,
    /// B16.
    NestedPan,
    /// B17.
    SecureIndirect,
}

use Difference as D;

impl Difference {
    /// All of them, with the names that `docs/differences.md` uses.
    pub const ALL: [(Self, &'static str); 22] = [
        (D::HighBits, "B1a"),
        (D::LargeLeaf, "B1b"),
        (D::LargeLeaf2, "B1b"),
        (D::Managed, "B2"),
        (D::Dirty, "B3"),
        (D::CacheControls, "B4"),
        (D::Xs, "B5"),
        (D::DeviceOverNormal, "B6"),
        (D::ForcedDevice, "B7"),
        (D::PtwLevel, "B8"),
        (D::Transient, "B9"),
        (D::Tge, "B11"),
        (D::ShareabilityOfStage1, "B14"),
        (D::Contiguous, "C1"),
        (D::ReservedShareability, "C2"),
        (D::ReservedMemAttr, "C3"),
        (D::LowBits, "C5"),
        (D::ReservedMair, "C6"),
        (D::ReservedIndirect, "C7"),
        (D::PtwAlone, "B15"),
        (D::NestedPan, "B16"),
        (D::SecureIndirect, "B17"),
    ];
}

/// What changes where a walk goes.
const OF_WALK: [D; 13] = [
    D::HighBits,
    D::LargeLeaf,
    D::LargeLeaf2,
    D::Managed,
    D::Dirty,
    D::PtwLevel,
    D::Tge,
    D::Contiguous,
    D::LowBits,
    D::ReservedIndirect,
    D::PtwAlone,
    D::NestedPan,
    D::SecureIndirect,
];
/// What changes the attributes it ends with.
const OF_ATTRIBUTES: [D; 9] = [
    D::CacheControls,
    D::Xs,
    D::DeviceOverNormal,
    D::ForcedDevice,
    D::Transient,
    D::ShareabilityOfStage1,
    D::ReservedShareability,
    D::ReservedMemAttr,
    D::ReservedMair,
];

/// Some of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(u32);

impl Set {
    /// Whether one is here.
    #[must_use]
    pub const fn has(self, one: D) -> bool {
        self.0 >> one as u32 & 1 == 1
    }

    /// Returns the set with one more.
    #[must_use]
    pub const fn with(self, one: D) -> Self {
        Self(self.0 | 1 << one as u32)
    }

    /// Returns both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Lists them.
    pub fn iter(self) -> impl Iterator<Item = D> {
        D::ALL.into_iter().map(|(one, _)| one).filter(move |&one| self.has(one))
    }

    /// Returns every set of these, small ones first.
    fn all(of: &[D]) -> Vec<Self> {
        let mut sets: Vec<u32> = (0..1 << of.len()).collect();
        sets.sort_by_key(|set| set.count_ones());
        let members = |set: u32| of.iter().enumerate().filter(move |(i, _)| set >> i & 1 == 1);
        sets.into_iter()
            .map(|set| members(set).fold(Self::default(), |sum, (_, &one)| sum.with(one)))
            .collect()
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> =
            D::ALL.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name).collect();
        names.dedup();
        f.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Explains answers of a machine.
#[derive(Debug)]
pub struct Explainer {
    implementation: Implementation,
    walks: Vec<Set>,
    attributes: Vec<Set>,
}

/// Whether two answers are the same as far as the architecture says what they are: `PAR_EL1.NS` is UNKNOWN outside
/// Secure state.
#[must_use]
pub fn same(one: Answer, other: Answer, secure: bool) -> bool {
    match (one, other) {
        (Answer::Par(a), Answer::Par(b)) if !ParSuccess::from_bits(a).f() && !secure => {
            ParSuccess::from_bits(a).with_ns(false) == ParSuccess::from_bits(b).with_ns(false)
        }
        _ => one == other,
    }
}

/// Whether a PAR_EL1 is of a translation that succeeded.
const fn is_mapping(par: u64) -> bool {
    !ParSuccess::from_bits(par).f()
}

/// Whether `PAR_EL1.NS` of a mapping has a meaning: in Secure state, in which EL3 is as well.
#[must_use]
pub const fn tells_space(case: &Case, query: Query) -> bool {
    case.is_secure() || query.is_of_el3()
}

impl Explainer {
    /// Starts with what a machine has.
    #[must_use]
    pub fn new(implementation: Implementation) -> Self {
        Self { implementation, walks: Set::all(&OF_WALK), attributes: Set::all(&OF_ATTRIBUTES) }
    }

    /// Looks for the smallest set of differences that makes the walker give this answer; `trace` is its walk
    /// without any.
    #[must_use]
    pub fn explain(&self, case: &Case, query: Query, theirs: Answer, trace: &Trace) -> Explanation {
        let view = View::of(case, query, &self.implementation, trace);
        let mut astray = false;
        for &set in self.walks.iter().filter(|set| view.can_be(**set)) {
            let (answer, trace) = match view.ask(set, &self.implementation) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(OutOfBounds) => {
                    astray = true;
                    continue;
                }
            };
            match (answer, theirs) {
                (Answer::Par(ours), Answer::Par(par)) if is_mapping(ours) && is_mapping(par) => {
                    let (ours, par) = (ParSuccess::from_bits(ours), ParSuccess::from_bits(par));
                    if ours.pa() != par.pa() || tells_space(case, query) && ours.ns() != par.ns() {
                        continue;
                    }
                    let Some(inputs) = view.inputs(&trace, set) else { continue };
                    let want = (par.attr(), par.sh());
                    let found = self.attributes.iter().find(|set| attributes(&inputs, **set) == want);
                    if let Some(more) = found {
                        return Explanation::By(set.union(*more));
                    }
                }
                _ if same(answer, theirs, tells_space(case, query)) => return Explanation::By(set),
                _ => {}
            }
        }
        match (astray, view.meets_tables_without_el2(trace)) {
            (true, _) => Explanation::Astray,
            (false, true) => Explanation::WithoutEl2,
            (false, false) => Explanation::None,
        }
    }

    /// Returns what the walker answers with each difference alone, to see why none explains an answer.
    #[must_use]
    pub fn alone(&self, case: &Case, query: Query, trace: &Trace) -> Vec<(Set, Answer, Trace)> {
        let view = View::of(case, query, &self.implementation, trace);
        let sets = OF_WALK.iter().map(|&one| Set::default().with(one)).filter(|set| view.can_be(*set));
        sets.filter_map(|set| {
            let (answer, trace) = view.ask(set, &self.implementation).ok()??;
            Some((set, answer, trace))
        })
        .collect()
    }
}

/// Levels of stage 1, each of which a difference may lead to where the one above did not.
const MOST_LEVELS: usize = 5;

/// What became of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// These make the walker give the answer.
    By(Set),
    /// QEMU may have read what is not in the case: the program, or a device.
    Astray,
    /// B18: the condition is met; what QEMU makes of it is not modelled.
    WithoutEl2,
    /// There is none.
    None,
}

/// A stage as the edits of descriptors see it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    geometry: Geometry,
    big_endian: bool,
    pie: bool,
}

/// Whose stage 1 answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    El1,
    El2,
    El3,
}

impl Owner {
    fn of(case: &Case, query: Query) -> Self {
        let (_, operation) = query.operation();
        let (e2h, tge) = (case.hcr().e2h(), case.hcr().tge());
        match operation {
            AtOperation::S1E3R | AtOperation::S1E3W | AtOperation::S1E3A => Self::El3,
            AtOperation::S1E2R | AtOperation::S1E2W | AtOperation::S1E2A => Self::El2,
            _ if e2h && tge => Self::El2,
            _ => Self::El1,
        }
    }

    const fn registers(self, all: &Registers) -> &Stage1Registers {
        match self {
            Self::El1 => &all.el1,
            Self::El2 => &all.el2,
            Self::El3 => &all.el3,
        }
    }

    const fn registers_mut(self, all: &mut Registers) -> &mut Stage1Registers {
        match self {
            Self::El1 => &mut all.el1,
            Self::El2 => &mut all.el2,
            Self::El3 => &mut all.el3,
        }
    }

    /// Whether TCR has the form with two ranges.
    const fn has_two_ranges(self, case: &Case) -> bool {
        match self {
            Self::El1 => true,
            Self::El2 => case.hcr().e2h(),
            Self::El3 => false,
        }
    }

    /// Returns PIE and AIE.
    const fn extensions(self, case: &Case) -> (bool, bool) {
        let r = &case.registers;
        let tcr2 = match self {
            Self::El1 if !HcrxEl2::from_bits(r[r::HCRX_EL2]).tcr2en() && case.has_el2() => {
                return (false, false);
            }
            Self::El1 => Tcr2::from_bits(r[r::TCR2_EL1]),
            Self::El2 => Tcr2::from_bits(r[r::TCR2_EL2]),
            Self::El3 => {
                let tcr = TcrEl3::from_bits(r[r::TCR_EL3]);
                return (tcr.pie(), tcr.aie());
            }
        };
        (tcr2.pie(), tcr2.aie())
    }
}

/// A query with what its explanation needs to know.
#[derive(Debug)]
struct View<'c> {
    case: &'c Case,
    query: Query,
    registers: Registers,
    operation: AtOperation,
    owner: Owner,
    first: Shape,
    /// Of the state's own addresses, and of Non-secure ones in Secure state.
    second: [Shape; 2],
    /// Where the walk read descriptors of stage 1, wherever they are.
    of_stage_1: HashSet<u64>,
}

impl<'c> View<'c> {
    fn of(case: &'c Case, query: Query, implementation: &Implementation, trace: &Trace) -> Self {
        let registers = case.typed();
        let (_, operation) = query.operation();
        let owner = Owner::of(case, query);
        let own = owner.registers(&registers);
        let high = query.va >> 55 & 1 == 1;
        let double = owner.has_two_ranges(case);
        let (tcr, single) = (TcrEl1::from_bits(own.tcr), TcrEl3::from_bits(own.tcr));
        let granule = match (double && high, if double && high { tcr.tg1() } else { tcr.tg0() }) {
            (false, 1) | (true, 3) => 16,
            (false, 2) | (true, 1) => 14,
            _ => 12,
        };
        let (ps, ds) = if double { (tcr.ips(), tcr.ds()) } else { (single.ps(), single.ds()) };
        let shape = |granule: u32, ps: u8, ds: bool| Geometry {
            granule,
            ds: ds && granule != 16,
            input: 64,
            start: 0,
            output: [32, 36, 40, 42, 44, 48, 52, 52][usize::from(ps)].min(u32::from(implementation.pa_bits)),
        };
        let first = Shape {
            geometry: shape(granule, ps, ds),
            big_endian: SctlrEl1::from_bits(own.sctlr).ee(),
            pie: owner.extensions(case).0 && implementation.s1pie,
        };
        let vtcr = registers.vtcr_el2;
        let typed = VtcrEl2::from_bits(vtcr);
        let second = |own: u64| {
            // TG0 is where VTCR_EL2 has it in VSTCR_EL2 too.
            let granule = match VtcrEl2::from_bits(own).tg0() {
                1 => 16,
                2 => 14,
                _ => 12,
            };
            Shape {
                geometry: shape(granule, typed.ps(), typed.ds()),
                big_endian: SctlrEl1::from_bits(registers.el2.sctlr).ee(),
                pie: typed.s2pie() && implementation.s2pie,
            }
        };
        let second = [second(if case.is_secure() { registers.vstcr_el2 } else { vtcr }), second(vtcr)];
        let of_stage_1 = stage_1_descriptors(trace);
        Self { case, query, registers, operation, owner, first, second, of_stage_1 }
    }

    /// Whether the controls that a set of differences is about are as they must be.
    fn can_be(&self, set: Set) -> bool {
        let hcr = self.case.hcr();
        let of_el1 = self.owner == Owner::El1;
        let writes = matches!(
            self.operation,
            AtOperation::S1E1W
                | AtOperation::S1E0W
                | AtOperation::S1E1WP
                | AtOperation::S1E2W
                | AtOperation::S1E3W
                | AtOperation::S12E1W
                | AtOperation::S12E0W
        );
        set.iter().all(|one| match one {
            D::Managed | D::Dirty => writes,
            D::PtwLevel => hcr.ptw() && of_el1,
            D::PtwAlone => hcr.ptw() && !hcr.vm() && !hcr.dc() && of_el1 && !self.is_two_stage(),
            D::NestedPan => {
                hcr.nv() && hcr.nv1() && self.owner == Owner::El2 && self.case.pan() && self.honours_pan()
            }
            D::ReservedIndirect => self.first.pie && self.case.pan() && self.honours_pan(),
            D::Tge => hcr.tge() && !hcr.e2h(),
            D::SecureIndirect => self.case.is_secure() && of_el1 && self.second.iter().any(|s| s.pie),
            _ => true,
        })
    }

    /// Whether, in Secure state without Secure EL2, a table says that what follows is Non-secure while HCR_EL2 has VM or
    /// DC: there QEMU asks stage 2 of Non-secure state.
    fn meets_tables_without_el2(&self, trace: &Trace) -> bool {
        let names_non_secure = |step: &Step| {
            matches!(
                step,
                Step::Descriptor { stage: Stage::One, value, kind: DescriptorKind::Table, .. } if value >> 63 & 1 == 1
            )
        };
        let hcr = HcrEl2::from_bits(self.case.registers[r::HCR_EL2]);
        !self.case.has_el2()
            && self.owner == Owner::El1
            && (hcr.vm() || hcr.dc())
            && trace.steps.iter().any(names_non_secure)
    }

    /// Returns the shape of the tables of stage 2 that an address lies in.
    const fn second_at(&self, at: u64) -> &Shape {
        let [own, non_secure] = &self.second;
        if at & NON_SECURE_TABLES != 0 { non_secure } else { own }
    }

    const fn is_two_stage(&self) -> bool {
        matches!(
            self.operation,
            AtOperation::S12E1R | AtOperation::S12E1W | AtOperation::S12E0R | AtOperation::S12E0W
        )
    }

    const fn honours_pan(&self) -> bool {
        matches!(self.operation, AtOperation::S1E1RP | AtOperation::S1E1WP)
    }

    /// Asks with these differences; `None` where they do not apply.
    fn ask(&self, set: Set, implementation: &Implementation) -> Result<Option<(Answer, Trace)>, OutOfBounds> {
        let mut of_stage_1 = self.of_stage_1.clone();
        // A walk that goes on with a difference reads descriptors of stage 1 that the one without did not get to.
        for _ in 0..MOST_LEVELS {
            let Some((answer, trace)) = self.ask_once(set, implementation, &of_stage_1)? else {
                return Ok(None);
            };
            let met = stage_1_descriptors(&trace);
            if met.is_subset(&of_stage_1) {
                return Ok(Some((answer, trace)));
            }
            of_stage_1.extend(met);
        }
        self.ask_once(set, implementation, &of_stage_1)
    }

    /// The same, where the descriptors of stage 1 are known.
    fn ask_once(
        &self,
        set: Set,
        implementation: &Implementation,
        of_stage_1: &HashSet<u64>,
    ) -> Result<Option<(Answer, Trace)>, OutOfBounds> {
        let mut registers = self.registers;
        let double = self.owner.has_two_ranges(self.case);
        let own = self.owner.registers_mut(&mut registers);
        if set.has(D::Managed) {
            own.tcr = if double {
                TcrEl1::from_bits(own.tcr).with_hd(false).into_bits()
            } else {
                TcrEl3::from_bits(own.tcr).with_hd(false).into_bits()
            };
            registers.vtcr_el2 = VtcrEl2::from_bits(registers.vtcr_el2).with_hd(false).into_bits();
        }
        if set.has(D::LargeLeaf) {
            // The descriptor's own field is checked by `seen`.
            let own = self.owner.registers_mut(&mut registers);
            own.tcr = if double {
                let tcr = TcrEl1::from_bits(own.tcr);
                tcr.with_ips(widened(tcr.ips())).into_bits()
            } else {
                let tcr = TcrEl3::from_bits(own.tcr);
                tcr.with_ps(widened(tcr.ps())).into_bits()
            };
        }
        if set.has(D::LargeLeaf2) {
            let vtcr = VtcrEl2::from_bits(registers.vtcr_el2);
            registers.vtcr_el2 = vtcr.with_ps(widened(vtcr.ps())).into_bits();
        }
        if set.has(D::Tge) {
            // TGE of QEMU takes PTW away, and leaves stage 1.
            registers.hcr_el2 =
                HcrEl2::from_bits(registers.hcr_el2).with_tge(false).with_ptw(false).into_bits();
        }
        if set.has(D::ReservedIndirect) {
            let own = self.owner.registers_mut(&mut registers);
            own.pire0 = without_reserved(own.pire0);
        }
        if set.has(D::SecureIndirect) {
            // Those of Non-secure addresses are made direct by `seen`.
            registers.vtcr_el2 = VtcrEl2::from_bits(registers.vtcr_el2).with_s2pie(false).into_bits();
        }
        let memory = Seen { view: self, set, of_stage_1 };
        let mut trace = Trace::default();
        let machine = (&registers, implementation);
        let pan = self.case.pan() && !set.has(D::NestedPan);
        let answer = ask(self.query, pan, machine, &memory, &mut trace)?;
        if set.has(D::PtwAlone) {
            let reads = trace.steps.iter().any(|step| matches!(step, Step::Start { .. }));
            return Ok(reads.then_some((Answer::Par(PTW_PERMISSION), trace)));
        }
        if set.has(D::PtwLevel) {
            return Ok(self.without_level(answer, &trace).map(|answer| (answer, trace)));
        }
        Ok(Some((answer, trace)))
    }

    /// Returns a Permission fault on a table in Device memory as one of level 0.
    fn without_level(&self, answer: Answer, trace: &Trace) -> Option<Answer> {
        let Answer::Par(par) = answer else { return None };
        let leaf = last(trace, Stage::Two)?;
        let fwb = self.case.hcr().fwb();
        let device = if fwb { leaf >> 4 & 1 == 0 } else { leaf >> 4 & 3 == 0 };
        // A Permission fault is 0b0011 and two bits of level.
        let fault = ParFault::from_bits(par);
        let permission = fault.f() && fault.fst() & 0b11_1100 == PERMISSION && fault.ptw() && fault.s();
        (permission && device).then_some(Answer::Par(fault.with_fst(PERMISSION).into_bits()))
    }

    /// Returns what the attributes of a mapping follow from.
    fn inputs(&self, trace: &Trace, set: Set) -> Option<Inputs> {
        let hcr = self.case.hcr();
        let hcr = if set.has(D::Tge) { hcr.with_tge(false) } else { hcr };
        let own = self.owner.registers(&self.registers);
        let of_el1 = self.owner == Owner::El1;
        let two_stage = self.is_two_stage() && of_el1 && (hcr.vm() || hcr.dc());
        let (byte, sh, cached) = match last(trace, Stage::One) {
            Some(leaf) => {
                let index = (leaf >> 2 & 7) as u8;
                let second_half = self.owner.extensions(self.case).1 && leaf >> 59 & 1 == 1;
                let mair = if second_half { own.mair2 } else { own.mair };
                let high = self.query.va >> 55 & 1 == 1 && self.owner.has_two_ranges(self.case);
                // SH0 is where TCR_EL1 has it in the registers of one range too.
                let tcr = TcrEl1::from_bits(own.tcr);
                let sh = match self.first.geometry.ds {
                    true if high => tcr.sh1(),
                    true => tcr.sh0(),
                    false => (leaf >> 8 & 3) as u8,
                };
                (MairEl1::from_bits(mair).attr(index), sh, SctlrEl1::from_bits(own.sctlr).c())
            }
            None if hcr.dc() && of_el1 => (0xff, 0, true),
            None => (0, 2, true),
        };
        let second = if two_stage {
            let (at, leaf) = last_entry(trace, Stage::Two)?;
            let vtcr = VtcrEl2::from_bits(self.registers.vtcr_el2);
            let sh = if self.second_at(at).geometry.ds { vtcr.sh0() } else { (leaf >> 8 & 3) as u8 };
            Some(Second {
                memory: (leaf >> 2 & 0xf) as u8,
                sh,
                no_xs: leaf >> 11 & 1 == 1,
                fwb: hcr.fwb(),
                uncached: hcr.cd(),
            })
        } else {
            None
        };
        Some(Inputs { byte, sh, cached, second })
    }
}

/// A Permission fault of stage 2, level 0, on a table: F, FST, PTW, S and RES1 of PAR_EL1.
const PTW_PERMISSION: u64 =
    ParFault::new().with_f(true).with_fst(PERMISSION).with_ptw(true).with_s(true).with_res1(true).into_bits();

/// FST of a Permission fault, level 0.
const PERMISSION: u8 = 0b00_1100;

/// Returns indirect permissions with no access for those that are reserved.
fn without_reserved(register: u64) -> u64 {
    let nibble = |n: u32| register >> (4 * n) & 0xf;
    let kept = |n: &u32| !matches!(nibble(*n), 0b0100 | 0b1011 | 0b1101 | 0b1111);
    (0..16).filter(kept).map(|n| nibble(n) << (4 * n)).sum()
}

/// Returns an output size (PS, IPS) of at least 48 bits.
fn widened(size: u8) -> u8 {
    size.max(0b101)
}

/// Returns where a walk read descriptors of stage 1: where stage 2 led, if it was asked.
fn stage_1_descriptors(trace: &Trace) -> HashSet<u64> {
    let mut physical = None;
    let mut found = HashSet::new();
    for step in &trace.steps {
        match step {
            Step::Output { stage: Stage::Two, output } => physical = Some(*output),
            Step::Descriptor { stage: Stage::One, at, .. } => {
                found.insert(physical.take().unwrap_or(*at));
            }
            _ => {}
        }
    }
    found
}

/// Returns the last leaf that a stage read.
fn last(trace: &Trace, stage: Stage) -> Option<u64> {
    last_entry(trace, stage).map(|(_, leaf)| leaf)
}

/// Returns the last leaf that a stage read, after where it lies.
fn last_entry(trace: &Trace, stage: Stage) -> Option<(u64, u64)> {
    trace.steps.iter().rev().find_map(|step| match step {
        Step::Descriptor {
            stage: of, at, value, kind: DescriptorKind::Block | DescriptorKind::Page, ..
        } if *of == stage => Some((*at, *value as u64)),
        _ => None,
    })
}

/// The memory of a case as QEMU sees it.
struct Seen<'v, 'c> {
    view: &'v View<'c>,
    set: Set,
    /// Where descriptors of stage 1 are, wherever that is.
    of_stage_1: &'v HashSet<u64>,
}

impl TableMemory<Pa> for Seen<'_, '_> {
    type Error = OutOfBounds;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, OutOfBounds> {
        let at = at.bits();
        match at {
            0..STAGE_1_TABLES => return Err(OutOfBounds),
            MEMORY_END.. => return Ok(None),
            STAGE_1_TABLES..MEMORY_END => {}
        }
        let of_stage_2 = at >= STAGE_2_TABLES && !self.of_stage_1.contains(&at);
        let shape = if of_stage_2 { self.view.second_at(at) } else { &self.view.first };
        let stored = self.view.case.memory.get(&at).copied().unwrap_or(0);
        let ordered = |value: u64| if shape.big_endian { value.swap_bytes() } else { value };
        let mut entry = self.entry(shape, of_stage_2, ordered(stored));
        if self.set.has(D::SecureIndirect) && of_stage_2 && at & NON_SECURE_TABLES != 0 {
            entry = self.direct(entry);
        }
        Ok(Some(ordered(entry).to_le_bytes()))
    }
}

impl Seen<'_, '_> {
    /// Returns a descriptor of stage 2 with S2AP as its indirect permissions have it; what is executed is not asked.
    fn direct(&self, entry: u64) -> u64 {
        let registers = &self.view.case.registers;
        let vtcr = VtcrEl2::from_bits(registers[r::VTCR_EL2]);
        let managed = vtcr.ha() && vtcr.hd();
        let index = (entry >> 53 & 3) << 2 | (entry >> 51 & 1) << 1 | entry >> 6 & 1;
        let (read, write) = match registers[r::S2PIR_EL2] >> (4 * index) & 0xf {
            0 | 1 | 5 => (false, false),
            4 => (false, true),
            12..=15 => (true, true),
            _ => (true, false),
        };
        let clean = !managed && entry >> 7 & 1 == 0 && !self.set.has(D::Dirty);
        entry & !(3 << 6 | 1 << 51) | u64::from(read) << 6 | u64::from(write && !clean) << 7
    }

    fn entry(&self, shape: &Shape, of_stage_2: bool, entry: u64) -> u64 {
        let geometry = &shape.geometry;
        let mut entry = entry;
        let field = geometry.decode(entry, geometry.granule);
        if self.set.has(D::HighBits) && geometry.output < 52 {
            // Of the form with DS, bits 49:48 are looked at.
            entry &= !(geometry.high(u64::MAX) & 0xffff);
        }
        if self.set.has(D::Contiguous) {
            entry &= !(1 << 52);
        }
        if self.set.has(D::Dirty) && shape.pie {
            entry = if of_stage_2 { entry | 1 << 7 } else { entry & !(1 << 7) };
        }
        let beyond = ones(48) & !ones(geometry.output);
        if self.set.has(if of_stage_2 { D::LargeLeaf2 } else { D::LargeLeaf }) && field & beyond != 0 {
            // Still out of range, whatever the size that is asked with.
            return 0;
        }
        if self.set.has(D::LowBits) && entry & 3 == 1 && field & beyond != 0 {
            entry |= beyond;
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::at::ask::ask_case;
    use crate::at::generate::{World, case};

    /// 64 KiB, output of 48 bits: a table of stage 1 with bits 15:12 set, which QEMU follows to a page with bits 15:12 set, among
    /// tables of stage 2, that denies the write at level 3 (FST 0b001111).
    #[test]
    fn a_table_that_only_a_difference_leads_to_is_one_of_stage_1() {
        let implementation = Implementation { pa_bits: 52, ..Implementation::ALL };
        let case = case(World::NonSecure, 0x2026_1123, 160_611);
        let asked = |query: &&Query| query.operation().0 == "S1E1WP" && query.va == 0x13_ab55_896d;
        let query = *case.queries.iter().find(asked).expect("it is asked");
        let (ours, trace) = ask_case(&case, query, &implementation).expect("all it reads is there");
        // Address size fault, level 2.
        assert_eq!(ours, Answer::Par(0x805));
        let found = Explainer::new(implementation).explain(&case, query, Answer::Par(0x81f), &trace);
        assert_eq!(found, Explanation::By(Set::default().with(D::HighBits)));
    }
}
