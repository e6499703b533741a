//! The three papers: receipt, claim slip, voucher.
//!
//! Kazakh always, and beside it the language the citizen chose. Everything a citizen could be asked for later stands on the
//! paper; the number and the QR code come first, because they are what the paper is for. Nothing is computed here but the
//! rounding difference: sums, names and times are the center's signed ones. Same facts, same dots.

mod raster;
mod sheet;
mod symbol;

pub use sheet::{Line, Sheet};
pub(crate) use symbol::LastSymbol;
pub use symbol::qr_modules;

use crate::{
    session::Card,
    words::{Word, fill, word},
};
use tolem_protocol::{
    Amount, ClaimNumber, KioskNumber, PaymentId, UtcTime,
    catalogue::{Language, Names, Service, ServiceCode},
    messages::{CodeToken, HeldBalance, HoldReason, Method, Quote},
    qr::Qr,
};

/// Dots per row of an 80 mm printer at 203 dpi.
pub const DEFAULT_WIDTH: u16 = 576;

/// What all three papers need to know.
#[derive(Clone, Debug)]
pub struct PaperFacts<'a> {
    /// Dots per row: a multiple of 8, at least 200.
    pub width: u16,
    /// The kiosk that prints.
    pub terminal: KioskNumber,
    /// Where it stands; empty = not printed.
    pub address: String,
    /// Whose it is; empty = not printed.
    pub operator: String,
    /// Who answers about payments.
    pub phone: String,
    /// Where a code is used.
    pub site: String,
    /// The citizen's language; with Kazakh, the paper is in Kazakh alone.
    pub second: Language,
    /// The payment, if there is one.
    pub payment: Option<PaymentId>,
    /// Now.
    pub printed_at: UtcTime,
    /// The original was issued before.
    pub copy: bool,
    /// The payer's IIN, masked or whole as the operator has set; empty = not known.
    pub iin: String,
    /// The catalogue entry of what is paid. Printed only if it is the one the quote was signed for.
    pub service: Option<&'a Service>,
    /// What the center promised.
    pub quote: Option<&'a Quote>,
    /// Notes that went in.
    pub inserted: Amount,
    /// The card that paid.
    pub card: Option<&'a Card>,
    /// Size of the journal and the first bytes of its root: ties the paper to the record of this moment.
    pub journal: (u64, [u8; 8]),
}

/// The receipt of a paid fee: the payment code, and the voucher for what was left over.
pub fn receipt(
    facts: &PaperFacts<'_>,
    code: &CodeToken,
    qr_text: &str,
    remainder: Option<&HeldBalance>,
) -> Sheet {
    let mut paper = Paper::new(facts, Some(&code.service));
    paper.heading(Word::PaperReceipt);
    paper.lead(Word::PaperAccepted);
    paper.rule();
    paper.caption(Word::PaperCode);
    paper.number(&code.code.to_string());
    paper.qr(qr_text);
    paper.sentence(Word::PaperUse);
    paper.sentence(Word::PaperQrReceipt);
    paper.row(Word::PaperValidUntil, minutes(code.valid_until));
    paper.rule();
    paper.service(&code.service);
    paper.money(code.fee);
    paper.inserted();
    if let Some(balance) = remainder {
        paper.row(Word::PaperRemainder, balance.amount.to_string());
    }
    paper.rule();
    paper.payer();
    paper.row(Word::PaperPaidAt, code.paid_at.local().to_string());
    paper.method();
    paper.payee();
    paper.sentence(Word::PaperRefund);
    paper.rule();
    paper.footer();
    if let Some(balance) = remainder {
        paper.sheet.push(Line::Tear);
        paper.banner();
        paper.heading(Word::PaperVoucher);
        paper.balance(balance, &Qr::Balance(balance.number).encode());
        paper.row(Word::PaperTerminal, facts.terminal.to_string());
        paper.transaction();
    }
    paper.finish()
}

