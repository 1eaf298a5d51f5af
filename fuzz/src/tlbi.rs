//! `tlbi`: which cached translations TLB maintenance must remove, and the cache that asks.
//!
//! For any instruction, operand, context and cached translation:
//!
//! - exactly the instructions of the manual's table decode, and what each must remove is what its name says ([`Named`]:
//!   scope, address or range, ASID, last level), shareability and nXS as in the name;
//! - IS, OS and nXS forms remove the same; a level hint and a last-level form remove no more; "all" removes what each
//!   address does; 8-bit ASIDs do not look at the high byte; the 128-bit form by address says what the 64-bit form says;
//! - a cache gives up exactly what must be removed, and what it holds is stage 2, or the last table of the address for the current
//!   ASID, of the current VMID, so that VMALLS12E1 empties it; after a change of any descriptor, IPAS2E1 for the tables of
//!   stage 1 and VAE1 of the address, or what is stronger, make a walk with the cache agree with one without.

use crate::bits::{bit, mask, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::machine::{Asked, Machine, REGIMES};
use crate::memory::{Contents, Memory, Tables};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::sysreg::instructions as ins;
use arm_arch::{Granule, Level, SysRegId, Va};
use mmu_xlate::vmsa::{
    Cached, CachedEntry, Located, Recorder, Regime, Shared, Space, Stage, Step, TableCache, Tlbi,
    TlbiContext, Translator,
};
use std::sync::OnceLock;

const SPACES: [Space; 4] = [Space::NonSecure, Space::Secure, Space::Realm, Space::NonSecure];
const CACHED: [Cached; 8] = [
    Cached::Stage1,
    Cached::Combined,
    Cached::Stage2,
    Cached::Stage1Table,
    Cached::Stage2Table,
    Cached::GranuleProtection,
    Cached::Stage1,
    Cached::Stage2,
];
const GRANULES: [Granule; 4] = [Granule::Size4K, Granule::Size16K, Granule::Size64K, Granule::Size4K];
const LEVELS: [Level; 5] = [Level::L3, Level::L2, Level::L1, Level::L0, Level::Minus1];
const SIZES: [u8; 8] = [12, 14, 16, 21, 25, 29, 30, 39];

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Which instruction of the table; with the high bit any encoding, `id`.
    pub instruction: u8,
    /// Any encoding.
    pub id: [u8; 2],
    /// Bits 1:0: the state. 2: E2H. 3: TGE. 4: 16-bit ASIDs. 5: DS. 6: the entry's VMID is the current one, 7: its ASID
    /// that of the operand.
    pub context: u8,
    /// Of the entry. Bits 2:0: what it is. 4:3: regime. 5: Non-secure intermediate address. 6: it is global. 7: of the same
    /// state.
    pub entry: u8,
    /// Bits 2:0: size. 4:3: granule. 7:5: level.
    pub leaf: u8,
    /// The current VMID, and another.
    pub vmid: u8,
    /// The operand.
    pub operand: u64,
    /// How far the entry is from what the operand names.
    pub distance: u64,
    /// A machine, for the cache.
    pub machine: Machine,
    /// Its access.
    pub asked: Asked,
    /// Its address.
    pub va: u64,
    /// Which descriptor is changed.
    pub victim: u8,
    /// How.
    pub change: u64,
    /// Its memory.
    pub contents: Contents,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        for byte in [
            &mut self.instruction,
            &mut self.context,
            &mut self.entry,
            &mut self.leaf,
            &mut self.vmid,
            &mut self.victim,
        ] {
            codec.byte(byte);
        }
        self.id.iter_mut().for_each(|byte| codec.byte(byte));
        for word in [&mut self.operand, &mut self.distance, &mut self.va, &mut self.change] {
            codec.word(word);
        }
        self.asked.fields(codec);
        self.machine.fields(codec);
        self.contents.fields(codec);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    true
}

