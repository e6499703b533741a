//! A payment as it could have been, for the tests of the papers and for `examples/papers.rs`.

use super::PaperFacts;
use tolem_protocol::{
    Amount, BalanceNumber, Bin, Denomination, Iin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    catalogue::{Group, Language, Names, Price, Service},
    messages::{CodeToken, Deposit, DepositKind, HeldBalance, HoldReason, Method, Quote, SealedIin},
    notes::NotePile,
    qr::Qr,
    signed::{Signature, Signed},
};

/// What the papers are made of.
pub struct Sample {
    pub service: Service,
    pub quote: Quote,
    pub code: CodeToken,
    pub inserted: Amount,
    pub remainder: HeldBalance,
    pub iin: String,
}

fn names<const N: usize>(kk: &str, ru: &str, en: &str) -> Names<N> {
    Names::new(kk, ru, en).expect("sample texts are short")
}

/// A driving licence for 1.25 indexes of 2026, paid with 6 000 tenge.
pub fn sample() -> Sample {
    let now = UtcTime::from_seconds(1_795_338_309);
    let payment = PaymentId {
        kiosk: KioskNumber::new(42).expect("in range"),
        epoch: 7,
        number: 1234,
        nonce: [0xa5; 16],
    };
    let service = Service {
        code: "driving-licence".try_into().expect("short"),
        group: Group::Transport,
        name: names(
            "Жүргізуші куәлігін бергені үшін мемлекеттік баж",
            "Государственная пошлина за выдачу водительского удостоверения",
            "State duty for issuing a driving licence",
        ),
        about: names("Жүргізуші куәлігі.", "Водительское удостоверение.", "Driving licence."),
        payee: names(
            "Көліктік бақылау басқармасы (үлгі)",
            "Управление транспортного контроля (образец)",
            "Transport control department (sample)",
        ),
        payee_bin: Bin::parse("991240000013").expect("a test number"),
        kbk: 108_125,
        knp: 911,
        price: Price::Mrp { thousandths: 1_250 },
        rank: 0,
    };
    let quote = Quote {
        payment,
        service: service.code.clone(),
        service_digest: service.digest(),
        payer: "А••• Б•••".try_into().expect("short"),
        fee: Amount::from_tiyn(540_625),
        commission: Amount::ZERO,
        cash_total: Amount::from_tenge(5_406),
        balance: None,
        method: Method::Cash,
        made_at: now,
        valid_until: now.plus_seconds(900),
    };
    let code = CodeToken {
        code: PaymentCode::from_random(12_345_678_901_234),
        payment,
        service: service.code.clone(),
        fee: quote.fee,
        payer_tail: 19,
        paid_at: now.plus_seconds(65),
        valid_until: now.plus_seconds(365 * 86_400),
    };
    let today = now.date();
    Sample {
        service,
        quote,
        code,
        inserted: Amount::from_tenge(6_000),
        remainder: HeldBalance {
            number: BalanceNumber::from_payload(20_304_050_607),
            amount: Amount::from_tenge(594),
            reason: HoldReason::Remainder,
        },
        iin: Iin::parse("000101300019", today).expect("a test number").masked().as_str().to_owned(),
    }
}

impl Sample {
    /// The facts as `second` wants them.
    pub fn facts(&self, second: Language) -> PaperFacts<'_> {
        PaperFacts {
            width: 576,
            terminal: self.quote.payment.kiosk,
            address: "Астана, Мәңгілік Ел даңғылы, 8".to_owned(),
            operator: "«Төлем Үлгі» ЖШС".to_owned(),
            phone: "8 800 080 77 77".to_owned(),
            site: "egov.kz".to_owned(),
            second,
            payment: Some(self.quote.payment),
            printed_at: self.code.paid_at.plus_seconds(3),
            copy: false,
            iin: self.iin.clone(),
            service: Some(&self.service),
            quote: Some(&self.quote),
            inserted: self.inserted,
            card: None,
            journal: (5_120, [0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79, 0x88]),
        }
    }

    /// Text of the receipt's QR code.
    pub fn code_qr(&self) -> String {
        Qr::Code(Signed::new(&self.code, noise)).encode()
    }

    /// Text of the claim slip's QR code: about as long as it gets.
    pub fn deposit_qr(&self) -> String {
        let mut notes = NotePile::default();
        [2_000, 2_000, 1_000, 500, 500].into_iter().for_each(|tenge| notes.add(Denomination(tenge)));
        let deposit = Deposit {
            payment: self.quote.payment,
            kind: DepositKind::Pay,
            quote: Some(Signed::new(&self.quote, noise)),
            payer: Some(SealedIin([0x3c; 32], heapless::Vec::from_slice(&[0xd2; 28]).expect("28 bytes"))),
            notes,
            made_at: self.code.paid_at,
        };
        Qr::Deposit(Signed::new(&deposit, noise)).encode()
    }

    /// Text of the voucher's QR code.
    pub fn balance_qr(&self) -> String {
        Qr::Balance(self.remainder.number).encode()
    }
}

/// Bytes as irregular as a signature; it proves nothing.
fn noise(message: &[u8]) -> Signature {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = [0; 64];
    for (place, byte) in bytes.iter_mut().enumerate() {
        state ^= u32::from(message[place % message.len().max(1)]) << (place % 24);
        state = state.wrapping_mul(0x0101_0193).rotate_left(7) ^ 0x5bd1_e995;
        *byte = state.to_be_bytes()[0];
    }
    Signature(bytes)
}
