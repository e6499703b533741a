//! A center moves from its file to PostgreSQL with all that ever happened in it, goes on there, and never serves from the file again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use common::{
    two::{approve, ask, pen},
    *,
};
use std::path::{Path, PathBuf};
use tolem_center::{
    logic::{
        acquirer::{Acquiring as _, Standing},
        approval::Asked,
        disputes::Disputes as _,
        ledger,
        office::{Action, Office as _},
        operator::{self, Found},
        store::{PaymentState, Store as _},
    },
    sql::{
        SqlStore,
        moving::{self, Moved},
    },
    sqlite::SqliteStore,
};
use tolem_protocol::{
    messages::{DepositKind, HoldReason, Request, Verdict},
    signed::Signed,
};

/// A file with a history: cash, cards, held money, a suspense, requests, deeds, a dispute, alarms, attempts; some of it still under way.
fn history() -> (PathBuf, Town<SqliteStore>) {
    let file = scratch("moving").join("center.db");
    let (mut town, ..) = two::staffed(SqliteStore::create(&file, 7).unwrap());
    town.center.acquirer = Some(card_town::acquirer(true));
    for number in 0..120_u32 {
        let quote = town.quote(number % 3 + 1, "id-card", ANNA, None);
        // More than a day's limit is another person's.
        town.center.rules.limits.per_day = tenge(10_000_000);
        town.pay(&quote, ANNA, &[1000]);
    }
    town.notices();
    let (confirmed, request) = town.asked();
    town.decided(&request, b"00");
    town.card(Request::CardConfirm(confirmed));
    let (_, request) = town.asked();
    town.decided(&request, b"51");
    let quote = town.quote(2, "marriage", BOLAT, None);
    let disputed = quote.read_unverified().unwrap().payment;
    town.pay(&quote, BOLAT, &[5000]);
    town.notices();
    let complaint = Action::Complain { payment: disputed, why: "it was for nothing".into() };
    let Asked::Waits(number) = ask(&mut town, &pen("aigul"), &complaint).unwrap() else { panic!() };
    approve(&mut town, &pen("bolat"), number).unwrap();
    let balance = town.remainder(ANNA, 1_500).number;
    ask(&mut town, &pen("aigul"), &Action::Refund { balance }).unwrap();
    let payment = town.next_id(2);
    let suspense = DepositKind::Hold(HoldReason::Suspense);
    let doubt = town.deposit(payment, suspense, None, Some(ANNA), &[2000]);
    let Verdict::Held(doubt) = verdict(&town.commit(2, &doubt)) else { panic!() };
    operator::resolve(&mut town.store, town.now, doubt.number, Found::Nothing).unwrap();
    town.gateway_down.set(true);
    let quote = town.quote(3, "marriage", VERA, None);
    let waiting = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(waiting, DepositKind::Pay, Some(&quote), Some(VERA), &[5000]);
    town.ask(3, Request::Commit(deposit));
    town.gateway_down.set(false);
    town.audit();
    (file, town)
}

/// Everything that can be read of a center, in order.
fn all_of(store: &SqlStore) -> String {
    let mut text = format!("{:?}\n", store.center_epoch().unwrap());
    let mut line = |part: String| {
        text += &part;
        text.push('\n');
    };
    store.each_payment(&mut |row| line(format!("{row:?}"))).unwrap();
    store.each_balance(&mut |row| line(format!("{row:?}"))).unwrap();
    store.each_posting(&mut |row| line(format!("{row:?}"))).unwrap();
    store.each_card(&mut |row| line(format!("{row:?} {:?}", row.request))).unwrap();
    line(format!("{:?}{:?}", store.kiosks().unwrap(), store.alarms().unwrap()));
    line(format!(
        "{:?}{:?}{:?}",
        store.operators().unwrap(),
        store.requests().unwrap(),
        store.deeds().unwrap()
    ));
    line(format!("{:?}{:?}", store.disputes().unwrap(), store.last_trace().unwrap()));
    text
}

fn refuses(file: &Path) -> String {
    SqliteStore::open(file).err().map(|error| error.0).unwrap_or_default()
}

