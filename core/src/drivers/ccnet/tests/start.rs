//! What is found at start-up, and how `Ready` is reached.

use super::*;

#[test]
fn cold_start_resets_identifies_and_is_ready() {
    check(
        "poll 10; poll 13; poll 19; run 600",
        expect![[r#"
            0      host POLL | dev POWER UP | host ACK
            5        = PoweredUp(Empty)
            25     host RESET | dev ACK
            50     host POLL | dev INITIALIZE | host ACK
            250    host POLL | dev DISABLED | host ACK
            275    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            300    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            325    host SET SECURITY 000000 | dev ACK
            350    host STACKED COUNTER | dev state 00 (unknown) | host ACK
            375    host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            380      = Identified SM-KZ1353 12KC004711 4 bills
            380      = Counter(42)
            380      = Ready
            450    host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_unit_that_kept_its_power_is_inhibited_and_reset() {
    check(
        "poll 14; poll 13; poll 19; run 300",
        expect![[r#"
            0      host POLL | dev IDLING | host ACK
            5        = PoweredUp(Kept)
            25     host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            50     host RESET | dev ACK
            75     host POLL | dev INITIALIZE | host ACK
            275    host POLL | dev DISABLED | host ACK
            300    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            325    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            350    host SET SECURITY 000000 | dev ACK
            375    host STACKED COUNTER | dev state 00 (unknown) | host ACK
            400    host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            405      = Identified SM-KZ1353 12KC004711 4 bills
            405      = Counter(42)
            405      = Ready
            475    host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_note_found_in_the_validator_goes_back_to_the_citizen() {
    check(
        "poll 11; poll 13; poll 18; poll 19; run 300",
        expect![[r#"
            0      host POLL | dev POWER UP, bill in validator | host ACK
            5        = PoweredUp(NoteReturned)
            25     host RESET | dev ACK
            50     host POLL | dev INITIALIZE | host ACK
            250    host POLL | dev RETURNING | host ACK
            450    host POLL | dev DISABLED | host ACK
            475    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            500    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            525    host SET SECURITY 000000 | dev ACK
            550    host STACKED COUNTER | dev state 00 (unknown) | host ACK
            575    host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            580      = Identified SM-KZ1353 12KC004711 4 bills
            580      = Counter(42)
            580      = Ready
            650    host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_note_found_in_the_stacker_is_reported_after_initialisation() {
    check(
        "poll 12; poll 13; poll 81 03; poll 81 03; cmd ack; poll 19; run 300",
        expect![[r#"
            0      host POLL | dev POWER UP, bill in stacker | host ACK
            5        = PoweredUp(NoteInStacker)
            25     host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            50     host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            55       = Identified SM-KZ1353 12KC004711 4 bills
            75     host RESET | dev ACK
            100    host POLL | dev INITIALIZE | host ACK
            300    host POLL | dev STACKED type 3
            305      = Stacked { index: 3 }
            500    host POLL | dev STACKED type 3
            505      = Stacked { index: 3 }
            505      < Acknowledge
            505    host ACK
            700    host POLL | dev DISABLED | host ACK
            725    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            750    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            775    host SET SECURITY 000000 | dev ACK
            800    host STACKED COUNTER | dev state 00 (unknown) | host ACK
            825    host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
            830      = Identified SM-KZ1353 12KC004711 4 bills
            830      = Counter(42)
            830      = Ready
            900    host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_pending_stacked_is_handed_over_before_reset() {
    check(
        "37 30; poll 81 03; poll 81 03; poll 81 03; cmd ack; poll 14; run 50",
        expect![[r#"
            0      host POLL | dev STACKED type 3
            155    host IDENTIFICATION | dev ILLEGAL COMMAND
            160      = Stacked { index: 3 }
            200    host POLL | dev STACKED type 3
            205      = Stacked { index: 3 }
            400    host POLL | dev STACKED type 3
            405      = Stacked { index: 3 }
            405      < Acknowledge
            405    host ACK
            600    host POLL | dev IDLING | host ACK
            605      = PoweredUp(Kept)
            625    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            650    host RESET | dev ACK
        "#]],
    );
}

#[test]
fn a_pending_returned_is_handed_over_before_reset() {
    check(
        "poll 82 02; poll 82 02; cmd ack; poll 19; run 50",
        expect![[r#"
            0      host POLL | dev RETURNED type 2
            155    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            180    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            185      = Identified SM-KZ1353 12KC004711 4 bills
            185      = Returned { index: 2 }
            205    host POLL | dev RETURNED type 2
            210      = Returned { index: 2 }
            210      < Acknowledge
            210    host ACK
            210      = PoweredUp(Kept)
            230    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            255    host RESET | dev ACK
            280    host POLL | dev DISABLED | host ACK
            305    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            330    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
        "#]],
    );
}

#[test]
fn feeding_note_after_note_cannot_keep_a_started_kiosk_from_shutting_the_slot() {
    // The bill types of the program's life before are still enabled, and the citizen is quicker than a poll.
    let mut bench = Bench::run("auto; poll 8000; poll 18; poll 8200");
    for _ in 0..3 {
        bench.run_more("poll 8000; poll 18; poll 8200");
    }
    let shut = bench.log.matches("ENABLE BILL TYPES 000000").count();
    assert!(shut > 0 && bench.events.contains(&Event::PoweredUp(PowerUp::Kept)), "{}", bench.log);
}

#[test]
fn a_note_found_in_escrow_is_returned() {
    check(
        "auto; poll 80 03; poll 18; poll 82 03; poll 82 03; poll 14; run 50",
        expect![[r#"
            0      host POLL | dev ESCROW type 3 | host ACK
            25     host RETURN | dev ACK
            50     host POLL | dev RETURNING | host ACK
            250    host POLL | dev RETURNED type 3
            405    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
            430    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
            435      = Identified SM-KZ1353 12KC004711 4 bills
            435      = Returned { index: 3 }
            435      = PoweredUp(Kept)
            455    host POLL | dev RETURNED type 3 | host ACK
            480    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            505    host RESET | dev ACK
            530    host POLL | dev IDLING | host ACK
            555    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
            580    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
        "#]],
    );
}

#[test]
fn a_note_that_nobody_can_value_is_said_again_when_the_table_is_known() {
    let mut bench = Bench::new();
    let answers = bench.answers.clone();
    bench.run_more("37 30; 41 30; poll 81 03; poll 81 03; cmd learn");
    bench.answers = answers;
    bench.run_more("poll 13; poll 81 03; cmd ack; poll 19; run 300");
    expect![[r#"
        0      host POLL | dev STACKED type 3
        155    host IDENTIFICATION | dev ILLEGAL COMMAND
        160      = Stacked { index: 3 }
        200    host POLL | dev STACKED type 3
        205      = Stacked { index: 3 }
        205      < Learn
        205      = PoweredUp(Kept)
        355    host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
        380    host RESET | dev ACK
        405    host POLL | dev INITIALIZE | host ACK
        430    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
        455    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
        460      = Identified SM-KZ1353 12KC004711 4 bills
        605    host POLL | dev STACKED type 3
        610      = Stacked { index: 3 }
        610      < Acknowledge
        610    host ACK
        805    host POLL | dev DISABLED | host ACK
        830    host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
        855    host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
        880    host SET SECURITY 000000 | dev ACK
        905    host STACKED COUNTER | dev state 00 (unknown) | host ACK
        930    host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
        935      = Identified SM-KZ1353 12KC004711 4 bills
        935      = Counter(42)
        935      = Ready
        1005   host POLL | dev DISABLED | host ACK
    "#]]
    .assert_eq(&bench.log);
}

#[test]
fn a_device_that_keeps_its_table_to_itself_is_not_reset_without_end() {
    let mut bench =
        Bench::run("37 30; 41 30; poll 81 03; cmd learn; poll 13; poll 81 03; cmd learn; run 3000");
    let resets = |bench: &Bench| bench.log.matches("host RESET").count();
    assert_eq!(resets(&bench), 1, "{}", bench.log);
    bench.run_more("run 40000; cmd learn; poll 81 03; run 1000");
    assert_eq!(resets(&bench), 2, "{}", bench.log);
}
