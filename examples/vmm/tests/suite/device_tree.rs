//! The device tree, read as the Devicetree Specification (0.4, chapter 5) says, without the crate that wrote it.

use crate::guest::Program;
use crate::session::{TemporaryFile, run};
use std::collections::BTreeMap;
use std::process::Command;

#[derive(Debug, Default)]
struct Node {
    properties: BTreeMap<String, Vec<u8>>,
    children: BTreeMap<String, Node>,
}

impl Node {
    #[track_caller]
    fn at(&self, path: &str) -> &Self {
        path.split('/').filter(|name| !name.is_empty()).fold(self, |node, name| {
            node.children
                .get(name)
                .unwrap_or_else(|| panic!("{path}: no {name} in {:?}", node.children.keys()))
        })
    }

    #[track_caller]
    fn bytes(&self, name: &str) -> &[u8] {
        self.properties.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.properties.keys()))
    }

    #[track_caller]
    fn cells(&self, name: &str) -> Vec<u32> {
        let bytes = self.bytes(name);
        assert_eq!(bytes.len() % 4, 0, "{name}");
        bytes.chunks(4).map(|cell| u32::from_be_bytes(cell.try_into().unwrap())).collect()
    }

    #[track_caller]
    fn strings(&self, name: &str) -> Vec<&str> {
        let bytes = self.bytes(name).strip_suffix(b"\0").expect("a string ends with a zero");
        bytes.split(|byte| *byte == 0).map(|text| std::str::from_utf8(text).unwrap()).collect()
    }
}

/// Reads a flattened tree, checking its structure as it goes.
fn parse(bytes: &[u8]) -> Node {
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let [magic, total, structs, strings, reserved, version, compatible, boot_cpu, string_bytes, struct_bytes] =
        std::array::from_fn(|index| word(index * 4));
    assert_eq!((magic, version, compatible, boot_cpu), (0xd00d_feed, 17, 16, 0));
    assert_eq!(total, bytes.len());
    assert_eq!((structs % 4, reserved % 8), (0, 0), "alignment");
    assert!(structs + struct_bytes <= total && strings + string_bytes <= total);
    // The reservation block ends with an entry of zeros, before the structure.
    let end = (reserved..structs).step_by(16).find(|at| bytes[*at..at + 16] == [0; 16]);
    assert!(end.is_some(), "no end of reservations");
    let text = |from: usize| {
        let length = bytes[from..].iter().position(|byte| *byte == 0).expect("a string ends");
        String::from_utf8(bytes[from..from + length].to_vec()).unwrap()
    };
    let (mut at, mut open) = (structs, vec![(String::new(), Node::default())]);
    let root = loop {
        let token = word(at);
        at += 4;
        match token {
            // FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END.
            1 => {
                let name = text(at);
                at = (at + name.len() + 1).next_multiple_of(4);
                open.push((name, Node::default()));
            }
            2 => {
                let (name, node) = open.pop().unwrap();
                let parent = &mut open.last_mut().expect("an end without a beginning").1;
                assert!(parent.children.insert(name.clone(), node).is_none(), "{name} twice");
            }
            3 => {
                let (length, name) = (word(at), word(at + 4));
                assert!(name < string_bytes, "name outside the strings");
                let (name, value) = (text(strings + name), bytes[at + 8..at + 8 + length].to_vec());
                let node = &mut open.last_mut().unwrap().1;
                assert!(node.children.is_empty(), "{name}: properties come before nodes");
                assert!(node.properties.insert(name.clone(), value).is_none(), "{name} twice");
                at = (at + 8 + length).next_multiple_of(4);
            }
            4 => {}
            9 => break open.pop().unwrap().1,
            token => panic!("token {token:#x}"),
        }
    };
    assert!(open.is_empty(), "nodes stay open");
    assert_eq!(at, structs + struct_bytes);
    let mut roots = root.children.into_iter();
    let (name, node) = roots.next().expect("a root");
    assert!(name.is_empty() && roots.next().is_none());
    node
}

fn dump(arguments: &[&str]) -> (TemporaryFile, Node) {
    let mut guest = Program::new();
    guest.power_off();
    let (kernel, tree) = (TemporaryFile::new(&guest.image()), TemporaryFile::new(b""));
    let all = [&["--kernel", kernel.name(), "--dump-dtb", tree.name()], arguments].concat();
    let finished = run(&all);
    finished.expect_code(0);
    assert_eq!((finished.out.as_str(), finished.err.as_str()), ("", ""));
    let node = parse(&std::fs::read(tree.name()).unwrap());
    (tree, node)
}

