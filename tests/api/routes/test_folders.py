"""Folders and their files: made, filled, read, counted and emptied; the same under the older name, sources."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api, Serving

ABSENT = "source-00000000-0000-4000-8000-00000000dead"
NO_FILE = "file-00000000-0000-4000-8000-00000000dead"
POEM = "# Tea\n\nA cup of tea at five.\n\n# Coffee\n\nA cup of coffee at six.\n"


async def folder(api: Api, name: str = "notes", **fields: Any) -> dict[str, Any]:
    """A folder, made a second after the last."""
    api.clock.advance(1)
    return await api.json("POST", "/v1/folders/", json={"name": name, **fields})


async def upload(
    api: Api, folder_id: str, name: str, body: bytes | str, status: int = 200, query: str = ""
) -> dict[str, Any]:
    """A file, put there a second after the last, and not read yet."""
    api.clock.advance(1)
    content = body.encode() if isinstance(body, str) else body
    path = f"/v1/folders/{folder_id}/upload{query}"
    return await api.json("POST", path, status, files={"file": (name, content)})


async def read(api: Api) -> None:
    """Read all that is due."""
    while await api.filing.read_due():
        continue


async def filed(api: Api, folder_id: str, name: str, body: bytes | str) -> dict[str, Any]:
    """A file, put there and read."""
    made = await upload(api, folder_id, name, body)
    await read(api)
    return await api.json("GET", f"/v1/folders/{folder_id}/files/{made['id']}?include_content=true")


async def test_a_folders_name_may_be_a_path(api: Api) -> None:
    """A slash in a name is one in the path, sent as it is or encoded."""
    nested = await folder(api, "notes/of ü")
    for spelled in ("notes/of ü", "notes%2Fof%20%C3%BC"):
        assert await api.json("GET", f"/v1/folders/name/{spelled}") == nested["id"]


@pytest.mark.parametrize("kind", ["folders", "sources"])
async def test_a_folder_is_made_read_changed_and_deleted(api: Api, kind: str) -> None:
    """What is given is changed; a name is taken once; a deleted one is gone with its files."""
    body = {"name": "notes", "description": "of Ada", "embedding": "openai/embed", "metadata": {"a": 1}}
    made = await api.json("POST", f"/v1/{kind}/", json=body)
    path = f"/v1/{kind}/{made['id']}"

    assert (made["name"], made["description"], made["metadata"]) == ("notes", "of Ada", {"a": 1})
    assert made["embedding_config"]["handle"] == "openai/embed"
    assert made["id"].startswith("source-")
    assert await api.json("GET", path) == made
    assert await api.json("GET", f"/v1/{kind}/name/notes") == made["id"]
    await api.json("GET", f"/v1/{kind}/name/other", 404)
    await api.json("POST", f"/v1/{kind}/", 409, json={"name": "notes"})
    await folder(api, "taken")
    await api.json("PATCH", path, 409, json={"name": "taken"})
    changed = await api.json("PATCH", path, json={"name": "more", "instructions": "Read first."})
    assert (changed["name"], changed["instructions"], changed["metadata"]) == (
        "more",
        "Read first.",
        {"a": 1},
    )
    assert (await api.json("PATCH", path, json={"description": None}))["description"] is None
    assert await api.json("GET", f"/v1/{kind}/count") == 2
    await filed(api, made["id"], "a.txt", "alpha")
    assert await api.json("DELETE", path) is None
    for method in ("GET", "PATCH", "DELETE"):
        await api.json(method, path, 404, **({"json": {}} if method == "PATCH" else {}))
    stats = await api.json("GET", f"/v1/{kind}/metadata")
    assert (stats["total_sources"], stats["total_files"], stats["total_size"]) == (1, 0, 0)


async def test_folders_are_listed(api: Api) -> None:
    """By name, in pages; sources all at once."""
    ids = [(await folder(api, name))["id"] for name in ("a", "b", "c")]

    assert [f["id"] for f in await api.json("GET", "/v1/folders/")] == ids
    assert [f["id"] for f in await api.json("GET", "/v1/sources/")] == ids
    assert [f["id"] for f in await api.json("GET", "/v1/folders/?name=b")] == ids[1:2]
    assert [f["id"] for f in await api.json("GET", f"/v1/folders/?limit=1&after={ids[0]}")] == ids[1:2]
    assert [f["id"] for f in await api.json("GET", "/v1/folders/?order=desc")] == ids[::-1]
    await api.json("GET", "/v1/folders/folder-1", 422)


async def test_a_file_is_read(api: Api) -> None:
    """It is pending, then completed; its text and its pieces are there, and where in the text they stand."""
    made = await folder(api)
    path = f"/v1/folders/{made['id']}"
    came = await upload(api, made["id"], "dir/poem.md", POEM.replace("\n", "\r\n"))

    assert (came["processing_status"], came["content"]) == ("pending", None)
    assert (came["file_name"], came["original_file_name"]) == ("notes/poem.md", "poem.md")
    await read(api)
    file = await api.json("GET", f"{path}/files/{came['id']}")
    assert (file["processing_status"], file["error_message"], file["content"]) == ("completed", None, None)
    assert file["total_chunks"] == file["chunks_embedded"] == 1
    (file,) = await api.json("GET", f"{path}/files?include_content=true")
    assert file["content"] == POEM
    (passage,) = await api.json("GET", f"{path}/passages")
    assert passage["text"] == POEM.strip()
    assert (passage["file_id"], passage["source_id"]) == (came["id"], made["id"])
    assert passage["file_name"] == "notes/poem.md"
    stats = await api.json("GET", "/v1/folders/metadata?include_detailed_per_source_metadata=true")
    assert stats["sources"][0]["files"] == [
        {"file_id": came["id"], "file_name": "notes/poem.md", "file_size": came["file_size"]}
    ]
    assert (await api.client.delete(f"{path}/{came['id']}")).status_code == 204
    assert await api.json("GET", f"{path}/files") == []
    assert await api.json("GET", f"{path}/passages") == []
    await api.json("GET", f"{path}/files/{came['id']}", 404)
    await api.json("DELETE", f"{path}/{came['id']}", 404)


async def test_pieces_of_files_are_no_passages_of_archives(api: Api) -> None:
    """No list or search over archives finds them, and no archive that could be asked for holds them."""
    made = await folder(api)
    await filed(api, made["id"], "poem.md", POEM)
    (passage,) = await api.json("GET", f"/v1/folders/{made['id']}/passages")

    assert passage["archive_id"] is None
    assert await api.json("GET", "/v1/archives/") == []
    assert await api.json("POST", "/v1/passages/search", json={"query": "tea"}) == []


async def test_pieces_keep_the_order_of_the_text(api: Api) -> None:
    """A long text is cut where its lines end, and listed in its order, page by page."""
    lines = [f"Line {number} says that {number} is a number." for number in range(500)]
    made = await folder(api)
    file = await filed(api, made["id"], "long.txt", "\n".join(lines))

    path = f"/v1/folders/{made['id']}/passages?order=asc&limit=7"
    pieces: list[dict[str, Any]] = []
    while page := await api.json("GET", path + (f"&after={pieces[-1]['id']}" if pieces else "")):
        pieces += page
    assert len(pieces) == file["total_chunks"] > 7
    assert "\n".join(piece["text"] for piece in pieces) == "\n".join(lines)
    assert await api.json("GET", f"/v1/folders/{made['id']}/passages?limit=1") == pieces[-1:]


@pytest.mark.parametrize(
    ("handling", "status", "names"),
    [
        ("", 200, ["notes/a.tar.gz", "notes/a.tar_(1).gz", "notes/a.tar_(2).gz"]),
        ("?duplicate_handling=suffix", 200, ["notes/a.tar.gz", "notes/a.tar_(1).gz", "notes/a.tar_(2).gz"]),
        ("?duplicate_handling=error", 409, ["notes/a.tar.gz"]),
        ("?duplicate_handling=skip", 200, ["notes/a.tar.gz"]),
        ("?duplicate_handling=replace", 200, ["notes/a.tar.gz"]),
    ],
)
async def test_a_name_that_is_taken(api: Api, handling: str, status: int, names: list[str]) -> None:
    """A second file of a name gets another, is refused, left out, or takes the first one's place."""
    made = await folder(api)
    first = await filed(api, made["id"], "a.tar.gz", "first")
    for _ in range(2):
        await upload(api, made["id"], "a.tar.gz", "second", status, handling)
    await read(api)
    found = await api.json("GET", f"/v1/folders/{made['id']}/files?order=asc&include_content=true")
    assert [file["file_name"] for file in found] == names
    replaced = "replace" in handling
    assert (found[0]["content"], found[0]["id"] == first["id"]) == (
        "second" if replaced else "first",
        not replaced,
    )
    if "skip" in handling:
        again = await upload(api, made["id"], "a.tar.gz", "third", 200, handling)
        assert again["id"] == first["id"]


