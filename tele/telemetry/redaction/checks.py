"""Whether what looks like a number of a card, an account, a telephone or a machine is one."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re

__all__ = ["argument", "card", "given", "iban", "ip", "option", "phone", "user_and_password"]

_CARD_DIGITS = range(13, 20)
_ODD = 8
"""Letters and digits mixed that are no word any more."""
_SHORT, _LONG = 7, 20
"""Letters and digits mixed that an option was given, and letters alone: fewer may be a sentence that goes on."""
_SWITCHES = frozenset({"true", "false", "none", "null", "enabled", "disabled"})
_FOLDERS = frozenset({"PWD", "OLDPWD", "pwd"})
"""Names of the working folder, where they are given a path."""
_PHONE_DIGITS = range(8, 16)
"""ITU-T E.164: at most 15, with the country's code."""


def card(text: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1) over 13 to 19 digits."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(digits) in _CARD_DIGITS and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """The checksum of ISO 13616: the number modulo 97 is 1."""
    plain = text.replace(" ", "")
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def phone(text: str) -> bool:
    """As many digits as a telephone number has."""
    return sum(letter.isdigit() for letter in text) in _PHONE_DIGITS


def ip(text: str) -> bool:
    """An address of a machine; loopback and the unspecified address are nobody's."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def given(text: str) -> bool:
    """Whether `name = value` gives the value itself: a literal, a shell's variable, or letters and digits mixed."""
    name, value = re.split(r"[ \t]*[:=]+[ \t]*", text, maxsplit=1)
    if value.rstrip("\\\"'") != value:
        return True
    if any(letter in value for letter in "([{"):  # a call, or a part of something
        return False
    if value.lower() in _SWITCHES or (name in _FOLDERS and value.startswith("/")):
        return False
    shell = name.isupper() and text.startswith(f"{name}=")
    mixed = any(map(str.isalpha, value)) and any(map(str.isdigit, value))
    return shell or (mixed and len(value) >= _ODD)


def option(text: str) -> bool:
    """Whether `--name value` gives the value: a literal, letters and digits mixed, or what is too long for a word."""
    value = text.split(maxsplit=1)[1].rstrip(".:!?")
    if value.startswith("-"):
        return False
    literal = value.rstrip("\\\"'") != value
    mixed = any(map(str.isalpha, value)) and any(map(str.isdigit, value))
    return literal or (mixed and len(value) >= _SHORT) or len(value) >= _LONG


def argument(text: str) -> bool:
    """Whether what follows an option in a list of arguments is its value, and not the next option."""
    return re.match(r"[^,]*,\s*\\*[\"']-", text) is None


def user_and_password(text: str) -> bool:
    """`Basic` and base64 of `user:password` (RFC 7617)."""
    word = text.replace("%20", " ").replace("+", " ", 1).split()[-1]
    try:
        plain = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()
