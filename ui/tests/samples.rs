//! View models as the kiosk composes them: one per kind of body and per state that looks different.

#![allow(dead_code, reason = "each test file uses its own part")]

use tolem_core::view::{
    Action, Body, Card, Comfort, Dialog, Frame, Intent, Notice, Picture, Qr, Row, Stage, StageState, Tab,
    Tone, ViewModel, Weight,
};
use tolem_core::words::{Word, fill, word};
use tolem_protocol::catalogue::{Group, Language};

const PHONE: &str = "1414";

/// Stable name of a language in file names.
pub fn tag(language: Language) -> &'static str {
    match language {
        Language::Kazakh => "kk",
        Language::Russian => "ru",
        Language::English => "en",
    }
}

/// Every sample in `language`.
pub fn all(language: Language) -> Vec<ViewModel> {
    let say = Say(language);
    vec![
        say.attract(),
        say.catalogue(),
        say.search(),
        say.service(),
        say.iin(),
        say.iin_error(),
        say.quote(),
        say.honest(),
        say.inserting(),
        say.larger_note(),
        say.stop_question(),
        say.confirm(),
        say.working(),
        say.code(),
        say.cannot_print(),
        say.claim(),
        say.held(),
        say.closed(),
    ]
}

/// The sample named `screen`.
pub fn one(language: Language, screen: &str) -> ViewModel {
    all(language)
        .into_iter()
        .find(|view| view.screen == screen)
        .unwrap_or_else(|| panic!("no sample is named {screen}"))
}

struct Say(Language);

impl Say {
    fn word(&self, name: Word) -> String {
        word(self.0, name).to_owned()
    }

    fn fill(&self, name: Word, args: &[(&str, &str)]) -> String {
        fill(self.0, name, args)
    }

    fn names(&self, kk: &str, ru: &str, en: &str) -> String {
        match self.0 {
            Language::Kazakh => kk,
            Language::Russian => ru,
            Language::English => en,
        }
        .to_owned()
    }

    fn notice(&self, tone: Tone, name: Word) -> Notice {
        Notice { tone, text: self.word(name) }
    }

    fn row(&self, label: Word, value: impl Into<String>) -> Row {
        Row { label: self.word(label), value: value.into(), strong: false }
    }

    fn strong(&self, label: Word, value: impl Into<String>) -> Row {
        Row { strong: true, ..self.row(label, value) }
    }

    fn action(&self, name: Word, intent: Intent, weight: Weight) -> Action {
        Action { label: self.word(name), intent, weight, enabled: true }
    }

    fn passport(&self) -> String {
        self.names(
            "Паспорт, 36 бет, 10 жылға (16 жастан асқандарға)",
            "Паспорт, 36 страниц, на 10 лет (старше 16 лет)",
            "Passport, 36 pages, 10 years (over 16)",
        )
    }

    fn payee(&self) -> String {
        self.names(
            "Мемлекеттік кірістер басқармасы, Алматы ауданы, Астана қаласы",
            "Управление государственных доходов по району Алматы города Астаны",
            "State Revenue Office of Almaty district, Astana",
        )
    }

    fn view(
        &self,
        screen: &'static str,
        title: Word,
        step: u8,
        body: Body,
        actions: Vec<Action>,
    ) -> ViewModel {
        ViewModel {
            screen,
            language: self.0,
            title: self.word(title),
            steps: [Word::StepService, Word::StepPayer, Word::StepPayment, Word::StepCode]
                .map(|step| self.word(step)),
            step,
            body,
            actions,
            footer: self.fill(Word::Footer, &[("kiosk", "0417"), ("phone", PHONE)]),
            comfort: Comfort {
                large_text_label: self.word(Word::LargeText),
                high_contrast_label: self.word(Word::HighContrast),
                low_reach_label: self.word(Word::LowReach),
                ..Comfort::default()
            },
            frame: Frame {
                product: self.word(Word::Title),
                scroll_labels: [self.word(Word::ScrollUp), self.word(Word::ScrollDown)],
            },
            ..ViewModel::default()
        }
    }

