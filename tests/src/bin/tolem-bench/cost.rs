//! Where processor time goes, by thread, and what a payment costs at least: its signatures, on all processors, with nothing else to do.

use std::{collections::BTreeMap, fmt, fs, hint::black_box, time::Instant};
use tolem_center::{
    keys::{CenterKeys, Seeds, seal_iin},
    logic::Keys as _,
    server::{desk::fresh, system_clock},
};
use tolem_protocol::{Iin, KioskNumber, PaymentId};

type Key = ring::signature::Ed25519KeyPair;

/// Processor time by the names of this process' threads, in microseconds.
#[derive(Default)]
pub struct Spent(BTreeMap<String, f64>);

impl Spent {
    /// Of all threads that live, from their beginning.
    pub fn now() -> Self {
        let mut spent = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").expect("Linux").flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let nanos: f64 =
                read("schedstat").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
            let name =
                read("comm").trim().trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned();
            *spent.entry(name).or_insert(0.0) += nanos / 1e3;
        }
        Self(spent)
    }

    /// What was spent between `before` and this.
    pub fn since(&self, before: &Self) -> Self {
        let left =
            |(name, at): (&String, &f64)| (name.clone(), at - before.0.get(name).copied().unwrap_or(0.0));
        Self(self.0.iter().map(left).collect())
    }

    /// The share of each of `count` things.
    pub fn each(mut self, count: f64) -> Self {
        self.0.values_mut().for_each(|spent| *spent /= count);
        self
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.0.iter().filter(|(_, spent)| **spent >= 0.5);
        let words: Vec<_> = some.map(|(name, spent)| format!("{name} {spent:.0} µs")).collect();
        f.write_str(&words.join(", "))
    }
}

/// Microseconds of one `work`, the best of several goes: whoever takes the processor away meanwhile is not counted.
fn micros(mut work: impl FnMut()) -> f64 {
    let go = |work: &mut dyn FnMut()| {
        let since = Instant::now();
        (0..50).for_each(|_| work());
        since.elapsed().as_secs_f64() * 1e6 / 50.0
    };
    (0..20).map(|_| go(&mut work)).fold(f64::INFINITY, f64::min)
}

/// Prints what the signatures of one payment cost, and how often they can be made and judged in a second on all processors: no center
/// that keeps them can be faster on this machine.
pub fn bound(key: &Key, sealing: &[u8; 32], rival: f64) {
    use ring::signature::KeyPair as _;
    let mut next = 0;
    let keys = CenterKeys::new(&Seeds::draw(|seed| {
        next += 1;
        *seed = [next; 32];
    }));
    let message = [7; 400];
    let (public, signature) = (key.public_key().as_ref().try_into().expect("32 bytes"), keys.sign(&message));
    let payment =
        PaymentId { kiosk: KioskNumber::new(1).expect("a number"), epoch: 1, number: 1, nonce: [1; 16] };
    let payer = Iin::parse("000101300019", system_clock().date()).expect("an IIN");
    let sealed = seal_iin(sealing, &payer, &payment, &mut fresh()).expect("a seal");
    let sign = micros(|| _ = black_box(keys.sign(&message)));
    let verify = micros(|| _ = black_box(keys.verify(&public, &message, &signature)));
    // Of another center, so it does not open: the curve is computed all the same.
    let open = micros(|| _ = black_box(keys.open_iin(&sealed, &payment)));
    let least = verify + open + 2.0 * sign;
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    println!(
        "  the least a payment costs: one signature judged {verify:.0} µs, the payer opened {open:.0} µs, two signatures made {:.0} µs, \
         {least:.0} µs in all: {:.0} per s on {processors} processors that do nothing else, {:.2} times pgbench",
        2.0 * sign,
        processors * 1e6 / least,
        processors * 1e6 / least / rival
    );
}
