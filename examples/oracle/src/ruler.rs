//! An address with its parts drawn out.

/// A part of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its highest bit, counted from the right.
    pub high: u32,
    /// Its lowest bit, counted from the right.
    pub low: u32,
    /// What it is.
    pub label: String,
    /// More about it.
    pub note: String,
}

impl Part {
    /// Makes a part.
    pub fn new(high: u32, low: u32, label: impl Into<String>, note: impl Into<String>) -> Self {
        Self { high, low, label: label.into(), note: note.into() }
    }

    /// Returns its value in an address.
    pub fn of(&self, address: u64) -> u64 {
        let above = 63u32.saturating_sub(self.high);
        (address << above).checked_shr(above.saturating_add(self.low)).unwrap_or(0)
    }

    fn digits(&self, address: u64) -> String {
        let bits = self.high.saturating_sub(self.low).saturating_add(1);
        format!("{:0width$b}", self.of(address), width = usize::try_from(bits).unwrap_or(64))
    }
}

/// Draws an address: numbers of bits, digits, and what each part is. `left` numbers bits as z/Architecture does.
pub fn draw(address: u64, parts: &[Part], left: bool, indent: usize) -> String {
    let number = |bit: u32| if left { 63u32.saturating_sub(bit) } else { bit };
    let mut rows: [String; 4] = std::array::from_fn(|_| " ".repeat(indent));
    for (at, part) in parts.iter().enumerate() {
        let digits = part.digits(address);
        let ends = if part.high == part.low {
            (number(part.high).to_string(), String::new())
        } else {
            (number(part.high).to_string(), number(part.low).to_string())
        };
        let least = ends.0.len() + ends.1.len() + usize::from(!ends.1.is_empty());
        let widths = [digits.len(), least, part.label.chars().count(), part.note.chars().count()];
        let width = widths.into_iter().max().unwrap_or(0);
        let gap = width.saturating_sub(ends.0.len() + ends.1.len());
        let cells = [
            format!("{}{}{}", ends.0, " ".repeat(gap), ends.1),
            format!("{digits:^width$}"),
            format!("{:^width$}", part.label),
            format!("{:^width$}", part.note),
        ];
        let separators = if at == 0 { ["", "", "", ""] } else { [" | "; 4] };
        for ((row, cell), separator) in rows.iter_mut().zip(cells).zip(separators) {
            row.push_str(separator);
            row.push_str(&cell);
        }
    }
    rows.into_iter().map(|row| format!("{}\n", row.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_in_columns_under_the_numbers_of_their_bits() {
        let parts = [
            Part::new(63, 32, "range", ""),
            Part::new(31, 12, "L3", "entry 1"),
            Part::new(11, 0, "offset", "0x678"),
        ];
        let text = draw(0x1678, &parts, false, 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  63                            32 | 31                12 | 11         0");
        assert_eq!(lines[1], "  00000000000000000000000000000000 | 00000000000000000001 | 011001111000");
        assert_eq!(lines[3].trim(), "|       entry 1        |    0x678");
        assert!(draw(0, &[Part::new(63, 53, "RFX", "")], true, 0).starts_with("0        10"));
    }
}