    fn attract(&self) -> ViewModel {
        let body = Body::Attract {
            invitations: Language::ALL.map(|language| word(language, Word::Start).to_owned()),
            states: vec![
                self.notice(Tone::Good, Word::StateReceiptsYes),
                self.notice(Tone::Good, Word::StateCashYes),
                self.notice(Tone::Warning, Word::StateCardNo),
            ],
            links: vec![
                self.action(Word::HaveSlip, Intent::HaveSlip, Weight::Secondary),
                self.action(Word::WasInterrupted, Intent::WasInterrupted, Weight::Secondary),
            ],
        };
        ViewModel {
            lead: self.word(Word::StartLead),
            ..self.view("attract", Word::Title, 0, body, Vec::new())
        }
    }

    fn cards(&self) -> Vec<Card> {
        let card = |index, title: String, group, price: &str| Card {
            title,
            detail: self.word(group),
            price: price.to_owned(),
            intent: Intent::ChooseService(index),
        };
        let documents = Word::GroupDocuments;
        vec![
            card(
                0,
                self.names("Жеке куәлік беру", "Выдача удостоверения личности", "Identity card"),
                documents,
                "865\u{202f}₸",
            ),
            card(1, self.passport(), documents, "34\u{202f}600\u{202f}₸"),
            card(
                2,
                self.names(
                    "Жүргізуші куәлігін беру",
                    "Выдача водительского удостоверения",
                    "Driving licence",
                ),
                Word::GroupTransport,
                "5\u{202f}406,25\u{202f}₸",
            ),
            card(
                3,
                self.names(
                    "Неке қию туралы қайталама куәлік беру",
                    "Выдача повторного свидетельства о браке",
                    "Marriage certificate, second copy",
                ),
                Word::GroupFamily,
                "4\u{202f}325\u{202f}₸",
            ),
            card(
                4,
                self.names(
                    "Соттан шығатын ресми құжаттарға апостиль қою",
                    "Апостилирование официальных документов, исходящих из судебных органов",
                    "Apostille on official documents issued by courts",
                ),
                Word::GroupJustice,
                "2\u{202f}162,50\u{202f}₸",
            ),
            card(
                5,
                self.names(
                    "Жылжымайтын мүлікке құқықты тіркеу",
                    "Регистрация прав на недвижимое имущество",
                    "Registration of rights to real estate",
                ),
                Word::GroupProperty,
                "4\u{202f}325\u{202f}₸",
            ),
            card(
                6,
                self.names("Паспорт, 48 бет", "Паспорт, 48 страниц", "Passport, 48 pages"),
                documents,
                "51\u{202f}900\u{202f}₸",
            ),
            card(
                7,
                self.names("Тұруға ықтиярхат беру", "Выдача вида на жительство", "Residence permit"),
                documents,
                "865\u{202f}₸",
            ),
        ]
    }

    fn catalogue(&self) -> ViewModel {
        let tab = |label, intent, selected| Tab {
            label: self.word(label),
            selected,
            intent: Intent::ChooseGroup(intent),
        };
        let body = Body::Catalogue {
            tabs: vec![
                tab(Word::GroupAll, None, true),
                tab(Word::GroupDocuments, Some(Group::Documents), false),
                tab(Word::GroupTransport, Some(Group::Transport), false),
                tab(Word::GroupFamily, Some(Group::Family), false),
                tab(Word::GroupJustice, Some(Group::Justice), false),
                tab(Word::GroupProperty, Some(Group::Property), false),
            ],
            query: String::new(),
            query_hint: self.word(Word::SearchHint),
            cards: self.cards(),
            empty: self.word(Word::SearchEmpty),
            keyboard: Vec::new(),
            keyboard_labels: [self.word(Word::Erase), self.word(Word::SearchClose)],
        };
        let actions = vec![self.action(Word::Cancel, Intent::Cancel, Weight::Quiet)];
        ViewModel {
            lead: self.word(Word::ChooseLead),
            ..self.view("catalogue", Word::ChooseService, 1, body, actions)
        }
    }

