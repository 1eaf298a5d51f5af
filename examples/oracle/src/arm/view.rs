//! How a walk of Arm is shown.

use super::attribute;
use super::translate::{End, Machine, Question};
use crate::answer::{Field, arm_source, hex, line, size, table, to_json};
use crate::memory::Memory;
use crate::ruler::{self, Part};
use arm_arch::sysreg::HcrEl2;
use arm_arch::{ExceptionLevel, FaultStatus, Granule, Level, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, AtOperation, Attributes, DescriptorFormat, DescriptorKind, Fault, Located, Mapping,
    Permissions, Privilege, Qualifiers, Regime, RoutesDenials, Space, Stage, Step, Translation,
};
use serde_json::{Value, json};
use std::fmt::Write;
/// Everything that is shown.
pub struct View<'a> {
    /// Who was asked.
    pub machine: &'a Machine,
    /// What.
    pub question: &'a Question,
    /// How it went.
    pub steps: &'a [Step],
}

impl View<'_> {
    fn format(&self, stage: Stage) -> DescriptorFormat {
        let stage_1 = self.machine.translator.stage1.descriptor_format(Va::new(self.question.va));
        match (stage, &self.machine.translator.stage2) {
            (Stage::Two, Some(stage2)) => stage2.descriptor_format(self.machine.security),
            (Stage::Two, None) | (Stage::One, _) => stage_1,
        }
    }

    /// Says what is asked, and what is assumed.
    pub fn heading(&self) -> String {
        let mut text = String::new();
        let what = match self.question.at {
            Some(operation) => format!("AT {} at {}", at_name(operation), el_text(self.question.el)),
            None => format!("{} by {}", access_text(self.question.access), el_text(self.question.el)),
        };
        let regime = regime_text(self.machine.regime);
        let _ = writeln!(text, "{:#018x}  {what}, {regime} regime", self.question.va);
        for assumed in &self.machine.assumed {
            line(&mut text, "assumed", assumed);
        }
        text
    }

    /// Draws each stage with its descriptors.
    pub fn walks(&self, text: &mut String) {
        let (mut first_done, mut within) = (false, false);
        for (at, step) in self.steps.iter().enumerate() {
            let rest = self.steps.get(at..).unwrap_or_default();
            let nested = !first_done && stage_of(step) == Some(Stage::Two);
            match step {
                Step::Start { input, .. } if nested => {
                    within = true;
                    let _ = writeln!(text, "      stage 2 of {input:#018x}, where the next descriptor is");
                }
                Step::Start { .. } => self.start(step, rest, text),
                Step::Descriptor { .. } => self.descriptor(step, nested, text),
                Step::Update(update) => {
                    let indent = if within { "        " } else { "  " };
                    let _ = writeln!(
                        text,
                        "{indent}hardware would write {:#018x} at {:#018x} ({})",
                        update.new,
                        update.at,
                        update_text(update.old, update.new)
                    );
                }
                Step::Output { stage: Stage::One, output } => {
                    let space =
                        if self.translated_again() { "intermediate address" } else { "output address" };
                    let _ = writeln!(text, "  → {output:#018x}  {space}");
                    first_done = true;
                }
                Step::Output { stage: Stage::Two, output } => {
                    within = false;
                    let (indent, what) = if nested { ("        ", "") } else { ("  ", "  output address") };
                    let _ = writeln!(text, "{indent}→ {output:#018x}{what}");
                }
                Step::Field { .. } if nested || self.question.brief => {}
                Step::Field { .. } => {
                    // The first of a run writes all, so that they stand in columns.
                    let before = at.checked_sub(1).and_then(|before| self.steps.get(before));
                    if !matches!(before, Some(Step::Field { .. })) {
                        text.push_str(&table(&fields(rest), 11));
                    }
                }
                Step::Decided { .. } | Step::Rights { .. } | Step::Memory { .. }
                    if nested || self.question.brief => {}
                Step::Decided { rule, .. } => {
                    let _ = writeln!(text, "  · {} ({})", rule.says(), arm_source(rule.cite()));
                }
                Step::Rights { base, overlay, .. } => {
                    let _ = writeln!(text, "  · base permissions: {}", permissions_text(*base));
                    if overlay.intersection(Permissions::ALL) != Permissions::ALL {
                        let _ = writeln!(text, "  · the overlay leaves: {}", permissions_text(*overlay));
                    }
                }
                Step::Memory { attributes, .. } => {
                    let _ = writeln!(text, "  · memory: {}", memory_text(*attributes));
                }
                // Of those that let the walk go on, a brief answer says nothing.
                Step::Granule(report) if self.question.brief && report.refusal().is_none() => {}
                Step::Granule(report) => {
                    let indent = if within { "        " } else { "  " };
                    let _ = writeln!(text, "{indent}· {report}");
                }
                Step::Reading { .. } | Step::Fault(_) => {}
                other => {
                    let _ = writeln!(text, "  · {other}");
                }
            }
        }
    }

    fn translated_again(&self) -> bool {
        self.machine.translator.stage2.is_some()
    }

    /// Writes the heading of a stage and draws its input address.
    fn start(&self, step: &Step, rest: &[Step], text: &mut String) {
        let Step::Start { stage, input, input_bits, level, base } = *step else { return };
        let format = self.format(stage);
        let (number, source) = match stage {
            Stage::One => ("1", self.base_register(input)),
            Stage::Two => ("2", "VTTBR_EL2"),
        };
        let _ = writeln!(
            text,
            "\nstage {number}  {} granule, {input_bits}-bit addresses{}, {source}: first table {base:#018x} at level {level}",
            granule_text(format.granule),
            if format.wide { ", 128-bit descriptors" } else { "" },
        );
        text.push_str(&ruler::draw(input, &self.parts(step, rest), false, 2));
        text.push('\n');
    }

    fn base_register(&self, va: u64) -> &'static str {
        let high = va >> 55 & 1 == 1;
        match (self.machine.regime, high) {
            (Regime::El1And0, false) => "TTBR0_EL1",
            (Regime::El1And0, true) => "TTBR1_EL1",
            (Regime::El2And0, true) => "TTBR1_EL2",
            (Regime::El2And0 | Regime::El2, _) => "TTBR0_EL2",
            (Regime::El3, _) => "TTBR0_EL3",
        }
    }

    /// Returns the parts of an input address: above, an index for each level, the offset.
    fn parts(&self, step: &Step, rest: &[Step]) -> Vec<Part> {
        let Step::Start { stage, input, input_bits, level, .. } = *step else { return Vec::new() };
        let format = self.format(stage);
        let mut parts = Vec::new();
        if input_bits < 64 {
            let (label, note) = match (stage, format.unprivileged && stage == Stage::One) {
                (Stage::One, true) if input >> 55 & 1 == 1 => ("TTBR1", "ones"),
                (Stage::One, true) => ("TTBR0", "zeros"),
                _ => ("above", "zeros"),
            };
            parts.push(Part::new(63, input_bits, label, note));
        }
        let mut next = input_bits;
        let mut leaf = false;
        let own = rest.iter().skip(1).take_while(|later| {
            !matches!(later, Step::Start { stage: other, .. } if *other == stage)
                && !matches!(later, Step::Output { stage: other, .. } if *other == stage)
        });
        for later in own {
            if let Step::Descriptor { stage: other, level, index: (high, low), kind, .. } = *later
                && other == stage
            {
                let part = Part::new(high, low, format!("level {level}"), "");
                let note = format!("entry {}", part.of(input));
                parts.push(Part { note, ..part });
                next = low;
                leaf = matches!(kind, DescriptorKind::Block | DescriptorKind::Page);
            }
        }
        let stride = format.granule.bits() - if format.wide { 4 } else { 3 };
        let first = format.granule.bits() + stride * level.remaining();
        let mut low = if next == input_bits { first } else { next.saturating_sub(stride) };
        while !leaf && low < next && low >= format.granule.bits() {
            let remaining = (low - format.granule.bits()) / stride;
            let number = i8::try_from(remaining).map_or(3, |below| 3 - below);
            let part = Part::new(next - 1, low, format!("level {number}"), "");
            let note = format!("entry {}", part.of(input));
            parts.push(Part { note, ..part });
            next = low;
            low = low.saturating_sub(stride);
        }
        if next > 0 {
            let part = Part::new(next - 1, 0, "offset", "");
            let note = format!("{:#x}", part.of(input));
            parts.push(Part { note, ..part });
        }
        parts
    }

    fn descriptor(&self, step: &Step, nested: bool, text: &mut String) {
        let Step::Descriptor { stage, level, at, value, kind, .. } = *step else { return };
        let indent = if nested { 8 } else { 2 };
        let digits = if self.format(stage).wide { 34 } else { 18 };
        let _ = writeln!(text, "{:indent$}level {level}  {at:#018x}: {value:#0digits$x}  {kind}", "");
    }

    /// Writes how it ended, and returns it.
    pub fn result(&self, end: &End, text: &mut String) -> Value {
        text.push_str("\nresult   ");
        match end {
            End::Mapped(mapping) => mapped(mapping, text),
            End::Fault(fault, access) => self.fault(fault, *access, text),
            End::Par(par) => {
                let _ = writeln!(text, "PAR_EL1 = {par:#x}");
                let explained = super::par::fields(*par);
                text.push_str(&table(&explained, 2));
                json!({ "par": hex(*par), "fields": to_json(&explained) })
            }
            End::Missing(missing) => {
                text.push_str("not known: memory is missing\n");
                json!({ "missing": hex(missing.0) })
            }
        }
    }

    fn fault(&self, fault: &Fault, access: Access, text: &mut String) -> Value {
        let stage = if fault.stage == Stage::One { 1 } else { 2 };
        let _ = writeln!(text, "{}, found by stage {stage}", fault.status);
        let reason = self.steps.iter().rev().find_map(|step| match step {
            Step::Decided { rule, .. } => Some(rule),
            _ => None,
        });
        if let Some(rule) = reason {
            line(text, "because", format_args!("{} ({})", rule.says(), arm_source(rule.cite())));
        }
        if let Some(refusal) = &fault.granule {
            line(text, "check", refusal.fault);
            let space = space_text(refusal.at.space);
            line(text, "refused", format_args!("{:#018x}  {space} physical address", refusal.at.pa.bits()));
        }
        if fault.s1ptw {
            line(text, "S1PTW", "on the address of a stage 1 descriptor");
        }
        for (name, one, why) in [
            ("Overlay", Qualifiers::OVERLAY, "the overlay does not permit it"),
            ("DirtyBit", Qualifiers::DIRTY_BIT, "the location is clean, and hardware does not make it dirty"),
            ("TopLevel", Qualifiers::TOP_LEVEL, "the first table is not where stage 2 allows one"),
            ("AssuredOnly", Qualifiers::ASSURED_ONLY, "the stage 1 translation was not assured"),
        ] {
            if fault.qualifiers.contains(one) {
                line(text, name, why);
            }
        }
        let permitted = self.permitted(fault, access);
        if let Some(mapping) = &permitted {
            line(text, "needed", needed(access));
            line(text, "permitted", permissions_text(mapping.permissions));
        }
        let target = self.target(fault);
        let esr = fault.esr(access, self.question.el, target);
        let esr_name = format!("ESR_{}", el_text(target));
        line(text, &esr_name, format_args!("{:#018x}", esr.into_bits()));
        line(text, &format!("FAR_{}", el_text(target)), format_args!("{:#018x}", self.question.va));
        let mfar = fault.granule.filter(|_| target == ExceptionLevel::El3).map(|refusal| refusal.mfar());
        if let Some(mfar) = mfar {
            line(text, "MFAR_EL3", format_args!("{mfar:#018x}"));
        }
        let hpfar = fault.hpfar(self.machine.security);
        if fault.stage == Stage::Two {
            match hpfar {
                Some(hpfar) => line(text, "HPFAR_EL2", format_args!("{hpfar:#018x}")),
                None => line(text, "HPFAR_EL2", "UNKNOWN for this kind of fault"),
            }
        }
        if let Some(ipa) = fault.ipa {
            line(text, "asked for", format_args!("{:#018x}  intermediate address", ipa.bits()));
        }
        // AT does not reach what it yields: it has nothing to be refused there.
        let par = (fault.status != FaultStatus::GranuleProtection).then(|| fault.par());
        if let Some(par) = par {
            line(text, "PAR_EL1", format_args!("{par:#x}, had it been an AT"));
        }
        text.push_str(&table(&super::esr::fields(esr), 2));
        json!({
            "fault": {
                "status": fault.status.to_string(),
                "fsc": hex(fault.status.encode()),
                "level": fault.status.level().map(Level::number),
                "stage": stage,
                "s1ptw": fault.s1ptw,
                "write": fault.write,
                "overlay": fault.qualifiers.contains(Qualifiers::OVERLAY),
                "dirty_bit": fault.qualifiers.contains(Qualifiers::DIRTY_BIT),
                "top_level": fault.qualifiers.contains(Qualifiers::TOP_LEVEL),
                "assured_only": fault.qualifiers.contains(Qualifiers::ASSURED_ONLY),
                "ipa": fault.ipa.map(|ipa| hex(ipa.bits())),
                "granule": fault.granule.map(|refusal| json!({
                    "check": refusal.fault.to_string(),
                    "at": hex(refusal.at.pa.bits()),
                    "space": space_text(refusal.at.space),
                })),
            },
            "target": target.number(),
            "esr": hex(esr.into_bits()),
            "far": hex(self.question.va),
            "hpfar": hpfar.map(hex),
            "mfar": mfar.map(hex),
            "par": par.map(hex),
            "because": reason.map(|rule| json!({ "says": rule.says(), "source": arm_source(rule.cite()) })),
            "permitted": permitted.map(|mapping| permissions_text(mapping.permissions)),
        })
    }

    /// Returns what the location would permit, for faults that do not hide it: what AT ...A sees.
    fn permitted(&self, fault: &Fault, access: Access) -> Option<Mapping<Located>> {
        let told = matches!(fault.status, FaultStatus::Permission(_) | FaultStatus::AccessFlag(_));
        if !told {
            return None;
        }
        let anything = Access { kind: AccessKind::AtAddress, ..access };
        let memory: &Memory = &self.question.given.memory;
        let va = Va::new(self.question.va);
        match self.machine.translator.translate::<Located, _, _>(va, anything, memory, &mut ()) {
            Ok(Translation::Mapped(mapping)) => Some(mapping),
            Ok(Translation::Fault(_)) | Err(_) => None,
        }
    }

    /// Returns who takes the abort, or the granule protection check exception. Arm ARM, AArch64.Abort; external aborts that SCR_EL3 or HCR_EL2 route elsewhere
    /// are not told apart.
    fn target(&self, fault: &Fault) -> ExceptionLevel {
        let el = self.question.el;
        let hcr = HcrEl2::from_bits(self.machine.registers.hcr_el2);
        if let Some(refusal) = &fault.granule {
            let gpf = RoutesDenials::of(self.machine.registers.scr_el3);
            if refusal.fault.is_taken_to_el3(gpf, el) {
                return ExceptionLevel::El3;
            }
            if hcr.gpf() {
                return ExceptionLevel::El2.max(el);
            }
        }
        let tge = hcr.tge();
        let target = match (fault.stage, self.machine.regime) {
            (Stage::Two, _) | (Stage::One, Regime::El2 | Regime::El2And0) => ExceptionLevel::El2,
            (Stage::One, Regime::El3) => ExceptionLevel::El3,
            (Stage::One, Regime::El1And0) if el == ExceptionLevel::El0 && tge => ExceptionLevel::El2,
            (Stage::One, Regime::El1And0) => ExceptionLevel::El1,
        };
        target.max(el)
    }

    /// Returns the question as it was understood.
    pub fn question_json(&self) -> Value {
        json!({
            "va": hex(self.question.va),
            "regime": regime_text(self.machine.regime),
            "el": self.question.el.number(),
            "access": self.question.at.map_or_else(
                || access_text(self.question.access),
                |operation| format!("AT {}", at_name(operation)),
            ),
            "assumed": self.machine.assumed,
        })
    }

    /// Returns all steps.
    pub fn steps_json(&self) -> Value {
        self.steps.iter().map(|step| self.step_json(step)).collect()
    }

    fn step_json(&self, step: &Step) -> Value {
        let number = |stage: Stage| if stage == Stage::One { 1 } else { 2 };
        match *step {
            Step::Start { stage, input, input_bits, level, base } => json!({
                "step": "start", "stage": number(stage), "input": hex(input), "input_bits": input_bits,
                "level": level.number(), "table": hex(base),
            }),
            Step::Descriptor { stage, level, at, index: (high, low), value, kind } => json!({
                "step": "descriptor", "stage": number(stage), "level": level.number(), "at": hex(at),
                "index": [high, low], "value": hex(value), "kind": kind.to_string(),
            }),
            Step::Field { stage, level, field } => json!({
                "step": "field", "stage": number(stage), "level": level.number(), "name": field.name,
                "bits": field.parts.iter().flatten().map(|(high, low)| [high, low]).collect::<Vec<_>>(),
                "value": hex(field.value), "means": field.means, "source": arm_source(field.cite),
            }),
            Step::Decided { stage, level, rule } => json!({
                "step": "rule", "stage": number(stage), "level": level.map(Level::number),
                "says": rule.says(), "source": arm_source(rule.cite()),
            }),
            Step::Rights { stage, level, base, overlay } => json!({
                "step": "rights", "stage": number(stage), "level": level.number(),
                "base": permissions_text(base), "overlay": permissions_text(overlay),
            }),
            Step::Memory { stage, attributes } => json!({
                "step": "memory", "stage": number(stage), "attr": hex(attributes.byte()),
                "sh": attributes.shareability().encode(), "says": memory_text(attributes),
            }),
            Step::Reading { stage, level, at } => json!({
                "step": "reading", "stage": number(stage), "level": level.number(), "at": hex(at),
            }),
            Step::Update(update) => json!({
                "step": "update", "at": hex(update.at), "old": hex(update.old), "new": hex(update.new),
                "big_endian": update.big_endian,
            }),
            Step::Output { stage, output } => {
                json!({ "step": "output", "stage": number(stage), "address": hex(output) })
            }
            Step::Granule(report) => json!({
                "step": "granule", "at": hex(report.at.pa.bits()), "space": space_text(report.at.space),
                "entries": report.entries.iter().flatten()
                    .map(|entry| json!({ "at": hex(entry.at.bits()), "value": hex(entry.value) }))
                    .collect::<Vec<_>>(),
                "passed": report.refusal().is_none(), "says": report.to_string(),
            }),
            Step::Fault(fault) => json!({ "step": "fault", "status": fault.status.to_string() }),
            other => json!({ "step": "other", "says": other.to_string() }),
        }
    }
}