/// The slip for money whose final answer has not come yet. `qr_text` carries the whole signed deposit; `emergency` says that
/// it was made from memory because the journal failed.
pub fn claim_slip(facts: &PaperFacts<'_>, claim: ClaimNumber, qr_text: &str, emergency: bool) -> Sheet {
    let mut paper = Paper::new(facts, facts.quote.map(|quote| &quote.service));
    if emergency {
        let text = paper.both(Word::PaperEmergency);
        paper.sheet.push(Line::Banner(text));
    }
    paper.heading(Word::PaperClaim);
    paper.lead(Word::ClaimTitle);
    paper.rule();
    paper.caption(Word::PaperClaimNumber);
    paper.number(&claim.to_string());
    paper.strong(Word::PaperInserted, facts.inserted.to_string());
    paper.qr(qr_text);
    paper.sentence(if emergency { Word::PaperEmergencyWhat } else { Word::PaperClaimWhat });
    // Without a payer there is no IIN to type: only the operator can help.
    let ownerless = facts.quote.is_none() && !emergency;
    paper.sentence(if ownerless { Word::PaperFoundHow } else { Word::PaperClaimHow });
    paper.sentence(Word::PaperQrClaim);
    paper.rule();
    if let Some(quote) = facts.quote {
        paper.service(&quote.service);
        paper.money(quote.fee);
        paper.rule();
    }
    paper.payer();
    paper.method();
    paper.payee();
    paper.rule();
    paper.footer();
    paper.finish()
}

/// The voucher for a held balance.
pub fn voucher(facts: &PaperFacts<'_>, balance: &HeldBalance, qr_text: &str) -> Sheet {
    let mut paper = Paper::new(facts, facts.quote.map(|quote| &quote.service));
    let (title, why) = match balance.reason {
        HoldReason::Remainder => (Word::PaperVoucher, Word::HeldRemainder),
        HoldReason::Stopped => (Word::PaperHeld, Word::HeldStopped),
        HoldReason::Suspense => (Word::PaperHeld, Word::HeldSuspense),
        HoldReason::NoPayment => (Word::PaperHeld, Word::HeldNoPayment),
        HoldReason::Refused => (Word::PaperHeld, Word::HeldRefused),
        HoldReason::JournalFailed => (Word::PaperHeld, Word::HeldJournalFailed),
    };
    paper.heading(title);
    paper.lead(Word::HeldTitle);
    paper.rule();
    paper.balance(balance, qr_text);
    if balance.reason != HoldReason::NoPayment {
        paper.sentence(why);
    }
    paper.rule();
    if let Some(quote) = facts.quote {
        paper.service(&quote.service);
    }
    paper.inserted();
    paper.payer();
    paper.rule();
    paper.footer();
    paper.finish()
}

/// Date, hour and minute.
fn minutes(time: UtcTime) -> String {
    let mut text = time.local().to_string();
    text.truncate(text.len().saturating_sub(3));
    text
}

/// A sheet being written in two languages.
struct Paper<'a> {
    facts: &'a PaperFacts<'a>,
    /// The catalogue entry, if it is the one that the center signed.
    service: Option<&'a Service>,
    sheet: Sheet,
}

impl<'a> Paper<'a> {
    /// `code` names what is paid. An entry of another service, or one that has changed since the quote, is left out:
    /// paper says nothing that was not signed.
    fn new(facts: &'a PaperFacts<'a>, code: Option<&ServiceCode>) -> Self {
        let signed = |service: &&Service| {
            code == Some(&service.code)
                && facts.quote.is_none_or(|quote| quote.service_digest == service.digest())
        };
        let service = facts.service.filter(signed);
        let mut paper = Self { facts, service, sheet: Sheet::new(facts.width) };
        paper.banner();
        paper
    }

    /// Kazakh, then the second language if it is another.
    fn languages(&self) -> impl Iterator<Item = Language> + use<> {
        let second = self.facts.second;
        [Language::Kazakh, second].into_iter().take(if second == Language::Kazakh { 1 } else { 2 })
    }

