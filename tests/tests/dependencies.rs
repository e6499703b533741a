//! Who may know whom: the house plan of `docs/architecture.md`, section 2, checked against what cargo really resolves.
//!
//! A rule about dependencies that only stands in a document is broken within a month by somebody in a hurry. Nothing
//! here builds anything; cargo is asked offline, because whoever runs this test has just built the workspace.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};
use tolem_tests::files::{text_files, top};

/// The rooms and what each may use of the others. `tests` may use all.
const DIRECTIONS: [(&str, &[&str]); 12] = [
    ("tolem-probe", &[]),
    ("tolem-protocol", &[]),
    ("tolem-core", &["tolem-probe", "tolem-protocol"]),
    ("tolem-card-keys", &["tolem-protocol"]),
    ("tolem-hal-sim", &["tolem-core", "tolem-protocol", "tolem-card-keys"]),
    ("tolem-glass", &[]),
    ("tolem-ui", &["tolem-core", "tolem-protocol", "tolem-glass"]),
    ("tolem-center", &["tolem-probe", "tolem-protocol", "tolem-card-keys"]),
    // The simulator and its keys only in its own tests.
    ("tolem-pcsc", &["tolem-core", "tolem-protocol", "tolem-hal-sim", "tolem-card-keys"]),
    (
        "tolem-firmware",
        &["tolem-core", "tolem-protocol", "tolem-ui", "tolem-pcsc", "tolem-hal-sim", "tolem-center"],
    ),
    ("tolem-crash-vfs", &["tolem-hal-sim"]),
    ("tolem-world", &["tolem-probe", "tolem-core", "tolem-protocol", "tolem-hal-sim", "tolem-center"]),
];

/// What `firmware` may know only for the demo, and so only as an optional dependency.
const DEMO_ROOMS: [&str; 2] = ["tolem-hal-sim", "tolem-center"];

/// Slint is used under the GPL, so what links it is GPL; what others are invited to reuse is not.
const LICENCES: [(&str, &str); 13] = [
    ("tolem-pcsc", "MIT OR Apache-2.0"),
    ("tolem-probe", "MIT OR Apache-2.0"),
    ("tolem-protocol", "MIT OR Apache-2.0"),
    ("tolem-core", "MIT OR Apache-2.0"),
    ("tolem-hal-sim", "MIT OR Apache-2.0"),
    ("tolem-card-keys", "MIT OR Apache-2.0"),
    ("tolem-center", "MIT OR Apache-2.0"),
    ("tolem-ui", "GPL-3.0-only"),
    ("tolem-glass", "GPL-3.0-only"),
    ("tolem-firmware", "GPL-3.0-only"),
    ("tolem-tests", "GPL-3.0-only"),
    ("tolem-crash-vfs", "GPL-3.0-only"),
    ("tolem-world", "GPL-3.0-only"),
];