fn mapped(mapping: &Mapping<Located>, text: &mut String) -> Value {
    let output = mapping.output.pa.bits();
    let attributes = mapping.attributes;
    let _ = writeln!(text, "mapped to {output:#018x}");
    if let Some(ipa) = mapping.ipa {
        line(text, "through", format_args!("{:#018x}  intermediate address", ipa.bits()));
    }
    let group = if mapping.contiguous { ", of a contiguous group" } else { "" };
    let leaf = mapping.level.map_or_else(
        || "no tables: holds for 4 KiB".into(),
        |level| format!("level {level}, {}{group}", size(mapping.size_log2.into())),
    );
    line(text, "leaf", leaf);
    let memory = memory_text(attributes);
    line(text, "memory", &memory);
    line(text, "permitted", permissions_text(mapping.permissions));
    let mut also = Vec::new();
    for (is, what) in [
        (mapping.not_global, "of one ASID"),
        (mapping.guarded, "guarded"),
        (mapping.clean, "clean: a write walks again"),
        (mapping.assured, "assured"),
        (mapping.space != Space::NonSecure, space_text(mapping.space)),
    ] {
        if is {
            also.push(what);
        }
    }
    if !also.is_empty() {
        line(text, "also", also.join(", "));
    }
    json!({
        "output": hex(output),
        "ipa": mapping.ipa.map(|ipa| hex(ipa.bits())),
        "level": mapping.level.map(Level::number),
        "size_log2": mapping.size_log2,
        "contiguous": mapping.contiguous,
        "attr": hex(attributes.byte()),
        "sh": attributes.shareability().encode(),
        "memory": memory,
        "permitted": permissions_text(mapping.permissions),
        "not_global": mapping.not_global,
        "guarded": mapping.guarded,
        "clean": mapping.clean,
        "assured": mapping.assured,
        "space": space_text(mapping.space),
    })
}

