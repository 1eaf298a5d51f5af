//! `oracle sae-block`: an SAE control block, laid out.

use crate::Error;
use crate::answer::{Answer, hex, line, table, to_json};
use crate::arm::esr;
use crate::input;
use crate::z::{entry, teid};
use arm_arch::EsrEl;
use s390_arch::Asce;
use s390_arch::sae::block::field;
use s390_arch::sae::{ControlBlock, Interception, InterceptionCode};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use zerocopy::FromBytes;

/// Explains the block in a file.
///
/// # Errors
///
/// The file cannot be read, or is not one block.
pub fn answer(path: &Path) -> Result<Answer, Error> {
    let bytes = input::read(path)?;
    let block = ControlBlock::read_from_bytes(&bytes).map_err(|_| {
        Error::new(format!("is {} bytes, and a control block has 4096", bytes.len())).at(path.display())
    })?;
    Ok(explain(&block, &bytes))
}

fn explain(block: &ControlBlock, bytes: &[u8]) -> Answer {
    let mut text = String::from("SAE control block\n");
    let interception = interception(block, &mut text);
    let mut json = serde_json::Map::new();
    json.insert("interception".into(), interception);
    for (title, rows) in groups(block) {
        let _ = writeln!(text, "\n{title}");
        for (offset, name, value, digits, remark) in rows {
            let width = digits + 2;
            let row = format!("  {offset:#05x}  {name:<16} {value:#0width$x}  {remark}");
            let _ = writeln!(text, "{}", row.trim_end());
            json.insert(name, hex(value).into());
        }
    }
    let asce = Asce::from_bits(block.hbasce.get());
    let _ = writeln!(text, "\nhbasce");
    text.push_str(&table(&entry::asce(asce), 2));
    text.push_str("\ngeneral registers\n");
    text.push_str(&registers(block));
    json.insert("gpr".into(), block.gpr.iter().map(|value| hex(value.get())).collect());
    json.insert("sve_pregs".into(), block.sve_pregs.iter().map(|value| hex(value.get())).collect());
    let reserved = reserved(bytes);
    text.push_str("\nreserved\n");
    if reserved.is_empty() {
        text.push_str("  all zero\n");
    }
    for (at, byte) in reserved.iter().take(16) {
        let _ = writeln!(text, "  {at:#05x}  {byte:#04x}: not zero");
    }
    if let Some(more) = reserved.len().checked_sub(16).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} bytes more");
    }
    json.insert("reserved".into(), reserved.iter().map(|(at, byte)| json!([hex(*at), hex(*byte)])).collect());
    Answer { text, json: Value::Object(json), unfinished: None }
}

/// Offset, name, value, hexadecimal digits, remark.
type Row = (u64, String, u64, usize, String);

