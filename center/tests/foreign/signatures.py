"""Lets xmlsec1, signxml and zeep judge signatures of ours and make signatures for us to judge.

usage: signatures.py DIRECTORY

Reads DIRECTORY/ours/{message,document}-{rsa,ec}.xml and the keys beside it; writes DIRECTORY/theirs/*.xml (good) and
DIRECTORY/bad/REASON--what.xml (properly signed, but outside the profile).
"""

import datetime
import pathlib
import subprocess
import sys

import xmlsec
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLSigner, XMLVerifier, methods
from signxml.algorithms import CanonicalizationMethod
from zeep import ns
from zeep.exceptions import SignatureVerificationFailed
from zeep.wsse.signature import BinarySignature, verify_envelope
from zeep.wsse.utils import WSU, get_security_header

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
INC = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
BODY = '<t:Pay xmlns:t="urn:t" xmlns:unused="urn:u"><t:Amount currency="KZT">3932.00</t:Amount></t:Pay>'
METHODS = {
    "rsa": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", xmlsec.Transform.RSA_SHA256, SignatureMethod.RSA_SHA256),
    "ec": ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", xmlsec.Transform.ECDSA_SHA256, SignatureMethod.ECDSA_SHA256),
}
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def xmlsec1(*arguments):
    return subprocess.run(["xmlsec1", *arguments], capture_output=True, text=True)


def ids():
    return ["--id-attr:Id", f"{SOAP}:Body", "--id-attr:Id", f"{ns.WSU}:Timestamp"]


def check(condition, what):
    if not condition:
        sys.exit(f"signatures.py: {what}")


def judge_ours(home):
    for kind in METHODS:
        certificate = home / f"{kind}.crt"
        for path, options in ((home / f"ours/document-{kind}.xml", []), (home / f"ours/message-{kind}.xml", ids())):
            arguments = ["--verify", "--pubkey-cert-pem", str(certificate), *options]
            said = xmlsec1(*arguments, str(path))
            check(said.returncode == 0, f"xmlsec1 refuses {path.name}: {said.stderr}")
            broken = home / "broken.xml"
            broken.write_text(path.read_text().replace("3932.00", "3932.01"))
            check(xmlsec1(*arguments, str(broken)).returncode != 0, f"xmlsec1 takes {path.name} with another amount")
        config = SignatureConfiguration(
            signature_methods=frozenset([METHODS[kind][2]]), digest_algorithms=frozenset([DigestAlgorithm.SHA256])
        )
        pem = certificate.read_text()
        text = (home / f"ours/document-{kind}.xml").read_bytes()
        read = XMLVerifier().verify(text, x509_cert=pem, expect_config=config)
        check(b"3932.00" in etree.tostring(read.signed_xml), "signxml reads something else")
        try:
            XMLVerifier().verify(text.replace(b"3932.00", b"3932.01"), x509_cert=pem, expect_config=config)
        except Exception:
            pass
        else:
            sys.exit("signatures.py: signxml takes another amount")
        text = (home / f"ours/message-{kind}.xml").read_bytes()
        verify_envelope(etree.fromstring(text), str(certificate))
        try:
            verify_envelope(etree.fromstring(text.replace(b"3932.00", b"3932.01")), str(certificate))
        except SignatureVerificationFailed:
            continue
        sys.exit("signatures.py: zeep takes another amount")
    seal = home / "ours/record.xml"
    said = xmlsec1("--verify", "--pubkey-cert-pem", str(home / "gateway.crt"), str(seal))
    check(said.returncode == 0, f"xmlsec1 refuses the gateway's seal of a record: {said.stderr}")


def with_timestamp(envelope):
    created = datetime.datetime.now(datetime.timezone.utc)
    ends = created + datetime.timedelta(minutes=5)
    get_security_header(envelope).append(
        WSU.Timestamp(WSU.Created(created.isoformat()), WSU.Expires(ends.isoformat()))
    )
    return envelope