/// Returns the fields of the descriptor that a run of steps starts with.
pub fn fields(steps: &[Step]) -> Vec<Field> {
    let one = |step: &Step| match step {
        Step::Field { field, .. } => Some(Field {
            bits: field.parts.iter().flatten().copied().collect(),
            name: field.name.into(),
            value: field.value.into(),
            means: field.means.into(),
            source: arm_source(field.cite),
        }),
        _ => None,
    };
    let mut fields: Vec<Field> = steps.iter().map_while(one).collect();
    fields.sort_by_key(|field| std::cmp::Reverse(field.bits.first().copied()));
    fields
}

fn stage_of(step: &Step) -> Option<Stage> {
    match step {
        Step::Start { stage, .. }
        | Step::Reading { stage, .. }
        | Step::Descriptor { stage, .. }
        | Step::Field { stage, .. }
        | Step::Decided { stage, .. }
        | Step::Rights { stage, .. }
        | Step::Memory { stage, .. }
        | Step::Output { stage, .. } => Some(*stage),
        _ => None,
    }
}

/// Says what memory is.
pub fn memory_text(attributes: Attributes) -> String {
    let shareability = attribute::shareability(attributes.shareability().encode());
    format!("{} ({:#04x}), {shareability}", attribute::text(attributes.byte()), attributes.byte())
}

