//! Says which `cfg`s exist: `xarch_static_library` is set where the static library is made, and only there.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(xarch_static_library)");
    println!("cargo::rerun-if-changed=build.rs");
}
