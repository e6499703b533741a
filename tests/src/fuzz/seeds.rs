//! Good inputs to start from. None is kept twice: they are the frozen bytes, the encoders' own frames and the files that the
//! repository ships.

use crate::files::top;
use data_encoding::HEXLOWER;
use std::fs;
use tolem_protocol::{
    ccnet::{
        BillEntry, BillTable, Command, FailureCode, Identification, PollStatus, RejectReason, Reply, Status,
        TypeMask, counter_payload,
    },
    escpos::{self, Asb, Query},
};

type Seeds = Vec<(String, Vec<u8>)>;

/// The values of a file of frozen bytes, `name = value` to a line.
fn frozen(file: &str) -> Vec<(String, String)> {
    let path = top().join("protocol/tests/frozen").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn frozen_bytes(file: &str) -> Seeds {
    let decode = |value: &str| HEXLOWER.decode(value.as_bytes()).expect("frozen bytes are hexadecimal");
    frozen(file).into_iter().map(|(name, value)| (name, decode(&value))).collect()
}

/// Frozen texts whose name passes; `\n` stands for a line's end.
fn frozen_texts(file: &str, wanted: impl Fn(&str) -> bool) -> Seeds {
    let texts = frozen(file).into_iter().filter(|(name, _)| wanted(name));
    texts.map(|(name, text)| (name, text.replace("\\n", "\n").into_bytes())).collect()
}

pub fn requests() -> Seeds {
    frozen_bytes("requests.txt")
}

pub fn responses() -> Seeds {
    frozen_bytes("responses.txt")
}

pub fn records() -> Seeds {
    frozen_bytes("records.txt")
}

pub fn notes() -> Seeds {
    let mut seeds = frozen_texts("papers.txt", |name| name.starts_with("note/"));
    // The text of the note alone is a checkpoint.
    let checkpoints: Seeds = seeds
        .iter()
        .filter_map(|(name, note)| {
            let text = std::str::from_utf8(note).ok()?.split_once("\n\n")?.0;
            Some((format!("{name}/text"), format!("{text}\n").into_bytes()))
        })
        .collect();
    seeds.extend(checkpoints);
    seeds
}

pub fn papers() -> Seeds {
    let mut seeds = frozen_texts("papers.txt", |name| !name.starts_with("note/"));
    for (name, text) in
        [("iin", crate::rig::PAYER), ("day", "2026-11-22"), ("claim", "00042 0001 2340"), ("code", "0")]
    {
        seeds.push((format!("typed/{name}"), text.as_bytes().to_vec()));
    }
    seeds
}

/// One command of each kind, and the answers to all of them.
fn ccnet() -> (Vec<Command>, Vec<Vec<u8>>) {
    let low = TypeMask::new(0x0000_0FF7);
    let commands = vec![
        Command::Ack,
        Command::Nak,
        Command::Reset,
        Command::GetStatus,
        Command::SetSecurity(low),
        Command::Poll,
        Command::EnableBillTypes { accept: low, escrow: low },
        Command::Stack,
        Command::Return,
        Command::Identification,
        Command::Hold,
        Command::GetBillTable,
        Command::StackedCounter,
        Command::Other(0x60),
    ];
    let mut table = BillTable::default();
    for (at, value) in [500, 1_000, 2_000, 5_000, 10_000, 20_000].into_iter().enumerate() {
        table.0[at + 2] = BillEntry::from_value(*b"KAZ", value);
    }
    let mut answers: Vec<Vec<u8>> = (0..=u8::MAX)
        .filter_map(|code| PollStatus::parse(&[code, 3]).ok())
        .filter(|poll| !matches!(poll, PollStatus::Unknown(_)))
        .map(|poll| poll.payload().to_vec())
        .collect();
    answers.extend(RejectReason::KNOWN.iter().map(|why| PollStatus::Rejecting(*why).payload().to_vec()));
    answers.extend(FailureCode::KNOWN.iter().map(|why| PollStatus::Failure(*why).payload().to_vec()));
    answers.push(Status { enabled: low, high_security: TypeMask::NONE }.payload().to_vec());
    answers.push(Identification::new("SM-KZ1353", "21KC00471", [0; 7]).payload().to_vec());
    answers.push(table.payload().to_vec());
    answers.push(counter_payload(1_234).to_vec());
    (commands, answers)
}

pub fn ccnet_frames() -> Seeds {
    let (commands, answers) = ccnet();
    let asked = commands.iter().map(|command| (format!("{command:?}"), command.frame().to_vec()));
    let answered = answers.iter().enumerate().map(|(at, payload)| {
        let frame = Reply::Data(payload).frame().expect("answers are short");
        (format!("answer-{at}"), frame.to_vec())
    });
    let mut seeds: Seeds = asked.chain(answered).collect();
    let stream = seeds.iter().flat_map(|(_, frame)| frame.clone()).collect();
    seeds.push(("stream".into(), stream));
    seeds
}

pub fn ccnet_payloads() -> Seeds {
    let (commands, answers) = ccnet();
    let asked =
        commands.iter().map(|command| command.frame()).map(|frame| frame[3..frame.len() - 2].to_vec());
    asked.chain(answers).enumerate().map(|(at, payload)| (format!("payload-{at}"), payload)).collect()
}

pub fn escpos() -> Seeds {
    let mut commands: Vec<(&str, Vec<u8>)> = vec![
        ("init", escpos::INIT.to_vec()),
        ("asb-off", escpos::ASB_OFF.to_vec()),
        ("asb", escpos::asb(0x0F).to_vec()),
        ("retry", escpos::RECOVER_RETRY.to_vec()),
        ("clear", escpos::RECOVER_CLEAR.to_vec()),
        ("partial", escpos::CUT_PARTIAL.to_vec()),
        ("full", escpos::CUT_FULL.to_vec()),
        ("raster", escpos::raster(3, &[0x5A; 12]).expect("four rows")),
        ("lines", escpos::feed_lines(3).to_vec()),
        ("dots", escpos::feed_dots(30).to_vec()),
        ("feed-cut", escpos::feed_and_cut(true, 3).to_vec()),
        ("done", escpos::print_done_request(*b"00A7").to_vec()),
        ("columns", vec![0x1B, 0x2A, 33, 2, 0, 1, 2, 3, 4, 5, 6]),
        ("extended", vec![0x1D, 0x28, 0x4C, 6, 0, 48, 67, 1, 2, 3, 4]),
        ("text", "Төлем\n".as_bytes().to_vec()),
    ];
    commands.extend(Query::ALL.map(|query| ("query", query.bytes().to_vec())));
    let mut seeds: Seeds =
        commands.into_iter().enumerate().map(|(at, (name, bytes))| (format!("{at}-{name}"), bytes)).collect();
    let paper = seeds.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    seeds.push(("paper".into(), paper));
    seeds
}

pub fn escpos_status() -> Seeds {
    let asb = Asb { cover_open: true, ..Asb::default() };
    vec![("all".into(), (0..=u8::MAX).collect()), ("asb".into(), asb.bytes().to_vec())]
}

pub fn kiosk_config() -> Seeds {
    vec![file("deploy/kiosk.toml")]
}

pub fn center_files() -> Seeds {
    vec![
        ("center.toml".into(), tolem_center::config::EXAMPLE.as_bytes().to_vec()),
        file("center/data/catalogue.toml"),
        file("center/data/registry.toml"),
    ]
}

/// A file of the repository.
pub fn file(name: &str) -> (String, Vec<u8>) {
    let bytes = fs::read(top().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    (name.into(), bytes)
}

/// What a fuzzer found once for the target `name`: lines `target = bytes in hexadecimal` in `tests/fuzz/found.txt`.
pub fn found(name: &str) -> Vec<Vec<u8>> {
    let path = top().join("tests/fuzz/found.txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    let ours = lines.filter(|(target, _)| *target == name);
    ours.map(|(_, bytes)| HEXLOWER.decode(bytes.trim().as_bytes()).expect("found.txt holds hexadecimal"))
        .collect()
}