/// Says what is permitted.
pub fn permissions_text(held: Permissions) -> String {
    let letters = |bits: [(Permissions, char); 3]| -> String {
        bits.iter().map(|(bit, letter)| if held.contains(*bit) { *letter } else { '-' }).collect()
    };
    let privileged = letters([
        (Permissions::PRIV_READ, 'r'),
        (Permissions::PRIV_WRITE, 'w'),
        (Permissions::PRIV_EXECUTE, 'x'),
    ]);
    let user = letters([
        (Permissions::USER_READ, 'r'),
        (Permissions::USER_WRITE, 'w'),
        (Permissions::USER_EXECUTE, 'x'),
    ]);
    let pan = if held.contains(Permissions::UNDER_PAN) { ", PAN applies" } else { "" };
    format!("privileged {privileged}, EL0 {user}{pan}")
}

/// Says what an access asks for.
fn needed(access: Access) -> String {
    let who = if access.privilege == Privilege::Unprivileged { "EL0" } else { "privileged" };
    let what = match access.kind {
        AccessKind::Read | AccessKind::AtRead => "r",
        AccessKind::Write | AccessKind::AtWrite | AccessKind::Invalidate => "w",
        AccessKind::Atomic => "rw",
        AccessKind::Fetch => "x",
        AccessKind::Clean | AccessKind::CleanInvalidate => "r at EL0",
        AccessKind::AtAddress => "nothing",
        AccessKind::GcsRead | AccessKind::GcsWrite => "gcs",
    };
    format!("{who} {what}{}", if access.pan { ", PSTATE.PAN 1" } else { "" })
}

