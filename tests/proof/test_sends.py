"""Send sites in code: guarded, unguarded, unknown, by file and line; for people, for machines, and against a baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails import ConfigError
from guardrails.cli.app import app
from guardrails.proof.known import LIBRARIES
from guardrails.proof.reading import read_project
from guardrails.proof.sites import Site, find_sites, mentions

GUARDS = """
from guardrails import Guard, from_policy
from twilio.rest import Client
guard = Guard(channel="sms")
team = guard.extend()
client = Client("sid", "token")
by_policy = from_policy("guardrails.yaml")
"""


def scan(tmp_path: Path, own: tuple[str, ...] = (), **files: str) -> list[Site]:
    package = tmp_path / "shop"
    package.mkdir(exist_ok=True)
    for name, source in {"__init__": "", "guards": GUARDS, **files}.items():
        (package / f"{name}.py").write_text(source)
    found = find_sites(read_project(tmp_path, tests=False), own)
    assert find_sites(read_project(tmp_path, tests=False, relevant=mentions(own)), own) == found
    return found


def states(sites: list[Site]) -> dict[str, str]:
    return {site.function or site.send: site.state for site in sites}


def test_a_send_in_a_decorated_function_is_guarded(tmp_path: Path) -> None:
    source = """
from .guards import by_policy, client, guard, team

@guard
def bare(to, body):
    client.messages.create(to=to, body=body)

@team(text="body")
async def with_options(to, body):
    await client.messages.create_async(to=to, body=body)

@by_policy
def from_a_policy(to, body):
    client.messages.create(to=to, body=body)

class Sender:
    @guard
    def method(self, to, body):
        client.messages.create(to=to, body=body)
"""
    assert set(states(scan(tmp_path, use=source)).values()) == {"guarded"}


def test_a_send_outside_every_guard_is_unguarded_and_says_where(tmp_path: Path) -> None:
    source = """
from .guards import client

def send(to, body):
    return client.messages.create(to=to, body=body)
"""
    (site,) = scan(tmp_path, use=source)
    assert (site.file, site.line, site.column, site.function, site.state) == ("shop/use.py", 5, 12, "send", "unguarded")
    assert site.send == "twilio: messages.create"
    assert "preset" in site.remedy


def test_objects_are_followed_through_attributes_with_blocks_annotations_and_factories(tmp_path: Path) -> None:
    source = """
import smtplib
import boto3
from twilio.rest import Client
from openai import AsyncOpenAI

def factory() -> Client:
    return Client()

class Mailer:
    def __init__(self, host):
        self.smtp = smtplib.SMTP(host)

    def attribute(self, message):
        self.smtp.send_message(message)

def block():
    with smtplib.SMTP("localhost") as server:
        server.sendmail("a", "b", "c")

def annotated(client: Client | None):
    client.messages.create(to="x")

def made():
    factory().messages.create(to="x")

def at_once():
    boto3.client("sns").publish(Message="x")

async def model(llm: AsyncOpenAI):
    return await llm.chat.completions.create(model="m", messages=[])
"""
    assert states(scan(tmp_path, use=source)) == dict.fromkeys(
        ["Mailer.attribute", "block", "annotated", "made", "at_once", "model"], "unguarded"
    )


def test_objects_are_followed_through_properties_methods_casts_and_bodies_of_classes(tmp_path: Path) -> None:
    source = """
import smtplib
from functools import cached_property
from typing import cast
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

class Hook:
    web: WebClient
    smtp: "smtplib.SMTP | None"

    @cached_property
    def hook(self) -> WebhookClient:
        return make()

    async def connect(self) -> "WebClient":
        return make()

    def by_the_body_of_the_class(self):
        self.web.chat_update(text="x")

    def by_a_text(self):
        self.smtp.send_message("x")

    def by_a_property(self):
        self.hook.send_dict({"text": "x"})

    async def by_a_method(self):
        client = await self.connect()
        client.files_upload_v2("x")

    def by_a_cast(self):
        client = cast("smtplib.SMTP_SSL | smtplib.SMTP", make())
        client.sendmail("a", "b", "c")

    def not_a_property(self):
        self.connect.files_upload_v2("x")
"""
    found = states(scan(tmp_path, hooks=source))
    assert found.pop("Hook.not_a_property") == "unknown"
    assert found == {
        f"Hook.{name}": "unguarded"
        for name in ("by_the_body_of_the_class", "by_a_text", "by_a_property", "by_a_method", "by_a_cast")
    }


def test_a_library_behind_a_proxy_is_told_by_how_it_is_called_and_a_base_class_of_ones_own_is_no_library(
    tmp_path: Path,
) -> None:
    source = """
import telegram
from .lazy import litellm

class Bot(Own):
    def send_message(self, text):
        super().send_message(text)

