//! Arm address translation: cases of `vmsa_public.jsonl.gz`, one JSON object a line.

use super::{bit, field, list, number, object, only, optional, pair, read, short, small, string, wide};
use arm_arch::{ExceptionLevel, FaultStatus, Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtOperation, AtOutcome, Fault, Implementation, Mapping, Privilege,
    Qualifiers, Recorder, Regime, Registers, Stage, Stage1Registers, Step, Translation, Translator, at,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// One machine and what it is asked.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// What it exercises.
    pub features: Vec<String>,
    /// The regime that is asked.
    pub regime: Regime,
    /// All registers.
    pub registers: Registers,
    /// What is implemented.
    pub implementation: Implementation,
    /// Doublewords by address, as a little-endian load sees them; all others are 0.
    pub memory: BTreeMap<u64, u64>,
    /// The questions, independent of each other.
    pub queries: Vec<Query>,
}

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Query {
    /// What is done.
    pub asked: Asked,
    /// With which address.
    pub va: Va,
    /// What comes of it.
    pub expect: Expect,
    /// Doublewords that hardware writes, by address: their new values.
    pub updates: BTreeMap<u64, u64>,
    /// The query as the file has it.
    pub text: String,
}

/// What is done with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An access by this exception level.
    Access(Access, ExceptionLevel),
    /// AT, executed at EL2, under a `PSTATE.PAN`.
    At(AtOperation, bool),
}

/// The expected answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Output address, attributes as in PAR_EL1.ATTR, shareability.
    Mapped {
        /// Output address.
        pa: u64,
        /// Attributes, as PAR_EL1.ATTR has them.
        attr: u8,
        /// Shareability, as PAR_EL1.SH has it.
        sh: u8,
    },
    /// A fault.
    Fault(ExpectedFault),
    /// PAR_EL1 of an AT.
    Par(u128),
}

/// A fault as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedFault {
    /// Its kind.
    pub kind: String,
    /// Its code.
    pub fsc: u8,
    /// Its level.
    pub level: i64,
    /// Stage 2 found it.
    pub s2: bool,
    /// On a descriptor of stage 1.
    pub s1ptw: bool,
    /// Overlay, DirtyBit, TopLevel, AssuredOnly.
    pub qualifiers: [bool; 4],
    /// The address that stage 2 was asked for, where given.
    pub ipa: Option<u64>,
    /// ESR_ELx.WnR, where given.
    pub wnr: Option<bool>,
}

/// Names of the qualifiers, in the order of [`ExpectedFault::qualifiers`].
const QUALIFIERS: [(&str, Qualifiers); 4] = [
    ("overlay", Qualifiers::OVERLAY),
    ("dirtybit", Qualifiers::DIRTY_BIT),
    ("toplevel", Qualifiers::TOP_LEVEL),
    ("assuredonly", Qualifiers::ASSURED_ONLY),
];

/// Kinds of accesses as the files name them.
pub const KINDS: [(&str, AccessKind); 9] = [
    ("read", AccessKind::Read),
    ("write", AccessKind::Write),
    ("rmw", AccessKind::Atomic),
    ("ifetch", AccessKind::Fetch),
    ("dc_ivac", AccessKind::Invalidate),
    ("dc_cvac", AccessKind::Clean),
    ("dc_civac", AccessKind::CleanInvalidate),
    ("gcs_read", AccessKind::GcsRead),
    ("gcs_write", AccessKind::GcsWrite),
];

/// Why a register cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// Translation reads no register of this name.
    Unknown,
    /// The register has 64 bits, the value more.
    TooWide,
}

impl core::fmt::Display for RegisterError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "is no register that translation reads",
            Self::TooWide => "has 64 bits, and the value has more",
        })
    }
}

