//! Commands that report.

use super::{At, open};
use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tolem_center::{
    export::{self, Known},
    logic::{
        presence,
        reports::{
            self, Entry, Period, Scope,
            funnel::{self, Funnel},
            operations::{self, Terminal},
            settlement,
            summary::{self, By},
        },
        store::Store as _,
    },
    pki::Pki,
    server::system_clock,
};
use tolem_protocol::{Bin, KioskNumber, utc::Date};

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For their tools.
    Csv,
}

/// Length of a summary.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Span {
    Day,
    Week,
    Month,
}

#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    at: At,
    /// The day, like 2026-11-25; today if it is left out.
    #[arg(long)]
    day: Option<String>,
    /// One kiosk only.
    #[arg(long)]
    kiosk: Option<u32>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "text")]
    form: Form,
}

#[derive(Subcommand)]
pub enum ReportCommand {
    /// The operations of one kiosk on one day: authorisations, confirmations, reversals.
    Operations {
        #[command(flatten)]
        which: Which,
    },
    /// Sums of a day, week or month.
    Summary {
        #[command(flatten)]
        which: Which,
        /// How long.
        #[arg(long, value_enum, default_value = "day")]
        span: Span,
    },
    /// Payments by service, payee, kiosk, method, day or hour.
    Statistics {
        #[command(flatten)]
        which: Which,
        /// Broken down by what.
        #[arg(long, value_parser = By::ALL.map(|(_, word)| word), default_value = "service")]
        by: String,
        /// How long.
        #[arg(long, value_enum, default_value = "day")]
        span: Span,
    },
    /// What each provider is paid for a day, and the claim for reimbursement to the bank.
    Settlement {
        #[command(flatten)]
        which: Which,
        /// The bank, as the gateway calls it.
        #[arg(long, default_value = "bank")]
        bank: String,
    },
    /// Every payment of a day whose notice the gateway took, of one provider or of all.
    Register {
        #[command(flatten)]
        which: Which,
        /// BIN of the provider.
        #[arg(long)]
        provider: Option<String>,
    },
    /// How much of a day, week or month each kiosk was connected, as the center saw it.
    Availability {
        #[command(flatten)]
        which: Which,
        /// How long.
        #[arg(long, value_enum, default_value = "month")]
        span: Span,
    },
    /// How many sessions ended with a code, and where the others stopped, from exported journals.
    Conversion {
        #[command(flatten)]
        which: Which,
        /// How long.
        #[arg(long, value_enum, default_value = "day")]
        span: Span,
        /// Directories that `tolem journal export` made.
        #[arg(required = true)]
        exports: Vec<PathBuf>,
    },
}

impl Which {
    fn day(&self) -> anyhow::Result<Date> {
        match &self.day {
            Some(text) => {
                Date::parse_iso(text).with_context(|| format!("--day {text:?}: a day looks like 2026-11-25"))
            }
            None => Ok(system_clock().date()),
        }
    }

    fn scope(&self) -> anyhow::Result<Scope> {
        match self.kiosk {
            Some(number) => KioskNumber::new(number)
                .map(Scope::Kiosk)
                .ok_or_else(|| anyhow!("--kiosk {number}: a kiosk has a number from 1 to 99999")),
            None => Ok(Scope::All),
        }
    }

    fn entries(&self, period: Period) -> anyhow::Result<Vec<Entry>> {
        let scope = self.scope()?;
        let entries = reports::entries(&open(&self.at)?.1, period)?;
        Ok(entries.into_iter().filter(|entry| scope.has(entry)).collect())
    }

    fn period(&self, span: Span) -> anyhow::Result<Period> {
        let day = self.day()?;
        Ok(match span {
            Span::Day => Period::days(day, 1),
            Span::Week => Period::week(day),
            Span::Month => Period::month(day),
        })
    }
}

