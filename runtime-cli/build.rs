//! Tells the linker how the text of the release build is laid out.

fn main() {
    println!("cargo:rerun-if-changed=layout.ld");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/layout.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
