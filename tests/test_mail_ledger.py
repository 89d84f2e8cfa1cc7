"""The ledger of mail: every accepted message is where it belongs, once, as its owner left it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.history import History, Mark, Operation
from lab.users.mail_census import Census, Found
from lab.users.mail_changes import Change
from lab.users.mail_ledger import changes_balance, mail_balance
from lab.users.mail_messages import UNSURE
from lab.users.mail_plan import (
    CHANGE,
    MAIL,
    SEEN,
    Account,
    Box,
    Correspondent,
    Letter,
    MailUsers,
    Mover,
    Reader,
)
from lab.verdict import Outcome, Verdict

FAR = "astrid@far.example"
ONE = Letter(sender=FAR, to="kari@x", boxes=(Box(owner="kari"),))
LIST = Letter(
    sender=FAR, to="alle@x", boxes=(Box(owner="kari"), Box(owner="odd")), abroad=("odd@far",)
)
FILED = Letter(sender="salg@y", to="kari@x", boxes=(Box(owner="kari", folder="K", flags=("v",)),))
KARI = Account(name="kari", login="kari@x", password="", address="kari@x")
USERS = MailUsers(
    accounts=(KARI,),
    correspondents=(Correspondent(name="c", route="MX", family="4", letters=(ONE, LIST, FILED)),),
    readers=(Reader(name="r", account=KARI, host="mail.x", family="4"),),
    movers=(Mover(name="m", account=KARI, host="mail.x", family="4", folders=("K",)),),
)


def op(
    kind: str, target: str, what: str, *, ok: bool | None = True, at: float = 0, detail: str = ""
) -> Operation:
    end = round(at * 1e9) + 1
    return Operation(
        kind=kind, target=target, what=what, start_ns=end - 1, end_ns=end, ok=ok, detail=detail
    )


def sent(mark: str, letter: Letter = ONE, *, ok: bool | None = True, detail: str = "") -> Operation:
    return op(MAIL, "c", f"{mark} {letter.sender} {letter.to}", ok=ok, detail=detail)


def changed(
    verb: str,
    mark: str,
    folder: str,
    to: str = "",
    *flags: str,
    ok: bool | None = True,
    at: float = 1,
) -> Operation:
    change = Change(verb=verb, what=mark, folder=folder, to=to, flags=flags)  # type: ignore[arg-type]
    return op(CHANGE, "m", str(change), ok=ok, at=at)


def seen(mark: str, uid: int, *, validity: int = 7, at: float = 2) -> Operation:
    return op(SEEN, "r", mark, at=at, detail=f"INBOX {validity} {uid}")


def found(
    mark: str,
    owner: str = "kari",
    folder: str = "INBOX",
    *flags: str,
    uid: int = 1,
    validity: int = 7,
) -> Found:
    return Found(owner=owner, folder=folder, validity=validity, uid=uid, mark=mark, flags=flags)


def mail(operations: list[Operation], *messages: Found, **more: object) -> Verdict:
    census = Census(messages=messages, **more)  # type: ignore[arg-type]
    return mail_balance(History.of(operations), users=USERS, census=census, subject="mail")


def changes(operations: list[Operation], *messages: Found, **more: object) -> Verdict:
    census = Census(messages=messages, **more)  # type: ignore[arg-type]
    return changes_balance(History.of(operations), users=USERS, census=census, subject="changes")


def test_what_was_accepted_is_in_every_right_mailbox_once() -> None:
    verdict = mail(
        [sent("gp-1"), sent("gp-2", LIST), sent("gp-3", FILED)],
        found("gp-1"),
        found("gp-2"),
        found("gp-2", "odd"),
        found("gp-3", "kari", "K", "v"),
        abroad=(("odd@far", "gp-2"),),
    )
    assert (verdict.outcome, verdict.reasons) == (Outcome.OK, ())
    assert (verdict.figures.total, verdict.figures.failed) == (3, 0)


@pytest.mark.parametrize(
    ("letter", "messages", "abroad", "why"),
    [
        (ONE, [], [], "1 lost: gp-1"),
        (ONE, [found("gp-1"), found("gp-1", uid=2)], [], "1 there more than once: gp-1"),
        (ONE, [found("gp-1", folder="Junk")], [], "1 in the wrong folder: gp-1"),
        (ONE, [found("gp-1"), found("gp-1", "post")], [], "1 with somebody else: gp-1"),
        (LIST, [found("gp-1")], [("odd@far", "gp-1")], "1 lost: gp-1"),
        (LIST, [found("gp-1"), found("gp-1", "odd")], [], "1 lost: gp-1"),
        (
            LIST,
            [found("gp-1"), found("gp-1", "odd")],
            [("odd@far", "gp-1")] * 2,
            "1 there more than once: gp-1",
        ),
    ],
)
def test_whatever_else_is_there_is_told(
    letter: Letter, messages: list[Found], abroad: list[tuple[str, str]], why: str
) -> None:
    verdict = mail([sent("gp-1", letter)], *messages, abroad=tuple(abroad))
    assert (verdict.outcome, verdict.reasons) == (Outcome.FAIL, (why,))


def test_a_message_is_only_there_with_its_text() -> None:
    damaged = replace(found("gp-1"), intact=False)
    assert mail([sent("gp-1")], damaged).reasons == ("1 with another text: gp-1",)


def test_what_comes_back_or_is_refused_for_good_has_failed() -> None:
    assert mail([sent("gp-1")], found("gp-1"), returned=("gp-1",)).reasons == ("1 sent back: gp-1",)
    refused = [sent("gp-0"), sent("gp-1", ok=False, detail="550 no")]
    assert mail(refused, found("gp-0")).reasons == ("1 refused for good: gp-1",)


def test_what_nobody_knows_may_be_there_or_not() -> None:
    unsure = sent("gp-1", ok=None, detail=f"hung up {UNSURE}")
    known = [sent("gp-0"), unsure]
    assert mail(known, found("gp-0")).outcome is Outcome.OK
    assert mail(known, found("gp-0"), found("gp-1", uid=2)).outcome is Outcome.OK
    again = [*known, sent("gp-1")]
    twice = [found("gp-1", uid=2), found("gp-1", uid=3)]
    assert mail(again, found("gp-0"), *twice).outcome is Outcome.OK
    assert mail(again, found("gp-0")).reasons == ("1 lost: gp-1",)
    thrice = [*twice, found("gp-1", uid=4)]
    assert mail(again, found("gp-0"), *thrice).reasons == ("1 there more than once: gp-1",)
    kept = [sent("gp-0"), sent("gp-1", ok=None, detail="still here: connection refused")]
    assert mail(kept, found("gp-0"), found("gp-1", uid=2)).outcome is Outcome.FAIL


def test_without_a_message_nothing_is_known() -> None:
    assert mail([]).outcome is Outcome.UNKNOWN
    assert changes([]).outcome is Outcome.UNKNOWN


def test_how_late_a_message_was_shown() -> None:
    history = [sent("gp-1"), sent("gp-2"), seen("gp-1", 1, at=1), seen("gp-2", 2, at=3)]
    verdict = mail(history, found("gp-1"), found("gp-2", uid=2))
    assert verdict.outcome is Outcome.OK
    assert verdict.figures.slowest == pytest.approx(3)
    assert verdict.notes == ("shown after at most 3.00 s, 95 % of them within 2.90 s",)
    limited = mail_balance(
        History.of(history),
        users=USERS,
        census=Census(messages=(found("gp-1"), found("gp-2", uid=2))),
        subject="mail",
        late=2.0,
    )
    assert limited.reasons == ("1 later than 2 s: gp-2",)


def test_what_slipped_in_below_what_was_shown_is_never_shown() -> None:
    history = [sent("gp-1"), sent("gp-2"), seen("gp-2", 5)]
    hidden = mail(history, found("gp-1", uid=4), found("gp-2", uid=5))
    assert hidden.reasons == ("1 never shown to whoever looks for what is new: gp-1",)
    assert mail(history, found("gp-1", uid=6), found("gp-2", uid=5)).outcome is Outcome.OK


def test_mailboxes_are_as_they_were_left() -> None:
    history = [
        changed("append", "gp-1", "Drafts", "", "\\Draft", at=1),
        changed("flag", "gp-1", "Drafts", "", "k", at=2),
        changed("copy", "gp-1", "Drafts", "INBOX", at=3),
        changed("move", "gp-1", "Drafts", "K", at=4),
        changed("unflag", "gp-1", "K", "", "\\Draft", at=5),
    ]
    there = [found("gp-1", "kari", "K", "k"), found("gp-1", "kari", "INBOX", "\\Draft", "k")]
    assert changes(history, *there).outcome is Outcome.OK
    assert changes(history, there[0]).reasons == ("1 lost: gp-1 of kari",)
    bare = replace(there[0], flags=())
    assert changes(history, bare, there[1]).reasons == ("1 with other flags: gp-1 of kari",)
    unmoved = replace(there[0], folder="Drafts")
    assert changes(history, unmoved, there[1]).reasons == ("1 in the wrong folder: gp-1 of kari",)


def test_a_change_without_an_answer_may_have_happened() -> None:
    history = [sent("gp-1"), changed("move", "gp-1", "INBOX", "K", ok=None)]
    history.append(changed("append", "gp-2", "K", at=3))
    for folder in ("INBOX", "K"):
        there = [found("gp-1", folder=folder), found("gp-2", folder="K", uid=9)]
        assert changes(history, *there).outcome is Outcome.OK
        assert mail(history, *there).outcome is Outcome.OK
    both = [found("gp-1"), found("gp-1", folder="K"), found("gp-2", folder="K", uid=9)]
    assert changes(history, *both).outcome is Outcome.FAIL
    assert mail(history, *both).outcome is Outcome.FAIL


def test_flags_that_nobody_set_are_told() -> None:
    history = [sent("gp-1"), changed("append", "gp-2", "K")]
    there = [found("gp-1", "kari", "INBOX", "\\Seen"), found("gp-2", folder="K", uid=2)]
    assert changes(history, *there).reasons == ("1 with other flags: gp-1 of kari",)
    assert mail(history, *there).outcome is Outcome.OK


def test_folders_and_subscriptions_are_as_they_were_left() -> None:
    history = [changed("create", "", "A"), changed("subscribe", "", "A", at=2)]
    name = frozenset({("kari", "A")})
    assert changes(history, folders=name, subscribed=name).outcome is Outcome.OK
    assert changes(history, folders=name).reasons == (
        "1 folders are not as they were left: A of kari is there",
    )
    unsure = [*history, changed("unsubscribe", "", "A", ok=None, at=3)]
    assert changes(unsure, folders=name).outcome is Outcome.OK


def test_as_many_changes_may_be_refused_as_are_allowed() -> None:
    history = [changed("create", "", "A"), changed("create", "", "B", ok=False, at=2)]
    here = {"folders": (("kari", "A"),), "subscribed": ()}
    assert changes(history, **here).reasons == ("1 changes refused: create: ",)
    verdict = changes_balance(
        History.of(history), users=USERS, census=Census(**here), subject="changes", refused=1
    )
    assert verdict.outcome is Outcome.OK


@pytest.mark.parametrize("there", [True, False])
def test_a_server_that_ran_into_a_fault_may_have_done_it_all_the_same(*, there: bool) -> None:
    fault = replace(changed("create", "", "A", ok=False), detail="NO [SERVERBUG] Internal error.")
    folders = (("kari", "A"),) if there else ()
    census = Census(folders=folders)
    history = History.of([changed("create", "", "B"), fault])
    verdict = changes_balance(history, users=USERS, census=census, subject="changes", refused=1)
    assert verdict.reasons == ("1 folders are not as they were left: B of kari is not there",)


def test_numbers_that_change_are_told() -> None:
    history = [sent("gp-1"), seen("gp-1", 5), changed("append", "gp-2", "K")]
    filed = found("gp-2", folder="K")
    assert changes(history, found("gp-1", uid=5), filed).outcome is Outcome.OK
    other = changes(history, found("gp-1", uid=5, validity=8), filed)
    assert other.reasons == (
        "1 numbers are not what they were: INBOX of kari has another UIDVALIDITY",
    )
    taken = changes(history, found("gp-3", uid=5), found("gp-1", uid=6), filed)
    assert taken.reasons == (
        "1 numbers are not what they were: INBOX 5 of kari is gp-3, and was gp-1",
    )


VERBS = st.sampled_from(["flag", "unflag", "copy", "move", "expunge"])
FOLDERS = st.sampled_from(["INBOX", "K", "A/B"])
STEPS = st.lists(st.tuples(VERBS, FOLDERS, FOLDERS, st.sampled_from(["k", "\\Seen"])), max_size=8)


@given(STEPS, st.data())
def test_whatever_a_server_does_with_what_it_did_not_answer_is_right(
    steps: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    """A server that follows the books passes, and one that forgets the last step is found out."""
    state = Change(verb="append", what="gp-1", folder="INBOX").on(())
    history, before = [changed("append", "gp-1", "INBOX", at=0)], state
    certain = True
    for number, (verb, folder, to, flag) in enumerate(steps, 1):
        change = Change(verb=verb, what="gp-1", folder=folder, to=to, flags=(flag,))  # type: ignore[arg-type]
        ok = data.draw(st.sampled_from([True, None]))
        certain = ok is True
        before = state
        if ok or data.draw(st.booleans()):
            state = change.on(state)
        history.append(op(CHANGE, "m", str(change), ok=ok, at=number))

    def outcome(copies: tuple[tuple[str, frozenset[str]], ...]) -> Outcome:
        there = [
            found("gp-1", "kari", folder, *flags, uid=number)
            for number, (folder, flags) in enumerate(copies)
        ]
        return changes(history, *there).outcome

    assert outcome(state) is Outcome.OK
    if certain and all(item.ok for item in history) and before != state:
        assert outcome(before) is Outcome.FAIL


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9), min_size=1))
def test_exactly_the_lost_are_counted(gone: set[int], accepted: set[int]) -> None:
    history = [sent(f"gp-{number}") for number in accepted]
    there = [found(f"gp-{n}", uid=n + 1) for n in accepted - gone]
    assert mail(history, *there).figures.failed == len(accepted & gone)


def test_a_message_that_is_shown_under_another_number_was_there_before() -> None:
    history = [sent("gp-1"), seen("gp-1", 1, at=1), seen("gp-1", 9, at=50), sent("gp-2")]
    verdict = mail(history, found("gp-1", uid=9), found("gp-2", uid=8))
    assert verdict.figures.slowest == pytest.approx(1)


def dies(at: float) -> Mark:
    return Mark(kind="fault", name="power loss oslo", phase="start", at_ns=round(at * 1e9))


@pytest.mark.parametrize(
    ("folder", "at", "outcome"),
    [
        ("INBOX", 4.2, Outcome.OK),
        ("K", 4.2, Outcome.OK),
        ("INBOX", 3.8, Outcome.FAIL),
        ("INBOX", 5.1, Outcome.FAIL),
        ("gone", 4.2, Outcome.FAIL),
    ],
)
def test_what_was_changed_just_before_a_death_may_be_lost_but_no_message(
    folder: str, at: float, outcome: Outcome
) -> None:
    history = History.of([sent("gp-1"), changed("move", "gp-1", "INBOX", "K", at=at), dies(5.0)])
    there = Census(messages=(found("gp-1", "kari", folder),) if folder != "gone" else ())
    judged = [
        mail_balance(history, users=USERS, census=there, subject="m", unsynced=1.0),
        changes_balance(history, users=USERS, census=there, subject="c", unsynced=1.0),
    ]
    assert max(each.outcome for each in judged) is outcome


def test_what_comes_back_is_no_loss_and_as_much_as_is_allowed_may() -> None:
    history = History.of(
        [
            changed("append", "gp-1", "INBOX"),
            changed("flag", "gp-1", "INBOX", "", "\\Deleted", at=2),
            changed("expunge", "gp-1", "INBOX", at=3),
            changed("create", "", "F"),
            changed("delete", "", "F", at=2),
        ]
    )
    there = Census(messages=(found("gp-1"),), folders=frozenset({("kari", "F")}))

    def judged(revived: int) -> Verdict:
        return changes_balance(history, users=USERS, census=there, subject="c", revived=revived)

    assert judged(1).outcome is Outcome.FAIL
    assert judged(2).outcome is Outcome.OK
    assert judged(2).notes == (
        "2 came back that were thrown away: F of kari is there, gp-1 of kari",
    )


def test_a_subscription_comes_back_as_a_folder_does() -> None:
    history = History.of([changed("create", "", "F"), changed("unsubscribe", "", "F", at=2)])
    there = Census(folders=frozenset({("kari", "F")}), subscribed=frozenset({("kari", "F")}))

    def judged(revived: int) -> Verdict:
        return changes_balance(history, users=USERS, census=there, subject="c", revived=revived)

    assert judged(0).outcome is Outcome.FAIL
    assert judged(1).outcome is Outcome.OK


def test_what_was_filed_while_two_servers_were_apart_may_be_in_both_folders() -> None:
    history = History.of([sent("gp-1"), changed("move", "gp-1", "INBOX", "K", at=2)])
    there = Census(messages=(found("gp-1"), found("gp-1", folder="K")))

    def judged(revived: int) -> list[Verdict]:
        of_mail = mail_balance(history, users=USERS, census=there, subject="m", revived=revived)
        of_changes = changes_balance(
            history, users=USERS, census=there, subject="c", revived=revived
        )
        return [of_mail, of_changes]

    assert [each.outcome for each in judged(0)] == [Outcome.FAIL] * 2
    assert [each.outcome for each in judged(1)] == [Outcome.OK] * 2
    assert judged(1)[0].notes[-1] == "1 are also where they were filed from"


def test_what_nobody_filed_may_not_be_there_twice_however_much_may_come_back() -> None:
    history = History.of([sent("gp-1")])
    there = Census(messages=(found("gp-1"), found("gp-1", folder="K")))
    twice = mail_balance(history, users=USERS, census=there, subject="m", revived=9)
    assert twice.reasons == ("1 there more than once: gp-1",)


def test_what_is_gone_did_not_come_back() -> None:
    history = History.of([changed("append", "gp-1", "INBOX")])
    lost = changes_balance(history, users=USERS, census=Census(), subject="c", revived=9)
    assert lost.outcome is Outcome.FAIL


def test_what_people_elsewhere_get_twice_is_counted_and_allowed_for() -> None:
    history = History.of([sent("gp-1", LIST)])
    boxes = (found("gp-1"), found("gp-1", "odd"))
    there = Census(messages=boxes, abroad=(("odd@far", "gp-1"), ("odd@far", "gp-1")))

    def judged(doubled: int) -> Verdict:
        return mail_balance(history, users=USERS, census=there, subject="m", doubled=doubled)

    assert judged(0).reasons == ("1 there more than once: gp-1",)
    assert judged(1).outcome is Outcome.OK
    gone = replace(there, abroad=())
    lost = mail_balance(history, users=USERS, census=gone, subject="m", doubled=1)
    assert lost.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("at", "outcome"),
    [(4.5, Outcome.OK), (5.3, Outcome.OK), (3.0, Outcome.FAIL), (6.5, Outcome.FAIL)],
)
def test_a_number_given_just_before_a_death_may_be_given_again(at: float, outcome: Outcome) -> None:
    history = History.of(
        [
            sent("gp-1"),
            sent("gp-2"),
            seen("gp-1", 5, at=at),
            changed("append", "gp-9", "K"),
            dies(5.0),
        ]
    )
    there = Census(
        messages=(found("gp-1", uid=6), found("gp-2", uid=5), found("gp-9", "kari", "K"))
    )
    judged = [
        mail_balance(history, users=USERS, census=there, subject="m", unsynced=1.0),
        changes_balance(history, users=USERS, census=there, subject="c", unsynced=1.0),
    ]
    assert max(each.outcome for each in judged) is outcome


@pytest.mark.parametrize(("at", "shown"), [(4.5, 6.0), (3.0, 50.0)])
def test_a_message_under_a_number_that_died_with_a_server_is_shown_to_whoever_looks(
    at: float, shown: float
) -> None:
    clash = op(SEEN, "r", "INBOX", ok=False, at=6.0, detail="INBOX 5 is gp-2@far, and was gp-1@far")
    history = History.of(
        [
            sent("gp-1"),
            sent("gp-2"),
            seen("gp-1", 5, at=at),
            dies(5.0),
            clash,
            seen("gp-2", 9, at=50.0),
        ]
    )
    there = Census(messages=(found("gp-1", uid=8), found("gp-2", uid=9)))
    verdict = mail_balance(history, users=USERS, census=there, subject="m", unsynced=1.0)
    assert verdict.outcome is Outcome.OK
    assert verdict.figures.slowest == pytest.approx(shown)


@pytest.mark.parametrize(
    ("at", "outcome"),
    [(5.5, Outcome.OK), (4.5, Outcome.FAIL), (21.0, Outcome.FAIL)],
)
def test_flags_that_are_set_while_two_servers_merge_may_be_lost(
    at: float, outcome: Outcome
) -> None:
    history = History.of(
        [
            sent("gp-1"),
            changed("flag", "gp-1", "INBOX", "", "\\Seen", at=at),
            Mark(kind="fault", name="partition", phase="end", at_ns=5_000_000_000),
        ]
    )
    there = Census(messages=(found("gp-1"),))

    def judged(overtaken: int) -> Verdict:
        return changes_balance(history, users=USERS, census=there, subject="c", overtaken=overtaken)

    assert judged(0).outcome is Outcome.FAIL
    assert judged(1).outcome is outcome
    if outcome is Outcome.OK:
        assert judged(1).notes == ("1 were merged without their last flags: gp-1 of kari",)


def test_a_message_is_not_lost_in_a_merge() -> None:
    history = History.of(
        [
            sent("gp-1"),
            changed("move", "gp-1", "INBOX", "K", at=5.5),
            Mark(kind="fault", name="partition", phase="end", at_ns=5_000_000_000),
        ]
    )
    lost = changes_balance(history, users=USERS, census=Census(), subject="c", overtaken=9)
    assert lost.outcome is Outcome.FAIL
