"""How the old mail server is read, and how two mailboxes are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.operator.mail_accounts import Account
from lab.operator.mail_compare import Held, differences, plain
from lab.operator.old_mail import PASSING, PROGRAM, OldMail, OldMailError
from lab.operator.ssh import Result, Ssh

DOVECOT = """\
mail_location = maildir:~/Maildir
passdb {
  args = username_format=%u /etc/dovecot/users
  driver = passwd-file
}
passdb {
  driver = pam
}
userdb {
  args = username_format=%u /etc/dovecot/users
  default_fields = uid=vmail gid=vmail home=/var/vmail/%d/%n
  driver = passwd-file
}
"""
POSTFIX = """\
mydestination = localhost, bergen.nordlys.example
myorigin = nordlys.example
virtual_mailbox_domains = nordlys.example, kunder.nordlys.example
virtual_alias_domains = lister.nordlys.example
virtual_alias_maps = hash:/etc/postfix/virtual
virtual_mailbox_maps = hash:/etc/postfix/vmailbox
alias_maps = hash:/etc/aliases
"""
PEOPLE = """\
person ingrid:x:1001:1001::/home/ingrid:/bin/bash
shadow ingrid:$6$def:20779:0:99999:7:::
forward ingrid /home/ingrid/Maildir/
forward ingrid ingrid@elsewhere.example
"""
KARI = Account(address="kari@nordlys.example", login="kari@nordlys.example", home="/x")


class Said(Ssh):
    """A host that answers as it was told to: the start of a command -> what it prints."""

    answers: dict[str, str]

    def run(self, host, command, **_) -> Result:
        """Return what was told."""
        line = command if isinstance(command, str) else " ".join(command)
        said = next((text for start, text in self.answers.items() if start in line), "")
        return Result(host=host, command=line, code=0, stdout=said, stderr="")


def server(tmp_path: Path, **answers: str) -> OldMail:
    ssh = Said(config=None, control_dir=tmp_path)
    told = {"doveconf -n": DOVECOT, "postconf -x": POSTFIX, "getent passwd": PEOPLE}
    ssh.answers = {**told, **answers}
    return OldMail(ssh=ssh, host="bergen")


def test_who_has_mail_is_read_from_what_the_server_itself_says(tmp_path: Path) -> None:
    found = server(tmp_path).found()
    assert (found.homes, found.local, found.origin) == (
        "/var/vmail/%d/%n",
        "bergen.nordlys.example",
        "nordlys.example",
    )
    assert found.domains == (
        "nordlys.example",
        "kunder.nordlys.example",
        "lister.nordlys.example",
    )
    assert found.shadow == "ingrid:$6$def:20779:0:99999:7:::"
    assert found.forwards == {"ingrid": "/home/ingrid/Maildir/\ningrid@elsewhere.example\n"}


def test_users_kept_otherwise_are_not_guessed_at(tmp_path: Path) -> None:
    other = DOVECOT.replace("passwd-file", "sql")
    with pytest.raises(OldMailError, match="otherwise than in a passwd-file"):
        server(tmp_path, **{"doveconf -n": other}).found()


def test_another_version_of_our_program_is_not_what_was_prepared(tmp_path: Path) -> None:
    said = "passing\nactive\ninactive\nabc\n25\n993\n"
    state = server(tmp_path, sha256sum=said).state()
    assert (state.mode, state.postfix, state.dovecot) == (PASSING, True, False)
    assert (state.prepared, state.present, state.ports) == (False, True, frozenset({25, 993}))
    bare = server(tmp_path, sha256sum="serving\nactive\nactive\n-\n25\n").state()
    assert not bare.present


def test_the_program_is_named_by_every_change_of_state_that_it_knows() -> None:
    text = PROGRAM.read_text()
    for verb in ("hold", "pass", "gather", "close", "serve", "release", "expire"):
        assert f"\n    {verb})" in text, verb


def test_mailboxes_differ_by_what_is_in_them() -> None:
    one = Held(
        messages=frozenset({"INBOX\tg\t1\tm"}),
        folders=frozenset({"INBOX\t5\t2"}),
        subscriptions=frozenset(),
    )
    assert differences(KARI, one, one) == []
    other = Held(messages=frozenset(), folders=one.folders, subscriptions=frozenset({"Sent"}))
    messages, subscriptions = differences(KARI, one, other)
    assert messages == (
        "kari@nordlys.example: 1 messages missing or changed, 0 too many or changed, "
        "such as 'INBOX\\tg\\t1\\tm'"
    )
    assert "0 subscriptions missing or changed, 1 too many" in subscriptions


def test_recent_is_no_difference() -> None:
    assert plain(r"INBOX	7	\Seen \Recent	2019") == plain(r"INBOX	7	\Seen	2019")
    assert plain(r"INBOX	7	\Recent	2019") == plain("INBOX	7		2019")
    assert plain(r"INBOX	7	\Recent \Seen	2019") == plain(r"INBOX	7	\Seen	2019")
