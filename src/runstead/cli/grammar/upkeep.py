"""The commands of who runs a server: keys, doctor, db. They work on this machine, whether a server runs or not."""

from __future__ import annotations

from pathlib import Path

from runstead.cli.grammar.manual import ENDINGS, Commands, Manual, as_json, in_folder


def add(commands: Commands) -> None:
    """Add them."""
    _keys(commands)
    _doctor(commands)
    database = commands.group(
        "db",
        "look after the database",
        "Look after the database: RUNSTEAD_DATABASE_URL, or SQLite in the data folder.",
    )
    _status(database)
    _migrate(database)
    _backup(database)
    _vacuum(database)


def _keys(commands: Commands) -> None:
    keys = commands.group(
        "keys",
        "make, list and revoke API keys",
        """Make, list and revoke API keys. They are kept in the database of this machine's data folder, and there is no
        API for them: run this where the server's data is. A running server takes up a change within seconds.""",
    )
    create = keys.add(
        "create",
        "runstead.cli.keys",
        "make a key; it is shown once",
        "Make a key. It is shown once; only its SHA-256 is kept.",
        examples=("runstead keys create laptop", "runstead keys create deploy --admin"),
    )
    create.add_argument("name", metavar="NAME", help="what the key is for")
    create.add_argument("--user", metavar="ID", help="the user that it acts as (default: the default user)")
    create.add_argument("--admin", action="store_true", help="let it act for others and administer")
    listing = keys.add(
        "list",
        "runstead.cli.keys",
        "list the keys, revoked ones too",
        "List the keys, revoked ones too, without their text.",
        examples=("runstead keys list",),
    )
    revoke = keys.add(
        "revoke",
        "runstead.cli.keys",
        "end a key for good",
        "End a key for good: who shows it is refused within seconds.",
        examples=("runstead keys revoke key-…",),
    )
    revoke.add_argument("key_id", metavar="KEY_ID", help="the key's id, as `keys list` shows it")
    for action in (create, listing, revoke):
        as_json(action, "JSON, a line a key")
        in_folder(action)


def _doctor(commands: Commands) -> None:
    doctor = commands.add(
        "doctor",
        "runstead.cli.doctor",
        "check that a server can run here",
        """Check what a server needs on this machine: versions, the data folder and its lock, the space left, the database
        and its schema, what compares vectors, the port, the providers of models, the clock, the limit of open files, and
        Redis and Postgres where they are configured. Each line says ok, warn or fail, and what to do. It changes
        nothing.""",
        examples=("runstead doctor", "runstead doctor --json | jq -r 'select(.state != \"ok\").advice'"),
        endings={0: "nothing failed; there may be warnings", 1: "at least one check failed", 2: ENDINGS[2]},
    )
    in_folder(doctor)
    doctor.add_argument(
        "--host", help="the address that the server shall listen on (RUNSTEAD_HOST; default 127.0.0.1)"
    )
    doctor.add_argument(
        "--port", type=int, help="the port that it shall listen on (RUNSTEAD_PORT; default 8283)"
    )
    as_json(doctor, "each check as a line of JSON")


def _status(database: Commands) -> None:
    status = database.add(
        "status",
        "runstead.cli.db.status",
        "say the schema's version, the size, and how much is kept",
        "Say which database is used, its schema's version, its size, and how many rows the tables have. Changes nothing.",
        examples=("runstead db status", "runstead db status --json | jq .version"),
        endings={
            0: "it is current",
            1: "it is not there yet or behind; `runstead db migrate` makes it current",
            2: ENDINGS[2],
        },
    )
    _ends(status, "it as JSON")


def _migrate(database: Commands) -> None:
    migrate = database.add(
        "migrate",
        "runstead.cli.db.migrate",
        "make the database current",
        """Bring the database to this version's schema, as `serve` does at its start, all of it or nothing. A database
        that is current stays as it is. It never goes back to an older schema: make a backup first.""",
        examples=("runstead db backup before.db && runstead db migrate",),
    )
    _ends(migrate, "the versions before and after as JSON")


def _backup(database: Commands) -> None:
    backup = database.add(
        "backup",
        "runstead.cli.db.backup",
        "copy the database while it is used",
        """Copy a SQLite database into a new file, whole and consistent, while a server uses it. The copy can be put in the
        place of the database when no server runs. Of Postgres, make backups with pg_dump.""",
        examples=("runstead db backup runstead-$(date +%F).db",),
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="the new file; it must not be there yet")
    _ends(backup, "the file, its size and its check as JSON")


def _vacuum(database: Commands) -> None:
    vacuum = database.add(
        "vacuum",
        "runstead.cli.db.vacuum",
        "give unused space back to the disk",
        """Rewrite a SQLite database without its unused pages. Writers wait meanwhile, so a busy server should be stopped; it
        needs as much free space as the database is large. Postgres does this by itself.""",
        examples=("runstead db vacuum",),
    )
    _ends(vacuum, "the sizes before and after as JSON")


def _ends(parser: Manual, what: str) -> None:
    as_json(parser, what)
    in_folder(parser)