    /// `Kazakh / second`; once where both are the same.
    fn both(&self, phrase: Word) -> String {
        let kazakh = word(Language::Kazakh, phrase);
        let second = word(self.facts.second, phrase);
        if kazakh == second { kazakh.to_owned() } else { format!("{kazakh} / {second}") }
    }

    /// Both names, once where they are the same.
    fn names<const N: usize>(&self, names: &Names<N>) -> Vec<String> {
        let mut texts: Vec<String> =
            self.languages().map(|language| names.get(language).to_owned()).collect();
        texts.dedup();
        texts.retain(|text| !text.is_empty());
        texts
    }

    fn banner(&mut self) {
        if self.facts.copy {
            let text = self.both(Word::PaperCopy);
            self.sheet.push(Line::Banner(text));
            let note = self.both(Word::PaperCopyNote);
            self.sheet.push(Line::Caption(note));
        }
    }

    fn heading(&mut self, phrase: Word) {
        let text = self.both(phrase);
        self.sheet.push(Line::Title(text));
    }

    fn lead(&mut self, phrase: Word) {
        let text = self.both(phrase);
        self.sheet.push(Line::Lead(text));
    }

    fn caption(&mut self, phrase: Word) {
        let text = self.both(phrase);
        self.sheet.push(Line::Caption(text));
    }

    fn number(&mut self, text: &str) {
        self.sheet.push(Line::Number(text.to_owned()));
    }

    fn qr(&mut self, text: &str) {
        self.sheet.push(Line::Qr(text.to_owned()));
    }

    fn rule(&mut self) {
        if self.sheet.lines().last() != Some(&Line::Rule) {
            self.sheet.push(Line::Rule);
        }
    }

    fn sentence(&mut self, phrase: Word) {
        // A phone number is not broken over two lines.
        let phone = self.facts.phone.replace(' ', "\u{a0}");
        for language in self.languages() {
            let args = [("site", self.facts.site.as_str()), ("phone", phone.as_str())];
            self.sheet.push(Line::Note(fill(language, phrase, &args)));
        }
    }

    fn row(&mut self, label: Word, value: String) {
        let label = self.both(label);
        self.sheet.push(Line::Row { label, value, strong: false });
    }

    fn strong(&mut self, label: Word, value: String) {
        let label = self.both(label);
        self.sheet.push(Line::Row { label, value, strong: true });
    }

    fn field(&mut self, label: Word, values: Vec<String>) {
        if !values.is_empty() {
            let label = self.both(label);
            self.sheet.push(Line::Field { label, values });
        }
    }

    /// Name of the service, or its code when the signed entry is not at hand.
    fn service(&mut self, code: &str) {
        let names = match self.service {
            Some(service) => self.names(&service.name),
            None => vec![code.to_owned()],
        };
        self.field(Word::PaperService, names);
    }

    /// Fee, commission, rounding, total, and what a voucher paid of it.
    fn money(&mut self, fee: Amount) {
        self.row(Word::PaperFee, fee.to_string());
        let Some(quote) = self.facts.quote else { return };
        self.row(Word::PaperCommission, quote.commission.to_string());
        let exact = quote.fee.checked_add(quote.commission).unwrap_or(Amount::MAX);
        if !self.by_card() {
            let (sign, difference) = if quote.cash_total < exact {
                ("\u{2013}", exact - quote.cash_total)
            } else {
                ("+", quote.cash_total - exact)
            };
            if !difference.is_zero() {
                self.row(Word::PaperRounding, format!("{sign}{difference}"));
            }
            self.strong(Word::PaperTotal, quote.cash_total.to_string());
            if let Some((number, sum)) = quote.balance {
                self.row(Word::PaperFromVoucher, format!("{sum} ({number})"));
            }
        } else {
            self.strong(Word::PaperTotal, exact.to_string());
        }
    }

    /// Notes that went in, if any.
    fn inserted(&mut self) {
        if !self.facts.inserted.is_zero() {
            self.row(Word::PaperInserted, self.facts.inserted.to_string());
        }
    }

