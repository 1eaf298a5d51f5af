//! What each bit of an ASCE and of a table entry decides.

use crate::answer::{Answer, Field, Fields, hex, line, table, to_json};
use mmu_xlate::dat::Features;
use s390_arch::dat::{Asce, Level, TableType};
use serde_json::json;
use std::fmt::Write;

const ASCE: &str = "PoP ch. 3, ASCE";
const REGION: &str = "PoP ch. 3, region-table entries";
const SEGMENT: &str = "PoP ch. 3, segment-table entries";
const PAGE: &str = "PoP ch. 3, page-table entries";

/// Names of the levels, as options have them.
pub const LEVELS: [(&str, Level); 5] = [
    ("region1", Level::RegionFirst),
    ("region2", Level::RegionSecond),
    ("region3", Level::RegionThird),
    ("segment", Level::Segment),
    ("page", Level::Page),
];

/// Returns the name of a level.
pub fn level_text(level: Level) -> &'static str {
    match level {
        Level::RegionFirst => "region-first",
        Level::RegionSecond => "region-second",
        Level::RegionThird => "region-third",
        Level::Segment => "segment",
        Level::Page => "page",
    }
}

fn type_text(table: TableType) -> &'static str {
    match table {
        TableType::RegionFirst => "region-first table",
        TableType::RegionSecond => "region-second table",
        TableType::RegionThird => "region-third table",
        TableType::Segment => "segment table",
    }
}

/// Returns the fields of a designation.
pub fn asce(asce: Asce) -> Vec<Field> {
    let mut fields = Fields::from_left(asce.into_bits(), ASCE);
    fields.add((0, 51), "origin", format!("table at {:#018x}", asce.table().bits()));
    fields.flag(54, "G", "subspace group", "");
    fields.flag(55, "P", "private: no common segments, no low-address protection", "not private");
    fields.flag(56, "S", "storage-alteration events", "");
    fields.flag(57, "X", "space-switch events", "");
    fields.flag(58, "R", "real space: there are no tables", "there are tables");
    fields.add((60, 61), "DT", type_text(asce.dt()));
    fields.add((62, 63), "TL", format!("{} entries", (u32::from(asce.tl()) + 1) * 512));
    fields.list
}

/// Whether an entry maps a frame itself.
pub fn is_frame(bits: u64, level: Level, features: Features) -> bool {
    let fc = bits & 0x400 != 0;
    match level {
        Level::RegionThird => fc && features.edat2,
        Level::Segment => fc && features.edat1,
        Level::RegionFirst | Level::RegionSecond => false,
        Level::Page => true,
    }
}

/// Returns the fields of an entry.
pub fn fields(bits: u64, level: Level, features: Features) -> Vec<Field> {
    match level {
        Level::Page => page(bits, features),
        Level::RegionFirst | Level::RegionSecond => region(bits, level, features),
        Level::RegionThird => {
            if is_frame(bits, level, features) {
                frame(bits, level, features)
            } else {
                region(bits, level, features)
            }
        }
        Level::Segment => {
            if is_frame(bits, level, features) {
                frame(bits, level, features)
            } else {
                segment(bits, features)
            }
        }
    }
}

/// Adds I and TT, which every entry above a page has.
fn checked(fields: &mut Fields, bits: u64, level: Level) {
    fields.flag(58, "I", "invalid", "valid");
    let found = TableType::from_bits(u8::try_from(bits >> 2 & 3).unwrap_or(0));
    let means = if level.table_type() == Some(found) {
        format!("in a {}, as it should be", type_text(found))
    } else {
        format!("of a {}: translation specification", type_text(found))
    };
    fields.add((60, 61), "TT", means);
}

