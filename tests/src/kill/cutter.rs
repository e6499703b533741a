//! The library that counts and cuts, and its log.

use super::case::How;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Builds the library once per process with the system's C compiler.
///
/// # Panics
/// If there is no compiler, or it refuses the source.
pub(super) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("invariant: a program knows its own file");
        let folder = test.parent().expect("invariant: a file lies in a directory");
        let (source, library) = (
            crate::files::top().join("tests/cut/cut.c"),
            folder.join(format!("libcut-{}.so", std::process::id())),
        );
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]);
        let built = compiler.arg(&library).arg(&source).arg("-ldl").output();
        let built =
            built.unwrap_or_else(|e| panic!("cc cannot be started ({e}): apt-get install build-essential"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    })
}

/// What is counted in one life of a program, and where it is cut.
#[derive(Clone, Debug)]
pub(super) struct Cutter {
    /// Name and place: the beginning of a path, or `inet`.
    pub watch: Vec<(&'static str, String)>,
    /// Name and call, number, how.
    pub cut: Option<(String, u32, How)>,
    /// Where the calls are written down.
    pub log: PathBuf,
}

impl Cutter {
    /// Has the library loaded into the program that `command` will start.
    pub fn arm(&self, command: &mut Command) {
        command.envs(self.environment());
    }

    /// What the program finds in its environment then.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let watch: Vec<String> = self.watch.iter().map(|(name, place)| format!("{name}={place}")).collect();
        let mut all = vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("TOLEM_CUT_WATCH", watch.join(";")),
            ("TOLEM_CUT_LOG", self.log.display().to_string()),
        ];
        if let Some((at, number, how)) = &self.cut {
            all.push(("TOLEM_CUT", format!("{at} {number} {}", how.at_the_call())));
        }
        all
    }
}

/// What a log tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counted {
    /// How often each kind of call was made.
    pub calls: BTreeMap<String, u32>,
    /// The line of the call that was cut.
    pub cut: Option<String>,
}

/// Reads a log; an absent one tells nothing.
pub(super) fn read(log: &Path) -> Counted {
    let mut counted = Counted::default();
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        let mut words = line.split(' ');
        if let (Some(call), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
            counted.calls.insert(call.to_owned(), number);
        }
        if line.ends_with(" CUT") {
            counted.cut = Some(line.to_owned());
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A program that writes `abcd` three times and syncs after each, cut by `how` at `at`.
    fn cut(at: &str, number: u32, how: How) -> (String, Counted, bool) {
        let scratch = TempDir::new().expect("a directory");
        let file = scratch.path().join("file");
        let log = scratch.path().join("log");
        let cut = Some((at.to_owned(), number, how));
        let watch = vec![("file", file.display().to_string())];
        let mut command = Command::new("dd");
        command.args(["bs=4", "oflag=dsync", "conv=fsync"]).arg(format!("of={}", file.display()));
        let input = scratch.path().join("input");
        fs::write(&input, "abcdabcdabcd").expect("a file");
        command.arg(format!("if={}", input.display()));
        Cutter { watch, cut, log: log.clone() }.arm(&mut command);
        let ended = command.output().expect("dd is in every base system");
        (fs::read_to_string(&file).unwrap_or_default(), read(&log), ended.status.success())
    }

    #[test]
    fn the_knife_cuts_where_and_how_it_is_told() {
        for (how, left) in [
            (How::Kill, "abcd"),
            (How::Power, "abcd"),
            (How::Half, "abcdab"),
            (How::After, "abcdabcd"),
            (How::Eio, "abcd"),
            (How::EioKept, "abcdabcd"),
        ] {
            let (text, counted, success) = cut("file.write", 2, how);
            assert_eq!(text, left, "{how:?}");
            assert!(!success, "{how:?}");
            assert!(counted.cut.is_some_and(|line| line.starts_with("file.write 2 ")), "{how:?}");
        }
        let (text, counted, success) = cut("file.write", 2, How::Stall);
        assert_eq!((text.as_str(), success), ("abcdabcdabcd", true));
        assert!(counted.cut.is_some());
        let (text, counted, success) = cut("file.write", 9, How::Kill);
        assert_eq!((text.as_str(), success, counted.cut), ("abcdabcdabcd", true, None));
        assert_eq!(counted.calls.get("file.write"), Some(&3));
        assert_eq!(counted.calls.get("file.sync"), Some(&1));
        assert!(!cut("file.sync", 1, How::Eio).2, "a failed sync is heard of");
        assert!(cut("any", 4, How::Kill).1.cut.is_some_and(|line| line.starts_with("file.sync 1 ")));
    }
}
