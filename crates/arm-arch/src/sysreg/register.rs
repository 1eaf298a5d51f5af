//! The register table: every named system register with its encoding, access, fields and presence.
//! Arm ARM, the register of each name.
//!
//! For tools and traces; code that runs a guest uses [`names`] and the typed views. Present with
//! the crate's feature `tables`. `data/sysregs.tsv` of the repository is the source; its README says what was checked.
//!
//! ```
//! use arm_arch::sysreg::{Register, SysRegId};
//!
//! let sctlr = Register::of(SysRegId::new(3, 0, 1, 0, 0)).unwrap();
//! assert_eq!(sctlr.decode(5).to_string(), "SCTLR_EL1 = 0x0000000000000005 M=1 C=1");
//! assert_eq!(Register::named("ttbr0_el1").unwrap().id().to_string(), "S3_0_C2_C0_0");
//! ```

pub(super) mod needs;

use super::table::{ALIASES, BASES, BY_NAME, GROUPS, MASKS, ORDER, PAGES, RESETS, VNCR};
use super::{SysRegId, names};
use crate::bits;
use crate::feature::Features;
use crate::iss::Direction;
use core::fmt;
pub use needs::Needs;

/// Which accesses the encoding has. `data/sysregs.tsv`, access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// MRS only.
    RO,
    /// MSR only.
    WO,
    /// Both.
    RW,
}

/// The lowest exception level at which the encoding can be defined; controls may still withhold it.
/// `data/sysregs.tsv`, min_el.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MinEl {
    /// EL0.
    EL0,
    /// EL1.
    EL1,
    /// EL2.
    EL2,
    /// EL3.
    EL3,
}

/// What a reset leaves in a register. `data/sysregs.tsv`, reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// The value, where all of it is known.
    pub bits: Option<u64>,
    /// What is known, and under which condition.
    pub note: &'static str,
}

/// A field of a register, read out of the manual's notation: `TCF0[39:38]`, or `TBI(E2H=0)[20]` for a field that is
/// there only while something else has a value. `data/sysregs.tsv`, fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The manual's name; `RES1`, `RAO` and the like for reserved bits that read as one.
    pub name: &'static str,
    /// The highest bit.
    pub hi: u8,
    /// The lowest bit.
    pub lo: u8,
    /// The condition under which the layout has this field.
    pub when: Option<&'static str>,
}

impl Field {
    fn parse(text: &'static str) -> Option<Self> {
        let (name, range) = text.strip_suffix(']')?.split_once('[')?;
        let (hi, lo) = range.split_once(':').unwrap_or((range, range));
        let (name, when) = match name.split_once('(') {
            Some((name, condition)) => (name, Some(condition.strip_suffix(')')?)),
            None => (name, None),
        };
        Some(Self { name, hi: hi.parse().ok()?, lo: lo.parse().ok()?, when })
    }

    /// Returns the field's value in a register, not extended.
    #[must_use]
    pub fn of(&self, register: u64) -> u64 {
        bits::field(register, u32::from(self.hi), u32::from(self.lo))
    }

    /// Returns the bits the field covers.
    #[must_use]
    pub fn mask(&self) -> u64 {
        bits::with_field(0, u32::from(self.hi), u32::from(self.lo), u64::MAX)
    }

    /// Whether these are bits that have no function and read as one. `data/sysregs.tsv`, fields.
    #[must_use]
    pub fn is_res1(&self) -> bool {
        self.name == "RES1"
    }
}

/// A field as the manual writes it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(when) = self.when {
            write!(f, "({when})")?;
        }
        if self.hi == self.lo { write!(f, "[{}]", self.lo) } else { write!(f, "[{}:{}]", self.hi, self.lo) }
    }
}

/// The fields of a register, from the lowest bit. `data/sysregs.tsv`, fields.
#[derive(Clone, Debug)]
pub struct Fields {
    rest: &'static str,
}

impl Iterator for Fields {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        let (first, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        Field::parse(first)
    }
}

/// A named system register. Two names may have one encoding: `DBGDTRRX_EL0` reads, `DBGDTRTX_EL0` writes.
/// `data/sysregs.tsv`.
pub struct Register {
    name: &'static str,
    layout: &'static str,
    id: SysRegId,
    access: Access,
    min_el: MinEl,
    needs: Needs,
}

/// Makes a row of the table.
pub(super) const fn row(
    id: SysRegId,
    name: &'static str,
    access: Access,
    min_el: MinEl,
    needs: Needs,
    layout: &'static str,
) -> Register {
    Register { name, layout, id, access, min_el, needs }
}

/// Finds what a list that is sorted by encoding has for one.
fn listed<T: Copy>(list: &[(SysRegId, T)], id: SysRegId) -> Option<T> {
    let at = list.binary_search_by_key(&id, |entry| entry.0).ok()?;
    list.get(at).map(|entry| entry.1)
}