/// What the name of an instruction says.
#[derive(Clone, Debug)]
pub struct Named {
    /// What is left of it without the rest: `VAE1`.
    what: String,
    id: SysRegId,
    range: bool,
    shared: Shared,
    xs: bool,
}

/// Returns the instructions of the manual's table.
fn table() -> &'static [Named] {
    static TABLE: OnceLock<Vec<Named>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows = include_str!("../../data/sys_insns.tsv").lines();
        rows.filter_map(|row| {
            let columns: Vec<&str> = row.split('\t').collect();
            let [group, name, op0, op1, crn, crm, op2, ..] = columns[..] else { return None };
            let number = |text: &str| text.parse::<u8>().ok();
            let id = SysRegId::new(number(op0)?, number(op1)?, number(crn)?, number(crm)?, number(op2)?);
            (group == "TLBI").then(|| named(name, id))
        })
        .collect()
    })
}

fn named(name: &str, id: SysRegId) -> Named {
    let (name, xs) = name.strip_suffix("NXS").map_or((name, false), |name| (name, true));
    let (name, shared) = if let Some(name) = name.strip_suffix("IS") {
        (name, Shared::Inner)
    } else if let Some(name) = name.strip_suffix("OS") {
        (name, Shared::Outer)
    } else {
        (name, Shared::Local)
    };
    let (what, range) = name.strip_prefix('R').map_or((name, false), |name| (name, true));
    Named { what: what.into(), id, range, shared, xs }
}

impl Named {
    /// Whether an entry must go. Arm ARM, TLBI, the page of each operation.
    fn removes(&self, operand: u64, context: &TlbiContext, entry: &CachedEntry) -> bool {
        use Cached::{Combined, GranuleProtection, Stage1, Stage1Table, Stage2, Stage2Table};
        let what = self.what.as_str();
        if matches!(what, "PAALL" | "PA" | "PAL") {
            return entry.cached == GranuleProtection;
        }
        if entry.cached == GranuleProtection {
            return false;
        }
        let by_address = what.starts_with("VA") || what.starts_with("IPA");
        let last_level = matches!(what, "VALE1" | "VAALE1" | "VALE2" | "VALE3" | "IPAS2LE1");
        let level = what.as_bytes().last().map_or(0, |digit| digit - b'0');
        let is_table = matches!(entry.cached, Stage1Table | Stage2Table);
        let has_stage1 = matches!(entry.cached, Stage1 | Combined | Stage1Table);
        let stages = match what {
            "VMALLS12E1" | "ALLE1" => true,
            "VMALLWS2E1" => matches!(entry.cached, Combined | Stage2),
            "IPAS2E1" | "IPAS2LE1" => !has_stage1,
            _ => has_stage1,
        };
        if !stages || last_level && is_table {
            return false;
        }
        let stage2 = matches!(what, "VMALLWS2E1" | "IPAS2E1" | "IPAS2LE1");
        let host = context.e2h && context.tge && level == 1 && !stage2 && what != "ALLE1";
        let regime = match level {
            1 if host => Regime::El2And0,
            1 => Regime::El1And0,
            2 if context.e2h => Regime::El2And0,
            2 => Regime::El2,
            _ => Regime::El3,
        };
        let any_vmid = host || level != 1 || what == "ALLE1";
        if entry.regime != regime || !any_vmid && entry.vmid != context.vmid {
            return false;
        }
        if level != 3 && entry.state != context.state {
            return false;
        }
        let asid = if context.asid_16 { (operand >> 48) as u16 } else { (operand >> 48) as u16 & 0xff };
        let asid_counts = matches!(what, "VAE1" | "VALE1" | "VAE2" | "VALE2" | "ASIDE1");
        let global = entry.asid.is_none() && what != "ASIDE1";
        if asid_counts && entry.asid != Some(asid) && !global {
            return false;
        }
        if what.starts_with("IPA") {
            let non_secure = context.state != Space::Secure || bit(operand, 63);
            if non_secure == (entry.ipa_space == Space::Secure) {
                return false;
            }
        }
        !by_address || self.names(operand, context, entry, is_table)
    }

