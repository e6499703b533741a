//! Pseudo terminals: a serial cable without the serial.
//!
//! One end is ours, the other is a path in /dev that any program opens like a tty. We keep the other end open too, so that
//! nothing breaks when the program closes it; dropping a [`Pty`] is pulling the cable. A pty has no parity, no RTS and no
//! speed, so nothing about these can be learned here.

use rustix::{
    fs::{Mode, OFlags},
    pty::OpenptFlags,
    termios::OptionalActions,
};
use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

/// Our end of a serial line, and the path of the other.
#[derive(Debug)]
pub struct Pty {
    ours: File,
    other: OwnedFd,
    path: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    /// Opens a raw pty. With `link` a symbolic link of that name leads to it; a link that is already there is replaced,
    /// any other file is not touched and is an error.
    pub fn open(link: Option<&Path>) -> io::Result<Self> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let path = PathBuf::from(OsString::from_vec(rustix::pty::ptsname(&ours, Vec::new())?.into_bytes()));
        let other = open_raw(&path, None)?;
        set_nonblocking(&ours)?;
        if let Some(link) = link {
            replace_link(&path, link)?;
        }
        Ok(Self { ours: File::from(ours), other, path, link: link.map(Path::to_owned) })
    }

    /// What the other program should open: the link if there is one, else the device in /dev/pts.
    pub fn path(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.path)
    }

    /// Our end, not blocking.
    pub fn file(&self) -> &File {
        &self.ours
    }

    /// Lets the path be opened again after a program that wanted it for itself (TIOCEXCL, as serial libraries do) has died. A
    /// real port forgets that wish with the last close, but here the last close never comes, because we keep it open.
    pub fn allow_reopen(&self) -> io::Result<()> {
        rustix::termios::ioctl_tiocnxcl(&self.other)?;
        Ok(())
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link
            && std::fs::read_link(link).is_ok_and(|target| target == self.path)
        {
            // Nobody can be told; the next start replaces the link anyway.
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Opens an existing tty raw, 8N1, at `speed` bit/s, not blocking: for a device model behind a real cable.
pub fn open_tty(path: &Path, speed: u32) -> io::Result<File> {
    let fd = open_raw(path, Some(speed))?;
    set_nonblocking(&fd)?;
    Ok(File::from(fd))
}

fn open_raw(path: &Path, speed: Option<u32>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    let mut settings = rustix::termios::tcgetattr(&fd)?;
    settings.make_raw();
    if let Some(speed) = speed {
        settings.set_speed(speed)?;
    }
    rustix::termios::tcsetattr(&fd, OptionalActions::Now, &settings)?;
    Ok(fd)
}

fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(())
}

/// Makes the link under a temporary name first, so that there is never a moment without one.
fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    if let Ok(found) = std::fs::symlink_metadata(link)
        && !found.file_type().is_symlink()
    {
        let text = format!("{} exists and is not a symbolic link; choose another name", link.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let mut name = link.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let with_name =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot link {}: {error}", link.display()));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(with_name(error)),
        _ => std::os::unix::fs::symlink(target, &temporary).map_err(with_name)?,
    }
    std::fs::rename(&temporary, link).map_err(with_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::{Read, Write};

    fn read_exactly(mut file: &File, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < count {
            let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&limit)).unwrap();
            assert_eq!(ready, 1, "nothing came within five seconds, got {got:x?}");
            let mut buffer = [0; 64];
            let length = file.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..length]);
        }
        got
    }

    #[test]
    fn all_bytes_pass_unchanged_and_closing_the_other_side_breaks_nothing() {
        let pty = Pty::open(None).unwrap();
        let every: Vec<u8> = (0..=255).collect();
        for _ in 0..2 {
            let mut other = open_tty(pty.path(), 9600).unwrap();
            other.write_all(&every).unwrap();
            assert_eq!(read_exactly(pty.file(), 256), every);
            pty.file().write_all(&every).unwrap();
            assert_eq!(read_exactly(&other, 256), every);
            drop(other);
            let mut buffer = [0; 8];
            assert_eq!(pty.file().read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn dropping_it_is_pulling_the_cable_and_the_link_goes_too() {
        let link = std::env::temp_dir().join(format!("tolem-pty-{}", std::process::id()));
        let pty = Pty::open(Some(&link)).unwrap();
        assert_eq!(pty.path(), link);
        let mut other = open_tty(&link, 9600).unwrap();
        let again = Pty::open(Some(&link)).unwrap();
        drop(pty);
        assert!(link.exists(), "the newer pty keeps its link");
        let mut buffer = [0; 8];
        assert!(!matches!(other.read(&mut buffer), Ok(length) if length > 0));
        assert!(other.write_all(b"x").is_err());
        drop(again);
        assert!(std::fs::symlink_metadata(&link).is_err());
    }

    #[test]
    fn a_file_in_the_way_is_named_and_kept() {
        let file = std::env::temp_dir().join(format!("tolem-pty-file-{}", std::process::id()));
        std::fs::write(&file, "mine").unwrap();
        let error = Pty::open(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("is not a symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        std::fs::remove_file(&file).unwrap();
    }
}
