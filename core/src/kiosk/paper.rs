//! Papers: which one is due, printing it, and what is shown when it does not come out.

use super::{Kiosk, Lamp, dialogue::Dialogue};
use crate::{
    health::{self, FaultCode},
    ports::{Signer, Store},
    printer::{self, Command, Page},
    receipt::{self, PaperFacts},
    session::{CardStanding, Input, Payment, Print, Stage},
};
use std::time::Duration;
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, PaymentId,
    catalogue::Service,
    messages::{
        CodeToken, Deposit, DepositKind, HeldBalance, HoldReason, Outcome, PrintRight, Quote, Verdict,
    },
    qr::Qr,
    record::{Fact, Paper, PrintFault},
    signed::Signed,
};

/// The print right is waited for this long; without it the paper says COPY.
const RIGHT_WAIT: Duration = Duration::from_secs(5);
/// Number of the print that no journal knows: the emergency slip.
const EMERGENCY_PRINT: u64 = u64::MAX;

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn printer_event(&mut self, event: printer::Event) {
        self.stale = true;
        match event {
            printer::Event::Status(status) => {
                self.printer_status = Some(status);
                for (fault, present) in health::of_printer(&status) {
                    self.fault(fault, present);
                }
            }
            printer::Event::Absent => {
                self.printer_status = None;
                self.fault(FaultCode::PrinterAbsent, true);
            }
            printer::Event::Printed { print } => self.print_ended(print, Ok(())),
            printer::Event::Failed { print, fault } => self.print_ended(print, Err(fault)),
        }
    }

    /// The printer has said how it is. After a start nobody knows for a few seconds, and nothing is sold until then.
    pub(super) fn printer_was_seen(&self) -> bool {
        self.printer_status.is_some()
    }

    fn print_ended(&mut self, print: u64, result: Result<(), PrintFault>) {
        if print == EMERGENCY_PRINT {
            if let Some((until, _)) = &mut self.dying {
                *until = self.now;
            }
            return;
        }
        let Some(open) = self.session.print().filter(|open| open.print == print) else { return };
        self.act(Input::PrintEnded { print, result });
        if open.paper == Paper::Receipt {
            // On paper, or perhaps: a card that pays for it pays now.
            self.code_seen(open.payment);
        }
        if result.is_err() && open.paper == Paper::Receipt {
            // It may be out although nobody confirmed it.
            self.center.right = Some(PrintRight::Copy);
        }
        let (since, printed) = (self.now, result.is_ok());
        if printed {
            self.lamp(Lamp::ReceiptSlot, true);
        }
        let next = match (&*self.behind_card(), open.paper) {
            (Dialogue::SlipPrinting, Paper::ClaimSlip) => Dialogue::Slip { since, printed },
            (Dialogue::Handing { .. }, Paper::Receipt) => {
                self.trace(19, "kiosk has the payment code and prints it on the receipt");
                if printed {
                    self.trace(20, "citizen keeps the receipt with the payment code");
                }
                Dialogue::Code { since, printed, copy: open.copy }
            }
            (Dialogue::Handing { .. }, Paper::Voucher) => Dialogue::Held { since, printed },
            (Dialogue::Found { .. }, Paper::Voucher | Paper::ClaimSlip) => Dialogue::Found { since, printed },
            _ => return,
        };
        *self.behind_card() = next;
    }

    /// The final answer is here: ask for the print right, if a code is printed.
    pub(super) fn begin_handing(&mut self) {
        let Some((outcome, _)) = self.handed() else { return };
        self.dialogue = Dialogue::Handing { since: self.now };
        match outcome.verdict {
            // The code of a card was given to this terminal alone, and counts only once it is out.
            Verdict::Accepted { .. } if self.is_fresh_by_card(outcome.payment) => {
                self.center.right = Some(PrintRight::Original);
            }
            Verdict::Accepted { .. } => self.ask_print_right(outcome.payment),
            // A voucher is worth what the center says of its number, however often it is printed.
            Verdict::Held(_) => self.center.right = Some(PrintRight::Original),
        }
    }

    fn is_fresh_by_card(&self, payment: PaymentId) -> bool {
        let standing = self.session.payment(payment).and_then(Payment::card_standing);
        standing == Some(CardStanding::Authorized)
    }

    /// Another kiosk's payment: the right is known already.
    pub(super) fn hand_out_served(&mut self) {
        self.dialogue = Dialogue::Handing { since: self.now };
    }

    /// Prints once the right is known (or will not be known in time), or shows the code if nothing can be printed.
    pub(super) fn continue_handing(&mut self, since: crate::time::Instant) {
        if self.session.print().is_some() {
            return;
        }
        let waited = self.now.since(since) >= RIGHT_WAIT;
        let Some(right) = self.center.right.or(waited.then_some(PrintRight::Copy)) else { return };
        let Some((outcome, _)) = self.handed() else {
            self.reset_dialogue();
            return;
        };
        let paper = match outcome.verdict {
            Verdict::Accepted { .. } => Paper::Receipt,
            Verdict::Held(_) => Paper::Voucher,
        };
        let doubtful = self.session.payment(outcome.payment).is_some_and(|payment| payment.maybe_printed);
        let copy = (doubtful || right == PrintRight::Copy) && !planted(Fault::SecondOriginal);
        if doubtful {
            sometimes(Site::CopyAfterDoubt);
        }
        if self.health.printer_blocked() {
            sometimes(Site::PaperOwed);
            let since = self.now;
            if paper == Paper::Receipt {
                self.code_seen(outcome.payment);
            }
            // Nobody reads a code for which no money is to be taken: the next start undoes what has no such record.
            if self.dying.is_some() {
                return;
            }
            self.dialogue = match paper {
                Paper::Receipt => Dialogue::Code { since, printed: false, copy },
                Paper::Voucher | Paper::ClaimSlip => Dialogue::Held { since, printed: false },
            };
            return;
        }
        self.act(Input::Print { payment: outcome.payment, paper, copy });
    }

    /// The code did not come in time: the slip that carries the whole signed request.
    pub(super) fn give_claim_slip(&mut self) {
        let Some(payment) = self.session.current().map(|payment| payment.id) else { return };
        if self.health.printer_blocked() {
            self.dialogue = Dialogue::Slip { since: self.now, printed: false };
        } else {
            sometimes(Site::ClaimSlipGiven);
            self.dialogue = Dialogue::SlipPrinting;
            self.act(Input::Print { payment, paper: Paper::ClaimSlip, copy: false });
        }
    }

    /// Only a planted fault prints without anybody there.
    pub(super) fn print_owed(&mut self) {
        let owed = self.session.cut_off().find(|payment| {
            payment.stage() == Stage::Settled && !payment.handed_over && !payment.maybe_printed
        });
        if let Some((payment, Some(outcome))) = owed.map(|payment| (payment.id, payment.answer()))
            && self.session.print().is_none()
            && !self.health.printer_blocked()
        {
            let paper = match outcome.verdict {
                Verdict::Accepted { .. } => Paper::Receipt,
                Verdict::Held(_) => Paper::Voucher,
            };
            self.act(Input::Print { payment, paper, copy: true });
        }
    }

    /// Renders and sends what a durable `PrintOrdered` allows.
    pub(super) fn send_print(&mut self, print: Print) {
        match self.page(print) {
            Some(page) => self.printer.command(self.now, Command::Print { print: print.print, page }),
            None => self.print_ended(print.print, Err(PrintFault::Unknown)),
        }
    }

    fn page(&self, print: Print) -> Option<Page> {
        let known = self.session.payment(print.payment);
        if print.paper == Paper::ClaimSlip {
            let payment = known?;
            return self.slip_page(payment, payment.deposit.as_ref()?, false);
        }
        let (outcome, quote) = match known.and_then(Payment::answer) {
            Some(outcome) => (outcome, known.and_then(Payment::quoted)),
            None => self.handed()?,
        };
        let inserted = known.map(Payment::inserted).or_else(|| inserted_of(&outcome, quote.as_ref()));
        let facts =
            self.paper_facts(print.payment, quote.as_ref(), inserted.unwrap_or(Amount::ZERO), print.copy);
        match outcome.verdict {
            Verdict::Accepted { token, remainder } => {
                let code: CodeToken = token.read_unverified()?;
                let facts = PaperFacts { iin: self.iin_on_paper(Some(code.payer_tail)), ..facts };
                Some(receipt::receipt(&facts, &code, &Qr::Code(token).encode(), remainder.as_ref()).page())
            }
            Verdict::Held(balance) => {
                Some(receipt::voucher(&facts, &balance, &Qr::Balance(balance.number).encode()).page())
            }
        }
    }

    fn slip_page(&self, payment: &Payment, deposit: &Signed<Deposit>, emergency: bool) -> Option<Page> {
        let quote = payment.quoted();
        let facts = self.paper_facts(payment.id, quote.as_ref(), payment.inserted(), false);
        let qr = Qr::Deposit(deposit.clone()).encode();
        Some(receipt::claim_slip(&facts, payment.id.claim_number(), &qr, emergency).page())
    }

    fn paper_facts<'a>(
        &'a self,
        payment: PaymentId,
        quote: Option<&'a Quote>,
        inserted: Amount,
        copy: bool,
    ) -> PaperFacts<'a> {
        let root = self.journal.as_ref().map_or([0; 32], super::Journal::root);
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&root[..8]);
        PaperFacts {
            width: self.config.page_width,
            terminal: self.config.kiosk,
            address: self.config.address.clone(),
            operator: self.config.operator.clone(),
            phone: self.phone().into(),
            site: self.catalogue.as_ref().map_or_else(String::new, |head| head.site.as_str().into()),
            second: self.language,
            payment: Some(payment),
            printed_at: self.utc,
            copy,
            iin: self.iin_on_paper(None),
            service: quote.and_then(|quote| self.service_of(quote)),
            quote,
            inserted,
            card: self.session.payment(payment).and_then(|known| known.card.as_ref()),
            journal: (self.journal.as_ref().map_or(0, super::Journal::size), prefix),
        }
    }

    /// The catalogue entry that was signed with the quote, if we still have exactly that one.
    pub(super) fn service_of(&self, quote: &Quote) -> Option<&Service> {
        self.services
            .iter()
            .find(|entry| entry.code == quote.service && entry.digest() == quote.service_digest)
    }

    fn iin_on_paper(&self, tail: Option<u16>) -> String {
        let whole = self.limits.is_some_and(|limits| limits.print_whole_iin);
        match (&self.payer, tail) {
            (Some(payer), _) if whole => {
                let digits = String::from_utf8_lossy(&payer.ascii()).into_owned();
                format!("{}\u{202f}{}\u{202f}{}", &digits[..6], &digits[6..9], &digits[9..])
            }
            (Some(payer), _) => payer.masked().as_str().into(),
            (None, Some(tail)) => format!("••••\u{202f}••••\u{202f}{tail:04}"),
            (None, None) => String::new(),
        }
    }

    pub(super) fn phone(&self) -> &str {
        self.catalogue.as_ref().map_or("", |head| head.phone.as_str())
    }

    /// The journal is gone: the citizen's money is accounted for on paper and, if the link stands, at the center.
    ///
    /// `unwritten` may or may not be on disk. It counts here, because what it tells has happened; a deposit in it is used as it
    /// is, so that the center sees one request whether the disk kept it or not.
    pub(super) fn emergency_slip(&mut self, unwritten: Option<&Fact>) {
        let Some(mut payment) = self.session.current().cloned() else { return };
        match unwritten {
            Some(Fact::NoteStacked { payment: owner, denomination, .. }) if *owner == payment.id => {
                payment.notes.add(*denomination);
            }
            Some(Fact::CommitRequested { deposit } | Fact::HoldRequested { deposit }) => {
                payment.deposit = Some(deposit.clone());
            }
            _ => {}
        }
        if payment.notes.is_empty() || planted(Fault::EmergencyForgotten) {
            return;
        }
        sometimes(Site::EmergencySlip);
        let signed = payment.deposit.clone().unwrap_or_else(|| {
            let deposit = Deposit {
                payment: payment.id,
                kind: DepositKind::Hold(HoldReason::JournalFailed),
                quote: payment.quote.clone(),
                payer: payment.payer.clone(),
                notes: payment.notes.clone(),
                made_at: self.utc,
            };
            Signed::new(&deposit, |message| self.signer.sign(message))
        });
        if let Some(page) = self.slip_page(&payment, &signed, true) {
            self.printer.command(self.now, Command::Print { print: EMERGENCY_PRINT, page });
        }
        // An answer that is known is on disk: a center that has forgotten it is told the answer, and does not make another.
        if payment.outcome.is_none() {
            self.send_emergency(signed);
        }
    }

    /// The held balance of what is handed out, if all of it is held.
    pub(super) fn held_balance(&self) -> Option<HeldBalance> {
        match self.handed()?.0.verdict {
            Verdict::Held(balance) => Some(balance),
            Verdict::Accepted { .. } => None,
        }
    }

    /// The answer that is handed out now: another kiosk's payment, or the one on the screen.
    pub(super) fn handed(&self) -> Option<(Outcome, Option<Quote>)> {
        if let Some(serving) = &self.center.serving {
            return Some((serving.outcome.clone(), serving.quote.clone()));
        }
        let payment = self.session.current()?;
        Some((payment.answer()?, payment.quoted()))
    }
}

/// For a payment of another kiosk only the signed words are known: what was to be paid, and what was left over.
fn inserted_of(outcome: &Outcome, quote: Option<&Quote>) -> Option<Amount> {
    match &outcome.verdict {
        Verdict::Accepted { remainder, .. } => {
            quote?.due().checked_add(remainder.map_or(Amount::ZERO, |balance| balance.amount))
        }
        Verdict::Held(balance) => Some(balance.amount),
    }
}
