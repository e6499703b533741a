//! Targets: what comes over the link between kiosk and center, and what the center's rules make of it.

use crate::rig::{KioskKeys, PAYER, SharedCenter};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use tolem_center::{
    logic::{ledger, memory::MemoryStore},
    server::words,
};
use tolem_core::ports::Signer as _;
use tolem_hal_sim::world::Center as _;
use tolem_protocol::{
    Denomination, Iin, KioskNumber, PaymentId, UtcTime,
    messages::{
        Deposit, DepositKind, Hello, HoldReason, MAX_FRAME, Message, Method, Request, Response, decode,
        encode, frame_length,
    },
    notes::NotePile,
    signed::Signed,
};

/// What follows the length field, if the field fits.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let (field, rest) = bytes.split_first_chunk::<4>()?;
    let length = frame_length(*field).ok()?;
    assert!((6..=MAX_FRAME).contains(&length));
    rest.get(..length)
}

/// Any frame: what is read is written, shorter or the same, and reads the same.
fn message<T: Message + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let body = body(bytes)?;
    let (number, message) = match decode::<T>(body) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let written = encode(number, &message);
    assert!(written.len() - 4 <= body.len());
    assert_eq!(decode::<T>(&written[4..]), Ok((number, decode::<T>(body).expect("it was read before").1)));
    assert!(!format!("{message:?}").is_empty());
    Some(message)
}

/// What a kiosk may say.
pub fn requests(bytes: &[u8]) {
    if let Some(request) = message::<Request>(bytes) {
        assert!(!words::request(&request).is_empty());
    }
}

/// What a center may say.
pub fn responses(bytes: &[u8]) {
    if let Some(response) = message::<Response>(bytes) {
        assert!(!words::response(&response).is_empty());
    }
}

/// A center with one kiosk whose key the fuzzer holds: a kiosk gone mad, or a stolen key.
struct World {
    center: SharedCenter,
    fresh: MemoryStore,
    keys: KioskKeys,
    quote: Signed<tolem_protocol::messages::Quote>,
}

fn kiosk() -> KioskNumber {
    KioskNumber::new(42).expect("a kiosk number")
}

fn now() -> UtcTime {
    UtcTime::from_seconds(1_795_334_400)
}

fn payment() -> PaymentId {
    PaymentId { kiosk: kiosk(), epoch: 1, number: 1, nonce: [3; 16] }
}

impl World {
    fn new() -> Self {
        let center = SharedCenter::new(5);
        let (statement, sealing) = center.public_keys();
        let keys = KioskKeys::new(5, statement, sealing);
        center.enrol(kiosk(), keys.public_key());
        center.handle(now(), kiosk(), hello()).expect("the center answers");
        let Some(Response::Quote(quote)) = center.handle(now(), kiosk(), quote()) else {
            panic!("the center quotes")
        };
        let fresh = center.store(Clone::clone);
        Self { center, fresh, keys, quote }
    }

    fn sign(&self, deposit: &Deposit) -> Signed<Deposit> {
        Signed::new(deposit, |message| self.keys.sign(message))
    }

    /// Signed with the kiosk's key, whatever it says.
    fn resigned(&self, deposit: Signed<Deposit>) -> Signed<Deposit> {
        deposit.read_unverified().map_or(deposit, |deposit| self.sign(&deposit))
    }

    fn deposit(&mut self, kind: DepositKind, quoted: bool) -> Signed<Deposit> {
        let mut notes = NotePile::default();
        (0..2).for_each(|_| notes.add(Denomination(500)));
        let payer = self.keys.seal_iin(&payer(), &payment());
        let quote = quoted.then(|| self.quote.clone());
        self.sign(&Deposit { payment: payment(), kind, quote, payer: Some(payer), notes, made_at: now() })
    }
}

fn payer() -> Iin {
    Iin::parse(PAYER, now().date()).expect("an IIN")
}

fn hello() -> Request {
    Request::Hello(Hello {
        software: heapless::String::try_from("fuzz 1").expect("it fits"),
        boot_nonce: [3; 16],
        epoch: 0,
        journal_size: 1,
        clock: now(),
        center_epoch: 0,
    })
}

fn quote() -> Request {
    let service = heapless::String::try_from("id-card").expect("it fits");
    Request::Quote { payment: payment(), service, payer: payer(), method: Method::Cash, balance: None }
}

std::thread_local! {
    static WORLD: std::cell::RefCell<World> = std::cell::RefCell::new(World::new());
}

/// Any request of a kiosk whose key is in the wrong hands: the center answers, answers the same deposit the same, and
/// every tiyn stays accounted for.
pub fn center(bytes: &[u8]) {
    let Some(Ok((_, request))) = body(bytes).map(decode::<Request>) else { return };
    WORLD.with_borrow(|world| {
        let request = match request {
            Request::Commit(deposit) => Request::Commit(world.resigned(deposit)),
            Request::Hold(deposit) => Request::Hold(world.resigned(deposit)),
            Request::Recall { deposit, outcome } => {
                Request::Recall { deposit: world.resigned(deposit), outcome }
            }
            other => other,
        };
        world.center.restore(world.fresh.clone());
        let ask = || world.center.handle(now(), kiosk(), request.clone()).expect("the center answers");
        let (first, second) = (ask(), ask());
        encode(1, &first);
        if matches!(first, Response::Outcome(_)) {
            assert_eq!(first, second, "the same deposit gets the same answer");
        }
        let unaccounted = world.center.store(|store| ledger::audit(store)).expect("memory does not fail");
        assert_eq!(unaccounted, Vec::<String>::new());
    });
}

/// The frozen requests, and some that this very center takes.
pub fn center_seeds() -> Vec<(String, Vec<u8>)> {
    let mut world = World::new();
    let pay = world.deposit(DepositKind::Pay, true);
    let hold = world.deposit(DepositKind::Hold(HoldReason::NoPayment), false);
    let stopped = world.deposit(DepositKind::Hold(HoldReason::Stopped), true);
    let mut seeds = super::seeds::requests();
    seeds.extend(
        [
            ("hello", hello()),
            ("quote", quote()),
            ("pay", Request::Commit(pay)),
            ("hold", Request::Hold(hold)),
            ("stopped", Request::Hold(stopped)),
            ("status", Request::Status(payment())),
            ("void", Request::Void(payment())),
            ("print", Request::PrintRight(payment())),
            ("claim", Request::Claim { claim: payment().claim_number(), payer: payer() }),
        ]
        .map(|(name, request)| (format!("taken/{name}"), encode(7, &request))),
    );
    seeds
}
