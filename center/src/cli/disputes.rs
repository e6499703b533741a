//! Commands about disputes: complaints of payers, chargebacks of the acquirer.

use super::{
    At,
    office::{self, Signer},
    open,
};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use tolem_center::{
    logic::{
        disputes::{self, Cause, DisputeRow, DisputeState, Disputes as _, Fits, Ruling},
        errands::Errands as _,
        office::Action,
        register::Adopted as _,
        store::{PaymentRow, Store as _},
    },
    sql::SqlStore,
};
use tolem_protocol::{ClaimNumber, KioskNumber, PaymentCode, PaymentId};

#[derive(Subcommand)]
pub enum DisputeCommand {
    /// Asks for a complaint to be opened: the money is withheld from the payee until it is decided.
    Open {
        #[command(flatten)]
        at: At,
        /// The payment: its code, its claim number, or the transaction number on the receipt.
        payment: String,
        /// What the payer says, one line without an IIN.
        #[arg(long)]
        why: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Lists open disputes and what to do next; with --all also those that are over.
    List {
        #[command(flatten)]
        at: At,
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// Asks for the money of a complaint to be given back. The gateway must take the code back first, and does not if it was used.
    GiveBack {
        #[command(flatten)]
        at: At,
        /// Number of the dispute.
        number: u32,
        #[command(flatten)]
        signer: Signer,
    },
    /// Asks for a complaint to be rejected: the payment stands.
    Reject {
        #[command(flatten)]
        at: At,
        /// Number of the dispute.
        number: u32,
        #[command(flatten)]
        signer: Signer,
    },
    /// Asks for a chargeback to be booked as our loss.
    WriteOff {
        #[command(flatten)]
        at: At,
        /// Number of the dispute.
        number: u32,
        #[command(flatten)]
        signer: Signer,
    },
    /// Asks for the lines of the acquirer's file of chargebacks to be booked.
    Import {
        #[command(flatten)]
        at: At,
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
}

pub fn dispute(command: DisputeCommand) -> anyhow::Result<()> {
    let rule = |at: &At, dispute, ruling, signer: &Signer| {
        office::ask(at, signer, &Action::Rule { dispute, ruling })
    };
    match command {
        DisputeCommand::Open { at, payment, why, signer } => {
            let found = find(&open(&at)?.1, &payment)?;
            office::ask(&at, &signer, &Action::Complain { payment: found, why })
        }
        DisputeCommand::List { at, all } => {
            let rows = open(&at)?.1.disputes()?;
            let shown: Vec<_> = rows.iter().filter(|row| all || row.state.is_open()).collect();
            if shown.is_empty() {
                println!(
                    "no dispute is open{}",
                    if rows.is_empty() { "" } else { "; --all shows the others" }
                );
            }
            shown.into_iter().for_each(tell);
            Ok(())
        }
        DisputeCommand::GiveBack { at, number, signer } => rule(&at, number, Ruling::GiveBack, &signer),
        DisputeCommand::Reject { at, number, signer } => rule(&at, number, Ruling::Reject, &signer),
        DisputeCommand::WriteOff { at, number, signer } => rule(&at, number, Ruling::WriteOff, &signer),
        DisputeCommand::Import { at, file, signer } => import(&at, &file, &signer),
    }
}

/// Says how a dispute stands, and what comes next.
pub fn tell(row: &DisputeRow) {
    let what = match row.cause {
        Cause::Complaint => "complaint".to_owned(),
        Cause::Chargeback => format!("chargeback {}", row.case),
    };
    let (number, payment, amount, since) = (row.number, row.payment, row.amount, row.opened_at.local());
    println!("dispute {number}: {what} about payment {payment}, {amount}, since {since}: {}", row.why);
    let next = match (row.state, row.cause) {
        (DisputeState::Open, Cause::Complaint) => format!(
            "open; next: tolem-center dispute give-back {number}, or: tolem-center dispute reject {number}"
        ),
        (DisputeState::Open, Cause::Chargeback) => format!(
            "open; contest it with the acquirer (its next file says who won), or: tolem-center dispute write-off {number}"
        ),
        (DisputeState::Returning, _) => {
            "the gateway is asked to take the code back; the running center goes on by itself, see: tolem-center dispute list --all".into()
        }
        (DisputeState::Returned, Cause::Complaint) => {
            "the code was taken back; cash is held for the payer (tolem-center balance list, balance refund), a card is credited by the acquirer if an alarm card-credit says so (tolem-center alarms)".into()
        }
        (DisputeState::Returned, Cause::Chargeback) => {
            "the code was taken back, the payee does not get the money; nothing is to be done".into()
        }
        (DisputeState::Stands, _) => "over: the payment stands".into(),
        (DisputeState::Lost, _) => "over: written off".into(),
        (DisputeState::Released, _) => {
            "over: the acquirer gave the money back, it is held for the payer; see: tolem-center balance list".into()
        }
    };
    println!("    {next}");
}

/// The payment that somebody means.
pub fn find(store: &SqlStore, text: &str) -> anyhow::Result<PaymentId> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    // Four groups of four, with whatever stands between them: a transaction number begins with five digits.
    let is_grouped = text.split('-').map(str::len).eq([4; 4]);
    let as_code = if is_grouped { &digits } else { text };
    if let Some(code) = PaymentCode::parse(as_code).filter(|_| digits.len() == 16) {
        let mut found = None;
        store.each_notice(&mut |notice| {
            if notice.code == code {
                found = Some(notice.payment);
            }
        })?;
        return found.with_context(|| format!("no payment of this center has the code {code}"));
    }
    let on_slip = |kiosk: u64, slip: u64| -> anyhow::Result<Vec<PaymentRow>> {
        let kiosk = u32::try_from(kiosk).ok().and_then(KioskNumber::new).context("no such kiosk")?;
        Ok(store.payments_on_slip(kiosk, slip)?)
    };
    let mut parts = text.split('-');
    let named = match (parts.next().and_then(|part| part.parse().ok()), parts.nth(1)) {
        (Some(kiosk), Some(number)) => {
            let number: u64 = number.parse().with_context(|| format!("{text:?} is no transaction number"))?;
            let mut rows = on_slip(kiosk, number % 10_000_000)?;
            rows.retain(|row| row.payment.to_string() == text);
            rows
        }
        _ => {
            let claim = ClaimNumber::parse(text)
                .with_context(|| format!("{text:?} is no code, claim number or transaction number"))?;
            let (kiosk, slip) = claim.parts();
            on_slip(kiosk, slip)?
        }
    };
    match &named[..] {
        // Taken over from the gateway's register.
        [] => {
            match store.all_adopted()?.iter().find(|row| !row.replaced && row.payment.to_string() == text) {
                Some(row) => Ok(row.payment),
                None => bail!("this center knows no payment {text}"),
            }
        }
        [row] => Ok(row.payment),
        many => {
            let list: Vec<String> = many.iter().map(|row| row.payment.to_string()).collect();
            bail!("several payments have this number; name one of: {}", list.join(", "))
        }
    }
}

fn import(at: &At, file: &Path, signer: &Signer) -> anyhow::Result<()> {
    let named = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(named)?;
    let lines = disputes::parse(&text).with_context(named)?;
    let (center, store) = office::center(at)?;
    let (mut good, mut known, mut wrong) = (Vec::new(), 0, 0);
    for line in lines {
        match center.chargeback_fits(&store, &line)? {
            Fits::Yes => good.push(line),
            Fits::Known => known += 1,
            Fits::No(why) => {
                wrong += 1;
                println!("left out: {line}: {why}");
            }
        }
    }
    drop(store);
    println!("{} lines to book, {known} are booked already, {wrong} do not fit", good.len());
    if good.is_empty() {
        ensure!(wrong == 0, "no line fits: ask the acquirer");
        return Ok(());
    }
    office::ask(at, signer, &Action::Chargebacks(good))
}
