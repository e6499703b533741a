//! Commands of the office: operators, requests and what they decide.

use super::{At, open};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use data_encoding::BASE64;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};
use tolem_center::{
    export::{self, Known},
    logic::{
        Center, Moment,
        approval::{Asked, Effect},
        enrolment::{self, Enrolment as _},
        ledger,
        office::{Action, Office as _, RequestState},
        operator::Found,
        rebuild::{self, Standing as _},
        rescue::Rescued,
        store::{Store as _, Transact as _},
    },
    pen::Pen,
    server::{self, Faults, desk::fresh, system_clock},
    sql::SqlStore,
};
use tolem_protocol::{
    BalanceNumber, KioskNumber, UtcTime,
    enrolment::InviteCode,
    messages::{Deposit, Refusal, Response, Verdict},
    qr::Qr,
    signed::Signed,
};

/// The one who gives a command about money.
#[derive(Args)]
pub struct Signer {
    /// File with your operator key, made by `tolem-center operator key`; also read from TOLEM_OPERATOR_KEY.
    #[arg(long = "as", value_name = "KEYFILE")]
    signer: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum OperatorCommand {
    /// Makes a key for yourself. The file stays with you; the line that is shown goes to the center.
    Key {
        /// Your name: a-z, 0-9 and -.
        name: String,
        /// Where the key is written.
        file: PathBuf,
    },
    /// Lets somebody decide about money. The first two add themselves; from then on two others decide it.
    Add {
        #[command(flatten)]
        at: At,
        /// Name.
        name: String,
        /// The public key that `operator key` has shown, base64.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Takes that away.
    Remove {
        #[command(flatten)]
        at: At,
        /// Name.
        name: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Lists all operators.
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Subcommand)]
pub enum RequestCommand {
    /// Lists what waits for a second person; with --all also what was decided.
    List {
        #[command(flatten)]
        at: At,
        /// Also those that are decided.
        #[arg(long)]
        all: bool,
    },
    /// Approves a request of somebody else; it is done at once.
    Approve {
        #[command(flatten)]
        at: At,
        /// Number of the request.
        number: u32,
        #[command(flatten)]
        signer: Signer,
    },
    /// Takes your own request back, or refuses somebody else's.
    Withdraw {
        #[command(flatten)]
        at: At,
        /// Number of the request.
        number: u32,
        #[command(flatten)]
        signer: Signer,
    },
}

impl Signer {
    fn pen(&self) -> anyhow::Result<Pen> {
        let path = self.signer.clone().or_else(|| std::env::var_os("TOLEM_OPERATOR_KEY").map(PathBuf::from));
        Ok(Pen::read(&path.context("--as KEYFILE is needed: who are you?")?)?)
    }
}

pub fn operator(command: OperatorCommand) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Key { name, file } => {
            println!("{}", BASE64.encode(&Pen::create(&name, &file)?.public()));
            Ok(())
        }
        OperatorCommand::Add { at, name, key, signer } => {
            let bytes = BASE64.decode(key.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
            let key = bytes.ok_or_else(|| anyhow!("--key {key:?}: base64 of 32 bytes is needed"))?;
            ask(&at, &signer, &Action::AddOperator { name, key })
        }
        OperatorCommand::Remove { at, name, signer } => ask(&at, &signer, &Action::RemoveOperator { name }),
        OperatorCommand::List { at } => {
            for row in open(&at)?.1.operators()? {
                let until = row.left.map_or_else(String::new, |at| format!(", left {}", at.local()));
                println!("{}  {}  since {}{until}", row.name, BASE64.encode(&row.key), row.since.local());
            }
            Ok(())
        }
    }
}

pub fn request(command: RequestCommand) -> anyhow::Result<()> {
    match command {
        RequestCommand::List { at, all } => {
            for row in open(&at)?.1.requests()? {
                let state = match &row.state {
                    RequestState::Open => "waits for a second person".into(),
                    RequestState::Done { by, at, .. } => format!("approved by {by} at {}", at.local()),
                    RequestState::Withdrawn { by, at, .. } => {
                        format!("withdrawn by {by} at {}", at.local())
                    }
                };
                if all || row.state == RequestState::Open {
                    let what = Action::from_bytes(&row.action)
                        .map_or_else(|| "of another version".into(), |action| action.to_string());
                    println!("{}  {}  {}: {what}; {state}", row.number, row.at.local(), row.by);
                }
            }
            Ok(())
        }
        RequestCommand::Approve { at, number, signer } => {
            let pen = signer.pen()?;
            let (center, mut store) = center(&at)?;
            let row = store.request(number)?.with_context(|| format!("there is no request {number}"))?;
            let signature = pen.decide(&row, true);
            let mut fresh = fresh();
            let mut moment = Moment { now: system_clock(), fresh: &mut fresh, trace: &mut |_| {} };
            let effect = store
                .transact(|store| center.approve(store, &mut moment, number, &pen.name, &signature))??;
            tell(&effect)
        }
        RequestCommand::Withdraw { at, number, signer } => {
            let pen = signer.pen()?;
            let (center, mut store) = center(&at)?;
            let row = store.request(number)?.with_context(|| format!("there is no request {number}"))?;
            let signature = pen.decide(&row, false);
            let now = system_clock();
            store.transact(|store| center.withdraw(store, now, number, &pen.name, &signature))??;
            println!("request {number} is withdrawn");
            Ok(())
        }
    }
}

/// Shows what was done at the office.
pub fn deeds(at: &At) -> anyhow::Result<()> {
    for deed in open(at)?.1.deeds()? {
        println!("{}  {}: {}", deed.at.local(), deed.by, deed.what);
    }
    Ok(())
}

pub fn center(at: &At) -> anyhow::Result<(Center, SqlStore)> {
    let (config, store) = open(at)?;
    Ok((server::open_center(&config, &Faults::default(), system_clock())?, store))
}

/// Keeps a request, signed by whoever gives the command.
pub fn ask(at: &At, signer: &Signer, action: &Action) -> anyhow::Result<()> {
    let pen = signer.pen()?;
    let (center, mut store) = center(at)?;
    let now = system_clock();
    let signature = pen.ask(now, action);
    let asked = store.transact(|store| center.ask_two(store, now, &pen.name, action, &signature))??;
    match asked {
        Asked::Waits(number) => {
            println!("request {number}: {action}");
            println!("it waits for a second person: tolem-center request approve {number}");
        }
        Asked::Founded => println!("done: {action}"),
    }
    Ok(())
}

/// Asks for a slip to be settled, or shows the answer it got before.
pub fn import_slip(at: &At, file: &Path, signer: &Signer) -> anyhow::Result<()> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let Qr::Deposit(deposit) = Qr::parse(&text)? else {
        bail!("this is no claim slip: its text starts with TOLEM:D1:");
    };
    if let Some(answer) = answered(at, &deposit)? {
        return tell(&Effect::Slip(Box::new(answer)));
    }
    ask(at, signer, &Action::ImportSlip { deposit })
}

