//! `tolem sim`: each simulated device as a program of its own, moved by lines on its standard input.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use expect_test::{Expect, expect};
use tempfile::TempDir;
use tolem_tests::bench::{AsArgument, run, run_with, tolem};

/// Serves `device` on a pseudo terminal until `lines` are over, and gives what it answered.
fn answers(device: &str, lines: &str) -> String {
    let directory = TempDir::new().unwrap();
    let link = directory.path().join("line.tty");
    let said = run_with(&tolem(), &[&"sim", &device, &"--link", &link], lines).good();
    let (path, answers) = said.split_once('\n').unwrap();
    assert_eq!(path, link.to_str().unwrap(), "first of all it says where it is");
    assert!(!link.exists(), "the link goes with the device");
    answers.to_owned()
}

fn check(device: &str, lines: &str, expected: &Expect) {
    expected.assert_eq(&answers(device, lines));
}

#[test]
fn an_acceptor_is_moved_by_lines() {
    check(
        "ccnet",
        "power off\ninsert 2000\ncassette out\nfly\n",
        &expect![[r#"
        ok no power, cassette in with 0 notes of 0 tenge
        error: the acceptor has no power; switch it on first
        ok no power, cassette out with 0 notes of 0 tenge
        error: unknown command "fly"; allowed: insert TENGE [foreign] [bad] [YEAR]; take; jam [soft]; cassette out|in|new|full|jam|jam soft; cheat; fail CODE; reject CODE; misread TYPE; busy TENTHS; silent; forget; clear; power off|on; line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS; unplug; plug; state; help
    "#]],
    );
}

#[test]
fn a_printer_is_moved_by_lines() {
    check(
        "escpos",
        "power off\npaper out\ntake\npaper blue\n",
        &expect![[r#"
        ok no power, paper ok, 0 pieces to take
        ok no power, paper out, 0 pieces to take
        error: no paper has come off
        error: allowed: paper ok|low|out|out after ROWS
    "#]],
    );
}

#[test]
fn a_card_reader_is_moved_by_lines() {
    check(
        "cardreader",
        "power off\ninsert common\ntake\nhold perhaps\n",
        &expect![[r#"
        ok no power, 0 cards in the box
        error: the shutter is closed, or a card is in the way
        error: no card sticks out
        error: "perhaps" is neither on nor off
    "#]],
    );
}

#[test]
fn a_pin_pad_is_moved_by_lines() {
    check(
        "pinpad",
        "power off\npress\npress star\nload\n",
        &expect![[r#"
        ok shows dark, last key FFFF9876543210E00000
        error: press what? allowed: press DIGITS|clear|enter|cancel ...
        error: allowed: press DIGITS|clear|enter|cancel ...
        ok shows dark, last key FFFF9876543210E00000
    "#]],
    );
}

#[test]
fn an_issuer_makes_its_folder_and_is_moved_by_lines() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("issuer");
    let words: [&dyn AsArgument; 6] = [&"sim", &"issuer", &"--listen", &"127.0.0.1:0", &"--folder", &folder];
    let said = run_with(&tolem(), &words, "decline 05\nlose answer\nledger\ndecline 00\n").good();
    let (addr, answers) = said.split_once('\n').unwrap();
    assert!(addr.starts_with("127.0.0.1:"), "{addr}");
    expect![[r#"
        messages with a fate of their own: 1
        messages with a fate of their own: 2
        taken 0 tenge, held 0 tenge
        error: a code has two characters and is not 00
    "#]]
    .assert_eq(answers);
    for file in ["center/acquirer.toml", "center/link.key", "host/link.key"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let config = std::fs::read_to_string(folder.join("center/acquirer.toml")).unwrap();
    assert!(config.contains(addr), "the center is told where the host is: {config}");
}

#[test]
fn words_that_make_no_device_are_named() {
    let said = |words: &[&dyn AsArgument]| {
        let ended = run(&tolem(), words);
        assert!(!ended.success());
        format!("{}\n", ended.text().lines().next().unwrap_or_default())
    };
    let told = [
        said(&[&"sim", &"toaster"]),
        said(&[&"sim", &"ccnet", &"--tty", &"/dev/null/tty"]),
        said(&[&"sim", &"ccnet", &"--baud", &"9600"]),
        said(&[&"sim", &"escpos", &"--link", &"here", &"--tty", &"there"]),
        said(&[&"sim", &"pinpad", &"--link", &"/dev/null/link"]),
        said(&[&"sim", &"issuer", &"--listen", &"here"]),
        said(&[&"sim", &"issuer", &"--listen", &"127.0.0.1:0", &"--folder", &"/dev/null/issuer"]),
    ]
    .concat();
    expect![[r#"
        error: unrecognized subcommand 'toaster'
        cannot serve the device: cannot open /dev/null/tty: Not a directory (os error 20)
        error: the following required arguments were not provided:
        error: the argument '--link <PATH>' cannot be used with '--tty <PATH>'
        cannot serve the device: cannot link /dev/null/link: Not a directory (os error 20)
        error: invalid value 'here' for '--listen <ADDRESS:PORT>': invalid socket address syntax
        --folder /dev/null/issuer: /dev/null/issuer/authority: Not a directory (os error 20)
    "#]]
    .assert_eq(&told);
}
