//! What the citizen sees: the view model as a function of the kiosk's state.

use super::{
    Kiosk,
    dialogue::{Asked, Dialogue, NumberFor, Offer, Purpose},
};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
    secret::Secret,
    session::Payment,
    view::{
        Action, Body, Card, Comfort, Dialog, Frame, Intent, Notice, Picture, Row, Stage, StageState, Tab,
        Tone, ViewModel, Weight,
    },
    words::{Word, fill, word},
};
use tolem_protocol::{
    Amount, BalanceNumber, ClaimNumber, Denomination,
    catalogue::{Group, Language, Price, Service},
    messages::{HeldBalance, HoldReason, Quote, Verdict},
    qr::Qr,
    signed::Signed,
};

/// The center is asked this long before the screen says why it takes long, and before it offers a way out.
const SLOW_S: u64 = 3;
const STUCK_S: u64 = 15;

/// Letters of the search keyboard, one row each.
const KEYBOARD_CYRILLIC: [&str; 5] = ["әіңғүұқөһ", "йцукенгшщзх", "фывапролджэ", "ячсмитьбю", "1234567890"];
const KEYBOARD_LATIN: [&str; 4] = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890"];

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn compose(&self) -> ViewModel {
        let mut view = self.screen();
        view.language = self.language;
        view.steps = [Word::StepService, Word::StepPayer, Word::StepPayment, Word::StepCode]
            .map(|step| self.say(step));
        view.footer =
            self.with(Word::Footer, &[("kiosk", &self.config.kiosk.to_string()), ("phone", self.phone())]);
        view.comfort = Comfort {
            large_text_label: self.say(Word::LargeText),
            high_contrast_label: self.say(Word::HighContrast),
            low_reach_label: self.say(Word::LowReach),
            ..self.comfort.clone()
        };
        view.frame = Frame {
            product: self.say(Word::Title),
            scroll_labels: [self.say(Word::ScrollUp), self.say(Word::ScrollDown)],
        };
        if self.stopping.is_some() && self.dialogue != Dialogue::Attract {
            view.notice = Some(self.notice(Tone::Warning, Word::StoppingWithMoney));
            view.dialog = None;
        }
        if let Some(until) = self.still_here_until {
            view.dialog = Some(self.still_here(until.since(self.now).as_secs()));
        }
        view
    }

    fn screen(&self) -> ViewModel {
        match &self.dialogue {
            Dialogue::Attract if !self.can_start() => self.closed_screen(),
            Dialogue::Attract => self.attract(),
            Dialogue::Catalogue { group, query, keyboard } => self.catalogue_screen(*group, query, *keyboard),
            Dialogue::Service { service } => self.service_screen(*service),
            Dialogue::Iin { digits, error, purpose } => self.iin_screen(digits.as_str(), *error, *purpose),
            Dialogue::Number { digits, error, then } => self.number_screen(digits.as_str(), *error, *then),
            Dialogue::Asking { what, since } => self.asking_screen(*what, self.now.since(*since).as_secs()),
            Dialogue::Quoted(offer) => self.quote_screen(offer),
            Dialogue::Honest => self.with_payment(Self::honest_screen),
            Dialogue::Card(screen) => self.card_screen(screen),
            Dialogue::Inserting { agreed, stopping } => {
                self.with_payment(|kiosk, payment| kiosk.inserting_screen(payment, *agreed, *stopping))
            }
            Dialogue::Confirm { stopping } => {
                self.with_payment(|kiosk, payment| kiosk.confirm_screen(payment, *stopping))
            }
            Dialogue::Working { since } => self.working_screen(self.now.since(*since).as_secs()),
            Dialogue::Handing { .. } | Dialogue::SlipPrinting => self.printing_screen(),
            Dialogue::Code { printed, copy, .. } => self.code_screen(*printed, *copy),
            Dialogue::Slip { printed, .. } => {
                self.with_payment(|kiosk, payment| kiosk.slip_screen(payment, *printed))
            }
            Dialogue::Held { printed, .. } => self.held_screen(*printed),
            Dialogue::Found { printed, .. } => self.found_screen(*printed),
            Dialogue::Balance { balance, .. } => self.balance_screen(balance),
            Dialogue::Message { title, lead, .. } => self.message_screen(*title, *lead),
        }
    }

    fn with_payment(&self, draw: impl FnOnce(&Self, &Payment) -> ViewModel) -> ViewModel {
        match self.session.current() {
            Some(payment) => draw(self, payment),
            None => self.closed_screen(),
        }
    }

    fn attract(&self) -> ViewModel {
        ViewModel {
            screen: "attract",
            title: self.say(Word::Title),
            lead: self.say(if self.has_cards() { Word::StartLeadCards } else { Word::StartLead }),
            body: Body::Attract {
                invitations: Language::ALL.map(|language| word(language, Word::Start).to_owned()),
                states: self.live_states(),
                links: self.small_ways_in(),
            },
            ..ViewModel::default()
        }
    }

    fn small_ways_in(&self) -> Vec<Action> {
        let mut links = Vec::new();
        if self.link_is_up() {
            links.push(self.action(Word::HaveSlip, Intent::HaveSlip, Weight::Secondary));
        }
        if self.session.interrupted().next().is_some() {
            links.push(self.action(Word::WasInterrupted, Intent::WasInterrupted, Weight::Secondary));
        }
        links
    }

    /// Out of service, with the true reason. What still works is offered.
    pub(super) fn closed_screen(&self) -> ViewModel {
        let reason = match self.health.closed_by().and_then(FaultCode::reason) {
            Some(reason) => reason,
            None if !self.acceptor_ready => Word::ReasonStarting,
            None if self.catalogue.is_some() && self.known_notes().is_empty() => Word::ReasonNotes,
            None => Word::ReasonStarting,
        };
        let starting = matches!(reason, Word::ReasonStarting | Word::ReasonJournalChecking);
        let mut points = vec![self.notice(Tone::Info, Word::ClosedWakes)];
        if !starting && !self.config.nearest.is_empty() {
            points.push(self.notice_with(
                Tone::Info,
                Word::ClosedNearest,
                &[("address", &self.config.nearest)],
            ));
        }
        if !starting && !self.phone().is_empty() {
            points.push(self.notice_with(Tone::Info, Word::ClosedMoneyInside, &[("phone", self.phone())]));
        }
        ViewModel {
            screen: "closed",
            title: self.say(Word::ClosedTitle),
            lead: self.say(reason),
            body: Body::Message {
                tone: if starting { Tone::Info } else { Tone::Warning },
                picture: Picture::Closed,
                number: String::new(),
                number_label: String::new(),
                qr: None,
                rows: Vec::new(),
                points,
            },
            actions: self.small_ways_in(),
            ..ViewModel::default()
        }
    }

    fn catalogue_screen(&self, group: Option<Group>, query: &str, keyboard: bool) -> ViewModel {
        let tab = |label, intent: Option<Group>| Tab {
            label: self.say(label),
            selected: group == intent,
            intent: Intent::ChooseGroup(intent),
        };
        let mut tabs = vec![tab(Word::GroupAll, None)];
        tabs.extend(
            Group::ALL
                .into_iter()
                .filter(|group| self.services.iter().any(|service| service.group == *group))
                .map(|group| tab(group_word(group), Some(group))),
        );
        let mut found: Vec<(u16, &Service)> = (0u16..)
            .zip(&self.services)
            .filter(|(_, service)| group.is_none_or(|group| service.group == group))
            .filter(|(_, service)| matches_query(service, query))
            .collect();
        found.sort_by_key(|(index, service)| (service.rank, *index));
        let rows: &[&str] =
            if self.language == Language::English { &KEYBOARD_LATIN } else { &KEYBOARD_CYRILLIC };
        ViewModel {
            screen: "catalogue",
            title: self.say(Word::ChooseService),
            lead: self.say(Word::ChooseLead),
            step: 1,
            body: Body::Catalogue {
                tabs,
                query: query.to_owned(),
                query_hint: self.say(Word::SearchHint),
                cards: found
                    .into_iter()
                    .map(|(index, service)| Card {
                        title: service.name.get(self.language).to_owned(),
                        detail: self.say(group_word(service.group)),
                        price: self.price(service).to_string(),
                        intent: Intent::ChooseService(index),
                    })
                    .collect(),
                empty: self.say(Word::SearchEmpty),
                keyboard: if keyboard {
                    rows.iter().map(|row| (*row).to_owned()).collect()
                } else {
                    Vec::new()
                },
                keyboard_labels: [self.say(Word::Erase), self.say(Word::SearchClose)],
            },
            actions: vec![self.action(Word::Cancel, Intent::Cancel, Weight::Quiet)],
            ..ViewModel::default()
        }
    }

    fn service_screen(&self, index: u16) -> ViewModel {
        let Some(service) = self.services.get(usize::from(index)) else { return self.closed_screen() };
        let how = match service.price {
            Price::Fixed(_) => self.say(Word::PriceFixed),
            Price::Mrp { thousandths } => self.with(
                Word::PriceByMrp,
                &[("multiple", &thousandths_text(thousandths)), ("mrp", &self.mrp().to_string())],
            ),
        };
        ViewModel {
            screen: "service",
            title: service.name.get(self.language).to_owned(),
            lead: service.about.get(self.language).to_owned(),
            step: 1,
            body: Body::Facts {
                rows: vec![
                    self.row(Word::Price, self.price(service).to_string(), true),
                    self.row(Word::PriceHow, how, false),
                    self.row(Word::Payee, service.payee.get(self.language).to_owned(), false),
                    self.row(Word::PayeeBin, service.payee_bin.to_string(), false),
                ],
                points: vec![
                    self.notice(Tone::Info, Word::NeedIin),
                    self.notice(Tone::Info, self.what_to_bring()),
                    self.notice(Tone::Info, Word::HowCodeUsedText),
                ],
                notes: Vec::new(),
            },
            actions: vec![
                self.action(Word::PayThis, Intent::Next, Weight::Primary),
                self.action(Word::Back, Intent::Back, Weight::Quiet),
            ],
            ..ViewModel::default()
        }
    }

    fn iin_screen(&self, digits: &str, error: Option<Word>, purpose: Purpose) -> ViewModel {
        let title = if purpose == Purpose::Interrupted { Word::InterruptedTitle } else { Word::IinTitle };
        let lead = match purpose {
            Purpose::Pay { .. } => Word::IinLead,
            Purpose::Claim(_) | Purpose::Voucher(_) => Word::SlipIinLead,
            Purpose::Interrupted => Word::InterruptedLead,
        };
        let mut points =
            vec![self.notice(Tone::Info, Word::IinWhy), self.notice(Tone::Info, Word::IinPrivacy)];
        if digits.len() == 12 && error.is_none() {
            points.insert(0, self.notice(Tone::Good, Word::IinLooksRight));
        }
        let complete = digits.len() == 12 && error.is_none();
        self.keypad("iin", title, lead, 2, digits, &[6, 3, 3], Word::IinEcho, error, points, complete)
    }

    fn number_screen(&self, digits: &str, error: Option<Word>, then: NumberFor) -> ViewModel {
        let (title, lead, groups, step): (_, _, &[usize], _) = match then {
            NumberFor::Pay { .. } => (Word::VoucherEnter, Word::VoucherHow, &[4, 4, 4], 3),
            NumberFor::LookUp => (Word::SlipTitle, Word::SlipLead, &[5, 4, 4], 0),
        };
        let complete = match then {
            NumberFor::Pay { .. } => digits.len() == BalanceNumber::DIGITS,
            NumberFor::LookUp => digits.len() == BalanceNumber::DIGITS || digits.len() == ClaimNumber::DIGITS,
        };
        self.keypad("number", title, lead, step, digits, groups, Word::SlipEcho, error, Vec::new(), complete)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one keypad, two uses: every argument is a word or a number on it"
    )]
    fn keypad(
        &self,
        screen: &'static str,
        title: Word,
        lead: Word,
        step: u8,
        digits: &str,
        groups: &[usize],
        echo: Word,
        error: Option<Word>,
        points: Vec<Notice>,
        complete: bool,
    ) -> ViewModel {
        let spoken = Secret::from(grouped(digits, groups, None));
        let mut next = self.action(Word::Next, Intent::Next, Weight::Primary);
        next.enabled = complete;
        ViewModel {
            screen,
            title: self.say(title),
            lead: self.say(lead),
            step,
            body: Body::Keypad {
                echo: grouped(digits, groups, Some('_')).into(),
                echo_label: self.with(echo, &[("digits", &spoken)]).into(),
                error: error.map(|error| self.with(error, &[("phone", self.phone())])).unwrap_or_default(),
                points,
                erase_label: self.say(Word::Erase),
                clear_label: self.say(Word::Clear),
            },
            actions: vec![next, self.action(Word::Back, Intent::Back, Weight::Quiet)],
            ..ViewModel::default()
        }
    }

    fn asking_screen(&self, what: Asked, seconds: u64) -> ViewModel {
        let (lead, step) = match what {
            Asked::Payer { .. } => (Word::CheckingPayer, 2),
            Asked::Quote { .. } => (Word::CheckingQuote, 3),
            Asked::Claim | Asked::Voucher | Asked::Interrupted => (Word::CheckingSlip, 0),
        };
        let notice = (seconds >= SLOW_S).then(|| {
            self.notice(Tone::Info, if seconds >= STUCK_S { Word::CheckingStuck } else { Word::CheckingSlow })
        });
        let way_out = self.action(Word::Cancel, Intent::Cancel, Weight::Quiet);
        ViewModel {
            screen: "checking",
            title: self.say(Word::Checking),
            lead: self.say(lead),
            step,
            notice,
            body: Body::Working { stages: vec![Stage { label: self.say(lead), state: StageState::Active }] },
            actions: if seconds >= STUCK_S { vec![way_out] } else { Vec::new() },
            ..ViewModel::default()
        }
    }

    fn quote_screen(&self, offer: &Offer) -> ViewModel {
        let mut actions = self.ways_to_pay(offer);
        if offer.quote.balance.is_none() && offer.quote.method.has_cash() {
            actions.push(self.action(Word::AddVoucher, Intent::UseVoucher, Weight::Secondary));
        }
        actions.push(self.action(Word::Back, Intent::Back, Weight::Quiet));
        let mut rows = self.quote_rows(&offer.quote);
        rows.extend(self.card_total_row(offer));
        let mut points = vec![self.notice(Tone::Good, Word::QuoteConfirmed)];
        if offer.quote.due().is_zero() {
            points.push(self.notice(Tone::Good, Word::VoucherCovers));
        } else if offer.quote.cash_total != offer.quote.fee + offer.quote.commission {
            points.push(self.notice(Tone::Info, Word::RoundingWhy));
        }
        if offer.quote.method.has_cash() && !self.takes_cash_for(&offer.quote) {
            points.push(self.notice(Tone::Warning, Word::ReasonUnsettled));
        }
        points.extend(self.too_much_for_card(offer));
        ViewModel {
            screen: "quote",
            title: self.say(Word::QuoteTitle),
            step: 3,
            body: Body::Facts { rows, points, notes: Vec::new() },
            actions,
            ..ViewModel::default()
        }
    }

    /// Exactly what the center signed.
    fn quote_rows(&self, quote: &Quote) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(service) = self.service_of(quote) {
            rows.push(self.row(Word::Service, service.name.get(self.language).to_owned(), false));
            rows.push(self.row(Word::Payee, service.payee.get(self.language).to_owned(), false));
        }
        if let Some(payer) = &self.payer {
            rows.push(self.row(Word::PayerIin, payer.masked().as_str().into(), false));
        }
        if !quote.payer.is_empty() {
            rows.push(self.row(Word::Payer, quote.payer.as_str().into(), false));
        }
        rows.push(self.row(Word::Fee, quote.fee.to_string(), false));
        let commission = if quote.commission.is_zero() {
            self.say(Word::CommissionNone)
        } else {
            quote.commission.to_string()
        };
        rows.push(self.row(Word::Commission, commission, false));
        if let Some((_, sum)) = quote.balance {
            rows.push(self.row(Word::FromVoucher, format!("–{sum}"), false));
        }
        let total = if quote.method.has_cash() { Some(quote.due()) } else { quote.card_total() };
        rows.push(self.row(Word::Total, total.unwrap_or_default().to_string(), true));
        rows
    }

    fn honest_screen(&self, payment: &Payment) -> ViewModel {
        let printer = !self.health.printer_blocked();
        let link = self.center_is_trusted();
        let mut points = vec![
            if !printer {
                self.notice(Tone::Warning, Word::HonestReceiptNo)
            } else if self.health.has(FaultCode::PaperLow) {
                self.notice(Tone::Info, Word::HonestPaperLow)
            } else {
                self.notice(Tone::Good, Word::HonestReceiptYes)
            },
            if link {
                self.notice(Tone::Good, Word::HonestLinkYes)
            } else {
                self.notice(Tone::Alarm, Word::HonestLinkNo)
            },
            self.notice(Tone::Info, Word::HonestNoChange),
            self.notice(Tone::Info, Word::HonestLinkBreaks),
        ];
        if payment.due().is_zero() {
            points = vec![self.notice(Tone::Good, Word::VoucherCovers)];
        }
        let agree = if printer { Word::HonestAgree } else { Word::HonestAgreeNoPaper };
        let mut next = self.action(agree, Intent::Next, Weight::Primary);
        next.enabled = link;
        ViewModel {
            screen: "honest",
            title: self.say(Word::HonestTitle),
            step: 3,
            body: Body::Facts {
                rows: vec![self.row(Word::ToPay, payment.due().to_string(), true)],
                points,
                notes: faces(&self.first_notes()),
            },
            actions: vec![next, self.action(Word::Cancel, Intent::Cancel, Weight::Quiet)],
            ..ViewModel::default()
        }
    }

    /// Notes that will be taken first; where even the smallest is above the sum, that one.
    fn first_notes(&self) -> Vec<Denomination> {
        let welcome = self.welcome_notes(None);
        if welcome.is_empty() {
            self.larger_note().map(|(note, _)| note).into_iter().collect()
        } else {
            welcome
        }
    }

    fn inserting_screen(&self, payment: &Payment, agreed: Option<Denomination>, stopping: bool) -> ViewModel {
        let (due, inserted, remaining) = (payment.due(), payment.inserted(), payment.remaining());
        let progress =
            if due.is_zero() { 1_000 } else { inserted.tiyn().min(due.tiyn()) * 1_000 / due.tiyn() };
        let shut = self.slot_shut(payment);
        let welcome = if shut.is_some() { Vec::new() } else { self.welcome_notes(agreed) };
        let mut actions = Vec::new();
        let mut notice = None;
        if let Some((note, remainder)) = self.larger_note().filter(|_| agreed.is_none() && shut.is_none()) {
            let args = [
                ("remaining", remaining.to_string()),
                ("note", note.amount().to_string()),
                ("sum", remainder.to_string()),
            ];
            let args: Vec<(&str, &str)> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
            notice = Some(Notice {
                tone: Tone::Info,
                text: format!(
                    "{}. {}",
                    self.with(Word::LargerNote, &args),
                    self.with(Word::LargerNoteText, &args)
                ),
            });
            actions.push(Action {
                label: self.with(Word::LargerNoteAgree, &args),
                ..self.action(Word::Next, Intent::AgreeRemainder, Weight::Primary)
            });
        }
        if let Some((tone, why)) = shut {
            notice = Some(self.notice(tone, why));
        } else if !self.link_is_up() {
            notice = Some(self.notice(Tone::Warning, Word::LinkLostWithMoney));
        }
        let stop = if inserted.is_zero() { Word::Cancel } else { Word::Stop };
        actions.push(self.action(stop, Intent::Stop, Weight::Quiet));
        let title = match shut {
            Some(_) => Word::ClosedCashTitle,
            None if inserted.is_zero() => Word::InsertTitle,
            None => Word::InsertNext,
        };
        ViewModel {
            screen: "inserting",
            title: self.say(title),
            lead: if shut.is_some() { String::new() } else { self.say(Word::InsertLead) },
            step: 3,
            notice,
            body: Body::Inserting {
                due: self.row(Word::ToPay, due.to_string(), false),
                inserted: self.row(Word::Inserted, inserted.to_string(), false),
                remaining: self.row(Word::Remaining, remaining.to_string(), true),
                progress: u16::try_from(progress).unwrap_or(1_000),
                last_note: self.last_remark(),
                notes: faces(&welcome),
                notes_label: self.say(Word::NotesTakenNow),
            },
            actions,
            dialog: stopping.then(|| self.stop_question(payment)),
            ..ViewModel::default()
        }
    }

    fn confirm_screen(&self, payment: &Payment, stopping: bool) -> ViewModel {
        let Some(quote) = payment.quoted() else { return self.closed_screen() };
        let mut rows = self.quote_rows(&quote);
        rows.push(self.row(Word::Inserted, payment.inserted().to_string(), true));
        let left = payment.inserted().saturating_sub(payment.due());
        if !left.is_zero() {
            rows.push(self.row(Word::RemainderAsVoucher, left.to_string(), false));
        }
        ViewModel {
            screen: "confirm",
            title: self.say(Word::ConfirmTitle),
            lead: self.say(Word::ConfirmLead),
            step: 3,
            body: Body::Facts { rows, points: Vec::new(), notes: Vec::new() },
            actions: vec![
                self.action(Word::Confirm, Intent::Confirm, Weight::Primary),
                self.action(Word::Stop, Intent::Stop, Weight::Quiet),
            ],
            dialog: stopping.then(|| self.stop_question(payment)),
            ..ViewModel::default()
        }
    }

    fn stop_question(&self, payment: &Payment) -> Dialog {
        let sum = payment.inserted().to_string();
        Dialog {
            title: self.say(Word::StopTitle),
            text: self.with(Word::StopText, &[("sum", &sum), ("phone", self.phone())]),
            actions: vec![
                self.action(Word::StopNo, Intent::Resume, Weight::Primary),
                self.action(Word::StopYes, Intent::StopConfirmed, Weight::Secondary),
            ],
        }
    }

    fn still_here(&self, seconds: u64) -> Dialog {
        let seconds = (seconds + 1).to_string();
        let text = match self.session.current().map(Payment::inserted).filter(|sum| !sum.is_zero()) {
            Some(sum) => self.with(Word::StillHereMoney, &[("seconds", &seconds), ("sum", &sum.to_string())]),
            None => self.with(Word::StillHereText, &[("seconds", &seconds)]),
        };
        Dialog {
            title: self.say(Word::StillHereTitle),
            text,
            actions: vec![self.action(Word::StillHereYes, Intent::StillHere, Weight::Primary)],
        }
    }

    fn working_screen(&self, seconds: u64) -> ViewModel {
        let paying = self
            .session
            .current()
            .and_then(|payment| payment.deposit.as_ref())
            .and_then(Signed::read_unverified)
            .is_some_and(|deposit| deposit.kind == tolem_protocol::messages::DepositKind::Pay);
        let middle = if paying { Word::StageCode } else { Word::StageHolding };
        let last = if paying { Word::StagePrinting } else { Word::StagePrintingSlip };
        let wait = u64::from(self.limits.map_or(20, |limits| limits.answer_wait_s));
        let notice = (seconds >= SLOW_S).then(|| {
            let left = wait.saturating_sub(seconds).to_string();
            self.notice_with(Tone::Info, Word::WaitingLong, &[("seconds", &left)])
        });
        ViewModel {
            screen: "working",
            title: self.say(Word::WorkingTitle),
            lead: self.say(Word::WorkingLead),
            step: 4,
            notice,
            body: Body::Working { stages: self.stages(&[Word::StageAccepted, middle, last], 1) },
            ..ViewModel::default()
        }
    }

    fn printing_screen(&self) -> ViewModel {
        let slip = self.dialogue == Dialogue::SlipPrinting || self.held_balance().is_some();
        let last = if slip { Word::StagePrintingSlip } else { Word::StagePrinting };
        ViewModel {
            screen: "printing",
            title: self.say(Word::Printing),
            lead: self.say(Word::WorkingLead),
            step: 4,
            body: Body::Working { stages: self.stages(&[Word::StageAccepted, Word::StageCode, last], 2) },
            ..ViewModel::default()
        }
    }

    pub(super) fn stages(&self, words: &[Word], active: usize) -> Vec<Stage> {
        words
            .iter()
            .enumerate()
            .map(|(index, stage)| Stage {
                label: self.say(*stage),
                state: match index.cmp(&active) {
                    std::cmp::Ordering::Less => StageState::Done,
                    std::cmp::Ordering::Equal => StageState::Active,
                    std::cmp::Ordering::Greater => StageState::Waiting,
                },
            })
            .collect()
    }

    fn code_screen(&self, printed: bool, copy: bool) -> ViewModel {
        let Some((outcome, quote)) = self.handed() else { return self.closed_screen() };
        let Verdict::Accepted { token, remainder } = outcome.verdict else { return self.closed_screen() };
        let Some(code) = token.read_unverified() else { return self.closed_screen() };
        let mut rows = Vec::new();
        if let Some(service) = quote.as_ref().and_then(|quote| self.service_of(quote)) {
            rows.push(self.row(Word::Service, service.name.get(self.language).to_owned(), false));
        }
        rows.push(self.row(Word::Paid, self.paid_with(outcome.payment, code.fee), false));
        rows.push(self.row(Word::ValidUntil, code.valid_until.date().to_string(), false));
        let site = self.catalogue.as_ref().map_or("", |head| head.site.as_str());
        rows.push(self.row(Word::WhereToUse, self.with(Word::WhereToUseText, &[("site", site)]), false));
        if let Some(balance) = remainder {
            rows.push(self.row(Word::Voucher, balance.amount.to_string(), true));
            rows.push(self.row(Word::VoucherNumber, balance.number.to_string(), false));
        }
        let mut actions = Vec::new();
        let (title, lead, notice) = if printed {
            let lead = if remainder.is_some() { Word::TakeReceiptAndVoucher } else { Word::TakeReceipt };
            let notice = (copy || self.is_copy()).then(|| self.notice(Tone::Info, Word::ReceiptIsCopy));
            (Word::CodeTitle, lead, notice)
        } else {
            rows.push(self.row(Word::ClaimNumber, outcome.payment.claim_number().to_string(), true));
            if !self.health.printer_blocked() {
                actions.push(self.action(Word::PrintAgain, Intent::Print, Weight::Secondary));
            }
            (Word::CannotPrint, Word::CannotPrintLead, Some(self.notice(Tone::Warning, Word::ReceiptOwed)))
        };
        actions.insert(0, self.action(Word::Done, Intent::Done, Weight::Primary));
        if self.can_start() {
            actions.push(self.action(Word::AnotherPayment, Intent::AnotherPayment, Weight::Secondary));
        }
        ViewModel {
            screen: if printed { "code" } else { "cannot-print" },
            title: self.say(title),
            lead: self.say(lead),
            step: 4,
            notice,
            body: Body::Code {
                label: self.say(Word::Code),
                code: code.code.to_string(),
                qr: self.symbol.modules(Qr::Code(token).encode()),
                rows,
            },
            actions,
            ..ViewModel::default()
        }
    }

    fn slip_screen(&self, payment: &Payment, printed: bool) -> ViewModel {
        let mut points = vec![
            self.notice(Tone::Good, Word::ClaimHow),
            self.notice(Tone::Info, if printed { Word::ClaimKeep } else { Word::ClaimPhotograph }),
        ];
        if !self.phone().is_empty() {
            points.push(self.notice_with(Tone::Info, Word::ClaimPhone, &[("phone", self.phone())]));
        }
        let mut actions = vec![self.action(Word::Done, Intent::Done, Weight::Primary)];
        if !printed && !self.health.printer_blocked() {
            actions.push(self.action(Word::PrintAgain, Intent::Print, Weight::Secondary));
        }
        let text = payment.deposit.as_ref().map(|deposit| Qr::Deposit(deposit.clone()).encode());
        let qr = text.and_then(|text| self.symbol.modules(text));
        ViewModel {
            screen: "claim-slip",
            title: self.say(if printed { Word::TakeSlip } else { Word::ClaimTitle }),
            lead: self.say(Word::ClaimLead),
            step: 4,
            body: Body::Message {
                tone: Tone::Info,
                picture: Picture::Slip,
                number: payment.id.claim_number().to_string(),
                number_label: self.say(Word::ClaimNumber),
                qr: if printed { None } else { qr },
                rows: vec![self.row(Word::Inserted, payment.inserted().to_string(), true)],
                points,
            },
            actions,
            ..ViewModel::default()
        }
    }

    fn held_screen(&self, printed: bool) -> ViewModel {
        let Some(balance) = self.held_balance() else { return self.closed_screen() };
        let mut actions = vec![self.action(Word::Done, Intent::Done, Weight::Primary)];
        if !printed && !self.health.printer_blocked() {
            actions.push(self.action(Word::PrintAgain, Intent::Print, Weight::Secondary));
        }
        let mut points = self.balance_points();
        if !printed {
            points.push(self.notice(Tone::Warning, Word::ClaimPhotograph));
        }
        self.balance_message(
            "held",
            if printed { Word::TakeVoucher } else { Word::HeldTitle },
            held_word(balance.reason),
            &balance,
            points,
            actions,
        )
    }

    fn balance_screen(&self, balance: &HeldBalance) -> ViewModel {
        let mut actions = Vec::new();
        if self.can_start() && balance.reason != HoldReason::Suspense {
            actions.push(self.action(Word::ChooseService, Intent::Next, Weight::Primary));
        }
        actions.push(self.action(Word::Done, Intent::Done, Weight::Quiet));
        self.balance_message(
            "balance",
            Word::VoucherFound,
            held_word(balance.reason),
            balance,
            self.balance_points(),
            actions,
        )
    }

    fn balance_points(&self) -> Vec<Notice> {
        vec![
            self.notice(Tone::Good, Word::VoucherHow),
            self.notice_with(Tone::Info, Word::VoucherRefund, &[("phone", self.phone())]),
        ]
    }

    fn balance_message(
        &self,
        screen: &'static str,
        title: Word,
        lead: Word,
        balance: &HeldBalance,
        points: Vec<Notice>,
        actions: Vec<Action>,
    ) -> ViewModel {
        ViewModel {
            screen,
            title: self.say(title),
            lead: self.say(lead),
            body: Body::Message {
                tone: Tone::Good,
                picture: Picture::Slip,
                number: balance.number.to_string(),
                number_label: self.say(Word::VoucherNumber),
                qr: None,
                rows: vec![self.row(Word::VoucherSum, balance.amount.to_string(), true)],
                points,
            },
            actions,
            ..ViewModel::default()
        }
    }

    fn message_screen(&self, title: Word, lead: Word) -> ViewModel {
        ViewModel {
            screen: "message",
            title: self.say(title),
            lead: self.with(lead, &[("phone", self.phone())]),
            body: Body::Message {
                tone: Tone::Warning,
                picture: Picture::Question,
                number: String::new(),
                number_label: String::new(),
                qr: None,
                rows: Vec::new(),
                points: Vec::new(),
            },
            actions: vec![self.action(Word::Done, Intent::Done, Weight::Primary)],
            ..ViewModel::default()
        }
    }

    fn price(&self, service: &Service) -> Amount {
        service.price.amount(self.mrp()).unwrap_or(Amount::ZERO)
    }

    fn mrp(&self) -> Amount {
        self.catalogue.as_ref().and_then(|head| head.mrp_on(self.utc.date())).unwrap_or(Amount::ZERO)
    }

    pub(super) fn say(&self, phrase: Word) -> String {
        word(self.language, phrase).to_owned()
    }

    fn with(&self, phrase: Word, args: &[(&str, &str)]) -> String {
        fill(self.language, phrase, args)
    }

    pub(super) fn notice(&self, tone: Tone, phrase: Word) -> Notice {
        Notice { tone, text: self.say(phrase) }
    }

    pub(super) fn notice_with(&self, tone: Tone, phrase: Word, args: &[(&str, &str)]) -> Notice {
        Notice { tone, text: self.with(phrase, args) }
    }

    pub(super) fn row(&self, label: Word, value: String, strong: bool) -> Row {
        Row { label: self.say(label), value, strong }
    }

    pub(super) fn action(&self, label: Word, intent: Intent, weight: Weight) -> Action {
        Action { label: self.say(label), intent, weight, enabled: true }
    }
}

