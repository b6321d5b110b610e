#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    lumos_fuzz::run_file(lumos_fuzzing::storage::Target::File, input);
});
