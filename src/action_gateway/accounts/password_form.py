"""The form of a password that counts: the profile OpaqueString of RFC 8265, 4.2.

Keyboards spell the same password differently: é as one character or as two, a space as U+0020 or U+00A0. All
of these are one password. Letter case and width count. Control characters, invisible ones and such as have no
meaning yet make no password.
"""

from typing import Final

from precis_i18n import get_profile

_PROFILE: Final = get_profile("OpaqueString")


def prepare(password: str) -> str:
    """Return the form of a new password that is measured and hashed.

    Raises:
        ValueError: it is empty, or holds a character that the profile does not allow.
    """
    try:
        return _PROFILE.enforce(password)
    except UnicodeEncodeError:
        # The exception of the library holds the password.
        raise ValueError("may not be empty, or hold control, invisible or unassigned characters") from None


def find_forms(password: str) -> list[str]:
    """Return the one or two forms in which a password may have been hashed, today's first.

    The other one is the password as it was typed, which was hashed before passwords were prepared.
    """
    try:
        return list(dict.fromkeys((prepare(password), password)))
    except ValueError:
        return [password]
