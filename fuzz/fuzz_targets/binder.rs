#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    lumos_fuzz::run(lumos_fuzzing::body::Target::Binder, input);
});