fn answered(at: &At, deposit: &Signed<Deposit>) -> anyhow::Result<Option<Response>> {
    let Some(read) = deposit.read_unverified() else { return Ok(None) };
    let Some(row) = open(at)?.1.payment(&read.payment)? else { return Ok(None) };
    let same = row.deposit.is_some_and(|first| first.digest() == deposit.digest());
    Ok(row.outcome.filter(|_| same).map(Response::Outcome))
}

/// Asks for the journal of a dead kiosk to be taken in.
pub fn import_journal(at: &At, directory: &Path, signer: &Signer) -> anyhow::Result<()> {
    let (center, store) = center(at)?;
    let kiosk = export::whose(directory)?;
    let known = Known::of(&store, kiosk)?.with_context(|| format!("kiosk {kiosk} is not registered"))?;
    let export = export::read(directory, kiosk, &known, &*center.keys)?;
    println!("the export is whole: {} records of kiosk {kiosk}, signed by it", export.rescue.size);
    if export.missing > 0 {
        println!(
            "{} records that the witness has seen are not in it; is there a later export?",
            export.missing
        );
    }
    let rescue = center.sift(&store, export.rescue)?;
    drop(store);
    ask(at, signer, &Action::ImportJournal(rescue))
}

/// Says which kiosks a restored center waits for.
pub fn missing(store: &SqlStore) -> anyhow::Result<()> {
    let Some(state) = store.rebuilding()? else {
        println!("the center is open");
        return Ok(());
    };
    println!("rebuilding since {}; {} answers were recalled", state.since.local(), state.recalled);
    let missing = rebuild::missing(store)?;
    for kiosk in &missing {
        println!("kiosk {kiosk} has not told everything yet");
    }
    if !missing.is_empty() {
        println!(
            "next: start the center, so that they can tell; for one that never will: tolem-center journal import, or in the end: tolem-center open"
        );
    }
    if state.register_due {
        println!("the gateway's register is not compared yet");
        println!("next, when all have told who can: tolem-center register compare");
    }
    Ok(())
}

