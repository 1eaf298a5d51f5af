//! Instructions as text, against what LLVM prints.
//!
//! `cargo xtask oracle a64 --words 8000 --seed 64 --texts crates/arm-arch/tests/data/a64_text.tsv` wrote the sample, with
//! LLVM 22: no aliases, distances in place of addresses, lists of registers in place of ranges.
#![cfg(feature = "a64-text")]

use arm_arch::a64::decode::decode;

#[test]
fn texts_are_as_llvm_prints_them() {
    let mut compared = 0;
    for line in include_str!("data/a64_text.tsv").lines().skip(1) {
        let (word, want) = line.split_once('\t').unwrap();
        let instruction = decode(u32::from_str_radix(word, 16).unwrap()).unwrap();
        if instruction.has_syntax() {
            assert_eq!(instruction.to_string(), want, "{word}");
            compared += 1;
        }
    }
    assert!(compared > 6_000, "{compared} compared");
}

/// Words whose preferred form depends on the values of their operands, and the forms beside them.
#[test]
fn preferred_forms_are_those_of_the_manual() {
    const CASES: &[(u32, &str)] = &[
        (0x93407c41, "sxtw x1, w2"),                  // SBFM
        (0x93417c41, "sbfx x1, x2, #1, #31"),         // SBFM
        (0x9342fc41, "asr x1, x2, #2"),               // SBFM
        (0x93420041, "sbfiz x1, x2, #62, #1"),        // SBFM
        (0xd37ef441, "lsl x1, x2, #2"),               // UBFM
        (0x53001c41, "uxtb w1, w2"),                  // UBFM
        (0xd3401c41, "ubfx x1, x2, #0, #8"),          // UBFM: UXTB has no 64-bit form
        (0x331c0c41, "bfi w1, w2, #4, #4"),           // BFM
        (0x331c0fe1, "bfc w1, #4, #4"),               // BFM
        (0x33041c41, "bfxil w1, w2, #4, #4"),         // BFM
        (0xd2800001, "mov x1, #0"),                   // MOVZ
        (0xd2a00001, "movz x1, #0, lsl #16"),         // MOVZ: MOV of 0 is LSL #0
        (0x92800001, "mov x1, #-1"),                  // MOVN
        (0x12800001, "mov w1, #-1"),                  // MOVN
        (0x12bfffe1, "movn w1, #65535, lsl #16"),     // MOVN: MOVZ makes the same value
        (0xb200e3e1, "mov x1, #1229782938247303441"), // ORR
        (0xb24003e1, "orr x1, xzr, #0x1"),            // ORR: MOVZ makes the same value
        (0x8b2263e1, "add x1, sp, x2"),               // ADD (extended register)
        (0x8b226421, "add x1, x1, x2, uxtx #1"),      // ADD (extended register)
        (0x8b2267e1, "add x1, sp, x2, lsl #1"),       // ADD (extended register)
        (0xab22603f, "adds xzr, x1, x2, uxtx"),       // ADDS: 31 is ZR as Rd
        (0xd5384103, "mrs x3, SP_EL0"),               // MRS
        (0xd5330503, "mrs x3, DBGDTRRX_EL0"),         // MRS
        (0xd5130503, "msr DBGDTRTX_EL0, x3"),         // MSR: another register with the same encoding
        (0xd50b7a21, "dc cvac, x1"),                  // SYS
        (0xd508871f, "tlbi vmalle1"),                 // SYS
        (0xd503201f, "nop"),                          // HINT
        (0xd50344ff, "msr DAIFClr, #4"),              // MSR (immediate)
        (0x38626821, "ldrb w1, [x1, x2]"),            // LDRB (register): S is 0
        (0x38627821, "ldrb w1, [x1, x2, lsl #0]"),    // LDRB (register): S is 1
    ];
    for &(word, want) in CASES {
        assert_eq!(decode(word).unwrap().to_string(), want, "{word:#010x}");
    }
}

#[test]
fn an_instruction_without_syntax_lists_its_fields() {
    let instruction = decode(0x1e62_a820).unwrap(); // fmaxinm d0, d1, d2: newer than the tools
    assert!(!instruction.has_syntax());
    let text = instruction.to_string();
    assert!(text.contains("Rm=0x2") && text.contains("Rn=0x1") && text.contains("Rd=0x0"), "{text}");
}

/// Operands all clear, all set, and mixed, for every row of the table.
#[test]
fn nothing_of_a_template_is_left_in_a_text() {
    let (mut printed, mut without_syntax) = (0, std::collections::BTreeSet::new());
    for line in include_str!("../../../data/a64_insns.tsv").lines().skip(1) {
        let mut hex = line.split('\t').skip(2).map(|c| u32::from_str_radix(c.trim_start_matches("0x"), 16));
        let (Some(Ok(mask)), Some(Ok(value))) = (hex.next(), hex.next()) else { unreachable!("{line}") };
        for operands in [0, u32::MAX, 0x5555_5555, 0xaaaa_aaaa, 0x1248_4218, 0x00ff_3f07, 0x0036_d0a5] {
            // Reserved operands, and those that make it another row.
            let Some(instruction) = decode(operands & !mask | value) else { continue };
            if !instruction.has_syntax() {
                without_syntax.insert(instruction.name());
                continue;
            }
            let text = instruction.to_string();
            let braces = |c| text.matches(c).count();
            assert!(
                !text.is_empty() && !text.contains(['@', '%', '<', '>', '|', ':']) || text.contains("za"),
                "{text}"
            );
            assert_eq!(braces('{'), braces('}'), "{text}");
            assert!(!text.contains("{d") && !text.contains("{x") && !text.contains("{!"), "{text}");
            printed += 1;
        }
    }
    assert!(printed > 20_000, "{printed} printed");
    assert_eq!(without_syntax.len(), 75, "{without_syntax:?}");
}