/// Sets a register by its name in the manual.
///
/// # Errors
///
/// Fails for a register that translation does not read, and for a value that does not fit.
pub fn set_register(all: &mut Registers, name: &str, value: u128) -> Result<(), RegisterError> {
    let wide = match name {
        "TTBR0_EL1" => Some(&mut all.el1.ttbr0),
        "TTBR1_EL1" => Some(&mut all.el1.ttbr1),
        "TTBR0_EL2" => Some(&mut all.el2.ttbr0),
        "TTBR1_EL2" => Some(&mut all.el2.ttbr1),
        "TTBR0_EL3" => Some(&mut all.el3.ttbr0),
        "VTTBR_EL2" => Some(&mut all.vttbr_el2),
        _ => None,
    };
    if let Some(register) = wide {
        *register = value;
        return Ok(());
    }
    let register = match name {
        "POR_EL0" => &mut all.por_el0,
        "HCR_EL2" => &mut all.hcr_el2,
        "HCRX_EL2" => &mut all.hcrx_el2,
        "SCR_EL3" => &mut all.scr_el3,
        "VTCR_EL2" => &mut all.vtcr_el2,
        "VSTCR_EL2" => &mut all.vstcr_el2,
        "VSTTBR_EL2" => &mut all.vsttbr_el2,
        "S2PIR_EL2" => &mut all.s2pir_el2,
        "S2POR_EL1" => &mut all.s2por_el1,
        _ => {
            let (stem, level) = name.rsplit_once('_').ok_or(RegisterError::Unknown)?;
            let level = match level {
                "EL1" => &mut all.el1,
                "EL2" => &mut all.el2,
                "EL3" => &mut all.el3,
                _ => return Err(RegisterError::Unknown),
            };
            of_level(level, stem).ok_or(RegisterError::Unknown)?
        }
    };
    *register = u64::try_from(value).map_err(|_| RegisterError::TooWide)?;
    Ok(())
}

fn of_level<'r>(level: &'r mut Stage1Registers, stem: &str) -> Option<&'r mut u64> {
    Some(match stem {
        "SCTLR" => &mut level.sctlr,
        "TCR" => &mut level.tcr,
        "TCR2" => &mut level.tcr2,
        "MAIR" => &mut level.mair,
        "MAIR2" => &mut level.mair2,
        "PIR" => &mut level.pir,
        "PIRE0" => &mut level.pire0,
        "POR" => &mut level.por,
        _ => return None,
    })
}

impl Case {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which field.
    pub fn parse(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let regime = read(&value, "regime", |regime| match string(regime)? {
            "EL1&0" => Ok(Regime::El1And0),
            "EL2&0" => Ok(Regime::El2And0),
            "EL2" => Ok(Regime::El2),
            other => Err(format!("{other:?} is not a regime")),
        })?;
        let mut registers = Registers::default();
        read(&value, "regs", |regs| {
            for (name, value) in object(regs)? {
                let value = wide(value).map_err(|error| format!("{name}: {error}"))?;
                set_register(&mut registers, name, value).map_err(|error| format!("{name} {error}"))?;
            }
            Ok(())
        })?;
        let pa_bits = read(&value, "pamax", |pamax| small(pamax, 57))?;
        Ok(Self {
            id: read(&value, "id", string)?.into(),
            features: read(&value, "features", |features| list(features, string))?
                .into_iter()
                .map(Into::into)
                .collect(),
            regime,
            registers,
            implementation: Implementation { pa_bits: pa_bits as u8, ..Implementation::ALL },
            memory: read(&value, "mem", |mem| list(mem, pair))?.into_iter().collect(),
            queries: read(&value, "queries", |queries| list(queries, Query::of))?,
        })
    }

    /// Returns the regime with its parameters read.
    #[must_use]
    pub fn translator(&self) -> Translator {
        Translator::new(self.regime, &self.registers, &self.implementation)
    }

    /// Returns a copy of the memory, in which a walk may write.
    #[must_use]
    pub fn words(&self) -> Words {
        Words(RefCell::new(self.memory.clone()))
    }