def ask():
    litellm.completion(model="m", messages=[])
"""
    assert states(scan(tmp_path, late=source)) == {"ask": "unknown"}


def test_what_a_guard_wraps_or_an_adapter_makes_is_guarded(tmp_path: Path) -> None:
    source = """
import smtplib
from openai import OpenAI
from guardrails.integrations.httpx2 import GuardTransport
from guardrails.integrations.smtplib import guarded_smtp
from .guards import client, guard

send = guard.wrap(client.messages.create, preset="twilio")
llm = OpenAI(http_client=GuardTransport(guard))
mail = guarded_smtp(smtplib.SMTP("localhost"), guard)

def raw(to, body):
    client.messages.create(to=to, body=body)

safe = guard(raw)
also = guard(text="body")(client.messages.create)

def uses():
    send(to="x", body="y")
    llm.chat.completions.create(model="m", messages=[])
    mail.sendmail("a", "b", "c")
"""
    assert {site.state for site in scan(tmp_path, use=source)} == {"guarded"}


def test_a_helper_that_only_guarded_functions_call_is_guarded(tmp_path: Path) -> None:
    source = """
from .guards import client, guard

@guard
def send(to, body):
    _post(to, body)

def _post(to, body):
    _really(to, body)

def _really(to, body):
    client.messages.create(to=to, body=body)

def _lonely(to, body):
    client.messages.create(to=to, body=body)

def unguarded(to, body):
    _lonely(to, body)
"""
    assert states(scan(tmp_path, use=source)) == {"_really": "guarded", "_lonely": "unguarded"}


def test_a_helper_that_another_module_imports_is_not_taken_for_guarded(tmp_path: Path) -> None:
    source = """
from .guards import client, guard

@guard
def send(to, body):
    post(to, body)

def post(to, body):
    client.messages.create(to=to, body=body)
"""
    sites = scan(tmp_path, use=source, other="from .use import post\npost('x', 'y')\n")
    assert states(sites) == {"post": "unguarded"}


def test_what_cannot_be_told_is_unknown(tmp_path: Path) -> None:
    source = """
import twilio
from elsewhere import guard_of_somebody

def duck(client):
    client.messages.create(to="x")

@guard_of_somebody
def decorated(client: twilio.rest.Client):
    client.messages.create(to="x")
"""
    assert states(scan(tmp_path, use=source)) == {"duck": "unknown", "decorated": "unknown"}


def test_what_only_looks_like_a_send_is_none(tmp_path: Path) -> None:
    source = """
import twilio

class Store:
    def create(self, **fields): ...

class Messages:
    def __init__(self):
        self.messages = Store()

def save():
    box = Messages()
    box.messages.create(to="x")

def publish(channel):
    channel.publish("x")

def other(client):
    client.chat_history.create()
"""
    assert scan(tmp_path, use=source) == []


def test_sends_of_ones_own_are_found_by_name_wherever_they_are_imported(tmp_path: Path) -> None:
    gateway = """
class Gateway:
    def send(self, to, body): ...

def deliver(to, body): ...
"""
    source = """
from shop.gateway import Gateway, deliver
from shop import gateway as g
from .guards import guard

def one(to, body):
    deliver(to, body)

def two(to, body):
    g.deliver(to, body)

def three(gateway: Gateway):
    gateway.send("x", "y")

@guard
def four(to, body):
    deliver(to, body)
