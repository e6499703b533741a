//! Broken frames, refusals, faults, reboots and silence.

use super::*;

#[test]
fn a_broken_checksum_gets_a_nak_and_another_poll() {
    check_enabled(
        "poll bad 80 03; poll bad 80 03; poll 80 03",
        expect![[r#"
            1150   host POLL | dev bad checksum | host NAK
            1350   host POLL | dev bad checksum | host NAK
            1550   host POLL | dev ESCROW type 3 | host ACK
            1555     = Escrowed { index: 3 }
        "#]],
    );
}

#[test]
fn a_broken_identification_is_asked_three_times_then_reset() {
    check(
        "37 bad 00; poll 10; poll 19; run 1500",
        expect![[r#"
            0      host POLL | dev POWER UP | host ACK
            5        = PoweredUp(Empty)
            25     host RESET | dev ACK
            50     host POLL | dev DISABLED | host ACK
            75     host IDENTIFICATION | dev bad checksum | host NAK
            160    host IDENTIFICATION | dev bad checksum | host NAK
            245    host IDENTIFICATION | dev bad checksum | host NAK
            330    host POLL | dev DISABLED | host ACK
            830    host POLL | dev DISABLED | host ACK
            1330   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn an_unordered_note_of_an_inhibited_type_is_returned() {
    check_enabled(
        "poll 80 07; poll 18; poll 82 07; poll 14; run 100",
        expect![[r#"
            1150   host POLL | dev ESCROW type 7 | host ACK
            1155     = Rejected(Inhibited)
            1175   host RETURN | dev ACK
            1200   host POLL | dev RETURNING | host ACK
            1400   host POLL | dev RETURNED type 7 | host ACK
            1600   host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_note_stacked_without_escrow_is_reported() {
    check_enabled(
        "auto; poll 15; poll 17; poll 81 04; poll 14",
        expect![[r#"
            1150   host POLL | dev ACCEPTING | host ACK
            1155     = Accepting
            1350   host POLL | dev STACKING | host ACK
            1550   host POLL | dev STACKED type 4
            1555     = Stacked { index: 4 }
            1555   host ACK
            1750   host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn refusals_are_told_once_each() {
    check_enabled(
        "poll 1c 60; poll 1c 60; poll 1c 68; poll 1c 6a; poll 1c 77; poll 46; poll 46; poll 84 01; poll 90 01; poll 14",
        expect![[r#"
            1150   host POLL | dev REJECTING 60 insertion | host ACK
            1155     = Rejected(Unread)
            1350   host POLL | dev REJECTING 60 insertion | host ACK
            1550   host POLL | dev REJECTING 68 inhibited type | host ACK
            1555     = Rejected(Inhibited)
            1750   host POLL | dev REJECTING 6a operation | host ACK
            1755     = Rejected(Other(106))
            1950   host POLL | dev REJECTING 77 unknown | host ACK
            1955     = Rejected(Other(119))
            2150   host POLL | dev PAUSE | host ACK
            2155     = Rejected(TooFast)
            2350   host POLL | dev PAUSE | host ACK
            2550   host POLL | dev SUSPECT BILL 01 | host ACK
            2555     = Rejected(Other(132))
            2750   host POLL | dev COUNTERFEIT 01 | host ACK
            2755     = Rejected(Other(144))
            2950   host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn faults_are_raised_once_and_cleared_once() {
    check_enabled(
        "poll 45; poll 14; poll 43; poll 43; poll 44; poll 47 50; poll 47 77; poll c3; poll 14; poll 14",
        expect![[r#"
            1150   host POLL | dev CHEATED | host ACK
            1155     = Fault(Cheated, true)
            1350   host POLL | dev IDLING | host ACK
            1355     = Fault(Cheated, false)
            1550   host POLL | dev VALIDATOR JAMMED | host ACK
            1555     = Fault(ValidatorJam, true)
            1750   host POLL | dev VALIDATOR JAMMED | host ACK
            1950   host POLL | dev CASSETTE JAMMED | host ACK
            1955     = Fault(ValidatorJam, false)
            1955     = Fault(CassetteJam, true)
            2150   host POLL | dev FAILURE 50 stacker motor | host ACK
            2155     = Fault(CassetteJam, false)
            2155     = Fault(Failure(80), true)
            2350   host POLL | dev FAILURE 77 unknown | host ACK
            2355     = Fault(Failure(80), false)
            2355     = Fault(Failure(119), true)
            2550   host POLL | dev state c3 (unknown) | host ACK
            2555     = Fault(Failure(119), false)
            2555     = Fault(Failure(195), true)
            2750   host POLL | dev IDLING | host ACK
            2755     = Fault(Failure(195), false)
            2950   host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_cassette_taken_out_and_put_back_ends_in_ready() {
    check_enabled(
        "poll 42; poll 42; poll 13; poll 19; run 100; cmd enable 1e; poll 14; poll 41; poll 41; poll 19; run 50",
        expect![[r#"
            1150   host POLL | dev CASSETTE OUT | host ACK
            1155     = Fault(CassetteOut, true)
            1350   host POLL | dev CASSETTE OUT | host ACK
            1550   host POLL | dev INITIALIZE | host ACK
            1750   host POLL | dev DISABLED | host ACK
            1755     = Fault(CassetteOut, false)
            1755     = Ready
            1855     < Enable { types: 30 }
            1855   host ENABLE BILL TYPES 00001e escrow 00001e | dev ACK
            1950   host POLL | dev IDLING | host ACK
            2150   host POLL | dev CASSETTE FULL | host ACK
            2155     = Fault(CassetteFull, true)
            2350   host POLL | dev CASSETTE FULL | host ACK
            2550   host POLL | dev DISABLED | host ACK
            2555     = Fault(CassetteFull, false)
            2555     = Ready
        "#]],
    );
}

#[test]
fn a_unit_that_disables_itself_says_ready_again() {
    check_enabled(
        "run 1000; poll 19; run 300",
        expect![[r#"
            1150   host POLL | dev IDLING | host ACK
            1350   host POLL | dev IDLING | host ACK
            1550   host POLL | dev IDLING | host ACK
            1750   host POLL | dev IDLING | host ACK
            1950   host POLL | dev IDLING | host ACK
            2150   host POLL | dev DISABLED | host ACK
            2155     = Ready
            2350   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn inhibiting_is_repeated_until_it_is_seen() {
    check_enabled(
        "34 -; cmd enable 0; run 1000; 34 00; run 6000; poll 14; run 300; poll 19",
        expect![[r#"
            955      < Enable { types: 0 }
            975    host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
            1275   host POLL | dev IDLING | host ACK
            1300   host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
            1600   host POLL | dev IDLING | host ACK
            1625   host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
            1925   host POLL | dev IDLING | host ACK
            2125   host POLL | dev IDLING | host ACK
            2325   host POLL | dev IDLING | host ACK
            2525   host POLL | dev IDLING | host ACK
            2725   host POLL | dev IDLING | host ACK
            2925   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            2950   host POLL | dev IDLING | host ACK
            3450   host POLL | dev IDLING | host ACK
            3950   host POLL | dev IDLING | host ACK
            3975   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            4450   host POLL | dev IDLING | host ACK
            4950   host POLL | dev IDLING | host ACK
            5450   host POLL | dev IDLING | host ACK
            5475   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            5950   host POLL | dev IDLING | host ACK
            6450   host POLL | dev IDLING | host ACK
            6950   host POLL | dev IDLING | host ACK
            6975   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            7450   host POLL | dev IDLING | host ACK
            7950   host POLL | dev IDLING | host ACK
            8450   host POLL | dev IDLING | host ACK
            8475   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            8950   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_busy_unit_is_polled_but_not_commanded() {
    check_enabled(
        "poll 1b 05; cmd enable 0; run 600; poll 19; run 100",
        expect![[r#"
            1150   host POLL | dev BUSY 500 ms | host ACK
            1155     < Enable { types: 0 }
            1350   host POLL | dev BUSY 500 ms | host ACK
            1550   host POLL | dev BUSY 500 ms | host ACK
            1750   host POLL | dev BUSY 500 ms | host ACK
            1950   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_reboot_while_accepting_starts_over() {
    check_enabled(
        "poll 80 03; cmd stack; poll 12; poll 13; poll 81 03; cmd ack; poll 19; run 200",
        expect![[r#"
            1150   host POLL | dev ESCROW type 3 | host ACK
            1155     = Escrowed { index: 3 }
            1155     < Stack
            1175   host STACK | dev ACK
            1200   host POLL | dev POWER UP, bill in stacker | host ACK
            1205     = PoweredUp(NoteInStacker)
            1225   host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            1250   host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            1255     = Identified SM-KZ1353 12KC004711 4 bills
            1275   host RESET | dev ACK
            1300   host POLL | dev INITIALIZE | host ACK
            1500   host POLL | dev STACKED type 3
            1505     = Stacked { index: 3 }
            1505     < Acknowledge
            1505   host ACK
            1700   host POLL | dev DISABLED | host ACK
            1725   host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            1750   host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            1775   host SET SECURITY 000000 | dev ACK
            1800   host STACKED COUNTER | dev state 00 (unknown) | host ACK
            1825   host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            1830     = Identified SM-KZ1353 12KC004711 4 bills
            1830     = Counter(42)
            1830     = Ready
            1900   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_reboot_before_our_ack_arrived_is_not_a_second_note() {
    check_enabled(
        "auto; poll 80 03; cmd stack; poll 81 03; poll 12; poll 13; poll 81 03; poll 19",
        expect![[r#"
            1150   host POLL | dev ESCROW type 3 | host ACK
            1155     = Escrowed { index: 3 }
            1155     < Stack
            1175   host STACK | dev ACK
            1200   host POLL | dev STACKED type 3
            1205     = Stacked { index: 3 }
            1205   host ACK
            1400   host POLL | dev POWER UP, bill in stacker | host ACK
            1405     = PoweredUp(Empty)
            1425   host RESET | dev ACK
            1450   host POLL | dev INITIALIZE | host ACK
            1650   host POLL | dev STACKED type 3 | host ACK
            1850   host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn silence_is_absence_and_ends_in_finding() {
    check_enabled(
        "poll -; run 17000; poll 19; poll 13; poll 19; run 300",
        expect![[r#"
            1150   host POLL (no answer)
            1450   host POLL (no answer)
            1750   host POLL (no answer)
            2050   host POLL (no answer)
            2350   host POLL (no answer)
            2650   host POLL (no answer)
            2950   host POLL (no answer)
            3250   host POLL (no answer)
            3550   host POLL (no answer)
            3850   host POLL (no answer)
            4150   host POLL (no answer)
            4450   host POLL (no answer)
            4750   host POLL (no answer)
            5050   host POLL (no answer)
            5350   host POLL (no answer)
            5650   host POLL (no answer)
            5950   host POLL (no answer)
            6200     = Fault(Absent, true)
            6250   host POLL (no answer)
            6550   host POLL (no answer)
            6850   host POLL (no answer)
            7150   host POLL (no answer)
            7450   host POLL (no answer)
            7750   host POLL (no answer)
            8050   host POLL (no answer)
            8350   host POLL (no answer)
            8650   host POLL (no answer)
            8950   host POLL (no answer)
            9250   host POLL (no answer)
            9550   host POLL (no answer)
            9850   host POLL (no answer)
            10150  host POLL (no answer)
            10450  host POLL (no answer)
            10750  host POLL (no answer)
            11050  host POLL (no answer)
            11350  host POLL (no answer)
            11650  host POLL (no answer)
            11950  host POLL (no answer)
            12250  host POLL (no answer)
            12550  host POLL (no answer)
            12850  host POLL (no answer)
            13150  host POLL (no answer)
            13450  host POLL (no answer)
            13750  host POLL (no answer)
            14050  host POLL (no answer)
            14350  host POLL (no answer)
            14650  host POLL (no answer)
            14950  host POLL (no answer)
            15250  host POLL (no answer)
            15550  host POLL (no answer)
            15850  host POLL (no answer)
            16150  host POLL (no answer)
            16450  host RESET | dev ACK
            16455    = Fault(Absent, false)
            16475  host POLL (no answer)
            16775  host POLL (no answer)
            17075  host POLL (no answer)
            17375  host POLL (no answer)
            17675  host POLL (no answer)
            17975  host POLL (no answer)
            18275  host POLL | dev DISABLED | host ACK
            18280    = PoweredUp(Kept)
            18300  host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            18325  host RESET | dev ACK
            18350  host POLL | dev INITIALIZE | host ACK
            18550  host POLL | dev DISABLED | host ACK
            18575  host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            18600  host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            18625  host SET SECURITY 000000 | dev ACK
            18650  host STACKED COUNTER | dev state 00 (unknown) | host ACK
            18675  host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            18680    = Identified SM-KZ1353 12KC004711 4 bills
            18680    = Counter(42)
            18680    = Ready
            18750  host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn an_absent_unit_with_a_note_in_its_path_is_not_reset() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd stack; poll -; run 60000");
    assert!(!bench.log.contains("RESET"), "{}", bench.log);
    assert!(bench.events.contains(&Event::Fault(AcceptorFault::Absent, true)));
    bench.log.clear();
    bench.run_more("auto; poll 81 03; poll 81 03; poll 14; run 50");
    expect![[r#"
        61500  host POLL | dev STACKED type 3
        61505    = Fault(Absent, false)
        61655  host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
        61680  host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
        61685    = Identified SM-KZ1353 12KC004711 4 bills
        61685    = Stacked { index: 3 }
        61705  host POLL | dev STACKED type 3 | host ACK
        61905  host POLL | dev IDLING | host ACK
        61910    = PoweredUp(Kept)
        61930  host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
        61955  host RESET | dev ACK
    "#]]
    .assert_eq(&bench.log);
}

#[test]
fn an_undecided_note_is_held_for_a_minute_then_returned() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; run 65000");
    assert_eq!(bench.log.matches("HOLD").count(), 11, "{}", bench.log);
    assert!(bench.log.contains("RETURN"));
}

#[test]
fn a_note_that_neither_arrives_nor_returns_is_a_jam_and_gets_one_reset() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd stack; poll 17; run 39000");
    assert_eq!(bench.events.last(), Some(&Event::Fault(AcceptorFault::ValidatorJam, true)));
    bench.run_more("run 2000");
    assert_eq!(bench.log.matches("RESET").count(), 1, "{}", bench.log);
    assert_eq!(bench.events.last(), Some(&Event::PoweredUp(PowerUp::Kept)));
    bench.run_more("run 20000; poll 43; poll 19; run 300");
    assert!(bench.events.ends_with(&[Event::Ready]), "{:?}", bench.events);
    assert!(bench.events.contains(&Event::Fault(AcceptorFault::ValidatorJam, false)));
}

#[test]
fn a_note_not_taken_from_the_slot_is_left_there_for_two_minutes() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd return; poll 18; run 140000");
    assert!(!bench.log.contains("RESET"));
    bench.run_more("auto; poll 82 03; poll 14");
    assert!(
        bench
            .events
            .ends_with(&[Event::Fault(AcceptorFault::ValidatorJam, false), Event::Returned { index: 3 }])
    );
}

#[test]
fn a_note_seen_nowhere_is_settled_by_a_new_start() {
    check_enabled(
        "poll 80 03; cmd stack; poll 17; poll 14; run 100",
        expect![[r#"
            1150   host POLL | dev ESCROW type 3 | host ACK
            1155     = Escrowed { index: 3 }
            1155     < Stack
            1175   host STACK | dev ACK
            1200   host POLL | dev STACKING | host ACK
            1400   host POLL | dev IDLING | host ACK
            1405     = PoweredUp(Kept)
            1425   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            1450   host RESET | dev ACK
            1475   host POLL | dev IDLING | host ACK
            1500   host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
        "#]],
    );
}

#[test]
fn without_a_counter_there_is_no_counter_event() {
    let mut bench = Bench::run("5B 30; 32 30; 31 30; poll 10; poll 19; run 500");
    assert_eq!(bench.events.last(), Some(&Event::Ready), "{}", bench.log);
    bench.run_more("auto; cmd enable 8; poll 14; poll 80 03; cmd stack; poll 81 03; poll 14; run 500");
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Counter(_))));
}

#[test]
fn only_bills_of_accepted_countries_have_a_value() {
    let bench = Bench::run("poll 10; poll 19; run 500");
    let identity = bench.events.iter().find_map(|event| match event {
        Event::Identified(identity) => Some(identity.clone()),
        _ => None,
    });
    let bills: Vec<_> =
        identity.unwrap().bills.iter().map(|bill| (bill.index, bill.denomination.0)).collect();
    assert_eq!(bills, [(1, 500), (2, 1000), (3, 2000), (4, 5000)]);
}

#[test]
fn initialisation_that_never_ends_is_reset_again() {
    let bench = Bench::run("poll 10; poll 13; run 100000");
    assert_eq!(bench.log.matches("RESET").count(), 3, "{}", bench.log);
    assert_eq!(bench.events, [Event::PoweredUp(PowerUp::Empty)]);
}

/// 81 came before its table was known, and the power went before the table was read: the kiosk was never told, so nobody waits for it.
#[test]
fn power_lost_while_the_table_is_asked_does_not_wait_for_an_acknowledgement() {
    let mut bench = Bench::run("37 -; auto; poll 81 03; poll 10; poll 10; run 3000");
    assert!(bench.log.contains("host RESET"), "{}", bench.log);
    bench.run_more("poll 13; poll 81 03; poll 81 03; poll 19; run 20000");
    assert_eq!(
        bench.events.iter().filter(|event| **event == Event::Stacked { index: 3 }).count(),
        1,
        "{}",
        bench.log
    );
}

/// A slow disk or a receipt to draw: nothing was asked, so nothing was left unanswered.
#[test]
fn silence_while_the_program_stood_still_is_not_the_acceptors() {
    let mut bench = Bench::enabled(0x1e);
    bench.now += 8_000;
    bench.driver.handle_timeout(Instant(bench.now));
    bench.drain();
    bench.run_more("poll 14; poll 14");
    assert!(bench.events.is_empty(), "{}", bench.log);
}