    /// Asks one of the queries and compares.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn check(&self, query: &Query) -> Result<(), String> {
        let memory = self.words();
        match query.asked {
            Asked::At(operation, pan) => self.check_at(operation, pan, &memory, query),
            Asked::Access(access, _) => self.check_access(access, &memory, query),
        }
    }

    fn check_at(
        &self,
        operation: AtOperation,
        pan: bool,
        memory: &Words,
        query: &Query,
    ) -> Result<(), String> {
        let context = AtContext { el: ExceptionLevel::El2, pan };
        let machine = (&self.registers, &self.implementation);
        let Ok(outcome) = at(operation, query.va, context, machine, memory, &mut ());
        let AtOutcome::Par(par) = outcome else { return Err(format!("{outcome:x?} where PAR was due")) };
        let Expect::Par(want) = query.expect else { return Err("an AT without PAR".into()) };
        let mask: u128 = if want & 1 == 0 {
            // PA in either form, ATTR, SH, F and the mark of the 128-bit form.
            let pa = if want >> 64 & 1 == 1 { 0xfff_ffff_ffff << 76 } else { 0xff_ffff_ffff << 12 };
            pa | 1 << 64 | 0xff << 56 | 0x180 | 1
        } else {
            let permission = if want >> 1 & 0x3c == 0xc { 0xf000 } else { 0 };
            1 << 64 | permission | 0x300 | 0x7f
        };
        if (par ^ want) & mask == 0 { Ok(()) } else { Err(format!("PAR_EL1 is {par:#x}, not {want:#x}")) }
    }

    /// Asks once with the right to write and once without: both answers and the same updates.
    fn check_access(&self, access: Access, memory: &Words, query: &Query) -> Result<(), String> {
        let translator = self.translator();
        let written = memory.clone();
        let Ok(translation) = translator.translate_updating(query.va, access, &written, &mut ());
        match &translation {
            Translation::Mapped(mapping) => query.expect.check_mapping(mapping)?,
            Translation::Fault(fault) => query.expect.check_fault(fault)?,
        }
        let before = memory.0.borrow();
        let made: BTreeMap<u64, u64> = written
            .0
            .into_inner()
            .into_iter()
            .filter(|(at, value)| before.get(at).copied().unwrap_or(0) != *value)
            .collect();
        if made != query.updates {
            return Err(format!("updates are {made:x?}, not {:x?}", query.updates));
        }
        let mut recorded = Updates::default();
        let Ok(probed) = translator.translate(query.va, access, memory, &mut recorded);
        let recorded: BTreeMap<u64, u64> =
            recorded.0.into_iter().map(|(at, (old, changed))| (at, old ^ changed)).collect();
        if recorded != query.updates {
            return Err(format!("recorded updates are {recorded:x?}, not {:x?}", query.updates));
        }
        let probed = settled(probed);
        if probed == translation {
            Ok(())
        } else {
            Err(format!("a probe finds {probed:x?}, a walk {translation:x?}"))
        }
    }
}

/// Returns the answer of a walk that only looked as one that wrote gives it: without what is left to write.
pub fn settled(probed: Translation<Pa>) -> Translation<Pa> {
    match probed {
        Translation::Mapped(mapping) => Translation::Mapped(Mapping { update: None, ..mapping }),
        fault @ Translation::Fault(_) => fault,
    }
}

impl Query {
    fn of(value: &Value) -> Result<Self, String> {
        let access = field(value, "access")?;
        only(access, &["kind", "el", "unpriv", "pan", "op"]).map_err(|e| format!("field \"access\": {e}"))?;
        let asked = asked(access).map_err(|error| format!("field \"access\": {error}"))?;
        let expect = read(value, "expect", |expect| match asked {
            Asked::At(..) => read(expect, "par", wide).map(Expect::Par),
            Asked::Access(..) => Expect::of(expect),
        })?;
        let updates = optional(value, "updates", |updates| list(updates, pair))?;
        Ok(Self {
            asked,
            va: Va::new(read(value, "va", number)?),
            expect,
            updates: updates.unwrap_or_default().into_iter().collect(),
            text: value.to_string(),
        })
    }
}

fn asked(access: &Value) -> Result<Asked, String> {
    let pan = optional(access, "pan", bit)?.unwrap_or(false);
    let kind = read(access, "kind", string)?;
    if kind == "at" {
        let op = read(access, "op", string)?;
        let found = AtOperation::ALL.iter().find(|(name, _)| *name == op);
        let &(_, operation) = found.ok_or_else(|| format!("field \"op\": {op:?} is no AT operation"))?;
        return Ok(Asked::At(operation, pan));
    }
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    let &(_, kind) = found.ok_or_else(|| format!("field \"kind\": {kind:?} is no kind of access"))?;
    let el = match read(access, "el", |el| small(el, 4))? {
        0 => ExceptionLevel::El0,
        1 => ExceptionLevel::El1,
        2 => ExceptionLevel::El2,
        _ => ExceptionLevel::El3,
    };
    let unprivileged = el == ExceptionLevel::El0 || optional(access, "unpriv", bit)?.unwrap_or(false);
    let privilege = if unprivileged { Privilege::Unprivileged } else { Privilege::Privileged };
    Ok(Asked::Access(Access::new(kind, privilege).with_pan(pan), el))
}

impl Expect {
    fn of(value: &Value) -> Result<Self, String> {
        only(value, &["pa", "attr", "sh", "fault"])?;
        if let Some(fault) = optional(value, "fault", ExpectedFault::of)? {
            return Ok(Self::Fault(fault));
        }
        Ok(Self::Mapped {
            pa: read(value, "pa", number)?,
            attr: read(value, "attr", |attr| {
                u8::try_from(number(attr)?).map_err(|_| format!("{} is no byte", short(attr)))
            })?,
            sh: read(value, "sh", |sh| small(sh, 4))? as u8,
        })
    }

