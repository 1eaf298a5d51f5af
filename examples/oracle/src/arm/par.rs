//! `oracle par`: PAR_EL1.

use super::{attribute, code_text};
use crate::answer::{Answer, Field, Fields, hex, line, table, to_json};
use serde_json::json;
use std::fmt::Write;

/// Returns the fields of PAR_EL1 in the form that its bits 0 and 64 name. By hand: neither the register table nor a typed
/// view has the 128-bit form.
pub fn fields(par: u128) -> Vec<Field> {
    let mut fields = Fields::of(par, "Arm ARM, PAR_EL1");
    let wide = par >> 64 & 1 == 1;
    if wide {
        if par & 1 == 0 {
            fields.add((119, 76), "PA", "bits 55:12 of the output address");
        }
        fields.add((64, 64), "D128", "the 128-bit form");
    }
    if par & 1 == 0 {
        let attr = u8::try_from(fields.bits(63, 56)).unwrap_or(0);
        fields.add((63, 56), "ATTR", attribute::text(attr));
        if !wide {
            fields.add((51, 12), "PA", "bits 51:12 of the output address");
        }
        fields.flag(11, "NSE", "RES1 without FEAT_RME", "with NS, the output's space");
        fields.add((10, 10), "IMPDEF", "");
        fields.flag(
            9,
            "NS",
            "the output is Non-secure, or there is one space",
            "the output is Secure, or UNKNOWN",
        );
        let sh = u8::try_from(fields.bits(8, 7)).unwrap_or(0);
        fields.add((8, 7), "SH", attribute::shareability(sh));
        fields.add((0, 0), "F", "the translation succeeded");
        return fields.list;
    }
    fields.flag(15, "DirtyBit", "the location is clean", "");
    fields.flag(14, "Overlay", "the overlay does not permit it", "");
    fields.flag(13, "TopLevel", "the first table is not marked as one", "");
    fields.flag(12, "AssuredOnly", "stage 1 was not assured", "");
    fields.flag(11, "RES1", "", "should be 1");
    fields.flag(9, "S", "stage 2 found the fault", "stage 1 found the fault");
    fields.flag(8, "PTW", "on the address of a stage 1 descriptor", "");
    fields.add((6, 1), "FST", code_text(u8::try_from(fields.bits(6, 1)).unwrap_or(0)));
    fields.add((0, 0), "F", "the translation failed");
    fields.list
}

/// Explains a value.
pub fn answer(par: u128) -> Answer {
    let fields = fields(par);
    let mut text = String::new();
    let wide = par >> 64 & 1 == 1;
    let digits = if wide { 34 } else { 18 };
    let _ = writeln!(text, "PAR_EL1 = {par:#0digits$x}");
    text.push_str(&table(&fields, 2));
    let all = Fields::of(par, "");
    let output = match (par & 1, wide) {
        (0, false) => Some(all.bits(51, 12) << 12),
        (0, true) => Some(all.bits(119, 76) << 12),
        _ => None,
    };
    if let Some(output) = output {
        line(&mut text, "output page", hex(output));
    }
    let json = json!({
        "par": hex(par),
        "failed": par & 1 == 1,
        "output": output.map(hex),
        "fields": to_json(&fields),
    });
    Answer { text, json, unfinished: None }
}
