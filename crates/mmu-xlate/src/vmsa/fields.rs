//! What each bit of a descriptor decides, for whoever explains a walk.
//! Arm ARM, "Translation table descriptor formats".

use super::explain::{Field, Recorder, Step};
use super::fault::Stage;
use super::geometry::{AddressForm, Range};
use super::params::Params;
use super::registers::Space;
use super::stage2_params::Stage2;
use arm_arch::Level;
use arm_arch::bits::{mask, trunc64};

/// Who listens, and to what.
struct Teller<'r, R> {
    recorder: &'r mut R,
    stage: Stage,
    level: Level,
    entry: u128,
}

/// What a field is called, where it lies, what its values mean and where that stands. One meaning is that
/// of all values.
struct Known {
    name: &'static str,
    parts: [Option<(u32, u32)>; 3],
    means: &'static [&'static str],
    cite: &'static str,
}

/// A field in one piece.
const fn known(
    name: &'static str,
    (high, low): (u32, u32),
    means: &'static [&'static str],
    cite: &'static str,
) -> Known {
    Known { name, parts: [Some((high, low)), None, None], means, cite }
}

impl<R: Recorder> Teller<'_, R> {
    /// Tells of a field: its value, the first part on top.
    fn field(&mut self, field: &Known) {
        let mut value = 0;
        for (high, low) in field.parts.iter().flatten() {
            let width = high.wrapping_sub(*low).wrapping_add(1);
            let bits = trunc64(self.entry.wrapping_shr(*low)) & mask(width);
            value = value << width | bits;
        }
        let at = usize::try_from(value).unwrap_or(usize::MAX);
        let means = field.means.get(at).or(field.means.first()).copied().unwrap_or("");
        self.tell(field.name, field.parts, value, means, field.cite);
    }

    fn tell(
        &mut self,
        name: &'static str,
        parts: [Option<(u32, u32)>; 3],
        value: u64,
        means: &'static str,
        cite: &'static str,
    ) {
        let field = Field { name, parts, value, means, cite };
        self.recorder.record(Step::Field { stage: self.stage, level: self.level, field });
    }

    fn address(&mut self, name: &'static str, low: u32, range: &Range, wide: bool, value: u64) {
        let parts = match range.form {
            _ if wide => [Some((55, low)), None, None],
            AddressForm::Bits48 => [Some((47, low)), None, None],
            AddressForm::Lpa => [Some((15, 12)), Some((47, low)), None],
            AddressForm::Lpa2 => [Some((9, 8)), Some((49, low)), None],
        };
        self.tell(
            name,
            parts,
            value,
            "the address, without the bits that come from the input",
            "\"Translation table descriptor formats\"",
        );
    }
}

const IGNORED: &[&str] = &["ignored: TCR_ELx.HPD, or indirect permissions"];

/// Tells what a table descriptor decides.
#[cold]
pub(super) fn table<R: Recorder>(
    stage: Stage,
    level: Level,
    (entry, next, wide): (u128, u64, bool),
    range: &Range,
    recorder: &mut R,
) {
    let mut teller = Teller { recorder, stage, level, entry };
    teller.address("NextTable", range.granule.bits(), range, wide, next);
    if range.haft {
        teller.field(&known(
            "AF",
            (10, 10),
            &["hardware sets it", "the table has been used"],
            "TCR2_ELx.HAFT",
        ));
    }
    if wide {
        let means =
            &["the next level", "one level is skipped", "two levels are skipped", "three levels are skipped"];
        teller.field(&known("SKL", (110, 109), means, "\"Translation table descriptor formats\""));
    }
    if stage == Stage::Two {
        return;
    }
    let means = |means| if range.hierarchy == 0 { IGNORED } else { means };
    let (ap, xn, pxn) =
        if wide { ((126, 125), (124, 124), (123, 123)) } else { ((62, 61), (60, 60), (59, 59)) };
    let below = &[
        "no limits below",
        "EL0 has no access below",
        "no writes below",
        "no writes below, EL0 has no access",
    ];
    teller.field(&known("APTable", ap, means(below), "\"Memory access control\""));
    let below = &["no limits below", "no execution below: at EL0, or at the only privilege"];
    teller.field(&known("UXNTable", xn, means(below), "\"Memory access control\""));
    let below = &["no limits below", "no execution at EL1 (EL2) below"];
    teller.field(&known("PXNTable", pxn, means(below), "\"Memory access control\""));
    if range.ns_table != 0 {
        let below = &["the tables below are Secure", "the tables below are Non-secure"];
        teller.field(&known("NSTable", (63, 63), below, "\"Memory access control\""));
    }
}

