#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    if xarch_fuzz::at::fuzz(input) { Corpus::Keep } else { Corpus::Reject }
});