    fn check_mapping(&self, mapping: &Mapping<Pa>) -> Result<(), String> {
        let got = Self::Mapped {
            pa: mapping.output.bits(),
            attr: mapping.attributes.byte(),
            sh: mapping.attributes.shareability().encode(),
        };
        if got == *self { Ok(()) } else { Err(format!("answer is {got:x?}, not {self:x?}")) }
    }

    fn check_fault(&self, fault: &Fault) -> Result<(), String> {
        let (kind, level) = match fault.status {
            FaultStatus::Translation(level) => ("translation", level),
            FaultStatus::AddressSize(level) => ("address_size", level),
            FaultStatus::AccessFlag(level) => ("access_flag", level),
            FaultStatus::Permission(level) => ("permission", level),
            other => return Err(format!("answer is {other:?}, not {self:x?}")),
        };
        let (ipa, wnr) = match self {
            Self::Fault(want) => {
                (want.ipa.and(fault.ipa.map(arm_arch::Ipa::bits)), want.wnr.map(|_| fault.write))
            }
            Self::Mapped { .. } | Self::Par(_) => (None, None),
        };
        let got = Self::Fault(ExpectedFault {
            kind: kind.into(),
            fsc: fault.status.encode(),
            level: i64::from(level.number()),
            s2: fault.stage == Stage::Two,
            s1ptw: fault.s1ptw,
            qualifiers: QUALIFIERS.map(|(_, one)| fault.qualifiers.contains(one)),
            ipa,
            wnr,
        });
        if got == *self { Ok(()) } else { Err(format!("answer is {got:x?}, not {self:x?}")) }
    }
}

impl ExpectedFault {
    fn of(value: &Value) -> Result<Self, String> {
        only(
            value,
            &[
                "type",
                "fsc",
                "level",
                "s2",
                "s1ptw",
                "ipa",
                "wnr",
                "overlay",
                "dirtybit",
                "toplevel",
                "assuredonly",
            ],
        )?;
        let flag = |name| Ok::<_, String>(optional(value, name, bit)?.unwrap_or(false));
        let mut qualifiers = [false; 4];
        for (place, (name, _)) in qualifiers.iter_mut().zip(QUALIFIERS) {
            *place = flag(name)?;
        }
        Ok(Self {
            kind: read(value, "type", string)?.into(),
            fsc: read(value, "fsc", |fsc| {
                u8::try_from(number(fsc)?).map_err(|_| format!("{} is no byte", short(fsc)))
            })?,
            level: read(value, "level", |level| {
                let found = level.as_i64().filter(|level| (-2..=3).contains(level));
                found.ok_or_else(|| format!("{} is not a level", short(level)))
            })?,
            s2: flag("s2")?,
            s1ptw: flag("s1ptw")?,
            qualifiers,
            ipa: optional(value, "ipa", number)?,
            wnr: optional(value, "wnr", bit)?,
        })
    }
}

/// Memory of a case.
#[derive(Clone, Debug)]
pub struct Words(RefCell<BTreeMap<u64, u64>>);

impl Words {
    fn bytes(&self, at: Pa) -> [u8; 8] {
        self.0.borrow().get(&at.bits()).copied().unwrap_or(0).to_le_bytes()
    }
}

impl TableMemory<Pa> for Words {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        assert_eq!(at.bits() % 8, 0, "descriptors are aligned");
        Ok(Some(self.bytes(at)))
    }
}

impl TableUpdate<Pa> for Words {
    fn compare_exchange(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Infallible> {
        if self.bytes(at) != old {
            return Ok(Swap::Lost);
        }
        self.0.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        Ok(Swap::Done)
    }

    fn compare_exchange_pair(
        &self,
        at: Pa,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Infallible> {
        let second = Pa::new(at.bits().wrapping_add(8));
        if [self.bytes(at), self.bytes(second)] != old {
            return Ok(Swap::Lost);
        }
        for (at, new) in [at, second].into_iter().zip(new) {
            self.0.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        }
        Ok(Swap::Done)
    }
}

/// What a walk would have written: the bits that change, by address, as memory has them.
#[derive(Default)]
struct Updates(BTreeMap<u64, (u64, u64)>);

impl Recorder for Updates {
    fn record(&mut self, step: Step) {
        if let Step::Update(update) = step {
            let stored = |value: u64| if update.big_endian { value.swap_bytes() } else { value };
            let entry = self.0.entry(update.at).or_insert((stored(update.old), 0));
            entry.1 |= stored(update.old ^ update.new);
        }
    }
}