/// Tells what a leaf of stage 1 decides.
#[cold]
pub(super) fn stage1<R: Recorder>(
    params: &Params,
    range: &Range,
    level: Level,
    (entry, output, low, wide): (u128, u64, u32, bool),
    recorder: &mut R,
) {
    let mut teller = Teller { recorder, stage: Stage::One, level, entry };
    teller.address("OA", low, range, wide, output);
    memory_index(params, wide, &mut teller);
    if range.form != AddressForm::Lpa2 || wide {
        teller.field(&SH);
    }
    teller.field(&known(
        "AF",
        (10, 10),
        &["not accessed since it was cleared", "accessed"],
        "\"The Access flag\"",
    ));
    if params.unprivileged {
        teller.field(&known(
            "nG",
            (11, 11),
            &["global", "of the current ASID"],
            "\"Global and process-specific translation table entries\"",
        ));
    }
    if params.space == Space::Root {
        teller.field(&known(
            "NSE",
            (11, 11),
            &["with NS: 00 Secure, 01 Non-secure", "with NS: 10 Root, 11 Realm"],
            "AArch64.S1NextWalkStateLeaf",
        ));
    }
    if params.space != Space::NonSecure {
        let at = if wide { 127 } else { 5 };
        teller.field(&known(
            "NS",
            (at, at),
            &["the state's own space", "the Non-secure space, where there is a choice"],
            "AArch64.S1NextWalkStateLeaf",
        ));
    }
    permissions(params, wide, &mut teller);
    contiguous(range, wide, &mut teller);
    if params.pnch || wide {
        let at = if wide { 114 } else { 52 };
        teller.field(&known("Protected", (at, at), &["not protected", "protected"], "TCR2_ELx.PnCH"));
    }
    let at = if wide { 113 } else { 50 };
    teller.field(&known("GP", (at, at), &["not guarded", "guarded: branches land on BTI"], "FEAT_BTI"));
}

const SH: Known = known(
    "SH",
    (9, 8),
    &["Non-shareable", "reserved: Non-shareable", "Outer Shareable", "Inner Shareable"],
    "\"Memory region attributes\"",
);

fn memory_index<R: Recorder>(params: &Params, wide: bool, teller: &mut Teller<'_, R>) {
    let means = &["selects a byte of MAIR_ELx"];
    let both = &["selects a byte of MAIR_ELx, from 8 on of MAIR2_ELx"];
    match (wide, params.mair2.is_some()) {
        (true, true) => teller.field(&known("AttrIndx", (5, 2), both, "MAIR_ELx")),
        (false, true) => teller.field(&Known {
            name: "AttrIndx",
            parts: [Some((59, 59)), Some((4, 2)), None],
            means: both,
            cite: "MAIR_ELx, TCR2_ELx.AIE",
        }),
        (_, false) => teller.field(&known("AttrIndx", (4, 2), means, "MAIR_ELx")),
    }
}

fn contiguous<R: Recorder>(range: &Range, wide: bool, teller: &mut Teller<'_, R>) {
    let means = &["stands alone", "one of a group that maps adjacent addresses alike"];
    if wide {
        teller.field(&known("Contiguous", (111, 111), means, "\"The Contiguous bit\""));
    } else if !range.discontiguous {
        teller.field(&known("Contiguous", (52, 52), means, "\"The Contiguous bit\""));
    }
}

fn permissions<R: Recorder>(params: &Params, wide: bool, teller: &mut Teller<'_, R>) {
    if params.pie {
        let means = &["selects a field of PIR_ELx, and of PIRE0_ELx"];
        let parts = if wide {
            [Some((118, 115)), None, None]
        } else {
            [Some((54, 53)), Some((51, 51)), Some((6, 6))]
        };
        teller.field(&Known { name: "PIIndex", parts, means, cite: "PIR_EL1" });
        teller.field(&known(
            "nDirty",
            (7, 7),
            &["dirty", "clean: a store makes it dirty, or faults"],
            "TCR_ELx.HD",
        ));
    } else {
        direct(params, teller);
    }
    if params.poe || params.e0poe {
        let at = if wide { (124, 121) } else { (62, 60) };
        teller.field(&known("POIndex", at, &["selects a field of POR_ELx, POR_EL0"], "POR_EL1"));
    }
}

