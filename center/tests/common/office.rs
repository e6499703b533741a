//! The command line of the center, as an operator uses it.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// A folder in which `tolem-center` is called as an operator calls it; removed at the end.
pub struct Office(pub PathBuf);

impl Office {
    pub fn new() -> Self {
        Self(super::scratch("office"))
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.pipe(arguments, "")
    }

    pub fn pipe(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tolem-center"))
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command says on its error output while nobody reads what it prints.
    pub fn unread(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_tolem-center"))
            .args(arguments)
            .current_dir(&self.0)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// What a command says that must succeed.
    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The operators aigul and bolat, with their key files.
    pub fn staff(&self) {
        for name in ["aigul", "bolat"] {
            let file = format!("{name}.key");
            let key = self.good(&["operator", "key", name, &file]);
            self.good(&["operator", "add", name, "--key", key.trim(), "--as", &file]);
        }
    }

    /// What is said when aigul asks and bolat approves.
    pub fn decided(&self, arguments: &[&str]) -> String {
        let asked = self.good(&[arguments, &["--as", "aigul.key"]].concat());
        let (_, number) = asked.split_once("request approve ").unwrap_or_else(|| panic!("{asked}"));
        let number = number.trim();
        let alone = self.bad(&["request", "approve", number, "--as", "aigul.key"]);
        assert!(alone.contains("somebody else must approve it"), "{alone}");
        self.good(&["request", "approve", number, "--as", "bolat.key"])
    }

    /// What a command says that must fail.
    pub fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