fn groups(block: &ControlBlock) -> Vec<(&'static str, Vec<Row>)> {
    let row = |at: u64, name: &str, value: u64, digits: usize, remark: &str| -> Row {
        (at, name.into(), value, digits, remark.into())
    };
    let list_register = |(number, value): (u8, u64)| {
        let state = ["invalid", "pending", "active", "pending and active"]
            .get(usize::try_from(value >> 62).unwrap_or(0))
            .copied()
            .unwrap_or_default();
        let remark =
            if value == 0 { "empty".into() } else { format!("INTID {}, {state}", value & 0xffff_ffff) };
        (field::ich_lr(number).unwrap_or(0), format!("ich_lr{number}_el2"), value, 16, remark)
    };
    let timer = |control: u32| {
        let flags = [(1, "ENABLE"), (2, "IMASK"), (4, "ISTATUS")];
        let set: Vec<&str> =
            flags.iter().filter(|(bit, _)| control & bit != 0).map(|(_, name)| *name).collect();
        set.join(" ")
    };
    vec![
        (
            "guest state",
            vec![
                row(field::PC, "pc", block.pc.get(), 16, ""),
                row(field::PSTATE, "pstate", block.pstate.get(), 16, &pstate_text(block.pstate.get())),
                row(field::SP_EL0, "sp_el0", block.sp_el0.get(), 16, ""),
                row(field::SP_EL1, "sp_el1", block.sp_el1.get(), 16, ""),
                row(field::FPCR, "fpcr", block.fpcr.get(), 16, ""),
                row(field::FPSR, "fpsr", block.fpsr.get(), 16, ""),
                row(field::CONTEXTIDR_EL1, "contextidr_el1", block.contextidr_el1.get(), 16, ""),
            ],
        ),
        (
            "timers",
            vec![
                row(
                    field::CNTP_CTL,
                    "cntp_ctl",
                    block.cntp_ctl.get().into(),
                    8,
                    &timer(block.cntp_ctl.get()),
                ),
                row(
                    field::CNTV_CTL,
                    "cntv_ctl",
                    block.cntv_ctl.get().into(),
                    8,
                    &timer(block.cntv_ctl.get()),
                ),
                row(field::GPTO, "gpto", block.gpto.get(), 16, "guest physical time offset"),
            ],
        ),
        (
            "interrupts",
            [
                row(field::IRQ_CTL, "irq_ctl", block.irq_ctl.into(), 2, "interruption control"),
                row(field::ICH_HCR, "ich_hcr_el2", block.ich_hcr_el2.get(), 16, ""),
                row(field::ICH_VMCR, "ich_vmcr_el2", block.ich_vmcr_el2.get(), 16, ""),
                row(field::ICH_AP0R0, "ich_ap0r0_el2", block.ich_ap0r0_el2.get(), 16, ""),
                row(field::ICH_AP1R0, "ich_ap1r0_el2", block.ich_ap1r0_el2.get(), 16, ""),
            ]
            .into_iter()
            .chain((0..).zip(block.ich_lr_el2.map(|value| value.get())).map(list_register))
            .collect(),
        ),
        (
            "host controls",
            vec![
                row(field::SDF, "sdf", block.sdf.into(), 2, sdf_text(block.sdf)),
                row(field::SCAD, "scad", block.scad.get(), 16, "system control area"),
                row(field::MSO, "mso", block.mso.get(), 16, "main-storage origin"),
                row(field::MSL, "msl", block.msl.get(), 16, "main-storage limit"),
                row(field::HBASCE, "hbasce", block.hbasce.get(), 16, "host tables, below"),
                row(field::IC, "ic", block.ic.get(), 16, "interception controls"),
                row(field::EC, "ec", block.ec.get(), 16, "execution controls"),
                row(field::SAVE_AREA, "save_area", block.save_area.get(), 16, ""),
                row(field::LRCPUA, "lrcpua", block.lrcpua.get().into(), 4, "CPU that ran it last (inferred)"),
                row(field::WIP, "wip", block.wip.get().into(), 8, "not published"),
            ],
        ),
    ]
}

const fn sdf_text(format: u8) -> &'static str {
    if format == 0 { "format 0" } else { "no such format is defined" }
}

/// Says what PSTATE holds, in the format of an SPSR.
fn pstate_text(pstate: u64) -> String {
    let mode = match pstate & 0x1f {
        0 => "EL0t",
        4 => "EL1t",
        5 => "EL1h",
        8 => "EL2t",
        9 => "EL2h",
        12 => "EL3t",
        13 => "EL3h",
        _ => "AArch32 or reserved",
    };
    let pick = |bits: [(u32, char); 4]| -> String {
        bits.iter().map(|(bit, letter)| if pstate >> bit & 1 == 1 { *letter } else { '-' }).collect()
    };
    format!(
        "{mode}, {} {}",
        pick([(31, 'N'), (30, 'Z'), (29, 'C'), (28, 'V')]),
        pick([(9, 'D'), (8, 'A'), (7, 'I'), (6, 'F')])
    )
}

