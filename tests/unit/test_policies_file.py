"""The policies file: which policy wins, what is said of every mistake, the commands, and changes taken whole."""

from __future__ import annotations

import json
import os
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from flows.metrics import FlowMetrics
from infra.cli import app
from infra.file_watch import FileWatch
from infra.policies import PoliciesRefused, WatchedPolicies
from infra.policies_file import parse_policies, read_policies
from scoring.policy import USUAL_MARGIN, Policies, Policy
from scoring.yaml_places import MAX_BYTES, ProblemsFound
from tests.waiting import eventually

GOOD = """
# Thresholds of all shops.
default: {review: 45, deny: 85}
event_types:
  login: {review: 60, deny: 90, margin: 0}
merchants:
  shop-1:
    review: 35
    deny: 70.5
    margin: 10
    event_types:
      pay_out: {review: 20, deny: 50}
  no:
    event_types:
      payment: {review: 30, deny: 60}
"""


def parsed(text: str) -> Policies:
    return parse_policies(text.encode(), "policies.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ProblemsFound) as found:
        parsed(text)
    return [f"{line}: {said}" for line, said in found.value.problems]


def test_the_most_specific_policy_decides_and_is_taken_whole() -> None:
    policies = parsed(GOOD)
    found = {pair: policies.find(*pair) for pair in [
        ("shop-1", "pay_out"), ("shop-1", "login"), ("shop-1", ""), ("other", "login"), ("other", "payment"),
        ("no", "payment"), ("no", "login"), ("no", "pay_out"),
    ]}  # fmt: skip
    assert found == {
        ("shop-1", "pay_out"): Policy(20, 50, USUAL_MARGIN),  # of both: before the merchant's
        ("shop-1", "login"): Policy(35, 70.5, 10),  # of the merchant: before the event type's
        ("shop-1", ""): Policy(35, 70.5, 10),
        ("other", "login"): Policy(60, 90, 0),  # of the event type: before the default
        ("other", "payment"): Policy(45, 85, USUAL_MARGIN),
        ("no", "payment"): Policy(30, 60, USUAL_MARGIN),  # a merchant's id, which YAML would read as false
        ("no", "login"): Policy(60, 90, 0),  # a merchant without a policy of its own
        ("no", "pay_out"): Policy(45, 85, USUAL_MARGIN),
    }


def test_the_limits_of_a_batch_are_those_of_each_event_and_the_models_own_where_nothing_is_said() -> None:
    own = np.array([[1, 2, 0.5], [3, 4, 0.5], [5, 6, 0.5]], np.float32)
    merchants, event_types = ("shop-1", "other", "shop-1"), ("pay_out", "sign_up", "login")
    found = parsed(GOOD.replace("default: {review: 45, deny: 85}", "")).limits(merchants, event_types, own)
    assert found.tolist() == [[20, 50, 5], [3, 4, 0.5], [35, 70.5, 10]]
    assert found.dtype == np.float32
    assert Policies().limits(merchants, event_types, own).tolist() == own.tolist()
    assert Policies(Policy(45, 85, 1)).limits(merchants, event_types, own).tolist() == [[45, 85, 1]] * 3


DEGRADED = (
    "degraded: review\nmerchants:\n  shop-1: {degraded: deny}\n  shop-2: {review: 30, deny: 60, degraded: model}\n"
)


def test_what_decides_while_rules_cannot_ask_is_of_the_merchant_or_the_default() -> None:
    policies = parsed(DEGRADED)
    said = {merchant: policies.when_degraded(merchant) for merchant in ("shop-1", "shop-2", "shop-3")}
    assert said == {"shop-1": "deny", "shop-2": "model", "shop-3": "review"}
    assert policies.find("shop-1", "payment") is None, "a merchant that says no more has no thresholds by that"
    assert policies.find("shop-2", "payment") == Policy(30, 60, USUAL_MARGIN)
    assert Policies().when_degraded("shop-1") == "model"


def test_what_decides_while_rules_cannot_ask_is_part_of_the_digest() -> None:
    assert parsed("degraded: model\n" + GOOD).digest == parsed(GOOD).digest
    assert parsed("degraded: allow\n" + GOOD).digest != parsed(GOOD).digest
    alike = DEGRADED + "  shop-4: {degraded: review}\n"
    assert parsed(alike).digest == parsed(DEGRADED).digest != parsed(DEGRADED.replace("deny}", "allow}")).digest


def test_files_that_decide_alike_have_one_digest_and_others_another() -> None:
    digest = parsed(GOOD).digest
    general, of_merchants = GOOD.split("merchants:\n")
    assert parsed("merchants:\n" + of_merchants + general.replace("45", "45.0")).digest == digest
    assert parsed(GOOD.replace("margin: 10", "margin: 9")).digest != digest
    assert parsed(GOOD.replace("shop-1", "shop-2")).digest != digest
    assert parsed("default: {review: 33.3, deny: 66.6}").content()[0]["review"] == 33.3
    assert Policies().digest == Policies().digest != digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: the file is empty; give a default"),
        ("# only a comment\n", "1: the file is empty"),
        ("default: 40", "1: default must hold names with values"),
        ("- review", "1: the file must hold names with values"),
        ("defualt: {review: 40, deny: 80}", "1: the file has no 'defualt'; did you mean default?"),
        ("default:\n  review: 40\n  denny: 80", "3: default has no 'denny'; did you mean deny?"),
        ("default:\n  zzz: 40", "2: default has no 'zzz'; it may have review, deny, margin"),
        ("degraded: maybe", "1: degraded is 'maybe'; give allow, review, deny or model"),
        ("degraded: [deny]", "1: degraded is not one word; give allow, review, deny or model"),
        ("degraded: yes\ndefault: {review: 40, deny: 80}", "1: degraded is 'yes'; give"),
        ("merchants:\n  shop:\n    degraded: 1", "3: merchants.shop.degraded is '1'; give"),
        ("default: {review: 40, deny: 80, degraded: deny}", "1: default has no 'degraded'; it may have review"),
        ("default: {review: 40}", "1: default lacks deny; every policy gives both"),
        ("default:\n  review: 80\n  deny: 40", "3: default.deny is 40 and review 80; give a deny above review"),
        ("default: {review: 0, deny: 40}", "1: default.review is 0; give a score above 0 and at most 100"),
        ("default:\n  review: 10\n  deny: 101", "3: default.deny is 101; give a score above 0 and at most 100"),
        ("default:\n  review: 40\n  deny: 50\n  margin: 11", "4: default.margin is 11; give 0 to 10, or leave it out"),
        ("default: {review: 4, deny: 50, margin: 3}", "1: default.margin is 3; give 0 to 2"),
        ("default: {review: 40, deny: 50, margin: -1}", "1: default.margin is -1; give 0 to 10"),
        ("default: {review: forty, deny: 80}", "1: default.review is 'forty'; give a number"),
        ("default: {review: .nan, deny: 80}", "1: default.review is '.nan'; give a number"),
        ("default: {review: '40', deny: 80}", "1: default.review is '40'; give a number"),
        ("default: {review: 1:30, deny: 80}", "1: default.review is '1:30'; give a number"),
        ("default: {review: [40], deny: 80}", "1: default.review is not one value; give a number"),
        ("default:\n  review: 40\n  deny: 80\n  review: 50", "4: default has 'review' twice, first in line 2"),
        ("event_types:\n  Sign-Up: {review: 1, deny: 2}", "2: 'Sign-Up' is no event type; did you mean sign_up?"),
        ("event_types:\n  '': {review: 1, deny: 2}", "2: '' is no event type; did you mean payment?"),
        ("merchants:\n\n  shop one: {review: 1, deny: 2}", "3: 'shop one' is no merchant; take its id"),
        ("merchants:\n  shop:\n    event_types:\n      login: 5", "4: merchants.shop.event_types.login must hold"),
        ("merchants:\n  shop: {}", "2: merchants.shop lacks review and deny"),
        ("default: {review: 40, deny: 80", "2: this is not YAML (while parsing a flow mapping from line 1"),
        ("default:\n\treview: 40", "2: this is not YAML"),
        ("default: &a {review: 40, deny: 80}\nevent_types:\n  login: *a", "3: a reference (*) is not read here"),
        ("default: {review: 1, deny: 2}\n---\na: 1", "2: a second document begins here"),
        ("a: " + "[" * 100 + "]" * 100, "1: this is nested too deep"),
        ("default: {review: 40, deny: 80}\n# \x01", "control character"),
    ],
)  # fmt: skip
def test_every_mistake_is_said_with_its_line_and_what_to_do(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text)), problems(text)


