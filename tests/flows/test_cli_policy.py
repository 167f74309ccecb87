"""``crossdock policy check``: what takes effect, and every fault with its line."""

from pathlib import Path

from tests.support.command_line import run

GOOD = """version: v1
compensation:
  tiers: {gold: 1.5}
notifications:
  languages: {wechat: zh}
  phases: {HANDED_OVER: []}
"""
BAD = """version: v1
actions:
  raised:
    LOSTT: [REVIEW]
    LOST: [REVIEW, REVIEW]
compensation:
  codes:
    LOST: {floor_minor: 20, cap_minor: 10}
notifications:
  phases:
    HANDED_OVER:
      - {to: customer, template: SHIPPED}
      - {to: nobody, template: SHIPPED}
  occasions:
    DATE_TOLD: {to: customer}
"""


def test_what_a_policy_changes_is_marked_also_under_names_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(GOOD)

    said = run("policy", "check", file)

    assert said.exit_code == 0
    marked = [line.split()[1] for line in said.stdout.splitlines() if "set here" in line]
    assert marked == [
        "version",
        "compensation.tiers.gold",
        "notifications.languages.wechat",
        "notifications.phases.HANDED_OVER",
    ]


def test_every_fault_of_what_is_told_and_done_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(BAD)

    said = run("policy", "check", file)

    assert said.exit_code == 2
    faults = said.stderr.removeprefix("crossdock: ").replace(f"{file}:", "\n").splitlines()[1:]
    assert [fault.split(": ")[:2] for fault in faults] == [
        ["4", "actions.raised.LOSTT"],
        ["5", "actions.raised.LOST"],
        ["8", "compensation.codes.LOST"],
        ["13", "notifications.phases.HANDED_OVER.1.to"],
        ["15", "notifications.occasions.DATE_TOLD"],
    ]
