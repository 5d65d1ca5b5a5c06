"""`runstead completion`: scripts for three shells, made from the grammar. They complete without starting a process.

What a script must know is one table: after these words, these may follow. Each shell is given it in its own tongue.
"""

from __future__ import annotations

from argparse import Action, Namespace
from collections.abc import Iterator
from dataclasses import dataclass

from runstead.cli.grammar import parser
from runstead.cli.grammar.manual import Manual


@dataclass(frozen=True, slots=True)
class Word:
    """Something that may follow, and what it is."""

    text: str
    brief: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where one can be on the command line: after `words`, `follow` may follow. `values` are those of options."""

    words: tuple[str, ...]
    follow: tuple[Word, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def path(self) -> str:
        """The words joined, as a name in the scripts."""
        return " ".join(self.words)


def run(given: Namespace) -> int:
    """Write the script."""
    places = list(places_of(parser(), ()))
    print({"bash": bash, "zsh": zsh, "fish": fish}[given.shell](places), end="")
    return 0


def places_of(command: Manual, words: tuple[str, ...]) -> Iterator[Place]:
    """Every place from a command on."""
    below = command.commands()
    options = [action for action in command.arguments() if action.option_strings]
    follow = [Word(name, sub.brief) for name, sub in below.items()]
    follow += [Word(action.option_strings[-1], _brief(action)) for action in options]
    follow += [Word("--help", "show the manual")]
    follow += [
        Word(str(choice), _brief(action))
        for action in command.arguments()
        if not action.option_strings and action.choices is not None
        for choice in action.choices
    ]
    values = tuple((action.option_strings[-1], _values(action)) for action in options if action.nargs != 0)
    yield Place(words, tuple(follow), values)
    for name, sub in below.items():
        yield from places_of(sub, (*words, name))


def bash(places: list[Place]) -> str:
    """For bash: a function over two tables."""
    follow = "\n".join(f"    {_quoted(p.path)}) words={_quoted(_joined(p))} ;;" for p in places)
    values = "\n".join(
        f"    {_quoted(f'{p.path}:{option}')}) words={_quoted(' '.join(known))}; files={int(not known)} ;;"
        for p in places
        for option, known in p.values
    )
    return f"""# bash completion of runstead; made by `runstead completion bash`
_runstead() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" place="" word words="" files=1 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "${{place:+$place }}$word" in
{_cases(places)}
    esac
  done
  case "$place:$prev" in
{values}
    *) files=0
  esac
  if ((files)); then COMPREPLY=($(compgen -f -- "$cur")); return; fi
  if [[ -z $words ]]; then case "$place" in
{follow}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o bashdefault -F _runstead runstead
"""


def zsh(places: list[Place]) -> str:
    """For zsh: the same tables, with what each word is."""
    follow = "\n".join(
        f"    {_quoted(p.path)}) words=({' '.join(_quoted(_described(word)) for word in p.follow)}) ;;"
        for p in places
    )
    values = "\n".join(
        f"    {_quoted(f'{p.path}:{option}')}) "
        + (f"compadd -- {' '.join(known)}; return ;;" if known else "_files; return ;;")
        for p in places
        for option, known in p.values
    )
    return f"""#compdef runstead
# zsh completion of runstead; made by `runstead completion zsh`
_runstead() {{
  local place="" word
  local -a words_so_far
  words_so_far=("${{(@)words[2,CURRENT-1]}}")
  local prev="${{words_so_far[-1]:-}}"
  for word in "${{(@)words_so_far}}"; do
    case "${{place:+$place }}$word" in
{_cases(places)}
    esac
  done
  case "$place:$prev" in
{values}
  esac
  local -a follow
  case "$place" in
{follow.replace("words=(", "follow=(")}
  esac
  _describe 'runstead' follow || _files
}}
compdef _runstead runstead
"""


def fish(places: list[Place]) -> str:
    """For fish: one line a word."""
    lines = [
        "# fish completion of runstead; made by `runstead completion fish`",
        "function __runstead_at",
        "    set -l place (string match -v -- '-*' (commandline -opc)[2..-1] | string join ' ')",
        '    set -l wanted (string join " " -- $argv)',
        '    test "$place" = "$wanted"; or string match -q -- "$wanted *" "$place"',
        "end",
        "complete -c runstead -f",
    ]
    for place in places:
        known = dict(place.values)
        condition = _quoted(f"__runstead_at {place.path}".strip())
        for word in place.follow:
            name = f"-l {word.text[2:]}" if word.text.startswith("--") else f"-a {_quoted(word.text)}"
            line = f"complete -c runstead -n {condition} {name} -d {_quoted(word.brief)}"
            if word.text in known:
                values = known[word.text]
                line += f" -x -a {_quoted(' '.join(values))}" if values else " -r -F"
            lines.append(line)
    return "\n".join(lines) + "\n"


def _cases(places: list[Place]) -> str:
    return "\n".join(f"      {_quoted(p.path)}) place={_quoted(p.path)} ;;" for p in places if p.words)


def _joined(place: Place) -> str:
    return " ".join(word.text for word in place.follow)


def _described(word: Word) -> str:
    return f"{word.text}:{word.brief}"


def _brief(action: Action) -> str:
    """The first part of what an option is, in a line that every shell can carry."""
    return (action.help or "").split(";")[0].split(" (")[0].strip()


def _values(action: Action) -> tuple[str, ...]:
    return tuple(str(choice) for choice in action.choices or ())


def _quoted(text: str) -> str:
    """In single quotes, which all three shells read alike as long as there is none inside."""
    return "'" + text.replace("'", "’") + "'"
