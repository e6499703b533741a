//! The port for enrolment: TLS 1.3 with our certificate, a certificate of the other side only for a renewal; one question, one answer.
//!
//! A certificate that is shown here is judged as everywhere (our authority, clientAuth, not revoked by a list that is in force) but for
//! its end: somebody whose certificate ran out while the line was down must be able to get the next one.

use super::{
    desk::{Enrolling, Job},
    shared::Shared,
    tls::{self, Tls},
};
use rustls::pki_types::CertificateDer;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tolem_protocol::{
    UtcTime,
    enrolment::{Answer, Question},
    messages,
};

/// Most connections at one time.
const MOST: usize = 64;
/// For the handshake, for the question, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Porch {
    pub shared: Arc<Shared>,
    pub acceptor: TlsAcceptor,
    pub tls: Tls,
    pub desk: mpsc::Sender<Job>,
    pub clock: fn() -> UtcTime,
}

impl Porch {
    /// Serves until it is dropped.
    pub async fn serve(self, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return self.shared.note(&format!("the socket for enrolment failed: {error}")),
        };
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let porch = self.clone();
            tokio::spawn(async move {
                let what = match porch.talk(stream).await {
                    Ok(what) => what,
                    Err(fault) => format!("refused: {fault}"),
                };
                porch.shared.note(&format!("{peer}: enrolment: {what}"));
                drop(place);
            });
        }
    }

    async fn talk(&self, stream: TcpStream) -> Result<String, String> {
        let late = |_| format!("nothing within {PATIENCE:?}");
        let mut stream =
            timeout(PATIENCE, self.acceptor.accept(stream)).await.map_err(late)?.map_err(said)?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let shown = certificate.map(|certificate| self.shown(&certificate)).transpose()?;
        let question = timeout(PATIENCE, question(&mut stream)).await.map_err(late)??;
        let who = match (&question, shown) {
            (Question::Enrol(signed), _) => {
                signed.read_unverified().map_or_else(String::new, |read| format!("kiosk {}: ", read.kiosk))
            }
            (Question::Renew(_), Some(shown)) => format!("kiosk {}, renewal: ", shown.kiosk),
            (Question::Renew(_), None) => "renewal: ".into(),
        };
        let (reply, answer) = oneshot::channel();
        let job = Job::Enrol(Box::new(Enrolling { question, shown, reply }));
        self.desk.send(job).await.map_err(|_| "the desk is closed")?;
        let answer = answer.await.map_err(|_| "no answer: the database failed")?;
        let bytes = messages::encode(1, &answer);
        let give = async {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            stream.shutdown().await
        };
        timeout(PATIENCE, give).await.map_err(late)?.map_err(said)?;
        Ok(match answer {
            Answer::Issued(_) => format!("{who}a certificate was given"),
            Answer::Refused(why) => format!("{who}refused: {why}"),
        })
    }

    fn shown(&self, certificate: &CertificateDer<'_>) -> Result<crate::logic::enrolment::Shown, String> {
        let now = (self.clock)();
        if self.tls.is_stale(now) {
            return Err(
                "pki/device.crl is past its date, so nobody is believed: tolem-center crl refresh".into()
            );
        }
        tls::shown(certificate, now).map_err(str::to_owned)
    }
}

fn said(error: std::io::Error) -> String {
    error.to_string()
}

async fn question(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<Question, String> {
    let mut field = [0; 4];
    stream.read_exact(&mut field).await.map_err(said)?;
    let length = messages::frame_length(field).map_err(|error| error.to_string())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(said)?;
    messages::decode(&body).map(|(_, question)| question).map_err(|error| error.to_string())
}
