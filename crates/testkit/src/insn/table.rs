//! The table of A64 encodings, `data/a64_insns.tsv`.

use std::sync::OnceLock;

/// A named range of bits of an instruction word.
#[derive(Clone, Debug)]
pub struct Field {
    /// As the manual names it.
    pub name: String,
    /// Highest bit.
    pub high: u32,
    /// Lowest bit.
    pub low: u32,
}

impl Field {
    /// Returns the field's value in `word`.
    #[must_use]
    pub fn of(&self, word: u32) -> u32 {
        (word >> self.low) & (u32::MAX >> (31 - (self.high - self.low)))
    }
}

/// One instruction variant.
#[derive(Clone, Debug)]
pub struct Row {
    /// Path in the decode tree, as `ldst/ldst_pos`.
    pub group: String,
    /// Variant, as `LDR_64_ldst_pos`.
    pub name: String,
    /// Bits that select the variant.
    pub mask: u32,
    /// Their values.
    pub value: u32,
    /// Bits that should have their value; otherwise CONSTRAINED UNPREDICTABLE.
    pub should_be: u32,
    /// The operands, most significant first.
    pub fields: Vec<Field>,
}

impl Row {
    /// Returns whether the word is of this pattern.
    #[must_use]
    pub fn matches(&self, word: u32) -> bool {
        word & self.mask == self.value
    }

    /// Returns the part of the name before the first underscore.
    #[must_use]
    pub fn mnemonic(&self) -> &str {
        self.name.split('_').next().unwrap_or(&self.name)
    }

    /// Returns the last part of the group.
    #[must_use]
    pub fn class(&self) -> &str {
        self.group.rsplit('/').next().unwrap_or(&self.group)
    }
}

/// What a word is.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// This variant.
    Row(&'a Row),
    /// This variant with should-be bits that are not as they should be: CONSTRAINED UNPREDICTABLE.
    ShouldBe(&'a Row),
    /// Unallocated.
    Nothing,
}

/// All variants, with an index by bits \[28:25\].
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
    /// Row numbers by op0, most mask bits first.
    by_op0: Vec<Vec<usize>>,
}

impl Table {
    /// Returns the table of the project.
    pub fn shared() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(include_str!("../../../../data/a64_insns.tsv")))
    }

    /// Reads the text of the table.
    ///
    /// # Panics
    ///
    /// On a line that is not of the documented form.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let rows: Vec<Row> = text.lines().skip(1).map(row).collect();
        let mut by_op0 = vec![Vec::new(); 16];
        for (op0, list) in by_op0.iter_mut().enumerate() {
            let bits = (op0 as u32) << 25;
            list.extend((0..rows.len()).filter(|&i| (rows[i].value ^ bits) & rows[i].mask & (15 << 25) == 0));
            list.sort_by_key(|&i| std::cmp::Reverse(rows[i].mask.count_ones()));
        }
        Self { rows, by_op0 }
    }

    /// Returns the variants in the table's order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the variant a word is of: of several matches the one with the most mask bits.
    #[must_use]
    pub fn decode(&self, word: u32) -> Option<&Row> {
        self.candidates(word).find(|row| row.matches(word))
    }

    /// Returns the variant a word is of, or would be but for its should-be bits.
    #[must_use]
    pub fn decode_strictly(&self, word: u32) -> Decoded<'_> {
        let exact = self.decode(word);
        let fixed = |row: &Row| row.mask & !row.should_be;
        let near =
            self.candidates(word).find(|row| (word ^ row.value) & fixed(row) == 0 && !row.matches(word));
        match (exact, near) {
            (Some(exact), Some(near)) if fixed(near).count_ones() <= exact.mask.count_ones() => {
                Decoded::Row(exact)
            }
            (_, Some(near)) => Decoded::ShouldBe(near),
            (Some(exact), None) => Decoded::Row(exact),
            (None, None) => Decoded::Nothing,
        }
    }

    fn candidates(&self, word: u32) -> impl Iterator<Item = &Row> {
        self.by_op0[(word >> 25 & 15) as usize].iter().map(|&index| &self.rows[index])
    }
}

fn row(line: &str) -> Row {
    let columns: Vec<&str> = line.split('\t').collect();
    let hex = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    Row {
        group: columns[0].into(),
        name: columns[1].into(),
        mask: hex(columns[2]),
        value: hex(columns[3]),
        should_be: hex(columns[4]),
        fields: columns[5].split(',').filter(|f| !f.is_empty()).map(field).collect(),
    }
}

fn field(text: &str) -> Field {
    let (name, range) = text.split_once('[').unwrap();
    let range = range.trim_end_matches(']');
    let (high, low) = range.split_once(':').unwrap_or((range, range));
    Field { name: name.into(), high: high.parse().unwrap(), low: low.parse().unwrap() }
}

#[cfg(test)]
mod tests {
    use super::{Decoded, Table};

    /// Words as GNU as assembles them.
    #[test]
    fn words_decode_to_the_variant_the_assembler_meant() {
        const CASES: &[(u32, &str)] = &[
            (0x8B02_0020, "ADD_64_addsub_shift"),  // add x0, x1, x2
            (0xEB02_003F, "SUBS_64_addsub_shift"), // cmp x1, x2
            (0xF940_0060, "LDR_64_ldst_pos"),      // ldr x0, [x3]
            (0xD503_201F, "NOP_HI_hints"),         // nop
            (0xD503_243F, "HINT_HM_hints"),        // hint 33
            (0xD500_401F, "CFINV_M_pstate"),       // cfinv
            (0x4EA1_1C20, "ORR_asimdsame_only"),   // mov v0.16b, v1.16b
            (0xC8DF_FC20, "LDAR_LR64_ldstord"),    // ldar x0, [x1]
            (0x0000_0000, "UDF_only_perm_undef"),  // udf #0
        ];
        for &(word, name) in CASES {
            assert_eq!(Table::shared().decode(word).map(|row| row.name.as_str()), Some(name), "{word:#010x}");
        }
    }

    #[test]
    fn should_be_bits_that_are_not_are_unpredictable() {
        let table = Table::shared();
        assert!(matches!(table.decode_strictly(0x885f_7c20), Decoded::Row(_)), "ldxr w0, [x1]");
        assert!(
            matches!(table.decode_strictly(0x885e_7c20), Decoded::ShouldBe(_)),
            "its Rs field not all ones"
        );
        assert!(matches!(table.decode_strictly(0xd500_411f), Decoded::ShouldBe(_)), "cfinv, CRm not 0");
        assert!(matches!(table.decode_strictly(0xd500_40bf), Decoded::Row(_)), "msr spsel, #0");
        assert!(matches!(table.decode_strictly(0x8bec_6ea7), Decoded::Nothing), "add with shift 3");
    }

    #[test]
    fn every_row_decodes_to_itself() {
        for row in Table::shared().rows() {
            let got = Table::shared().decode(row.value).unwrap();
            assert!(got.mask.count_ones() >= row.mask.count_ones(), "{} is hidden by {}", row.name, got.name);
            assert_eq!(row.value & !row.mask, 0, "{}", row.name);
        }
    }
}
