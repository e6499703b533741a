//! The kiosk's own keys on disk, and the center's public keys: the [`Signer`] of the core.
//!
//! Two secrets live in a directory that only the kiosk may read: the Ed25519 key that signs the journal and the deposits, and the site key
//! under which an IIN becomes a search tag. Both are made at the first start of a kiosk and never again: a journal whose
//! key is gone must not be continued under a new one, so a missing key beside a journal is an error. IINs are sealed to the
//! center (HPKE); this program holds nothing that opens them.
//!
//! ring makes the key and judges every signature; `ed25519-dalek` signs, because it is the faster of the two and the signature is
//! the most expensive part of an append (`docs/decisions/095-signed-by-dalek-judged-by-ring.md`).

use crate::store::directory_of;
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey};
use hpke::{
    Deserializable, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256,
    rand_core,
};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use tolem_core::ports::Signer;
use tolem_protocol::{
    Iin, PaymentId,
    card::{CardSecret, SealedCard},
    messages::SealedIin,
    signed::Signature,
};
use zeroize::Zeroizing;

/// File of the Ed25519 key, PKCS#8 version 2 in DER (RFC 5958, RFC 8410).
pub const JOURNAL_KEY_FILE: &str = "journal.pk8";
/// File of the site key: 32 random bytes.
pub const SITE_KEY_FILE: &str = "site.key";

/// HPKE `info`: what the sealed bytes are for.
const SEAL_INFO: &[u8] = b"tolem iin v1";
/// The same for a card.
const CARD_INFO: &[u8] = b"tolem card v1";
const SITE_KEY_BYTES: usize = 32;
/// No key file is longer than this.
const MAX_KEY_FILE: u64 = 4096;

/// Why the keys cannot be used.
#[derive(Debug)]
pub struct KeyError {
    /// Which file or setting.
    pub what: String,
    /// Why, and what to do.
    pub cause: String,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for KeyError {}

/// The center's public keys, from the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CenterKeys {
    /// Ed25519: quotes, outcomes, code tokens.
    pub statement: [u8; 32],
    /// X25519: IINs are sealed to it.
    pub sealing: [u8; 32],
}

/// Whether missing keys may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnMissing {
    /// The journal is empty: this is the first start of the kiosk.
    Create,
    /// There are records that the missing key signed, or only a reader asks.
    Refuse,
}

/// Signs, verifies and seals for one kiosk.
pub struct KioskKeys {
    /// Wiped when dropped.
    journal: SigningKey,
    site: hmac::Key,
    statement: [u8; 32],
    sealing: <X25519HkdfSha256 as hpke::Kem>::PublicKey,
    random: SystemRandom,
}

impl fmt::Debug for KioskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KioskKeys(…)")
    }
}

