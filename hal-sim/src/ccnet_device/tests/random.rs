//! Commands, hands and faults in any order: the conservation of notes.

use super::*;

#[test]
fn random_commands_and_hands_never_lose_or_double_a_note() {
    for seed in 0..60 {
        let mut dice = crate::line::Dice::new(seed);
        let mut host = Host::new(CcnetConfig { seed, capacity: 8, ..CcnetConfig::default() });
        let mut inserted = 0;
        let (mut credited, mut armed) = (0u32, true);
        for _ in 0..400 {
            let before = host.device.counter();
            match dice.below(22) {
                0..=8 => {
                    let status = match host.ask(Command::Poll) {
                        Answer::Data(data) => Some(PollStatus::parse(&data).unwrap()),
                        _ => None,
                    };
                    let stacked = matches!(status, Some(PollStatus::Stacked(_)));
                    if stacked && armed {
                        credited += 1;
                        armed = false;
                    }
                    if dice.chance(700) {
                        host.send(&Command::Ack.frame());
                        armed |= stacked;
                    }
                }
                9 => host.enable_if_on(),
                10 => drop(host.ask(Command::Stack)),
                11 => drop(host.ask(Command::Return)),
                12 => drop(host.ask(Command::Hold)),
                13 if dice.chance(200) => drop(host.ask(Command::Reset)),
                14 | 15 => inserted += u32::from(host.device.insert(host.now, Banknote::tenge(500)).is_ok()),
                16 => host.device.clear_faults(host.now),
                17 if dice.chance(300) => {
                    let faults = [
                        Fault::Jam,
                        Fault::SoftJam,
                        Fault::SoftCassetteJam,
                        Fault::Busy(3),
                        Fault::Failure(0x52),
                    ];
                    host.device.set_fault(host.now, faults[dice.below(5) as usize]);
                }
                18 if dice.chance(300) => {
                    host.device.power_off(host.now);
                    host.wait(dice.below(1000));
                    host.device.power_on(host.now);
                    host.ask(Command::Reset);
                }
                19 if dice.chance(300) => {
                    host.device.remove_cassette(host.now);
                    host.wait(dice.below(3000));
                    host.device.put_cassette(host.now, dice.chance(500));
                }
                20 => drop(host.device.pull_note(host.now)),
                _ => drop(host.wait(dice.below(1500))),
            }
            assert!(host.device.counter() - before <= 1, "seed {seed}");
            let kept =
                |place| host.device.notes().iter().filter(|record| record.place == place).count() as u32;
            let swallowed = kept(Place::Cassette) + kept(Place::Collected);
            assert_eq!(swallowed, u32::from(host.device.counter()), "seed {seed}");
            assert_eq!(host.device.notes().len() as u32, inserted, "seed {seed}: every note is somewhere");
            let moving = [Place::Validator, Place::Escrow, Place::Transport].map(kept).iter().sum::<u32>();
            assert!(moving <= 1, "seed {seed}");
            assert!(credited <= swallowed, "seed {seed}: no credit without a note");
        }
        host.device.clear_faults(host.now);
        host.device.put_cassette(host.now, true);
        host.device.power_on(host.now);
        host.ask(Command::Reset);
        host.wait(20_000);
        if matches!(host.poll_ack(), PollStatus::Stacked(_)) && armed {
            credited += 1;
        }
        assert_eq!(
            credited,
            u32::from(host.device.counter()),
            "seed {seed}: every swallowed note is told once"
        );
    }
}

impl Host {
    fn enable_if_on(&mut self) {
        let types = TypeMask::new(0xFFF);
        self.ask(Command::EnableBillTypes { accept: types, escrow: types });
    }
}

#[test]
fn the_memory_of_notes_stays_bounded() {
    let mut device = CcnetDevice::new(CcnetConfig::default());
    device.power_on(Instant(0));
    device.phase = Phase::Ready;
    device.accept = TypeMask::new(1);
    for round in 0..1000u64 {
        let now = Instant(round * 10_000);
        device.insert(now, Banknote::tenge(500).bad()).unwrap();
        device.handle_timeout(Instant(round * 10_000 + 9_000));
        device.phase = Phase::Ready;
        while !matches!(device.poll(), DeviceOutput::Wait(_)) {}
    }
    assert!(device.notes().len() <= MAX_REMEMBERED + 1);
}