async def test_a_file_may_be_called_otherwise(api: Api) -> None:
    """By `name`; without any name it is refused."""
    made = await folder(api)
    came = await upload(api, made["id"], "a.txt", "alpha", query="?name=b.txt")
    assert (came["file_name"], came["original_file_name"]) == ("notes/b.txt", "a.txt")
    await upload(api, made["id"], "a.txt", "alpha", 400, "?name=..%2F")
    await upload(api, ABSENT, "a.txt", "alpha", 404)
    await upload(api, made["id"], "a.txt", "alpha", 422, "?duplicate_handling=guess")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("a.bin", bytes(range(256)) * 4, "is no text"),
        ("a.docx", b"PK\x03\x04\x00\x00", "is no text"),
        ("a.txt", b" \n", "has no text"),
        ("a.pdf", b"%PDF-1.7\nnothing", ""),
        ("a.html", b"<html><script>x</script>", "has no text"),
    ],
)
async def test_what_cannot_be_read_says_why(api: Api, name: str, body: bytes, says: str) -> None:
    """Its row stays with words, and nothing else of it."""
    made = await folder(api)
    file = await filed(api, made["id"], name, body)

    assert file["processing_status"] == "error"
    assert file["error_message"]
    assert says in file["error_message"]
    assert (file["content"], file["total_chunks"]) == (None, None)
    assert await api.json("GET", f"/v1/folders/{made['id']}/passages") == []


async def test_files_have_limits(serving: Serving) -> None:
    """Of one as it comes, of its text, and of all together."""
    async with serving(file_bytes_max=100, file_chars_max=50, files_bytes_max=150) as api:
        made = await folder(api)
        refused = await upload(api, made["id"], "a.txt", "x" * 101, 413)
        assert "RUNSTEAD_FILE_BYTES_MAX" in refused["detail"]
        file = await filed(api, made["id"], "a.txt", "x" * 100)
        assert "RUNSTEAD_FILE_CHARS_MAX" in file["error_message"]
        refused = await upload(api, made["id"], "b.txt", "x" * 51, 400)
        assert "RUNSTEAD_FILES_BYTES_MAX" in refused["detail"]
        assert (await filed(api, made["id"], "b.txt", "x" * 50))["processing_status"] == "completed"
        many = await api.client.get(f"/v1/folders/{made['id']}/files?include_content=true")
        assert many.status_code == 200
