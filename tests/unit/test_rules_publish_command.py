"""``clickgoose rules publish | rollback | retire | list | show | diff``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import rules
from infra.rules_registry import rules_registry_of, watched_rules
from infra.settings import Settings
from tests.rules_registry_kit import damage, shadow_tags, tags, text
from tests.waiting import eventually

FAILING = "examples: [{event: {event_type: payment, data: {amount: -1}}, matches: true}]"
MORE = "# with a comment\nrules: [{id: more, when: always, actions: [{tag: m}], status: shadow}]\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the settings: the default, in a home of this test's own."""
    monkeypatch.setenv("CLICKGOOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "rules"


APP = typer.Typer()
rules.register(APP)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(APP, ["rules", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def good(*arguments: object) -> Any:
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def write(folder: Path, number: int, merchant: str | None = None) -> Path:
    directory = folder / "merchants" / merchant if merchant else folder
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "payment.yaml").write_text(text(number).text)
    return folder


def live(merchant: str = "shop") -> tuple[str, ...]:
    watch = watched_rules(Settings())
    watch.close()
    return tags(watch(), merchant)


def test_from_draft_over_shadow_to_live_and_back(root: Path, tmp_path: Path) -> None:
    first = good("publish", write(tmp_path / "a", 1), "--to", "live", "--note", "begin")["rulesets"][0]
    assert (first["merchant"], first["stage"], first["live_before"]) == (None, "live", None)
    draft = good("publish", write(tmp_path / "a", 2))["rulesets"][0]
    assert (draft["stage"], draft["live_before"]) == ("draft", first["digest"])
    assert (draft["diff"]["rules"]["added"], draft["diff"]["rules"]["removed"]) == (["r2"], ["r1"])
    assert live() == ("t1",)
    good("publish", draft["digest"][:6], "--to", "shadow")
    with closing(watched_rules(Settings())) as watch:
        assert (tags(watch()), shadow_tags(watch())) == (("t1",), [("t2",)])
        good("publish", draft["digest"], "--to", "live", "--expect", first["digest"])
        eventually(lambda: tags(watch()) == ("t2",))
        back = good("rollback", "--note", "too strict")
        assert (back["live"], back["live_before"]) == (first["digest"], draft["digest"])
        eventually(lambda: tags(watch()) == ("t1",))
    assert good("retire", first["digest"])["live"] is None
    assert live() == ()
    listed = good("list")
    assert {row["digest"]: row["stage"] for row in listed["rulesets"]} == {
        first["digest"]: "retired",
        draft["digest"]: "retired",
    }
    did = [(change["did"], change["to"], change["note"]) for change in listed["history"]]
    assert did[0] == ("publish", "live", "begin")
    assert did[-2:] == [("rollback", "live", "too strict"), ("retire", "retired", "")]


def test_a_directory_publishes_all_owners_in_one_step_and_each_only_where_it_changed(
    root: Path, tmp_path: Path
) -> None:
    folder = write(write(tmp_path / "a", 1), 2, "shop")
    assert [one["merchant"] for one in good("publish", folder, "--to", "live")["rulesets"]] == [None, "shop"]
    assert (live("shop"), live("other")) == (("t1", "t2"), ("t1",))
    write(folder, 3, "shop")
    again = good("publish", folder)["rulesets"]
    assert [one["stage"] for one in again] == ["live", "draft"]
    assert len(good("list", "--merchant", "shop")["history"]) == 2


def test_a_merchants_files_alone(root: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a", 5) / "payment.yaml"
    assert good("publish", file, "--merchant", "shop", "--to", "live")["rulesets"][0]["merchant"] == "shop"
    assert (live("shop"), live("rival")) == (("t5",), ())
    assert run("rollback", "--merchant", "rival")[0] == 1
    assert run("publish", write(tmp_path / "a", 5, "shop"), "--merchant", "shop")[0] == 2


def test_mistakes_and_examples_that_fail_publish_nothing(root: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules: [{id: a, when: always, actions: [block]}]")
    code, out, err = run("publish", bad, "--to", "live")
    assert (code, out) == (1, "")
    assert err.startswith(f"{bad}:1:")
    assert [one["line"] for one in json.loads(run("publish", bad, "--json")[1])["mistakes"]] == [1]
    bad.write_text(text(1).text.replace("actions:", f"{FAILING}, actions:"))
    code, out, err = run("publish", bad, "--to", "live")
    assert (code, "should match" in err, "nothing was published" in err) == (1, True, True)
    assert len(json.loads(run("publish", bad, "--json")[1])["failed"]) == 1
    assert run("publish", tmp_path / "none.yaml")[0] == 2
    assert not root.exists()


def test_what_is_live_is_not_replaced_where_something_else_was_expected(root: Path, tmp_path: Path) -> None:
    first = good("publish", write(tmp_path / "a", 1), "--to", "live", "--expect", "none")["rulesets"][0]["digest"]
    for expect in ("none", "0" * 16):
        code, _, err = run("publish", write(tmp_path / "a", 2), "--to", "live", "--expect", expect)
        assert (code, f"{first} is live" in err) == (1, True)
        assert run("rollback", "--expect", expect)[0] == 1
    assert run("publish", tmp_path / "a", "--expect", "soon")[0] == 2
    both = write(write(tmp_path / "b", 3), 4, "shop")
    assert run("publish", both, "--expect", first)[0] == 2
    assert live() == ("t1",)


def test_what_became_live_after_the_comparison_is_not_replaced(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("publish", write(tmp_path / "a", 1), "--to", "live")
    from scoring.rules.registry import RulesRegistry

    sound = RulesRegistry.change

    def late(self: RulesRegistry, transition: Any) -> Any:
        monkeypatch.setattr(RulesRegistry, "change", sound)
        good("publish", write(tmp_path / "rival", 2), "--to", "live")
        return sound(self, transition)

    monkeypatch.setattr(RulesRegistry, "change", late)
    code, _, err = run("publish", write(tmp_path / "a", 3), "--to", "live")
    assert (code, "nothing was changed" in err) == (1, True)
    assert live() == ("t2",)


def test_a_live_set_does_not_become_a_draft_and_digests_are_not_guessed(root: Path, tmp_path: Path) -> None:
    digest = good("publish", write(tmp_path / "a", 1), "--to", "live")["rulesets"][0]["digest"]
    assert run("publish", digest, "--to", "shadow")[0] == 1
    for command in ("publish", "show", "retire"):
        assert run(command, "0123abcd")[0] == 1
    assert run("publish", digest, tmp_path / "a")[0] == 2


def test_show_gives_the_files_back_as_they_were(root: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 1)
    (folder / "more.yml").write_text(MORE)
    digest = good("publish", folder, "--to", "live", "--note", "why")["rulesets"][0]["digest"]
    shown = good("show", "live", "--out", tmp_path / "out")
    assert (shown["digest"], shown["stage"], shown["note"]) == (digest, "live", "why")
    assert [rule["id"] for rule in shown["rules"]] == ["more", "r1"]
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        file.name: file.read_text() for file in folder.iterdir()
    }
    assert good("publish", tmp_path / "out")["rulesets"][0]["digest"] == digest
    assert run("show", "live", "--out", tmp_path / "out")[0] == 2
    _, out, _ = run("show", digest[:4])
    assert "r1: .data.amount > 0" in out
    assert "more (shadow): always" in out


def test_files_never_leave_the_directory_that_was_named(root: Path, tmp_path: Path) -> None:
    from scoring.rollout import Author
    from scoring.rules.registry import Text
    from scoring.rules.registry_state import published

    registry = rules_registry_of(Settings())
    sly = Text("/../../up/payment.yaml", text(1).text)
    digest = registry.add(None, [sly], Author("mallory", "now")).file.digest
    registry.change(lambda state: published(state, None, digest, "draft", Author("mallory", "now")))
    good("show", digest, "--out", tmp_path / "deep" / "out")
    assert list(tmp_path.rglob("payment.yaml")) == [tmp_path / "deep" / "out" / "up" / "payment.yaml"]


def test_diff_between_digests_what_is_live_and_files(root: Path, tmp_path: Path) -> None:
    folder = write(write(tmp_path / "a", 1), 2, "shop")
    nothing = good("diff", "live", folder)
    assert (nothing["a"], nothing["rules"]["added"], nothing["same"]) == ("nothing, as nothing is live", ["r1"], False)
    good("publish", folder, "--to", "live")
    assert good("diff", "live", folder)["same"]
    assert good("diff", "live", folder, "--merchant", "shop")["same"]
    draft = good("publish", write(folder, 7))["rulesets"][0]["digest"]
    found = good("diff", draft, "live")
    assert (found["a"], found["rules"]["added"], found["rules"]["removed"]) == (draft, ["r1"], ["r7"])
    assert run("diff", "live", tmp_path / "none")[0] == 2
    assert run("diff", "0123abcd", "live")[0] == 1


def test_a_new_history_is_said_aloud(root: Path, tmp_path: Path) -> None:
    def version(value: str) -> Path:
        catalogue = f"{{event_types: [payment], entity: .entities.user, value: {value}, window: 7d}}"
        rule = "{id: spent, when: {sum: payments, gt: 9}, actions: [review]}"
        path = tmp_path / "rules.yaml"
        path.write_text(f"catalogues: {{payments: {catalogue}}}\nrules: [{rule}]\n")
        return path

    run("publish", version(".data.amount"), "--to", "live")
    _, out, _ = run("publish", version(".data.fee"), "--to", "live")
    assert "! catalogue payments begins a new history: spent will see nothing of what happened before" in out
    assert "value: .data.amount -> .data.fee" in out


def test_list_says_which_set_cannot_be_used_and_a_publication_over_it_still_works(root: Path, tmp_path: Path) -> None:
    assert "nothing was published yet" in run("list")[1]
    digest = good("publish", write(tmp_path / "a", 1), "--to", "live")["rulesets"][0]["digest"]
    damage(root, digest, lambda data: data.replace(b"gt: 0", b"gt: 9"))
    code, out, err = run("list")
    assert (code, "cannot be used" in out, "is not what was published" in err) == (1, True, True)
    assert run("show", "live")[0] == 1
    code, _, err = run("publish", write(tmp_path / "a", 2), "--to", "live")
    assert (code, "cannot be compared" in err) == (0, True)
    assert live() == ("t2",)
    assert run("rollback")[0] == 1
    assert live() == ("t2",)


def test_the_digest_of_a_decision_leads_to_the_rulesets_that_made_it(root: Path, tmp_path: Path) -> None:
    def digest(merchant: str) -> str:
        with closing(watched_rules(Settings())) as watch:
            return watch().live.book.of(merchant).digest

    good("publish", write(write(tmp_path / "a", 1), 2, "shop"), "--to", "live")
    first, alone = digest("shop"), digest("other")
    good("publish", write(tmp_path / "a", 3), "--to", "live")
    listed = good("list")["rulesets"]
    own = next(row["digest"] for row in listed if row["merchant"] == "shop")
    before = next(row["digest"] for row in listed if row["stage"] == "retired")
    assert good("decided", first)["decided"] == [{"merchant": "shop", "own": own, "global": before}]
    assert good("decided", alone)["decided"] == [{"merchant": None, "own": None, "global": before}]
    assert f"merchant shop: own {own}, global {before}" in run("decided", first)[1]
    assert run("decided", "0" * 16)[0] == 1


@pytest.mark.parametrize("command", ["publish", "rollback", "retire", "list", "show", "diff", "decided"])
def test_help_has_examples_and_exit_codes(command: str) -> None:
    _, out, _ = run(command, "--help")
    assert f"clickgoose rules {command}" in out
    assert "Exit codes: 0" in out


def test_a_root_of_another_kind_is_one_sentence(root: Path) -> None:
    code, _, err = run("list", "--rules", "ftp://somewhere")
    assert (code, err.count("\n"), "no root of rules" in err) == (1, 1, True)
