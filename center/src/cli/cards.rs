//! Commands about card payments: how they stand with the acquirer, and what a person ends.

use super::{
    At,
    disputes::find,
    office::{self, Signer},
    open,
    register::listed_as_paid,
};
use clap::{Subcommand, ValueEnum};
use std::collections::BTreeSet;
use tolem_center::{
    logic::{
        Center,
        acquirer::{Acquiring as _, CardRow, Name, Standing},
        card_office::{CardRuling, waits_for_a_person},
        disputes::Disputes as _,
        errands::{Errands as _, NoticeKind},
        office::Action,
        register::{Adopted as _, transaction_number},
        store::Store as _,
    },
    sql::SqlStore,
};
use tolem_protocol::{PaymentId, card::SecretNumber};

#[derive(Subcommand)]
pub enum CardCommand {
    /// Lists card payments that are not over, and those that wait for a person; with --all every one.
    List {
        #[command(flatten)]
        at: At,
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// Shows all that is known of a card payment: acquirer, gateway, alarms, disputes.
    Show {
        #[command(flatten)]
        at: At,
        /// The payment: its code, its claim number, or the transaction number on the receipt.
        payment: String,
    },
    /// Asks for what a person must end to be ended, after having talked to the acquirer or the gateway.
    End {
        #[command(flatten)]
        at: At,
        /// The payment: its code, its claim number, or the transaction number on the receipt.
        payment: String,
        /// What was found out.
        #[arg(value_enum)]
        ruling: Word,
        /// Who said so and when, one line without an IIN.
        #[arg(long)]
        why: String,
        /// For a payment that these books do not have as paid: read the gateway's register from this day on; if left out, from the day of its quote, if that is known.
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// This bank, as the gateway calls it.
        #[arg(long, default_value = "bank")]
        bank: String,
        #[command(flatten)]
        signer: Signer,
    },
}

/// What was found out.
#[derive(Clone, Copy, ValueEnum)]
pub enum Word {
    /// The acquirer has the money, or takes it on our word; the citizen has the code.
    Taken,
    /// Nothing is held or taken from the card, or it was credited by hand; the code is worth nothing.
    GivenBack,
    /// The citizen has the code and the acquirer does not pay: a dispute begins, as with a chargeback.
    NotPaid,
    /// The gateway's people have struck the code that the gateway would not void.
    CodeStruck,
}

impl From<Word> for CardRuling {
    fn from(word: Word) -> Self {
        match word {
            Word::Taken => Self::Taken,
            Word::GivenBack => Self::GivenBack,
            Word::NotPaid => Self::NotPaid,
            Word::CodeStruck => Self::CodeStruck,
        }
    }
}

pub fn card(command: CardCommand) -> anyhow::Result<()> {
    match command {
        CardCommand::List { at, all } => list(&open(&at)?.1, all),
        CardCommand::Show { at, payment } => {
            let (center, store) = office::center(&at)?;
            show(&center, &store, &find(&store, &payment)?)
        }
        CardCommand::End { at, payment, ruling, why, since, bank, signer } => {
            let (center, store) = office::center(&at)?;
            let (payment, ruling) = (find(&store, &payment)?, ruling.into());
            let seen = store.card(&payment)?.map(|row| row.standing);
            let needs_register = center.needs_register(&store, &payment, ruling)?;
            // Without its quote, the row was made when its kiosk undid what was forgotten: days after the gateway heard of it, maybe.
            let quoted = store.payment(&payment)?.filter(|row| row.quote.is_some()).map(|row| row.day);
            drop(store);
            let listed = if needs_register {
                listed_as_paid(&at, &bank, (since.as_deref(), quoted), &payment)?
            } else {
                None
            };
            office::ask(&at, &signer, &Action::EndCard { payment, seen, ruling, listed, why })
        }
    }
}

fn list(store: &SqlStore, all: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    store.each_card(&mut |row| rows.push(row))?;
    let mut shown = 0;
    for row in &rows {
        let over = matches!(row.standing, Standing::Declined | Standing::Confirmed | Standing::Reversed);
        if over && !all {
            continue;
        }
        shown += 1;
        println!("{}  {}  {}  {}", row.payment, row.request.sent.local(), row.amount, standing(row));
        if waits_for_a_person(store, &row.payment, Some(row))? {
            println!("    waits for a person: {}", next(Some(row.standing)));
        }
    }
    for payment in forgotten(store)? {
        shown += 1;
        println!("{payment}  its request is not in this database");
        println!("    waits for a person: {}", next(None));
    }
    if shown == 0 {
        println!("no card payment is open{}", if rows.is_empty() { "" } else { "; --all shows the others" });
    }
    Ok(())
}

/// Payments that alarms name whose request this database does not have, and that nobody has ended.
fn forgotten(store: &SqlStore) -> anyhow::Result<BTreeSet<PaymentId>> {
    let mut found = BTreeSet::new();
    let about = |kind: &str| kind.starts_with("card-") || kind == "register-conflict";
    for alarm in store.alarms()?.iter().filter(|alarm| about(&alarm.kind)) {
        let words = alarm.text.split([' ', ':', ',', ';']);
        for word in words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit())) {
            let Ok(payment) = find(store, word) else { continue };
            let unknown = payment.to_string() == word && store.card(&payment)?.is_none();
            if unknown && waits_for_a_person(store, &payment, None)? {
                found.insert(payment);
            }
        }
    }
    Ok(found)
}

