"""Notifications by e-mail, handed to a real SMTP server."""

import msgspec
import pytest
from alert_builders import HIDING, found
from mail_server import mail_server
from private_authority import Authority

from alerts.groups import Group, joined
from alerts.mail import MailSender, as_html, as_text
from alerts.notice import hiding_of, notice_of
from alerts.sending import Delivered

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
"""aiosmtpd does not see that a connection that was TLS from its start is encrypted."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def notice():
    group = Group(group_id="5b0c7aa1d2e3", route="default", labels=(), opened_at=1e9, last_at=1e9)
    for n in range(3):
        group = joined(group, found(f"a{n}", "<b>customer</b>"), 1e9)
    group = msgspec.structs.replace(group, told=1, told_at=1e9)
    return notice_of(
        group,
        "first",
        "first message",
        hide=hiding_of(HIDING, raw_ids=False),
        dashboards="https://grafana.example.org",
        at=1e9,
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_message_arrives_encrypted_after_a_login(authority, notice, security):
    """As text and as HTML, with the subject that says it all and a link."""
    with mail_server(authority, security) as (kept, server):
        result = MailSender(("fraud@example.org", "second@example.org"), server).send(notice, "g.1.mail", "")

    assert isinstance(result, Delivered), result
    (mail,) = kept.messages
    assert mail["Subject"].startswith("[txwatch] HIGH user user-1-")
    assert mail["To"] == "fraud@example.org, second@example.org"
    assert mail["Message-ID"] == "<g.1.mail@txwatch>"
    assert mail["References"] == "<5b0c7aa1d2e3@txwatch>"
    for kind in ("plain", "html"):
        text = mail.get_body((kind,)).get_content()
        assert "/d/txwatch-anomaly?var-anomaly=a0" in text
        assert "customer" not in text


def test_a_wrong_password_is_final(authority, notice):
    """It is not tried again: that would lock the account."""
    with mail_server(authority, "starttls") as (kept, server):
        wrong = msgspec.structs.replace(server, password="guess")
        result = MailSender(("fraud@example.org",), wrong).send(notice, "g.1.mail", "")

    assert (result.retryable, result.unanswered) == (False, False)
    assert result.sentence.startswith("the mail server refuses: 535")
    assert kept.messages == []


@pytest.mark.parametrize(("answer", "retryable"), [("451 try later", True), ("554 no thanks", False)])
def test_refusals_are_final_or_not_as_the_server_says(authority, notice, answer, retryable):
    """4xx may pass, 5xx never."""
    with mail_server(authority, "starttls") as (kept, server):
        kept.refuse = answer
        result = MailSender(("fraud@example.org",), server).send(notice, "g.1.mail", "")

    assert result.retryable is retryable
    assert answer in result.sentence


def test_a_server_that_is_not_there_is_tried_again(authority, notice):
    """Nothing was handed over, so nothing is in doubt."""
    with mail_server(authority, "starttls") as (_, server):
        pass
    result = MailSender(("fraud@example.org",), server).send(notice, "g.1.mail", "")

    assert (result.retryable, result.unanswered) == (True, False)


def test_a_stranger_with_another_certificate_gets_no_password(authority, notice, tmp_path):
    """The connection ends before the login."""
    with mail_server(authority, "tls") as (kept, server):
        fooled = msgspec.structs.replace(server, certificates=Authority(tmp_path / "other").ca)
        result = MailSender(("fraud@example.org",), fooled).send(notice, "g.1.mail", "")

    assert "certificate verify failed" in result.sentence
    assert kept.messages == []


def test_what_comes_from_outside_is_text_in_html(notice):
    """A name with markup in it stays a name; text and HTML say the same."""
    raw = msgspec.structs.replace(notice, entities=(("user <script>x</script>", 3),))

    assert "<script>" not in as_html(raw)
    assert "user <script>x</script> (3)" in as_text(raw)