fn direct<R: Recorder>(params: &Params, teller: &mut Teller<'_, R>) {
    let both = params.unprivileged && !params.nv1;
    if both {
        let means = &["EL1 reads and writes", "EL1 and EL0 read and write", "EL1 reads", "EL1 and EL0 read"];
        teller.field(&known("AP", (7, 6), means, "AArch64.S1DirectBasePermissions"));
        teller.field(&known(
            "PXN",
            (53, 53),
            &["EL1 executes, unless EL0 writes", "EL1 does not execute"],
            "AArch64.S1DirectBasePermissions",
        ));
        teller.field(&known(
            "UXN",
            (54, 54),
            &["EL0 executes", "EL0 does not execute"],
            "AArch64.S1DirectBasePermissions",
        ));
    } else {
        teller.field(&known(
            "AP[2]",
            (7, 7),
            &["reads and writes", "reads"],
            "AArch64.S1DirectBasePermissions",
        ));
        let name = if params.nv1 { "PXN" } else { "XN" };
        teller.field(&known(
            name,
            (54, 54),
            &["executes", "does not execute"],
            "AArch64.S1DirectBasePermissions, HCR_EL2.NV1",
        ));
    }
    teller.field(&known(
        "DBM",
        (51, 51),
        &["the dirty state is software's", "hardware manages the dirty state, where HD is 1"],
        "TCR_ELx.HD",
    ));
}

/// Tells what a leaf of stage 2 decides.
#[cold]
pub(super) fn stage2<R: Recorder>(
    params: &Stage2,
    range: &Range,
    level: Level,
    (entry, output, low, wide): (u128, u64, u32, bool),
    recorder: &mut R,
) {
    let mut teller = Teller { recorder, stage: Stage::Two, level, entry };
    teller.address("OA", low, range, wide, output);
    if params.fwb {
        let means = &[
            "Device-nGnRnE",
            "Device-nGnRE",
            "Device-nGRE",
            "Device-GRE",
            "reserved: as 0b101",
            "Non-cacheable, a Device of stage 1 stays one",
            "Write-Back whatever stage 1 says",
            "what stage 1 says",
        ];
        teller.field(&known("MemAttr[2:0]", (4, 2), means, "HCR_EL2.FWB"));
    } else {
        let means = &["00xx Device; else outer and inner: 01 Non-cacheable, 10 Write-Through, 11 Write-Back"];
        teller.field(&known("MemAttr", (5, 2), means, "\"Memory region attributes\""));
    }
    if range.form != AddressForm::Lpa2 || wide {
        teller.field(&SH);
    }
    teller.field(&known(
        "AF",
        (10, 10),
        &["not accessed since it was cleared", "accessed"],
        "\"The Access flag\"",
    ));
    if params.xs {
        teller.field(&known("FnXS", (11, 11), &["XS as stage 1 has it", "XS is 0"], "FEAT_XS"));
    }
    if params.pie {
        let means = &["selects a field of S2PIR_EL2"];
        let parts = if wide {
            [Some((118, 115)), None, None]
        } else {
            [Some((54, 53)), Some((51, 51)), Some((6, 6))]
        };
        teller.field(&Known { name: "PIIndex", parts, means, cite: "S2PIR_EL2" });
        teller.field(&known(
            "Dirty",
            (7, 7),
            &["clean: a store makes it dirty, or faults", "dirty"],
            "VTCR_EL2.HD",
        ));
        if params.poe {
            let at = if wide { (124, 121) } else { (62, 59) };
            teller.field(&known("POIndex", at, &["selects a field of S2POR_EL1"], "S2POR_EL1"));
        }
    } else {
        teller.field(&known(
            "S2AP",
            (7, 6),
            &["nothing", "reads", "writes", "reads and writes"],
            "AArch64.S2DirectBasePermissions",
        ));
        if params.xnx {
            let means = &["EL1 and EL0 execute", "EL0 executes", "nobody executes", "EL1 executes"];
            teller.field(&known("XN", (54, 53), means, "AArch64.S2DirectBasePermissions, FEAT_XNX"));
        } else {
            teller.field(&known(
                "XN[1]",
                (54, 54),
                &["EL1 and EL0 execute", "nobody executes"],
                "AArch64.S2DirectBasePermissions",
            ));
        }
        teller.field(&known(
            "DBM",
            (51, 51),
            &["the dirty state is software's", "hardware manages the dirty state, where HD is 1"],
            "VTCR_EL2.HD",
        ));
    }
    contiguous(range, wide, &mut teller);
    if params.state == Space::Realm {
        let at = if wide { 127 } else { 55 };
        teller.field(&known(
            "NS",
            (at, at),
            &["the Realm space", "the Non-secure space"],
            "AArch64.S2NextWalkStateLeaf",
        ));
    }
    if params.assured_only || wide {
        let at = if wide { 114 } else { 58 };
        teller.field(&known(
            "AssuredOnly",
            (at, at),
            &["any translation", "assured translations alone"],
            "VTCR_EL2.AssuredOnly",
        ));
    }
}