fn standing(row: &CardRow) -> String {
    let code = row.code.map(|code| String::from_utf8_lossy(&code).into_owned()).unwrap_or_default();
    let said = format!("said {} times, again at {}", row.tries, row.next.local());
    match row.standing {
        Standing::Sent => "asked, no answer yet: undone by itself if none comes".into(),
        Standing::Declined if row.code.is_none() => {
            "never asked: its request could not be put into words".into()
        }
        Standing::Declined => format!("declined, code {code}"),
        Standing::Approved => "approved; its kiosk has not said what becomes of it".into(),
        Standing::Confirming => format!("to be taken; {said}"),
        Standing::Confirmed => "taken".into(),
        Standing::Reversing if row.tries == 0 => "to be given back when its code is void".into(),
        Standing::Reversing => format!("to be given back; {said}"),
        Standing::Reversed => "given back".into(),
    }
}

fn next(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::Approved) => {
            "find out whether the citizen has the code; then: card end PAYMENT taken, or given-back"
        }
        Some(Standing::Confirming) => "ask the acquirer; then: card end PAYMENT taken, or not-paid",
        Some(Standing::Reversing) => {
            "have the acquirer give it back; then: card end PAYMENT given-back; taken or not-paid if the gateway has its code as paid"
        }
        Some(_) => {
            "the gateway has its code as paid: ask the acquirer; then: card end PAYMENT taken, or not-paid"
        }
        None => {
            "compare it with the acquirer's register; then: card end PAYMENT taken or not-paid if it is booked or the gateway has it as paid, \
             given-back if not"
        }
    }
}

fn named(name: Name) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("trace {}, sent {} UTC", text(&name.trace_digits()), text(&name.sent_digits()))
}

fn show(center: &Center, store: &SqlStore, payment: &PaymentId) -> anyhow::Result<()> {
    println!("payment {payment}");
    let row = store.card(payment)?;
    match &row {
        Some(row) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            println!("amount      {}", row.amount);
            println!("stands      {}", standing(row));
            println!("terminal    {}, merchant {}", text(&row.terminal), text(&row.merchant));
            println!("request     {} ({})", named(row.request), row.request.sent.local());
            if let Some(code) = row.code {
                let approval = row.approval.map_or_else(|| "none".into(), |approval| text(&approval));
                println!("answer      code {}, approval {approval}", text(&code));
            }
            if let Some(errand) = row.errand {
                println!("advice      {} ({}), said {} times", named(errand), errand.sent.local(), row.tries);
            }
            // The number is kept until the end only, and nobody sees more of it than its receipt shows.
            match center.keys.open_number(&row.sealed_number, payment) {
                Some(SecretNumber::Clear(number)) => {
                    println!(
                        "card        **** {}",
                        number.last_four().map(|digit| digit.to_string()).concat()
                    );
                }
                Some(SecretNumber::Sealed(_)) => {
                    println!("card        its number is as its reader has enciphered it");
                }
                None => println!("card        its number is not kept any more"),
            }
        }
        None => println!(
            "its request is not in this database: paid in cash, never asked for, or forgotten in a restore"
        ),
    }
    if let Some(known) = store.payment(payment)? {
        println!("booked as   {:?}{}", known.state, if known.outcome.is_some() { ", answered" } else { "" });
    }
    if let Some(adopted) = store.adopted(&transaction_number(payment))?.filter(|row| !row.replaced) {
        println!("taken over  {} from the gateway's register", adopted.fee);
    }
    store.each_notice(&mut |notice| {
        if notice.payment == *payment {
            let what = match notice.kind {
                NoticeKind::Paid => "is paid",
                NoticeKind::Void => "is void",
                NoticeKind::Refund => "is taken back",
            };
            let end = match notice.taken_at {
                Some(at) => format!("the gateway answered at {}", at.local()),
                None => format!("owed since {}, said {} times", notice.made_at.local(), notice.tries),
            };
            println!("gateway     its code {what}: {end}");
        }
    })?;
    let text = payment.to_string();
    for alarm in store.alarms()?.iter().filter(|alarm| alarm.text.contains(&text)) {
        println!("alarm       {} {}: {}", alarm.at.local(), alarm.kind, alarm.text);
    }
    store.disputes_of(payment)?.iter().for_each(super::disputes::tell);
    if waits_for_a_person(store, payment, row.as_ref())? {
        println!("next        {}", next(row.map(|row| row.standing)));
    }
    Ok(())
}
