//! Watches the pages that `cargo xtask web` builds, so that they are embedded anew when they change. It builds none itself.

fn main() {
    let pages = "../../web/dist";
    // Cargo takes a path that is missing for one that changed, each time; so the folder is there, and empty at first.
    // Where it cannot be made, nothing can build pages into it either.
    let watched = match std::fs::create_dir_all(pages) {
        Ok(()) => pages,
        Err(_) => "build.rs",
    };
    println!("cargo::rerun-if-changed={watched}");
}