/// Returns the row at a place: group\[15:12\] and position\[11:0\].
fn at(place: u16) -> Option<&'static Register> {
    GROUPS.get(usize::from(place >> 12))?.get(usize::from(place & 0xfff))
}

fn capitals(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().map(|byte| byte.to_ascii_uppercase())
}

impl Register {
    /// Number of names, more than there are encodings. `data/sysregs.tsv`, name.
    pub const COUNT: usize = BY_NAME.len();

    /// Returns the register with this encoding, the one that can be read where two share it; `None` if none has it. A
    /// few loads, whatever the encoding. `data/sysregs.tsv`, enc16.
    #[must_use]
    pub fn of(id: SysRegId) -> Option<&'static Self> {
        let bits = id.into_bits();
        // op0 is 2 or 3.
        if bits >> 15 == 0 {
            return None;
        }
        let page = PAGES.get(usize::from(bits >> 7 & 0xff))?.checked_sub(1)?;
        let line = usize::from(page).wrapping_mul(16) | usize::from(id.crm());
        let (mask, bit) = (*MASKS.get(line)?, 1u8.wrapping_shl(u32::from(id.op2())));
        if mask & bit == 0 {
            return None;
        }
        let before = u16::from(bits::low8(u64::from((mask & bit.wrapping_sub(1)).count_ones())));
        at(*ORDER.get(usize::from(BASES.get(line)?.wrapping_add(before)))?)
    }

    /// Returns the register that an access of one direction reaches; `None` also where the encoding does not have that
    /// direction. `data/sysregs.tsv`, access.
    #[must_use]
    pub fn accessed(id: SysRegId, direction: Direction) -> Option<&'static Self> {
        match (id, direction) {
            (names::DBGDTRTX_EL0, Direction::Write) => Self::named("DBGDTRTX_EL0"),
            _ => Self::of(id).filter(|register| match direction {
                Direction::Read => register.access != Access::WO,
                Direction::Write => register.access != Access::RO,
            }),
        }
    }

    /// Returns the register with this name, in capitals or not; `None` if there is none. `data/sysregs.tsv`, name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let found = BY_NAME.binary_search_by(|place| {
            capitals(at(*place).map_or("", |register| register.name)).cmp(capitals(name))
        });
        at(*BY_NAME.get(found.ok()?)?)
    }

    /// Returns all registers, by group as in [`names`]. `data/sysregs.tsv`.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        GROUPS.iter().copied().flatten()
    }

    /// Returns the manual's name. `data/sysregs.tsv`, name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the encoding. `data/sysregs.tsv`, enc16.
    #[must_use]
    pub const fn id(&self) -> SysRegId {
        self.id
    }

    /// Returns which accesses there are. `data/sysregs.tsv`, access.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Returns the lowest exception level at which the encoding can be defined. `data/sysregs.tsv`, min_el.
    #[must_use]
    pub const fn min_el(&self) -> MinEl {
        self.min_el
    }

    /// Returns the register this one is another name of: `SCTLR_EL1` for `SCTLR_EL12`; `None` for the others.
    /// `data/sysregs.tsv`, alias_of.
    #[must_use]
    pub fn alias_of(&self) -> Option<&'static Self> {
        listed(ALIASES, self.id).and_then(Self::of)
    }

    /// Returns where accesses from EL1 go in memory under FEAT_NV2: the offset from `VNCR_EL2`, in bytes.
    /// `data/sysregs.tsv`, vncr_off.
    #[must_use]
    pub fn vncr_offset(&self) -> Option<u16> {
        listed(VNCR, self.id)
    }

    /// Returns what a reset leaves, where something is stated. `data/sysregs.tsv`, reset.
    #[must_use]
    pub fn reset(&self) -> Option<Reset> {
        listed(RESETS, self.id)
    }

    /// Returns which features bring the register. `data/sysregs.tsv`, feature.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether a processing element with these features has the register; `None` where the ID registers leave it open.
    /// A count of its own (of event counters, list registers, error records) is not looked at, but those of breakpoints
    /// and watchpoints are. `data/sysregs.tsv`, feature.
    #[must_use]
    pub fn is_present(&self, features: &Features) -> Option<bool> {
        self.needs.hold(self.id, features)
    }

    /// Whether the table knows the fields: with one it knows, [`Register::fields`] are all there are, and no field at all
    /// means that every bit is reserved. 280 registers have no layout here: those of the trace unit (TRC*), of system
    /// performance monitors (SPM*), of bandwidth control (MPAMBW*), of the trace buffer, and some that are new or rare.
    /// `data/sysregs.tsv`, fields.
    #[must_use]
    pub const fn has_layout(&self) -> bool {
        !self.layout.is_empty()
    }

    /// Returns the fields, from the lowest bit; those of alternative layouts overlap. `data/sysregs.tsv`, fields.
    #[must_use]
    pub const fn fields(&self) -> Fields {
        Fields { rest: self.layout }
    }

    /// Returns the bits that no field has: RES0, or RES1 while features are absent; none where the layout is not known.
    /// `data/sysregs.tsv`, fields.
    #[must_use]
    pub fn res0(&self) -> u64 {
        if self.has_layout() { self.fields().fold(u64::MAX, |rest, field| rest & !field.mask()) } else { 0 }
    }

    /// Returns the bits that read as one whatever the features; none where the layout is not known.
    /// `data/sysregs.tsv`, fields.
    #[must_use]
    pub fn res1(&self) -> u64 {
        let always = self.fields().filter(|field| field.is_res1() && field.when.is_none());
        always.fold(0, |ones, field| ones | field.mask())
    }

    /// Pairs the register with a value.
    #[must_use]
    pub const fn decode(&'static self, value: u64) -> Decoded {
        Decoded { register: self, value, given: None }
    }
}

