//! A network block device (NBD) that forgets what was not flushed: QEMU's disk, with the power in our hand.
//!
//! Killing QEMU alone loses nothing, because what it wrote lies in this machine's cache. Here a write goes to the model of a disk that
//! the crash file layer has too ([`sectors`](tolem_crash_vfs::sectors)), a flush makes it safe, and when the power goes each
//! sector that was not flushed is for itself old or any state it went through. As much of the protocol
//! (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>) as QEMU asks for; no FUA is offered, so QEMU flushes instead.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};
use tolem_crash_vfs::sectors::File;

const OPTION_MAGIC: u64 = 0x4948_4156_454F_5054;
const REPLY_MAGIC: u64 = 0x0003_E889_0455_65A9;
const REQUEST: u32 = 0x2560_9513;
const RESPONSE: u32 = 0x6744_6698;
/// `EIO` of the protocol.
const IO_ERROR: u32 = 5;
/// Has flags, takes flushes.
const TRANSMISSION: u16 = 1 | 1 << 2;
/// Longest request that is served, in bytes: QEMU's own limit.
const LONGEST: usize = 32 * 1024 * 1024;

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The planned moment has come: nothing more is answered.
    Cut,
    /// QEMU hung up before.
    HungUp,
}

/// What a life did to the disk.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Served {
    pub writes: u64,
    pub flushes: u64,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// So many writes and flushes are done; the next one is neither done nor answered.
    pub after: u64,
    /// The first write after so many writes and flushes is not done and answered with an error. Later ones work.
    pub fails: Option<u64>,
    /// Flushes are confirmed and not done.
    pub lies: bool,
}

/// Serves `disk` until the power goes as planned.
pub(super) fn serve(stream: &mut UnixStream, disk: &mut File, plan: Plan) -> io::Result<(End, Served)> {
    let mut served = Served::default();
    match greet(stream, disk.length() as u64).and_then(|()| transmit(stream, disk, plan, &mut served)) {
        Ok(end) => Ok((end, served)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ) =>
        {
            Ok((End::HungUp, served))
        }
        Err(error) => Err(error),
    }
}

fn greet(stream: &mut UnixStream, size: u64) -> io::Result<()> {
    stream.write_all(b"NBDMAGIC")?;
    stream.write_all(&OPTION_MAGIC.to_be_bytes())?;
    // Fixed newstyle, no zeroes.
    stream.write_all(&3_u16.to_be_bytes())?;
    let _client: [u8; 4] = take(stream)?;
    loop {
        if u64::from_be_bytes(take(stream)?) != OPTION_MAGIC {
            return Err(io::Error::other("not an option of NBD"));
        }
        let option = u32::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?) as usize;
        let mut data = vec![0; length.min(LONGEST)];
        stream.read_exact(&mut data)?;
        let mut reply = |kind: u32, data: &[u8]| {
            let mut bytes = REPLY_MAGIC.to_be_bytes().to_vec();
            bytes.extend(option.to_be_bytes());
            bytes.extend(kind.to_be_bytes());
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(data);
            stream.write_all(&bytes)
        };
        let export = [&size.to_be_bytes()[..], &TRANSMISSION.to_be_bytes()].concat();
        match option {
            // EXPORT_NAME
            1 => return stream.write_all(&export),
            // INFO, GO: NBD_INFO_EXPORT, then ACK
            6 | 7 => {
                reply(3, &[&[0, 0][..], &export].concat())?;
                reply(1, &[])?;
                if option == 7 {
                    return Ok(());
                }
            }
            // Unsupported.
            _ => reply(0x8000_0001, &[])?,
        }
    }
}

fn transmit(
    stream: &mut UnixStream,
    disk: &mut File,
    mut plan: Plan,
    served: &mut Served,
) -> io::Result<End> {
    loop {
        if u32::from_be_bytes(take(stream)?) != REQUEST {
            return Err(io::Error::other("not a request of NBD"));
        }
        let _flags: [u8; 2] = take(stream)?;
        let kind = u16::from_be_bytes(take(stream)?);
        let handle: [u8; 8] = take(stream)?;
        let offset = u64::from_be_bytes(take(stream)?) as usize;
        let length = u32::from_be_bytes(take(stream)?) as usize;
        if length > LONGEST || offset.saturating_add(length) > disk.length() {
            return Err(io::Error::other("a request beyond the disk"));
        }
        let mut answer = RESPONSE.to_be_bytes().to_vec();
        answer.extend([0; 4]);
        answer.extend(handle);
        let done = served.writes + served.flushes;
        let full = done >= plan.after;
        match kind {
            0 => {
                let mut data = vec![0; length];
                disk.read(offset, &mut data);
                answer.extend(data);
            }
            1 => {
                let mut data = vec![0; length];
                stream.read_exact(&mut data)?;
                if full {
                    // On its way to the disk when the power goes: perhaps it arrived.
                    disk.write(offset, &data);
                    return Ok(End::Cut);
                }
                if plan.fails.is_some_and(|at| done >= at) {
                    plan.fails = None;
                    answer[4..8].copy_from_slice(&IO_ERROR.to_be_bytes());
                } else {
                    disk.write(offset, &data);
                }
                served.writes += 1;
            }
            2 => return Ok(End::HungUp),
            3 => {
                if full {
                    return Ok(End::Cut);
                }
                if !plan.lies {
                    disk.flush();
                }
                served.flushes += 1;
            }
            _ => return Err(io::Error::other(format!("request {kind} was not offered"))),
        }
        stream.write_all(&answer)?;
    }
}

fn take<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
