//! Targets: what lies on disk and on paper.

use tolem_protocol::{
    BalanceNumber, ClaimNumber, Iin, PaymentCode,
    qr::{MAX_TEXT, Qr},
    record::{MAX_RECORD, Record},
    signed_note::{self, Checkpoint, KeyKind, NoteKey},
    utc::Date,
};

/// Any bytes as a journal record: what is read is written, shorter or the same, and reads the same.
pub fn records(bytes: &[u8]) {
    match Record::from_bytes(bytes) {
        Ok(record) => {
            let written = record.to_bytes();
            assert!(written.len() <= bytes.len() && written.len() <= MAX_RECORD);
            assert_eq!(Record::from_bytes(&written).as_ref(), Ok(&record));
            assert!(!format!("{record:?} {}", record.utc.local()).is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Any text as a signed note, a checkpoint and a key.
pub fn notes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some((body, lines)) = signed_note::split(text) {
        assert_eq!([body, "\n", &lines.join("\n"), "\n"].concat(), text, "a note is its parts");
    }
    for kind in [KeyKind::Log, KeyKind::Cosigner] {
        let key = NoteKey { name: "tolem/journal/00042".into(), kind, public: [9; 32] };
        let opened = signed_note::open(text, &key, |_, message, _| !message.is_empty());
        assert!(opened.is_none_or(|(body, _)| text.starts_with(body)));
        assert_eq!(
            signed_note::open(text, &key, |_, _, _| false),
            None,
            "nothing passes without a signature"
        );
    }
    if let Some(checkpoint) = Checkpoint::parse(text) {
        let written = checkpoint.text();
        // Lines behind the third are allowed and not ours.
        assert!(text.starts_with(&written), "a checkpoint has one form");
        assert_eq!(Checkpoint::parse(&written), Some(checkpoint));
    }
    if let Some(key) = NoteKey::parse_vkey(text) {
        assert_eq!(key.to_vkey(), text.trim(), "a key has one form");
        assert_eq!(NoteKey::parse_vkey(&key.to_vkey()), Some(key));
    }
}

/// Any text from a scanner or typed by hand: QR texts, claim numbers, codes, vouchers, IINs.
pub fn papers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Qr::parse(text) {
        Ok(qr) => {
            let printed = qr.encode();
            assert!(printed.len() <= MAX_TEXT);
            match &qr {
                Qr::Code(token) => drop(token.read_unverified().map(|token| format!("{token:?}"))),
                Qr::Deposit(deposit) => {
                    drop(
                        deposit
                            .read_unverified()
                            .map(|deposit| format!("{deposit:?} {:?}", deposit.notes.total())),
                    );
                }
                Qr::Balance(number) => assert_eq!(BalanceNumber::parse(&number.to_string()), Some(*number)),
            }
            assert_eq!(Qr::parse(&printed), Ok(qr));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(claim) = ClaimNumber::parse(text) {
        assert_eq!(ClaimNumber::parse(&claim.to_string()), Some(claim));
        let _ = claim.parts();
    }
    if let Some(code) = PaymentCode::parse(text) {
        assert_eq!(PaymentCode::parse(&code.to_string()), Some(code));
    }
    let today = Date::from_days(20_000);
    if let Ok(iin) = Iin::parse(text, today) {
        let ascii = iin.ascii();
        let again = std::str::from_utf8(&ascii).map(|digits| Iin::parse(digits, today));
        assert_eq!(again, Ok(Ok(iin)));
    }
    if let Some(day) = Date::parse_iso(text) {
        assert_eq!(Date::parse_iso(&format!("{day:?}")), Some(day));
    }
}
