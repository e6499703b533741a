//! Reader, PIN pad and issuer of a case in which a card pays, and what the three books must say of it afterwards.
//!
//! The issuer is in this process and never dies: it is the bank, whose ledger is the judge.

use super::{PATIENCE, processes::Bench};
use crate::bench::{
    books::{fact, whole_tenge},
    run, tolem_center,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Instant,
};
use tolem_center::{
    logic::acquirer::{Acquiring as _, Standing},
    sqlite::SqliteStore,
};
use tolem_firmware::demo::acquirer;
use tolem_hal_sim::{
    issuer::{Standing as AtIssuer, served::ServedIssuer},
    pin_pad_device::{Display, KeyStore, PinPadKeys},
    served::{DeviceHandle, Purse, ServeOptions, serve_card_reader, serve_pin_pad},
};

/// The PIN of the public test cards.
const PIN: &str = "2580";

/// What stands on the desk of a terminal that takes cards, and the bank.
pub(super) struct Desk {
    reader: DeviceHandle,
    pad: DeviceHandle,
    issuer: ServedIssuer,
}

impl Desk {
    /// Devices with power, and a bank behind the center whose acquirer's folder this is.
    pub fn set_up(folder: &Path, reader: ServeOptions, pad: ServeOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        acquirer::prepare(folder, address).expect("the acquirer's folder can be written");
        Self {
            reader: serve_card_reader(1, None, Purse::default(), reader).expect("a pseudo terminal"),
            pad: serve_pin_pad(KeyStore::delivered(&PinPadKeys::test()), 1, None, pad)
                .expect("a pseudo terminal"),
            issuer: acquirer::start(folder, listener, None).expect("the issuer can be served"),
        }
    }

    /// Where the bank listens.
    pub fn address(&self) -> SocketAddr {
        self.issuer.addr
    }

    /// Reader and pad.
    pub fn devices(&self) -> [&DeviceHandle; 2] {
        [&self.reader, &self.pad]
    }

    /// Puts the card in, if the slot takes it.
    pub fn insert(&self) -> bool {
        self.reader.command("insert common").is_ok()
    }

    /// Types the PIN, if the pad asks for it.
    pub fn enter(&self) -> bool {
        let state = self.pad.pin_pad().expect("the PIN pad answers");
        matches!(state.display, Display::EnterPin { stars: 0, .. })
            && self.pad.command(&format!("press {PIN} enter")).is_ok()
    }

    /// Takes the card, if it sticks out.
    pub fn take(&self) -> bool {
        self.reader.command("take").is_ok()
    }

    /// What the bank has taken and what it holds, in words.
    pub fn told(&self) -> String {
        let (taken, held) = self.issuer.issuer().taken_and_held();
        format!("the bank has taken {taken} and holds {held}")
    }
}

/// How each payment that a card was asked for stands in the journal: the last word about it.
fn in_journal(records: &[Value]) -> BTreeMap<String, &str> {
    const WORDS: [&str; 7] = [
        "AuthorizeSent",
        "CardAuthorized",
        "CardDeclined",
        "ReversalOwed",
        "ReversalAcknowledged",
        "ConfirmOwed",
        "CardConfirmed",
    ];
    let told = records.iter().filter(|record| WORDS.contains(&fact(record)));
    told.map(|record| (record["payment"].as_str().unwrap_or_default().to_owned(), fact(record))).collect()
}

/// Waits until journal, bank and center have nothing open about cards any more. The center can die after the bank has heard it and before it has
/// written that down; then it has to say it once more.
///
/// # Panics
/// If that does not happen.
pub(super) fn until_decided(bench: &mut Bench, mut tend: impl FnMut(&mut Bench)) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = super::truth::journal(bench);
        let ended = |word: &&str| ["CardDeclined", "ReversalAcknowledged", "CardConfirmed"].contains(word);
        let desk = bench.desk.as_ref().expect("invariant: a card pays");
        let held = desk.issuer.issuer().taken_and_held().1;
        if in_journal(&records).values().all(ended) && held.is_zero() && nothing_open_at_center(bench) {
            return;
        }
        assert!(Instant::now() < deadline, "never decided: {}\n{}", desk.told(), bench.report());
        let pause = Instant::now() + super::truth::PAUSE;
        while Instant::now() < pause {
            bench.look();
            tend(bench);
        }
    }
}

