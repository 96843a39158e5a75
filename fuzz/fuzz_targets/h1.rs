#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_fuzz::h1(data));
