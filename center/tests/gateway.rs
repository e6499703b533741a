//! The gateway as its participants meet it: signed messages in, signed answers out. Most tests ask the desk itself, in a time of
//! their own; the last ones go through real sockets with mutual TLS.

mod gateway_world;

use gateway_world::{IIN, OTHER_IIN, World, iin, token};
use std::fmt::Write as _;
use tolem_center::gateway::words::*;
use tolem_protocol::{Amount, KioskNumber, UtcTime, utc::Date};

#[test]
fn a_code_lives_once_through_the_portal() {
    let mut world = World::new();
    let created = world.created("1");
    assert_eq!((created.state, created.repeated), (State::Issued, false));
    let again = world.created("1");
    assert_eq!((again.code, again.repeated), (created.code, true), "the same transaction, the same code");

    let early = world.redeem("portal", "R1", created.code, true);
    assert_eq!(early.unwrap_err().state, Some(State::Issued), "not confirmed is not unknown");
    let noticed = world.notified("1", created.code);
    assert_eq!((noticed.state, noticed.repeated), (State::Paid, false));
    let again = world.notified("1", created.code);
    assert_eq!((again.record, again.arrived_at, again.repeated), (noticed.record, noticed.arrived_at, true));

    let looked = world.redeem("portal", "R1", created.code, false).unwrap();
    assert_eq!((looked.state, looked.amount), (State::Paid, Amount::from_tenge(865)));
    assert_eq!(looked.recipient_name, None, "a portal has the person before it and needs no name");
    let used = world.redeem("portal", "R1", created.code, true).unwrap();
    assert_eq!((used.state, used.repeated), (State::Used, false));
    let lost_answer = world.redeem("portal", "R1", created.code, true).unwrap();
    assert_eq!(
        (lost_answer.state, lost_answer.repeated),
        (State::Used, true),
        "the same request is the same use"
    );
    let second = world.redeem("portal", "R2", created.code, true).unwrap_err();
    assert_eq!((second.code, second.state), (FaultCode::WrongState, Some(State::Used)));
    let in_person = world.redeem("service-center", "R1", created.code, false).unwrap_err();
    assert_eq!(in_person.state, Some(State::Used), "the same number of somebody else is another request");
}

#[test]
fn a_code_lives_once_through_a_service_center_in_two_steps() {
    let mut world = World::new();
    let code = world.paid("1");
    let unvalidated = world.close("R1", code, "Operator 7").unwrap_err();
    assert_eq!(unvalidated.code, FaultCode::NotValidated);
    let consume = world.redeem("service-center", "R1", code, true).unwrap_err();
    assert_eq!(consume.code, FaultCode::NotPermitted);
    let seen = world.redeem("service-center", "R1", code, false).unwrap();
    assert_eq!(seen.recipient_name.unwrap().as_str(), "А••• Б•••", "to compare with the document");
    let other = world.close("R2", code, "Operator 7").unwrap_err();
    assert_eq!(other.code, FaultCode::NotValidated, "another request number");
    world.wait(3_601);
    assert_eq!(
        world.close("R1", code, "Operator 7").unwrap_err().code,
        FaultCode::NotValidated,
        "an hour is over"
    );
    world.redeem("service-center", "R1", code, false).unwrap();
    let closed = world.close("R1", code, "Operator 7").unwrap();
    assert_eq!((closed.state, closed.repeated), (State::Used, false));
    let again = world.close("R1", code, "Operator 7").unwrap();
    assert_eq!((again.closed_at, again.repeated), (closed.closed_at, true));
    assert_eq!(
        world.close("R1", code, "Operator 8").unwrap_err().state,
        Some(State::Used),
        "the operator counts"
    );
    assert_eq!(world.redeem("portal", "R1", code, true).unwrap_err().state, Some(State::Used));
    let operator: String = world.sql("SELECT operator FROM code");
    assert_eq!(operator, "Operator 7");
}