    fn search(&self) -> ViewModel {
        let mut view = ViewModel { screen: "search", ..self.catalogue() };
        let rows: &[&str] = match self.0 {
            Language::English => &["qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890"],
            Language::Kazakh | Language::Russian => {
                &["әіңғүұқөһ", "йцукенгшщзх", "фывапролджэ", "ячсмитьбю", "1234567890"]
            }
        };
        if let Body::Catalogue { keyboard, query, cards, .. } = &mut view.body {
            *keyboard = rows.iter().map(|row| (*row).to_owned()).collect();
            *query = self.names("жеке", "удост", "card");
            cards.truncate(2);
        }
        view
    }

    fn service(&self) -> ViewModel {
        let body = Body::Facts {
            rows: vec![
                self.strong(Word::Price, "34\u{202f}600\u{202f}₸"),
                self.row(
                    Word::PriceHow,
                    self.fill(Word::PriceByMrp, &[("multiple", "8"), ("mrp", "4\u{202f}325\u{202f}₸")]),
                ),
                self.row(Word::Payee, self.payee()),
                self.row(Word::PayeeBin, "090440004151"),
            ],
            points: vec![
                self.notice(Tone::Info, Word::NeedIin),
                self.notice(Tone::Info, Word::NeedCash),
                self.notice(Tone::Info, Word::HowCodeUsedText),
            ],
            notes: Vec::new(),
        };
        let actions = vec![
            self.action(Word::PayThis, Intent::Next, Weight::Primary),
            self.action(Word::Back, Intent::Back, Weight::Quiet),
        ];
        ViewModel {
            title: self.passport(),
            lead: self.names(
                "Шетелге шығуға арналған паспорт. Жеке куәлік қажет болады.",
                "Паспорт для выезда за границу. Понадобится удостоверение личности.",
                "A passport for travel abroad. You will need your identity card.",
            ),
            ..self.view("service", Word::ChooseService, 1, body, actions)
        }
    }

    fn keypad(&self, screen: &'static str, echo: &str, error: Option<Word>, complete: bool) -> ViewModel {
        let body = Body::Keypad {
            echo: echo.to_owned().into(),
            echo_label: self.fill(Word::IinEcho, &[("digits", echo.trim_end_matches(['_', ' ']))]).into(),
            error: error.map(|error| self.word(error)).unwrap_or_default(),
            points: vec![self.notice(Tone::Info, Word::IinWhy), self.notice(Tone::Info, Word::IinPrivacy)],
            erase_label: self.word(Word::Erase),
            clear_label: self.word(Word::Clear),
        };
        let next = Action { enabled: complete, ..self.action(Word::Next, Intent::Next, Weight::Primary) };
        let actions = vec![next, self.action(Word::Back, Intent::Back, Weight::Quiet)];
        ViewModel { lead: self.word(Word::IinLead), ..self.view(screen, Word::IinTitle, 2, body, actions) }
    }

    fn iin(&self) -> ViewModel {
        self.keypad("iin", "000101 30_ ___", None, false)
    }

    fn iin_error(&self) -> ViewModel {
        self.keypad("iin-error", "000101 300 018", Some(Word::IinErrorControl), false)
    }

    fn quote_rows(&self) -> Vec<Row> {
        vec![
            self.row(Word::Payer, "ИВАНОВА А***"),
            self.row(Word::PayerIin, "000101\u{a0}***\u{a0}019"),
            self.row(Word::Service, self.passport()),
            self.row(Word::Payee, self.payee()),
            self.row(Word::Fee, "34\u{202f}600\u{202f}₸"),
            self.row(Word::Commission, self.word(Word::CommissionNone)),
            self.strong(Word::Total, "34\u{202f}600\u{202f}₸"),
        ]
    }

