//! The screen needs no font of the system: a device without any draws the same pixels.
//!
//! The test starts itself again with a `libfontconfig` that cannot be loaded, which is what a device without one is like, and
//! compares with the pictures that were blessed where fonts are installed.

mod samples;

use std::path::Path;
use std::process::Command;
use tolem_protocol::catalogue::Language;
use tolem_ui::{Format, Screen};

const CHILD: &str = "TOLEM_FONTS_CHILD";

#[test]
fn the_same_pixels_without_fonts_of_the_system() {
    if std::env::var_os(CHILD).is_some() {
        return draw_and_compare();
    }
    let broken = std::env::temp_dir().join(format!("tolem-no-fontconfig-{}", std::process::id()));
    std::fs::create_dir_all(&broken).expect("a writable temporary directory");
    for name in ["libfontconfig.so.1", "libfontconfig.so"] {
        std::fs::write(broken.join(name), b"").expect("an empty library");
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_same_pixels_without_fonts_of_the_system", "--nocapture"])
        .env_clear()
        .env(CHILD, "1")
        .env("LD_LIBRARY_PATH", &broken)
        .output()
        .expect("this test starts again");
    std::fs::remove_dir_all(&broken).expect("the directory is ours");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn draw_and_compare() {
    let mut screen = Screen::headless(Format::Portrait).expect("the first screen of this process");
    for language in Language::ALL {
        let view = samples::one(language, "attract");
        screen.show(&view);
        screen.render();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/golden/portrait/attract.{}.png", samples::tag(language)));
        let file = std::io::BufReader::new(std::fs::File::open(&path).expect("the blessed picture"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG of ours");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size that fits")];
        reader.next_frame(&mut pixels).expect("a whole PNG");
        assert!(pixels == screen.pixels(), "{} differs without fonts of the system", path.display());
    }
}
