//! The device tree of the machine.

use crate::image::Placement;
use crate::layout::{GICD, GICR, RAM, RTC, RTC_INTID, UART, UART_INTID};
use vm_fdt::{Error, FdtWriter};

const PHANDLE_GIC: u32 = 1;
const PHANDLE_CLOCK: u32 = 2;

/// Interrupt kinds and triggers of the GICv3 binding.
const SPI: u32 = 0;
const PPI: u32 = 1;
const LEVEL_HIGH: u32 = 4;

/// Builds the tree for a machine whose CPUs have these MPIDR affinities, and `memory` bytes of RAM.
///
/// # Errors
/// If a string is not one that a device tree can hold (a zero byte in the command line).
pub fn build(cpus: &[u64], memory: u64, cmdline: &str, placement: &Placement) -> Result<Vec<u8>, Error> {
    let mut fdt = FdtWriter::new()?;
    let root = fdt.begin_node("")?;
    fdt.property_string("compatible", "linux,dummy-virt")?;
    fdt.property_string("model", "xarch")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_u32("interrupt-parent", PHANDLE_GIC)?;
    chosen(&mut fdt, cmdline, placement)?;

    let node = fdt.begin_node(&format!("memory@{RAM:x}"))?;
    fdt.property_string("device_type", "memory")?;
    fdt.property_array_u64("reg", &[RAM, memory])?;
    fdt.end_node(node)?;

    cpu_nodes(&mut fdt, cpus)?;

    let node = fdt.begin_node("psci")?;
    fdt.property_string_list("compatible", strings(&["arm,psci-1.0", "arm,psci-0.2", "arm,psci"]))?;
    fdt.property_string("method", "hvc")?;
    fdt.end_node(node)?;

    let node = fdt.begin_node("timer")?;
    fdt.property_string("compatible", "arm,armv8-timer")?;
    // Secure physical, non-secure physical, virtual, hypervisor: INTIDs 29, 30, 27, 26.
    let timers: Vec<u32> = [13, 14, 11, 10].into_iter().flat_map(|ppi| [PPI, ppi, LEVEL_HIGH]).collect();
    fdt.property_array_u32("interrupts", &timers)?;
    fdt.property_null("always-on")?;
    fdt.end_node(node)?;

    gic(&mut fdt)?;
    let node = fdt.begin_node("apb-pclk")?;
    fdt.property_string("compatible", "fixed-clock")?;
    fdt.property_u32("#clock-cells", 0)?;
    fdt.property_u32("clock-frequency", 24_000_000)?;
    fdt.property_string("clock-output-names", "clk24mhz")?;
    fdt.property_phandle(PHANDLE_CLOCK)?;
    fdt.end_node(node)?;
    primecell(&mut fdt, "pl011", UART, UART_INTID, &["uartclk", "apb_pclk"])?;
    primecell(&mut fdt, "pl031", RTC, RTC_INTID, &["apb_pclk"])?;
    fdt.end_node(root)?;
    fdt.finish()
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| String::from(*text)).collect()
}

/// CHOICE: no seeds, so that a machine starts the same way each time; a kernel says that it cannot place itself at random.
fn chosen(fdt: &mut FdtWriter, cmdline: &str, placement: &Placement) -> Result<(), Error> {
    let node = fdt.begin_node("chosen")?;
    fdt.property_string("bootargs", cmdline)?;
    fdt.property_string("stdout-path", &format!("/pl011@{:x}", UART.0))?;
    let (start, end) = placement.initrd;
    if end > start {
        fdt.property_u64("linux,initrd-start", start)?;
        fdt.property_u64("linux,initrd-end", end)?;
    }
    fdt.end_node(node)
}

fn cpu_nodes(fdt: &mut FdtWriter, cpus: &[u64]) -> Result<(), Error> {
    let node = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 0)?;
    for &reg in cpus {
        let cpu = fdt.begin_node(&format!("cpu@{reg:x}"))?;
        fdt.property_string("device_type", "cpu")?;
        fdt.property_string("compatible", "arm,armv8")?;
        fdt.property_string("enable-method", "psci")?;
        fdt.property_u64("reg", reg)?;
        fdt.end_node(cpu)?;
    }
    fdt.end_node(node)
}

fn gic(fdt: &mut FdtWriter) -> Result<(), Error> {
    let node = fdt.begin_node(&format!("intc@{:x}", GICD.0))?;
    fdt.property_string("compatible", "arm,gic-v3")?;
    fdt.property_u32("#interrupt-cells", 3)?;
    fdt.property_null("interrupt-controller")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_null("ranges")?;
    fdt.property_array_u64("reg", &[GICD.0, GICD.1, GICR.0, GICR.1])?;
    fdt.property_array_u32("interrupts", &[PPI, 9, LEVEL_HIGH])?;
    fdt.property_phandle(PHANDLE_GIC)?;
    fdt.end_node(node)
}

/// A device of Arm's PrimeCell family.
fn primecell(
    fdt: &mut FdtWriter,
    name: &str,
    (base, bytes): (u64, u64),
    intid: u32,
    clocks: &[&str],
) -> Result<(), Error> {
    let node = fdt.begin_node(&format!("{name}@{base:x}"))?;
    fdt.property_string_list("compatible", strings(&[&format!("arm,{name}"), "arm,primecell"]))?;
    fdt.property_array_u64("reg", &[base, bytes])?;
    fdt.property_array_u32("interrupts", &[SPI, intid.saturating_sub(32), LEVEL_HIGH])?;
    fdt.property_array_u32("clocks", &vec![PHANDLE_CLOCK; clocks.len()])?;
    fdt.property_string_list("clock-names", strings(clocks))?;
    fdt.end_node(node)
}
