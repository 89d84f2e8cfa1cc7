"""Faults are planned as nftables text; names decide what is healed and shown."""

from lab.faults import cut_matches, dropping, table


def test_a_cut_drops_what_a_machine_sends_and_is_sent() -> None:
    assert cut_matches("oslo") == ['iifname "to-oslo"', 'oifname "to-oslo"']


def test_a_one_way_cut_drops_one_of_the_two() -> None:
    assert cut_matches("oslo", directions=["from"]) == ['iifname "to-oslo"']
    assert cut_matches("oslo", directions=["to"]) == ['oifname "to-oslo"']


def test_loss_takes_a_share_of_the_packets() -> None:
    assert cut_matches("oslo", directions=["to"], percent=30) == [
        'oifname "to-oslo" numgen random mod 100 < 30'
    ]


def test_every_fault_is_one_table_that_drops_in_the_forward_hook() -> None:
    text = dropping("cut oslo", cut_matches("oslo"))
    assert text.startswith("table inet fault_cut_oslo {")
    assert "hook forward" in text
    assert text.count(" drop\n") == 2


def test_a_table_is_named_after_its_fault_and_nothing_else() -> None:
    assert table('loss 30 oslo"; drop') == "fault_loss_30_oslo_drop"
