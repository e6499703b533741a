//! One line per frame for the wire log.

use super::{
    ADDRESS, BILL_TYPES, BillTable, Command, Decoded, Decoder, Direction, ENTRY, Identification, PollStatus,
    Reply, Status,
};
use crate::wire::dump;
use alloc::string::String;
use core::fmt::Write;

/// One line for people: every frame in `bytes`, and what is no frame as a dump. A device's answer is told by its
/// form alone, so a counter looks like a poll answer.
pub fn describe(direction: Direction, bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut decoder = Decoder::new();
    let mut input = bytes;
    let mut next = |decoder: &mut Decoder| decoder.next(&mut input).or_else(|| decoder.expire());
    let mut found_any = false;
    while let Some(found) = next(&mut decoder) {
        if found_any {
            line.push_str(" | ");
        }
        found_any = true;
        match (found, direction) {
            (Decoded::BadCrc, _) => line.push_str("bad checksum"),
            (Decoded::Frame(frame), _) if frame.address != ADDRESS => {
                let _ = write!(line, "for address {:02x}: ", frame.address);
                dump(&mut line, &frame.payload);
            }
            (Decoded::Frame(frame), Direction::FromHost) => describe_command(&mut line, &frame.payload),
            (Decoded::Frame(frame), Direction::FromDevice) => describe_reply(&mut line, &frame.payload),
        }
    }
    if !found_any {
        line.push_str("no frame: ");
        dump(&mut line, bytes);
    }
    line
}

fn describe_command(line: &mut String, payload: &[u8]) {
    let _ = match Command::parse(payload) {
        Ok(Command::Ack) => write!(line, "ACK"),
        Ok(Command::Nak) => write!(line, "NAK"),
        Ok(Command::Reset) => write!(line, "RESET"),
        Ok(Command::GetStatus) => write!(line, "GET STATUS"),
        Ok(Command::SetSecurity(mask)) => write!(line, "SET SECURITY {mask:?}"),
        Ok(Command::Poll) => write!(line, "POLL"),
        Ok(Command::EnableBillTypes { accept, escrow }) => {
            write!(line, "ENABLE BILL TYPES {accept:?} escrow {escrow:?}")
        }
        Ok(Command::Stack) => write!(line, "STACK"),
        Ok(Command::Return) => write!(line, "RETURN"),
        Ok(Command::Identification) => write!(line, "IDENTIFICATION"),
        Ok(Command::Hold) => write!(line, "HOLD"),
        Ok(Command::GetBillTable) => write!(line, "GET BILL TABLE"),
        Ok(Command::StackedCounter) => write!(line, "STACKED COUNTER"),
        Ok(Command::Other(code)) => write!(line, "command {code:02x} (unknown)"),
        Err(error) => write!(line, "command {:02x}: {error}", payload.first().copied().unwrap_or_default()),
    };
}

fn describe_reply(line: &mut String, payload: &[u8]) {
    let data = match Reply::parse(payload) {
        Reply::Ack => return line.push_str("ACK"),
        Reply::Nak => return line.push_str("NAK"),
        Reply::Illegal => return line.push_str("ILLEGAL COMMAND"),
        Reply::Data(data) => data,
    };
    if let Ok(status) = PollStatus::parse(data) {
        let _ = write!(line, "{status}");
    } else if let Ok(status) = Status::parse(data) {
        let _ =
            write!(line, "status: enabled {:?}, high security {:?}", status.enabled, status.high_security);
    } else if let Ok(id) = Identification::parse(data) {
        let _ = write!(line, "part {:?}, serial {:?}", id.part_text().as_str(), id.serial_text().as_str());
    } else if data.len() == BILL_TYPES * ENTRY
        && let Ok(table) = BillTable::parse(data)
    {
        line.push_str("bill table");
        for (index, entry) in table.0.iter().enumerate().filter_map(|(index, entry)| Some((index, (*entry)?)))
        {
            let country =
                entry.country.map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { '?' });
            let _ = write!(line, " {index}=");
            line.extend(country);
            let _ = write!(line, "{}", entry.value().unwrap_or(0));
        }
    } else {
        line.push_str("data ");
        dump(line, data);
    }
}