/// Licences under which a part may enter the binary; each dependency offers at least one. The same list is in `deny.toml`.
const ACCEPTED: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "0BSD",
    "CC0-1.0",
    "MPL-2.0",
    "GPL-3.0-only",
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo).args(arguments).arg("--offline").current_dir(top()).output();
    let output = output.unwrap_or_else(|e| panic!("cargo cannot be started: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed:\n{error}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("invariant: cargo writes UTF-8")
}

/// The members of the workspace as cargo describes them, by name.
fn rooms() -> BTreeMap<String, Value> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&text).expect("invariant: cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("invariant: metadata lists packages");
    packages.iter().map(|package| (string(&package["name"]), package.clone())).collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A dependency as written in a manifest.
struct Direct {
    name: String,
    optional: bool,
    for_tests: bool,
}

fn direct(room: &Value) -> Vec<Direct> {
    let list = room["dependencies"].as_array().expect("invariant: a package lists its dependencies");
    let read = |entry: &Value| Direct {
        name: string(&entry["name"]),
        optional: entry["optional"] == true,
        for_tests: entry["kind"] == "dev",
    };
    list.iter().map(read).collect()
}

/// Everything that is linked into a room or helps to build it, transitively, with features: `name -> features`.
fn tree(arguments: &[&str]) -> BTreeMap<String, String> {
    let fixed = ["tree", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}"];
    let text = cargo(&[&fixed[..], arguments].concat());
    let lines = text.lines().filter_map(|line| line.split_once('|'));
    lines.map(|(package, features)| (first_word(package), features.to_owned())).collect()
}

fn first_word(package: &str) -> String {
    package.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn rooms_know_each_other_in_one_direction_only() {
    let rooms = rooms();
    let known: BTreeSet<&str> = DIRECTIONS.iter().map(|(name, _)| *name).chain(["tolem-tests"]).collect();
    assert_eq!(rooms.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "the rooms of the house");
    for (name, allowed) in DIRECTIONS {
        for dependency in direct(&rooms[name]).iter().filter(|other| other.name.starts_with("tolem-")) {
            // A room may ask itself for more features in its own tests.
            let itself = dependency.for_tests && dependency.name == name;
            assert!(
                itself || allowed.contains(&&*dependency.name),
                "{name} must not know {}",
                dependency.name
            );
        }
    }
}

#[test]
fn core_and_center_never_see_each_other() {
    for (room, other) in [("tolem-center", "tolem-core"), ("tolem-core", "tolem-center")] {
        let tree = tree(&["-p", room, "--edges", "normal,build,dev"]);
        assert!(!tree.contains_key(other), "{room} reaches {other}");
    }
}

#[test]
fn the_demo_is_a_feature_and_on_by_default() {
    let firmware = &rooms()["tolem-firmware"];
    for room in DEMO_ROOMS {
        let found: Vec<_> =
            direct(firmware).into_iter().filter(|other| other.name == room && !other.for_tests).collect();
        assert!(!found.is_empty(), "the demo of firmware uses {room}");
        assert!(
            found.iter().all(|other| other.optional),
            "firmware knows {room} behind the feature `demo` only"
        );
    }
    let features = |name: &str| firmware["features"][name].to_string();
    assert!(features("default").contains("\"demo\""), "`demo` is on by default: {}", features("default"));
    for room in DEMO_ROOMS {
        assert!(features("demo").contains(room), "`demo` switches {room} on: {}", features("demo"));
    }
}

#[test]
fn the_image_has_no_simulator_no_center_no_bench_and_no_test_screen() {
    let image = tree(&[
        "-p",
        "tolem-firmware",
        "--no-default-features",
        "--features",
        "kms,gpio,pcsc",
        "--edges",
        "normal,build",
    ]);
    for absent in [
        "tolem-hal-sim",
        "tolem-center",
        "tolem-tests",
        "tolem-crash-vfs",
        "axum",
        "hyper",
        "i-slint-backend-testing",
    ] {
        assert!(!image.contains_key(absent), "the image links {absent}");
    }
    for cipher in ["tolem-card-keys", "des", "cmac"] {
        assert!(!image.contains_key(cipher), "the image with its reader reaches {cipher}");
    }
    assert!(image.contains_key("pcsc") && image.contains_key("tolem-pcsc"), "it reads cards on PC/SC");
    assert!(image.contains_key("tolem-ui") && image.contains_key("tolem-core"), "the image is a whole kiosk");
    assert!(
        !image["tolem-ui"].split(',').any(|feature| feature == "inspect"),
        "the image's screen cannot be inspected"
    );
    let demo = tree(&["-p", "tolem-firmware", "--edges", "normal,build"]);
    assert!(demo.contains_key("tolem-hal-sim"), "this test can tell the demo from the image");
}

#[test]
fn no_xml_and_no_foreign_tls_is_in_the_kiosk() {
    let image = tree(&["-p", "tolem-firmware", "--no-default-features", "--edges", "normal"]);
    let refused = ["xml", "openssl", "native-tls", "aws-lc", "reqwest"];
    let found: Vec<_> = image.keys().filter(|name| refused.iter().any(|part| name.contains(part))).collect();
    assert!(found.is_empty(), "in the kiosk's tree: {found:?}");
}

#[test]
fn no_key_of_the_card_world_is_in_the_kiosk() {
    // A PIN, a PIN key or an issuer's key needs one of these; PIN pad and card compute, the terminal carries.
    let ciphers = ["tolem-card-keys", "des", "cmac", "cbc"];
    let image = tree(&["-p", "tolem-firmware", "--no-default-features", "--edges", "normal,build"]);
    let core = tree(&["-p", "tolem-core", "--edges", "normal"]);
    for cipher in ciphers {
        assert!(!image.contains_key(cipher) && !core.contains_key(cipher), "the kiosk reaches {cipher}");
    }
    assert!(tree(&["-p", "tolem-card-keys", "--edges", "normal"]).contains_key("des"), "the search works");
}

#[test]
fn only_the_shell_knows_tokio_sqlite_and_keys() {
    for room in ["tolem-protocol", "tolem-core", "tolem-ui"] {
        let tree = tree(&["-p", room, "--edges", "normal"]);
        for shell in
            ["tokio", "rusqlite", "libsqlite3-sys", "ring", "ed25519-dalek", "rustls", "getrandom", "rand"]
        {
            assert!(!tree.contains_key(shell), "{room} reaches {shell}");
        }
    }
    // The simulator checks no signature and makes no key; the models stay pure.
    let simulator = tree(&["-p", "tolem-hal-sim", "--no-default-features", "--edges", "normal"]);
    for keys in ["ring", "ed25519-dalek"] {
        assert!(!simulator.contains_key(keys), "the simulator reaches {keys}");
    }
}

/// Planted faults (`probe`) are for the tests' own room. Neither a default nor any feature of another room brings them in.
#[test]
fn no_program_carries_bugs_on_purpose() {
    const SWITCH: &str = "planted-faults";
    for (name, room) in rooms() {
        let features = room["features"].as_object().expect("invariant: a package lists its features");
        let mentions = features
            .iter()
            .filter(|(feature, parts)| *feature == SWITCH || parts.to_string().contains(SWITCH));
        let named: Vec<&String> = mentions.map(|(feature, _)| feature).collect();
        if ["tolem-probe", "tolem-world"].contains(&name.as_str()) {
            assert_eq!(named, [SWITCH], "{name} has the switch and nothing else turns it");
        } else {
            assert!(named.is_empty(), "{name} can switch planted faults on: {named:?}");
        }
        let direct = room["dependencies"].to_string();
        assert!(!direct.contains(SWITCH), "{name} asks for planted faults");
    }
    for asked in [
        &["-p", "tolem-firmware", "--no-default-features"][..],
        &["-p", "tolem-firmware"],
        &["-p", "tolem-center"],
    ] {
        let tree = tree(&[asked, &["--edges", "normal,build"]].concat());
        assert_eq!(tree.get("tolem-probe").map(String::as_str), Some(""), "{asked:?} has empty seams");
    }
}

#[test]
fn only_the_screen_knows_slint() {
    for (name, room) in
        rooms().iter().filter(|(name, _)| !["tolem-ui", "tolem-glass"].contains(&name.as_str()))
    {
        let slint = direct(room).into_iter().find(|other| other.name.contains("slint"));
        assert!(slint.is_none(), "{name} depends on {}", slint.map(|other| other.name).unwrap_or_default());
    }
    for room in ["tolem-core", "tolem-center", "tolem-hal-sim"] {
        let tree = tree(&["-p", room, "--edges", "normal"]);
        assert!(!tree.keys().any(|name| name.contains("slint")), "{room} is free of Slint's licence");
    }
}

#[test]
fn the_protocol_needs_no_operating_system() {
    let source = std::fs::read_to_string(top().join("protocol/src/lib.rs")).unwrap();
    assert!(source.contains("#![no_std]"), "protocol/src/lib.rs declares no_std");
    // Macros run on the machine that builds; every crate that is linked must do without std.
    let text = cargo(&[
        "tree",
        "-p",
        "tolem-protocol",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
    ]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 10, "a tree was listed: {text}");
    for line in lines {
        let features = line.split('|').nth(1).unwrap_or_default();
        assert!(!features.split([',', ' ']).any(|feature| feature == "std"), "needs std: {line}");
    }
}

#[test]
fn the_rules_of_the_center_are_pure() {
    let files = text_files();
    let gateway = "center/src/gateway/rules.rs";
    let pure = |path: &str| path.starts_with("center/src/logic") || path == gateway;
    let logic: Vec<_> = files.iter().filter(|file| pure(&file.path) && file.is(".rs")).collect();
    assert!(logic.len() > 5 && logic.iter().any(|file| file.path == gateway), "the rules were found");
    for file in logic {
        for shell in
            ["tokio", "rusqlite", "Instant::now", "SystemTime::now", "std::fs", "std::net", "HashMap"]
        {
            assert!(!file.text.contains(shell), "{} uses {shell}", file.path);
        }
    }
}

#[test]
fn licences_are_what_the_readme_says() {
    let rooms = rooms();
    for (name, licence) in LICENCES {
        assert_eq!(string(&rooms[name]["license"]), licence, "licence of {name}");
        assert_eq!(rooms[name]["publish"], Value::Array(Vec::new()), "{name} is not for the registry");
    }
}

#[test]
fn each_dependency_offers_a_licence_that_is_accepted() {
    let edges = "normal,build,dev";
    let text = cargo(&["tree", "--workspace", "--edges", edges, "--prefix", "none", "--format", "{p}|{l}"]);
    let all: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('|')).collect();
    assert!(all.len() > 100, "a tree was listed");
    let refused: Vec<_> = all.iter().filter(|(_, licence)| !is_accepted(licence)).collect();
    assert!(refused.is_empty(), "licences to look at: {refused:#?}");
}

/// SPDX expressions as they occur: `AND` of alternatives, old ones with `/` for `OR`.
fn is_accepted(licence: &str) -> bool {
    let licence = licence.trim_end_matches(" (*)").replace(" / ", " OR ").replace('/', " OR ");
    licence.split(" AND ").all(|part| {
        let mut choices =
            part.trim_matches(['(', ')']).split(" OR ").map(|choice| choice.trim_matches(['(', ')']));
        choices.any(|choice| ACCEPTED.contains(&choice))
    })
}

#[test]
fn the_licence_list_is_the_one_of_cargo_deny() {
    let deny = std::fs::read_to_string(top().join("deny.toml")).unwrap();
    for licence in ACCEPTED {
        assert!(deny.contains(&format!("\"{licence}\"")), "deny.toml lacks {licence}");
    }
    assert!(!is_accepted("LGPL-2.1-or-later") && !is_accepted("MIT AND Proprietary") && is_accepted("X/MIT"));
}