def test_bytes_that_are_no_text_and_files_that_are_too_large_are_refused() -> None:
    with pytest.raises(ProblemsFound, match=r"p\.yaml:2: this is not UTF-8"):
        parse_policies(b"# fine\n# \xff\xfe", "p.yaml")
    with pytest.raises(ProblemsFound, match="more than 4 MiB"):
        parse_policies(b"#" * (MAX_BYTES + 1), "p.yaml")


def test_all_mistakes_of_a_file_are_found_at_once() -> None:
    text = "default: {review: 40}\nevent_types:\n  login: {review: 90, deny: 10}\nmerchant: 5\n"
    assert [problem.split(":")[0] for problem in problems(text)] == ["1", "3", "4"]
    with pytest.raises(ProblemsFound, match=r"^policies\.yaml:1: default lacks deny.*\(2 more"):
        parsed(text)


class World:
    """A file that is watched, by looks that the test asks for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(GOOD)
        self.metrics = FlowMetrics(CollectorRegistry())
        self.policies = WatchedPolicies(path, self.metrics)
        watch = self.policies._watch
        assert watch is not None
        self.watch: FileWatch[Policies] = watch

    def write(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, "utf-8")
        fresh.replace(self.path)

    def looks(self, times: int = 2) -> list[bool]:
        return [self.watch.look() for _ in range(times)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "policies.yaml")


def test_a_changed_file_is_taken_when_it_stands_still(world: World) -> None:
    before = world.policies()
    assert world.looks() == [False, False]
    world.write(GOOD.replace("45", "50"))
    assert world.looks(1) == [False]  # it may still be written
    assert world.policies() is before
    assert world.looks(1) == [True]
    assert world.policies().default == Policy(50, 85, USUAL_MARGIN)
    assert world.looks() == [False, False]
    assert world.metrics.policies_info.labels(world.policies().digest)._value.get() == 1


def test_a_bad_file_never_takes_the_place_of_a_good_one(world: World, caplog: pytest.LogCaptureFixture) -> None:
    before = world.policies()
    world.write("default: {review: 90, deny: 20}")
    assert world.looks(5) == [False] * 5
    assert world.policies() is before
    assert [record.message for record in caplog.records] == [
        f"{world.path}:1: default.deny is 20 and review 90; give a deny above review; the policies of before go on"
    ]
    assert world.metrics.policies_refused._value.get() == 1
    world.path.unlink()
    world.looks(4)
    assert "cannot be read (No such file or directory)" in caplog.records[-1].message
    assert len(caplog.records) == 2
    world.write(GOOD)
    assert world.looks() == [False, True]
    assert world.metrics.policies_refused._value.get() == 0
    counted = {outcome: world.metrics.policies_loads.labels(outcome)._value.get() for outcome in ("taken", "refused")}
    assert counted == {"taken": 1, "refused": 2}


def test_a_flow_does_not_start_with_a_bad_file(tmp_path: Path) -> None:
    metrics = FlowMetrics(CollectorRegistry())
    with pytest.raises(PoliciesRefused, match="cannot be read"):
        WatchedPolicies(tmp_path / "none.yaml", metrics)
    (tmp_path / "bad.yaml").write_text("default: {review: 40}")
    with pytest.raises(PoliciesRefused, match=r"bad\.yaml:1: default lacks deny"):
        WatchedPolicies(tmp_path / "bad.yaml", metrics)


def test_without_a_file_every_model_decides_by_its_own_thresholds() -> None:
    policies = WatchedPolicies(None, FlowMetrics(CollectorRegistry()))
    policies.start()
    assert policies() == Policies()
    policies.close()


def _says(policies: WatchedPolicies, wanted: Policy) -> bool:
    return policies().find("shop-99", "") == wanted


def test_a_change_is_taken_within_a_second_and_never_by_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written in place, a piece at a time, is taken as one whole version or the other."""
    path = tmp_path / "policies.yaml"

    def version(review: int) -> str:
        shops = "".join(f"  shop-{one}: {{review: {review}, deny: 90}},\n" for one in range(100))
        return "merchants: {\n" + shops + "}\n"

    path.write_text(version(10))
    looks, look = list[None](), FileWatch.look

    def counted(watch: FileWatch[Policies]) -> bool:
        looks.append(None)
        return look(watch)

    monkeypatch.setattr(FileWatch, "look", counted)
    policies = WatchedPolicies(path, FlowMetrics(CollectorRegistry()))
    seen, stop = set[str](), threading.Event()

    def read() -> None:
        while not stop.wait(0.001):
            seen.add(policies().digest)
        seen.add(policies().digest)  # what was taken last may not have been read before the end

    reader = threading.Thread(target=read)
    reader.start()
    policies.start()
    took = []
    for review in (20, 30):
        with path.open("w") as file:
            for line in version(review).splitlines(keepends=True):
                file.write(line)
                file.flush()
                time.sleep(0.002)
        before = len(looks)
        eventually(partial(_says, policies, Policy.usual(review, 90)))
        took.append(len(looks) - before)
    stop.set()
    reader.join()
    policies.close()
    assert seen == {parsed(version(review)).digest for review in (10, 20, 30)}
    watch = policies._watch
    assert watch is not None and (max(took) + 1) * watch._seconds <= 1.0, took