    fn payer(&mut self) {
        if let Some(quote) = self.facts.quote.filter(|quote| !quote.payer.is_empty()) {
            self.row(Word::PaperPayer, quote.payer.as_str().to_owned());
        }
        if !self.facts.iin.is_empty() {
            self.row(Word::PaperIin, self.facts.iin.clone());
        }
    }

    fn method(&mut self) {
        if let Some(quote) = self.facts.quote {
            let by_card = self.by_card() || quote.method == Method::Card;
            let value = self.both(if by_card { Word::PaperCard } else { Word::PaperCash });
            self.row(Word::PaperMethod, value);
        }
        self.card();
    }

    fn by_card(&self) -> bool {
        let of_quote = self.facts.quote.is_some_and(|quote| quote.method == Method::Card);
        self.facts.card.is_some() || of_quote
    }

    /// Which card, by its last four digits, and what issuer and chip said.
    fn card(&mut self) {
        let Some(card) = self.facts.card else { return };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let tail: String = card.mark.last_four.iter().map(|digit| char::from(b'0' + digit % 10)).collect();
        // Somebody with two cards knows by its name which one it was. The name is the card's word, so only plain letters are believed.
        let name: String =
            card.mark.label.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect();
        self.row(
            Word::PaperCardNumber,
            format!("{} ••••\u{202f}{tail}", name.trim()).trim_start().to_owned(),
        );
        if let Some(approval) = &card.approval {
            let code =
                approval.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' });
            self.row(Word::PaperApproval, code.collect());
        }
        if card.mark.pin {
            let value = self.both(Word::PaperPinYes);
            self.row(Word::PaperPin, value);
        }
        self.plain("AID", hex(&card.mark.application));
        if let Some(evidence) = &card.evidence {
            self.plain("TVR / TSI", format!("{} / {}", hex(&evidence.tvr), hex(&evidence.tsi)));
        }
    }

    /// A row whose label is the same in all languages.
    fn plain(&mut self, label: &str, value: String) {
        self.sheet.push(Line::Row { label: label.to_owned(), value, strong: false });
    }

    fn payee(&mut self) {
        if let Some(service) = self.service {
            let names = self.names(&service.payee);
            self.field(Word::PaperPayee, names);
            self.row(Word::PaperBin, service.payee_bin.to_string());
            self.row(Word::PaperKbk, format!("{:06}", service.kbk));
            self.row(Word::PaperKnp, format!("{:03}", service.knp));
        }
    }

    /// Number, sum, QR and use of a held balance.
    fn balance(&mut self, balance: &HeldBalance, qr_text: &str) {
        self.caption(Word::VoucherNumber);
        self.number(&balance.number.to_string());
        self.strong(Word::PaperFee, balance.amount.to_string());
        self.qr(qr_text);
        let ownerless = balance.reason == HoldReason::NoPayment;
        self.sentence(if ownerless { Word::PaperFoundHow } else { Word::PaperVoucherHow });
    }

    fn transaction(&mut self) {
        if let Some(payment) = self.facts.payment {
            self.row(Word::PaperTransaction, payment.to_string());
        }
    }

    /// Where it was, who answers, and what ties the paper to the journal.
    fn footer(&mut self) {
        self.transaction();
        self.row(Word::PaperTerminal, self.facts.terminal.to_string());
        for (label, value) in [
            (Word::PaperAddress, &self.facts.address),
            (Word::PaperOperator, &self.facts.operator),
            (Word::PaperPhone, &self.facts.phone),
        ] {
            if !value.is_empty() {
                self.row(label, value.clone());
            }
        }
        self.row(Word::PaperPrintedAt, self.facts.printed_at.local().to_string());
        let (size, root) = self.facts.journal;
        let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
        self.row(Word::PaperJournal, format!("{size} · {root}"));
        let keep = self.both(Word::PaperKeep);
        self.sheet.push(Line::Caption(keep));
    }

    fn finish(self) -> Sheet {
        self.sheet
    }
}

#[cfg(test)]
mod tests;
