//! Reports: the sample that everybody knows, and the same from a day that really happened.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use expect_test::{expect, expect_file};
use tolem_center::logic::{
    operator::{self, Found},
    reports::{
        self, Entry, Period,
        operations::{self, Row, Terminal},
        settlement::{self, Terms},
        summary::{self, By},
    },
    store::Transact,
};
use tolem_protocol::{
    Amount, KioskNumber, UtcTime,
    messages::{DepositKind, HoldReason, Verdict},
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
fn busy<S: Transact>(store: S) -> Town<S> {
    let mut town = Town::new(store);
    let at = |hour: i64| noon().date().starts_at().plus_seconds(hour * 3_600);
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
    let town = busy(lab.create()).restart(lab);
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
    let town = busy(lab.create());
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
    let register = settlement::register(&today, None);
    assert_eq!(register.lines().count(), 1 + 2 + 1, "{register}");
    assert!(register.ends_with("total,,2,,,,5190.00,\r\n"), "{register}");
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
