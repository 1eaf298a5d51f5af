//! What a program without the standard library needs to link, and nothing calls.

/// Where a panic would go.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// What the unwind tables of a prebuilt `core` name. Nothing unwinds: panics abort.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
