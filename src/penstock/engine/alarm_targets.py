"""Where alarms go by the settings: SNS through botocore; e-mail, webhooks, Slack and so on through apprise."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from penstock.settings import Settings, SettingsError, SnsSettings

SNS = "sns"
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 20.0
LONGEST_REASON = 500  # characters
HOST_IS_NO_SECRET = ("json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos")  # in others it may be a key
_PARTS = re.compile(r"[/:@?&=#,]+")


class NotDelivered(Exception):
    """A target did not take a message; the text says why, without a secret."""


@dataclass(frozen=True)
class Message:
    """What is sent; subject and text are as SNS takes them."""

    topic: str
    subject: str
    text: str


@dataclass(frozen=True)
class Target:
    """One receiver: a name without secrets, which it has alone among those of its topic, and what sends.

    `send` raises NotDelivered.
    """

    name: str
    send: Callable[[Message], None]


TargetsOf = Callable[[str], Sequence[Target]]


def nowhere(topic: str) -> Sequence[Target]:
    """No target for any topic: alarms go into the event log only."""
    return ()


def make_targets(settings: Settings, config: Path | None) -> TargetsOf:
    """What finds the targets of a topic; none means the event log only. Raises SettingsError, naming the file `config`.

    The exact topic wins, then the longest of those that end in `*`; a topic without a mapping goes to SNS if there is
    a table [sns].
    """
    sns = _sns_target(settings.sns) if settings.sns is not None else None
    by_topic = {
        topic: _named([sns if url == SNS and sns else _apprise_target(url, config, topic) for url in setting.to])
        for topic, setting in settings.alarms.items()
    }
    prefixes = sorted((topic[:-1] for topic in by_topic if topic.endswith("*")), key=len, reverse=True)

    def targets_of(topic: str) -> Sequence[Target]:
        if topic in by_topic:
            return by_topic[topic]
        for prefix in prefixes:
            if topic.startswith(prefix):
                return by_topic[prefix + "*"]
        return () if sns is None else (sns,)

    return targets_of


def _named(targets: list[Target]) -> tuple[Target, ...]:
    """Targets whose names are alike have them numbered."""
    names = [target.name for target in targets]
    made = []
    for number, target in enumerate(targets):
        before = names[:number].count(target.name)
        made.append(Target(f"{target.name} ({before + 1})", target.send) if before else target)
    return tuple(made)


def _sns_target(settings: SnsSettings) -> Target:
    """SNS; a topic's region is the one in its ARN, unless the settings say another."""
    clients: dict[str, Any] = {}
    making = threading.Lock()  # a session of botocore is for one thread at a time, its clients are for many

    def client(region: str) -> Any:
        import botocore.session  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        with making:
            if region not in clients:
                clients[region] = botocore.session.get_session().create_client(
                    "sns",
                    region_name=region,
                    endpoint_url=settings.endpoint,
                    aws_access_key_id=settings.access_key_id,
                    aws_secret_access_key=settings.secret_access_key,
                    config=Config(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=ANSWER_SECONDS,
                        retries={"total_max_attempts": 1},  # when to try again is decided, and recorded, elsewhere
                    ),
                )
            return clients[region]

    def send(message: Message) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

        parts = message.topic.split(":")
        region = settings.region or (parts[3] if len(parts) > 5 and parts[3] else "us-east-1")
        subject = {"Subject": message.subject} if message.subject else {}
        try:
            client(region).publish(TopicArn=message.topic, Message=message.text, **subject)
        except ClientError as error:
            found = error.response.get("Error", {})
            raise NotDelivered(_short(f"{found.get('Code', 'an error')}: {found.get('Message', '')}")) from None
        except ResponseParserError:
            raise NotDelivered("Its answer is none that SNS gives.") from None
        except (BotoCoreError, ValueError) as error:
            raise NotDelivered(_short(str(error))) from None

    return Target(SNS, send)


def _apprise_target(url: str, config: Path | None, topic: str) -> Target:
    where = f"{config}: 'alarms.\"{topic}\".to'"
    scheme = url.partition("://")[0].lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports modules that Python is about to drop
        try:
            import apprise
        except ImportError as error:
            raise SettingsError(
                f"{where} names {scheme}://…, which needs apprise: pip install 'penstock[alarms]'."
            ) from error
        logger = logging.getLogger("apprise")
        if logger.propagate:  # its log may hold secrets; what it says of a delivery is taken from the result
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
        if scheme not in apprise.NotificationManager().schemas():  # type: ignore[no-untyped-call]
            raise SettingsError(f"{where}: '{scheme}' is no scheme that apprise knows. Its wiki lists those it does.")
        asset = apprise.AppriseAsset(app_id="Penstock", app_desc="Penstock", app_url="")
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        raise SettingsError(f"{where}: a URL {scheme}://… is not as apprise wants it; its wiki says how it is written.")
    if service.body_maxlen < apprise.NotifyBase.body_maxlen and "overflow=" not in url:
        service.overflow_mode = apprise.OverflowMode.TRUNCATE  # a receiver with a limit would refuse the whole message
    sender = apprise.Apprise(service, asset=asset)
    secrets = _secrets(url, str(service.url(privacy=True)))  # type: ignore[no-untyped-call]
    name = f"{scheme}://…"
    if scheme in HOST_IS_NO_SECRET:
        name = f"{scheme}://{service.host}" + (f":{service.port}" if service.port else "")

    def send(message: Message) -> None:
        result = sender.notify(
            body=message.text,
            title=message.subject,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=ANSWER_SECONDS + CONNECT_SECONDS,
        )
        if not result:
            said = " ".join(entry.message for entry in result.logs()) or f"it is a {result.status.name.lower()}"
            raise NotDelivered(_short(_masked(said, secrets)))

    return Target(name, send)


def _secrets(url: str, without_secrets: str) -> list[str]:
    """The parts of a URL that its form without secrets does not show; the longest first."""
    shown = set(_PARTS.split(without_secrets)) | set(_PARTS.split(unquote(without_secrets)))
    parts = {*_PARTS.split(url), *_PARTS.split(unquote(url)), *(unquote(part) for part in _PARTS.split(url))}
    return sorted((part for part in parts - shown if len(part) > 2), key=len, reverse=True)


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "*****")
    return text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