    /// Whether the address, or one of the range, is in the entry, and the hint is right.
    fn names(&self, operand: u64, context: &TlbiContext, entry: &CachedEntry, is_table: bool) -> bool {
        let granule = match operand >> 46 & 3 {
            0 => None,
            1 => Some((Granule::Size4K, 12)),
            2 => Some((Granule::Size16K, 14)),
            _ => Some((Granule::Size64K, 16)),
        };
        let size = 1_i128 << entry.size_log2;
        let number = |level: Level| i64::from(level.number());
        if self.range {
            let Some((granule, shift)) = granule else { return false };
            let hint = match (operand >> 37 & 3) as i64 {
                1 if granule == Granule::Size16K && !context.ds => 0,
                hint => hint,
            };
            if entry.granule != granule || hint != 0 && !is_table && number(entry.level) != hint {
                return false;
            }
            let base = operand & mask(37);
            let wide = !self.what.starts_with("IPA") && bit(base, 36);
            let base = if wide { base | !mask(37) } else { base };
            let start = i128::from(base << if context.ds { 16 } else { shift } & mask(56));
            let bytes = i128::from((operand >> 39 & 31) + 1) << (5 * (operand >> 44 & 3) + 1) << shift;
            let from = i128::from(entry.start & mask(56));
            // Addresses wrap at 56 bits.
            return [-1, 0, 1].into_iter().any(|turn| {
                let start = start + (turn << 56);
                start < from + size && from < start + bytes
            });
        }
        let hint = (operand >> 44 & 3) as i64;
        if let (Some((granule, _)), false) = (granule, is_table) {
            // Level 0 has leaves of 4 KiB alone, and those, and of 16 KiB at level 1, with DS.
            let told = match (hint, granule) {
                (0, Granule::Size4K) | (1, Granule::Size16K) => context.ds,
                _ => hint != 0,
            };
            if told && (entry.granule != granule || number(entry.level) != hint) {
                return false;
            }
        }
        let address = (operand & mask(44)) << 12;
        (address ^ entry.start) & mask(56) & !mask(entry.size_log2.into()) == 0
    }
}

impl Case {
    fn instruction(&self) -> SysRegId {
        let table = table();
        if bit(self.instruction.into(), 7) && self.id != [0, 0] {
            return SysRegId::from_bits(u16::from_le_bytes(self.id));
        }
        table[usize::from(self.instruction) % table.len()].id
    }

    fn context(&self) -> TlbiContext {
        let flag = |at| bit(self.context.into(), at);
        TlbiContext {
            state: pick(&SPACES, self.context & 3),
            e2h: flag(2),
            tge: flag(3),
            vmid: self.vmid.into(),
            asid_16: flag(4),
            ds: flag(5),
        }
    }

    fn entry(&self, context: &TlbiContext, named: &Named) -> CachedEntry {
        let flag = |at| bit(self.entry.into(), at);
        let size_log2 = pick(&SIZES, self.leaf & 7);
        let granule = pick(&GRANULES, self.leaf >> 3 & 3);
        let shift = if context.ds { 16 } else { granule.bits() };
        let address =
            if named.range { (self.operand & mask(37)) << shift } else { (self.operand & mask(44)) << 12 };
        let asid = if context.asid_16 { self.operand >> 48 } else { self.operand >> 48 & 0xff } as u16;
        let own = bit(self.context.into(), 7);
        CachedEntry {
            cached: pick(&CACHED, self.entry & 7),
            regime: pick(&REGIMES, self.entry >> 3 & 3),
            state: if flag(7) { context.state } else { Space::Secure },
            vmid: if bit(self.context.into(), 6) { context.vmid } else { context.vmid ^ 1 },
            asid: (!flag(6)).then_some(if own { asid } else { asid ^ 0x100 }),
            start: address.wrapping_add(self.distance) & !mask(size_log2.into()),
            size_log2,
            level: pick(&LEVELS, self.leaf >> 5),
            granule,
            ipa_space: if flag(5) || context.state != Space::Secure {
                Space::NonSecure
            } else {
                Space::Secure
            },
        }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let (id, context) = (self.instruction(), self.context());
        let decoded = Tlbi::decode(id, self.operand, &context);
        let known = table().iter().find(|named| named.id == id);
        assert_eq!(decoded.is_some(), known.is_some(), "{id:?}");
        if let (Some(tlbi), Some(named)) = (decoded, known) {
            self.one(tlbi, named, &context);
        }
        self.cache();
    }