    fn quote(&self) -> ViewModel {
        let body = Body::Facts { rows: self.quote_rows(), points: Vec::new(), notes: Vec::new() };
        let actions = vec![
            self.action(Word::PayCash, Intent::PayCash, Weight::Primary),
            self.action(Word::AddVoucher, Intent::UseVoucher, Weight::Secondary),
            self.action(Word::Back, Intent::Back, Weight::Quiet),
            self.action(Word::Cancel, Intent::Cancel, Weight::Quiet),
        ];
        ViewModel {
            lead: self.word(Word::QuoteConfirmed),
            ..self.view("quote", Word::QuoteTitle, 3, body, actions)
        }
    }

    fn honest(&self) -> ViewModel {
        let body = Body::Facts {
            rows: vec![self.strong(Word::ToPay, "34\u{202f}600\u{202f}₸")],
            points: vec![
                self.notice(Tone::Warning, Word::HonestReceiptNo),
                self.notice(Tone::Good, Word::HonestLinkYes),
                self.notice(Tone::Info, Word::HonestNoChange),
                self.notice(Tone::Info, Word::HonestLinkBreaks),
            ],
            notes: notes(&[
                "500",
                "1\u{202f}000",
                "2\u{202f}000",
                "5\u{202f}000",
                "10\u{202f}000",
                "20\u{202f}000",
            ]),
        };
        let actions = vec![
            self.action(Word::HonestAgree, Intent::Next, Weight::Primary),
            self.action(Word::Cancel, Intent::Cancel, Weight::Quiet),
        ];
        self.view("honest", Word::HonestTitle, 3, body, actions)
    }

    fn inserting(&self) -> ViewModel {
        let body = Body::Inserting {
            due: self.row(Word::ToPay, "34\u{202f}600\u{202f}₸"),
            inserted: self.row(Word::Inserted, "20\u{202f}000\u{202f}₸"),
            remaining: self.strong(Word::Remaining, "14\u{202f}600\u{202f}₸"),
            progress: 578,
            last_note: Some(Notice {
                tone: Tone::Good,
                text: self.fill(Word::NoteAccepted, &[("sum", "20\u{202f}000\u{202f}₸")]),
            }),
            notes: notes(&["500", "1\u{202f}000", "2\u{202f}000", "5\u{202f}000", "10\u{202f}000"]),
            notes_label: self.word(Word::NotesTakenNow),
        };
        let actions = vec![self.action(Word::Stop, Intent::Stop, Weight::Quiet)];
        ViewModel {
            lead: self.word(Word::InsertLead),
            ..self.view("inserting", Word::InsertNext, 3, body, actions)
        }
    }

    fn larger_note(&self) -> ViewModel {
        let mut view = ViewModel { screen: "larger-note", ..self.inserting() };
        let args = [("remaining", "100\u{202f}₸"), ("note", "500\u{202f}₸"), ("sum", "400\u{202f}₸")];
        view.notice = Some(Notice {
            tone: Tone::Info,
            text: format!(
                "{}. {}",
                self.fill(Word::LargerNote, &args),
                self.fill(Word::LargerNoteText, &args)
            ),
        });
        let agree = Action {
            label: self.fill(Word::LargerNoteAgree, &args),
            ..self.action(Word::Next, Intent::AgreeRemainder, Weight::Primary)
        };
        view.actions.insert(0, agree);
        if let Body::Inserting { last_note, remaining, inserted, progress, .. } = &mut view.body {
            *last_note = Some(self.notice(Tone::Warning, Word::NoteUnread));
            remaining.value = "100\u{202f}₸".into();
            inserted.value = "34\u{202f}500\u{202f}₸".into();
            *progress = 997;
        }
        view
    }