impl KioskKeys {
    /// Loads the keys in `directory`; at the first start of a kiosk makes them, readable by this user alone.
    pub fn open(directory: &Path, center: &CenterKeys, missing: OnMissing) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        if missing == OnMissing::Create {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(directory);
            made.map_err(|error| fail(directory, &format!("cannot make the key directory: {error}")))?;
        }
        let journal = load_or_create(&directory.join(JOURNAL_KEY_FILE), missing, || {
            let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| no_randomness())?;
            Ok(Zeroizing::new(document.as_ref().to_vec()))
        })?;
        let journal = read_key(&directory.join(JOURNAL_KEY_FILE), &journal)?;
        let site = load_or_create(&directory.join(SITE_KEY_FILE), missing, || {
            let mut bytes = Zeroizing::new(vec![0; SITE_KEY_BYTES]);
            random.fill(&mut bytes).map_err(|_| no_randomness())?;
            Ok(bytes)
        })?;
        if site.len() != SITE_KEY_BYTES {
            let cause = format!("{} bytes, a site key has {SITE_KEY_BYTES}", site.len());
            return Err(fail(&directory.join(SITE_KEY_FILE), &cause));
        }
        let site = hmac::Key::new(hmac::HMAC_SHA256, &site);
        Self::assemble(journal, site, center, random)
    }

    /// Fresh keys that are kept nowhere: for a terminal that cannot open its journal or keys and only shows why it is closed.
    pub fn ephemeral(center: &CenterKeys) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| no_randomness())?;
        let journal = SigningKey::from_pkcs8_der(document.as_ref()).expect("invariant: ring made this key");
        let mut site = Zeroizing::new([0; SITE_KEY_BYTES]);
        random.fill(&mut site[..]).map_err(|_| no_randomness())?;
        Self::assemble(journal, hmac::Key::new(hmac::HMAC_SHA256, &site[..]), center, random)
    }

    fn assemble(
        journal: SigningKey,
        site: hmac::Key,
        center: &CenterKeys,
        random: SystemRandom,
    ) -> Result<Self, KeyError> {
        let sealing = Deserializable::from_bytes(&center.sealing).map_err(|error| KeyError {
            what: "[center] sealing_key".into(),
            cause: format!("this is not an X25519 public key ({error})"),
        })?;
        let signer = Self { journal, site, statement: center.statement, sealing, random };
        // Some 32-byte strings are no usable points; that must come out here and not with a citizen before the screen.
        signer.try_seal(SEAL_INFO, &[0; 12], b"self-test").map_err(|error| KeyError {
            what: "[center] sealing_key".into(),
            cause: format!("nothing can be sealed to it ({error}); take the value the center prints"),
        })?;
        Ok(signer)
    }

    /// 16 random bytes, for the boot nonce.
    pub fn nonce(&self) -> Result<[u8; 16], KeyError> {
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce).map_err(|_| no_randomness())?;
        Ok(nonce)
    }

    fn try_seal(
        &self,
        info: &[u8],
        plain: &[u8],
        aad: &[u8],
    ) -> Result<([u8; 32], Vec<u8>), hpke::HpkeError> {
        let (key, mut context) = hpke::setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &self.sealing,
            info,
            &mut SystemRng(&self.random),
        )?;
        let cipher = context.seal(plain, aad)?;
        Ok((key.to_bytes().into(), cipher))
    }
}

impl Signer for KioskKeys {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.journal.sign(message).to_bytes())
    }

    fn public_key(&self) -> [u8; 32] {
        self.journal.verifying_key().to_bytes()
    }

    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public_key()).verify(message, &signature.0).is_ok()
    }

    fn verify_center(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.statement).verify(message, &signature.0).is_ok()
    }

    fn seal_iin(&mut self, iin: &Iin, payment: &PaymentId) -> SealedIin {
        let plain = Zeroizing::new(iin.ascii());
        let (key, cipher) = self
            .try_seal(SEAL_INFO, &plain[..], payment.to_string().as_bytes())
            .expect("invariant: sealing to this key worked when it was loaded");
        SealedIin(key, cipher.iter().copied().collect())
    }

    fn seal_card(&mut self, card: &CardSecret, payment: &PaymentId) -> SealedCard {
        let (key, cipher) = self
            .try_seal(CARD_INFO, &card.to_bytes(), payment.to_string().as_bytes())
            .expect("invariant: sealing to this key worked when it was loaded");
        SealedCard(key, cipher.iter().copied().collect())
    }

    fn unpredictable(&mut self) -> [u8; 4] {
        let mut bytes = [0; 4];
        // The system's source answered when the keys were loaded, and does not run dry.
        self.random.fill(&mut bytes).expect("invariant: the system's randomness works");
        bytes
    }

    fn tag_iin(&self, iin: &Iin) -> [u8; 16] {
        let digits = Zeroizing::new(iin.ascii());
        let tag = hmac::sign(&self.site, &digits[..]);
        tag.as_ref()[..16].try_into().expect("invariant: HMAC-SHA256 has 32 bytes")
    }
}