#[test]
fn a_center_with_a_history_goes_on_in_postgres_where_it_stood() {
    let (file, town) = history();
    let address = postgres_server::database();
    let before = all_of(&town.store);
    let open = moving::move_to(&file, &address).unwrap_err().0;
    assert!(open.contains("is open: stop the center"), "{open}");
    let kiosks = town.kiosks;
    drop(town.store);
    let moved = moving::move_to(&file, &address).unwrap();
    assert!(!moved.was_there);
    let rows = |name: &str| moved.tables.iter().find(|table| table.table == name).unwrap().rows;
    assert_eq!((rows("dispute"), rows("card"), rows("waiting"), rows("center")), (1, 2, 1, 1));
    assert!(rows("payment") > 120 && rows("line") > 300, "{:?}", moved.tables);

    let said = refuses(&file);
    assert!(said.contains("was moved to PostgreSQL, host ") && !said.contains("user"), "{said}");
    let again = moving::move_to(&file, &address).unwrap_err().0;
    assert!(again.contains("was moved before"), "{again}");

    let store = SqlStore::open_at(&address).unwrap();
    assert_eq!(all_of(&store), before);
    // It goes on: what was under way is done, new numbers follow the old ones, and everything is guarded as if it had been founded there.
    let mut town = Town::<SqlStore>::on(store);
    town.kiosks = kiosks;
    town.dice = Dice(0xB0B);
    town.center.acquirer = Some(card_town::acquirer(true));
    assert!(town.notices() > 0, "the deposit that waited has its code and its notice");
    let mut settled = 0;
    town.store.each_payment(&mut |row| settled += u32::from(row.state == PaymentState::Settled)).unwrap();
    let (payment, request) = town.asked();
    assert_eq!(town.store.card(&payment).unwrap().unwrap().request.trace, town.store.last_trace().unwrap());
    town.decided(&request, b"00");
    town.card(Request::CardConfirm(payment));
    assert_eq!(town.standing(&payment), Standing::Confirming);
    let quote = town.quote(1, "apostille", BOLAT, None);
    let (_, answer): (_, Signed<_>) = town.pay(&quote, BOLAT, &[2000, 500]);
    assert!(matches!(verdict(&answer), Verdict::Accepted { .. }));
    town.audit();
    let mut client = postgres_server::client_of(&address);
    let refused = client.batch_execute("DELETE FROM posting").unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("only grows"));
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn a_target_that_is_not_empty_and_books_that_are_wrong_move_nothing() {
    let (file, mut town) = history();
    // Somebody's cash was forgotten.
    let mut row = town.store.payment(&town.kiosks.get_mut(&1).unwrap().next_id()).unwrap();
    assert!(row.is_none());
    town.store.each_payment(&mut |found| row = row.take().or(Some(found))).unwrap();
    let good = row.unwrap();
    let mut wrong = good.clone();
    wrong.inserted = tenge(1);
    town.store.put_payment(&wrong).unwrap();
    drop(town.store);
    let founded = postgres_server::database();
    drop(SqlStore::create_at(&founded, 9).unwrap());
    let audit = moving::move_to(&file, &founded).unwrap_err().0;
    assert!(audit.contains("every tiyn is accounted for"), "{audit}");
    let mut store = SqliteStore::open(&file).unwrap();
    store.put_payment(&good).unwrap();
    drop(store);
    let there = moving::move_to(&file, &founded).unwrap_err().0;
    assert!(there.contains("there is a center in that database already"), "{there}");
    let strange = postgres_server::database();
    postgres_server::client_of(&strange).batch_execute("CREATE TABLE invoices (id int)").unwrap();
    let strange = moving::move_to(&file, &strange).unwrap_err().0;
    assert!(strange.contains("is not empty"), "{strange}");
    let nobody = tolem_center::sql::Address { connection: "host=/nowhere user=tolem".into(), ca: None };
    assert!(moving::move_to(&file, &nobody).unwrap_err().0.starts_with("PostgreSQL: "));
    assert_eq!(refuses(&file), "", "it serves as before");
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

/// The program dies between the copy and the mark, or before the copy: the same command goes on.
#[test]
fn a_move_that_was_cut_off_is_finished_by_the_same_command_or_cancelled() {
    let (file, town) = history();
    drop(town.store);
    let mark = |mark: &str| {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch(&format!("UPDATE center SET moved = {mark}")).unwrap();
    };
    mark("'moving'");
    assert!(refuses(&file).contains("is being moved"), "neither here nor there");
    let address = postgres_server::database();
    moving::cancel(&file, &address).unwrap();
    assert_eq!(refuses(&file), "");
    assert!(moving::cancel(&file, &address).unwrap_err().0.contains("is not being moved"));
    mark("'moving'");
    let Moved { tables, was_there } = moving::move_to(&file, &address).unwrap();
    assert!(!was_there);
    // It had been kept there, and the mark was not.
    mark("'moving'");
    assert!(moving::cancel(&file, &address).unwrap_err().0.contains("there is a center"));
    let again = moving::move_to(&file, &address).unwrap();
    assert_eq!(again, Moved { tables, was_there: true });
    // The same, but somebody has worked there meanwhile, or changed a row.
    mark("'moving'");
    postgres_server::client_of(&address).batch_execute("UPDATE balance SET amount = amount + 1").unwrap();
    let differs = moving::move_to(&file, &address).unwrap_err().0;
    assert!(differs.contains("nothing was moved"), "{differs}");
    assert!(refuses(&file).contains("is being moved"), "a person must look");
    let store = SqlStore::open_at(&address).unwrap();
    assert!(!ledger::audit(&store).unwrap().is_empty());
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}