    fn stop_question(&self) -> ViewModel {
        let args = [("sum", "20\u{202f}000\u{202f}₸"), ("phone", PHONE)];
        let dialog = Dialog {
            title: self.word(Word::StopTitle),
            text: self.fill(Word::StopText, &args),
            actions: vec![
                self.action(Word::StopNo, Intent::Resume, Weight::Primary),
                self.action(Word::StopYes, Intent::StopConfirmed, Weight::Secondary),
            ],
        };
        ViewModel { screen: "stop", dialog: Some(dialog), ..self.inserting() }
    }

    /// "Are you still here?" over the catalogue.
    pub fn still_here(&self) -> ViewModel {
        let dialog = Dialog {
            title: self.word(Word::StillHereTitle),
            text: self.fill(Word::StillHereText, &[("seconds", "20")]),
            actions: vec![self.action(Word::StillHereYes, Intent::StillHere, Weight::Primary)],
        };
        ViewModel { screen: "still-here", dialog: Some(dialog), ..self.catalogue() }
    }

    fn confirm(&self) -> ViewModel {
        let mut rows = self.quote_rows();
        rows.push(self.strong(Word::Inserted, "35\u{202f}000\u{202f}₸"));
        rows.push(self.row(Word::RemainderAsVoucher, "400\u{202f}₸"));
        let body = Body::Facts { rows, points: Vec::new(), notes: Vec::new() };
        let actions = vec![
            self.action(Word::Confirm, Intent::Confirm, Weight::Primary),
            self.action(Word::Stop, Intent::Stop, Weight::Quiet),
        ];
        ViewModel {
            lead: self.word(Word::ConfirmLead),
            ..self.view("confirm", Word::ConfirmTitle, 3, body, actions)
        }
    }

    fn working(&self) -> ViewModel {
        let stage = |label, state| Stage { label: self.word(label), state };
        let body = Body::Working {
            stages: vec![
                stage(Word::StageAccepted, StageState::Done),
                stage(Word::StageCode, StageState::Active),
                stage(Word::StagePrinting, StageState::Waiting),
            ],
        };
        ViewModel {
            lead: self.word(Word::WorkingLead),
            notice: Some(Notice {
                tone: Tone::Info,
                text: self.fill(Word::WaitingLong, &[("seconds", "14")]),
            }),
            ..self.view("working", Word::WorkingTitle, 4, body, Vec::new())
        }
    }

    fn code_body(&self, owed: bool) -> Body {
        let mut rows = vec![
            self.row(Word::Service, self.passport()),
            self.row(Word::Paid, "34\u{202f}600\u{202f}₸"),
            self.row(Word::ValidUntil, "22.11.2027"),
            self.row(Word::WhereToUse, self.fill(Word::WhereToUseText, &[("site", "egov.kz")])),
        ];
        if owed {
            rows.push(self.strong(Word::ClaimNumber, "04170 0003 1216"));
        }
        Body::Code {
            label: self.word(Word::Code),
            code: "1234 5678 9012 3452".into(),
            qr: Some(qr(53)),
            rows,
        }
    }

    fn code(&self) -> ViewModel {
        let actions = vec![
            self.action(Word::Done, Intent::Done, Weight::Primary),
            self.action(Word::AnotherPayment, Intent::AnotherPayment, Weight::Secondary),
        ];
        let lead = self.word(Word::TakeReceipt);
        ViewModel { lead, ..self.view("code", Word::CodeTitle, 4, self.code_body(false), actions) }
    }

    fn cannot_print(&self) -> ViewModel {
        let actions = vec![
            self.action(Word::Done, Intent::Done, Weight::Primary),
            self.action(Word::PrintAgain, Intent::Print, Weight::Secondary),
            self.action(Word::AnotherPayment, Intent::AnotherPayment, Weight::Secondary),
        ];
        ViewModel {
            lead: self.word(Word::CannotPrintLead),
            notice: Some(self.notice(Tone::Warning, Word::ReceiptOwed)),
            ..self.view("cannot-print", Word::CannotPrint, 4, self.code_body(true), actions)
        }
    }