    fn one(&self, tlbi: Tlbi, named: &Named, context: &TlbiContext) {
        let entry = self.entry(context, named);
        let removes = tlbi.removes(&entry, context);
        assert_eq!(removes, named.removes(self.operand, context, &entry), "{named:?} {entry:x?} {context:?}");
        assert_eq!((tlbi.shared, tlbi.excludes_xs), (named.shared, named.xs), "{named:?}");
        let with = |id: SysRegId, operand: u64| {
            Tlbi::decode(id, operand, context).is_some_and(|tlbi| tlbi.removes(&entry, context))
        };
        let same = |other: &&Named| other.what == named.what && other.range == named.range;
        for other in table().iter().filter(same) {
            assert_eq!(with(other.id, self.operand), removes, "{named:?} {other:?}");
        }
        let hint = if named.range { 3 << 37 } else { 0xf << 44 };
        let by_address = named.what.starts_with("VA") || named.what.starts_with("IPA");
        assert!(!by_address || !removes || with(named.id, self.operand & !hint), "a hint removes more");
        let more = match named.what.as_str() {
            "VALE1" | "VAE1" | "ASIDE1" => Some(ins::TLBI_VMALLE1),
            "VAALE1" | "VAAE1" => Some(ins::TLBI_VMALLE1),
            "VMALLE1" | "IPAS2E1" | "IPAS2LE1" | "VMALLWS2E1" => Some(ins::TLBI_VMALLS12E1),
            "VMALLS12E1" => Some(ins::TLBI_ALLE1),
            "VAE2" | "VALE2" => Some(ins::TLBI_ALLE2),
            "VAE3" | "VALE3" => Some(ins::TLBI_ALLE3),
            _ => None,
        };
        // With {E2H,TGE} some are about EL2&0, others about EL1&0 all the same.
        let crosses =
            context.e2h && context.tge && !matches!(named.what.as_str(), "VAE2" | "VALE2" | "VAE3" | "VALE3");
        if let (Some(more), false) = (more, crosses) {
            assert!(!removes || with(more, 0), "{named:?} removes {entry:x?}, and all does not");
        }
        if !context.asid_16 && !named.range {
            let ignored = with(named.id, self.operand ^ 0x7f << 56);
            assert!(ignored == removes, "the high byte of an 8-bit ASID");
        }
        if by_address && !named.range {
            let pair = u128::from(self.operand & !mask(44)) | u128::from(self.operand & mask(44)) << 64;
            let wide = Tlbi::decode_pair(named.id, pair, context);
            assert_eq!(
                wide.map(|tlbi| tlbi.removes(&entry, context)),
                Some(removes),
                "{named:?} with 128 bits"
            );
        }
    }

