"""Who has mail on a server made by hand: from what its tools print to plain data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.operator.mail_accounts import Account, Found, directory

FOUND = Found(
    users="""\
# user:password:uid:gid:gecos:home
kari@nordlys.example:{SHA512-CRYPT}$6$abc::::
Per.Ole@nordlys.example:$2y$05$abc::::/srv/elsewhere
#kurt@nordlys.example:{SHA512-CRYPT}*left*::::
""",
    homes="/var/vmail/%d/%n",
    people="""\
ingrid:x:1001:1001:Ingrid Solheim,,,:/home/ingrid:/bin/bash
kjell:x:1000:1000::/home/kjell:/bin/bash
""",
    shadow="""\
ingrid:$6$def:20779:0:99999:7:::
kjell:!:20779:0:99999:7:::
""",
    local="bergen.nordlys.example",
    origin="nordlys.example",
    domains=("nordlys.example", "kunder.nordlys.example"),
    delivered="kari@nordlys.example\tnordlys.example/kari/\nper.ole@nordlys.example\tx\n",
    aliases="""\
ingrid@nordlys.example\tingrid@bergen.nordlys.example
Styret@nordlys.example\tingrid@nordlys.example, kari@nordlys.example
@kunder.nordlys.example\tkari
kari@nordlys.example\tkari@nordlys.example
""",
    server_aliases="""\
@:\t@
YP_LAST_MODIFIED:\t1795384896
root:\tingrid
noreply:\t/dev/null
""",
    forwards={"ingrid": "/home/ingrid/Maildir/, ingrid@elsewhere.example\n"},
)


def test_everybody_with_a_mailbox_is_found_with_what_they_log_in_with() -> None:
    assert [(each.address, each.login, each.home) for each in directory(FOUND).accounts] == [
        ("ingrid@bergen.nordlys.example", "ingrid", "/home/ingrid"),
        ("kari@nordlys.example", "kari@nordlys.example", "/var/vmail/nordlys.example/kari"),
        ("kjell@bergen.nordlys.example", "kjell", "/home/kjell"),
        ("per.ole@nordlys.example", "per.ole@nordlys.example", "/srv/elsewhere"),
    ]


def test_passwords_are_taken_over_as_hashes_that_name_their_scheme() -> None:
    found = {each.login: each for each in directory(FOUND).accounts}
    assert found["kari@nordlys.example"].hash == "{SHA512-CRYPT}$6$abc"
    assert found["per.ole@nordlys.example"].hash == "{CRYPT}$2y$05$abc"
    assert found["ingrid"].hash == "{CRYPT}$6$def"
    assert (found["kjell"].hash, found["kjell"].locked) == ("", True)
    assert "$6$" not in repr(found)


def test_aliases_lead_where_they_led() -> None:
    them = directory(FOUND)
    assert them.aliases == {
        "@kunder.nordlys.example": ("kari@nordlys.example",),
        "ingrid@bergen.nordlys.example": (
            "ingrid@bergen.nordlys.example",
            "ingrid@elsewhere.example",
        ),
        "ingrid@nordlys.example": ("ingrid@bergen.nordlys.example",),
        "kari@nordlys.example": ("kari@nordlys.example",),
        "root@bergen.nordlys.example": ("ingrid@bergen.nordlys.example",),
        "styret@nordlys.example": ("ingrid@nordlys.example", "kari@nordlys.example"),
    }
    assert them.discards == ("noreply@bergen.nordlys.example",)
    assert them.domains[-1] == "bergen.nordlys.example"
    assert them.problems == ()


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            replace(FOUND, users=f"{FOUND.users}Kari@nordlys.example:{{CRYPT}}x::::\n"),
            "kari@nordlys.example exists 2 times: remove all but one",
        ),
        (
            replace(FOUND, users=FOUND.users.replace("{SHA512-CRYPT}$6$abc", "")),
            "kari@nordlys.example has no password: set one, or lock the account",
        ),
        (
            replace(FOUND, shadow=FOUND.shadow.replace("$6$def", "")),
            "ingrid has no password: set one, or lock the account",
        ),
        (
            replace(FOUND, users=FOUND.users.replace("{SHA512-CRYPT}$6$abc", "{PLAIN}secret")),
            "the password of kari@nordlys.example is kept in clear: let `doveadm pw` hash it",
        ),
        (
            replace(FOUND, delivered=f"{FOUND.delivered}gone@nordlys.example\tx\n"),
            "Postfix takes mail for gone@nordlys.example, which Dovecot does not know",
        ),
        (
            replace(FOUND, delivered="kari@nordlys.example\tx\n"),
            "Dovecot knows per.ole@nordlys.example, which Postfix takes no mail for",
        ),
        (
            replace(FOUND, server_aliases='bilder:\t"|/home/odd/bin/bilder"\n'),
            "mail for bilder@bergen.nordlys.example goes to",
        ),
        (
            replace(FOUND, forwards={"ingrid": "|/usr/bin/procmail\n"}),
            "mail for ingrid@bergen.nordlys.example goes to |/usr/bin/procmail",
        ),
        (
            replace(FOUND, aliases="lost@nordlys.example\tlost@nordlys.example\n"),
            "the alias lost@nordlys.example leads to itself, and there is no such mailbox",
        ),
        (
            replace(FOUND, users=f"{FOUND.users}nobody:{{CRYPT}}x::::\n"),
            "nobody in Dovecot's users has no domain: write it as an address",
        ),
    ],
)
def test_what_cannot_be_taken_over_is_told(found: Found, told: str) -> None:
    problems = directory(found).problems
    assert any(each.startswith(told) for each in problems), problems


def test_a_password_is_not_shown() -> None:
    account = Account(address="a@b.example", login="a", home="/home/a", hash="{CRYPT}x")
    assert "{CRYPT}x" not in repr(account)