pub fn report(command: ReportCommand) -> anyhow::Result<()> {
    let text = match command {
        ReportCommand::Operations { which } => operations(&which)?,
        ReportCommand::Summary { which, span } => {
            let period = which.period(span)?;
            let sums = summary::summary(&which.entries(period)?);
            let last = period.to.plus_seconds(-1).date();
            match which.form {
                Form::Text => sums.text(&format!("From {} to {last}", period.from.date())),
                Form::Csv => sums.csv(),
            }
        }
        ReportCommand::Statistics { which, by, span } => {
            let by = By::ALL.into_iter().find(|(_, word)| *word == by).map_or(By::Service, |(by, _)| by);
            let groups = summary::statistics(&which.entries(which.period(span)?)?, by);
            match which.form {
                Form::Text => summary::statistics_text(&groups),
                Form::Csv => summary::statistics_csv(&groups),
            }
        }
        ReportCommand::Settlement { which, bank } => {
            let day = which.day()?;
            let terms = open(&which.at)?.0.terms;
            let payouts = settlement::payouts(&which.entries(Period::days(day, 1))?, day, &terms);
            match which.form {
                Form::Text => settlement::text(day, &payouts, &bank),
                Form::Csv => settlement::csv(&payouts, &bank),
            }
        }
        ReportCommand::Register { which, provider } => {
            let provider = match provider {
                Some(text) => {
                    Some(Bin::parse(&text).with_context(|| format!("--provider {text:?}: not a BIN"))?)
                }
                None => None,
            };
            let entries = which.entries(Period::days(which.day()?, 1))?;
            match which.form {
                Form::Text => settlement::register_text(&entries, provider),
                Form::Csv => settlement::register_csv(&entries, provider),
            }
        }
        ReportCommand::Availability { which, span } => {
            let (scope, period, store) = (which.scope()?, which.period(span)?, open(&which.at)?.1);
            if let Scope::Kiosk(kiosk) = scope {
                ensure!(store.kiosk(kiosk)?.is_some(), "--kiosk {kiosk}: this kiosk is not registered");
            }
            let write = match which.form {
                Form::Text => presence::text,
                Form::Csv => presence::csv,
            };
            write(&store, scope, period, system_clock())?
        }
        ReportCommand::Conversion { which, span, exports } => conversion(&which, span, &exports)?,
    };
    print!("{text}");
    Ok(())
}

fn operations(which: &Which) -> anyhow::Result<String> {
    let Scope::Kiosk(kiosk) = which.scope()? else {
        return Err(anyhow!("--kiosk is needed: which terminal?"));
    };
    let day = which.day()?;
    let entries = which.entries(Period::days(day, 1))?;
    let rows: Vec<_> = entries.iter().filter_map(operations::row).collect();
    let place = &open(&which.at)?.0.place;
    let terminal = Terminal {
        number: u64::from(kiosk.get()),
        name: place.name.clone(),
        city: place.city.clone(),
        country: "KZ".into(),
    };
    let dated = Period::days(day, 1).to.date();
    Ok(match which.form {
        Form::Text => operations::text(&terminal, dated, &rows),
        Form::Csv => operations::csv(&terminal, &rows),
    })
}

fn conversion(which: &Which, span: Span, exports: &[PathBuf]) -> anyhow::Result<String> {
    let (scope, period) = (which.scope()?, which.period(span)?);
    let (config, store) = open(&which.at)?;
    let keys = Pki::at(&config.directory).keys()?;
    let (mut funnel, mut is_read) = (Funnel::default(), false);
    for directory in exports {
        let kiosk = export::whose(directory)?;
        if !scope.covers(kiosk) {
            continue;
        }
        let known = Known::of(&store, kiosk)?.with_context(|| format!("kiosk {kiosk} is not registered"))?;
        export::read_each(directory, kiosk, &known, &keys, &mut |record| funnel.record(record))?;
        is_read = true;
    }
    if let Scope::Kiosk(kiosk) = scope {
        ensure!(is_read, "--kiosk {kiosk}: none of the exports is of its journal");
    }
    let counts = funnel.counts(period);
    Ok(match which.form {
        Form::Text => funnel::text(&counts),
        Form::Csv => funnel::csv(&counts),
    })
}
