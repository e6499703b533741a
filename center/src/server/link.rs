//! One connection: handshake, Hello first, then one request after the other until somebody has had enough.
//!
//! Whatever is not a message closes the connection with a reason in the log; nothing from outside panics. Every wait is bounded.

use crate::server::{
    Seen,
    desk::{Asking, Job},
    foresight::Foresight,
    shared::Shared,
    tls::{self, Tls},
    words,
};
use rustls::pki_types::CertificateDer;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tolem_protocol::{
    KioskNumber, UtcTime,
    messages::{self, MAX_FRAME, Request},
};

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Door {
    pub shared: Arc<Shared>,
    pub acceptor: TlsAcceptor,
    pub tls: Tls,
    pub desk: mpsc::Sender<Job>,
    pub foresight: Foresight,
    pub clock: fn() -> UtcTime,
}

/// Why a connection ended.
pub(super) type End = String;

pub(super) async fn serve(door: Door, stream: TcpStream, peer: SocketAddr, link: u64) {
    let Door { shared, acceptor, tls, desk, foresight, clock } = door;
    let frame = Duration::from_millis(shared.links.frame_ms);
    let _ = stream.set_nodelay(true);
    let mut stream = match timeout(frame, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return shared.note(&format!("{peer}: refused: {error}")),
        Err(_) => return shared.note(&format!("{peer}: refused: no handshake within {frame:?}")),
    };
    let chain = stream.get_ref().1.peer_certificates();
    let Some(certificate) = chain.and_then(|chain| chain.first()).cloned() else {
        return shared.note(&format!("{peer}: refused: no certificate"));
    };
    let kiosk = match tls::kiosk_of(&certificate) {
        Ok(kiosk) => kiosk,
        Err(reason) => return shared.note(&format!("{peer}: refused: {reason}")),
    };
    shared.note(&format!("{peer}: kiosk {kiosk} connected"));
    let good_until = tls::good_until(&certificate);
    let mut guest = Guest { kiosk, link, good_until, certificate, tls, clock, judged: 0 };
    let end = talk(&shared, (&desk, &foresight), &mut stream, &mut guest).await;
    let _ = timeout(frame, stream.shutdown()).await;
    shared.note(&format!("{peer}: kiosk {kiosk} disconnected: {end}"));
}

/// Who is on the other side.
struct Guest {
    kiosk: KioskNumber,
    link: u64,
    good_until: UtcTime,
    certificate: CertificateDer<'static>,
    tls: Tls,
    clock: fn() -> UtcTime,
    judged: u64,
}

impl Guest {
    /// Judges the certificate again when the revocation list has changed since the last time.
    fn may_stay(&mut self) -> Result<(), End> {
        if self.tls.is_stale((self.clock)()) {
            return Err("pki/device.crl went stale on the open connection: tolem-center crl refresh".into());
        }
        let loads = self.tls.loads();
        if self.judged != loads {
            self.tls.judge(&self.certificate).map_err(|error| error.to_string())?;
            self.judged = loads;
        }
        Ok(())
    }
}

async fn talk(
    shared: &Shared,
    (desk, foresight): (&mpsc::Sender<Job>, &Foresight),
    stream: &mut TlsStream<TcpStream>,
    guest: &mut Guest,
) -> End {
    let (kiosk, link, good_until) = (guest.kiosk, guest.link, guest.good_until);
    let frame = Duration::from_millis(shared.links.frame_ms);
    let idle = Duration::from_millis(shared.links.idle_ms);
    let mut greeted = false;
    loop {
        let mut field = [0; 4];
        match timeout(if greeted { idle } else { frame }, stream.read_exact(&mut field)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return "closed".into(),
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "nothing was asked for too long".into(),
        }
        let length = match messages::frame_length(field) {
            Ok(length) => length,
            Err(error) => return error.to_string(),
        };
        let mut body = [0; MAX_FRAME];
        match timeout(frame, stream.read_exact(&mut body[..length])).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return format!("a frame of {length} bytes was cut off: {error}"),
            Err(_) => return format!("a frame of {length} bytes did not arrive within {frame:?}"),
        }
        let (number, request) = match messages::decode::<Request>(&body[..length]) {
            Ok(decoded) => decoded,
            Err(error) => return error.to_string(),
        };
        if !greeted && !matches!(request, Request::Hello(_)) {
            return "the first message was not Hello".into();
        }
        greeted = true;
        if let Err(end) = guest.may_stay() {
            return end;
        }
        shared.see(&Seen::Message { kiosk, to_center: true, line: &words::request(&request) });
        let (reply, answer) = oneshot::channel();
        let foreseen = foresight.look(kiosk, &request);
        let job = Job::Request(Box::new(Asking { kiosk, link, good_until, request, foreseen, reply }));
        if desk.send(job).await.is_err() {
            return "the desk is closed".into();
        }
        let Ok(response) = answer.await else {
            return "no answer: the kiosk came back on a newer connection, or the database failed".into();
        };
        shared.see(&Seen::Message { kiosk, to_center: false, line: &words::response(&response) });
        if shared.lose_answers.is_on() {
            return "the answer was lost on purpose".into();
        }
        let bytes = messages::encode(number, &response);
        match timeout(frame, stream.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("an answer was not taken within {frame:?}"),
        }
        if let Ok(Err(error)) = timeout(frame, stream.flush()).await {
            return error.to_string();
        }
    }
}