    /// The cache of stage 2 results.
    fn cache(&self) {
        let machine = Machine { regime: 0, ..self.machine.clone() };
        let (registers, implementation) = (machine.registers(), machine.implementation());
        let translator = Translator::new(Regime::El1And0, &registers, &implementation);
        if translator.stage2.is_none() {
            return;
        }
        let memory = Memory::new(&self.contents, Tables::Arm);
        let (va, access) = (Va::new(self.va), self.asked.access(Regime::El1And0));
        let mut cache = TableCache::<8>::new();
        let view = memory.view();
        let _ = translator.translate_cached::<Located, _, _, 8>(va, access, &view, &mut (), &mut cache);
        let kept: Vec<CachedEntry> = cache.iter().collect();
        let Some(first) = kept.first() else { return };
        let context = TlbiContext {
            state: first.state,
            e2h: false,
            tge: false,
            vmid: first.vmid,
            asid_16: true,
            ds: false,
        };
        let all = Tlbi::decode(ins::TLBI_VMALLS12E1, 0, &context);
        let own = &registers.el1;
        let asid = (if bit(own.tcr, 22) { own.ttbr1 } else { own.ttbr0 } >> 48) as u16;
        let asid = if bit(own.tcr, 36) { asid } else { asid & 0xff };
        for entry in &kept {
            assert!(all.is_some_and(|all| all.removes(entry, &context)), "{entry:x?}");
            assert_eq!(entry.vmid, first.vmid);
            match entry.cached {
                Cached::Stage2 => assert_eq!(entry.asid, None, "{entry:x?}"),
                Cached::Stage1Table => {
                    assert_eq!((entry.asid, entry.size_log2), (Some(asid), 21), "{entry:x?}");
                    assert_eq!((entry.start ^ self.va) & mask(56) & !mask(21), 0, "{entry:x?}");
                }
                _ => panic!("{entry:x?} is of no use to a cache of tables"),
            }
            assert_eq!(entry.start & mask(entry.size_log2.into()), 0, "{entry:x?}");
        }
        if let Some(any) = Tlbi::decode(self.instruction(), self.operand, &context) {
            let mut cache = cache.clone();
            cache.remove(&any, &context);
            let left: Vec<CachedEntry> = cache.iter().collect();
            let want: Vec<CachedEntry> =
                kept.iter().copied().filter(|entry| !any.removes(entry, &context)).collect();
            assert_eq!(left, want, "{any:?}");
        }
        // Somebody changes a descriptor, and says so.
        let log = view.log.borrow().clone();
        let victim = log[usize::from(self.victim) % log.len()];
        let other = memory.view();
        let changed = memory.word(victim).unwrap_or(0) ^ self.change;
        let _ = other.written.borrow_mut().insert(victim, changed);
        let mut asked = Asks(Vec::new());
        let plain = translator.translate::<Located, _, _>(va, access, &other, &mut asked);
        let _ = translator.translate::<Located, _, _>(va, access, &view, &mut asked);
        for ipa in asked.0 {
            let secure = context.state == Space::Secure;
            for ns in [0, u64::from(secure) << 63] {
                if let Some(tlbi) = Tlbi::decode(ins::TLBI_IPAS2E1, ipa >> 12 & mask(44) | ns, &context) {
                    cache.remove(&tlbi, &context);
                }
            }
        }
        // The last table of stage 1, by each of the instructions that name it.
        let page = self.va >> 12 & mask(44);
        let (id, operand) = match self.victim >> 6 {
            0 => (ins::TLBI_VAE1, u64::from(asid) << 48 | page),
            1 => (ins::TLBI_VAAE1IS, page),
            2 => (ins::TLBI_ASIDE1, u64::from(asid) << 48),
            _ => (ins::TLBI_VMALLE1, 0),
        };
        if let Some(tlbi) = Tlbi::decode(id, operand, &context) {
            cache.remove(&tlbi, &context);
        }
        assert!(cache.iter().all(|entry| entry.cached == Cached::Stage2), "a table of stage 1 is left");
        let cached = translator.translate_cached::<Located, _, _, 8>(va, access, &other, &mut (), &mut cache);
        assert_eq!(cached, plain, "after maintenance");
    }
}

/// Hears what stage 2 is asked for.
struct Asks(Vec<u64>);

impl Recorder for Asks {
    fn record(&mut self, step: Step) {
        if let Step::Reading { stage: Stage::One, at, .. } = step {
            self.0.push(at);
        }
    }
}
