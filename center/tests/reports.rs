//! Reports: the sample that everybody knows, and the same from a day that really happened.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{office::Office, *};
use expect_test::{expect, expect_file};
use std::{fmt::Write as _, fs, path::Path};
use tolem_center::{
    keys::seal_iin,
    logic::{
        operator::{self, Found},
        reports::{
            self, Entry, Period,
            operations::{self, Row, Terminal},
            settlement::{self, Terms},
            summary::{self, By},
        },
        store::Transact,
    },
    sqlite::SqliteStore,
};
use tolem_protocol::{
    Amount, Denomination, KioskNumber, UtcTime,
    card::CardMark,
    catalogue::Language,
    merkle::{Frontier, leaf_hash},
    messages::{Deposit, DepositKind, HoldReason, Quote, Verdict},
    record::{Ending, Fact, Paper, PrintFault, Record, StackedBy},
    signed::Signed,
    signed_note::{self, Checkpoint, KeyKind, NoteKey, journal_origin},
    utc::Date,
};

fn day(text: &str) -> Date {
    Date::parse_iso(text).unwrap()
}

/// The rows of the sample in the Processing.kz presentation of 2013.
fn sample() -> Vec<Row> {
    let ten = |hour: i64, minute: i64, second: i64| -> UtcTime {
        day("2012-07-10").starts_at().plus_seconds(hour * 3_600 + minute * 60 + second)
    };
    let row = |at, customers: (&str, &str), requested, granted, kind, response, auth: &str, number| Row {
        at,
        customer: customers.0.into(),
        bank_customer: customers.1.into(),
        requested: Amount::from_tenge(requested),
        granted: Amount::from_tenge(granted),
        kind,
        response,
        auth_code: auth.into(),
        number,
    };
    let first = ("134191707171", "219277001212");
    let second = ("134191745803", "219277001213");
    vec![
        row(ten(16, 42, 19), first, 5_000, 5_000, 'A', "ok", "AUTH00", 1396),
        row(ten(16, 46, 14), first, 5_000, 5_000, 'F', "ok", "AUTH00", 1396),
        row(ten(16, 55, 31), second, 7_500, 7_500, 'A', "ok", "AUTH00", 1397),
        row(ten(17, 2, 42), second, 7_500, 7_500, 'R', "ok", "AUTH00", 1397),
        row(ten(17, 4, 5), ("134191844544", "219277001214"), 9_300, 9_300, 'A', "ok", "AUTH01", 1398),
        row(ten(17, 9, 59), ("134191853675", "219277001215"), 15_800, 0, 'A', "Decline", "", 1399),
    ]
}

#[test]
fn the_sample_report_comes_out_row_for_row() {
    let terminal =
        Terminal { number: 1, name: "Test Merchant".into(), city: "Almaty".into(), country: "KZ".into() };
    let text = operations::text(&terminal, day("2012-07-11"), &sample());
    assert!(text.ends_with("Total transactions: 4\n"), "distinct numbers, not the six rows");
    expect_file!["golden/operations.txt"].assert_eq(&text);
    let csv = operations::csv(&terminal, &sample());
    // RFC 4180 ends its lines with CR LF; a golden file in a repository should not depend on that.
    assert!(csv.split_terminator("\r\n").all(|line| !line.contains(['\r', '\n'])) && csv.ends_with("\r\n"));
    expect_file!["golden/operations.csv"].assert_eq(&csv.replace("\r\n", "\n"));
}