fn interception(block: &ControlBlock, text: &mut String) -> Value {
    let code = InterceptionCode(block.icptr);
    let data = block.icptd.map(|value| value.get());
    let name = code.name().unwrap_or("not known");
    let _ = writeln!(text, "\ninterception  code {:#04x}: {name}", code.0);
    let syndrome = |text: &mut String, value: u64| {
        line(text, "esr_elz", format_args!("{value:#018x}"));
        text.push_str(&table(&esr::fields(EsrEl::from_bits(value)), 4));
    };
    let payload = match Interception::decode(code, &data) {
        Interception::HostAccess(access) | Interception::GuestAddressSize(access) => {
            line(text, "pic", format_args!("{:#06x}  {}", access.pic.0, teid::code_text(access.pic)));
            line(text, "teid", format_args!("{:#018x}", access.teid.into_bits()));
            let fields =
                teid::fields(access.teid.into_bits(), access.pic == s390_arch::ProgramCode::PROTECTION);
            text.push_str(&table(&fields, 4));
            line(text, "far_elz", format_args!("{:#018x}", access.far));
            line(text, "vaddr", format_args!("{:#018x}", access.vaddr));
            line(text, "suppl", format_args!("{:#018x}", access.suppl));
            line(text, "gltl", access.gltl);
            syndrome(text, access.esr);
            json!({
                "esr": hex(access.esr), "pic": hex(access.pic.0), "teid": hex(access.teid.into_bits()),
                "far": hex(access.far), "vaddr": hex(access.vaddr), "suppl": hex(access.suppl),
                "gltl": access.gltl,
            })
        }
        Interception::Trap(trap) => {
            line(text, "far_elz", format_args!("{:#018x}", trap.far));
            syndrome(text, trap.esr);
            json!({
                "esr": hex(trap.esr), "far": hex(trap.far),
                "fields": to_json(&esr::fields(EsrEl::from_bits(trap.esr))),
            })
        }
        Interception::Validity(reason) => {
            line(text, "reason", format_args!("{:#06x}  {}", reason.0, reason.name().unwrap_or("not known")));
            json!({ "reason": hex(reason.0), "name": reason.name() })
        }
        Interception::Timer(reason) => {
            line(text, "physical", reason.physical());
            line(text, "virtual", reason.virtual_timer());
            json!({ "physical": reason.physical(), "virtual": reason.virtual_timer() })
        }
        Interception::Spurious
        | Interception::PeIntercomm
        | Interception::Stop
        | Interception::Code08
        | Interception::Pmu
        | Interception::Maintenance
        | Interception::Unknown(_) => Value::Null,
    };
    json!({ "code": hex(code.0), "name": name, "data": data.map(hex), "payload": payload })
}

/// Writes X0 to X30 in three columns.
fn registers(block: &ControlBlock) -> String {
    let mut text = String::new();
    for (number, value) in block.gpr.iter().enumerate() {
        let name = format!("x{number}");
        let _ = write!(text, "  {name:<4}{:#018x}", value.get());
        if number % 3 == 2 || number == 30 {
            text.push('\n');
        }
    }
    text
}

/// Where the block is reserved: from, to.
const RESERVED: [(u64, u64); 14] = [
    (0x000, 0x080),
    (0x081, 0x088),
    (0x090, 0x110),
    (0x119, 0x120),
    (0x140, 0x150),
    (0x170, 0x1f0),
    (0x1fc, 0x200),
    (0x201, 0x208),
    (0x220, 0x228),
    (0x248, 0x286),
    (0x2a8, 0x2b0),
    (0x2e2, 0x300),
    (0x3f8, 0x400),
    (0x440, 0x1000),
];

/// Returns the reserved bytes that are not zero.
fn reserved(bytes: &[u8]) -> Vec<(u64, u8)> {
    let is_reserved = |at: u64| RESERVED.iter().any(|(from, to)| (*from..*to).contains(&at));
    (0..).zip(bytes.iter().copied()).filter(|(at, byte)| *byte != 0 && is_reserved(*at)).collect()
}