/// The name.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

/// A register and a value of it. `data/sysregs.tsv`, fields.
///
/// `{}` prints the fields that are not zero in one line; `{:#}` all of them, one a line with their bits.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    register: &'static Register,
    value: u64,
    given: Option<&'static str>,
}

impl Decoded {
    /// Settles which of two layouts is meant, where another register decides: `E2H=1`, as [`Field::when`] has it.
    /// `data/sysregs.tsv`, fields.
    #[must_use]
    pub const fn given(self, condition: &'static str) -> Self {
        Self { given: Some(condition), ..self }
    }

    /// Returns the register.
    #[must_use]
    pub const fn register(&self) -> &'static Register {
        self.register
    }

    /// Returns the value of the whole register.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Returns each field that the layout in force has, with its value, from the lowest bit. Where it is not known
    /// which layout is in force, fields of all of them. `data/sysregs.tsv`, fields.
    pub fn fields(&self) -> impl Iterator<Item = (Field, u64)> + '_ {
        let here = self
            .register
            .fields()
            .filter(|field| field.when.is_none_or(|when| self.holds(when) != Some(false)));
        here.map(|field| (field, field.of(self.value)))
    }

    /// Returns the value of a field by name; `None` if the layout in force has none. `data/sysregs.tsv`, fields.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u64> {
        self.fields().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// Returns the bits that are set although no field has them; none where the layout is not known.
    /// `data/sysregs.tsv`, fields.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.value & self.register.res0()
    }

    /// Whether a condition holds, by what was given or by a field of this very register; `None` if neither says.
    fn holds(&self, when: &str) -> Option<bool> {
        let (name, wanted) = when.split_once('=')?;
        if let Some((given, value)) = self.given.and_then(|given| given.split_once('=')) {
            if given == name {
                return Some(value == wanted);
            }
        }
        let here = self.register.fields().find(|field| field.when.is_none() && field.name == name);
        here.map(|field| wanted.parse() == Ok(field.of(self.value)))
    }

    /// Writes a field's name, and its condition where it is open whether that holds.
    fn name(&self, f: &mut fmt::Formatter<'_>, field: &Field) -> fmt::Result {
        f.write_str(field.name)?;
        match field.when {
            Some(when) if self.holds(when).is_none() => write!(f, "({when})"),
            _ => Ok(()),
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A field that is the register says nothing new.
        let shown = |(field, value): &(Field, u64)| *value != 0 && field.mask() != u64::MAX;
        for (field, value) in self.fields().filter(shown) {
            f.write_str(" ")?;
            self.name(f, &field)?;
            f.write_str("=")?;
            number(f, value)?;
        }
        match self.reserved() {
            0 => Ok(()),
            bits => write!(f, " reserved={bits:#x}"),
        }
    }

    fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, value) in self.fields() {
            write!(f, "\n  [{:>2}:{:>2}] ", field.hi, field.lo)?;
            self.name(f, &field)?;
            f.write_str(" = ")?;
            number(f, value)?;
        }
        match self.reserved() {
            0 => Ok(()),
            bits => write!(f, "\n  reserved bits set: {bits:#x}"),
        }
    }
}

/// Digits are the same in both notations; what is longer reads better in the one the manual uses.
fn number(f: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
    if value < 10 { write!(f, "{value}") } else { write!(f, "{value:#x}") }
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:#018x}", self.register.name, self.value)?;
        match (self.register.has_layout(), f.alternate()) {
            (false, _) => f.write_str(" (fields not known)"),
            (true, true) => self.lines(f),
            (true, false) => self.line(f),
        }
    }
}