/// What the operator's own tool says.
fn nothing_open_at_center(bench: &Bench) -> bool {
    let said = run(&tolem_center(), &[&"card", &"list", &"--config", &bench.place.center_config()]).good();
    said.starts_with("no card payment is open")
}

/// Compares what bank, center and journal say of each payment by card, and what the citizen has got for it: `seen` are the codes that were on
/// the screen or can be read on paper.
///
/// # Panics
/// If they disagree about one, if the bank has taken money for which the citizen has no code, or the citizen has a code for which it has not.
pub(super) fn check(bench: &Bench, records: &[Value], seen: &BTreeSet<String>, story: &dyn Fn() -> String) {
    let Some(desk) = &bench.desk else { return };
    let issuer = desk.issuer.issuer();
    let mut bank: BTreeMap<_, _> = issuer.ledger().collect();
    let center = SqliteStore::open(&bench.place.ledger()).expect("the ledger can be opened");
    let mut rows = Vec::new();
    center.each_card(&mut |row| rows.push(row)).expect("the ledger can be read");
    let journal = in_journal(records);
    let (mut taken, mut codes) = (0, BTreeSet::new());
    for row in &rows {
        let payment = row.payment.to_string();
        let here = journal.get(&payment).copied().unwrap_or("nothing");
        let name = bank.keys().copied().find(|(terminal, original)| {
            (*terminal, original.trace, original.sent)
                == (row.terminal, row.request.trace_digits(), row.request.sent_digits())
        });
        let there = name.and_then(|name| bank.remove(name)).map(|entry| (entry.standing, entry.amount));
        let is_taken = matches!(row.standing, Standing::Confirming | Standing::Confirmed);
        let agrees = match there {
            Some((AtIssuer::Taken, amount)) => is_taken && here == "CardConfirmed" && amount == row.amount,
            Some((AtIssuer::Reversed, _)) => {
                !is_taken && ["ReversalAcknowledged", "CardDeclined"].contains(&here)
            }
            Some((AtIssuer::Declined(_), _)) => row.standing == Standing::Declined && here == "CardDeclined",
            // The request never came: nothing was held.
            None => !is_taken && here != "CardConfirmed",
            Some((AtIssuer::Held, _)) => false,
        };
        assert!(
            agrees,
            "{payment}: {there:?} at the bank, {:?} at the center, {here} in the journal\n{}",
            row.standing,
            story()
        );
        if is_taken {
            taken += row.amount.tiyn();
            let settled = records
                .iter()
                .find(|record| fact(record) == "Settled" && record["payment"] == payment.as_str());
            let code = digits(settled.map_or("", |record| record["code"].as_str().unwrap_or_default()));
            assert!(seen.contains(&code), "{payment} is paid, and nobody has its code\n{}", story());
            codes.insert(code);
        }
    }
    let known: BTreeSet<String> = rows.iter().map(|row| row.payment.to_string()).collect();
    for (payment, word) in journal.iter().filter(|(payment, _)| !known.contains(*payment)) {
        assert!(
            *word != "CardConfirmed",
            "{payment} is confirmed, and the center does not know it\n{}",
            story()
        );
    }
    assert!(bank.is_empty(), "the bank knows what the center does not: {:?}\n{}", bank.keys(), story());
    let unpaid: Vec<_> = seen.difference(&codes).collect();
    assert!(unpaid.is_empty(), "codes that nobody pays for: {unpaid:?}\n{}", story());
    let audit = run(&tolem_center(), &[&"audit", &"--config", &bench.place.center_config()]).good();
    let booked: u64 = audit.lines().filter(|line| line.starts_with("cards ")).map(whole_tenge).sum();
    assert_eq!(booked * 100, taken, "ledger and bank\n{audit}\n{}", story());
    assert!(taken > 0, "nothing was paid by card\n{}", story());
}

/// A code as the books compare it.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}
