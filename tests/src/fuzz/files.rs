//! Targets: what people write.

use std::path::Path;
use tolem_center::catalogue::{Catalogue, parse_persons};
use tolem_firmware::config::Config;
use tolem_protocol::{
    messages::{Response, encode},
    utc::Date,
};

/// Any text as `kiosk.toml`: taken, or refused with complaints that each name the file and a line that it has.
pub fn kiosk_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Config::parse(Path::new("kiosk.toml"), &text) {
        Ok(config) => assert!(!format!("{config:?}").is_empty()),
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!error.0.is_empty(), "a refusal says why");
            for complaint in &error.0 {
                let line = complaint
                    .strip_prefix("kiosk.toml:")
                    .and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
                assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{complaint}");
            }
        }
    }
}

/// Any text as configuration, catalogue or list of persons of a center. What is taken can be sent.
pub fn center_files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match tolem_center::config::Config::parse(&text, Path::new("center")) {
        Ok(config) => assert!(!format!("{config:?}").is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match Catalogue::parse(&text) {
        Ok(catalogue) => {
            encode(1, &Response::Catalogue(catalogue.head.clone()));
            for service in &catalogue.services {
                encode(1, &Response::Service(service.clone()));
                assert_eq!(
                    service.digest(),
                    catalogue.find(&service.code).map_or([0; 32], |found| found.digest())
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Err(error) = parse_persons(&text, Date::from_days(20_000)) {
        assert!(!error.to_string().is_empty());
    }
}