def envelope():
    return with_timestamp(etree.fromstring(f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>{BODY}</s:Body></s:Envelope>'))


def zeep_message(home, kind, **methods_used):
    used = {"signature_method": METHODS[kind][1], "digest_method": xmlsec.Transform.SHA256} | methods_used
    signed, _ = BinarySignature(str(home / f"{kind}.key"), str(home / f"{kind}.crt"), **used).apply(envelope(), {})
    return etree.tostring(signed)


def template(kind, method=None, digest=SHA256, c14n=EXC, transforms=None, prefixes=None, reference="", extra=""):
    listed = f'<ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="{prefixes}"/>' if prefixes else ""
    if transforms is None:
        transforms = f'<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
        transforms += f'<ds:Transform Algorithm="{EXC}">{listed}</ds:Transform>'
    return (
        f'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{c14n}">{listed}</ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method or METHODS[kind][0]}"/>'
        f'<ds:Reference URI="{reference}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>'
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate/></ds:X509Data></ds:KeyInfo>{extra}</ds:Signature>"
    )


def sign_with_cli(home, kind, name, text, key=None):
    source = home / "template.xml"
    source.write_text(text)
    pair = f"{home / (key or kind)}.key,{home / (key or kind)}.crt"
    said = xmlsec1("--sign", "--privkey-pem", pair, "--output", str(home / name), *ids(), str(source))
    check(said.returncode == 0, f"xmlsec1 cannot sign {name}: {said.stderr}")


def document(signature, attributes=""):
    return f'<t:Pay xmlns:t="urn:t" xmlns="urn:d" xmlns:u="urn:u"{attributes}><Amount>3932.00</Amount>{signature}</t:Pay>'


def make_theirs(home):
    for kind in METHODS:
        pem = (home / f"{kind}.crt").read_text(), (home / f"{kind}.key").read_text()
        signer = XMLSigner(
            method=methods.enveloped,
            signature_algorithm=METHODS[kind][2],
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        signed = signer.sign(etree.fromstring(document("")), key=pem[1], cert=pem[0])
        (home / f"theirs/document-signxml-{kind}.xml").write_bytes(etree.tostring(signed))
        (home / f"theirs/message-zeep-{kind}.xml").write_bytes(zeep_message(home, kind))
        for name, options in {
            "plain": {},
            "inclusive": {"prefixes": "u"},
            "default": {"prefixes": "#default u t"},
        }.items():
            sign_with_cli(home, kind, f"theirs/document-xmlsec1-{name}-{kind}.xml", document(template(kind, **options)))


def make_bad(home):
    enveloped = '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
    sha1 = "http://www.w3.org/2000/09/xmldsig#sha1"
    xpath = (
        enveloped + '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>'
        "not(ancestor-or-self::Amount)</ds:XPath></ds:Transform>"
        f'<ds:Transform Algorithm="{EXC}"/>'
    )
    only = f'<ds:Transform Algorithm="{EXC}"/>'
    other = f'<ds:Object Id="other"><x xmlns="urn:x"/></ds:Object>'
    for name, options in {
        "algorithm--sha1-signature": {"method": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
        "algorithm--sha512-signature": {"method": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"},
        "algorithm--sha1-digest": {"digest": sha1},
        "algorithm--inclusive-c14n": {"c14n": INC},
        "algorithm--c14n-with-comments": {"c14n": EXC + "WithComments"},
        "algorithm--xpath-that-hides-the-amount": {"transforms": xpath},
        "algorithm--inclusive-transform": {"transforms": enveloped + f'<ds:Transform Algorithm="{INC}"/>'},
        "signature-layout--object": {"reference": "#other", "transforms": only, "extra": other},
    }.items():
        sign_with_cli(home, "rsa", f"bad/{name}.xml", document(template("rsa", **options)))
    sign_with_cli(home, "rsa", "bad/not-for-signing--tls-key.xml", document(template("ec")), key="channel")
    sign_with_cli(home, "rsa", "bad/untrusted-issuer--self-made.xml", document(template("rsa")), key="self")
    (home / "bad/algorithm--zeep-default-sha1.xml").write_bytes(
        zeep_message(home, "rsa", signature_method=None, digest_method=None)
    )
    # Signed by the bank, then wrapped: zeep itself takes these, which is why it is a client here and never a judge.
    good = etree.fromstring(zeep_message(home, "rsa"))
    body = good.find(f"{{{SOAP}}}Body")
    evil = etree.fromstring(etree.tostring(body).replace(b"3932.00", b"1.00"))
    del evil.attrib[f"{{{ns.WSU}}}Id"]
    header = good.find(f"{{{SOAP}}}Header")
    good.replace(body, evil)
    etree.SubElement(header, "{urn:x}Wrap").append(body)
    text = etree.tostring(good)
    verify_envelope(etree.fromstring(text), str(home / "rsa.crt"))
    (home / "bad/layout--body-moved-into-the-header.xml").write_bytes(text)


def main(home):
    judge_ours(home)
    for folder in ("theirs", "bad"):
        (home / folder).mkdir(exist_ok=True)
    make_theirs(home)
    make_bad(home)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