fn region(bits: u64, level: Level, features: Features) -> Vec<Field> {
    let mut fields = Fields::from_left(bits, REGION);
    let below = level.below().map_or("", level_text);
    fields.add((0, 51), "origin", format!("{below} table at {:#018x}", bits & !0xfff));
    if level == Level::RegionThird {
        fields.flag(53, "FC", "a frame, but EDAT-2 does not apply", "designates a table");
    }
    let p = if features.edat1 { "no stores below" } else { "without effect: EDAT-1 does not apply" };
    fields.flag(54, "P", p, "takes nothing");
    let first = u32::try_from(bits >> 6 & 3).unwrap_or(0);
    let last = u32::try_from(bits & 3).unwrap_or(0);
    fields.add((56, 57), "TF", format!("first entry is {}", first * 512));
    checked(&mut fields, bits, level);
    if level == Level::RegionThird && features.edat2 {
        fields.flag(59, "CR", "common region", "not common");
    }
    fields.add((62, 63), "TL", format!("last entry is {}", last * 512 + 511));
    fields.list.sort_by_key(|field| field.bits.first().copied());
    fields.list
}

fn segment(bits: u64, features: Features) -> Vec<Field> {
    let mut fields = Fields::from_left(bits, SEGMENT);
    fields.add((0, 52), "origin", format!("page table at {:#018x}", bits & !0x7ff));
    let fc = if features.edat1 { "a frame" } else { "a frame, but EDAT-1 does not apply" };
    fields.flag(53, "FC", fc, "designates a page table");
    fields.flag(54, "P", "no stores below", "takes nothing");
    fields.flag(59, "CS", "common segment", "not common");
    checked(&mut fields, bits, Level::Segment);
    fields.list.sort_by_key(|field| field.bits.first().copied());
    fields.list
}

/// A segment- or region-third-table entry that maps a frame.
fn frame(bits: u64, level: Level, features: Features) -> Vec<Field> {
    let (last, size, source, common) = match level {
        Level::Segment => (43, "1 MiB", SEGMENT, "CS"),
        _ => (32, "2 GiB", REGION, "CR"),
    };
    let mut fields = Fields::from_left(bits, source);
    let address = fields.bits(0, last) << (63 - last);
    fields.add((0, last), "frame", format!("{size} at {address:#018x}, absolute"));
    fields.flag(47, "AV", "ACC and F count in place of the storage key", "the storage key counts");
    if bits >> 16 & 1 == 1 {
        fields.add((48, 51), "ACC", "access-control bits");
        fields.flag(52, "F", "fetches are protected too", "fetches are not protected");
    }
    fields.add((53, 53), "FC", "a frame");
    fields.flag(54, "P", "no stores", "stores as the rest allows");
    let iep = if features.iep { "no instructions" } else { "without effect: not enabled" };
    fields.flag(55, "IEP", iep, "instructions as the rest allows");
    fields.flag(59, common, "common", "not common");
    checked(&mut fields, bits, level);
    fields.list.sort_by_key(|field| field.bits.first().copied());
    fields.list
}

fn page(bits: u64, features: Features) -> Vec<Field> {
    let mut fields = Fields::from_left(bits, PAGE);
    fields.add((0, 51), "frame", format!("4 KiB at {:#018x}, real", bits & !0xfff));
    fields.flag(52, "b52", "must be zero: translation specification", "zero, as it must be");
    fields.flag(53, "I", "invalid", "valid");
    fields.flag(54, "P", "no stores", "stores as the rest allows");
    let iep = if features.iep { "no instructions" } else { "without effect: not enabled" };
    fields.flag(55, "IEP", iep, "instructions as the rest allows");
    fields.add((56, 63), "software", "left to software");
    fields.list
}

/// Explains an entry on its own.
pub fn answer(bits: u64, level: Level, features: Features) -> Answer {
    let fields = fields(bits, level, features);
    let invalid = if level == Level::Page { bits & 0x400 != 0 } else { bits & 0x20 != 0 };
    let kind = match (invalid, is_frame(bits, level, features)) {
        (true, _) => "invalid",
        (false, true) => "frame",
        (false, false) => "table",
    };
    let mut text = String::new();
    let _ = writeln!(text, "{bits:#018x}  {}-table entry: {kind}", level_text(level));
    text.push_str(&table(&fields, 2));
    if invalid {
        let code = level.exception().code();
        line(&mut text, "exception", format_args!("{:#06x}  {}", code.0, super::teid::code_text(code)));
    }
    let json = json!({
        "entry": hex(bits), "level": level_text(level), "kind": kind, "fields": to_json(&fields),
    });
    Answer { text, json, unfinished: None }
}
