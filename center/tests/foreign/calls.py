"""Calls every operation of a running gateway with zeep, from its WSDL, signed both ways.

usage: calls.py PARTIES GATEWAY_CERTIFICATE HOST:PORT

PARTIES holds one folder per participant (bank, portal, service-center, auditor). Every answer's signature is checked before zeep
reads it, faults included. The exit code is 0 only if everything was answered as it should be.
"""

import datetime
import pathlib
import sys
import uuid

import requests
import xmlsec
import zeep
from zeep.wsse.signature import BinarySignature, verify_envelope
from zeep.wsse.utils import WSU, get_security_header

IIN = "000101300019"


class Signed(BinarySignature):
    """A timestamp, our signature over it and the body, and the gateway's certificate for the answers."""

    def __init__(self, folder, gateway):
        super().__init__(
            str(folder / "sign.key"),
            str(folder / "sign.crt"),
            signature_method=xmlsec.Transform.RSA_SHA256 if (folder / "rsa").exists() else xmlsec.Transform.ECDSA_SHA256,
            digest_method=xmlsec.Transform.SHA256,
        )
        self.gateway = gateway
        self.verified = 0

    def apply(self, envelope, headers):
        created = datetime.datetime.now(datetime.timezone.utc)
        ends = created + datetime.timedelta(minutes=5)
        get_security_header(envelope).append(
            WSU.Timestamp(WSU.Created(created.isoformat()), WSU.Expires(ends.isoformat()))
        )
        return super().apply(envelope, headers)

    def verify(self, envelope):
        verify_envelope(envelope, self.gateway)
        self.verified += 1
        return envelope


class Party:
    def __init__(self, parties, name, gateway, address, service="gateway"):
        folder = parties / name
        session = requests.Session()
        session.cert = (str(folder / "channel.crt"), str(folder / "channel.key"))
        session.verify = str(folder / "root.crt")
        session.trust_env = False
        self.signed = Signed(folder, gateway)
        client = zeep.Client(
            f"https://{address}/{service}?wsdl", transport=zeep.Transport(session=session), wsse=self.signed
        )
        name = service.capitalize()
        self.service = client.create_service(
            f"{{urn:tolem:gateway:1:{service}}}{name}Soap", f"https://{address}/{service}"
        )

    def call(self, operation, **fields):
        message = str(uuid.uuid4())
        before = self.signed.verified
        answer = getattr(self.service, operation)(MessageId=message, **fields)
        assert self.signed.verified == before + 1, "the answer was verified"
        assert answer.InReplyTo == message, answer
        return answer

    def refused(self, operation, **fields):
        """Code, field and state of the fault."""
        before = self.signed.verified
        try:
            answer = self.call(operation, **fields)
        except zeep.exceptions.Fault as fault:
            assert self.signed.verified == before + 1, "the fault was verified"
            text = lambda tag: fault.detail.findtext(f".//{{urn:tolem:gateway:1}}{tag}")
            return text("Code"), text("Field"), text("State")
        sys.exit(f"calls.py: {operation} {fields} was not refused: {answer}")


def main(parties, gateway, address):
    bank = Party(parties, "bank", gateway, address)
    registry = Party(parties, "bank", gateway, address, "registry")
    portal = Party(parties, "portal", gateway, address)
    desk = Party(parties, "service-center", gateway, address)
    auditor = Party(parties, "auditor", gateway, address)
    today = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5)).date()

    assert registry.call("CheckIin", Iin=IIN).Known is True
    assert registry.call("CheckIin", Iin="500228200900").Known is False

    order = dict(Kiosk=42, ServiceCode="id-card", PayerIin=IIN, AmountTiyn=86_500)
    payment = dict(order, Method="cash", PaidAt=datetime.datetime.now(datetime.timezone.utc))
    codes = {}
    for number in ("portal", "desk", "void", "refund"):
        made = bank.call("CreateUpc", TransactionNumber=number, **order)
        assert made.State == "issued" and made.Repeated is False, made
        assert bank.call("CreateUpc", TransactionNumber=number, **order).Code == made.Code
        codes[number] = made.Code
    person = dict(RecipientIin=IIN, ServiceCode="id-card")
    early = portal.refused("ValidateUpc", RequestNumber="R1", Code=codes["portal"], Consume=True, **person)
    assert early == ("WrongState", None, "issued"), early
    for number in ("portal", "desk", "refund"):
        notice = bank.call("NotifyPayment", TransactionNumber=number, Code=codes[number], **payment)
        assert notice.State == "paid" and notice.Record > 0, notice
        assert bank.call("NotifyPayment", TransactionNumber=number, Code=codes[number], **payment).Record == notice.Record

    used = portal.call("ValidateUpc", RequestNumber="R1", Code=codes["portal"], Consume=True, **person)
    assert used.State == "used" and used.AmountTiyn == 86_500, used
    again = portal.refused("ValidateUpc", RequestNumber="R2", Code=codes["portal"], Consume=True, **person)
    assert again == ("WrongState", None, "used"), again

    seen = desk.call("ValidateUpc", RequestNumber="R1", Code=codes["desk"], Consume=False, **person)
    assert seen.State == "paid" and seen.RecipientName, seen
    closed = desk.call("CloseUpc", RequestNumber="R1", Code=codes["desk"], Operator="Operator 7", **person)
    assert closed.State == "used" and closed.Repeated is False, closed
    again = desk.refused("CloseUpc", RequestNumber="R2", Code=codes["desk"], Operator="Operator 7", **person)
    assert again == ("WrongState", None, "used"), again

    void = dict(TransactionNumber="void", Code=codes["void"])
    assert bank.call("VoidUpc", Reason="cancelled", **void).State == "void"
    assert bank.refused("VoidUpc", Reason="refund", **void)[0] == "WrongState"
    refund = dict(TransactionNumber="refund", Code=codes["refund"], Reason="refund")
    assert bank.call("VoidUpc", **refund).State == "refunded"
    assert bank.refused("VoidUpc", TransactionNumber="portal", Code=codes["portal"], Reason="refund")[2] == "used"

    register = auditor.call("GetRegister", Owner="bank", Name="bank", Day=today, Skip=0)
    assert register.Count == 3 and register.TotalTiyn == 3 * 86_500 and len(register.Entry) == 3, register
    several = auditor.call("GetRegister", Owner="bank", Name="bank", Day=today, Skip=1, LastDay=today)
    assert several.Count == 3 and len(several.Entry) == 2, several
    rows = auditor.call("GetStatistics", By="service", From=today, To=today).Row
    assert [(row.Key, row.Count) for row in rows] == [("id-card", 3)], rows
    summary = auditor.call("GetSummary", Period="day", Day=today)
    assert (summary.Issued, summary.Paid, summary.Used, summary.Void, summary.Refunded) == (4, 3, 2, 1, 1), summary

    assert portal.refused("CreateUpc", TransactionNumber="x", **order)[0] == "NotPermitted"
    assert bank.refused("GetSummary", Period="day", Day=today)[0] == "NotPermitted"
    assert bank.refused("CreateUpc", TransactionNumber="x", **dict(order, AmountTiyn=0))[:2] == ("InvalidField", "AmountTiyn")
    assert bank.refused("CreateUpc", TransactionNumber="x", **dict(order, AmountTiyn=-1))[:2] == ("InvalidField", "AmountTiyn")
    assert bank.refused("CreateUpc", TransactionNumber="x", **dict(order, ServiceCode="nothing"))[0] == "UnknownService"
    print("every operation was called")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3])