fn group_word(group: Group) -> Word {
    match group {
        Group::Documents => Word::GroupDocuments,
        Group::Transport => Word::GroupTransport,
        Group::Family => Word::GroupFamily,
        Group::Justice => Word::GroupJustice,
        Group::Property => Word::GroupProperty,
    }
}

fn held_word(reason: HoldReason) -> Word {
    match reason {
        HoldReason::Stopped => Word::HeldStopped,
        HoldReason::Remainder => Word::HeldRemainder,
        HoldReason::Suspense => Word::HeldSuspense,
        HoldReason::NoPayment => Word::HeldNoPayment,
        HoldReason::Refused => Word::HeldRefused,
        HoldReason::JournalFailed => Word::HeldJournalFailed,
    }
}

/// Every word of the query begins a word of the name in some language, or is part of the code.
fn matches_query(service: &Service, query: &str) -> bool {
    if query.is_empty() {
        return true;
    }
    let haystack = Language::ALL.map(|language| service.name.get(language).to_lowercase()).join(" ");
    let begins = |part: &str| {
        haystack.split(|letter: char| !letter.is_alphanumeric()).any(|word| word.starts_with(part))
            || service.code.contains(part)
    };
    query.to_lowercase().split_whitespace().all(begins)
}

/// `1,25` for 1250.
fn thousandths_text(thousandths: u32) -> String {
    let whole = thousandths / 1_000;
    let fraction = format!("{:03}", thousandths % 1_000);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_string() } else { format!("{whole},{fraction}") }
}