"""
    found = scan(tmp_path, ("shop.gateway.deliver", "shop.gateway.Gateway.send"), gateway=gateway, use=source)
    assert states(found) == {"one": "unguarded", "two": "unguarded", "three": "unguarded", "four": "guarded"}


def test_a_send_of_ones_own_that_is_guarded_where_it_is_defined_is_guarded_everywhere(tmp_path: Path) -> None:
    gateway = "from .guards import guard\n\n@guard\ndef deliver(to, body): ...\n"
    source = "from shop.gateway import deliver\n\ndef one(to, body):\n    deliver(to, body)\n"
    assert states(scan(tmp_path, ("shop.gateway.deliver",), gateway=gateway, use=source)) == {"one": "guarded"}


def test_files_that_are_no_python_are_named_and_tests_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text("import smtplib\nsmtplib.SMTP().sendmail('a', 'b', 'c')\n")
    project = read_project(tmp_path, tests=False)
    assert project.unreadable == [("broken.py", "ParserSyntaxError")]
    assert find_sites(project) == []
    assert len(find_sites(read_project(tmp_path, tests=True))) == 1
    assert find_sites(read_project(tmp_path, tests=True, exclude=["tests/*"])) == []
    with pytest.raises(ConfigError, match="no such file"):
        read_project(tmp_path / "nothing", tests=False)


def test_every_library_says_how_to_guard_it() -> None:
    assert all(library.remedy and (library.functions or (library.types and library.methods)) for library in LIBRARIES)


# -- the command ------------------------------------------------------------------------------------------------------

UNGUARDED = "import smtplib\n\ndef send(message):\n    smtplib.SMTP('localhost').send_message(message)\n"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["sends", *arguments])


def test_the_command_names_file_and_line_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "mail.py").write_text(UNGUARDED)
    told = run(str(tmp_path))
    assert told.exit_code == 1
    assert "mail.py:4:5: unguarded: smtplib: send_message" in told.output
    assert "1 send sites: 0 guarded, 1 unguarded, 0 unknown" in told.output


def test_json_and_sarif_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "mail.py").write_text(UNGUARDED)
    said = json.loads(run(str(tmp_path), "--format", "json").output)
    assert said["counts"] == {"guarded": 0, "unguarded": 1, "unknown": 0}
    assert (said["sites"][0]["file"], said["sites"][0]["line"]) == ("mail.py", 4)
    report = json.loads(run(str(tmp_path), "--format", "sarif").output)
    assert report["version"] == "2.1.0"
    (result,) = report["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]
    assert region["artifactLocation"]["uri"] == "mail.py"
    assert region["region"]["startLine"] == 4
    assert result["ruleId"] in {rule["id"] for rule in report["runs"][0]["tool"]["driver"]["rules"]}


def test_a_baseline_accepts_what_is_there_and_nothing_new(tmp_path: Path) -> None:
    source, known = tmp_path / "mail.py", tmp_path / "baseline.json"
    source.write_text(UNGUARDED)
    assert run(str(tmp_path), "--baseline", str(known), "--write-baseline").exit_code == 0
    assert run(str(tmp_path), "--baseline", str(known)).exit_code == 0
    source.write_text("# lines\n# move\n" + UNGUARDED)
    assert run(str(tmp_path), "--baseline", str(known)).exit_code == 0
    source.write_text(UNGUARDED + "    smtplib.SMTP('localhost').send_message(message)\n")
    told = run(str(tmp_path), "--baseline", str(known))
    assert told.exit_code == 1
    assert "mail.py:5" in told.output
    assert "mail.py:4" not in told.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing"], "no such file"),
        ([".", "--format", "xml"], "--format"),
        ([".", "--write-baseline"], "goes with --baseline"),
        (["examples/first_guard.py", "--baseline", "nothing.json"], "--write-baseline"),
        (["examples/first_guard.py", "--sends-file", "nothing.txt"], "cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    told = run(*arguments)
    assert told.exit_code == 2
    assert problem in told.output


def test_strict_counts_what_is_unknown_and_a_file_lists_sends(tmp_path: Path) -> None:
    (tmp_path / "duck.py").write_text("import twilio\n\ndef duck(client):\n    client.messages.create(to='x')\n")
    assert run(str(tmp_path)).exit_code == 0
    assert run(str(tmp_path), "--strict").exit_code == 1
    (tmp_path / "own.py").write_text("import acme\n\ndef one():\n    acme.deliver('x')\n")
    (tmp_path / "sends.txt").write_text("acme.deliver  # the gateway\n\n# nothing else\n")
    assert run(str(tmp_path), "--sends-file", str(tmp_path / "sends.txt")).exit_code == 1


def test_without_its_extra_the_command_names_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['libcst'] = None; from guardrails.cli import main; sys.argv[1:] = ['sends', '.']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "guardrails: libcst is not installed: pip install 'platform-guardrails[scan]'\n"


def test_a_send_that_is_handed_on_is_a_site_too(tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text("""\
import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread

from guardrails import Guard, MaskPII
from twilio.rest import Client

guard = Guard(MaskPII(names="off"), channel="sms")
client = Client("a", "b")
safe = guard.wrap(client.messages.create, text="body")
also_safe = guard(text="body")(client.messages.create)
fetched = print(client.messages.list)


async def one(body):
    await asyncio.to_thread(client.messages.create, body=body)


def two(body):
    ThreadPoolExecutor().submit(client.messages.create, body=body)


def three(body):
    return partial(client.messages.create, body=body)


def four(body):
    Thread(target=client.messages.create, kwargs={"body": body}).start()


def five(body):
    send = client.messages.create
    send(body=body)


def six(body):
    somewhere(client.messages.create, body)


@guard
def seven(to, body):
    asyncio.run(asyncio.to_thread(client.messages.create, to=to, body=body))
""")
    found = find_sites(read_project(tmp_path, tests=False))
    assert [(one.function, one.state) for one in found] == [
        *((name, "unguarded") for name in ("one", "two", "three", "four")),
        ("five", "unknown"),
        ("six", "unknown"),
        ("seven", "guarded"),
    ]
    assert "handed on" in found[4].why