/// Says what an update of a descriptor changes: AF, \[10\], and AP\[2\], \[7\], of either stage: S2AP\[1\] is set where AP\[2\] is
/// cleared. By hand, as no layout of descriptors is public.
fn update_text(old: u64, new: u64) -> String {
    let changed = old ^ new;
    let mut parts = Vec::new();
    if changed & 1 << 10 != 0 {
        parts.push("access flag");
    }
    if changed & 1 << 7 != 0 {
        parts.push("dirty state");
    }
    parts.join(", ")
}

fn access_text(access: Access) -> String {
    let kind = match access.kind {
        AccessKind::Read => "read",
        AccessKind::Write => "write",
        AccessKind::Atomic => "atomic",
        AccessKind::Fetch => "instruction fetch",
        AccessKind::Invalidate => "DC IVAC",
        AccessKind::Clean => "DC CVAC",
        AccessKind::CleanInvalidate => "DC CIVAC",
        AccessKind::AtRead => "AT read",
        AccessKind::AtWrite => "AT write",
        AccessKind::AtAddress => "AT address",
        AccessKind::GcsRead => "GCS read",
        AccessKind::GcsWrite => "GCS write",
    };
    let unaligned = if access.aligned { "" } else { "unaligned " };
    let who = if access.privilege == Privilege::Unprivileged { "unprivileged " } else { "" };
    let pan = if access.pan { " under PAN" } else { "" };
    format!("{unaligned}{who}{kind}{pan}")
}

fn at_name(operation: AtOperation) -> &'static str {
    AtOperation::ALL.iter().find(|(_, known)| *known == operation).map_or("?", |(name, _)| name)
}

const fn regime_text(regime: Regime) -> &'static str {
    match regime {
        Regime::El1And0 => "EL1&0",
        Regime::El2And0 => "EL2&0",
        Regime::El2 => "EL2",
        Regime::El3 => "EL3",
    }
}

/// Returns the name of a space.
pub const fn space_text(space: Space) -> &'static str {
    match space {
        Space::NonSecure => "Non-secure",
        Space::Secure => "Secure",
        Space::Root => "Root",
        Space::Realm => "Realm",
    }
}

const fn el_text(el: ExceptionLevel) -> &'static str {
    match el {
        ExceptionLevel::El0 => "EL0",
        ExceptionLevel::El1 => "EL1",
        ExceptionLevel::El2 => "EL2",
        ExceptionLevel::El3 => "EL3",
    }
}

const fn granule_text(granule: Granule) -> &'static str {
    match granule {
        Granule::Size4K => "4 KiB",
        Granule::Size16K => "16 KiB",
        Granule::Size64K => "64 KiB",
    }
}
