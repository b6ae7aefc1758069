"""A command, and the flags of its command line, made from the fields of its models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from keyword import iskeyword
from typing import Annotated, Any

import typer

from supernet.commands.call import document
from supernet.files.typed import typed
from supernet.settings.flags import Flag, Section, Setting, plain, settings_of
from supernet.settings.given import Settings


@dataclass(frozen=True)
class Command:
    """``run`` makes of a call what the command gives, and its docstring is the help; ``example`` stands below it.

    ``call``: the model of what is said of one call. ``settings``: the model of what a run is made with; what its flags give is handed on in
    ``call.flags``, by dotted names. Fields in ``without`` have no flag here. ``show`` prints what ``run`` gave; the exit code is 1 where
    that does not hold by ``holds``.
    """

    run: Callable[[Any], Any]
    call: type[Section]
    example: str
    settings: type[Section] | None = None
    without: Collection[str] = ()
    show: Callable[[Any, Any], None] = document
    holds: Callable[[Any], bool] = lambda result: True


def function_of(command: Command) -> Callable[..., None]:
    """A function with a parameter for each flag of a command, as typer takes it."""
    own = {parameter_of(setting): setting for setting in settings_of(command.call) if setting.flag}
    theirs = settings_of(command.settings) if command.settings else ()
    of_run = {parameter_of(setting): setting for setting in theirs if setting.flag and setting.name not in command.without}
    every = {**of_run, **own}
    assert len(every) == len(own) + len(of_run), f"two settings share a flag: {own.keys() & of_run.keys()}"

    def called(**given: Any) -> None:
        said = nested({setting.name: value_of(setting, given[name]) for name, setting in own.items()})
        if command.settings:
            said["flags"] = {setting.name: value_of(setting, given[name]) for name, setting in of_run.items()}
        call = typed(command.call, said, "")
        result = command.run(call)
        command.show(call, result)
        if not command.holds(result):
            raise typer.Exit(1)

    ordered = sorted(every, key=lambda name: bool(flag_of(every[name]).name))  # what is given by its place stands first
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=absent(every[name]), annotation=annotation_of(every[name]))
        for name in ordered
    ]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return called


def flag_of(setting: Setting) -> Flag:
    """The flag of a setting that has one."""
    assert setting.flag
    return setting.flag


def parameter_of(setting: Setting) -> str:
    """What a flag is called in Python: ``batch_size`` of --batch-size, ``from_`` of --from, ``run`` of what is given by its place."""
    name = flag_of(setting).name.lstrip("-").replace("-", "_") or setting.name
    return f"{name}_" if iskeyword(name) else name


def annotation_of(setting: Setting) -> Any:
    """What typer makes a flag of."""
    flag, kind = flag_of(setting), plain(setting.kind)
    about = f"{setting.about[:1].upper()}{setting.about[1:]}."
    if kind is bool:
        return Annotated[bool, typer.Option(flag.name, help=about)]
    taken = str if flag.read else kind
    if not flag.name:
        return Annotated[taken if flag.required else taken | None, typer.Argument(help=about)]
    default = False if setting.default is None else str(setting.default)
    option = typer.Option(flag.name, help=about, metavar=flag.metavar, show_default=default)
    return Annotated[taken if flag.required else taken | None, option]


def absent(setting: Setting) -> Any:
    """What typer hands on where nothing is given."""
    if flag_of(setting).required:
        return inspect.Parameter.empty
    return False if plain(setting.kind) is bool else None


def value_of(setting: Setting, given: Any) -> Any:
    """What was given on the command line, as the setting has it; None: nothing was."""
    read, nothing = flag_of(setting).read, absent(setting)
    if given is None or given is nothing:
        return None
    return read(given) if read else given


def nested(values: Settings) -> Settings:
    """Values by dotted names of at most two parts as groups, without those that are None."""
    found: Settings = {}
    for name, value in values.items():
        group, _, key = name.rpartition(".")
        if value is not None:
            (found.setdefault(group, {}) if group else found)[key] = value
    return found
