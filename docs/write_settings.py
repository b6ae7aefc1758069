"""Write the tables of settings.md from the models of the commands: ``python docs/write_settings.py``.

A table stands between the lines ``<!-- settings: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from supernet.commands import COMMANDS
from supernet.settings.flags import Setting, settings_of

PAGE = Path(__file__).with_name("settings.md")
TABLE = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """The table of a command; of ``compare``, which has all of a search, what it adds or says otherwise."""
    command, searched = COMMANDS[name], COMMANDS["search"].settings
    assert command.settings and searched
    known = {(setting.name, setting.about) for setting in settings_of(searched)} if name == "compare" else set()
    shown = [setting for setting in settings_of(command.settings) if setting.about and (setting.name, setting.about) not in known]
    rows = [row(setting, flagged=setting.name not in command.without) for setting in shown]
    return "\n".join(["| name | default | flag | what it is |", "|---|---|---|---|", *rows])


def row(setting: Setting, flagged: bool) -> str:
    """A line of a table. A group whose names are those of what it sets ends with a star; what is given by its place is in capitals."""
    group = setting.default == {}
    default = "" if group or setting.default is None else f"`{json.dumps(setting.default)}`".replace('"', "")
    flag = f"`{setting.flag.name or setting.name.upper()}`" if setting.flag and flagged else ""
    return f"| `{setting.name}{'.*' if group else ''}` | {default} | {flag} | {setting.about} |"


def written(page: str) -> str:
    """The text of the page with its tables made anew."""
    return TABLE.sub(lambda found: f"{found[1]}\n{table(found[2])}\n\n{found[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