/// The public half of the journal key in `directory`, for verifying without touching anything else.
pub fn journal_public_key(directory: &Path) -> Result<[u8; 32], KeyError> {
    let path = directory.join(JOURNAL_KEY_FILE);
    let key = read_private(&path)?;
    Ok(read_key(&path, &key)?.verifying_key().to_bytes())
}

/// The key of the file `path`. Both libraries must take it and agree on its public half: a signature that only one of them believes in
/// would be found out by the next start.
fn read_key(path: &Path, document: &[u8]) -> Result<SigningKey, KeyError> {
    let none =
        |cause: &dyn fmt::Display| fail(path, &format!("this is not an Ed25519 key in PKCS#8 ({cause})"));
    let judge = Ed25519KeyPair::from_pkcs8(document).map_err(|cause| none(&cause))?;
    let key = SigningKey::from_pkcs8_der(document).map_err(|cause| none(&cause))?;
    if judge.public_key().as_ref() != key.verifying_key().as_bytes() {
        return Err(none(&"its public half is not that of its private one"));
    }
    Ok(key)
}

/// Reads a file that only its owner may read: keys and the TLS key.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => fail(path, "the key file is missing; restore it from the kiosk's backup"),
        _ => fail(path, &format!("cannot be read: {error}")),
    })?;
    let about = file.metadata().map_err(|error| fail(path, &format!("cannot be examined: {error}")))?;
    let user = rustix::process::geteuid().as_raw();
    if about.uid() != user {
        return Err(fail(path, &format!("belongs to user {}, must belong to user {user}", about.uid())));
    }
    if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        return Err(fail(path, &format!("others can read it (mode {mode:04o}); run `chmod 600` on it")));
    }
    if about.len() > MAX_KEY_FILE {
        return Err(fail(path, &format!("{} bytes, a key file has at most {MAX_KEY_FILE}", about.len())));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE as usize));
    file.take(MAX_KEY_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(path, &format!("cannot be read: {error}")))?;
    Ok(bytes)
}

fn load_or_create(
    path: &Path,
    missing: OnMissing,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeyError>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if missing == OnMissing::Create && !path.exists() {
        let bytes = make()?;
        write_private(path, &bytes).map_err(|error| fail(path, &format!("cannot be written: {error}")))?;
    } else if missing == OnMissing::Create {
        // An earlier start may have failed between the name and its durability; nothing is built upon a key that may vanish.
        sync_directory_of(path).map_err(|error| fail(path, &format!("cannot be made durable: {error}")))?;
    }
    read_private(path)
}

/// Durable before it is used: written beside, synced, renamed.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn fail(path: &Path, cause: &str) -> KeyError {
    KeyError { what: path.display().to_string(), cause: cause.into() }
}

fn no_randomness() -> KeyError {
    KeyError { what: "getrandom".into(), cause: "the operating system gives no random bytes".into() }
}

/// ring's generator in the shape HPKE wants.
struct SystemRng<'a>(&'a SystemRandom);

impl rand_core::RngCore for SystemRng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest).expect("invariant: getrandom worked when the keys were loaded and does not stop");
    }
}