/// A day at two kiosks: two payments with notices, one without, a refused one, a stop, a suspense, a refund.
fn busy<S: Transact>(store: S, first: Date) -> Town<S> {
    let mut town = Town::new(store);
    let at = |hour: i64| first.starts_at().plus_seconds(hour * 3_600);
    town.now = at(9);
    let quote = town.quote(1, "id-card", ANNA, None);
    town.pay(&quote, ANNA, &[1000]);
    town.now = at(10);
    let quote = town.quote(2, "marriage", BOLAT, None);
    town.pay(&quote, BOLAT, &[5000]);
    town.now = at(11);
    assert_eq!(town.notices(), 2);
    town.now = at(12);
    let quote = town.quote(1, "id-card", VERA, None);
    // Sealed for somebody else than who was quoted: held, and a decline.
    let payment = quote.read_unverified().unwrap().payment;
    let wrong = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    assert!(matches!(verdict(&town.commit(1, &wrong)), Verdict::Held(_)));
    town.now = at(13);
    let stopped = town.remainder(BOLAT, 1_500);
    town.now = at(14);
    let payment = town.next_id(2);
    let suspense = DepositKind::Hold(HoldReason::Suspense);
    let doubt = town.deposit(payment, suspense, None, Some(ANNA), &[2000]);
    let Verdict::Held(doubt) = verdict(&town.commit(2, &doubt)) else { panic!() };
    town.now = at(15);
    operator::resolve(&mut town.store, town.now, doubt.number, Found::Nothing).unwrap();
    operator::refund(&mut town.store, town.now, stopped.number).unwrap();
    town.now = at(16);
    let quote = town.quote(1, "apostille", ANNA, None);
    town.pay(&quote, ANNA, &[2000, 500]);
    town.now = at(30);
    assert_eq!(town.notices(), 1, "the next day");
    town.audit();
    town
}

fn entries<S: Transact>(town: &Town<S>, offset: i64) -> Vec<Entry> {
    let first = noon().plus_seconds(offset * 86_400).date();
    reports::entries(&town.store, Period::days(first, 1)).unwrap()
}

