//! Exact pictures of representative screens, and the layout rules that every screen keeps.
//!
//! One thread and one screen: Slint binds to the thread. `TOLEM_BLESS=1` writes the pictures instead of comparing;
//! `TOLEM_GALLERY=directory` writes every sample in every language and mode, to be looked at.

mod samples;

use std::path::{Path, PathBuf};
use tolem_core::view::ViewModel;
use tolem_protocol::catalogue::Language;
use tolem_ui::{Element, Format, Role, Screen};

const KAZAKH: [&str; 10] = [
    "attract",
    "catalogue",
    "search",
    "iin-error",
    "quote",
    "honest",
    "inserting",
    "working",
    "code",
    "claim",
];
const OTHERS: [&str; 2] = ["attract", "inserting"];
// Contrast changes colours and borders, no places.
const LAYOUTS: [u8; 4] = [0, 1, 4, 5];
const LANDSCAPE: [&str; 3] = ["catalogue", "inserting", "code"];

#[test]
fn screens_look_as_blessed_and_keep_the_layout_rules() {
    let mut screen = Screen::headless(Format::Portrait).expect("the first screen of this process");
    let mut wrong = Vec::new();
    if let Some(directory) = std::env::var_os("TOLEM_GALLERY") {
        write_gallery(&mut screen, Path::new(&directory));
    }
    for format in [Format::Portrait, Format::Landscape] {
        screen.set_format(format);
        for language in Language::ALL {
            for view in samples::all(language) {
                for mode in LAYOUTS {
                    let view = with_mode(&view, mode);
                    screen.show(&view);
                    screen.render();
                    let name = format!(
                        "{}/{}.{}{}",
                        tag(format),
                        view.screen,
                        samples::tag(language),
                        mode_tag(mode)
                    );
                    wrong.extend(
                        layout_faults(&screen, &view, format)
                            .into_iter()
                            .map(|fault| format!("{name}: {fault}")),
                    );
                }
            }
        }
    }
    let (portrait, landscape) = (Format::Portrait, Format::Landscape);
    for (format, language, names) in [
        (portrait, Language::Kazakh, &KAZAKH[..]),
        (portrait, Language::Russian, &OTHERS),
        (portrait, Language::English, &OTHERS),
        (landscape, Language::Kazakh, &LANDSCAPE),
    ] {
        screen.set_format(format);
        for name in names {
            wrong.extend(differs(&mut screen, format, &samples::one(language, name)));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with the screen that is shown, in words.
fn layout_faults(screen: &Screen, view: &ViewModel, format: Format) -> Vec<String> {
    let elements = screen.elements();
    let mut faults = Vec::new();
    let touchable: Vec<&Element> = elements
        .iter()
        .filter(|e| matches!(e.role, Role::Button) || e.label == hint(view))
        .filter(|e| !e.inside)
        .collect();
    if touchable.len() < 3 {
        faults.push(format!("only {} things can be touched; the languages alone are 3", touchable.len()));
    }
    let (width, height) = format.size();
    for element in &elements {
        let Element { label, x, y, .. } = element;
        if !element.fits || (!element.whole && !element.scrolls) {
            faults.push(format!("{label:?} at {x},{y} is cut"));
        }
        if x + element.width > width as f32 + 0.5 || y + element.height > height as f32 + 0.5 {
            faults.push(format!("{label:?} leaves the screen"));
        }
    }
    let mut button: Option<&Element> = None;
    for element in &elements {
        if let (true, Some(outer)) = (element.inside, button) {
            let inner =
                element.y >= outer.y + 2.0 && element.y + element.height <= outer.y + outer.height - 2.0;
            if !inner && outer.whole {
                faults.push(format!("{:?} stands on the edge of {:?}", element.label, outer.label));
            }
        } else {
            button = matches!(element.role, Role::Button).then_some(element);
        }
    }
    let (target, gap) = (format.target() as f32, format.gap() as f32);
    for (place, a) in touchable.iter().enumerate() {
        if !a.scrolls && (a.width < target || a.height < target) {
            faults.push(format!("{:?} is {} x {}, less than 20 mm", a.label, a.width, a.height));
        }
        for b in &touchable[place + 1..] {
            let across = (b.x - (a.x + a.width)).max(a.x - (b.x + b.width));
            let down = (b.y - (a.y + a.height)).max(a.y - (b.y + b.height));
            // An arrow key has a twin 6 mm away; half a pixel is rounding.
            if across.max(down) < gap - 0.5 {
                faults.push(format!(
                    "{:?} and {:?} are {} px apart, less than 6 mm",
                    a.label,
                    b.label,
                    across.max(down)
                ));
            }
        }
        if view.comfort.low_reach && format == Format::Portrait && a.y < 700.0 {
            faults.push(format!("{:?} at {} is above 1.2 m in low reach", a.label, a.y));
        }
    }
    let texts: Vec<&Element> =
        elements.iter().filter(|e| e.role == Role::Text && e.value.is_empty() && e.whole).collect();
    for (place, a) in texts.iter().enumerate() {
        for b in &texts[place + 1..] {
            let across = (b.x - (a.x + a.width)).max(a.x - (b.x + b.width));
            let down = (b.y - (a.y + a.height)).max(a.y - (b.y + b.height));
            // Digits have no descenders: two lines of them may share the leading.
            let digits = [a, b].iter().all(|e| e.label.chars().all(|c| c.is_ascii_digit()));
            if across.max(down) < -1.0 && !digits {
                faults.push(format!("{:?} and {:?} overlap", a.label, b.label));
            }
        }
    }
    faults
}

fn hint(view: &ViewModel) -> &str {
    match &view.body {
        tolem_core::view::Body::Catalogue { query_hint, .. } => query_hint,
        _ => "no such label",
    }
}

fn with_mode(view: &ViewModel, mode: u8) -> ViewModel {
    let mut view = view.clone();
    view.comfort.large_text = mode & 1 != 0;
    view.comfort.high_contrast = mode & 2 != 0;
    view.comfort.low_reach = mode & 4 != 0;
    view
}

fn mode_tag(mode: u8) -> String {
    [(1, ".large"), (2, ".contrast"), (4, ".low")]
        .iter()
        .filter(|(bit, _)| mode & bit != 0)
        .map(|(_, tag)| *tag)
        .collect()
}

fn tag(format: Format) -> &'static str {
    match format {
        Format::Portrait => "portrait",
        Format::Landscape => "landscape",
    }
}

fn differs(screen: &mut Screen, format: Format, view: &ViewModel) -> Option<String> {
    screen.show(view);
    screen.render();
    let path = golden(format, view);
    if std::env::var_os("TOLEM_BLESS").is_some() {
        write_png(&path, screen);
        return None;
    }
    let name = path.display().to_string();
    let Ok(file) = std::fs::File::open(&path) else {
        return Some(format!("{name} is missing; TOLEM_BLESS=1 writes it"));
    };
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG of ours");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size that fits")];
    reader.next_frame(&mut pixels).expect("a whole PNG");
    let different = pixels.chunks(3).zip(screen.pixels().chunks(3)).filter(|(a, b)| a != b).count();
    if pixels.len() == screen.pixels().len() && different == 0 {
        return None;
    }
    let seen = std::env::temp_dir().join(format!("tolem-{}-{}.png", tag(format), view.screen));
    write_png(&seen, screen);
    Some(format!("{name}: {different} pixels differ, see {}; TOLEM_BLESS=1 accepts them", seen.display()))
}

fn golden(format: Format, view: &ViewModel) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(tag(format)).join(format!(
        "{}.{}.png",
        view.screen,
        samples::tag(view.language)
    ))
}

fn write_png(path: &Path, screen: &Screen) {
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a writable directory");
    let (width, height) = screen.size();
    let file = std::fs::File::create(path).expect("a writable file");
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().expect("a header").write_image_data(screen.pixels()).expect("a picture");
}

fn write_gallery(screen: &mut Screen, directory: &Path) {
    let only = std::env::var("TOLEM_ONLY").unwrap_or_default();
    for format in [Format::Portrait, Format::Landscape] {
        screen.set_format(format);
        for language in Language::ALL {
            for view in samples::all(language).into_iter().chain([samples::still_here(language)]) {
                for mode in [0, 1, 2, 4, 7] {
                    let name = format!(
                        "{}-{}.{}{}.png",
                        tag(format),
                        view.screen,
                        samples::tag(language),
                        mode_tag(mode)
                    );
                    if name.contains(&only) {
                        screen.show(&with_mode(&view, mode));
                        screen.render();
                        write_png(&directory.join(name), screen);
                    }
                }
            }
        }
    }
}
