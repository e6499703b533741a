//! Bytes that no reader sends: no panic, no endless talk, and a motor that turns at most once for each order.

use super::*;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn any_bytes_at_any_time_end_every_question_to_the_chip_once() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut bench = if seed % 2 == 0 { Bench::new() } else { Bench::powered() };
        let (mut asked, mut inputs) = (0, 0);
        for _ in 0..150 {
            inputs += 1;
            match dice.below(10) {
                0 => bench.run(dice.below(20_000)),
                1 => {
                    let commands =
                        [Command::Accept, Command::Refuse, Command::Eject, Command::Retain, Command::Restart];
                    bench.command(commands[dice.below(5) as usize].clone());
                }
                2 => {
                    bench.command(if dice.below(2) == 0 { transmit() } else { Command::PowerChip });
                    asked += 1;
                }
                3 | 4 => bench.hear(&ACK),
                5 | 6 => {
                    let places = [Place::Nowhere, Place::Gate, Place::Inside, Place::Active, Place::Answered];
                    bench.reply(Ok(places[dice.below(5) as usize]), &[0x3B, 0x60, 0x00, 0x00]);
                }
                7 => bench.reply(Err(ReaderError(dice.below(99) as u8)), &[]),
                _ => {
                    let bytes: Vec<u8> = (0..dice.below(40))
                        .map(|_| [0x10, 0x02, 0x03, 0x05, 0x06, b'P', b'0', 0xFF][dice.below(8) as usize])
                        .collect();
                    bench.hear(&bytes);
                }
            }
        }
        bench.run(600_000);
        let told = bench
            .events
            .iter()
            .filter(|event| ["Answer", "ChipReady", "ChipFault"].iter().any(|word| event.starts_with(word)));
        assert_eq!(told.count(), asked, "seed {seed}: {}", bench.log);
        let said = bench.log.matches(" kiosk ").count();
        assert!(said < inputs * 60, "seed {seed}: {said} frames");
    }
}
