"""Documents that repeat the code are held against it."""

from pathlib import Path

from tickets import states

ROOT = Path(__file__).parent.parent


def ticket_diagram() -> str:
    """The ticket's machine as Mermaid, from the one table that workflow obeys."""
    lines = ["stateDiagram-v2", "    [*] --> new: take_in", "    new --> assigned: assign"]
    for event, transition in states.TRANSITIONS.items():
        if transition.to is not None:
            to = transition.to.value
            lines += [f"    {source.value} --> {to}: {event}" for source in transition.sources]
    lines.append("    assigned --> in_progress: reply")
    lines.append("    waiting --> in_progress: write, or the longest wait is over")
    return "\n".join(lines)


def test_the_architecture_page_shows_the_machine_of_the_code() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert ticket_diagram() in page, f"Put this into ARCHITECTURE.md:\n{ticket_diagram()}"


def test_the_readme_begins_with_the_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0:2]
    text = "\n## ".join(head)
    commands = [line for line in text.splitlines() if line.startswith("make ")]
    assert [command.split("#")[0].strip() for command in commands] == ["make demo", "make test"]