fn a_day_is_reported_as_it_happened(lab: &impl Lab) {
    let town = busy(lab.create(), noon().date()).restart(lab);
    let entries = entries(&town, 0);
    let one = KioskNumber::new(1).unwrap();
    let rows: Vec<Row> =
        entries.iter().filter(|entry| entry.payment.kiosk == one).filter_map(operations::row).collect();
    let told: String = rows
        .iter()
        .map(|row| {
            format!("{} {} {} {:?} {:?}\n", row.number, row.kind, row.response, row.requested, row.granted)
        })
        .collect();
    expect![[r#"
        1 A ok 865.00₸ 865.00₸
        1 F ok 865.00₸ 865.00₸
        2 A Decline 865.00₸ 0.00₸
        3 R ok 1500.00₸ 1500.00₸
        4 A ok 2163.00₸ 2163.00₸
    "#]]
    .assert_eq(&told);
    expect![[r#"
        22.11.2026
        payments accepted, as paid               3          7,353.00
          fees in them                           3          7,352.50
          commission in them                     3              0.00
        payments that became held money          1              0.00
        balances that came up                    6          5,647.00
        notices the gateway took, fees           2          5,190.00
        given back                               1          1,500.00
        disputed by payers                       0              0.00
        charged back by the acquirer             0              0.00
        disputes that changed nothing            0              0.00
        lost to chargebacks                      0              0.00
    "#]]
    .assert_eq(&summary::summary(&entries).text("22.11.2026"));
    let mut statistics = String::new();
    for by in [By::Service, By::Kiosk, By::Hour, By::Method] {
        statistics += &summary::statistics_text(&summary::statistics(&entries, by));
    }
    expect![[r#"
                                    payments               sum       average  declined
        apostille                          1          2,163.00      2,163.00         0
        id-card                            1            865.00        865.00         1
        marriage                           1          4,325.00      4,325.00         0
                                    payments               sum       average  declined
        00001                              2          3,028.00      1,514.00         1
        00002                              1          4,325.00      4,325.00         0
                                    payments               sum       average  declined
        09                                 1            865.00        865.00         0
        10                                 1          4,325.00      4,325.00         0
        12                                 0              0.00          0.00         1
        16                                 1          2,163.00      2,163.00         0
                                    payments               sum       average  declined
        cash                               3          7,353.00      2,451.00         1
    "#]]
    .assert_eq(&statistics);
}

fn a_day_is_settled_and_claimed(lab: &impl Lab) {
    let town = busy(lab.create(), noon().date());
    let mut terms =
        Terms { withheld_thousandths: 10, withheld_least: Amount::from_tenge(10), ..Terms::default() };
    terms.close(day("2026-11-23"));
    let first = noon().date();
    let today = entries(&town, 0);
    expect![[r#"
        Settlement of 22.11.2026
        provider          paid            fees    withheld  returned           sum      disputed          payout  value date
        991240000013         1          865.00       10.00         0          0.00          0.00          855.00  24.11.2026
        991242000014         1        4,325.00       43.25         0          0.00          0.00        4,281.75  24.11.2026

        Reimbursement claim to bank demo-bank: 5,190.00 for 2 notified payments
    "#]]
    .assert_eq(&settlement::text(first, &settlement::payouts(&today, first, &terms), "demo-bank"));
    let next = noon().plus_seconds(86_400).date();
    let tomorrow = entries(&town, 1);
    expect![[r#"
        Settlement of 23.11.2026
        provider          paid            fees    withheld  returned           sum      disputed          payout  value date
        090440004151         1        2,162.50       21.63         0          0.00          0.00        2,140.87  24.11.2026

        Reimbursement claim to bank demo-bank: 2,162.50 for 1 notified payments
    "#]]
    .assert_eq(&settlement::text(next, &settlement::payouts(&tomorrow, next, &terms), "demo-bank"));
    let register = settlement::register_csv(&today, None);
    assert_eq!(register.lines().count(), 1 + 2 + 1, "{register}");
    assert!(register.ends_with("total,,2,,,,5190.00,\r\n"), "{register}");
}

/// The Monday on which the month of the command line begins.
fn monday() -> Date {
    day("2025-03-03")
}

impl Town<SqliteStore> {
    fn go_to(&mut self, days: i64, hour: i64) {
        self.now = monday().starts_at().plus_seconds(days * 86_400 + hour * 3_600);
    }

    /// A payment that begins: what its journal says.
    fn begun(&mut self, number: u32, payer: &str) -> (Signed<Quote>, Fact) {
        let quote = self.quote(number, "id-card", payer, None);
        let payment = quote.read_unverified().unwrap().payment;
        let dice = &mut self.dice;
        let sealed = seal_iin(&self.sealing, &iin(payer), &payment, &mut || dice.next()).unwrap();
        let (payer_tag, language) = ([0; 16], Language::Kazakh);
        (quote.clone(), Fact::Started { payment, quote, payer: sealed, payer_tag, language })
    }

    /// A payment that is confirmed with a note of 1,000 and not answered.
    fn confirmed(&mut self, number: u32, payer: &str) -> (Signed<Deposit>, Vec<Fact>) {
        let (quote, started) = self.begun(number, payer);
        let payment = quote.read_unverified().unwrap().payment;
        let deposit = self.deposit(payment, DepositKind::Pay, Some(&quote), Some(payer), &[1000]);
        let requested = Fact::CommitRequested { deposit: deposit.clone() };
        (deposit, vec![started, note(payment), requested])
    }

    /// A payment with its code, and print number `print` of its receipt.
    fn paid(&mut self, number: u32, payer: &str, print: u64) -> Vec<Fact> {
        let (deposit, mut facts) = self.confirmed(number, payer);
        let payment = deposit.read_unverified().unwrap().payment;
        facts.push(Fact::Settled { outcome: self.commit(number, &deposit) });
        facts.push(Fact::PrintOrdered { print, payment, paper: Paper::Receipt, copy: false });
        facts
    }
}

fn note(payment: tolem_protocol::PaymentId) -> Fact {
    Fact::NoteStacked {
        note: payment.number,
        payment,
        denomination: Denomination(1000),
        by: StackedBy::Report,
    }
}

/// Writes `facts` as the journal of `kiosk`, exported into `directory`; the time goes on by a minute from record to record.
fn export(directory: &Path, kiosk: &Kiosk, facts: Vec<Fact>, begin: UtcTime) {
    let (mut bundle, mut tree) = (Vec::new(), Frontier::default());
    for (seq, fact) in (0u64..).zip(facts) {
        let mono_ms = seq * 60_000;
        let utc = begin.plus_seconds(mono_ms.cast_signed() / 1_000);
        let bytes = Record { seq, boot: 1, mono_ms, utc, fact }.to_bytes();
        bundle.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        tree.push(leaf_hash(&bytes), |_, _, _| ());
        bundle.extend(bytes);
    }
    let origin = journal_origin(kiosk.number);
    let checkpoint = Checkpoint { origin: origin.clone(), size: tree.size(), root: tree.root() };
    let key = NoteKey { name: origin, kind: KeyKind::Log, public: kiosk.public() };
    let entries = directory.join("tile/entries");
    fs::create_dir_all(&entries).unwrap();
    fs::create_dir(entries.join("000.p")).unwrap();
    fs::write(entries.join(format!("000.p/{}", tree.size())), bundle).unwrap();
    let signed = signed_note::sign(&checkpoint.text(), &key, |message| kiosk.sign(message));
    fs::write(directory.join("checkpoint"), signed).unwrap();
}

/// Thursday at two kiosks: of seven sessions two are paid, and one receipt comes out. Their journals go to `out-1` and `out-2`.
fn thursday(town: &mut Town<SqliteStore>, directory: &Path) {
    town.go_to(3, 9);
    let begin = town.now;
    let mut first = vec![Fact::Booted { nonce: [7; 16], software: "test 1".try_into().unwrap() }];
    first.extend(town.paid(1, ANNA, 1));
    first.push(Fact::Printed { print: 1 });
    first.extend(town.paid(1, BOLAT, 2));
    first.push(Fact::PrintFailed { print: 2, fault: PrintFault::PaperOut });
    first.extend(town.confirmed(1, VERA).1.into_iter().take(2));
    first.push(town.begun(1, ANNA).1);
    export(&directory.join("out-1"), &town.kiosks[&1], first, begin);

    let (unanswered, mut second) = town.confirmed(2, VERA);
    let payment = unanswered.read_unverified().unwrap().payment;
    // Print 2 here is not print 2 of the other kiosk, which failed.
    second.push(Fact::PrintOrdered { print: 2, payment, paper: Paper::ClaimSlip, copy: false });
    second.push(Fact::Printed { print: 2 });
    let (quote, started) = town.begun(2, BOLAT);
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(BOLAT), &[]);
    let card = CardMark {
        last_four: [0, 0, 1, 1],
        application: heapless::Vec::new(),
        label: heapless::String::new(),
        amount: tenge(865),
        pin: true,
    };
    second.extend([started, Fact::AuthorizeSent { deposit, card }]);
    second.push(Fact::Finished { payment, ending: Ending::Voided });
    second.push(town.begun(2, ANNA).1);
    export(&directory.join("out-2"), &town.kiosks[&2], second, begin);
    town.go_to(3, 12);
    assert_eq!(town.notices(), 2);
}

/// A center's folder with three weeks in it: Monday and Tuesday as in [`busy`], Thursday, and a payment a fortnight later.
fn three_weeks() -> Office {
    let office = Office::new();
    office.good(&["init", "."]);
    let mut town = busy(SqliteStore::open(&office.0.join("center.db")).unwrap(), monday());
    thursday(&mut town, &office.0);
    town.go_to(17, 10);
    let quote = town.quote(2, "marriage", VERA, None);
    town.pay(&quote, VERA, &[5000]);
    town.audit();
    office
}

/// What `tolem-center report WORDS` prints about the Monday, with the command in front. CSV ends its lines with CR LF (RFC 4180), text
/// with LF; a golden file should not depend on that.
fn told(office: &Office, words: &str) -> String {
    let mut arguments = vec!["report"];
    arguments.extend(words.split(' '));
    let text = office.good(&arguments);
    let end = if words.contains("--form csv") { "\r\n" } else { "\n" };
    assert!(text.ends_with(end), "{words}: {text:?}");
    assert!(text.split_terminator(end).all(|line| !line.contains(['\r', '\n'])), "{words}: {text:?}");
    format!("$ tolem-center report {words}\n{}\n", text.replace("\r\n", "\n"))
}

/// Each report in both forms, of all kiosks and of one; blessed by `UPDATE_EXPECT=1`.
#[test]
fn the_program_reports_in_each_form_of_all_kiosks_and_of_one() {
    let office = three_weeks();
    let bys = By::ALL.map(|(_, word)| format!("statistics --span week --by {word} --day 2025-03-03"));
    let day = |report: &str| vec![format!("{report} --day 2025-03-03")];
    let spans = |report: &str| {
        ["day", "week", "month"].map(|span| format!("{report} --span {span} --day 2025-03-03")).to_vec()
    };
    let both = "out-1 out-2";
    let conversion = |span: &str| format!("conversion --span {span} --day 2025-03-06 {both}");
    for (name, commands) in [
        ("operations", vec![]),
        ("summary", spans("summary")),
        ("statistics", bys.to_vec()),
        (
            "settlement",
            [day("settlement"), vec!["settlement --day 2025-03-04 --bank demo-bank".into()]].concat(),
        ),
        (
            "register",
            [day("register"), vec!["register --day 2025-03-03 --provider 991240000013".into()]].concat(),
        ),
        ("availability", spans("availability")),
        ("conversion", vec![conversion("day"), conversion("month")]),
    ] {
        let mut golden = String::new();
        let of_one = commands.first().cloned().unwrap_or_else(|| format!("{name} --day 2025-03-03"));
        for command in commands.iter().chain([&format!("{of_one} --kiosk 2")]) {
            for form in ["text", "csv"] {
                golden += &told(&office, &format!("{command} --form {form}"));
            }
        }
        expect_file![format!("golden/reports/{name}.txt")].assert_eq(&golden);
    }
    let once = told(&office, &conversion("day"));
    let twice = told(&office, &format!("{} out-2 out-1", conversion("day")));
    let sums = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(sums(&twice), sums(&once), "a journal that is named twice counts once");
}

#[test]
fn a_report_that_cannot_be_made_says_why() {
    let office = three_weeks();
    let mut wrong = String::new();
    for words in [
        "operations",
        "summary --kiosk 0",
        "summary --day 2025-02-29",
        "summary --span year",
        "statistics --by weather",
        "settlement --form pdf",
        "register --provider 12",
        "availability --kiosk 9",
        "conversion",
        "conversion nowhere",
        "conversion --kiosk 3 out-1 out-2",
    ] {
        let said = office.bad(&[&["report"], &words.split(' ').collect::<Vec<_>>()[..]].concat());
        let first = said.lines().next().unwrap_or_default();
        let _ = writeln!(wrong, "{words}\n    {first}");
    }
    expect![[r#"
        operations
            tolem-center: --kiosk is needed: which terminal?
        summary --kiosk 0
            tolem-center: --kiosk 0: a kiosk has a number from 1 to 99999
        summary --day 2025-02-29
            tolem-center: --day "2025-02-29": a day looks like 2026-11-25
        summary --span year
            error: invalid value 'year' for '--span <SPAN>'
        statistics --by weather
            error: invalid value 'weather' for '--by <BY>'
        settlement --form pdf
            error: invalid value 'pdf' for '--form <FORM>'
        register --provider 12
            tolem-center: --provider "12": not a BIN
        availability --kiosk 9
            tolem-center: --kiosk 00009: this kiosk is not registered
        conversion
            error: the following required arguments were not provided:
        conversion nowhere
            tolem-center: nowhere/checkpoint: No such file or directory (os error 2)
        conversion --kiosk 3 out-1 out-2
            tolem-center: --kiosk 00003: none of the exports is of its journal
    "#]]
    .assert_eq(&wrong);
}

#[test]
fn value_dates_skip_weekends_and_holidays() {
    let mut terms = Terms::default();
    let next = |terms: &Terms, text: &str| format!("{:?}", terms.value_date(day(text)));
    assert_eq!(next(&terms, "2026-11-25"), "2026-11-26", "Wednesday to Thursday");
    assert_eq!(next(&terms, "2026-11-27"), "2026-11-30", "Friday to Monday");
    assert_eq!(next(&terms, "2026-11-29"), "2026-11-30", "Sunday to Monday");
    terms.close(day("2026-12-16"));
    terms.close(day("2026-12-17"));
    assert_eq!(next(&terms, "2026-12-15"), "2026-12-18", "Independence Day");
    assert_eq!(terms.withheld(Amount::from_tenge(1_000)), Amount::ZERO);
    let terms = Terms { withheld_thousandths: 15, withheld_least: Amount::from_tenge(20), ..terms };
    assert_eq!(terms.withheld(Amount::from_tenge(2_000)), Amount::from_tenge(30));
    assert_eq!(terms.withheld(Amount::from_tenge(100)), Amount::from_tenge(20));
    assert_eq!(terms.withheld(Amount::from_tenge(10)), Amount::from_tenge(10), "never more than the fee");
}

on_all_stores!(a_day_is_reported_as_it_happened, a_day_is_settled_and_claimed);
