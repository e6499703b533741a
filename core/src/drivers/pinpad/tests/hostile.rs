//! Bytes that no pad sends: no panic, no endless talk, no block that was not asked for.

use super::*;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn any_bytes_at_any_time_end_every_entry_once_and_say_little() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let scheme =
            if seed % 2 == 0 { Scheme::Dukpt { last: None } } else { Scheme::Session(slot(b'1'), KEY) };
        let mut bench = Bench::new(scheme);
        let (mut asked, mut heard) = (0, 0);
        for _ in 0..200 {
            match dice.below(8) {
                0 => bench.run(dice.below(70_000)),
                1 => {
                    bench.command(Command::EnterPin(request()));
                    asked += 1;
                }
                2 => bench.hear(&answer(&Answer::Pin(serial(dice.below(250) as u8), block()))),
                3 => {
                    let mut frame = answer(&Answer::Pin(serial(7), block()));
                    let at = dice.below(frame.len() as u64) as usize;
                    frame[at] ^= 1 << dice.below(8);
                    bench.hear(&frame);
                }
                4 => bench.hear(&[[ACK, NAK, EOT, 0x02][dice.below(4) as usize]]),
                5 => bench.hear(&answer(&Answer::SelfTest(SelfTest::default()))),
                _ => {
                    let bytes: Vec<u8> = (0..dice.below(40)).map(|_| dice.below(256) as u8).collect();
                    bench.hear(&bytes);
                }
            }
            heard += 1;
        }
        bench.run(600_000);
        let ends = bench.count("Entered") + bench.count("Ended");
        assert_eq!(ends, asked, "seed {seed}: {}", bench.log);
        let said = bench.log.matches(" kiosk ").count();
        assert!(said < heard * 60, "seed {seed}: {said} messages");
    }
}