/// Kinds and triggers of the GICv3 binding: SPI 0, PPI 1, level high 4.
#[test]
fn the_tree_describes_the_machine() {
    let (_, tree) = dump(&["--memory", "256", "--cmdline", "console=ttyAMA0 quiet"]);
    assert_eq!(tree.strings("compatible"), ["linux,dummy-virt"]);
    assert_eq!((tree.cells("#address-cells"), tree.cells("#size-cells")), (vec![2], vec![2]));

    let memory = tree.at("memory@40000000");
    assert_eq!(memory.strings("device_type"), ["memory"]);
    assert_eq!(memory.cells("reg"), [0, 0x4000_0000, 0, 0x1000_0000]);

    let psci = tree.at("psci");
    assert_eq!(psci.strings("compatible"), ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"]);
    assert_eq!(psci.strings("method"), ["hvc"]);

    let timer = tree.at("timer");
    assert_eq!(timer.strings("compatible"), ["arm,armv8-timer"]);
    // Secure physical 29, physical 30, virtual 27, hypervisor 26, as PPI numbers.
    assert_eq!(timer.cells("interrupts"), [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]);

    let gic = tree.at("intc@8000000");
    assert_eq!(gic.strings("compatible"), ["arm,gic-v3"]);
    assert_eq!(gic.cells("#interrupt-cells"), [3]);
    assert_eq!(gic.bytes("interrupt-controller"), [0; 0]);
    assert_eq!(gic.cells("reg"), [0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0xf6_0000]);
    assert_eq!(tree.cells("interrupt-parent"), gic.cells("phandle"));

    let clock = tree.at("apb-pclk");
    assert_eq!(clock.strings("compatible"), ["fixed-clock"]);
    assert_eq!(clock.cells("clock-frequency"), [24_000_000]);
    for (path, compatible, base, spi, clocks) in [
        ("pl011@9000000", ["arm,pl011", "arm,primecell"], 0x0900_0000, 1, 2),
        ("pl031@9010000", ["arm,pl031", "arm,primecell"], 0x0901_0000, 2, 1),
    ] {
        let device = tree.at(path);
        assert_eq!(device.strings("compatible"), compatible);
        assert_eq!(device.cells("reg"), [0, base, 0, 0x1000]);
        assert_eq!(device.cells("interrupts"), [0, spi, 4]);
        assert_eq!(device.cells("clocks"), vec![clock.cells("phandle")[0]; clocks]);
        assert_eq!(device.strings("clock-names").len(), clocks);
    }

    let chosen = tree.at("chosen");
    assert_eq!(chosen.strings("bootargs"), ["console=ttyAMA0 quiet"]);
    assert_eq!(chosen.strings("stdout-path"), ["/pl011@9000000"]);
    assert!(!chosen.properties.contains_key("linux,initrd-start"));
}

#[test]
fn every_cpu_has_a_node_with_its_affinity() {
    for cpus in 1..=8 {
        let (_, tree) = dump(&["--cpus", &cpus.to_string()]);
        let node = tree.at("cpus");
        let address_cells = node.cells("#address-cells");
        assert_eq!(node.cells("#size-cells"), [0]);
        assert_eq!(node.children.len(), cpus);
        for cpu in 0..cpus {
            let node = node.at(&format!("cpu@{cpu:x}"));
            assert_eq!(node.strings("device_type"), ["cpu"]);
            assert_eq!(node.strings("compatible"), ["arm,armv8"]);
            assert_eq!(node.strings("enable-method"), ["psci"]);
            let reg = node.cells("reg");
            assert_eq!((reg.len(), reg.last().copied()), (address_cells[0] as usize, Some(cpu as u32)));
        }
    }
}

#[test]
fn the_ram_disk_is_where_the_tree_says() {
    let disk = TemporaryFile::new(&[0x5a; 12_345]);
    let (_, tree) = dump(&["--memory", "64", "--initrd", disk.name()]);
    let chosen = tree.at("chosen");
    let address = |name| match chosen.cells(name)[..] {
        [high, low] => u64::from(high) << 32 | u64::from(low),
        _ => panic!("{name} is not of two cells"),
    };
    let (start, end) = (address("linux,initrd-start"), address("linux,initrd-end"));
    assert_eq!(end - start, 12_345);
    assert!(start > 0x4000_0000 && end < 0x4400_0000);
}

/// The reference compiler finds nothing to complain about, where it is installed.
#[test]
fn the_reference_compiler_takes_the_tree() {
    let disk = TemporaryFile::new(&[0; 64]);
    for arguments in [&["--cpus", "8", "--initrd", disk.name()][..], &["--cpus", "1"]] {
        let (file, _) = dump(arguments);
        let dtc =
            Command::new("dtc").args(["-I", "dtb", "-O", "dts", "-o", "/dev/null", file.name()]).output();
        let Ok(dtc) = dtc else {
            println!("skipped: no dtc (Debian: device-tree-compiler)");
            return;
        };
        assert!(dtc.status.success());
        assert_eq!(String::from_utf8_lossy(&dtc.stderr), "");
    }
}