impl rand_core::CryptoRng for SystemRng<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use hpke::{Kem, OpModeR};
    use std::os::unix::fs::PermissionsExt;
    use tolem_protocol::{Date, KioskNumber};

    fn center() -> (CenterKeys, <X25519HkdfSha256 as Kem>::PrivateKey) {
        let (private, public) = X25519HkdfSha256::derive_keypair(&[7; 32]);
        (CenterKeys { statement: [0; 32], sealing: public.to_bytes().into() }, private)
    }

    fn iin(text: &str) -> Iin {
        Iin::parse(text, Date::parse_iso("2026-11-22").unwrap()).unwrap()
    }

    fn payment(number: u64) -> PaymentId {
        PaymentId { kiosk: KioskNumber::new(42).unwrap(), epoch: 3, number, nonce: [9; 16] }
    }

    #[test]
    fn keys_are_made_once_and_private() {
        let dir = Scratch::new("keys");
        let keys = dir.path().join("keys");
        let (center, _) = center();
        let first = KioskKeys::open(&keys, &center, OnMissing::Create).unwrap();
        let again = KioskKeys::open(&keys, &center, OnMissing::Create).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        assert_eq!(journal_public_key(&keys).unwrap(), first.public_key());
        let (one, two) = (iin("000101300019"), iin("000101400015"));
        assert_eq!(first.tag_iin(&one), again.tag_iin(&one));
        assert_ne!(first.tag_iin(&one), first.tag_iin(&two));
        for name in [JOURNAL_KEY_FILE, SITE_KEY_FILE] {
            assert_eq!(std::fs::metadata(keys.join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
        }
        let signature = first.sign(b"deposit");
        assert!(again.verify_own(b"deposit", &signature));
        assert!(!again.verify_own(b"deposit?", &signature));
        assert!(!again.verify_center(b"deposit", &signature));
    }

    /// The signatures of RFC 8032 are the same bytes whoever makes them, so ring, the judge, must make what the signer makes.
    #[test]
    fn signer_and_judge_make_the_same_signatures() {
        let dir = Scratch::new("keys");
        let signer = KioskKeys::open(dir.path(), &center().0, OnMissing::Create).unwrap();
        let document = read_private(&dir.path().join(JOURNAL_KEY_FILE)).unwrap();
        let judge = Ed25519KeyPair::from_pkcs8(&document).unwrap();
        for length in [0, 1, 31, 32, 63, 64, 111, 112, 127, 128, 200, 4096] {
            let message: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            assert_eq!(&signer.sign(&message).0[..], judge.sign(&message).as_ref(), "{length} bytes");
        }
    }

    #[test]
    fn a_key_lost_beside_a_journal_is_not_replaced() {
        let dir = Scratch::new("keys");
        let error = KioskKeys::open(dir.path(), &center().0, OnMissing::Refuse).unwrap_err().to_string();
        assert!(error.contains("journal.pk8: the key file is missing"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let dir = Scratch::new("keys");
        let (center, _) = center();
        KioskKeys::open(dir.path(), &center, OnMissing::Create).unwrap();
        let path = dir.path().join(JOURNAL_KEY_FILE);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = KioskKeys::open(dir.path(), &center, OnMissing::Create).unwrap_err().to_string();
        assert!(error.ends_with("others can read it (mode 0640); run `chmod 600` on it"), "{error}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for bytes in [&b""[..], b"-----BEGIN PRIVATE KEY-----", &[0x30; 83]] {
            std::fs::write(&path, bytes).unwrap();
            let error = KioskKeys::open(dir.path(), &center, OnMissing::Create).unwrap_err().to_string();
            assert!(error.contains("this is not an Ed25519 key in PKCS#8"), "{error}");
        }
    }

    #[test]
    fn only_the_center_opens_a_sealed_iin_and_only_for_its_payment() {
        let dir = Scratch::new("keys");
        let (center, private) = center();
        let mut signer = KioskKeys::open(dir.path(), &center, OnMissing::Create).unwrap();
        let sealed = signer.seal_iin(&iin("000101300019"), &payment(5));
        assert_ne!(sealed, signer.seal_iin(&iin("000101300019"), &payment(5)), "sealing is randomised");
        let open = |aad: &str| {
            let key = Deserializable::from_bytes(&sealed.0).unwrap();
            let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &private,
                &key,
                SEAL_INFO,
            )
            .unwrap();
            context.open(&sealed.1, aad.as_bytes())
        };
        assert_eq!(open("00042-3-5-09090909").unwrap(), b"000101300019");
        assert!(open("00042-3-6-09090909").is_err());
    }

    #[test]
    fn a_sealing_key_that_is_no_point_is_named() {
        let dir = Scratch::new("keys");
        let center = CenterKeys { statement: [0; 32], sealing: [0; 32] };
        let error = KioskKeys::open(dir.path(), &center, OnMissing::Create).unwrap_err().to_string();
        assert!(error.starts_with("[center] sealing_key: "), "{error}");
    }
}