/// Face values without the sign, as on the note.
fn faces(notes: &[Denomination]) -> Vec<String> {
    notes
        .iter()
        .map(|note| note.amount().to_string().trim_end_matches(['₸', '\u{202f}']).to_owned())
        .collect()
}

/// Digits in groups, set off by spaces; with `blank`, places to come are shown. The text is never moved to a larger place, so that
/// only the one that is returned has to be wiped.
fn grouped(digits: &str, groups: &[usize], blank: Option<char>) -> String {
    let mut text = String::with_capacity(groups.iter().sum::<usize>() + groups.len());
    let mut typed = digits.chars();
    for (index, size) in groups.iter().enumerate() {
        for place in 0..*size {
            let Some(letter) = typed.next().or(blank) else { return text };
            if index > 0 && place == 0 {
                text.push(' ');
            }
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        assert_eq!(grouped("0001013", &[6, 3, 3], Some('_')), "000101 3__ ___");
        assert_eq!(grouped("0001013", &[6, 3, 3], None), "000101 3");
        assert_eq!(grouped("", &[6, 3, 3], None), "");
    }

    #[test]
    fn multiples_are_written_as_people_write_them() {
        for (thousandths, text) in [(1_250, "1,25"), (8_000, "8"), (200, "0,2"), (5, "0,005")] {
            assert_eq!(thousandths_text(thousandths), text);
        }
    }
}
