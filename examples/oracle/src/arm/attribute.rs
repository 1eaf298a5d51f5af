//! Memory attributes in words.

/// Says what a byte of MAIR or of PAR_EL1.ATTR is. Arm ARM, MAIR_EL1.
pub fn text(byte: u8) -> String {
    let device = ["nGnRnE", "nGnRE", "nGRE", "GRE"];
    match byte {
        0x40 => "Normal Non-cacheable, XS 0".into(),
        0xa0 => "Normal Write-Through, XS 0".into(),
        0xf0 => "Normal Write-Back, tagged".into(),
        0xe0 => "Normal Write-Back, tagged, no tag access".into(),
        _ if byte & 0xf2 == 0 => {
            let kind = device.get(usize::from(byte >> 2)).copied().unwrap_or_default();
            format!("Device-{kind}{}", if byte & 1 == 1 { ", XS 0" } else { "" })
        }
        _ if byte & 0xf0 == 0 || byte & 0xf == 0 => "UNPREDICTABLE".into(),
        _ if byte >> 4 == byte & 0xf => format!("Normal {}", cacheability(byte)),
        _ => format!("Normal, outer {}, inner {}", cacheability(byte >> 4), cacheability(byte)),
    }
}

fn cacheability(nibble: u8) -> String {
    let (name, transient) = match nibble & 0xf {
        4 => return "Non-cacheable".into(),
        0..=3 => ("Write-Through", " transient"),
        5..=7 => ("Write-Back", " transient"),
        8..=0xb => ("Write-Through", ""),
        _ => ("Write-Back", ""),
    };
    let hints = ["", " allocating writes", " allocating reads", " allocating"];
    let hint = hints.get(usize::from(nibble & 3)).copied().unwrap_or_default();
    format!("{name}{transient}{hint}")
}

/// Says what an SH field is.
pub fn shareability(sh: u8) -> &'static str {
    match sh & 3 {
        0 => "Non-shareable",
        1 => "reserved",
        2 => "Outer Shareable",
        _ => "Inner Shareable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_named_as_in_the_manual() {
        for (byte, want) in [
            (0x00, "Device-nGnRnE"),
            (0x04, "Device-nGnRE"),
            (0x0d, "Device-GRE, XS 0"),
            (0x44, "Normal Non-cacheable"),
            (0x40, "Normal Non-cacheable, XS 0"),
            (0xff, "Normal Write-Back allocating"),
            (0xbb, "Normal Write-Through allocating"),
            (0xf4, "Normal, outer Write-Back allocating, inner Non-cacheable"),
            (0x02, "UNPREDICTABLE"),
            (0x90, "UNPREDICTABLE"),
        ] {
            assert_eq!(text(byte), want, "{byte:#04x}");
        }
    }
}