/// Every state against every event: what happens, or what is said.
#[test]
fn the_table_of_states() {
    let mut table = String::new();
    for start in State::ALL {
        for event in ["notice", "void", "refund", "consume", "validate in person", "close"] {
            let mut world = World::new();
            let code = world.in_state(*start);
            let before = world.rows();
            let result = match event {
                "notice" => world.notify("1", code).map(|answer| (answer.state, answer.repeated)),
                "void" => {
                    world.void("1", code, VoidReason::Cancelled).map(|answer| (answer.state, answer.repeated))
                }
                "refund" => {
                    world.void("1", code, VoidReason::Refund).map(|answer| (answer.state, answer.repeated))
                }
                "consume" => {
                    world.redeem("portal", "NEW", code, true).map(|answer| (answer.state, answer.repeated))
                }
                "validate in person" => world
                    .redeem("service-center", "NEW", code, false)
                    .map(|answer| (answer.state, answer.repeated)),
                _ => {
                    let _ = world.redeem("service-center", "NEW", code, false);
                    world.close("NEW", code, "Operator 7").map(|answer| (answer.state, answer.repeated))
                }
            };
            let said = match result {
                Ok((state, repeated)) => format!("{state}{}", if repeated { " (again)" } else { "" }),
                Err(fault) => {
                    assert_eq!(world.rows(), before, "{start} {event}: a fault stores nothing");
                    assert_eq!(fault.state, Some(*start), "{start} {event}");
                    format!("refused: {}", fault.reason.as_str())
                }
            };
            let _ = writeln!(table, "{start} + {event}: {said}");
        }
    }
    expect_test::expect![[r#"
        issued + notice: paid
        issued + void: void
        issued + refund: refused: only a paid, unused code is refunded
        issued + consume: refused: the payment is not confirmed yet; try later
        issued + validate in person: refused: the payment is not confirmed yet; try later
        issued + close: refused: the payment is not confirmed yet; try later
        paid + notice: paid (again)
        paid + void: refused: only a code that is not paid can be voided
        paid + refund: refunded
        paid + consume: used
        paid + validate in person: paid
        paid + close: used
        used + notice: used (again)
        used + void: refused: only a code that is not paid can be voided
        used + refund: refused: only a paid, unused code is refunded
        used + consume: refused: the code was used before
        used + validate in person: refused: the code was used before
        used + close: refused: the code was used before
        void + notice: refused: only an issued code can be paid
        void + void: void (again)
        void + refund: refused: only a paid, unused code is refunded
        void + consume: refused: the payment came to nothing
        void + validate in person: refused: the payment came to nothing
        void + close: refused: the payment came to nothing
        expired + notice: expired (again)
        expired + void: refused: only a code that is not paid can be voided
        expired + refund: refunded
        expired + consume: refused: the code was not redeemed in time
        expired + validate in person: refused: the code was not redeemed in time
        expired + close: refused: the code was not redeemed in time
        refunded + notice: refunded (again)
        refunded + void: refused: only a code that is not paid can be voided
        refunded + refund: refunded (again)
        refunded + consume: refused: the money went back
        refunded + validate in person: refused: the money went back
        refunded + close: refused: the money went back
    "#]]
    .assert_eq(&table);
}

#[test]
fn each_group_may_call_its_operations_and_no_others() {
    let mut world = World::new();
    let code = world.paid("1");
    let requests = world.one_of_each(code);
    let mut table = String::new();
    for who in ["bank", "portal", "service-center", "auditor"] {
        let mut may = Vec::new();
        for request in &requests {
            let before = world.rows();
            match world.ask_any(who, request) {
                Err(fault) if fault.code == FaultCode::NotPermitted && fault.field.is_none() => {
                    assert_eq!(world.rows(), before);
                }
                _ => may.push(request.operation()),
            }
        }
        let _ = writeln!(table, "{who}: {}", may.join(", "));
    }
    expect_test::expect![[r#"
        bank: CreateUpc, VoidUpc, NotifyPayment, GetRegister, CheckIin
        portal: ValidateUpc
        service-center: ValidateUpc, CloseUpc
        auditor: GetRegister, GetStatistics, GetSummary
    "#]]
    .assert_eq(&table);
}

/// A bank that was restored from a backup orders again what it has forgotten.
#[test]
fn an_order_that_is_repeated_is_told_where_its_code_stands() {
    let mut world = World::new();
    let first = world.created("1");
    let again = |world: &mut World, state| {
        let answer = world.created("1");
        assert_eq!((answer.code, answer.valid_until, answer.repeated), (first.code, first.valid_until, true));
        assert_eq!(answer.state, state);
        let codes: i64 = world.sql("SELECT count(*) FROM code");
        assert_eq!(codes, 1);
        // The number alone is not enough to learn that.
        let mut order = world.order("1");
        order.payer = iin(OTHER_IIN);
        assert_eq!(world.ask::<CreateUpcResponse>("bank", &order).unwrap_err().code, FaultCode::Conflict);
    };
    again(&mut world, State::Issued);
    world.notified("1", first.code);
    again(&mut world, State::Paid);
    world.redeem("portal", "R1", first.code, true).unwrap();
    again(&mut world, State::Used);
    assert!(world.notified("1", first.code).repeated, "nor does a notice that is told again");
}

#[test]
fn a_number_that_stands_for_something_else_is_a_conflict() {
    let mut world = World::new();
    let code = world.created("1").code;
    let mut order = world.order("1");
    order.amount = Paid::new(Amount::from_tenge(866)).unwrap();
    assert_eq!(world.ask::<CreateUpcResponse>("bank", &order).unwrap_err().code, FaultCode::Conflict);
    let mut order = world.order("1");
    order.payer = iin(OTHER_IIN);
    assert_eq!(world.ask::<CreateUpcResponse>("bank", &order).unwrap_err().code, FaultCode::Conflict);
    let mut notice = world.notice("1", code);
    notice.amount = Paid::new(Amount::from_tiyn(1)).unwrap();
    assert_eq!(world.ask::<NotifyPaymentResponse>("bank", &notice).unwrap_err().code, FaultCode::Conflict);
    world.notified("1", code);
    let mut notice = world.notice("1", code);
    notice.method = Method::Card;
    assert_eq!(world.ask::<NotifyPaymentResponse>("bank", &notice).unwrap_err().code, FaultCode::Conflict);
    let other = world.paid("2");
    world.redeem("portal", "R1", code, false).unwrap();
    let fault = world.redeem("portal", "R1", other, true).unwrap_err();
    assert_eq!((fault.code, fault.field.unwrap().as_str()), (FaultCode::Conflict, "RequestNumber"));
}

#[test]
fn what_is_not_there_is_unknown_and_nothing_more_is_told() {
    let mut world = World::new();
    let code = world.paid("1");
    let before = world.rows();
    let mut order = world.order("2");
    order.kiosk = KioskNumber::new(5_000).unwrap();
    assert_eq!(world.ask::<CreateUpcResponse>("bank", &order).unwrap_err().code, FaultCode::UnknownKiosk);
    let mut order = world.order("2");
    order.service = "no-such-service".try_into().unwrap();
    assert_eq!(world.ask::<CreateUpcResponse>("bank", &order).unwrap_err().code, FaultCode::UnknownService);
    let nobody = tolem_protocol::PaymentCode::from_random(7);
    let unknown = [
        world.redeem("portal", "R1", nobody, true).unwrap_err(),
        world.redeem_as("portal", "R1", code, OTHER_IIN, "passport-36").unwrap_err(),
        world.redeem_as("portal", "R1", code, IIN, "passport-36").unwrap_err(),
        world.notify("1", nobody).unwrap_err(),
        world.notify("2", code).unwrap_err(),
        world.void("2", code, VoidReason::Refund).unwrap_err(),
    ];
    for fault in &unknown {
        assert_eq!(fault.code, FaultCode::UnknownCode);
    }
    assert_eq!(unknown[0].reason, unknown[1].reason, "whoever guesses learns nothing");
    assert_eq!(unknown[0].reason, unknown[2].reason);
    assert_eq!(world.rows(), before);
}

/// Whoever tries codes is slowed, with a right one too, or trying would go on; the others are not.
#[test]
fn a_portal_that_tries_codes_is_slowed_and_told_of() {
    let mut world = World::new();
    let (code, nobody) = (world.paid("1"), tolem_protocol::PaymentCode::from_random(7));
    let mut alarms = Vec::new();
    for number in 0..100 {
        let question = world.question(&format!("R{number}"), nobody);
        let message = world.signed("portal", &question.to_xml());
        let answer = world.send("portal", &message);
        assert_eq!(answer.fault, Some(FaultCode::UnknownCode), "{number}");
        alarms.extend(answer.alarm);
    }
    assert_eq!(alarms, ["ALARM portal: it asks for codes that do not exist"]);
    let slowed = world.redeem("portal", "R", code, true).unwrap_err();
    assert_eq!(slowed.code, FaultCode::Unavailable);
    assert!(slowed.reason.as_str().contains("ask again in 36 s"), "{slowed:?}");
    assert_eq!(world.redeem("service-center", "R", code, false).unwrap().state, State::Paid);
    // A bank asks for its own codes, again and again if the gateway has lost them, and is not slowed.
    for _ in 0..101 {
        assert_eq!(world.notify("1", nobody).unwrap_err().code, FaultCode::UnknownCode);
    }
    world.wait(36);
    assert_eq!(world.redeem("portal", "R", code, true).unwrap().state, State::Used);
}

#[test]
fn time_ends_what_was_not_redeemed_and_a_paid_code_is_still_refunded() {
    let mut world = World::new();
    let (open, paid) = (world.created("1").code, world.paid("2"));
    world.wait(365 * 86_400 + 1);
    world.renew();
    assert_eq!(world.notify("1", open).unwrap_err().state, Some(State::Expired));
    assert_eq!(world.redeem("portal", "R1", paid, true).unwrap_err().state, Some(State::Expired));
    assert_eq!(world.void("1", open, VoidReason::Refund).unwrap_err().state, Some(State::Expired));
    assert_eq!(world.desk.expire(world.now), Ok(2));
    assert_eq!(world.desk.expire(world.now), Ok(0));
    assert_eq!(world.void("2", paid, VoidReason::Refund).unwrap().state, State::Refunded);
}

#[test]
fn the_very_same_message_is_taken_once() {
    let mut world = World::new();
    let message = world.signed("bank", &world.order("1").to_xml());
    let first = world.send("bank", &message);
    assert_eq!(first.fault, None);
    let before = world.rows();
    assert_eq!(world.send("bank", &message).fault, Some(FaultCode::Replayed));
    world.reopen();
    assert_eq!(world.send("bank", &message).fault, Some(FaultCode::Replayed), "also after a restart");
    world.wait(301);
    assert_eq!(world.send("bank", &message).fault, Some(FaultCode::SignatureRefused), "then it is too old");
    assert_eq!(world.rows(), before);
}

#[test]
fn the_owner_of_the_channel_signs_and_is_registered() {
    let mut world = World::new();
    let message = world.signed("bank", &world.order("1").to_xml());
    assert_eq!(world.send("portal", &message).fault, Some(FaultCode::NotRegistered));
    let stranger = world.signed_by_stranger(&world.order("1").to_xml());
    assert_eq!(world.send("stranger", &stranger).fault, Some(FaultCode::NotRegistered));
    let tampered = message.replace("86500", "86600");
    assert_eq!(world.send("bank", &tampered).fault, Some(FaultCode::SignatureRefused));
    world.revoke("bank");
    assert_eq!(world.send("bank", &message).fault, Some(FaultCode::SignatureRefused));
    assert_eq!(world.count("code") + world.count("record") + world.count("seen"), 0, "nothing of it is kept");
}

/// Each operation with each field missing, doubled, too long, of a wrong type and of a wrong namespace.
#[test]
fn each_wrong_field_of_each_operation_is_named_and_nothing_is_stored() {
    let mut world = World::new();
    let code = world.paid("1");
    let mut tried = 0;
    for request in world.one_of_each(code) {
        let who = world.caller_of(request.operation());
        let good = world.xml_of(&request);
        let before = world.rows();
        for (field, text) in gateway_world::fields(&good) {
            let element = format!("<t:{field}>{text}</t:{field}>");
            let cases = [
                String::new(),
                format!("{element}{element}"),
                format!("<t:{field}>{}</t:{field}>", "9".repeat(300)),
                format!("<t:{field}>\u{1f}?</t:{field}>").replace('\u{1f}', "!"),
                format!("<t:{field}></t:{field}>"),
                format!("<t:{field}><t:x/></t:{field}>"),
                format!("<t:{field} a=\"b\">{text}</t:{field}>"),
                format!("<{field} xmlns=\"urn:other\">{text}</{field}>"),
                format!("<t:Unknown/>{element}"),
                format!("text{element}"),
            ];
            for (number, case) in cases.iter().enumerate() {
                let optional = ["BankReference", "LastDay"].contains(&field.as_str()) && number == 0;
                // A line of text takes almost everything.
                let line = field == "Operator" && number == 3;
                if optional || line {
                    continue;
                }
                let fault = world.ask_xml(&who, &good.replacen(&element, case, 1)).unwrap_err();
                assert_eq!(fault.code, FaultCode::InvalidField, "{} {case}: {fault:?}", request.operation());
                let named = fault.field.unwrap();
                let expected = [field.as_str(), "Unknown", request.operation()];
                assert!(expected.contains(&named.as_str()), "{case}: names {named}");
                tried += 1;
            }
        }
        assert_eq!(world.rows(), before, "{} stored nothing", request.operation());
    }
    assert!(tried > 400, "{tried} cases");
}

#[test]
fn sums_that_are_no_sums_are_refused() {
    let mut world = World::new();
    let good = world.order("1").to_xml();
    for amount in [
        "-1",
        "0",
        "-0",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "100000000000001",
        "18446744073709551616",
        "NaN",
        "1 000",
        "١",
    ] {
        let fault = world.ask_xml("bank", &good.replace(">86500<", &format!(">{amount}<"))).unwrap_err();
        assert_eq!(fault.field.unwrap().as_str(), "AmountTiyn", "{amount}");
    }
    for (field, from, to) in [
        ("PayerIin", IIN, "000101300018"),
        ("PayerIin", IIN, "991231500016"),
        ("Kiosk", ">42<", ">0<"),
        ("Kiosk", ">42<", ">100000<"),
        ("ServiceCode", "id-card", "ID-CARD"),
    ] {
        let fault = world.ask_xml("bank", &good.replace(from, to)).unwrap_err();
        assert_eq!(fault.field.unwrap().as_str(), field, "{to}");
    }
    assert_eq!(world.count("code"), 0);
    let unknown = world.ask_xml("bank", "<t:Steal xmlns:t=\"urn:tolem:gateway:1\"/>").unwrap_err();
    assert_eq!(unknown.code, FaultCode::UnknownOperation);
    let foreign = world.ask_xml("bank", &good.replace("urn:tolem:gateway:1", "urn:other")).unwrap_err();
    assert_eq!(foreign.code, FaultCode::InvalidField);
}

#[test]
fn every_taken_message_is_kept_with_time_and_seal_and_names_nobody_on_disk() {
    let mut world = World::new();
    let code = world.paid("1");
    let _ = world.notify("9", code);
    world.redeem("portal", "R1", code, true).unwrap();
    assert_eq!(world.audit(), Ok(3), "code, notice, use; the refused one left nothing");
    let bytes = world.database_bytes();
    let found = bytes.windows(12).any(|window| window == IIN.as_bytes());
    assert!(!found, "no IIN is readable in the database");
    world.execute("UPDATE record SET arrived_at = arrived_at + 1 WHERE number = 2");
    assert!(world.audit().unwrap_err().contains("record 2"));
    world.execute("UPDATE record SET arrived_at = arrived_at - 1 WHERE number = 2");
    assert_eq!(world.audit(), Ok(3));
    world.execute("DELETE FROM record WHERE number = 2");
    assert!(world.audit().unwrap_err().contains("record 3"));
}

fn register_of(bank: &str, day: Date, skip: u64, last_day: Option<Date>) -> GetRegister {
    let (message_id, name) = (Token::random(), token(bank));
    GetRegister { message_id, owner: Owner::Bank, name, day, skip, last_day }
}

#[test]
fn a_register_of_several_days_comes_in_pages() {
    let mut world = World::new();
    let first = world.now.date();
    let mut wanted = Vec::new();
    for number in 0..205 {
        let transaction = format!("T{number}");
        world.paid(&transaction);
        wanted.push(transaction);
        world.wait(1_200);
        if number % 60 == 0 {
            world.renew();
        }
    }
    let (last, mut read, mut pages) = (world.now.date(), Vec::new(), 0);
    assert!(last > first);
    loop {
        let question = register_of("bank", first, read.len() as u64, Some(last));
        let page: GetRegisterResponse = world.ask("bank", &question).unwrap();
        assert_eq!((page.count, page.total), (205, Amount::from_tenge(205 * 865)));
        assert!(page.entries.len() <= 100);
        read.extend(page.entries.into_iter().map(|entry| entry.transaction.to_string()));
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, read), (3, wanted), "in order of arrival, each once");
    // One day alone, as before; and each day of the range is in it once.
    let mut days = 0;
    let mut day = first;
    while day <= last {
        let one: GetRegisterResponse = world.ask("bank", &register_of("bank", day, 0, None)).unwrap();
        let same: GetRegisterResponse = world.ask("bank", &register_of("bank", day, 0, Some(day))).unwrap();
        assert_eq!((one.count, one.entries), (same.count, same.entries));
        days += one.count;
        day = day.starts_at().plus_seconds(86_400).date();
    }
    assert_eq!(days, 205);
    let before = first.starts_at().plus_seconds(-86_400).date();
    let far = first.starts_at().plus_seconds(366 * 86_400).date();
    for wrong in [before, far] {
        let fault = world.ask::<GetRegisterResponse>("bank", &register_of("bank", first, 0, Some(wrong)));
        assert_eq!(fault.unwrap_err().field.unwrap().as_str(), "LastDay");
    }
}

#[test]
fn registers_statistics_and_summaries_add_up() {
    let mut world = World::new();
    for number in 0..103 {
        let code = world.paid(&format!("T{number}"));
        match number {
            0 => drop(world.redeem("portal", "R0", code, true).unwrap()),
            1 => drop(world.void("T1", code, VoidReason::Refund).unwrap()),
            _ => {}
        }
    }
    world.created("unpaid");
    let open = world.created("void").code;
    world.void("void", open, VoidReason::Cancelled).unwrap();
    let day = world.now.date();
    let mut entries = 0;
    for (skip, more, on_page) in [(0, true, 100), (100, false, 3), (u64::MAX, false, 0)] {
        let question = register_of("bank", day, skip, None);
        let page: GetRegisterResponse = world.ask("bank", &question).unwrap();
        assert_eq!((page.count, page.total), (103, Amount::from_tenge(103 * 865)));
        assert_eq!((page.more, page.entries.len()), (more, on_page));
        entries += page.entries.len();
    }
    assert_eq!(entries, 103);
    let foreign = register_of("other", day, 0, None);
    assert_eq!(world.ask::<GetRegisterResponse>("bank", &foreign).unwrap_err().code, FaultCode::NotPermitted);
    let mut text = String::new();
    for by in By::ALL {
        let question = GetStatistics { message_id: Token::random(), by: *by, from: day, to: day };
        let answer: GetStatisticsResponse = world.ask("auditor", &question).unwrap();
        for row in answer.rows {
            let _ = writeln!(text, "{by} {}: {} {:?}", row.key, row.count, row.total);
        }
    }
    for period in Period::ALL {
        let question = GetSummary { message_id: Token::random(), period: *period, day };
        let sum: GetSummaryResponse = world.ask("auditor", &question).unwrap();
        let _ = writeln!(
            text,
            "{period} {:?}..{:?}: issued {} paid {} {:?} used {} {:?} void {} expired {} refunded {} {:?}",
            sum.from,
            sum.to,
            sum.issued,
            sum.paid,
            sum.paid_total,
            sum.used,
            sum.used_total,
            sum.void,
            sum.expired,
            sum.refunded,
            sum.refunded_total
        );
        let claim = &sum.claims[0];
        assert_eq!((claim.bank.as_str(), claim.notified, sum.claims.len()), ("bank", 103, 1));
        assert_eq!(claim.notified_total - claim.refunded_total, Amount::from_tenge(102 * 865));
    }
    expect_test::expect![[r#"
        service id-card: 103 89095.00₸
        provider 991240000013: 103 89095.00₸
        bank bank: 103 89095.00₸
        kiosk 00042: 103 89095.00₸
        method cash: 103 89095.00₸
        day 2026-11-26: 103 89095.00₸
        hour 18: 103 89095.00₸
        day 2026-11-26..2026-11-26: issued 105 paid 103 89095.00₸ used 1 865.00₸ void 1 expired 0 refunded 1 865.00₸
        week 2026-11-23..2026-11-29: issued 105 paid 103 89095.00₸ used 1 865.00₸ void 1 expired 0 refunded 1 865.00₸
        month 2026-11-01..2026-11-30: issued 105 paid 103 89095.00₸ used 1 865.00₸ void 1 expired 0 refunded 1 865.00₸
    "#]]
    .assert_eq(&text);
    let backwards =
        GetStatistics { message_id: Token::random(), by: By::Day, from: day, to: UtcTime(0).date() };
    assert_eq!(
        world.ask::<GetStatisticsResponse>("auditor", &backwards).unwrap_err().code,
        FaultCode::InvalidField
    );
}

#[test]
fn the_registry_knows_right_wrong_and_silent() {
    let mut world = World::new();
    let ask = |world: &mut World, who: &str| {
        let question = CheckIin { message_id: Token::random(), iin: iin(who) };
        world.ask::<CheckIinResponse>("bank", &question)
    };
    let right = ask(&mut world, IIN).unwrap();
    assert_eq!((right.known, right.name.unwrap().as_str()), (true, "А••• Б•••"));
    assert!(!ask(&mut world, "500228200900").unwrap().known);
    world.faults.registry_down.set(true);
    assert_eq!(ask(&mut world, IIN).unwrap_err().code, FaultCode::Unavailable, "silence is not wrong");
}