    fn claim(&self) -> ViewModel {
        let body = Body::Message {
            tone: Tone::Info,
            picture: Picture::Slip,
            number: "04170 0003 1216".into(),
            number_label: self.word(Word::ClaimNumber),
            qr: Some(qr(85)),
            rows: vec![self.strong(Word::Inserted, "35\u{202f}000\u{202f}₸")],
            points: vec![
                self.notice(Tone::Good, Word::ClaimHow),
                self.notice(Tone::Warning, Word::ClaimPhotograph),
                Notice { tone: Tone::Info, text: self.fill(Word::ClaimPhone, &[("phone", PHONE)]) },
            ],
        };
        let actions = vec![
            self.action(Word::Done, Intent::Done, Weight::Primary),
            self.action(Word::PrintAgain, Intent::Print, Weight::Secondary),
        ];
        ViewModel {
            lead: self.word(Word::ClaimLead),
            ..self.view("claim", Word::ClaimTitle, 4, body, actions)
        }
    }

    fn held(&self) -> ViewModel {
        let body = Body::Message {
            tone: Tone::Good,
            picture: Picture::Receipt,
            number: "8412 0937 5516".into(),
            number_label: self.word(Word::VoucherNumber),
            qr: None,
            rows: vec![self.strong(Word::VoucherSum, "20\u{202f}000\u{202f}₸")],
            points: vec![
                self.notice(Tone::Good, Word::VoucherHow),
                Notice { tone: Tone::Info, text: self.fill(Word::VoucherRefund, &[("phone", PHONE)]) },
            ],
        };
        let actions = vec![self.action(Word::Done, Intent::Done, Weight::Primary)];
        ViewModel {
            lead: self.word(Word::HeldStopped),
            ..self.view("held", Word::TakeVoucher, 4, body, actions)
        }
    }

    fn closed(&self) -> ViewModel {
        let body = Body::Message {
            tone: Tone::Warning,
            picture: Picture::Closed,
            number: String::new(),
            number_label: String::new(),
            qr: None,
            rows: Vec::new(),
            points: vec![
                self.notice(Tone::Info, Word::ClosedWakes),
                Notice { tone: Tone::Info, text: self.fill(Word::ClosedMoneyInside, &[("phone", PHONE)]) },
            ],
        };
        let actions = vec![self.action(Word::HaveSlip, Intent::HaveSlip, Weight::Secondary)];
        ViewModel {
            lead: self.word(Word::ReasonPaperOut),
            ..self.view("closed", Word::ClosedTitle, 0, body, actions)
        }
    }
}

/// "Are you still here?" over the catalogue.
pub fn still_here(language: Language) -> ViewModel {
    Say(language).still_here()
}

fn notes(faces: &[&str]) -> Vec<String> {
    faces.iter().map(|face| (*face).to_owned()).collect()
}

/// A pattern that looks like a symbol of `size` modules; no reader needs to read it here.
fn qr(size: u16) -> Qr {
    let finder = |x: u16, y: u16| {
        let ring = x.min(6 - x).min(y.min(6 - y));
        ring != 1
    };
    let dark = (0..size)
        .flat_map(|y| (0..size).map(move |x| (x, y)))
        .map(|(x, y)| match (x < 7, x >= size - 7, y < 7, y >= size - 7) {
            (true, _, true, _) => finder(x, y),
            (_, true, true, _) => finder(x - (size - 7), y),
            (true, _, _, true) => finder(x, y - (size - 7)),
            _ => {
                let mut bits = (u32::from(x) * 0x9e37 + u32::from(y) * 0x85eb) ^ 0x5bd1;
                bits = (bits ^ (bits >> 7)).wrapping_mul(0x2c1b_3c6d);
                bits >> 17 & 1 == 1
            }
        })
        .collect();
    Qr { size, dark }
}
