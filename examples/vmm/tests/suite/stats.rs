//! `--stats` against guests whose numbers are known.

use crate::guest::{Program, a64::*};
use crate::session::boot;
use std::collections::BTreeMap;

/// The rows of the report by name; numbers as they are printed.
struct Report(BTreeMap<String, f64>);

impl Report {
    fn of(image: &[u8], arguments: &[&str]) -> Self {
        let finished = boot(image, &[&["--stats"], arguments].concat());
        let rows = finished.err.lines().filter_map(|line| line.strip_prefix("  "));
        let rows = rows.map(|row| {
            let (name, number) = row.trim_end().rsplit_once(' ').expect("a name and a number");
            let number = number.trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{row}: no number"));
            (name.trim().to_string(), number)
        });
        Self(rows.collect())
    }

    /// The row whose name begins with this, 0 if there is none.
    fn of_row(&self, name: &str) -> f64 {
        self.0.iter().find(|(row, _)| row.starts_with(name)).map_or(0.0, |(_, number)| *number)
    }

    #[track_caller]
    fn expect(&self, name: &str, number: f64) {
        assert_eq!(self.of_row(name), number, "{name} in {:#?}", self.0);
    }

    /// What holds for every run.
    #[track_caller]
    fn check_sums(&self) {
        let sum =
            |part: &str| self.0.iter().filter(|(row, _)| row.starts_with(part)).map(|(_, n)| n).sum::<f64>();
        assert_eq!(self.of_row("SAE entries"), sum("interception "), "{:#?}", self.0);
        // Code 2 is a fault that was made good, or an abort that came to the guest side.
        let aborts = self.of_row("exception class 0x20") + self.of_row("exception class 0x24");
        assert_eq!(
            self.of_row("interception 0x02") + self.of_row("interception 0x06"),
            aborts + self.of_row("memory faults resolved"),
            "{:#?}",
            self.0
        );
        let hit_rate = self.of_row("TLB hit rate");
        assert!((0.0..=100.0).contains(&hit_rate));
    }
}

#[test]
fn every_layer_has_its_rows() {
    let mut guest = Program::new();
    guest.mmu_on(None);
    guest.say("hello\n");
    guest.set(2, 0x4100_0000);
    guest.repeat(8, 1_000_000, |guest| guest.op(ldr(1, 2, 0)));
    guest.power_off();
    let report = Report::of(&guest.image(), &[]);
    for row in [
        "SAE entries",
        "interception 0x02",
        "interception 0x03",
        "exception class 0x16",
        "exception class 0x24",
        "DAT walks",
        "stage-1 walks",
        "TLB hit rate",
        "guest instructions",
        "MIPS",
    ] {
        assert!(report.of_row(row) > 0.0, "{row} in {:#?}", report.0);
    }
    report.check_sums();
}

#[test]
fn a_thousand_calls_are_a_thousand_calls() {
    let mut guest = Program::new();
    guest.repeat(8, 999, |guest| guest.ops(&[movz(0, 0x8400, 1), hvc(0)]));
    guest.power_off();
    let report = Report::of(&guest.image(), &[]);
    report.expect("exception class 0x16", 1000.0);
    report.expect("interception 0x03", 1000.0);
    report.expect("exception class 0x24", 0.0);
    report.check_sums();
}

#[test]
fn accesses_to_devices_and_registers_are_counted_once() {
    let mut guest = Program::new();
    guest.repeat(8, 250, |guest| guest.ops(&[ldr_w(1, 27, 0x18), str_w(1, 27, 0x24)]));
    // An identification register traps, SCTLR_EL1 does not.
    guest.repeat(8, 77, |guest| guest.ops(&[mrs(1, ID_AA64PFR0_EL1), mrs(1, SCTLR_EL1)]));
    guest.repeat(8, 5, |guest| guest.op(smc(1)));
    // Neither SVC nor UDF leave the guest; the kit tells of each in 72 characters.
    guest.op(svc(0));
    guest.power_off();
    let report = Report::of(&guest.image(), &[]);
    let line = "! 0000000000000004 0000000056000000 0000000040001000 0000000000000000\n".len();
    report.expect("exception class 0x24", 500.0 + line as f64);
    report.expect("exception class 0x18", 77.0);
    report.expect("exception class 0x17", 5.0);
    report.expect("exception class 0x15", 0.0);
    report.check_sums();
}

#[test]
fn instructions_and_accesses_are_counted() {
    let mut guest = Program::new();
    // With the MMU on: off, all memory is Device memory, which is looked up each time.
    guest.mmu_on(None);
    guest.set(2, 0x4100_0000);
    guest.repeat(8, 1_000_000, |guest| guest.ops(&[ldr(1, 2, 0), str(1, 2, 8)]));
    guest.power_off();
    let report = Report::of(&guest.image(), &[]);
    // Four a turn: load, store, subtract, branch; and the few around them.
    let instructions = report.of_row("guest instructions");
    assert!((4_000_000.0..4_000_100.0).contains(&instructions), "{instructions}");
    let accesses = report.of_row("memory accesses");
    assert!((2_000_000.0..2_000_100.0).contains(&accesses), "{accesses}");
    assert!(report.of_row("TLB misses") < 100.0);
    assert!(report.of_row("TLB hit rate") > 99.9);
    let walks = report.of_row("stage-1 walks");
    assert!((1.0..100.0).contains(&walks), "{walks}");
    report.check_sums();
}

/// Two threads count for themselves; the report has their sum.
#[test]
fn the_report_sums_over_cpus() {
    let mut guest = Program::new();
    guest.set(0, 0xc400_0003);
    guest.set(1, 1);
    guest.to("second", |o| adr(2, o));
    guest.op(hvc(0));
    guest.label("wait");
    guest.call(0xc400_0004, [1, 0, 0]);
    guest.op(cmp_i(0, 1));
    guest.to("wait", |o| b_cond(NE, o));
    guest.power_off();
    guest.label("second");
    guest.repeat(8, 100, |guest| guest.op(mrs(1, ID_AA64PFR0_EL1)));
    guest.call(0x8400_0002, [0; 3]);
    guest.hang();
    let report = Report::of(&guest.image(), &["--cpus", "2"]);
    report.expect("exception class 0x18", 100.0);
    assert!(report.of_row("exception class 0x16") >= 4.0);
    report.check_sums();
}

#[test]
fn nothing_is_printed_unless_asked_for() {
    let mut guest = Program::new();
    guest.power_off();
    assert_eq!(boot(&guest.image(), &[]).err, "");
}
