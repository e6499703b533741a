"""Cases by seed, computed by psec, pyemv and pydukpt: one JSON object a line. Numbers begin with 99, as no card does."""

import json
import random
import sys

import psec.des
import psec.mac
import psec.pinblock
import psec.tr31
import pydukpt
import pyemv.ac
import pyemv.kd
import pyemv.sm

seed, count = int(sys.argv[1]), int(sys.argv[2])
dice = random.Random(seed)


def data(length):
    return dice.randbytes(length)


def digits(length):
    return "".join(dice.choice("0123456789") for _ in range(length))


for n in range(count):
    number = "99" + digits(dice.randint(11, 14))
    pin = digits(dice.randint(4, 12))
    key, base = data(16), data(16)
    # A serial number with a counter that a device reaches.
    serial = bytearray(data(10))
    counter = dice.randint(1, 0x1FFFFF)
    while bin(counter).count("1") > 10:
        counter = dice.randint(1, 0x1FFFFF)
    serial[7] = serial[7] & 0xE0 | counter >> 16
    serial[8], serial[9] = counter >> 8 & 0xFF, counter & 0xFF
    serial = bytes(serial)
    initial = pydukpt.derive_ipek(base, serial)
    pin_key = pydukpt.pin_key(pydukpt.derive_key(initial, serial))
    data_key = pydukpt.data_request_key(pydukpt.derive_key(initial, serial))
    clear = psec.pinblock.encode_pinblock_iso_0(pin, number)
    format_3 = psec.pinblock.encode_pinblock_iso_3(pin, number)
    aes = data(16)
    sequence = digits(2)
    card = pyemv.kd.derive_icc_mk_a(key, number, sequence)
    atc = data(2)
    session = pyemv.kd.derive_common_sk(card, atc + bytes(6))
    signed = data(dice.randint(1, 60))
    cryptogram = pyemv.ac.generate_ac(session, signed, pyemv.ac.PaddingType.EMV)
    csu = data(4)
    wrapping, wrapped = data(dice.choice((16, 24))), data(16)
    aes_wrapping, aes_wrapped = data(dice.choice((16, 32))), data(16)
    head = psec.tr31.Header("B", "P0", "T", "E", "00", "N")
    aes_head = psec.tr31.Header("D", "P0", "A", "E", "00", "N")
    message = data(dice.randint(1, 300))
    case = {
        "number": number,
        "pin": pin,
        "key": key,
        "base": base,
        "serial": serial,
        "initial": initial,
        "pin_key": pin_key,
        "data_key": data_key,
        "clear": clear,
        "block": psec.des.encrypt_tdes_ecb(pin_key, clear),
        "format_3": format_3,
        "aes": aes,
        "format_4": psec.pinblock.encipher_pinblock_iso_4(aes, pin, number),
        "sequence": sequence,
        "card": card,
        "atc": atc,
        "session": session,
        "signed": signed,
        "cryptogram": cryptogram,
        "answer_1": pyemv.ac.generate_arpc_1(session, cryptogram, b"00"),
        "csu": csu,
        "answer_2": pyemv.ac.generate_arpc_2(session, cryptogram, csu),
        "wrapping": wrapping,
        "wrapped": wrapped,
        "key_block": psec.tr31.wrap(wrapping, head, wrapped),
        "aes_wrapping": aes_wrapping,
        "aes_wrapped": aes_wrapped,
        "aes_key_block": psec.tr31.wrap(aes_wrapping, aes_head, aes_wrapped),
        "message": message,
        "mac": psec.mac.generate_retail_mac(key[:8], key[8:], message, 1),
        "marked_mac": psec.mac.generate_retail_mac(key[:8], key[8:], message, 2),
    }
    for name, value in case.items():
        if isinstance(value, bytes):
            case[name] = value.hex().upper()
    print(json.dumps(case))
