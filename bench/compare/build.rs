//! Links the built `lib/liblumos_core.so` of this repository, and finds it again at run time.

use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lib");
    println!("cargo:rerun-if-env-changed=LUMOS_LIB_DIR");
    let directory = std::env::var_os("LUMOS_LIB_DIR").map_or(root, Into::into);
    let library = directory.join("liblumos_core.so");
    println!("cargo:rerun-if-changed={}", library.display());
    if !library.exists() {
        eprintln!("error: {} is missing: run `make` in the repository root first", library.display());
        std::process::exit(1);
    }
    let directory = directory.canonicalize().expect("a directory that holds a file exists");
    println!("cargo:rustc-link-search=native={}", directory.display());
    println!("cargo:rustc-link-lib=dylib=lumos_core");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", directory.display());
}