/// Asks for a restored center to be opened; the request names who is missing.
pub fn open_early(at: &At, signer: &Signer) -> anyhow::Result<()> {
    let missing = rebuild::missing(&open(at)?.1)?;
    ask(at, signer, &Action::Open { missing })
}

pub fn refund(at: &At, number: BalanceNumber, signer: &Signer) -> anyhow::Result<()> {
    ask(at, signer, &Action::Refund { balance: number })
}

pub fn resolve(at: &At, number: BalanceNumber, found: Found, signer: &Signer) -> anyhow::Result<()> {
    ask(at, signer, &Action::Resolve { balance: number, found })
}

/// Gives a code with which a terminal enrols once.
pub fn invite(at: &At, kiosk: KioskNumber, hours: i64, signer: &Signer) -> anyhow::Result<()> {
    let pen = signer.pen()?;
    let (config, mut store) = open(at)?;
    let center = server::open_center(&config, &Faults::default(), system_clock())?;
    let (now, mut fresh) = (system_clock(), fresh());
    let mut code = InviteCode([0; 10]);
    code.0[..8].copy_from_slice(&fresh().to_be_bytes());
    code.0[8..].copy_from_slice(&fresh().to_be_bytes()[..2]);
    let until = now.plus_seconds(hours * 3_600);
    let signature = pen.sign(&enrolment::invite_message(&pen.name, kiosk, now));
    store
        .transact(|store| center.invite(store, now, &pen.name, &signature, kiosk, code, until))?
        .map_err(|why| anyhow!(why))?;
    println!("{code}");
    println!("kiosk {kiosk} may enrol once with this code until {}; it is shown only here", until.local());
    if config.enroll_listen.is_none() {
        println!(
            "but nobody listens for it: set enroll_listen in {} and start the center again",
            at.config.display()
        );
    }
    Ok(())
}

/// How long the certificate of a kiosk lasts, and whether it uses its newest.
pub fn days_left(store: &SqlStore, kiosk: KioskNumber, now: UtcTime) -> anyhow::Result<String> {
    let Some(row) = store.certificate(kiosk)? else { return Ok("not known here".into()) };
    // What it shows on its link counts, not what was signed for it.
    let (until, note) = match row.seen {
        seen if seen == UtcTime::default() => (row.good_until, ", not shown yet"),
        seen if seen == row.good_until => (seen, ""),
        seen => (seen, ", has not taken its newest"),
    };
    let days = (until.seconds() - now.seconds()).div_euclid(86_400);
    Ok(format!("{days} days left{note}"))
}

/// Says what an approval did.
fn tell(effect: &Effect) -> anyhow::Result<()> {
    match effect {
        Effect::Done => println!("done"),
        Effect::Disputes(rows) => rows.iter().for_each(super::disputes::tell),
        Effect::Journal(done) => {
            let Rescued { settled, waiting, held, recalled, refused, known, confirmed, undone, unclear } =
                done;
            println!(
                "settled {settled}, waiting for the gateway {waiting}, held without a deposit {held}, recalled {recalled}, \
                 known before {known}, refused {refused}; card payments confirmed {confirmed}, undone {undone}, \
                 without a known end {unclear}"
            );
            if *unclear > 0 {
                println!("next: tolem-center card list");
            }
            ensure!(*refused == 0, "{refused} were refused; see: tolem-center alarms");
        }
        Effect::Slip(response) => match &**response {
            Response::Outcome(outcome) => {
                let outcome = outcome.read_unverified().context("the answer is unreadable")?;
                tell_verdict(&outcome.verdict, &outcome.payment.to_string())?;
            }
            Response::Refused(Refusal::Unavailable) => {
                println!(
                    "the money is taken; its code comes from the gateway: import the slip again in a moment to see it"
                );
            }
            Response::Refused(refusal) => bail!("refused: {refusal:?}"),
            _ => bail!("the center gave no answer to a deposit"),
        },
    }
    Ok(())
}

fn tell_verdict(verdict: &Verdict, payment: &str) -> anyhow::Result<()> {
    match verdict {
        Verdict::Accepted { token, remainder } => {
            let token = token.read_unverified().context("the code is unreadable")?;
            println!("payment {payment} is accepted: code {}, fee {}", token.code, token.fee);
            if let Some(balance) = remainder {
                println!("remainder {} is held under {}", balance.amount, balance.number);
            }
        }
        Verdict::Held(balance) => {
            let reason = ledger::reason_word(balance.reason);
            println!("payment {payment}: {} is held under {} ({reason})", balance.amount, balance.number);
        }
    }
    Ok(())
}