def test_a_link_that_is_turned_to_another_file_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces the files of a ConfigMap."""
    for name, review in (("one", 30), ("two", 40)):
        (tmp_path / name).write_text(f"default: {{review: {review}, deny: 80}}")
    link = tmp_path / "policies.yaml"
    link.symlink_to("one")
    policies = WatchedPolicies(link, FlowMetrics(CollectorRegistry()))
    fresh = tmp_path / "fresh"
    fresh.symlink_to("two")
    os.replace(fresh, link)  # noqa: PTH105 - of the link itself
    assert policies._watch is not None
    assert [policies._watch.look(), policies._watch.look()] == [False, True]
    assert policies().default == Policy.usual(40, 80)


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["policies", *arguments], env=env or {})
    return found.exit_code, found.stdout, found.stderr


def test_check_says_every_mistake_and_its_exit_code(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text("default: {review: 40}\nmerchants:\n  shop: {review: 90, deny: 10}\n")
    code, out, _ = run("check", str(good))
    assert (code, parsed(GOOD).digest in out) == (0, True)
    code, out, err = run("check", str(bad))
    assert code == 1
    assert err.splitlines() == [
        f"{bad}:1: default lacks deny; every policy gives both, as review: 40",
        f"{bad}:3: merchants.shop.deny is 10 and review 90; give a deny above review",
    ]
    code, out, _ = run("check", str(bad), "--json")
    assert code == 1
    assert [problem["line"] for problem in json.loads(out)["problems"]] == [1, 3]
    code, out, _ = run("check", str(good), "--json")
    assert json.loads(out) == {"file": str(good), "digest": read_policies(good).digest, "policies": 5, "problems": []}
    assert run("check", str(tmp_path / "none.yaml"))[0] == 2


def test_show_says_which_policy_decides_and_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    env = {"CLICKGOOSE_FLOW__POLICIES_FILE": str(file), "CLICKGOOSE_HOME": str(tmp_path)}
    code, out, _ = run("show", "--merchant", "shop-1", "--event-type", "pay_out", "--json", env=env)
    assert code == 0
    assert json.loads(out) == {
        "file": str(file), "digest": read_policies(file).digest, "merchant": "shop-1", "event_type": "pay_out",
        "of": "merchant and event type", "review": 20.0, "deny": 50.0, "margin": 5.0,
        "degraded": "model",
    }  # fmt: skip
    said = json.loads(run("show", "--json", env=env)[1])
    assert said["policies"] == read_policies(file).content()
    assert said["degraded"] == {"default": "model", "merchants": {}}
    file.write_text(GOOD + "  shop-3: {degraded: deny}\n")
    assert "of shop-3: deny" in run("show", env=env)[1]
    assert "cannot be asked: deny" in run("show", "--merchant", "shop-3", env=env)[1]
    assert "shop-1" in run("show", env=env)[1]
    assert "of the event type" in run("show", "--event-type", "login", env=env)[1]
    file.write_text("default: 4")
    assert run("show", env=env)[0] == 1
    assert run("show", env=env | {"CLICKGOOSE_FLOW__POLICIES_FILE": str(tmp_path / "none")})[0] == 2


def test_show_without_a_file_gives_the_models_own_thresholds(tmp_path: Path) -> None:
    env = {"CLICKGOOSE_HOME": str(tmp_path)}
    said = json.loads(run("show", "--merchant", "any", "--json", env=env)[1])
    assert (said["of"], said["file"]) == ("model", None)
    assert 0 < said["review"] < said["deny"] <= 100
